/* Linear echo cancellation, before everything else: how late the echo is, what the path is from there on, and the echo
   taken away. */

#include "signal/echo.h"

#include <string.h>

#include "kernels/kernels.h"

static void hop_init(echo_hop *hop, const real_fft *fft, arena *a) {
    hop->fft = fft;
    hop->spectrum = ARENA_TAKE(a, complex32, BINS);
    hop->work = ARENA_TAKE(a, complex32, WINDOW_SAMPLES);
    hop->frame = ARENA_TAKE(a, float, WINDOW_SAMPLES);
    hop->sum.re = ARENA_TAKE(a, float, BINS);
    hop->sum.im = ARENA_TAKE(a, float, BINS);
    hop->echo_power = ARENA_TAKE(a, float, BINS);
    hop->heard = ARENA_TAKE(a, float, HOP_SAMPLES);
    hop->tried = ARENA_TAKE(a, float, HOP_SAMPLES);
    hop->error = ARENA_TAKE(a, float, HOP_SAMPLES);
}

void echo_init(echo *e, int channels, const real_fft *fft, const kernel *k, arena *a) {
    e->channels = channels;
    hop_init(&e->hop, fft, a);
    echo_delay_init(&e->delay, k, e->hop.spectrum, e->hop.work, a);
    e->filters = ARENA_TAKE(a, echo_filter, channels);
    e->near_emphasis = ARENA_TAKE(a, emphasis, channels);
    e->deemphasis = ARENA_TAKE(a, deemphasis, channels);
    for (int channel = 0; channel < channels; channel++) {
        echo_filter_init(a->memory ? &e->filters[channel] : NULL, a);
    }
    e->past = ARENA_TAKE(a, float, ECHO_PAST_BLOCKS * HOP_SAMPLES);
    e->far.re = ARENA_TAKE(a, float, ECHO_PATH);
    e->far.im = ARENA_TAKE(a, float, ECHO_PATH);
    e->sum = ARENA_TAKE(a, float, HOP_SAMPLES);
    e->far_samples = ARENA_TAKE(a, float, HOP_SAMPLES);
    e->near_samples = ARENA_TAKE(a, float, HOP_SAMPLES);
    e->echo = ARENA_TAKE(a, float, HOP_SAMPLES);
}

static void forget_far(echo *e) {
    memset(e->past, 0, sizeof(float) * ECHO_PAST_BLOCKS * HOP_SAMPLES);
    memset(e->far.re, 0, sizeof(float) * ECHO_PATH);
    memset(e->far.im, 0, sizeof(float) * ECHO_PATH);
}

void echo_reset(echo *e) {
    e->delay_blocks = e->newest = e->newest_far = e->hop.turn = 0;
    e->quiet = ECHO_QUIET_HOPS;
    echo_delay_reset(&e->delay);
    for (int channel = 0; channel < e->channels; channel++) {
        echo_filter_reset(&e->filters[channel]);
        deemphasis_begin(&e->deemphasis[channel]);
    }
    forget_far(e);
}

/* After silence: the path is remembered, and nothing else. */
static void begin(echo *e, const float *near, int64_t stride, const float *far) {
    emphasis_begin(&e->far_emphasis, far);
    for (int channel = 0; channel < e->channels; channel++) {
        emphasis_begin(&e->near_emphasis[channel], near + channel * stride);
        deemphasis_begin(&e->deemphasis[channel]);
    }
    forget_far(e);
}

/* What the newest hop hears of the far end through a block of the filter; what lies too far back is silence. */
static void transform_far(echo *e, int block) {
    int back = e->delay_blocks + block, slot = (e->newest_far + block) % ECHO_BLOCKS;
    split to = {e->far.re + slot * BINS, e->far.im + slot * BINS};
    if (back > ECHO_DELAY_BLOCKS_MAX) {
        memset(to.re, 0, sizeof(float) * BINS);
        memset(to.im, 0, sizeof(float) * BINS);
        return;
    }
    for (int half = 0; half < 2; half++) {
        int from = (e->newest - back - 1 + half + 2 * ECHO_PAST_BLOCKS) % ECHO_PAST_BLOCKS;
        memcpy(e->hop.frame + half * HOP_SAMPLES, e->past + from * HOP_SAMPLES, sizeof(float) * HOP_SAMPLES);
    }
    real_fft_forward(e->hop.fft, e->hop.frame, e->hop.spectrum, e->hop.work);
    for (int i = 0; i < BINS; i++) {
        to.re[i] = e->hop.spectrum[i].re;
        to.im[i] = e->hop.spectrum[i].im;
    }
}

/* Move the filters to where the echo is, unless they lie there already. */
static void follow(echo *e, int delay_samples) {
    int ahead = delay_samples - e->delay_blocks * HOP_SAMPLES;
    if (ahead <= ECHO_MARGIN_MAX_SAMPLES && (ahead >= ECHO_MARGIN_MIN_SAMPLES || !e->delay_blocks)) {
        return;
    }
    int start = delay_samples > ECHO_MARGIN_SAMPLES ? delay_samples - ECHO_MARGIN_SAMPLES : 0;
    int wanted = start / HOP_SAMPLES < ECHO_DELAY_BLOCKS_MAX ? start / HOP_SAMPLES : ECHO_DELAY_BLOCKS_MAX;
    if (wanted == e->delay_blocks) {
        return;
    }
    for (int channel = 0; channel < e->channels; channel++) {
        echo_filter_shift(&e->filters[channel], wanted - e->delay_blocks);
    }
    e->delay_blocks = wanted;
    for (int block = 0; block < ECHO_BLOCKS; block++) {
        transform_far(e, block);
    }
}

static int is_silent(const float *x) {
    int any = 0;
    for (int n = 0; n < HOP_SAMPLES; n++) {
        any |= x[n] != 0.0f;
    }
    return !any;
}

/* Somebody has taken one for the other. */
static int is_the_microphone(const echo *e, const float *near, int64_t stride, const float *far) {
    for (int channel = 0; channel < e->channels; channel++) {
        for (int n = 0; n < HOP_SAMPLES; n++) {
            if (near[channel * stride + n] != far[n]) {
                return 0;
            }
        }
    }
    return 1;
}

static void add_up(echo *e, const float *near, int64_t stride) {
    memcpy(e->sum, near, sizeof(float) * HOP_SAMPLES);
    for (int channel = 1; channel < e->channels; channel++) {
        for (int n = 0; n < HOP_SAMPLES; n++) {
            e->sum[n] += near[channel * stride + n];
        }
    }
}

/* The newest hop of the far end, as the filters hear it. */
static void hear(echo *e, const float *far) {
    e->newest = (e->newest + 1) % ECHO_PAST_BLOCKS;
    emphasis_push(&e->far_emphasis, far, e->past + e->newest * HOP_SAMPLES);
    e->newest_far = (e->newest_far + ECHO_BLOCKS - 1) % ECHO_BLOCKS;
    transform_far(e, 0);
    e->hop.far_energy = 0.0;
    for (int n = HOP_SAMPLES; n < WINDOW_SAMPLES; n++) {
        e->hop.far_energy += (double)e->hop.frame[n] * e->hop.frame[n];
    }
    for (int block = 0; block < ECHO_BLOCKS; block++) {
        int slot = (e->newest_far + block) % ECHO_BLOCKS;
        e->hop.far[block].re = e->far.re + slot * BINS;
        e->hop.far[block].im = e->far.im + slot * BINS;
    }
}

static void cancel(echo *e, int channel, float *near) {
    emphasis_push(&e->near_emphasis[channel], near, e->near_samples);
    echo_filter_step(&e->filters[channel], &e->hop, e->near_samples, e->echo);
    deemphasis_push(&e->deemphasis[channel], e->echo);
    for (int n = 0; n < HOP_SAMPLES; n++) {
        near[n] -= e->echo[n];
    }
}

void echo_run(echo *e, float *near, int64_t stride, const float *far) {
    int was_quiet = e->quiet >= ECHO_QUIET_HOPS;
    memcpy(e->far_samples, far, sizeof(float) * HOP_SAMPLES);
    if (is_the_microphone(e, near, stride, far)) {
        memset(e->far_samples, 0, sizeof(float) * HOP_SAMPLES);
    }
    e->quiet = !is_silent(e->far_samples) ? 0 : was_quiet ? e->quiet : e->quiet + 1;
    if (e->quiet >= ECHO_QUIET_HOPS) {
        return;
    }
    if (was_quiet) {
        begin(e, near, stride, e->far_samples);
    }
    add_up(e, near, stride);
    int found = echo_delay_push(&e->delay, e->sum, e->far_samples);
    if (found >= 0) {
        follow(e, found);
    }
    hear(e, e->far_samples);
    for (int channel = 0; channel < e->channels; channel++) {
        cancel(e, channel, near + channel * stride);
    }
    e->hop.turn = (e->hop.turn + 1) % ECHO_BLOCKS;
}
