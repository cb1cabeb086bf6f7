#include "network/matvec.h"

#include <string.h>

#define X_MAX 127.0f /* what 1 becomes in 8 bits */
#define GROUP_BYTES (KERNEL_ROWS * KERNEL_COLUMNS)
/* Above it an index costs more than the zeros that it saves. */
#define SPARSE_DENSITY_MAX 0.75

static int groups_of(int columns) { return (columns + KERNEL_COLUMNS - 1) / KERNEL_COLUMNS; }

static int blocks_of(int rows) { return (rows + KERNEL_ROWS - 1) / KERNEL_ROWS; }

static int smaller(int a, int b) { return a < b ? a : b; }

/* Where the columns of a group are in a row of the file; -1 beyond the matrix. */
static void places_of(const matrix *from, int group, int places[KERNEL_COLUMNS]) {
    for (int i = 0; i < KERNEL_COLUMNS; i++) {
        int column = group * KERNEL_COLUMNS + i, tap = column / from->inputs, input = column % from->inputs;
        places[i] = tap < from->taps ? input * from->taps + tap : -1;
    }
}

static const int8_t *integers_of(const matrix *from, int row) {
    return (const int8_t *)from->weight->data + (size_t)row * (size_t)(from->inputs * from->taps);
}

/* -128 is not symmetric: its products do not fit the kernels' bounds. */
static int8_t symmetric(int8_t weight) { return weight < -127 ? (int8_t)-127 : weight; }

static int last_row_of(const matrix *from, int block) { return smaller((block + 1) * KERNEL_ROWS, from->rows); }

static int is_zero(const matrix *from, int block, const int places[KERNEL_COLUMNS]) {
    for (int row = block * KERNEL_ROWS; row < last_row_of(from, block); row++) {
        const int8_t *integers = integers_of(from, row);
        for (int i = 0; i < KERNEL_COLUMNS && places[i] >= 0; i++) {
            if (integers[places[i]]) {
                return 0;
            }
        }
    }
    return 1;
}

static void pack_group(const matrix *from, int block, const int places[KERNEL_COLUMNS], int8_t packed[GROUP_BYTES]) {
    memset(packed, 0, GROUP_BYTES);
    for (int row = block * KERNEL_ROWS; row < last_row_of(from, block); row++, packed += KERNEL_COLUMNS) {
        const int8_t *integers = integers_of(from, row);
        for (int i = 0; i < KERNEL_COLUMNS && places[i] >= 0; i++) {
            packed[i] = symmetric(integers[places[i]]);
        }
    }
}

static size_t count_kept(const matrix *from) {
    size_t kept = 0;
    for (int group = 0; group < groups_of(from->inputs * from->taps); group++) {
        int places[KERNEL_COLUMNS];
        places_of(from, group, places);
        for (int block = 0; block < blocks_of(from->rows); block++) {
            kept += !is_zero(from, block, places);
        }
    }
    return kept;
}

/* Rows in the last block, in single precision, if they are few; those in front of it are whole blocks. */
static int few_of(int rows) {
    int rest = rows % KERNEL_ROWS;
    return rest <= KERNEL_FEW ? rest : 0;
}

static size_t floats_of(int rows, int columns) {
    int few = few_of(rows), padded = blocks_of(rows - few) * KERNEL_ROWS + (few ? KERNEL_FEW : 0);
    return (size_t)padded * (size_t)columns;
}

static void pack_floats(matvec *m, const matrix *from) {
    size_t columns = (size_t)m->columns;
    int whole = m->rows - few_of(m->rows);
    memset(m->weight, 0, sizeof(float) * floats_of(m->rows, m->columns));
    for (int row = 0; row < m->rows; row++) {
        float *block = m->weight + (size_t)(row / KERNEL_ROWS) * KERNEL_ROWS * columns;
        size_t in_block = row < whole ? KERNEL_ROWS : KERNEL_FEW;
        for (int place = 0; place < m->columns; place++) {
            int column = place % from->taps * from->inputs + place / from->taps;
            float weight = tensor_float(from->weight, (size_t)row * columns + (size_t)place);
            block[(size_t)column * in_block + (size_t)(row % KERNEL_ROWS)] = weight;
        }
    }
}

static void pack_integers(matvec *m, const matrix *from) {
    int8_t *packed = m->integers;
    int32_t count = 0;
    for (int block = 0; block < blocks_of(m->rows); block++) {
        if (m->starts) {
            m->starts[block] = count;
        }
        for (int group = 0; group < groups_of(m->columns); group++) {
            int places[KERNEL_COLUMNS];
            places_of(from, group, places);
            if (m->starts && is_zero(from, block, places)) {
                continue;
            }
            pack_group(from, block, places, packed);
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

static void set_steps(matvec *m, const matrix *from) {
    size_t padded = KERNEL_ROWS * (size_t)blocks_of(m->rows);
    tensor scale = {from->weight->scale, NULL};
    memset(m->correction, 0, sizeof(int32_t) * padded);
    memset(m->step, 0, sizeof(float) * padded);
    for (int row = 0; row < m->rows; row++) {
        const int8_t *integers = integers_of(from, row);
        int32_t sum = 0;
        for (int place = 0; place < m->columns; place++) {
            sum += symmetric(integers[place]);
        }
        m->correction[row] = -128 * sum;
        m->step[row] = tensor_float(&scale, (size_t)row) / X_MAX;
    }
}

void matvec_init(matvec *m, const matrix *from, const kernel *k, arena *a) {
    int in_8_bits = from->weight->scale != NULL;
    size_t blocks = (size_t)blocks_of(from->rows), padded = blocks * KERNEL_ROWS;
    *m = (matvec){.rows = from->rows, .columns = from->inputs * from->taps, .kernel = k};
    m->bias = ARENA_TAKE(a, float, padded);
    if (in_8_bits) {
        size_t all = blocks * (size_t)groups_of(m->columns), kept = count_kept(from);
        int sparse = (double)kept < SPARSE_DENSITY_MAX * (double)all;
        m->integers = ARENA_TAKE(a, int8_t, (sparse ? kept : all) * GROUP_BYTES);
        m->correction = ARENA_TAKE(a, int32_t, padded);
        m->step = ARENA_TAKE(a, float, padded);
        m->starts = sparse ? ARENA_TAKE(a, int32_t, blocks + 1) : NULL;
        m->kept = sparse ? ARENA_TAKE(a, uint16_t, kept) : NULL;
    } else {
        m->weight = ARENA_TAKE(a, float, floats_of(m->rows, m->columns));
    }
    if (!a->memory) {
        return;
    }
    memset(m->bias, 0, sizeof(float) * padded);
    memcpy(m->bias, from->bias->data, sizeof(float) * (size_t)m->rows);
    if (in_8_bits) {
        pack_integers(m, from);
        set_steps(m, from);
    } else {
        pack_floats(m, from);
    }
}

int matvec_rounded(const matvec *m) {
    return (groups_of(m->columns) * KERNEL_COLUMNS + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

static void apply_floats(const matvec *m, const float *const *x, int count, float *y, int stride) {
    float sums[KERNEL_VECTORS][KERNEL_SUMS];
    int whole = m->rows - few_of(m->rows), rows;
    for (int row = 0; row < m->rows; row += rows) {
        int blocks = blocks_of(smaller(KERNEL_BLOCKS * KERNEL_ROWS, whole - row));
        rows = blocks > 0 ? smaller(blocks * KERNEL_ROWS, whole - row) : m->rows - row;
        const float *weight = m->weight + (size_t)row * (size_t)m->columns;
        for (int first = 0; first < count; first += KERNEL_VECTORS) {
            int vectors = smaller(KERNEL_VECTORS, count - first);
            if (blocks > 0) {
                m->kernel->floats(weight, m->bias + row, blocks, m->columns, x + first, vectors, sums);
            } else {
                m->kernel->few(weight, m->bias + row, m->columns, x + first, vectors, sums);
            }
            for (int v = 0; v < vectors; v++) {
                memcpy(y + (size_t)(first + v) * (size_t)stride + row, sums[v], sizeof(float) * (size_t)rows);
            }
        }
    }
}

/* The products of some blocks from `block` on with some vectors. */
static void multiply(const matvec *m, int block, int blocks, const int8_t *x, int stride, int vectors, int is_far,
                     int32_t *sums) {
    const int32_t *correction = m->correction + block * KERNEL_ROWS;
    if (m->starts) {
        m->kernel->sparse(m->integers, correction, m->starts + block, m->kept, blocks, x, stride, vectors, is_far,
                          sums);
    } else {
        int groups = groups_of(m->columns);
        const int8_t *weights = m->integers + (size_t)block * (size_t)groups * GROUP_BYTES;
        m->kernel->dense(weights, correction, blocks, groups, x, stride, vectors, is_far, sums);
    }
}

static void apply_integers(const matvec *m, const float *const *x, int count, float *y, int stride, int is_far,
                           int8_t *rounded) {
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
            multiply(m, block, blocks, rounded + (size_t)first * (size_t)size, size, vectors, is_far, sums);
            for (int v = 0; v < vectors; v++) {
                float *to = y + (size_t)(first + v) * (size_t)stride + row;
                m->kernel->scale(sums + v * KERNEL_SUMS, m->bias + row, m->step + row, rows, to);
            }
        }
    }
}

void matvec_apply(const matvec *m, const float *const *x, int count, float *y, int stride, int is_far,
                  int8_t *rounded) {
    if (m->integers) {
        apply_integers(m, x, count, y, stride, is_far, rounded);
    } else {
        apply_floats(m, x, count, y, stride);
    }
}

void matvec_apply_to_bins(const matvec *m, const float *const *x, float *y) {
    int whole = m->rows - few_of(m->rows), rows;
    for (int row = 0; row < m->rows; row += rows) {
        int in_block = row < whole ? KERNEL_ROWS : KERNEL_FEW;
        const float *weight = m->weight + (size_t)row * (size_t)m->columns;
        rows = smaller(in_block, m->rows - row);
        m->kernel->side_by_side(weight, m->bias + row, rows, in_block, m->columns, x, y + row * KERNEL_BINS);
    }
}
