/* Short-time Fourier transform: 20 ms windows, 10 ms apart, that add up to the input exactly. */

#include "signal/stft.h"

#include "kernels/kernels.h"
#include "signal/symmetric.h"

void stft_init(stft *s, const kernel *k, arena *a) {
    real_fft_init(&s->fft, WINDOW_SAMPLES, k, a);
    s->window = symmetric(VORBIS_HALF, WINDOW_SAMPLES, a);
}

void stft_analysis(const stft *s, const float *frame, complex32 *spectrum, complex32 *work) {
    float windowed[WINDOW_SAMPLES];
    s->fft.kernel->multiply(frame, s->window, WINDOW_SAMPLES, windowed);
    real_fft_forward(&s->fft, windowed, spectrum, work);
}

void stft_synthesis(const stft *s, const complex32 *spectrum, float *frame, complex32 *work) {
    real_fft_inverse(&s->fft, spectrum, frame, work);
    for (int n = 0; n < WINDOW_SAMPLES; n++) {
        frame[n] *= s->window[n];
    }
}
