#ifndef HIGHPASS_H
#define HIGHPASS_H

#include "arena.h"
#include "signal/fft.h"

#define HIGHPASS_SECTIONS 2

typedef struct highpass_section {
    double b0, b1, b2, a1, a2;
} highpass_section;

typedef struct highpass {
    int is_on;
    highpass_section sections[HIGHPASS_SECTIONS];
    complex32 *undo; /* 481: takes the phase of the filter back; ones without it */
} highpass;

#define HIGHPASS_STATE                                                                                                 \
    (2 * HIGHPASS_SECTIONS + 2) /* numbers of a channel: the last two of its input and of each section */

/* A corner of 0 Hz is no filter. */
void highpass_init(highpass *h, double corner_hz, arena *a);

/* Begin with a hop as if its first sample had been there for ever: a stream that has an offset has it from the start. */
void highpass_begin(double state[HIGHPASS_STATE], const float *x);

/* Filter the next hop of a channel in place. */
void highpass_hop(const highpass *h, double state[HIGHPASS_STATE], float *x);

/* Give a spectrum that was filtered its phase again, in `out`. */
void highpass_undo_phase(const highpass *h, const complex32 *spectrum, complex32 *out);

#endif
