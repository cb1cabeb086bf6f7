#ifndef ANALYSIS_H
#define ANALYSIS_H

#include "signal/bands.h"
#include "signal/comb.h"
#include "signal/drift.h"
#include "signal/features.h"
#include "signal/highpass.h"
#include "signal/pitch.h"
#include "signal/stft.h"
#include "signal/windows.h"

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
    windows windows; /* as many as the look-ahead allows */
    windows one_window;
    pitch_tables pitch;
    bands bands;
    const struct kernel *kernel;
} analysis_tables;

/* What is found of the windows of a frame. Whoever has the analysis may have it put elsewhere. */
typedef struct frame_spectra {
    complex32 *combs;    /* windows * channels * 481: after the comb filter, as the network hears them */
    complex32 *unturned; /* the windows that are given out where nothing is decided: phases as they were */
} frame_spectra;

typedef struct analysis {
    int channels, lookahead_frames, future_samples;
    const windows *windows; /* that are given out */
    int kept;               /* samples that the next hop will look back on */
    int capacity;           /* of a channel's samples */
    int end;                /* of what has been heard */
    float *samples;         /* channels * capacity */
    complex32 *spectra;     /* (M + 1) * channels * 481, oldest first: of the decided frame up to the newest */
    int gives_out;          /* whether the windows are found that are given out */
    frame_spectra frame;    /* the decided one */
    drift *drifts;          /* channels; NULL, as what follows, where they are made of `spectra` */
    float *drift_free;      /* channels * drift_free_samples: from the first window on as far as is known, and ahead */
    int drift_free_samples;
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
    float tap_weights_late[COMB_ALL_TAPS]; /* of the late window, which has less of a future */
    float period_samples, pitch_correlation;
    pitch pitch;
} analysis;

void analysis_tables_init(analysis_tables *tables, const analysis_params *params, const struct kernel *kernel,
                          arena *a);
void analysis_init(analysis *s, const analysis_tables *tables, int channels, int one_window, arena *a);
void analysis_reset(analysis *s, const analysis_tables *tables);

/* Where the next 480 samples of a channel go, before analysis_push. */
float *analysis_input(analysis *s, int channel);

/* Find out everything that is known of the frame before the network decides. */
void analysis_push(analysis *s, const analysis_tables *tables);

/* The decided frame after the comb filter, channels * 481. */
const complex32 *analysis_comb(const analysis *s);

/* The same with the comb filter's taps of another signal; the pitch of this one is not looked for. */
void analysis_follow(analysis *s, const analysis_tables *tables, const double tap_delays[COMB_ALL_TAPS]);

#endif
