/* Written by core/generate.py from percepnet.params and percepnet.reference: change those, and run it again. */

#ifndef CONSTANTS_H
#define CONSTANTS_H

#include <stdint.h>

#define SAMPLE_RATE_HZ 48000
#define HOP_SAMPLES 480
#define WINDOW_SAMPLES 960
#define BINS 481
#define LOOKAHEAD_FRAMES_MAX 3
#define PERIOD_MIN_SAMPLES 96
#define PERIOD_MAX_SAMPLES 768
#define UNITS_MAX 4096
#define CONVOLUTION_TAPS_MAX 64
#define CONVOLUTION_DILATION_MAX 256
#define NORMALISATION_FLOOR 9.99999975e-06f
#define HIGHPASS_MAX_HZ 100.0f
#define TINY 1e-15f
#define COMB_TAPS 5
#define COMB_PHASES 4
#define COMB_REACH 8
#define COMB_PAST_SAMPLES 3840
#define COMB_PAST_FRAMES 8
#define PITCH_DECIMATION 4
#define PITCH_HOP 120
#define PITCH_LOW_PASS_TAPS 49
#define PITCH_SEGMENT 480
#define PITCH_FFT 1024
#define PITCH_BINS 513
#define PITCH_OVERSAMPLING 2
#define PITCH_ENVELOPE_REACH 30
#define PITCH_WHITENING 0.800000012f
#define PITCH_FIRST_LAG 47
#define PITCH_LAGS 339
#define PITCH_STEP_SAMPLES 2.0f
#define PITCH_CELLS 73
#define PITCH_STEP_CELLS 4
#define PITCH_JUMP_COST 0.5f
#define SILENT_PERIOD_SAMPLES 272
#define FEATURE_WINDOW_ENERGY 480.0f
#define FEATURE_FLOOR 1.00000001e-10f
#define FEATURE_CENTRE_DB (-60.0f)
#define FEATURE_SPAN_DB 30.0f
#define RELATIVE_BINS 100
#define RELATIVE_FRAMES 300
#define RELATIVE_FLOOR 9.99999982e-14f
#define RELATIVE_SILENCE 9.99999996e-12f
#define RESCALE_MAX 4.0f
#define POSTFILTER_BETA 0.0199999996f

extern const float VORBIS_WINDOW[960];
extern const float COMB_WEIGHTS[11];
extern const float COMB_INTERPOLATORS[64];
extern const float PITCH_LOW_PASS[49];
extern const float PITCH_WINDOW[480];
extern const float PITCH_EMPHASIS[513];
extern const float PITCH_WINDOW_CORRELATION[339];
extern const int16_t PITCH_CELL_START[74];
extern const float PITCH_CELL_COSTS[73];
extern const float PITCH_STEP_COSTS[9];

#endif
