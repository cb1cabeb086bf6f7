/* Three windows for each decision: they fade so that nothing is given out before all windows over it are decided. */

#include "signal/windows.h"

#include <string.h>

#include "kernels/kernels.h"
#include "signal/circle.h"

/* sin(pi / 2 sin(pi / 2 x)^2)^2, from 0 to 1 */
static double risen(double x) {
    double sine = circle_sin(CIRCLE_PI / 2.0 * (x < 0.0 ? 0.0 : x > 1.0 ? 1.0 : x));
    double fade = circle_sin(CIRCLE_PI / 2.0 * sine * sine);
    return fade * fade;
}

/* What the early window is multiplied by in synthesis: its fade, which rises when the hop before has ended, over the window
   of its analysis. */
static void early_init(float *early, const float *window) {
    const double late = (double)WINDOW_SHIFT_SAMPLES / HOP_SAMPLES;
    for (int n = 0; n < WINDOW_SAMPLES; n++) {
        double hops = (n + 0.5) / HOP_SAMPLES, left = hops < 1.0 ? hops - late : 2.0 - hops;
        early[n] = (float)(risen(left / (1.0 - late)) / (double)window[n]) / (float)WINDOWS_MAX;
    }
}

void windows_init(windows *w, const stft *s, int are_around, arena *a) {
    float *early = are_around ? ARENA_TAKE(a, float, WINDOW_SAMPLES) : s->window;
    float *others = are_around ? ARENA_TAKE(a, float, WINDOW_SAMPLES) : s->window;
    w->count = are_around ? WINDOWS_MAX : 1;
    w->own = w->count / 2;
    for (int i = 0; i < WINDOWS_MAX; i++) {
        w->shifts[i] = are_around ? (i - w->own) * WINDOW_SHIFT_SAMPLES : 0;
        w->synthesis[i] = i == 0 ? early : others;
    }
    if (are_around && a->memory) {
        early_init(early, s->window);
        for (int n = 0; n < WINDOW_SAMPLES; n++) {
            others[n] = s->window[n] / (float)WINDOWS_MAX;
        }
    }
}

void windows_give(const windows *w, const stft *s, const complex32 *spectra, int64_t stride, float *tail,
                  float y[HOP_SAMPLES]) {
    _Alignas(ARENA_ALIGNMENT) float frame[WINDOW_SAMPLES];
    _Alignas(ARENA_ALIGNMENT) complex32 work[STFT_WORK];
    float sum[WINDOWS_TAIL_SAMPLES + HOP_SAMPLES] = {0.0f};
    memcpy(sum, tail, sizeof(float) * WINDOWS_TAIL_SAMPLES);
    for (int i = 0; i < w->count; i++) {
        int shift = w->shifts[i], left_out = shift < 0 ? -shift : 0;
        real_fft_inverse(&s->fft, spectra + i * stride, frame, work);
        s->fft.kernel->add_multiplied(frame + left_out, w->synthesis[i] + left_out, WINDOW_SAMPLES - left_out,
                                      sum + left_out + shift);
    }
    memcpy(y, sum, sizeof(float) * HOP_SAMPLES);
    memcpy(tail, sum + HOP_SAMPLES, sizeof(float) * WINDOWS_TAIL_SAMPLES);
}
