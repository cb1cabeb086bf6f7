/* What the core promises of model files, for sanitizers and for machines without Python: core/check.sh builds and runs
   it. */

#include "model_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "model.h"
#include "percepnet.h"
#include "safetensors.h"
#include "signal/feature_blocks.h"
#include "write_model.h"

#define HOPS 12
#define NETWORKS 60

static int failures;

static void check(int holds, const char *what, const char *which) {
    if (!holds) {
        failures++;
        printf("failed: %s: %s\n", what, which);
    }
}

static void *allocate(size_t size) {
    void *memory = calloc(1, size ? size : 1);
    if (!memory) {
        abort();
    }
    return memory;
}

/* A copy that ends where its memory ends, so that the sanitizers see whatever is read behind it. */
static char *exactly(const char *data, size_t size) {
    char *copy = malloc(size ? size : 1);
    if (!copy) {
        abort();
    }
    memcpy(copy, data, size);
    return copy;
}

/* ---- JSON ---- */

static int is_json(const char *text, size_t size) {
    char *copy = exactly(text, size);
    json value = json_check(copy, size);
    free(copy);
    return value.start != NULL;
}

static void test_json_that_is_none(void) {
    static const char *const TEXTS[] = {
        "", " ", "{", "[", "\"", "\"\\", "\"\\u", "\"\\u00", "\"\\u00e\"", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,",
        "{\"a\":1,}", "[1,]", "[,1]", "{,}", "{1:1}", "{\"a\" 1}", "[1 2]", "1 2", "]", "}", ":", ",", "tru", "nul",
        "falsy", "True", "NaN", "Infinity", "-Infinity", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "0x1", "1f",
        "\"\\x41\"", "\"\\ud800\"", "\"\\ud800x\"", "\"\\ud800\\n\"", "\"\\ud800\\ud800\"", "\"\\udc00\"",
        "\"\\ud800\\u00\"", "\"\t\"", "\"\x1f\"", "\xef\xbb\xbf{}", "\"\x80\"", "\"\xc3\"", "\"\xc3(\"", "\"\xc0\xaf\"",
        "\"\xc1\xbf\"", "\"\xe0\x80\x80\"", "\"\xe2\x82\"", "\"\xed\xa0\x80\"", "\"\xed\xbf\xbf\"", "\"\xf0\x80\x80\x80\"",
        "\"\xf4\x90\x80\x80\"", "\"\xf5\x80\x80\x80\"", "\"\xff\"", "/* */ 1", "'a'",
    };
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        check(!is_json(TEXTS[i], strlen(TEXTS[i])), "this is no JSON", TEXTS[i]);
    }
    check(!is_json("\"\0\"", 3), "a zero is no JSON", "in a string");
    check(!is_json("\"\\\0\"", 4), "a zero is no JSON", "behind a backslash");
    check(!is_json("1\0", 2), "a zero is no JSON", "behind a number");
}

static void test_json_that_is_one(void) {
    static const char *const TEXTS[] = {
        "{}", "[]", "\"\"", "0", "-0", "-0.0e-0", "1E+400", "12.5e3", "true", "false", "null", " \t\r\n[ ] \n", "[[],{}]",
        "{\"\":\"\"}", "{\"a\":1,\"a\":2}", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uFFFF\"", "\"\\ud83c\\udfa4\"", "\"\x7f\"",
        "\"\xc2\x80\"", "\"\xe0\xa0\x80\"", "\"\xed\x9f\xbf\"", "\"\xee\x80\x80\"", "\"\xf0\x90\x80\x80\"",
        "\"\xf4\x8f\xbf\xbf\"",
    };
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        check(is_json(TEXTS[i], strlen(TEXTS[i])), "this is JSON", TEXTS[i]);
    }
}

static void test_json_depth(void) {
    char text[400];
    for (int depth = 60; depth < 70; depth++) {
        memset(text, '[', (size_t)depth);
        text[depth] = '1';
        memset(text + depth + 1, ']', (size_t)depth);
        check(is_json(text, (size_t)(2 * depth + 1)) == (depth <= 64), "values are nested 64 deep", "arrays");
    }
    size_t size = 1 << 20;
    char *deep = allocate(size);
    memset(deep, '[', size);
    check(!is_json(deep, size), "no depth ends the stack", "arrays");
    for (size_t i = 0; i + 5 <= size; i += 5) {
        memcpy(deep + i, "{\"a\":", 5);
    }
    check(!is_json(deep, size), "no depth ends the stack", "objects");
    free(deep);
}

static void test_json_text(void) {
    static const struct {
        const char *json, *text;
    } PAIRS[] = {
        {"\"\"", ""},
        {"\"a b\"", "a b"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20ac\"", "A\xc3\xa9\xe2\x82\xac"},
        {"\"\\uD83C\\udfa4\"", "\xf0\x9f\x8e\xa4"},
        {"\"\\ud800\\udc00\\udbff\\udfff\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        {"\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"},
        {"\"\xc3\xa9\"", "\xc3\xa9"},
    };
    for (size_t i = 0; i < sizeof PAIRS / sizeof *PAIRS; i++) {
        json value = json_check(PAIRS[i].json, strlen(PAIRS[i].json));
        size_t length = strlen(PAIRS[i].text);
        char *text = exactly("", 0), *room = exactly(PAIRS[i].json, length + 1 < 2 ? 2 : length + 1);
        check(json_text(value, room, length + 1) == (int64_t)length, "text has its length", PAIRS[i].json);
        check(!strcmp(room, PAIRS[i].text), "text is read", PAIRS[i].json);
        check(json_text(value, room, length) < 0, "text that does not fit is refused", PAIRS[i].json);
        check(json_text(value, text, 0) < 0, "nothing fits into nothing", PAIRS[i].json);
        check(json_equals(value, PAIRS[i].text), "text equals itself", PAIRS[i].json);
        check(!json_equals(value, "something else"), "text equals nothing else", PAIRS[i].json);
        free(text);
        free(room);
    }
    json zero = json_check("\"a\\u0000b\"", 10);
    char room[16];
    check(zero.start && json_text(zero, room, sizeof room) < 0, "a zero within is refused", "");
    check(!json_equals(zero, "a"), "a zero does not end a text", "");
    check(json_text(json_check("1", 1), room, sizeof room) < 0, "a number is no text", "");
}

static void test_json_numbers(void) {
    static const struct {
        const char *json;
        double number;
        int is_whole;
    } NUMBERS[] = {
        {"0", 0.0, 1},
        {"-0", 0.0, 1},
        {"-17", -17.0, 1},
        {"9007199254740992", 9007199254740992.0, 1},
        {"9007199254740994", 9007199254740994.0, 0},
        {"1.0", 1.0, 0},
        {"1e2", 100.0, 0},
        {"60.5", 60.5, 0},
        {"0.1", 0.1, 0},
        {"-2.5e-3", -2.5e-3, 0},
        {"12.5E+1", 125.0, 0},
        {"1e400", INFINITY, 0},
        {"1e-400", 0.0, 0},
        {"1e99999999999999999999", INFINITY, 0},
        {"1e-99999999999999999999", 0.0, 0},
        {"99999999999999999999", 1e20, 0},
        {"60.999999999999999999999999999999", 61.0, 0},
        {"0.00000000000000000000000000000000000060999999999999999999999999e38", 61.0, 0},
        {"0e999", 0.0, 0},
        {"1e-320", 1e-320, 0},
        {"123456789012345678e-340", 123456789012345678e-340, 0},
    };
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
        json value = json_check(NUMBERS[i].json, strlen(NUMBERS[i].json));
        double number = 7.0;
        int64_t whole = 7;
        check(json_number(value, &number), "numbers are numbers", NUMBERS[i].json);
        /* of more digits than a number holds, the last ones may be others */
        double error = number == NUMBERS[i].number ? 0.0 : fabs(number / NUMBERS[i].number - 1.0);
        check(error <= (strlen(NUMBERS[i].json) > 16 ? 1e-15 : 0.0), "numbers are read", NUMBERS[i].json);
        check(json_integer(value, &whole) == NUMBERS[i].is_whole, "whole numbers are whole", NUMBERS[i].json);
        check(!NUMBERS[i].is_whole || (double)whole == NUMBERS[i].number, "whole numbers are read", NUMBERS[i].json);
    }
    char many[700];
    memset(many, '9', sizeof many);
    memcpy(many + 600, "e-599", 5);
    double number;
    check(json_number(json_check(many, 605), &number) && fabs(number - 10.0) < 1e-14, "digits may be many", "");
    int64_t whole;
    json text = json_check("\"1\"", 3), none = {NULL, NULL};
    check(!json_number(text, &number) && !json_integer(text, &whole), "text is no number", "");
    check(!json_number(none, &number) && !json_integer(none, &whole), "nothing is no number", "");
}

static void test_json_walk(void) {
    static const char TEXT[] = " { \"a\" : [ 1 , \"]}\\\"\" ,{} , [ ] ] ,\"b\":null,\"c\":{\"a\":{\"x\":[true]}}, "
                               "\"\\u0061\"\n:\tfalse , \"d\" : -1.5e3 } ";
    json whole = json_check(TEXT, sizeof TEXT - 1), key, item;
    json_walk walk = {whole, NULL};
    int count = 0;
    char shown[JSON_SHOWN];
    for (; json_next(&walk, &key, &item); count++) {
        check(json_is_string(key) && item.end > item.start, "members have a name and a value", "");
    }
    check(count == 5 && !json_next(&walk, &key, &item), "all members come, and then none", "");
    check(json_boolean(json_member(whole, "a")) == 0, "of two members of a name the last counts", "");
    check(json_is_null(json_member(whole, "b")) && !json_member(whole, "e").start, "members are found", "");
    check(!strcmp(json_shown(json_member(whole, "d"), shown), "-1.5e3"), "a value ends where it ends", shown);
    check(!strcmp(json_shown(json_member(whole, "c"), shown), "{\"a\":{\"x\":[true]}}"), "objects end too", shown);
    json_walk first = {whole, NULL};
    json_next(&first, NULL, &item);
    json_walk items = {item, NULL};
    for (count = 0; json_next(&items, NULL, &key); count++) {
        static const char *const ITEMS[] = {"1", "\"]}\\\"\"", "{}", "[ ]"};
        check(count < 4 && !strcmp(json_shown(key, shown), ITEMS[count]), "items come in turn", shown);
    }
    check(count == 4, "all items come", "");
    json_walk none = {json_member(whole, "b"), NULL}, nothing = {{NULL, NULL}, NULL};
    check(!json_next(&none, &key, &item) && !json_next(&nothing, &key, &item), "null has no members", "");
    check(!json_member(json_member(whole, "d"), "a").start, "a number has no members", "");
}

static void test_json_shown(void) {
    char shown[JSON_SHOWN], text[200] = "\"";
    memset(text + 1, 'x', 150);
    text[151] = '"';
    json_shown(json_check(text, 152), shown);
    check(strlen(shown) == 40, "what is shown is short", shown);
    json_shown(json_check("\"\xc3\xa9\x7f\"", 5), shown);
    check(!strcmp(shown, "\"???\""), "what is shown can be printed", shown);
    check(!strcmp(json_plain(json_check("\"a\"", 3), shown), "a"), "without quotes", shown);
    check(!strcmp(json_shown((json){NULL, NULL}, shown), "no such field"), "nothing has words", shown);
}

/* ---- The container ---- */

static const char *refusal(const model_bytes *file, percepnet_error *error) {
    char *copy = exactly(file->data, file->size);
    strcpy(error->message, "");
    percepnet_model *model = percepnet_model_load(copy, file->size, error);
    check(!model == (error->message[0] != '\0'), "what is refused has a reason", error->message);
    percepnet_model *again = percepnet_model_load(copy, file->size, NULL);
    check(!model == !again, "nobody has to ask why", "");
    percepnet_model_destroy(again);
    for (const char *at = error->message; *at; at++) {
        check(*at >= ' ' && *at <= '~', "a message is one line", error->message);
    }
    percepnet_model_destroy(model);
    free(copy);
    return error->message;
}

static void check_refused(const model_bytes *file, const char *field, const char *what) {
    percepnet_error error;
    const char *message = refusal(file, &error), *colon = strchr(message, ':');
    int same = colon && (size_t)(colon - message) == strlen(field) && !strncmp(message, field, strlen(field));
    if (!same) {
        printf("%s, instead of %s: ", message[0] ? message : "taken", field);
    }
    check(same, "what is wrong is named", what);
    check(strstr(message, "expected") && strstr(message, "found"), "what was expected and found is said", message);
}

static void test_container(void) {
#define ENTRY(shape, begin, end) "\"a\": {\"dtype\": \"F32\", \"shape\": " shape ", \"data_offsets\": [" begin ", " end "]}"
    static const struct {
        const char *header;
        size_t body;
        int is_whole;
    } HEADERS[] = {
        {"{}", 0, 1},
        {"{}", 1, 0},
        {"{\"__metadata__\": 3}  ", 0, 1},
        {"{" ENTRY("[2]", "0", "8") "}", 8, 1},
        {"{" ENTRY("[]", "0", "4") "}", 4, 1},
        {"{" ENTRY("[0, 3]", "0", "0") "}", 0, 1},
        {"{" ENTRY("[2]", "0", "8") "}", 7, 0},
        {"{" ENTRY("[2]", "0", "8") "}", 9, 0},
        {"{" ENTRY("[2]", "0", "7") "}", 7, 0},
        {"{" ENTRY("[2]", "4", "12") "}", 12, 0},
        {"{" ENTRY("[2]", "8", "0") "}", 8, 0},
        {"{" ENTRY("[2]", "-8", "0") "}", 8, 0},
        {"{" ENTRY("[-2]", "0", "8") "}", 8, 0},
        {"{" ENTRY("[2.0]", "0", "8") "}", 8, 0},
        {"{" ENTRY("2", "0", "8") "}", 8, 0},
        {"{" ENTRY("{\"x\": 2}", "0", "8") "}", 8, 0},
        {"{" ENTRY("[9007199254740992, 9007199254740992]", "0", "8") "}", 8, 0},
        {"{" ENTRY("[9007199254740992]", "0", "8") "}", 8, 0},
        {"{" ENTRY("[2]", "0", "8") ", \"b\": {\"dtype\": \"I8\", \"shape\": [3], \"data_offsets\": [8, 11]}}", 11, 1},
        {"{" ENTRY("[2]", "3", "11") ", \"b\": {\"dtype\": \"I8\", \"shape\": [3], \"data_offsets\": [0, 3]}}", 11, 1},
        {"{" ENTRY("[2]", "0", "8") ", \"b\": {\"dtype\": \"I8\", \"shape\": [3], \"data_offsets\": [5, 8]}}", 8, 0},
        {"{" ENTRY("[2]", "0", "8") ", \"b\": {\"dtype\": \"I8\", \"shape\": [3], \"data_offsets\": [9, 12]}}", 12, 0},
        {"{\"a\": 3}", 0, 0},
        {"{\"a\": {\"dtype\": 32, \"shape\": [], \"data_offsets\": [0, 4]}}", 4, 0},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [], \"data_offsets\": [0, 4, 4]}}", 4, 0},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [], \"data_offsets\": [0]}}", 4, 0},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": []}}", 4, 0},
        {"{\"a\": {\"dtype\": \"a type of another time\", \"shape\": [], \"data_offsets\": [0, 4]}}", 4, 1},
        {"{]", 0, 0},
    };
    for (size_t i = 0; i < sizeof HEADERS / sizeof *HEADERS; i++) {
        static const char BODY[16];
        model_bytes file = write_container(HEADERS[i].header, BODY, HEADERS[i].body);
        check_refused(&file, HEADERS[i].is_whole ? "metadata" : "header", HEADERS[i].header);
        free(file.data);
    }
}

static void test_container_lengths(void) {
    static const uint64_t LENGTHS[] = {3, 1u << 30, (uint64_t)1 << 63, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        model_bytes file = write_container("{}", "", 0);
        for (int byte = 0; byte < 8; byte++) {
            file.data[byte] = (char)(LENGTHS[i] >> 8 * byte & 0xff);
        }
        check_refused(&file, "header", "a length beyond the file");
        free(file.data);
    }
    model_bytes something = {"RIFF of something else", 22}, nothing = {"", 0}, eight = {"\0\0\0\0\0\0\0\0{", 9};
    check_refused(&something, "file", "another kind of file");
    check_refused(&nothing, "file", "an empty file");
    check_refused(&eight, "header", "a header of no length");
}

/* ---- What a file says ---- */

static void describe(test_network *n) {
    static const int32_t EDGES[] = {0, 3, 9, 40, 200};
    weights w = {1, 0.3f, 1, 0};
    test_network_begin(n, 1, 5, EDGES, w);
    n->description.highpass_hz = 60.5f;
    test_network_article(n, 3, 4, 5, 6, 2);
    static const char *const NAMES[] = {"dense", "conv1", "conv2", "gru1", "gru2", "gru3", "gain_gru",
                                        "strength_input", "strength_gru", "skips", "gain", "strength"};
    for (int i = 0; i < n->description.layer_count; i++) {
        strcpy(n->description.layers[i].name, NAMES[i]);
    }
    make_storable(n);
}

/* The text with a part of it replaced, the first one that there is. */
static char *replaced(const char *text, const char *before, const char *after) {
    const char *at = strstr(text, before);
    check(at != NULL, "a test changes what is there", before);
    size_t start = at ? (size_t)(at - text) : 0, skipped = at ? strlen(before) : 0;
    char *changed = allocate(strlen(text) + strlen(after) + 1);
    memcpy(changed, text, start);
    strcpy(changed + start, after);
    strcat(changed, text + start + skipped);
    return changed;
}

static const struct change {
    const char *before, *after, *field;
} CHANGES[] = {
    {"\"format_version\": 2", "\"format_version\": 3", "format_version"},
    {"\"format_version\": 2", "\"format_version\": 2.0", "format_version"},
    {"\"format_version\": 2", "\"format_version\": 1", "metadata"},
    {"\"format_version\"", "\"version\"", "format_version"},
    {"\"family\": \"percepnet\"", "\"family\": \"rnnoise\"", "family"},
    {"\"family\"", "\"requires\": [\"echo\"], \"family\"", "requires"},
    {"[\"near\"]", "[\"near\", \"far\"]", "inputs"},
    {"[\"near\"]", "{\"0\": \"near\"}", "inputs"},
    {"\"signal\"", "\"sound\"", "signal"},
    {"\"lookahead_frames\": 1", "\"lookahead_frames\": 4", "signal.lookahead_frames"},
    {"60.5", "100.5", "signal.highpass_hz"},
    {"60.5", "\"60.5\"", "signal.highpass_hz"},
    {"[0, 3, 9", "[1, 3, 9", "signal.band_edges"},
    {"40, 200]", "40, 481]", "signal.band_edges"},
    {"40, 200]", "40, 40]", "signal.band_edges"},
    {"40, 200]", "40, \"200\"]", "signal.band_edges"},
    {"[0, 3, 9, 40, 200]", "{\"a\": 0, \"b\": 3}", "signal.band_edges"},
    {"\"pitch\"", "\"loudness\"", "features"},
    {"\"pitch\"", "\"coherences\"", "features"},
    {"\"pitch\"", "\"pitch\\u0000\"", "features"},
    {"\"features\": [", "\"blocks\": [", "features"},
    {"\"layers\": [", "\"rows\": [", "layers"},
    {"\"layers\": [", "\"layers\": [3, ", "layers.0"},
    {"\"name\": \"conv1\"", "\"name\": \"Conv1\"", "layers.1.name"},
    {"\"name\": \"conv1\"", "\"name\": \"conv1\\u0000\"", "layers.1.name"},
    {"\"name\": \"conv1\"", "\"name\": \"dense\"", "layers.dense.name"},
    {"\"name\": \"conv1\"", "\"name\": \"features\"", "layers.features.name"},
    {"\"kind\": \"gru\"", "\"kind\": \"lstm\"", "layers.gru1.kind"},
    {"\"inputs\": [\"conv2\"]", "\"inputs\": [\"gru1\"]", "layers.gru1.inputs"},
    {"\"inputs\": [\"conv2\"]", "\"inputs\": []", "layers.gru1.inputs"},
    {"\"inputs\": [\"conv2\"]", "\"inputs\": \"conv2\"", "layers.gru1.inputs"},
    {"\"inputs\": [\"conv2\"]", "\"inputs\": [\"conv2\", \"conv2\"]", "layers.gru1.inputs"},
    {"\"kind\": \"concatenation\"", "\"kind\": \"sum\"", "layers.strength_input.inputs"},
    {"\"units\": 6", "\"units\": 0", "layers.gru1.units"},
    {"\"units\": 6", "\"units\": 4097", "layers.gru1.units"},
    {"\"units\": 6", "\"units\": \"band\"", "layers.gru1.units"},
    {"\"units\": 6", "\"size\": 6", "layers.gru1.units"},
    {"\"kind\": \"concatenation\"", "\"units\": 3, \"kind\": \"concatenation\"", "layers.strength_input.units"},
    {"\"activation\": \"tanh\"", "\"activation\": \"softmax\"", "layers.dense.activation"},
    {"\"kind\": \"gru\"", "\"activation\": \"tanh\", \"kind\": \"gru\"", "layers.gru1.activation"},
    {"\"precision\": \"int8\"", "\"precision\": \"int4\"", "layers.conv1.precision"},
    {"\"taps\": 5", "\"taps\": 65", "layers.conv1.taps"},
    {"\"dilation\": 1", "\"dilation\": 257", "layers.conv1.dilation"},
    {"\"depthwise\": false", "\"depthwise\": 0", "layers.conv1.depthwise"},
    {"\"depthwise\": false", "\"depthwise\": true", "layers.conv1.precision"},
    {"\"kind\": \"gru\"", "\"kind\": \"gru\", \"taps\": 2", "layers.gru1.taps"},
    {"\"gains\": \"gain\"", "\"gains\": \"nothing\"", "heads.gains"},
    {"\"gains\": \"gain\"", "\"gains\": \"features\"", "heads.gains"},
    {"\"gains\": \"gain\"", "\"gains\": \"dense\"", "heads.gains"},
    {"\"gains\": \"gain\"", "\"gains\": 3", "heads.gains"},
    {"\"gains\": \"gain\", ", "", "heads.gains"},
    {"\"strengths\": \"strength\"", "\"speech\": \"strength\", \"strengths\": \"strength\"", "heads.speech"},
    {"\"heads\"", "\"tails\"", "heads"},
    {"\"activation\": \"sigmoid\"", "\"activation\": \"relu\"", "heads.gains"},
    {"\"info\"", "\"card\"", "info"},
    {"\"a test\"", "3", "info.by"},
    {"\"name\": \"gru3\"", "\"name\": \"gru4\"", "layers.gain_gru.inputs"},
    {"\"units\": 2", "\"units\": 3", "strength_gru.weight_ih"},
    {"{\"format", "[\"format", "metadata"},
    {"\"family\": ", "\"family\": \"\\ud800\", \"family\": ", "metadata"},
};

static void test_refusals(test_network *n) {
    describe(n);
    char *description = write_description(&n->description);
    for (size_t i = 0; i < sizeof CHANGES / sizeof *CHANGES; i++) {
        char *changed = replaced(description, CHANGES[i].before, CHANGES[i].after);
        model_bytes file = write_file(changed, &n->description);
        check_refused(&file, CHANGES[i].field, CHANGES[i].after);
        free(file.data);
        free(changed);
    }
    free(description);
    test_network_discard(n);
}

static void test_what_is_no_reason(test_network *n) {
    static const struct change HARMLESS[] = {
        {"{\"format", "{\"future\": {\"x\": [1e9, null]}, \"format", ""},
        {"\"family\"", "\"requires\": [], \"family\"", ""},
        {"\"gains\"", "\"tempo\": \"none yet\", \"gains\"", ""},
        {"\"highpass_hz\": 60.5", "\"highpass\": 60.5", ""},
        {"\"units\": 5", "\"units\": \"bands\"", ""},
        {"\"activation\": \"tanh\", ", "", ""},
        {"\"a test\"", "\"\\u0000\\ud83c\\udfa4\"", ""},
        {"\"format", "\"format_version\": 9, \"format", ""},
    };
    describe(n);
    char *description = write_description(&n->description);
    for (size_t i = 0; i < sizeof HARMLESS / sizeof *HARMLESS; i++) {
        char *changed = replaced(description, HARMLESS[i].before, HARMLESS[i].after);
        model_bytes file = write_file(changed, &n->description);
        percepnet_error error;
        check(!refusal(&file, &error)[0], "a file is taken", error.message);
        free(file.data);
        free(changed);
    }
    free(description);
    test_network_discard(n);
}

/* A part of the header becomes another one of the same length. */
static void test_tensors(test_network *n) {
    static const struct change TENSORS[] = {
        {"\"conv1.bias\"", "\"conv9.bias\"", "conv9.bias"},
        {"\"gru1.bias_ih\"", "\"gru1.bias_xx\"", "gru1.bias_xx"},
        {"\"gru1.weight_ih.scale\"", "\"gru1.weight_ih.scole\"", "gru1.weight_ih.scole"},
        {"\"gru1.bias_ih\"", "\"gru1.bias_hh\"", "header"},
        {"\"shape\": [3, 12]", "\"shape\": [12, 3]", "dense.weight"},
        {"\"shape\": [3, 12]", "\"shape\": [6, 06]", "header"},
        {"\"dtype\": \"I8\"", "\"dtype\": \"U8\"", "conv1.weight"},
        {"\"dtype\": \"F32\"", "\"dtype\": \"I32\"", "dense.weight"},
        {"\"__metadata__\"", "\"__metadaten_\"", "header"},
        {"\"percepnet\"", "\"perceptor\"", "metadata"},
    };
    describe(n);
    for (size_t i = 0; i < sizeof TENSORS / sizeof *TENSORS; i++) {
        model_bytes file = write_model(&n->description);
        size_t length = strlen(TENSORS[i].before), at = 8;
        check(length == strlen(TENSORS[i].after), "a change keeps the length", TENSORS[i].after);
        while (at + length < file.size && memcmp(file.data + at, TENSORS[i].before, length)) {
            at++;
        }
        check(at + length < file.size, "a test changes what is there", TENSORS[i].before);
        memcpy(file.data + at, TENSORS[i].after, length);
        check_refused(&file, TENSORS[i].field, TENSORS[i].after);
        free(file.data);
    }
    test_network_discard(n);
}

static void put(const void *to, float number, size_t place) {
    memcpy((char *)(uintptr_t)to + sizeof number * place, &number, sizeof number);
}

static void test_numbers(test_network *n) {
    static const float WEIGHTS[] = {NAN, INFINITY, -INFINITY, 1.1e6f, -1.1e6f}, SCALES[] = {NAN, INFINITY, -1e-9f, 1.1f};
    for (int i = 0; i < 5; i++) {
        describe(n);
        put(n->description.layers[0].tensors[1].data, WEIGHTS[i], 2);
        model_bytes file = write_model(&n->description);
        check_refused(&file, "dense.bias", "a weight that is no number, or too large");
        free(file.data);
        test_network_discard(n);
    }
    for (int i = 0; i < 4; i++) {
        describe(n);
        put(n->description.layers[3].tensors[1].scale, SCALES[i], 17);
        model_bytes file = write_model(&n->description);
        check_refused(&file, "gru1.weight_hh.scale", "a scale that is no number, or too large");
        free(file.data);
        test_network_discard(n);
    }
    describe(n);
    ((int8_t *)(uintptr_t)n->description.layers[3].tensors[1].data)[5] = -128;
    model_bytes file = write_model(&n->description);
    check_refused(&file, "gru1.weight_hh", "an integer of -128");
    free(file.data);
    test_network_discard(n);
}

static void test_truncation(test_network *n) {
    describe(n);
    model_bytes file = write_model(&n->description), part = file;
    percepnet_error error;
    for (part.size = 0; part.size < file.size; part.size += part.size < 9000 ? 1 : 7) {
        check(refusal(&part, &error)[0], "a part of a file is no file", error.message);
    }
    free(file.data);
    test_network_discard(n);
}

/* ---- Networks ---- */

static uint32_t next(void *state) {
    uint32_t *s = state;
    *s = *s * 1664525u + 1013904223u;
    return *s >> 8;
}

static void enhance(const percepnet_model *model, float *y) {
    float x[480];
    uint32_t state = 5;
    percepnet_options options;
    percepnet_options_init(&options);
    percepnet_stream *stream = percepnet_stream_create(model, &options, NULL);
    check(stream != NULL, "a model has streams", "");
    for (int hop = 0; hop < HOPS && stream; hop++) {
        for (int i = 0; i < 480; i++) {
            x[i] = (float)(next(&state) % 2000) * 1e-4f - 0.1f;
        }
        percepnet_stream_process(stream, NULL, x, 480, 480, y + 480 * hop, 480);
    }
    percepnet_stream_destroy(stream);
}

/* A network from its description, and from a file of it, gives the same bits. */
static void test_network_from_file(test_network *n, uint32_t seed) {
    static const unsigned BLOCKS[] = {FEATURE_RELATIVE_BAND_LEVELS, FEATURE_PITCH, FEATURE_RELATIVE_BIN_LEVELS,
                                      FEATURE_BAND_LEVELS, FEATURE_COHERENCES};
    static float direct[HOPS * 480], read[HOPS * 480];
    int32_t edges[34];
    weights w = {seed, 0.4f, (int)(seed % 2), 0};
    int bands = 2 + (int)(seed % 33);
    for (int band = 0; band < bands; band++) {
        edges[band] = band * (1 + (int)(seed % 13));
    }
    test_network_begin(n, (int)(seed % 4), bands, edges, w);
    test_network_features(n, BLOCKS + seed % 3, 1 + (int)(seed % 3));
    n->description.highpass_hz = seed % 3 ? (float)(10 + seed) : 0.0f;
    test_network_any(n, next, &seed, 1 + (int)(seed % 12));
    make_storable(n);
    model_bytes file = write_model(&n->description);
    char *copy = exactly(file.data, file.size);
    percepnet_error error = {""};
    percepnet_model *from_file = percepnet_model_load(copy, file.size, &error), *created = model_create(&n->description);
    free(copy);
    check(from_file && created, "a network is taken", error.message);
    if (from_file && created) {
        memset(direct, 0, sizeof direct);
        memset(read, 0, sizeof read);
        enhance(created, direct);
        enhance(from_file, read);
        check(!memcmp(direct, read, sizeof direct), "a file gives the bits of its description", "");
        percepnet_model_info info;
        percepnet_model_describe(from_file, &info);
        check(info.bands == bands && info.lookahead_frames == n->description.lookahead_frames, "a model is described", "");
        check(info.speech_probability == (n->description.speech != FEATURES_LAYER), "its third head too", "");
    }
    percepnet_model_destroy(created);
    percepnet_model_destroy(from_file);
    free(file.data);
    test_network_discard(n);
}

int main(void) {
    test_network *n = allocate(sizeof *n);
    test_json_that_is_none();
    test_json_that_is_one();
    test_json_depth();
    test_json_text();
    test_json_numbers();
    test_json_walk();
    test_json_shown();
    test_container();
    test_container_lengths();
    test_refusals(n);
    test_what_is_no_reason(n);
    test_tensors(n);
    test_numbers(n);
    test_truncation(n);
    for (uint32_t seed = 1; seed <= NETWORKS; seed++) {
        test_network_from_file(n, seed);
    }
    free(n);
    printf(failures ? "%d failures\n" : "model files hold\n", failures);
    return failures != 0;
}
