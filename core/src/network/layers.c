#include "network/layers.h"

#include <string.h>

extern const layer_kind LAYER_DENSE, LAYER_CONVOLUTION, LAYER_GRU, LAYER_GATED_RECURRENCE, LAYER_NORMALISATION,
    LAYER_SUM, LAYER_CONCATENATION;

static const layer_kind *const KINDS[] = {
    &LAYER_DENSE,         &LAYER_CONVOLUTION, &LAYER_GRU,           &LAYER_GATED_RECURRENCE,
    &LAYER_NORMALISATION, &LAYER_SUM,         &LAYER_CONCATENATION,
};

const layer_kind *layer_kind_at(int index) {
    return index >= 0 && index < (int)(sizeof KINDS / sizeof KINDS[0]) ? KINDS[index] : NULL;
}

const layer_kind *layer_kind_of(const char *name) {
    for (int index = 0;; index++) {
        const layer_kind *kind = layer_kind_at(index);
        if (!kind || !strcmp(kind->name, name)) {
            return kind;
        }
    }
}

int layer_bin_rows(int units) { return (units + 3) / 4 * 4; }

void layer_take_rows(const layer_work *w, const float *x, int count, int stride) {
    for (int i = 0; i < count; i++) {
        w->rows[i] = x + (size_t)i * (size_t)stride;
    }
}

void layer_activate(const layer *l, float *y, int count) {
    switch (l->activation) {
    case ACTIVATION_TANH: l->kernel->tanh(y, count); break;
    case ACTIVATION_SIGMOID: l->kernel->sigmoid(y, count); break;
    case ACTIVATION_RELU:
        for (int i = 0; i < count; i++) {
            y[i] = y[i] > 0.0f ? y[i] : 0.0f;
        }
        break;
    case ACTIVATION_LINEAR: break;
    }
}
