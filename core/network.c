/* The network, one frame at a time: features in, band gains and comb filter strengths out.

   features -> dense -> conv1 -> conv2 -> gru1 -> gru2 -> gru3 -> gain_gru -> gains
                                  |        |       |      |         |           ^
                                  +--------+-------+------+---------+--- skips -+
                                  +--- and gru3 -> strength_gru -> strengths */

#include "network.h"

#include <stddef.h>
#include <string.h>

#include "activation.h"
#include "constants.h"

static int in_range(int units) { return units >= 1 && units <= UNITS_MAX; }

static int is_affine(const percepnet_affine *layer, int rows, int columns) {
    int has_weights = layer->integers ? layer->scale != NULL : layer->weight != NULL;
    return has_weights && layer->bias && layer->rows == rows && layer->columns == columns;
}

static int is_gru(const percepnet_affine *layer, int inputs, int units) {
    return is_affine(layer, 3 * units, inputs) && is_affine(layer + 1, 3 * units, units);
}

int network_fits(const percepnet_description *d) {
    const percepnet_affine *layer = d->layers;
    int features = 2 * d->bands + 2;
    int dense = layer[PERCEPNET_DENSE].rows;
    int conv1 = layer[PERCEPNET_CONV1].rows;
    int conv2 = layer[PERCEPNET_CONV2].rows;
    int gru = layer[PERCEPNET_GRU1_STATE].columns;
    int strength_gru = layer[PERCEPNET_STRENGTH_GRU_STATE].columns;
    if (!in_range(dense) || !in_range(conv1) || !in_range(conv2) || !in_range(gru) || !in_range(strength_gru)) {
        return 0;
    }
    return is_affine(&layer[PERCEPNET_DENSE], dense, features) &&
           is_affine(&layer[PERCEPNET_CONV1], conv1, CONV1_TAPS * dense) &&
           is_affine(&layer[PERCEPNET_CONV2], conv2, CONV2_TAPS * conv1) &&
           is_gru(&layer[PERCEPNET_GRU1_INPUT], conv2, gru) && is_gru(&layer[PERCEPNET_GRU2_INPUT], gru, gru) &&
           is_gru(&layer[PERCEPNET_GRU3_INPUT], gru, gru) && is_gru(&layer[PERCEPNET_GAIN_GRU_INPUT], gru, gru) &&
           is_gru(&layer[PERCEPNET_STRENGTH_GRU_INPUT], gru + conv2, strength_gru) &&
           is_affine(&layer[PERCEPNET_GAIN], d->bands, conv2 + 4 * gru) &&
           is_affine(&layer[PERCEPNET_STRENGTH], d->bands, strength_gru);
}

void network_init(network *net, const percepnet_description *d, const kernel *k, arena *a) {
    net->bands = d->bands;
    net->features = 2 * d->bands + 2;
    net->dense = d->layers[PERCEPNET_DENSE].rows;
    net->conv1 = d->layers[PERCEPNET_CONV1].rows;
    net->conv2 = d->layers[PERCEPNET_CONV2].rows;
    net->gru = d->layers[PERCEPNET_GRU1_STATE].columns;
    net->strength_gru = d->layers[PERCEPNET_STRENGTH_GRU_STATE].columns;
    for (int layer = 0; layer < PERCEPNET_LAYERS; layer++) {
        matvec_init(&net->layers[layer], &d->layers[layer], k, a);
    }
}

/* A layer writes whole blocks: what is written to needs room for a little more than its rows. */
static int with_room(int count) { return count + MATVEC_ROWS; }

static int skips(const network *net) { return net->conv2 + 4 * net->gru; }

void network_state_init(network_state *s, const network *net, arena *a) {
    int widest = net->gru > net->strength_gru ? net->gru : net->strength_gru;
    s->conv1_input = ARENA_TAKE(a, float, with_room(CONV1_TAPS * net->dense));
    s->conv2_input = ARENA_TAKE(a, float, with_room(CONV2_TAPS * net->conv1));
    s->skips = ARENA_TAKE(a, float, skips(net));
    s->strength_gru = ARENA_TAKE(a, float, net->strength_gru);
    s->strength_input = ARENA_TAKE(a, float, net->gru + net->conv2);
    s->from_input = ARENA_TAKE(a, float, with_room(3 * widest > net->conv2 ? 3 * widest : net->conv2));
    s->from_state = ARENA_TAKE(a, float, with_room(3 * widest));
    s->gains = ARENA_TAKE(a, float, with_room(net->bands));
    s->strengths = ARENA_TAKE(a, float, with_room(net->bands));
}

static void clear(float *x, int count) { memset(x, 0, sizeof(float) * (size_t)count); }

void network_reset(network_state *s, const network *net) {
    clear(s->conv1_input, CONV1_TAPS * net->dense);
    clear(s->conv2_input, CONV2_TAPS * net->conv1);
    clear(s->skips, skips(net));
    clear(s->strength_gru, net->strength_gru);
    clear(s->gains, net->bands);
    clear(s->strengths, net->bands);
}

/* Make room for the newest frame at the end of a convolution's input. */
static float *next_frame(float *frames, int taps, int size) {
    memmove(frames, frames + size, sizeof(float) * (size_t)((taps - 1) * size));
    return frames + (taps - 1) * size;
}

static void dense_tanh(const matvec *layer, const float *x, float *y) {
    matvec_apply(layer, x, y);
    activation_tanh(y, layer->rows);
}

/* h <- (1 - z) n + z h, n = tanh(W x + b + r (U h + c)); r reset, z update, n new. */
static void gru(const matvec *layer, network_state *s, const float *x, float *state, int units) {
    float *gates = s->from_input, *new = gates + 2 * units;
    const float *from_state = s->from_state;
    matvec_apply(&layer[0], x, s->from_input);
    matvec_apply(&layer[1], state, s->from_state);
    for (int i = 0; i < 2 * units; i++) {
        gates[i] += from_state[i];
    }
    activation_sigmoid(gates, 2 * units);
    for (int i = 0; i < units; i++) {
        new[i] += gates[i] * from_state[2 * units + i];
    }
    activation_tanh(new, units);
    for (int i = 0; i < units; i++) {
        float update = gates[units + i];
        state[i] = (1.0f - update) * new[i] + update * state[i];
    }
}

void network_step(const network *net, network_state *s, const float *features) {
    const matvec *layers = net->layers;
    float *conv2 = s->skips, *gru1 = conv2 + net->conv2, *gru2 = gru1 + net->gru, *gru3 = gru2 + net->gru;
    float *gain_gru = gru3 + net->gru;
    float *conv1_newest = next_frame(s->conv1_input, CONV1_TAPS, net->dense);
    float *conv2_newest = next_frame(s->conv2_input, CONV2_TAPS, net->conv1);
    dense_tanh(&layers[PERCEPNET_DENSE], features, conv1_newest);
    dense_tanh(&layers[PERCEPNET_CONV1], s->conv1_input, conv2_newest);
    dense_tanh(&layers[PERCEPNET_CONV2], s->conv2_input, s->from_input);
    memcpy(conv2, s->from_input, sizeof(float) * (size_t)net->conv2);
    gru(&layers[PERCEPNET_GRU1_INPUT], s, conv2, gru1, net->gru);
    gru(&layers[PERCEPNET_GRU2_INPUT], s, gru1, gru2, net->gru);
    gru(&layers[PERCEPNET_GRU3_INPUT], s, gru2, gru3, net->gru);
    gru(&layers[PERCEPNET_GAIN_GRU_INPUT], s, gru3, gain_gru, net->gru);
    memcpy(s->strength_input, gru3, sizeof(float) * (size_t)net->gru);
    memcpy(s->strength_input + net->gru, conv2, sizeof(float) * (size_t)net->conv2);
    gru(&layers[PERCEPNET_STRENGTH_GRU_INPUT], s, s->strength_input, s->strength_gru, net->strength_gru);
    matvec_apply(&layers[PERCEPNET_GAIN], s->skips, s->gains);
    activation_sigmoid(s->gains, net->bands);
    matvec_apply(&layers[PERCEPNET_STRENGTH], s->strength_gru, s->strengths);
    activation_sigmoid(s->strengths, net->bands);
}
