#ifndef ANALYSIS_H
#define ANALYSIS_H

#include "signal/bands.h"
#include "signal/comb.h"
#include "signal/drift.h"
#include "signal/features.h"
#include "signal/highpass.h"
#include "signal/pitch.h"
#include "signal/stft.h"

/* What of the signal path is chosen with a model. */
typedef struct analysis_params {
    int lookahead_frames, bands;
    const int32_t *band_edges;
    float highpass_hz;
    const unsigned *feature_blocks;
    int feature_block_count;
} analysis_params;

/* What all streams share. */
typedef struct analysis_tables {
    int lookahead_frames;
    feature_layout layout;
    highpass highpass;
    stft stft;
    pitch_tables pitch;
    bands bands;
    const struct kernel *kernel;
} analysis_tables;

typedef struct analysis {
    int channels, lookahead_frames, future_samples;
    int kept;                /* samples that the next hop will look back on */
    int capacity;            /* of a channel's samples */
    int end;                 /* of what has been heard */
    float *samples;          /* channels * capacity */
    complex32 *spectra;      /* (M + 1) * channels * 481, oldest first: of the decided frame up to the newest */
    complex32 *comb;         /* channels * 481, of the decided frame */
    complex32 *unturned;     /* channels * 481: what is given out of it where nothing is decided, phases as they were */
    drift *drifts;           /* channels; NULL, as what follows, where that is made of `spectra` */
    float *drift_free;       /* channels * M * 480, up to DRIFT_FUTURE_SAMPLES before the newest */
    int has_begun;           /* whether there was a hop */
    int has_ended;           /* whether what comes is nothing but what follows a recording */
    double *highpass_states; /* channels * HIGHPASS_STATE */
    float *features;
    features_state features_state;
    float *coherence; /* bands */
    float *power;     /* RELATIVE_BINS, of the newest frame; where the network is given them */
    float *energy;    /* bands each */
    float *energy_comb;
    float *correlation;
    float *one_channel;
    double contour[COMB_PAST_FRAMES]; /* periods of the frames before the decided one */
    double tap_delays[COMB_ALL_TAPS];
    float tap_weights[COMB_ALL_TAPS];
    float period_samples, pitch_correlation;
    pitch pitch;
} analysis;

void analysis_tables_init(analysis_tables *tables, const analysis_params *params, const struct kernel *kernel,
                          arena *a);
void analysis_init(analysis *s, const analysis_tables *tables, int channels, arena *a);
void analysis_reset(analysis *s, const analysis_tables *tables);

/* Where the next 480 samples of a channel go, before analysis_push. */
float *analysis_input(analysis *s, int channel);

/* Find out everything that is known of the frame before the network decides. */
void analysis_push(analysis *s, const analysis_tables *tables);

/* The same with the comb filter's taps of another signal; the pitch of this one is not looked for. */
void analysis_follow(analysis *s, const analysis_tables *tables, const double tap_delays[COMB_ALL_TAPS]);

#endif
