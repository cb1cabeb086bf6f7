/* The network for bins of a stream. All bins go through it, KERNEL_BINS side by side, so that each weight that is read
   serves as many, and what is worked out stays close. */

#ifndef BIN_NETWORK_H
#define BIN_NETWORK_H

#include "network/network.h"

typedef struct bin_network {
    const network *network;
    float *ratios; /* what it is given, as of bin_ratios.h */
    float *states; /* of each layer for some bins, then for the next ones */
    float *scratch;
    float **outputs;        /* of each layer */
    const float ***rows;    /* where those of its units are */
    const float **features; /* the same of what it is given */
} bin_network;

void bin_network_init(bin_network *b, const network *net, arena *a);
void bin_network_reset(bin_network *b);

/* By how much of itself the factor of each bin is to change, from b->ratios. */
void bin_network_run(bin_network *b, float *changes);

#endif
