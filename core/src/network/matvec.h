/* Matrix times vectors plus bias: the one primitive under every layer. */

#ifndef MATVEC_H
#define MATVEC_H

#include "arena.h"
#include "kernels/kernels.h"
#include "legacy.h"
#include "percepnet.h"

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

void matvec_init(matvec *m, const percepnet_affine *affine, const kernel *k, arena *a);

/* Bytes of a vector that is rounded to 8 bits. */
int matvec_rounded(const matvec *m);

/* y = W x + b for `count` vectors, the results `stride` numbers apart. The same to the bit whatever `count` is. In 8
   bits x is rounded to 1/127 and limited to [-1, 1], for which `rounded` has room. */
void matvec_apply(const matvec *m, const float *const *x, int count, float *y, int stride, int8_t *rounded);

#endif
