/* What the network for bins is given: how the powers of a bin are to each other. The definition is bin_ratios.py. */

#ifndef BIN_RATIOS_H
#define BIN_RATIOS_H

#include "signal/constants.h"

/* Numbers that are worked out: a row for each ratio, with zeros beyond both ends. */
#define BIN_RATIOS_ROW (NOISE_SHAPE_BINS + 2)
#define BIN_RATIOS_ALL (BIN_RATIOS * BIN_RATIOS_ROW)

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

void bin_ratios_of(const bin_powers *of, float *ratios);

/* Where among them a feature of a bin is: its neighbour's below, its own, or its neighbour's above. */
int bin_ratio_at(int feature, int bin);

#endif
