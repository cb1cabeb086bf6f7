/* Models: from the bytes of a file to what streams run on. */

#include "model.h"

#include <stdio.h>
#include <stdlib.h>

#include "memory.h"
#include "file/model_file.h"

static void model_init(percepnet_model *model, const model_description *d, const kernel *k, arena *a) {
    analysis_params params = {
        .lookahead_frames = d->lookahead_frames,
        .bands = d->bands,
        .band_edges = d->band_edges,
        .highpass_hz = d->highpass_hz,
        .feature_blocks = d->feature_blocks,
        .feature_block_count = d->feature_block_count,
    };
    analysis_tables_init(&model->tables, &params, k, a);
    network_init(&model->network, d, FEATURES_LAYER, k, a);
    network_init(&model->bins, d, BINS_LAYER, k, a);
#if FAR_ENDS
    real_fft_init(&model->lag_fft, ECHO_LAG_FFT, k, a);
    if (model->tables.layout.start[FEATURE_ECHO_LEVELS] >= 0) {
        echo_shape_tables_init(&model->shape, k, a);
    }
#endif
}

percepnet_model *model_create(const model_description *d) {
    const kernel *k = kernel_of(d->kernel);
    if (!k) {
        return NULL;
    }
    percepnet_model sizes;
    arena a = {NULL, 0};
    model_init(&sizes, d, k, &a);
    size_t bytes = arena_start(sizeof sizes) + a.used;
    percepnet_model *model = memory_take(bytes);
    if (model) {
        a = arena_behind(model, sizeof *model);
        model->bytes = bytes;
        model_init(model, d, k, &a);
    }
    return model;
}

static void say(percepnet_error *error, const char *message, const char *name) {
    if (error) {
        snprintf(error->message, sizeof error->message, message, name);
    }
}

percepnet_model *percepnet_model_load_for(const void *data, size_t size, const char *kernel, percepnet_error *error) {
    if (kernel && !kernel_of(kernel)) {
        say(error, "kernel: this machine has none of the name '%.32s'", kernel);
        return NULL;
    }
    /* too large for the stacks of some threads */
    model_description *description = malloc(sizeof *description);
    percepnet_model *model = NULL;
    if (!description) {
        say(error, "out of memory", "");
    } else if (model_file_read(data, size, description, error)) {
        description->kernel = kernel;
        model = model_create(description);
        if (!model) {
            say(error, "out of memory", "");
        }
    }
    free(description);
    return model;
}

percepnet_model *percepnet_model_load(const void *data, size_t size, percepnet_error *error) {
    return percepnet_model_load_for(data, size, NULL, error);
}

void percepnet_model_destroy(percepnet_model *model) { memory_give_back(model); }

void percepnet_model_describe(const percepnet_model *model, percepnet_model_info *info) {
    info->lookahead_frames = model->tables.lookahead_frames;
    info->bands = model->network.bands;
    info->features = model->network.features;
    info->speech_probability = model->network.speech != FEATURES_LAYER;
    info->bytes = model->bytes;
}

const char *percepnet_kernel(int32_t index) {
    const kernel *k = index < 0 ? NULL : kernel_at(index);
    return k ? k->name : NULL;
}
