#ifndef FEATURES_H
#define FEATURES_H

#include "arena.h"
#include "signal/bands.h"
#include "signal/feature_blocks.h"
#include "signal/gain_control.h"

/* The running means that levels are relative to, and what lifts quiet recordings. */
typedef struct features_state {
    gain_control gain;
    int heard; /* frames that the means come from, up to RELATIVE_RISE_FRAMES */
    float *band_means;
    float *bin_means;
} features_state;

/* What is known of a frame. */
typedef struct features_input {
    const float *energy;    /* bands, of the newest frame, mean over channels */
    const float *power;     /* RELATIVE_BINS bins of the same */
    const float *coherence; /* bands, of the decided frame */
    float period_samples, correlation;
} features_input;

void features_init(features_state *s, const feature_layout *layout, int bands, arena *a);
void features_reset(features_state *s, const feature_layout *layout, int bands);

/* The number of the block `band_levels` of a band with this energy. */
float features_level(const bands *b, float energy, int band);

/* The network's input, numbers of the order of one. */
void features_finish(features_state *s, const feature_layout *layout, const bands *b, const features_input *in,
                     float *features);

#endif
