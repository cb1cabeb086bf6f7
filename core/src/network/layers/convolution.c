/* y_t = f(b + sum over taps k of W_k x_(t - (taps - 1 - k) dilation)); depthwise, each unit sees only its own input. */

#include <string.h>

#include "network/layers.h"

static int tensors(const layer_description *d, tensor_shape *shapes) {
    shapes[0] = (tensor_shape){"weight", 3, {d->units, d->depthwise ? 1 : d->input_units, d->taps}, !d->depthwise};
    shapes[1] = (tensor_shape){"bias", 1, {d->units}, 0};
    return 2;
}

static void init(layer *l, const layer_description *d, arena *a) {
    if (!d->depthwise) {
        matrix m = {&d->tensors[0], &d->tensors[1], d->units, d->input_units, d->taps};
        matvec_init(&l->matrices[0], &m, l->kernel, a);
        return;
    }
    l->weight = ARENA_TAKE(a, float, d->taps * d->units); /* tap by tap */
    l->bias = ARENA_TAKE(a, float, d->units);
    if (a->memory) {
        memcpy(l->bias, d->tensors[1].data, sizeof(float) * (size_t)d->units);
        for (int unit = 0; unit < d->units; unit++) {
            for (int tap = 0; tap < d->taps; tap++) {
                l->weight[tap * d->units + unit] = tensor_float(&d->tensors[0], (size_t)(unit * d->taps + tap));
            }
        }
    }
}

/* Frames before the newest that are seen. */
static int past_of(const layer *l) { return (l->taps - 1) * l->dilation; }

static size_t state(const layer *l) { return (size_t)past_of(l) * (size_t)l->input_units[0]; }

/* Whether the frames that are seen lie together in a strip. */
static int is_together(const layer *l) { return l->dilation == 1 || l->taps == 1 || l->depthwise; }

static size_t strips(const layer *l, int streams, int frames) {
    return (size_t)streams * (size_t)(past_of(l) + frames) * (size_t)l->input_units[0];
}

static size_t scratch(const layer *l, int streams, int frames) {
    size_t gathered = is_together(l) ? 0 : (size_t)(streams * frames * l->taps) * (size_t)l->input_units[0];
    return strips(l, streams, frames) + gathered;
}

/* The strip of each stream: its frames before the newest, and these. */
static void fill_strips(const layer *l, const layer_work *w) {
    size_t units = (size_t)l->input_units[0], past = state(l), fresh = (size_t)w->frames * units;
    for (int stream = 0; stream < w->streams; stream++) {
        float *strip = w->scratch + (size_t)stream * (past + fresh);
        memcpy(strip, w->states[stream], sizeof(float) * past);
        memcpy(strip + past, w->inputs[0] + (size_t)stream * fresh, sizeof(float) * fresh);
        memcpy(w->states[stream], strip + fresh, sizeof(float) * past);
    }
}

static void depthwise(const layer *l, const float *oldest, float *y) {
    int units = l->units;
    memcpy(y, l->bias, sizeof(float) * (size_t)units);
    for (int tap = 0; tap < l->taps; tap++) {
        const float *x = oldest + (size_t)(tap * l->dilation) * (size_t)units, *weight = l->weight + tap * units;
        for (int unit = 0; unit < units; unit++) {
            y[unit] += weight[unit] * x[unit];
        }
    }
}

static const float *gather(const layer *l, const float *oldest, float *row) {
    size_t units = (size_t)l->input_units[0];
    for (int tap = 0; tap < l->taps; tap++) {
        memcpy(row + (size_t)tap * units, oldest + (size_t)(tap * l->dilation) * units, sizeof(float) * units);
    }
    return row;
}

static void run(const layer *l, const layer_work *w) {
    size_t units = (size_t)l->input_units[0], strip = state(l) + (size_t)w->frames * units;
    float *rows = w->scratch + strips(l, w->streams, w->frames);
    fill_strips(l, w);
    for (int i = 0; i < w->streams * w->frames; i++) {
        const float *oldest = w->scratch + (size_t)(i / w->frames) * strip + (size_t)(i % w->frames) * units;
        if (l->depthwise) {
            depthwise(l, oldest, w->output + (size_t)i * (size_t)l->units);
        } else {
            w->rows[i] = is_together(l) ? oldest : gather(l, oldest, rows + (size_t)(i * l->taps) * units);
        }
    }
    if (!l->depthwise) {
        matvec_apply(&l->matrices[0], w->rows, w->streams * w->frames, w->output, l->units, 1, w->rounded);
    }
    layer_activate(l, w->output, w->streams * w->frames * l->units);
}

const layer_kind LAYER_CONVOLUTION = {
    .name = "convolution",
    .has_units = 1,
    .has_activation = 1,
    .has_taps = 1,
    .has_precision = 1,
    .inputs_min = 1,
    .inputs_max = 1,
    .tensors = tensors,
    .init = init,
    .state = state,
    .scratch = scratch,
    .run = run,
};
