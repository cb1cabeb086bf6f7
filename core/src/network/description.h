/* A model as its file describes it: what the loader reads, and what models are made from. Nothing here is copied; the
   tensors point into the file. */

#ifndef DESCRIPTION_H
#define DESCRIPTION_H

#include <stddef.h>
#include <stdint.h>

#include "signal/constants.h"
#include "signal/feature_blocks.h"

#define LAYERS_MAX 128
#define LAYER_INPUTS_MAX 32
#define LAYER_NAME_MAX 48
#define TENSORS_MAX 4       /* of a layer */
#define FEATURES_LAYER (-1) /* the network's input, in the place of a layer's number */
#define BINS_LAYER (-2)     /* that of the network for bins */

enum activation { ACTIVATION_LINEAR, ACTIVATION_TANH, ACTIVATION_SIGMOID, ACTIVATION_RELU };

/* A tensor of the file: float32 little-endian at any address, or 8-bit integers with one scale for each row of the
   first axis. */
typedef struct tensor {
    const void *data;
    const void *scale; /* rows of float32; NULL where data are float32 */
} tensor;

struct layer_kind;

typedef struct layer_description {
    char name[LAYER_NAME_MAX];
    const struct layer_kind *kind;
    int inputs[LAYER_INPUTS_MAX]; /* numbers of earlier layers, or FEATURES_LAYER, or BINS_LAYER */
    int source;                   /* what is behind it: FEATURES_LAYER, once a frame, or BINS_LAYER, once a bin */
    int input_count;
    int input_units; /* of the first input */
    int units;       /* of the output */
    enum activation activation;
    int taps, dilation, depthwise; /* of a convolution; 1, 1, 0 elsewhere */
    int memory;                    /* frames that a GRU remembers at most, 0 for any time */
    int in_8_bits;
    tensor tensors[TENSORS_MAX]; /* in the order of the kind's own list */
} layer_description;

typedef struct model_description {
    int lookahead_frames;
    int bands;
    int32_t band_edges[BINS];
    float highpass_hz;
    unsigned feature_blocks[FEATURE_BLOCKS]; /* enum feature_block, in the order of the network's input */
    int feature_block_count;
    layer_description layers[LAYERS_MAX];
    int layer_count;
    int gains, strengths; /* layers; one unit a band, sigmoid */
    int speech;           /* the same of one unit, or FEATURES_LAYER for none */
    int shape;            /* of the network for bins; one unit, linear; or FEATURES_LAYER for none */
    const char *kernel;
} model_description;

#endif
