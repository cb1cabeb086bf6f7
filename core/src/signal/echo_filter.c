/* The echo of a far end at one microphone: an adaptive filter in blocks of the spectrum, and when to believe it. */

#include "signal/echo_filter.h"

#include <string.h>

#include "kernels/kernels.h"

#define TINY_ENERGY 1e-20

enum { HEARD, TRIED, NEAR };

void echo_filter_init(echo_filter *f, arena *a) {
    split foreground = {ARENA_TAKE(a, float, ECHO_PATH), ARENA_TAKE(a, float, ECHO_PATH)};
    split background = {ARENA_TAKE(a, float, ECHO_PATH), ARENA_TAKE(a, float, ECHO_PATH)};
    float *variance = ARENA_TAKE(a, float, ECHO_PATH), *bins = ARENA_TAKE(a, float, 4 * BINS);
    if (a->memory) {
        f->foreground = foreground;
        f->background = background;
        f->variance = variance;
        f->error_power = bins;
        f->mean_error = bins + BINS;
        f->mean_echo = bins + 2 * BINS;
        f->power = bins + 3 * BINS;
    }
}

static void clear(const split *x, int count) {
    memset(x->re, 0, sizeof(float) * (size_t)count);
    memset(x->im, 0, sizeof(float) * (size_t)count);
}

static void copy(const split *from, const split *to, int count) {
    memcpy(to->re, from->re, sizeof(float) * (size_t)count);
    memcpy(to->im, from->im, sizeof(float) * (size_t)count);
}

/* Know nothing of the path. */
static void begin(echo_filter *f) {
    clear(&f->foreground, ECHO_PATH);
    clear(&f->background, ECHO_PATH);
    memset(f->variance, 0, sizeof(float) * ECHO_PATH);
    memset(f->error_power, 0, sizeof(float) * 4 * BINS);
    f->hops = f->has_found = 0;
    f->near_sum = f->far_sum = f->gain = f->loudest = 0.0;
    f->shared = 0.0;
    f->own = TINY_ENERGY;
    memset(f->fast, 0, sizeof f->fast);
    memset(f->slow, 0, sizeof f->slow);
}

void echo_filter_reset(echo_filter *f) {
    begin(f);
    f->wet = 1.0f;
}

/* As of a path that is not known yet. */
static void expect_anything(echo_filter *f, int from, int to) {
    for (int k = from; k < to; k++) {
        float least = (float)f->gain * ECHO_VARIANCES[k];
        for (int i = k * BINS; i < (k + 1) * BINS; i++) {
            f->variance[i] = f->variance[i] > least ? f->variance[i] : least;
        }
    }
}

static void shift(float *x, int blocks) {
    int kept = ECHO_BLOCKS - (blocks < 0 ? -blocks : blocks), from = blocks > 0 ? blocks : 0;
    int to = blocks < 0 ? -blocks : 0, empty = blocks > 0 ? kept : 0;
    memmove(x + to * BINS, x + from * BINS, sizeof(float) * (size_t)kept * BINS);
    memset(x + empty * BINS, 0, sizeof(float) * (size_t)(ECHO_BLOCKS - kept) * BINS);
}

void echo_filter_shift(echo_filter *f, int blocks) {
    if (blocks >= ECHO_BLOCKS || blocks <= -ECHO_BLOCKS) {
        begin(f);
        return;
    }
    shift(f->foreground.re, blocks);
    shift(f->foreground.im, blocks);
    shift(f->background.re, blocks);
    shift(f->background.im, blocks);
    shift(f->variance, blocks);
    expect_anything(f, blocks > 0 ? ECHO_BLOCKS - blocks : 0, blocks > 0 ? ECHO_BLOCKS : -blocks);
}

static split block_of(const split *path, int block) {
    split s = {path->re + block * BINS, path->im + block * BINS};
    return s;
}

static double energy_of(const float *x) {
    double sum = 0.0;
    for (int n = 0; n < HOP_SAMPLES; n++) {
        sum += (double)x[n] * x[n];
    }
    return sum;
}

static double energy_between(const float *x, const float *y) {
    double sum = 0.0;
    for (int n = 0; n < HOP_SAMPLES; n++) {
        double difference = x[n] - y[n];
        sum += difference * difference;
    }
    return sum;
}

static void echo_of(const split *path, const echo_hop *hop, float *echo) {
    clear(&hop->sum, BINS);
    for (int k = 0; k < ECHO_BLOCKS; k++) {
        split block = block_of(path, k);
        hop->fft->kernel->add_product(&block, &hop->far[k], BINS, &hop->sum);
    }
    for (int i = 0; i < BINS; i++) {
        hop->spectrum[i].re = hop->sum.re[i];
        hop->spectrum[i].im = hop->sum.im[i];
    }
    real_fft_inverse(hop->fft, hop->spectrum, hop->frame, hop->work);
    memcpy(echo, hop->frame + HOP_SAMPLES, sizeof(float) * HOP_SAMPLES);
}

static void add_energies(echo_filter *f, const double now[3]) {
    for (int i = 0; i < 3; i++) {
        f->fast[i] = ECHO_FAST * f->fast[i] + (1.0 - ECHO_FAST) * now[i];
        f->slow[i] = ECHO_SLOW * f->slow[i] + (1.0 - ECHO_SLOW) * now[i];
    }
}

static int background_is_better(const echo_filter *f) {
    const double *fast = f->fast, *slow = f->slow;
    int better = fast[TRIED] < ECHO_FAST_BETTER * fast[HEARD] || slow[TRIED] < ECHO_SLOW_BETTER * slow[HEARD];
    return better && fast[TRIED] < fast[HEARD] && fast[TRIED] < fast[NEAR] &&
           slow[TRIED] < ECHO_BETTER_THAN_NONE * slow[NEAR];
}

/* What is taken away is faded from one state to the other, so that it does not click. */
static void fade(echo_filter *f, float *echo) {
    float wet = f->fast[HEARD] <= ECHO_LOUD * f->fast[NEAR] ? 1.0f : 0.0f;
    if (f->wet == 1.0f && wet == 1.0f) {
        return;
    }
    for (int n = 0; n < HOP_SAMPLES; n++) {
        echo[n] *= f->wet + (float)(n + 1) / (float)HOP_SAMPLES * (wet - f->wet);
    }
    f->wet = wet;
}

/* What is taken away, from hop->heard and hop->tried; the latter becomes the echo that the background learns from. */
static void choose(echo_filter *f, echo_hop *hop, const float *near, float *echo) {
    float *heard = hop->heard, *tried = hop->tried;
    const double now[3] = {energy_between(near, heard), energy_between(near, tried), energy_of(near)};
    add_energies(f, now);
    memcpy(echo, heard, sizeof(float) * HOP_SAMPLES);
    if (background_is_better(f)) {
        copy(&f->background, &f->foreground, ECHO_PATH);
        for (int n = 0; n < HOP_SAMPLES; n++) {
            echo[n] = heard[n] + (float)(n + 1) / (float)HOP_SAMPLES * (tried[n] - heard[n]);
        }
        f->fast[HEARD] = f->fast[TRIED];
        f->slow[HEARD] = f->slow[TRIED];
    } else if (f->slow[TRIED] > ECHO_WORSE * f->slow[HEARD]) {
        copy(&f->foreground, &f->background, ECHO_PATH);
        memcpy(tried, heard, sizeof(float) * HOP_SAMPLES);
        f->fast[TRIED] = f->fast[HEARD];
        f->slow[TRIED] = f->slow[HEARD];
    }
    int is_wild = !(now[HEARD] < ECHO_WILD && now[TRIED] < ECHO_WILD);
    if (f->slow[HEARD] > ECHO_WORSE_THAN_NONE * f->slow[NEAR] || is_wild) {
        double fast = f->fast[NEAR], slow = f->slow[NEAR];
        if (is_wild) {
            memset(echo, 0, sizeof(float) * HOP_SAMPLES);
        }
        begin(f);
        memset(tried, 0, sizeof(float) * HOP_SAMPLES);
        for (int i = 0; i < 3; i++) {
            f->fast[i] = fast;
            f->slow[i] = slow;
        }
    }
    fade(f, echo);
    for (int n = 0; n < HOP_SAMPLES; n++) {
        hop->error[n] = near[n] - tried[n];
    }
}

/* Of a hop behind as many zeros. */
static void spectrum_of(const echo_hop *hop, const float *x) {
    memset(hop->frame, 0, sizeof(float) * HOP_SAMPLES);
    memcpy(hop->frame + HOP_SAMPLES, x, sizeof(float) * HOP_SAMPLES);
    real_fft_forward(hop->fft, hop->frame, hop->spectrum, hop->work);
}

/* What share of the echo is still in the error: how their powers go up and down together. */
static float leak_of(echo_filter *f, const echo_hop *hop) {
    double shared = 0.0, own = 0.0, error = energy_of(hop->error), echo = energy_of(hop->tried);
    for (int i = 0; i < BINS; i++) {
        float error_power = hop->spectrum[i].re * hop->spectrum[i].re + hop->spectrum[i].im * hop->spectrum[i].im;
        f->mean_error[i] += ECHO_POWER_SMOOTHING * (error_power - f->mean_error[i]);
        f->mean_echo[i] += ECHO_POWER_SMOOTHING * (hop->echo_power[i] - f->mean_echo[i]);
        f->error_power[i] += (1.0f - ECHO_ERROR_SMOOTHING) * (error_power - f->error_power[i]);
        double of_error = error_power - f->mean_error[i], of_echo = hop->echo_power[i] - f->mean_echo[i];
        shared += of_error * of_echo;
        own += of_echo * of_echo;
    }
    double share = echo / (error + TINY_ENERGY), rate = ECHO_LEAK_RATE * (share < 1.0 ? share : 1.0);
    f->shared += rate * (shared - f->shared);
    f->own += rate * (own - f->own);
    double leak = f->shared / (f->own + TINY_ENERGY);
    return leak < 0.0 ? 0.0f : leak > 1.0 ? 1.0f : (float)leak;
}

/* Until an echo is found, the path may be as strong as the microphone is louder than the far end. */
static void start(echo_filter *f, double near_energy, double far_energy) {
    f->has_found |= f->slow[TRIED] < ECHO_FOUND * f->slow[NEAR];
    if (f->has_found) {
        return;
    }
    if (far_energy > ECHO_LOUDER * f->loudest) { /* what was heard of it before was its noise */
        f->hops = 0;
        f->near_sum = f->far_sum = 0.0;
    }
    f->loudest = far_energy > f->loudest ? far_energy : f->loudest;
    if (far_energy <= ECHO_AUDIBLE * f->loudest) {
        return;
    }
    f->near_sum = ECHO_GAIN_SMOOTHING * f->near_sum + near_energy;
    f->far_sum = ECHO_GAIN_SMOOTHING * f->far_sum + far_energy;
    double gain = f->near_sum / (f->far_sum + TINY_ENERGY);
    gain = gain < ECHO_GAIN_MAX ? gain : ECHO_GAIN_MAX;
    int is_starting = f->hops < ECHO_STARTING_HOPS;
    if (is_starting || gain > 2.0 * f->gain) {
        if (is_starting) {
            f->hops++;
            memset(f->variance, 0, sizeof(float) * ECHO_PATH);
        }
        f->gain = gain;
        expect_anything(f, 0, ECHO_BLOCKS);
    }
}

static void learn(echo_filter *f, echo_hop *hop, const float *near) {
    const kernel *k = hop->fft->kernel;
    float expected[BINS];
    spectrum_of(hop, hop->tried);
    for (int i = 0; i < BINS; i++) {
        hop->echo_power[i] = hop->spectrum[i].re * hop->spectrum[i].re + hop->spectrum[i].im * hop->spectrum[i].im;
    }
    spectrum_of(hop, hop->error);
    float leak = leak_of(f, hop);
    start(f, energy_of(near), hop->far_energy);
    memset(expected, 0, sizeof expected);
    for (int block = 0; block < ECHO_BLOCKS; block++) {
        float of_power = leak * ECHO_VARIANCES[block];
        k->expect(f->power, &hop->far[block], of_power, BINS, f->variance + block * BINS, expected);
    }
    for (int i = 0; i < BINS; i++) {
        expected[i] = 1.0f / (ECHO_HALF * expected[i] + f->error_power[i] + ECHO_FLOOR);
        hop->sum.re[i] = hop->spectrum[i].re;
        hop->sum.im[i] = hop->spectrum[i].im;
    }
    for (int block = 0; block < ECHO_BLOCKS; block++) {
        split path = block_of(&f->background, block);
        k->adapt(&path, &hop->far[block], &hop->sum, expected, BINS, f->variance + block * BINS);
    }
}

static int largest_block(echo_filter *f) {
    double most = -1.0;
    int largest = 0;
    memset(f->power, 0, sizeof(float) * BINS);
    for (int k = 0; k < ECHO_BLOCKS; k++) {
        split path = block_of(&f->background, k);
        double sum = 0.0;
        for (int i = 0; i < BINS; i++) {
            float power = path.re[i] * path.re[i] + path.im[i] * path.im[i];
            f->power[i] += power;
            sum += power;
        }
        if (sum > most) {
            most = sum;
            largest = k;
        }
    }
    return largest;
}

/* Without this, what lies behind the 10 ms of a block would wrap around into it. */
static void constrain(const echo_filter *f, const echo_hop *hop, int block) {
    split path = block_of(&f->background, block);
    for (int i = 0; i < BINS; i++) {
        hop->spectrum[i].re = path.re[i];
        hop->spectrum[i].im = path.im[i];
    }
    real_fft_inverse(hop->fft, hop->spectrum, hop->frame, hop->work);
    memset(hop->frame + HOP_SAMPLES, 0, sizeof(float) * HOP_SAMPLES);
    real_fft_forward(hop->fft, hop->frame, hop->spectrum, hop->work);
    for (int i = 0; i < BINS; i++) {
        path.re[i] = hop->spectrum[i].re;
        path.im[i] = hop->spectrum[i].im;
    }
}

void echo_filter_step(echo_filter *f, echo_hop *hop, const float *near, float *echo) {
    echo_of(&f->foreground, hop, hop->heard);
    echo_of(&f->background, hop, hop->tried);
    choose(f, hop, near, echo);
    learn(f, hop, near);
    int largest = largest_block(f);
    constrain(f, hop, hop->turn);
    if (largest != hop->turn) {
        constrain(f, hop, largest);
    }
}
