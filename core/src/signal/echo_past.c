/* The far end of the last half second, from which the filter hears the part that the echo may be of. */

#include "signal/echo_past.h"

#include <math.h>
#include <string.h>

void echo_past_init(echo_past *p, arena *a) {
    int16_t *samples = ARENA_TAKE(a, int16_t, ECHO_PAST_BLOCKS * HOP_SAMPLES);
    if (a->memory) {
        p->samples = samples;
    }
}

void echo_past_forget(echo_past *p) {
    p->newest = 0;
    memset(p->samples, 0, sizeof(int16_t) * ECHO_PAST_BLOCKS * HOP_SAMPLES);
    memset(p->scales, 0, sizeof p->scales);
}

void echo_past_push(echo_past *p, const float *hop) {
    float peak = 0.0f;
    for (int n = 0; n < HOP_SAMPLES; n++) {
        float size = fabsf(hop[n]);
        peak = size > peak ? size : peak;
    }
    int is_heard = peak > ECHO_PAST_PEAK_MIN;
    float factor = is_heard ? ECHO_PAST_LARGEST / peak : 0.0f;
    p->newest = (p->newest + 1) % ECHO_PAST_BLOCKS;
    p->scales[p->newest] = is_heard ? peak / ECHO_PAST_LARGEST : 0.0f;
    int16_t *to = p->samples + p->newest * HOP_SAMPLES;
    for (int n = 0; n < HOP_SAMPLES; n++) {
        to[n] = echo_to_int16(factor * hop[n]);
    }
}

void echo_past_frame(const echo_past *p, int back, float *frame) {
    for (int half = 0; half < 2; half++, frame += HOP_SAMPLES) {
        int at = (p->newest - back - 1 + half + 2 * ECHO_PAST_BLOCKS) % ECHO_PAST_BLOCKS;
        const int16_t *from = p->samples + at * HOP_SAMPLES;
        for (int n = 0; n < HOP_SAMPLES; n++) {
            frame[n] = p->scales[at] * (float)from[n];
        }
    }
}
