#include <stdio.h>
#include <string.h>

#include "door.h"

void door_init(door *d, int32_t rate_hz, int channels, int far_end) {
    memset(d, 0, sizeof *d);
    d->rate_hz = rate_hz;
    d->channels = channels;
    d->far_end = far_end;
    d->choice.model = -1;
    d->limit_db = PERCEPNET_NO_LIMIT;
}

/* Without it, or where it does not go with the model, what is left of an echo stays. */
static percepnet_stream *create(door *d, percepnet_options *options, percepnet_error *error) {
    percepnet_error missing;
    d->residual = d->far_end ? model_acquire(MODEL_RESIDUAL, &missing) : NULL;
    if (d->far_end && !d->residual) {
        fprintf(stderr, "percepnet: what is left of an echo stays: %s\n", missing.message);
    }
    options->residual = d->residual;
    percepnet_stream *stream = percepnet_stream_create(d->model, options, error);
    if (!stream && d->residual) {
        model_release(d->residual);
        options->residual = d->residual = NULL;
        stream = percepnet_stream_create(d->model, options, error);
    }
    return stream;
}

void door_open(door *d, door_choice choice) {
    if (d->choice.model == choice.model && d->choice.post_filter == choice.post_filter &&
        d->choice.unlinked == choice.unlinked) {
        if (d->stream) {
            percepnet_stream_reset(d->stream);
        }
        return;
    }
    door_close(d);
    d->choice = choice;
    percepnet_error error;
    percepnet_options options;
    percepnet_options_init(&options);
    options.sample_rate_hz = d->rate_hz;
    options.channels = d->channels;
    options.link_channels = !choice.unlinked;
    options.post_filter = choice.post_filter;
    options.attenuation_limit_db = d->limit_db;
    options.bypass = d->bypass;
    options.block_samples = 1;
    options.far_end = d->far_end;
    d->model = model_acquire(choice.model, &error);
    d->stream = d->model ? create(d, &options, &error) : NULL;
    if (!d->stream) {
        fprintf(stderr, "percepnet: the sound passes through unchanged: %s\n", error.message);
        model_release(d->model);
        d->model = NULL;
    }
}

void door_close(door *d) {
    percepnet_stream_destroy(d->stream);
    model_release(d->model);
    model_release(d->residual);
    d->stream = NULL;
    d->model = d->residual = NULL;
    d->choice.model = -1;
}

void door_control(door *d, float limit_db, int bypass) {
    float limit = limit_db >= 0.0f && limit_db < DOOR_LIMIT_MAX_DB ? limit_db : PERCEPNET_NO_LIMIT;
    if (limit != d->limit_db) {
        d->limit_db = limit;
        if (d->stream) {
            percepnet_stream_set_attenuation_limit(d->stream, limit);
        }
    }
    if (bypass != d->bypass) {
        d->bypass = bypass;
        if (d->stream) {
            percepnet_stream_set_bypass(d->stream, bypass);
        }
    }
}

int32_t door_latency(const door *d) { return d->stream ? percepnet_stream_latency(d->stream) : 0; }

static void take(float *to, const float *from, unsigned long done, size_t now) {
    if (from) {
        memcpy(to, from + done, now * sizeof(float));
    } else {
        memset(to, 0, now * sizeof(float));
    }
}

void door_run(door *d, const float *const *x, const float *far, float *const *y, unsigned long samples) {
    for (unsigned long done = 0; done < samples;) {
        size_t now = samples - done < DOOR_CHUNK ? samples - done : DOOR_CHUNK;
        for (int c = 0; c < d->channels; c++) { /* first all of it: outputs may lie where inputs do */
            take(d->x + (size_t)c * DOOR_CHUNK, x[c], done, now);
        }
        if (d->far_end) {
            take(d->far, far, done, now);
        }
        const float *from = d->x;
        if (d->stream && percepnet_stream_process_far(d->stream, NULL, d->x, d->far_end ? d->far : NULL, (int64_t)now,
                                                      DOOR_CHUNK, d->y, DOOR_CHUNK) == (int64_t)now) {
            from = d->y;
        }
        for (int c = 0; c < d->channels; c++) {
            if (y[c]) {
                memcpy(y[c] + done, from + (size_t)c * DOOR_CHUNK, now * sizeof(float));
            }
        }
        done += now;
    }
}
