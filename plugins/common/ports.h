/* The ports of LADSPA and LV2, which are the same: a pointer to one float each, or to a block of them, in this order,
   then the inputs, the far end if there is one, and the outputs. */

#ifndef PLUGIN_PORTS_H
#define PLUGIN_PORTS_H

#include "door.h"

enum { LIMIT, MODEL, BYPASS, LATENCY, AUDIO };

#define PORTS_MONO (AUDIO + 2)
#define PORTS_ECHO (AUDIO + 3)
#define PORTS_STEREO (AUDIO + 4)

typedef struct instance {
    door door;
    float *ports[PORTS_STEREO]; /* NULL where the host has connected nothing */
} instance;

void ports_connect(instance *p, unsigned long port, float *data);

/* Begin, with the model that the port says. Allocates: not for audio threads. */
void ports_activate(instance *p);

void ports_run(instance *p, unsigned long samples);
void ports_say_latency(const instance *p);
void ports_cleanup(instance *p);

#endif
