/* Many frames through the network at once: of one stream, whose future is known, or one of each of many streams. */

#include <string.h>

#include "stream/enhancer.h"
#include "subnormals.h"
#include "memory.h"

#define AT_ONCE_MAX 1024

struct percepnet_block {
    int hops, channels;
    network_work work;
    complex32 *noisy; /* hops * channels * 481 */
    complex32 *comb;
};

static void block_init(percepnet_block *b, const percepnet_model *model, int channels, int hops, arena *a) {
    b->hops = hops;
    b->channels = channels;
    network_work_init(&b->work, &model->network, 1, hops, a);
    b->noisy = ARENA_TAKE(a, complex32, (size_t)hops * (size_t)channels * BINS);
    b->comb = ARENA_TAKE(a, complex32, (size_t)hops * (size_t)channels * BINS);
}

percepnet_block *percepnet_block_create(const percepnet_model *model, int32_t channels, int32_t hops) {
    if (!model || channels < 1 || channels > CHANNELS_MAX || hops < 1 || hops > AT_ONCE_MAX) {
        return NULL;
    }
    percepnet_block sizes;
    arena a = {NULL, 0};
    block_init(&sizes, model, channels, hops, &a);
    percepnet_block *b = memory_take(arena_start(sizeof *b) + a.used);
    if (b) {
        a = arena_behind(b, sizeof *b);
        block_init(b, model, channels, hops, &a);
    }
    return b;
}

void percepnet_block_destroy(percepnet_block *b) { memory_give_back(b); }

static void process_at_once(percepnet_enhancer *e, percepnet_block *b, const float *x, float *y, int hops,
                            int64_t stride) {
    const network *net = &e->model->network;
    network_state *state = &e->network;
    size_t size = (size_t)e->settings.channels * BINS;
    for (int hop = 0; hop < hops; hop++) {
        enhancer_listen(e, x + hop * HOP_SAMPLES, stride);
        memcpy(b->work.features + hop * net->features, e->analysis.features, sizeof(float) * (size_t)net->features);
        memcpy(b->noisy + (size_t)hop * size, e->analysis.spectra, sizeof(complex32) * size);
        memcpy(b->comb + (size_t)hop * size, e->analysis.comb, sizeof(complex32) * size);
    }
    network_run(net, &b->work, &state, 1, hops);
    for (int hop = 0; hop < hops; hop++) {
        enhancer_answer(e, b->noisy + (size_t)hop * size, b->comb + (size_t)hop * size,
                        b->work.gains + hop * net->bands, b->work.strengths + hop * net->bands, y + hop * HOP_SAMPLES,
                        stride);
    }
}

void percepnet_process_block(percepnet_enhancer *e, percepnet_block *b, const float *x, float *y, int64_t hops,
                             int64_t stride) {
    uint64_t before = flush_begin();
    while (hops > 0) {
        /* all about equally long, so that none is left with the cost of a block and the gain of a hop */
        int64_t blocks = (hops + b->hops - 1) / b->hops;
        int now = (int)((hops + blocks - 1) / blocks);
        process_at_once(e, b, x, y, now, stride);
        x += now * HOP_SAMPLES;
        y += now * HOP_SAMPLES;
        hops -= now;
    }
    flush_end(before);
}

struct percepnet_batch {
    const percepnet_model *model;
    network_work work;
    network_state **states;
};

static void batch_init(percepnet_batch *b, const percepnet_model *model, int streams, arena *a) {
    b->model = model;
    network_work_init(&b->work, &model->network, streams, 1, a);
    b->states = ARENA_TAKE(a, network_state *, streams);
}

percepnet_batch *percepnet_batch_create(const percepnet_model *model, int32_t streams) {
    if (!model || streams < 1 || streams > AT_ONCE_MAX) {
        return NULL;
    }
    percepnet_batch sizes;
    arena a = {NULL, 0};
    batch_init(&sizes, model, streams, &a);
    percepnet_batch *b = memory_take(arena_start(sizeof *b) + a.used);
    if (b) {
        a = arena_behind(b, sizeof *b);
        batch_init(b, model, streams, &a);
    }
    return b;
}

void percepnet_batch_destroy(percepnet_batch *b) { memory_give_back(b); }

static void process_together(percepnet_batch *b, percepnet_enhancer *const *enhancers, int count,
                             const float *const *x, float *const *y) {
    const network *net = &b->model->network;
    for (int i = 0; i < count; i++) {
        percepnet_enhancer *e = enhancers[i];
        enhancer_listen(e, x[i], HOP_SAMPLES);
        memcpy(b->work.features + i * net->features, e->analysis.features, sizeof(float) * (size_t)net->features);
        b->states[i] = &e->network;
    }
    network_run(net, &b->work, b->states, count, 1);
    for (int i = 0; i < count; i++) {
        percepnet_enhancer *e = enhancers[i];
        enhancer_answer(e, e->analysis.spectra, e->analysis.comb, b->work.gains + i * net->bands,
                        b->work.strengths + i * net->bands, y[i], HOP_SAMPLES);
    }
}

void percepnet_batch_process(percepnet_batch *b, percepnet_enhancer *const *enhancers, int32_t count,
                             const float *const *x, float *const *y) {
    uint64_t before = flush_begin();
    for (int first = 0; first < count; first += b->work.streams) {
        int now = count - first < b->work.streams ? count - first : b->work.streams;
        process_together(b, enhancers + first, now, x + first, y + first);
    }
    flush_end(before);
}
