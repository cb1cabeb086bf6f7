/* The whole system on a stream: one hop in, one hop out, (M + 1) * 480 samples later. */

#include <stdlib.h>
#include <string.h>

#include "analysis.h"
#include "mix.h"
#include "network.h"
#include "percepnet.h"

#define CHANNELS_MAX 1024
/* 80 dB above full scale. Energies of more could overflow, and it is no audio. */
#define SAMPLE_MAX 1e4f

struct percepnet_model {
    int lookahead_frames;
    analysis_tables tables;
    network network;
};

struct percepnet_enhancer {
    const percepnet_model *model;
    percepnet_settings settings;
    analysis analysis;
    network_state network;
    mix mix;
    complex32 *enhanced; /* channels * 481 */
    float *overlap;      /* channels * 480 */
    float *frame;        /* 960 */
    int64_t refused_hops;
};

int32_t percepnet_abi(void) { return PERCEPNET_ABI; }

const char *percepnet_kernel(int32_t index) {
    const kernel *k = index < 0 ? NULL : kernel_at(index);
    return k ? k->name : NULL;
}

/* The arena begins behind the structure that owns it: one block of memory for both. */
static arena arena_behind(void *owner, size_t size) {
    uintptr_t past = ((uintptr_t)owner + size) % ARENA_ALIGNMENT;
    arena a = {(char *)owner + size + (past ? ARENA_ALIGNMENT - past : 0), 0};
    return a;
}

static int bands_fit(const percepnet_description *d) {
    if (d->lookahead_frames < 0 || d->lookahead_frames > LOOKAHEAD_FRAMES_MAX) {
        return 0;
    }
    if (d->bands < 2 || d->bands > BINS || !d->band_edges || d->band_edges[0] != 0) {
        return 0;
    }
    for (int band = 1; band < d->bands; band++) {
        if (d->band_edges[band] <= d->band_edges[band - 1] || d->band_edges[band] >= BINS) {
            return 0;
        }
    }
    return 1;
}

static void model_init(percepnet_model *model, const percepnet_description *d, arena *a) {
    analysis_tables_init(&model->tables, d->band_edges, d->bands, a);
    network_init(&model->network, d, kernel_of(d->kernel), a);
}

percepnet_model *percepnet_model_create(const percepnet_description *d) {
    if (!d || !bands_fit(d) || !network_fits(d) || !kernel_of(d->kernel)) {
        return NULL;
    }
    percepnet_model sizes;
    arena a = {NULL, 0};
    model_init(&sizes, d, &a);
    percepnet_model *model = malloc(sizeof *model + a.used + ARENA_ALIGNMENT);
    if (model) {
        a = arena_behind(model, sizeof *model);
        model_init(model, d, &a);
        model->lookahead_frames = d->lookahead_frames;
    }
    return model;
}

void percepnet_model_destroy(percepnet_model *model) { free(model); }

static void enhancer_init(percepnet_enhancer *e, arena *a) {
    const percepnet_model *model = e->model;
    int channels = e->settings.channels, bands = model->tables.bands.count;
    analysis_init(&e->analysis, bands, model->lookahead_frames, channels, a);
    network_state_init(&e->network, &model->network, a);
    mix_init(&e->mix, bands, channels, a);
    e->enhanced = ARENA_TAKE(a, complex32, channels * BINS);
    e->overlap = ARENA_TAKE(a, float, channels * HOP_SAMPLES);
    e->frame = ARENA_TAKE(a, float, WINDOW_SAMPLES);
}

percepnet_enhancer *percepnet_create(const percepnet_model *model, const percepnet_settings *settings) {
    if (!model || !settings || settings->channels < 1 || settings->channels > CHANNELS_MAX ||
        !(settings->dry >= 0.0f && settings->dry <= 1.0f)) {
        return NULL;
    }
    percepnet_enhancer sizes = {.model = model, .settings = *settings};
    arena a = {NULL, 0};
    enhancer_init(&sizes, &a);
    percepnet_enhancer *e = malloc(sizeof *e + a.used + ARENA_ALIGNMENT);
    if (e) {
        a = arena_behind(e, sizeof *e);
        e->model = model;
        e->settings = *settings;
        enhancer_init(e, &a);
        percepnet_reset(e);
    }
    return e;
}

void percepnet_destroy(percepnet_enhancer *e) { free(e); }

void percepnet_reset(percepnet_enhancer *e) {
    size_t channels = (size_t)e->settings.channels;
    analysis_reset(&e->analysis, e->model->tables.bands.count);
    network_reset(&e->network, &e->model->network);
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

static void hear(percepnet_enhancer *e, const float *x, int64_t stride) {
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
}

static void speak(percepnet_enhancer *e, float *y, int64_t stride) {
    float dry = e->settings.dry;
    for (int channel = 0; channel < e->settings.channels; channel++) {
        complex32 *spectrum = e->enhanced + channel * BINS;
        const complex32 *noisy = e->analysis.spectra + channel * BINS;
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

void percepnet_process(percepnet_enhancer *e, const float *x, float *y, int64_t hops, int64_t stride) {
    const percepnet_model *model = e->model;
    for (int64_t hop = 0; hop < hops; hop++, x += HOP_SAMPLES, y += HOP_SAMPLES) {
        hear(e, x, stride);
        analysis_push(&e->analysis, &model->tables);
        network_step(&model->network, &e->network, e->analysis.features);
        if (!e->settings.comb_filter) {
            memset(e->network.strengths, 0, sizeof(float) * (size_t)model->network.bands);
        }
        mix_spectrum(&e->mix, &model->tables.bands, e->settings.channels, e->analysis.spectra, e->analysis.comb,
                     e->network.gains, e->network.strengths, e->settings.post_filter, e->enhanced);
        speak(e, y, stride);
    }
}

int64_t percepnet_refused_hops(const percepnet_enhancer *e) { return e->refused_hops; }

void percepnet_inspect(const percepnet_enhancer *e, percepnet_frame *frame) {
    frame->noisy = &e->analysis.spectra->re;
    frame->comb = &e->analysis.comb->re;
    frame->enhanced = &e->enhanced->re;
    frame->features = e->analysis.features;
    frame->gains = e->network.gains;
    frame->strengths = e->network.strengths;
    frame->lags = e->analysis.pitch.lags;
    frame->tap_delays = e->analysis.tap_delays;
    frame->tap_weights = e->analysis.tap_weights;
    frame->period_samples = e->analysis.period_samples;
    frame->correlation = e->analysis.pitch_correlation;
}
