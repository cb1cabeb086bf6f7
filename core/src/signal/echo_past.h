#ifndef ECHO_PAST_H
#define ECHO_PAST_H

#include "arena.h"
#include "signal/constants.h"

/* The newest hops of a signal, in 16 bits, each with a scale of its own. */
typedef struct echo_past {
    int hops, newest;
    int16_t *samples; /* a ring of so many hops */
    float *scales;
} echo_past;

/* Rounded, halves away from zero. */
static inline int16_t echo_to_int16(float x) { return (int16_t)(x + (x < 0.0f ? -0.5f : 0.5f)); }

void echo_past_init(echo_past *p, int hops, arena *a);

/* All of it is silence. */
void echo_past_forget(echo_past *p);

void echo_past_push(echo_past *p, const float *hop);

/* Some hops, the latest of them `back` before the newest: the sum of both is at most what is kept. */
void echo_past_read(const echo_past *p, int back, int count, float *to);

#endif
