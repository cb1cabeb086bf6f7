/* What an x86 processor has. __builtin_cpu_supports needs a run-time library that not every compiler brings along. */

#ifndef CPU_FEATURES_H
#define CPU_FEATURES_H

#include <cpuid.h>
#include <stdint.h>

static inline int has_bit(uint32_t word, int bit) { return (int)(word >> bit & 1); }

#define YMM_REGISTERS 0x06
#define ZMM_REGISTERS 0xe6

/* Whether the operating system keeps these registers for each thread. */
static inline int system_saves(uint32_t registers) {
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has_bit(c, 27)) { /* OSXSAVE */
        return 0;
    }
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & registers) == registers;
}

static inline int has_avx2(void) {
    uint32_t a, b, c, d;
    return system_saves(YMM_REGISTERS) && __get_cpuid_count(7, 0, &a, &b, &c, &d) && has_bit(b, 5);
}

static inline int has_avxvnni(void) {
    uint32_t a, b, c, d;
    return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && has_bit(a, 4);
}

static inline int has_avx512vnni(void) {
    uint32_t a, b, c, d;
    return system_saves(ZMM_REGISTERS) && __get_cpuid_count(7, 0, &a, &b, &c, &d) && has_bit(b, 16) && has_bit(b, 30) &&
           has_bit(c, 11);
}

#endif
