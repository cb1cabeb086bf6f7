/* From the stream's own rate to 48 kHz and back, exactly aligned in time and with a short, known delay.

   A Kaiser-windowed sinc, one row of coefficients for every position that an output sample can have between two input
   samples. Output n stands at (n * source_hz + start) / target_hz source samples. The newest source sample that it
   needs is the one at or before that position; what it shows is the signal half a filter earlier. A sample depends on
   nothing but its neighbours, so that how a stream is cut into chunks cannot matter. */

#ifndef RESAMPLER_H
#define RESAMPLER_H

#include <stdint.h>

#include "arena.h"
#include "kernels/kernels.h"

typedef struct resampler {
    int target_hz, channels;
    int taps;         /* of a row; the oldest may be zero, to fill it */
    int row_hz;       /* the step between two rows, in 1 / target_hz of a source sample; 0: rows are interpolated */
    int step_samples; /* from one output to the next, and the rest of it in 1 / target_hz of a source sample */
    int step_rest;
    int first_newest, first_rest; /* where the first output stands */
    int newest, rest;             /* and where the next one does, as seen from the next source sample */
    int kept;                     /* source samples that outputs look back on */
    int capacity;                 /* of a channel's source samples */
    float *rows;
    float *source; /* channels * capacity */
    const kernel *kernel;
} resampler;

/* Half the length of the filter between this rate and 48 kHz, in samples at 48 kHz: its delay. 0 at 48 kHz. */
int resampler_half_width_samples(int sample_rate_hz);

/* One of the two rates is 48 kHz, `start` is 0 or less, and a call takes at most `inputs_max` samples. */
void resampler_init(resampler *r, int source_hz, int target_hz, int64_t start, int channels, int inputs_max,
                    const kernel *k, arena *a);
void resampler_reset(resampler *r);

/* Where the next source samples of a channel go, before resampler_run. */
float *resampler_input(const resampler *r, int channel);

/* The next outputs, once `inputs` have been added to the source: the last output stands before their end. */
void resampler_run(resampler *r, int inputs, int outputs, float *y, int64_t stride);

#endif
