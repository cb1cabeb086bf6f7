#include "safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

#define METADATA "__metadata__"
#define HEADER_MAX 100000000u /* as safetensors itself */

typedef struct span {
    int64_t begin, end;
} span;

static int damaged(percepnet_error *error, const char *found, json name) {
    char shown[JSON_SHOWN];
    error_say(error, "header: expected a whole safetensors file, found %s%s; copy or download it again",
              name.start ? json_plain(name, shown) : "", found);
    return 0;
}

/* ---- Entries ---- */

static enum tensor_type type_of(json value, char name[8]) {
    if (json_text(value, name, 8) < 0) {
        strcpy(name, "another");
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

static int read_span(json value, span *s) {
    json_walk walk = {value, NULL};
    json first, second, more;
    return json_is_array(value) && json_next(&walk, NULL, &first) && json_next(&walk, NULL, &second) &&
           !json_next(&walk, NULL, &more) && json_integer(first, &s->begin) && json_integer(second, &s->end);
}

static int next_entry(json_walk *walk, json *name, json *entry) {
    do {
        if (!json_next(walk, name, entry)) {
            return 0;
        }
    } while (json_equals(*name, METADATA));
    return 1;
}

/* NULL, or what is wrong with it. */
static const char *read_entry(const safetensors *file, json entry, stored_tensor *t, span *s) {
    int64_t count = read_shape(json_member(entry, "shape"), t);
    t->type = type_of(json_member(entry, "dtype"), t->type_name);
    if (count < 0 || !json_is_string(json_member(entry, "dtype")) ||
        !read_span(json_member(entry, "data_offsets"), s)) {
        return " with an entry that is none";
    }
    if (s->begin < 0 || s->end < s->begin || (uint64_t)s->end > file->size) {
        return " outside the file";
    }
    int64_t bytes = t->type == TYPE_F32 ? 4 : 1;
    if (t->type != TYPE_OTHER && (count > INT64_MAX / bytes || s->end - s->begin != count * bytes)) {
        return " longer or shorter than its shape";
    }
    t->data = file->data + s->begin;
    return NULL;
}

/* ---- The whole ---- */

static int compare(const void *a, const void *b) {
    const span *x = a, *y = b;
    if (x->begin != y->begin) {
        return x->begin < y->begin ? -1 : 1;
    }
    return x->end < y->end ? -1 : x->end > y->end;
}

static int read_spans(const safetensors *file, span *spans, percepnet_error *error) {
    json_walk walk = {file->header, NULL};
    json name, entry;
    for (stored_tensor t; next_entry(&walk, &name, &entry); spans++) {
        const char *wrong = read_entry(file, entry, &t, spans);
        if (wrong) {
            return damaged(error, wrong, name);
        }
    }
    return 1;
}

static int follow_each_other(span *spans, size_t count, size_t size) {
    int64_t end = 0;
    qsort(spans, count, sizeof *spans, compare);
    for (size_t i = 0; i < count; end = spans[i++].end) {
        if (spans[i].begin != end) {
            return 0;
        }
    }
    return (uint64_t)end == size;
}

static int check_entries(const safetensors *file, percepnet_error *error) {
    const json none = {NULL, NULL};
    json_walk walk = {file->header, NULL};
    json name, entry;
    size_t count = 0;
    while (next_entry(&walk, &name, &entry)) {
        count++;
    }
    span *spans = malloc(sizeof *spans * (count + 1));
    if (!spans) {
        error_say(error, "memory: expected %zu bytes, found fewer: free some", sizeof *spans * (count + 1));
        return 0;
    }
    int fits = read_spans(file, spans, error);
    if (fits && !follow_each_other(spans, count, file->size)) {
        fits = damaged(error, "tensors that overlap or leave a gap", none);
    }
    free(spans);
    return fits;
}

static uint64_t read_length(const unsigned char *bytes) {
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--) {
        length = length << 8 | bytes[i];
    }
    return length;
}

int safetensors_open(safetensors *file, const void *data, size_t size, percepnet_error *error) {
    const unsigned char *bytes = data;
    if (size < 9 || bytes[8] != '{') {
        error_say(error, "file: expected a safetensors file, found %llu bytes of something else: not a percepnet model",
                  (unsigned long long)size);
        return 0;
    }
    uint64_t length = read_length(bytes);
    if (length > size - 8) {
        error_say(error, "header: expected %llu bytes, found %llu: the file is truncated; copy it again",
                  (unsigned long long)length, (unsigned long long)(size - 8));
        return 0;
    }
    if (length > HEADER_MAX) {
        error_say(error, "header: expected at most %u bytes, found %llu: not a percepnet model", HEADER_MAX,
                  (unsigned long long)length);
        return 0;
    }
    file->header = json_check((const char *)data + 8, (size_t)length);
    file->data = (const char *)data + 8 + length;
    file->size = size - 8 - (size_t)length;
    if (!json_is_object(file->header)) {
        return damaged(error, "what is no JSON", file->header);
    }
    return check_entries(file, error);
}

int safetensors_next(const safetensors *file, json_walk *walk, stored_tensor *t) {
    json entry;
    span s;
    return next_entry(walk, &t->name, &entry) && !read_entry(file, entry, t, &s);
}
