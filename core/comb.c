/* Comb filter: keeps what repeats with the period of the voice, and averages away what does not. */

#include "comb.h"

#include <math.h>
#include <string.h>

void comb_tap_delays(const double *periods, int count, int now, double delays[COMB_ALL_TAPS]) {
    double phase[COMB_CONTOUR_MAX];
    phase[0] = 0.0;
    for (int i = 1; i < count; i++) {
        phase[i] = phase[i - 1] + 0.5 * (HOP_SAMPLES / periods[i] + HOP_SAMPLES / periods[i - 1]);
    }
    int last = count - 1;
    for (int tap = 0; tap < COMB_ALL_TAPS; tap++) {
        double wanted = phase[now] + (tap - COMB_TAPS);
        double at; /* in samples from the centre of frame 0 */
        if (wanted < phase[0]) {
            at = (wanted - phase[0]) * periods[0];
        } else if (wanted >= phase[last]) {
            at = (double)last * HOP_SAMPLES + (wanted - phase[last]) * periods[last];
        } else {
            int i = 0;
            while (wanted >= phase[i + 1]) {
                i++;
            }
            at = HOP_SAMPLES * (i + (wanted - phase[i]) / (phase[i + 1] - phase[i]));
        }
        delays[tap] = at - now * HOP_SAMPLES;
    }
}

void comb_tap_weights(const double delays[COMB_ALL_TAPS], int future_samples, float weights[COMB_ALL_TAPS]) {
    float sum = 0.0f;
    for (int tap = 0; tap < COMB_ALL_TAPS; tap++) {
        int usable = tap <= COMB_TAPS || delays[tap] + COMB_REACH <= future_samples;
        weights[tap] = usable ? COMB_WEIGHTS[tap] : 0.0f;
        sum += weights[tap];
    }
    for (int tap = 0; tap < COMB_ALL_TAPS; tap++) {
        weights[tap] /= sum;
    }
}

#define BEFORE (COMB_REACH - 1) /* samples that interpolation reads before its place */
#define SUM_SAMPLES (WINDOW_SAMPLES + 2 * COMB_REACH)

static void accumulate(const float *restrict x, float weight, int first, int count, float *restrict sum) {
    for (int n = first; n < first + count; n++) {
        sum[n] += weight * x[n];
    }
}

#ifdef __GNUC__
typedef float lanes __attribute__((vector_size(16)));
#else
typedef float lanes;
#endif
#define LANES ((int)(sizeof(lanes) / sizeof(float)))

static inline lanes lanes_at(const float *x) {
    lanes found;
    memcpy(&found, x, sizeof found);
    return found;
}

static inline void add_lanes(lanes sum, float *x) {
    sum += lanes_at(x);
    memcpy(x, &sum, sizeof sum);
}

/* filtered += the values a fraction of a sample behind those of sum. */
static void add_between(const float *restrict sum, const float taps[2 * COMB_REACH], float *restrict filtered) {
    for (int n = 0; n < WINDOW_SAMPLES; n += 4 * LANES) {
        const float *x = sum + n;
        lanes a = lanes_at(x) * taps[0], b = lanes_at(x + LANES) * taps[0];
        lanes c = lanes_at(x + 2 * LANES) * taps[0], d = lanes_at(x + 3 * LANES) * taps[0];
        for (int tap = 1; tap < 2 * COMB_REACH; tap++) {
            a += lanes_at(x + tap) * taps[tap];
            b += lanes_at(x + LANES + tap) * taps[tap];
            c += lanes_at(x + 2 * LANES + tap) * taps[tap];
            d += lanes_at(x + 3 * LANES + tap) * taps[tap];
        }
        add_lanes(a, filtered + n);
        add_lanes(b, filtered + n + LANES);
        add_lanes(c, filtered + n + 2 * LANES);
        add_lanes(d, filtered + n + 3 * LANES);
    }
}

void comb_filter(const float *x, const double delays[COMB_ALL_TAPS], const float weights[COMB_ALL_TAPS],
                 float filtered[WINDOW_SAMPLES]) {
    /* Taps that lie equally far between two samples are added up first, and interpolated once. */
    float sums[COMB_PHASES][SUM_SAMPLES];
    int used[COMB_PHASES] = {0};
    for (int tap = 0; tap < COMB_ALL_TAPS; tap++) {
        if (weights[tap] == 0.0f) {
            continue;
        }
        int fine = (int)rint(delays[tap] * COMB_PHASES), phase = fine & (COMB_PHASES - 1);
        const float *from = x + (fine - phase) / COMB_PHASES - BEFORE;
        if (!used[phase]) {
            used[phase] = 1;
            memset(sums[phase], 0, sizeof sums[phase]);
        }
        if (phase == 0) {
            accumulate(from, weights[tap], BEFORE, WINDOW_SAMPLES, sums[0]);
        } else {
            accumulate(from, weights[tap], 0, WINDOW_SAMPLES + 2 * COMB_REACH - 1, sums[phase]);
        }
    }
    if (used[0]) {
        memcpy(filtered, sums[0] + BEFORE, sizeof(float) * WINDOW_SAMPLES);
    } else {
        memset(filtered, 0, sizeof(float) * WINDOW_SAMPLES);
    }
    for (int phase = 1; phase < COMB_PHASES; phase++) {
        if (used[phase]) {
            add_between(sums[phase], COMB_INTERPOLATORS + 2 * COMB_REACH * phase, filtered);
        }
    }
}
