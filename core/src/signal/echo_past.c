/* The newest hops of a signal: of the far end the last half second, from which the filter hears what has an echo. */

#include "signal/echo_past.h"

#include <math.h>
#include <string.h>

void echo_past_init(echo_past *p, int hops, arena *a) {
    int16_t *samples = ARENA_TAKE(a, int16_t, hops * HOP_SAMPLES);
    float *scales = ARENA_TAKE(a, float, hops);
    if (a->memory) {
        p->hops = hops;
        p->samples = samples;
        p->scales = scales;
    }
}

void echo_past_forget(echo_past *p) {
    p->newest = 0;
    memset(p->samples, 0, sizeof(int16_t) * (size_t)p->hops * HOP_SAMPLES);
    memset(p->scales, 0, sizeof(float) * (size_t)p->hops);
}

void echo_past_push(echo_past *p, const float *hop) {
    float peak = 0.0f;
    for (int n = 0; n < HOP_SAMPLES; n++) {
        float size = fabsf(hop[n]);
        peak = size > peak ? size : peak;
    }
    int is_heard = peak > ECHO_PAST_PEAK_MIN;
    float factor = is_heard ? ECHO_PAST_LARGEST / peak : 0.0f;
    p->newest = (p->newest + 1) % p->hops;
    p->scales[p->newest] = is_heard ? peak / ECHO_PAST_LARGEST : 0.0f;
    int16_t *to = p->samples + p->newest * HOP_SAMPLES;
    for (int n = 0; n < HOP_SAMPLES; n++) {
        to[n] = echo_to_int16(factor * hop[n]);
    }
}

void echo_past_read(const echo_past *p, int back, int count, float *to) {
    for (int hop = 0; hop < count; hop++, to += HOP_SAMPLES) {
        int at = (p->newest - back - count + 1 + hop + 2 * p->hops) % p->hops;
        const int16_t *from = p->samples + at * HOP_SAMPLES;
        for (int n = 0; n < HOP_SAMPLES; n++) {
            to[n] = p->scales[at] * (float)from[n];
        }
    }
}
