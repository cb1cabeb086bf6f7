/* y = all inputs, one behind the other */

#include <string.h>

#include "network/layers.h"

static int units(const int *input_units, int count) {
    int all = 0;
    for (int i = 0; i < count; i++) {
        all += input_units[i];
    }
    return all;
}

static void run(const layer *l, const layer_work *w) {
    float *to = w->output;
    for (int i = 0; i < w->streams * w->frames; i++) {
        for (int input = 0; input < l->input_count; input++) {
            size_t size = (size_t)l->input_units[input];
            memcpy(to, w->inputs[input] + (size_t)i * size, sizeof(float) * size);
            to += size;
        }
    }
}

static void run_bins(const layer *l, const bin_work *w) {
    const float **to = w->rows;
    for (int input = 0; input < l->input_count; input++) {
        for (int i = 0; i < l->input_units[input]; i++) {
            *to++ = w->inputs[input][i];
        }
    }
}

const layer_kind LAYER_CONCATENATION = {
    .name = "concatenation",
    .inputs_min = 2,
    .inputs_max = LAYER_INPUTS_MAX,
    .units = units,
    .run = run,
    .run_bins = run_bins,
};
