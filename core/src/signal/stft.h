#ifndef STFT_H
#define STFT_H

#include "signal/constants.h"
#include "signal/fft.h"

#define STFT_WORK WINDOW_SAMPLES

/* What all streams share. */
typedef struct stft {
    real_fft fft;
    float *window; /* WINDOW_SAMPLES */
} stft;

void stft_init(stft *s, const struct kernel *kernel, arena *a);

/* Spectrum of 960 samples under the Vorbis window. */
void stft_analysis(const stft *s, const float *frame, complex32 *spectrum, complex32 *work);

#endif
