/* The caller's samples, of either format and layout. Inside, they are float, and channel after channel. */

#ifndef SAMPLES_H
#define SAMPLES_H

#include <stdint.h>

typedef struct samples_format {
    int int16;                         /* or float */
    int64_t channel_step, sample_step; /* in memory, in samples */
} samples_format;

static inline samples_format samples_format_of(int int16, int interleaved, int channels, int64_t stride) {
    samples_format f = {int16, interleaved ? 1 : stride, interleaved ? channels : 1};
    return f;
}

/* `count` samples of a channel, from sample `first` on. */
void samples_read(const void *x, samples_format format, int channel, int64_t first, int count, float *to);

/* The same the other way; 16-bit samples are rounded to the nearest, of two to the even one, and clamped. */
void samples_write(void *y, samples_format format, int channel, int64_t first, int count, const float *from);

/* Whether all are audio: finite, and at most 80 dB above full scale, beyond which energies could overflow. */
int samples_are_audio(const float *x, int count);

/* What is no audio becomes 0. */
void samples_repair(float *x, int count);

#endif
