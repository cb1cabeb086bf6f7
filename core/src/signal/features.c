/* What the network sees of a frame: how loud each band is, how periodic, and its pitch. */

#include "signal/features.h"

#include <math.h>
#include <string.h>

void features_init(features_state *s, const feature_layout *layout, int bands, arena *a) {
    s->band_means = layout->start[FEATURE_RELATIVE_BAND_LEVELS] < 0 ? NULL : ARENA_TAKE(a, float, bands);
    s->bin_means = layout->start[FEATURE_RELATIVE_BIN_LEVELS] < 0 ? NULL : ARENA_TAKE(a, float, RELATIVE_BINS);
}

void features_reset(features_state *s, const feature_layout *layout, int bands) {
    s->heard = 0;
    gain_control_reset(&s->gain);
    if (layout->start[FEATURE_RELATIVE_BAND_LEVELS] >= 0) {
        memset(s->band_means, 0, sizeof(float) * (size_t)bands);
    }
    if (layout->start[FEATURE_RELATIVE_BIN_LEVELS] >= 0) {
        memset(s->bin_means, 0, sizeof(float) * RELATIVE_BINS);
    }
}

/* By double precision: log10f and log2f of different C libraries differ in their last bit now and then, and from there on
   so would everything else. */
static float log10_rounded(float x) { return (float)log10((double)x); }

static float log2_rounded(float x) { return (float)log2((double)x); }

/* Mean power of a bin as (dB + 60) / 30. */
static float level(float power, float floor) {
    return (10.0f * log10_rounded(power + floor) - FEATURE_CENTRE_DB) / FEATURE_SPAN_DB;
}

static float band_power(const bands *b, float energy, int band) {
    return energy / (FEATURE_WINDOW_ENERGY * b->widths[band]);
}

float features_level(const bands *b, float energy, int band) {
    return level(band_power(b, energy, band), FEATURE_FLOOR);
}

/* Levels minus their running means, which take in this frame first. */
static void relative(float *levels, float *means, int count, int heard, int silent) {
    float rise = heard ? 1.0f / (float)heard : 0.0f;
    float fall = heard > RELATIVE_FALL_FRAMES ? 1.0f / (float)RELATIVE_FALL_FRAMES : rise;
    for (int i = 0; i < count; i++) {
        if (!silent) {
            means[i] += (levels[i] < means[i] ? fall : rise) * (levels[i] - means[i]);
        }
        levels[i] = heard ? levels[i] - means[i] : 0.0f;
    }
}

/* Digital silence says nothing about a room. */
static int is_silent(const bands *b, const features_input *in) {
    float loudest = 0.0f;
    for (int band = 0; band < b->count; band++) {
        loudest = fmaxf(loudest, band_power(b, in->energy[band], band));
    }
    return loudest < RELATIVE_SILENCE;
}

static void relative_levels(features_state *s, const feature_layout *layout, const bands *b, const features_input *in,
                            int silent, float *features) {
    int of_bands = layout->start[FEATURE_RELATIVE_BAND_LEVELS], of_bins = layout->start[FEATURE_RELATIVE_BIN_LEVELS];
    s->heard += !silent && s->heard < RELATIVE_RISE_FRAMES;
    if (of_bands >= 0) {
        for (int band = 0; band < b->count; band++) {
            features[of_bands + band] = level(band_power(b, in->energy[band], band), RELATIVE_FLOOR);
        }
        relative(features + of_bands, s->band_means, b->count, s->heard, silent);
    }
    if (of_bins >= 0) {
        for (int bin = 0; bin < RELATIVE_BINS; bin++) {
            features[of_bins + bin] = level(in->power[bin] / FEATURE_WINDOW_ENERGY, RELATIVE_FLOOR);
        }
        relative(features + of_bins, s->bin_means, RELATIVE_BINS, s->heard, silent);
    }
}

static void lifted_levels(features_state *s, const bands *b, const features_input *in, int silent, float *levels) {
    float energy = 0.0f, gain = 1.0f;
    for (int band = 0; band < b->count; band++) {
        energy += in->energy[band];
    }
    if (!silent) {
        gain = gain_control_push(&s->gain, energy);
    }
    for (int band = 0; band < b->count; band++) {
        levels[band] = level(band_power(b, in->energy[band], band) * gain, FEATURE_FLOOR);
    }
}

void features_finish(features_state *s, const feature_layout *layout, const bands *b, const features_input *in,
                     float *features) {
    int levels = layout->start[FEATURE_BAND_LEVELS], coherences = layout->start[FEATURE_COHERENCES];
    int pitch = layout->start[FEATURE_PITCH], lifted = layout->start[FEATURE_LIFTED_BAND_LEVELS];
    int is_relative = s->band_means || s->bin_means, silent = (lifted >= 0 || is_relative) && is_silent(b, in);
    if (levels >= 0) {
        for (int band = 0; band < b->count; band++) {
            features[levels + band] = features_level(b, in->energy[band], band);
        }
    }
    if (coherences >= 0) {
        memcpy(features + coherences, in->coherence, sizeof(float) * (size_t)b->count);
    }
    if (pitch >= 0) {
        features[pitch] = log2_rounded(in->period_samples / SILENT_PERIOD_SAMPLES);
        features[pitch + 1] = 2.0f * in->correlation - 1.0f;
    }
    if (lifted >= 0) {
        lifted_levels(s, b, in, silent, features + lifted);
    }
    if (is_relative) {
        relative_levels(s, layout, b, in, silent, features);
    }
}
