#ifndef ECHO_PAST_H
#define ECHO_PAST_H

#include "arena.h"
#include "signal/constants.h"

/* The far end of the last half second, in 16 bits, each hop with a scale of its own. */
typedef struct echo_past {
    int newest;
    int16_t *samples; /* a ring of ECHO_PAST_BLOCKS hops */
    float scales[ECHO_PAST_BLOCKS];
} echo_past;

/* Rounded, halves away from zero. */
static inline int16_t echo_to_int16(float x) { return (int16_t)(x + (x < 0.0f ? -0.5f : 0.5f)); }

void echo_past_init(echo_past *p, arena *a);

/* All of it is silence. */
void echo_past_forget(echo_past *p);

void echo_past_push(echo_past *p, const float *hop);

/* Two hops, the later one `back` before the newest: 0 to ECHO_DELAY_BLOCKS_MAX. */
void echo_past_frame(const echo_past *p, int back, float *frame);

#endif
