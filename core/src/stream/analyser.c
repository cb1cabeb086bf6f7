/* The signal path up to the network, by itself: what training features and the oracle are made of. */

#include <stdio.h>
#include <string.h>

#include "error.h"
#include "memory.h"
#include "stream/enhancer.h"
#include "subnormals.h"

#define FEATURES_OF_PERCEPNET "band_levels coherences pitch"

struct percepnet_analyser {
    analysis_tables tables;
    analysis analysis;
};

static void analyser_init(percepnet_analyser *analyser, const analysis_params *params, int channels, arena *a) {
    analysis_tables_init(&analyser->tables, params, kernel_of(NULL), a);
    analysis_init(&analyser->analysis, &analyser->tables, channels, 0, a);
}

/* The blocks that are named, separated by spaces; how many, or 0 if one is unknown or there twice. */
static int read_blocks(const char *names, unsigned blocks[FEATURE_BLOCKS]) {
    char name[32];
    int count = 0, used = 0;
    while (sscanf(names, " %31s%n", name, &used) == 1) {
        int block = feature_block_of(name);
        for (int i = 0; i < count; i++) {
            block = blocks[i] == (unsigned)block ? -1 : block;
        }
        if (block < 0 || feature_block_is_of_echo(block)) {
            return 0;
        }
        blocks[count++] = (unsigned)block;
        names += used;
    }
    return count;
}

static int edges_increase(const percepnet_signal *signal) {
    const int32_t *edges = signal->band_edges;
    if (!edges || edges[0] != 0) {
        return 0;
    }
    for (int32_t band = 1; band < signal->bands; band++) {
        if (edges[band] <= edges[band - 1] || edges[band] >= BINS) {
            return 0;
        }
    }
    return 1;
}

static int signal_fits(const percepnet_signal *signal, int block_count, percepnet_error *error) {
    float corner_hz = signal->highpass_hz;
    if (signal->lookahead_frames < 0 || signal->lookahead_frames > LOOKAHEAD_FRAMES_MAX) {
        error_say(error, "lookahead_frames is %ld: give 0 to %d", (long)signal->lookahead_frames, LOOKAHEAD_FRAMES_MAX);
    } else if (signal->bands < 2 || signal->bands > BINS) {
        error_say(error, "bands is %ld: give 2 to %d", (long)signal->bands, BINS);
    } else if (!edges_increase(signal)) {
        error_say(error, "band_edges do not increase from 0 to at most %d: give centres of bands in bins of 50 Hz",
                  BINS - 1);
    } else if (corner_hz != 0.0f && !(corner_hz >= 1.0f && corner_hz <= HIGHPASS_MAX_HZ)) {
        error_say(error, "highpass_hz is %g: give 0, or 1 to %g", (double)corner_hz, (double)HIGHPASS_MAX_HZ);
    } else if (!block_count) {
        error_say(error, "features are \"%.100s\": give names of blocks, each once, such as \"%s\"", signal->features,
                  FEATURES_OF_PERCEPNET);
    } else {
        return 1;
    }
    return 0;
}

percepnet_analyser *percepnet_analyser_create(const percepnet_signal *signal, int32_t channels,
                                              percepnet_error *error) {
    unsigned blocks[FEATURE_BLOCKS];
    int block_count = read_blocks(signal->features ? signal->features : FEATURES_OF_PERCEPNET, blocks);
    if (!signal_fits(signal, block_count, error)) {
        return NULL;
    }
    analysis_params params = {signal->lookahead_frames, signal->bands, signal->band_edges,
                              signal->highpass_hz,      blocks,        block_count};
    if (channels < 1 || channels > CHANNELS_MAX) {
        error_say(error, "channels is %ld: give 1 to %d", (long)channels, CHANNELS_MAX);
        return NULL;
    }
    percepnet_analyser sizes;
    arena a = {NULL, 0};
    analyser_init(&sizes, &params, channels, &a);
    percepnet_analyser *analyser = memory_take(arena_start(sizeof *analyser) + a.used);
    if (!analyser) {
        error_say(error, "no memory for an analyser of %ld channels: give it fewer", (long)channels);
        return NULL;
    }
    a = arena_behind(analyser, sizeof *analyser);
    analyser_init(analyser, &params, channels, &a);
    percepnet_analyser_reset(analyser);
    return analyser;
}

void percepnet_analyser_destroy(percepnet_analyser *analyser) { memory_give_back(analyser); }

void percepnet_analyser_reset(percepnet_analyser *analyser) { analysis_reset(&analyser->analysis, &analyser->tables); }

int32_t percepnet_analyser_features(const percepnet_analyser *analyser) { return analyser->tables.layout.count; }

int32_t percepnet_analyser_windows(const percepnet_analyser *analyser) { return analyser->analysis.windows->count; }

static void hand_over(const percepnet_analyser *analyser, int64_t hop, const percepnet_analysis *to) {
    const analysis *s = &analyser->analysis;
    size_t features = (size_t)percepnet_analyser_features(analyser), at = (size_t)hop;
    size_t spectrum = (size_t)s->channels * BINS, windows = spectrum * (size_t)s->windows->count;
    memcpy(to->noisy + 2 * spectrum * at, s->spectra, sizeof(complex32) * spectrum);
    memcpy(to->comb + 2 * spectrum * at, analysis_comb(s), sizeof(complex32) * spectrum);
    if (to->unturned) {
        memcpy(to->unturned + 2 * windows * at, s->frame.unturned, sizeof(complex32) * windows);
        memcpy(to->combs + 2 * windows * at, s->frame.combs, sizeof(complex32) * windows);
    }
    memcpy(to->features + features * at, s->features, sizeof(float) * features);
    memcpy(to->tap_delays + COMB_ALL_TAPS * at, s->tap_delays, sizeof s->tap_delays);
    memcpy(to->tap_weights + COMB_ALL_TAPS * at, s->tap_weights, sizeof s->tap_weights);
    to->periods_samples[at] = s->period_samples;
    to->correlations[at] = s->pitch_correlation;
}

void percepnet_analyse(percepnet_analyser *analyser, const float *x, int64_t hops, int64_t stride,
                       const double *tap_delays, const percepnet_analysis *results) {
    analysis *s = &analyser->analysis;
    uint64_t before = subnormals_off();
    s->gives_out = results->unturned != NULL;
    for (int64_t hop = 0; hop < hops; hop++, x += HOP_SAMPLES) {
        for (int channel = 0; channel < s->channels; channel++) {
            memcpy(analysis_input(s, channel), x + channel * stride, sizeof(float) * HOP_SAMPLES);
        }
        if (tap_delays) {
            analysis_follow(s, &analyser->tables, tap_delays + hop * COMB_ALL_TAPS);
        } else {
            analysis_push(s, &analyser->tables);
        }
        hand_over(analyser, hop, results);
    }
    subnormals_restore(before);
}
