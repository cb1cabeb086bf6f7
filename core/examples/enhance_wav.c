/* Enhance a WAV file, as a program that uses the library would: nothing is needed but percepnet.h and the C library.

       enhance_wav MODEL IN.wav OUT.wav [LIMIT_DB]

   IN.wav is 16-bit PCM or 32-bit float, of 8 to 192 kHz, with any number of channels up to 1024. OUT.wav has the same
   format and length, and every sample stays where it was. LIMIT_DB is the most by which anything is attenuated.

   main() is the tour: load a model, create a stream and a block, run chunks through them, flush, destroy. What is above
   it reads and writes WAV files, on machines that are little-endian like these files. */

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "percepnet.h"

#define FAILURE 2
/* A chunk as long as a block makes the best of it: 32 hops of 10 ms. */
#define BLOCK_HOPS 32
#define FMT_BYTES_MAX 40
#define MODEL_BYTES_MAX (1L << 30)

/* One line on stderr that says what to do; 0, for functions that return whether all is well. */
static int fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "enhance_wav: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    return 0;
}

/* ---- WAV files ---- */

typedef struct wav {
    FILE *file;
    const char *path;
    uint8_t fmt[FMT_BYTES_MAX]; /* the chunk of that name, which the output gets too */
    uint32_t fmt_bytes;
    uint32_t channels, rate_hz, frames;
    size_t sample_bytes; /* 2: int16_t; 4: float */
} wav;

static uint32_t number(const uint8_t *bytes, int count) {
    uint32_t value = 0;
    for (int i = count; i > 0; i--) {
        value = value << 8 | bytes[i - 1];
    }
    return value;
}

static void put_number(uint8_t *bytes, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(value >> 8 * i);
    }
}

/* In steps, as `long` has 32 bits on some systems; chunks are padded to even lengths. */
static int skip(FILE *file, uint32_t bytes) {
    uint64_t left = (uint64_t)bytes + bytes % 2;
    while (left > 0) {
        long step = left < (1 << 30) ? (long)left : 1 << 30;
        if (fseek(file, step, SEEK_CUR)) {
            return 0;
        }
        left -= (uint64_t)step;
    }
    return 1;
}

static int read_fmt(wav *w, uint32_t bytes) {
    w->fmt_bytes = bytes < FMT_BYTES_MAX ? bytes : FMT_BYTES_MAX;
    if (bytes < 16 || fread(w->fmt, 1, w->fmt_bytes, w->file) != w->fmt_bytes || !skip(w->file, bytes - w->fmt_bytes)) {
        return fail("%s: damaged: its format cannot be read", w->path);
    }
    uint32_t tag = number(w->fmt, 2), bits = number(w->fmt + 14, 2);
    if (tag == 0xfffe && w->fmt_bytes == FMT_BYTES_MAX) {
        tag = number(w->fmt + 24, 2); /* WAVE_FORMAT_EXTENSIBLE says it further behind */
    }
    w->channels = number(w->fmt + 2, 2);
    w->rate_hz = number(w->fmt + 4, 4);
    w->sample_bytes = bits / 8;
    if (!(tag == 1 && bits == 16) && !(tag == 3 && bits == 32)) {
        return fail("%s: %u-bit samples of format %u: convert it to 16-bit PCM or 32-bit float", w->path,
                    (unsigned)bits, (unsigned)tag);
    }
    if (w->channels == 0 || number(w->fmt + 12, 2) != w->channels * w->sample_bytes) {
        return fail("%s: damaged: %u channels, and %u bytes for all of them", w->path, (unsigned)w->channels,
                    (unsigned)number(w->fmt + 12, 2));
    }
    return 1;
}

/* Chunks come in any order. What is wanted of them is known at the end, and then the file is set back to its samples. */
static int read_chunks(wav *w) {
    uint8_t head[8];
    fpos_t samples;
    int has_samples = 0;
    uint32_t bytes = 0;
    while (!(has_samples && w->fmt_bytes) && fread(head, 1, sizeof head, w->file) == sizeof head) {
        uint32_t chunk_bytes = number(head + 4, 4);
        if (!memcmp(head, "fmt ", 4) && !w->fmt_bytes) {
            if (!read_fmt(w, chunk_bytes)) {
                return 0;
            }
            continue;
        }
        if (!memcmp(head, "data", 4) && !has_samples) {
            has_samples = !fgetpos(w->file, &samples);
            bytes = chunk_bytes;
        }
        if (!skip(w->file, chunk_bytes)) {
            break;
        }
    }
    if (!has_samples || !w->fmt_bytes || fsetpos(w->file, &samples)) {
        return fail("%s: damaged: it has no %s", w->path, has_samples ? "format" : "samples");
    }
    w->frames = bytes / (uint32_t)(w->channels * w->sample_bytes);
    return 1;
}

static int open_wav(wav *w, const char *path) {
    uint8_t head[12];
    memset(w, 0, sizeof *w);
    w->path = path;
    w->file = fopen(path, "rb");
    if (!w->file) {
        return fail("%s: cannot be opened: %s", path, strerror(errno));
    }
    if (fread(head, 1, sizeof head, w->file) != sizeof head || memcmp(head, "RIFF", 4) || memcmp(head + 8, "WAVE", 4)) {
        return fail("%s: not a WAV file: convert it to 16-bit PCM or 32-bit float WAV", path);
    }
    return read_chunks(w);
}

/* A header like the input's, with its format chunk as it was. A file of floats also says how many frames it has. */
static int write_header(FILE *file, const wav *like) {
    uint8_t head[20] = "RIFF----WAVEfmt ", fact[12] = "fact\4\0\0\0", data[8] = "data";
    uint32_t fmt_bytes = like->fmt_bytes + like->fmt_bytes % 2, fact_bytes = like->sample_bytes == 4 ? sizeof fact : 0;
    uint32_t bytes = (uint32_t)(like->frames * like->channels * like->sample_bytes);
    put_number(head + 4, 4 + 8 + fmt_bytes + fact_bytes + 8 + bytes + bytes % 2);
    put_number(head + 16, like->fmt_bytes);
    put_number(fact + 8, like->frames);
    put_number(data + 4, bytes);
    return fwrite(head, sizeof head, 1, file) == 1 && fwrite(like->fmt, fmt_bytes, 1, file) == 1 &&
           (!fact_bytes || fwrite(fact, sizeof fact, 1, file) == 1) && fwrite(data, sizeof data, 1, file) == 1;
}

/* ---- Enhancement ---- */

/* The model file as it is, which percepnet_model_load checks and copies. */
static percepnet_model *load_model(const char *path) {
    percepnet_error error = {"out of memory"};
    percepnet_model *model = NULL;
    FILE *file = fopen(path, "rb");
    long size = -1;
    if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET)) {
        fail("%s: cannot be read: %s", path, strerror(errno));
    } else if (size > MODEL_BYTES_MAX) {
        fail("%s: not a model file: it is too large", path);
    } else {
        void *bytes = malloc((size_t)size + 1);
        if (bytes && fread(bytes, 1, (size_t)size, file) == (size_t)size) {
            model = percepnet_model_load(bytes, (size_t)size, &error);
        }
        free(bytes);
        if (!model) {
            fail("%s: %s", path, error.message);
        }
    }
    if (file) {
        fclose(file);
    }
    return model;
}

/* A WAV file holds a sample of each channel after the other: that is what `interleaved` is for. */
static percepnet_stream *create_stream(const percepnet_model *model, const wav *in, float limit_db) {
    percepnet_options options;
    percepnet_error error;
    percepnet_options_init(&options);
    options.sample_rate_hz = (int32_t)in->rate_hz;
    options.channels = (int32_t)in->channels;
    options.interleaved = 1;
    options.attenuation_limit_db = limit_db;
    percepnet_stream *stream = percepnet_stream_create(model, &options, &error);
    if (!stream) {
        fail("%s: %s", in->path, error.message);
    }
    return stream;
}

/* What one file needs. All memory is allocated here and before: nothing grows while the file is enhanced. */
typedef struct job {
    wav in;
    FILE *out;
    percepnet_stream *stream;
    percepnet_block *block;
    void *x, *y;
    uint32_t chunk;   /* frames that are read at once */
    int64_t capacity; /* frames that y has room for */
    int64_t late;     /* frames of delay that are still to be dropped */
} job;

/* Interleaved, `stride` is not looked at, and `capacity` counts frames: samples of each channel. */
static int64_t process(job *j, uint32_t frames) {
    if (j->in.sample_bytes == 2) {
        return percepnet_stream_process_int16(j->stream, j->block, j->x, frames, 0, j->y, j->capacity);
    }
    return percepnet_stream_process(j->stream, j->block, j->x, frames, 0, j->y, j->capacity);
}

static int64_t flush(job *j) {
    if (j->in.sample_bytes == 2) {
        return percepnet_stream_flush_int16(j->stream, j->y, j->capacity);
    }
    return percepnet_stream_flush(j->stream, j->y, j->capacity);
}

/* The first `latency` frames that come out belong to no input: without them, the output lines up with the input. */
static int write_frames(job *j, int64_t frames) {
    if (frames < 0) {
        return fail("a call was refused: %d", (int)frames); /* PERCEPNET_TOO_SMALL and so on; not with these sizes */
    }
    size_t frame_bytes = j->in.channels * j->in.sample_bytes;
    int64_t dropped = j->late < frames ? j->late : frames;
    j->late -= dropped;
    size_t bytes = (size_t)(frames - dropped) * frame_bytes;
    if (fwrite((char *)j->y + (size_t)dropped * frame_bytes, 1, bytes, j->out) != bytes) {
        return fail("the output cannot be written: %s", strerror(errno));
    }
    return 1;
}

/* Chunk by chunk; each call gives back what is ready, and the flush as much as makes the output as long as the input. */
static int enhance(job *j) {
    uint32_t left = j->in.frames;
    while (left > 0) {
        uint32_t frames = left < j->chunk ? left : j->chunk;
        if (fread(j->x, j->in.channels * j->in.sample_bytes, frames, j->in.file) != frames) {
            return fail("%s: truncated: its header promises %lu frames more", j->in.path, (unsigned long)left);
        }
        if (!write_frames(j, process(j, frames))) {
            return 0;
        }
        left -= frames;
    }
    int64_t refused = percepnet_stream_refused_hops(j->stream); /* the flush sets it back */
    if (refused) {
        fail("%s: hops of 10 ms with NaN or infinity, which are taken as silence: %ld", j->in.path, (long)refused);
    }
    return write_frames(j, flush(j));
}

/* Room for the most that a call can give back, a chunk or the flush, whichever is more. */
static int prepare(job *j, const percepnet_model *model, float limit_db) {
    j->stream = create_stream(model, &j->in, limit_db);
    if (!j->stream) {
        return 0;
    }
    int32_t rate_hz = (int32_t)j->in.rate_hz;
    size_t frame_bytes = j->in.channels * j->in.sample_bytes;
    j->late = percepnet_stream_latency(j->stream);
    j->chunk = j->in.rate_hz / 100 * BLOCK_HOPS;
    j->capacity = (j->late > j->chunk ? j->late : (int64_t)j->chunk) + PERCEPNET_READY_MAX(0, rate_hz);
    /* without a block it would be the same to the bit, and slower */
    j->block = percepnet_block_create(model, (int32_t)j->in.channels, BLOCK_HOPS, NULL);
    j->x = malloc(j->chunk * frame_bytes);
    j->y = malloc((size_t)j->capacity * frame_bytes);
    return (j->block && j->x && j->y) || fail("%s: out of memory", j->in.path);
}

/* Closed, and under its name if it is complete; otherwise it is removed, and what had the name is still there. */
static int finish_output(job *j, const char *part, const char *path, int good) {
    if (fclose(j->out) && good) {
        good = fail("%s: cannot be written: %s", part, strerror(errno)); /* a full disk may show only now */
    }
    fclose(j->in.file);
    j->in.file = NULL; /* it may be the file that is replaced */
#ifdef _WIN32
    if (good) {
        remove(path); /* rename() replaces nothing there */
    }
#endif
    if (good && rename(part, path)) {
        good = fail("%s: cannot be written: %s", path, strerror(errno));
    }
    if (!good) {
        remove(part);
    }
    return good;
}

static int write_output(job *j, const char *path) {
    char *part = malloc(strlen(path) + sizeof ".part");
    if (!part) {
        return fail("%s: out of memory", path);
    }
    strcat(strcpy(part, path), ".part");
    j->out = fopen(part, "wbx");
    int good = j->out || fail("%s: cannot be created: %s", part, strerror(errno));
    if (good) {
        good = write_header(j->out, &j->in) || fail("%s: cannot be written: %s", part, strerror(errno));
        good = finish_output(j, part, path, good && enhance(j));
    }
    free(part);
    return good;
}

static int parse_limit(const char *text, float *limit_db) {
    char *end;
    *limit_db = strtof(text, &end);
    return (end != text && !*end && *limit_db >= 0.0f) ||
           fail("LIMIT_DB is '%s': give a number of dB, 0 or more", text);
}

int main(int argc, char **argv) {
    float limit_db = PERCEPNET_NO_LIMIT;
    if (argc < 4 || argc > 5) {
        fail("usage: enhance_wav MODEL IN.wav OUT.wav [LIMIT_DB]");
        return FAILURE;
    }
    if (argc == 5 && !parse_limit(argv[4], &limit_db)) {
        return FAILURE;
    }
    job j;
    memset(&j, 0, sizeof j);
    percepnet_model *model = load_model(argv[1]);
    int good = model && open_wav(&j.in, argv[2]) && prepare(&j, model, limit_db) && write_output(&j, argv[3]);
    /* streams and blocks before their model; NULL is fine */
    percepnet_stream_destroy(j.stream);
    percepnet_block_destroy(j.block);
    percepnet_model_destroy(model);
    free(j.x);
    free(j.y);
    if (j.in.file) {
        fclose(j.in.file);
    }
    return good ? 0 : FAILURE;
}
