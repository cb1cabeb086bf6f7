/* What streams promise: core/check.sh builds and runs it under the sanitizers. */

#include <float.h>
#include <math.h>
#include <string.h>

#include "percepnet.h"
#include "signal/constants.h"
#include "testing.h"

static const int32_t RATES_HZ[] = {48000, 16000, 8000, 8001, 44100, 44101, 96000, 192000};
#define RATES (sizeof RATES_HZ / sizeof *RATES_HZ)

static percepnet_options options_for(int32_t rate_hz, int32_t channels) {
    percepnet_options o;
    percepnet_options_init(&o);
    o.sample_rate_hz = rate_hz;
    o.channels = channels;
    return o;
}

static percepnet_stream *stream_of(const percepnet_model *model, const percepnet_options *o) {
    percepnet_error error = {""};
    percepnet_stream *s = percepnet_stream_create(model, o, &error);
    check(s != NULL, error.message);
    return s;
}

/* A stream's options, and what it is given: planar, and of int16 in steps of 1/32768. */
typedef struct scene {
    percepnet_options options;
    int int16;
    int samples; /* of each channel */
    float *x;    /* channels * samples */
} scene;

static scene scene_of(percepnet_options o, int int16, int hops) {
    scene s = {.options = o, .int16 = int16, .samples = o.sample_rate_hz / 100 * hops + 17};
    if (o.block_samples) {
        s.samples -= s.samples % o.block_samples;
    }
    s.x = allocate(sizeof(float) * (size_t)(o.channels * s.samples));
    for (int c = 0; c < o.channels; c++) {
        voice(s.x + c * s.samples, s.samples, o.sample_rate_hz);
        for (int n = 0; n < s.samples; n++) {
            float *x = &s.x[c * s.samples + n];
            *x = c ? -0.5f * *x : *x;
            *x = int16 ? floorf(*x * 32768.0f) / 32768.0f : *x;
        }
    }
    return s;
}

static void put(void *at, int int16, int64_t i, float x) {
    if (int16) {
        ((int16_t *)at)[i] = (int16_t)(x * 32768.0f);
    } else {
        ((float *)at)[i] = x;
    }
}

static float get(const void *at, int int16, int64_t i) {
    return int16 ? (float)((const int16_t *)at)[i] / 32768.0f : ((const float *)at)[i];
}

/* A chunk in memory of its own, as large as the call may touch and no larger. */
typedef struct buffers {
    void *x, *y;
    int64_t samples, stride, capacity;
} buffers;

static int64_t place(const scene *s, int64_t stride, int channel, int64_t n) {
    return s->options.interleaved ? n * s->options.channels + channel : channel * stride + n;
}

static buffers buffers_of(const scene *s, int64_t from, int64_t samples, int64_t capacity, int spare) {
    int channels = s->options.channels;
    size_t size = s->int16 ? sizeof(int16_t) : sizeof(float);
    buffers b = {NULL, NULL, samples, samples + (s->options.interleaved ? 0 : spare), capacity};
    int64_t count = samples ? (channels - 1) * b.stride + samples : 0;
    b.x = malloc(count ? (size_t)count * size : 1);
    b.y = malloc(capacity ? (size_t)(channels * capacity) * size : 1);
    for (int c = 0; c < channels; c++) {
        for (int64_t n = 0; n < samples; n++) {
            put(b.x, s->int16, place(s, b.stride, c, n), s->x[c * s->samples + from + n]);
        }
    }
    return b;
}

static void buffers_take(const scene *s, buffers *b, int64_t ready, float *y, int64_t length, int64_t at) {
    for (int c = 0; c < s->options.channels; c++) {
        for (int64_t n = 0; n < ready; n++) {
            y[c * length + at + n] = get(b->y, s->int16, place(s, b->capacity, c, n));
        }
    }
    free(b->x);
    free(b->y);
}

static int64_t call(percepnet_stream *stream, percepnet_block *block, const scene *s, const buffers *b) {
    return s->int16 ? percepnet_stream_process_int16(stream, block, b->x, b->samples, b->stride, b->y, b->capacity)
                    : percepnet_stream_process(stream, block, b->x, b->samples, b->stride, b->y, b->capacity);
}

/* Samples `from` up to `to`, in pieces of at most `piece_max` samples, of random length if that is not all. */
static int64_t feed(percepnet_stream *stream, percepnet_block *block, const scene *s, int from, int to, int piece_max,
                    float *y, int64_t length, int64_t at) {
    int step = s->options.block_samples ? s->options.block_samples : 1;
    for (int done = from; done < to;) {
        int left = (to - done) / step, piece = left;
        if (piece_max / step < left) {
            piece = (int)((uniform() + 1.0f) * 0.5f * (float)(piece_max / step));
        }
        int64_t expected = percepnet_stream_ready(stream, piece * step);
        check(expected <= PERCEPNET_READY_MAX(piece * step, s->options.sample_rate_hz), "the bound of samples holds");
        buffers b = buffers_of(s, done, piece * step, expected, piece % 4);
        int64_t ready = call(stream, block, s, &b);
        check(ready == expected, "a call gives as many samples as it said");
        buffers_take(s, &b, ready, y, length, at);
        at += ready;
        done += piece * step;
    }
    return at;
}

static int64_t end(percepnet_stream *stream, const scene *s, float *y, int64_t length, int64_t at) {
    int64_t capacity = length - at;
    buffers b = buffers_of(s, 0, 0, capacity, 0);
    int64_t short_by_one = capacity - 1;
    check((s->int16 ? percepnet_stream_flush_int16(stream, b.y, short_by_one)
                    : percepnet_stream_flush(stream, b.y, short_by_one)) == PERCEPNET_TOO_SMALL,
          "a flush without room is refused");
    int64_t ready =
        s->int16 ? percepnet_stream_flush_int16(stream, b.y, capacity) : percepnet_stream_flush(stream, b.y, capacity);
    check(ready == capacity, "as many samples come out as went in, and latency more");
    buffers_take(s, &b, ready, y, length, at);
    return at + ready;
}

static int64_t length_of(const scene *s, const percepnet_stream *stream) {
    return s->samples + percepnet_stream_latency(stream);
}

static float *room_for(const scene *s, const percepnet_stream *stream) {
    return allocate(sizeof(float) * (size_t)(s->options.channels * length_of(s, stream)));
}

/* All of it, and the flush. */
static float *enhance(percepnet_stream *stream, percepnet_block *block, const scene *s, int piece_max) {
    float *y = room_for(s, stream);
    int64_t length = length_of(s, stream);
    end(stream, s, y, length, feed(stream, block, s, 0, s->samples, piece_max, y, length, 0));
    return y;
}

static int same(const float *a, const float *b, int64_t count) { return !memcmp(a, b, sizeof(float) * (size_t)count); }

/* ---- However it is cut ---- */

static void test_formats(const percepnet_model *model, const scene *s, const float *whole, int64_t length) {
    int channels = s->options.channels;
    scene other = *s;
    other.options.interleaved = 1;
    percepnet_stream *stream = stream_of(model, &other.options);
    float *y = enhance(stream, NULL, &other, 700);
    check(same(y, whole, channels * length), "interleaved samples give the same bits");
    percepnet_stream_destroy(stream);
    free(y);
    for (int interleaved = 0; interleaved < 2; interleaved++) {
        other = scene_of(s->options, 1, 30);
        other.options.interleaved = interleaved;
        stream = stream_of(model, &other.options);
        other.int16 = 0;
        float *floats = enhance(stream, NULL, &other, 1 << 30);
        other.int16 = 1;
        y = enhance(stream, NULL, &other, 900);
        int rounded = 1;
        for (int64_t n = 0; n < channels * length; n++) {
            rounded &= y[n] == fminf(fmaxf(rintf(floats[n] * 32768.0f), -32768.0f), 32767.0f) / 32768.0f;
        }
        check(rounded, "16-bit samples are those of floats, rounded");
        percepnet_stream_destroy(stream);
        free(floats);
        free(y);
        free(other.x);
    }
}

static void test_cuts(const percepnet_model *model, int32_t rate_hz, int channels, int linked) {
    percepnet_options o = options_for(rate_hz, channels);
    o.link_channels = linked;
    o.post_filter = 1;
    o.attenuation_limit_db = 26.0f;
    scene s = scene_of(o, 0, 30);
    percepnet_stream *stream = stream_of(model, &o);
    int64_t length = length_of(&s, stream);
    float *whole = enhance(stream, NULL, &s, 1 << 30), peak = 0.0f;
    for (int64_t n = 0; n < channels * length; n++) {
        peak = fmaxf(peak, fabsf(whole[n]));
    }
    check(peak > 1e-3f && peak < 5.0f, "a voice comes out as a signal");
    check(percepnet_stream_refused_hops(stream) == 0, "no hop of a voice is refused");
    for (int piece = 40; piece < 20000; piece *= 9) {
        float *y = enhance(stream, NULL, &s, piece);
        check(same(y, whole, channels * length), "chunks of any length give the same bits");
        free(y);
    }
    for (int hops = 1; hops <= 40; hops = 3 * hops + 1) {
        percepnet_block *block = percepnet_block_create(model, channels + hops % 2, hops, NULL);
        float *y = enhance(stream, block, &s, hops < 10 ? 1 << 30 : 9000);
        check(same(y, whole, channels * length), "blocks give the same bits as single hops");
        percepnet_block_destroy(block);
        free(y);
        block = percepnet_block_create_threaded(model, channels, hops, NULL);
        y = enhance(stream, block, &s, hops < 10 ? 1 << 30 : 9000);
        check(same(y, whole, channels * length), "blocks with a second thread give the same bits");
        percepnet_block_destroy(block);
        free(y);
    }
    float *y = room_for(&s, stream);
    feed(stream, NULL, &s, 0, s.samples / 2, 1 << 30, y, length, 0);
    percepnet_stream_reset(stream);
    free(y);
    y = enhance(stream, NULL, &s, 1 << 30);
    check(same(y, whole, channels * length), "a stream begins anew");
    percepnet_stream_destroy(stream);
    free(y);
    test_formats(model, &s, whole, length);
    free(whole);
    free(s.x);
}

/* ---- Time ---- */

/* With a limit of 0 dB a tone comes out as it was, as late as the latency says. */
static void test_alignment(const percepnet_model *model, int32_t rate_hz) {
    percepnet_options o = options_for(rate_hz, 1);
    o.attenuation_limit_db = 0.0f;
    scene s = scene_of(o, 0, 30);
    const double two_pi = 6.283185307179586476925;
    for (int n = 0; n < s.samples; n++) {
        s.x[n] = (float)(0.5 * sin(two_pi * 1234.0 * n / rate_hz));
    }
    percepnet_stream *stream = stream_of(model, &o);
    float *y = enhance(stream, NULL, &s, 1 << 30);
    double error = 0.0;
    for (int n = rate_hz / 20; n < s.samples - rate_hz / 20; n++) {
        error = fmax(error, fabs(y[n + percepnet_stream_latency(stream)] - s.x[n]));
    }
    check(error < 3e-5, "the output is as late as the latency says");
    percepnet_stream_destroy(stream);
    free(y);
    free(s.x);
}

static int gcd(int a, int b) { return b ? gcd(b, a % b) : a; }

/* Exactly as much comes out as goes in, as late as has to be. */
static void test_block_samples(const percepnet_model *model, int32_t rate_hz, int32_t block_samples) {
    percepnet_options o = options_for(rate_hz, 2);
    percepnet_stream *plain = stream_of(model, &o);
    o.block_samples = block_samples;
    scene s = scene_of(o, 0, 20);
    percepnet_stream *stream = stream_of(model, &o);
    int hop = (rate_hz + 99) / 100, extra = rate_hz % 100 ? hop - 1 : hop - gcd(hop, block_samples);
    int later = percepnet_stream_latency(stream) - percepnet_stream_latency(plain);
    check(later == extra, "the extra delay is as small as can be");
    int64_t length = length_of(&s, stream), plain_length = length - extra;
    float *y = enhance(stream, NULL, &s, 5 * block_samples);
    s.options.block_samples = 0;
    float *expected = enhance(plain, NULL, &s, 1 << 30);
    s.options = o;
    int equal = 1;
    for (int c = 0; c < 2; c++) {
        for (int n = 0; n < extra; n++) {
            equal &= y[c * length + n] == 0.0f;
        }
        equal &= same(y + c * length + extra, expected + c * plain_length, plain_length);
    }
    check(equal, "blocks of samples are the stream, later");
    if (block_samples > 1) {
        float none[1];
        check(percepnet_stream_process(stream, NULL, s.x, 1, s.samples, none, 1) == PERCEPNET_BAD_LENGTH &&
                  percepnet_stream_ready(stream, 1) == PERCEPNET_BAD_LENGTH,
              "a chunk that is no multiple is refused");
    }
    percepnet_stream_destroy(plain);
    percepnet_stream_destroy(stream);
    free(expected);
    free(y);
    free(s.x);
}

/* ---- While it runs ---- */

static int is_input(const scene *s, const float *y, int64_t length, int latency, int64_t from, int64_t to) {
    int equal = 1;
    for (int c = 0; c < s->options.channels; c++) {
        for (int64_t n = from; n < to; n++) {
            float x = n >= latency ? s->x[c * s->samples + n - latency] : 0.0f;
            equal &= !memcmp(&y[c * length + n], isfinite(x) && fabsf(x) <= 1e4f ? &x : &(float){0.0f}, sizeof x);
        }
    }
    return equal;
}

static void test_bypass(const percepnet_model *model, int32_t rate_hz, int int16, int32_t block_samples) {
    percepnet_options o = options_for(rate_hz, 2);
    o.block_samples = block_samples;
    o.bypass = 1;
    scene s = scene_of(o, int16, 24);
    if (!int16) {
        s.x[900] = NAN;
        s.x[901] = 2e4f;
        s.x[902] = FLT_MIN / 8.0f;
        s.x[903] = -0.0f;
    }
    percepnet_stream *stream = stream_of(model, &o);
    percepnet_block *block = percepnet_block_create(model, 2, 16, NULL);
    int latency = percepnet_stream_latency(stream);
    int64_t length = length_of(&s, stream);
    float *bypassed = enhance(stream, block, &s, 4000);
    check(is_input(&s, bypassed, length, latency, 0, s.samples), "bypass is the input to the bit");
    percepnet_stream_set_bypass(stream, 0);
    percepnet_stream_reset(stream);
    float *enhanced = enhance(stream, NULL, &s, 1 << 30), *y = room_for(&s, stream);

    /* on and off again: outside of two hops it is one or the other, and inside on the line between them */
    int hop = (rate_hz + 99) / 100, step = block_samples ? block_samples : 1;
    int on = 6 * hop / step * step, off = 15 * hop / step * step;
    int64_t at = feed(stream, NULL, &s, 0, on, 600, y, length, 0), changed = at;
    percepnet_stream_set_bypass(stream, 1);
    at = feed(stream, NULL, &s, on, off, 600, y, length, at);
    int64_t changed_back = at;
    percepnet_stream_set_bypass(stream, 0);
    end(stream, &s, y, length, feed(stream, NULL, &s, off, s.samples, 600, y, length, at));
    int equal = 1, between = 1;
    for (int c = 0; c < 2; c++) {
        const float *e = enhanced + c * length, *b = bypassed + c * length, *z = y + c * length;
        int64_t dry = changed + 2 * hop, wet = changed_back + 2 * hop;
        equal &= same(z, e, changed) && same(z + dry, b + dry, changed_back - dry);
        equal &= same(z + wet, e + wet, length - wet);
        for (int64_t n = 0; n < length; n++) {
            float low = fminf(e[n], b[n]), high = fmaxf(e[n], b[n]);
            between &= z[n] >= low - 4e-5f && z[n] <= high + 4e-5f;
        }
    }
    check(equal, "bypass comes and goes to the bit");
    check(between, "and in between lies between");
    percepnet_block_destroy(block);
    percepnet_stream_destroy(stream);
    free(bypassed);
    free(enhanced);
    free(y);
    free(s.x);
}

/* The line between them is straight: of a constant that the enhanced signal does not have, all of it is to be seen. */
static void test_crossfade(const percepnet_model *model) {
    percepnet_options o = options_for(48000, 1);
    scene s = scene_of(o, 0, 20);
    percepnet_stream *stream = stream_of(model, &o);
    int64_t length = length_of(&s, stream), at = 10 * HOP_SAMPLES;
    float *enhanced = enhance(stream, NULL, &s, 1 << 30), *y = room_for(&s, stream);
    feed(stream, NULL, &s, 0, (int)at, 1 << 30, y, length, 0);
    percepnet_stream_set_bypass(stream, 1);
    feed(stream, NULL, &s, (int)at, s.samples, 1 << 30, y, length, at);
    double error = 0.0;
    for (int n = 0; n < HOP_SAMPLES; n++) {
        float dry = s.x[at + n - percepnet_stream_latency(stream)], wet = enhanced[at + n];
        error = fmax(error, fabs(y[at + n] - (wet + (n + 1) / 480.0 * (dry - wet))));
    }
    check(error < 1e-6, "bypass fades in along a straight line of one hop");
    percepnet_stream_destroy(stream);
    free(enhanced);
    free(y);
    free(s.x);
}

/* Two windows that add up to one carry the change of the limit, so that it takes two hops. */
static void test_limit(const percepnet_model *model, int linked) {
    percepnet_options o = options_for(48000, 2);
    o.link_channels = linked;
    scene s = scene_of(o, 0, 20);
    percepnet_stream *stream = stream_of(model, &o);
    int64_t length = length_of(&s, stream), at = 8 * HOP_SAMPLES;
    float *free_of = enhance(stream, NULL, &s, 1 << 30), *y = room_for(&s, stream);
    percepnet_stream_set_attenuation_limit(stream, 3.0f);
    float *limited = enhance(stream, NULL, &s, 1 << 30);
    percepnet_stream_set_attenuation_limit(stream, -20.0f);
    feed(stream, NULL, &s, 0, (int)at, 1 << 30, y, length, 0);
    percepnet_stream_set_attenuation_limit(stream, 3.0f);
    end(stream, &s, y, length, feed(stream, NULL, &s, (int)at, s.samples, 1 << 30, y, length, at));
    int equal = 1, between = 1;
    for (int c = 0; c < 2; c++) {
        const float *a = free_of + c * length, *b = limited + c * length, *z = y + c * length;
        int64_t then = at + HOP_SAMPLES, whole = s.samples / HOP_SAMPLES * HOP_SAMPLES;
        equal &= same(z, a, at) && same(z + then, b + then, whole - then);
        between &= fabsf(z[at] - a[at]) < 1e-3f * (1e-3f + fabsf(b[at] - a[at])) + 1e-6f;
    }
    check(equal, "a limit changes while the stream runs, and nothing else does");
    check(between, "and begins where it was");
    percepnet_stream_destroy(stream);
    free(free_of);
    free(limited);
    free(y);
    free(s.x);
}

/* ---- What is no audio ---- */

static void test_refused(const percepnet_model *model, int32_t rate_hz, int linked) {
    percepnet_options o = options_for(rate_hz, 2);
    o.link_channels = linked;
    scene s = scene_of(o, 0, 24);
    percepnet_stream *stream = stream_of(model, &o);
    const float bad[] = {NAN, INFINITY, -1.1e4f};
    int hop_start[3], hop_end[3];
    for (int i = 0; i < 3; i++) {
        int64_t hop = 4 + 5 * i;
        hop_start[i] = (int)((hop * rate_hz + 99) / 100);
        hop_end[i] = (int)(((hop + 1) * rate_hz + 99) / 100);
    }
    int64_t length = length_of(&s, stream);
    for (int i = 0; i < 3; i++) { /* the first sample of a hop, and the last */
        s.x[i == 1 ? hop_start[i] : hop_end[i] - 1] = bad[i];
    }
    float *y = room_for(&s, stream);
    feed(stream, NULL, &s, 0, s.samples, 300, y, length, 0);
    check(percepnet_stream_refused_hops(stream) == 3, "hops that are no audio are counted");
    percepnet_stream_reset(stream);
    check(percepnet_stream_refused_hops(stream) == 0, "from the beginning of a stream");
    free(y);
    y = enhance(stream, NULL, &s, 300);
    for (int i = 0; i < 3; i++) {
        for (int c = 0; c < 1 + linked; c++) {
            memset(s.x + c * s.samples + hop_start[i], 0, sizeof(float) * (size_t)(hop_end[i] - hop_start[i]));
        }
    }
    float *silent = enhance(stream, NULL, &s, 1 << 30);
    check(same(y, silent, 2 * length), "and are silence, of their decision and of no other");
    for (int n = 0; n < 2 * s.samples; n++) {
        s.x[n] = uniform() > 0.0f ? 1e4f : -1e4f;
    }
    free(y);
    y = enhance(stream, NULL, &s, 1 << 30);
    int finite = 1;
    for (int64_t n = 0; n < 2 * length; n++) {
        finite &= fabsf(y[n]) < 2e5f;
    }
    check(finite, "the loudest input stays finite");
    percepnet_stream_destroy(stream);
    free(y);
    free(silent);
    free(s.x);
}

/* ---- Many at once ---- */

enum { STREAMS = 7 };

static void mixed_scenes(scene *all) {
    static const int32_t rates_hz[STREAMS] = {48000, 16000, 44100, 44101, 48000, 8000, 96000};
    for (int i = 0; i < STREAMS; i++) {
        percepnet_options o = options_for(rates_hz[i], 1 + i % 3);
        o.link_channels = i != 1 && i != 2;
        o.interleaved = i % 2;
        o.block_samples = i == 4 ? 128 : i == 5 ? 1 : 0;
        o.attenuation_limit_db = (float)(6 * i);
        all[i] = scene_of(o, i % 2 == 0, 20);
    }
}

typedef struct turn {
    buffers b[STREAMS];
    percepnet_chunk chunks[STREAMS];
} turn;

static void turn_begin(turn *t, const scene *all, percepnet_stream *const *streams, const int *done) {
    for (int i = 0; i < STREAMS; i++) {
        const scene *s = &all[i];
        int step = s->options.block_samples ? s->options.block_samples : 1, left = (s->samples - done[i]) / step;
        int samples = (int)((uniform() + 1.0f) * (float)(s->options.sample_rate_hz / 60 / step));
        samples = step * (samples < left ? samples : left);
        t->b[i] = buffers_of(s, done[i], samples, percepnet_stream_ready(streams[i], samples), i % 4);
        percepnet_chunk c = {streams[i],       t->b[i].x, t->b[i].y, samples, t->b[i].stride,
                             t->b[i].capacity, s->int16,  -9,        NULL};
        t->chunks[i] = c;
    }
}

static void test_batch(const percepnet_model *model, const percepnet_model *other, int decisions) {
    scene all[STREAMS];
    percepnet_stream *streams[STREAMS];
    float *y[STREAMS], *alone[STREAMS];
    int done[STREAMS] = {0}, running = 1;
    int64_t at[STREAMS] = {0};
    percepnet_batch *batch = percepnet_batch_create(model, decisions, NULL),
                    *stranger = percepnet_batch_create(other, 1, NULL);
    mixed_scenes(all);
    for (int i = 0; i < STREAMS; i++) {
        streams[i] = stream_of(model, &all[i].options);
        alone[i] = enhance(streams[i], NULL, &all[i], 1 << 30);
        y[i] = room_for(&all[i], streams[i]);
    }
    while (running) {
        turn t;
        turn_begin(&t, all, streams, done);
        int last = STREAMS - 1, refusable = t.chunks[last].capacity > 0;
        t.chunks[last].capacity -= refusable;
        int32_t refused = percepnet_batch_process(batch, t.chunks, STREAMS);
        check(!refusable || (refused == PERCEPNET_TOO_SMALL && t.chunks[last].ready == PERCEPNET_TOO_SMALL &&
                             t.chunks[0].ready == 0),
              "a batch without room for one is refused");
        t.chunks[last].capacity += refusable;
        refused = percepnet_batch_process(stranger, t.chunks, STREAMS);
        check(refused == PERCEPNET_OTHER_MODEL, "and one of another model");
        if (refusable) {
            check(percepnet_batch_process(batch, t.chunks, STREAMS) == 0, "a batch is taken");
        }
        running = 0;
        for (int i = 0; i < STREAMS; i++) {
            if (!refusable) { /* it was taken the first time, and its results are those */
                t.chunks[i].ready = t.chunks[i].capacity;
            }
            check(t.chunks[i].ready == t.chunks[i].capacity, "as many samples as the stream said");
            buffers_take(&all[i], &t.b[i], t.chunks[i].ready, y[i], length_of(&all[i], streams[i]), at[i]);
            at[i] += t.chunks[i].ready;
            done[i] += (int)t.chunks[i].samples;
            running |= done[i] < all[i].samples;
        }
    }
    for (int i = 0; i < STREAMS; i++) {
        int64_t length = length_of(&all[i], streams[i]);
        end(streams[i], &all[i], y[i], length, at[i]);
        check(same(y[i], alone[i], all[i].options.channels * length), "a batch gives the bits of each stream alone");
        percepnet_stream_destroy(streams[i]);
        free(y[i]);
        free(alone[i]);
        free(all[i].x);
    }
    percepnet_batch_destroy(stranger);
    percepnet_batch_destroy(batch);
}

/* ---- Refusals ---- */

static void refuse_option(const percepnet_model *model, percepnet_options o, const char *name) {
    percepnet_error error = {""};
    check(!percepnet_stream_create(model, &o, &error) && !strncmp(error.message, name, strlen(name)), name);
    check(!percepnet_stream_create(model, &o, NULL), name);
}

static void test_options(const percepnet_model *model) {
    static const int32_t bad[] = {INT32_MIN, -1, 0, 7999, 192001, INT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        refuse_option(model, options_for(bad[i], 1), "sample_rate_hz");
    }
    refuse_option(model, options_for(48000, 0), "channels");
    refuse_option(model, options_for(48000, 1025), "channels");
    percepnet_options o = options_for(48000, 1), wrong;
    wrong = o, wrong.link_channels = 2, refuse_option(model, wrong, "link_channels");
    wrong = o, wrong.interleaved = -1, refuse_option(model, wrong, "interleaved");
    wrong = o, wrong.comb_filter = 2, refuse_option(model, wrong, "comb_filter");
    wrong = o, wrong.post_filter = 2, refuse_option(model, wrong, "post_filter");
    wrong = o, wrong.one_window = 2, refuse_option(model, wrong, "one_window");
    wrong = o, wrong.bypass = 2, refuse_option(model, wrong, "bypass");
    wrong = o, wrong.attenuation_limit_db = NAN, refuse_option(model, wrong, "attenuation_limit_db");
    wrong = o, wrong.attenuation_limit_db = -3.0f, refuse_option(model, wrong, "attenuation_limit_db");
    wrong = o, wrong.block_samples = -1, refuse_option(model, wrong, "block_samples");
    percepnet_error error;
    percepnet_stream_create(model, &(percepnet_options){.sample_rate_hz = 7999}, &error);
    check(!strcmp(error.message, "sample_rate_hz is 7999: give 8000 to 192000"), "an error says what to do");
    check(!percepnet_block_create(model, 1, 0, NULL) && !percepnet_block_create(model, 0, 4, NULL) &&
              !percepnet_block_create(model, 1, 1025, NULL) && !percepnet_block_create(model, 1025, 1, NULL),
          "no block is refused");
    check(!percepnet_batch_create(model, 0, NULL) && !percepnet_batch_create(model, 1025, NULL), "no batch is refused");
    check(!strcmp(percepnet_version(), PERCEPNET_VERSION), "the version is the header's");
    check(percepnet_abi() == PERCEPNET_ABI, "and the ABI");
}

/* A call that is refused has not been. */
static void test_refused_calls(const percepnet_model *model, const percepnet_model *other) {
    percepnet_options o = options_for(16000, 2);
    scene s = scene_of(o, 0, 12);
    percepnet_stream *stream = stream_of(model, &o);
    percepnet_block *narrow = percepnet_block_create(model, 1, 8, NULL),
                    *strange = percepnet_block_create(other, 2, 8, NULL);
    int64_t length = length_of(&s, stream);
    float *whole = enhance(stream, NULL, &s, 1 << 30), *y = room_for(&s, stream), z[2];
    int half = s.samples / 2;
    int64_t at = feed(stream, NULL, &s, 0, half, 1 << 30, y, length, 0);
    check(percepnet_stream_process(stream, NULL, s.x, 400, s.samples, z, 1) == PERCEPNET_TOO_SMALL, "too small");
    check(percepnet_stream_process(stream, NULL, s.x, -1, s.samples, z, 1) == PERCEPNET_BAD_LENGTH, "backwards");
    check(percepnet_stream_process(stream, NULL, s.x, INT64_MAX, s.samples, z, 1) == PERCEPNET_BAD_LENGTH, "for ever");
    check(percepnet_stream_process(stream, NULL, s.x, 400, s.samples, z, -1) == PERCEPNET_TOO_SMALL, "less than none");
    check(percepnet_stream_process(stream, narrow, s.x, 400, s.samples, z, 1) == PERCEPNET_OTHER_MODEL, "too narrow");
    check(percepnet_stream_process(stream, strange, s.x, 400, s.samples, z, 1) == PERCEPNET_OTHER_MODEL, "a stranger");
    check(percepnet_stream_process(stream, NULL, NULL, 0, 0, NULL, 0) == 0, "nothing is nothing");
    static const float unsound[] = {NAN, INFINITY, -INFINITY, 100.1f, -100.1f};
    for (size_t i = 0; i < sizeof unsound / sizeof *unsound; i++) {
        float chunk[34] = {[33] = unsound[i]}; /* the last sample of the second channel */
        check(percepnet_stream_process_sound(stream, chunk, 17, z, 160) == PERCEPNET_NO_SOUND, "no sound");
    }
    check(percepnet_stream_process_sound(stream, s.x, 400, z, 1) == PERCEPNET_TOO_SMALL, "too small for a sound");
    check(percepnet_stream_process_sound(stream, s.x, -1, z, 1) == PERCEPNET_BAD_LENGTH, "a sound backwards");
    end(stream, &s, y, length, feed(stream, NULL, &s, half, s.samples, 1 << 30, y, length, at));
    check(same(y, whole, 2 * length), "calls that are refused have not been");
    percepnet_stream_destroy(stream);
    percepnet_block_destroy(narrow);
    percepnet_block_destroy(strange);
    percepnet_stream_destroy(NULL);
    percepnet_block_destroy(NULL);
    percepnet_batch_destroy(NULL);
    percepnet_analyser_destroy(NULL);
    free(whole);
    free(y);
    free(s.x);
}

/* ---- Inside ---- */

static void test_analyser(const percepnet_model *model, int lookahead_frames, float highpass_hz) {
    enum { CHANNELS = 2, HOPS = 12, FEATURES = 2 * BANDS + 2 };
    percepnet_options o = options_for(48000, CHANNELS);
    scene s = scene_of(o, 0, HOPS);
    percepnet_stream *stream = stream_of(model, &o);
    percepnet_signal signal = {lookahead_frames, BANDS, EDGES, highpass_hz, "band_levels coherences pitch"};
    percepnet_analyser *analyser = percepnet_analyser_create(&signal, CHANNELS, NULL);
    const int windows = percepnet_analyser_windows(analyser), given = windows * CHANNELS * 962;
    const size_t spectra = sizeof(float) * CHANNELS * 962;
    float y[CHANNELS * 480], *noisy = allocate(spectra), *comb = allocate(spectra);
    float *unturned = allocate(sizeof(float) * (size_t)given), *combs = allocate(sizeof(float) * (size_t)given);
    float features[FEATURES], period, correlation, weights[11];
    double delays[11];
    percepnet_analysis results = {noisy, comb, unturned, combs, features, &period, &correlation, delays, weights};
    percepnet_frame frame;
    percepnet_stream_inspect(stream, &frame);
    check(frame.features[0] == 0.0f && frame.gains[0] == 0.0f && frame.noisy[1] == 0.0f, "at first all is zero");
    check(percepnet_stream_speech_probability(stream) == -1.0f, "nobody has said whether it is speech");
    check(percepnet_analyser_features(analyser) == FEATURES, "features are counted");
    int equal = 1;
    for (int hop = 0; hop < HOPS; hop++) {
        percepnet_stream_process(stream, NULL, s.x + hop * 480, 480, s.samples, y, 480);
        percepnet_stream_inspect(stream, &frame);
        percepnet_analyse(analyser, s.x + hop * 480, 1, s.samples, NULL, &results);
        equal &= same(features, frame.features, FEATURES) && same(noisy, frame.noisy, CHANNELS * 962);
        equal &= same(unturned, frame.unturned, given) && same(combs, frame.combs, given);
        equal &= same(comb, frame.comb, CHANNELS * 962) && period == frame.period_samples;
    }
    check(equal, "an analyser finds what a stream does");
    check(windows == frame.windows && windows == (highpass_hz > 0.0f && lookahead_frames >= 2 ? 3 : 1), "its windows");
    percepnet_analyser_reset(analyser);
    results.unturned = results.combs = NULL;
    percepnet_analyse(analyser, s.x, 1, s.samples, NULL, &results);
    percepnet_stream_reset(stream);
    percepnet_stream_process(stream, NULL, s.x, 480, s.samples, y, 480);
    percepnet_stream_inspect(stream, &frame);
    check(same(features, frame.features, FEATURES), "features need nothing that is given out");
    percepnet_error error;
    percepnet_signal wrong = signal;
    wrong.lookahead_frames = 4;
    check(!percepnet_analyser_create(&wrong, 1, &error) && strstr(error.message, "lookahead_frames"), "look-ahead");
    wrong = signal, wrong.bands = 482;
    check(!percepnet_analyser_create(&wrong, 1, &error) && strstr(error.message, "bands"), "bands");
    wrong = signal, wrong.band_edges = EDGES + 1;
    check(!percepnet_analyser_create(&wrong, 1, &error) && strstr(error.message, "band_edges"), "edges");
    wrong = signal, wrong.features = "horoscope";
    check(!percepnet_analyser_create(&wrong, 1, &error) && strstr(error.message, "features"), "features");
    check(!percepnet_analyser_create(&signal, 0, &error) && strstr(error.message, "channels"), "channels");
    percepnet_analyser_destroy(analyser);
    percepnet_stream_destroy(stream);
    free(noisy);
    free(comb);
    free(unturned);
    free(combs);
    free(s.x);
}

/* The caller's own small numbers are still there afterwards. */
static void test_subnormals(const percepnet_model *model) {
    percepnet_options o = options_for(16000, 1);
    percepnet_stream *stream = stream_of(model, &o);
    float x[1600], y[PERCEPNET_READY_MAX(1600, 16000)];
    for (int n = 0; n < 1600; n++) {
        x[n] = FLT_MIN * uniform();
    }
    check(percepnet_stream_process(stream, NULL, x, 1600, 1600, y, 1600) == 1600, "subnormal numbers are audio");
    volatile float smallest = FLT_MIN;
    check(smallest / 2.0f > 0.0f, "the caller's setting comes back");
    percepnet_stream_destroy(stream);
}

int main(void) {
    percepnet_model *model = test_model(2), *other = test_model(0);
    for (size_t i = 0; i < RATES; i++) {
        test_cuts(model, RATES_HZ[i], 1 + (int)i % 3, i % 2 == 0);
        test_alignment(model, RATES_HZ[i]);
        test_bypass(model, RATES_HZ[i], (int)i % 2, i % 3 ? 0 : 160);
        test_refused(model, RATES_HZ[i], (int)i % 2);
        test_block_samples(model, RATES_HZ[i], 1);
        test_block_samples(model, RATES_HZ[i], 128);
    }
    test_block_samples(model, 48000, 480);
    test_block_samples(model, 48000, 1024);
    test_bypass(model, 48000, 1, 0);
    for (int i = 0; i <= 2 * LOOKAHEAD_FRAMES_MAX + 1; i++) {
        int lookahead_frames = i / 2, has_highpass = i % 2;
        percepnet_model *each = has_highpass ? test_model_highpass(lookahead_frames) : test_model(lookahead_frames);
        test_cuts(each, 48000, 2, 0);
        test_bypass(each, 16000, 0, 0);
        test_analyser(each, lookahead_frames, has_highpass ? 30.0f : 0.0f);
        percepnet_model_destroy(each);
    }
    test_crossfade(model);
    test_limit(model, 0);
    test_limit(model, 1);
    for (int decisions = 1; decisions <= 16; decisions *= 2) {
        test_batch(model, other, decisions);
    }
    test_options(model);
    test_refused_calls(model, other);
    test_subnormals(model);
    percepnet_model_destroy(model);
    percepnet_model_destroy(other);
    return testing_end();
}
