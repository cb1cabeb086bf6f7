/* Pitch: whitened normalised correlation, then the best path through time (Viterbi), with look-ahead.

   Decisions fall in the same precision as in NumPy: single for correlations and scores. */

#include "signal/pitch.h"

/* As in kernel_body.h: for loops that limit numbers. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-trapping-math")
#endif

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "signal/circle.h"
#include "signal/limited.h"
#include "signal/symmetric.h"

static const double TWO_PI = 6.283185307179586476925;

void pitch_tables_init(pitch_tables *tables, const kernel *k, arena *a) {
    real_fft_init(&tables->fft, PITCH_FFT, k, a);
    tables->kernel = k;
    tables->window = symmetric(PITCH_HALF, PITCH_SEGMENT, a);
    tables->share = ARENA_TAKE(a, float, PITCH_BINS_USED);
    tables->mirrored = ARENA_TAKE(a, float, PITCH_BINS_USED);
    tables->first_odd = ARENA_TAKE(a, float, PITCH_BINS_USED);
    if (!a->memory) {
        return;
    }
    for (int bin = 0; bin < PITCH_BINS_USED; bin++) {
        double angle = TWO_PI * bin / (PITCH_FFT * PITCH_OVERSAMPLING);
        tables->share[bin] = (float)((0.5 - circle_sin(angle)) / PITCH_FFT);
        tables->mirrored[bin] = (float)((0.5 + circle_sin(angle)) / PITCH_FFT);
        tables->first_odd[bin] = (float)(circle_cos(PITCH_FIRST_LAG * angle) / PITCH_FFT);
    }
}

void pitch_init(pitch *p, int lookahead_frames, int channels, arena *a) {
    p->channels = channels;
    p->back = lookahead_frames > 1 ? lookahead_frames - 1 : 0;
    p->low = ARENA_TAKE(a, float, PITCH_SEGMENT * channels);
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

void pitch_hear(pitch *p, const pitch_tables *tables, int channel, const float *x) {
    float *low = p->low + channel * PITCH_SEGMENT;
    memmove(low, low + PITCH_HOP, sizeof(float) * (PITCH_SEGMENT - PITCH_HOP));
    tables->kernel->low_pass(x, low + PITCH_SEGMENT - PITCH_HOP);
}

static void power_spectrum(const pitch *p, const pitch_tables *tables, float power[PITCH_BINS], complex32 *work) {
    float segment[PITCH_FFT];
    complex32 spectrum[PITCH_BINS];
    memset(power, 0, sizeof(float) * PITCH_BINS);
    memset(segment + PITCH_SEGMENT, 0, sizeof(float) * (PITCH_FFT - PITCH_SEGMENT));
    for (int channel = 0; channel < p->channels; channel++) {
        tables->kernel->multiply(p->low + channel * PITCH_SEGMENT, tables->window, PITCH_SEGMENT, segment);
        real_fft_forward(&tables->fft, segment, spectrum, work);
        for (int bin = 0; bin < PITCH_BINS; bin++) {
            power[bin] += spectrum[bin].re * spectrum[bin].re + spectrum[bin].im * spectrum[bin].im;
        }
    }
}

/* In an order that does not depend on how wide a register is. */
static float dot(const float *x, const float *y, int count) {
    float sums[16] = {0.0f};
    for (int i = 0; i < count; i += 16) {
        for (int j = 0; j < 16; j++) {
            sums[j] += x[i + j] * y[i + j];
        }
    }
    for (int half = 8; half > 0; half /= 2) {
        for (int j = 0; j < half; j++) {
            sums[j] += sums[j + half];
        }
    }
    return sums[0];
}

void pitch_correlate(pitch *p, const pitch_tables *tables, complex32 *work) {
    /* The correlation c is the cosine transform of the whitened power, of which 1024 lags would make a transform of
       2048 numbers. Weighted so that one of 1024 serves: its real parts are the even lags, and its imaginary parts the
       differences of odd ones, c(2k - 1) - c(2k + 1) (Press et al., Numerical Recipes, "Fast Sine and Cosine
       Transforms"). */
    float power[PITCH_BINS], whitened[PITCH_BINS_USED], weighted[PITCH_FFT];
    complex32 lags[PITCH_BINS];
    power_spectrum(p, tables, power, work);
    tables->kernel->whiten(power, whitened);
    memset(weighted, 0, sizeof weighted);
    for (int bin = 1; bin < PITCH_BINS_USED; bin++) {
        weighted[bin] = whitened[bin] * tables->share[bin];
        weighted[PITCH_FFT - bin] = whitened[bin] * tables->mirrored[bin];
    }
    real_fft_forward(&tables->fft, weighted, lags, work);
    float zero_lag = lags[0].re + 1e-20f, odd = dot(whitened, tables->first_odd, PITCH_BINS_USED);
    _Static_assert(PITCH_FIRST_LAG % 2 && PITCH_LAGS % 2, "the first and the last lag are odd");
    for (int lag = 0; lag < PITCH_LAGS; lag += 2) {
        int even = (PITCH_FIRST_LAG + lag + 1) / 2;
        p->lags[lag] = odd / (zero_lag * PITCH_WINDOW_CORRELATION[lag]);
        if (lag + 1 < PITCH_LAGS) {
            p->lags[lag + 1] = lags[even].re / (zero_lag * PITCH_WINDOW_CORRELATION[lag + 1]);
            odd -= lags[even].im;
        }
    }
}

/* Highest correlation in each cell, the last of equals, and its period refined by a parabola through three lags. */
static void find_cells(const float *restrict lags, float *restrict peaks, float *restrict periods) {
    float left[PITCH_CELLS], right[PITCH_CELLS], place[PITCH_CELLS];
    for (int cell = 0; cell < PITCH_CELLS; cell++) {
        int at = PITCH_CELL_START[cell], end = PITCH_CELL_START[cell + 1];
        float peak = lags[at + 1];
        for (int i = at + 1; i < end; i++) {
            int higher = lags[i + 1] >= peak;
            peak = higher ? lags[i + 1] : peak;
            at = higher ? i : at;
        }
        left[cell] = lags[at];
        peaks[cell] = peak;
        right[cell] = lags[at + 2];
        place[cell] = (float)(PITCH_FIRST_LAG + 1 + at);
    }
    for (int cell = 0; cell < PITCH_CELLS; cell++) {
        float curvature = left[cell] + right[cell] - 2.0f * peaks[cell];
        float slope = 0.5f * (left[cell] - right[cell]), bend = curvature < -1e-6f ? curvature : -1e-6f;
        float offset = limited(slope / bend, -0.5f, 0.5f);
        offset = curvature < 0.0f ? offset : 0.0f;
        float period = place[cell] * PITCH_STEP_SAMPLES + offset * PITCH_STEP_SAMPLES;
        periods[cell] = limited(period, PERIOD_MIN_SAMPLES, PERIOD_MAX_SAMPLES);
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

/* Where the best path to each cell comes from, and its score before the cell's own: with masks, of which the compiler
   makes vectors. */
static void find_origins(const float *restrict before, float *restrict best, int32_t *restrict origins) {
    float padded[PITCH_CELLS + 2 * PITCH_STEP_CELLS];
    for (int cell = 0; cell < PITCH_CELLS + 2 * PITCH_STEP_CELLS; cell++) {
        padded[cell] = -INFINITY;
    }
    memcpy(padded + PITCH_STEP_CELLS, before, sizeof(float) * PITCH_CELLS);
    for (int cell = 0; cell < PITCH_CELLS; cell++) {
        best[cell] = -INFINITY;
        origins[cell] = cell;
    }
    for (int step = 0; step <= 2 * PITCH_STEP_CELLS; step++) {
        for (int cell = 0; cell < PITCH_CELLS; cell++) {
            float score = padded[cell + step] - PITCH_STEP_COSTS[step];
            int32_t better = -(score > best[cell]), from = cell + step - PITCH_STEP_CELLS;
            origins[cell] = (from & better) | (origins[cell] & ~better);
            best[cell] = score > best[cell] ? score : best[cell];
        }
    }
    int leader = highest(before);
    float jump = before[leader] - PITCH_JUMP_COST;
    for (int cell = 0; cell < PITCH_CELLS; cell++) {
        int32_t better = -(jump > best[cell]);
        origins[cell] = (leader & better) | (origins[cell] & ~better);
        best[cell] = jump > best[cell] ? jump : best[cell];
    }
}

float pitch_step(pitch *p, float path[PITCH_PATH_MAX]) {
    float peaks[PITCH_CELLS], scores[PITCH_CELLS];
    int32_t origins[PITCH_CELLS];
    memmove(p->periods[0], p->periods[1], sizeof p->periods[0] * (size_t)p->back);
    find_cells(p->lags, peaks, p->periods[p->back]);
    find_origins(p->scores, scores, origins);
    for (int cell = 0; cell < PITCH_CELLS; cell++) {
        scores[cell] = scores[cell] + peaks[cell] - PITCH_CELL_COSTS[cell];
    }
    int end = highest(scores);
    for (int cell = 0; cell < PITCH_CELLS; cell++) {
        p->scores[cell] = scores[cell] - scores[end];
    }
    if (p->back > 0) {
        memmove(p->origins[0], p->origins[1], sizeof p->origins[0] * (size_t)(p->back - 1));
        for (int cell = 0; cell < PITCH_CELLS; cell++) {
            p->origins[p->back - 1][cell] = (int16_t)origins[cell];
        }
    }
    for (int step = p->back, cell = end; step >= 0; step--) {
        path[step] = p->periods[step][cell];
        if (step > 0) {
            cell = p->origins[step - 1][cell];
        }
    }
    return limited(peaks[end], 0.0f, 1.0f);
}
