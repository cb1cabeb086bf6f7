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

#include "signal/constants.h"
#include "percepnet.h"

#define HOPS_MAX 40
#define INPUT_MAX 2048
#define UNITS_MOST 40
#define COPIED_MAX (1 << 20) /* a matrix that is described larger is not there: only its sizes are looked at */

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
    percepnet_description description;
    int sound; /* nothing was changed: it has to be taken */
    int tame;  /* weights of the size of trained ones: it has to give numbers */
} described;

static const int32_t ODD[] = {0, -1, 1, 2, 3, 5, 33, 481, 482, 4096, 4097, 65536, INT32_MAX, INT32_MIN, INT32_MAX - 1};

static int32_t odd(source *s) {
    int32_t value = ODD[below(s, sizeof ODD / sizeof *ODD)];
    return byte(s) % 4 ? value : (int32_t)word(s);
}

static void sizes(percepnet_description *d, source *s) {
    int32_t dense = 1 + (int32_t)below(s, UNITS_MOST), conv1 = 1 + (int32_t)below(s, UNITS_MOST);
    int32_t conv2 = 1 + (int32_t)below(s, UNITS_MOST), gru = 1 + (int32_t)below(s, UNITS_MOST);
    int32_t strength = 1 + (int32_t)below(s, UNITS_MOST), bands = d->bands;
    const int32_t shapes[PERCEPNET_LAYERS][2] = {
        {dense, 2 * bands + 2}, {conv1, 5 * dense},       {conv2, 3 * conv1},
        {3 * gru, conv2},       {3 * gru, gru},           {3 * gru, gru},
        {3 * gru, gru},         {3 * gru, gru},           {3 * gru, gru},
        {3 * gru, gru},         {3 * gru, gru},           {3 * strength, gru + conv2},
        {3 * strength, strength}, {bands, conv2 + 4 * gru}, {bands, strength},
    };
    for (int layer = 0; layer < PERCEPNET_LAYERS; layer++) {
        d->layers[layer].rows = shapes[layer][0];
        d->layers[layer].columns = shapes[layer][1];
    }
}

/* One field becomes another. */
static void change(percepnet_description *d, source *s, int32_t *edges, int32_t edges_count) {
    percepnet_affine *layer = &d->layers[below(s, PERCEPNET_LAYERS)];
    switch (below(s, 6)) {
    case 0: d->lookahead_frames = odd(s); break;
    case 1: d->bands = odd(s) % (edges_count + 1); break; /* as many edges as it says have to be there */
    case 2: edges[below(s, (uint32_t)edges_count)] = odd(s); break;
    case 3: layer->rows = odd(s); break;
    case 4: layer->columns = odd(s); break;
    default: d->kernel = byte(s) % 2 ? "" : "abacus"; break;
    }
}

/* As many numbers as the layer says, of weights from a size that is trained to one that overflows. */
static void fill(percepnet_affine *layer, source *s, int first, float spread, int tame) {
    int64_t rows = layer->rows, columns = layer->columns;
    if (rows < 1 || columns < 1 || rows > COPIED_MAX / columns) {
        rows = columns = 1;
    }
    uint32_t state = word(s);
    int integers = !first && byte(s) % 2;
    float *weight = integers ? NULL : allocate(sizeof(float) * (size_t)(rows * columns));
    int8_t *whole = integers ? allocate((size_t)(rows * columns)) : NULL;
    float *scale = integers ? allocate(sizeof(float) * (size_t)rows) : NULL;
    float *bias = allocate(sizeof(float) * (size_t)rows);
    for (int64_t i = 0; i < rows * columns; i++) {
        float x = uniform(&state);
        if (integers) {
            whole[i] = (int8_t)(128.0f * x);
        } else {
            weight[i] = tame ? spread * x : bits(state ^ state << 13);
        }
    }
    for (int64_t i = 0; i < rows; i++) {
        bias[i] = tame ? spread * uniform(&state) : bits(word(s));
        if (integers) {
            scale[i] = tame ? spread / 127.0f : bits(word(s));
        }
    }
    layer->weight = weight;
    layer->integers = whole;
    layer->scale = scale;
    layer->bias = bias;
}

static void take_away(percepnet_affine *layer, source *s) {
    const void *pointers[] = {layer->weight, layer->integers, layer->scale, layer->bias};
    switch (below(s, 3)) {
    case 0: layer->weight = NULL, layer->integers = NULL; break;
    case 1: layer->bias = NULL; break;
    default:
        if (!layer->integers) {
            layer->weight = NULL;
        }
        layer->scale = NULL;
        break;
    }
    const void *kept[] = {layer->weight, layer->integers, layer->scale, layer->bias};
    for (int i = 0; i < 4; i++) {
        if (pointers[i] != kept[i]) {
            free((void *)(uintptr_t)pointers[i]);
        }
    }
}

static described describe(source *s) {
    described d = {.sound = 1, .tame = 1};
    percepnet_description *p = &d.description;
    p->lookahead_frames = (int32_t)below(s, LOOKAHEAD_FRAMES_MAX + 1);
    p->bands = 2 + (int32_t)below(s, 60);
    int32_t count = p->bands, *edges = allocate(sizeof *edges * (size_t)count);
    for (int32_t band = 0; band < count; band++) {
        edges[band] = band ? edges[band - 1] + 1 + (int32_t)(byte(s) % 8) : 0;
    }
    p->band_edges = edges;
    sizes(p, s);
    uint32_t what = byte(s);
    if (what % 4 == 0) {
        for (uint32_t changes = 1 + byte(s) % 3; changes; changes--) {
            change(p, s, edges, count);
        }
        d.sound = 0;
    }
    d.tame = what % 8 != 1;
    float spread = byte(s) % 2 ? 0.3f : 4.0f;
    for (int layer = 0; layer < PERCEPNET_LAYERS; layer++) {
        fill(&p->layers[layer], s, layer == 0, spread, d.tame);
    }
    if (what % 16 == 2) {
        take_away(&p->layers[below(s, PERCEPNET_LAYERS)], s);
        d.sound = 0;
    }
    return d;
}

static void discard(described *d) {
    for (int layer = 0; layer < PERCEPNET_LAYERS; layer++) {
        const percepnet_affine *l = &d->description.layers[layer];
        const void *arrays[] = {l->weight, l->integers, l->scale, l->bias};
        for (int i = 0; i < 4; i++) {
            free((void *)(uintptr_t)arrays[i]);
        }
    }
    free((void *)(uintptr_t)d->description.band_edges);
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

/* In calls of any number of hops, some of them in place, into y [channels * total]. */
static void in_pieces(percepnet_enhancer *e, percepnet_block *block, source *s, const float *x, float *y, int channels,
                      int total) {
    for (int hop = 0; hop < total;) {
        int hops = s->left ? (int)(byte(s) % 12) : total; /* none too, but not for ever */
        hops = hops < total - hop ? hops : total - hop;
        /* exactly as much memory as the call may touch, at any stride */
        int64_t stride = hops * HOP_SAMPLES + (int64_t)(byte(s) % 4);
        size_t size = sizeof(float) * (size_t)(hops ? (channels - 1) * stride + hops * HOP_SAMPLES : 0);
        float *in = allocate(size), *out = byte(s) % 2 ? in : allocate(size);
        for (int c = 0; c < channels; c++) {
            memcpy(in + c * stride, x + (c * total + hop) * HOP_SAMPLES, sizeof(float) * (size_t)(hops * HOP_SAMPLES));
        }
        if (block) {
            percepnet_process_block(e, block, in, out, hops, stride);
        } else {
            percepnet_process(e, in, out, hops, stride);
        }
        for (int c = 0; c < channels; c++) {
            memcpy(y + (c * total + hop) * HOP_SAMPLES, out + c * stride, sizeof(float) * (size_t)(hops * HOP_SAMPLES));
        }
        if (out != in) {
            free(out);
        }
        free(in);
        hop += hops;
    }
}

/* Side by side with another stream that hears something else, a hop of each a call. */
static void in_company(percepnet_batch *batch, percepnet_enhancer *e, percepnet_enhancer *other, const float *x,
                       float *y, int channels, int total) {
    size_t size = sizeof(float) * (size_t)(channels * HOP_SAMPLES);
    float *in = allocate(size), *mine = allocate(size), *theirs = allocate(size);
    for (int hop = 0; hop < total; hop++) {
        for (int c = 0; c < channels; c++) {
            memcpy(in + c * HOP_SAMPLES, x + (c * total + hop) * HOP_SAMPLES, sizeof(float) * HOP_SAMPLES);
        }
        for (int n = 0; n < channels * HOP_SAMPLES; n++) {
            theirs[n] = 0.5f - in[n];
        }
        /* in either order, one of them in place */
        int first = hop % 2;
        percepnet_enhancer *const both[] = {first ? e : other, first ? other : e};
        const float *const inputs[] = {first ? in : theirs, first ? theirs : in};
        float *const outputs[] = {first ? mine : theirs, first ? theirs : mine};
        percepnet_batch_process(batch, both, 2, inputs, outputs);
        for (int c = 0; c < channels; c++) {
            memcpy(y + (c * total + hop) * HOP_SAMPLES, mine + c * HOP_SAMPLES, sizeof(float) * HOP_SAMPLES);
        }
    }
    free(theirs);
    free(in);
    free(mine);
}

static void run(const described *d, source *s) {
    percepnet_description described = d->description;
    percepnet_model *model = percepnet_model_create(&described);
    require(model || !d->sound, "a sound model is taken");
    percepnet_settings settings = {1 + (int32_t)(byte(s) % 3), byte(s) % 4 != 0, byte(s) % 4 != 0, 0.0f};
    settings.dry = byte(s) % 2 ? (float)byte(s) / 255.0f : 0.0f;
    int valid = byte(s) % 8 != 0;
    if (!valid) {
        settings.dry = bits(word(s));
        settings.channels = byte(s) % 2 ? settings.channels : odd(s) % 2000;
        valid = settings.channels >= 1 && settings.channels <= 3 && settings.dry >= 0.0f && settings.dry <= 1.0f;
    }
    percepnet_enhancer *e = model ? percepnet_create(model, &settings) : NULL;
    require(e || !model || !valid, "sound settings are taken");
    if (!e || settings.channels > 3) {
        percepnet_destroy(e);
        percepnet_model_destroy(model);
        return;
    }
    int channels = settings.channels, total = 1 + (int)below(s, byte(s) % 4 ? 6 : HOPS_MAX), count = channels * total * HOP_SAMPLES;
    size_t size = sizeof(float) * (size_t)count;
    float *x = allocate(size), *y = allocate(size), *again = allocate(size);
    samples(s, x, count);
    in_pieces(e, NULL, s, x, y, channels, total);
    require(!d->tame || numbers(y, count), "samples are numbers");

    percepnet_reset(e);
    percepnet_block *block = percepnet_block_create(model, channels, 1 + (int32_t)(byte(s) % 40));
    require(block != NULL, "a block is given");
    in_pieces(e, block, s, x, again, channels, total);
    require(!d->tame || !memcmp(y, again, size), "blocks give the same bits");
    percepnet_block_destroy(block);

    percepnet_reset(e);
    percepnet_batch *batch = percepnet_batch_create(model, 1 + (int32_t)(byte(s) % 3));
    percepnet_enhancer *other = percepnet_create(model, &settings);
    require(batch && other, "a batch is given");
    in_company(batch, e, other, x, again, channels, total);
    require(!d->tame || !memcmp(y, again, size), "company changes no bit");
    percepnet_batch_destroy(batch);
    percepnet_destroy(other);
    percepnet_destroy(e);
    percepnet_model_destroy(model);

    int32_t kernels = 0;
    while (percepnet_kernel(kernels)) {
        kernels++;
    }
    described.kernel = percepnet_kernel((int32_t)below(s, (uint32_t)kernels));
    model = percepnet_model_create(&described);
    e = model ? percepnet_create(model, &settings) : NULL;
    require(e != NULL, "each kernel takes the same models");
    percepnet_process(e, x, again, total, total * HOP_SAMPLES);
    require(!d->tame || !memcmp(y, again, size), "kernels give the same bits");
    percepnet_destroy(e);
    percepnet_model_destroy(model);
    free(x);
    free(y);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    source s = {data, size};
    described d = describe(&s);
    run(&d, &s);
    discard(&d);
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
