#ifndef ECHO_DELAY_H
#define ECHO_DELAY_H

#include "signal/constants.h"
#include "signal/fft.h"

#define ECHO_LOW_INPUT (HOP_SAMPLES + ECHO_LOW_PASS_TAPS - ECHO_DECIMATION)
#define ECHO_BAND (ECHO_LAST_BIN - ECHO_FIRST_BIN + 1)

/* One of the two signals on its way to 8 kHz. */
typedef struct echo_low {
    float past[ECHO_LOW_INPUT]; /* at 48 kHz, the newest hop and what its filter looks back on */
    float low[ECHO_LAG_FFT];    /* the newest 80 ms */
} echo_low;

typedef struct echo_delay {
    real_fft fft;
    echo_low far, near;
    complex32 *far_phases; /* ECHO_LAG_BLOCKS * ECHO_BAND, a ring of blocks, of which `newest` is the newest */
    complex32 *sums;       /* ECHO_LAG_BLOCKS * ECHO_BAND */
    complex32 near_phases[ECHO_BAND];
    int newest, hop, is_active;
    double energy;
    float peak;
    int lag, last, seen;
    complex32 *spectrum, *work; /* of the canceller */
    float *lags;                /* ECHO_LAG_FFT */
} echo_delay;

/* `spectrum` and `work` have room for BINS and WINDOW_SAMPLES numbers. */
void echo_delay_init(echo_delay *d, const struct kernel *kernel, complex32 *spectrum, complex32 *work, arena *a);
void echo_delay_reset(echo_delay *d);

/* Take the next hop in. Returns the samples at 48 kHz by which the echo is late, each time that the same delay was seen
   often enough; otherwise -1. */
int echo_delay_push(echo_delay *d, const float *near, const float *far);

#endif
