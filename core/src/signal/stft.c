/* Short-time Fourier transform: 20 ms windows, 10 ms apart, that add up to the input exactly. */

#include "signal/stft.h"

#include "kernels/kernels.h"

void stft_init(real_fft *fft, const kernel *k, arena *a) { real_fft_init(fft, WINDOW_SAMPLES, k, a); }

void stft_analysis(const real_fft *fft, const float *frame, complex32 *spectrum, complex32 *work) {
    float windowed[WINDOW_SAMPLES];
    fft->kernel->multiply(frame, VORBIS_WINDOW, WINDOW_SAMPLES, windowed);
    real_fft_forward(fft, windowed, spectrum, work);
}

void stft_synthesis(const real_fft *fft, const complex32 *spectrum, float *frame, complex32 *work) {
    real_fft_inverse(fft, spectrum, frame, work);
    for (int n = 0; n < WINDOW_SAMPLES; n++) {
        frame[n] *= VORBIS_WINDOW[n];
    }
}
