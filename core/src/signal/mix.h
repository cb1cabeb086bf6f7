#ifndef MIX_H
#define MIX_H

#include "signal/bands.h"

typedef struct mix {
    float *mixed_energy; /* channels * bands */
    float *noisy_energy;
    float *total_mixed; /* bands */
    float *total_noisy;
    float *gains;
    float *wanted;
    float *filtered;
} mix;

void mix_init(mix *m, int bands, int channels, arena *a);

/* Multiply the bins of spectra, channels * 481, by what all channels share. */
void mix_scale(int channels, const float *of_bins, complex32 *spectra);

/* Apply gains and strengths to a frame. The spectra are channels * 481; `out` may be `noisy`. */
void mix_spectrum(mix *m, const bands *b, int channels, const complex32 *noisy, const complex32 *comb,
                  const float *gains, const float *strengths, int post_filter, complex32 *out);

#endif
