#include "network/bin_network.h"

#include <string.h>

#include "signal/bin_ratios.h"

_Static_assert(NOISE_SHAPE_BINS % KERNEL_BINS == 0, "all bins are some times as many as go side by side");

/* The units of layers lie in their outputs, but for those that only point at others. */
static void place(bin_network *b, int number, const layer *l, arena *a) {
    float *output = ARENA_TAKE(a, float, layer_bin_rows(l->units) * KERNEL_BINS);
    const float **rows = ARENA_TAKE(a, const float *, l->units);
    if (a->memory) {
        b->outputs[number] = output;
        b->rows[number] = rows;
        for (int i = 0; i < l->units; i++) {
            rows[i] = output + i * KERNEL_BINS;
        }
    }
}

void bin_network_init(bin_network *b, const network *net, arena *a) {
    size_t scratch = 0;
    b->network = net;
    b->ratios = ARENA_TAKE(a, float, BIN_RATIOS_ALL);
    b->states = ARENA_TAKE(a, float, net->state * NOISE_SHAPE_BINS);
    b->outputs = ARENA_TAKE(a, float *, net->layer_count);
    b->rows = ARENA_TAKE(a, const float **, net->layer_count);
    b->features = ARENA_TAKE(a, const float *, BIN_FEATURES);
    for (int i = 0; i < net->layer_count; i++) {
        const layer *l = &net->layers[i];
        size_t own = l->kind->scratch ? l->kind->scratch(l, 1, 1) : 0;
        scratch = own > scratch ? own : scratch;
        place(b, i, l, a);
    }
    b->scratch = ARENA_TAKE(a, float, layer_bin_rows((int)scratch) * KERNEL_BINS);
}

void bin_network_reset(bin_network *b) { memset(b->states, 0, sizeof(float) * b->network->state * NOISE_SHAPE_BINS); }

static void run_layer(bin_network *b, int number, float *states) {
    const layer *l = &b->network->layers[number];
    bin_work work = {.rows = b->rows[number],
                     .output = b->outputs[number],
                     .state = states + l->state * KERNEL_BINS,
                     .scratch = b->scratch};
    for (int input = 0; input < l->input_count; input++) {
        work.inputs[input] = l->inputs[input] == FEATURES_LAYER ? b->features : b->rows[l->inputs[input]];
    }
    l->kind->run_bins(l, &work);
}

void bin_network_run(bin_network *b, float *changes) {
    for (int first = 0; first < NOISE_SHAPE_BINS; first += KERNEL_BINS) {
        for (int i = 0; i < BIN_FEATURES; i++) {
            b->features[i] = b->ratios + bin_ratio_at(i, first);
        }
        for (int i = 0; i < b->network->layer_count; i++) {
            run_layer(b, i, b->states + b->network->state * (size_t)first);
        }
        memcpy(changes + first, b->rows[b->network->gains][0], sizeof(float) * KERNEL_BINS);
    }
}
