/* One decision for one or more channels at 48 kHz, and the halves of a hop before and after the network. */

#ifndef ENHANCER_H
#define ENHANCER_H

#include "model.h"
#include "network/bin_network.h"
#include "network/network.h"
#include "percepnet.h"
#include "signal/analysis.h"
#include "signal/mix.h"
#include "signal/noise_shape.h"
#include "stream/residual.h"

#define CHANNELS_MAX 1024

typedef struct enhancer_settings {
    int comb_filter; /* 0: all strengths are zero */
    int post_filter;
    int one_window; /* this one stays */
    float dry;      /* amplitude of the time-aligned input in the output, 0 to 1: the limit of attenuation */
} enhancer_settings;

typedef struct enhancer {
    const percepnet_model *model;
    int channels;
    enhancer_settings settings; /* may change between hops */
    analysis analysis;
    network_state network;
    mix mix;
    noise_shape noise;
    bin_network *bins;  /* NULL: the rule is not corrected */
    residual *residual; /* NULL: what is left of an echo stays */
    float *gains;       /* bands each, of the last hop */
    float *strengths;
    float speech;        /* probability that the last frame was speech; -1 if nobody said */
    complex32 *enhanced; /* windows * channels * 481 each */
    complex32 *unturned; /* of what has no rest of an echo; NULL where that stays */
    float *tail;         /* channels * WINDOWS_TAIL_SAMPLES: what frames have left */
} enhancer;

/* `residual` is a model that residual_serves, or NULL. */
void enhancer_init(enhancer *e, const percepnet_model *model, const percepnet_model *residual, int channels,
                   const enhancer_settings *settings, arena *a);
void enhancer_reset(enhancer *e);

/* Take a hop in, as far as e->analysis. Samples are finite, and at most 80 dB above full scale. */
void enhancer_analyse(enhancer *e, const float *x, int64_t stride);

/* What an analysis knows of a frame. */
mix_spectra enhancer_spectra(const enhancer *e);

/* Give a hop out, from the spectra of the frame and what the network said in place `at`. */
void enhancer_synthesise(enhancer *e, const mix_spectra *of, const network_heads *heads, int at, float *y,
                         int64_t stride);

/* A hop by itself, in place; `work` has room for one frame. */
void enhancer_run(enhancer *e, network_work *work, float *x, int64_t stride);

#endif
