/* Products of 8-bit matrices and vectors, written once for each instruction set. All of them give the same integers. */

#ifndef KERNELS_H
#define KERNELS_H

#include <stdint.h>

#define KERNEL_ROWS 16   /* of a block */
#define KERNEL_COLUMNS 4 /* of a group: one 32-bit lane of each row */

/* sums[row] = sum over columns of weight * x, for all rows of all blocks. Weights and x are -127 to 127. In memory,
   blocks follow each other, in them groups, in them rows, in them the columns of the group. `correction` is
   -128 * (sum of the row's weights), for instructions that take x without a sign. */
typedef void kernel_function(const int8_t *weights, const int8_t *x, const int32_t *correction, int blocks, int groups,
                             int32_t *sums);

typedef struct kernel {
    const char *name;
    kernel_function *run;
    int (*runs_here)(void);
} kernel;

/* The fastest kernel on this machine; or the one of a name, NULL if there is none or if it does not run here. */
const kernel *kernel_of(const char *name);

/* The kernels that run here, the fastest first: NULL beyond the last one. */
const kernel *kernel_at(int index);

#endif
