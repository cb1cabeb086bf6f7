/* Echo cancellation by itself: for tests, and for those who want nothing else. */

#include "error.h"
#include "memory.h"
#include "signal/echo.h"
#include "signal/fft.h"
#include "stream/enhancer.h"
#include "subnormals.h"

struct percepnet_canceller {
    real_fft fft, lag_fft;
    echo echo;
    size_t bytes;
};

static void canceller_init(percepnet_canceller *c, int channels, const kernel *k, arena *a) {
    real_fft_init(&c->fft, WINDOW_SAMPLES, k, a);
    real_fft_init(&c->lag_fft, ECHO_LAG_FFT, k, a);
    echo_init(&c->echo, channels, &c->fft, &c->lag_fft, a);
}

percepnet_canceller *percepnet_canceller_create(int32_t channels, const char *kernel_name, percepnet_error *error) {
    const kernel *k = kernel_of(kernel_name);
    if (!k) {
        error_say(error, "kernel is \"%.40s\": give one that percepnet_kernel names", kernel_name);
        return NULL;
    }
    if (channels < 1 || channels > CHANNELS_MAX) {
        error_say(error, "channels is %ld: give 1 to %d", (long)channels, CHANNELS_MAX);
        return NULL;
    }
    percepnet_canceller sizes;
    arena a = {NULL, 0};
    canceller_init(&sizes, channels, k, &a);
    size_t bytes = arena_start(sizeof sizes) + a.used;
    percepnet_canceller *c = memory_take(bytes);
    if (!c) {
        error_say(error, "no memory for an echo canceller of %ld channels: give it fewer", (long)channels);
        return NULL;
    }
    a = arena_behind(c, sizeof *c);
    canceller_init(c, channels, k, &a);
    c->bytes = bytes;
    percepnet_canceller_reset(c);
    return c;
}

void percepnet_canceller_destroy(percepnet_canceller *c) { memory_give_back(c); }

void percepnet_canceller_reset(percepnet_canceller *c) { echo_reset(&c->echo); }

size_t percepnet_canceller_bytes(const percepnet_canceller *c) { return c->bytes; }

int32_t percepnet_canceller_delay(const percepnet_canceller *c) { return c->echo.delay_blocks * HOP_SAMPLES; }

void percepnet_cancel(percepnet_canceller *c, const float *far, int64_t hops, float *near, int64_t stride) {
    uint64_t before = subnormals_off();
    for (int64_t hop = 0; hop < hops; hop++) {
        echo_run(&c->echo, near + hop * HOP_SAMPLES, stride, far + hop * HOP_SAMPLES);
    }
    subnormals_restore(before);
}
