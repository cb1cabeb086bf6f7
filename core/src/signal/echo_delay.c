/* How late the echo is: cross-correlation of far end and microphone by phases alone, at 8 kHz, up to half a second. */

#include "signal/echo_delay.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "signal/echo_past.h"

#define SPECTRUM (ECHO_LAG_FFT / 2 + 1)

void echo_delay_init(echo_delay *d, const real_fft *fft, arena *a) {
    d->fft = fft;
    d->far_phases = ARENA_TAKE(a, echo_phases, ECHO_LAG_BLOCKS);
    d->sums = ARENA_TAKE(a, complex32, ECHO_LAG_BLOCKS * ECHO_BAND);
    d->far.low = ARENA_TAKE(a, float, ECHO_LAG_FFT);
    d->near.low = ARENA_TAKE(a, float, ECHO_LAG_BLOCK);
}

static void forget(echo_low *s, int samples) {
    memset(s->past, 0, sizeof s->past);
    memset(s->low, 0, sizeof(float) * (size_t)samples);
}

void echo_delay_reset(echo_delay *d) {
    forget(&d->far, ECHO_LAG_FFT);
    forget(&d->near, ECHO_LAG_BLOCK);
    memset(d->far_phases, 0, sizeof(echo_phases) * ECHO_LAG_BLOCKS);
    memset(d->sums, 0, sizeof(complex32) * ECHO_LAG_BLOCKS * ECHO_BAND);
    memset(d->near_phases, 0, sizeof d->near_phases);
    d->newest = d->hop = d->is_active = 0;
    d->energy = 0.0;
    d->peak = 0.0f;
    d->lag = d->last = d->seen = 0;
}

static void hear(echo_low *s, int samples, const float *x, const kernel *k) {
    float *newest = s->low + samples - ECHO_LAG_HOP;
    const float *rows[ECHO_LAG_HOP], *windows[ECHO_LAG_HOP];
    float heard[ECHO_LOW_INPUT];
    memcpy(heard, s->past, sizeof s->past);
    memcpy(heard + ECHO_LOW_INPUT - HOP_SAMPLES, x, sizeof(float) * HOP_SAMPLES);
    memcpy(s->past, heard + HOP_SAMPLES, sizeof s->past);
    memmove(s->low, s->low + ECHO_LAG_HOP, sizeof(float) * (size_t)(samples - ECHO_LAG_HOP));
    for (int n = 0; n < ECHO_LAG_HOP; n++) {
        rows[n] = ECHO_LOW_PASS;
        windows[n] = heard + n * ECHO_DECIMATION;
    }
    k->dot(rows, windows, ECHO_LOW_PASS_TAPS, ECHO_LAG_HOP, newest);
}

/* Spectrum of magnitude one in the band. */
static void phases_of(const echo_delay *d, const float *x, complex32 *phases) {
    complex32 spectrum[SPECTRUM], work[ECHO_LAG_FFT];
    real_fft_forward(d->fft, x, spectrum, work);
    for (int i = 0; i < ECHO_BAND; i++) {
        complex32 bin = spectrum[ECHO_FIRST_BIN + i];
        float size = sqrtf(bin.re * bin.re + bin.im * bin.im) + 1e-12f;
        phases[i].re = bin.re / size;
        phases[i].im = bin.im / size;
    }
}

static void look_for_peak(echo_delay *d, int block, const float *lags) {
    float energy;
    d->fft->kernel->dot(&lags, &lags, ECHO_LAG_BLOCK, 1, &energy);
    d->energy += energy;
    for (int n = 0; n < ECHO_LAG_BLOCK; n++) {
        float square = lags[n] * lags[n];
        if (square > d->peak) {
            d->peak = square;
            d->lag = block * ECHO_LAG_BLOCK + n;
        }
    }
}

static void correlate(echo_delay *d, int block) {
    const echo_phases *far = d->far_phases + (d->newest + block) % ECHO_LAG_BLOCKS;
    complex32 *sums = d->sums + block * ECHO_BAND, spectrum[SPECTRUM] = {{0.0f, 0.0f}}, work[ECHO_LAG_FFT];
    float lags[ECHO_LAG_FFT];
    for (int i = 0; i < ECHO_BAND; i++) {
        complex32 x = {far->re[i], far->im[i]}, y = d->near_phases[i];
        sums[i].re = ECHO_LAG_FORGETTING * sums[i].re + (x.re * y.re + x.im * y.im);
        sums[i].im = ECHO_LAG_FORGETTING * sums[i].im + (x.re * y.im - x.im * y.re);
    }
    memcpy(spectrum + ECHO_FIRST_BIN, sums, sizeof(complex32) * ECHO_BAND);
    real_fft_inverse(d->fft, spectrum, lags, work);
    look_for_peak(d, block, lags);
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
    complex32 phases[ECHO_BAND];
    double energy = 0.0;
    d->newest = (d->newest + ECHO_LAG_BLOCKS - 1) % ECHO_LAG_BLOCKS;
    phases_of(d, d->far.low, phases);
    for (int i = 0; i < ECHO_BAND; i++) {
        d->far_phases[d->newest].re[i] = echo_to_int16(ECHO_PAST_LARGEST * phases[i].re);
        d->far_phases[d->newest].im[i] = echo_to_int16(ECHO_PAST_LARGEST * phases[i].im);
    }
    for (int n = 0; n < ECHO_LAG_BLOCK; n++) { /* cuts of both at the same time would correlate */
        float fade = ECHO_FADE_HALF[n < ECHO_LAG_BLOCK / 2 ? n : ECHO_LAG_BLOCK - 1 - n];
        newest[ECHO_LAG_BLOCK + n] = fade * d->near.low[n];
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
    hear(&d->far, ECHO_LAG_FFT, far, d->fft->kernel);
    hear(&d->near, ECHO_LAG_BLOCK, near, d->fft->kernel);
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
