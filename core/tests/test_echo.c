/* A stream with a far end, and the canceller by itself: core/check.sh builds and runs it under the sanitizers. */

#include <math.h>
#include <string.h>

#include "percepnet.h"
#include "testing.h"

#define SECONDS 3
#define LATE 9000 /* samples at 48 kHz by which the echo comes: more than the filter is long */

/* What a loudspeaker plays, and what a microphone hears of it. */
static void scene(float *far, float *near, int length, int late) {
    for (int n = 0; n < length; n++) {
        far[n] = 0.1f * uniform();
    }
    for (int n = 0; n < length; n++) {
        near[n] = n < late ? 0.0f : 0.5f * far[n - late] - (n < late + 700 ? 0.0f : 0.2f * far[n - late - 700]);
    }
}

static double energy_of(const float *x, int count) {
    double sum = 0.0;
    for (int n = 0; n < count; n++) {
        sum += (double)x[n] * x[n];
    }
    return sum;
}

static void test_canceller(void) {
    int length = SECONDS * 48000, hops = length / 480;
    size_t bytes = sizeof(float) * (size_t)length;
    float *far = allocate(bytes), *near = allocate(2 * bytes), *y = allocate(2 * bytes), *again = allocate(2 * bytes);
    scene(far, near, length, LATE);
    memcpy(near + length, near, bytes);
    percepnet_error error;
    percepnet_canceller *canceller = percepnet_canceller_create(2, NULL, &error);
    check(canceller != NULL, "a canceller is made");
    memcpy(y, near, 2 * bytes);
    percepnet_cancel(canceller, far, hops, y, length);
    check(percepnet_canceller_delay(canceller) == 8640, "the filter begins where the echo is");
    int last = length - 48000;
    check(energy_of(y + last, 48000) < 1e-3 * energy_of(near + last, 48000), "the echo is 30 dB weaker");
    check(!memcmp(y, y + length, bytes), "two microphones that hear the same are treated alike");
    for (int index = 0; percepnet_kernel(index); index++) {
        percepnet_canceller *other = percepnet_canceller_create(2, percepnet_kernel(index), NULL);
        memcpy(again, near, 2 * bytes);
        for (int hop = 0; hop < hops; hop++) {
            percepnet_cancel(other, far + hop * 480, 1, again + hop * 480, length);
        }
        check(!memcmp(again, y, 2 * bytes), "every kernel, hop by hop, gives the same bits");
        percepnet_canceller_destroy(other);
    }
    percepnet_canceller_reset(canceller);
    memcpy(again, near, 2 * bytes);
    percepnet_cancel(canceller, far, hops, again, length);
    check(!memcmp(again, y, 2 * bytes), "reset begins anew");
    percepnet_canceller_destroy(canceller);
    check(!percepnet_canceller_create(0, NULL, &error) && strstr(error.message, "channels"), "channels are checked");
    check(!percepnet_canceller_create(1, "abacus", &error) && strstr(error.message, "abacus"), "kernels are checked");
    free(far);
    free(near);
    free(y);
    free(again);
}

/* What suppresses the rest of an echo: the article's network, of other features. */
static percepnet_model *residual_model(int lookahead_frames) {
    static const unsigned BLOCKS[] = {FEATURE_FAR_LEVELS, FEATURE_BAND_LEVELS, FEATURE_ECHO_COHERENCES,
                                      FEATURE_ECHO_LEVELS};
    test_network *n = allocate(sizeof *n);
    test_network_begin(n, lookahead_frames, BANDS, EDGES, (weights){11, 0.3f, 0, 0});
    test_network_features(n, BLOCKS, 4);
    test_network_article(n, 9, 17, 33, 21, 5);
    percepnet_model *model = model_create(&n->description);
    test_network_discard(n);
    free(n);
    return model;
}

/* Of one channel, in calls of `step` samples; returns how many came out. */
static int64_t enhance(const percepnet_model *model, const percepnet_model *residual, int rate_hz, int far_end,
                       const float *near, const float *far, int length, int step, float *y) {
    percepnet_options o;
    percepnet_options_init(&o);
    o.sample_rate_hz = rate_hz;
    o.far_end = far_end;
    o.residual = residual;
    percepnet_stream *stream = percepnet_stream_create(model, &o, NULL);
    int64_t done = 0, capacity = PERCEPNET_READY_MAX(step, rate_hz);
    for (int n = 0; n < length; n += step) {
        int now = step < length - n ? step : length - n;
        int64_t ready =
            percepnet_stream_process_far(stream, NULL, near + n, far ? far + n : NULL, now, now, y + done, capacity);
        check(ready >= 0, "a call is taken");
        done += ready;
    }
    done += percepnet_stream_flush(stream, y + done, length);
    percepnet_stream_destroy(stream);
    return done;
}

static void test_stream(const percepnet_model *model, const percepnet_model *residual, int rate_hz) {
    int length = SECONDS * rate_hz;
    size_t bytes = sizeof(float) * (size_t)length;
    float *far = allocate(bytes), *near = allocate(bytes), *silence = allocate(bytes);
    float *y = allocate(2 * bytes), *other = allocate(2 * bytes);
    scene(far, near, length, LATE / (48000 / rate_hz));
    int64_t count = enhance(model, NULL, rate_hz, 0, near, NULL, length, 1000, y);
    size_t out = sizeof(float) * (size_t)count;
    enhance(model, residual, rate_hz, 1, near, NULL, length, 1000, other);
    check(!memcmp(y, other, out), "without a far end in its calls, a stream is one without");
    enhance(model, residual, rate_hz, 1, near, silence, length, 777, other);
    check(!memcmp(y, other, out), "and so it is with a silent one");
    enhance(model, residual, rate_hz, 1, near, far, length, 4800, y);
    check(memcmp(y, other, out) != 0, "a far end changes what comes out");
    enhance(model, residual, rate_hz, 1, near, far, length, 331, other);
    check(!memcmp(y, other, out), "the same to the bit however it is cut");
    enhance(model, NULL, rate_hz, 1, near, far, length, 4800, other);
    check(!residual == !memcmp(y, other, out), "what is left of an echo is suppressed where that is wished");
    free(far);
    free(near);
    free(silence);
    free(y);
    free(other);
}

static void test_residual_refusals(const percepnet_model *model, const percepnet_model *residual) {
    percepnet_options o;
    percepnet_error error;
    percepnet_options_init(&o);
    check(!o.residual, "what is left of an echo stays unless it is wished otherwise");
    check(!percepnet_stream_create(residual, &o, &error) && strstr(error.message, "model"), "it is no enhancer");
    o.residual = residual;
    check(!percepnet_stream_create(model, &o, &error) && strstr(error.message, "far_end"), "it needs a far end");
    o.far_end = 1;
    o.residual = model;
    check(!percepnet_stream_create(model, &o, &error) && strstr(error.message, "residual"), "no other model will do");
    percepnet_model *other = residual_model(1);
    o.residual = other;
    check(!percepnet_stream_create(model, &o, &error) && strstr(error.message, "look-ahead"), "nor another look-ahead");
    percepnet_model_destroy(other);
    o.residual = residual;
    o.channels = 3;
    o.link_channels = 0;
    percepnet_stream *stream = percepnet_stream_create(model, &o, &error);
    check(stream != NULL, "each channel has its own");
    percepnet_block *block = percepnet_block_create(model, 3, 16, NULL);
    float *x = allocate(sizeof(float) * 3 * 4800), *y = allocate(sizeof(float) * 3 * 5281);
    check(percepnet_stream_process_far(stream, block, x, x, 4800, 4800, y, 5281) == 4800, "also in long calls");
    free(x);
    free(y);
    percepnet_block_destroy(block);
    percepnet_stream_destroy(stream);
}

static void test_refusals(const percepnet_model *model) {
    float x[480] = {0.0f}, y[PERCEPNET_READY_MAX(480, 48000)];
    percepnet_options o;
    percepnet_error error;
    percepnet_options_init(&o);
    check(!o.far_end, "there is no far end unless it is wished");
    percepnet_stream *stream = percepnet_stream_create(model, &o, NULL);
    check(percepnet_stream_process_far(stream, NULL, x, x, 480, 480, y, 481) == PERCEPNET_NO_FAR_END,
          "a far end for a stream without is refused");
    percepnet_batch *batch = percepnet_batch_create(model, 1, NULL);
    percepnet_chunk chunk = {.stream = stream, .x = x, .y = y, .samples = 480, .capacity = 481, .far = x};
    check(percepnet_batch_process(batch, &chunk, 1) == PERCEPNET_NO_FAR_END, "in a batch too");
    percepnet_batch_destroy(batch);
    percepnet_stream_destroy(stream);
    o.far_end = 2;
    check(!percepnet_stream_create(model, &o, &error) && strstr(error.message, "far_end is 2"),
          "the option is checked");
    o.far_end = 1;
    stream = percepnet_stream_create(model, &o, NULL);
    float bad[480] = {NAN};
    check(percepnet_stream_process_far(stream, NULL, x, bad, 480, 480, y, 481) == 480 &&
              percepnet_stream_refused_hops(stream) == 1,
          "what is no audio is silence, and counted");
    percepnet_stream_set_bypass(stream, 1);
    percepnet_stream_set_idle(stream, 1);
    for (int hop = 0; hop < 3; hop++) {
        percepnet_stream_process_far(stream, NULL, x, x, 480, 480, y, 481);
    }
    percepnet_stream_set_idle(stream, 0);
    check(percepnet_stream_process_far(stream, NULL, x, x, 480, 480, y, 481) == 480, "it sleeps and wakes");
    percepnet_stream_destroy(stream);
}

int main(void) {
    percepnet_model *model = test_model_highpass(2);
    test_canceller();
    percepnet_model *residual = residual_model(2);
    test_stream(model, NULL, 48000);
    test_stream(model, residual, 48000);
    test_stream(model, residual, 16000);
    test_refusals(model);
    test_residual_refusals(model, residual);
    percepnet_model_destroy(residual);
    percepnet_model_destroy(model);
    return testing_end();
}
