/* y = the sum of all inputs: what makes the layers before it residual */

#include <string.h>

#include "network/layers.h"

static int units(const int *input_units, int count) {
    for (int i = 1; i < count; i++) {
        if (input_units[i] != input_units[0]) {
            return 0;
        }
    }
    return input_units[0];
}

static void run(const layer *l, const layer_work *w) {
    int count = w->streams * w->frames * l->units;
    memcpy(w->output, w->inputs[0], sizeof(float) * (size_t)count);
    for (int input = 1; input < l->input_count; input++) {
        l->kernel->add_scaled(w->inputs[input], 1.0f, count, w->output);
    }
}

const layer_kind LAYER_SUM = {
    .name = "sum",
    .inputs_min = 2,
    .inputs_max = LAYER_INPUTS_MAX,
    .units = units,
    .run = run,
};
