#include "network/network.h"

#include <string.h>

#include "signal/feature_blocks.h"

static void layer_init(layer *l, const layer_description *d, const network *net, const int *places, const kernel *k,
                       arena *a) {
    *l = (layer){.kind = d->kind,
                 .input_count = d->input_count,
                 .units = d->units,
                 .activation = d->activation,
                 .taps = d->taps,
                 .dilation = d->dilation,
                 .depthwise = d->depthwise,
                 .kept = d->memory ? (float)(1.0 - 1.0 / d->memory) : 1.0f,
                 .kernel = k};
    for (int i = 0; i < d->input_count; i++) {
        l->inputs[i] = d->inputs[i] < 0 ? FEATURES_LAYER : places[d->inputs[i]];
        l->input_units[i] = d->inputs[i] < 0 ? net->features : net->layers[l->inputs[i]].units;
    }
    if (d->kind->init) {
        d->kind->init(l, d, a);
    }
}

void network_init(network *net, const model_description *d, int source, const kernel *k, arena *a) {
    layer sizes[LAYERS_MAX]; /* where there is no memory yet */
    int places[LAYERS_MAX], per_bin = source == BINS_LAYER;
    feature_layout features = feature_layout_of(d->feature_blocks, d->feature_block_count, d->bands);
    *net = (network){.features = per_bin ? BIN_FEATURES : features.count, .bands = per_bin ? 1 : d->bands};
    for (int i = 0; i < d->layer_count; i++) {
        places[i] = net->layer_count;
        net->layer_count += d->layers[i].source == source;
    }
    layer *layers = ARENA_TAKE(a, layer, net->layer_count);
    net->layers = layers ? layers : sizes;
    for (int i = 0; i < d->layer_count; i++) {
        if (d->layers[i].source == source) {
            layer *l = &net->layers[places[i]];
            layer_init(l, &d->layers[i], net, places, k, a);
            l->state = net->state;
            net->state += l->kind->state ? l->kind->state(l) : 0;
        }
    }
    net->layers = layers;
    if (net->layer_count) {
        net->gains = places[per_bin ? d->shape : d->gains];
        net->strengths = places[per_bin ? d->shape : d->strengths];
    }
    net->speech = per_bin || d->speech == FEATURES_LAYER ? FEATURES_LAYER : places[d->speech];
}

void network_state_init(network_state *s, const network *net, arena *a) {
    s->values = ARENA_TAKE(a, float, net->state);
}

void network_reset(network_state *s, const network *net) { memset(s->values, 0, sizeof(float) * net->state); }

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static size_t rounded_of(const layer *l) {
    size_t most = 0;
    for (int i = 0; i < 2; i++) {
        most = larger(most, l->matrices[i].step ? (size_t)matvec_rounded(&l->matrices[i]) : 0);
    }
    return most;
}

void network_work_init(network_work *w, const network *net, int streams, int frames, arena *a) {
    size_t all = (size_t)streams * (size_t)frames, scratch = 0, rounded = 0;
    w->streams = streams;
    w->frames = frames;
    w->outputs = ARENA_TAKE(a, float *, net->layer_count);
    for (int i = 0; i < net->layer_count; i++) {
        const layer *l = &net->layers[i];
        float *output = ARENA_TAKE(a, float, all * (size_t)l->units);
        if (w->outputs) {
            w->outputs[i] = output;
        }
        scratch = larger(scratch, l->kind->scratch ? l->kind->scratch(l, streams, frames) : 0);
        rounded = larger(rounded, rounded_of(l));
    }
    if (w->outputs) {
        w->heads = (network_heads){.gains = w->outputs[net->gains],
                                   .strengths = w->outputs[net->strengths],
                                   .speech = net->speech == FEATURES_LAYER ? NULL : w->outputs[net->speech]};
    }
    w->states = ARENA_TAKE(a, float *, streams);
    w->scratch = ARENA_TAKE(a, float, scratch);
    w->rows = ARENA_TAKE(a, const float *, all);
    w->rounded = ARENA_TAKE(a, int8_t, all * rounded);
}

void network_run(const network *net, network_work *w, const float *features, network_state *const *states, int streams,
                 int frames) {
    layer_work work = {.streams = streams,
                       .frames = frames,
                       .states = w->states,
                       .scratch = w->scratch,
                       .rows = w->rows,
                       .rounded = w->rounded};
    for (int i = 0; i < net->layer_count; i++) {
        const layer *l = &net->layers[i];
        for (int input = 0; input < l->input_count; input++) {
            work.inputs[input] = l->inputs[input] == FEATURES_LAYER ? features : w->outputs[l->inputs[input]];
        }
        for (int stream = 0; stream < streams; stream++) {
            w->states[stream] = states[stream]->values + l->state;
        }
        work.output = w->outputs[i];
        l->kind->run(l, &work);
    }
}
