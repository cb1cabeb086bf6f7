#ifndef COMB_H
#define COMB_H

#include "signal/constants.h"

struct kernel;

#define COMB_ALL_TAPS (2 * COMB_TAPS + 1)
#define COMB_CONTOUR_MAX (COMB_PAST_FRAMES + LOOKAHEAD_FRAMES_MAX)

/* Distances in samples of the taps from the centre of frame `now`, along the pitch contour of `count` frames. */
void comb_tap_delays(const double *periods, int count, int now, double delays[COMB_ALL_TAPS]);

/* The share of each tap: those that reach further than the future are left out, and the others take over. */
void comb_tap_weights(const double delays[COMB_ALL_TAPS], int future_samples, float weights[COMB_ALL_TAPS]);

#define COMB_ROUND 64 /* samples are filtered in runs of so many */
#define COMB_SAMPLES_MAX (WINDOW_SAMPLES + 2 * WINDOW_SHIFT_SAMPLES + COMB_ROUND)

/* Average `count` samples from x on, a multiple of COMB_ROUND up to COMB_SAMPLES_MAX, with their neighbours some periods
   away, also between samples. Reads as far as the taps reach, and 7 samples before and 8 behind. */
void comb_filter(const struct kernel *kernel, const float *x, const double delays[COMB_ALL_TAPS],
                 const float weights[COMB_ALL_TAPS], int count, float *filtered);

#endif
