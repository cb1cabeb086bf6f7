/* LV2: mono and stereo, with the ports of the LADSPA plugin; percepnet.ttl
 * describes them. */

#include <lv2/core/lv2.h>
#include <stdlib.h>
#include <string.h>

#include "common/ports.h"

#define STEREO "urn:percepnet:stereo"

static LV2_Handle instantiate(const LV2_Descriptor *descriptor, double rate_hz, const char *folder,
                              const LV2_Feature *const *features) {
    (void)folder;
    (void)features;
    instance *p = calloc(1, sizeof *p);
    if (p) {
        int channels = strcmp(descriptor->URI, STEREO) == 0 ? 2 : 1;
        door_init(&p->door, rate_hz > 0 && rate_hz < 1e9 ? (int32_t)(rate_hz + 0.5) : 0, channels, 0);
    }
    return p;
}

static void connect_port(LV2_Handle handle, uint32_t port, void *data) { ports_connect(handle, port, data); }

static void activate(LV2_Handle handle) { ports_activate(handle); }

static void run(LV2_Handle handle, uint32_t samples) { ports_run(handle, samples); }

static void cleanup(LV2_Handle handle) { ports_cleanup(handle); }

static const LV2_Descriptor PLUGINS[] = {
    {"urn:percepnet:mono", instantiate, connect_port, activate, run, NULL, cleanup, NULL},
    {STEREO, instantiate, connect_port, activate, run, NULL, cleanup, NULL},
};

LV2_SYMBOL_EXPORT const LV2_Descriptor *lv2_descriptor(uint32_t index) {
    return index < sizeof PLUGINS / sizeof *PLUGINS ? &PLUGINS[index] : NULL;
}
