/* LV2: mono and stereo, with the ports of the LADSPA plugin; percepnet.ttl
 * describes them. */

#include <lv2/core/lv2.h>
#include <stdlib.h>
#include <string.h>

#include "common/door.h"

#define STEREO "urn:percepnet:stereo"

enum { LIMIT, MODEL, BYPASS, LATENCY, AUDIO, PORTS = AUDIO + 4 };

typedef struct instance {
    door door;
    float *ports[PORTS];
} instance;

static LV2_Handle instantiate(const LV2_Descriptor *descriptor, double rate_hz, const char *folder,
                              const LV2_Feature *const *features) {
    (void)folder;
    (void)features;
    instance *p = calloc(1, sizeof *p);
    if (p) {
        int channels = strcmp(descriptor->URI, STEREO) == 0 ? 2 : 1;
        door_init(&p->door, rate_hz > 0 && rate_hz < 1e9 ? (int32_t)(rate_hz + 0.5) : 0, channels);
    }
    return p;
}

static void connect_port(LV2_Handle handle, uint32_t port, void *data) {
    if (port < PORTS) {
        ((instance *)handle)->ports[port] = data;
    }
}

static void follow_controls(instance *p) {
    door_control(&p->door, p->ports[LIMIT] ? *p->ports[LIMIT] : DOOR_LIMIT_MAX_DB,
                 p->ports[BYPASS] && *p->ports[BYPASS] > 0.5f);
}

static void activate(LV2_Handle handle) {
    instance *p = handle;
    follow_controls(p);
    door_open(&p->door, (door_choice){.model = model_number(p->ports[MODEL] ? *p->ports[MODEL] : 0.0f)});
}

static void run(LV2_Handle handle, uint32_t samples) {
    instance *p = handle;
    if (p->door.choice.model < 0) {
        activate(handle); /* the host has forgotten to */
    }
    follow_controls(p);
    if (p->ports[LATENCY]) {
        *p->ports[LATENCY] = (float)door_latency(&p->door);
    }
    const float *x[DOOR_CHANNELS_MAX];
    float *y[DOOR_CHANNELS_MAX];
    for (int c = 0; c < p->door.channels; c++) {
        x[c] = p->ports[AUDIO + c];
        y[c] = p->ports[AUDIO + p->door.channels + c];
    }
    door_run(&p->door, x, y, samples);
}

static void cleanup(LV2_Handle handle) {
    instance *p = handle;
    door_close(&p->door);
    free(p);
}

static const LV2_Descriptor PLUGINS[] = {
    {"urn:percepnet:mono", instantiate, connect_port, activate, run, NULL, cleanup, NULL},
    {STEREO, instantiate, connect_port, activate, run, NULL, cleanup, NULL},
};

LV2_SYMBOL_EXPORT const LV2_Descriptor *lv2_descriptor(uint32_t index) {
    return index < sizeof PLUGINS / sizeof *PLUGINS ? &PLUGINS[index] : NULL;
}
