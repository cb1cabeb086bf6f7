/* A host that does what hosts do, and some things that they should not, with
   many instances of a LADSPA plugin at once: for sanitizers and valgrind.

       ladspa_host plugin.so INSTANCES

   Prints one line, and returns 0 if everything came back finite and, where
   nothing is enhanced, unchanged. */

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ladspa/abi.h"

#define LONGEST 8192
enum { LIMIT, MODEL, BYPASS, LATENCY, AUDIO, PORTS = AUDIO + 4 };
#define COUNT(array) (sizeof(array) / sizeof *(array))

typedef const LADSPA_Descriptor *(*finder)(unsigned long);

typedef struct voice {
    const LADSPA_Descriptor *plugin;
    LADSPA_Handle handle;
    LADSPA_Data controls[AUDIO];
    int channels, far_end;
    int passes_through;
} voice;

static const unsigned long RATES_HZ[] = {48000, 44100, 16000, 8000, 96000, 192000, 11025, 4000, 0, 400000};
static const unsigned long BLOCKS[] = {32, 64, 128, 480, 512, 1, 1000, 8192, 0};

static LADSPA_Data x[2][LONGEST], y[2][LONGEST], far[LONGEST];

static int start(voice *v, finder find, unsigned number) {
    unsigned long rate_hz = RATES_HZ[number % COUNT(RATES_HZ)];
    v->plugin = find(number % 3);
    v->far_end = v->plugin->PortCount == AUDIO + 3;
    v->channels = v->plugin->PortCount == AUDIO + 4 ? 2 : 1;
    v->passes_through = rate_hz < 8000 || rate_hz > 192000 || number % 7 == 3;
    v->handle = v->plugin->instantiate(v->plugin, rate_hz);
    v->controls[LIMIT] = number % 5 == 4 ? NAN : (LADSPA_Data)(number % 120);
    v->controls[MODEL] = v->passes_through && number % 7 == 3 ? 2.0f : 1.0f; /* 2 is a file that nobody has named */
    v->controls[BYPASS] = 0.0f;
    for (unsigned long port = 0; v->handle && port < AUDIO; port++) {
        v->plugin->connect_port(v->handle, port, &v->controls[port]);
    }
    if (v->handle && number % 3) { /* the others run without */
        v->plugin->activate(v->handle);
    }
    return v->handle != NULL;
}

static int run(voice *v, unsigned long samples, int in_place) {
    for (int c = 0; c < v->channels; c++) {
        for (unsigned long i = 0; i < samples; i++) {
            x[c][i] = 0.1f * sinf((float)i * 0.03f * (float)(c + 1));
        }
        memcpy(y[c], x[c], sizeof y[c]);
        v->plugin->connect_port(v->handle, (unsigned long)(AUDIO + c), in_place ? y[c] : x[c]);
        v->plugin->connect_port(v->handle, (unsigned long)(AUDIO + v->channels + v->far_end + c), y[c]);
    }
    for (unsigned long i = 0; v->far_end && i < samples; i++) {
        far[i] = 0.2f * sinf((float)i * 0.05f);
    }
    if (v->far_end) {
        v->plugin->connect_port(v->handle, (unsigned long)(AUDIO + v->channels), far);
    }
    v->plugin->run(v->handle, samples);
    for (int c = 0; c < v->channels; c++) {
        for (unsigned long i = 0; i < samples; i++) {
            if (!isfinite(y[c][i]) || (v->passes_through && y[c][i] != x[c][i])) {
                return 0;
            }
        }
    }
    return v->passes_through == (v->controls[LATENCY] == 0.0f);
}

int main(int argc, char **argv) {
    unsigned instances = argc > 2 ? (unsigned)atoi(argv[2]) : 0, failures = 0;
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
    finder find;
    if (!library || !instances) {
        fprintf(stderr, "ladspa_host: %s\n", argc > 2 ? dlerror() : "give a plugin and a number");
        return 2;
    }
    *(void **)&find = dlsym(library, "ladspa_descriptor");
    voice *voices = calloc(instances, sizeof *voices);
    for (unsigned i = 0; i < instances; i++) {
        failures += !start(&voices[i], find, i);
    }
    for (unsigned turn = 0; turn < COUNT(BLOCKS); turn++) {
        for (unsigned i = 0; i < instances; i++) {
            voices[i].controls[BYPASS] = (LADSPA_Data)((turn + i) % 4 == 0);
            failures += voices[i].handle && !run(&voices[i], BLOCKS[(turn + i) % COUNT(BLOCKS)], (int)(i + turn) % 2);
        }
    }
    for (unsigned i = 0; i < instances; i++) {
        if (voices[i].handle) {
            voices[i].plugin->activate(voices[i].handle); /* again, which begins anew */
            voices[i].plugin->cleanup(voices[i].handle);
        }
    }
    free(voices);
    dlclose(library);
    printf("%u instances, %u failures\n", instances, failures);
    return failures != 0;
}
