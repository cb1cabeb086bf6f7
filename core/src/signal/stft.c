/* Short-time Fourier transform: 20 ms windows, 10 ms apart, that add up to the input exactly. */

#include "signal/stft.h"

#include "kernels/kernels.h"
#include "signal/circle.h"

void stft_init(stft *s, const kernel *k, arena *a) {
    real_fft_init(&s->fft, WINDOW_SAMPLES, k, a);
    s->window = ARENA_TAKE(a, float, WINDOW_SAMPLES);
    /* Vorbis's, calculated: a table would be a twentieth of what a browser fetches */
    for (int n = 0; n < WINDOW_SAMPLES / 2 && a->memory; n++) {
        double sine = circle_sin(CIRCLE_PI * (n + 0.5) / WINDOW_SAMPLES);
        s->window[n] = s->window[WINDOW_SAMPLES - 1 - n] = (float)circle_sin(CIRCLE_PI / 2.0 * sine * sine);
    }
}

void stft_analysis(const stft *s, const float *frame, complex32 *spectrum, complex32 *work) {
    float windowed[WINDOW_SAMPLES];
    s->fft.kernel->multiply(frame, s->window, WINDOW_SAMPLES, windowed);
    real_fft_forward(&s->fft, windowed, spectrum, work);
}
