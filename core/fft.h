/* Discrete Fourier transform of real signals whose length has no prime factors but 2, 3 and 5. */

#ifndef FFT_H
#define FFT_H

#include "arena.h"

typedef struct complex32 {
    float re, im;
} complex32;

#define FFT_STAGES_MAX 12

typedef struct real_fft {
    int length;
    int half; /* of the complex transform that does the work */
    int stages;
    int radix[FFT_STAGES_MAX];
    float *twiddles; /* of all stages: of each factor that a butterfly takes, the real parts, then the imaginary ones */
    complex32 *split;    /* exp(-2 pi i k / length), which takes apart the spectra of even and odd samples */
} real_fft;

/* `length` is even. */
void real_fft_init(real_fft *fft, int length, arena *a);

/* X(k) = sum_n x(n) exp(-2 pi i k n / length), for k = 0 .. length / 2. `work` has room for `length` numbers. */
void real_fft_forward(const real_fft *fft, const float *x, complex32 *spectrum, complex32 *work);

/* The inverse, scaled by 1 / length. */
void real_fft_inverse(const real_fft *fft, const complex32 *spectrum, float *x, complex32 *work);

#endif
