#ifndef ECHO_DELAY_H
#define ECHO_DELAY_H

#include "signal/constants.h"
#include "signal/fft.h"

#define ECHO_LOW_INPUT (HOP_SAMPLES + ECHO_LOW_PASS_TAPS - ECHO_DECIMATION)
#define ECHO_BAND (ECHO_LAST_BIN - ECHO_FIRST_BIN + 1)

/* One of the two signals on its way to 8 kHz. */
typedef struct echo_low {
    float past[ECHO_LOW_INPUT - HOP_SAMPLES]; /* at 48 kHz, what the filter of the next hop looks back on */
    float *low;                               /* the newest at 8 kHz: 80 ms of the far end, 40 ms of the microphone */
} echo_low;

/* Phases of a block in 16 bits: of a spectrum of magnitude one, that is enough. */
typedef struct echo_phases {
    int16_t re[ECHO_BAND], im[ECHO_BAND];
} echo_phases;

typedef struct echo_delay {
    const real_fft *fft; /* of ECHO_LAG_FFT samples */
    echo_low far, near;
    echo_phases *far_phases; /* a ring of ECHO_LAG_BLOCKS blocks, of which `newest` is the newest */
    complex32 *sums;         /* ECHO_LAG_BLOCKS * ECHO_BAND */
    complex32 near_phases[ECHO_BAND];
    int newest, hop, is_active;
    double energy;
    float peak;
    int lag, last, seen;
} echo_delay;

/* `fft` lives longer. */
void echo_delay_init(echo_delay *d, const real_fft *fft, arena *a);
void echo_delay_reset(echo_delay *d);

/* Take the next hop in. Returns the samples at 48 kHz by which the echo is late, each time that the same delay was seen
   often enough; otherwise -1. */
int echo_delay_push(echo_delay *d, const float *near, const float *far);

#endif
