#ifndef MIX_H
#define MIX_H

#include "signal/analysis.h"

typedef struct mix {
    float *mixed_energy; /* windows * channels * bands */
    float *noisy_energy;
    float *mixed_heard; /* channels * bands, of the lowest */
    float *noisy_heard;
    float *total_mixed; /* bands */
    float *total_noisy;
    float *gains;
    float *wanted;
    float *filtered;
} mix;

void mix_init(mix *m, int bands, int channels, int windows, arena *a);

/* Multiply the bins of so many spectra, 481 each, by what they share. */
void mix_scale(const struct kernel *k, int count, const float *of_bins, complex32 *spectra);

/* A frame as the network hears it, channels * 481, and its windows, windows * channels * 481 each. */
typedef struct mix_spectra {
    const complex32 *noisy; /* behind it the frames that come, noise_shape_ahead of them */
    const complex32 *combs; /* as the network hears them */
    const complex32 *unturned;
} mix_spectra;

/* Apply gains and strengths to the windows of a frame, and to their bins what they share. `out` may be `noisy`. */
void mix_spectrum(mix *m, const analysis_tables *tables, const windows *w, int channels, const mix_spectra *of,
                  const float *gains, const float *strengths, const float *of_bins, int post_filter, complex32 *out);

#endif
