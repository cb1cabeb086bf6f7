#ifndef ECHO_FILTER_H
#define ECHO_FILTER_H

#include "signal/constants.h"
#include "signal/fft.h"

#define ECHO_PATH (ECHO_BLOCKS * BINS) /* numbers of a filter: block after block */

/* What all microphones have of a hop, and room to calculate in. */
typedef struct echo_hop {
    const real_fft *fft;    /* of 960 samples */
    split far[ECHO_BLOCKS]; /* spectra of the far end, the newest first */
    double far_energy;      /* of the samples that are new in the newest */
    int turn;               /* block that is constrained in this hop, besides the largest one */
    complex32 *spectrum;    /* 481 */
    complex32 *work;        /* 960 */
    float *frame;           /* 960 */
    split sum;              /* 481 */
    float *echo_power;      /* 481 */
    float *heard, *tried;   /* 480 each: the echo of foreground and background */
    float *error;           /* 480 */
} echo_hop;

typedef struct echo_filter {
    split foreground, background; /* ECHO_PATH */
    float *variance;              /* ECHO_PATH */
    float *error_power;           /* 481 each, smoothed */
    float *mean_error, *mean_echo;
    float *power; /* of the background in each bin */
    double shared, own;
    double near_sum, far_sum;
    double fast[3], slow[3]; /* energies of the errors of foreground and background and of the microphone */
    double gain;             /* power of the path that it began with */
    double loudest;          /* energy of a hop of the far end so far */
    int hops;                /* with a far end, until ECHO_STARTING_HOPS */
    int has_found;           /* whether the background has been much better than nothing */
    float wet;               /* whether the echo is taken away */
} echo_filter;

void echo_filter_init(echo_filter *f, arena *a);
void echo_filter_reset(echo_filter *f);

/* The far end will come so many blocks later: what is known of the path moves. */
void echo_filter_shift(echo_filter *f, int blocks);

/* The echo in the next hop of a microphone. */
void echo_filter_step(echo_filter *f, echo_hop *hop, const float *near, float *echo);

#endif
