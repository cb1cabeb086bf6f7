/* h <- (1 - z) n + z h, n = tanh(W x + b + r (U h + c)); the rows of the matrices are reset, update and new gates. What
   has a memory keeps 1 - 1 / memory of h in each frame. */

#include <string.h>

#include "network/layers.h"

static int tensors(const layer_description *d, tensor_shape *shapes) {
    shapes[0] = (tensor_shape){"weight_ih", 2, {3 * d->units, d->input_units}, 1};
    shapes[1] = (tensor_shape){"weight_hh", 2, {3 * d->units, d->units}, 1};
    shapes[2] = (tensor_shape){"bias_ih", 1, {3 * d->units}, 0};
    shapes[3] = (tensor_shape){"bias_hh", 1, {3 * d->units}, 0};
    return 4;
}

static void init(layer *l, const layer_description *d, arena *a) {
    matrix of_input = {&d->tensors[0], &d->tensors[2], 3 * d->units, d->input_units, 1};
    matrix of_state = {&d->tensors[1], &d->tensors[3], 3 * d->units, d->units, 1};
    matvec_init(&l->matrices[0], &of_input, l->kernel, a);
    matvec_init(&l->matrices[1], &of_state, l->kernel, a);
}

static size_t state(const layer *l) { return (size_t)l->units; }

static size_t scratch(const layer *l, int streams, int frames) {
    return 3 * (size_t)l->units * (size_t)(streams * frames + streams);
}

static void forget(float *state, int units, float kept) {
    if (kept == 1.0f) {
        return;
    }
    for (int i = 0; i < units; i++) {
        state[i] *= kept;
    }
}

/* All frames through the input's matrix, then step by step. */
static void run(const layer *l, const layer_work *w) {
    int all = w->streams * w->frames, units = l->units;
    size_t size = (size_t)units, gates = 3 * size;
    float *from_input = w->scratch, *from_state = w->scratch + gates * (size_t)all;
    layer_take_rows(w, w->inputs[0], all, l->input_units[0]);
    matvec_apply(&l->matrices[0], w->rows, all, from_input, 3 * units, 1, w->rounded);
    for (int t = 0; t < w->frames; t++) {
        for (int stream = 0; stream < w->streams; stream++) {
            size_t at = (size_t)(stream * w->frames + t);
            w->rows[stream] = t == 0 ? w->states[stream] : w->output + (at - 1) * size;
        }
        matvec_apply(&l->matrices[1], w->rows, w->streams, from_state, 3 * units, t == 0, w->rounded);
        for (int stream = 0; stream < w->streams; stream++) {
            size_t at = (size_t)(stream * w->frames + t);
            l->kernel->gates(from_input + at * gates, from_state + (size_t)stream * gates, w->rows[stream], units,
                             w->output + at * size);
            forget(w->output + at * size, units, l->kept);
        }
    }
    for (int stream = 0; stream < w->streams; stream++) {
        size_t last = (size_t)(stream * w->frames + w->frames - 1);
        memcpy(w->states[stream], w->output + last * size, sizeof(float) * size);
    }
}

const layer_kind LAYER_GRU = {
    .name = "gru",
    .has_units = 1,
    .has_precision = 1,
    .has_memory = 1,
    .inputs_min = 1,
    .inputs_max = 1,
    .tensors = tensors,
    .init = init,
    .state = state,
    .scratch = scratch,
    .run = run,
};
