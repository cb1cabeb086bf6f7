/* What is inside a model and an enhancer, and the halves of a hop before and after the network. */

#ifndef ENHANCER_H
#define ENHANCER_H

#include "signal/analysis.h"
#include "signal/mix.h"
#include "network/network.h"
#include "percepnet.h"

#define CHANNELS_MAX 1024

struct percepnet_model {
    int lookahead_frames;
    size_t bytes;
    analysis_tables tables;
    network network;
};

struct percepnet_enhancer {
    const percepnet_model *model;
    percepnet_settings settings;
    analysis analysis;
    network_state network;
    network_work work; /* for one frame */
    mix mix;
    float *gains; /* bands each, of the last hop */
    float *strengths;
    complex32 *enhanced; /* channels * 481 */
    float *overlap;      /* channels * 480 */
    float *frame;        /* 960 */
    int64_t refused_hops;
};

/* Take a hop in, as far as e->analysis. */
void enhancer_listen(percepnet_enhancer *e, const float *x, int64_t stride);

/* Give a hop out, from the spectra of the frame and the decisions of the network. */
void enhancer_answer(percepnet_enhancer *e, const complex32 *noisy, const complex32 *comb, const float *gains,
                     const float *strengths, float *y, int64_t stride);

/* The arena begins behind the structure that owns it, `size` bytes long: one block of memory for both. */
static inline size_t arena_start(size_t size) {
    return (size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

static inline arena arena_behind(void *owner, size_t size) {
    arena a = {(char *)owner + arena_start(size), 0};
    return a;
}

#endif
