#include "stream/enhancer.h"

#include <string.h>

#include "subnormals.h"

static void residual_of(enhancer *e, const percepnet_model *model, arena *a) {
    residual sizes;
    e->residual = FAR_ENDS && model ? ARENA_TAKE(a, residual, 1) : NULL;
    if (FAR_ENDS && model) {
        residual_init(e->residual ? e->residual : &sizes, model, e->channels, a);
    }
}

static void bins_of(enhancer *e, const network *net, arena *a) {
    bin_network sizes;
    e->bins = net->layer_count ? ARENA_TAKE(a, bin_network, 1) : NULL;
    if (net->layer_count) {
        bin_network_init(e->bins ? e->bins : &sizes, net, a);
    }
}

void enhancer_init(enhancer *e, const percepnet_model *model, const percepnet_model *residual, int channels,
                   const enhancer_settings *settings, arena *a) {
    int bands = model->tables.bands.count;
    e->model = model;
    e->channels = channels;
    e->settings = *settings;
    analysis_init(&e->analysis, &model->tables, channels, settings->one_window, a);
    int windows = e->analysis.windows->count;
    network_state_init(&e->network, &model->network, a);
    mix_init(&e->mix, bands, channels, windows, a);
    noise_shape_init(&e->noise, &model->tables.bands, a);
    bins_of(e, &model->bins, a);
    residual_of(e, residual, a);
    e->gains = ARENA_TAKE(a, float, bands);
    e->strengths = ARENA_TAKE(a, float, bands);
    e->enhanced = ARENA_TAKE(a, complex32, windows * channels * BINS);
    e->unturned = FAR_ENDS && residual ? ARENA_TAKE(a, complex32, windows * channels * BINS) : NULL;
    e->tail = ARENA_TAKE(a, float, channels * WINDOWS_TAIL_SAMPLES);
}

void enhancer_reset(enhancer *e) {
    size_t channels = (size_t)e->channels, bands = (size_t)e->model->network.bands;
    size_t windows = (size_t)e->analysis.windows->count;
    analysis_reset(&e->analysis, &e->model->tables);
    network_reset(&e->network, &e->model->network);
    memset(e->gains, 0, sizeof(float) * bands);
    memset(e->strengths, 0, sizeof(float) * bands);
    memset(e->enhanced, 0, sizeof(complex32) * windows * channels * BINS);
    memset(e->tail, 0, sizeof(float) * channels * WINDOWS_TAIL_SAMPLES);
    e->speech = -1.0f;
    noise_shape_reset(&e->noise);
    if (e->bins) {
        bin_network_reset(e->bins);
    }
    if (FAR_ENDS && e->residual) {
        residual_reset(e->residual);
    }
}

void enhancer_analyse(enhancer *e, const float *x, int64_t stride) {
    for (int channel = 0; channel < e->channels; channel++) {
        memcpy(analysis_input(&e->analysis, channel), x + channel * stride, sizeof(float) * HOP_SAMPLES);
    }
    analysis_push(&e->analysis, &e->model->tables);
}

static void take_decisions(enhancer *e, const network_heads *heads, int at) {
    size_t bands = (size_t)e->model->network.bands;
    memcpy(e->gains, heads->gains + (size_t)at * bands, sizeof(float) * bands);
    if (e->settings.comb_filter) {
        memcpy(e->strengths, heads->strengths + (size_t)at * bands, sizeof(float) * bands);
    } else {
        memset(e->strengths, 0, sizeof(float) * bands);
    }
    e->speech = heads->speech ? heads->speech[at] : -1.0f;
}

static void add_dry(complex32 *spectrum, const complex32 *noisy, float dry) {
    for (int k = 0; k < BINS; k++) {
        spectrum[k].re += dry * (noisy[k].re - spectrum[k].re);
        spectrum[k].im += dry * (noisy[k].im - spectrum[k].im);
    }
}

static void give(enhancer *e, int channel, float *y) {
    const analysis_tables *tables = &e->model->tables;
    float *tail = e->tail + channel * WINDOWS_TAIL_SAMPLES;
    windows_give(e->analysis.windows, &tables->stft, e->enhanced + channel * BINS, e->channels * BINS, tail, y);
    subnormals_clear(tail, WINDOWS_TAIL_SAMPLES);
    subnormals_clear(y, HOP_SAMPLES);
}

mix_spectra enhancer_spectra(const enhancer *e) {
    const analysis *s = &e->analysis;
    return (mix_spectra){s->spectra, s->frame.combs, s->frame.unturned};
}

/* What is left then is of the signal that the network hears. */
static void take_rest_out(enhancer *e, float *taken, mix_spectra *of) {
    const analysis_tables *tables = &e->model->tables;
    residual_take_out(e->residual, &e->analysis, tables, e->enhanced, e->unturned, taken);
    for (int i = 0; i < e->analysis.windows->count * e->channels; i++) {
        highpass_undo_phase(&tables->highpass, e->unturned + i * BINS, e->unturned + i * BINS);
    }
    *of = (mix_spectra){e->enhanced, e->analysis.frame.combs, e->unturned};
}

/* What the bins of a frame are to be multiplied by besides their gains. */
static void shape_noise(enhancer *e, const mix_spectra *of, const float *gains, const float *strengths,
                        float *further) {
    float factors[NOISE_SHAPE_BINS], changes[NOISE_SHAPE_BINS];
    noise_shape_frame frame = {.channels = e->channels,
                               .coming = of->noisy,
                               .ahead = noise_shape_ahead(e->analysis.lookahead_frames),
                               .comb = of->combs + e->analysis.windows->own * e->channels * BINS,
                               .gains = gains,
                               .strengths = strengths};
    noise_shape_push(&e->noise, &e->model->tables.bands, &frame, factors, further, e->bins ? e->bins->ratios : NULL);
    if (e->bins) {
        bin_network_run(e->bins, changes);
        noise_shape_correct(changes, factors);
    }
    noise_shape_apply(factors, further);
}

void enhancer_synthesise(enhancer *e, const mix_spectra *of, const network_heads *heads, int at, float *y,
                         int64_t stride) {
    float gains[BINS], strengths[BINS], taken[BINS], further[BINS];
    size_t bands = sizeof(float) * (size_t)e->model->network.bands;
    const analysis_tables *tables = &e->model->tables;
    int spectra = e->analysis.windows->count * e->channels;
    mix_spectra mixed = *of;
    take_decisions(e, heads, at);
    memcpy(gains, e->gains, bands);
    memcpy(strengths, e->strengths, bands);
    if (FAR_ENDS && e->residual && e->residual->heard) {
        take_rest_out(e, taken, &mixed);
        echo_shape_beside(e->model->network.bands, taken, gains, strengths);
    }
    shape_noise(e, of, gains, strengths, further);
    mix_spectrum(&e->mix, tables, e->analysis.windows, e->channels, &mixed, gains, strengths, further,
                 e->settings.post_filter, e->enhanced);
    for (int i = 0; e->settings.dry > 0.0f && i < spectra; i++) {
        add_dry(e->enhanced + i * BINS, of->unturned + i * BINS, e->settings.dry);
    }
    for (int channel = 0; channel < e->channels; channel++) {
        give(e, channel, y + channel * stride);
    }
}

void enhancer_run(enhancer *e, network_work *work, float *x, int64_t stride) {
    network_state *state = &e->network;
    mix_spectra spectra = enhancer_spectra(e);
    enhancer_analyse(e, x, stride);
    network_run(&e->model->network, work, e->analysis.features, &state, 1, 1);
    enhancer_synthesise(e, &spectra, &work->heads, 0, x, stride);
}
