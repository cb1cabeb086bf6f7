/* The rest of an echo is spread over the bins of a band as the echo that was taken away is. */

#include "signal/echo_shape.h"

#include <math.h>
#include <string.h>

#define SILENT 1e-12f

void echo_shape_init(echo_shape *s, int lookahead_frames, arena *a) {
    s->frames = lookahead_frames + 1;
    s->left = ARENA_TAKE(a, float, ECHO_SHAPED_BINS);
    s->shares = ARENA_TAKE(a, float, s->frames * ECHO_SHAPED_BINS);
}

void echo_shape_reset(echo_shape *s) {
    s->newest = 0;
    memset(s->left, 0, sizeof(float) * ECHO_SHAPED_BINS);
    for (int i = 0; i < s->frames * ECHO_SHAPED_BINS; i++) {
        s->shares[i] = 1.0f;
    }
}

void echo_shape_push(echo_shape *s, const bands *b, const float *left, const float *echo, const float *left_bands,
                     const float *echo_bands) {
    float ratios[BINS], of_bands[BINS];
    s->newest = (s->newest + 1) % s->frames;
    float *shares = s->shares + s->newest * ECHO_SHAPED_BINS;
    for (int band = 0; band < b->count; band++) {
        of_bands[band] = left_bands[band] / (echo_bands[band] + ECHO_UNKNOWN * left_bands[band] + SILENT);
    }
    bands_to_bins(b, of_bands, ratios);
    for (int k = 0; k < ECHO_SHAPED_BINS; k++) {
        float smoothed = 0.25f * left[k ? k - 1 : 0] + 0.5f * left[k] + 0.25f * left[k + 1];
        s->left[k] += (1.0f - ECHO_LEFT_SMOOTHING) * (smoothed - s->left[k]);
        shares[k] = ratios[k] * (echo[k] / (s->left[k] + SILENT) + ECHO_UNKNOWN);
    }
}

void echo_shape_gains(const echo_shape *s, const bands *b, const float *of_bands, float *gains) {
    float rest[BINS], rest_bands[BINS];
    const float *shares = s->shares + (s->newest + 1) % s->frames * ECHO_SHAPED_BINS;
    for (int band = 0; band < b->count; band++) {
        rest_bands[band] = 1.0f - of_bands[band] * of_bands[band];
    }
    bands_to_bins(b, rest_bands, rest);
    bands_to_bins(b, of_bands, gains);
    for (int k = 0; k < ECHO_SHAPED_BINS; k++) {
        float kept = 1.0f - rest[k] * shares[k], gain = kept > 0.0f ? sqrtf(kept) : 0.0f;
        float least = ECHO_LEAST * gains[k], most = ECHO_MOST * gains[k];
        most = most < 1.0f ? most : 1.0f;
        gains[k] = gain < least ? least : gain > most ? most : gain;
    }
}
