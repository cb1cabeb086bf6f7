#include "kernels/kernels.h"

#ifdef KERNELS_X86

#include <immintrin.h>

#include "kernels/cpu_features.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vnni")))
#define LANES 16
#include "kernels/kernel_body.h"
#include "kernels/kernel_signal.h"

typedef __m512i rows;

TARGET INLINE rows rows_start(const int32_t *correction) { return _mm512_loadu_si512(correction); }

TARGET INLINE rows rows_load(const int8_t *weights) { return _mm512_loadu_si512(weights); }

TARGET INLINE rows rows_add(rows sum, rows group, int32_t four) {
    return _mm512_dpbusd_epi32(sum, _mm512_set1_epi32(four), group);
}

TARGET INLINE void rows_store(rows sum, int32_t *to) { _mm512_storeu_si512(to, sum); }

/* Not the same nothing for all sums, which GCC would copy in each step. */
TARGET INLINE rows rows_none(void) {
    rows none = _mm512_setzero_si512();
    __asm__ volatile("" : "+v"(none));
    return none;
}

TARGET INLINE rows rows_sum(rows x, rows y) { return _mm512_add_epi32(x, y); }

#define SUMS 16 /* with 8, files took 2 % longer */
#define dense dense_blocks
#include "kernels/kernel_blocks.h"
#undef dense

/* Four blocks at once, so that no sum waits for the one before, and that a vector is read once for all of them. */
typedef struct quad {
    rows a, b, c, d;
} quad;

TARGET INLINE quad quad_start(const int32_t *correction) {
    quad sum = {rows_start(correction), rows_start(correction + KERNEL_ROWS), rows_start(correction + 2 * KERNEL_ROWS),
                rows_start(correction + 3 * KERNEL_ROWS)};
    return sum;
}

TARGET INLINE quad quad_load(const int8_t *weights, size_t block_bytes) {
    quad group = {rows_load(weights), rows_load(weights + block_bytes), rows_load(weights + 2 * block_bytes),
                  rows_load(weights + 3 * block_bytes)};
    return group;
}

TARGET INLINE quad quad_add(quad sum, quad group, int32_t four) {
    sum.a = rows_add(sum.a, group.a, four);
    sum.b = rows_add(sum.b, group.b, four);
    sum.c = rows_add(sum.c, group.c, four);
    sum.d = rows_add(sum.d, group.d, four);
    return sum;
}

TARGET INLINE void quad_store(quad sum, int32_t *to) {
    rows_store(sum.a, to);
    rows_store(sum.b, to + KERNEL_ROWS);
    rows_store(sum.c, to + 2 * KERNEL_ROWS);
    rows_store(sum.d, to + 3 * KERNEL_ROWS);
}

TARGET INLINE void four_blocks(const int8_t *weights, const int32_t *correction, int groups, const int8_t *x,
                               int stride, int32_t *sums, int vectors, int is_far) {
    size_t block_bytes = (size_t)groups * GROUP_BYTES;
    quad a = quad_start(correction), b = a, c = a, d = a;
    for (int i = 0; i < groups; i++, weights += GROUP_BYTES, x += KERNEL_COLUMNS) {
        quad group = quad_load(weights, block_bytes);
        for (size_t block = 0; is_far && block < 4; block++) {
            FETCH_AHEAD(weights + block * block_bytes);
        }
        a = quad_add(a, group, four_of(x));
        if (vectors > 1) {
            b = quad_add(b, group, four_of(x + stride));
        }
        if (vectors > 2) {
            c = quad_add(c, group, four_of(x + 2 * stride));
        }
        if (vectors > 3) {
            d = quad_add(d, group, four_of(x + 3 * stride));
        }
    }
    quad_store(a, sums);
    if (vectors > 1) {
        quad_store(b, sums + KERNEL_SUMS);
    }
    if (vectors > 2) {
        quad_store(c, sums + 2 * KERNEL_SUMS);
    }
    if (vectors > 3) {
        quad_store(d, sums + 3 * KERNEL_SUMS);
    }
}

TARGET static void dense(const int8_t *weights, const int32_t *correction, int blocks, int groups, const int8_t *x,
                         int stride, int vectors, int is_far, int32_t *sums) {
    if (blocks < KERNEL_BLOCKS) {
        dense_blocks(weights, correction, blocks, groups, x, stride, vectors, is_far, sums);
        return;
    }
    if (vectors == 1 && is_far) {
        four_blocks(weights, correction, groups, x, stride, sums, 1, 1);
        return;
    }
    for (; vectors >= 4; vectors -= 4, x += 4 * stride, sums += 4 * KERNEL_SUMS) {
        four_blocks(weights, correction, groups, x, stride, sums, 4, 0);
    }
    switch (vectors) {
    case 1: four_blocks(weights, correction, groups, x, stride, sums, 1, 0); break;
    case 2: four_blocks(weights, correction, groups, x, stride, sums, 2, 0); break;
    case 3: four_blocks(weights, correction, groups, x, stride, sums, 3, 0); break;
    default: break;
    }
}

const kernel KERNEL_AVX512VNNI = {
    .name = "avx512vnni",
    .runs_here = has_avx512vnni,
    .flip = 0x80,
    NETWORK_LOOPS,
    SIGNAL_LOOPS,
};

#endif
