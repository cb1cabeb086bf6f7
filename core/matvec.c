#include "matvec.h"

#include <string.h>

#include "constants.h"

#define X_MAX 127.0f /* what 1 becomes in 8 bits */
/* The widest input of any layer: the last frames of a convolution, or all that the gains are made of. */
#define COLUMNS_MAX (CONV1_TAPS * UNITS_MAX)

static int groups_of(int columns) { return (columns + KERNEL_COLUMNS - 1) / KERNEL_COLUMNS; }

static void pack_floats(matvec *m, const percepnet_affine *affine) {
    size_t columns = (size_t)affine->columns;
    memset(m->weight, 0, sizeof(float) * (size_t)matvec_padded(m->rows) * columns);
    for (int row = 0; row < m->rows; row++) {
        float *block = m->weight + (size_t)(row / MATVEC_ROWS) * MATVEC_ROWS * columns;
        const float *weights = affine->weight + (size_t)row * columns;
        for (size_t column = 0; column < columns; column++) {
            block[column * MATVEC_ROWS + (size_t)(row % MATVEC_ROWS)] = weights[column];
        }
    }
}

static void pack_integers(matvec *m, const percepnet_affine *affine) {
    size_t columns = (size_t)affine->columns, padded = (size_t)matvec_padded(m->rows);
    size_t block_size = (size_t)groups_of(m->columns) * KERNEL_COLUMNS * KERNEL_ROWS;
    memset(m->integers, 0, block_size * (padded / KERNEL_ROWS));
    memset(m->correction, 0, sizeof(int32_t) * padded);
    memset(m->step, 0, sizeof(float) * padded);
    for (int row = 0; row < m->rows; row++) {
        int8_t *block = m->integers + (size_t)(row / KERNEL_ROWS) * block_size;
        const int8_t *weights = affine->integers + (size_t)row * columns;
        int32_t sum = 0;
        for (size_t column = 0; column < columns; column++) {
            size_t group = column / KERNEL_COLUMNS;
            size_t lane = group * KERNEL_ROWS + (size_t)(row % KERNEL_ROWS);
            /* -128 is not symmetric: its products do not fit the kernels' bounds */
            int8_t weight = weights[column] < -127 ? (int8_t)-127 : weights[column];
            block[lane * KERNEL_COLUMNS + column % KERNEL_COLUMNS] = weight;
            sum += weight;
        }
        m->correction[row] = -128 * sum;
        m->step[row] = affine->scale[row] / X_MAX;
    }
}

void matvec_init(matvec *m, const percepnet_affine *affine, const kernel *k, arena *a) {
    int padded = matvec_padded(affine->rows);
    m->rows = affine->rows;
    m->columns = affine->columns;
    m->bias = ARENA_TAKE(a, float, padded);
    m->kernel = affine->integers ? k : NULL;
    if (m->kernel) {
        m->integers = ARENA_TAKE(a, int8_t, (size_t)padded * (size_t)groups_of(m->columns) * KERNEL_COLUMNS);
        m->correction = ARENA_TAKE(a, int32_t, padded);
        m->step = ARENA_TAKE(a, float, padded);
    } else {
        m->weight = ARENA_TAKE(a, float, (size_t)padded * (size_t)m->columns);
    }
    if (!a->memory) {
        return;
    }
    memset(m->bias, 0, sizeof(float) * (size_t)padded);
    memcpy(m->bias, affine->bias, sizeof(float) * (size_t)m->rows);
    if (m->kernel) {
        pack_integers(m, affine);
    } else {
        pack_floats(m, affine);
    }
}

/* Four rows. A plain loop over rows inside one over columns is turned inside out by some compilers, which is slow. */
typedef float lanes __attribute__((vector_size(16)));

static inline lanes lanes_at(const float *x) {
    lanes four;
    memcpy(&four, x, sizeof four);
    return four;
}

static void apply_floats(const matvec *m, const float *x, float *y) {
    const float *weight = m->weight;
    for (int row = 0; row < m->rows; row += MATVEC_ROWS) {
        const float *bias = m->bias + row;
        lanes a = lanes_at(bias), b = lanes_at(bias + 4), c = lanes_at(bias + 8), d = lanes_at(bias + 12);
        for (int column = 0; column < m->columns; column++, weight += MATVEC_ROWS) {
            a += lanes_at(weight) * x[column];
            b += lanes_at(weight + 4) * x[column];
            c += lanes_at(weight + 8) * x[column];
            d += lanes_at(weight + 12) * x[column];
        }
        lanes sums[4] = {a, b, c, d};
        memcpy(y + row, sums, sizeof sums);
    }
}

static void round_to_8_bits(const float *x, int count, int8_t *q) {
    /* Added to a number, it leaves the nearest integer in the lowest bits, without a call for each. */
    const float magic = 12582912.0f; /* 1.5 * 2^23 */
    for (int i = 0; i < count; i++) {
        float limited = x[i] > -1.0f ? x[i] : -1.0f; /* NaN too */
        limited = limited < 1.0f ? limited : 1.0f;
        float sum = limited * X_MAX + magic;
        int32_t bits;
        memcpy(&bits, &sum, sizeof bits);
        q[i] = (int8_t)(bits - 0x4B400000);
    }
}

static void apply_integers(const matvec *m, const float *x, float *y) {
    enum { BLOCKS = 8 }; /* at a time */
    int8_t q[COLUMNS_MAX];
    int32_t sums[BLOCKS * KERNEL_ROWS];
    int groups = groups_of(m->columns), padded = matvec_padded(m->rows);
    memset(q + (groups - 1) * KERNEL_COLUMNS, 0, KERNEL_COLUMNS);
    round_to_8_bits(x, m->columns, q);
    for (int start = 0; start < padded; start += BLOCKS * KERNEL_ROWS) {
        int rows = padded - start < BLOCKS * KERNEL_ROWS ? padded - start : BLOCKS * KERNEL_ROWS;
        const int8_t *weights = m->integers + (size_t)start * (size_t)groups * KERNEL_COLUMNS;
        m->kernel->run(weights, q, m->correction + start, rows / KERNEL_ROWS, groups, sums);
        for (int i = 0; i < rows; i++) {
            y[start + i] = m->bias[start + i] + m->step[start + i] * (float)sums[i];
        }
    }
}

void matvec_apply(const matvec *m, const float *x, float *y) {
    if (m->kernel) {
        apply_integers(m, x, y);
    } else {
        apply_floats(m, x, y);
    }
}
