#include <stdlib.h>

#include "ports.h"

void ports_connect(instance *p, unsigned long port, float *data) {
    if (port < PORTS_STEREO) {
        p->ports[port] = data;
    }
}

static void follow_controls(instance *p) {
    door_control(&p->door, p->ports[LIMIT] ? *p->ports[LIMIT] : DOOR_LIMIT_MAX_DB,
                 p->ports[BYPASS] && *p->ports[BYPASS] > 0.5f);
}

void ports_activate(instance *p) {
    float wanted = p->ports[MODEL] ? *p->ports[MODEL] : (float)MODEL_DEFAULT;
    follow_controls(p);
    door_open(&p->door, (door_choice){.model = model_number(wanted)});
}

void ports_say_latency(const instance *p) {
    if (p->ports[LATENCY]) {
        *p->ports[LATENCY] = (float)door_latency(&p->door);
    }
}

void ports_run(instance *p, unsigned long samples) {
    if (p->door.choice.model < 0) {
        ports_activate(p); /* the host has forgotten to */
    }
    follow_controls(p);
    ports_say_latency(p);
    const float *x[DOOR_CHANNELS_MAX];
    float *y[DOOR_CHANNELS_MAX];
    for (int c = 0; c < p->door.channels; c++) {
        x[c] = p->ports[AUDIO + c];
        y[c] = p->ports[AUDIO + p->door.channels + p->door.far_end + c];
    }
    door_run(&p->door, x, p->door.far_end ? p->ports[AUDIO + p->door.channels] : NULL, y, samples);
}

void ports_cleanup(instance *p) {
    door_close(&p->door);
    free(p);
}
