/* Linear echo cancellation, before everything else: how late the echo is, what the path is from there on, and the echo
   taken away. */

#include "signal/echo.h"

#include <string.h>

#include "kernels/kernels.h"

static const float SILENCE[HOP_SAMPLES];

void echo_init(echo *e, int channels, const real_fft *fft, const real_fft *lag_fft, arena *a) {
    e->fft = fft;
    e->channels = channels;
    echo_delay_init(&e->delay, lag_fft, a);
    e->filters = ARENA_TAKE(a, echo_filter, channels);
    e->near_emphasis = ARENA_TAKE(a, emphasis, channels);
    e->deemphasis = ARENA_TAKE(a, deemphasis, channels);
    for (int channel = 0; channel < channels; channel++) {
        echo_filter_init(a->memory ? &e->filters[channel] : NULL, a);
    }
    echo_past_init(&e->past, ECHO_PAST_BLOCKS, a);
    e->far.re = ARENA_TAKE(a, float, ECHO_PATH);
    e->far.im = ARENA_TAKE(a, float, ECHO_PATH);
}

static void forget_far(echo *e) {
    echo_past_forget(&e->past);
    memset(e->far.re, 0, sizeof(float) * ECHO_PATH);
    memset(e->far.im, 0, sizeof(float) * ECHO_PATH);
}

void echo_reset(echo *e) {
    e->delay_blocks = e->turn = 0;
    memset(e->newest_far, 0, sizeof e->newest_far);
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

static int slot_of(const echo *e, int range, int block) {
    return (e->newest_far[range] + block) % ECHO_RANGE_BLOCKS[range];
}

/* What the newest hop hears of the far end through a block of the filter; what lies too far back is silence. */
static void transform_far(echo *e, echo_hop *hop, int block) {
    int back = e->delay_blocks + block;
    if (back > ECHO_DELAY_BLOCKS_MAX) {
        memset(hop->spectrum, 0, sizeof hop->spectrum);
    } else {
        echo_past_read(&e->past, back, 2, hop->frame);
        real_fft_forward(e->fft, hop->frame, hop->spectrum, hop->work);
    }
    for (int i = 0; i < ECHO_RANGES; i++) {
        if (block < ECHO_RANGE_BLOCKS[i]) {
            echo_spread(hop->spectrum, i, slot_of(e, i, block), &e->far);
        }
    }
}

/* Move the filters to where the echo is, unless they lie there already. */
static void follow(echo *e, echo_hop *hop, int delay_samples) {
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
        transform_far(e, hop, block);
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

static void add_up(const echo *e, const float *near, int64_t stride, float *sum) {
    memcpy(sum, near, sizeof(float) * HOP_SAMPLES);
    for (int channel = 1; channel < e->channels; channel++) {
        for (int n = 0; n < HOP_SAMPLES; n++) {
            sum[n] += near[channel * stride + n];
        }
    }
}

/* The newest hop of the far end, as the filters hear it. */
static void hear(echo *e, echo_hop *hop, const float *far) {
    float emphasised[HOP_SAMPLES];
    emphasis_push(&e->far_emphasis, far, emphasised);
    echo_past_push(&e->past, emphasised);
    for (int i = 0; i < ECHO_RANGES; i++) {
        e->newest_far[i] = slot_of(e, i, ECHO_RANGE_BLOCKS[i] - 1);
    }
    transform_far(e, hop, 0);
    hop->far_energy = echo_energy(e->fft->kernel, hop->frame + HOP_SAMPLES);
    for (int i = 0; i < ECHO_RANGES; i++) {
        for (int block = 0; block < ECHO_RANGE_BLOCKS[i]; block++) {
            int at = ECHO_RANGE_START[i] + slot_of(e, i, block) * ECHO_RANGE_BINS[i];
            hop->far[i][block].re = e->far.re + at;
            hop->far[i][block].im = e->far.im + at;
        }
    }
}

static void cancel(echo *e, echo_hop *hop, int channel, float *near) {
    float emphasised[HOP_SAMPLES], echo[HOP_SAMPLES];
    emphasis_push(&e->near_emphasis[channel], near, emphasised);
    echo_filter_step(&e->filters[channel], hop, emphasised, echo);
    deemphasis_push(&e->deemphasis[channel], echo);
    for (int n = 0; n < HOP_SAMPLES; n++) {
        near[n] -= echo[n];
    }
}

static void run(echo *e, float *near, int64_t stride, const float *far) {
    _Alignas(ARENA_ALIGNMENT) echo_hop hop;
    float sum[HOP_SAMPLES];
    hop.fft = e->fft;
    hop.turn = e->turn;
    add_up(e, near, stride, sum);
    int found = echo_delay_push(&e->delay, sum, far);
    if (found >= 0) {
        follow(e, &hop, found);
    }
    hear(e, &hop, far);
    for (int channel = 0; channel < e->channels; channel++) {
        cancel(e, &hop, channel, near + channel * stride);
    }
    e->turn = (e->turn + 1) % ECHO_BLOCKS;
}

int echo_run(echo *e, float *near, int64_t stride, const float *far) {
    int was_quiet = e->quiet >= ECHO_QUIET_HOPS, is_none = is_the_microphone(e, near, stride, far);
    far = is_none ? SILENCE : far;
    e->quiet = !is_silent(far) ? 0 : was_quiet ? e->quiet : e->quiet + 1;
    if (e->quiet < ECHO_QUIET_HOPS) {
        if (was_quiet) {
            begin(e, near, stride, far);
        }
        run(e, near, stride, far);
    }
    return is_none;
}
