#ifndef NETWORK_H
#define NETWORK_H

#include "matvec.h"

typedef struct network {
    int features, bands;
    int dense, conv1, conv2, gru, strength_gru; /* units */
    matvec layers[PERCEPNET_LAYERS];
} network;

/* What the network remembers between frames, and room for what it works out. */
typedef struct network_state {
    float *conv1_input; /* 5 * dense, oldest first */
    float *conv2_input; /* 3 * conv1 */
    float *skips;       /* the input of the gains: conv2, gru1, gru2, gru3, gain_gru */
    float *strength_gru;
    float *strength_input; /* gru3, conv2 */
    float *from_input;     /* the two halves of a GRU's sums */
    float *from_state;
    float *gains;
    float *strengths;
} network_state;

/* 0 if a layer does not fit to its neighbours. */
int network_fits(const percepnet_description *description);

void network_init(network *net, const percepnet_description *description, const kernel *k, arena *a);
void network_state_init(network_state *s, const network *net, arena *a);
void network_reset(network_state *s, const network *net);

/* One frame: features in; s->gains and s->strengths out, 0 to 1. */
void network_step(const network *net, network_state *s, const float *features);

#endif
