/* What JavaScript calls. The functions of percepnet.h as they are take numbers
   of 64 bits, which JavaScript has only as objects: an audio thread that made
   some in every call would have to collect them. Structures stay on this side
   too. */

#include <stdlib.h>

#include "percepnet.h"

#define EXPORT(name) __attribute__((export_name(name)))

static percepnet_error error;

/* Of the last call that returned NULL. */
EXPORT("error") const char *web_error(void) { return error.message; }

EXPORT("version") const char *web_version(void) { return percepnet_version(); }

EXPORT("kernel") const char *web_kernel(int32_t index) { return percepnet_kernel(index); }

EXPORT("take") void *web_take(size_t bytes) { return malloc(bytes); }

EXPORT("give_back") void web_give_back(void *memory) { free(memory); }

EXPORT("model_load")
percepnet_model *web_model_load(const void *data, size_t size, const char *kernel) {
    return percepnet_model_load_for(data, size, kernel, &error);
}

EXPORT("model_destroy") void web_model_destroy(percepnet_model *model) { percepnet_model_destroy(model); }

static percepnet_options options_of(int32_t sample_rate_hz, int32_t channels, int32_t block_samples,
                                    float attenuation_limit_db, int32_t bypass) {
    percepnet_options options;
    percepnet_options_init(&options);
    options.sample_rate_hz = sample_rate_hz;
    options.channels = channels;
    options.block_samples = block_samples;
    options.attenuation_limit_db = attenuation_limit_db;
    options.bypass = bypass;
    return options;
}

EXPORT("stream_create")
percepnet_stream *web_stream_create(const percepnet_model *model, int32_t sample_rate_hz, int32_t channels,
                                    int32_t block_samples, float attenuation_limit_db, int32_t bypass) {
    percepnet_options options = options_of(sample_rate_hz, channels, block_samples, attenuation_limit_db, bypass);
    return percepnet_stream_create(model, &options, &error);
}

#ifndef PERCEPNET_WITHOUT_FAR_END
/* With a second input. What is left of its echo stays where the two models do
   not look ahead alike. */
EXPORT("stream_create_far")
percepnet_stream *web_stream_create_far(const percepnet_model *model, const percepnet_model *residual,
                                        int32_t sample_rate_hz, int32_t channels, int32_t block_samples,
                                        float attenuation_limit_db, int32_t bypass) {
    percepnet_options options = options_of(sample_rate_hz, channels, block_samples, attenuation_limit_db, bypass);
    percepnet_model_info of_model, of_residual;
    percepnet_model_describe(model, &of_model);
    percepnet_model_describe(residual, &of_residual);
    options.far_end = 1;
    options.residual = of_model.lookahead_frames == of_residual.lookahead_frames ? residual : NULL;
    return percepnet_stream_create(model, &options, &error);
}

EXPORT("stream_process_far")
int32_t web_stream_process_far(percepnet_stream *stream, percepnet_block *block, const float *x, const float *far,
                               int32_t samples, int32_t stride, float *y, int32_t capacity) {
    return (int32_t)percepnet_stream_process_far(stream, block, x, far, samples, stride, y, capacity);
}
#endif

EXPORT("stream_destroy") void web_stream_destroy(percepnet_stream *stream) { percepnet_stream_destroy(stream); }

EXPORT("stream_latency") int32_t web_stream_latency(const percepnet_stream *s) { return percepnet_stream_latency(s); }

EXPORT("stream_ready_max")
int32_t web_stream_ready_max(int32_t samples, int32_t sample_rate_hz) {
    return PERCEPNET_READY_MAX(samples, sample_rate_hz);
}

EXPORT("stream_process")
int32_t web_stream_process(percepnet_stream *stream, percepnet_block *block, const float *x, int32_t samples,
                           int32_t stride, float *y, int32_t capacity) {
    return (int32_t)percepnet_stream_process(stream, block, x, samples, stride, y, capacity);
}

EXPORT("stream_flush")
int32_t web_stream_flush(percepnet_stream *stream, float *y, int32_t capacity) {
    return (int32_t)percepnet_stream_flush(stream, y, capacity);
}

EXPORT("stream_reset") void web_stream_reset(percepnet_stream *stream) { percepnet_stream_reset(stream); }

EXPORT("stream_set_attenuation_limit")
void web_stream_set_limit(percepnet_stream *stream, float limit_db) {
    percepnet_stream_set_attenuation_limit(stream, limit_db);
}

EXPORT("stream_set_bypass")
void web_stream_set_bypass(percepnet_stream *stream, int32_t bypass) { percepnet_stream_set_bypass(stream, bypass); }

EXPORT("stream_set_idle")
void web_stream_set_idle(percepnet_stream *stream, int32_t idle) { percepnet_stream_set_idle(stream, idle); }

EXPORT("stream_refused_hops")
int32_t web_stream_refused_hops(const percepnet_stream *stream) {
    return (int32_t)percepnet_stream_refused_hops(stream);
}

EXPORT("stream_speech_probability")
float web_stream_speech_probability(const percepnet_stream *stream) {
    return percepnet_stream_speech_probability(stream);
}

EXPORT("block_create")
percepnet_block *web_block_create(const percepnet_model *model, int32_t channels, int32_t hops) {
    return percepnet_block_create(model, channels, hops, &error);
}

EXPORT("block_destroy") void web_block_destroy(percepnet_block *block) { percepnet_block_destroy(block); }
