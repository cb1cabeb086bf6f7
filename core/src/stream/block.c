/* Many frames of one stream through the network at once: its future is known. */

#include <string.h>

#include "error.h"
#include "memory.h"
#include "stream/stream.h"

#define HOPS_MAX 1024
#define HOPS_MIN 8 /* with fewer, a block costs more than it gains */

struct percepnet_block {
    const percepnet_model *model;
    int hops, channels;
    network_work work;
    complex32 *noisy; /* hops * channels * 481 each, as of mix_spectra */
    complex32 *comb;
    complex32 *unturned;
    float *samples; /* channels * hops * 480 */
};

static void block_init(percepnet_block *b, const percepnet_model *model, int channels, int hops, arena *a) {
    size_t frames = (size_t)hops * (size_t)channels;
    b->model = model;
    b->hops = hops;
    b->channels = channels;
    network_work_init(&b->work, &model->network, 1, hops, a);
    b->noisy = ARENA_TAKE(a, complex32, frames * BINS);
    b->comb = ARENA_TAKE(a, complex32, frames * BINS);
    b->unturned = ARENA_TAKE(a, complex32, frames * BINS);
    b->samples = ARENA_TAKE(a, float, frames * HOP_SAMPLES);
}

percepnet_block *percepnet_block_create(const percepnet_model *model, int32_t channels, int32_t hops,
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
    block_init(&sizes, model, channels, hops, &a);
    percepnet_block *b = memory_take(arena_start(sizeof *b) + a.used);
    if (b) {
        a = arena_behind(b, sizeof *b);
        block_init(b, model, channels, hops, &a);
    } else {
        error_say(error, "no memory for a block of %ld hops: give it fewer", (long)hops);
    }
    return b;
}

void percepnet_block_destroy(percepnet_block *b) { memory_give_back(b); }

int block_serves(const percepnet_block *b, const percepnet_stream *s) {
    return b->model == s->model && b->channels >= s->options.channels;
}

/* In place. */
static void enhance(percepnet_block *b, enhancer *e, float *x, int hops, int64_t stride) {
    network_state *state = &e->network;
    size_t size = (size_t)e->channels * BINS;
    for (int hop = 0; hop < hops; hop++) {
        enhancer_analyse(e, x + hop * HOP_SAMPLES, stride);
        enhancer_put_features(e, &b->work, hop);
        mix_spectra found = enhancer_spectra(e);
        memcpy(b->noisy + (size_t)hop * size, found.noisy, sizeof(complex32) * size);
        memcpy(b->comb + (size_t)hop * size, found.comb, sizeof(complex32) * size);
        memcpy(b->unturned + (size_t)hop * size, found.unturned, sizeof(complex32) * size);
    }
    network_run(&e->model->network, &b->work, &state, 1, hops);
    for (int hop = 0; hop < hops; hop++) {
        size_t at = (size_t)hop * size;
        mix_spectra spectra = {b->noisy + at, b->comb + at, b->unturned + at};
        enhancer_synthesise(e, &spectra, &b->work, hop, x + hop * HOP_SAMPLES, stride);
    }
}

static void run_hops(percepnet_block *b, percepnet_stream *s, int hops) {
    int64_t stride = (int64_t)b->hops * HOP_SAMPLES;
    for (int hop = 0; hop < hops; hop++) {
        stream_take_hop(s, b->samples + hop * HOP_SAMPLES, stride);
    }
    for (int i = 0; i < s->decisions; i++) {
        enhance(b, &s->enhancers[i], b->samples + i * s->decision_channels * stride, hops, stride);
    }
    for (int hop = 0; hop < hops; hop++) {
        stream_give_hop(s, b->samples + hop * HOP_SAMPLES, stride);
    }
}

void block_run(percepnet_block *b, percepnet_stream *s, int64_t hops) {
    if (s->options.residual) {
        return; /* what is left of an echo is decided hop by hop */
    }
    int worth = b->hops < HOPS_MIN ? b->hops : HOPS_MIN;
    while (hops >= worth && hops > 1) {
        /* all about equally long, so that none is left with the cost of a block and the gain of a hop, and of as many
           hops as a kernel takes at once */
        int64_t pieces = (hops + b->hops - 1) / b->hops, each = (hops + pieces - 1) / pieces;
        int64_t full = (each + KERNEL_VECTORS - 1) / KERNEL_VECTORS * KERNEL_VECTORS;
        int64_t most = hops < b->hops ? hops : b->hops;
        int now = (int)(full < most ? full : most);
        run_hops(b, s, now);
        hops -= now;
    }
}
