/* consumer MODEL RATE_HZ IN OUT: enhance raw 32-bit floats, in chunks of any length and without a block. */

#include <percepnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 1000
#define RATE_MAX_HZ 192000
#define MODEL_BYTES_MAX (64 << 20)

static void stop(const char *message) {
    fprintf(stderr, "consumer: %s\n", message);
    exit(2);
}

static FILE *open_file(const char *path, const char *mode) {
    FILE *file = fopen(path, mode);
    if (!file) {
        stop(path);
    }
    return file;
}

static percepnet_model *load(const char *path) {
    percepnet_error error;
    char *bytes = malloc(MODEL_BYTES_MAX);
    if (!bytes) {
        stop("out of memory");
    }
    FILE *file = open_file(path, "rb");
    percepnet_model *model = percepnet_model_load(bytes, fread(bytes, 1, MODEL_BYTES_MAX, file), &error);
    fclose(file);
    free(bytes);
    if (!model) {
        stop(error.message);
    }
    return model;
}

static percepnet_stream *create(const percepnet_model *model, int32_t rate_hz) {
    percepnet_error error;
    percepnet_options options;
    percepnet_options_init(&options);
    options.sample_rate_hz = rate_hz;
    percepnet_stream *stream = percepnet_stream_create(model, &options, &error);
    if (!stream) {
        stop(error.message);
    }
    return stream;
}

int main(int argc, char **argv) {
    static float x[CHUNK], y[PERCEPNET_READY_MAX(CHUNK, RATE_MAX_HZ) + RATE_MAX_HZ];
    const int64_t capacity = sizeof y / sizeof *y;
    if (argc != 5 || strcmp(percepnet_version(), PERCEPNET_VERSION) != 0 || percepnet_abi() != PERCEPNET_ABI) {
        stop("usage: consumer MODEL RATE_HZ IN OUT, with the library of this header");
    }
    percepnet_model *model = load(argv[1]);
    percepnet_stream *stream = create(model, atoi(argv[2]));
    FILE *in = open_file(argv[3], "rb"), *out = open_file(argv[4], "wb");
    size_t count;
    while ((count = fread(x, sizeof *x, CHUNK, in)) > 0) {
        int64_t ready = percepnet_stream_process(stream, NULL, x, (int64_t)count, 0, y, capacity);
        fwrite(y, sizeof *y, ready < 0 ? 0 : (size_t)ready, out);
    }
    int64_t rest = percepnet_stream_flush(stream, y, capacity);
    fwrite(y, sizeof *y, rest < 0 ? 0 : (size_t)rest, out);
    fclose(in);
    percepnet_stream_destroy(stream);
    percepnet_model_destroy(model);
    return fclose(out) ? 2 : 0;
}
