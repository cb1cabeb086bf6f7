/* Discrete Fourier transform of real signals whose length is 32 times at least 16, and has no prime factors but 2, 3
   and 5.

   It is a complex one of half the length over pairs of samples; that one is decimation in frequency. Its first two
   stages leave 16 rows, which are then turned into columns, so that each later stage works on 16 interleaved transforms (or
   more) at once: Stockham's, whose output is in order after the last stage. Real and imaginary parts lie apart, and
   numbers that are treated alike side by side. */

#ifndef FFT_H
#define FFT_H

#include "arena.h"

typedef struct complex32 {
    float re, im;
} complex32;

struct kernel;

#define FFT_ROWS 16 /* of the first stages: as many as there are numbers in the widest register, or a multiple of it */
#define FFT_STAGES_MAX 12

/* Complex numbers whose real and imaginary parts lie apart. */
typedef struct split {
    float *re, *im;
} split;

typedef struct real_fft {
    int length;
    int half;   /* of the complex transform that does the work */
    int stages; /* after the first two, which have radix 4 */
    int radix[FFT_STAGES_MAX];
    float *twiddles; /* of all stages: of each factor that a butterfly takes, the real parts, then the imaginary ones */
    float *split_re; /* exp(-2 pi i k / length), which takes apart the spectra of even and odd samples */
    float *split_im;
    const struct kernel *kernel;
} real_fft;

void real_fft_init(real_fft *fft, int length, const struct kernel *kernel, arena *a);

/* X(k) = sum_n x(n) exp(-2 pi i k n / length), for k = 0 .. length / 2. `work` has room for `length` numbers. */
void real_fft_forward(const real_fft *fft, const float *x, complex32 *spectrum, complex32 *work);

/* The inverse, scaled by 1 / length. */
void real_fft_inverse(const real_fft *fft, const complex32 *spectrum, float *x, complex32 *work);

#endif
