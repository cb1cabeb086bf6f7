/* The echo of a far end at one microphone: an adaptive filter in blocks of the spectrum, and when to believe it. */

#include "signal/echo_filter.h"

#include <string.h>

#include "kernels/kernels.h"

#define TINY_ENERGY 1e-20
#define LEAK_SUMS 4 /* side by side, so that none waits for another */

enum { HEARD, TRIED, NEAR };

void echo_filter_init(echo_filter *f, arena *a) {
    split foreground = {ARENA_TAKE(a, float, ECHO_PATH), ARENA_TAKE(a, float, ECHO_PATH)};
    split background = {ARENA_TAKE(a, float, ECHO_PATH), ARENA_TAKE(a, float, ECHO_PATH)};
    float *variance = ARENA_TAKE(a, float, ECHO_PATH), *bins = ARENA_TAKE(a, float, 3 * BINS);
    if (a->memory) {
        f->foreground = foreground;
        f->background = background;
        f->variance = variance;
        f->error_power = bins;
        f->mean_error = bins + BINS;
        f->mean_echo = bins + 2 * BINS;
    }
}

echo_range echo_range_at(int i) {
    echo_range r = {ECHO_RANGE_FIRST[i], ECHO_RANGE_BINS[i], ECHO_RANGE_BLOCKS[i], ECHO_RANGE_START[i]};
    return r;
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
    memset(f->error_power, 0, sizeof(float) * 3 * BINS);
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
static void expect_anything(echo_filter *f, const echo_range *r, int from, int to) {
    for (int k = from; k < to; k++) {
        float least = (float)f->gain * ECHO_VARIANCES[k], *variance = f->variance + r->start + k * r->bins;
        for (int i = 0; i < r->bins; i++) {
            variance[i] = variance[i] > least ? variance[i] : least;
        }
    }
}

static void shift(float *x, const echo_range *r, int blocks) {
    int kept = r->blocks - (blocks < 0 ? -blocks : blocks), from = blocks > 0 ? blocks : 0;
    int to = blocks < 0 ? -blocks : 0, empty = blocks > 0 ? kept : 0;
    x += r->start;
    memmove(x + to * r->bins, x + from * r->bins, sizeof(float) * (size_t)(kept * r->bins));
    memset(x + empty * r->bins, 0, sizeof(float) * (size_t)((r->blocks - kept) * r->bins));
}

static void shift_range(echo_filter *f, const echo_range *r, int blocks) {
    blocks = blocks > r->blocks ? r->blocks : blocks < -r->blocks ? -r->blocks : blocks;
    shift(f->foreground.re, r, blocks);
    shift(f->foreground.im, r, blocks);
    shift(f->background.re, r, blocks);
    shift(f->background.im, r, blocks);
    shift(f->variance, r, blocks);
    expect_anything(f, r, blocks > 0 ? r->blocks - blocks : 0, blocks > 0 ? r->blocks : -blocks);
}

void echo_filter_shift(echo_filter *f, int blocks) {
    if (blocks >= ECHO_BLOCKS || blocks <= -ECHO_BLOCKS) {
        begin(f);
        return;
    }
    for (int i = 0; i < ECHO_RANGES; i++) {
        echo_range r = echo_range_at(i);
        shift_range(f, &r, blocks);
    }
}

static split block_of(const split *path, const echo_range *r, int block) {
    int at = r->start + block * r->bins;
    split s = {path->re + at, path->im + at};
    return s;
}

double echo_energy(const kernel *k, const float *x) {
    float sum;
    k->dot(&x, &x, HOP_SAMPLES, 1, &sum);
    return sum;
}

static double energy_of_difference(const kernel *k, const float *x, const float *y) {
    float difference[HOP_SAMPLES];
    for (int n = 0; n < HOP_SAMPLES; n++) {
        difference[n] = x[n] - y[n];
    }
    return echo_energy(k, difference);
}

static void echo_of(const split *path, echo_hop *hop, float *echo) {
    memset(hop->sum_re, 0, sizeof hop->sum_re);
    memset(hop->sum_im, 0, sizeof hop->sum_im);
    for (int i = 0; i < ECHO_RANGES; i++) {
        const echo_range r = echo_range_at(i);
        split sum = {hop->sum_re + r.first, hop->sum_im + r.first};
        for (int k = 0; k < r.blocks; k++) {
            split block = block_of(path, &r, k);
            hop->fft->kernel->add_product(&block, &hop->far[i][k], r.bins, &sum);
        }
    }
    for (int i = 0; i < BINS; i++) {
        hop->spectrum[i].re = hop->sum_re[i];
        hop->spectrum[i].im = hop->sum_im[i];
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
    const kernel *k = hop->fft->kernel;
    const double now[3] = {energy_of_difference(k, near, heard), energy_of_difference(k, near, tried),
                           echo_energy(k, near)};
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
static void spectrum_of(echo_hop *hop, const float *x) {
    memset(hop->frame, 0, sizeof(float) * HOP_SAMPLES);
    memcpy(hop->frame + HOP_SAMPLES, x, sizeof(float) * HOP_SAMPLES);
    real_fft_forward(hop->fft, hop->frame, hop->spectrum, hop->work);
}

/* What share of the echo is still in the error: how their powers go up and down together. */
static float leak_of(echo_filter *f, const echo_hop *hop) {
    const kernel *k = hop->fft->kernel;
    double shared[LEAK_SUMS] = {0.0}, own[LEAK_SUMS] = {0.0};
    double error = echo_energy(k, hop->error), echo = echo_energy(k, hop->tried);
    float of_error[BINS], of_echo[BINS];
    for (int i = 0; i < BINS; i++) {
        float error_power = hop->spectrum[i].re * hop->spectrum[i].re + hop->spectrum[i].im * hop->spectrum[i].im;
        f->mean_error[i] += ECHO_POWER_SMOOTHING * (error_power - f->mean_error[i]);
        f->mean_echo[i] += ECHO_POWER_SMOOTHING * (hop->power[i] - f->mean_echo[i]);
        f->error_power[i] += (1.0f - ECHO_ERROR_SMOOTHING) * (error_power - f->error_power[i]);
        of_error[i] = error_power - f->mean_error[i];
        of_echo[i] = hop->power[i] - f->mean_echo[i];
    }
    for (int i = 0; i < BINS - 1; i += LEAK_SUMS) {
        for (int j = 0; j < LEAK_SUMS; j++) {
            shared[j] += (double)of_error[i + j] * of_echo[i + j];
            own[j] += (double)of_echo[i + j] * of_echo[i + j];
        }
    }
    double share = echo / (error + TINY_ENERGY), rate = ECHO_LEAK_RATE * (share < 1.0 ? share : 1.0);
    f->shared += rate * ((shared[0] + shared[2]) + (shared[1] + shared[3]) - f->shared);
    f->own += rate * ((own[0] + own[2]) + (own[1] + own[3]) - f->own);
    double leak = f->shared / (f->own + TINY_ENERGY);
    return ECHO_LEAK_SHARE * (leak < 0.0 ? 0.0f : leak > 1.0 ? 1.0f : (float)leak);
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
        for (int i = 0; i < ECHO_RANGES; i++) {
            echo_range r = echo_range_at(i);
            expect_anything(f, &r, 0, r.blocks);
        }
    }
}

/* The largest block of the background; and its power in each bin, of all blocks, to hop->power. */
static int largest_block(const echo_filter *f, echo_hop *hop) {
    float sums[ECHO_BLOCKS] = {0.0f};
    int largest = 0;
    memset(hop->power, 0, sizeof hop->power);
    for (int i = 0; i < ECHO_RANGES; i++) {
        const echo_range r = echo_range_at(i);
        for (int k = 0; k < r.blocks; k++) {
            split path = block_of(&f->background, &r, k);
            sums[k] += hop->fft->kernel->add_power(&path, r.bins, hop->power + r.first);
        }
    }
    for (int k = 1; k < ECHO_BLOCKS; k++) {
        largest = sums[k] > sums[largest] ? k : largest;
    }
    return largest;
}

/* What is expected to be left of the echo in each bin, and the rest of the microphone: the steps are divided by it. */
static void expect(echo_filter *f, const echo_hop *hop, float leak, float *inverse) {
    memset(inverse, 0, sizeof(float) * BINS);
    for (int i = 0; i < ECHO_RANGES; i++) {
        const echo_range r = echo_range_at(i);
        for (int k = 0; k < r.blocks; k++) {
            hop->fft->kernel->expect(hop->power + r.first, &hop->far[i][k], leak * ECHO_VARIANCES[k], r.bins,
                                     f->variance + r.start + k * r.bins, inverse + r.first);
        }
    }
    for (int i = 0; i < BINS; i++) {
        inverse[i] = 1.0f / (ECHO_HALF * inverse[i] + f->error_power[i] + ECHO_FLOOR);
    }
}

/* Returns the largest block of the background. */
static int learn(echo_filter *f, echo_hop *hop, const float *near) {
    float inverse[BINS];
    spectrum_of(hop, hop->tried);
    for (int i = 0; i < BINS; i++) {
        hop->power[i] = hop->spectrum[i].re * hop->spectrum[i].re + hop->spectrum[i].im * hop->spectrum[i].im;
    }
    spectrum_of(hop, hop->error);
    float leak = leak_of(f, hop);
    start(f, echo_energy(hop->fft->kernel, near), hop->far_energy);
    int largest = largest_block(f, hop);
    expect(f, hop, leak, inverse);
    for (int i = 0; i < BINS; i++) {
        hop->sum_re[i] = hop->spectrum[i].re;
        hop->sum_im[i] = hop->spectrum[i].im;
    }
    for (int i = 0; i < ECHO_RANGES; i++) {
        const echo_range r = echo_range_at(i);
        split error = {hop->sum_re + r.first, hop->sum_im + r.first};
        for (int k = 0; k < r.blocks; k++) {
            split path = block_of(&f->background, &r, k);
            hop->fft->kernel->adapt(&path, &hop->far[i][k], &error, inverse + r.first, r.bins,
                                    f->variance + r.start + k * r.bins);
        }
    }
    return largest;
}

/* A block of a path as a whole spectrum: what it has no bins for is zero. */
static void gather(const split *path, int block, complex32 *spectrum) {
    memset(spectrum, 0, sizeof(complex32) * BINS);
    for (int i = 0; i < ECHO_RANGES; i++) {
        echo_range r = echo_range_at(i);
        for (int k = 0; block < r.blocks && k < r.bins; k++) {
            int at = r.start + block * r.bins + k;
            spectrum[r.first + k].re = path->re[at];
            spectrum[r.first + k].im = path->im[at];
        }
    }
}

void echo_spread(const complex32 *spectrum, int range, int block, const split *path) {
    echo_range r = echo_range_at(range);
    for (int k = 0; block < r.blocks && k < r.bins; k++) {
        int at = r.start + block * r.bins + k;
        path->re[at] = spectrum[r.first + k].re;
        path->im[at] = spectrum[r.first + k].im;
    }
}

/* Without this, what lies behind the 10 ms of a block would wrap around into it. */
static void constrain(const echo_filter *f, echo_hop *hop, int block) {
    gather(&f->background, block, hop->spectrum);
    real_fft_inverse(hop->fft, hop->spectrum, hop->frame, hop->work);
    memset(hop->frame + HOP_SAMPLES, 0, sizeof(float) * HOP_SAMPLES);
    real_fft_forward(hop->fft, hop->frame, hop->spectrum, hop->work);
    for (int i = 0; i < ECHO_RANGES; i++) {
        echo_spread(hop->spectrum, i, block, &f->background);
    }
}

void echo_filter_step(echo_filter *f, echo_hop *hop, const float *near, float *echo) {
    echo_of(&f->foreground, hop, hop->heard);
    echo_of(&f->background, hop, hop->tried);
    choose(f, hop, near, echo);
    int largest = learn(f, hop, near);
    constrain(f, hop, hop->turn);
    if (largest != hop->turn) {
        constrain(f, hop, largest);
    }
}
