/* The kinds of layers. A kind is one structure of functions in a file of its own; layers.c lists them. */

#ifndef LAYERS_H
#define LAYERS_H

#include "arena.h"
#include "kernels/kernels.h"
#include "network/description.h"
#include "network/matvec.h"

/* A tensor that a layer of a kind has in the file, NAME.suffix. */
typedef struct tensor_shape {
    const char *suffix;
    int dimensions;
    int64_t shape[3];
    int may_be_8_bits; /* a matrix, whose first axis are the rows */
} tensor_shape;

typedef struct layer layer;
typedef struct layer_work layer_work;
typedef struct bin_work bin_work;

typedef struct layer_kind {
    const char *name; /* as in the file */
    /* What of the file's keys belongs to the kind. */
    unsigned has_units : 1, has_activation : 1, has_taps : 1, has_precision : 1, has_memory : 1;
    int inputs_min, inputs_max;
    /* The tensors of a layer, at most TENSORS_MAX; how many. NULL for none. */
    int (*tensors)(const layer_description *d, tensor_shape *shapes);
    /* Units of a layer that does not say so itself: of inputs with so many units each. 0 if they do not fit together.
       NULL where the file says the units. */
    int (*units)(const int *input_units, int count);
    /* Take memory for the layer's own copy of its weights, and fill it where the arena has memory. May be NULL. */
    void (*init)(layer *l, const layer_description *d, arena *a);
    /* Numbers that a stream remembers from frame to frame, all zero at its beginning. NULL for none. */
    size_t (*state)(const layer *l);
    /* Numbers of working memory for so many streams of so many frames. NULL for none. */
    size_t (*scratch)(const layer *l, int streams, int frames);
    /* The next `frames` frames of each of `streams` streams, of which either is one. The same to the bit as frame by
       frame and stream by stream. */
    void (*run)(const layer *l, const layer_work *w);
    /* The same for KERNEL_BINS bins of one frame, in single precision. NULL: there is none of this kind for bins. */
    void (*run_bins)(const layer *l, const bin_work *w);
} layer_kind;

struct layer {
    const layer_kind *kind;
    int inputs[LAYER_INPUTS_MAX]; /* FEATURES_LAYER or a number */
    int input_units[LAYER_INPUTS_MAX];
    int input_count;
    int units;
    enum activation activation;
    int taps, dilation, depthwise;
    float kept; /* of a GRU's state after a frame */
    const kernel *kernel;
    matvec matrices[2];
    float *weight; /* of layers without a matrix */
    float *bias;
    size_t state; /* where its state begins in that of the network */
};

/* What belongs to frame t of stream s is in place s * frames + t of each input and of the output. */
struct layer_work {
    int streams, frames;
    const float *inputs[LAYER_INPUTS_MAX]; /* each streams * frames * its units */
    float *output;                         /* streams * frames * units */
    float *const *states;                  /* the layer's own, of each stream */
    float *scratch;
    const float **rows; /* streams * frames pointers */
    int8_t *rounded;
};

/* Bins lie side by side: of each unit there is a row of KERNEL_BINS numbers. */
struct bin_work {
    const float *const *inputs[LAYER_INPUTS_MAX]; /* the rows of each */
    const float **rows;                           /* the layer's own: those of its output, unless it says otherwise */
    float *output;                                /* room for layer_bin_rows(units) */
    float *state;                                 /* its own, of these bins */
    float *scratch;                               /* room for layer_bin_rows of what the kind says */
};

/* Rows that there has to be room for: they are worked out in fours. */
int layer_bin_rows(int units);

/* NULL for a name that is none. */
const layer_kind *layer_kind_of(const char *name);

/* The kinds one after the other, then NULL. */
const layer_kind *layer_kind_at(int index);

/* Let `count` vectors that lie `stride` apart be the rows of a matrix product. */
void layer_take_rows(const layer_work *w, const float *x, int count, int stride);

void layer_activate(const layer *l, float *y, int count);

#endif
