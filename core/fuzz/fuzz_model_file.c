/* Whatever a model file says, the core neither crashes nor reads beyond it: it is refused in one line of words, or it is
   a model, whose samples are numbers.

       fuzz_model_file SECONDS [SEED]    damaged files of its own, from a seed on; 0 seconds repeat the one of a seed
       clang -fsanitize=fuzzer -DFUZZ_LIBFUZZER ...    files of libFuzzer's

   core/check.sh runs it under the sanitizers for a while. */

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "percepnet.h"
#include "signal/feature_blocks.h"
#include "write_model.h"

#define HOPS 3
#define HOP 480
#define ORIGINALS 8
#define LAYERS_MOST 9
/* A file may be right and ask for more than is worth a try. */
#define MODEL_BYTES_MAX ((size_t)64 << 20)

static void require(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "failed: %s\n", what);
        abort();
    }
}

/* ---- What has to hold ---- */

static void check_samples(const percepnet_model *model) {
    float x[HOPS * HOP], y[HOPS * HOP];
    uint32_t state = 1;
    percepnet_options options;
    percepnet_error error = {""};
    percepnet_options_init(&options);
    percepnet_stream *stream = percepnet_stream_create(model, &options, &error);
    require(stream != NULL || error.message[0], "a stream is there, or there is a reason");
    for (int i = 0; i < HOPS * HOP; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(state >> 8) * 5e-8f - 0.4f;
    }
    int64_t ready = stream ? percepnet_stream_process(stream, NULL, x, HOPS * HOP, HOPS * HOP, y, HOPS * HOP) : 0;
    require(ready >= 0, "a call is taken");
    for (int64_t i = 0; i < ready; i++) {
        require(isfinite(y[i]), "samples are numbers");
    }
    percepnet_stream_destroy(stream);
}

static void check_message(const char *message) {
    require(message[0] != '\0', "a refusal has a reason");
    require(memchr(message, '\0', sizeof(percepnet_error)) != NULL, "a reason ends");
    for (; *message; message++) {
        require(*message >= ' ' && *message <= '~', "a reason is one line");
    }
}

/* Whether a file is a model. */
static int attempt(const uint8_t *data, size_t size) {
    uint8_t *exactly = malloc(size ? size : 1); /* so that whatever is read behind it is found */
    require(exactly != NULL, "memory for the test itself");
    memcpy(exactly, data, size);
    percepnet_error error = {""};
    percepnet_model_info info;
    percepnet_model *model = percepnet_model_load(exactly, size, &error);
    free(exactly); /* a model has copied what it needs */
    if (!model) {
        check_message(error.message);
        return 0;
    }
    require(!error.message[0], "what is taken is not refused");
    percepnet_model_describe(model, &info);
    if (info.bytes <= MODEL_BYTES_MAX) {
        check_samples(model);
    }
    percepnet_model_destroy(model);
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    attempt(data, size);
    return 0;
}

#ifndef FUZZ_LIBFUZZER

/* ---- Files that are whole ---- */

static uint64_t next(uint64_t *state) { /* splitmix64 */
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint32_t next_of(void *state) { return (uint32_t)next(state); }

static size_t below(uint64_t *state, size_t n) { return (size_t)(next(state) % (n ? n : 1)); }

static test_network described;
static char *descriptions[ORIGINALS];

/* The network of a number, of small layers: most of its file is header. */
static void describe(int number) {
    static const unsigned BLOCKS[] = {FEATURE_PITCH, FEATURE_BAND_LEVELS, FEATURE_COHERENCES,
                                      FEATURE_RELATIVE_BAND_LEVELS};
    static const int32_t EDGES[] = {0, 4, 20, 90, 300};
    uint64_t state = (uint64_t)number;
    weights w = {(uint32_t)number + 1, 0.3f, number % 2, 0};
    test_network_begin(&described, number % 4, 2 + number % 4, EDGES, w);
    test_network_features(&described, BLOCKS, 1 + number % 4);
    described.description.highpass_hz = number % 2 ? 30.0f : 0.0f;
    if (number < 2) {
        test_network_article(&described, 2, 2, 3, 2, 2);
    } else {
        test_network_any(&described, next_of, &state, 1 + number % LAYERS_MOST);
    }
    make_storable(&described);
}

/* ---- Damage ---- */

/* A file that is damaged, with room to grow. */
typedef struct damaged {
    uint8_t *data;
    size_t size, capacity;
    uint64_t random;
} damaged;

static size_t header_end(const damaged *f) {
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--) {
        length = length << 8 | (f->size >= 8 ? f->data[i] : 0);
    }
    return length < f->size - 8 && f->size >= 8 ? (size_t)length + 8 : f->size;
}

static size_t place(damaged *f) { return below(&f->random, below(&f->random, 10) < 8 ? header_end(f) : f->size); }

static void flip(damaged *f) {
    for (size_t count = 1 + below(&f->random, 8); count && f->size; count--) {
        f->data[place(f)] ^= (uint8_t)(1u << below(&f->random, 8));
    }
}

static void overwrite(damaged *f) {
    for (size_t at = place(f), count = 1 + below(&f->random, 8); count && at < f->size; count--, at++) {
        f->data[at] = (uint8_t)next(&f->random);
    }
}

static void cut(damaged *f) { f->size = place(f); }

/* Other weights, most of which are as good. */
static void flip_weights(damaged *f) {
    size_t start = header_end(f);
    for (size_t count = 1 + below(&f->random, 4); count && start < f->size; count--) {
        f->data[start + below(&f->random, f->size - start)] ^= (uint8_t)(1u << below(&f->random, 8));
    }
}

/* Numbers at the ends of what single precision holds, among the weights. */
static void extremes(damaged *f) {
    static const uint32_t NUMBERS[] = {0x7fc00000, 0x7f800000, 0xff800000, 0x7f7fffff, 1, 0x42fe0000, 0x80808080, 0x49742400};
    size_t start = header_end(f);
    for (size_t count = 1 + below(&f->random, 8); count && start + 4 <= f->size; count--) {
        size_t at = start + 4 * below(&f->random, (f->size - start) / 4);
        memcpy(f->data + at, &NUMBERS[below(&f->random, 8)], 4);
    }
}

/* Another piece in the place of `removed` bytes; a header that it lies in gets as much longer, most of the time. */
static void splice(damaged *f, size_t at, size_t removed, const void *piece, size_t size) {
    size_t end = header_end(f);
    removed = removed < f->size - at ? removed : f->size - at;
    if (f->size - removed + size > f->capacity) {
        return;
    }
    memmove(f->data + at + size, f->data + at + removed, f->size - at - removed);
    memcpy(f->data + at, piece, size);
    f->size = f->size - removed + size;
    if (at >= 8 && at + removed <= end && end < f->size && below(&f->random, 4)) {
        uint64_t length = end - 8 - removed + size;
        for (int i = 0; i < 8; i++) {
            f->data[i] = (uint8_t)(length >> 8 * i);
        }
    }
}

static void remove_piece(damaged *f) { splice(f, place(f), 1 + below(&f->random, 64), "", 0); }

static void insert(damaged *f) {
    uint8_t piece[64];
    for (size_t i = 0; i < sizeof piece; i++) {
        piece[i] = (uint8_t)next(&f->random);
    }
    splice(f, place(f), 0, piece, 1 + below(&f->random, sizeof piece));
}

static void copy(damaged *f) {
    uint8_t piece[256];
    size_t from = place(f), size = 1 + below(&f->random, sizeof piece);
    size = size < f->size - from ? size : f->size - from;
    memcpy(piece, f->data + from, size);
    splice(f, place(f), below(&f->random, 2) ? size : 0, piece, size);
}

static void change_length(damaged *f) {
    static const uint64_t LENGTHS[] = {0, 1, 2, 8, 1u << 31, (uint64_t)1 << 63, UINT64_MAX, UINT64_MAX - 7};
    uint64_t near = header_end(f) - 8 + below(&f->random, 19) - 9;
    uint64_t length = below(&f->random, 2) ? near : LENGTHS[below(&f->random, 8)];
    for (size_t i = 0; i < 8 && i < f->size; i++) {
        f->data[i] = (uint8_t)(length >> 8 * i);
    }
}

/* ---- Damage that leaves the header whole ---- */

static const char *const VALUES[] = {
    "0",     "-1",         "1",           "2",          "63",         "65",     "4096",       "4097",
    "481",   "2147483648", "-2147483649", "4294967296", "9007199254740993", "1e400",  "0.5",  "-0.0",
    "null",  "true",       "false",       "\"\"",       "[]",         "{}",     "[0]",        "{\"\": []}",
    "\"bands\"", "\"features\"", "\"gain\"", "\"\\u0000\"", "\"\\ud83c\\udfa4\"", "\"\xc3\xa9\"", "\"gru\"", "\"int8\"",
    "\"sum\"", "\"convolution\"", "\"concatenation\"", "\"layer0\"", "\"layer1\"", "[\"features\", \"features\"]",
    "\"tanh\"", "\"sigmoid\"", "\"\\ud800\"", "NaN", "01", "\"",
};

/* Where values may begin: behind a colon, a comma or a bracket that opens. */
static size_t value_place(uint64_t *random, const char *text) {
    size_t length = strlen(text), at = below(random, length);
    for (size_t i = 0; i < length; i++, at = (at + 1) % length) {
        if (strchr(":,[", text[at])) {
            return at + 1;
        }
    }
    return length;
}

/* One value, word or bracket, or a whole group of them. */
static size_t value_length(uint64_t *random, const char *at) {
    size_t word = strcspn(at, ",]}"), group = strcspn(at, "}");
    return below(random, 4) ? word : group + (at[group] != '\0');
}

static void change_description(char **text, uint64_t *random) {
    size_t at = value_place(random, *text), removed = value_length(random, *text + at), depth = 0;
    const char *value = VALUES[below(random, sizeof VALUES / sizeof *VALUES)];
    switch (below(random, 5)) {
    case 0: value = ""; removed += (*text)[at + removed] == ','; break; /* a key without its value, or an item less */
    case 1: depth = 1 + below(random, 99); break;
    case 2: removed = 0; break;
    default: break;
    }
    char *changed = malloc(strlen(*text) + strlen(value) + 2 * depth + 2);
    require(changed != NULL, "memory for the test itself");
    size_t size = at;
    memcpy(changed, *text, at);
    memset(changed + size, '[', depth);
    size += depth;
    memcpy(changed + size, value, strlen(value));
    size += strlen(value);
    memset(changed + size, ']', depth);
    size += depth;
    strcpy(changed + size, *text + at + removed);
    free(*text);
    *text = changed;
}

static void (*const DAMAGES[])(damaged *f) = {flip, flip,         overwrite, flip_weights, flip_weights, extremes,
                                              cut,  remove_piece, insert,    copy,         change_length};

/* ---- The files of a seed ---- */

static damaged make(uint64_t seed) {
    damaged f = {NULL, 0, 0, seed};
    int number = (int)below(&f.random, ORIGINALS);
    size_t changes = 1 + below(&f.random, 2) * below(&f.random, 3), inside = below(&f.random, 2) ? 1 + below(&f.random, changes) : 0;
    describe(number);
    char *text = malloc(strlen(descriptions[number]) + 1);
    require(text != NULL, "memory for the test itself");
    strcpy(text, descriptions[number]);
    for (size_t i = 0; i < inside; i++) {
        change_description(&text, &f.random);
    }
    model_bytes file = write_file(text, &described.description);
    free(text);
    test_network_discard(&described);
    f.capacity = file.size + 1024;
    f.size = file.size;
    f.data = realloc(file.data, f.capacity);
    require(f.data != NULL, "memory for the test itself");
    for (size_t i = inside; i < changes; i++) {
        DAMAGES[below(&f.random, sizeof DAMAGES / sizeof *DAMAGES)](&f);
    }
    return f;
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

static void check_originals(void) {
    for (int number = 0; number < ORIGINALS; number++) {
        describe(number);
        descriptions[number] = write_description(&described.description);
        model_bytes file = write_model(&described.description);
        require(attempt((const uint8_t *)file.data, file.size), "a whole file is taken");
        free(file.data);
        test_network_discard(&described);
    }
}

int main(int count, char **arguments) {
    double seconds = count > 1 ? atof(arguments[1]) : 10.0;
    seed = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    unsigned long long files = 0, bytes = 0, accepted = 0;
    signal(SIGABRT, on_abort);
    check_originals();
    time_t started = time(NULL);
    do {
        damaged f = make(seed);
        accepted += (unsigned)attempt(f.data, f.size);
        bytes += f.size;
        files++;
        seed++;
        free(f.data);
    } while (difftime(time(NULL), started) < seconds);
    for (int number = 0; number < ORIGINALS; number++) {
        free(descriptions[number]);
    }
    printf("%llu files, %llu bytes: %llu refused, %llu accepted; model files hold\n", files, bytes, files - accepted,
           accepted);
    return 0;
}

#endif
