/* Models are looked for in this order: the folder that PERCEPNET_MODELS names,
   the plugin itself if it was built with its models inside, and the places
   relative to the plugin where packages and installations put them. */

#define _GNU_SOURCE /* dladdr */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models.h"

#define PATH_SIZE 4096

typedef struct held {
    percepnet_model *model;
    int users;
} held;

#define ALL_MODELS (MODEL_COUNT + 1)

static const char *const NAMES[ALL_MODELS] = {
    [MODEL_DEFAULT] = "default", [MODEL_SMALL] = "small", [MODEL_RESIDUAL] = "echo/residual"};

/* %s is the plugin's folder. */
static const char *const FOLDERS[] = {
    "%s",
    "%s/percepnet",
    "%s/../model/weights",      /* within the Python package */
    "%s/../../share/percepnet", /* of PREFIX/lib/ladspa */
    "%s/../../../share/percepnet",
    "/usr/local/share/percepnet",
    "/usr/share/percepnet",
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static held all[ALL_MODELS];

#ifdef PERCEPNET_EMBEDDED
#define EMBED(name, file)                                                                                              \
    ".balign 64\n"                                                                                                     \
    "embedded_" name ": .incbin \"" PERCEPNET_EMBEDDED "/" file ".safetensors\"\n"                                     \
    "embedded_" name "_end: .byte 0\n"
__asm__(".section .rodata\n" EMBED("default", "default") EMBED("small", "small")
            EMBED("residual", "echo/residual") ".text\n");
#define EMBEDDED(name)                                                                                                 \
    extern const unsigned char embedded_##name[], embedded_##name##_end[] __attribute__((visibility("hidden")))
EMBEDDED(default);
EMBEDDED(small);
EMBEDDED(residual);

static percepnet_model *load_embedded(int number, percepnet_error *error) {
    const struct {
        const unsigned char *data, *end;
    } all_of_it[ALL_MODELS] = {
        [MODEL_DEFAULT] = {embedded_default, embedded_default_end},
        [MODEL_SMALL] = {embedded_small, embedded_small_end},
        [MODEL_RESIDUAL] = {embedded_residual, embedded_residual_end},
    };
    const unsigned char *data = all_of_it[number].data;
    return percepnet_model_load(data, (size_t)(all_of_it[number].end - data), error);
}
#endif

static percepnet_model *load_stream(FILE *file, const char *path, percepnet_error *error) {
    percepnet_model *model = NULL;
    long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    char *data = size > 0 ? malloc((size_t)size) : NULL;
    rewind(file);
    if (data && fread(data, 1, (size_t)size, file) == (size_t)size) {
        model = percepnet_model_load(data, (size_t)size, error);
    } else {
        snprintf(error->message, sizeof error->message, "cannot read %.200s", path);
    }
    free(data);
    return model;
}

static percepnet_model *load_file(const char *path, percepnet_error *error) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        snprintf(error->message, sizeof error->message, "cannot open the model %.200s", path);
        return NULL;
    }
    percepnet_model *model = load_stream(file, path, error);
    fclose(file);
    return model;
}

/* The folder that this code was loaded from, or ".". */
static void own_folder(char *folder) {
    Dl_info info;
    strcpy(folder, ".");
    if (dladdr((const void *)all, &info) && info.dli_fname && strlen(info.dli_fname) < PATH_SIZE) {
        const char *slash = strrchr(info.dli_fname, '/');
        if (slash) {
            memcpy(folder, info.dli_fname, (size_t)(slash - info.dli_fname));
            folder[slash - info.dli_fname] = '\0';
        }
    }
}

static percepnet_model *find(int number, percepnet_error *error) {
    char folder[PATH_SIZE], place[2 * PATH_SIZE], path[2 * PATH_SIZE + 64];
    own_folder(folder);
    for (size_t i = 0; i < sizeof FOLDERS / sizeof *FOLDERS; i++) {
        /* the folders without %s ignore the argument */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(place, sizeof place, FOLDERS[i], folder);
#pragma GCC diagnostic pop
        snprintf(path, sizeof path, "%s/%s.safetensors", place, NAMES[number]);
        FILE *file = fopen(path, "rb");
        if (file) {
            percepnet_model *model = load_stream(file, path, error);
            fclose(file);
            return model;
        }
    }
    snprintf(error->message, sizeof error->message,
             "no model %s near %.150s: set PERCEPNET_MODELS to the folder with it", NAMES[number], folder);
    return NULL;
}

static percepnet_model *load(int number, percepnet_error *error) {
    char path[PATH_SIZE];
    if (number == MODEL_OWN) {
        const char *own = getenv("PERCEPNET_MODEL");
        if (!own || !*own) {
            snprintf(error->message, sizeof error->message, "set PERCEPNET_MODEL to the model file to use");
            return NULL;
        }
        return load_file(own, error);
    }
    const char *models = getenv("PERCEPNET_MODELS");
    if (models && *models) {
        snprintf(path, sizeof path, "%.4000s/%s.safetensors", models, NAMES[number]);
        return load_file(path, error);
    }
#ifdef PERCEPNET_EMBEDDED
    (void)find;
    return load_embedded(number, error);
#else
    return find(number, error);
#endif
}

int model_number(float value) { return value >= 1.5f ? MODEL_OWN : value >= 0.5f ? MODEL_SMALL : MODEL_DEFAULT; }

const percepnet_model *model_acquire(int number, percepnet_error *error) {
    pthread_mutex_lock(&lock);
    held *h = &all[number];
    if (!h->users) {
        h->model = load(number, error);
    }
    if (h->model) {
        h->users++;
    }
    const percepnet_model *model = h->model;
    pthread_mutex_unlock(&lock);
    return model;
}

void model_release(const percepnet_model *model) {
    pthread_mutex_lock(&lock);
    for (int i = 0; i < ALL_MODELS; i++) {
        if (model && all[i].model == model && --all[i].users == 0) {
            percepnet_model_destroy(all[i].model);
            all[i].model = NULL;
        }
    }
    pthread_mutex_unlock(&lock);
}
