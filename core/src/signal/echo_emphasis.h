#ifndef ECHO_EMPHASIS_H
#define ECHO_EMPHASIS_H

#include "signal/constants.h"

typedef struct emphasis {
    double input, output; /* before the next hop */
} emphasis;

/* Begin with a hop as if its first sample had been there for ever: an offset is no step. */
void emphasis_begin(emphasis *e, const float *hop);

/* The next hop with its treble raised, and without an offset. */
void emphasis_push(emphasis *e, const float *hop, float *y);

typedef struct deemphasis {
    double flat, output;
} deemphasis;

void deemphasis_begin(deemphasis *d);

/* The way back, in place. */
void deemphasis_push(deemphasis *d, float *hop);

#endif
