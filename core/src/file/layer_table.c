/* The table of layers of a model file, and its heads. */

#include <string.h>

#include "file/model_reader.h"
#include "signal/feature_blocks.h"

/* Of all layers together, so that a file of some kilobytes cannot ask each stream for gigabytes. */
#define ALL_UNITS_MAX (LAYERS_MAX * UNITS_MAX)
#define ALL_PAST_MAX (1 << 24)

int model_find_layer(const model_description *d, const char *name) {
    for (int i = 0; i < d->layer_count; i++) {
        if (!strcmp(d->layers[i].name, name)) {
            return i;
        }
    }
    return -1;
}

static int is_name(const char *name) {
    for (const char *at = name; *at; at++) {
        int letter = *at >= 'a' && *at <= 'z', other = (*at >= '0' && *at <= '9') || *at == '_';
        if (!letter && !(other && at > name)) {
            return 0;
        }
    }
    return *name != '\0';
}

/* What a layer may begin at, by its name; 0 for none of that name. */
static int source_of(const char *name) {
    return !strcmp(name, "features") ? FEATURES_LAYER : !strcmp(name, "bins") ? BINS_LAYER : 0;
}

static int read_name(model_reader *r, json value, layer_description *l) {
    char shown[JSON_SHOWN], field[LAYER_NAME_MAX + 16];
    json name = json_member(value, "name"), kind = json_member(value, "kind");
    char kind_name[LAYER_NAME_MAX];
    if (json_text(name, l->name, sizeof l->name) < 0 || !is_name(l->name)) {
        error_say(r->error, "layers.%d.name: expected up to 47 lower-case letters, digits and underscores, found %s",
                  r->d->layer_count, json_shown(name, shown));
        return 0;
    }
    snprintf(field, sizeof field, "layers.%s", l->name);
    if (source_of(l->name) || model_find_layer(r->d, l->name) >= 0) {
        error_say(r->error, "%s.name: expected another one, found it twice", field);
        return 0;
    }
    l->kind = json_text(kind, kind_name, sizeof kind_name) < 0 ? NULL : layer_kind_of(kind_name);
    if (!l->kind) {
        error_say(r->error, "%s.kind: expected a known kind, found %s", field, json_shown(kind, shown));
        return 0;
    }
    return 1;
}

static int read_inputs(model_reader *r, json value, layer_description *l, int units[LAYER_INPUTS_MAX]) {
    json inputs = json_member(value, "inputs"), item;
    json_walk walk = {inputs, NULL};
    char name[LAYER_NAME_MAX], shown[JSON_SHOWN];
    while (json_next(&walk, NULL, &item)) {
        int is_text = json_text(item, name, sizeof name) >= 0, number = is_text ? model_find_layer(r->d, name) : -1;
        int begin = is_text ? source_of(name) : 0, source = number < 0 ? begin : r->d->layers[number].source;
        if (!source) {
            error_say(r->error, "layers.%s.inputs: expected earlier layers, 'features' or 'bins', found %s", l->name,
                      json_shown(item, shown));
            return 0;
        }
        if (l->source && source != l->source) {
            error_say(r->error, "layers.%s.inputs: expected 'features' or 'bins', found both", l->name);
            return 0;
        }
        l->source = source;
        if (l->input_count < LAYER_INPUTS_MAX) {
            int sizes[] = {r->feature_count, BIN_FEATURES};
            l->inputs[l->input_count] = begin ? begin : number;
            units[l->input_count] = begin ? sizes[begin == BINS_LAYER] : r->d->layers[number].units;
        }
        l->input_count += l->input_count <= LAYER_INPUTS_MAX;
    }
    if (l->source == BINS_LAYER && !l->kind->run_bins) {
        error_say(r->error, "layers.%s.kind: expected one for bins, found %s", l->name, l->kind->name);
        return 0;
    }
    if (!json_is_array(inputs) || l->input_count < l->kind->inputs_min || l->input_count > l->kind->inputs_max) {
        error_say(r->error, "layers.%s.inputs: expected %d to %d, found %s", l->name, l->kind->inputs_min,
                  l->kind->inputs_max, json_shown(inputs, shown));
        return 0;
    }
    l->input_units = units[0];
    return 1;
}

static int read_units(model_reader *r, json value, layer_description *l, const int *input_units) {
    json units = json_member(value, "units");
    char shown[JSON_SHOWN];
    int64_t number = 0;
    if (!l->kind->has_units) {
        if (units.start && !json_is_null(units)) {
            error_say(r->error, "layers.%s.units: expected none for %s, found %s", l->name, l->kind->name,
                      json_shown(units, shown));
            return 0;
        }
        l->units = l->kind->units(input_units, l->input_count);
        if (l->units < 1) {
            error_say(r->error, "layers.%s.inputs: expected inputs of one size, found others", l->name);
            return 0;
        }
        return 1;
    }
    if (json_equals(units, "bands")) {
        number = r->d->bands;
    } else if (!json_integer(units, &number) || number < 1 || number > UNITS_MAX) {
        error_say(r->error, "layers.%s.units: expected an integer from 1 to %d or 'bands', found %s", l->name,
                  UNITS_MAX, json_shown(units, shown));
        return 0;
    }
    l->units = (int)number;
    return 1;
}

/* One of the words that a field may say, by its number; `none` where there is no such field, -1 for another word. */
static int read_word(json value, const char *const *words, int count, int none) {
    for (int i = 0; i < count; i++) {
        if (json_equals(value, words[i])) {
            return i;
        }
    }
    return value.start ? -1 : none;
}

static int read_how(model_reader *r, json value, layer_description *l) {
    static const char *const ACTIVATIONS[] = {"linear", "tanh", "sigmoid", "relu"};
    static const char *const PRECISIONS[] = {"float32", "int8"};
    json activation = json_member(value, "activation"), precision = json_member(value, "precision");
    int how = read_word(activation, ACTIVATIONS, l->kind->has_activation ? 4 : 1, 0);
    int has_precision = l->kind->has_precision && l->source != BINS_LAYER;
    int bits = read_word(precision, PRECISIONS, has_precision ? 2 : 1, 0);
    char shown[JSON_SHOWN];
    if (how < 0) {
        error_say(r->error, "layers.%s.activation: expected one that %s has, found %s", l->name, l->kind->name,
                  json_shown(activation, shown));
        return 0;
    }
    if (bits < 0) {
        error_say(r->error, "layers.%s.precision: expected one that %s has, found %s", l->name, l->kind->name,
                  json_shown(precision, shown));
        return 0;
    }
    l->activation = (enum activation)how;
    l->in_8_bits = bits;
    return 1;
}

static int read_count(model_reader *r, json value, const layer_description *l, const char *field, int most, int *to) {
    json found = json_member(value, field);
    char shown[JSON_SHOWN];
    int64_t number = 1;
    most = l->kind->has_taps ? most : 1;
    if (found.start && (!json_integer(found, &number) || number < 1 || number > most)) {
        error_say(r->error, "layers.%s.%s: expected an integer from 1 to %d, found %s", l->name, field, most,
                  json_shown(found, shown));
        return 0;
    }
    *to = (int)number;
    return 1;
}

static int read_taps(model_reader *r, json value, layer_description *l) {
    json depthwise = json_member(value, "depthwise");
    char shown[JSON_SHOWN];
    if (!read_count(r, value, l, "taps", CONVOLUTION_TAPS_MAX, &l->taps) ||
        !read_count(r, value, l, "dilation", CONVOLUTION_DILATION_MAX, &l->dilation)) {
        return 0;
    }
    l->depthwise = depthwise.start ? json_boolean(depthwise) : 0;
    if (l->depthwise < 0 || (l->depthwise && !l->kind->has_taps)) {
        error_say(r->error, "layers.%s.depthwise: expected one that %s has, found %s", l->name, l->kind->name,
                  json_shown(depthwise, shown));
        return 0;
    }
    if (l->depthwise && l->in_8_bits) {
        error_say(r->error, "layers.%s.precision: expected 'float32' of a depthwise convolution, found 'int8'",
                  l->name);
        return 0;
    }
    if (l->depthwise && l->units != l->input_units) {
        error_say(r->error, "layers.%s.units: expected %d, as it is depthwise, found %d", l->name, l->input_units,
                  l->units);
        return 0;
    }
    return 1;
}

static int read_memory(model_reader *r, json value, layer_description *l) {
    json found = json_member(value, "memory");
    char shown[JSON_SHOWN];
    int64_t frames = 0;
    int is_integer = !found.start || json_integer(found, &frames);
    if (!is_integer || (frames && !(l->kind->has_memory && frames >= 2 && frames <= LAYER_MEMORY_MAX))) {
        error_say(r->error, "layers.%s.memory: expected 0, or 2 to %d of a GRU, found %s", l->name, LAYER_MEMORY_MAX,
                  json_shown(found, shown));
        return 0;
    }
    l->memory = (int)frames;
    return 1;
}

/* What a layer adds to the memory of each stream. */
static int check_memory(model_reader *r, const layer_description *l) {
    int count = l->source == BINS_LAYER ? NOISE_SHAPE_BINS : 1;
    r->all_units += (int64_t)count * l->units;
    r->all_past += (int64_t)count * (l->taps - 1) * l->dilation * l->input_units;
    if (r->all_units > ALL_UNITS_MAX) {
        error_say(r->error, "layers.%s.units: expected at most %d in all layers, found %lld", l->name, ALL_UNITS_MAX,
                  (long long)r->all_units);
        return 0;
    }
    if (r->all_past > ALL_PAST_MAX) {
        error_say(r->error, "layers.%s.taps: expected at most %d numbers in the memory of all convolutions, found %lld",
                  l->name, ALL_PAST_MAX, (long long)r->all_past);
        return 0;
    }
    return 1;
}

static int read_layer(model_reader *r, json value) {
    layer_description *l = &r->d->layers[r->d->layer_count];
    int units[LAYER_INPUTS_MAX];
    char shown[JSON_SHOWN];
    memset(l, 0, sizeof *l);
    if (!json_is_object(value)) {
        error_say(r->error, "layers.%d: expected an object, found %s", r->d->layer_count, json_shown(value, shown));
        return 0;
    }
    if (!read_name(r, value, l) || !read_inputs(r, value, l, units) || !read_units(r, value, l, units) ||
        !read_how(r, value, l) || !read_taps(r, value, l) || !read_memory(r, value, l) || !check_memory(r, l)) {
        return 0;
    }
    r->d->layer_count++;
    return 1;
}

int model_read_layers(model_reader *r, json layers) {
    json_walk walk = {layers, NULL};
    json item;
    char shown[JSON_SHOWN];
    while (json_is_array(layers) && json_next(&walk, NULL, &item)) {
        if (r->d->layer_count == LAYERS_MAX) {
            error_say(r->error, "layers: expected 1 to %d, found more", LAYERS_MAX);
            return 0;
        }
        if (!read_layer(r, item)) {
            return 0;
        }
    }
    if (!r->d->layer_count) {
        error_say(r->error, "layers: expected 1 to %d, found %s", LAYERS_MAX, json_shown(layers, shown));
    }
    return r->d->layer_count > 0;
}

static int has_bins(const model_description *d) {
    for (int i = 0; i < d->layer_count; i++) {
        if (d->layers[i].source == BINS_LAYER) {
            return 1;
        }
    }
    return 0;
}

static int read_head(model_reader *r, json heads, const char *head, int source, int units, int is_optional, int *to) {
    enum activation activation = source == BINS_LAYER ? ACTIVATION_LINEAR : ACTIVATION_SIGMOID;
    char name[LAYER_NAME_MAX], shown[JSON_SHOWN];
    json value = json_member(heads, head);
    *to = FEATURES_LAYER;
    if (!value.start && is_optional) {
        return 1;
    }
    int number = json_text(value, name, sizeof name) < 0 ? -1 : model_find_layer(r->d, name);
    if (number < 0) {
        error_say(r->error, "heads.%s: expected the name of a layer, found %s", head, json_shown(value, shown));
        return 0;
    }
    const layer_description *l = &r->d->layers[number];
    if (l->units != units) {
        error_say(r->error, "heads.%s: expected %d units, found %d", head, units, l->units);
        return 0;
    }
    if (l->activation != activation) {
        error_say(r->error, "heads.%s: expected a layer of activation '%s', found another", head,
                  activation == ACTIVATION_LINEAR ? "linear" : "sigmoid");
        return 0;
    }
    if (l->source != source) {
        error_say(r->error, "heads.%s: expected a layer behind '%s', found '%s'", head,
                  source == BINS_LAYER ? "bins" : "features", name);
        return 0;
    }
    *to = number;
    return 1;
}

int model_read_heads(model_reader *r, json heads) {
    model_description *d = r->d;
    json_walk walk = {heads, NULL};
    json key, item;
    char shown[JSON_SHOWN];
    if (!json_is_object(heads)) {
        error_say(r->error, "heads: expected an object, found %s", json_shown(heads, shown));
        return 0;
    }
    while (json_next(&walk, &key, &item)) {
        if (!json_is_string(item)) {
            char head[JSON_SHOWN];
            error_say(r->error, "heads.%s: expected the name of a layer, found %s", json_shown_name(key, head),
                      json_shown(item, shown));
            return 0;
        }
    }
    return read_head(r, heads, "gains", FEATURES_LAYER, d->bands, 0, &d->gains) &&
           read_head(r, heads, "strengths", FEATURES_LAYER, d->bands, 0, &d->strengths) &&
           read_head(r, heads, "speech", FEATURES_LAYER, 1, 1, &d->speech) &&
           read_head(r, heads, "shape", BINS_LAYER, 1, !has_bins(d), &d->shape);
}
