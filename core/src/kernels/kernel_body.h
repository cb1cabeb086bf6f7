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

#include <stddef.h>
#include <string.h>

#include "network/activation.h"
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

TARGET static void round_to_8_bits(const float *restrict x, int count, uint8_t flip, int8_t *restrict rounded) {
    /* Added to a number, it leaves the nearest integer in the lowest bits, without a call for each. */
    const float magic = 12582912.0f; /* 1.5 * 2^23 */
    for (int i = 0; i < count; i++) {
        float limited = x[i] > -1.0f ? x[i] : -1.0f; /* NaN too */
        limited = limited < 1.0f ? limited : 1.0f;
        float sum = limited * 127.0f + magic;
        int32_t bits;
        memcpy(&bits, &sum, sizeof bits);
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

TARGET INLINE four_lanes four_lanes_at(const float *const part[4], size_t at) {
    four_lanes found = {lanes_at(part[0] + at), lanes_at(part[1] + at), lanes_at(part[2] + at), lanes_at(part[3] + at)};
    return found;
}

TARGET INLINE four_lanes add_scaled(four_lanes sum, four_lanes weight, float x) {
    sum.a += weight.a * x;
    sum.b += weight.b * x;
    sum.c += weight.c * x;
    sum.d += weight.d * x;
    return sum;
}

TARGET INLINE void store_lanes(four_lanes sum, float *const to[4]) {
    memcpy(to[3], &sum.d, sizeof sum.d);
    memcpy(to[2], &sum.c, sizeof sum.c);
    memcpy(to[1], &sum.b, sizeof sum.b);
    memcpy(to[0], &sum.a, sizeof sum.a);
}

#define FLOATS_TOGETHER (LANES > 8 ? 4 : 2) /* vectors, as many as there are registers for */

/* Four registers' rows, those from `row` on, or fewer: then the last ones are calculated more than once. */
TARGET INLINE void floats_tile(const float *weights, const float *bias, int row, int rows, int columns,
                               const float *const *x, float sums[][KERNEL_SUMS], int vectors) {
    const float *part[4], *part_bias[4];
    float *to[4];
    int rows_of[4];
    for (int i = 0; i < 4; i++) {
        int at = row + i * LANES < rows ? row + i * LANES : rows - LANES;
        rows_of[i] = at;
        part[i] = weights + (size_t)(at / KERNEL_ROWS * KERNEL_ROWS) * (size_t)columns + at % KERNEL_ROWS;
        part_bias[i] = bias + at;
    }
    four_lanes a = four_lanes_at(part_bias, 0), b = a, c = a, d = a;
    for (int column = 0; column < columns; column++) {
        four_lanes weight = four_lanes_at(part, (size_t)column * KERNEL_ROWS);
        a = add_scaled(a, weight, x[0][column]);
        if (vectors > 1) {
            b = add_scaled(b, weight, x[1][column]);
        }
        if (vectors > 2) {
            c = add_scaled(c, weight, x[2][column]);
            d = add_scaled(d, weight, x[3][column]);
        }
    }
    for (int v = 0; v < vectors; v++) {
        for (int i = 0; i < 4; i++) {
            to[i] = sums[v] + rows_of[i];
        }
        store_lanes(v == 0 ? a : v == 1 ? b : v == 2 ? c : d, to);
    }
}

TARGET static void floats(const float *weights, const float *bias, int blocks, int columns, const float *const *x,
                          int vectors, float sums[][KERNEL_SUMS]) {
    int rows = blocks * KERNEL_ROWS;
    for (int row = 0; row < rows; row += 4 * LANES) {
        int v = 0;
        for (; v + FLOATS_TOGETHER <= vectors; v += FLOATS_TOGETHER) {
            floats_tile(weights, bias, row, rows, columns, x + v, sums + v, FLOATS_TOGETHER);
        }
        for (; v < vectors; v++) {
            floats_tile(weights, bias, row, rows, columns, x + v, sums + v, 1);
        }
    }
}

#define DOT_REGISTERS (KERNEL_DOT_SUMS / LANES)
#define DOTS_TOGETHER (LANES > 4 ? 4 : 2) /* as many as there are registers for, so that no sum waits for itself */

TARGET INLINE float add_by_halves(float *sums) {
    for (int i = 0; i < 8; i++) {
        sums[i] += sums[i + 8];
    }
    for (int i = 0; i < 4; i++) {
        sums[i] += sums[i + 4];
    }
    return (sums[0] + sums[2]) + (sums[1] + sums[3]);
}

TARGET INLINE void dots(const float *const *rows, const float *const *x, int length, float *y, int together) {
    lanes sums[4][DOT_REGISTERS];
    float parts[4][KERNEL_DOT_SUMS];
    memset(sums, 0, sizeof sums);
    for (int n = 0; n < length; n += KERNEL_DOT_SUMS) {
        for (int i = 0; i < together; i++) {
            for (int j = 0; j < DOT_REGISTERS; j++) {
                sums[i][j] += lanes_at(rows[i] + n + j * LANES) * lanes_at(x[i] + n + j * LANES);
            }
        }
    }
    memcpy(parts, sums, sizeof parts);
    for (int i = 0; i < together; i++) {
        y[i] = add_by_halves(parts[i]);
    }
}

TARGET static void dot(const float *const *rows, const float *const *x, int length, int count, float *y) {
    int i = 0;
    for (; i + DOTS_TOGETHER <= count; i += DOTS_TOGETHER) {
        dots(rows + i, x + i, length, y + i, DOTS_TOGETHER);
    }
    for (; i < count; i++) {
        dots(rows + i, x + i, length, y + i, 1);
    }
}

INLINE int32_t four_of(const int8_t *x) {
    int32_t four;
    memcpy(&four, x, sizeof four);
    return four;
}

/* What of a kernel stands here, and the products, which each instruction set has by the same names. */
#define NETWORK_LOOPS                                                                                                  \
    .dense = dense, .sparse = sparse, .floats = floats, .round = round_to_8_bits, .scale = scale_sums,                 \
    .tanh = tanh_all, .sigmoid = sigmoid_all, .gates = gru_gates, .dot = dot

#endif
