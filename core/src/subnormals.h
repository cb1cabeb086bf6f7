/* Numbers too small to be normal are taken as zero while the core calculates: after speech, states decay towards zero
   for ever, and most processors need ten times longer for such numbers. The caller's setting comes back afterwards. */

#ifndef SUBNORMALS_H
#define SUBNORMALS_H

#include <float.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__GNUC__)

#include <xmmintrin.h>

#define SUBNORMALS_HAVE_SWITCH
#define SUBNORMALS_OFF_BITS 0x8040u /* results, and operands */

static inline uint64_t subnormals_off(void) {
    uint32_t before = _mm_getcsr();
    _mm_setcsr(before | SUBNORMALS_OFF_BITS);
    return before;
}

static inline void subnormals_restore(uint64_t before) { _mm_setcsr((uint32_t)before); }

#elif defined(__aarch64__) && defined(__GNUC__)

#define SUBNORMALS_HAVE_SWITCH
#define SUBNORMALS_OFF_BITS ((uint64_t)1 << 24)

static inline uint64_t subnormals_off(void) {
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | SUBNORMALS_OFF_BITS));
    return before;
}

static inline void subnormals_restore(uint64_t before) { __asm__ volatile("msr fpcr, %0" : : "r"(before)); }

#else

static inline uint64_t subnormals_off(void) { return 0; }

static inline void subnormals_restore(uint64_t before) { (void)before; }

#endif

/* Where the processor has no such switch, what a stream keeps is cleared of them hop by hop. */
static inline void subnormals_clear(float *x, int count) {
#ifdef SUBNORMALS_HAVE_SWITCH
    (void)x;
    (void)count;
#else
    for (int i = 0; i < count; i++) {
        x[i] = x[i] < FLT_MIN && x[i] > -FLT_MIN ? 0.0f : x[i];
    }
#endif
}

#endif
