/* Matrix times vector plus bias: the one primitive under every layer. */

#ifndef MATVEC_H
#define MATVEC_H

#include "arena.h"
#include "kernels.h"
#include "percepnet.h"

#define MATVEC_ROWS KERNEL_ROWS /* of a block, whose sums are calculated together */

typedef struct matvec {
    int rows, columns;
    float *bias; /* of whole blocks; rows that fill the last block are zero everywhere */
    /* In single precision: block by block, in it column by column. */
    float *weight;
    /* Or in 8 bits, as the kernels want it: weight = step * integer * 127 for x in [-1, 1], x = integer / 127. */
    const kernel *kernel;
    int8_t *integers;
    int32_t *correction;
    float *step;
} matvec;

void matvec_init(matvec *m, const percepnet_affine *affine, const kernel *k, arena *a);

/* y = W x + b; y has room for whole blocks. In 8 bits x is rounded to 1/127 and limited to [-1, 1]. */
void matvec_apply(const matvec *m, const float *x, float *y);

/* Numbers that a result of so many rows takes. */
static inline int matvec_padded(int rows) { return (rows + MATVEC_ROWS - 1) / MATVEC_ROWS * MATVEC_ROWS; }

#endif
