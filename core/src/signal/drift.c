/* The drift of a signal, DC and what lies below all voices, is subtracted from what is given out, and no phase turns. */

#include "signal/drift.h"

#include <string.h>

#include "signal/constants.h"

#define HOP_KNOTS (HOP_SAMPLES / DRIFT_KNOT_SAMPLES)

void drift_begin(drift *d, const float *x) {
    for (int n = 0; n < DRIFT_FUTURE_SAMPLES + HOP_SAMPLES; n++) {
        d->x[n] = x[0];
    }
    for (int i = 0; i < DRIFT_WEIGHTS - 1 + HOP_KNOTS; i++) {
        d->means[i] = x[0];
    }
    d->last = x[0];
    d->step = 0.0;
}

/* Around the knot at x; four sums at once. */
static double mean(const float *x) {
    double sums[4] = {-(double)DRIFT_KNOT_SAMPLES * x[0]};
    for (int n = 0; n < DRIFT_KNOT_SAMPLES; n += 4) {
        for (int i = 0; i < 4; i++) {
            sums[i] += (DRIFT_KNOT_SAMPLES - n - i) * ((double)x[n + i] + (double)x[-n - i]);
        }
    }
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) / (DRIFT_KNOT_SAMPLES * DRIFT_KNOT_SAMPLES);
}

void drift_push(drift *d, const float *x, float *y) {
    float *newest = d->x + DRIFT_FUTURE_SAMPLES;
    double drifts[HOP_KNOTS] = {0};
    memmove(d->x, d->x + HOP_SAMPLES, sizeof(float) * DRIFT_FUTURE_SAMPLES);
    memcpy(newest, x, sizeof(float) * HOP_SAMPLES);
    memmove(d->means, d->means + HOP_KNOTS, sizeof(double) * (DRIFT_WEIGHTS - 1));
    for (int knot = 0; knot < HOP_KNOTS; knot++) {
        /* a triangle ends before the next knot: the last that is complete is around the last knot of the hop */
        d->means[DRIFT_WEIGHTS - 1 + knot] = mean(newest + knot * DRIFT_KNOT_SAMPLES);
    }
    for (int i = 0; i < DRIFT_WEIGHTS; i++) {
        for (int knot = 0; knot < HOP_KNOTS; knot++) {
            drifts[knot] += (double)DRIFT_WEIGHT[i] * d->means[i + knot];
        }
    }
    for (int knot = 0; knot < HOP_KNOTS; knot++) {
        double step = (drifts[knot] - d->last) / DRIFT_KNOT_SAMPLES;
        for (int n = 0; n < DRIFT_KNOT_SAMPLES; n++) {
            int at = knot * DRIFT_KNOT_SAMPLES + n;
            y[at] = (float)(d->x[at] - (d->last + n * step));
        }
        d->last = drifts[knot];
        d->step = step;
    }
}

void drift_ahead(const drift *d, float *y) {
    for (int n = 0; n < WINDOW_SHIFT_SAMPLES; n++) {
        y[n] = (float)(d->x[HOP_SAMPLES + n] - (d->last + n * d->step));
    }
}
