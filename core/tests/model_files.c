#include "model_files.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const written_tensor EVERY_TENSOR[] = {
    {"first.weight", "F32", 2, {4, 5, 0}},
    {"first.bias", "F32", 1, {4, 0, 0}},
    {"short.weight", "I8", 3, {4, 4, 2}},
    {"short.weight.scale", "F32", 1, {4, 0, 0}},
    {"short.bias", "F32", 1, {4, 0, 0}},
    {"alone.weight", "F32", 3, {4, 1, 3}},
    {"alone.bias", "F32", 1, {4, 0, 0}},
    {"even.weight", "F32", 1, {4, 0, 0}},
    {"even.bias", "F32", 1, {4, 0, 0}},
    {"slow.weight_ih", "I8", 2, {6, 4, 0}},
    {"slow.weight_ih.scale", "F32", 1, {6, 0, 0}},
    {"slow.weight_hh", "I8", 2, {6, 2, 0}},
    {"slow.weight_hh.scale", "F32", 1, {6, 0, 0}},
    {"slow.bias_ih", "F32", 1, {6, 0, 0}},
    {"slow.bias_hh", "F32", 1, {6, 0, 0}},
    {"quick.weight", "F32", 2, {4, 4, 0}},
    {"quick.bias", "F32", 1, {4, 0, 0}},
    {"gain.weight", "F32", 2, {3, 4, 0}},
    {"gain.bias", "F32", 1, {3, 0, 0}},
    {"strength.weight", "F32", 2, {3, 4, 0}},
    {"strength.bias", "F32", 1, {3, 0, 0}},
    {"voice.weight", "F32", 2, {1, 2, 0}},
    {"voice.bias", "F32", 1, {1, 0, 0}},
    {"of_bin.weight", "F32", 2, {6, 48, 0}},
    {"of_bin.bias", "F32", 1, {6, 0, 0}},
    {"lowered.weight", "F32", 2, {1, 3, 0}},
    {"lowered.bias", "F32", 1, {1, 0, 0}},
};

const written_model EVERY_KIND = {
    "{\"format_version\": 2, \"family\": \"percepnet\", \"inputs\": [\"near\"], \"signal\": {\"lookahead_frames\": 1,"
    " \"band_edges\": [0, 8, 400], \"highpass_hz\": 30.5}, \"features\": [\"pitch\", \"band_levels\"], \"layers\": ["
    "{\"name\": \"first\", \"kind\": \"dense\", \"inputs\": [\"features\"], \"units\": 4, \"activation\": \"relu\"},"
    "{\"name\": \"short\", \"kind\": \"convolution\", \"inputs\": [\"first\"], \"units\": 4, \"activation\": \"tanh\","
    " \"precision\": \"int8\", \"taps\": 2, \"dilation\": 2},"
    "{\"name\": \"alone\", \"kind\": \"convolution\", \"inputs\": [\"short\"], \"units\": 4, \"taps\": 3,"
    " \"depthwise\": true},"
    "{\"name\": \"both\", \"kind\": \"sum\", \"inputs\": [\"short\", \"alone\"]},"
    "{\"name\": \"even\", \"kind\": \"normalisation\", \"inputs\": [\"both\"]},"
    "{\"name\": \"slow\", \"kind\": \"gru\", \"inputs\": [\"even\"], \"units\": 2, \"precision\": \"int8\","
    " \"memory\": 2000},"
    "{\"name\": \"quick\", \"kind\": \"gated_recurrence\", \"inputs\": [\"even\"], \"units\": 2},"
    "{\"name\": \"all\", \"kind\": \"concatenation\", \"inputs\": [\"slow\", \"quick\"]},"
    "{\"name\": \"gain\", \"kind\": \"dense\", \"inputs\": [\"all\"], \"units\": \"bands\","
    " \"activation\": \"sigmoid\"},"
    "{\"name\": \"strength\", \"kind\": \"dense\", \"inputs\": [\"all\"], \"units\": \"bands\","
    " \"activation\": \"sigmoid\"},"
    "{\"name\": \"voice\", \"kind\": \"dense\", \"inputs\": [\"slow\"], \"units\": 1, \"activation\": \"sigmoid\"},"
    "{\"name\": \"of_bin\", \"kind\": \"gated_recurrence\", \"inputs\": [\"bins\"], \"units\": 3},"
    "{\"name\": \"lowered\", \"kind\": \"dense\", \"inputs\": [\"of_bin\"], \"units\": 1}],"
    " \"heads\": {\"gains\": \"gain\", \"strengths\": \"strength\", \"speech\": \"voice\", \"shape\": \"lowered\"},"
    " \"info\": {\"corpus\": \"wei\\u00dfes Rauschen \\ud83d\\ude00\"}}",
    EVERY_TENSOR,
    (int)(sizeof EVERY_TENSOR / sizeof *EVERY_TENSOR),
};

/* All layers with two units, of two bands. */
static const written_tensor ARTICLE_TENSOR[] = {
    {"dense.weight", "F32", 2, {2, 6, 0}},
    {"dense.bias", "F32", 1, {2, 0, 0}},
    {"conv1.weight", "I8", 3, {2, 2, 5}},
    {"conv1.weight.scale", "F32", 1, {2, 0, 0}},
    {"conv1.bias", "F32", 1, {2, 0, 0}},
    {"conv2.weight", "F32", 3, {2, 2, 3}}, /* the first format allowed it */
    {"conv2.bias", "F32", 1, {2, 0, 0}},
    {"gru1.weight_ih", "I8", 2, {6, 2, 0}},
    {"gru1.weight_ih.scale", "F32", 1, {6, 0, 0}},
    {"gru1.weight_hh", "I8", 2, {6, 2, 0}},
    {"gru1.weight_hh.scale", "F32", 1, {6, 0, 0}},
    {"gru1.bias_ih", "F32", 1, {6, 0, 0}},
    {"gru1.bias_hh", "F32", 1, {6, 0, 0}},
    {"gru2.weight_ih", "I8", 2, {6, 2, 0}},
    {"gru2.weight_ih.scale", "F32", 1, {6, 0, 0}},
    {"gru2.weight_hh", "I8", 2, {6, 2, 0}},
    {"gru2.weight_hh.scale", "F32", 1, {6, 0, 0}},
    {"gru2.bias_ih", "F32", 1, {6, 0, 0}},
    {"gru2.bias_hh", "F32", 1, {6, 0, 0}},
    {"gru3.weight_ih", "I8", 2, {6, 2, 0}},
    {"gru3.weight_ih.scale", "F32", 1, {6, 0, 0}},
    {"gru3.weight_hh", "I8", 2, {6, 2, 0}},
    {"gru3.weight_hh.scale", "F32", 1, {6, 0, 0}},
    {"gru3.bias_ih", "F32", 1, {6, 0, 0}},
    {"gru3.bias_hh", "F32", 1, {6, 0, 0}},
    {"gain_gru.weight_ih", "I8", 2, {6, 2, 0}},
    {"gain_gru.weight_ih.scale", "F32", 1, {6, 0, 0}},
    {"gain_gru.weight_hh", "I8", 2, {6, 2, 0}},
    {"gain_gru.weight_hh.scale", "F32", 1, {6, 0, 0}},
    {"gain_gru.bias_ih", "F32", 1, {6, 0, 0}},
    {"gain_gru.bias_hh", "F32", 1, {6, 0, 0}},
    {"strength_gru.weight_ih", "I8", 2, {6, 4, 0}},
    {"strength_gru.weight_ih.scale", "F32", 1, {6, 0, 0}},
    {"strength_gru.weight_hh", "I8", 2, {6, 2, 0}},
    {"strength_gru.weight_hh.scale", "F32", 1, {6, 0, 0}},
    {"strength_gru.bias_ih", "F32", 1, {6, 0, 0}},
    {"strength_gru.bias_hh", "F32", 1, {6, 0, 0}},
    {"gain.weight", "F32", 2, {2, 10, 0}},
    {"gain.bias", "F32", 1, {2, 0, 0}},
    {"strength.weight", "F32", 2, {2, 2, 0}},
    {"strength.bias", "F32", 1, {2, 0, 0}},
};

const written_model FORMAT_1 = {
    "{\"format_version\": 1, \"params\": {\"lookahead_frames\": 2, \"band_edges\": [0, 400]}, \"architecture\":"
    " {\"dense\": 2, \"conv1\": 2, \"conv2\": 2, \"gru\": 2, \"strength_gru\": 2}, \"info\": {}}",
    ARTICLE_TENSOR,
    (int)(sizeof ARTICLE_TENSOR / sizeof *ARTICLE_TENSOR),
};

/* What is written, and where to. */
typedef struct place {
    char *to;
    size_t size;
} place;

static void put(place *p, const char *text, size_t size) {
    if (size > WRITTEN_MAX - p->size) {
        abort(); /* a test that is larger than its room */
    }
    memcpy(p->to + p->size, text, size);
    p->size += size;
}

static void put_text(place *p, const char *text) { put(p, text, strlen(text)); }

/* A string of JSON: what is not ASCII stays as it is, so that damaged text stays damaged. */
static void put_string(place *p, const char *text, size_t size) {
    char escape[8];
    put_text(p, "\"");
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"' || text[i] == '\\') {
            put_text(p, "\\");
        }
        if ((unsigned char)text[i] < 0x20) {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)text[i]);
            put_text(p, escape);
        } else {
            put(p, text + i, 1);
        }
    }
    put_text(p, "\"");
}

static size_t bytes_of(const written_tensor *t) {
    size_t bytes = strcmp(t->type, "I8") == 0 ? 1 : sizeof(float);
    for (int axis = 0; axis < t->dimensions; axis++) {
        bytes *= (size_t)t->shape[axis];
    }
    return bytes;
}

static void put_tensor(place *p, const written_tensor *t, size_t begin) {
    char text[160];
    snprintf(text, sizeof text, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%d", t->name, t->type, t->shape[0]);
    put_text(p, text);
    for (int axis = 1; axis < t->dimensions; axis++) {
        snprintf(text, sizeof text, ",%d", t->shape[axis]);
        put_text(p, text);
    }
    snprintf(text, sizeof text, "],\"data_offsets\":[%zu,%zu]}", begin, begin + bytes_of(t));
    put_text(p, text);
}

/* Numbers that any tensor may have, scales too. */
static void put_data(place *p, const written_tensor *t, uint32_t *state) {
    size_t step = strcmp(t->type, "I8") == 0 ? 1 : sizeof(float);
    for (size_t done = 0; done < bytes_of(t); done += step) {
        *state = *state * 1664525u + 1013904223u;
        float number = (float)(*state >> 8) / 33554432.0f;
        char integer = (char)(signed char)((int)(*state >> 24) % 255 - 127);
        put(p, step == 1 ? &integer : (const char *)&number, step);
    }
}

size_t model_file_join(const char *header, size_t header_size, const char *data, size_t data_size, char *to) {
    place p = {to, 0};
    for (int i = 0; i < 8; i++) {
        char byte = (char)(unsigned char)((uint64_t)header_size >> 8 * i);
        put(&p, &byte, 1);
    }
    put(&p, header, header_size);
    put(&p, data, data_size);
    return p.size;
}

size_t model_file_write(const written_model *model, const char *text, size_t text_size, char *to) {
    static char header[WRITTEN_MAX], data[WRITTEN_MAX];
    place h = {header, 0}, d = {data, 0};
    uint32_t state = 1;
    put_text(&h, "{\"__metadata__\":{\"percepnet\":");
    put_string(&h, text, text_size);
    put_text(&h, "}");
    for (int i = 0; i < model->tensor_count; i++) {
        put_tensor(&h, &model->tensors[i], d.size);
        put_data(&d, &model->tensors[i], &state);
    }
    put_text(&h, "}");
    while (h.size % 8) {
        put_text(&h, " ");
    }
    return model_file_join(header, h.size, data, d.size, to);
}
