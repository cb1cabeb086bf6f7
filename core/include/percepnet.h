/* PercepNet: real-time, full-band suppression of noise and reverberation in speech.

   One model, read-only after its creation, serves any number of enhancers, each of which is one stream of one or more
   channels at 48 kHz. Nothing is allocated but by the functions of the name _create. An enhancer belongs to one
   thread at a time; different enhancers are independent, also those of one model. */

#ifndef PERCEPNET_H
#define PERCEPNET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define PERCEPNET_API __declspec(dllexport)
#else
#define PERCEPNET_API __attribute__((visibility("default")))
#endif

/* Counts up with every change of this header. */
#define PERCEPNET_ABI 3

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

typedef struct percepnet_model percepnet_model;
typedef struct percepnet_enhancer percepnet_enhancer;
typedef struct percepnet_block percepnet_block;
typedef struct percepnet_batch percepnet_batch;

PERCEPNET_API int32_t percepnet_abi(void);

/* Names of the instruction sets with a kernel that runs on this machine, the fastest first, and then NULL. All of them
   give the same bits. */
PERCEPNET_API const char *percepnet_kernel(int32_t index);

/* NULL if a size is out of range, if two layers do not fit together, if there is no such kernel, or without memory. */
PERCEPNET_API percepnet_model *percepnet_model_create(const percepnet_description *description);

/* Only after all its enhancers. */
PERCEPNET_API void percepnet_model_destroy(percepnet_model *model);

typedef struct percepnet_settings {
    int32_t channels;    /* 1 to 1024, with one decision for all */
    int32_t comb_filter; /* 0: all strengths are zero */
    int32_t post_filter;
    float dry; /* amplitude of the time-aligned input in the output, 0 to 1: the limit of attenuation */
} percepnet_settings;

/* NULL if a setting is out of range, or without memory. */
PERCEPNET_API percepnet_enhancer *percepnet_create(const percepnet_model *model, const percepnet_settings *settings);
PERCEPNET_API void percepnet_destroy(percepnet_enhancer *enhancer);

/* Bytes that an enhancer takes; a model's weights are all streams' together. 0 where percepnet_create gives NULL. */
PERCEPNET_API size_t percepnet_bytes(const percepnet_model *model, const percepnet_settings *settings);
PERCEPNET_API size_t percepnet_model_bytes(const percepnet_model *model);

/* Begin a new stream. */
PERCEPNET_API void percepnet_reset(percepnet_enhancer *enhancer);

/* Enhance the next `hops` times 480 samples of each channel. Channel c begins at x + c * stride, and likewise in y,
   which may be x itself. A hop with NaN, infinity or a sample beyond 80 dB above full scale is taken as silence. */
PERCEPNET_API void percepnet_process(percepnet_enhancer *enhancer, const float *x, float *y, int64_t hops,
                                     int64_t stride);

/* Room for `hops` hops of one stream after the other, 1 to 1024, of as many channels: with it, long signals are
   enhanced layer by layer, which is much faster. NULL if a number is out of range, or without memory. */
PERCEPNET_API percepnet_block *percepnet_block_create(const percepnet_model *model, int32_t channels, int32_t hops);
PERCEPNET_API void percepnet_block_destroy(percepnet_block *block);

/* As percepnet_process, to the bit. The block is of the same model and number of channels, and serves one call at a
   time, of any enhancer. */
PERCEPNET_API void percepnet_process_block(percepnet_enhancer *enhancer, percepnet_block *block, const float *x,
                                           float *y, int64_t hops, int64_t stride);

/* Room for the network of `streams` streams of a model at once, 1 to 1024: with it, weights are read once for all of
   them. NULL if the number is out of range, or without memory. */
PERCEPNET_API percepnet_batch *percepnet_batch_create(const percepnet_model *model, int32_t streams);
PERCEPNET_API void percepnet_batch_destroy(percepnet_batch *batch);

/* One hop of each of `count` different enhancers of the batch's model, any number of them: of enhancer i, channel c
   begins at x[i] + c * 480, and likewise in y, which may be x itself. As percepnet_process, to the bit. */
PERCEPNET_API void percepnet_batch_process(percepnet_batch *batch, percepnet_enhancer *const *enhancers, int32_t count,
                                           const float *const *x, float *const *y);

/* Hops that were taken as silence since the stream began. */
PERCEPNET_API int64_t percepnet_refused_hops(const percepnet_enhancer *enhancer);

/* What lay between the boxes of the signal path in the last hop; all zero before the first. The arrays belong to the
   enhancer, and change with the next call. Complex numbers are pairs of real and imaginary part. */
typedef struct percepnet_frame {
    const float *noisy;    /* channels * 481 complex, spectrum of the decided frame */
    const float *comb;     /* channels * 481 complex, after the comb filter */
    const float *enhanced; /* channels * 481 complex */
    const float *features; /* 2 * bands + 2 */
    const float *gains;    /* bands */
    const float *strengths;
    const float *lags;        /* 339, normalised autocorrelation of the newest 40 ms, from 94 samples in steps of 2 */
    const double *tap_delays; /* 11, samples */
    const float *tap_weights; /* 11 */
    float period_samples;
    float correlation;
} percepnet_frame;

PERCEPNET_API void percepnet_inspect(const percepnet_enhancer *enhancer, percepnet_frame *frame);

/* The signal path up to the network, for training features and for the oracle: no model is needed. */
typedef struct percepnet_analyser percepnet_analyser;

/* NULL if a size is out of range (see percepnet_description and percepnet_settings), or without memory. */
PERCEPNET_API percepnet_analyser *percepnet_analyser_create(int32_t lookahead_frames, int32_t bands,
                                                            const int32_t *band_edges, int32_t channels);
PERCEPNET_API void percepnet_analyser_destroy(percepnet_analyser *analyser);
PERCEPNET_API void percepnet_analyser_reset(percepnet_analyser *analyser);

/* Where the findings about each hop go, one after the other. */
typedef struct percepnet_findings {
    float *noisy;           /* channels * 481 complex each */
    float *comb;            /* channels * 481 complex */
    float *features;        /* 2 * bands + 2 */
    float *periods_samples; /* 1 */
    float *correlations;    /* 1 */
    double *tap_delays;     /* 11 */
    float *tap_weights;     /* 11 */
} percepnet_findings;

/* Analyse the next `hops` hops; channel c begins at x + c * stride. With `tap_delays` (11 a hop, not NULL) the comb
   filter follows those of another signal, and the pitch of this one is not looked for. Samples must be finite. */
PERCEPNET_API void percepnet_analyse(percepnet_analyser *analyser, const float *x, int64_t hops, int64_t stride,
                                     const double *tap_delays, const percepnet_findings *findings);

#ifdef __cplusplus
}
#endif

#endif
