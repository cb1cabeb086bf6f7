/* The network for bins of a stream: all of them go through it, some at a time, so that what it works out stays close. */

#ifndef BIN_NETWORK_H
#define BIN_NETWORK_H

#include "model.h"

typedef struct bin_network {
    const network *network;
    network_work work;
    network_state *states; /* of each bin */
    network_state **places;
    float *ratios; /* what it is given, as of bin_ratios.h */
    float *features;
} bin_network;

void bin_network_init(bin_network *b, const network *net, arena *a);
void bin_network_reset(bin_network *b);

/* By how much of itself the factor of each bin is to change, from b->ratios. */
void bin_network_run(bin_network *b, float *changes);

#endif
