/* The tensors of a model file: all that the layers have, and no others. */

#include <string.h>

#include "file/model_reader.h"

#define WEIGHT_MAX 1e6f /* beyond, products could overflow, and no training ends there */
#define SCALE_MAX 1.0f
#define SUFFIX_MAX 32
#define WEIGHT_8_BITS_MIN (-127) /* products of -128 do not fit the sums of the kernels */

/* Split "LAYER.suffix" or "LAYER.suffix.scale"; the layer's number, or -1. */
static int place_of(const model_reader *r, json name, int *tensor, int *is_scale) {
    char text[LAYER_NAME_MAX + SUFFIX_MAX];
    int64_t length = json_text(name, text, sizeof text);
    char *dot = length < 0 ? NULL : strchr(text, '.');
    if (!dot) {
        return -1;
    }
    *dot = '\0';
    int number = model_find_layer(r->d, text);
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

static int is_before(struct span x, struct span y) {
    return x.begin < y.begin || (x.begin == y.begin && x.end < y.end);
}

/* There are a few hundred at most, and they mostly stand in order: no need of a library's sorting. */
static void sort_spans(struct span *spans, int count) {
    for (int i = 1; i < count; i++) {
        struct span moved = spans[i];
        int to = i;
        for (; to > 0 && is_before(moved, spans[to - 1]); to--) {
            spans[to] = spans[to - 1];
        }
        spans[to] = moved;
    }
}

static int follow_each_other(struct span *spans, int count, const safetensors *file) {
    const char *end = file->data;
    sort_spans(spans, count);
    for (int i = 0; i < count; end = spans[i++].end) {
        if (spans[i].begin != end) {
            return 0;
        }
    }
    return end == file->data + file->size;
}

int model_collect_tensors(model_reader *r, const safetensors *file) {
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

int model_bind_tensors(model_reader *r) {
    for (int number = 0; number < r->d->layer_count; number++) {
        for (int i = 0; i < r->slots[number].count; i++) {
            if (!bind_tensor(r, number, i)) {
                return 0;
            }
        }
    }
    return 1;
}
