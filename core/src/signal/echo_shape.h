/* The rest of an echo is taken out of frames bin by bin: it lies where the echo lies that was taken away. The definition is
   echo_shape.py. */

#ifndef ECHO_SHAPE_H
#define ECHO_SHAPE_H

#include "signal/analysis.h"
#include "signal/echo_past.h"

/* What all streams share. */
typedef struct echo_shape_tables {
    real_fft fft;  /* of ECHO_LONG_SAMPLES */
    float *window; /* ECHO_LONG_SAMPLES */
} echo_shape_tables;

typedef struct echo_shape {
    const echo_shape_tables *tables;
    int channels;
    int missing;       /* samples of the long window that nobody has heard yet: silence */
    int later;         /* hops between its end and the newest */
    float *left;       /* ECHO_SHAPED_BINS each, powers: of what is left, smoothed */
    float *echo;       /* of the echo, going down slowly */
    echo_past *echoes; /* a channel each */
} echo_shape;

void echo_shape_tables_init(echo_shape_tables *t, const struct kernel *k, arena *a);

void echo_shape_init(echo_shape *s, const echo_shape_tables *t, int lookahead_frames, int channels, arena *a);
void echo_shape_reset(echo_shape *s);

/* The newest hop of the echo that was taken away from each channel, `stride` apart. */
void echo_shape_hear(echo_shape *s, const float *echo, int64_t stride);

/* The frame that is decided, `heard` being what is left: of each channel the spectrum without the rest of the echo, by
   gains of bands, and those of the windows that are given out, windows * channels * 481, phases not yet turned back; 481
   gains for other spectra of the same frame, and what was taken out of each band: 1 where no echo was taken away
   before. */
void echo_shape_take_out(echo_shape *s, const analysis *heard, const analysis_tables *tables, const float *of_bands,
                         complex32 *noisy, complex32 *given, float *gains, float *taken);

/* What the enhancement decided, where the rest of an echo is taken out before. */
void echo_shape_beside(int bands, const float *taken, float *gains, float *strengths);

#endif
