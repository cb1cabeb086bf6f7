#ifndef NETWORK_H
#define NETWORK_H

#include "network/matvec.h"

typedef struct network {
    int features, bands;
    int dense, conv1, conv2, gru, strength_gru; /* units */
    matvec layers[PERCEPNET_LAYERS];
} network;

enum network_gru { GRU1, GRU2, GRU3, GAIN_GRU, STRENGTH_GRU, NETWORK_GRUS };

/* What the network remembers of a stream. */
typedef struct network_state {
    float *conv1_past; /* 4 * dense, oldest first */
    float *conv2_past; /* 2 * conv1 */
    float *grus[NETWORK_GRUS];
} network_state;

/* Room for what the network works out at once: of some frames of one stream, or of one frame of some streams. What
   belongs to frame t of stream s is in place s * frames + t of each array. */
typedef struct network_work {
    int streams, frames; /* at most */
    float *features;     /* streams * frames * features: the input */
    float *gains;        /* streams * frames * bands, 0 to 1: the output */
    float *strengths;
    float *conv1_input; /* streams * (4 + frames) * dense */
    float *conv2_input; /* streams * (2 + frames) * conv1 */
    float *skips;       /* the input of the gains: conv2, gru1, gru2, gru3, gain_gru */
    float *strength_input; /* gru3, conv2 */
    float *strength_gru;
    float *from_input; /* the two halves of a GRU's sums, the second of one frame */
    float *from_state;
    const float **inputs;
    int8_t *rounded;
} network_work;

/* 0 if a layer does not fit to its neighbours. */
int network_fits(const percepnet_description *description);

void network_init(network *net, const percepnet_description *description, const kernel *k, arena *a);
void network_state_init(network_state *s, const network *net, arena *a);
void network_reset(network_state *s, const network *net);

void network_work_init(network_work *w, const network *net, int streams, int frames, arena *a);

/* The next `frames` frames of each stream, of which either is one: w->features in, w->gains and w->strengths out. The
   same to the bit as frame by frame and stream by stream. Weights are read once, but recurrent ones once a frame. */
void network_run(const network *net, network_work *w, network_state *const *states, int streams, int frames);

#endif
