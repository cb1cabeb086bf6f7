#ifndef ECHO_FILTER_H
#define ECHO_FILTER_H

#include "signal/constants.h"
#include "signal/fft.h"

/* Of a range of bins in a path, whose blocks lie one after the other: bass has more of them than treble. ECHO_PATH numbers
   are all blocks of all ranges. */
typedef struct echo_range {
    int first, bins, blocks;
    int start; /* of its first block in a path */
} echo_range;

/* What all microphones have of a hop, and room to calculate in: on the stack, since it is needed only during a call. */
typedef struct echo_hop {
    complex32 work[WINDOW_SAMPLES];
    float frame[WINDOW_SAMPLES];
    float heard[HOP_SAMPLES], tried[HOP_SAMPLES]; /* the echo of foreground and background */
    float error[HOP_SAMPLES];
    float sum_re[BINS], sum_im[BINS];
    float power[BINS]; /* of the echo that was tried, and then of the background */
    complex32 spectrum[BINS];
    const real_fft *fft;                 /* of 960 samples */
    split far[ECHO_RANGES][ECHO_BLOCKS]; /* spectra of the far end, the newest first */
    double far_energy;                   /* of the samples that are new in the newest */
    int turn;                            /* block that is constrained in this hop, besides the largest one */
} echo_hop;

typedef struct echo_filter {
    split foreground, background; /* ECHO_PATH */
    float *variance;              /* ECHO_PATH */
    float *error_power;           /* 481 each, smoothed */
    float *mean_error, *mean_echo;
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

/* From the lowest on. */
echo_range echo_range_at(int i);

/* The range's bins of a spectrum become one block of a path, or of the far end; blocks that it does not have, nothing. */
void echo_spread(const complex32 *spectrum, int range, int block, const split *path);

/* Sum of squares of a hop. */
double echo_energy(const struct kernel *k, const float *x);

/* The far end will come so many blocks later: what is known of the path moves. */
void echo_filter_shift(echo_filter *f, int blocks);

/* The echo in the next hop of a microphone. */
void echo_filter_step(echo_filter *f, echo_hop *hop, const float *near, float *echo);

#endif
