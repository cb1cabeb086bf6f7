/* Model files are read as they say, and what is wrong with one is named. */

#include "file/model_file.h"
#include "model_files.h"
#include "network/layers.h"
#include "signal/feature_blocks.h"
#include "testing.h"

/* Read from memory that ends where the file does. */
static int read_exactly(const char *file, size_t size, model_description *d, percepnet_error *error) {
    char *copy = allocate(size ? size : 1);
    memcpy(copy, file, size);
    memset(error->message, 0, sizeof error->message);
    int fits = model_file_read(copy, size, d, error);
    for (int i = 0; fits && i < d->layer_count; i++) {
        for (int t = 0; t < TENSORS_MAX; t++) {
            const char *data = d->layers[i].tensors[t].data;
            check(!data || (data >= copy && data < copy + size), "tensors point into the file");
        }
    }
    free(copy);
    return fits;
}

static int is_line(const char *message) { return message[0] && !strchr(message, '\n'); }

static void test_every_kind(void) {
    static char file[WRITTEN_MAX];
    static model_description d;
    percepnet_error error;
    size_t size = model_file_write(&EVERY_KIND, EVERY_KIND.text, strlen(EVERY_KIND.text), file);
    check(read_exactly(file, size, &d, &error), "a file of every kind is read");
    check(d.lookahead_frames == 1 && d.bands == 3 && d.band_edges[2] == 400, "its signal path");
    check(d.highpass_hz == 30.5f, "its high-pass");
    check(d.feature_block_count == 2 && d.feature_blocks[0] == FEATURE_PITCH &&
              d.feature_blocks[1] == FEATURE_BAND_LEVELS,
          "its features, in their order");
    check(d.layer_count == 13 && d.gains == 8 && d.strengths == 9 && d.speech == 10, "its layers and heads");
    check(d.shape == 12 && d.layers[11].source == BINS_LAYER && d.layers[11].inputs[0] == BINS_LAYER, "those for bins");
    const layer_description *l = d.layers;
    check(l[0].input_count == 1 && l[0].inputs[0] == FEATURES_LAYER && l[0].input_units == 5, "the features go in");
    check(l[0].activation == ACTIVATION_RELU && !l[0].in_8_bits && !l[0].tensors[0].scale, "a dense layer");
    check(l[1].taps == 2 && l[1].dilation == 2 && !l[1].depthwise && l[1].in_8_bits && l[1].tensors[0].scale,
          "a convolution in 8 bits");
    check(l[2].taps == 3 && l[2].dilation == 1 && l[2].depthwise && !l[2].in_8_bits, "a depthwise convolution");
    check(l[3].input_count == 2 && l[3].inputs[0] == 1 && l[3].inputs[1] == 2 && l[3].units == 4, "a sum");
    check(l[5].tensors[1].scale && !l[5].tensors[2].scale && l[5].tensors[3].data, "a recurrent layer in 8 bits");
    check(l[7].units == 4 && l[8].units == 3 && l[8].activation == ACTIVATION_SIGMOID, "sizes that follow");
    check(!strcmp(l[6].name, "quick") && !strcmp(l[6].kind->name, "gated_recurrence"), "names");
}

static void test_format_1(void) {
    static char file[WRITTEN_MAX];
    static model_description d;
    percepnet_error error;
    size_t size = model_file_write(&FORMAT_1, FORMAT_1.text, strlen(FORMAT_1.text), file);
    check(read_exactly(file, size, &d, &error), "a file of the first format is read");
    check(d.lookahead_frames == 2 && d.bands == 2 && d.highpass_hz == 0.0f && d.feature_block_count == 3, "its path");
    check(d.layer_count == 12 && d.gains == 10 && d.strengths == 11 && d.speech == FEATURES_LAYER, "its table");
    check(d.layers[1].taps == 5 && d.layers[2].taps == 3 && d.layers[9].units == 10, "its sizes");
    check(d.layers[1].tensors[0].scale && !d.layers[2].tensors[0].scale, "its matrices, rounded or not");
}

/* One text in the place of another in the description, and the field that the refusal begins with; "" where the file
   is still one. */
static const struct change {
    const char *from, *to, *field;
} CHANGES[] = {
    {"\"format_version\": 2", "\"format_version\": 3", "format_version: expected up to 2, found 3"},
    {"\"format_version\": 2", "\"format_version\": 0", "format_version: "},
    {"\"format_version\": 2", "\"format_version\": 2.0", "format_version: "},
    {"\"format_version\": 2", "\"format_version\": 1", "metadata: expected the 4 fields of format 1"},
    {"\"format_version\": 2", "\"requires\": [\"far-end\"], \"format_version\": 2", "requires: "},
    {"\"format_version\": 2", "\"requires\": [], \"format_version\": 2", ""},
    {"\"format_version\": 2", "\"requires\": [\"bins\"], \"format_version\": 2", ""},
    {"\"shape\": \"lowered\"", "\"shape\": \"gain\"", "heads.shape: expected 1 units"},
    {"\"shape\": \"lowered\"", "\"shape\": \"voice\"", "heads.shape: "},
    {", \"shape\": \"lowered\"", "", "heads.shape: "},
    {"[\"of_bin\"]", "[\"of_bin\", \"slow\"]", "layers.lowered.inputs: expected 'features' or 'bins', found both"},
    {"\"format_version\": 2", "\"x\": {\"]\": [{}, \"}\", -1.5E+3]}, \"format_version\": 2", ""},
    {"\"format_version\": 2", "\"format_version\": 9, \"format_version\": 2", ""},
    {"\"family\": \"percepnet\"", "\"family\": \"other\"", "family: "},
    {"\"family\": \"percepnet\"", "\"family\": \"\\u0070ercepnet\"", ""},
    {"[\"near\"]", "[\"near\", \"far\"]", "inputs: "},
    {"[\"near\"]", "\"near\"", "inputs: "},
    {"\"lookahead_frames\": 1", "\"lookahead_frames\": 4", "signal.lookahead_frames: "},
    {"\"lookahead_frames\": 1", "\"lookahead_frames\": true", "signal.lookahead_frames: "},
    {"[0, 8, 400]", "[0, 8, 481]", "signal.band_edges: "},
    {"[0, 8, 400]", "[0, 8, 8]", "signal.band_edges: "},
    {"[0, 8, 400]", "[0, 8.0, 400]", "signal.band_edges: "},
    {"[0, 8, 400]", "[]", "signal.band_edges: "},
    {"30.5", "0.9", "signal.highpass_hz: "},
    {"30.5", "100.5", "signal.highpass_hz: "},
    {"30.5", "1e9999", "signal.highpass_hz: "},
    {"30.5", "1e2", ""},
    {"30.5", "NaN", "metadata: "},
    {"30.5", "00", "metadata: "},
    {"30.5", "1.", "metadata: "},
    {"30.5", "\"\\ud800\"", "metadata: "},
    {"30.5", "\"\xc0\x80\"", "not a whole"},
    {"[\"pitch\", \"band_levels\"]", "[]", "features: "},
    {"[\"pitch\", \"band_levels\"]", "[\"pitch\", \"pitch\"]", "features: "},
    {"[\"pitch\", \"band_levels\"]", "[\"colour\"]", "features: "},
    {"\"name\": \"first\"", "\"name\": \"First\"", "layers.0.name: "},
    {"\"name\": \"first\"", "\"name\": \"first\\u0000\"", "layers.0.name: "},
    {"\"name\": \"first\"", "\"name\": \"features\"", "layers.features.name: "},
    {"\"name\": \"short\"", "\"name\": \"first\"", "layers.first.name: "},
    {"\"kind\": \"sum\"", "\"kind\": \"product\"", "layers.both.kind: "},
    {"\"inputs\": [\"first\"]", "\"inputs\": [\"even\"]", "layers.short.inputs: "},
    {"\"inputs\": [\"first\"]", "\"inputs\": []", "layers.short.inputs: "},
    {"[\"short\", \"alone\"]", "[\"short\"]", "layers.both.inputs: "},
    {"[\"short\", \"alone\"]", "[\"short\", \"features\"]", "layers.both.inputs: "},
    {"\"units\": 4, \"activation\": \"relu\"", "\"units\": 0, \"activation\": \"relu\"", "layers.first.units: "},
    {"\"units\": 4, \"activation\": \"relu\"", "\"units\": 4097, \"activation\": \"relu\"", "layers.first.units: "},
    {"\"units\": 4, \"activation\": \"relu\"", "\"units\": 3, \"activation\": \"relu\"",
     "first.weight: expected shape"},
    {"\"relu\"", "\"swish\"", "layers.first.activation: "},
    {"\"taps\": 2", "\"taps\": 65", "layers.short.taps: "},
    {"\"taps\": 2", "\"taps\": 1", "short.weight: expected shape (4, 4, 1), found (4, 4, 2)"},
    {"\"dilation\": 2", "\"dilation\": 257", "layers.short.dilation: "},
    {"\"depthwise\": true", "\"depthwise\": 1", "layers.alone.depthwise: "},
    {"\"memory\": 2000", "\"memory\": 1", "layers.slow.memory: "},
    {"\"memory\": 2000", "\"memory\": 1000001", "layers.slow.memory: "},
    {"\"memory\": 2000", "\"memory\": 0.5", "layers.slow.memory: "},
    {"\"memory\": 2000", "\"memory\": 0", ""},
    {"\"depthwise\": true", "\"depthwise\": true, \"memory\": 2000", "layers.alone.memory: "},
    {"\"depthwise\": true", "\"depthwise\": true, \"precision\": \"int8\"", "layers.alone.precision: "},
    {"\"precision\": \"int8\"", "\"precision\": \"int4\"", "layers.short.precision: "},
    {"\"gains\": \"gain\"", "\"gains\": \"slow\"", "heads.gains: "},
    {"\"gains\": \"gain\"", "\"gains\": \"nobody\"", "heads.gains: "},
    {"\"gains\": \"gain\", ", "", "heads.gains: "},
    {"\"speech\": \"voice\"", "\"speech\": \"gain\"", "heads.speech: expected 1 units, found 3"},
    {", \"speech\": \"voice\"", "", ""},
    {"\"speech\": \"voice\"", "\"mood\": \"voice\"", ""},
    {"\"speech\": \"voice\"", "\"mood\": 3", "heads.mood: "},
    {"\"corpus\": \"", "\"hours\": 3, \"corpus\": \"", "info.hours: "},
};

static size_t replace(const char *text, const char *from, const char *with, char *to) {
    const char *at = strstr(text, from);
    check(at != NULL, from);
    size_t before = at ? (size_t)(at - text) : 0;
    memcpy(to, text, before);
    strcpy(to + before, with);
    strcat(to, text + before + strlen(from));
    return strlen(to);
}

static void expect(const char *file, size_t size, const char *field, const char *what) {
    static model_description d;
    percepnet_error error;
    int fits = read_exactly(file, size, &d, &error);
    int as_expected = *field ? !fits && !strncmp(error.message, field, strlen(field)) : fits;
    if (!as_expected) {
        printf("expected '%s', found '%s'\n", field, fits ? "" : error.message);
    }
    check(as_expected, what);
    check(fits || is_line(error.message), "a refusal is one line");
}

static void test_changes(void) {
    static char text[WRITTEN_MAX], file[WRITTEN_MAX];
    for (size_t i = 0; i < sizeof CHANGES / sizeof *CHANGES; i++) {
        size_t size = replace(EVERY_KIND.text, CHANGES[i].from, CHANGES[i].to, text);
        size = model_file_write(&EVERY_KIND, text, size, file);
        expect(file, size, CHANGES[i].field, CHANGES[i].to);
    }
}

/* The same in the header of safetensors. */
static const struct change ENTRIES[] = {
    {"\"first.bias\"", "\"first.bios\"", "first.bios: found this field"},
    {"\"first.bias\"", "\"first.weight\"", "not a whole"},
    {"\"voice.bias\"", "\"even.scale\"", "even.scale: found this field"},
    {"\"voice.bias\"", "\"voice.weight.scale\"", "voice.weight.scale: found this field"},
    {"{\"dtype\":\"I8\",\"shape\":[4,4,2]", "{\"dtype\":\"U8\",\"shape\":[4,4,2]", "short.weight: expected type I8"},
    {"[4,4,2]", "[4,8]", "short.weight: expected shape (4, 4, 2), found (4, 8)"},
    {"[4,4,2]", "[4,4,2,1]", "short.weight: expected shape (4, 4, 2), found (4, 4, 2, ...)"},
    {"[4,4,2]", "[4,4,3]", "not a whole"},
    {"[4,4,2]", "[-4,-4,2]", "not a whole"},
    {"[4,4,2]", "[9000000000000000,9000000000000000]", "not a whole"},
    {"\"data_offsets\":[0,80]", "\"data_offsets\":[0,81]", "not a whole"},
    {"\"data_offsets\":[0,80]", "\"data_offsets\":[80,0]", "not a whole"},
    {"\"data_offsets\":[0,80]", "\"data_offsets\":[-80,0]", "not a whole"},
    {"\"data_offsets\":[0,80]", "\"data_offsets\":[1e3,80]", "not a whole"},
    {"\"data_offsets\":[0,80]", "\"data_offsets\":[99999999,100000079]", "not a whole"},
    {"\"data_offsets\":[0,80]", "\"data_offsets\":[18446744073709551536,18446744073709551616]", "not a whole"},
    {"\"data_offsets\":[80,96]", "\"x\":{},\"data_offsets\":[0,16]", "not a whole"}, /* an overlap */
    {"{\"__metadata__\"", "{\"metadata\"", "metadata: "},
    {"{\"percepnet\"", "{\"percept\"", "metadata: "},
    {"{\"__metadata__\"", "{\"__metadata__\":{},\"__metadata__\"", "not a whole"},
};

static size_t header_size(const char *file) {
    return (size_t)(unsigned char)file[0] | (size_t)(unsigned char)file[1] << 8;
}

static void test_entries(void) {
    static char whole[WRITTEN_MAX], header[WRITTEN_MAX], changed[WRITTEN_MAX], file[WRITTEN_MAX];
    size_t size = model_file_write(&EVERY_KIND, EVERY_KIND.text, strlen(EVERY_KIND.text), whole);
    size_t length = header_size(whole);
    memcpy(header, whole + 8, length);
    header[length] = '\0';
    for (size_t i = 0; i < sizeof ENTRIES / sizeof *ENTRIES; i++) {
        size_t changed_size = replace(header, ENTRIES[i].from, ENTRIES[i].to, changed);
        size_t file_size = model_file_join(changed, changed_size, whole + 8 + length, size - 8 - length, file);
        expect(file, file_size, ENTRIES[i].field, ENTRIES[i].to);
    }
    size_t longer = model_file_join(header, length, whole + 8 + length, size - 8 - length, file);
    file[longer] = 0;
    expect(file, longer + 1, "not a whole", "data that belong to no tensor are refused");
}

static void test_truncation(void) {
    static char file[WRITTEN_MAX];
    static model_description d;
    percepnet_error error;
    size_t size = model_file_write(&EVERY_KIND, EVERY_KIND.text, strlen(EVERY_KIND.text), file);
    for (size_t length = 0; length < size; length++) {
        check(!read_exactly(file, length, &d, &error) && is_line(error.message), "a truncated file is refused");
    }
    check(!model_file_read(file, size - 1, &d, NULL), "and nobody has to hear why");
}

/* Where the numbers of a tensor begin in a file of every kind. */
static size_t place_of(const char *file, const char *name) {
    size_t place = 8 + header_size(file);
    for (int i = 0; strcmp(EVERY_KIND.tensors[i].name, name) != 0; i++) {
        const written_tensor *t = &EVERY_KIND.tensors[i];
        size_t bytes = strcmp(t->type, "I8") == 0 ? 1 : sizeof(float);
        for (int axis = 0; axis < t->dimensions; axis++) {
            bytes *= (size_t)t->shape[axis];
        }
        place += bytes;
    }
    return place;
}

static void test_numbers(void) {
    static const struct {
        const char *name;
        uint32_t bits;
        int fits;
    } NUMBERS[] = {
        {"gain.bias", 0x7fc00000, 0},          {"gain.bias", 0xff800000, 0},
        {"gain.bias", 0x49742400, 1},          /* 1e6 */ {"gain.bias", 0xc9742401, 0},
        {"short.weight.scale", 0x3f800000, 1}, {"short.weight.scale", 0x3f800001, 0},
        {"short.weight.scale", 0x80000000, 1}, {"short.weight.scale", 0x80000001, 0},
        {"short.weight.scale", 0x7fc00000, 0},
    };
    static char file[WRITTEN_MAX];
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
        size_t size = model_file_write(&EVERY_KIND, EVERY_KIND.text, strlen(EVERY_KIND.text), file);
        memcpy(file + place_of(file, NUMBERS[i].name) + 4, &NUMBERS[i].bits, sizeof NUMBERS[i].bits);
        expect(file, size, NUMBERS[i].fits ? "" : NUMBERS[i].name, "numbers within their bounds");
    }
}

static void test_depth(void) {
    static char text[WRITTEN_MAX], deep[256], file[WRITTEN_MAX];
    for (int depth = 60; depth < 70; depth++) {
        strcpy(deep, "\"x\": ");
        memset(deep + strlen(deep), '[', (size_t)depth);
        memset(deep + 5 + depth, ']', (size_t)depth);
        strcpy(deep + 5 + 2 * depth, ", \"format_version\": 2");
        size_t size = replace(EVERY_KIND.text, "\"format_version\": 2", deep, text);
        size = model_file_write(&EVERY_KIND, text, size, file);
        expect(file, size, depth <= 64 ? "" : "metadata: ", "nesting has a bound");
    }
}

int main(void) {
    test_every_kind();
    test_format_1();
    test_changes();
    test_entries();
    test_truncation();
    test_numbers();
    test_depth();
    return testing_end();
}
