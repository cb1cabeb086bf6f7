/* How models were made before model files: tests make theirs like this. */

#ifndef LEGACY_H
#define LEGACY_H

#include "percepnet.h"

/* A layer's matrix, row by row, and its bias; all is copied. With integers, which are -127 to 127, the matrix is
   integers * scale, its input is rounded to 1/127 and limited to [-1, 1], and products are those of integers; without,
   it is `weight`, in single precision. */
typedef struct percepnet_affine {
    const float *weight;     /* rows * columns, or NULL */
    const int8_t *integers;  /* rows * columns, or NULL */
    const float *scale;      /* rows, of the integers */
    const float *bias;       /* rows */
    int32_t rows;
    int32_t columns;
} percepnet_affine;

/* The matrices of the network in the order of the signal path, each with its bias. The rows of a GRU are its reset,
   update and new gates in turn; the columns of a convolution are all inputs of the oldest frame, of the next, and so
   on to the newest. */
enum percepnet_layer {
    PERCEPNET_DENSE,
    PERCEPNET_CONV1, /* 5 frames */
    PERCEPNET_CONV2, /* 3 frames */
    PERCEPNET_GRU1_INPUT,
    PERCEPNET_GRU1_STATE,
    PERCEPNET_GRU2_INPUT,
    PERCEPNET_GRU2_STATE,
    PERCEPNET_GRU3_INPUT,
    PERCEPNET_GRU3_STATE,
    PERCEPNET_GAIN_GRU_INPUT,
    PERCEPNET_GAIN_GRU_STATE,
    PERCEPNET_STRENGTH_GRU_INPUT, /* of gru3, then conv2 */
    PERCEPNET_STRENGTH_GRU_STATE,
    PERCEPNET_GAIN, /* of conv2, gru1, gru2, gru3, gain_gru */
    PERCEPNET_STRENGTH,
    PERCEPNET_LAYERS
};

typedef struct percepnet_description {
    int32_t lookahead_frames;  /* M, 0 to 3: output is (M + 1) * 480 samples late */
    int32_t bands;             /* 2 to 481 */
    const int32_t *band_edges; /* centres of the bands in bins of 50 Hz, increasing from 0 */
    percepnet_affine layers[PERCEPNET_LAYERS];
    const char *kernel; /* one of percepnet_kernel for products of integers; NULL is the fastest */
} percepnet_description;

/* NULL if a size is out of range, if two layers do not fit together, if there is no such kernel, or without memory. */
PERCEPNET_API percepnet_model *percepnet_model_create(const percepnet_description *description);

#endif
