/* Whatever stands in a model file, it is either a model that fits together or refused in one line, and nothing beyond its
   end is read.

       fuzz_model_file SECONDS [SEED]    damaged files, from a seed on; 0 seconds repeat the one of a seed
       clang -fsanitize=fuzzer -DFUZZ_LIBFUZZER ...    files of libFuzzer's

   core/check.sh runs it under the sanitizers for a while. */

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "file/model_file.h"
#include "network/layers.h"
#include "percepnet.h"
#include "model_files.h"

static void require(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "failed: %s\n", what);
        abort();
    }
}

static void check_description(const model_description *d, const char *data, size_t size) {
    require(d->bands >= 2 && d->bands <= BINS && d->layer_count >= 1 && d->layer_count <= LAYERS_MAX, "sizes in range");
    require(d->gains >= 0 && d->gains < d->layer_count && d->speech < d->layer_count, "heads are layers");
    require(d->layers[d->gains].source == FEATURES_LAYER, "gains are of features");
    require(d->shape == FEATURES_LAYER || d->layers[d->shape].source == BINS_LAYER, "and the shape is of bins");
    for (int i = 0; i < d->layer_count; i++) {
        const layer_description *l = &d->layers[i];
        for (int k = 0; k < l->input_count; k++) {
            require(l->inputs[k] >= BINS_LAYER && l->inputs[k] < i, "inputs are earlier layers");
            require(l->source == (l->inputs[k] < 0 ? l->inputs[k] : d->layers[l->inputs[k]].source), "of one source");
        }
        for (int t = 0; t < TENSORS_MAX; t++) {
            const char *at = l->tensors[t].data;
            require(!at || (at >= data && at <= data + size), "tensors are in the file");
        }
    }
}

/* Whether it was a model. */
static int attempt(const void *file, size_t size) {
    static model_description d;
    percepnet_error error = {{0}};
    char *data = malloc(size ? size : 1); /* no byte more: what is read beyond is found */
    require(data != NULL, "memory for the test itself");
    if (size) {
        memcpy(data, file, size);
    }
    int fits = model_file_read(data, size, &d, &error);
    require(fits == 0 || fits == 1, "yes or no");
    require(fits || (error.message[0] && !strchr(error.message, '\n')), "a refusal is one line");
    percepnet_model *model = percepnet_model_load(data, size, NULL);
    require(!model == !fits, "a model is made of what fits, and of nothing else");
    if (fits) {
        check_description(&d, data, size);
    }
    percepnet_model_destroy(model);
    free(data);
    return fits;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    attempt(data, size);
    return 0;
}

#ifndef FUZZ_LIBFUZZER

#define TEXT_MAX 12000
#define DESCRIPTION_MAX 4000 /* as a string of JSON it can become six times as long */

static uint64_t random_state;

static uint64_t next(void) { /* splitmix64 */
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t below(size_t n) { return n ? (size_t)(next() % n) : 0; }

/* Bytes that damage makes longer and shorter, up to TEXT_MAX. */
typedef struct bytes {
    char at[TEXT_MAX];
    size_t size;
} bytes;

/* `removed` bytes at `place` become others. */
static void splice(bytes *b, size_t place, size_t removed, const char *with, size_t size) {
    if (place > b->size || removed > b->size - place || b->size - removed + size > TEXT_MAX) {
        return;
    }
    memmove(b->at + place + size, b->at + place + removed, b->size - place - removed);
    memcpy(b->at + place, with, size);
    b->size += size - removed;
}

static void flip(bytes *b) {
    if (b->size) {
        b->at[below(b->size)] ^= (char)(1 << below(8));
    }
}

static void overwrite(bytes *b) {
    char noise[8];
    uint64_t word = next();
    memcpy(noise, &word, sizeof noise);
    size_t size = 1 + below(sizeof noise);
    splice(b, below(b->size), size, noise, size);
}

static void cut_out(bytes *b) { splice(b, below(b->size), 1 + below(64), "", 0); }

static void copy_within(bytes *b) {
    char part[256];
    size_t from = below(b->size), size = 1 + below(sizeof part);
    size = size < b->size - from ? size : b->size - from;
    memcpy(part, b->at + from, size);
    splice(b, below(b->size), below(2) ? size : 0, part, size);
}

/* ---- Damage to JSON that leaves JSON, most of the time ---- */

/* The place of one of the bytes that `set` names, from a place on that is drawn; the size if there is none. */
static size_t find(const bytes *b, const char *set) {
    size_t start = below(b->size);
    for (size_t i = 0; i < b->size; i++) {
        size_t place = (start + i) % b->size;
        if (b->at[place] && strchr(set, b->at[place])) {
            return place;
        }
    }
    return b->size;
}

/* Where the value or key that begins at a place ends, brackets counted and strings skipped. */
static size_t end_of(const bytes *b, size_t place) {
    int depth = 0, in_string = 0;
    for (size_t i = place; i < b->size; i++) {
        char c = b->at[i];
        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
        } else {
            in_string = c == '"';
            depth += c == '{' || c == '[';
            depth -= c == '}' || c == ']';
        }
        if (depth < 0 || (depth == 0 && !in_string && strchr("\"}],: \n", c) != NULL)) {
            return depth < 0 || strchr(",: \n", c) ? i : i + 1;
        }
    }
    return b->size;
}

static const char *const VALUES[] = {"0",
                                     "-0",
                                     "-1",
                                     "1",
                                     "2",
                                     "3",
                                     "65",
                                     "127",
                                     "129",
                                     "256",
                                     "257",
                                     "480",
                                     "481",
                                     "4096",
                                     "4097",
                                     "2147483647",
                                     "2147483648",
                                     "4294967296",
                                     "9007199254740993",
                                     "9223372036854775807",
                                     "9223372036854775808",
                                     "18446744073709551616",
                                     "1e308",
                                     "1e309",
                                     "1e-400",
                                     "0.5",
                                     "100.00000001",
                                     "1.0",
                                     "1E2",
                                     "01",
                                     "1.",
                                     "-",
                                     "NaN",
                                     "Infinity",
                                     "null",
                                     "true",
                                     "false",
                                     "tru",
                                     "\"\"",
                                     "\"bands\"",
                                     "\"features\"",
                                     "\"first\"",
                                     "\"gain\"",
                                     "\"dense\"",
                                     "\"sum\"",
                                     "\"concatenation\"",
                                     "\"gru\"",
                                     "\"sigmoid\"",
                                     "\"int8\"",
                                     "\"I8\"",
                                     "\"F32\"",
                                     "\"F64\"",
                                     "\"\\u0000\"",
                                     "\"\\ud83d\\ude00\"",
                                     "\"\\ud800\"",
                                     "\"\\ude00\\ud83d\"",
                                     "\"\\u00e9\"",
                                     "\"\\x\"",
                                     "\"\\",
                                     "\"a\\\"]}\"",
                                     "\"\xc3\xa9\"",
                                     "\"\xed\xa0\x80\"",
                                     "\"\xff\"",
                                     "\"\n\"",
                                     "[]",
                                     "{}",
                                     "[[]]",
                                     "[0]",
                                     "{\"a\": 1}",
                                     "[\"features\", \"features\"]",
                                     "[\"near\"]",
                                     "[0, 1]",
                                     "{\"\": []}",
                                     "[[[[[[[[[[[[[[[[",
                                     "{\"a\":[{\"a\":[{\"a\":["};

static void change_value(bytes *b) {
    const char *value = VALUES[below(sizeof VALUES / sizeof *VALUES)];
    size_t place = find(b, below(4) ? "0123456789\"" : "[{");
    size_t end = place < b->size ? end_of(b, place) : place;
    splice(b, place, end - place, value, strlen(value));
}

static void change_mark(bytes *b) {
    static const char MARKS[] = "{}[]:,\"\\ \t\n0-.e";
    size_t place = find(b, "{}[]:,\"\\");
    splice(b, place, 1, MARKS + below(sizeof MARKS - 1), below(3) != 0);
}

static void drop_or_double(bytes *b) {
    char part[1024];
    size_t place = find(b, "[{\"");
    size_t end = place < b->size ? end_of(b, place) : place, size = end - place;
    if (below(2) || size > sizeof part - 1) {
        splice(b, place, size, "", 0);
        return;
    }
    memcpy(part, b->at + place, size);
    part[size] = ',';
    splice(b, place, 0, part, size + 1);
}

static void add_member(bytes *b) {
    char member[128];
    static const char *const KEYS[] = {"requires",       "units",  "taps",      "x",
                                       "format_version", "inputs", "depthwise", "dtype"};
    int size = snprintf(member, sizeof member, "\"%s\": %s,", KEYS[below(sizeof KEYS / sizeof *KEYS)],
                        VALUES[below(sizeof VALUES / sizeof *VALUES)]);
    size_t place = find(b, "{");
    splice(b, place + 1, 0, member, (size_t)size);
}

static void nest(bytes *b) {
    size_t depth = below(200), place = find(b, "0123456789\"");
    char brackets[200];
    size_t end = place < b->size ? end_of(b, place) : place;
    memset(brackets, ']', depth);
    splice(b, end, 0, brackets, depth);
    memset(brackets, '[', depth);
    splice(b, place, 0, brackets, depth);
}

/* More of the same: longer lists than anything has room for. */
static void repeat(bytes *b) {
    static char many[TEXT_MAX];
    size_t place = find(b, "0123456789\""), count = below(below(2) ? 40 : 600), filled = 0;
    size_t end = place < b->size ? end_of(b, place) : place, size = end - place;
    for (size_t i = 0; i < count && filled + size + 1 <= sizeof many; i++, filled += size + 1) {
        memcpy(many + filled, b->at + place, size);
        many[filled + size] = ',';
    }
    splice(b, place, 0, many, filled);
}

/* Where a text stands, from a place on that is drawn; the size if nowhere. */
static size_t find_text(const bytes *b, const char *text) {
    size_t start = below(b->size), length = strlen(text);
    for (size_t i = 0; i < b->size; i++) {
        size_t place = (start + i) % b->size;
        if (b->size - place >= length && !memcmp(b->at + place, text, length)) {
            return place;
        }
    }
    return b->size;
}

static size_t data_size; /* of the file that is damaged */

/* Tensors at other places of the file, at its end and beyond it, of the length that they should have or not quite. */
static void move_tensor(bytes *b, long long by_begin, long long by_end) {
    static const char KEY[] = "\"data_offsets\":[";
    char numbers[64], *after;
    size_t place = find_text(b, KEY) + sizeof KEY - 1;
    if (place >= b->size || b->size - place < sizeof numbers) {
        return;
    }
    memcpy(numbers, b->at + place, sizeof numbers);
    numbers[sizeof numbers - 1] = '\0';
    long long begin = strtoll(numbers, &after, 10);
    if (*after != ',') {
        return;
    }
    long long end = strtoll(after + 1, &after, 10);
    size_t removed = (size_t)(after - numbers);
    if (by_begin && end >= 0 && end < TEXT_MAX && below(3) == 0) { /* to the end of the file, and a little from there */
        by_end -= by_begin;
        by_begin = (long long)data_size - end - by_end;
        by_end += by_begin;
    }
    /* unsigned: what is beyond the end of the range comes back at its beginning */
    begin = (long long)((unsigned long long)begin + (unsigned long long)by_begin);
    end = (long long)((unsigned long long)end + (unsigned long long)by_end);
    int size = snprintf(numbers, sizeof numbers, "%lld,%lld", begin, end);
    splice(b, place, removed, numbers, (size_t)size);
}

static void move_tensors(bytes *b) {
    static const long long FAR[] = {1LL << 31, 1LL << 32, (1LL << 53) - 64, 1LL << 62, INT64_MAX - 200};
    long long by = (long long)below(900) - 450, little = (long long)below(13) - 6;
    switch (below(4)) {
    case 0: move_tensor(b, by, by); break;
    case 1: move_tensor(b, FAR[below(5)] + little, FAR[below(5)] + little); break;
    case 2: move_tensor(b, 0, little), move_tensor(b, 0, -little); break; /* as many bytes in all */
    default: move_tensor(b, by, by + little), move_tensor(b, 0, -little); break;
    }
}

static void damage_text(bytes *b) {
    static void (*const DAMAGES[])(bytes *) = {change_value, change_value,   change_value, change_value, change_mark,
                                               change_mark,  drop_or_double, add_member,   add_member,   nest,
                                               flip,         overwrite,      copy_within,  cut_out,      repeat,
                                               repeat,       move_tensors,   move_tensors, move_tensors};
    DAMAGES[below(sizeof DAMAGES / sizeof *DAMAGES)](b);
}

static void damage_bytes(bytes *b) {
    static void (*const DAMAGES[])(bytes *) = {flip, flip, overwrite, copy_within, cut_out};
    if (below(6) == 0) {
        b->size = below(b->size);
        return;
    }
    if (below(6) == 0 && b->size >= 8) { /* the length of the header */
        uint64_t length = below(2) ? next() >> below(64) : (uint64_t)b->size - 24 + below(32);
        memcpy(b->at, &length, sizeof length);
        return;
    }
    DAMAGES[below(sizeof DAMAGES / sizeof *DAMAGES)](b);
}

/* ---- Whole files with damage ---- */

static void set(bytes *b, const char *data, size_t size) {
    b->size = size < TEXT_MAX ? size : TEXT_MAX;
    memcpy(b->at, data, b->size);
}

/* Damage the header of a whole file, and give it its new length; the file's new size. */
static size_t damage_header(char *file, size_t size) {
    static bytes header, data;
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--) {
        length = length << 8 | (unsigned char)file[i];
    }
    set(&header, file + 8, (size_t)length);
    set(&data, file + 8 + length, size - 8 - (size_t)length);
    data_size = data.size;
    for (size_t i = 1 + below(3); i > 0; i--) {
        damage_text(&header);
    }
    if (below(16) == 0) { /* a file that ends within the header, in the middle of anything */
        static const char LAST[] = "\"\\{[:-0.eutfn\xc3\xe2\xf0";
        header.size = 1 + below(header.size);
        header.at[header.size - 1] = LAST[below(sizeof LAST - 1)];
        data.size = 0;
    }
    return model_file_join(header.at, header.size, data.at, data.size, file);
}

static void damaged_file(bytes *file) {
    static char written[WRITTEN_MAX];
    static bytes text;
    const written_model *model = below(3) ? &EVERY_KIND : &FORMAT_1;
    size_t where = below(8); /* 0 to 3: the description; 3 to 6: the header around it; 6 and 7: the whole file */
    set(&text, model->text, strlen(model->text));
    for (size_t i = where < 4 ? 1 + below(3) : 0; i > 0; i--) {
        damage_text(&text);
    }
    text.size = text.size < DESCRIPTION_MAX ? text.size : DESCRIPTION_MAX;
    size_t size = model_file_write(model, text.at, text.size, written);
    if (where >= 3 && where < 7) {
        size = damage_header(written, size);
    }
    set(file, written, size);
    for (size_t i = where >= 6 ? 1 + below(3) : 0; i > 0; i--) {
        damage_bytes(file);
    }
}

static uint64_t seed;

/* The sanitizers end a process through it too, so that it can say what to repeat. */
static void on_abort(int number) {
    (void)number;
    fprintf(stderr, "repeat it with: fuzz_model_file 0 %llu\n", (unsigned long long)seed);
}

const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "abort_on_error=1:handle_abort=0"; }
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void) { return "abort_on_error=1:print_stacktrace=1"; }

int main(int count, char **arguments) {
    static bytes file;
    double seconds = count > 1 ? atof(arguments[1]) : 10.0;
    seed = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    unsigned long long files = 0, total = 0, models = 0;
    signal(SIGABRT, on_abort);
    time_t started = time(NULL);
    for (;; seed++) {
        random_state = seed;
        damaged_file(&file);
        models += (unsigned long long)attempt(file.at, file.size);
        files++;
        total += file.size;
        if (difftime(time(NULL), started) >= seconds) {
            break;
        }
    }
    printf("%llu model files, %llu bytes: %llu of use, the others refused\n", files, total, models);
    return 0;
}

#endif
