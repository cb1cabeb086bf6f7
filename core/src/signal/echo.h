/* What a loudspeaker plays is taken out of what microphones hear, at 48 kHz and a hop at a time, without a delay. */

#ifndef ECHO_H
#define ECHO_H

#include "signal/echo_delay.h"
#include "signal/echo_emphasis.h"
#include "signal/echo_filter.h"

typedef struct echo {
    int channels;
    int delay_blocks; /* how much later than the far end the filters begin */
    int quiet;        /* hops since there was a far end, up to ECHO_QUIET_HOPS */
    int newest;       /* block of `past` with the newest hop of the far end */
    int newest_far;   /* block of `far` with its newest spectrum */
    echo_delay delay;
    echo_hop hop;
    emphasis far_emphasis;
    echo_filter *filters; /* a channel each */
    emphasis *near_emphasis;
    deemphasis *deemphasis;
    float *past;        /* the far end, a ring of ECHO_PAST_BLOCKS hops */
    split far;          /* a ring of ECHO_BLOCKS spectra */
    float *sum;         /* 480 each: of the microphones */
    float *far_samples; /* of the hop that is heard */
    float *near_samples;
    float *echo;
} echo;

/* `fft` is one of 960 samples that lives longer. */
void echo_init(echo *e, int channels, const real_fft *fft, const struct kernel *kernel, arena *a);
void echo_reset(echo *e);

/* Take the echo out of the next hop of each channel, in place. */
void echo_run(echo *e, float *near, int64_t stride, const float *far);

#endif
