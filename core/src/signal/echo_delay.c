/* How late the echo is: cross-correlation of far end and microphone by phases alone, at 8 kHz, up to half a second. */

#include "signal/echo_delay.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"

void echo_delay_init(echo_delay *d, const kernel *k, complex32 *spectrum, complex32 *work, arena *a) {
    real_fft sizes;
    real_fft_init(a->memory ? &d->fft : &sizes, ECHO_LAG_FFT, k, a);
    complex32 *far_phases = ARENA_TAKE(a, complex32, ECHO_LAG_BLOCKS * ECHO_BAND);
    complex32 *sums = ARENA_TAKE(a, complex32, ECHO_LAG_BLOCKS * ECHO_BAND);
    float *lags = ARENA_TAKE(a, float, ECHO_LAG_FFT);
    if (a->memory) {
        d->far_phases = far_phases;
        d->sums = sums;
        d->lags = lags;
        d->spectrum = spectrum;
        d->work = work;
    }
}

void echo_delay_reset(echo_delay *d) {
    memset(&d->far, 0, sizeof d->far);
    memset(&d->near, 0, sizeof d->near);
    memset(d->far_phases, 0, sizeof(complex32) * ECHO_LAG_BLOCKS * ECHO_BAND);
    memset(d->sums, 0, sizeof(complex32) * ECHO_LAG_BLOCKS * ECHO_BAND);
    memset(d->near_phases, 0, sizeof d->near_phases);
    d->newest = d->hop = d->is_active = 0;
    d->energy = 0.0;
    d->peak = 0.0f;
    d->lag = d->last = d->seen = 0;
}

static void hear(echo_low *s, const float *x, const kernel *k) {
    const float *rows[ECHO_LAG_HOP], *windows[ECHO_LAG_HOP];
    memmove(s->past, s->past + HOP_SAMPLES, sizeof(float) * (ECHO_LOW_INPUT - HOP_SAMPLES));
    memcpy(s->past + ECHO_LOW_INPUT - HOP_SAMPLES, x, sizeof(float) * HOP_SAMPLES);
    memmove(s->low, s->low + ECHO_LAG_HOP, sizeof(float) * (ECHO_LAG_FFT - ECHO_LAG_HOP));
    for (int n = 0; n < ECHO_LAG_HOP; n++) {
        rows[n] = ECHO_LOW_PASS;
        windows[n] = s->past + n * ECHO_DECIMATION;
    }
    k->dot(rows, windows, ECHO_LOW_PASS_TAPS, ECHO_LAG_HOP, s->low + ECHO_LAG_FFT - ECHO_LAG_HOP);
}

/* Spectrum of magnitude one in the band. */
static void phases_of(echo_delay *d, const float *x, complex32 *phases) {
    real_fft_forward(&d->fft, x, d->spectrum, d->work);
    for (int i = 0; i < ECHO_BAND; i++) {
        complex32 bin = d->spectrum[ECHO_FIRST_BIN + i];
        float size = sqrtf(bin.re * bin.re + bin.im * bin.im) + 1e-12f;
        phases[i].re = bin.re / size;
        phases[i].im = bin.im / size;
    }
}

static void correlate(echo_delay *d, int block) {
    const complex32 *far = d->far_phases + (d->newest + block) % ECHO_LAG_BLOCKS * ECHO_BAND;
    complex32 *sums = d->sums + block * ECHO_BAND;
    memset(d->spectrum, 0, sizeof(complex32) * (ECHO_LAG_FFT / 2 + 1));
    for (int i = 0; i < ECHO_BAND; i++) {
        complex32 x = far[i], y = d->near_phases[i];
        sums[i].re = ECHO_LAG_FORGETTING * sums[i].re + (x.re * y.re + x.im * y.im);
        sums[i].im = ECHO_LAG_FORGETTING * sums[i].im + (x.re * y.im - x.im * y.re);
        d->spectrum[ECHO_FIRST_BIN + i] = sums[i];
    }
    real_fft_inverse(&d->fft, d->spectrum, d->lags, d->work);
    for (int n = 0; n < ECHO_LAG_BLOCK; n++) {
        float square = d->lags[n] * d->lags[n];
        d->energy += square;
        if (square > d->peak) {
            d->peak = square;
            d->lag = block * ECHO_LAG_BLOCK + n;
        }
    }
}

static int decide(echo_delay *d) {
    int stands_out = (double)d->peak * ECHO_LAG_BLOCKS * ECHO_LAG_BLOCK > (double)ECHO_PEAK_MIN * d->energy;
    int apart = d->lag > d->last ? d->lag - d->last : d->last - d->lag;
    d->seen = !stands_out ? 0 : apart <= ECHO_SAME_SAMPLES ? d->seen + 1 : 1;
    d->seen = d->seen > ECHO_SEEN_MIN ? ECHO_SEEN_MIN : d->seen;
    d->last = d->lag;
    return d->seen >= ECHO_SEEN_MIN ? d->lag * ECHO_DECIMATION : -1;
}

/* The cycle that ends here becomes the block that the next one correlates. */
static void turn(echo_delay *d) {
    float newest[ECHO_LAG_FFT] = {0.0f};
    double energy = 0.0;
    d->newest = (d->newest + ECHO_LAG_BLOCKS - 1) % ECHO_LAG_BLOCKS;
    phases_of(d, d->far.low, d->far_phases + d->newest * ECHO_BAND);
    for (int n = 0; n < ECHO_LAG_BLOCK; n++) { /* cuts of both at the same time would correlate */
        float fade = ECHO_FADE_HALF[n < ECHO_LAG_BLOCK / 2 ? n : ECHO_LAG_BLOCK - 1 - n];
        newest[ECHO_LAG_BLOCK + n] = fade * d->near.low[ECHO_LAG_BLOCK + n];
    }
    phases_of(d, newest, d->near_phases);
    for (int n = ECHO_LAG_BLOCK; n < ECHO_LAG_FFT; n++) {
        energy += (double)d->far.low[n] * d->far.low[n];
    }
    d->is_active = energy > (double)ECHO_ACTIVE_ENERGY;
    d->energy = 0.0;
    d->peak = 0.0f;
}

int echo_delay_push(echo_delay *d, const float *near, const float *far) {
    int phase = d->hop, found = -1, is_last = phase == ECHO_CYCLE_HOPS - 1;
    hear(&d->far, far, d->fft.kernel);
    hear(&d->near, near, d->fft.kernel);
    d->hop = is_last ? 0 : phase + 1;
    if (d->is_active) {
        for (int block = phase; block < ECHO_LAG_BLOCKS; block += ECHO_CYCLE_HOPS) {
            correlate(d, block);
        }
        found = is_last ? decide(d) : -1;
    }
    if (is_last) {
        turn(d);
    }
    return found;
}
