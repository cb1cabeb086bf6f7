/* The newest samples of a stream as they came, in a ring: what is left of a hop that is not whole yet, and what bypass
   gives out. */

#ifndef PAST_H
#define PAST_H

#include "arena.h"
#include "stream/samples.h"

typedef struct past {
    int channels, capacity; /* of a channel */
    int end;                /* where the next sample goes */
    float *samples;         /* channels * capacity */
} past;

void past_init(past *p, int channels, int capacity, arena *a);
void past_reset(past *p);

/* Remember the newest of `count` more samples; of silence where x is NULL. */
void past_append(past *p, const void *x, samples_format format, int64_t count);

/* `count` samples of a channel, from the one on that came `back` samples ago: at most the capacity. */
void past_read(const past *p, int channel, int back, int count, float *to);

#endif
