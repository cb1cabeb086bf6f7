/* What the core promises by itself, for sanitizers and for machines without Python: core/check.sh builds and runs it. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network/activation.h"
#include "signal/bands.h"
#include "signal/constants.h"
#include "signal/fft.h"
#include "kernels/kernels.h"
#include "percepnet.h"
#include "signal/pitch.h"
#include "signal/whitening.h"

#define BANDS 34
#define HOPS 60

static int failures;

static void check(int holds, const char *what) {
    if (!holds) {
        failures++;
        printf("failed: %s\n", what);
    }
}

static uint32_t random_state = 1;

static float uniform(void) {
    random_state = random_state * 1664525u + 1013904223u;
    return (float)(random_state >> 8) / 8388608.0f - 1.0f;
}

static void *allocate(size_t size) {
    void *memory = calloc(1, size);
    if (!memory) {
        abort();
    }
    return memory;
}

/* Against the definition, in double precision. */
static void test_fft(int length, const kernel *k) {
    const double two_pi = 6.283185307179586476925;
    real_fft fft;
    arena a = {NULL, 0};
    real_fft_init(&fft, length, k, &a);
    a.memory = allocate(a.used);
    a.used = 0;
    real_fft_init(&fft, length, k, &a);
    int bins = length / 2 + 1;
    float *x = allocate(sizeof(float) * (size_t)length), *back = allocate(sizeof(float) * (size_t)length);
    complex32 *spectrum = allocate(sizeof(complex32) * (size_t)bins);
    complex32 *work = allocate(sizeof(complex32) * (size_t)length);
    for (int n = 0; n < length; n++) {
        x[n] = uniform();
    }
    real_fft_forward(&fft, x, spectrum, work);
    double error = 0.0;
    for (int k = 0; k < bins; k++) {
        double re = 0.0, im = 0.0;
        for (int n = 0; n < length; n++) {
            double angle = two_pi * (double)((int64_t)k * n % length) / length;
            re += x[n] * cos(angle);
            im -= x[n] * sin(angle);
        }
        error = fmax(error, hypot(spectrum[k].re - re, spectrum[k].im - im));
    }
    check(error < 1e-6 * length, "a spectrum is that of the definition");
    real_fft_inverse(&fft, spectrum, back, work);
    error = 0.0;
    for (int n = 0; n < length; n++) {
        error = fmax(error, fabsf(back[n] - x[n]));
    }
    check(error < 1e-6, "the inverse gives the samples back");
    free(a.memory);
    free(x);
    free(back);
    free(spectrum);
    free(work);
}

static void test_activations(void) {
    double tanh_error = 0.0, sigmoid_error = 0.0;
    for (int i = -50000; i <= 50000; i++) {
        float x = (float)i * 3e-4f, t = activation_tanh(x), s = activation_sigmoid(x);
        tanh_error = fmax(tanh_error, fabs(t - tanh(x)));
        sigmoid_error = fmax(sigmoid_error, fabs(s - 1.0 / (1.0 + exp(-(double)x))));
        check(fabsf(t) <= 1.0f && s >= 0.0f && s <= 1.0f, "activations stay in their range");
    }
    check(tanh_error <= TANH_ERROR_MAX, "tanh is within its stated error");
    check(sigmoid_error <= SIGMOID_ERROR_MAX, "the sigmoid is within its stated error");
}

static void test_whitening(void) {
    double error = 0.0;
    for (double x = 1e-12; x < 1e15; x *= 1.0001) {
        double wanted = pow((float)x, -(double)PITCH_WHITENING);
        error = fmax(error, fabs(pitch_whitening((float)x) / wanted - 1.0));
    }
    check(error <= WHITENING_ERROR_MAX, "whitening is within its stated error");
    for (int bin = PITCH_BINS_USED; bin < PITCH_BINS; bin++) {
        check(PITCH_EMPHASIS[bin] == 0.0f, "bins that are not used have no emphasis");
    }
    check(PITCH_EMPHASIS[0] == 0.0f, "the constant has no emphasis");
}

static const int32_t EDGES[BANDS] = {0,  2,  4,  6,  8,  10, 12,  15,  18,  21,  24,  28,  32,  36,  41,  47,  53,
                                     60, 68, 77, 87, 98, 110, 124, 140, 157, 176, 198, 223, 251, 282, 317, 356, 400};

/* Rows and columns of each layer, of sizes that are no multiple of any vector. */
enum { DENSE = 9, CONV1 = 17, CONV2 = 33, GRU = 21, STRENGTH_GRU = 5 };
static const int32_t SHAPES[PERCEPNET_LAYERS][2] = {
    {DENSE, 2 * BANDS + 2}, {CONV1, 5 * DENSE},          {CONV2, 3 * CONV1},
    {3 * GRU, CONV2},       {3 * GRU, GRU},              {3 * GRU, GRU},
    {3 * GRU, GRU},         {3 * GRU, GRU},              {3 * GRU, GRU},
    {3 * GRU, GRU},         {3 * GRU, GRU},              {3 * STRENGTH_GRU, GRU + CONV2},
    {3 * STRENGTH_GRU, STRENGTH_GRU}, {BANDS, CONV2 + 4 * GRU}, {BANDS, STRENGTH_GRU},
};

static percepnet_description description(int lookahead_frames, float spread) {
    percepnet_description d = {.lookahead_frames = lookahead_frames, .bands = BANDS, .band_edges = EDGES};
    random_state = 7;
    for (int layer = 0; layer < PERCEPNET_LAYERS; layer++) {
        int rows = SHAPES[layer][0], columns = SHAPES[layer][1];
        float *weight = allocate(sizeof(float) * (size_t)(rows * columns));
        float *bias = allocate(sizeof(float) * (size_t)rows);
        for (int i = 0; i < rows * columns; i++) {
            weight[i] = spread * uniform();
        }
        for (int i = 0; i < rows; i++) {
            bias[i] = spread * uniform();
        }
        d.layers[layer] = (percepnet_affine){.weight = weight, .bias = bias, .rows = rows, .columns = columns};
    }
    return d;
}

static void discard(percepnet_description *d) {
    for (int layer = 0; layer < PERCEPNET_LAYERS; layer++) {
        free((void *)(uintptr_t)d->layers[layer].weight);
        free((void *)(uintptr_t)d->layers[layer].bias);
    }
}

static void test_refusals(void) {
    percepnet_description d = description(2, 0.3f), wrong = d;
    wrong.lookahead_frames = 4;
    check(!percepnet_model_create(&wrong), "a look-ahead out of range is refused");
    wrong = d;
    wrong.bands = 33;
    check(!percepnet_model_create(&wrong), "a number of bands that is not the network's is refused");
    for (int layer = 0; layer < PERCEPNET_LAYERS; layer++) {
        wrong = d;
        wrong.layers[layer].columns++;
        check(!percepnet_model_create(&wrong), "a matrix that is too wide is refused");
        wrong = d;
        wrong.layers[layer].rows = 0;
        check(!percepnet_model_create(&wrong), "a matrix without rows is refused");
        wrong = d;
        wrong.layers[layer].bias = NULL;
        check(!percepnet_model_create(&wrong), "a layer without bias is refused");
    }
    int32_t edges[BANDS];
    memcpy(edges, EDGES, sizeof edges);
    edges[5] = edges[4];
    wrong = d;
    wrong.band_edges = edges;
    check(!percepnet_model_create(&wrong), "edges that do not increase are refused");
    percepnet_model *model = percepnet_model_create(&d);
    percepnet_settings settings = {0, 1, 1, 0.0f};
    check(!percepnet_create(model, &settings), "no channel is refused");
    settings = (percepnet_settings){1, 1, 1, NAN};
    check(!percepnet_create(model, &settings), "a level that is no number is refused");
    check(!percepnet_bytes(model, &settings), "and takes no memory");
    check(!percepnet_block_create(model, 1, 0) && !percepnet_block_create(model, 0, 4), "no block is refused");
    check(!percepnet_batch_create(model, 0) && !percepnet_batch_create(model, 1 << 20), "no batch is refused");
    percepnet_model_destroy(model);
    discard(&d);
}

/* Pulses whose period wanders over the whole range, in noise. */
static void voice(float *x, int samples) {
    double phase = 0.0;
    random_state = 3;
    for (int n = 0; n < samples; n++) {
        phase += (220.0 + 180.0 * sin(n * 3e-4)) / 48000.0;
        x[n] = 0.02f * uniform();
        if (phase >= 1.0) {
            phase -= 1.0;
            x[n] += 0.5f;
        }
    }
}

/* Streams in a batch, each some hops ahead of the next, give what one gives alone. */
static void test_batch(const percepnet_model *model, const float *x, const float *whole, int channels) {
    enum { STREAMS = 5, STEP = 3 };
    const int samples = HOPS * HOP_SAMPLES;
    percepnet_settings settings = {channels, 1, 1, 0.05f};
    percepnet_enhancer *all[STREAMS], *now[STREAMS];
    float *hops[STREAMS], *from[STREAMS];
    size_t size = sizeof(float) * (size_t)(channels * HOP_SAMPLES);
    percepnet_batch *batch = percepnet_batch_create(model, 2);
    int same = 1, position[STREAMS];
    for (int i = 0; i < STREAMS; i++) {
        all[i] = percepnet_create(model, &settings);
        hops[i] = allocate(size);
    }
    for (int turn = 0; turn < HOPS + STEP * STREAMS; turn++) {
        int count = 0;
        for (int i = 0; i < STREAMS; i++) {
            int hop = turn - STEP * i;
            if (hop < 0 || hop >= HOPS) {
                continue;
            }
            for (int channel = 0; channel < channels; channel++) {
                memcpy(hops[count] + channel * HOP_SAMPLES, x + channel * samples + hop * HOP_SAMPLES,
                       sizeof(float) * HOP_SAMPLES);
            }
            from[count] = hops[count];
            position[count] = hop;
            now[count++] = all[i];
        }
        percepnet_batch_process(batch, now, count, (const float *const *)from, hops);
        for (int i = 0; i < count; i++) {
            for (int channel = 0; channel < channels; channel++) {
                same &= !memcmp(hops[i] + channel * HOP_SAMPLES, whole + channel * samples + position[i] * HOP_SAMPLES,
                                sizeof(float) * HOP_SAMPLES);
            }
        }
    }
    check(same, "a batch gives the same bits as each stream alone");
    for (int i = 0; i < STREAMS; i++) {
        percepnet_destroy(all[i]);
        free(hops[i]);
    }
    percepnet_batch_destroy(batch);
}

static void test_stream(int lookahead_frames, int channels) {
    const int samples = HOPS * HOP_SAMPLES;
    size_t size = sizeof(float) * (size_t)(channels * samples);
    float *x = allocate(size), *whole = allocate(size), *pieces = allocate(size);
    percepnet_description d = description(lookahead_frames, 0.3f);
    percepnet_model *model = percepnet_model_create(&d);
    discard(&d);
    percepnet_settings settings = {channels, 1, 1, 0.05f};
    percepnet_enhancer *e = percepnet_create(model, &settings);
    for (int channel = 0; channel < channels; channel++) {
        voice(x + channel * samples, samples);
    }
    percepnet_process(e, x, whole, HOPS, samples);
    float peak = 0.0f;
    int finite = 1;
    for (int i = 0; i < channels * samples; i++) {
        finite &= isfinite(whole[i]) != 0;
        peak = fmaxf(peak, fabsf(whole[i]));
    }
    check(finite && peak > 1e-3f && peak < 5.0f, "a voice comes out as a signal");

    percepnet_reset(e);
    memcpy(pieces, x, size);
    for (int hop = 0, count = 1; hop < HOPS; hop += count, count = 1 + hop % 4) {
        int hops = hop + count <= HOPS ? count : HOPS - hop;
        percepnet_process(e, pieces + hop * HOP_SAMPLES, pieces + hop * HOP_SAMPLES, hops, samples);
    }
    check(!memcmp(pieces, whole, size), "any number of hops a call gives the same bits, in place too");
    check(percepnet_refused_hops(e) == 0, "no hop of a voice is refused");

    for (int hops = 1; hops <= HOPS; hops = 3 * hops + 1) {
        percepnet_block *block = percepnet_block_create(model, channels, hops);
        percepnet_reset(e);
        memcpy(pieces, x, size);
        percepnet_process_block(e, block, pieces, pieces, HOPS / 3, samples);
        percepnet_process(e, pieces + HOPS / 3 * HOP_SAMPLES, pieces + HOPS / 3 * HOP_SAMPLES, 1, samples);
        int rest = HOPS / 3 + 1;
        percepnet_process_block(e, block, pieces + rest * HOP_SAMPLES, pieces + rest * HOP_SAMPLES, HOPS - rest, samples);
        check(!memcmp(pieces, whole, size), "blocks give the same bits as single hops, in place too");
        percepnet_block_destroy(block);
    }
    test_batch(model, x, whole, channels);

    const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f};
    memcpy(pieces, x, size);
    for (int i = 0; i < 4; i++) {
        pieces[channels * samples - 1 - i * 700] = bad[i];
    }
    percepnet_process(e, pieces, pieces, HOPS, samples);
    check(percepnet_refused_hops(e) > 1, "hops that are no audio are counted");
    memset(pieces, 0, size);
    percepnet_process(e, pieces, pieces, HOPS, samples);
    finite = 1;
    for (int i = 0; i < channels * samples; i++) {
        finite &= fabsf(pieces[i]) < 5.0f;
    }
    check(finite, "and leave no trace");

    for (int i = 0; i < channels * samples; i++) {
        pieces[i] = uniform() > 0.0f ? 1e4f : -1e4f;
    }
    percepnet_process(e, pieces, pieces, HOPS, samples);
    finite = 1;
    for (int i = 0; i < channels * samples; i++) {
        finite &= fabsf(pieces[i]) < 2e5f;
    }
    check(finite, "the loudest input stays finite");
    percepnet_destroy(e);
    percepnet_model_destroy(model);
    free(x);
    free(whole);
    free(pieces);
}

typedef struct products {
    int rows, groups;
    int8_t *matrix; /* row by row */
    int8_t *packed;
    int8_t *x; /* KERNEL_VECTORS vectors */
    int32_t correction[KERNEL_SUMS];
} products;

static void products_init(products *p, int blocks, int groups) {
    p->rows = blocks * KERNEL_ROWS;
    p->groups = groups;
    int columns = groups * KERNEL_COLUMNS;
    p->matrix = allocate((size_t)(p->rows * columns));
    p->packed = allocate((size_t)(p->rows * columns));
    p->x = allocate((size_t)(KERNEL_VECTORS * columns));
    memset(p->correction, 0, sizeof p->correction);
    for (int i = 0; i < KERNEL_VECTORS * columns; i++) {
        p->x[i] = (int8_t)(i % 7 ? 127.0f * uniform() : uniform() > 0 ? 127 : -127);
    }
    for (int row = 0; row < p->rows; row++) {
        for (int column = 0; column < columns; column++) {
            int8_t weight = (int8_t)(row % 3 == 0 ? 127 : row % 3 == 1 ? -127 : 127.0f * uniform());
            if (row < KERNEL_ROWS && column / KERNEL_COLUMNS % 3 == 0) {
                weight = 0; /* groups that need not be in memory */
            }
            int lane = (row / KERNEL_ROWS * groups + column / KERNEL_COLUMNS) * KERNEL_ROWS + row % KERNEL_ROWS;
            p->matrix[row * columns + column] = weight;
            p->packed[lane * KERNEL_COLUMNS + column % KERNEL_COLUMNS] = weight;
            p->correction[row] -= 128 * weight;
        }
    }
}

static void products_discard(products *p) {
    free(p->matrix);
    free(p->packed);
    free(p->x);
}

/* Against the definition. */
static void check_products(const kernel *k, const products *p, int rows, int vectors, const int32_t *sums) {
    int columns = p->groups * KERNEL_COLUMNS;
    for (int v = 0; v < vectors; v++) {
        for (int row = 0; row < rows; row++) {
            int32_t expected = 0;
            for (int column = 0; column < columns; column++) {
                expected += p->matrix[row * columns + column] * (int8_t)(p->x[v * columns + column] ^ k->flip);
            }
            check(sums[v * KERNEL_SUMS + row] == expected, k->name);
        }
    }
}

/* Also at the ends of the range, where narrower sums would saturate. */
static void test_kernel(const kernel *k, int blocks, int groups) {
    int columns = groups * KERNEL_COLUMNS, count = 0;
    int32_t sums[KERNEL_VECTORS * KERNEL_SUMS];
    int8_t *few = allocate((size_t)(columns * KERNEL_ROWS));
    uint16_t *kept = allocate(sizeof(uint16_t) * (size_t)groups);
    products p;
    products_init(&p, blocks, groups);
    for (int group = 0; group < groups; group++) {
        if (group % 3) {
            const int group_bytes = KERNEL_ROWS * KERNEL_COLUMNS;
            memcpy(few + count * group_bytes, p.packed + group * group_bytes, (size_t)group_bytes);
            kept[count++] = (uint16_t)group;
        }
    }
    for (int extremes = 0; extremes < 3; extremes++) {
        if (extremes) {
            memset(p.x, extremes == 1 ? 127 : -127, (size_t)(KERNEL_VECTORS * columns));
        }
        for (int i = 0; i < KERNEL_VECTORS * columns; i++) {
            p.x[i] = (int8_t)(p.x[i] ^ k->flip);
        }
        for (int vectors = 1; vectors <= KERNEL_VECTORS; vectors++) {
            k->dense(p.packed, p.correction, blocks, groups, p.x, columns, vectors, sums);
            check_products(k, &p, p.rows, vectors, sums);
            k->sparse(few, p.correction, kept, count, p.x, columns, vectors, sums);
            check_products(k, &p, KERNEL_ROWS, vectors, sums);
        }
    }
    products_discard(&p);
    free(few);
    free(kept);
}

/* In single precision, all kernels give the bits of the portable one. */
static void test_floats(const kernel *k) {
    enum { COLUMNS = 37, COUNT = 75 };
    float weights[COLUMNS * KERNEL_SUMS], bias[KERNEL_SUMS], x[KERNEL_VECTORS][COLUMNS];
    float found[KERNEL_VECTORS][KERNEL_SUMS], expected[KERNEL_VECTORS][KERNEL_SUMS];
    float from_input[3 * COUNT], from_state[3 * COUNT], y[COUNT], z[COUNT];
    const float *vectors[KERNEL_VECTORS];
    int8_t bytes[3 * COUNT], expected_bytes[3 * COUNT];
    for (int i = 0; i < COLUMNS * KERNEL_SUMS; i++) {
        weights[i] = uniform();
    }
    for (int i = 0; i < KERNEL_SUMS; i++) {
        bias[i] = uniform();
    }
    for (int v = 0; v < KERNEL_VECTORS; v++) {
        vectors[v] = x[v];
        for (int i = 0; i < COLUMNS; i++) {
            x[v][i] = uniform();
        }
    }
    for (int i = 0; i < 3 * COUNT; i++) {
        from_input[i] = 4.0f * uniform();
        from_state[i] = 4.0f * uniform();
    }
    for (int count = 1; count <= KERNEL_VECTORS; count++) {
        for (int blocks = 1; blocks <= KERNEL_BLOCKS; blocks++) {
            k->floats(weights, bias, blocks, COLUMNS, vectors, count, found);
            KERNEL_PORTABLE.floats(weights, bias, blocks, COLUMNS, vectors, count, expected);
            for (int v = 0; v < count; v++) {
                check(!memcmp(found[v], expected[v], sizeof(float) * (size_t)(blocks * KERNEL_ROWS)), k->name);
            }
        }
    }
    k->gates(from_input, from_state, from_input, COUNT, y);
    KERNEL_PORTABLE.gates(from_input, from_state, from_input, COUNT, z);
    check(!memcmp(y, z, sizeof y), k->name);
    from_input[0] = NAN;
    from_input[1] = INFINITY;
    k->round(from_input, 3 * COUNT, k->flip, bytes);
    KERNEL_PORTABLE.round(from_input, 3 * COUNT, k->flip, expected_bytes);
    check(!memcmp(bytes, expected_bytes, sizeof bytes), k->name);
    memcpy(z, y, sizeof z);
    k->tanh(y, COUNT);
    k->sigmoid(y, COUNT);
    KERNEL_PORTABLE.tanh(z, COUNT);
    KERNEL_PORTABLE.sigmoid(z, COUNT);
    check(!memcmp(y, z, sizeof y), k->name);
}

/* In 8 bits, a voice comes out the same to the bit with every kernel. */
static void test_integers(void) {
    const int samples = HOPS * HOP_SAMPLES;
    float *x = allocate(sizeof(float) * (size_t)samples), *y = allocate(sizeof(float) * (size_t)samples);
    float *first = allocate(sizeof(float) * (size_t)samples);
    percepnet_description d = description(2, 0.3f), integers = d;
    int8_t *weights[PERCEPNET_LAYERS];
    float scale[3 * 512];
    for (int i = 0; i < 3 * 512; i++) {
        scale[i] = 0.3f / 128.0f;
    }
    for (int layer = 0; layer < PERCEPNET_LAYERS; layer++) {
        int size = SHAPES[layer][0] * SHAPES[layer][1];
        weights[layer] = allocate((size_t)size);
        for (int i = 0; i < size; i++) {
            int group = i % SHAPES[layer][1] / KERNEL_COLUMNS;
            int kept = layer % 3 || group % 2; /* of every third layer, half of the groups are zero */
            weights[layer][i] = (int8_t)(kept ? 128.0f * uniform() : 0.0f); /* -128 now and then: out of range */
        }
        integers.layers[layer].weight = NULL;
        integers.layers[layer].integers = weights[layer];
        integers.layers[layer].scale = scale;
    }
    voice(x, samples);
    for (int32_t index = 0; percepnet_kernel(index); index++) {
        integers.kernel = percepnet_kernel(index);
        percepnet_model *model = percepnet_model_create(&integers);
        percepnet_settings settings = {1, 1, 1, 0.0f};
        percepnet_enhancer *e = percepnet_create(model, &settings);
        percepnet_process(e, x, index ? y : first, HOPS, samples);
        check(!index || !memcmp(y, first, sizeof(float) * (size_t)samples), "all kernels give the same bits");
        percepnet_destroy(e);
        percepnet_model_destroy(model);
    }
    integers.kernel = "abacus";
    check(!percepnet_model_create(&integers), "an unknown kernel is refused");
    integers.kernel = NULL;
    integers.layers[3].scale = NULL;
    check(!percepnet_model_create(&integers), "integers without a scale are refused");
    for (int layer = 0; layer < PERCEPNET_LAYERS; layer++) {
        free(weights[layer]);
    }
    discard(&d);
    free(x);
    free(y);
    free(first);
}

/* Weights of any size are no danger to memory. */
static void test_huge_weights(void) {
    float x[10 * HOP_SAMPLES];
    percepnet_description d = description(2, 1e30f);
    percepnet_model *model = percepnet_model_create(&d);
    discard(&d);
    percepnet_settings settings = {1, 1, 1, 0.0f};
    percepnet_enhancer *e = percepnet_create(model, &settings);
    voice(x, 10 * HOP_SAMPLES);
    percepnet_process(e, x, x, 10, 0);
    percepnet_destroy(e);
    percepnet_model_destroy(model);
}

int main(void) {
    for (int index = 0; kernel_at(index); index++) {
        test_fft(WINDOW_SAMPLES, kernel_at(index));
        test_fft(PITCH_FFT, kernel_at(index));
        test_fft(32 * 18, kernel_at(index));
        test_fft(32 * 25, kernel_at(index));
    }
    test_activations();
    test_whitening();
    test_refusals();
    for (int lookahead_frames = 0; lookahead_frames <= LOOKAHEAD_FRAMES_MAX; lookahead_frames++) {
        test_stream(lookahead_frames, 1);
        test_stream(lookahead_frames, 2);
    }
    test_huge_weights();
    for (int index = 0; kernel_at(index); index++) {
        test_kernel(kernel_at(index), 1, 1);
        test_kernel(kernel_at(index), 3, 7);
        test_kernel(kernel_at(index), 4, 512);
        test_floats(kernel_at(index));
    }
    test_integers();
    printf(failures ? "%d failures\n" : "the core holds\n", failures);
    return failures != 0;
}
