#ifndef MIX_H
#define MIX_H

#include "signal/bands.h"
#include "signal/highpass.h"

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

/* A frame, channels * 481 each. */
typedef struct mix_spectra {
    const complex32 *noisy; /* as the network hears it */
    const complex32 *comb;
    const complex32 *unturned; /* `noisy` with its phases */
} mix_spectra;

/* Apply gains and strengths to a frame, with its phases. `out` may be `noisy`. */
void mix_spectrum(mix *m, const bands *b, const highpass *h, int channels, const mix_spectra *of, const float *gains,
                  const float *strengths, int post_filter, complex32 *out);

#endif
