/* The tables of the transform; kernel_signal.h calculates with them. */

#include "signal/fft.h"

#include "kernels/kernels.h"
#include "signal/circle.h"

static const double TWO_PI = 6.283185307179586476925;

/* The factors of one stage on transforms of length radix * m; returns where the next ones go. */
static float *fill_twiddles(float *twiddle, int radix, int m) {
    for (int k = 1; k < radix; k++, twiddle += 2 * m) {
        for (int p = 0; p < m; p++) {
            double angle = TWO_PI * p * k / (radix * m);
            twiddle[p] = (float)circle_cos(angle);
            twiddle[m + p] = (float)-circle_sin(angle);
        }
    }
    return twiddle;
}

void real_fft_init(real_fft *fft, int length, const kernel *kernel, arena *a) {
    fft->length = length;
    fft->half = length / 2;
    fft->kernel = kernel;
    fft->stages = 0;
    int columns = fft->half / FFT_ROWS, twiddles = 3 * (4 * columns + columns);
    for (int rest = columns; rest > 1;) {
        int radix = rest % 4 == 0 ? 4 : rest % 5 == 0 ? 5 : rest % 3 == 0 ? 3 : 2;
        fft->radix[fft->stages++] = radix;
        rest /= radix;
        twiddles += rest * (radix - 1);
    }
    fft->twiddles = ARENA_TAKE(a, float, 2 * twiddles);
    fft->split_re = ARENA_TAKE(a, float, fft->half / 2 + 1);
    fft->split_im = ARENA_TAKE(a, float, fft->half / 2 + 1);
    if (!a->memory) {
        return;
    }
    float *twiddle = fill_twiddles(fft->twiddles, 4, 4 * columns);
    twiddle = fill_twiddles(twiddle, 4, columns);
    for (int stage = 0, m = columns; stage < fft->stages; stage++) {
        m /= fft->radix[stage];
        twiddle = fill_twiddles(twiddle, fft->radix[stage], m);
    }
    for (int k = 0; k <= fft->half / 2; k++) {
        fft->split_re[k] = (float)circle_cos(TWO_PI * k / length);
        fft->split_im[k] = (float)-circle_sin(TWO_PI * k / length);
    }
}

void real_fft_forward(const real_fft *fft, const float *x, complex32 *spectrum, complex32 *work) {
    fft->kernel->forward(fft, x, spectrum, work);
}

void real_fft_inverse(const real_fft *fft, const complex32 *spectrum, float *x, complex32 *work) {
    fft->kernel->inverse(fft, spectrum, x, work);
}
