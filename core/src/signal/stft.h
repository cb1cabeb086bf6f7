#ifndef STFT_H
#define STFT_H

#include "signal/constants.h"
#include "signal/fft.h"

#define STFT_WORK WINDOW_SAMPLES

void stft_init(real_fft *fft, const struct kernel *kernel, arena *a);

/* Spectrum of 960 samples under the Vorbis window. */
void stft_analysis(const real_fft *fft, const float *frame, complex32 *spectrum, complex32 *work);

/* 960 windowed samples of a spectrum, ready to be overlapped and added. */
void stft_synthesis(const real_fft *fft, const complex32 *spectrum, float *frame, complex32 *work);

#endif
