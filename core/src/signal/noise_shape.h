/* Within a band, noise is taken where it lies: between the harmonics of a voice, and less of it on them. The definition is
   noise_shape.py. */

#ifndef NOISE_SHAPE_H
#define NOISE_SHAPE_H

#include "signal/bands.h"

typedef struct noise_shape {
    float *heard; /* NOISE_SHAPE_BINS each, powers: smoothed */
    float *noise;
    float *before; /* of the frame before */
    float *width;  /* how much of their bands is below NOISE_SHAPE_BINS */
} noise_shape;

/* What is decided of a frame. */
typedef struct noise_shape_frame {
    int channels;
    const complex32 *coming; /* channels * 481 each: of the frame, and behind it of the frames that come */
    int ahead;               /* how many of them: noise_shape_ahead */
    const complex32 *comb;   /* channels * 481, of the frame */
    const float *gains, *strengths;
} noise_shape_frame;

void noise_shape_init(noise_shape *s, const bands *b, arena *a);
void noise_shape_reset(noise_shape *s);

/* How many frames later than the decided one what is heard is. */
int noise_shape_ahead(int lookahead_frames);

/* The next frame: by what the rule multiplies NOISE_SHAPE_BINS bins, and by what the lifted gains multiply all 481. With
   a network for bins also what it is given, as of bin_ratios.h; `ratios` is NULL without. */
void noise_shape_push(noise_shape *s, const bands *b, const noise_shape_frame *of, float *factors, float *further,
                      float *ratios);

/* Change factors by so much of themselves, which a network says. */
void noise_shape_correct(const float *changes, float *factors);

/* What the 481 bins are to be multiplied by besides. */
void noise_shape_apply(const float *factors, float *further);

#endif
