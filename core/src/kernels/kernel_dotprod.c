/* ARM's 8-bit dot products. */

#include "kernels/kernels.h"

#ifdef KERNELS_DOTPROD

#include <arm_neon.h>
#ifdef __linux__
#include <sys/auxv.h>
#endif

#ifdef __clang__
#define TARGET __attribute__((target("dotprod")))
#else
#define TARGET __attribute__((target("+dotprod")))
#endif
#define LANES 4
#include "kernels/kernel_body.h"
#include "kernels/kernel_signal.h"

static int has_dotprod(void) {
#ifdef __linux__
    const unsigned long asimddp = 1ul << 20;
    return (getauxval(AT_HWCAP) & asimddp) != 0;
#else
    return 1;
#endif
}

typedef struct rows {
    int32x4_t a, b, c, d;
} rows;

TARGET INLINE rows rows_start(const int32_t *correction) {
    (void)correction;
    rows zero = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
    return zero;
}

TARGET INLINE int32x4_t load(const int8_t *weights) { return vreinterpretq_s32_s8(vld1q_s8(weights)); }

TARGET INLINE rows rows_load(const int8_t *weights) {
    rows group = {load(weights), load(weights + 16), load(weights + 32), load(weights + 48)};
    return group;
}

TARGET INLINE int32x4_t add_dot(int32x4_t sum, int32x4_t group, int8x16_t x) {
    return vdotq_s32(sum, vreinterpretq_s8_s32(group), x);
}

TARGET INLINE rows rows_add(rows sum, rows group, int32_t four) {
    int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(four));
    sum.a = add_dot(sum.a, group.a, x);
    sum.b = add_dot(sum.b, group.b, x);
    sum.c = add_dot(sum.c, group.c, x);
    sum.d = add_dot(sum.d, group.d, x);
    return sum;
}

TARGET INLINE void rows_store(rows sum, int32_t *to) {
    vst1q_s32(to, sum.a);
    vst1q_s32(to + 4, sum.b);
    vst1q_s32(to + 8, sum.c);
    vst1q_s32(to + 12, sum.d);
}

#include "kernels/kernel_blocks.h"

const kernel KERNEL_DOTPROD = {
    .name = "dotprod",
    .runs_here = has_dotprod,
    NETWORK_LOOPS,
    SIGNAL_LOOPS,
};

#endif
