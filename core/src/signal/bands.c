/* Triangular bands, spaced and sized like the ear's own. */

#include "signal/bands.h"

#include <math.h>
#include <string.h>

void bands_init(bands *b, const int32_t *edges, int count, arena *a) {
    b->count = count;
    b->widths = ARENA_TAKE(a, float, count);
    b->edges = ARENA_TAKE(a, int32_t, count);
    if (!a->memory) {
        return;
    }
    for (int band = 0; band < count; band++) {
        b->widths[band] = 0.0f;
        b->edges[band] = edges[band];
    }
    int lower = 0;
    for (int k = 0; k < BINS; k++) {
        while (lower < count - 2 && k >= edges[lower + 1]) {
            lower++;
        }
        /* Bins above the last centre belong to the last band altogether: they follow its gain. */
        int bin = k < edges[count - 1] ? k : edges[count - 1];
        double share = (double)(bin - edges[lower]) / (edges[lower + 1] - edges[lower]);
        b->to_lower[k] = (float)(1.0 - share);
        b->to_upper[k] = (float)share;
        b->widths[lower] += b->to_lower[k];
        b->widths[lower + 1] += b->to_upper[k];
    }
}

/* Four partial sums: one alone would wait for itself at every bin. */
#ifdef __GNUC__
typedef float lanes __attribute__((vector_size(16)));

static inline lanes add_products(lanes sum, lanes a, lanes b) { return sum + a * b; }
#else
typedef struct lanes {
    float of[4];
} lanes;

static inline lanes add_products(lanes sum, lanes a, lanes b) {
    for (int i = 0; i < 4; i++) {
        sum.of[i] += a.of[i] * b.of[i];
    }
    return sum;
}
#endif

static inline lanes lanes_at(const float *x) {
    lanes four;
    memcpy(&four, x, sizeof four);
    return four;
}

static inline float sum_of(lanes four) {
    float of[4];
    memcpy(of, &four, sizeof of);
    return (of[0] + of[1]) + (of[2] + of[3]);
}

int bands_are_same(const bands *a, const bands *b) {
    return a->count == b->count && !memcmp(a->edges, b->edges, sizeof(int32_t) * (size_t)a->count);
}

void bands_sums(const bands *b, const float *powers, float *energy) {
    energy[0] = 0.0f;
    for (int band = 0; band < b->count - 1; band++) {
        int k = b->edges[band], end = band < b->count - 2 ? b->edges[band + 1] : BINS;
        lanes lower = {0}, upper = lower;
        float lower_rest = 0.0f, upper_rest = 0.0f;
        for (; k + 4 <= end; k += 4) {
            lanes four = lanes_at(powers + k);
            lower = add_products(lower, lanes_at(b->to_lower + k), four);
            upper = add_products(upper, lanes_at(b->to_upper + k), four);
        }
        for (; k < end; k++) {
            lower_rest += b->to_lower[k] * powers[k];
            upper_rest += b->to_upper[k] * powers[k];
        }
        energy[band] += sum_of(lower) + lower_rest;
        energy[band + 1] = sum_of(upper) + upper_rest;
    }
}

void bands_energy(const bands *b, const complex32 *x, float *energy) {
    float bins[BINS];
    for (int k = 0; k < BINS; k++) {
        bins[k] = x[k].re * x[k].re + x[k].im * x[k].im;
    }
    bands_sums(b, bins, energy);
}

void bands_correlation(const bands *b, const complex32 *x, const complex32 *p, float *correlation) {
    float bins[BINS];
    for (int k = 0; k < BINS; k++) {
        bins[k] = x[k].re * p[k].re + x[k].im * p[k].im;
    }
    bands_sums(b, bins, correlation);
}

void bands_to_bins(const bands *b, const float *values, float *bins) {
    for (int band = 0; band < b->count - 1; band++) {
        int end = band < b->count - 2 ? b->edges[band + 1] : BINS;
        for (int k = b->edges[band]; k < end; k++) {
            bins[k] = b->to_lower[k] * values[band] + b->to_upper[k] * values[band + 1];
        }
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
