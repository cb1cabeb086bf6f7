#include "kernels.h"

#include <stddef.h>
#include <string.h>

static void portable(const int8_t *weights, const int8_t *x, const int32_t *correction, int blocks, int groups,
                     int32_t *sums) {
    (void)correction;
    for (int block = 0; block < blocks; block++, sums += KERNEL_ROWS) {
        int32_t sum[KERNEL_ROWS] = {0};
        for (int group = 0; group < groups; group++, weights += KERNEL_ROWS * KERNEL_COLUMNS) {
            const int8_t *v = x + group * KERNEL_COLUMNS;
            for (int row = 0; row < KERNEL_ROWS; row++) {
                const int8_t *w = weights + row * KERNEL_COLUMNS;
                sum[row] += w[0] * v[0] + w[1] * v[1] + w[2] * v[2] + w[3] * v[3];
            }
        }
        memcpy(sums, sum, sizeof sum);
    }
}

static int everywhere(void) { return 1; }

#if defined(__x86_64__) && defined(__GNUC__)

#include <cpuid.h>
#include <immintrin.h>

static inline int32_t group_of(const int8_t *x, int group) {
    int32_t four;
    memcpy(&four, x + group * KERNEL_COLUMNS, sizeof four);
    return four;
}

__attribute__((target("avx2"))) static inline __m256i add_products(__m256i sum, const int8_t *weights, __m256i x,
                                                                    __m256i x_abs) {
    /* 2 * 127 * 127 fits 16 bits: nothing saturates. */
    __m256i w = _mm256_sign_epi8(_mm256_loadu_si256((const __m256i *)weights), x);
    __m256i pairs = _mm256_maddubs_epi16(x_abs, w);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

__attribute__((target("avx2"))) static void avx2(const int8_t *weights, const int8_t *x, const int32_t *correction,
                                                 int blocks, int groups, int32_t *sums) {
    (void)correction;
    for (int block = 0; block < blocks; block++, sums += KERNEL_ROWS) {
        __m256i low = _mm256_setzero_si256(), high = low;
        for (int group = 0; group < groups; group++, weights += KERNEL_ROWS * KERNEL_COLUMNS) {
            __m256i v = _mm256_set1_epi32(group_of(x, group)), v_abs = _mm256_abs_epi8(v);
            low = add_products(low, weights, v, v_abs);
            high = add_products(high, weights + 32, v, v_abs);
        }
        _mm256_storeu_si256((__m256i *)sums, low);
        _mm256_storeu_si256((__m256i *)(sums + 8), high);
    }
}

#define VNNI_TARGET __attribute__((target("avx512f,avx512bw,avx512vnni")))

VNNI_TARGET static inline __m512i add_dot(__m512i sum, const int8_t *weights, const int8_t *x, int group) {
    /* The instruction wants x without a sign: x + 128, made up for by the correction. */
    __m512i v = _mm512_xor_si512(_mm512_set1_epi32(group_of(x, group)), _mm512_set1_epi8((char)0x80));
    return _mm512_dpbusd_epi32(sum, v, _mm512_loadu_si512(weights));
}

VNNI_TARGET static void avx512vnni(const int8_t *weights, const int8_t *x, const int32_t *correction, int blocks,
                                   int groups, int32_t *sums) {
    enum { GROUP = KERNEL_ROWS * KERNEL_COLUMNS };
    for (int block = 0; block < blocks; block++, sums += KERNEL_ROWS, correction += KERNEL_ROWS) {
        /* four sums, so that none waits for the one before */
        __m512i a = _mm512_loadu_si512(correction), b = _mm512_setzero_si512(), c = b, d = b;
        int group = 0;
        for (; group + 4 <= groups; group += 4, weights += 4 * GROUP) {
            a = add_dot(a, weights, x, group);
            b = add_dot(b, weights + GROUP, x, group + 1);
            c = add_dot(c, weights + 2 * GROUP, x, group + 2);
            d = add_dot(d, weights + 3 * GROUP, x, group + 3);
        }
        for (; group < groups; group++, weights += GROUP) {
            a = add_dot(a, weights, x, group);
        }
        _mm512_storeu_si512(sums, _mm512_add_epi32(_mm512_add_epi32(a, b), _mm512_add_epi32(c, d)));
    }
}

/* __builtin_cpu_supports needs a run-time library that not every compiler brings along. */
static int has_bit(uint32_t word, int bit) { return (int)(word >> bit & 1); }

static int system_saves(uint32_t registers) {
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has_bit(c, 27)) { /* OSXSAVE */
        return 0;
    }
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & registers) == registers;
}

static int has_avx2(void) {
    uint32_t a, b, c, d;
    return system_saves(0x06) && __get_cpuid_count(7, 0, &a, &b, &c, &d) && has_bit(b, 5);
}

static int has_avx512vnni(void) {
    uint32_t a, b, c, d;
    return system_saves(0xe6) && __get_cpuid_count(7, 0, &a, &b, &c, &d) && has_bit(b, 16) && has_bit(b, 30) &&
           has_bit(c, 11);
}

#endif

static const kernel KERNELS[] = {
#if defined(__x86_64__) && defined(__GNUC__)
    {"avx512vnni", avx512vnni, has_avx512vnni},
    {"avx2", avx2, has_avx2},
#endif
    {"portable", portable, everywhere},
};

const kernel *kernel_at(int index) {
    for (size_t i = 0; i < sizeof KERNELS / sizeof KERNELS[0]; i++) {
        if (KERNELS[i].runs_here() && index-- == 0) {
            return &KERNELS[i];
        }
    }
    return NULL;
}

const kernel *kernel_of(const char *name) {
    for (int index = 0;; index++) {
        const kernel *k = kernel_at(index);
        if (!k || !name || !strcmp(k->name, name)) {
            return k;
        }
    }
}
