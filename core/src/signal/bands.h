#ifndef BANDS_H
#define BANDS_H

#include <stdint.h>

#include "signal/constants.h"
#include "signal/fft.h"

/* Each bin lies between the centres of two neighbouring bands, and is shared among them. */
typedef struct bands {
    int count;
    int32_t *edges;       /* centres of the bands, in bins */
    float to_lower[BINS]; /* the share of each; they add up to one */
    float to_upper[BINS];
    float *widths; /* sum of each band's shares, in bins */
} bands;

/* `edges` are `count` increasing bins from 0 to at most 480. */
void bands_init(bands *b, const int32_t *edges, int count, arena *a);

int bands_are_same(const bands *a, const bands *b);

/* E_b = sum_k w_b(k) x(k) */
void bands_sums(const bands *b, const float *powers, float *energy);

/* E_b = sum_k w_b(k) |X(k)|^2 */
void bands_energy(const bands *b, const complex32 *x, float *energy);

/* sum_k w_b(k) Re(X(k)^* P(k)) */
void bands_correlation(const bands *b, const complex32 *x, const complex32 *p, float *correlation);

/* g(k) = sum_b w_b(k) g_b */
void bands_to_bins(const bands *b, const float *values, float *bins);

/* Normalised inner product of two spectra in each band, -1 to 1; 0 where either has no more than the rounding noise of
   16-bit audio. */
void bands_coherence(const bands *b, const float *correlation, const float *energy_x, const float *energy_p,
                     float *coherence);

#endif
