#include "network/matvec.h"

#include <string.h>

#include "signal/constants.h"

#define X_MAX 127.0f /* what 1 becomes in 8 bits */
#define GROUP_BYTES (KERNEL_ROWS * KERNEL_COLUMNS)
/* Above it an index costs more than the zeros that it saves. */
#define SPARSE_DENSITY_MAX 0.75

static int groups_of(int columns) { return (columns + KERNEL_COLUMNS - 1) / KERNEL_COLUMNS; }

static int blocks_of(int rows) { return (rows + KERNEL_ROWS - 1) / KERNEL_ROWS; }

static int smaller(int a, int b) { return a < b ? a : b; }

static int is_zero(const percepnet_affine *affine, int block, int group) {
    int last_row = smaller((block + 1) * KERNEL_ROWS, affine->rows);
    int first_column = group * KERNEL_COLUMNS, last_column = smaller(first_column + KERNEL_COLUMNS, affine->columns);
    for (int row = block * KERNEL_ROWS; row < last_row; row++) {
        const int8_t *weights = affine->integers + (size_t)row * (size_t)affine->columns;
        for (int column = first_column; column < last_column; column++) {
            if (weights[column]) {
                return 0;
            }
        }
    }
    return 1;
}

static int count_kept(const percepnet_affine *affine) {
    int kept = 0;
    for (int block = 0; block < blocks_of(affine->rows); block++) {
        for (int group = 0; group < groups_of(affine->columns); group++) {
            kept += !is_zero(affine, block, group);
        }
    }
    return kept;
}

static void pack_floats(matvec *m, const percepnet_affine *affine) {
    size_t columns = (size_t)affine->columns;
    memset(m->weight, 0, sizeof(float) * KERNEL_ROWS * (size_t)blocks_of(m->rows) * columns);
    for (int row = 0; row < m->rows; row++) {
        float *block = m->weight + (size_t)(row / KERNEL_ROWS) * KERNEL_ROWS * columns;
        const float *weights = affine->weight + (size_t)row * columns;
        for (size_t column = 0; column < columns; column++) {
            block[column * KERNEL_ROWS + (size_t)(row % KERNEL_ROWS)] = weights[column];
        }
    }
}

static int8_t weight_of(const percepnet_affine *affine, int row, int column) {
    int8_t weight = affine->integers[(size_t)row * (size_t)affine->columns + (size_t)column];
    /* -128 is not symmetric: its products do not fit the kernels' bounds */
    return weight < -127 ? (int8_t)-127 : weight;
}

static void pack_group(const percepnet_affine *affine, int block, int group, int8_t packed[GROUP_BYTES]) {
    memset(packed, 0, GROUP_BYTES);
    for (int i = 0; i < GROUP_BYTES; i++) {
        int row = block * KERNEL_ROWS + i / KERNEL_COLUMNS, column = group * KERNEL_COLUMNS + i % KERNEL_COLUMNS;
        if (row < affine->rows && column < affine->columns) {
            packed[i] = weight_of(affine, row, column);
        }
    }
}

static void pack_integers(matvec *m, const percepnet_affine *affine) {
    int8_t *packed = m->integers;
    int32_t count = 0;
    for (int block = 0; block < blocks_of(m->rows); block++) {
        if (m->starts) {
            m->starts[block] = count;
        }
        for (int group = 0; group < groups_of(m->columns); group++) {
            if (m->starts && is_zero(affine, block, group)) {
                continue;
            }
            pack_group(affine, block, group, packed);
            packed += GROUP_BYTES;
            if (m->starts) {
                m->kept[count++] = (uint16_t)group;
            }
        }
    }
    if (m->starts) {
        m->starts[blocks_of(m->rows)] = count;
    }
}

static void set_steps(matvec *m, const percepnet_affine *affine) {
    size_t padded = KERNEL_ROWS * (size_t)blocks_of(m->rows);
    memset(m->correction, 0, sizeof(int32_t) * padded);
    memset(m->step, 0, sizeof(float) * padded);
    for (int row = 0; row < m->rows; row++) {
        int32_t sum = 0;
        for (int column = 0; column < m->columns; column++) {
            sum += weight_of(affine, row, column);
        }
        m->correction[row] = -128 * sum;
        m->step[row] = affine->scale[row] / X_MAX;
    }
}

void matvec_init(matvec *m, const percepnet_affine *affine, const kernel *k, arena *a) {
    size_t blocks = (size_t)blocks_of(affine->rows), padded = blocks * KERNEL_ROWS;
    *m = (matvec){.rows = affine->rows, .columns = affine->columns, .kernel = k};
    m->bias = ARENA_TAKE(a, float, padded);
    if (affine->integers) {
        size_t all = blocks * (size_t)groups_of(m->columns), kept = (size_t)count_kept(affine);
        int sparse = (double)kept < SPARSE_DENSITY_MAX * (double)all;
        m->integers = ARENA_TAKE(a, int8_t, (sparse ? kept : all) * GROUP_BYTES);
        m->correction = ARENA_TAKE(a, int32_t, padded);
        m->step = ARENA_TAKE(a, float, padded);
        m->starts = sparse ? ARENA_TAKE(a, int32_t, blocks + 1) : NULL;
        m->kept = sparse ? ARENA_TAKE(a, uint16_t, kept) : NULL;
    } else {
        m->weight = ARENA_TAKE(a, float, padded * (size_t)m->columns);
    }
    if (!a->memory) {
        return;
    }
    memset(m->bias, 0, sizeof(float) * padded);
    memcpy(m->bias, affine->bias, sizeof(float) * (size_t)m->rows);
    if (affine->integers) {
        pack_integers(m, affine);
        set_steps(m, affine);
    } else {
        pack_floats(m, affine);
    }
}

int matvec_rounded(const matvec *m) {
    return (groups_of(m->columns) * KERNEL_COLUMNS + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

static void apply_floats(const matvec *m, const float *const *x, int count, float *y, int stride) {
    float sums[KERNEL_VECTORS][KERNEL_SUMS];
    int all = blocks_of(m->rows);
    for (int block = 0; block < all; block += KERNEL_BLOCKS) {
        int blocks = smaller(KERNEL_BLOCKS, all - block), row = block * KERNEL_ROWS;
        size_t size = sizeof(float) * (size_t)smaller(blocks * KERNEL_ROWS, m->rows - row);
        const float *weight = m->weight + (size_t)row * (size_t)m->columns;
        for (int first = 0; first < count; first += KERNEL_VECTORS) {
            int vectors = smaller(KERNEL_VECTORS, count - first);
            m->kernel->floats(weight, m->bias + row, blocks, m->columns, x + first, vectors, sums);
            for (int v = 0; v < vectors; v++) {
                memcpy(y + (size_t)(first + v) * (size_t)stride + row, sums[v], size);
            }
        }
    }
}

/* The products of some blocks from `block` on with some vectors. */
static void multiply(const matvec *m, int block, int blocks, const int8_t *x, int stride, int vectors, int32_t *sums) {
    const kernel *k = m->kernel;
    const int32_t *correction = m->correction + block * KERNEL_ROWS;
    int groups = groups_of(m->columns);
    if (!m->starts) {
        const int8_t *weights = m->integers + (size_t)block * (size_t)groups * GROUP_BYTES;
        k->dense(weights, correction, blocks, groups, x, stride, vectors, sums);
        return;
    }
    for (int b = block; b < block + blocks; b++, correction += KERNEL_ROWS, sums += KERNEL_ROWS) {
        int start = m->starts[b];
        const int8_t *weights = m->integers + (size_t)start * GROUP_BYTES;
        k->sparse(weights, correction, m->kept + start, m->starts[b + 1] - start, x, stride, vectors, sums);
    }
}

static void apply_integers(const matvec *m, const float *const *x, int count, float *y, int stride, int8_t *rounded) {
    int32_t sums[KERNEL_VECTORS * KERNEL_SUMS];
    int size = matvec_rounded(m), all = blocks_of(m->rows);
    for (int v = 0; v < count; v++) {
        int8_t *bytes = rounded + (size_t)v * (size_t)size;
        memset(bytes + (groups_of(m->columns) - 1) * KERNEL_COLUMNS, 0, KERNEL_COLUMNS);
        m->kernel->round(x[v], m->columns, m->kernel->flip, bytes);
    }
    for (int block = 0; block < all; block += KERNEL_BLOCKS) {
        int blocks = smaller(KERNEL_BLOCKS, all - block), row = block * KERNEL_ROWS;
        int rows = smaller(blocks * KERNEL_ROWS, m->rows - row);
        for (int first = 0; first < count; first += KERNEL_VECTORS) {
            int vectors = smaller(KERNEL_VECTORS, count - first);
            multiply(m, block, blocks, rounded + (size_t)first * (size_t)size, size, vectors, sums);
            for (int v = 0; v < vectors; v++) {
                float *to = y + (size_t)(first + v) * (size_t)stride + row;
                m->kernel->scale(sums + v * KERNEL_SUMS, m->bias + row, m->step + row, rows, to);
            }
        }
    }
}

void matvec_apply(const matvec *m, const float *const *x, int count, float *y, int stride, int8_t *rounded) {
    if (m->integers) {
        apply_integers(m, x, count, y, stride, rounded);
    } else {
        apply_floats(m, x, count, y, stride);
    }
}
