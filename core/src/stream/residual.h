/* What the linear canceller leaves of an echo: a small network that hears what is left, the echo that was taken away and
   the far end, and says how much of each band is no echo. */

#ifndef RESIDUAL_H
#define RESIDUAL_H

#include "model.h"
#include "network/network.h"
#include "signal/echo_shape.h"

typedef struct residual {
    const percepnet_model *model;
    int channels;
    float spoken; /* root of the mean square of the gains, while nothing more has come for a while a little less */
    int heard;    /* whether `gains` are of this hop; otherwise there is no far end */
    network_state network;
    float *past;     /* the hop before the newest: 480 each of what is left, channel after channel, of the echo, and of
                         the far end */
    float *of_bands; /* bands each: see residual.c */
    float *features; /* of the newest frame */
    float *gains;    /* bands, of the frame that is decided */
    echo_shape shape;
} residual;

/* Whether a model is one of these: its features are of echo, and of nothing else. */
int residual_serves(const percepnet_model *model);

void residual_init(residual *r, const percepnet_model *model, int channels, arena *a);
void residual_reset(residual *r);

/* The newest hop: what is left in each channel, `left_stride` apart, the echo that was taken away, `echo_stride` apart,
   and the far end. `work` has room for one frame. */
void residual_hear(residual *r, network_work *work, const float *left, int64_t left_stride, const float *echo,
                   int64_t echo_stride, const float *far);

/* The spectrum of each channel without the rest of the echo, of the frame that is decided, and those of the windows that
   are given out, as of echo_shape_take_out; comb-filtered ones lose it in place. `heard` is what is left. `taken` are
   gains of bands. */
void residual_take_out(residual *r, analysis *heard, const analysis_tables *tables, complex32 *noisy, complex32 *given,
                       float *taken);

#endif
