#include "model_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "network/layers.h"
#include "safetensors.h"
#include "signal/feature_blocks.h"

#define FORMAT "percepnet"
#define FORMAT_VERSION 2
#define WEIGHT_MAX 1e6f /* beyond, products could overflow, and no training ends there */
#define SCALE_MAX 1.0f
#define SUFFIX_MAX 32
#define WEIGHT_8_BITS_MIN (-127) /* products of -128 do not fit the sums of the kernels */
/* Of all layers together, so that a file of some kilobytes cannot ask each stream for gigabytes. */
#define ALL_UNITS_MAX (LAYERS_MAX * UNITS_MAX)
#define ALL_PAST_MAX (1 << 24)
#define SPANS_MAX (2 * TENSORS_MAX * LAYERS_MAX)

/* Where the tensors of a layer are in the file, and their scales. */
typedef struct slots {
    tensor_shape shapes[TENSORS_MAX];
    stored_tensor tensors[TENSORS_MAX], scales[TENSORS_MAX];
    int found[TENSORS_MAX], found_scale[TENSORS_MAX];
    int count;
} slots;

/* What reading takes of memory. */
typedef struct model_reader {
    model_description *d;
    percepnet_error *error;
    int version;
    int feature_count;
    int64_t all_units, all_past; /* of the layers so far */
    struct span {
        const char *begin, *end;
    } spans[SPANS_MAX]; /* where all tensors lie */
    slots slots[LAYERS_MAX];
} model_reader;

/* ---- The signal path ---- */

static int read_edges(model_reader *r, const char *where, json edges) {
    model_description *d = r->d;
    json_walk walk = {edges, NULL};
    json item;
    char shown[JSON_SHOWN];
    d->bands = 0;
    while (json_is_array(edges) && json_next(&walk, NULL, &item)) {
        int64_t edge, least = d->bands ? d->band_edges[d->bands - 1] + 1 : 0;
        if (!json_integer(item, &edge)) {
            error_say(r->error, "%s.band_edges: expected a list of integers, found %s", where, json_shown(item, shown));
            return 0;
        }
        if (edge < least || edge >= BINS || (!d->bands && edge != 0)) {
            d->bands = 0;
            break;
        }
        d->band_edges[d->bands++] = (int32_t)edge;
    }
    if (d->bands < 2) {
        error_say(r->error, "%s.band_edges: expected numbers that increase from 0 to at most %d, found %s", where,
                  BINS - 1, json_shown(edges, shown));
        return 0;
    }
    return 1;
}

static int read_signal(model_reader *r, const char *where, json signal) {
    char shown[JSON_SHOWN];
    json lookahead = json_member(signal, "lookahead_frames"), corner = json_member(signal, "highpass_hz");
    int64_t frames;
    double highpass_hz = 0.0;
    if (!json_is_object(signal)) {
        error_say(r->error, "%s: expected an object, found %s", where, json_shown(signal, shown));
        return 0;
    }
    if (!read_edges(r, where, json_member(signal, "band_edges"))) {
        return 0;
    }
    if (!json_integer(lookahead, &frames) || frames < 0 || frames > LOOKAHEAD_FRAMES_MAX) {
        error_say(r->error, "%s.lookahead_frames: expected an integer from 0 to %d, found %s", where,
                  LOOKAHEAD_FRAMES_MAX, json_shown(lookahead, shown));
        return 0;
    }
    int is_number = !corner.start || json_number(corner, &highpass_hz);
    if (!is_number || !(highpass_hz == 0.0 || (highpass_hz >= 1.0 && highpass_hz <= HIGHPASS_MAX_HZ))) {
        error_say(r->error, "%s.highpass_hz: expected 0, or 1 to %g, found %s", where, (double)HIGHPASS_MAX_HZ,
                  json_shown(corner, shown));
        return 0;
    }
    r->d->lookahead_frames = (int)frames;
    r->d->highpass_hz = (float)highpass_hz;
    return 1;
}

static int read_features(model_reader *r, json features) {
    model_description *d = r->d;
    json_walk walk = {features, NULL};
    json item;
    char name[32], shown[JSON_SHOWN];
    unsigned seen = 0;
    while (json_is_array(features) && json_next(&walk, NULL, &item)) {
        int block = json_text(item, name, sizeof name) < 0 ? -1 : feature_block_of(name);
        if (block < 0 || (seen & 1u << block)) {
            error_say(r->error, "features: expected known blocks, each once, found %s", json_shown(item, shown));
            return 0;
        }
        seen |= 1u << block;
        d->feature_blocks[d->feature_block_count++] = (unsigned)block;
    }
    if (!d->feature_block_count) {
        error_say(r->error, "features: expected at least one block, found %s", json_shown(features, shown));
    }
    return d->feature_block_count > 0;
}

/* ---- The table of layers ---- */

static int find_layer(const model_description *d, const char *name) {
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
    if (!strcmp(l->name, "features") || find_layer(r->d, l->name) >= 0) {
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
        int is_text = json_text(item, name, sizeof name) >= 0, number = is_text ? find_layer(r->d, name) : -1;
        int is_features = is_text && !strcmp(name, "features");
        if (number < 0 && !is_features) {
            error_say(r->error, "layers.%s.inputs: expected earlier layers or 'features', found %s", l->name,
                      json_shown(item, shown));
            return 0;
        }
        if (l->input_count < LAYER_INPUTS_MAX) {
            l->inputs[l->input_count] = is_features ? FEATURES_LAYER : number;
            units[l->input_count] = is_features ? r->feature_count : r->d->layers[number].units;
        }
        l->input_count += l->input_count <= LAYER_INPUTS_MAX;
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
    int bits = read_word(precision, PRECISIONS, l->kind->has_precision ? 2 : 1, 0);
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

/* What a layer adds to the memory of each stream. */
static int check_memory(model_reader *r, const layer_description *l) {
    r->all_units += l->units;
    r->all_past += (int64_t)(l->taps - 1) * l->dilation * l->input_units;
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
        !read_how(r, value, l) || !read_taps(r, value, l) || !check_memory(r, l)) {
        return 0;
    }
    r->d->layer_count++;
    return 1;
}

static int read_layers(model_reader *r, json layers) {
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

static int read_head(model_reader *r, json heads, const char *head, int units, int is_optional, int *to) {
    char name[LAYER_NAME_MAX], shown[JSON_SHOWN];
    json value = json_member(heads, head);
    *to = FEATURES_LAYER;
    if (!value.start && is_optional) {
        return 1;
    }
    int number = json_text(value, name, sizeof name) < 0 ? -1 : find_layer(r->d, name);
    if (number < 0) {
        error_say(r->error, "heads.%s: expected the name of a layer, found %s", head, json_shown(value, shown));
        return 0;
    }
    const layer_description *l = &r->d->layers[number];
    if (l->units != units) {
        error_say(r->error, "heads.%s: expected %d units, found %d", head, units, l->units);
        return 0;
    }
    if (l->activation != ACTIVATION_SIGMOID) {
        error_say(r->error, "heads.%s: expected a layer of activation 'sigmoid', found another", head);
        return 0;
    }
    *to = number;
    return 1;
}

static int read_heads(model_reader *r, json heads) {
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
    return read_head(r, heads, "gains", d->bands, 0, &d->gains) &&
           read_head(r, heads, "strengths", d->bands, 0, &d->strengths) &&
           read_head(r, heads, "speech", 1, 1, &d->speech);
}

static int check_info(model_reader *r, json info) {
    json_walk walk = {info, NULL};
    json key, item;
    char shown[JSON_SHOWN];
    if (!json_is_object(info)) {
        error_say(r->error, "info: expected a JSON object, found %s", json_shown(info, shown));
        return 0;
    }
    while (json_next(&walk, &key, &item)) {
        if (!json_is_string(item)) {
            char name[JSON_SHOWN];
            error_say(r->error, "info.%s: expected text, found %s", json_shown_name(key, name),
                      json_shown(item, shown));
            return 0;
        }
    }
    return 1;
}

/* ---- The two formats ---- */

static int read_format_2(model_reader *r, json header) {
    json requires = json_member(header, "requires"), inputs = json_member(header, "inputs"), item;
    json_walk wanted = {requires, NULL}, named = {inputs, NULL};
    char shown[JSON_SHOWN];
    if (requires.start && (!json_is_array(requires) || json_next(&wanted, NULL, &item))) {
        error_say(r->error, "requires: expected nothing unknown, found %s: use a newer percepnet",
                  json_shown(requires, shown));
        return 0;
    }
    if (!json_equals(json_member(header, "family"), FORMAT)) {
        error_say(r->error, "family: expected '" FORMAT "', found %s: use a matching percepnet",
                  json_shown(json_member(header, "family"), shown));
        return 0;
    }
    if (!json_is_array(inputs) || !json_next(&named, NULL, &item) || !json_equals(item, "near") ||
        json_next(&named, NULL, &item)) {
        error_say(r->error, "inputs: expected ['near'], found %s: use a newer percepnet", json_shown(inputs, shown));
        return 0;
    }
    if (!read_signal(r, "signal", json_member(header, "signal")) ||
        !read_features(r, json_member(header, "features"))) {
        return 0;
    }
    r->feature_count = feature_layout_of(r->d->feature_blocks, r->d->feature_block_count, r->d->bands).count;
    return read_layers(r, json_member(header, "layers")) && read_heads(r, json_member(header, "heads")) &&
           check_info(r, json_member(header, "info"));
}

/* The table that every file of format 1 means: sizes by name, and 0 for what follows from the inputs or the bands. */
static const struct article_layer {
    const char *name, *kind, *size;
    enum activation activation;
    int taps, in_8_bits;
    const char *inputs[5];
} ARTICLE[] = {
    {"dense", "dense", "dense", ACTIVATION_TANH, 1, 0, {"features"}},
    {"conv1", "convolution", "conv1", ACTIVATION_TANH, 5, 1, {"dense"}},
    {"conv2", "convolution", "conv2", ACTIVATION_TANH, 3, 1, {"conv1"}},
    {"gru1", "gru", "gru", ACTIVATION_LINEAR, 1, 1, {"conv2"}},
    {"gru2", "gru", "gru", ACTIVATION_LINEAR, 1, 1, {"gru1"}},
    {"gru3", "gru", "gru", ACTIVATION_LINEAR, 1, 1, {"gru2"}},
    {"gain_gru", "gru", "gru", ACTIVATION_LINEAR, 1, 1, {"gru3"}},
    {"strength_input", "concatenation", NULL, ACTIVATION_LINEAR, 1, 0, {"gru3", "conv2"}},
    {"strength_gru", "gru", "strength_gru", ACTIVATION_LINEAR, 1, 1, {"strength_input"}},
    {"skips", "concatenation", NULL, ACTIVATION_LINEAR, 1, 0, {"conv2", "gru1", "gru2", "gru3", "gain_gru"}},
    {"gain", "dense", NULL, ACTIVATION_SIGMOID, 1, 0, {"skips"}},
    {"strength", "dense", NULL, ACTIVATION_SIGMOID, 1, 0, {"strength_gru"}},
};

static int add_article_layer(model_reader *r, const struct article_layer *a, json sizes) {
    layer_description *l = &r->d->layers[r->d->layer_count];
    int units[LAYER_INPUTS_MAX];
    int64_t size = r->d->bands;
    memset(l, 0, sizeof *l);
    strcpy(l->name, a->name);
    l->kind = layer_kind_of(a->kind);
    l->activation = a->activation;
    l->taps = a->taps;
    l->dilation = 1;
    l->in_8_bits = a->in_8_bits;
    for (; l->input_count < 5 && a->inputs[l->input_count]; l->input_count++) {
        int number = find_layer(r->d, a->inputs[l->input_count]); /* -1 for the features */
        l->inputs[l->input_count] = number;
        units[l->input_count] = number < 0 ? r->feature_count : r->d->layers[number].units;
    }
    l->input_units = units[0];
    json found = a->size ? json_member(sizes, a->size) : sizes;
    if (a->size && (!json_integer(found, &size) || size < 1 || size > UNITS_MAX)) {
        char shown[JSON_SHOWN];
        error_say(r->error, "architecture.%s: expected an integer from 1 to %d, found %s", a->size, UNITS_MAX,
                  json_shown(found, shown));
        return 0;
    }
    l->units = l->kind->has_units ? (int)size : l->kind->units(units, l->input_count);
    r->d->layer_count++;
    return 1;
}

/* Format 1 had no unknown fields, and no optional ones. */
static int has_members(model_reader *r, const char *where, json object, const char *const *names, int count) {
    json_walk walk = {object, NULL};
    json key, item;
    int sound = json_is_object(object);
    char shown[JSON_SHOWN];
    for (int i = 0; i < count; i++) {
        sound = sound && json_member(object, names[i]).start;
    }
    while (sound && json_next(&walk, &key, &item)) {
        int known = 0;
        for (int i = 0; i < count; i++) {
            known |= json_equals(key, names[i]);
        }
        sound = known;
    }
    if (!sound) {
        error_say(r->error, "%s: expected the %d fields of format 1, found %s", where, count,
                  json_shown(object, shown));
    }
    return sound;
}

static int read_format_1(model_reader *r, json header) {
    static const unsigned BLOCKS[] = {FEATURE_BAND_LEVELS, FEATURE_COHERENCES, FEATURE_PITCH};
    static const char *const FIELDS[] = {"format_version", "params", "architecture", "info"};
    static const char *const PARAMS[] = {"lookahead_frames", "band_edges"};
    static const char *const SIZES[] = {"dense", "conv1", "conv2", "gru", "strength_gru"};
    json params = json_member(header, "params"), sizes = json_member(header, "architecture");
    if (!has_members(r, "metadata", header, FIELDS, 4) || !has_members(r, "params", params, PARAMS, 2) ||
        !has_members(r, "architecture", sizes, SIZES, 5) || !read_signal(r, "params", params)) {
        return 0;
    }
    r->d->feature_block_count = 3;
    memcpy(r->d->feature_blocks, BLOCKS, sizeof BLOCKS);
    r->feature_count = feature_layout_of(BLOCKS, 3, r->d->bands).count;
    for (size_t i = 0; i < sizeof ARTICLE / sizeof ARTICLE[0]; i++) {
        if (!add_article_layer(r, &ARTICLE[i], sizes)) {
            return 0;
        }
    }
    r->d->gains = find_layer(r->d, "gain");
    r->d->strengths = find_layer(r->d, "strength");
    r->d->speech = FEATURES_LAYER;
    return check_info(r, json_member(header, "info"));
}

static int read_header(model_reader *r, json header) {
    json version = json_member(header, "format_version");
    char shown[JSON_SHOWN];
    int64_t number;
    if (!json_integer(version, &number) || number < 1) {
        error_say(r->error, "format_version: expected 1 to %d, found %s: not a percepnet model", FORMAT_VERSION,
                  json_shown(version, shown));
        return 0;
    }
    if (number > FORMAT_VERSION) {
        error_say(r->error,
                  "format_version: expected up to %d, found %s: the file is of a newer format, use a newer percepnet",
                  FORMAT_VERSION, json_shown(version, shown));
        return 0;
    }
    r->version = (int)number;
    return number == 1 ? read_format_1(r, header) : read_format_2(r, header);
}

/* ---- Tensors ---- */

/* Split "LAYER.suffix" or "LAYER.suffix.scale"; the layer's number, or -1. */
static int place_of(const model_reader *r, json name, int *tensor, int *is_scale) {
    char text[LAYER_NAME_MAX + SUFFIX_MAX];
    int64_t length = json_text(name, text, sizeof text);
    char *dot = length < 0 ? NULL : strchr(text, '.');
    if (!dot) {
        return -1;
    }
    *dot = '\0';
    int number = find_layer(r->d, text);
    char *suffix = dot + 1, *scale = strstr(suffix, ".scale");
    *is_scale = scale && scale[6] == '\0';
    if (*is_scale) {
        *scale = '\0';
    }
    for (*tensor = 0; number >= 0 && *tensor < r->slots[number].count; ++*tensor) {
        const tensor_shape *shape = &r->slots[number].shapes[*tensor];
        int has_scale = shape->may_be_8_bits && r->d->layers[number].in_8_bits;
        if (!strcmp(shape->suffix, suffix) && (!*is_scale || has_scale)) {
            return number;
        }
    }
    return -1;
}

static int compare_spans(const void *a, const void *b) {
    const struct span *x = a, *y = b;
    const char *one = x->begin == y->begin ? x->end : x->begin, *other = x->begin == y->begin ? y->end : y->begin;
    return one < other ? -1 : one > other;
}

static int follow_each_other(struct span *spans, int count, const safetensors *file) {
    const char *end = file->data;
    qsort(spans, (size_t)count, sizeof *spans, compare_spans);
    for (int i = 0; i < count; end = spans[i++].end) {
        if (spans[i].begin != end) {
            return 0;
        }
    }
    return end == file->data + file->size;
}

static int collect(model_reader *r, const safetensors *file) {
    json_walk walk = {file->header, NULL};
    stored_tensor t;
    int found, tensor, is_scale;
    int count = 0;
    char shown[JSON_SHOWN];
    for (int i = 0; i < r->d->layer_count; i++) {
        const layer_description *l = &r->d->layers[i];
        r->slots[i].count = l->kind->tensors ? l->kind->tensors(l, r->slots[i].shapes) : 0;
    }
    while ((found = safetensors_next(file, &walk, &t, r->error)) > 0) {
        int number = place_of(r, t.name, &tensor, &is_scale);
        if (number < 0) {
            error_say(r->error, "%s: found this field, expected none of that name", json_shown_name(t.name, shown));
            return 0;
        }
        slots *s = &r->slots[number];
        int *is_found = &(is_scale ? s->found_scale : s->found)[tensor];
        if (*is_found) {
            return safetensors_damaged(r->error, "a name is there twice");
        }
        *is_found = 1;
        (is_scale ? s->scales : s->tensors)[tensor] = t;
        r->spans[count++] = (struct span){t.data, (const char *)t.data + t.bytes};
    }
    if (found == 0 && !follow_each_other(r->spans, count, file)) {
        return safetensors_damaged(r->error, "tensors overlap or leave a gap");
    }
    return found == 0;
}

#define SHAPE_SHOWN 96

/* As Python writes it: (34,) or (8, 70). More than three dimensions are cut. */
static const char *shape_shown(const int64_t *shape, int dimensions, char to[SHAPE_SHOWN]) {
    int length = snprintf(to, SHAPE_SHOWN, "(");
    for (int axis = 0; axis < dimensions && axis < 3; axis++) {
        const char *between = axis ? " " : "", *behind = axis + 1 < dimensions || dimensions == 1 ? "," : "";
        length +=
            snprintf(to + length, (size_t)(SHAPE_SHOWN - length), "%s%lld%s", between, (long long)shape[axis], behind);
    }
    snprintf(to + length, (size_t)(SHAPE_SHOWN - length), dimensions > 3 ? " ...)" : ")");
    return to;
}

static int check_shape(model_reader *r, const char *name, const stored_tensor *t, const int64_t *shape,
                       int dimensions) {
    int same = t->dimensions == dimensions;
    for (int axis = 0; axis < dimensions && same; axis++) {
        same = t->shape[axis] == shape[axis];
    }
    if (!same) {
        char expected[SHAPE_SHOWN], found[SHAPE_SHOWN];
        error_say(r->error, "%s: expected shape %s, found %s", name, shape_shown(shape, dimensions, expected),
                  shape_shown(t->shape, t->dimensions, found));
    }
    return same;
}

static int check_type(model_reader *r, const char *name, const stored_tensor *t, enum tensor_type type,
                      const char *type_name) {
    if (t->type != type) {
        error_say(r->error, "%s: expected type %s, found %s", name, type_name, t->type_name);
    }
    return t->type == type;
}

static int check_integers(model_reader *r, const char *name, const stored_tensor *t) {
    const signed char *integers = t->data;
    for (size_t i = 0; i < t->bytes; i++) {
        if (integers[i] < WEIGHT_8_BITS_MIN) {
            error_say(r->error, "%s: expected integers from -127 to 127, found -128: the file is damaged", name);
            return 0;
        }
    }
    return 1;
}

static int check_floats(model_reader *r, const char *name, const stored_tensor *t, float least, float most,
                        const char *range) {
    tensor values = {t->data, NULL};
    for (size_t i = 0; i < t->bytes / sizeof(float); i++) {
        float value = tensor_float(&values, i);
        if (!(value >= least && value <= most)) {
            error_say(r->error, "%s: expected %s, found others: the file is damaged", name, range);
            return 0;
        }
    }
    return 1;
}

static int bind_tensor(model_reader *r, int number, int i) {
    layer_description *l = &r->d->layers[number];
    slots *s = &r->slots[number];
    const tensor_shape *shape = &s->shapes[i];
    char name[LAYER_NAME_MAX + SUFFIX_MAX], scale_name[LAYER_NAME_MAX + SUFFIX_MAX + 8];
    snprintf(name, sizeof name, "%s.%s", l->name, shape->suffix);
    snprintf(scale_name, sizeof scale_name, "%s.scale", name);
    if (!s->found[i]) {
        error_say(r->error, "%s: expected this field, found none", name);
        return 0;
    }
    if (!check_shape(r, name, &s->tensors[i], shape->shape, shape->dimensions)) {
        return 0;
    }
    l->tensors[i] = (tensor){s->tensors[i].data, NULL};
    int is_matrix = shape->may_be_8_bits && l->in_8_bits;
    /* files of format 1 could hold their matrices in single precision */
    if (!is_matrix || (r->version == 1 && s->tensors[i].type == TYPE_F32 && !s->found_scale[i])) {
        return check_type(r, name, &s->tensors[i], TYPE_F32, "F32") &&
               check_floats(r, name, &s->tensors[i], -WEIGHT_MAX, WEIGHT_MAX, "finite numbers up to 1e+06");
    }
    if (!check_type(r, name, &s->tensors[i], TYPE_I8, "I8")) {
        return 0;
    }
    if (!s->found_scale[i]) {
        error_say(r->error, "%s: expected this field, found none", scale_name);
        return 0;
    }
    l->tensors[i].scale = s->scales[i].data;
    return check_integers(r, name, &s->tensors[i]) && check_shape(r, scale_name, &s->scales[i], shape->shape, 1) &&
           check_type(r, scale_name, &s->scales[i], TYPE_F32, "F32") &&
           check_floats(r, scale_name, &s->scales[i], 0.0f, SCALE_MAX, "numbers from 0 to 1");
}

static int bind_tensors(model_reader *r) {
    for (int number = 0; number < r->d->layer_count; number++) {
        for (int i = 0; i < r->slots[number].count; i++) {
            if (!bind_tensor(r, number, i)) {
                return 0;
            }
        }
    }
    return 1;
}

/* The description is JSON in a string of the JSON of the header. */
static int read_description(model_reader *r, const safetensors *file) {
    json text = json_member(json_member(file->header, "__metadata__"), FORMAT);
    if (!json_is_string(text)) {
        error_say(r->error, "metadata: expected an entry '" FORMAT "', found none: not a percepnet model");
        return 0;
    }
    size_t capacity = (size_t)(text.end - text.start) + 1;
    char *inner = malloc(capacity);
    int64_t length = inner ? json_text(text, inner, capacity) : -1;
    json header = length < 0 ? (json){NULL, NULL} : json_check(inner, (size_t)length);
    int fits = 0;
    if (!inner) {
        error_say(r->error, "out of memory: free some");
    } else if (!json_is_object(header)) {
        error_say(r->error, "metadata: expected a JSON object, found something else: not a percepnet model");
    } else {
        fits = read_header(r, header);
    }
    free(inner);
    return fits;
}

int model_file_read(const void *data, size_t size, model_description *description, percepnet_error *error) {
    safetensors file;
    model_reader *r;
    memset(description, 0, sizeof *description);
    if (!safetensors_open(&file, data, size, error)) {
        return 0;
    }
    r = calloc(1, sizeof *r);
    if (!r) {
        error_say(error, "out of memory: free some");
        return 0;
    }
    r->d = description;
    r->error = error;
    int fits = read_description(r, &file) && collect(r, &file) && bind_tensors(r);
    free(r);
    return fits;
}
