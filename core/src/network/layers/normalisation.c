/* y = (x - mean) / sqrt(variance + 1e-5) * weight + bias, over the channels of a frame */

#include <string.h>

#include "network/layers.h"

static int tensors(const layer_description *d, tensor_shape *shapes) {
    shapes[0] = (tensor_shape){"weight", 1, {d->units}, 0};
    shapes[1] = (tensor_shape){"bias", 1, {d->units}, 0};
    return 2;
}

static int units(const int *input_units, int count) {
    (void)count;
    return input_units[0];
}

static void init(layer *l, const layer_description *d, arena *a) {
    l->weight = ARENA_TAKE(a, float, d->units);
    l->bias = ARENA_TAKE(a, float, d->units);
    if (a->memory) {
        memcpy(l->weight, d->tensors[0].data, sizeof(float) * (size_t)d->units);
        memcpy(l->bias, d->tensors[1].data, sizeof(float) * (size_t)d->units);
    }
}

static void run(const layer *l, const layer_work *w) {
    for (int i = 0; i < w->streams * w->frames; i++) {
        size_t at = (size_t)i * (size_t)l->units;
        l->kernel->normalise(w->inputs[0] + at, l->weight, l->bias, l->units, w->output + at);
    }
}

const layer_kind LAYER_NORMALISATION = {
    .name = "normalisation",
    .inputs_min = 1,
    .inputs_max = 1,
    .tensors = tensors,
    .units = units,
    .init = init,
    .run = run,
};
