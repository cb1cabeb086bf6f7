/* Many frames of one stream through the network at once: its future is known. What is heard of them, what the network says
   and what is made of it are stages, which a second thread shares: no stage needs what a later one finds. */

#include <string.h>

#include "error.h"
#include "memory.h"
#include "stream/pipeline.h"
#include "stream/stream.h"

#define HOPS_MAX 1024
#define HOPS_MIN 8 /* with fewer, a block costs more than it gains */

/* Hops that go through the network at once. */
typedef struct piece {
    int hops;
    float *features;  /* hops * those of the network */
    complex32 *noisy; /* (hops + NOISE_SHAPE_AHEAD_FRAMES) * channels * 481, as of mix_spectra */
    complex32 *combs; /* hops * windows * channels * 481 each */
    complex32 *unturned;
    float *samples; /* channels * hops * 480 */
#ifdef PERCEPNET_THREADS
    float *gains; /* hops * bands each: what the network says, while it goes on to the next piece */
    float *strengths;
    float *speech; /* hops */
#endif
} piece;

#ifdef PERCEPNET_THREADS
#define PIECES PIPELINE_PIECES
#else
#define PIECES 1
#endif

struct percepnet_block {
    const percepnet_model *model;
    int hops, channels;
    int pieces; /* 1, or PIECES for a second thread */
    network_work work;
    piece piece[PIECES];
};

static void piece_init(piece *p, const percepnet_block *b, arena *a) {
    size_t frames = (size_t)b->hops * (size_t)b->channels, windows = (size_t)b->model->tables.windows.count;
    p->features = ARENA_TAKE(a, float, (size_t)b->hops * (size_t)b->model->network.features);
    p->noisy = ARENA_TAKE(a, complex32, (frames + NOISE_SHAPE_AHEAD_FRAMES * (size_t)b->channels) * BINS);
    p->combs = ARENA_TAKE(a, complex32, windows * frames * BINS);
    p->unturned = ARENA_TAKE(a, complex32, windows * frames * BINS);
    p->samples = ARENA_TAKE(a, float, frames * HOP_SAMPLES);
#ifdef PERCEPNET_THREADS
    p->gains = ARENA_TAKE(a, float, (size_t)b->hops * (size_t)b->model->network.bands);
    p->strengths = ARENA_TAKE(a, float, (size_t)b->hops * (size_t)b->model->network.bands);
    p->speech = ARENA_TAKE(a, float, b->hops);
#endif
}

static void block_init(percepnet_block *b, const percepnet_model *model, int channels, int hops, int pieces, arena *a) {
    b->model = model;
    b->hops = hops;
    b->channels = channels;
    b->pieces = pieces;
    network_work_init(&b->work, &model->network, 1, hops, a);
    for (int i = 0; i < pieces; i++) {
        piece_init(&b->piece[i], b, a);
    }
}

static percepnet_block *create(const percepnet_model *model, int32_t channels, int32_t hops, int pieces,
                               percepnet_error *error) {
    if (channels < 1 || channels > CHANNELS_MAX) {
        error_say(error, "channels is %ld: give 1 to %d", (long)channels, CHANNELS_MAX);
        return NULL;
    }
    if (hops < 1 || hops > HOPS_MAX) {
        error_say(error, "hops is %ld: give 1 to %d", (long)hops, HOPS_MAX);
        return NULL;
    }
    percepnet_block sizes;
    arena a = {NULL, 0};
    block_init(&sizes, model, channels, hops, pieces, &a);
    percepnet_block *b = memory_take(arena_start(sizeof *b) + a.used);
    if (b) {
        a = arena_behind(b, sizeof *b);
        block_init(b, model, channels, hops, pieces, &a);
    } else {
        error_say(error, "no memory for a block of %ld hops: give it fewer", (long)hops);
    }
    return b;
}

percepnet_block *percepnet_block_create(const percepnet_model *model, int32_t channels, int32_t hops,
                                        percepnet_error *error) {
    return create(model, channels, hops, 1, error);
}

percepnet_block *percepnet_block_create_threaded(const percepnet_model *model, int32_t channels, int32_t hops,
                                                 percepnet_error *error) {
    return create(model, channels, hops, PIECES, error);
}

void percepnet_block_destroy(percepnet_block *b) { memory_give_back(b); }

int block_serves(const percepnet_block *b, const percepnet_stream *s) {
    return b->model == s->model && b->channels >= s->options.channels;
}

static int64_t stride_of(const percepnet_block *b) { return (int64_t)b->hops * HOP_SAMPLES; }

static void take(const percepnet_block *b, piece *p, percepnet_stream *s) {
    for (int hop = 0; hop < p->hops; hop++) {
        stream_take_hop(s, p->samples + hop * HOP_SAMPLES, stride_of(b));
    }
}

static void give(const percepnet_block *b, piece *p, percepnet_stream *s) {
    for (int hop = 0; hop < p->hops; hop++) {
        stream_give_hop(s, p->samples + hop * HOP_SAMPLES, stride_of(b));
    }
}

/* What is found of frames goes where it is needed; of the last one, it is with the analysis too. */
static void analyse(const percepnet_block *b, piece *p, enhancer *e, const float *x) {
    size_t size = (size_t)e->channels * BINS, features = (size_t)b->model->network.features;
    size_t windows = size * (size_t)e->analysis.windows->count;
    const frame_spectra own = e->analysis.frame;
    frame_spectra *frame = &e->analysis.frame;
    for (int hop = 0; hop < p->hops; hop++) {
        size_t at = (size_t)hop;
        *frame = (frame_spectra){p->combs + at * windows, p->unturned + at * windows};
        enhancer_analyse(e, x + hop * HOP_SAMPLES, stride_of(b));
        memcpy(p->features + at * features, e->analysis.features, sizeof(float) * features);
        memcpy(p->noisy + at * size, e->analysis.spectra, sizeof(complex32) * size);
    }
    size_t ahead = (size_t)noise_shape_ahead(e->analysis.lookahead_frames) * size;
    memcpy(p->noisy + (size_t)p->hops * size, e->analysis.spectra + size, sizeof(complex32) * ahead);
    memcpy(own.combs, frame->combs, sizeof(complex32) * windows);
    memcpy(own.unturned, frame->unturned, sizeof(complex32) * windows);
    *frame = own;
}

static void decide(percepnet_block *b, const piece *p, enhancer *e) {
    network_state *state = &e->network;
    network_run(&b->model->network, &b->work, p->features, &state, 1, p->hops);
}

static void synthesise(const percepnet_block *b, const piece *p, const network_heads *said, enhancer *e, float *y) {
    size_t size = (size_t)e->channels * BINS, windows = size * (size_t)e->analysis.windows->count;
    for (int hop = 0; hop < p->hops; hop++) {
        size_t heard = (size_t)hop * size, given = (size_t)hop * windows;
        mix_spectra spectra = {p->noisy + heard, p->combs + given, p->unturned + given};
        enhancer_synthesise(e, &spectra, said, hop, y + hop * HOP_SAMPLES, stride_of(b));
    }
}

static void run_piece(percepnet_block *b, percepnet_stream *s, int hops) {
    piece *p = &b->piece[0];
    p->hops = hops;
    take(b, p, s);
    for (int i = 0; i < s->decisions; i++) {
        float *of_decision = p->samples + i * s->decision_channels * stride_of(b);
        analyse(b, p, &s->enhancers[i], of_decision); /* in place */
        decide(b, p, &s->enhancers[i]);
        synthesise(b, p, &b->work.heads, &s->enhancers[i], of_decision);
    }
    give(b, p, s);
}

/* Of so many hops, how many the next piece has; 0 if they are better done one by one. All pieces are about equally long,
   so that none is left with the cost of a block and the gain of a hop, and as long as a kernel takes at once. */
static int next_piece(const percepnet_block *b, int64_t hops) {
    int worth = b->hops < HOPS_MIN ? b->hops : HOPS_MIN;
    if (hops < worth || hops <= 1) {
        return 0;
    }
    int64_t pieces = (hops + b->hops - 1) / b->hops, each = (hops + pieces - 1) / pieces;
    int64_t full = (each + KERNEL_VECTORS - 1) / KERNEL_VECTORS * KERNEL_VECTORS;
    int64_t most = hops < b->hops ? hops : b->hops;
    return (int)(full < most ? full : most);
}

#ifdef PERCEPNET_THREADS

typedef struct threaded {
    percepnet_block *block;
    percepnet_stream *stream;
    int64_t untaken; /* hops */
} threaded;

/* The network's own place for it is used for the next piece. */
static void keep_heads(const percepnet_block *b, piece *p) {
    const network_heads *said = &b->work.heads;
    size_t frames = (size_t)p->hops, bands = frames * (size_t)b->model->network.bands;
    memcpy(p->gains, said->gains, sizeof(float) * bands);
    memcpy(p->strengths, said->strengths, sizeof(float) * bands);
    if (said->speech) {
        memcpy(p->speech, said->speech, sizeof(float) * frames);
    }
}

static network_heads kept_heads(const percepnet_block *b, const piece *p) {
    return (network_heads){p->gains, p->strengths, b->work.heads.speech ? p->speech : NULL};
}

/* Of the stream, each stage changes what no other one does. */
static void run_stage(void *of, int stage, int64_t number) {
    threaded *t = of;
    percepnet_block *b = t->block;
    percepnet_stream *s = t->stream;
    piece *p = &b->piece[number % PIECES];
    if (stage == 0) {
        p->hops = next_piece(b, t->untaken);
        t->untaken -= p->hops;
        take(b, p, s);
        analyse(b, p, &s->enhancers[0], p->samples);
    } else if (stage == 1) {
        decide(b, p, &s->enhancers[0]);
        keep_heads(b, p);
    } else {
        const network_heads said = kept_heads(b, p);
        synthesise(b, p, &said, &s->enhancers[0], p->samples);
        give(b, p, s);
    }
}

/* 0 if these hops are not for two threads. */
static int run_threaded(percepnet_block *b, percepnet_stream *s, int64_t hops) {
    pipeline threads;
    threaded t = {b, s, hops};
    int64_t count = 0;
    if (b->pieces != PIECES || s->decisions != 1) {
        return 0;
    }
    for (int64_t left = hops, now; (now = next_piece(b, left)) > 0; left -= now) {
        count++;
    }
    return count > 1 && pipeline_run(&threads, run_stage, &t, count);
}

#else

static int run_threaded(percepnet_block *b, percepnet_stream *s, int64_t hops) {
    (void)b, (void)s, (void)hops;
    return 0;
}

#endif

void block_run(percepnet_block *b, percepnet_stream *s, int64_t hops) {
    if (s->options.residual) {
        return; /* what is left of an echo is decided hop by hop */
    }
    if (run_threaded(b, s, hops)) {
        return;
    }
    for (int now; (now = next_piece(b, hops)) > 0; hops -= now) {
        run_piece(b, s, now);
    }
}
