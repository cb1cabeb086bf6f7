/* Triangular bands, spaced and sized like the ear's own. */

#include "bands.h"

#include <math.h>

void bands_init(bands *b, const int32_t *edges, int count, arena *a) {
    b->count = count;
    b->widths = ARENA_TAKE(a, float, count);
    if (!a->memory) {
        return;
    }
    for (int band = 0; band < count; band++) {
        b->widths[band] = 0.0f;
    }
    int lower = 0;
    for (int k = 0; k < BINS; k++) {
        while (lower < count - 2 && k >= edges[lower + 1]) {
            lower++;
        }
        /* Bins above the last centre belong to the last band altogether: they follow its gain. */
        int bin = k < edges[count - 1] ? k : edges[count - 1];
        double share = (double)(bin - edges[lower]) / (edges[lower + 1] - edges[lower]);
        b->lower[k] = (int16_t)lower;
        b->to_lower[k] = (float)(1.0 - share);
        b->to_upper[k] = (float)share;
        b->widths[lower] += b->to_lower[k];
        b->widths[lower + 1] += b->to_upper[k];
    }
}

static void gather(const bands *b, const float *bins, float *values) {
    for (int band = 0; band < b->count; band++) {
        values[band] = 0.0f;
    }
    for (int k = 0; k < BINS; k++) {
        values[b->lower[k]] += b->to_lower[k] * bins[k];
        values[b->lower[k] + 1] += b->to_upper[k] * bins[k];
    }
}

void bands_energy(const bands *b, const complex32 *x, float *energy) {
    float bins[BINS];
    for (int k = 0; k < BINS; k++) {
        bins[k] = x[k].re * x[k].re + x[k].im * x[k].im;
    }
    gather(b, bins, energy);
}

void bands_correlation(const bands *b, const complex32 *x, const complex32 *p, float *correlation) {
    float bins[BINS];
    for (int k = 0; k < BINS; k++) {
        bins[k] = x[k].re * p[k].re + x[k].im * p[k].im;
    }
    gather(b, bins, correlation);
}

void bands_to_bins(const bands *b, const float *values, float *bins) {
    for (int k = 0; k < BINS; k++) {
        bins[k] = b->to_lower[k] * values[b->lower[k]] + b->to_upper[k] * values[b->lower[k] + 1];
    }
}

void bands_coherence(const bands *b, const float *correlation, const float *energy_x, const float *energy_p,
                     float *coherence) {
    for (int band = 0; band < b->count; band++) {
        float silent = FEATURE_FLOOR * FEATURE_WINDOW_ENERGY * b->widths[band];
        float q = correlation[band] / sqrtf((energy_x[band] + silent) * (energy_p[band] + silent));
        coherence[band] = fminf(fmaxf(q, -1.0f), 1.0f);
    }
}
