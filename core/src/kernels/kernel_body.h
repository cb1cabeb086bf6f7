/* What all kernels are made of but their integer products: plain loops, which each source file that includes this one
   compiles for its instruction set. Before, it defines

   TARGET, the attribute that chooses the instruction set;
   LANES, single-precision numbers in a register. */

#ifndef KERNEL_BODY_H
#define KERNEL_BODY_H

/* A comparison raises a flag of the processor for NaN, which nobody reads, and for which GCC would not make vectors of
   loops that limit their numbers. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-trapping-math")
#endif

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "network/activation.h"
#include "signal/constants.h"
#include "kernels/kernels.h"

/* Products and sums that are rounded at once in one instruction set and not in another would not give the same bits. */
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

#ifdef __GNUC__
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

#define GROUP_BYTES (KERNEL_ROWS * KERNEL_COLUMNS)

/* In a call the weights have left the caches before each frame. Processors fetch ahead by themselves, but only to the end
   of a page of 4 kB, and so spend most of a frame waiting: a wish for what comes two pages later ends that. It may be
   for memory behind the weights. Where several vectors share what is read there is nothing to wait for. */
#define AHEAD_BYTES 8192
#ifdef __GNUC__
#define FETCH_AHEAD(weights) __builtin_prefetch((const char *)(weights) + AHEAD_BYTES, 0, 2)
#else
#define FETCH_AHEAD(weights) ((void)0)
#endif

/* Limited as integers: of comparisons of floats GCC makes masks, which take twice as long. */
TARGET static void round_to_8_bits(const float *restrict x, int count, uint8_t flip, int8_t *restrict rounded) {
    /* Added to a number, it leaves the nearest integer in the lowest bits, without a call for each. The bits of larger
       sums are larger integers, and those of sums below zero are negative. */
    const float magic = 12582912.0f; /* 1.5 * 2^23 */
    const int32_t zero = 0x4b400000; /* its bits */
    for (int i = 0; i < count; i++) {
        float sum = x[i] * 127.0f + magic;
        int32_t bits;
        memcpy(&bits, &sum, sizeof bits);
        bits = bits > zero - 127 ? bits : zero - 127;
        bits = bits < zero + 127 ? bits : zero + 127;
        rounded[i] = (int8_t)(bits ^ flip);
    }
}

TARGET static void scale_sums(const int32_t *restrict sums, const float *restrict bias, const float *restrict step,
                              int count, float *restrict y) {
    for (int i = 0; i < count; i++) {
        y[i] = bias[i] + step[i] * (float)sums[i];
    }
}

TARGET static void tanh_all(float *x, int count) {
    for (int i = 0; i < count; i++) {
        x[i] = activation_tanh(x[i]);
    }
}

TARGET static void sigmoid_all(float *x, int count) {
    for (int i = 0; i < count; i++) {
        x[i] = activation_sigmoid(x[i]);
    }
}

TARGET static void gru_gates(const float *restrict from_input, const float *restrict from_state,
                             const float *restrict before, int units, float *restrict after) {
    for (int i = 0; i < units; i++) {
        float reset = activation_sigmoid(from_input[i] + from_state[i]);
        float update = activation_sigmoid(from_input[units + i] + from_state[units + i]);
        float fresh = activation_tanh(from_input[2 * units + i] + reset * from_state[2 * units + i]);
        after[i] = (1.0f - update) * fresh + update * before[i];
    }
}

TARGET static void recur(const float *restrict gates, const float *restrict before, int units, float *restrict after) {
    for (int i = 0; i < units; i++) {
        float update = activation_sigmoid(gates[i]), fresh = activation_tanh(gates[units + i]);
        after[i] = (1.0f - update) * before[i] + update * fresh;
    }
}

#define PARTIAL_SUMS 16 /* always in this order, so that all instruction sets round alike */

TARGET INLINE float sum_of(float sums[PARTIAL_SUMS]) {
    for (int half = PARTIAL_SUMS / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
            sums[i] += sums[i + half];
        }
    }
    return sums[0];
}

TARGET static float mean_of(const float *x, int count) {
    float sums[PARTIAL_SUMS] = {0.0f};
    int whole = count / PARTIAL_SUMS * PARTIAL_SUMS;
    for (int first = 0; first < whole; first += PARTIAL_SUMS) {
        for (int i = 0; i < PARTIAL_SUMS; i++) {
            sums[i] += x[first + i];
        }
    }
    for (int i = whole; i < count; i++) {
        sums[i - whole] += x[i];
    }
    return sum_of(sums) / (float)count;
}

TARGET static float mean_square_of(const float *x, int count) {
    float sums[PARTIAL_SUMS] = {0.0f};
    int whole = count / PARTIAL_SUMS * PARTIAL_SUMS;
    for (int first = 0; first < whole; first += PARTIAL_SUMS) {
        for (int i = 0; i < PARTIAL_SUMS; i++) {
            sums[i] += x[first + i] * x[first + i];
        }
    }
    for (int i = whole; i < count; i++) {
        sums[i - whole] += x[i] * x[i];
    }
    return sum_of(sums) / (float)count;
}

TARGET static void normalise(const float *restrict x, const float *restrict weight, const float *restrict bias,
                             int count, float *restrict y) {
    float mean = mean_of(x, count);
    for (int i = 0; i < count; i++) {
        y[i] = x[i] - mean;
    }
    float deviation = sqrtf(mean_square_of(y, count) + NORMALISATION_FLOOR);
    for (int i = 0; i < count; i++) {
        y[i] = y[i] / deviation * weight[i] + bias[i];
    }
}

#ifdef __GNUC__
typedef float lanes __attribute__((vector_size(4 * LANES)));
#else
#undef LANES
#define LANES 1
typedef float lanes;
#endif

/* Variables with a name each, which every compiler keeps in registers. */
typedef struct four_lanes {
    lanes a, b, c, d;
} four_lanes;

TARGET INLINE lanes lanes_at(const float *x) {
    lanes found;
    memcpy(&found, x, sizeof found);
    return found;
}

/* Those of the first `parts`; the others are never looked at. */
TARGET INLINE four_lanes four_lanes_at(const float *const part[4], size_t at, int parts) {
    four_lanes found = {lanes_at(part[0] + at), lanes_at(part[0] + at), lanes_at(part[0] + at), lanes_at(part[0] + at)};
    if (parts > 1) {
        found.b = lanes_at(part[1] + at);
    }
    if (parts > 2) {
        found.c = lanes_at(part[2] + at);
    }
    if (parts > 3) {
        found.d = lanes_at(part[3] + at);
    }
    return found;
}

TARGET INLINE four_lanes add_scaled(four_lanes sum, four_lanes weight, float x, int parts) {
    sum.a += weight.a * x;
    if (parts > 1) {
        sum.b += weight.b * x;
    }
    if (parts > 2) {
        sum.c += weight.c * x;
    }
    if (parts > 3) {
        sum.d += weight.d * x;
    }
    return sum;
}

TARGET INLINE void store_lanes(four_lanes sum, float *to, int parts) {
    memcpy(to, &sum.a, sizeof sum.a);
    if (parts > 1) {
        memcpy(to + LANES, &sum.b, sizeof sum.b);
    }
    if (parts > 2) {
        memcpy(to + 2 * LANES, &sum.c, sizeof sum.c);
    }
    if (parts > 3) {
        memcpy(to + 3 * LANES, &sum.d, sizeof sum.d);
    }
}

#define FLOATS_TOGETHER (LANES > 8 ? 4 : 2) /* vectors, as many as there are registers for */

/* The rows of one to four registers, those from `row` on. */
TARGET INLINE void floats_tile(const float *weights, const float *bias, int row, int columns, const float *const *x,
                               float sums[][KERNEL_SUMS], int vectors, int parts) {
    const float *part[4], *part_bias[4];
    for (int i = 0; i < parts; i++) {
        int at = row + i * LANES;
        part[i] = weights + (size_t)(at / KERNEL_ROWS * KERNEL_ROWS) * (size_t)columns + at % KERNEL_ROWS;
        part_bias[i] = bias + at;
    }
    four_lanes a = four_lanes_at(part_bias, 0, parts), b = a, c = a, d = a;
    for (int column = 0; column < columns; column++) {
        four_lanes weight = four_lanes_at(part, (size_t)column * KERNEL_ROWS, parts);
        for (int i = 0; vectors == 1 && i < parts; i++) {
            FETCH_AHEAD(part[i] + (size_t)column * KERNEL_ROWS);
        }
        a = add_scaled(a, weight, x[0][column], parts);
        if (vectors > 1) {
            b = add_scaled(b, weight, x[1][column], parts);
        }
        if (vectors > 2) {
            c = add_scaled(c, weight, x[2][column], parts);
            d = add_scaled(d, weight, x[3][column], parts);
        }
    }
    for (int v = 0; v < vectors; v++) {
        store_lanes(v == 0 ? a : v == 1 ? b : v == 2 ? c : d, sums[v] + row, parts);
    }
}

TARGET INLINE void floats_part(const float *weights, const float *bias, int row, int columns, const float *const *x,
                               int vectors, float sums[][KERNEL_SUMS], int parts) {
    int v = 0;
    for (; v + FLOATS_TOGETHER <= vectors; v += FLOATS_TOGETHER) {
        floats_tile(weights, bias, row, columns, x + v, sums + v, FLOATS_TOGETHER, parts);
    }
    for (; v < vectors; v++) {
        floats_tile(weights, bias, row, columns, x + v, sums + v, 1, parts);
    }
}

TARGET static void floats(const float *weights, const float *bias, int blocks, int columns, const float *const *x,
                          int vectors, float sums[][KERNEL_SUMS]) {
    int rows = blocks * KERNEL_ROWS;
    for (int row = 0; row < rows; row += 4 * LANES) {
        switch ((rows - row) / LANES) {
        case 1: floats_part(weights, bias, row, columns, x, vectors, sums, 1); break;
        case 2: floats_part(weights, bias, row, columns, x, vectors, sums, 2); break;
        case 3: floats_part(weights, bias, row, columns, x, vectors, sums, 3); break;
        default: floats_part(weights, bias, row, columns, x, vectors, sums, 4); break;
        }
    }
}

TARGET INLINE void store_bins(lanes low, lanes high, float *to) {
    memcpy(to, &low, sizeof low);
    memcpy(to + LANES, &high, sizeof high);
}

TARGET INLINE lanes all_lanes(float x) {
    lanes none = {0};
    return none + x;
}

/* Four rows and two registers of bins. */
TARGET INLINE void side_by_side_tile(const float *weights, const float *bias, int in_block, int columns,
                                     const float *const *x, int at, float *y) {
    four_lanes low = {all_lanes(bias[0]), all_lanes(bias[1]), all_lanes(bias[2]), all_lanes(bias[3])}, high = low;
    for (int column = 0; column < columns; column++, weights += in_block) {
        lanes first = lanes_at(x[column] + at), second = lanes_at(x[column] + at + LANES);
        low.a += first * weights[0];
        high.a += second * weights[0];
        low.b += first * weights[1];
        high.b += second * weights[1];
        low.c += first * weights[2];
        high.c += second * weights[2];
        low.d += first * weights[3];
        high.d += second * weights[3];
    }
    store_bins(low.a, high.a, y + at);
    store_bins(low.b, high.b, y + KERNEL_BINS + at);
    store_bins(low.c, high.c, y + 2 * KERNEL_BINS + at);
    store_bins(low.d, high.d, y + 3 * KERNEL_BINS + at);
}

TARGET static void side_by_side(const float *weights, const float *bias, int rows, int in_block, int columns,
                                const float *const *x, float *y) {
    for (int row = 0; row < rows; row += 4) {
        for (int at = 0; at < KERNEL_BINS; at += 2 * LANES) {
            side_by_side_tile(weights + row, bias + row, in_block, columns, x, at, y + row * KERNEL_BINS);
        }
    }
}

#ifdef __GNUC__
typedef float quarter __attribute__((vector_size(16)));

TARGET INLINE quarter quarter_at(const float *x) {
    quarter found;
    memcpy(&found, x, sizeof found);
    return found;
}

TARGET INLINE void few_tile(const float *weights, const float *bias, int columns, const float *const *x, int vectors,
                            float sums[][KERNEL_SUMS]) {
    quarter a = quarter_at(bias), b = a, c = a, d = a;
    for (int column = 0; column < columns; column++, weights += KERNEL_FEW) {
        quarter weight = quarter_at(weights);
        if (vectors == 1) {
            FETCH_AHEAD(weights);
        }
        a += weight * x[0][column];
        if (vectors > 1) {
            b += weight * x[1][column];
            c += weight * x[2][column];
            d += weight * x[3][column];
        }
    }
    memcpy(sums[0], &a, sizeof a);
    if (vectors > 1) {
        memcpy(sums[1], &b, sizeof b);
        memcpy(sums[2], &c, sizeof c);
        memcpy(sums[3], &d, sizeof d);
    }
}
#else
static void few_tile(const float *weights, const float *bias, int columns, const float *const *x, int vectors,
                     float sums[][KERNEL_SUMS]) {
    for (int v = 0; v < vectors; v++) {
        memcpy(sums[v], bias, KERNEL_FEW * sizeof *bias);
        for (int column = 0; column < columns; column++) {
            for (int row = 0; row < KERNEL_FEW; row++) {
                sums[v][row] += weights[column * KERNEL_FEW + row] * x[v][column];
            }
        }
    }
}
#endif

TARGET static void few(const float *weights, const float *bias, int columns, const float *const *x, int vectors,
                       float sums[][KERNEL_SUMS]) {
    int v = 0;
    for (; v + 4 <= vectors; v += 4) {
        few_tile(weights, bias, columns, x + v, 4, sums + v);
    }
    for (; v < vectors; v++) {
        few_tile(weights, bias, columns, x + v, 1, sums + v);
    }
}

/* Half of the widest registers: those would cross a line of the cache with each window that they read. */
#if defined(__GNUC__) && LANES > 8
#define DOT_LANES 8
typedef float dot_lanes __attribute__((vector_size(4 * DOT_LANES)));
#else
#define DOT_LANES LANES
typedef lanes dot_lanes;
#endif
#define DOT_REGISTERS (KERNEL_DOT_SUMS / DOT_LANES)
#define DOTS_MAX 4

TARGET INLINE dot_lanes dot_lanes_at(const float *x) {
    dot_lanes found;
    memcpy(&found, x, sizeof found);
    return found;
}

/* In fours, because compilers find no good way to add single numbers of a register. */
#ifdef __GNUC__
TARGET INLINE float add_by_halves(const float *sums) {
    quarter four = (quarter_at(sums) + quarter_at(sums + 8)) + (quarter_at(sums + 4) + quarter_at(sums + 12));
    return (four[0] + four[2]) + (four[1] + four[3]);
}
#else
static float add_by_halves(const float *sums) {
    float four[4];
    for (int i = 0; i < 4; i++) {
        four[i] = (sums[i] + sums[i + 8]) + (sums[i + 4] + sums[i + 12]);
    }
    return (four[0] + four[2]) + (four[1] + four[3]);
}
#endif

/* The products of each of the first rows with each window of x, window by window: what is read serves several. */
TARGET INLINE void dots(const float *const *rows, int row_count, const float *const *x, int windows, int length,
                        float *y) {
    dot_lanes sums[DOTS_MAX][DOT_REGISTERS];
    float parts[DOTS_MAX][KERNEL_DOT_SUMS];
    memset(sums, 0, sizeof sums);
    for (int n = 0; n < length; n += KERNEL_DOT_SUMS) {
        for (int j = 0; j < DOT_REGISTERS; j++) {
            for (int i = 0; i < windows * row_count; i++) {
                dot_lanes row = dot_lanes_at(rows[i % row_count] + n + j * DOT_LANES);
                sums[i][j] += row * dot_lanes_at(x[i / row_count * row_count] + n + j * DOT_LANES);
            }
        }
    }
    memcpy(parts, sums, sizeof parts);
    for (int i = 0; i < windows * row_count; i++) {
        y[i] = add_by_halves(parts[i]);
    }
}

/* Whether the next products are those of so many rows with so many windows. */
TARGET INLINE int dots_share(const float *const *rows, int row_count, const float *const *x, int windows, int count) {
    int share = windows * row_count <= count;
    for (int i = 0; share && i < windows * row_count; i++) {
        share = rows[i] == rows[i % row_count] && x[i] == x[i / row_count * row_count];
    }
    return share;
}

TARGET static void dot(const float *const *rows, const float *const *x, int length, int count, float *y) {
    for (int now; count > 0; rows += now, x += now, y += now, count -= now) {
        if (dots_share(rows, 1, x, 4, count)) {
            now = 4;
            dots(rows, 1, x, 4, length, y);
        } else if (dots_share(rows, 3, x, 1, count)) {
            now = 3;
            dots(rows, 3, x, 1, length, y);
        } else if (dots_share(rows, 2, x, 1, count)) {
            now = 2;
            dots(rows, 2, x, 1, length, y);
        } else {
            now = 1;
            dots(rows, 1, x, 1, length, y);
        }
    }
}

INLINE int32_t four_of(const int8_t *x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    return four;
}

/* What of a kernel stands here, and the products, which each instruction set has by the same names. */
#define NETWORK_LOOPS                                                                                                  \
    .dense = dense, .sparse = sparse, .floats = floats, .few = few, .side_by_side = side_by_side,                      \
    .round = round_to_8_bits, .scale = scale_sums, .tanh = tanh_all, .sigmoid = sigmoid_all, .gates = gru_gates,       \
    .recurrence = recur, .normalise = normalise, .dot = dot

#endif
