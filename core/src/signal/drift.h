/* The drift of a signal, DC and what lies below all voices, is subtracted from what is given out, and no phase turns. The
   definition is drift.py. */

#ifndef DRIFT_H
#define DRIFT_H

#include "signal/constants.h"

/* Of one channel. */
typedef struct drift {
    float x[DRIFT_FUTURE_SAMPLES + HOP_SAMPLES];                        /* the newest */
    double means[DRIFT_WEIGHTS - 1 + HOP_SAMPLES / DRIFT_KNOT_SAMPLES]; /* around knots, the newest */
    double last;                                                        /* drift at the end of what was given */
    double step;                                                        /* of a sample there */
} drift;

/* Begin with a hop as if its first sample had been there for ever. */
void drift_begin(drift *d, const float *x);

/* Take a hop in, and give the hop DRIFT_FUTURE_SAMPLES before it without its drift. */
void drift_push(drift *d, const float *x, float *y);

/* What follows the hop that was given last, WINDOW_SHIFT_SAMPLES, without a drift that goes on as it did. */
void drift_ahead(const drift *d, float *y);

#endif
