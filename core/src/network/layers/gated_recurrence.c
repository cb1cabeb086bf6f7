/* h <- (1 - z) h + z n, z and n of the layer's input alone; the rows of the matrix are update and new gates. */

#include <string.h>

#include "network/layers.h"

static int tensors(const layer_description *d, tensor_shape *shapes) {
    shapes[0] = (tensor_shape){"weight", 2, {2 * d->units, d->input_units}, 1};
    shapes[1] = (tensor_shape){"bias", 1, {2 * d->units}, 0};
    return 2;
}

static void init(layer *l, const layer_description *d, arena *a) {
    matrix m = {&d->tensors[0], &d->tensors[1], 2 * d->units, d->input_units, 1};
    matvec_init(&l->matrices[0], &m, l->kernel, a);
}

static size_t state(const layer *l) { return (size_t)l->units; }

static size_t scratch(const layer *l, int streams, int frames) {
    return 2 * (size_t)l->units * (size_t)(streams * frames);
}

static void run(const layer *l, const layer_work *w) {
    int all = w->streams * w->frames;
    size_t size = (size_t)l->units;
    layer_take_rows(w, w->inputs[0], all, l->input_units[0]);
    matvec_apply(&l->matrices[0], w->rows, all, w->scratch, 2 * l->units, 1, w->rounded);
    for (int stream = 0; stream < w->streams; stream++) {
        const float *before = w->states[stream];
        for (int t = 0; t < w->frames; t++) {
            size_t at = (size_t)(stream * w->frames + t);
            l->kernel->recurrence(w->scratch + at * 2 * size, before, l->units, w->output + at * size);
            before = w->output + at * size;
        }
        memcpy(w->states[stream], before, sizeof(float) * size);
    }
}

static void run_bins(const layer *l, const bin_work *w) {
    int count = l->units * KERNEL_BINS;
    matvec_apply_to_bins(&l->matrices[0], w->inputs[0], w->scratch);
    l->kernel->recurrence(w->scratch, w->state, count, w->output);
    memcpy(w->state, w->output, sizeof(float) * (size_t)count);
}

const layer_kind LAYER_GATED_RECURRENCE = {
    .name = "gated_recurrence",
    .has_units = 1,
    .has_precision = 1,
    .inputs_min = 1,
    .inputs_max = 1,
    .tensors = tensors,
    .init = init,
    .state = state,
    .scratch = scratch,
    .run = run,
    .run_bins = run_bins,
};
