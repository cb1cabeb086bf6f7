/* Whatever a model says and whatever samples come, the core neither crashes nor answers with what is no number, and
   however a stream is cut, on whichever kernel, alone or with others, its bits are the same.

       fuzz_core SECONDS [SEED]    inputs of its own, from a seed on; 0 seconds repeat the one of a seed
       clang -fsanitize=fuzzer -DFUZZ_LIBFUZZER ...    inputs of libFuzzer's

   core/check.sh runs it under the sanitizers for a while. */

#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "networks.h"
#include "percepnet.h"
#include "signal/constants.h"
#include "signal/feature_blocks.h"

#define HOPS_MAX 40
#define INPUT_MAX 2048
#define UNITS_MOST 40

/* The bytes of the input, and zeros after its end. */
typedef struct source {
    const uint8_t *data;
    size_t left;
} source;

static uint32_t byte(source *s) {
    if (!s->left) {
        return 0;
    }
    s->left--;
    return *s->data++;
}

static uint32_t word(source *s) {
    uint32_t high = byte(s) << 24, middle = byte(s) << 16, low = byte(s) << 8;
    return high | middle | low | byte(s);
}

static uint32_t below(source *s, uint32_t n) { return word(s) % n; }

static float bits(uint32_t b) {
    float x;
    memcpy(&x, &b, sizeof x);
    return x;
}

/* Many numbers cost few bytes of the input: they come from a generator that starts with one of its words. */
static float uniform(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.0f - 1.0f;
}

static void require(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "failed: %s\n", what);
        abort();
    }
}

static void *allocate(size_t size) {
    void *memory = malloc(size ? size : 1);
    require(memory != NULL, "memory for the test itself");
    return memory;
}

typedef struct described {
    test_network network;
    int tame; /* weights of the size of trained ones: it has to give numbers */
} described;

static const int32_t ODD[] = {0, -1, 1, 2, 3, 5, 33, 481, 482, 4096, 4097, 65536, INT32_MAX, INT32_MIN, INT32_MAX - 1};

static int32_t odd(source *s) {
    int32_t value = ODD[below(s, sizeof ODD / sizeof *ODD)];
    return byte(s) % 4 ? value : (int32_t)word(s);
}

static uint32_t next_word(void *s) { return word(s); }

/* Of any kinds of layers, with weights from a size that is trained to what overflows; or the article's. */
static void describe(source *s, described *d) {
    int lookahead_frames = (int)below(s, LOOKAHEAD_FRAMES_MAX + 1);
    int32_t edges[61], count = 2 + (int32_t)below(s, 60);
    unsigned blocks[FEATURE_BLOCKS];
    int block_count = 0;
    for (int32_t band = 0; band < count; band++) {
        edges[band] = band ? edges[band - 1] + 1 + (int32_t)(byte(s) % 8) : 0;
    }
    uint32_t what = byte(s);
    d->tame = what % 8 != 1;
    weights w = {word(s), byte(s) % 2 ? 0.3f : 4.0f, (int)(byte(s) % 2), !d->tame};
    test_network_begin(&d->network, lookahead_frames, count, edges, w);
    d->network.description.highpass_hz = byte(s) % 2 ? 1.0f + (float)(byte(s) % 100) : 0.0f;
    if (what % 4 == 0) {
        test_network_article(&d->network, 1 + (int)below(s, UNITS_MOST), 1 + (int)below(s, UNITS_MOST),
                             1 + (int)below(s, UNITS_MOST), 1 + (int)below(s, UNITS_MOST),
                             1 + (int)below(s, UNITS_MOST));
        return;
    }
    for (unsigned block = 0; block < FEATURE_BLOCKS; block++) {
        if (byte(s) % 2 && !feature_block_is_of_echo((int)block)) { /* those of echo enhance nothing, and are refused */
            blocks[block_count++] = block;
        }
    }
    if (block_count) {
        test_network_features(&d->network, blocks, block_count);
    }
    test_network_any(&d->network, next_word, s, (int)below(s, 10));
}

/* Samples of one kind after another: what microphones give, what they never should, and what is no audio. */
static void samples(source *s, float *x, int count) {
    uint32_t state = word(s);
    for (int done = 0; done < count;) {
        int end = done + 1 + (int)below(s, 3 * HOP_SAMPLES);
        uint32_t kind = byte(s) % 10;
        float level = ldexpf(1.0f, (int)(byte(s) % 164) - 150), constant = bits(word(s));
        for (int n = done; n < (end < count ? end : count); n++) {
            float noise = uniform(&state);
            switch (kind) {
            case 0: x[n] = 0.0f; break;
            case 1: x[n] = level * noise; break;
            case 2: x[n] = 0.1f * noise; break;
            case 3: x[n] = n % (100 + (int)(level * 8.0f)) ? 0.01f * noise : 0.9f; break;
            case 4: x[n] = noise > 0.0f ? 1e4f : -1e4f; break;
            case 5: x[n] = FLT_MIN * noise; break;
            case 6: x[n] = bits(state); break;
            case 7: x[n] = constant; break;
            case 8: x[n] = n % 977 ? 0.1f * noise : n % 2 ? NAN : INFINITY; break;
            default: x[n] = n % 2 ? level : -level; break;
            }
        }
        done = end;
    }
}

static int numbers(const float *y, int count) {
    int all = 1;
    for (int n = 0; n < count; n++) {
        all &= isfinite(y[n]) != 0;
    }
    return all;
}

/* A stream's options and what it hears: planar, and as 16-bit samples once more. */
typedef struct scene {
    percepnet_options options;
    int int16, total; /* samples of each channel */
    float *x, *far;
    int16_t *whole, *whole_far;
} scene;

static int32_t unit_of(const scene *c) { return c->options.block_samples ? c->options.block_samples : 1; }

static percepnet_options options(source *s) {
    static const int32_t usual_hz[] = {48000, 16000, 8000, 44100, 22050, 96000};
    percepnet_options o;
    percepnet_options_init(&o);
    o.sample_rate_hz = byte(s) % 4 ? usual_hz[below(s, 6)] : 8000 + (int32_t)below(s, 40000);
    o.channels = 1 + (int32_t)(byte(s) % 3);
    o.link_channels = byte(s) % 2;
    o.interleaved = byte(s) % 2;
    o.comb_filter = byte(s) % 4 != 0;
    o.post_filter = byte(s) % 4 != 0;
    o.attenuation_limit_db = byte(s) % 2 ? (float)byte(s) / 4.0f : PERCEPNET_NO_LIMIT;
    o.bypass = byte(s) % 8 == 0;
    o.block_samples = byte(s) % 3 ? 0 : 1 + (int32_t)below(s, byte(s) % 2 ? 4 : 1000);
    o.far_end = byte(s) % 2;
    o.one_window = byte(s) % 4 == 0;
    return o;
}

/* One option becomes another: it is refused in words, or it is an option. */
static void wrong_options(const percepnet_model *model, source *s, percepnet_options o) {
    percepnet_error error = {""};
    int32_t *fields[] = {&o.sample_rate_hz, &o.link_channels, &o.interleaved,   &o.comb_filter, &o.post_filter,
                         &o.one_window,     &o.bypass,        &o.block_samples, &o.far_end};
    if (byte(s) % 4) {
        *fields[below(s, 9)] = odd(s);
    } else {
        o.attenuation_limit_db = bits(word(s));
    }
    percepnet_stream *stream = percepnet_stream_create(model, &o, &error);
    require(stream ? !error.message[0] : error.message[0] != 0, "options are taken, or refused in words");
    percepnet_stream_destroy(stream);
}

static void to_int16(const float *x, int count, int16_t *whole) {
    for (int n = 0; n < count; n++) {
        float scaled = 32768.0f * x[n];
        whole[n] = (int16_t)(scaled > -32768.0f && scaled < 32767.0f ? scaled : 0.0f);
    }
}

static scene scene_of(source *s, percepnet_options o) {
    scene c = {.options = o, .int16 = byte(s) % 3 == 0};
    int hops = 1 + (int)below(s, byte(s) % 4 ? 6 : HOPS_MAX), unit = unit_of(&c);
    c.total = (hops * o.sample_rate_hz / 100 + (int)(byte(s) % 64) + unit) / unit * unit;
    int count = c.total * o.channels;
    c.x = allocate(sizeof(float) * (size_t)count);
    c.whole = allocate(sizeof(int16_t) * (size_t)count);
    samples(s, c.x, count);
    to_int16(c.x, count, c.whole);
    c.far = allocate(sizeof(float) * (size_t)c.total);
    c.whole_far = allocate(sizeof(int16_t) * (size_t)c.total);
    if (byte(s) % 2) {
        samples(s, c.far, c.total);
    } else { /* what the first channel is an echo of, or is itself */
        int late = byte(s) % 2 ? (int)below(s, (uint32_t)c.total) : 0;
        memset(c.far, 0, sizeof(float) * (size_t)c.total);
        memcpy(c.far, c.x + late, sizeof(float) * (size_t)(c.total - late));
    }
    to_int16(c.far, c.total, c.whole_far);
    return c;
}

static void scene_end(scene *c) {
    free(c->x);
    free(c->whole);
    free(c->far);
    free(c->whole_far);
}

/* Exactly as much memory as a call may touch, at any stride. */
typedef struct call {
    void *x, *y, *far;
    int64_t samples, stride, capacity;
} call;

static size_t sample_size(const scene *c) { return c->int16 ? sizeof(int16_t) : sizeof(float); }

static call call_of(const scene *c, int64_t from, int64_t count, int64_t capacity, int64_t spare) {
    int channels = c->options.channels, interleaved = c->options.interleaved;
    call k = {NULL, NULL, NULL, count, count + (interleaved ? 0 : spare), capacity};
    size_t size = sample_size(c);
    k.x = allocate(size * (size_t)(count ? (channels - 1) * k.stride + count : 0));
    k.y = allocate(size * (size_t)(channels * capacity));
    for (int channel = 0; channel < channels; channel++) {
        const char *x = c->int16 ? (const char *)c->whole : (const char *)c->x;
        for (int64_t n = 0; n < count; n++) {
            int64_t to = interleaved ? n * channels + channel : channel * k.stride + n;
            memcpy((char *)k.x + (size_t)to * size, x + (size_t)(channel * c->total + from + n) * size, size);
        }
    }
    if (c->options.far_end) {
        const char *far = c->int16 ? (const char *)c->whole_far : (const char *)c->far;
        k.far = allocate(size * (size_t)count);
        memcpy(k.far, far + (size_t)from * size, size * (size_t)count);
    }
    return k;
}

static void call_end(const scene *c, call *k, int64_t ready, float *y, int64_t length, int64_t at) {
    for (int channel = 0; channel < c->options.channels; channel++) {
        for (int64_t n = 0; n < ready; n++) {
            int64_t from = c->options.interleaved ? n * c->options.channels + channel : channel * k->capacity + n;
            y[channel * length + at + n] = c->int16 ? ((int16_t *)k->y)[from] : ((float *)k->y)[from];
        }
    }
    free(k->x);
    free(k->y);
    free(k->far);
}

static int64_t process(percepnet_stream *stream, percepnet_block *block, const scene *c, const call *k) {
    if (c->int16) {
        return percepnet_stream_process_far_int16(stream, block, k->x, k->far, k->samples, k->stride, k->y,
                                                  k->capacity);
    }
    return percepnet_stream_process_far(stream, block, k->x, k->far, k->samples, k->stride, k->y, k->capacity);
}

static int64_t piece(const scene *c, source *s, int64_t left) {
    int64_t units = s->left ? (int64_t)below(s, 1 + (uint32_t)(c->options.sample_rate_hz / 10 / unit_of(c))) : left;
    units *= unit_of(c); /* none too, but not for ever */
    return units < left ? units : left;
}

static int64_t flush(percepnet_stream *stream, const scene *c, float *y, int64_t length, int64_t at) {
    call k = call_of(c, 0, 0, length - at, 0);
    int64_t ready = c->int16 ? percepnet_stream_flush_int16(stream, k.y, k.capacity)
                             : percepnet_stream_flush(stream, k.y, k.capacity);
    require(ready == length - at, "as many samples come out as went in, and latency more");
    call_end(c, &k, ready, y, length, at);
    return at + ready;
}

/* In calls of any number of samples, some of them refused, into y [channels * (total + latency)]. */
static void in_pieces(percepnet_stream *stream, percepnet_block *block, source *s, const scene *c, float *y) {
    int64_t length = c->total + percepnet_stream_latency(stream), at = 0;
    for (int64_t done = 0; done < c->total;) {
        int64_t count = piece(c, s, c->total - done), expected = percepnet_stream_ready(stream, count);
        require(expected >= 0 && expected <= PERCEPNET_READY_MAX(count, c->options.sample_rate_hz), "the bound holds");
        int short_by_one = expected && s->left && byte(s) % 8 == 0;
        call k = call_of(c, done, count, expected - short_by_one, byte(s) % 4);
        int64_t ready = process(stream, block, c, &k);
        require(ready == (short_by_one ? PERCEPNET_TOO_SMALL : expected), "a call gives what it said");
        call_end(c, &k, short_by_one ? 0 : ready, y, length, at);
        if (!short_by_one) {
            at += ready;
            done += count;
        }
    }
    flush(stream, c, y, length, at);
}

/* Side by side with another stream that hears something else. */
static void in_company(percepnet_batch *batch, percepnet_stream *stream, percepnet_stream *other, source *s,
                       const scene *c, const scene *theirs, float *y) {
    int64_t length = c->total + percepnet_stream_latency(stream), at = 0, done = 0, others = 0;
    while (done < c->total) {
        int64_t count = piece(c, s, c->total - done), their_count = piece(theirs, s, theirs->total - others);
        call k = call_of(c, done, count, percepnet_stream_ready(stream, count), byte(s) % 4);
        call t = call_of(theirs, others, their_count, percepnet_stream_ready(other, their_count), byte(s) % 4);
        percepnet_chunk mine = {stream, k.x, k.y, count, k.stride, k.capacity, c->int16, 0, k.far};
        percepnet_chunk other_chunk = {other, t.x, t.y, their_count, t.stride, t.capacity, theirs->int16, 0, t.far};
        int first = byte(s) % 2; /* in either order */
        percepnet_chunk chunks[2] = {first ? mine : other_chunk, first ? other_chunk : mine};
        require(percepnet_batch_process(batch, chunks, 2) == 0, "a batch is taken");
        call_end(c, &k, chunks[!first].ready, y, length, at);
        at += chunks[!first].ready;
        free(t.x);
        free(t.y);
        free(t.far);
        done += count;
        others += their_count;
    }
    flush(stream, c, y, length, at);
}

/* What changes while it runs may change anything but memory, and what is no number. */
static void with_changes(percepnet_stream *stream, percepnet_block *block, source *s, const scene *c, int tame) {
    int64_t length = c->total + percepnet_stream_latency(stream);
    float *y = allocate(sizeof(float) * (size_t)(c->options.channels * length));
    for (int64_t done = 0; done < c->total;) {
        int64_t count = piece(c, s, c->total - done);
        call k = call_of(c, done, count, percepnet_stream_ready(stream, count), 0);
        int64_t ready = process(stream, byte(s) % 2 ? block : NULL, c, &k);
        call_end(c, &k, ready, y, length, 0);
        require(!tame || numbers(y, (int)ready), "samples are numbers, whatever changes");
        percepnet_stream_set_bypass(stream, (int32_t)(byte(s) % 2));
        percepnet_stream_set_attenuation_limit(stream, bits(word(s)));
        done += count;
    }
    percepnet_stream_reset(stream);
    free(y);
}

static percepnet_stream *stream_of(const percepnet_model *model, const percepnet_options *o) {
    percepnet_error error = {""};
    percepnet_stream *stream = percepnet_stream_create(model, o, &error);
    require(stream != NULL, error.message);
    return stream;
}

static void run_streams(described *d, const percepnet_model *model, source *s) {
    scene c = scene_of(s, options(s)), theirs = scene_of(s, options(s));
    percepnet_stream *stream = stream_of(model, &c.options), *other = stream_of(model, &theirs.options);
    int count = c.options.channels * (c.total + percepnet_stream_latency(stream));
    size_t size = sizeof(float) * (size_t)count;
    float *y = allocate(size), *again = allocate(size);
    wrong_options(model, s, c.options);
    in_pieces(stream, NULL, s, &c, y);
    require(!d->tame || numbers(y, count), "samples are numbers");

    percepnet_block *block = percepnet_block_create(model, c.options.channels, 1 + (int32_t)(byte(s) % 40), NULL);
    require(block != NULL, "a block is given");
    in_pieces(stream, block, s, &c, again);
    require(!d->tame || !memcmp(y, again, size), "blocks give the same bits");

    percepnet_batch *batch = percepnet_batch_create(model, 1 + (int32_t)(byte(s) % 3), NULL);
    require(batch != NULL, "a batch is given");
    in_company(batch, stream, other, s, &c, &theirs, again);
    require(!d->tame || !memcmp(y, again, size), "company changes no bit");
    with_changes(stream, block, s, &c, d->tame);
    percepnet_batch_destroy(batch);
    percepnet_block_destroy(block);
    percepnet_stream_destroy(other);
    percepnet_stream_destroy(stream);

    int32_t kernels = 0;
    while (percepnet_kernel(kernels)) {
        kernels++;
    }
    d->network.description.kernel = percepnet_kernel((int32_t)below(s, (uint32_t)kernels));
    percepnet_model *same = model_create(&d->network.description);
    require(same != NULL, "each kernel takes the same models");
    stream = stream_of(same, &c.options);
    in_pieces(stream, NULL, s, &c, again);
    require(!d->tame || !memcmp(y, again, size), "kernels give the same bits");
    percepnet_stream_destroy(stream);
    percepnet_model_destroy(same);
    free(y);
    free(again);
    scene_end(&c);
    scene_end(&theirs);
}

static void run(described *d, source *s) {
    percepnet_model *model = model_create(&d->network.description);
    require(model != NULL, "a network that fits together is taken");
    run_streams(d, model, s);
    percepnet_model_destroy(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    source s = {data, size};
    described *d = allocate(sizeof *d);
    describe(&s, d);
    run(d, &s);
    test_network_discard(&d->network);
    free(d);
    return 0;
}

#ifndef FUZZ_LIBFUZZER

static uint64_t seed;

/* The sanitizers end a process through it too, so that it can say what to repeat. */
static void on_abort(int number) {
    (void)number;
    fprintf(stderr, "repeat it with: fuzz_core 0 %llu\n", (unsigned long long)seed);
}

const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "abort_on_error=1:handle_abort=0"; }
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void) { return "abort_on_error=1:print_stacktrace=1"; }

static uint64_t next(uint64_t *state) { /* splitmix64 */
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

int main(int count, char **arguments) {
    uint8_t data[INPUT_MAX];
    double seconds = count > 1 ? atof(arguments[1]) : 10.0;
    seed = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    unsigned long long runs = 0, bytes = 0;
    signal(SIGABRT, on_abort);
    time_t started = time(NULL);
    for (;; seed++) {
        uint64_t state = seed;
        size_t size = next(&state) % (INPUT_MAX + 1);
        for (size_t i = 0; i < size; i++) {
            data[i] = (uint8_t)next(&state);
        }
        LLVMFuzzerTestOneInput(data, size);
        runs++;
        bytes += size;
        if (difftime(time(NULL), started) >= seconds) {
            break;
        }
    }
    printf("%llu inputs, %llu bytes: the core holds\n", runs, bytes);
    return 0;
}

#endif
