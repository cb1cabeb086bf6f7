#include "stream/stream.h"

#include <math.h>
#include <string.h>

#include "error.h"
#include "memory.h"
#include "stream/hops.h"
#include "subnormals.h"

#define RATE_48K_HZ 48000
/* More than any memory has, and few enough that no sum or product of positions overflows. */
#define SAMPLES_MAX ((int64_t)1 << 48)
/* From its beginning, a network that follows levels over seconds decides well after about so many. */
#define WAKING_HOPS 50

const char *percepnet_version(void) { return PERCEPNET_VERSION; }

int32_t percepnet_abi(void) { return PERCEPNET_ABI; }

/* The filters to and from 48 kHz delay by half their length each, on top of the signal path's own delay. */
static int delay_48k_samples(const percepnet_stream *s) {
    int half_width = resampler_half_width_samples(s->options.sample_rate_hz);
    return (s->model->tables.lookahead_frames + 1) * HOP_SAMPLES + 2 * half_width;
}

/* After a call, at most so many samples wait for the rest of their hop, and as many have to have been held back: a call
   ends at any multiple of a block, which is 100 * block / rate hops. */
static int extra_samples(const percepnet_options *o) {
    int64_t step = common_divisor(o->sample_rate_hz, (int64_t)HOPS_PER_SECOND * o->block_samples);
    return (int)((o->sample_rate_hz - step) / HOPS_PER_SECOND);
}

static void set_delays(percepnet_stream *s) {
    int64_t rate_hz = s->options.sample_rate_hz;
    s->hop_max = hop_samples_max(s->options.sample_rate_hz);
    s->path_samples = (int)((delay_48k_samples(s) * rate_hz + RATE_48K_HZ - 1) / RATE_48K_HZ);
    s->extra_samples = extra_samples(&s->options);
}

static void resamplers_init(percepnet_stream *s, arena *a) {
    int rate_hz = s->options.sample_rate_hz, channels = s->options.channels;
    const kernel *k = s->model->tables.kernel;
    /* Rounding up to whole samples is a delay too: the way back starts that much earlier than its first hop. */
    int64_t start = (int64_t)delay_48k_samples(s) * rate_hz - (int64_t)s->path_samples * RATE_48K_HZ;
    if (rate_hz != RATE_48K_HZ) {
        resampler_init(&s->to_48k, rate_hz, RATE_48K_HZ, 0, channels, s->hop_max, k, a);
        resampler_init(&s->from_48k, RATE_48K_HZ, rate_hz, start, channels, HOP_SAMPLES, k, a);
    }
}

#if FAR_ENDS
/* The far end comes to 48 kHz as late as the microphones, so that they stay together. */
static void far_end_init(percepnet_stream *s, arena *a) {
    const analysis_tables *tables = &s->model->tables;
    int rate_hz = s->options.sample_rate_hz;
    echo sizes;
    if (!s->options.far_end) {
        return;
    }
    s->echo = ARENA_TAKE(a, echo, 1);
    echo_init(s->echo ? s->echo : &sizes, s->options.channels, &tables->stft.fft, &s->model->lag_fft, a);
    past_init(&s->far_past, 1, s->hop_max, a);
    s->far_hop = ARENA_TAKE(a, float, HOP_SAMPLES);
    if (rate_hz != RATE_48K_HZ) {
        resampler_init(&s->far_to_48k, rate_hz, RATE_48K_HZ, 0, 1, s->hop_max, tables->kernel, a);
    }
}
#else
static void far_end_init(percepnet_stream *s, arena *a) {
    (void)s;
    (void)a;
}
#endif

static void far_end_reset(percepnet_stream *s) {
    if (!stream_has_far_end(s)) {
        return;
    }
    echo_reset(s->echo);
    past_reset(&s->far_past);
    if (s->options.sample_rate_hz != RATE_48K_HZ) {
        resampler_reset(&s->far_to_48k);
    }
}

static float dry_of(float limit_db) {
    const double nepers = 0.115129254649702284; /* a dB; exp is small where pow is not */
    return limit_db >= 0.0f ? (float)exp(-nepers * (double)limit_db) : 0.0f;
}

static void enhancers_init(percepnet_stream *s, arena *a) {
    const percepnet_options *o = &s->options;
    enhancer_settings settings = {o->comb_filter, o->post_filter, o->one_window, dry_of(o->attenuation_limit_db)};
    enhancer sizes;
    s->enhancers = ARENA_TAKE(a, enhancer, s->decisions);
    for (int i = 0; i < s->decisions; i++) {
        enhancer_init(s->enhancers ? &s->enhancers[i] : &sizes, s->model, o->residual, s->decision_channels, &settings,
                      a);
    }
    if (o->residual) {
        network_work_init(&s->residual_work, &o->residual->network, 1, 1, a);
    }
}

static void stream_init(percepnet_stream *s, const percepnet_model *model, const percepnet_options *options, arena *a) {
    int channels = options->channels;
    s->model = model;
    s->options = *options;
    s->idle = 0;
    s->decisions = options->link_channels ? 1 : channels;
    s->decision_channels = channels / s->decisions;
    set_delays(s);
    enhancers_init(s, a);
    network_work_init(&s->work, &model->network, 1, 1, a);
    resamplers_init(s, a);
    s->echo = NULL;
    far_end_init(s, a);
    past_init(&s->past, channels, s->path_samples + s->hop_max, a);
    s->hop_48k = ARENA_TAKE(a, float, channels * HOP_SAMPLES);
    s->hop = ARENA_TAKE(a, float, channels * (options->residual && s->hop_max < HOP_SAMPLES ? HOP_SAMPLES : s->hop_max));
    s->dry = ARENA_TAKE(a, float, s->hop_max);
    s->rest = ARENA_TAKE(a, float, channels);
    s->left = ARENA_TAKE(a, float, channels * s->extra_samples);
}

static int go_together(const analysis_tables *a, const analysis_tables *b) {
    return a->lookahead_frames == b->lookahead_frames && bands_are_same(&a->bands, &b->bands);
}

static int models_fit(const percepnet_model *model, const percepnet_options *o, percepnet_error *error) {
    const percepnet_model *residual = o->residual;
    int is_echo = residual_serves(model);
    if (is_echo ||
        (residual && (!o->far_end || !residual_serves(residual) || !go_together(&residual->tables, &model->tables)))) {
        error_say(error, "%s: models of echo are for residual, with far_end, the same look-ahead and bands",
                  is_echo ? "model" : "residual");
        return 0;
    }
    return 1;
}

percepnet_stream *percepnet_stream_create(const percepnet_model *model, const percepnet_options *options,
                                          percepnet_error *error) {
    if (!options_fit(options, error) || !models_fit(model, options, error)) {
        return NULL;
    }
    percepnet_stream sizes;
    arena a = {NULL, 0};
    stream_init(&sizes, model, options, &a);
    size_t bytes = arena_start(sizeof sizes) + a.used;
    percepnet_stream *s = memory_take(bytes);
    if (!s) {
        error_say(error, "no memory for a stream of %.0f bytes: give it fewer channels", (double)bytes);
        return NULL;
    }
    a = arena_behind(s, sizeof *s);
    stream_init(s, model, options, &a);
    s->bytes = bytes;
    percepnet_stream_reset(s);
    return s;
}

void percepnet_stream_destroy(percepnet_stream *s) { memory_give_back(s); }

void percepnet_stream_reset(percepnet_stream *s) {
    for (int i = 0; i < s->decisions; i++) {
        enhancer_reset(&s->enhancers[i]);
    }
    if (s->options.sample_rate_hz != RATE_48K_HZ) {
        resampler_reset(&s->to_48k);
        resampler_reset(&s->from_48k);
    }
    past_reset(&s->past);
    far_end_reset(s);
    s->left_samples = s->extra_samples;
    memset(s->left, 0, sizeof(float) * (size_t)s->options.channels * (size_t)s->extra_samples);
    s->bypassed = s->options.bypass || s->idle;
    s->waking_hops = 0;
    s->received = s->taken = s->given = s->refused_hops = 0;
}

size_t percepnet_stream_bytes(const percepnet_stream *s) { return s->bytes; }

int32_t percepnet_stream_latency(const percepnet_stream *s) { return s->path_samples + s->extra_samples; }

int64_t percepnet_stream_ready(const percepnet_stream *s, int64_t samples) {
    int32_t rate_hz = s->options.sample_rate_hz, block = s->options.block_samples;
    if (samples < 0 || samples > SAMPLES_MAX || (block && samples % block)) {
        return PERCEPNET_BAD_LENGTH;
    }
    if (block) {
        return samples;
    }
    return hop_start(rate_hz, hops_whole(rate_hz, s->received + samples)) - hop_start(rate_hz, s->given);
}

int64_t stream_check(const percepnet_stream *s, const void *far, int64_t samples, int64_t capacity) {
    int64_t ready = percepnet_stream_ready(s, samples);
    if (far && !stream_has_far_end(s)) {
        return PERCEPNET_NO_FAR_END;
    }
    return ready > capacity ? PERCEPNET_TOO_SMALL : ready;
}

/* What earlier calls have left comes first. */
static void give_left(percepnet_stream *s) {
    stream_call *call = &s->call;
    int now = s->left_samples < call->wanted ? s->left_samples : (int)call->wanted;
    if (!now) {
        return;
    }
    for (int channel = 0; channel < s->options.channels; channel++) {
        float *left = s->left + (int64_t)channel * s->extra_samples;
        samples_write(call->y, call->y_format, channel, 0, now, left);
        memmove(left, left + now, sizeof(float) * (size_t)(s->left_samples - now));
    }
    call->written = now;
    s->left_samples -= now;
}

void stream_begin(percepnet_stream *s, const stream_call *call) {
    s->call = *call;
    s->call.written = 0;
    give_left(s);
}

void stream_end(percepnet_stream *s) {
    if (s->call.x) {
        past_append(&s->past, s->call.x, s->call.x_format, s->call.samples);
    }
    if (s->call.x && stream_has_far_end(s)) {
        past_append(&s->far_past, s->call.far, s->call.far_format, s->call.samples);
    }
    s->received += s->call.samples;
}

int64_t stream_hops(const percepnet_stream *s) {
    return hops_whole(s->options.sample_rate_hz, s->received + s->call.samples) - s->taken;
}

static void run_hop(percepnet_stream *s) {
    stream_take_hop(s, s->hop_48k, HOP_SAMPLES);
    for (int i = 0; i < s->decisions; i++) {
        float *hop = s->hop_48k + i * s->decision_channels * HOP_SAMPLES;
        enhancer_run(&s->enhancers[i], &s->work, hop, HOP_SAMPLES);
    }
    stream_give_hop(s, s->hop_48k, HOP_SAMPLES);
}

static void run(percepnet_stream *s, percepnet_block *block, const stream_call *call) {
    uint64_t before = subnormals_off();
    stream_begin(s, call);
    if (block && !s->idle) {
        block_run(block, s, stream_hops(s));
    }
    while (stream_hops(s) > 0) {
        if (stream_passes(s)) {
            stream_pass_hop(s);
        } else {
            run_hop(s);
        }
    }
    stream_end(s);
    subnormals_restore(before);
}

static samples_format format_of(const percepnet_stream *s, int int16, int64_t stride) {
    return samples_format_of(int16, s->options.interleaved, s->options.channels, stride);
}

static int64_t process(percepnet_stream *s, percepnet_block *block, int int16, const void *x, const void *far,
                       int64_t samples, int64_t stride, void *y, int64_t capacity) {
    int64_t ready = stream_check(s, far, samples, capacity);
    if (ready == PERCEPNET_BAD_LENGTH || ready == PERCEPNET_NO_FAR_END) {
        return ready;
    }
    if (block && !block_serves(block, s)) {
        return PERCEPNET_OTHER_MODEL;
    }
    if (ready >= 0) {
        stream_call call = {.x = x, .far = far, .y = y, .samples = samples, .wanted = ready};
        call.x_format = format_of(s, int16, stride);
        call.far_format = samples_format_of(int16, 0, 1, 0);
        call.y_format = format_of(s, int16, capacity);
        run(s, block, &call);
    }
    return ready;
}

int64_t percepnet_stream_process(percepnet_stream *s, percepnet_block *block, const float *x, int64_t samples,
                                 int64_t stride, float *y, int64_t capacity) {
    return process(s, block, 0, x, NULL, samples, stride, y, capacity);
}

int64_t percepnet_stream_process_int16(percepnet_stream *s, percepnet_block *block, const int16_t *x, int64_t samples,
                                       int64_t stride, int16_t *y, int64_t capacity) {
    return process(s, block, 1, x, NULL, samples, stride, y, capacity);
}

static int is_sound(const float *x, int64_t count) {
    int wrong = 0;
    for (int64_t i = 0; i < count; i++) {
        wrong |= !(fabsf(x[i]) <= PERCEPNET_PEAK_MAX); /* NaN is not */
    }
    return !wrong;
}

int64_t percepnet_stream_process_sound(percepnet_stream *s, const float *x, int64_t samples, float *y,
                                       int64_t capacity) {
    int64_t ready = stream_check(s, NULL, samples, capacity);
    if (ready >= 0 && !is_sound(x, s->options.channels * samples)) {
        return PERCEPNET_NO_SOUND;
    }
    return ready < 0 ? ready : process(s, NULL, 0, x, NULL, samples, samples, y, capacity);
}

int64_t percepnet_stream_process_far(percepnet_stream *s, percepnet_block *block, const float *x, const float *far,
                                     int64_t samples, int64_t stride, float *y, int64_t capacity) {
    return process(s, block, 0, x, far, samples, stride, y, capacity);
}

int64_t percepnet_stream_process_far_int16(percepnet_stream *s, percepnet_block *block, const int16_t *x,
                                           const int16_t *far, int64_t samples, int64_t stride, int16_t *y,
                                           int64_t capacity) {
    return process(s, block, 1, x, far, samples, stride, y, capacity);
}

/* Silence; or the last sample, where a high-pass takes it away: a step would be heard. */
static void set_rest(percepnet_stream *s) {
    for (int channel = 0; channel < s->options.channels; channel++) {
        s->rest[channel] = 0.0f;
        if (s->model->tables.highpass.is_on && s->received) {
            past_read(&s->past, channel, 1, 1, &s->rest[channel]);
            samples_repair(&s->rest[channel], 1);
        }
    }
}

/* With as much of it as makes hops of all that the delay holds back. */
static int64_t flush(percepnet_stream *s, int int16, void *y, int64_t capacity) {
    int32_t rate_hz = s->options.sample_rate_hz;
    int64_t end = s->received + s->path_samples, out = s->received;
    if (!s->options.block_samples) {
        out = hop_start(rate_hz, s->given);
    }
    int64_t rest = end + s->extra_samples - out;
    if (rest > capacity) {
        return PERCEPNET_TOO_SMALL;
    }
    stream_call call = {.y = y, .wanted = rest, .samples = hop_start(rate_hz, hops_for(rate_hz, end)) - s->received};
    call.y_format = format_of(s, int16, capacity);
    set_rest(s);
    for (int i = 0; i < s->decisions; i++) {
        s->enhancers[i].analysis.has_ended = 1;
    }
    run(s, NULL, &call);
    percepnet_stream_reset(s);
    return rest;
}

int64_t percepnet_stream_flush(percepnet_stream *s, float *y, int64_t capacity) { return flush(s, 0, y, capacity); }

int64_t percepnet_stream_flush_int16(percepnet_stream *s, int16_t *y, int64_t capacity) {
    return flush(s, 1, y, capacity);
}

void percepnet_stream_set_attenuation_limit(percepnet_stream *s, float limit_db) {
    s->options.attenuation_limit_db = limit_db;
    for (int i = 0; i < s->decisions; i++) {
        s->enhancers[i].settings.dry = dry_of(limit_db);
    }
}

void percepnet_stream_set_bypass(percepnet_stream *s, int32_t bypass) {
    s->options.bypass = bypass != 0;
    if (!s->given) { /* nothing to fade from */
        s->bypassed = s->options.bypass || s->idle;
    }
}

void percepnet_stream_set_idle(percepnet_stream *s, int32_t idle) {
    if (stream_passes(s) && !idle) {
        for (int i = 0; i < s->decisions; i++) {
            enhancer_reset(&s->enhancers[i]);
        }
        if (stream_has_far_end(s)) {
            echo_reset(s->echo);
        }
        s->waking_hops = WAKING_HOPS;
    }
    s->idle = idle != 0;
    if (!s->given) {
        s->waking_hops = 0;
        s->bypassed = s->options.bypass || s->idle;
    }
}

int64_t percepnet_stream_refused_hops(const percepnet_stream *s) { return s->refused_hops; }

float percepnet_stream_speech_probability(const percepnet_stream *s) {
    float most = s->enhancers[0].speech;
    for (int i = 1; i < s->decisions; i++) {
        most = s->enhancers[i].speech > most ? s->enhancers[i].speech : most;
    }
    return most;
}

void percepnet_stream_inspect(const percepnet_stream *s, percepnet_frame *frame) {
    const enhancer *e = &s->enhancers[0];
    frame->noisy = &e->analysis.spectra->re;
    frame->comb = &analysis_comb(&e->analysis)->re;
    frame->unturned = &e->analysis.frame.unturned->re;
    frame->combs = &e->analysis.frame.combs->re;
    frame->windows = e->analysis.windows->count;
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
