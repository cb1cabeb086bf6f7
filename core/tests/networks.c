#include "networks.h"

#include <stdlib.h>
#include <string.h>

#include "signal/feature_blocks.h"

#define UNITS_MOST 40

static float uniform(weights *w) {
    w->state = w->state * 1664525u + 1013904223u;
    return (float)(w->state >> 8) / 8388608.0f - 1.0f;
}

static float weight(weights *w) {
    float x = w->spread * uniform(w);
    if (w->any_bits) {
        uint32_t bits = w->state ^ w->state << 13;
        memcpy(&x, &bits, sizeof x);
    }
    return x;
}

static void *take(test_network *n, size_t size) {
    void *memory = malloc(size ? size : 1);
    if (!memory) {
        abort();
    }
    n->memory[n->memory_count++] = memory;
    return memory;
}

static const void *floats(test_network *n, size_t count) {
    /* at an odd address, as in a file */
    char *data = take(n, sizeof(float) * count + 1);
    for (size_t i = 0; i < count; i++) {
        float x = weight(&n->weights);
        memcpy(data + 1 + sizeof x * i, &x, sizeof x);
    }
    return data + 1;
}

static tensor integers(test_network *n, size_t rows, size_t count) {
    int8_t *data = take(n, count);
    int is_sparse = n->memory_count % 3 == 0; /* then half of the groups of the core's blocks are zero */
    for (size_t i = 0; i < count; i++) {
        int is_kept = !is_sparse || i % (count / rows) / 4 % 2;
        data[i] = (int8_t)(is_kept ? 128.0f * uniform(&n->weights) : 0.0f); /* -128 now and then: out of range */
    }
    weights scale = n->weights;
    n->weights.spread /= 127.0f;
    tensor t = {data, floats(n, rows)};
    n->weights.spread = scale.spread;
    return t;
}

void test_network_begin(test_network *n, int lookahead_frames, int bands, const int32_t *edges, weights w) {
    static const unsigned BLOCKS[] = {FEATURE_BAND_LEVELS, FEATURE_COHERENCES, FEATURE_PITCH};
    memset(n, 0, sizeof *n);
    n->weights = w;
    n->description.lookahead_frames = lookahead_frames;
    n->description.bands = bands;
    memcpy(n->description.band_edges, edges, sizeof *edges * (size_t)bands);
    n->description.speech = n->description.shape = FEATURES_LAYER;
    test_network_features(n, BLOCKS, 3);
}

void test_network_features(test_network *n, const unsigned *blocks, int count) {
    memcpy(n->description.feature_blocks, blocks, sizeof *blocks * (size_t)count);
    n->description.feature_block_count = count;
}

int test_network_units(const test_network *n, int layer) {
    const model_description *d = &n->description;
    if (layer >= 0) {
        return d->layers[layer].units;
    }
    if (layer == BINS_LAYER) {
        return BIN_FEATURES;
    }
    return feature_layout_of(d->feature_blocks, d->feature_block_count, d->bands).count;
}

int test_network_add(test_network *n, layer_description d) {
    int units[LAYER_INPUTS_MAX];
    for (int i = 0; i < d.input_count; i++) {
        units[i] = test_network_units(n, d.inputs[i]);
    }
    d.input_units = units[0];
    d.source = d.inputs[0] < 0 ? d.inputs[0] : n->description.layers[d.inputs[0]].source;
    d.units = d.kind->units ? d.kind->units(units, d.input_count) : d.units;
    d.taps = d.taps ? d.taps : 1;
    d.dilation = d.dilation ? d.dilation : 1;
    if (d.units < 1) {
        return FEATURES_LAYER;
    }
    tensor_shape shapes[TENSORS_MAX];
    int count = d.kind->tensors ? d.kind->tensors(&d, shapes) : 0;
    for (int i = 0; i < count; i++) {
        size_t size = 1;
        for (int axis = 0; axis < shapes[i].dimensions; axis++) {
            size *= (size_t)shapes[i].shape[axis];
        }
        if (d.in_8_bits && shapes[i].may_be_8_bits) {
            d.tensors[i] = integers(n, (size_t)shapes[i].shape[0], size);
        } else {
            d.tensors[i] = (tensor){floats(n, size), NULL};
        }
    }
    n->description.layers[n->description.layer_count] = d;
    return n->description.layer_count++;
}

static int add(test_network *n, const char *kind, int units, enum activation activation, int taps, int a, int b) {
    layer_description d = {.kind = layer_kind_of(kind), .inputs = {a, b}, .input_count = 1, .units = units};
    d.input_count = d.kind->inputs_min;
    d.activation = activation;
    d.taps = taps;
    d.in_8_bits = n->weights.in_8_bits && d.kind->has_precision;
    return test_network_add(n, d);
}

static int add_head(test_network *n, int units, int input) {
    layer_description d = {.kind = layer_kind_of("dense"), .inputs = {input}, .input_count = 1, .units = units};
    d.activation = ACTIVATION_SIGMOID;
    return test_network_add(n, d);
}

void test_network_article(test_network *n, int dense, int conv1, int conv2, int gru, int strength_gru) {
    layer_description first = {.kind = layer_kind_of("dense"), .inputs = {FEATURES_LAYER}, .input_count = 1};
    first.units = dense;
    first.activation = ACTIVATION_TANH;
    int x = test_network_add(n, first);
    x = add(n, "convolution", conv1, ACTIVATION_TANH, 5, x, 0);
    layer_description skips = {.kind = layer_kind_of("concatenation"), .input_count = 5};
    skips.inputs[0] = x = add(n, "convolution", conv2, ACTIVATION_TANH, 3, x, 0);
    for (int i = 1; i <= 4; i++) {
        skips.inputs[i] = x = add(n, "gru", gru, ACTIVATION_LINEAR, 1, x, 0);
    }
    int joined = add(n, "concatenation", 0, ACTIVATION_LINEAR, 1, skips.inputs[3], skips.inputs[0]);
    int strengths = add(n, "gru", strength_gru, ACTIVATION_LINEAR, 1, joined, 0);
    n->description.gains = add_head(n, n->description.bands, test_network_add(n, skips));
    n->description.strengths = add_head(n, n->description.bands, strengths);
}

void test_network_bins(test_network *n, int units) {
    int in_8_bits = n->weights.in_8_bits;
    n->weights.in_8_bits = 0; /* which there is not for bins */
    int x = add(n, "dense", units, ACTIVATION_RELU, 1, BINS_LAYER, 0);
    int memory = add(n, "gated_recurrence", units, ACTIVATION_LINEAR, 1, x, 0);
    int both = add(n, "concatenation", 0, ACTIVATION_LINEAR, 1, x, memory);
    n->description.shape = add(n, "dense", 1, ACTIVATION_LINEAR, 1, both, 0);
    n->weights.in_8_bits = in_8_bits;
}

static int below(uint32_t (*random)(void *), void *source, int most) { return (int)(random(source) % (uint32_t)most); }

void test_network_any(test_network *n, uint32_t (*random)(void *), void *source, int layers) {
    int kinds = 0, last = FEATURES_LAYER;
    while (layer_kind_at(kinds)) {
        kinds++;
    }
    for (int i = 0; i < layers; i++) {
        layer_description d = {.kind = layer_kind_at(below(random, source, kinds))};
        d.input_count = d.kind->inputs_min + (d.kind->inputs_max > 1 ? below(random, source, 3) : 0);
        for (int input = 0; input < d.input_count; input++) {
            d.inputs[input] = below(random, source, n->description.layer_count + 1) - 1;
        }
        d.inputs[0] = last;
        d.units = 1 + below(random, source, UNITS_MOST);
        d.activation = (enum activation)(d.kind->has_activation ? below(random, source, 4) : 0);
        d.taps = d.kind->has_taps ? 1 + below(random, source, 6) : 1;
        d.dilation = d.kind->has_taps ? 1 + below(random, source, 4) : 1;
        d.memory = d.kind->has_memory && below(random, source, 2) ? 2 + below(random, source, 50) : 0;
        d.depthwise = d.kind->has_taps && below(random, source, 3) == 0;
        d.units = d.depthwise ? test_network_units(n, last) : d.units;
        d.in_8_bits = d.kind->has_precision && !d.depthwise && below(random, source, 2);
        int added = d.units <= UNITS_MAX ? test_network_add(n, d) : FEATURES_LAYER;
        last = added == FEATURES_LAYER || test_network_units(n, added) > UNITS_MAX ? last : added;
    }
    n->description.gains = add_head(n, n->description.bands, last);
    n->description.strengths = add_head(n, n->description.bands, last);
    n->description.speech = below(random, source, 2) ? add_head(n, 1, last) : FEATURES_LAYER;
    if (below(random, source, 2)) {
        test_network_bins(n, 1 + below(random, source, UNITS_MOST));
    }
}

void test_network_discard(test_network *n) {
    while (n->memory_count) {
        free(n->memory[--n->memory_count]);
    }
}
