#include "write_model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network/layers.h"
#include "signal/feature_blocks.h"

/* Bytes that grow, with a zero behind them. */
typedef struct bytes {
    char *data;
    size_t size, capacity;
} bytes;

static void append(bytes *b, const void *data, size_t size) {
    if (b->size + size + 1 > b->capacity) {
        b->capacity = 2 * (b->size + size + 1);
        b->data = realloc(b->data, b->capacity);
        if (!b->data) {
            abort();
        }
    }
    memcpy(b->data + b->size, data, size);
    b->size += size;
    b->data[b->size] = '\0';
}

static void say(bytes *b, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof text) {
        abort();
    }
    append(b, text, (size_t)length);
}

static const char *name_of(const model_description *d, int layer, char to[LAYER_NAME_MAX]) {
    if (layer == FEATURES_LAYER) {
        return strcpy(to, "features");
    }
    if (d->layers[layer].name[0]) {
        return strcpy(to, d->layers[layer].name);
    }
    snprintf(to, LAYER_NAME_MAX, "layer%d", layer);
    return to;
}

/* ---- The description ---- */

static void say_layer(bytes *b, const model_description *d, int number) {
    static const char *const ACTIVATIONS[] = {"linear", "tanh", "sigmoid", "relu"};
    const layer_description *l = &d->layers[number];
    char name[LAYER_NAME_MAX];
    say(b, "%s{\"name\": \"%s\", \"kind\": \"%s\", \"inputs\": [", number ? ", " : "", name_of(d, number, name),
        l->kind->name);
    for (int i = 0; i < l->input_count; i++) {
        say(b, "%s\"%s\"", i ? ", " : "", name_of(d, l->inputs[i], name));
    }
    say(b, "]");
    if (l->kind->has_units) {
        say(b, ", \"units\": %d", l->units);
    }
    if (l->kind->has_activation) {
        say(b, ", \"activation\": \"%s\"", ACTIVATIONS[l->activation]);
    }
    if (l->kind->has_precision) {
        say(b, ", \"precision\": \"%s\"", l->in_8_bits ? "int8" : "float32");
    }
    if (l->kind->has_taps) {
        say(b, ", \"taps\": %d, \"dilation\": %d, \"depthwise\": %s", l->taps, l->dilation,
            l->depthwise ? "true" : "false");
    }
    say(b, "}");
}

static void say_signal(bytes *b, const model_description *d) {
    say(b, "\"signal\": {\"lookahead_frames\": %d, \"highpass_hz\": %.9g, \"band_edges\": [", d->lookahead_frames,
        (double)d->highpass_hz);
    for (int band = 0; band < d->bands; band++) {
        say(b, "%s%d", band ? ", " : "", (int)d->band_edges[band]);
    }
    say(b, "]}, \"features\": [");
    for (int i = 0; i < d->feature_block_count; i++) {
        say(b, "%s\"%s\"", i ? ", " : "", feature_block_name((int)d->feature_blocks[i]));
    }
    say(b, "]");
}

static void say_heads(bytes *b, const model_description *d) {
    char name[LAYER_NAME_MAX];
    say(b, "\"heads\": {\"gains\": \"%s\"", name_of(d, d->gains, name));
    say(b, ", \"strengths\": \"%s\"", name_of(d, d->strengths, name));
    if (d->speech != FEATURES_LAYER) {
        say(b, ", \"speech\": \"%s\"", name_of(d, d->speech, name));
    }
    say(b, "}");
}

char *write_description(const model_description *d) {
    bytes b = {NULL, 0, 0};
    say(&b, "{\"format_version\": 2, \"family\": \"percepnet\", \"inputs\": [\"near\"], ");
    say_signal(&b, d);
    say(&b, ", \"layers\": [");
    for (int i = 0; i < d->layer_count; i++) {
        say_layer(&b, d, i);
    }
    say(&b, "], ");
    say_heads(&b, d);
    say(&b, ", \"info\": {\"by\": \"a test\"}}");
    return b.data;
}

/* ---- The tensors ---- */

static size_t count_of(const tensor_shape *shape) {
    size_t count = 1;
    for (int axis = 0; axis < shape->dimensions; axis++) {
        count *= (size_t)shape->shape[axis];
    }
    return count;
}

static void say_tensor(bytes *header, bytes *body, const char *name, const char *type, const tensor_shape *shape,
                       int dimensions, const void *data, size_t size) {
    say(header, ", \"%s\": {\"dtype\": \"%s\", \"shape\": [", name, type);
    for (int axis = 0; axis < dimensions; axis++) {
        say(header, "%s%lld", axis ? ", " : "", (long long)shape->shape[axis]);
    }
    say(header, "], \"data_offsets\": [%zu, %zu]}", body->size, body->size + size);
    append(body, data, size);
}

static void say_tensors(bytes *header, bytes *body, const model_description *d, int layer) {
    const layer_description *l = &d->layers[layer];
    tensor_shape shapes[TENSORS_MAX];
    int count = l->kind->tensors ? l->kind->tensors(l, shapes) : 0;
    char owner[LAYER_NAME_MAX], name[LAYER_NAME_MAX + 40];
    for (int i = 0; i < count; i++) {
        const tensor *t = &l->tensors[i];
        size_t numbers = count_of(&shapes[i]), bytes_each = t->scale ? 1 : sizeof(float);
        snprintf(name, sizeof name, "%s.%s", name_of(d, layer, owner), shapes[i].suffix);
        say_tensor(header, body, name, t->scale ? "I8" : "F32", &shapes[i], shapes[i].dimensions, t->data,
                   numbers * bytes_each);
        if (t->scale) {
            snprintf(name, sizeof name, "%s.%s.scale", owner, shapes[i].suffix);
            say_tensor(header, body, name, "F32", &shapes[i], 1, t->scale, sizeof(float) * (size_t)shapes[i].shape[0]);
        }
    }
}

model_bytes write_container(const char *header, const void *body, size_t size) {
    bytes b = {NULL, 0, 0};
    uint64_t length = strlen(header);
    for (int i = 0; i < 8; i++) {
        char byte = (char)(length >> 8 * i & 0xff);
        append(&b, &byte, 1);
    }
    append(&b, header, (size_t)length);
    append(&b, body, size);
    return (model_bytes){b.data, b.size};
}

model_bytes write_file(const char *description, const model_description *d) {
    bytes header = {NULL, 0, 0}, body = {NULL, 0, 0};
    say(&header, "{\"__metadata__\": {\"percepnet\": \"");
    for (const char *at = description; *at; at++) {
        if (*at == '"' || *at == '\\') {
            append(&header, "\\", 1);
        }
        append(&header, at, 1);
    }
    say(&header, "\"}");
    for (int i = 0; i < d->layer_count; i++) {
        say_tensors(&header, &body, d, i);
    }
    say(&header, "}");
    model_bytes file = write_container(header.data, body.data, body.size);
    free(header.data);
    free(body.data);
    return file;
}

model_bytes write_model(const model_description *d) {
    char *description = write_description(d);
    model_bytes file = write_file(description, d);
    free(description);
    return file;
}

static void make_tensor_storable(const tensor *t, size_t count, size_t rows) {
    /* it belongs to the test network, which only hands it out as constant */
    int8_t *integers = (int8_t *)(uintptr_t)t->data;
    char *scales = (char *)(uintptr_t)t->scale;
    for (size_t i = 0; i < count; i++) {
        integers[i] = integers[i] < -127 ? -127 : integers[i];
    }
    for (size_t row = 0; row < rows; row++) {
        float scale;
        memcpy(&scale, scales + sizeof scale * row, sizeof scale);
        scale = fabsf(scale);
        memcpy(scales + sizeof scale * row, &scale, sizeof scale);
    }
}

void make_storable(test_network *n) {
    for (int layer = 0; layer < n->description.layer_count; layer++) {
        const layer_description *l = &n->description.layers[layer];
        tensor_shape shapes[TENSORS_MAX];
        int count = l->kind->tensors ? l->kind->tensors(l, shapes) : 0;
        for (int i = 0; i < count; i++) {
            if (l->tensors[i].scale) {
                make_tensor_storable(&l->tensors[i], count_of(&shapes[i]), (size_t)shapes[i].shape[0]);
            }
        }
    }
}
