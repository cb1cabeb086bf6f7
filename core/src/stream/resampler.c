#include "stream/resampler.h"

#include <math.h>
#include <string.h>

#include "signal/circle.h"
#include "signal/constants.h"
#include "stream/hops.h"

#define RATE_48K_HZ 48000
#define STOPBAND_DB 100.0
#define PASSBAND 0.94         /* of the narrower band; the stop band begins at its edge, so that nothing is folded */
#define EXACT_PHASES_MAX 1024 /* of unusual rates there are more, and they are interpolated: error below -115 dB */
#define TAPS_MAX 1285         /* from 48 kHz to 8 kHz */
#define OUTPUTS_TOGETHER 48

static int narrower_hz(int sample_rate_hz) { return sample_rate_hz < RATE_48K_HZ ? sample_rate_hz : RATE_48K_HZ; }

int resampler_half_width_samples(int sample_rate_hz) {
    if (sample_rate_hz == RATE_48K_HZ) {
        return 0;
    }
    /* From Kaiser's formula: the number of taps is (A - 8) / (2.285 * transition in radians) for A dB. */
    double nyquist_hz = narrower_hz(sample_rate_hz) / 2.0;
    double transition = 2.0 * CIRCLE_PI * (1.0 - PASSBAND) * nyquist_hz / RATE_48K_HZ;
    return (int)ceil((STOPBAND_DB - 8.0) / (2.285 * transition) / 2.0);
}

/* The modified Bessel function of the first kind and order 0, by its series: all terms are positive. */
static double bessel_0(double x) {
    double term = 1.0, sum = 1.0, quarter = x * x / 4.0;
    for (int k = 1; term > 1e-18 * sum; k++) {
        term *= quarter / ((double)k * k);
        sum += term;
    }
    return sum;
}

typedef struct filter {
    double half_width; /* in source samples */
    double bandwidth;  /* of the source's: -6 dB in the middle of the transition */
    int taps;
} filter;

static filter filter_of(int source_hz, int target_hz) {
    int rate_hz = source_hz == RATE_48K_HZ ? target_hz : source_hz;
    filter f;
    f.half_width = (double)resampler_half_width_samples(rate_hz) * source_hz / RATE_48K_HZ;
    f.bandwidth = (1.0 + PASSBAND) / 2.0 * narrower_hz(rate_hz) / source_hz;
    f.taps = (int)floor(2.0 * f.half_width) + 1;
    return f;
}

/* At tau source samples from the filter's centre. */
static double filter_at(const filter *f, double tau) {
    const double beta = 0.1102 * (STOPBAND_DB - 8.7); /* Kaiser */
    double across = tau / f->half_width, left = 1.0 - across * across, angle = CIRCLE_PI * f->bandwidth * tau;
    if (fabs(tau) > f->half_width) {
        return 0.0;
    }
    double window = bessel_0(beta * sqrt(left > 0.0 ? left : 0.0));
    return angle == 0.0 ? window : window * circle_sin(angle) / angle;
}

/* The weights of the newest source samples for an output that stands `position` after the last of them. */
static void fill_row(const filter *f, double position, float *row, int padded) {
    double weights[TAPS_MAX], sum = 0.0;
    for (int tap = 0; tap < f->taps; tap++) {
        weights[tap] = filter_at(f, position + (f->taps - 1 - tap) - f->half_width);
        sum += weights[tap];
    }
    row += padded - f->taps;
    for (int tap = 0; tap < f->taps; tap++) {
        row[tap] = (float)(weights[tap] / sum); /* each row passes 0 Hz unchanged */
    }
}

static void fill_rows(resampler *r, const filter *f, int rows, int phases) {
    memset(r->rows, 0, sizeof(float) * (size_t)rows * (size_t)r->taps);
    for (int row = 0; row < rows; row++) {
        fill_row(f, (double)row / phases, r->rows + (size_t)row * (size_t)r->taps, r->taps);
    }
}

void resampler_init(resampler *r, int source_hz, int target_hz, int64_t start, int channels, int inputs_max,
                    const kernel *k, arena *a) {
    filter f = filter_of(source_hz, target_hz);
    int row_hz = (int)common_divisor(source_hz, target_hz), phases = target_hz / row_hz;
    int exact = phases <= EXACT_PHASES_MAX, rows = exact ? phases : EXACT_PHASES_MAX + 1;
    int64_t rest = start % target_hz;
    r->target_hz = target_hz;
    r->channels = channels;
    r->taps = (f.taps + KERNEL_DOT_SUMS - 1) / KERNEL_DOT_SUMS * KERNEL_DOT_SUMS;
    r->row_hz = exact ? row_hz : 0;
    r->step_samples = source_hz / target_hz;
    r->step_rest = source_hz % target_hz;
    r->first_rest = (int)(rest < 0 ? rest + target_hz : rest);
    r->first_newest = (int)((start - r->first_rest) / target_hz);
    /* After whole hops an output may stand before the next source sample, by one and by what the first one does. */
    r->kept = r->taps - 1 + 1 - r->first_newest;
    r->capacity = r->kept + inputs_max;
    r->kernel = k;
    r->rows = ARENA_TAKE(a, float, (size_t)rows * (size_t)r->taps);
    r->source = ARENA_TAKE(a, float, (size_t)channels * (size_t)r->capacity);
    if (r->rows) {
        fill_rows(r, &f, rows, exact ? phases : EXACT_PHASES_MAX);
    }
}

void resampler_reset(resampler *r) {
    memset(r->source, 0, sizeof(float) * (size_t)r->channels * (size_t)r->capacity);
    r->newest = r->first_newest;
    r->rest = r->first_rest;
}

float *resampler_input(const resampler *r, int channel) {
    return r->source + (size_t)channel * (size_t)r->capacity + r->kept;
}

/* Where some outputs stand: which source samples they see, and with which rows, or between which. */
typedef struct places {
    int oldest[OUTPUTS_TOGETHER]; /* of the source samples in memory */
    const float *rows[OUTPUTS_TOGETHER];
    const float *next_rows[OUTPUTS_TOGETHER];
    float between[OUTPUTS_TOGETHER];
} places;

static void find_row(const resampler *r, places *p, int i) {
    if (r->row_hz) {
        p->rows[i] = r->rows + (size_t)(r->rest / r->row_hz) * (size_t)r->taps;
        return;
    }
    double phase = (double)r->rest / r->target_hz * EXACT_PHASES_MAX;
    int below = (int)phase;
    p->rows[i] = r->rows + (size_t)below * (size_t)r->taps;
    p->next_rows[i] = p->rows[i] + r->taps;
    p->between[i] = (float)(phase - below);
}

static void find_places(resampler *r, int count, places *p) {
    for (int i = 0; i < count; i++) {
        p->oldest[i] = r->kept + r->newest - r->taps + 1;
        find_row(r, p, i);
        r->newest += r->step_samples;
        r->rest += r->step_rest;
        if (r->rest >= r->target_hz) {
            r->rest -= r->target_hz;
            r->newest++;
        }
    }
}

static void resample(const resampler *r, int channel, int count, const places *p, float *y) {
    const float *x[OUTPUTS_TOGETHER], *source = r->source + (size_t)channel * (size_t)r->capacity;
    float next[OUTPUTS_TOGETHER];
    for (int i = 0; i < count; i++) {
        x[i] = source + p->oldest[i];
    }
    r->kernel->dot(p->rows, x, r->taps, count, y);
    if (!r->row_hz) {
        r->kernel->dot(p->next_rows, x, r->taps, count, next);
        for (int i = 0; i < count; i++) {
            y[i] = (1.0f - p->between[i]) * y[i] + p->between[i] * next[i];
        }
    }
}

/* What later outputs look back on moves to the front. */
static void move_on(resampler *r, int inputs) {
    for (int channel = 0; channel < r->channels; channel++) {
        float *source = r->source + (size_t)channel * (size_t)r->capacity;
        memmove(source, source + inputs, sizeof(float) * (size_t)r->kept);
    }
    r->newest -= inputs;
}

void resampler_run(resampler *r, int inputs, int outputs, float *y, int64_t stride) {
    places p;
    for (int done = 0; done < outputs; done += OUTPUTS_TOGETHER) {
        int count = outputs - done < OUTPUTS_TOGETHER ? outputs - done : OUTPUTS_TOGETHER;
        find_places(r, count, &p);
        for (int channel = 0; channel < r->channels; channel++) {
            resample(r, channel, count, &p, y + channel * stride + done);
        }
    }
    move_on(r, inputs);
}
