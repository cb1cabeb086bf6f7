/* PercepNet: real-time, full-band suppression of noise and reverberation in speech.

   A model is read from the bytes of a model file. It is read-only after that, and serves any number of streams. A stream
   takes samples of any rate from 8 to 192 kHz in chunks of any length, and gives them back enhanced, with a constant
   delay:

       percepnet_error error;
       percepnet_model *model = percepnet_model_load(bytes, size, &error);
       percepnet_options options;
       percepnet_options_init(&options);
       options.sample_rate_hz = 16000;
       percepnet_stream *stream = model ? percepnet_stream_create(model, &options, &error) : NULL;
       if (!stream) {
           fprintf(stderr, "%s\n", error.message);
       }
       while (...) {
           float y[PERCEPNET_READY_MAX(160, 16000)];
           int64_t ready = percepnet_stream_process(stream, NULL, x, 160, 160, y, sizeof y / sizeof *y);
       }
       percepnet_stream_destroy(stream);
       percepnet_model_destroy(model);

   Memory: only the functions of the names _load and _create allocate. Threads: a stream, a block or a batch belongs to
   one thread at a time; different ones are independent, also those of one model. There are no globals. Functions accept
   NULL where they destroy, and nowhere else unless they say so. */

#ifndef PERCEPNET_H
#define PERCEPNET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* PERCEPNET_STATIC is for programs that link the static library, PERCEPNET_BUILD for the library itself. */
#if defined(PERCEPNET_STATIC)
#define PERCEPNET_API
#elif defined(_WIN32) && defined(PERCEPNET_BUILD)
#define PERCEPNET_API __declspec(dllexport)
#elif defined(_WIN32)
#define PERCEPNET_API __declspec(dllimport)
#elif defined(__GNUC__)
#define PERCEPNET_API __attribute__((visibility("default")))
#else
#define PERCEPNET_API
#endif

#define PERCEPNET_VERSION "0.1.0"

/* Counts up with every change that a program built with an older header would not survive. */
#define PERCEPNET_ABI 10

/* The version and the ABI of the library that runs, which a shared library may have other ones of than this header. */
PERCEPNET_API const char *percepnet_version(void);
PERCEPNET_API int32_t percepnet_abi(void);

/* What was wrong, in words: one line that says what to do. */
typedef struct percepnet_error {
    char message[256];
} percepnet_error;

typedef struct percepnet_model percepnet_model;
typedef struct percepnet_stream percepnet_stream;
typedef struct percepnet_block percepnet_block;
typedef struct percepnet_batch percepnet_batch;
typedef struct percepnet_canceller percepnet_canceller;
typedef struct percepnet_analyser percepnet_analyser;

/* ---- Models ---- */

/* The model in the bytes of a model file, formats 1 and 2; they are copied. NULL if they are truncated, damaged, of a
   newer format or do not fit together: then `error`, which may be NULL, names the field. */
PERCEPNET_API percepnet_model *percepnet_model_load(const void *data, size_t size, percepnet_error *error);

/* The same on one of the instruction sets of percepnet_kernel; NULL is the fastest. All of them give the same bits. */
PERCEPNET_API percepnet_model *percepnet_model_load_for(const void *data, size_t size, const char *kernel,
                                                        percepnet_error *error);

/* Only after all its streams, blocks and batches. */
PERCEPNET_API void percepnet_model_destroy(percepnet_model *model);

typedef struct percepnet_model_info {
    int32_t lookahead_frames;   /* M: the signal path at 48 kHz is (M + 1) * 480 samples late */
    int32_t bands;              /* each with a gain and a strength */
    int32_t features;           /* numbers that the network is given a frame */
    int32_t speech_probability; /* whether the network says how probable speech is */
    size_t bytes;               /* of memory that the model takes */
} percepnet_model_info;

PERCEPNET_API void percepnet_model_describe(const percepnet_model *model, percepnet_model_info *info);

/* Names of the instruction sets with a kernel that runs on this machine, the fastest first, and then NULL. */
PERCEPNET_API const char *percepnet_kernel(int32_t index);

/* ---- Streams ---- */

#define PERCEPNET_NO_LIMIT (-1.0f)

typedef struct percepnet_options {
    int32_t sample_rate_hz; /* 8000 to 192000; rates other than 48000 are converted to it and back */
    int32_t channels;       /* 1 to 1024 */
    int32_t link_channels;  /* 1: one decision for all channels, which keeps a stereo image; 0: each by itself */
    int32_t interleaved;    /* 0: channel after channel, `stride` samples apart; 1: sample after sample */
    int32_t comb_filter;    /* 0: all strengths are zero */
    int32_t post_filter;    /* 1: the envelope post-filter, which takes more noise and some clarity */
    int32_t one_window;     /* 1: each decision in one window instead of three, for output that is averaged anyway */
    float attenuation_limit_db; /* the most by which anything is attenuated, 0 or more; or PERCEPNET_NO_LIMIT */
    int32_t bypass;             /* 1: begin with the input as it is, aligned in time */
    /* 0: a call gives back what is ready, in steps of 10 ms. Otherwise calls take multiples of so many samples, and each
       gives back exactly as many as it takes, which costs up to 10 ms more of delay. 1 is for calls of any length. */
    int32_t block_samples;
    /* 1: there is a second input, what a loudspeaker plays near the microphones. Its echo is taken out first. */
    int32_t far_end;
    /* With a far end: a model that suppresses what the canceller leaves of an echo (residual.safetensors), of the same
       look-ahead and bands. It has to live as long as the stream. NULL: what is left stays, as far as the enhancement
       takes it for speech. */
    const percepnet_model *residual;
} percepnet_options;

/* 48 kHz, one channel, linked, with comb filter, without post-filter, without a limit, no bypass, samples when ready,
   no far end, and nothing for what is left of it. */
PERCEPNET_API void percepnet_options_init(percepnet_options *options);

/* A stream, at its beginning. NULL if an option is out of range, which `error` names, or without memory. */
PERCEPNET_API percepnet_stream *percepnet_stream_create(const percepnet_model *model, const percepnet_options *options,
                                                        percepnet_error *error);
PERCEPNET_API void percepnet_stream_destroy(percepnet_stream *stream);

/* Bytes of memory that it takes, besides its model. */
PERCEPNET_API size_t percepnet_stream_bytes(const percepnet_stream *stream);

/* Delay of the output in samples at the stream's rate: sample n + latency of the output belongs to sample n of the input. */
PERCEPNET_API int32_t percepnet_stream_latency(const percepnet_stream *stream);

/* Samples of each channel that the next call will give back if it is given `samples`. */
PERCEPNET_API int64_t percepnet_stream_ready(const percepnet_stream *stream, int64_t samples);

/* An upper bound of the same, before any call: for arrays. */
#define PERCEPNET_READY_MAX(samples, sample_rate_hz) ((samples) + (sample_rate_hz) / 100 + 1)

/* Why a call was refused, instead of a number of samples. The stream then goes on as if the call had not been. */
#define PERCEPNET_TOO_SMALL (-1)   /* there is no room for all that is ready */
#define PERCEPNET_OTHER_MODEL (-2) /* the block or batch is of another model, or of fewer channels */
#define PERCEPNET_BAD_LENGTH (-3)  /* a negative number of samples, or none of the multiples of block_samples */
#define PERCEPNET_NO_FAR_END (-4)  /* a far end, for a stream that was created without */
#define PERCEPNET_NO_SOUND (-5)    /* NaN, infinity or samples beyond PERCEPNET_PEAK_MAX */

/* Enhance the next `samples` samples of each channel, and return how many of each are in y. Not interleaved, channel c
   begins at x + c * stride, and at y + c * capacity; y has room for `capacity` samples of each channel, and does not
   overlap x. With a block, which may be NULL, long chunks are enhanced layer by layer, which is much faster, and gives
   the same bits. A hop of 10 ms with NaN, infinity or a sample beyond 80 dB above full scale is taken as silence, and
   counted. */
PERCEPNET_API int64_t percepnet_stream_process(percepnet_stream *stream, percepnet_block *block, const float *x,
                                               int64_t samples, int64_t stride, float *y, int64_t capacity);

/* The same for 16-bit samples; the output is rounded and clamped. */
PERCEPNET_API int64_t percepnet_stream_process_int16(percepnet_stream *stream, percepnet_block *block, const int16_t *x,
                                                     int64_t samples, int64_t stride, int16_t *y, int64_t capacity);

/* The same as percepnet_stream_process without a block, for callers that want to know at once of what is no sound: a chunk
   with NaN, infinity or a sample beyond 40 dB above full scale is refused. Channels follow each other without a gap. */
#define PERCEPNET_PEAK_MAX 100.0f
PERCEPNET_API int64_t percepnet_stream_process_sound(percepnet_stream *stream, const float *x, int64_t samples,
                                                     float *y, int64_t capacity);

/* The same two with what is played meanwhile, `samples` samples of one channel, for streams with the option far_end. NULL
   is silence, as in the calls above. Nothing comes out later for it; with nothing but silence, the output is that of a
   stream without far end, to the bit. */
PERCEPNET_API int64_t percepnet_stream_process_far(percepnet_stream *stream, percepnet_block *block, const float *x,
                                                   const float *far, int64_t samples, int64_t stride, float *y,
                                                   int64_t capacity);
PERCEPNET_API int64_t percepnet_stream_process_far_int16(percepnet_stream *stream, percepnet_block *block,
                                                         const int16_t *x, const int16_t *far, int64_t samples,
                                                         int64_t stride, int16_t *y, int64_t capacity);

/* End the stream: the samples that the delay holds back, so that as many have come out as went in and `latency` more.
   y has room for latency + PERCEPNET_READY_MAX(0, rate) samples of each channel. The stream is at its beginning again. */
PERCEPNET_API int64_t percepnet_stream_flush(percepnet_stream *stream, float *y, int64_t capacity);
PERCEPNET_API int64_t percepnet_stream_flush_int16(percepnet_stream *stream, int16_t *y, int64_t capacity);

/* Begin a new stream. Limit and bypass stay as they are. */
PERCEPNET_API void percepnet_stream_reset(percepnet_stream *stream);

/* While it runs, from the next call on and without a click. A limit below 0 is none. */
PERCEPNET_API void percepnet_stream_set_attenuation_limit(percepnet_stream *stream, float limit_db);

/* With bypass the output becomes the input, to the bit and as late as ever. Everything goes on running, so that the way
   back is as smooth. */
PERCEPNET_API void percepnet_stream_set_bypass(percepnet_stream *stream, int32_t bypass);

/* The same output at hardly any cost, for a machine that cannot keep up: nothing is decided. The way back begins anew, and
   the output stays the input for half a second more. */
PERCEPNET_API void percepnet_stream_set_idle(percepnet_stream *stream, int32_t idle);

/* Hops of 10 ms that were taken as silence since the stream began; of channels that are not linked, each its own. */
PERCEPNET_API int64_t percepnet_stream_refused_hops(const percepnet_stream *stream);

/* Probability that the last frame was speech, 0 to 1, the largest of channels that are not linked; -1 before the first
   frame, or if the model does not say. */
PERCEPNET_API float percepnet_stream_speech_probability(const percepnet_stream *stream);

/* Room for `hops` hops of 10 ms of one stream after the other, 1 to 1024, of up to so many channels. NULL if a number is
   out of range, which `error` names, or without memory. */
PERCEPNET_API percepnet_block *percepnet_block_create(const percepnet_model *model, int32_t channels, int32_t hops,
                                                      percepnet_error *error);
/* The same, and where the library is built with PERCEPNET_THREADS a call with two pieces of a block's length or more runs
   a second thread, which shares the stages of the pieces with the first: for files, two thirds of the time, the same to
   the bit. It ends with the call. Channels that are not linked have none. */
PERCEPNET_API percepnet_block *percepnet_block_create_threaded(const percepnet_model *model, int32_t channels,
                                                               int32_t hops, percepnet_error *error);
PERCEPNET_API void percepnet_block_destroy(percepnet_block *block);

/* ---- Many streams at once ---- */

/* Room for the network of `decisions` decisions at once, 1 to 1024: with it, weights are read once for all of them. A
   stream takes one, or one a channel if they are not linked; a batch serves any number of streams. NULL if the number is
   out of range, which `error` names, or without memory. */
PERCEPNET_API percepnet_batch *percepnet_batch_create(const percepnet_model *model, int32_t decisions,
                                                      percepnet_error *error);
PERCEPNET_API void percepnet_batch_destroy(percepnet_batch *batch);

/* The arguments of percepnet_stream_process_far, or of percepnet_stream_process_far_int16, for one stream of a batch. */
typedef struct percepnet_chunk {
    percepnet_stream *stream;
    const void *x;
    void *y;
    int64_t samples;
    int64_t stride;
    int64_t capacity;
    int32_t int16;   /* whether x, far and y are int16_t instead of float */
    int64_t ready;   /* what is returned: samples of each channel in y */
    const void *far; /* NULL: silence */
} percepnet_chunk;

/* The next chunk of each of `count` different streams of the batch's model, of any rates and lengths. The same to the bit
   as stream by stream. Returns 0; or why one of them was refused, which then has it in `ready`, and all streams go on as
   if the call had not been. */
PERCEPNET_API int32_t percepnet_batch_process(percepnet_batch *batch, percepnet_chunk *chunks, int32_t count);

/* ---- Echo cancellation by itself ---- */

/* What a stream with a far end begins with: the echo that `channels` microphones hear of one loudspeaker, on one of the
   instruction sets of percepnet_kernel, NULL being the fastest. NULL if there is no such one, if the number is out of
   range, which `error` names, or without memory. */
PERCEPNET_API percepnet_canceller *percepnet_canceller_create(int32_t channels, const char *kernel,
                                                              percepnet_error *error);
PERCEPNET_API void percepnet_canceller_destroy(percepnet_canceller *canceller);
PERCEPNET_API void percepnet_canceller_reset(percepnet_canceller *canceller);
PERCEPNET_API size_t percepnet_canceller_bytes(const percepnet_canceller *canceller);

/* How much later than the far end the echo is looked for, in samples: a multiple of 480, from 0 to 24000. */
PERCEPNET_API int32_t percepnet_canceller_delay(const percepnet_canceller *canceller);

/* Take the echo of the next `hops` hops of 480 samples at 48 kHz out of the microphones, in place and not delayed;
   channel c begins at near + c * stride. Samples must be finite. */
PERCEPNET_API void percepnet_cancel(percepnet_canceller *canceller, const float *far, int64_t hops, float *near,
                                    int64_t stride);

/* ---- Inside: for tests, training features and the oracle ---- */

/* What lay between the boxes of the signal path in the last hop, of the first decision of a stream; all zero before it.
   The arrays belong to the stream, and change with the next call. Complex numbers are pairs of real and imaginary part. */
typedef struct percepnet_frame {
    const float *noisy;    /* channels * 481 complex, spectrum of the decided frame */
    const float *comb;     /* channels * 481 complex, after the comb filter */
    const float *unturned; /* windows * channels * 481 complex each: what gains of one would give out */
    const float *combs;    /* the same after the comb filter, as the network hears them */
    const float *enhanced;
    const float *features; /* as percepnet_model_info says */
    const float *gains;    /* bands */
    const float *strengths;
    const float *lags;        /* 339, normalised autocorrelation of the newest 40 ms, from 94 samples in steps of 2 */
    const double *tap_delays; /* 11, samples */
    const float *tap_weights; /* 11 */
    float period_samples;
    float correlation;
    int32_t windows; /* that are given out of a frame: 1, or 3: its own, one before and one behind */
} percepnet_frame;

PERCEPNET_API void percepnet_stream_inspect(const percepnet_stream *stream, percepnet_frame *frame);

/* What of the signal path is chosen with a model: see percepnet_model_info and the model format. */
typedef struct percepnet_signal {
    int32_t lookahead_frames;  /* 0 to 3 */
    int32_t bands;             /* 2 to 481 */
    const int32_t *band_edges; /* centres of the bands in bins of 50 Hz, increasing from 0 */
    float highpass_hz;         /* 0: none */
    const char *features;      /* names of the blocks, separated by spaces; NULL is those of PercepNet */
} percepnet_signal;

/* The signal path up to the network; no model is needed. NULL if a field is out of range, which `error` names, or
   without memory. */
PERCEPNET_API percepnet_analyser *percepnet_analyser_create(const percepnet_signal *signal, int32_t channels,
                                                            percepnet_error *error);
PERCEPNET_API void percepnet_analyser_destroy(percepnet_analyser *analyser);
PERCEPNET_API void percepnet_analyser_reset(percepnet_analyser *analyser);

/* Numbers that the network would be given a frame. */
PERCEPNET_API int32_t percepnet_analyser_features(const percepnet_analyser *analyser);

/* Windows that are given out of a frame: 1, or 3: its own, one before and one behind. */
PERCEPNET_API int32_t percepnet_analyser_windows(const percepnet_analyser *analyser);

/* Where the results of each hop go, one after the other. */
typedef struct percepnet_analysis {
    float *noisy;    /* channels * 481 complex each */
    float *comb;     /* channels * 481 complex */
    float *unturned; /* windows * channels * 481 complex each; both NULL if nothing is to be given out */
    float *combs;
    float *features;        /* percepnet_analyser_features */
    float *periods_samples; /* 1 */
    float *correlations;    /* 1 */
    double *tap_delays;     /* 11 */
    float *tap_weights;     /* 11 */
} percepnet_analysis;

/* Analyse the next `hops` hops of 480 samples at 48 kHz; channel c begins at x + c * stride. With `tap_delays` (11 a hop,
   not NULL) the comb filter follows those of another signal, and the pitch of this one is not looked for. Samples must be
   finite. */
PERCEPNET_API void percepnet_analyse(percepnet_analyser *analyser, const float *x, int64_t hops, int64_t stride,
                                     const double *tap_delays, const percepnet_analysis *results);

#ifdef __cplusplus
}
#endif

#endif
