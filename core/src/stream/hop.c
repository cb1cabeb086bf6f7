/* A hop of a stream on its way in, as far as 48 kHz, and on its way out. */

#include <string.h>

#include "stream/hops.h"
#include "stream/stream.h"
#include "subnormals.h"

static int at_48k(const percepnet_stream *s) { return s->options.sample_rate_hz == 48000; }

/* Samples of the input from anywhere that a hop or bypass needs: of earlier calls, and of this one. */
static void read_input(const percepnet_stream *s, int channel, int64_t from, int count, float *to) {
    int64_t back = s->received - from;
    int old = back <= 0 ? 0 : back < count ? (int)back : count;
    if (old) {
        past_read(&s->past, channel, (int)back, old, to);
    }
    if (count > old && s->call.x) {
        samples_read(s->call.x, s->call.x_format, channel, from + old - s->received, count - old, to + old);
    } else if (count > old) {
        for (int n = old; n < count; n++) {
            to[n] = s->rest[channel];
        }
    }
}

/* The channels of one decision. What is no audio is silence, before any filter could remember it. */
static void inspect_hop(percepnet_stream *s, float *x, int64_t stride, int count) {
    int audio = 1;
    for (int channel = 0; channel < s->decision_channels; channel++) {
        audio &= samples_are_audio(x + channel * stride, count);
    }
    s->refused_hops += !audio;
    for (int channel = 0; channel < s->decision_channels; channel++) {
        if (audio) {
            subnormals_clear(x + channel * stride, count);
        } else {
            memset(x + channel * stride, 0, sizeof(float) * (size_t)count);
        }
    }
}

/* The same stretch of the far end; behind the end of the stream it is silence. */
static void take_far(percepnet_stream *s, int64_t start, int count) {
    float *hop = at_48k(s) ? s->far_hop : resampler_input(&s->far_to_48k, 0);
    int64_t back = s->received - start;
    int old = back <= 0 ? 0 : back < count ? (int)back : count;
    if (old) {
        past_read(&s->far_past, 0, (int)back, old, hop);
    }
    if (s->call.far) {
        samples_read(s->call.far, s->call.far_format, 0, start + old - s->received, count - old, hop + old);
    } else {
        memset(hop + old, 0, sizeof(float) * (size_t)(count - old));
    }
    if (samples_are_audio(hop, count)) {
        subnormals_clear(hop, count);
    } else {
        memset(hop, 0, sizeof(float) * (size_t)count);
        s->refused_hops++;
    }
    if (!at_48k(s)) {
        resampler_run(&s->far_to_48k, count, HOP_SAMPLES, s->far_hop, HOP_SAMPLES);
    }
}

static void take_hop(percepnet_stream *s, float *to, int64_t stride) {
    int64_t start = hop_start(s->options.sample_rate_hz, s->taken);
    int count = hop_samples(s->options.sample_rate_hz, s->taken), channels = s->options.channels;
    float *hop = at_48k(s) ? to : resampler_input(&s->to_48k, 0);
    int64_t hop_stride = at_48k(s) ? stride : s->to_48k.capacity;
    for (int channel = 0; channel < channels; channel++) {
        read_input(s, channel, start, count, hop + channel * hop_stride);
    }
    for (int channel = 0; channel < channels; channel += s->decision_channels) {
        inspect_hop(s, hop + channel * hop_stride, hop_stride, count);
    }
    if (!at_48k(s)) {
        resampler_run(&s->to_48k, count, HOP_SAMPLES, to, stride);
    }
    if (stream_has_far_end(s)) {
        take_far(s, start, count);
    }
    s->taken++;
}

/* What is left of the echo: heard as long as there is a far end. */
static void hear_residual(percepnet_stream *s, const float *left, int64_t stride) {
    int is_awake = s->echo->quiet < ECHO_QUIET_HOPS;
    for (int channel = 0; is_awake && channel < s->options.channels; channel++) {
        for (int n = 0; n < HOP_SAMPLES; n++) {
            s->hop[channel * HOP_SAMPLES + n] -= left[channel * stride + n];
        }
    }
    for (int i = 0; i < s->decisions; i++) {
        residual *r = s->enhancers[i].residual;
        int first = i * s->decision_channels;
        if (is_awake) {
            residual_hear(r, &s->residual_work, left + first * stride, stride, s->hop + first * HOP_SAMPLES,
                          HOP_SAMPLES, s->far_hop);
        } else if (r->heard) {
            residual_reset(r);
        }
    }
}

void stream_take_hop(percepnet_stream *s, float *to, int64_t stride) {
    take_hop(s, to, stride);
    if (!stream_has_far_end(s)) {
        return;
    }
    for (int channel = 0; s->options.residual && channel < s->options.channels; channel++) {
        memcpy(s->hop + channel * HOP_SAMPLES, to + channel * stride, sizeof(float) * HOP_SAMPLES);
    }
    if (echo_run(s->echo, to, stride, s->far_hop)) {
        memset(s->far_hop, 0, sizeof(float) * HOP_SAMPLES);
    }
    if (s->options.residual) {
        hear_residual(s, to, stride);
    }
}

/* From one to the other in a straight line, so that neither end of the hop clicks. */
static void crossfade(float *wet, const float *dry, int count, int to_dry) {
    for (int n = 0; n < count; n++) {
        float part = (float)(n + 1) / (float)count, dry_part = to_dry ? part : 1.0f - part;
        wet[n] += dry_part * (dry[n] - wet[n]);
    }
}

static void apply_bypass(percepnet_stream *s, float *y, int64_t stride, int64_t start, int count) {
    int wanted = s->options.bypass || s->idle || s->waking_hops > 0;
    s->waking_hops -= !s->idle && s->waking_hops > 0;
    if (!wanted && !s->bypassed) {
        return;
    }
    for (int channel = 0; channel < s->options.channels; channel++) {
        read_input(s, channel, start - s->path_samples, count, s->dry);
        samples_repair(s->dry, count);
        if (wanted && s->bypassed) {
            memcpy(y + channel * stride, s->dry, sizeof(float) * (size_t)count);
        } else {
            crossfade(y + channel * stride, s->dry, count, wanted);
        }
    }
    s->bypassed = wanted;
}

/* What this call does not want is left for the next one; after the last hop of a stream there is none, and no room. */
static void deliver(percepnet_stream *s, const float *y, int64_t stride, int count) {
    stream_call *call = &s->call;
    int now = count < call->wanted - call->written ? count : (int)(call->wanted - call->written);
    int room = s->extra_samples - s->left_samples, later = count - now < room ? count - now : room;
    for (int channel = 0; channel < s->options.channels; channel++) {
        const float *from = y + channel * stride;
        float *left = s->left + (int64_t)channel * s->extra_samples + s->left_samples;
        if (now) {
            samples_write(call->y, call->y_format, channel, call->written, now, from);
        }
        if (later) {
            memcpy(left, from + now, sizeof(float) * (size_t)later);
        }
    }
    call->written += now;
    s->left_samples += later;
}

void stream_give_hop(percepnet_stream *s, float *from, int64_t stride) {
    int64_t start = hop_start(s->options.sample_rate_hz, s->given);
    int count = hop_samples(s->options.sample_rate_hz, s->given), channels = s->options.channels;
    float *y = at_48k(s) ? from : s->hop;
    int64_t y_stride = at_48k(s) ? stride : s->hop_max;
    if (!at_48k(s)) {
        for (int channel = 0; channel < channels; channel++) {
            memcpy(resampler_input(&s->from_48k, channel), from + channel * stride, sizeof(float) * HOP_SAMPLES);
        }
        resampler_run(&s->from_48k, HOP_SAMPLES, count, y, y_stride);
    }
    apply_bypass(s, y, y_stride, start, count);
    deliver(s, y, y_stride, count);
    s->given++;
}

int stream_passes(const percepnet_stream *s) { return s->idle && s->bypassed; }

void stream_pass_hop(percepnet_stream *s) {
    for (int i = 0; i < s->decisions; i++) {
        s->enhancers[i].speech = -1.0f;
    }
    take_hop(s, s->hop_48k, HOP_SAMPLES);
    stream_give_hop(s, s->hop_48k, HOP_SAMPLES);
}
