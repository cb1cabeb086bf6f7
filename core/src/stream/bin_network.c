#include "stream/bin_network.h"

#include <string.h>

#include "signal/bin_ratios.h"

#define AT_ONCE 32 /* bins: more would leave the nearest cache */

void bin_network_init(bin_network *b, const network *net, arena *a) {
    b->network = net;
    network_work_init(&b->work, net, AT_ONCE, 1, a);
    b->ratios = ARENA_TAKE(a, float, BIN_RATIOS_ALL);
    b->features = ARENA_TAKE(a, float, AT_ONCE * BIN_FEATURES);
    b->states = ARENA_TAKE(a, network_state, NOISE_SHAPE_BINS);
    b->places = ARENA_TAKE(a, network_state *, NOISE_SHAPE_BINS);
    for (int k = 0; k < NOISE_SHAPE_BINS; k++) {
        network_state state;
        network_state_init(&state, net, a);
        if (a->memory) {
            b->states[k] = state;
            b->places[k] = &b->states[k];
        }
    }
}

void bin_network_reset(bin_network *b) {
    for (int k = 0; k < NOISE_SHAPE_BINS; k++) {
        network_reset(&b->states[k], b->network);
    }
}

void bin_network_run(bin_network *b, float *changes) {
    for (int first = 0; first < NOISE_SHAPE_BINS; first += AT_ONCE) {
        for (int k = 0; k < AT_ONCE; k++) {
            const float *own = b->ratios + (first + k) * BIN_RATIOS;
            memcpy(b->features + k * BIN_FEATURES, own, sizeof(float) * BIN_FEATURES);
        }
        network_run(b->network, &b->work, b->features, b->places + first, AT_ONCE, 1);
        memcpy(changes + first, b->work.gains, sizeof(float) * AT_ONCE);
    }
}
