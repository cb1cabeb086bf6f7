/* y = f(W x + b) */

#include "network/layers.h"

static int tensors(const layer_description *d, tensor_shape *shapes) {
    shapes[0] = (tensor_shape){"weight", 2, {d->units, d->input_units}, 1};
    shapes[1] = (tensor_shape){"bias", 1, {d->units}, 0};
    return 2;
}

static void init(layer *l, const layer_description *d, arena *a) {
    matrix m = {&d->tensors[0], &d->tensors[1], d->units, d->input_units, 1};
    matvec_init(&l->matrices[0], &m, l->kernel, a);
}

static void run(const layer *l, const layer_work *w) {
    int all = w->streams * w->frames;
    layer_take_rows(w, w->inputs[0], all, l->input_units[0]);
    matvec_apply(&l->matrices[0], w->rows, all, w->output, l->units, 1, w->rounded);
    layer_activate(l, w->output, all * l->units);
}

static void run_bins(const layer *l, const bin_work *w) {
    matvec_apply_to_bins(&l->matrices[0], w->inputs[0], w->output);
    layer_activate(l, w->output, l->units * KERNEL_BINS);
}

const layer_kind LAYER_DENSE = {
    .name = "dense",
    .has_units = 1,
    .has_activation = 1,
    .has_precision = 1,
    .inputs_min = 1,
    .inputs_max = 1,
    .tensors = tensors,
    .init = init,
    .run = run,
    .run_bins = run_bins,
};
