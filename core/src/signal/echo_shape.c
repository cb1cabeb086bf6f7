/* The rest of an echo is spread over the bins of a long window as the echo that was taken away is. */

#include "signal/echo_shape.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "signal/circle.h"

#define LONG_BINS (ECHO_LONG_SAMPLES / 2 + 1)
#define LONG_HOPS (ECHO_LONG_SAMPLES / HOP_SAMPLES)
#define FRAME_START ((ECHO_LONG_SAMPLES - WINDOW_SAMPLES) / 2)
#define WINDOWS_START (FRAME_START - WINDOW_SHIFT_SAMPLES)
#define MARGIN 1 /* bins beyond either end, where a spectrum is its own mirror image */

/* Room to calculate in. */
typedef struct scratch {
    complex32 work[ECHO_LONG_SAMPLES];
    complex32 spectrum[LONG_BINS];
    float samples[ECHO_LONG_SAMPLES];
    float left[LONG_BINS + 2 * MARGIN], echo[LONG_BINS + 2 * MARGIN];
    float gains[LONG_BINS + 2 * MARGIN];
} scratch;

void echo_shape_tables_init(echo_shape_tables *t, const kernel *k, arena *a) {
    real_fft_init(&t->fft, ECHO_LONG_SAMPLES, k, a);
    t->window = ARENA_TAKE(a, float, ECHO_LONG_SAMPLES);
    for (int n = 0; a->memory && n < ECHO_LONG_SAMPLES; n++) {
        double sine = circle_sin(CIRCLE_PI * (n + 0.5) / ECHO_LONG_SAMPLES);
        t->window[n] = (float)(sine * sine);
    }
}

void echo_shape_init(echo_shape *s, const echo_shape_tables *t, int lookahead_frames, int channels, arena *a) {
    int later = lookahead_frames + 1 - LONG_HOPS / 2;
    s->tables = t;
    s->channels = channels;
    s->missing = later < 0 ? -later * HOP_SAMPLES : 0;
    s->later = later < 0 ? 0 : later;
    s->left = ARENA_TAKE(a, float, ECHO_SHAPED_BINS);
    s->echo = ARENA_TAKE(a, float, ECHO_SHAPED_BINS);
    s->echoes = ARENA_TAKE(a, echo_past, channels);
    for (int channel = 0; channel < channels; channel++) {
        echo_past_init(s->echoes ? &s->echoes[channel] : NULL, s->later + LONG_HOPS, a);
    }
}

void echo_shape_reset(echo_shape *s) {
    memset(s->left, 0, sizeof(float) * ECHO_SHAPED_BINS);
    memset(s->echo, 0, sizeof(float) * ECHO_SHAPED_BINS);
    for (int channel = 0; channel < s->channels; channel++) {
        echo_past_forget(&s->echoes[channel]);
    }
}

void echo_shape_hear(echo_shape *s, const float *echo, int64_t stride) {
    for (int channel = 0; channel < s->channels; channel++) {
        echo_past_push(&s->echoes[channel], echo + channel * stride);
    }
}

/* Of what is known of the long window: beyond that is silence. */
static void transform(const echo_shape *s, scratch *z) {
    int known = ECHO_LONG_SAMPLES - s->missing;
    for (int n = 0; n < known; n++) {
        z->samples[n] *= s->tables->window[n];
    }
    memset(z->samples + known, 0, sizeof(float) * (size_t)s->missing);
    real_fft_forward(&s->tables->fft, z->samples, z->spectrum, z->work);
}

static void transform_left(const echo_shape *s, const analysis *heard, int channel, scratch *z) {
    int known = ECHO_LONG_SAMPLES - s->missing, end = heard->end - s->later * HOP_SAMPLES;
    memcpy(z->samples, heard->samples + channel * heard->capacity + end - known, sizeof(float) * (size_t)known);
    transform(s, z);
}

static void transform_echo(const echo_shape *s, int channel, scratch *z) {
    echo_past_read(&s->echoes[channel], s->later, (ECHO_LONG_SAMPLES - s->missing) / HOP_SAMPLES, z->samples);
    transform(s, z);
}

static void add_powers(const complex32 *spectrum, int first, float *sum) {
    for (int k = 0; k < LONG_BINS; k++) {
        float power = spectrum[k].re * spectrum[k].re + spectrum[k].im * spectrum[k].im;
        sum[k] = first ? power : sum[k] + power;
    }
}

static void mirror(float *x) {
    for (int k = 1; k <= MARGIN; k++) {
        x[-k] = x[k];
        x[LONG_BINS - 1 + k] = x[LONG_BINS - 1 - k];
    }
}

/* Sums of the bins of the long window around each bin of the frame. */
static void around(const float *fine, float *of_frame) {
    _Static_assert(ECHO_FINE == 3, "what the sum below adds up");
    for (int k = 0; k < BINS; k++, fine += ECHO_FINE) {
        of_frame[k] = fine[-1] + fine[0] + fine[1];
    }
}

/* The echo over neighbouring bins, and going down slowly. */
static void smooth_echo(echo_shape *s, float *echo) {
    float below = echo[-1];
    for (int k = 0; k < LONG_BINS; k++) {
        float here = echo[k];
        echo[k] = 0.5f * here + 0.25f * (below + echo[k + 1]);
        below = here;
    }
    for (int k = 0; k < ECHO_SHAPED_BINS; k++) {
        float before = ECHO_DECAY * s->echo[k];
        s->echo[k] = echo[k] = echo[k] > before ? echo[k] : before;
    }
    mirror(echo);
}

static void smooth_left(echo_shape *s, const float *left) {
    for (int k = 0; k < ECHO_SHAPED_BINS; k++) {
        float over = 0.5f * left[k] + 0.25f * (left[k - 1] + left[k + 1]);
        s->left[k] += (1.0f - ECHO_LEFT_SMOOTHING) * (over - s->left[k]);
    }
}

/* Values of bands in the bins of the frame and, in straight lines between them, of the long window. */
static void spread(const bands *b, const float *of_bands, float *of_frame, int bins, float *fine) {
    bands_to_bins(b, of_bands, of_frame);
    for (int k = 0; k < bins; k++, fine += ECHO_FINE) {
        float step = of_frame[k + 1] - of_frame[k];
        for (int i = 0; i < ECHO_FINE; i++) {
            fine[i] = of_frame[k] + step * ((float)i / ECHO_FINE);
        }
    }
}

/* How much of what is left in a band there is for each of the echo, and what is taken out of it where there is one. */
static void ratios(const bands *b, const float *left, const float *echo, const float *of_bands, float *ratio,
                   float *taken) {
    float of_frame[BINS], of_left[BINS], of_echo[BINS];
    around(left, of_frame);
    bands_sums(b, of_frame, of_left);
    around(echo, of_frame);
    bands_sums(b, of_frame, of_echo);
    for (int band = 0; band < b->count; band++) {
        float unknown = ECHO_UNKNOWN * of_left[band];
        ratio[band] = of_left[band] / (of_echo[band] + unknown + ECHO_SILENT);
        taken[band] = of_echo[band] > unknown ? of_bands[band] : 1.0f;
    }
}

static void find_gains(const echo_shape *s, const bands *b, const float *of_bands, const float *ratio, scratch *z) {
    float rest_bands[BINS], of_frame[BINS], ratio_fine[ECHO_SHAPED_BINS], rest_fine[ECHO_SHAPED_BINS];
    float *gains = z->gains + MARGIN;
    for (int band = 0; band < b->count; band++) {
        rest_bands[band] = 1.0f - of_bands[band] * of_bands[band];
    }
    spread(b, ratio, of_frame, ECHO_SHAPED_BINS / ECHO_FINE, ratio_fine);
    spread(b, rest_bands, of_frame, ECHO_SHAPED_BINS / ECHO_FINE, rest_fine);
    spread(b, of_bands, of_frame, BINS - 1, gains);
    gains[LONG_BINS - 1] = of_frame[BINS - 1];
    for (int k = 0; k < ECHO_SHAPED_BINS; k++) {
        float share = ratio_fine[k] * (ECHO_MORE * s->echo[k] / (s->left[k] + ECHO_SILENT) + ECHO_UNKNOWN);
        float kept = 1.0f - rest_fine[k] * share, gain = kept > 0.0f ? sqrtf(kept) : 0.0f;
        float least = ECHO_LEAST * gains[k], most = gains[k] + ECHO_MOST * gains[k] * gains[k] * gains[k];
        most = most < 1.0f ? most : 1.0f;
        gains[k] = gain < least ? least : gain > most ? most : gain;
    }
    mirror(gains);
}

/* The frame in the middle of the long window, which is divided out of it, and the windows around it. */
static void filter(const echo_shape *s, const analysis_tables *tables, const windows *w, scratch *z, int channel,
                   complex32 *noisy, complex32 *given) {
    const float *gains = z->gains + MARGIN;
    for (int k = 0; k < LONG_BINS; k++) {
        z->spectrum[k].re *= gains[k];
        z->spectrum[k].im *= gains[k];
    }
    real_fft_inverse(&s->tables->fft, z->spectrum, z->samples, z->work);
    for (int n = WINDOWS_START; n < WINDOWS_START + WINDOW_SAMPLES + 2 * WINDOW_SHIFT_SAMPLES; n++) {
        z->samples[n] /= s->tables->window[n];
    }
    stft_analysis(&tables->stft, z->samples + FRAME_START, noisy + channel * BINS, z->work);
    for (int i = 0; i < w->count; i++) {
        const float *window = z->samples + FRAME_START + w->shifts[i];
        stft_analysis(&tables->stft, window, given + (i * s->channels + channel) * BINS, z->work);
    }
}

void echo_shape_take_out(echo_shape *s, const analysis *heard, const analysis_tables *tables, const float *of_bands,
                         complex32 *noisy, complex32 *given, float *gains, float *taken) {
    _Alignas(ARENA_ALIGNMENT) scratch z;
    float *left = z.left + MARGIN, *echo = z.echo + MARGIN, ratio[BINS];
    for (int channel = 0; channel < s->channels; channel++) {
        transform_echo(s, channel, &z);
        add_powers(z.spectrum, channel == 0, echo);
    }
    for (int channel = 0; channel < s->channels; channel++) {
        transform_left(s, heard, channel, &z);
        add_powers(z.spectrum, channel == 0, left);
    }
    mirror(left);
    mirror(echo);
    smooth_left(s, left);
    smooth_echo(s, echo);
    ratios(&tables->bands, left, echo, of_bands, ratio, taken);
    find_gains(s, &tables->bands, of_bands, ratio, &z);
    for (int channel = 0; channel < s->channels; channel++) {
        if (s->channels > 1) {
            transform_left(s, heard, channel, &z);
        }
        filter(s, tables, heard->windows, &z, channel, noisy, given);
    }
    around(z.gains + MARGIN, gains);
    for (int k = 0; k < BINS; k++) {
        gains[k] *= 1.0f / ECHO_FINE;
    }
}

void echo_shape_beside(int bands, const float *taken, float *gains, float *strengths) {
    for (int band = 0; band < bands; band++) {
        float given_back = gains[band] / sqrtf(taken[band] > ECHO_TAKEN_TWICE ? taken[band] : ECHO_TAKEN_TWICE);
        gains[band] = given_back < 1.0f ? given_back : 1.0f;
        strengths[band] *= taken[band];
    }
}
