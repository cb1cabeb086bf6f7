#include "stream/past.h"

#include <string.h>

void past_init(past *p, int channels, int capacity, arena *a) {
    p->channels = channels;
    p->capacity = capacity;
    p->samples = ARENA_TAKE(a, float, (size_t)channels * (size_t)capacity);
}

void past_reset(past *p) {
    p->end = 0;
    memset(p->samples, 0, sizeof(float) * (size_t)p->channels * (size_t)p->capacity);
}

static float *channel_of(const past *p, int channel) { return p->samples + (size_t)channel * (size_t)p->capacity; }

void past_append(past *p, const void *x, samples_format format, int64_t count) {
    int newest = count < p->capacity ? (int)count : p->capacity;
    int up = newest < p->capacity - p->end ? newest : p->capacity - p->end; /* to the end of the ring */
    int64_t first = count - newest;
    for (int channel = 0; channel < p->channels && newest; channel++) {
        float *samples = channel_of(p, channel);
        if (x) {
            samples_read(x, format, channel, first, up, samples + p->end);
            samples_read(x, format, channel, first + up, newest - up, samples);
        } else {
            memset(samples + p->end, 0, sizeof(float) * (size_t)up);
            memset(samples, 0, sizeof(float) * (size_t)(newest - up));
        }
    }
    p->end = newest > up ? newest - up : (p->end + up) % p->capacity;
}

void past_read(const past *p, int channel, int back, int count, float *to) {
    const float *samples = channel_of(p, channel);
    int start = p->end >= back ? p->end - back : p->end - back + p->capacity;
    int up = count < p->capacity - start ? count : p->capacity - start;
    memcpy(to, samples + start, sizeof(float) * (size_t)up);
    memcpy(to + up, samples, sizeof(float) * (size_t)(count - up));
}
