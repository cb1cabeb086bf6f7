#include "stream/samples.h"

#include <string.h>

#define SAMPLE_MAX 1e4f
#define FULL_SCALE_16 32768.0f

static void read_int16(const int16_t *x, int64_t step, int count, float *to) {
    if (step == 1) {
        for (int n = 0; n < count; n++) {
            to[n] = (float)x[n] * (1.0f / FULL_SCALE_16);
        }
        return;
    }
    for (int n = 0; n < count; n++) {
        to[n] = (float)x[n * step] * (1.0f / FULL_SCALE_16);
    }
}

static void read_float(const float *x, int64_t step, int count, float *to) {
    if (step == 1) {
        memcpy(to, x, sizeof(float) * (size_t)count);
        return;
    }
    for (int n = 0; n < count; n++) {
        to[n] = x[n * step];
    }
}

void samples_read(const void *x, samples_format format, int channel, int64_t first, int count, float *to) {
    int64_t start = channel * format.channel_step + first * format.sample_step;
    if (format.int16) {
        read_int16((const int16_t *)x + start, format.sample_step, count, to);
    } else {
        read_float((const float *)x + start, format.sample_step, count, to);
    }
}

static void write_int16(int16_t *y, int64_t step, int count, const float *from) {
    /* Added to a number, it leaves the nearest integer in the lowest bits, without a call for each. */
    const float magic = 12582912.0f; /* 1.5 * 2^23 */
    for (int n = 0; n < count; n++) {
        float limited = FULL_SCALE_16 * from[n];
        limited = limited > -32768.0f ? limited : -32768.0f; /* NaN too */
        limited = limited < 32767.0f ? limited : 32767.0f;
        float sum = limited + magic;
        int32_t bits;
        memcpy(&bits, &sum, sizeof bits);
        y[n * step] = (int16_t)(bits & 0xffff);
    }
}

static void write_float(float *y, int64_t step, int count, const float *from) {
    if (step == 1) {
        memcpy(y, from, sizeof(float) * (size_t)count);
        return;
    }
    for (int n = 0; n < count; n++) {
        y[n * step] = from[n];
    }
}

void samples_write(void *y, samples_format format, int channel, int64_t first, int count, const float *from) {
    int64_t start = channel * format.channel_step + first * format.sample_step;
    if (format.int16) {
        write_int16((int16_t *)y + start, format.sample_step, count, from);
    } else {
        write_float((float *)y + start, format.sample_step, count, from);
    }
}

static int is_audio(float x) { return x <= SAMPLE_MAX && x >= -SAMPLE_MAX; }

int samples_are_audio(const float *x, int count) {
    int bad = 0;
    for (int n = 0; n < count; n++) {
        bad |= !is_audio(x[n]);
    }
    return !bad;
}

void samples_repair(float *x, int count) {
    for (int n = 0; n < count; n++) {
        if (!is_audio(x[n])) {
            x[n] = 0.0f;
        }
    }
}
