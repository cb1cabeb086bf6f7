/* WebAssembly's registers of 128 bits, with or without relaxed dot products of bytes. A browser that lacks one instruction
   refuses the whole module, so that this is decided when it is compiled. */

#include "kernels/kernels.h"

#ifdef KERNELS_WASM

#include <wasm_simd128.h>

#define TARGET
#define LANES 4
#include "kernels/kernel_body.h"
#include "kernels/kernel_signal.h"

static int everywhere(void) { return 1; }

#ifdef __wasm_relaxed_simd__
#define NAME "wasm-relaxed"

typedef struct rows {
    v128_t a, b, c, d;
} rows;

TARGET INLINE rows rows_start(const int32_t *correction) {
    (void)correction;
    v128_t zero = wasm_i32x4_const_splat(0);
    rows sum = {zero, zero, zero, zero};
    return sum;
}

TARGET INLINE rows rows_load(const int8_t *weights) {
    rows group = {wasm_v128_load(weights), wasm_v128_load(weights + 16), wasm_v128_load(weights + 32),
                  wasm_v128_load(weights + 48)};
    return group;
}

/* All processors agree where the second factor has 7 bits. So it is |x|, and the weight takes the sign of x; neither is
   ever -128. */
TARGET INLINE v128_t add_dot(v128_t sum, v128_t weights, v128_t negative, v128_t magnitude) {
    v128_t turned = wasm_i8x16_sub(wasm_v128_xor(weights, negative), negative);
    return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(turned, magnitude, sum);
}

TARGET INLINE rows rows_add(rows sum, rows group, int32_t four) {
    v128_t x = wasm_i32x4_splat(four), negative = wasm_i8x16_shr(x, 7), magnitude = wasm_i8x16_abs(x);
    sum.a = add_dot(sum.a, group.a, negative, magnitude);
    sum.b = add_dot(sum.b, group.b, negative, magnitude);
    sum.c = add_dot(sum.c, group.c, negative, magnitude);
    sum.d = add_dot(sum.d, group.d, negative, magnitude);
    return sum;
}

TARGET INLINE void rows_store(rows sum, int32_t *to) {
    wasm_v128_store(to, sum.a);
    wasm_v128_store(to + 4, sum.b);
    wasm_v128_store(to + 8, sum.c);
    wasm_v128_store(to + 12, sum.d);
}

#else
#define NAME "wasm-simd128"

/* Sums of two products each, two registers for four rows; they are added at the end. */
typedef struct rows {
    v128_t a, b, c, d, e, f, g, h;
} rows;

TARGET INLINE rows rows_start(const int32_t *correction) {
    (void)correction;
    v128_t zero = wasm_i32x4_const_splat(0);
    rows sum = {zero, zero, zero, zero, zero, zero, zero, zero};
    return sum;
}

TARGET INLINE rows rows_load(const int8_t *weights) {
    rows group = {wasm_i16x8_load8x8(weights),      wasm_i16x8_load8x8(weights + 8),  wasm_i16x8_load8x8(weights + 16),
                  wasm_i16x8_load8x8(weights + 24), wasm_i16x8_load8x8(weights + 32), wasm_i16x8_load8x8(weights + 40),
                  wasm_i16x8_load8x8(weights + 48), wasm_i16x8_load8x8(weights + 56)};
    return group;
}

TARGET INLINE v128_t add_dot(v128_t sum, v128_t weights, v128_t x) {
    return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(weights, x));
}

TARGET INLINE rows rows_add(rows sum, rows group, int32_t four) {
    v128_t x = wasm_i16x8_extend_low_i8x16(wasm_i32x4_splat(four));
    sum.a = add_dot(sum.a, group.a, x);
    sum.b = add_dot(sum.b, group.b, x);
    sum.c = add_dot(sum.c, group.c, x);
    sum.d = add_dot(sum.d, group.d, x);
    sum.e = add_dot(sum.e, group.e, x);
    sum.f = add_dot(sum.f, group.f, x);
    sum.g = add_dot(sum.g, group.g, x);
    sum.h = add_dot(sum.h, group.h, x);
    return sum;
}

TARGET INLINE void store_pairs(v128_t low, v128_t high, int32_t *to) {
    v128_t even = wasm_i32x4_shuffle(low, high, 0, 2, 4, 6), odd = wasm_i32x4_shuffle(low, high, 1, 3, 5, 7);
    wasm_v128_store(to, wasm_i32x4_add(even, odd));
}

TARGET INLINE void rows_store(rows sum, int32_t *to) {
    store_pairs(sum.a, sum.b, to);
    store_pairs(sum.c, sum.d, to + 4);
    store_pairs(sum.e, sum.f, to + 8);
    store_pairs(sum.g, sum.h, to + 12);
}

#endif

#include "kernels/kernel_blocks.h"

const kernel KERNEL_WASM = {
    .name = NAME,
    .runs_here = everywhere,
    NETWORK_LOOPS,
    SIGNAL_LOOPS,
};

#endif
