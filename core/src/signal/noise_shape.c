/* Within a band, noise is taken where it lies. */

#include "signal/noise_shape.h"

#include <math.h>
#include <string.h>

#include "signal/constants.h"
#include "signal/limited.h"

void noise_shape_init(noise_shape *s, arena *a) {
    s->heard = ARENA_TAKE(a, float, NOISE_SHAPE_BINS);
    s->noise = ARENA_TAKE(a, float, NOISE_SHAPE_BINS);
}

void noise_shape_reset(noise_shape *s) {
    memset(s->heard, 0, sizeof(float) * NOISE_SHAPE_BINS);
    memset(s->noise, 0, sizeof(float) * NOISE_SHAPE_BINS);
}

/* Powers of all channels; below its end a spectrum is its own mirror image. */
static void powers(int channels, const complex32 *noisy, float *power) {
    memset(power, 0, sizeof(float) * (NOISE_SHAPE_BINS + 1));
    for (int channel = 0; channel < channels; channel++, noisy += BINS) {
        for (int k = 0; k < NOISE_SHAPE_BINS + 1; k++) {
            power[k] += noisy[k].re * noisy[k].re + noisy[k].im * noisy[k].im;
        }
    }
    power[-1] = power[1];
}

static float over_neighbours(const float *x) { return 0.5f * x[0] + 0.25f * (x[-1] + x[1]); }

/* What is limited has a loop of its own: what follows from a limit would be branched over otherwise. */
static void hear(const float *restrict power, const float *restrict latest, const float *restrict of_bins,
                 float *restrict heard, float *restrict noise, float *restrict taken) {
    for (int k = 0; k < NOISE_SHAPE_BINS; k++) {
        taken[k] = limited(1.0f - of_bins[k] * of_bins[k], 0.0f, 1.0f);
    }
    for (int k = 0; k < NOISE_SHAPE_BINS; k++) {
        float over = over_neighbours(power + k), square = taken[k] * taken[k], fourth = square * square;
        heard[k] += (1.0f - NOISE_SHAPE_SMOOTHING) * (over_neighbours(latest + k) - heard[k]);
        noise[k] += (1.0f - NOISE_SHAPE_NOISE_SMOOTHING) * (fourth * fourth) * (over - noise[k]);
    }
}

/* Of each bin: how much louder the bands around it are than their noise was. */
static void above_noise(const noise_shape *s, const bands *b, float *ratio) {
    float padded[BINS] = {0.0f}, heard[BINS], noise[BINS];
    memcpy(padded, s->heard, sizeof(float) * NOISE_SHAPE_BINS);
    bands_sums(b, padded, heard);
    memcpy(padded, s->noise, sizeof(float) * NOISE_SHAPE_BINS);
    bands_sums(b, padded, noise);
    for (int band = 0; band < b->count; band++) {
        heard[band] /= noise[band] + NOISE_SHAPE_SILENT;
    }
    bands_to_bins(b, heard, ratio);
}

int noise_shape_ahead(int lookahead_frames) {
    return lookahead_frames < NOISE_SHAPE_AHEAD_FRAMES ? lookahead_frames : NOISE_SHAPE_AHEAD_FRAMES;
}

void noise_shape_push(noise_shape *s, const bands *b, int channels, const complex32 *noisy, const complex32 *ahead,
                      const float *gains, float *further) {
    float power[NOISE_SHAPE_BINS + 2], latest[NOISE_SHAPE_BINS + 2], of_bins[BINS], taken[NOISE_SHAPE_BINS],
        ratio[BINS];
    float padded[NOISE_SHAPE_BINS + 3], *shaped = padded + 1;
    powers(channels, noisy, power + 1);
    powers(channels, ahead, latest + 1);
    bands_to_bins(b, gains, of_bins);
    for (int k = 0; k < BINS; k++) {
        of_bins[k] = of_bins[k] > NOISE_SHAPE_TINY_GAIN ? of_bins[k] : NOISE_SHAPE_TINY_GAIN;
    }
    for (int k = 0; k < BINS; k++) {
        further[k] = 1.0f / sqrtf(sqrtf(sqrtf(sqrtf(of_bins[k]))));
    }
    hear(power + 1, latest + 1, of_bins, s->heard, s->noise, taken);
    above_noise(s, b, ratio);
    for (int k = 0; k < NOISE_SHAPE_BINS; k++) {
        float level = limited(taken[k] * ratio[k], NOISE_SHAPE_NOISE_LEAST, NOISE_SHAPE_NOISE_MOST);
        float kept = 1.0f - level * s->noise[k] / (s->heard[k] + NOISE_SHAPE_SILENT);
        shaped[k] = limited(sqrtf(limited(kept, 0.0f, 1.0f)) / of_bins[k], NOISE_SHAPE_LEAST, 1.0f);
    }
    shaped[-1] = shaped[1];
    shaped[NOISE_SHAPE_BINS] = shaped[NOISE_SHAPE_BINS + 1] = 1.0f;
    for (int k = 0; k <= NOISE_SHAPE_BINS; k++) {
        further[k] *= over_neighbours(shaped + k);
    }
}
