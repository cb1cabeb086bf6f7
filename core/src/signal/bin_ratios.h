/* What the network for bins is given: how the powers of a bin are to each other. The definition is bin_ratios.py. */

#ifndef BIN_RATIOS_H
#define BIN_RATIOS_H

#include "signal/constants.h"

/* Numbers that are worked out: those of each bin, and beyond both ends zeros. */
#define BIN_RATIOS_ALL ((NOISE_SHAPE_BINS + 2) * BIN_RATIOS)

/* What is known of the bins of a frame when it is decided, NOISE_SHAPE_BINS numbers each. */
typedef struct bin_powers {
    const float *now, *before, *after, *ahead; /* over neighbouring bins: of the frame, and of those around it */
    const float *unsmoothed;                   /* of the frame, in the bin alone */
    const float *combed;
    const float *heard, *noise;               /* over frames */
    const float *around, *heard_around;       /* mean over the bands around the bin, of the frame and over frames */
    const float *noise_around;                /* relative to what is heard */
    const float *gains, *strengths, *factors; /* not powers: what is decided */
} bin_powers;

/* The BIN_FEATURES numbers of bin k begin at ratios + k * BIN_RATIOS. */
void bin_ratios_of(const bin_powers *of, float *ratios);

#endif
