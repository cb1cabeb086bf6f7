#include "file/safetensors.h"

#include <string.h>

#include "error.h"

#define METADATA "__metadata__"
#define HEADER_MAX 100000000u /* as safetensors itself */

int safetensors_damaged(percepnet_error *error, const char *why) {
    error_say(error, "not a whole safetensors file (%s); copy or download it again", why);
    return 0;
}

static int count_members(json object, const char *name) {
    json_walk walk = {object, NULL};
    json key, item;
    int count = 0;
    while (json_next(&walk, &key, &item)) {
        count += json_equals(key, name);
    }
    return count;
}

int safetensors_open(safetensors *file, const void *data, size_t size, percepnet_error *error) {
    const unsigned char *bytes = data;
    if (size < 9 || bytes[8] != '{') {
        error_say(error, "expected a safetensors file, found %llu bytes of something else: not a percepnet model",
                  (unsigned long long)size);
        return 0;
    }
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--) {
        length = length << 8 | bytes[i];
    }
    if (length > size - 8) {
        error_say(error, "header: expected %llu bytes, found %llu: the file is truncated; copy it again",
                  (unsigned long long)length, (unsigned long long)(size - 8));
        return 0;
    }
    if (length > HEADER_MAX) {
        return safetensors_damaged(error, "header too large");
    }
    file->header = json_check((const char *)data + 8, (size_t)length);
    file->data = (const char *)data + 8 + length;
    file->size = size - 8 - (size_t)length;
    if (!json_is_object(file->header)) {
        return safetensors_damaged(error, "header is not JSON");
    }
    return count_members(file->header, METADATA) <= 1 ? 1 : safetensors_damaged(error, "a name is there twice");
}

static enum tensor_type type_of(json value, char name[8]) {
    if (json_text(value, name, 8) < 0) {
        strcpy(name, "?");
    }
    for (char *at = name; *at; at++) {
        *at = *at >= ' ' && *at <= '~' ? *at : '?';
    }
    return !strcmp(name, "F32") ? TYPE_F32 : !strcmp(name, "I8") ? TYPE_I8 : TYPE_OTHER;
}

/* Numbers of the shape; -1 if it is none. */
static int64_t read_shape(json value, stored_tensor *t) {
    json_walk walk = {value, NULL};
    json item;
    int64_t count = 1;
    t->dimensions = 0;
    if (!json_is_array(value)) {
        return -1;
    }
    while (json_next(&walk, NULL, &item)) {
        int64_t length;
        if (!json_integer(item, &length) || length < 0 || (length > 0 && count > INT64_MAX / length)) {
            return -1;
        }
        if (t->dimensions < 3) {
            t->shape[t->dimensions] = length;
        }
        t->dimensions += t->dimensions < 4;
        count *= length;
    }
    return count;
}

static int read_offsets(json value, int64_t *begin, int64_t *end) {
    json_walk walk = {value, NULL};
    json first, second, more;
    return json_is_array(value) && json_next(&walk, NULL, &first) && json_next(&walk, NULL, &second) &&
           !json_next(&walk, NULL, &more) && json_integer(first, begin) && json_integer(second, end);
}

int safetensors_next(const safetensors *file, json_walk *walk, stored_tensor *t, percepnet_error *error) {
    json entry;
    do {
        if (!json_next(walk, &t->name, &entry)) {
            return 0;
        }
    } while (json_equals(t->name, METADATA));
    int64_t begin, end, count = read_shape(json_member(entry, "shape"), t);
    t->type = type_of(json_member(entry, "dtype"), t->type_name);
    if (count < 0 || !read_offsets(json_member(entry, "data_offsets"), &begin, &end)) {
        safetensors_damaged(error, "the entry of a tensor is damaged");
        return -1;
    }
    if (begin < 0 || end < begin || (uint64_t)end > file->size) {
        safetensors_damaged(error, "a tensor lies outside the file");
        return -1;
    }
    int64_t bytes = t->type == TYPE_F32 ? 4 : 1;
    if (t->type != TYPE_OTHER && (count > INT64_MAX / bytes || end - begin != count * bytes)) {
        safetensors_damaged(error, "a tensor is longer or shorter than its shape");
        return -1;
    }
    t->data = file->data + begin;
    t->bytes = (size_t)(end - begin);
    return 1;
}
