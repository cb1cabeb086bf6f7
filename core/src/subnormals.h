/* Numbers too small to be normal are taken as zero while the core calculates: after speech, states decay towards zero for
   ever, and most processors need ten times longer for such numbers. The caller's setting comes back afterwards. */

#ifndef SUBNORMALS_H
#define SUBNORMALS_H

#include <stdint.h>

#if defined(__x86_64__) && defined(__GNUC__)

#include <xmmintrin.h>

#define FLUSH_BITS 0x8040u /* results, and operands */

static inline uint64_t flush_begin(void) {
    uint32_t before = _mm_getcsr();
    _mm_setcsr(before | FLUSH_BITS);
    return before;
}

static inline void flush_end(uint64_t before) { _mm_setcsr((uint32_t)before); }

#elif defined(__aarch64__) && defined(__GNUC__)

#define FLUSH_BITS ((uint64_t)1 << 24)

static inline uint64_t flush_begin(void) {
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | FLUSH_BITS));
    return before;
}

static inline void flush_end(uint64_t before) { __asm__ volatile("msr fpcr, %0" : : "r"(before)); }

#else

static inline uint64_t flush_begin(void) { return 0; }

static inline void flush_end(uint64_t before) { (void)before; }

#endif

#endif
