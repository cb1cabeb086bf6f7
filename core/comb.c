/* Comb filter: keeps what repeats with the period of the voice, and averages away what does not. */

#include "comb.h"

#include <math.h>

void comb_upsample(const float *x, int count, float *const planes[COMB_PHASES - 1]) {
    for (int phase = 1; phase < COMB_PHASES; phase++) {
        const float *taps = COMB_INTERPOLATORS + 2 * COMB_REACH * phase;
        float *out = planes[phase - 1];
        for (int i = 0; i < count; i++) {
            out[i] = 0.0f;
        }
        for (int tap = 0; tap < 2 * COMB_REACH; tap++) {
            const float *from = x + tap - (COMB_REACH - 1);
            for (int i = 0; i < count; i++) {
                out[i] += taps[tap] * from[i];
            }
        }
    }
}

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

void comb_filter(const float *const planes[COMB_PHASES], int start, const double delays[COMB_ALL_TAPS],
                 const float weights[COMB_ALL_TAPS], float filtered[WINDOW_SAMPLES]) {
    for (int n = 0; n < WINDOW_SAMPLES; n++) {
        filtered[n] = 0.0f;
    }
    for (int tap = 0; tap < COMB_ALL_TAPS; tap++) {
        if (weights[tap] == 0.0f) {
            continue;
        }
        int fine = COMB_PHASES * start + (int)rint(delays[tap] * COMB_PHASES);
        const float *from = planes[fine % COMB_PHASES] + fine / COMB_PHASES;
        for (int n = 0; n < WINDOW_SAMPLES; n++) {
            filtered[n] += weights[tap] * from[n];
        }
    }
}
