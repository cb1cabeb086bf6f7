/* Pitch: whitened normalised correlation, then the best path through time (Viterbi), with look-ahead.

   Decisions fall in the same precision as in NumPy: single for correlations and scores. */

#include "pitch.h"

#include <math.h>
#include <string.h>

void pitch_tables_init(pitch_tables *tables, arena *a) {
    real_fft_init(&tables->segment, PITCH_FFT, a);
    real_fft_init(&tables->lags, PITCH_FFT * PITCH_OVERSAMPLING, a);
}

void pitch_init(pitch *p, int lookahead_frames, int channels, arena *a) {
    p->channels = channels;
    p->back = lookahead_frames > 1 ? lookahead_frames - 1 : 0;
    p->low = ARENA_TAKE(a, float, PITCH_SEGMENT *channels);
}

void pitch_reset(pitch *p) {
    memset(p->low, 0, sizeof(float) * PITCH_SEGMENT * (size_t)p->channels);
    memset(p->lags, 0, sizeof p->lags);
    memset(p->scores, 0, sizeof p->scores);
    for (int step = 0; step < PITCH_PATH_MAX; step++) {
        for (int cell = 0; cell < PITCH_CELLS; cell++) {
            p->periods[step][cell] = SILENT_PERIOD_SAMPLES;
            p->origins[step][cell] = (int16_t)cell;
        }
    }
}

void pitch_hear(pitch *p, int channel, const float *x) {
    float *low = p->low + channel * PITCH_SEGMENT;
    memmove(low, low + PITCH_HOP, sizeof(float) * (PITCH_SEGMENT - PITCH_HOP));
    low += PITCH_SEGMENT - PITCH_HOP;
    for (int i = 0; i < PITCH_HOP; i++) {
        low[i] = 0.0f;
    }
    for (int tap = 0; tap < PITCH_LOW_PASS_TAPS; tap++) {
        for (int i = 0; i < PITCH_HOP; i++) {
            low[i] += PITCH_LOW_PASS[tap] * x[PITCH_DECIMATION * i + tap];
        }
    }
}

/* Mean of the power over the bins around each; at its ends the spectrum is its own mirror image. */
static void spectral_envelope(const float power[PITCH_BINS], float envelope[PITCH_BINS]) {
    enum { REACH = PITCH_ENVELOPE_REACH, WIDTH = 2 * REACH + 1 };
    double total[PITCH_BINS + WIDTH];
    double sum = 0.0;
    for (int i = 0; i < PITCH_BINS + WIDTH; i++) {
        int bin = i - (REACH + 1);
        if (bin < 0) {
            bin = -bin;
        } else if (bin >= PITCH_BINS) {
            bin = 2 * (PITCH_BINS - 1) - bin;
        }
        sum += power[bin];
        total[i] = sum;
    }
    for (int bin = 0; bin < PITCH_BINS; bin++) {
        envelope[bin] = (float)fmax((total[bin + WIDTH] - total[bin]) / WIDTH, 0.0);
    }
}

void pitch_correlate(pitch *p, const pitch_tables *tables, complex32 *work) {
    float power[PITCH_BINS] = {0.0f}, envelope[PITCH_BINS];
    float segment[PITCH_FFT];
    complex32 spectrum[PITCH_FFT * PITCH_OVERSAMPLING / 2 + 1];
    memset(segment, 0, sizeof segment);
    for (int channel = 0; channel < p->channels; channel++) {
        const float *low = p->low + channel * PITCH_SEGMENT;
        for (int n = 0; n < PITCH_SEGMENT; n++) {
            segment[n] = low[n] * PITCH_WINDOW[n];
        }
        real_fft_forward(&tables->segment, segment, spectrum, work);
        for (int bin = 0; bin < PITCH_BINS; bin++) {
            power[bin] += spectrum[bin].re * spectrum[bin].re + spectrum[bin].im * spectrum[bin].im;
        }
    }
    spectral_envelope(power, envelope);
    memset(spectrum, 0, sizeof spectrum);
    for (int bin = 0; bin < PITCH_BINS; bin++) {
        if (PITCH_EMPHASIS[bin] > 0.0f) {
            spectrum[bin].re = power[bin] * PITCH_EMPHASIS[bin] / powf(envelope[bin] + 1e-12f, PITCH_WHITENING);
        }
    }
    float correlation[PITCH_FFT * PITCH_OVERSAMPLING];
    real_fft_inverse(&tables->lags, spectrum, correlation, work);
    float zero_lag = correlation[0] + 1e-20f;
    for (int lag = 0; lag < PITCH_LAGS; lag++) {
        p->lags[lag] = correlation[PITCH_FIRST_LAG + lag] / (zero_lag * PITCH_WINDOW_CORRELATION[lag]);
    }
}

/* Highest correlation in each cell, and its period refined by a parabola through three lags. */
static void find_cells(const float lags[PITCH_LAGS], float peaks[PITCH_CELLS], float periods[PITCH_CELLS]) {
    for (int cell = 0; cell < PITCH_CELLS; cell++) {
        int at = PITCH_CELL_START[cell];
        for (int i = at + 1; i < PITCH_CELL_START[cell + 1]; i++) {
            if (lags[i + 1] >= lags[at + 1]) {
                at = i;
            }
        }
        float left = lags[at], peak = lags[at + 1], right = lags[at + 2];
        float curvature = left + right - 2.0f * peak;
        float offset = curvature < 0.0f ? 0.5f * (left - right) / fminf(curvature, -1e-6f) : 0.0f;
        float shift = fminf(fmaxf(offset, -0.5f), 0.5f) * PITCH_STEP_SAMPLES;
        float period = (float)(PITCH_FIRST_LAG + 1 + at) * PITCH_STEP_SAMPLES + shift;
        peaks[cell] = peak;
        periods[cell] = fminf(fmaxf(period, PERIOD_MIN_SAMPLES), PERIOD_MAX_SAMPLES);
    }
}

static int highest(const float scores[PITCH_CELLS]) {
    int best = 0;
    for (int cell = 1; cell < PITCH_CELLS; cell++) {
        if (scores[cell] > scores[best]) {
            best = cell;
        }
    }
    return best;
}

float pitch_step(pitch *p, float path[PITCH_PATH_MAX]) {
    float peaks[PITCH_CELLS], scores[PITCH_CELLS];
    int16_t origins[PITCH_CELLS];
    memmove(p->periods[0], p->periods[1], sizeof p->periods[0] * (size_t)p->back);
    find_cells(p->lags, peaks, p->periods[p->back]);

    int leader = highest(p->scores);
    float jump = p->scores[leader] - PITCH_JUMP_COST;
    for (int cell = 0; cell < PITCH_CELLS; cell++) {
        float best = -INFINITY;
        int origin = cell;
        for (int step = -PITCH_STEP_CELLS; step <= PITCH_STEP_CELLS; step++) {
            if (cell + step < 0 || cell + step >= PITCH_CELLS) {
                continue;
            }
            float score = p->scores[cell + step] - PITCH_STEP_COSTS[step + PITCH_STEP_CELLS];
            if (score > best) {
                best = score;
                origin = cell + step;
            }
        }
        if (best < jump) {
            best = jump;
            origin = leader;
        }
        scores[cell] = best + peaks[cell] - PITCH_CELL_COSTS[cell];
        origins[cell] = (int16_t)origin;
    }
    int end = highest(scores);
    for (int cell = 0; cell < PITCH_CELLS; cell++) {
        p->scores[cell] = scores[cell] - scores[end];
    }
    if (p->back > 0) {
        memmove(p->origins[0], p->origins[1], sizeof p->origins[0] * (size_t)(p->back - 1));
        memcpy(p->origins[p->back - 1], origins, sizeof origins);
    }
    for (int step = p->back, cell = end; step >= 0; step--) {
        path[step] = p->periods[step][cell];
        if (step > 0) {
            cell = p->origins[step - 1][cell];
        }
    }
    return fminf(fmaxf(peaks[end], 0.0f), 1.0f);
}
