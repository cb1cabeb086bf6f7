/* How a stream of any rate is divided into hops of 10 ms: hop j begins with sample ceil(j * rate / 100). */

#ifndef HOPS_H
#define HOPS_H

#include <stdint.h>

#define HOPS_PER_SECOND 100

static inline int64_t common_divisor(int64_t a, int64_t b) {
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static inline int64_t hop_start(int32_t rate_hz, int64_t hop) {
    return (hop * rate_hz + HOPS_PER_SECOND - 1) / HOPS_PER_SECOND;
}

static inline int hop_samples(int32_t rate_hz, int64_t hop) {
    return (int)(hop_start(rate_hz, hop + 1) - hop_start(rate_hz, hop));
}

/* The longest one. */
static inline int hop_samples_max(int32_t rate_hz) { return (rate_hz + HOPS_PER_SECOND - 1) / HOPS_PER_SECOND; }

/* How many hops are whole, of so many samples; and how many it takes for so many. */
static inline int64_t hops_whole(int32_t rate_hz, int64_t samples) { return samples * HOPS_PER_SECOND / rate_hz; }

static inline int64_t hops_for(int32_t rate_hz, int64_t samples) {
    return (samples * HOPS_PER_SECOND + rate_hz - 1) / rate_hz;
}

#endif
