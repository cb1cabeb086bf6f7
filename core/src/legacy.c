#include "legacy.h"

#include "memory.h"
#include "model.h"

const char *percepnet_kernel(int32_t index) {
    const kernel *k = index < 0 ? NULL : kernel_at(index);
    return k ? k->name : NULL;
}

static void model_init(percepnet_model *model, const percepnet_description *d, arena *a) {
    const kernel *k = kernel_of(d->kernel);
    analysis_tables_init(&model->tables, d->band_edges, d->bands, k, a);
    network_init(&model->network, d, k, a);
}

percepnet_model *percepnet_model_create(const percepnet_description *d) {
    if (!d || !analysis_fits(d->lookahead_frames, d->bands, d->band_edges) || !network_fits(d) ||
        !kernel_of(d->kernel)) {
        return NULL;
    }
    percepnet_model sizes;
    arena a = {NULL, 0};
    model_init(&sizes, d, &a);
    size_t bytes = arena_start(sizeof sizes) + a.used;
    percepnet_model *model = memory_take(bytes);
    if (model) {
        a = arena_behind(model, sizeof *model);
        model->bytes = bytes;
        model_init(model, d, &a);
        model->lookahead_frames = d->lookahead_frames;
    }
    return model;
}

void percepnet_model_destroy(percepnet_model *model) { memory_give_back(model); }
