/* Within a band, noise is taken where it lies. */

#include "signal/noise_shape.h"

#include <math.h>
#include <string.h>

#include "signal/constants.h"

void noise_shape_init(noise_shape *s, arena *a) {
    s->heard = ARENA_TAKE(a, float, BINS);
    s->noise = ARENA_TAKE(a, float, BINS);
}

void noise_shape_reset(noise_shape *s) {
    memset(s->heard, 0, sizeof(float) * BINS);
    memset(s->noise, 0, sizeof(float) * BINS);
}

/* Powers of all channels; beyond both ends a spectrum is its own mirror image. */
static void powers(int channels, const complex32 *noisy, float *power) {
    for (int k = 0; k < BINS; k++) {
        power[k] = 0.0f;
        for (int channel = 0; channel < channels; channel++) {
            complex32 z = noisy[channel * BINS + k];
            power[k] += z.re * z.re + z.im * z.im;
        }
    }
    power[-1] = power[1];
    power[BINS] = power[BINS - 2];
}

static void hear(noise_shape *s, const float *power, const float *of_bins, float *taken) {
    for (int k = 0; k < BINS; k++) {
        float over = 0.5f * power[k] + 0.25f * (power[k - 1] + power[k + 1]);
        float rest = 1.0f - of_bins[k] * of_bins[k];
        taken[k] = rest > 0.0f ? rest : 0.0f;
        float square = taken[k] * taken[k];
        s->heard[k] += (1.0f - NOISE_SHAPE_SMOOTHING) * (over - s->heard[k]);
        s->noise[k] += (1.0f - NOISE_SHAPE_NOISE_SMOOTHING) * (square * square) * (over - s->noise[k]);
    }
}

void noise_shape_push(noise_shape *s, const bands *b, int channels, const complex32 *noisy, const float *gains,
                      float *further) {
    float power[BINS + 2], of_bins[BINS], taken[BINS], ratio[BINS], of_heard[BINS], of_noise[BINS];
    powers(channels, noisy, power + 1);
    bands_to_bins(b, gains, of_bins);
    hear(s, power + 1, of_bins, taken);
    bands_sums(b, s->heard, of_heard);
    bands_sums(b, s->noise, of_noise);
    for (int band = 0; band < b->count; band++) {
        of_heard[band] /= of_noise[band] + NOISE_SHAPE_SILENT;
    }
    bands_to_bins(b, of_heard, ratio);
    for (int k = 0; k < NOISE_SHAPE_BINS; k++) {
        float share = ratio[k] * s->noise[k] / (s->heard[k] + NOISE_SHAPE_SILENT);
        float kept = 1.0f - NOISE_SHAPE_MORE * taken[k] * share;
        float shaped = kept > 0.0f ? sqrtf(kept) / (of_bins[k] + NOISE_SHAPE_TINY_GAIN) : 0.0f;
        further[k] = shaped < NOISE_SHAPE_LEAST ? NOISE_SHAPE_LEAST : shaped < 1.0f ? shaped : 1.0f;
    }
    for (int k = NOISE_SHAPE_BINS; k < BINS; k++) {
        further[k] = 1.0f;
    }
}

void noise_shape_lift(int bands, float *gains) {
    for (int band = 0; band < bands; band++) {
        float root = sqrtf(sqrtf(sqrtf(sqrtf(gains[band]))));
        gains[band] /= root > NOISE_SHAPE_TINY_GAIN ? root : NOISE_SHAPE_TINY_GAIN;
    }
}
