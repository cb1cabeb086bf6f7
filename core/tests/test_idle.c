/* A stream that decides nothing for a while: core/check.sh builds and runs it under the sanitizers. */

#include <math.h>
#include <string.h>

#include "percepnet.h"
#include "testing.h"

#define SECONDS 3
#define WAKING_S 0.5

/* All of x in chunks of 100 ms, idle from one chunk to another; with a block or a batch, which may be NULL. */
static void enhance(const percepnet_model *model, int rate_hz, const float *x, int idle_from, int idle_to,
                    percepnet_block *block, percepnet_batch *batch, float *y, int32_t *latency) {
    percepnet_options o;
    percepnet_options_init(&o);
    o.sample_rate_hz = rate_hz;
    o.block_samples = rate_hz / 10;
    percepnet_stream *stream = percepnet_stream_create(model, &o, NULL);
    *latency = percepnet_stream_latency(stream);
    int step = rate_hz / 10;
    for (int chunk = 0; chunk < 10 * SECONDS; chunk++, x += step, y += step) {
        if (chunk == idle_from || chunk == idle_to) {
            percepnet_stream_set_idle(stream, chunk == idle_from);
        }
        if (batch) {
            percepnet_chunk c = {.stream = stream, .x = x, .y = y, .samples = step, .stride = step, .capacity = step};
            check(!percepnet_batch_process(batch, &c, 1) && c.ready == step, "a batch serves it");
        } else {
            check(percepnet_stream_process(stream, block, x, step, step, y, step) == step,
                  "a call gives what it takes");
        }
    }
    percepnet_stream_destroy(stream);
}

static int same(const float *a, const float *b, int count) { return !memcmp(a, b, sizeof *a * (size_t)count); }

static void test_idle(const percepnet_model *model, int rate_hz, percepnet_block *block, percepnet_batch *batch) {
    int length = SECONDS * rate_hz, hop = rate_hz / 100, from = 7, to = 15;
    size_t bytes = sizeof(float) * (size_t)length;
    float *x = allocate(bytes), *wet = allocate(bytes), *y = allocate(bytes), *other = allocate(bytes);
    int32_t latency;
    voice(x, length, rate_hz);
    enhance(model, rate_hz, x, -1, -1, NULL, NULL, wet, &latency);
    enhance(model, rate_hz, x, from, to, block, batch, y, &latency);
    int first = from * rate_hz / 10, dry = first + hop, wake = to * rate_hz / 10 + (int)(WAKING_S * rate_hz);
    check(same(y, wet, first), "nothing changes before");
    check(same(y + dry, x + dry - latency, wake - dry), "idle, and half a second longer, the output is the input");
    int differs = 0, between = 1;
    for (int n = first; n < dry; n++) {
        float low = fminf(wet[n], x[n - latency]), high = fmaxf(wet[n], x[n - latency]);
        between &= y[n] >= low - 1e-5f && y[n] <= high + 1e-5f;
    }
    check(between, "it fades from what is enhanced, and not from anything else");
    for (int n = wake + hop; n < length; n++) {
        differs |= y[n] != x[n - latency];
    }
    check(differs, "then it enhances again");
    /* begun anew: what was before it does not matter */
    memset(x, 0, sizeof *x * (size_t)(first / 2));
    enhance(model, rate_hz, x, from, to, block, batch, other, &latency);
    check(same(y + wake + hop, other + wake + hop, length - wake - hop), "and has forgotten what it knew");
    free(x);
    free(wet);
    free(y);
    free(other);
}

/* Idle and not, before anything was heard, or within one hop, is nothing at all. */
static void test_nothing(const percepnet_model *model) {
    int length = SECONDS * 48000;
    float *x = allocate(sizeof(float) * (size_t)length), *y = allocate(sizeof(float) * (size_t)length);
    float *wet = allocate(sizeof(float) * (size_t)length);
    int32_t latency;
    voice(x, length, 48000);
    enhance(model, 48000, x, -1, -1, NULL, NULL, wet, &latency);
    percepnet_options o;
    percepnet_options_init(&o);
    percepnet_stream *stream = percepnet_stream_create(model, &o, NULL);
    for (int at = 0; at < length; at += 480) {
        percepnet_stream_set_idle(stream, 1);
        percepnet_stream_set_idle(stream, 0);
        percepnet_stream_process(stream, NULL, x + at, 480, 480, y + at, 480);
    }
    check(same(y, wet, length), "idle for no time changes nothing");
    percepnet_stream_destroy(stream);
    free(x);
    free(y);
    free(wet);
}

int main(void) {
    percepnet_model *model = test_model(2);
    percepnet_block *block = percepnet_block_create(model, 1, 16, NULL);
    percepnet_batch *batch = percepnet_batch_create(model, 2, NULL);
    test_idle(model, 48000, NULL, NULL);
    test_idle(model, 44100, NULL, NULL);
    test_idle(model, 16000, block, NULL);
    test_idle(model, 48000, NULL, batch);
    test_nothing(model);
    percepnet_batch_destroy(batch);
    percepnet_block_destroy(block);
    percepnet_model_destroy(model);
    return testing_end();
}
