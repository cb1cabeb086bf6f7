/* What a loudspeaker plays is taken out of what microphones hear, at 48 kHz and a hop at a time, without a delay. */

#ifndef ECHO_H
#define ECHO_H

#include "signal/echo_delay.h"
#include "signal/echo_emphasis.h"
#include "signal/echo_filter.h"
#include "signal/echo_past.h"

typedef struct echo {
    const real_fft *fft; /* of 960 samples */
    int channels;
    int delay_blocks;            /* how much later than the far end the filters begin */
    int quiet;                   /* hops since there was a far end, up to ECHO_QUIET_HOPS */
    int turn;                    /* block that is constrained in the next hop, besides the largest one */
    int newest_far[ECHO_RANGES]; /* block of `far` with its newest spectrum */
    echo_delay delay;
    echo_past past;
    emphasis far_emphasis;
    echo_filter *filters; /* a channel each */
    emphasis *near_emphasis;
    deemphasis *deemphasis;
    split far; /* ECHO_PATH: of each range, a ring of its blocks */
} echo;

/* Transforms of 960 and of ECHO_LAG_FFT samples live longer. */
void echo_init(echo *e, int channels, const real_fft *fft, const real_fft *lag_fft, arena *a);
void echo_reset(echo *e);

/* Take the echo out of the next hop of each channel, in place. Returns whether `far` was none after all, but the
   microphone's own signal. */
int echo_run(echo *e, float *near, int64_t stride, const float *far);

#endif
