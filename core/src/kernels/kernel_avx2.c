#include "kernels/kernels.h"

#ifdef KERNELS_X86

#include <immintrin.h>

#include "kernels/cpu_features.h"

#define TARGET __attribute__((target("avx2")))
#define LANES 8
#include "kernels/kernel_body.h"
#include "kernels/kernel_signal.h"

typedef struct rows {
    __m256i low, high;
} rows;

TARGET INLINE rows rows_start(const int32_t *correction) {
    (void)correction;
    rows zero = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    return zero;
}

TARGET INLINE rows rows_load(const int8_t *weights) {
    rows group = {_mm256_loadu_si256((const __m256i *)weights), _mm256_loadu_si256((const __m256i *)(weights + 32))};
    return group;
}

TARGET INLINE __m256i add_products(__m256i sum, __m256i weights, __m256i x, __m256i x_abs) {
    /* 2 * 127 * 127 fits 16 bits: nothing saturates. */
    __m256i pairs = _mm256_maddubs_epi16(x_abs, _mm256_sign_epi8(weights, x));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

TARGET INLINE rows rows_add(rows sum, rows group, int32_t four) {
    __m256i x = _mm256_set1_epi32(four), x_abs = _mm256_abs_epi8(x);
    sum.low = add_products(sum.low, group.low, x, x_abs);
    sum.high = add_products(sum.high, group.high, x, x_abs);
    return sum;
}

TARGET INLINE void rows_store(rows sum, int32_t *to) {
    _mm256_storeu_si256((__m256i *)to, sum.low);
    _mm256_storeu_si256((__m256i *)(to + 8), sum.high);
}

#include "kernels/kernel_blocks.h"

const kernel KERNEL_AVX2 = {
    .name = "avx2",
    .runs_here = has_avx2,
    NETWORK_LOOPS,
    SIGNAL_LOOPS,
};

#endif
