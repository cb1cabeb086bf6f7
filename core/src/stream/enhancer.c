/* The whole system on a stream: one hop in, one hop out, (M + 1) * 480 samples later. */

#include "stream/enhancer.h"

#include <string.h>

#include "subnormals.h"
#include "memory.h"

/* 80 dB above full scale. Energies of more could overflow, and it is no audio. */
#define SAMPLE_MAX 1e4f

int32_t percepnet_abi(void) { return PERCEPNET_ABI; }

const char *percepnet_kernel(int32_t index) {
    const kernel *k = index < 0 ? NULL : kernel_at(index);
    return k ? k->name : NULL;
}

static void model_init(percepnet_model *model, const percepnet_description *d, arena *a) {
    const kernel *k = kernel_of(d->kernel);
    analysis_tables_init(&model->tables, d->band_edges, d->bands, k, a);
    network_init(&model->network, d, k, a);
}

percepnet_model *percepnet_model_create(const percepnet_description *d) {
    if (!d || !analysis_fits(d->lookahead_frames, d->bands, d->band_edges) || !network_fits(d) || !kernel_of(d->kernel)) {
        return NULL;
    }
    percepnet_model sizes;
    arena a = {NULL, 0};
    model_init(&sizes, d, &a);
    size_t bytes = arena_start(sizeof sizes) + a.used;
    percepnet_model *model = memory_take(bytes);
    if (model) {
        a = arena_behind(model, sizeof *model);
        model->bytes = bytes;
        model_init(model, d, &a);
        model->lookahead_frames = d->lookahead_frames;
    }
    return model;
}

void percepnet_model_destroy(percepnet_model *model) { memory_give_back(model); }

size_t percepnet_model_bytes(const percepnet_model *model) { return model->bytes; }

static void enhancer_init(percepnet_enhancer *e, arena *a) {
    const percepnet_model *model = e->model;
    int channels = e->settings.channels, bands = model->tables.bands.count;
    analysis_init(&e->analysis, bands, model->lookahead_frames, channels, a);
    network_state_init(&e->network, &model->network, a);
    network_work_init(&e->work, &model->network, 1, 1, a);
    mix_init(&e->mix, bands, channels, a);
    e->gains = ARENA_TAKE(a, float, bands);
    e->strengths = ARENA_TAKE(a, float, bands);
    e->enhanced = ARENA_TAKE(a, complex32, channels * BINS);
    e->overlap = ARENA_TAKE(a, float, channels * HOP_SAMPLES);
    e->frame = ARENA_TAKE(a, float, WINDOW_SAMPLES);
}

size_t percepnet_bytes(const percepnet_model *model, const percepnet_settings *settings) {
    if (!model || !settings || settings->channels < 1 || settings->channels > CHANNELS_MAX ||
        !(settings->dry >= 0.0f && settings->dry <= 1.0f)) {
        return 0;
    }
    percepnet_enhancer sizes = {.model = model, .settings = *settings};
    arena a = {NULL, 0};
    enhancer_init(&sizes, &a);
    return arena_start(sizeof sizes) + a.used;
}

percepnet_enhancer *percepnet_create(const percepnet_model *model, const percepnet_settings *settings) {
    size_t bytes = percepnet_bytes(model, settings);
    percepnet_enhancer *e = bytes ? memory_take(bytes) : NULL;
    if (e) {
        arena a = arena_behind(e, sizeof *e);
        e->model = model;
        e->settings = *settings;
        enhancer_init(e, &a);
        percepnet_reset(e);
    }
    return e;
}

void percepnet_destroy(percepnet_enhancer *e) { memory_give_back(e); }

void percepnet_reset(percepnet_enhancer *e) {
    size_t channels = (size_t)e->settings.channels;
    analysis_reset(&e->analysis, e->model->tables.bands.count);
    network_reset(&e->network, &e->model->network);
    memset(e->gains, 0, sizeof(float) * (size_t)e->model->network.bands);
    memset(e->strengths, 0, sizeof(float) * (size_t)e->model->network.bands);
    memset(e->enhanced, 0, sizeof(complex32) * channels * BINS);
    memset(e->overlap, 0, sizeof(float) * channels * HOP_SAMPLES);
    e->refused_hops = 0;
}

static int is_audio(const float *x, int channels, int64_t stride) {
    for (int channel = 0; channel < channels; channel++) {
        const float *samples = x + channel * stride;
        int bad = 0;
        for (int n = 0; n < HOP_SAMPLES; n++) {
            bad |= !(samples[n] <= SAMPLE_MAX && samples[n] >= -SAMPLE_MAX);
        }
        if (bad) {
            return 0;
        }
    }
    return 1;
}

void enhancer_listen(percepnet_enhancer *e, const float *x, int64_t stride) {
    int heard = is_audio(x, e->settings.channels, stride);
    e->refused_hops += !heard;
    for (int channel = 0; channel < e->settings.channels; channel++) {
        float *to = analysis_input(&e->analysis, channel);
        if (heard) {
            memcpy(to, x + channel * stride, sizeof(float) * HOP_SAMPLES);
        } else {
            memset(to, 0, sizeof(float) * HOP_SAMPLES);
        }
    }
    analysis_push(&e->analysis, &e->model->tables);
}

static void speak(percepnet_enhancer *e, const complex32 *noisy, float *y, int64_t stride) {
    float dry = e->settings.dry;
    for (int channel = 0; channel < e->settings.channels; channel++, noisy += BINS) {
        complex32 *spectrum = e->enhanced + channel * BINS;
        float *overlap = e->overlap + channel * HOP_SAMPLES, *out = y + channel * stride;
        for (int k = 0; k < BINS; k++) {
            spectrum[k].re += dry * (noisy[k].re - spectrum[k].re);
            spectrum[k].im += dry * (noisy[k].im - spectrum[k].im);
        }
        stft_synthesis(&e->model->tables.window, spectrum, e->frame, e->analysis.work);
        for (int n = 0; n < HOP_SAMPLES; n++) {
            out[n] = overlap[n] + e->frame[n];
        }
        memcpy(overlap, e->frame + HOP_SAMPLES, sizeof(float) * HOP_SAMPLES);
    }
}

void enhancer_answer(percepnet_enhancer *e, const complex32 *noisy, const complex32 *comb, const float *gains,
                     const float *strengths, float *y, int64_t stride) {
    size_t size = sizeof(float) * (size_t)e->model->network.bands;
    memcpy(e->gains, gains, size);
    if (e->settings.comb_filter) {
        memcpy(e->strengths, strengths, size);
    } else {
        memset(e->strengths, 0, size);
    }
    mix_spectrum(&e->mix, &e->model->tables.bands, e->settings.channels, noisy, comb, e->gains, e->strengths,
                 e->settings.post_filter, e->enhanced);
    speak(e, noisy, y, stride);
}

void percepnet_process(percepnet_enhancer *e, const float *x, float *y, int64_t hops, int64_t stride) {
    const network *net = &e->model->network;
    network_state *state = &e->network;
    uint64_t before = flush_begin();
    for (int64_t hop = 0; hop < hops; hop++, x += HOP_SAMPLES, y += HOP_SAMPLES) {
        enhancer_listen(e, x, stride);
        memcpy(e->work.features, e->analysis.features, sizeof(float) * (size_t)net->features);
        network_run(net, &e->work, &state, 1, 1);
        enhancer_answer(e, e->analysis.spectra, e->analysis.comb, e->work.gains, e->work.strengths, y, stride);
    }
    flush_end(before);
}

int64_t percepnet_refused_hops(const percepnet_enhancer *e) { return e->refused_hops; }

void percepnet_inspect(const percepnet_enhancer *e, percepnet_frame *frame) {
    frame->noisy = &e->analysis.spectra->re;
    frame->comb = &e->analysis.comb->re;
    frame->enhanced = &e->enhanced->re;
    frame->features = e->analysis.features;
    frame->gains = e->gains;
    frame->strengths = e->strengths;
    frame->lags = e->analysis.pitch.lags;
    frame->tap_delays = e->analysis.tap_delays;
    frame->tap_weights = e->analysis.tap_weights;
    frame->period_samples = e->analysis.period_samples;
    frame->correlation = e->analysis.pitch_correlation;
}
