#include "kernels/kernels.h"

#ifdef KERNELS_AVXVNNI

#include <immintrin.h>

#include "kernels/cpu_features.h"

#define TARGET __attribute__((target("avx2,avxvnni")))
#define LANES 8
#include "kernels/kernel_body.h"
#include "kernels/kernel_signal.h"

typedef struct rows {
    __m256i low, high;
} rows;

TARGET INLINE rows rows_start(const int32_t *correction) {
    rows sum = {_mm256_loadu_si256((const __m256i *)correction), _mm256_loadu_si256((const __m256i *)(correction + 8))};
    return sum;
}

TARGET INLINE rows rows_load(const int8_t *weights) {
    rows group = {_mm256_loadu_si256((const __m256i *)weights), _mm256_loadu_si256((const __m256i *)(weights + 32))};
    return group;
}

TARGET INLINE rows rows_add(rows sum, rows group, int32_t four) {
    __m256i x = _mm256_set1_epi32(four);
    sum.low = _mm256_dpbusd_avx_epi32(sum.low, x, group.low);
    sum.high = _mm256_dpbusd_avx_epi32(sum.high, x, group.high);
    return sum;
}

TARGET INLINE void rows_store(rows sum, int32_t *to) {
    _mm256_storeu_si256((__m256i *)to, sum.low);
    _mm256_storeu_si256((__m256i *)(to + 8), sum.high);
}

TARGET INLINE rows rows_none(void) {
    rows zero = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    return zero;
}

TARGET INLINE rows rows_sum(rows x, rows y) {
    rows sum = {_mm256_add_epi32(x.low, y.low), _mm256_add_epi32(x.high, y.high)};
    return sum;
}

#define SUMS 4
#include "kernels/kernel_blocks.h"

const kernel KERNEL_AVXVNNI = {
    .name = "avxvnni",
    .runs_here = has_avxvnni,
    .flip = 0x80,
    NETWORK_LOOPS,
    SIGNAL_LOOPS,
};

#endif
