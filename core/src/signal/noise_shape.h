/* Within a band, noise is taken where it lies: between the harmonics of a voice, and less of it on them. The definition is
   noise_shape.py. */

#ifndef NOISE_SHAPE_H
#define NOISE_SHAPE_H

#include "signal/bands.h"

typedef struct noise_shape {
    float *heard; /* NOISE_SHAPE_BINS each, powers: smoothed */
    float *noise;
} noise_shape;

void noise_shape_init(noise_shape *s, arena *a);
void noise_shape_reset(noise_shape *s);

/* How many frames later than the decided one what is heard is. */
int noise_shape_ahead(int lookahead_frames);

/* The next frame, the one noise_shape_ahead later, channels * 481 each, and what was decided for the first: what its 481
   bins are to be multiplied by besides. */
void noise_shape_push(noise_shape *s, const bands *b, int channels, const complex32 *noisy, const complex32 *ahead,
                      const float *gains, float *further);

#endif
