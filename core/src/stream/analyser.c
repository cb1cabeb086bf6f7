/* The signal path up to the network, by itself: what training features and the oracle are made of. */

#include <string.h>

#include "stream/enhancer.h"
#include "memory.h"

struct percepnet_analyser {
    analysis_tables tables;
    analysis analysis;
};

static void analyser_init(percepnet_analyser *analyser, int lookahead_frames, int bands, const int32_t *band_edges,
                          int channels, arena *a) {
    analysis_tables_init(&analyser->tables, band_edges, bands, kernel_of(NULL), a);
    analysis_init(&analyser->analysis, bands, lookahead_frames, channels, a);
}

percepnet_analyser *percepnet_analyser_create(int32_t lookahead_frames, int32_t bands, const int32_t *band_edges,
                                              int32_t channels) {
    if (!analysis_fits(lookahead_frames, bands, band_edges) || channels < 1 || channels > CHANNELS_MAX) {
        return NULL;
    }
    percepnet_analyser sizes;
    arena a = {NULL, 0};
    analyser_init(&sizes, lookahead_frames, bands, band_edges, channels, &a);
    percepnet_analyser *analyser = memory_take(arena_start(sizeof *analyser) + a.used);
    if (analyser) {
        a = arena_behind(analyser, sizeof *analyser);
        analyser_init(analyser, lookahead_frames, bands, band_edges, channels, &a);
        percepnet_analyser_reset(analyser);
    }
    return analyser;
}

void percepnet_analyser_destroy(percepnet_analyser *analyser) { memory_give_back(analyser); }

void percepnet_analyser_reset(percepnet_analyser *analyser) {
    analysis_reset(&analyser->analysis, analyser->tables.bands.count);
}

static void hand_over(const analysis *s, int bands, int64_t hop, const percepnet_findings *to) {
    size_t spectrum = (size_t)s->channels * BINS, features = 2 * (size_t)bands + 2, at = (size_t)hop;
    memcpy(to->noisy + 2 * spectrum * at, s->spectra, sizeof(complex32) * spectrum);
    memcpy(to->comb + 2 * spectrum * at, s->comb, sizeof(complex32) * spectrum);
    memcpy(to->features + features * at, s->features, sizeof(float) * features);
    memcpy(to->tap_delays + COMB_ALL_TAPS * at, s->tap_delays, sizeof s->tap_delays);
    memcpy(to->tap_weights + COMB_ALL_TAPS * at, s->tap_weights, sizeof s->tap_weights);
    to->periods_samples[at] = s->period_samples;
    to->correlations[at] = s->pitch_correlation;
}

void percepnet_analyse(percepnet_analyser *analyser, const float *x, int64_t hops, int64_t stride,
                       const double *tap_delays, const percepnet_findings *findings) {
    analysis *s = &analyser->analysis;
    for (int64_t hop = 0; hop < hops; hop++, x += HOP_SAMPLES) {
        for (int channel = 0; channel < s->channels; channel++) {
            memcpy(analysis_input(s, channel), x + channel * stride, sizeof(float) * HOP_SAMPLES);
        }
        if (tap_delays) {
            analysis_follow(s, &analyser->tables, tap_delays + hop * COMB_ALL_TAPS);
        } else {
            analysis_push(s, &analyser->tables);
        }
        hand_over(s, analyser->tables.bands.count, hop, findings);
    }
}
