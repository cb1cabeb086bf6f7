#include "file/model_file.h"

#include <stdlib.h>
#include <string.h>

#include "file/model_reader.h"
#include "signal/feature_blocks.h"

#define FORMAT "percepnet"
#define FORMAT_VERSION 2

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

static int read_format_2(model_reader *r, json header) {
    json requires = json_member(header, "requires"), inputs = json_member(header, "inputs"), item = requires;
    json_walk wanted = {requires, NULL}, named = {inputs, NULL};
    char shown[JSON_SHOWN];
    int known = !requires.start || json_is_array(requires);
    while (known && json_next(&wanted, NULL, &item)) {
        known = json_equals(item, "bins"); /* a network for bins */
    }
    if (!known) {
        error_say(r->error, "requires: expected nothing unknown, found %s: use a newer percepnet",
                  json_shown(item, shown));
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
    if (!model_read_signal(r, "signal", json_member(header, "signal")) ||
        !model_read_features(r, json_member(header, "features"))) {
        return 0;
    }
    r->feature_count = feature_layout_of(r->d->feature_blocks, r->d->feature_block_count, r->d->bands).count;
    return model_read_layers(r, json_member(header, "layers")) && model_read_heads(r, json_member(header, "heads")) &&
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
        int number = model_find_layer(r->d, a->inputs[l->input_count]); /* -1 for the features */
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
    l->source = FEATURES_LAYER;
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
        !has_members(r, "architecture", sizes, SIZES, 5) || !model_read_signal(r, "params", params)) {
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
    r->d->gains = model_find_layer(r->d, "gain");
    r->d->strengths = model_find_layer(r->d, "strength");
    r->d->speech = r->d->shape = FEATURES_LAYER;
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
    int fits = read_description(r, &file) && model_collect_tensors(r, &file) && model_bind_tensors(r);
    free(r);
    return fits;
}
