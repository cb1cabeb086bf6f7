/* What the echo canceller adapts on: the treble raised and DC taken away, in both signals alike; and the way back. */

#include "signal/echo_emphasis.h"

#include <math.h>

void emphasis_begin(emphasis *e, const float *hop) {
    e->input = hop[0];
    e->output = 0.0;
}

void emphasis_push(emphasis *e, const float *hop, float *y) {
    const double pole = ECHO_DC_POLE, zero = ECHO_EMPHASIS;
    double input = e->input, output = e->output;
    for (int n = 0; n < HOP_SAMPLES; n++) {
        double high = ((double)hop[n] - input) + pole * output;
        y[n] = (float)(high - zero * output);
        input = hop[n];
        output = high;
    }
    e->input = input;
    e->output = fabs(output) < 1e-30 ? 0.0 : output;
}

void deemphasis_begin(deemphasis *d) { d->flat = d->output = 0.0; }

void deemphasis_push(deemphasis *d, float *hop) {
    const double pole = ECHO_EMPHASIS, zero = ECHO_DC_POLE, back = ECHO_RETURN_POLE;
    double flat = d->flat, output = d->output;
    for (int n = 0; n < HOP_SAMPLES; n++) {
        double next = (double)hop[n] + pole * flat;
        output = (next - zero * flat) + back * output;
        hop[n] = (float)output;
        flat = next;
    }
    /* they would decay for ever, where the processor does not take such numbers as zero */
    d->flat = fabs(flat) < 1e-30 ? 0.0 : flat;
    d->output = fabs(output) < 1e-30 ? 0.0 : output;
}
