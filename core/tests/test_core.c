/* What the core promises by itself, for sanitizers and machines without Python: core/check.sh builds and runs it. */

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "network/activation.h"
#include "percepnet.h"
#include "signal/bands.h"
#include "signal/circle.h"
#include "signal/constants.h"
#include "signal/fft.h"
#include "signal/pitch.h"
#include "signal/whitening.h"
#include "testing.h"

#define HOPS 60

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

static void test_circle(void) {
    double error = 0.0;
    for (int i = -1000000; i <= 1000000; i++) {
        double x = i * 7.3e-3 + 1e-9 * i;
        error = fmax(error, fabs(circle_sin(x) - sin(x)));
        error = fmax(error, fabs(circle_cos(x) - cos(x)));
    }
    check(error < 3e-16, "sine and cosine are those of the C library");
    check(circle_sin(0.0) == 0.0 && circle_cos(0.0) == 1.0, "sine and cosine of nothing are exact");
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
            if ((row / KERNEL_ROWS + column / KERNEL_COLUMNS) % 3 == 0) {
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
static void check_products(const kernel *k, const products *p, int vectors, const int32_t *sums) {
    int columns = p->groups * KERNEL_COLUMNS;
    for (int v = 0; v < vectors; v++) {
        for (int row = 0; row < p->rows; row++) {
            int32_t expected = 0;
            for (int column = 0; column < columns; column++) {
                expected += p->matrix[row * columns + column] * (int8_t)(p->x[v * columns + column] ^ k->flip);
            }
            check(sums[v * KERNEL_SUMS + row] == expected, k->name);
        }
    }
}

/* Also at the ends of the range, where narrower sums would saturate. */
/* Without the groups of the whole matrix that are zero anyway. */
typedef struct few_products {
    int8_t *packed;
    int32_t starts[KERNEL_BLOCKS + 1];
    uint16_t *kept;
} few_products;

static void few_products_init(few_products *few, const products *p, int blocks, int groups) {
    const int group_bytes = KERNEL_ROWS * KERNEL_COLUMNS;
    int32_t count = 0;
    few->packed = allocate((size_t)(blocks * groups * group_bytes));
    few->kept = allocate(sizeof(uint16_t) * (size_t)(blocks * groups));
    for (int i = 0; i < blocks * groups; i++) {
        if (i % groups == 0) {
            few->starts[i / groups] = count;
        }
        if ((i / groups + i % groups) % 3) {
            memcpy(few->packed + count * group_bytes, p->packed + i * group_bytes, (size_t)group_bytes);
            few->kept[count++] = (uint16_t)(i % groups);
        }
    }
    few->starts[blocks] = count;
}

static void test_kernel(const kernel *k, int blocks, int groups) {
    int columns = groups * KERNEL_COLUMNS;
    int32_t sums[KERNEL_VECTORS * KERNEL_SUMS];
    products p;
    few_products few;
    products_init(&p, blocks, groups);
    few_products_init(&few, &p, blocks, groups);
    for (int extremes = 0; extremes < 3; extremes++) {
        if (extremes) {
            memset(p.x, extremes == 1 ? 127 : -127, (size_t)(KERNEL_VECTORS * columns));
        }
        for (int i = 0; i < KERNEL_VECTORS * columns; i++) {
            p.x[i] = (int8_t)(p.x[i] ^ k->flip);
        }
        for (int vectors = 1; vectors <= KERNEL_VECTORS; vectors++) {
            for (int is_far = 0; is_far < 2; is_far++) {
                k->dense(p.packed, p.correction, blocks, groups, p.x, columns, vectors, is_far, sums);
                check_products(k, &p, vectors, sums);
                k->sparse(few.packed, p.correction, few.starts, few.kept, blocks, p.x, columns, vectors, is_far, sums);
                check_products(k, &p, vectors, sums);
            }
        }
    }
    products_discard(&p);
    free(few.packed);
    free(few.kept);
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
        k->few(weights, bias, COLUMNS, vectors, count, found);
        KERNEL_PORTABLE.few(weights, bias, COLUMNS, vectors, count, expected);
        for (int v = 0; v < count; v++) {
            check(!memcmp(found[v], expected[v], sizeof(float) * KERNEL_FEW), k->name);
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

/* Against double precision, and the same to the bit whichever rows and windows are shared. */
static void test_dot(const kernel *k) {
    enum { LENGTH = 3 * KERNEL_DOT_SUMS, COUNT = 9, ROWS = 3 };
    float rows[ROWS][LENGTH], x[LENGTH + COUNT];
    for (int i = 0; i < ROWS * LENGTH; i++) {
        rows[i / LENGTH][i % LENGTH] = uniform();
    }
    for (int i = 0; i < LENGTH + COUNT; i++) {
        x[i] = uniform();
    }
    for (int row_count = 1; row_count <= ROWS; row_count++) {
        for (int windows = 1; windows <= COUNT; windows++) {
            const float *row_of[COUNT], *x_of[COUNT];
            float y[COUNT], alone;
            for (int i = 0; i < COUNT; i++) {
                row_of[i] = rows[i % row_count];
                x_of[i] = x + i / row_count % windows;
            }
            k->dot(row_of, x_of, LENGTH, COUNT, y);
            for (int i = 0; i < COUNT; i++) {
                double exact = 0.0;
                for (int n = 0; n < LENGTH; n++) {
                    exact += (double)row_of[i][n] * x_of[i][n];
                }
                KERNEL_PORTABLE.dot(row_of + i, x_of + i, LENGTH, 1, &alone);
                check(fabs(y[i] - exact) < 1e-5 && y[i] == alone, k->name);
            }
        }
    }
}

/* In 8 bits, a voice comes out the same to the bit with every kernel, through every kind of layer. */
static void test_integers(void) {
    const int samples = HOPS * HOP_SAMPLES;
    float *x = allocate(sizeof(float) * (size_t)samples), *y = allocate(sizeof(float) * (size_t)samples);
    float *first = allocate(sizeof(float) * (size_t)samples);
    percepnet_options options;
    percepnet_options_init(&options);
    options.sample_rate_hz = 44100;
    voice(x, samples, 44100);
    for (int32_t index = 0; percepnet_kernel(index); index++) {
        percepnet_model *model = test_model_of(2, 30.0f, (weights){7, 0.3f, 1, 0}, percepnet_kernel(index));
        percepnet_stream *s = percepnet_stream_create(model, &options, NULL);
        percepnet_stream_process(s, NULL, x, samples, samples, index ? y : first, samples);
        check(!index || !memcmp(y, first, sizeof(float) * (size_t)samples), "all kernels give the same bits");
        percepnet_stream_destroy(s);
        percepnet_model_destroy(model);
    }
    check(!test_model_of(2, 30.0f, (weights){7, 0.3f, 1, 0}, "abacus"), "an unknown kernel is refused");
    free(x);
    free(y);
    free(first);
}

/* Weights of any size are no danger to memory. */
static void test_huge_weights(void) {
    float x[10 * HOP_SAMPLES], y[10 * HOP_SAMPLES];
    percepnet_model *model = test_model_of(2, 30.0f, (weights){7, 1e30f, 0, 0}, NULL);
    percepnet_options options;
    percepnet_options_init(&options);
    percepnet_stream *s = percepnet_stream_create(model, &options, NULL);
    voice(x, 10 * HOP_SAMPLES, 48000);
    check(percepnet_stream_process(s, NULL, x, 10 * HOP_SAMPLES, 0, y, 10 * HOP_SAMPLES) == 10 * HOP_SAMPLES,
          "all come out");
    percepnet_stream_destroy(s);
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
    test_circle();
    test_whitening();
    test_huge_weights();
    for (int index = 0; kernel_at(index); index++) {
        test_kernel(kernel_at(index), 1, 1);
        test_kernel(kernel_at(index), 3, 7);
        test_kernel(kernel_at(index), 4, 512);
        test_floats(kernel_at(index));
        test_dot(kernel_at(index));
    }
    test_integers();
    return testing_end();
}
