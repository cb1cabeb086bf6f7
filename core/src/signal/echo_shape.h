/* Where in its bands the rest of an echo lies: gains of bands made gains of bins. The definition is echo_shape.py. */

#ifndef ECHO_SHAPE_H
#define ECHO_SHAPE_H

#include "signal/bands.h"

typedef struct echo_shape {
    int frames, newest; /* of the ring of shares: look-ahead and one more */
    float *left;        /* ECHO_SHAPED_BINS: powers of what is left, smoothed */
    float *shares; /* ECHO_SHAPED_BINS a frame: of the rest of the echo, over what a flat one would have in a bin */
} echo_shape;

void echo_shape_init(echo_shape *s, int lookahead_frames, arena *a);
void echo_shape_reset(echo_shape *s);

/* The newest frame: powers of ECHO_SHAPED_BINS + 1 bins, and energies of bands, of what is left and of the echo that was
   taken away. */
void echo_shape_push(echo_shape *s, const bands *b, const float *left, const float *echo, const float *left_bands,
                     const float *echo_bands);

/* 481 gains, of those of the bands of the frame `lookahead_frames` before the newest. */
void echo_shape_gains(const echo_shape *s, const bands *b, const float *of_bands, float *gains);

#endif
