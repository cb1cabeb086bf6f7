/* Matrix times vectors plus bias: the one primitive under every layer. */

#ifndef MATVEC_H
#define MATVEC_H

#include <string.h>

#include "arena.h"
#include "kernels/kernels.h"
#include "network/description.h"

/* A matrix of a model file, and its bias. Its columns are the inputs of the oldest of `taps` frames, of the next, and so
   on; in the file they are the taps of the first input, of the next, and so on. With a scale, the matrix is integers *
   scale, its input is rounded to 1/127 and limited to [-1, 1], and products are those of integers. */
typedef struct matrix {
    const tensor *weight;
    const tensor *bias;
    int rows, inputs, taps;
} matrix;

typedef struct matvec {
    int rows, columns;
    float *bias; /* of whole blocks; rows that fill the last block are zero everywhere */
    const kernel *kernel;
    /* In single precision: block by block, in it column by column. */
    float *weight;
    /* Or in 8 bits, as the kernels want it: weight = step * integer * 127 for x in [-1, 1], x = integer / 127. */
    int8_t *integers;
    int32_t *correction;
    float *step;
    /* Where many groups of many blocks are zero, only the others are in memory: those of block b are
       kept[starts[b]] .. kept[starts[b + 1] - 1]. */
    int32_t *starts;
    uint16_t *kept;
} matvec;

/* A number of a tensor of single precision, which may be at any address. */
static inline float tensor_float(const tensor *t, size_t index) {
    float value;
    memcpy(&value, (const char *)t->data + sizeof value * index, sizeof value);
    return value;
}

void matvec_init(matvec *m, const matrix *from, const kernel *k, arena *a);

/* Bytes of a vector that is rounded to 8 bits. */
int matvec_rounded(const matvec *m);

/* y = W x + b for `count` vectors, the results `stride` numbers apart. The same to the bit whatever `count` is. `is_far`
   says that the matrix has not just been read. In 8 bits `rounded` has room for `count` rounded vectors. */
void matvec_apply(const matvec *m, const float *const *x, int count, float *y, int stride, int is_far, int8_t *rounded);

/* The same of a matrix in single precision for KERNEL_BINS bins side by side, of which each row of x and y has one number
   each. y has room for rows in fours. */
void matvec_apply_to_bins(const matvec *m, const float *const *x, float *y);

#endif
