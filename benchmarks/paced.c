/* CPU time of 10 ms in libraries that a program in C calls, in turns of a second: `python benchmarks/bench_c.py` compiles
   and runs it.

       paced SECONDS {percepnet CORE MODEL | rnnoise LIBRARY | deepfilternet LIBRARY MODEL}...

   Paced and hot are as in percepnet.bench.measure. Prints a line for each system and way: its number, the way, and median,
   95th and 99th percentile in microseconds. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "percepnet.h"

enum { HOP = 480, TURN = 100, SETTLE = 10, SYSTEMS_MAX = 8 };

typedef struct timed {
    void *state;
    float scale; /* of its samples */
    int64_t (*percepnet)(percepnet_stream *, const float *, int64_t, float *, int64_t);
    float (*rnnoise)(void *, float *, const float *);
    float (*deepfilternet)(void *, const float *, float *);
    double *times_us;
} timed;

static void fail(const char *what, const char *why) {
    fprintf(stderr, "paced: %s: %s\n", what, why);
    exit(2);
}

static void *library(const char *path) {
    void *found = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!found) {
        fail(path, dlerror());
    }
    return found;
}

/* ISO C has no conversion between pointers to functions and to data; POSIX has. */
static void function(void *from, const char *name, void *place) {
    void *found = dlsym(from, name);
    if (!found) {
        fail(name, "not in the library");
    }
    memcpy(place, &found, sizeof found);
}

static void *bytes_of(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) {
        fail(path, "cannot be read");
    }
    *size = (size_t)ftell(file);
    rewind(file);
    void *bytes = malloc(*size);
    if (!bytes || fread(bytes, 1, *size, file) != *size) {
        fail(path, "cannot be read");
    }
    fclose(file);
    return bytes;
}

static timed start_percepnet(const char *path, const char *model_path) {
    void *core = library(path);
    percepnet_model *(*load)(const void *, size_t, percepnet_error *);
    void (*init)(percepnet_options *);
    percepnet_stream *(*create)(const percepnet_model *, const percepnet_options *, percepnet_error *);
    timed s = {.scale = 1};
    function(core, "percepnet_model_load", &load);
    function(core, "percepnet_options_init", &init);
    function(core, "percepnet_stream_create", &create);
    function(core, "percepnet_stream_process_sound", &s.percepnet);
    size_t size;
    void *bytes = bytes_of(model_path, &size);
    percepnet_error error;
    percepnet_options options;
    init(&options);
    percepnet_model *model = load(bytes, size, &error);
    free(bytes);
    s.state = model ? create(model, &options, &error) : NULL;
    if (!s.state) {
        fail(model_path, error.message);
    }
    return s;
}

static timed start_rnnoise(const char *path) {
    void *peer = library(path);
    void *(*create)(void *);
    timed s = {.scale = 32768};
    function(peer, "rnnoise_create", &create);
    function(peer, "rnnoise_process_frame", &s.rnnoise);
    s.state = create(NULL);
    return s;
}

static timed start_deepfilternet(const char *path, const char *model_path) {
    void *peer = library(path);
    void *(*create)(const char *, float, const char *);
    size_t (*length)(void *);
    timed s = {.scale = 1};
    function(peer, "df_create", &create);
    function(peer, "df_get_frame_length", &length);
    function(peer, "df_process_frame", &s.deepfilternet);
    s.state = create(model_path, 100, NULL);
    if (!s.state || length(s.state) != HOP) {
        fail(model_path, "does not start, or takes other frames");
    }
    return s;
}

static double clock_us(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void run(timed *s, const float *x, float *y) {
    if (s->percepnet) {
        s->percepnet(s->state, x, HOP, y, HOP);
    } else if (s->rnnoise) {
        s->rnnoise(s->state, y, x);
    } else {
        s->deepfilternet(s->state, x, y);
    }
}

static void turn(timed *s, int counted, int paced, double *times_us) {
    static float x[HOP], y[HOP];
    double due_us = clock_us(CLOCK_MONOTONIC);
    for (int i = -SETTLE; i < counted; i++) {
        for (int n = 0; n < HOP; n++) {
            x[n] = s->scale * 0.2f * ((float)rand() / (float)RAND_MAX - 0.5f);
        }
        due_us += 10000;
        for (double left_us; paced && (left_us = due_us - clock_us(CLOCK_MONOTONIC)) > 0;) {
            struct timespec pause = {0, (long)(left_us * 1e3)};
            nanosleep(&pause, NULL);
        }
        double started_us = clock_us(CLOCK_THREAD_CPUTIME_ID);
        run(s, x, y);
        if (i >= 0) {
            times_us[i] = clock_us(CLOCK_THREAD_CPUTIME_ID) - started_us;
        }
    }
}

static int by_size(const void *a, const void *b) {
    double difference = *(const double *)a - *(const double *)b;
    return (difference > 0) - (difference < 0);
}

int main(int count, char **words) {
    timed systems[SYSTEMS_MAX];
    int found = 0, frames = count > 1 ? TURN * atoi(words[1]) : 0;
    for (int i = 2; i < count && found < SYSTEMS_MAX; found++) {
        if (!strcmp(words[i], "percepnet") && i + 2 < count) {
            systems[found] = start_percepnet(words[i + 1], words[i + 2]);
            i += 3;
        } else if (!strcmp(words[i], "rnnoise") && i + 1 < count) {
            systems[found] = start_rnnoise(words[i + 1]);
            i += 2;
        } else if (!strcmp(words[i], "deepfilternet") && i + 2 < count) {
            systems[found] = start_deepfilternet(words[i + 1], words[i + 2]);
            i += 3;
        } else {
            fail(words[i], "no such system, or not all of it");
        }
        systems[found].times_us = calloc((size_t)frames + 1, sizeof(double));
    }
    if (frames < 1 || !found) {
        fail("usage", "paced SECONDS SYSTEM...");
    }
    for (int paced = 1; paced >= 0; paced--) {
        for (int done = 0; done < frames; done += TURN) {
            for (int i = 0; i < found; i++) {
                turn(&systems[i], TURN, paced, systems[i].times_us + done);
            }
        }
        for (int i = 0; i < found; i++) {
            double *t = systems[i].times_us;
            qsort(t, (size_t)frames, sizeof *t, by_size);
            printf("%d %s %.1f %.1f %.1f\n", i, paced ? "paced" : "hot", t[frames / 2], t[frames * 95 / 100],
                   t[frames * 99 / 100]);
        }
    }
    return 0;
}
