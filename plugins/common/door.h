/* What every plugin does with a stream of the library: choose a model, follow
   its controls, and pass the sound through, with one line on standard error,
   where nothing can be enhanced. Blocks may have any length, and in and out may
   be the same memory. */

#ifndef PLUGIN_DOOR_H
#define PLUGIN_DOOR_H

#include "models.h"

#define DOOR_CHANNELS_MAX 8
#define DOOR_CHUNK 512           /* samples of each channel at a time */
#define DOOR_LIMIT_MAX_DB 100.0f /* from here on there is no limit */

/* What a stream is made with, and cannot change while it runs. */
typedef struct door_choice {
    int model; /* a number of models.h; -1 before the first */
    int post_filter;
    int unlinked; /* 1: each channel decides by itself */
} door_choice;

typedef struct door {
    int32_t rate_hz;
    int channels;
    int far_end; /* 1: its echo is taken out */
    door_choice choice;
    const percepnet_model *model;
    const percepnet_model *residual; /* NULL: what is left of an echo stays */
    percepnet_stream *stream;        /* NULL: the sound passes through */
    float limit_db;
    int bypass;
    float x[DOOR_CHANNELS_MAX * DOOR_CHUNK], y[DOOR_CHANNELS_MAX * DOOR_CHUNK], far[DOOR_CHUNK];
} door;

void door_init(door *d, int32_t rate_hz, int channels, int far_end);

/* Begin a stream, or begin anew if it runs with these already. Allocates: not for audio threads. */
void door_open(door *d, door_choice choice);
void door_close(door *d);

/* From any value that a host gives, NaN too. */
void door_control(door *d, float limit_db, int bypass);

/* Samples that the output is late. */
int32_t door_latency(const door *d);

/* `x[c]` and `y[c]` are those of channel c, and `far` what a loudspeaker plays; a NULL in x or for far is silence, and
   one in y is left out. */
void door_run(door *d, const float *const *x, const float *far, float *const *y, unsigned long samples);

#endif
