/* For every machine: the definition of the others. */

#define TARGET
#define LANES 4
#include "kernels/kernel_body.h"
#include "kernels/kernel_signal.h"

static int everywhere(void) { return 1; }

static void add_group(const int8_t *weights, const int8_t *x, int32_t sum[KERNEL_ROWS]) {
    for (int row = 0; row < KERNEL_ROWS; row++) {
        const int8_t *w = weights + row * KERNEL_COLUMNS;
        sum[row] += w[0] * x[0] + w[1] * x[1] + w[2] * x[2] + w[3] * x[3];
    }
}

static void some_groups(const int8_t *weights, const uint16_t *kept, int count, const int8_t *x, int stride,
                        int vectors, int32_t *sums) {
    for (int v = 0; v < vectors; v++, x += stride, sums += KERNEL_SUMS) {
        int32_t sum[KERNEL_ROWS] = {0};
        for (int i = 0; i < count; i++) {
            add_group(weights + i * GROUP_BYTES, x + (kept ? kept[i] : i) * KERNEL_COLUMNS, sum);
        }
        memcpy(sums, sum, sizeof sum);
    }
}

static void sparse(const int8_t *weights, const int32_t *correction, const int32_t *starts, const uint16_t *kept,
                   int blocks, const int8_t *x, int stride, int vectors, int is_far, int32_t *sums) {
    (void)correction;
    (void)is_far;
    for (int b = 0; b < blocks; b++) {
        some_groups(weights + (size_t)starts[b] * GROUP_BYTES, kept + starts[b], starts[b + 1] - starts[b], x, stride,
                    vectors, sums + b * KERNEL_ROWS);
    }
}

static void dense(const int8_t *weights, const int32_t *correction, int blocks, int groups, const int8_t *x, int stride,
                  int vectors, int is_far, int32_t *sums) {
    (void)correction;
    (void)is_far;
    for (int b = 0; b < blocks; b++) {
        some_groups(weights + b * groups * GROUP_BYTES, NULL, groups, x, stride, vectors, sums + b * KERNEL_ROWS);
    }
}

const kernel KERNEL_PORTABLE = {
    .name = "portable",
    .runs_here = everywhere,
    NETWORK_LOOPS,
    SIGNAL_LOOPS,
};
