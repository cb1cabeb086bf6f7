/* Three windows for each decision: of the frame, before it and behind. The definition is windows.py. */

#ifndef WINDOWS_H
#define WINDOWS_H

#include "signal/stft.h"

#define WINDOWS_MAX 3
#define WINDOWS_TAIL_SAMPLES (WINDOW_SAMPLES + WINDOW_SHIFT_SAMPLES - HOP_SAMPLES) /* behind the hop that is complete */

/* What all streams share. */
typedef struct windows {
    int count; /* 1: the frame itself */
    int own;   /* which of them is that */
    int shifts[WINDOWS_MAX];
    const float *synthesis[WINDOWS_MAX]; /* WINDOW_SAMPLES each: what they are multiplied by */
} windows;

void windows_init(windows *w, const stft *s, int are_around, arena *a);

/* Overlap and add: the next hop, of spectra of its windows that lie `stride` apart. `tail` is what the frames before have
   left, WINDOWS_TAIL_SAMPLES. */
void windows_give(const windows *w, const stft *s, const complex32 *spectra, int64_t stride, float *tail,
                  float y[HOP_SAMPLES]);

#endif
