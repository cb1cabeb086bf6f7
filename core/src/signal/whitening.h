/* x^-PITCH_WHITENING without a call and without a branch, so that the compiler makes vectors of it. */

#ifndef WHITENING_H
#define WHITENING_H

#include <stdint.h>
#include <string.h>

#include "signal/constants.h"

#define WHITENING_ERROR_MAX 4e-6f /* relative, for x from 1e-12 to 1e15 */

/* 2^(-PITCH_WHITENING log2 x), with polynomials of least maximal error for the logarithm of the mantissa and for the
   fraction of the power. */
static inline float pitch_whitening(float x) {
    /* Added to a number, it leaves the nearest integer in the lowest bits. */
    const float magic = 12582912.0f; /* 1.5 * 2^23 */
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    /* octaves of 0.707 to 1.414 times a power of two */
    uint32_t above = bits - 0x3f3504f3u;
    float octave = (float)((int32_t)above >> 23);
    bits = (above & 0x7fffffu) + 0x3f3504f3u;
    float mantissa;
    memcpy(&mantissa, &bits, sizeof mantissa);
    float t = (mantissa - 1.0f) / (mantissa + 1.0f), u = t * t;
    float log2 = octave + t * ((0.595796525f * u + 0.961587846f) * u + 2.88539052f);
    float power = -PITCH_WHITENING * log2;
    float rounded = power + magic;
    memcpy(&bits, &rounded, sizeof bits);
    bits = (bits << 23) + 0x3f800000u;
    float whole, f = power - (rounded - magic);
    memcpy(&whole, &bits, sizeof whole);
    float low = (0.240221202f * f + 0.693146944f) * f + 1.00000012f;
    float high = (0.00132764725f * f + 0.00967554096f) * f + 0.0555071309f;
    return whole * (low + high * (f * f * f));
}

#endif
