/* A network: a table of layers, run one after the other. */

#ifndef NETWORK_H
#define NETWORK_H

#include "network/layers.h"

typedef struct network {
    int features, bands;
    int layer_count;
    layer *layers;
    int gains, strengths; /* of a network for bins, its only head */
    int speech;           /* FEATURES_LAYER for none */
    size_t state;         /* numbers that a stream remembers */
} network;

/* What the network remembers of a stream. */
typedef struct network_state {
    float *values;
} network_state;

/* What a network says. What belongs to frame t of stream s is in place s * frames + t of each array. */
typedef struct network_heads {
    const float *gains; /* streams * frames * bands each, 0 to 1 */
    const float *strengths;
    const float *speech; /* streams * frames; NULL if the network does not say */
} network_heads;

/* Room for what the network works out at once: of some frames of one stream, or of one frame of some streams, in places as
   those of network_heads. */
typedef struct network_work {
    int streams, frames; /* at most */
    network_heads heads; /* the output */
    float **outputs;     /* of each layer */
    float **states;      /* of each stream, of the layer that runs */
    float *scratch;
    const float **rows;
    int8_t *rounded;
} network_work;

/* The layers behind FEATURES_LAYER; or those behind BINS_LAYER, for a bin_network. */
void network_init(network *net, const model_description *description, int source, const kernel *k, arena *a);
void network_state_init(network_state *s, const network *net, arena *a);
void network_reset(network_state *s, const network *net);

void network_work_init(network_work *w, const network *net, int streams, int frames, arena *a);

/* The next `frames` frames of each stream, of which either is one: features, streams * frames * net->features, in, and
   w->heads out. The same to the bit as frame by frame and stream by stream. Weights are read once, but
   recurrent ones once a frame. */
void network_run(const network *net, network_work *w, const float *features, network_state *const *states, int streams,
                 int frames);

#endif
