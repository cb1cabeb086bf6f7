/* LADSPA: percepnet_mono, percepnet_stereo, and percepnet_echo, which has a
   second input for what a loudspeaker plays; at any rate from 8 to 192 kHz and
   in blocks of any length.

   Ports: "Attenuation Limit (dB)" (100 is none) and "Bypass" act while it runs;
   "Model" (0 default, 1 small, 2 the file that PERCEPNET_MODEL names) from the
   next activation on, as a model cannot be read in an audio thread; "latency"
   says by how many samples the output is late. */

#include <stdlib.h>

#include "abi.h"
#include "common/ports.h"

#define EXPORT __attribute__((visibility("default")))

static LADSPA_Handle instantiate(const LADSPA_Descriptor *descriptor, unsigned long rate_hz) {
    instance *p = calloc(1, sizeof *p); /* NULL only without memory: several hosts
                                         do not survive it */
    if (p) {
        int far_end = descriptor->PortCount == PORTS_ECHO;
        door_init(&p->door, rate_hz < INT32_MAX ? (int32_t)rate_hz : INT32_MAX,
                  (int)(descriptor->PortCount - AUDIO - far_end) / 2, far_end);
    }
    return p;
}

static void connect_port(LADSPA_Handle handle, unsigned long port, LADSPA_Data *data) {
    ports_connect(handle, port, data);
}

static void activate(LADSPA_Handle handle) {
    ports_activate(handle);
    ports_say_latency(handle);
}

static void run(LADSPA_Handle handle, unsigned long samples) { ports_run(handle, samples); }

static void cleanup(LADSPA_Handle handle) { ports_cleanup(handle); }

#define CONTROL_IN (LADSPA_PORT_CONTROL | LADSPA_PORT_INPUT)
#define CONTROL_OUT (LADSPA_PORT_CONTROL | LADSPA_PORT_OUTPUT)
#define AUDIO_IN (LADSPA_PORT_AUDIO | LADSPA_PORT_INPUT)
#define AUDIO_OUT (LADSPA_PORT_AUDIO | LADSPA_PORT_OUTPUT)
#define BOUNDED (LADSPA_HINT_BOUNDED_BELOW | LADSPA_HINT_BOUNDED_ABOVE)
#define CONTROL_NAMES "Attenuation Limit (dB)", "Model", "Bypass", "latency"

static const LADSPA_PortDescriptor MONO_PORTS[PORTS_MONO] = {CONTROL_IN,  CONTROL_IN, CONTROL_IN,
                                                             CONTROL_OUT, AUDIO_IN,   AUDIO_OUT};
static const LADSPA_PortDescriptor STEREO_PORTS[PORTS_STEREO] = {CONTROL_IN, CONTROL_IN, CONTROL_IN, CONTROL_OUT,
                                                                 AUDIO_IN,   AUDIO_IN,   AUDIO_OUT,  AUDIO_OUT};
static const LADSPA_PortDescriptor ECHO_PORTS[PORTS_ECHO] = {CONTROL_IN, CONTROL_IN, CONTROL_IN, CONTROL_OUT,
                                                             AUDIO_IN,   AUDIO_IN,   AUDIO_OUT};
static const char *const ECHO_NAMES[PORTS_ECHO] = {CONTROL_NAMES, "Input", "Far End (Loudspeaker)", "Output"};
static const char *const MONO_NAMES[PORTS_MONO] = {CONTROL_NAMES, "Input", "Output"};
static const char *const STEREO_NAMES[PORTS_STEREO] = {CONTROL_NAMES, "Input (Left)", "Input (Right)", "Output (Left)",
                                                       "Output (Right)"};
static const LADSPA_PortRangeHint HINTS[PORTS_STEREO] = {
    [LIMIT] = {BOUNDED | LADSPA_HINT_DEFAULT_MAXIMUM, 0.0f, DOOR_LIMIT_MAX_DB},
    [MODEL] = {BOUNDED | LADSPA_HINT_INTEGER | LADSPA_HINT_DEFAULT_0, 0.0f, (float)(MODEL_COUNT - 1)},
    [BYPASS] = {LADSPA_HINT_TOGGLED | LADSPA_HINT_DEFAULT_0, 0.0f, 0.0f},
};

#define PLUGIN(id, label, name, port_count, ports, port_names)                                                         \
    {                                                                                                                  \
        .UniqueID = id,                                                                                                \
        .Label = label,                                                                                                \
        .Properties = LADSPA_PROPERTY_HARD_RT_CAPABLE,                                                                 \
        .Name = name,                                                                                                  \
        .Maker = "percepnet",                                                                                          \
        .Copyright = "BSD-3-Clause",                                                                                   \
        .PortCount = port_count,                                                                                       \
        .PortDescriptors = ports,                                                                                      \
        .PortNames = port_names,                                                                                       \
        .PortRangeHints = HINTS,                                                                                       \
        .instantiate = instantiate,                                                                                    \
        .connect_port = connect_port,                                                                                  \
        .activate = activate,                                                                                          \
        .run = run,                                                                                                    \
        .cleanup = cleanup,                                                                                            \
    }

static const LADSPA_Descriptor PLUGINS[] = {
    PLUGIN(0x504E31, "percepnet_mono", "PercepNet noise and reverberation suppression, mono", PORTS_MONO, MONO_PORTS,
           MONO_NAMES),
    PLUGIN(0x504E32, "percepnet_stereo", "PercepNet noise and reverberation suppression, stereo", PORTS_STEREO,
           STEREO_PORTS, STEREO_NAMES),
    PLUGIN(0x504E33, "percepnet_echo", "PercepNet noise, reverberation and echo suppression, mono", PORTS_ECHO,
           ECHO_PORTS, ECHO_NAMES),
};

EXPORT const LADSPA_Descriptor *ladspa_descriptor(unsigned long index) {
    return index < sizeof PLUGINS / sizeof *PLUGINS ? &PLUGINS[index] : NULL;
}
