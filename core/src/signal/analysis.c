/* Everything that is known of a frame before the network decides: spectrum, pitch, comb-filtered spectrum, features. */

#include "signal/analysis.h"

#include <string.h>

#include "kernels/kernels.h"

/* Samples move to the front of their memory once in so many hops. */
#define HOPS_BETWEEN_MOVES 8

/* A drift is known where there is that much look-ahead. */
static int has_drifts(const analysis_tables *tables) {
    return tables->highpass.is_on && tables->lookahead_frames >= DRIFT_FUTURE_FRAMES;
}

void analysis_tables_init(analysis_tables *tables, const analysis_params *p, const kernel *k, arena *a) {
    tables->lookahead_frames = p->lookahead_frames;
    tables->kernel = k;
    tables->layout = feature_layout_of(p->feature_blocks, p->feature_block_count, p->bands);
    highpass_init(&tables->highpass, p->highpass_hz, a);
    stft_init(&tables->stft, k, a);
    windows_init(&tables->windows, &tables->stft, has_drifts(tables), a);
    windows_init(&tables->one_window, &tables->stft, 0, a);
    pitch_tables_init(&tables->pitch, k, a);
    bands_init(&tables->bands, p->band_edges, p->bands, a);
}

void analysis_init(analysis *s, const analysis_tables *tables, int channels, int one_window, arena *a) {
    int bands = tables->bands.count, lookahead_frames = tables->lookahead_frames;
    s->channels = channels;
    s->windows = one_window ? &tables->one_window : &tables->windows;
    s->lookahead_frames = lookahead_frames;
    s->future_samples = lookahead_frames * HOP_SAMPLES;
    /* The first window of the next decided frame begins this far before the next sample, less its first hop. */
    s->kept = COMB_PAST_SAMPLES + COMB_REACH + s->future_samples + WINDOW_SAMPLES - HOP_SAMPLES;
    s->kept += has_drifts(tables) ? WINDOW_SHIFT_SAMPLES : 0;
    s->capacity = s->kept + HOPS_BETWEEN_MOVES * HOP_SAMPLES + COMB_ROUND;
    s->drift_free_samples = s->future_samples + 2 * WINDOW_SHIFT_SAMPLES;
    s->gives_out = 1;
    s->samples = ARENA_TAKE(a, float, channels * s->capacity);
    s->spectra = ARENA_TAKE(a, complex32, (lookahead_frames + 1) * channels * BINS);
    s->frame.combs = ARENA_TAKE(a, complex32, s->windows->count * channels * BINS);
    s->frame.unturned = ARENA_TAKE(a, complex32, s->windows->count * channels * BINS);
    s->highpass_states = ARENA_TAKE(a, double, channels * HIGHPASS_STATE);
    s->drifts = has_drifts(tables) ? ARENA_TAKE(a, drift, channels) : NULL;
    s->drift_free = has_drifts(tables) ? ARENA_TAKE(a, float, channels * s->drift_free_samples) : NULL;
    s->features = ARENA_TAKE(a, float, tables->layout.count);
    features_init(&s->features_state, &tables->layout, bands, a);
    s->coherence = ARENA_TAKE(a, float, bands);
    s->power = ARENA_TAKE(a, float, RELATIVE_BINS);
    s->energy = ARENA_TAKE(a, float, bands);
    s->energy_comb = ARENA_TAKE(a, float, bands);
    s->correlation = ARENA_TAKE(a, float, bands);
    s->one_channel = ARENA_TAKE(a, float, bands);
    pitch_init(&s->pitch, lookahead_frames, channels, a);
}

void analysis_reset(analysis *s, const analysis_tables *tables) {
    size_t channels = (size_t)s->channels, windows = (size_t)s->windows->count;
    s->end = s->kept;
    memset(s->samples, 0, sizeof(float) * channels * (size_t)s->capacity);
    memset(s->spectra, 0, sizeof(complex32) * (size_t)(s->lookahead_frames + 1) * channels * BINS);
    memset(s->frame.combs, 0, sizeof(complex32) * windows * channels * BINS);
    memset(s->frame.unturned, 0, sizeof(complex32) * windows * channels * BINS);
    if (s->drift_free) {
        memset(s->drift_free, 0, sizeof(float) * channels * (size_t)s->drift_free_samples);
    }
    s->has_begun = s->has_ended = 0;
    memset(s->features, 0, sizeof(float) * (size_t)tables->layout.count);
    features_reset(&s->features_state, &tables->layout, tables->bands.count);
    memset(s->tap_delays, 0, sizeof s->tap_delays);
    memset(s->tap_weights, 0, sizeof s->tap_weights);
    s->period_samples = s->pitch_correlation = 0.0f;
    for (int frame = 0; frame < COMB_PAST_FRAMES; frame++) {
        s->contour[frame] = SILENT_PERIOD_SAMPLES;
    }
    pitch_reset(&s->pitch);
}

float *analysis_input(analysis *s, int channel) {
    if (s->end + HOP_SAMPLES + COMB_ROUND > s->capacity) {
        int from = s->end - s->kept;
        for (int c = 0; c < s->channels; c++) {
            float *samples = s->samples + c * s->capacity;
            memmove(samples, samples + from, sizeof(float) * (size_t)s->kept);
        }
        s->end = s->kept;
    }
    return s->samples + channel * s->capacity + s->end;
}

static void weigh_taps(analysis *s) {
    comb_tap_weights(s->tap_delays, s->future_samples, s->tap_weights);
    comb_tap_weights(s->tap_delays, s->future_samples - WINDOW_SHIFT_SAMPLES, s->tap_weights_late);
}

static void find_pitch(analysis *s, const analysis_tables *tables) {
    double periods[COMB_CONTOUR_MAX];
    float path[PITCH_PATH_MAX];
    _Alignas(ARENA_ALIGNMENT) complex32 work[PITCH_WORK];
    for (int channel = 0; channel < s->channels; channel++) {
        const float *newest = s->samples + channel * s->capacity + s->end;
        pitch_hear(&s->pitch, &tables->pitch, channel, newest - PITCH_INPUT_SAMPLES);
    }
    pitch_correlate(&s->pitch, &tables->pitch, work);
    s->pitch_correlation = pitch_step(&s->pitch, path);
    s->period_samples = path[0];
    memcpy(periods, s->contour, sizeof s->contour);
    int count = COMB_PAST_FRAMES;
    for (int step = 0; step <= s->pitch.back; step++) {
        periods[count++] = path[step];
    }
    comb_tap_delays(periods, count, COMB_PAST_FRAMES, s->tap_delays);
    weigh_taps(s);
    memmove(s->contour, s->contour + 1, sizeof s->contour - sizeof s->contour[0]);
    s->contour[COMB_PAST_FRAMES - 1] = path[0];
}

/* Of samples under a window of the decided frame, one for each window and channel. */
static complex32 *of_window(const analysis *s, complex32 *spectra, int window, int channel) {
    return spectra + (window * s->channels + channel) * BINS;
}

static const float *decided_frame(const analysis *s, int channel) {
    return s->samples + channel * s->capacity + s->end - s->future_samples - WINDOW_SAMPLES;
}

static int up_to_round(int samples) { return (samples + COMB_ROUND - 1) / COMB_ROUND * COMB_ROUND; }

static void transform(const analysis_tables *tables, const float *frame, complex32 *spectrum) {
    _Alignas(ARENA_ALIGNMENT) complex32 work[STFT_WORK];
    stft_analysis(&tables->stft, frame, spectrum, work);
}

/* The frame and its windows at once, where the late one does not lack a tap. */
static void comb_windows(analysis *s, const analysis_tables *tables, int channel) {
    float filtered[COMB_SAMPLES_MAX];
    const int shift = WINDOW_SHIFT_SAMPLES;
    const float *frame = decided_frame(s, channel);
    int is_one = memcmp(s->tap_weights, s->tap_weights_late, sizeof s->tap_weights) == 0;
    int samples = up_to_round(WINDOW_SAMPLES + (is_one ? 2 : 1) * shift);
    comb_filter(tables->kernel, frame - shift, s->tap_delays, s->tap_weights, samples, filtered);
    transform(tables, filtered, of_window(s, s->frame.combs, 0, channel));
    transform(tables, filtered + shift, of_window(s, s->frame.combs, 1, channel));
    if (!is_one) {
        comb_filter(tables->kernel, frame + shift, s->tap_delays, s->tap_weights_late, WINDOW_SAMPLES,
                    filtered + 2 * shift);
    }
    transform(tables, filtered + 2 * shift, of_window(s, s->frame.combs, 2, channel));
}

static void comb_channel(analysis *s, const analysis_tables *tables, int channel) {
    float filtered[WINDOW_SAMPLES];
    if (s->gives_out && s->windows->count > 1) {
        comb_windows(s, tables, channel);
        return;
    }
    comb_filter(tables->kernel, decided_frame(s, channel), s->tap_delays, s->tap_weights, WINDOW_SAMPLES, filtered);
    transform(tables, filtered, of_window(s, s->frame.combs, s->windows->own, channel));
}

const complex32 *analysis_comb(const analysis *s) { return of_window(s, s->frame.combs, s->windows->own, 0); }

static void accumulate(float *sum, const float *values, int count, int first) {
    for (int i = 0; i < count; i++) {
        sum[i] = first ? values[i] : sum[i] + values[i];
    }
}

static void take_in_unturned(analysis *s, int channel, const float *hop) {
    float *samples = s->drift_free + channel * s->drift_free_samples;
    size_t older = (size_t)(s->drift_free_samples - WINDOW_SHIFT_SAMPLES - HOP_SAMPLES);
    if (!s->has_begun) {
        drift_begin(&s->drifts[channel], hop);
    }
    memmove(samples, samples + HOP_SAMPLES, sizeof(float) * older);
    drift_push(&s->drifts[channel], hop, samples + older);
    drift_ahead(&s->drifts[channel], samples + older + HOP_SAMPLES);
}

static void take_in(analysis *s, const analysis_tables *tables) {
    int spectrum_size = s->channels * BINS;
    complex32 *newest = s->spectra + s->lookahead_frames * spectrum_size;
    if (tables->highpass.is_on) {
        for (int channel = 0; channel < s->channels; channel++) {
            double *state = s->highpass_states + channel * HIGHPASS_STATE;
            float *hop = s->samples + channel * s->capacity + s->end;
            if (!s->has_begun) {
                highpass_begin(state, hop);
            }
            if (s->drifts) {
                take_in_unturned(s, channel, hop);
            }
            highpass_hop(&tables->highpass, state, hop);
        }
    }
    s->has_begun = 1;
    s->end += HOP_SAMPLES;
    memmove(s->spectra, s->spectra + spectrum_size, sizeof(complex32) * (size_t)(s->lookahead_frames * spectrum_size));
    for (int channel = 0; channel < s->channels; channel++) {
        transform(tables, s->samples + channel * s->capacity + s->end - WINDOW_SAMPLES, newest + channel * BINS);
    }
}

/* At the end the future of a drift is not known. */
static void find_window(analysis *s, const analysis_tables *tables, int window, int channel) {
    complex32 *unturned = of_window(s, s->frame.unturned, window, channel);
    int shift = s->windows->shifts[window];
    if (!s->drifts) {
        highpass_undo_phase(&tables->highpass, s->spectra + channel * BINS, unturned);
    } else if (s->has_ended) {
        transform(tables, decided_frame(s, channel) + shift, unturned);
        highpass_undo_phase(&tables->highpass, unturned, unturned);
    } else {
        const float *samples = s->drift_free + channel * s->drift_free_samples;
        transform(tables, samples + WINDOW_SHIFT_SAMPLES + shift, unturned);
    }
}

static void find_windows(analysis *s, const analysis_tables *tables) {
    for (int window = 0; s->gives_out && window < s->windows->count; window++) {
        for (int channel = 0; channel < s->channels; channel++) {
            find_window(s, tables, window, channel);
        }
    }
}

static void bin_powers(analysis *s, const complex32 *newest) {
    memset(s->power, 0, sizeof(float) * RELATIVE_BINS);
    for (int channel = 0; channel < s->channels; channel++, newest += BINS) {
        for (int k = 0; k < RELATIVE_BINS; k++) {
            s->power[k] += (newest[k].re * newest[k].re + newest[k].im * newest[k].im) / (float)s->channels;
        }
    }
}

static void compare_with_comb(analysis *s, const analysis_tables *tables) {
    const bands *b = &tables->bands;
    const complex32 *newest = s->spectra + s->lookahead_frames * s->channels * BINS;
    for (int channel = 0; channel < s->channels; channel++) {
        const complex32 *noisy = s->spectra + channel * BINS;
        const complex32 *comb = analysis_comb(s) + channel * BINS;
        comb_channel(s, tables, channel);
        bands_energy(b, noisy, s->one_channel);
        accumulate(s->energy, s->one_channel, b->count, channel == 0);
        bands_energy(b, comb, s->one_channel);
        accumulate(s->energy_comb, s->one_channel, b->count, channel == 0);
        bands_correlation(b, noisy, comb, s->one_channel);
        accumulate(s->correlation, s->one_channel, b->count, channel == 0);
    }
    bands_coherence(b, s->correlation, s->energy, s->energy_comb, s->coherence);
    for (int channel = 0; channel < s->channels; channel++) {
        bands_energy(b, newest + channel * BINS, s->one_channel);
        accumulate(s->energy, s->one_channel, b->count, channel == 0);
    }
    for (int band = 0; band < b->count; band++) {
        s->energy[band] /= (float)s->channels;
    }
    if (tables->layout.start[FEATURE_RELATIVE_BIN_LEVELS] >= 0) {
        bin_powers(s, newest);
    }
    features_input in = {s->energy, s->power, s->coherence, s->period_samples, s->pitch_correlation};
    features_finish(&s->features_state, &tables->layout, b, &in, s->features);
}

void analysis_push(analysis *s, const analysis_tables *tables) {
    take_in(s, tables);
    find_windows(s, tables);
    find_pitch(s, tables);
    compare_with_comb(s, tables);
}

void analysis_follow(analysis *s, const analysis_tables *tables, const double tap_delays[COMB_ALL_TAPS]) {
    take_in(s, tables);
    find_windows(s, tables);
    memcpy(s->tap_delays, tap_delays, sizeof s->tap_delays);
    weigh_taps(s);
    s->period_samples = SILENT_PERIOD_SAMPLES;
    s->pitch_correlation = 0.0f;
    compare_with_comb(s, tables);
}
