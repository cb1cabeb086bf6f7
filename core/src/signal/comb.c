/* Comb filter: keeps what repeats with the period of the voice, and averages away what does not. */

#include "signal/comb.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"

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
#define SUM_SAMPLES (COMB_SAMPLES_MAX + 2 * COMB_REACH)

void comb_filter(const kernel *k, const float *x, const double delays[COMB_ALL_TAPS],
                 const float weights[COMB_ALL_TAPS], int count, float *filtered) {
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
            memset(sums[phase], 0, sizeof(float) * (size_t)(count + 2 * COMB_REACH));
        }
        if (phase == 0) {
            k->add_scaled(from + BEFORE, weights[tap], count, sums[0] + BEFORE);
        } else {
            k->add_scaled(from, weights[tap], count + 2 * COMB_REACH - 1, sums[phase]);
        }
    }
    if (used[0]) {
        memcpy(filtered, sums[0] + BEFORE, sizeof(float) * (size_t)count);
    } else {
        memset(filtered, 0, sizeof(float) * (size_t)count);
    }
    for (int phase = 1; phase < COMB_PHASES; phase++) {
        if (used[phase]) {
            k->interpolate(sums[phase], COMB_INTERPOLATORS + 2 * COMB_REACH * phase, count, filtered);
        }
    }
}
