/* Within a band, noise is taken where it lies. */

#include "signal/noise_shape.h"

#include <math.h>
#include <string.h>

#include "signal/bin_ratios.h"
#include "signal/constants.h"
#include "signal/limited.h"

static void sums_of(const bands *b, const float *of_bins, float *of_bands) {
    float padded[BINS] = {0.0f};
    memcpy(padded, of_bins, sizeof(float) * NOISE_SHAPE_BINS);
    bands_sums(b, padded, of_bands);
}

void noise_shape_init(noise_shape *s, const bands *b, arena *a) {
    float ones[NOISE_SHAPE_BINS], of_bands[BINS], of_bins[BINS];
    s->heard = ARENA_TAKE(a, float, NOISE_SHAPE_BINS);
    s->noise = ARENA_TAKE(a, float, NOISE_SHAPE_BINS);
    s->before = ARENA_TAKE(a, float, NOISE_SHAPE_BINS);
    s->width = ARENA_TAKE(a, float, NOISE_SHAPE_BINS);
    if (a->memory) {
        for (int k = 0; k < NOISE_SHAPE_BINS; k++) {
            ones[k] = 1.0f;
        }
        sums_of(b, ones, of_bands);
        bands_to_bins(b, of_bands, of_bins);
        memcpy(s->width, of_bins, sizeof(float) * NOISE_SHAPE_BINS);
    }
}

void noise_shape_reset(noise_shape *s) {
    memset(s->heard, 0, sizeof(float) * NOISE_SHAPE_BINS);
    memset(s->noise, 0, sizeof(float) * NOISE_SHAPE_BINS);
    memset(s->before, 0, sizeof(float) * NOISE_SHAPE_BINS);
}

static float over_neighbours(const float *x) { return 0.5f * x[0] + 0.25f * (x[-1] + x[1]); }

/* Powers of all channels, in each bin alone, one more of them on both sides, and over neighbouring bins; below its end a
   spectrum is its own mirror image. */
static void powers(int channels, const complex32 *spectra, float *power, float *smoothed) {
    memset(power, 0, sizeof(float) * (NOISE_SHAPE_BINS + 1));
    for (int channel = 0; channel < channels; channel++, spectra += BINS) {
        for (int k = 0; k < NOISE_SHAPE_BINS + 1; k++) {
            power[k] += spectra[k].re * spectra[k].re + spectra[k].im * spectra[k].im;
        }
    }
    power[-1] = power[1];
    for (int k = 0; k < NOISE_SHAPE_BINS; k++) {
        smoothed[k] = over_neighbours(power + k);
    }
}

/* What is limited has a loop of its own: what follows from a limit would be branched over otherwise. */
static void hear(const float *restrict now, const float *restrict ahead, const float *restrict of_bins,
                 float *restrict heard, float *restrict noise, float *restrict taken) {
    for (int k = 0; k < NOISE_SHAPE_BINS; k++) {
        taken[k] = limited(1.0f - of_bins[k] * of_bins[k], 0.0f, 1.0f);
    }
    for (int k = 0; k < NOISE_SHAPE_BINS; k++) {
        float square = taken[k] * taken[k], fourth = square * square;
        heard[k] += (1.0f - NOISE_SHAPE_SMOOTHING) * (ahead[k] - heard[k]);
        noise[k] += (1.0f - NOISE_SHAPE_NOISE_SMOOTHING) * (fourth * fourth) * (now[k] - noise[k]);
    }
}

/* Of each bin: x of the bands around it, relative to y. */
static void relative(const bands *b, const float *x, const float *y, float *of_bins) {
    float ratio[BINS];
    for (int band = 0; band < b->count; band++) {
        ratio[band] = x[band] / (y[band] + NOISE_SHAPE_SILENT);
    }
    bands_to_bins(b, ratio, of_bins);
}

int noise_shape_ahead(int lookahead_frames) {
    return lookahead_frames < NOISE_SHAPE_AHEAD_FRAMES ? lookahead_frames : NOISE_SHAPE_AHEAD_FRAMES;
}

static void means_around(const noise_shape *s, const bands *b, const float *of_bands, float *means) {
    bands_to_bins(b, of_bands, means);
    for (int k = 0; k < NOISE_SHAPE_BINS; k++) {
        means[k] /= s->width[k];
    }
}

/* What the network for bins is given besides, also from what was heard and the noise of bands. */
static void know(const noise_shape *s, const bands *b, const noise_shape_frame *of, const float *heard_sums,
                 const float *noise_sums, bin_powers *known, float *ratios) {
    float after[NOISE_SHAPE_BINS], combed[NOISE_SHAPE_BINS], alone[NOISE_SHAPE_BINS + 2];
    float sums[BINS], mean[BINS], heard[BINS], noise[BINS], strengths[BINS];
    powers(of->channels, of->coming + (of->ahead > 0 ? of->channels * BINS : 0), alone + 1, after);
    powers(of->channels, of->comb, alone + 1, combed);
    sums_of(b, known->now, sums);
    means_around(s, b, sums, mean);
    means_around(s, b, heard_sums, heard);
    relative(b, noise_sums, heard_sums, noise);
    bands_to_bins(b, of->strengths, strengths);
    known->after = after;
    known->combed = combed;
    known->around = mean;
    known->heard_around = heard;
    known->noise_around = noise;
    known->strengths = strengths;
    bin_ratios_of(known, ratios);
}

void noise_shape_push(noise_shape *s, const bands *b, const noise_shape_frame *of, float *factors, float *further,
                      float *ratios) {
    float alone[NOISE_SHAPE_BINS + 2], latest[NOISE_SHAPE_BINS + 2], now[NOISE_SHAPE_BINS], ahead[NOISE_SHAPE_BINS];
    float of_bins[BINS], taken[NOISE_SHAPE_BINS], heard_sums[BINS], noise_sums[BINS], ratio[BINS];
    powers(of->channels, of->coming, alone + 1, now);
    powers(of->channels, of->coming + of->ahead * of->channels * BINS, latest + 1, ahead);
    bands_to_bins(b, of->gains, of_bins);
    for (int k = 0; k < BINS; k++) {
        of_bins[k] = of_bins[k] > NOISE_SHAPE_TINY_GAIN ? of_bins[k] : NOISE_SHAPE_TINY_GAIN;
    }
    for (int k = 0; k < BINS; k++) {
        further[k] = 1.0f / sqrtf(sqrtf(sqrtf(sqrtf(of_bins[k]))));
    }
    hear(now, ahead, of_bins, s->heard, s->noise, taken);
    sums_of(b, s->heard, heard_sums);
    sums_of(b, s->noise, noise_sums);
    relative(b, heard_sums, noise_sums, ratio);
    for (int k = 0; k < NOISE_SHAPE_BINS; k++) {
        float level = limited(taken[k] * ratio[k], NOISE_SHAPE_NOISE_LEAST, NOISE_SHAPE_NOISE_MOST);
        float kept = 1.0f - level * s->noise[k] / (s->heard[k] + NOISE_SHAPE_SILENT);
        factors[k] = limited(sqrtf(limited(kept, 0.0f, 1.0f)) / of_bins[k], NOISE_SHAPE_LEAST, 1.0f);
    }
    if (ratios) {
        bin_powers known = {.now = now,
                            .before = s->before,
                            .ahead = ahead,
                            .unsmoothed = alone + 1,
                            .heard = s->heard,
                            .noise = s->noise,
                            .gains = of_bins,
                            .factors = factors};
        know(s, b, of, heard_sums, noise_sums, &known, ratios);
    }
    memcpy(s->before, now, sizeof now);
}

void noise_shape_correct(const float *changes, float *factors) {
    for (int k = 0; k < NOISE_SHAPE_BINS; k++) {
        factors[k] = limited(factors[k] * (1.0f + changes[k]), NOISE_SHAPE_CORRECTED_LEAST, NOISE_SHAPE_CORRECTED_MOST);
    }
}

void noise_shape_apply(const float *factors, float *further) {
    float padded[NOISE_SHAPE_BINS + 3], *shaped = padded + 1;
    memcpy(shaped, factors, sizeof(float) * NOISE_SHAPE_BINS);
    shaped[-1] = shaped[1];
    shaped[NOISE_SHAPE_BINS] = shaped[NOISE_SHAPE_BINS + 1] = 1.0f;
    for (int k = 0; k <= NOISE_SHAPE_BINS; k++) {
        further[k] *= over_neighbours(shaped + k);
    }
}
