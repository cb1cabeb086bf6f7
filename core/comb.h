#ifndef COMB_H
#define COMB_H

#include "constants.h"

#define COMB_ALL_TAPS (2 * COMB_TAPS + 1)
#define COMB_CONTOUR_MAX (COMB_PAST_FRAMES + LOOKAHEAD_FRAMES_MAX)

/* The values between `count` samples: planes[phase - 1][i] is a quarter of a sample times `phase` after x[i].
   Reads 7 samples before x and 8 behind. */
void comb_upsample(const float *x, int count, float *const planes[COMB_PHASES - 1]);

/* Distances in samples of the taps from the centre of frame `now`, along the pitch contour of `count` frames. */
void comb_tap_delays(const double *periods, int count, int now, double delays[COMB_ALL_TAPS]);

/* The share of each tap: those that reach further than the future are left out, and the others take over. */
void comb_tap_weights(const double delays[COMB_ALL_TAPS], int future_samples, float weights[COMB_ALL_TAPS]);

/* Average a window with its neighbours some periods away. planes[0] are the samples, and the window begins at
   `start` in each plane. */
void comb_filter(const float *const planes[COMB_PHASES], int start, const double delays[COMB_ALL_TAPS],
                 const float weights[COMB_ALL_TAPS], float filtered[WINDOW_SAMPLES]);

#endif
