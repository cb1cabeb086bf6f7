/* The inner loops of the network and of the signal path, written once for each instruction set. All of them give the
   same bits. */

#ifndef KERNELS_H
#define KERNELS_H

#include <stdint.h>

#include "signal/fft.h"

#define KERNEL_ROWS 16   /* of a block */
#define KERNEL_COLUMNS 4 /* of a group: one 32-bit lane of each row */
#define KERNEL_FEW 4     /* rows of a last block in single precision, if there are no more */
/* At most, of one call: as many sums as may stay in registers, and each weight that is read serves all vectors. */
#define KERNEL_BLOCKS 4
#define KERNEL_VECTORS 8
#define KERNEL_SUMS (KERNEL_BLOCKS * KERNEL_ROWS) /* from the sums of one vector to those of the next */
#define KERNEL_BINS 32                            /* that go through a network side by side */
#define KERNEL_DOT_SUMS 16                        /* partial sums of a scalar product */

typedef struct kernel {
    const char *name;
    int (*runs_here)(void);

    /* Bytes of x are xor-ed with it. 0x80 makes them x + 128, for instructions that take x without a sign, and the
       correction, which is -128 * (sum of the row's weights), makes up for it. */
    uint8_t flip;

    /* sums[row] = sum over columns of weight * x, for all rows of all blocks. Weights and x are -127 to 127. In memory,
       blocks follow each other, in them groups, in them rows, in them the columns of the group. Vectors are `stride`
       bytes apart. Weights that are far, in no cache, are asked for before they are needed. */
    void (*dense)(const int8_t *weights, const int32_t *correction, int blocks, int groups, const int8_t *x, int stride,
                  int vectors, int is_far, int32_t *sums);

    /* The same where only some groups of a block are in memory: the numbers of those of block b are in `kept`, from
       starts[b] to starts[b + 1], and `weights` and `kept` begin where starts is 0. */
    void (*sparse)(const int8_t *weights, const int32_t *correction, const int32_t *starts, const uint16_t *kept,
                   int blocks, const int8_t *x, int stride, int vectors, int is_far, int32_t *sums);

    /* Single precision: sums[row] = bias + sum over columns of weight * x, for blocks that are in memory column by
       column. Rounded in the order of the columns, however many vectors there are. */
    void (*floats)(const float *weights, const float *bias, int blocks, int columns, const float *const *x, int vectors,
                   float sums[][KERNEL_SUMS]);
    /* The same for one block of KERNEL_FEW rows. */
    void (*few)(const float *weights, const float *bias, int columns, const float *const *x, int vectors,
                float sums[][KERNEL_SUMS]);

    /* Single precision, for bins side by side: y[row] = bias[row] + sum over columns of weight * x[column], each of
       KERNEL_BINS numbers. The rows are those of one block in memory, which has room for `in_block`; up to three more
       than `rows` are written. Rounded in the order of the columns. */
    void (*side_by_side)(const float *weights, const float *bias, int rows, int in_block, int columns,
                         const float *const *x, float *y);

    /* x in [-1, 1], rounded to 1/127 and limited. */
    void (*round)(const float *x, int count, uint8_t flip, int8_t *rounded);
    /* y = bias + step * sum */
    void (*scale)(const int32_t *sums, const float *bias, const float *step, int count, float *y);

    void (*tanh)(float *x, int count);
    void (*sigmoid)(float *x, int count);
    /* h' = (1 - z) n + z h, n = tanh(a_n + r b_n), of a = W x + b and b = U h + c, both reset, update and new gates in
       turn; r and z are the sigmoids of a + b. */
    void (*gates)(const float *from_input, const float *from_state, const float *before, int units, float *after);
    /* h' = (1 - z) h + z n; z and n are the sigmoid and the tanh of the two halves of `gates`. */
    void (*recurrence)(const float *gates, const float *before, int units, float *after);
    /* y = (x - mean) / deviation * weight + bias */
    void (*normalise)(const float *x, const float *weight, const float *bias, int count, float *y);

    /* y[i] = rows[i] . x[i], each of `length` numbers, a multiple of KERNEL_DOT_SUMS. Partial sum j is of the products
       j, j + 16, ..., and they are added by halves: j and j + 8, then j and j + 4, and so on. */
    void (*dot)(const float *const *rows, const float *const *x, int length, int count, float *y);

    /* y = x * factors, number by number */
    void (*multiply)(const float *x, const float *factors, int count, float *y);
    /* sum += x * factors */
    void (*add_multiplied)(const float *x, const float *factors, int count, float *sum);
    /* z = y + share (turn p - y), and the powers of y and z */
    void (*mix)(const complex32 *y, const complex32 *p, const complex32 *turn, const float *share, int count,
                complex32 *z, float *power_y, float *power_z);
    /* x *= factors */
    void (*scale_bins)(const float *factors, int count, complex32 *x);
    /* sum += factor * x */
    void (*add_scaled)(const float *x, float factor, int count, float *sum);
    /* sum[n] += taps[0] x[n] + ... + taps[15] x[n + 15]; `count` is a multiple of COMB_ROUND */
    void (*interpolate)(const float *x, const float *taps, int count, float *sum);
    /* 528 samples at 48 kHz to 120 at 12 kHz */
    void (*low_pass)(const float *x, float *low);
    /* The emphasised power of PITCH_BINS_USED bins, divided by a power of the mean over the bins around each. */
    void (*whiten)(const float *power, float *whitened);
    /* real_fft_forward and real_fft_inverse */
    void (*forward)(const real_fft *fft, const float *x, complex32 *spectrum, complex32 *work);
    void (*inverse)(const real_fft *fft, const complex32 *spectrum, float *x, complex32 *work);
#ifndef PERCEPNET_WITHOUT_FAR_END
    /* y += a * b, of complex numbers */
    void (*add_product)(const split *a, const split *b, int count, const split *y);
    /* sum += |x|^2, of complex numbers. Returns the sum of what is added, whose partial sums are those of `dot`. */
    float (*add_power)(const split *x, int count, float *sum);
    /* One block of an echo's path before it learns: no variance below `leak` times the path's power, and the power that
       is expected to be left of the echo, variance * |far|^2, added to `sum`. */
    void (*expect)(const float *power, const split *far, float leak, int count, float *variance, float *sum);
    /* And how it learns: path += variance * inverse * far* error, and what is left of the variance. */
    void (*adapt)(const split *path, const split *far, const split *error, const float *inverse, int count,
                  float *variance);
#endif
} kernel;

/* The fastest kernel on this machine; or the one of a name, NULL if there is none or if it does not run here. */
const kernel *kernel_of(const char *name);

/* The kernels that run here, the fastest first: NULL beyond the last one. */
const kernel *kernel_at(int index);

#if defined(__x86_64__) && defined(__GNUC__)
#define KERNELS_X86
#if defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11
#define KERNELS_AVXVNNI
#endif
#endif
#if defined(__aarch64__) && (defined(__linux__) || defined(__APPLE__)) && defined(__GNUC__)
#define KERNELS_DOTPROD
#endif
#if defined(__wasm_simd128__)
#define KERNELS_WASM
#endif

extern const kernel KERNEL_PORTABLE;
#ifdef KERNELS_X86
extern const kernel KERNEL_AVX2, KERNEL_AVX512VNNI;
#endif
#ifdef KERNELS_AVXVNNI
extern const kernel KERNEL_AVXVNNI;
#endif
#ifdef KERNELS_DOTPROD
extern const kernel KERNEL_DOTPROD;
#endif
#ifdef KERNELS_WASM
extern const kernel KERNEL_WASM;
#endif

#endif
