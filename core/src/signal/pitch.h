#ifndef PITCH_H
#define PITCH_H

#include "signal/constants.h"
#include "signal/fft.h"

#define PITCH_PATH_MAX LOOKAHEAD_FRAMES_MAX
#define PITCH_INPUT_SAMPLES (HOP_SAMPLES + PITCH_LOW_PASS_TAPS - 1)
#define PITCH_WORK PITCH_FFT
#define PITCH_BINS_USED 384 /* those behind have no emphasis */

/* What all streams share. */
typedef struct pitch_tables {
    real_fft fft;
    const struct kernel *kernel;
    float *window; /* PITCH_SEGMENT */
    float *share;  /* PITCH_BINS_USED each, see pitch_correlate */
    float *mirrored;
    float *first_odd;
} pitch_tables;

typedef struct pitch {
    int channels;
    int back;   /* steps from the newest end of the path to the output frame, M - 1 */
    float *low; /* channels * PITCH_SEGMENT, the newest 40 ms at 12 kHz */
    float lags[PITCH_LAGS];
    float scores[PITCH_CELLS];
    float periods[PITCH_PATH_MAX][PITCH_CELLS]; /* of each cell, oldest first; back + 1 are in use */
    int16_t origins[PITCH_PATH_MAX][PITCH_CELLS];
} pitch;

void pitch_tables_init(pitch_tables *tables, const struct kernel *kernel, arena *a);
void pitch_init(pitch *p, int lookahead_frames, int channels, arena *a);
void pitch_reset(pitch *p);

/* Take the newest hop of a channel in: its 480 samples, with 48 more before them. */
void pitch_hear(pitch *p, const pitch_tables *tables, int channel, const float *x);

/* Whitened normalised autocorrelation of the 40 ms that end with the newest hop, to p->lags. `work` has room for
   PITCH_WORK numbers. */
void pitch_correlate(pitch *p, const pitch_tables *tables, complex32 *work);

/* Take p->lags into the path. Writes the fractional periods of the output frame and of the later frames that the
   correlation reaches, back + 1 in all; returns the normalised correlation at the newest end of the path. */
float pitch_step(pitch *p, float path[PITCH_PATH_MAX]);

#endif
