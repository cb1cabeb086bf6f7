/* One frame of each of many decisions through the network at once. */

#include "error.h"
#include "memory.h"
#include "stream/stream.h"
#include "subnormals.h"

#define DECISIONS_MAX 1024

/* A decision that waits for the network. */
typedef struct waiting {
    percepnet_stream *stream;
    int decision;
} waiting;

struct percepnet_batch {
    const percepnet_model *model;
    int decisions; /* at most */
    int count;     /* that wait */
    network_work work;
    float *features; /* decisions * those of the network */
    network_state **states;
    waiting *waiting;
};

static void batch_init(percepnet_batch *b, const percepnet_model *model, int decisions, arena *a) {
    b->model = model;
    b->decisions = decisions;
    b->count = 0;
    network_work_init(&b->work, &model->network, decisions, 1, a);
    b->features = ARENA_TAKE(a, float, (size_t)decisions * (size_t)model->network.features);
    b->states = ARENA_TAKE(a, network_state *, decisions);
    b->waiting = ARENA_TAKE(a, waiting, decisions);
}

percepnet_batch *percepnet_batch_create(const percepnet_model *model, int32_t decisions, percepnet_error *error) {
    if (decisions < 1 || decisions > DECISIONS_MAX) {
        error_say(error, "decisions is %ld: give 1 to %d", (long)decisions, DECISIONS_MAX);
        return NULL;
    }
    percepnet_batch sizes;
    arena a = {NULL, 0};
    batch_init(&sizes, model, decisions, &a);
    percepnet_batch *b = memory_take(arena_start(sizeof *b) + a.used);
    if (b) {
        a = arena_behind(b, sizeof *b);
        batch_init(b, model, decisions, &a);
    } else {
        error_say(error, "no memory for a batch of %ld decisions: give it fewer", (long)decisions);
    }
    return b;
}

void percepnet_batch_destroy(percepnet_batch *b) { memory_give_back(b); }

static float *hop_of(const waiting *w) {
    return w->stream->hop_48k + w->decision * w->stream->decision_channels * HOP_SAMPLES;
}

/* All that wait go through the network; a stream whose last decision is made gives its hop. */
static void decide(percepnet_batch *b) {
    if (b->count) {
        network_run(&b->model->network, &b->work, b->features, b->states, b->count, 1);
    }
    for (int i = 0; i < b->count; i++) {
        percepnet_stream *s = b->waiting[i].stream;
        enhancer *e = &s->enhancers[b->waiting[i].decision];
        mix_spectra spectra = enhancer_spectra(e);
        enhancer_synthesise(e, &spectra, &b->work.heads, i, hop_of(&b->waiting[i]), HOP_SAMPLES);
        if (b->waiting[i].decision == s->decisions - 1) {
            stream_give_hop(s, s->hop_48k, HOP_SAMPLES);
        }
    }
    b->count = 0;
}

static void wait_for_network(percepnet_batch *b, percepnet_stream *s, int decision) {
    enhancer *e = &s->enhancers[decision];
    size_t features = (size_t)b->model->network.features;
    waiting w = {s, decision};
    enhancer_analyse(e, hop_of(&w), HOP_SAMPLES);
    memcpy(b->features + (size_t)b->count * features, e->analysis.features, sizeof(float) * features);
    b->states[b->count] = &e->network;
    b->waiting[b->count++] = w;
    if (b->count == b->decisions) {
        decide(b);
    }
}

/* The next hop of each stream that has one; 0 if none has. */
static int round_of_hops(percepnet_batch *b, percepnet_chunk *chunks, int count) {
    int any = 0;
    for (int i = 0; i < count; i++) {
        percepnet_stream *s = chunks[i].stream;
        if (stream_hops(s) <= 0) {
            continue;
        }
        any = 1;
        if (stream_passes(s)) {
            stream_pass_hop(s);
            continue;
        }
        stream_take_hop(s, s->hop_48k, HOP_SAMPLES);
        for (int decision = 0; decision < s->decisions; decision++) {
            wait_for_network(b, s, decision);
        }
    }
    decide(b);
    return any;
}

static int64_t check_one(const percepnet_batch *b, const percepnet_chunk *c) {
    int64_t ready = stream_check(c->stream, c->far, c->samples, c->capacity);
    int is_sound = ready != PERCEPNET_BAD_LENGTH && ready != PERCEPNET_NO_FAR_END;
    return is_sound && c->stream->model != b->model ? PERCEPNET_OTHER_MODEL : ready;
}

/* Before any stream is touched; only the chunk that is refused says so. */
static int32_t check(const percepnet_batch *b, percepnet_chunk *chunks, int count) {
    for (int i = 0; i < count; i++) {
        int64_t ready = chunks[i].ready = check_one(b, &chunks[i]);
        if (ready < 0) {
            for (int other = 0; other < count; other++) {
                chunks[other].ready = other == i ? ready : 0;
            }
            return (int32_t)ready;
        }
    }
    return 0;
}

static void begin(percepnet_chunk *c) {
    const percepnet_options *o = &c->stream->options;
    stream_call call = {.x = c->x, .far = c->far, .y = c->y, .samples = c->samples, .wanted = c->ready};
    call.x_format = samples_format_of(c->int16, o->interleaved, o->channels, c->stride);
    call.far_format = samples_format_of(c->int16, 0, 1, 0);
    call.y_format = samples_format_of(c->int16, o->interleaved, o->channels, c->capacity);
    stream_begin(c->stream, &call);
}

int32_t percepnet_batch_process(percepnet_batch *b, percepnet_chunk *chunks, int32_t count) {
    int32_t refused = check(b, chunks, count);
    if (refused) {
        return refused;
    }
    uint64_t before = subnormals_off();
    for (int i = 0; i < count; i++) {
        begin(&chunks[i]);
    }
    while (round_of_hops(b, chunks, count)) {
    }
    for (int i = 0; i < count; i++) {
        stream_end(chunks[i].stream);
    }
    subnormals_restore(before);
    return 0;
}
