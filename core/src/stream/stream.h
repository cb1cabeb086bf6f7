/* A stream of any rate, around the decisions at 48 kHz.

   A call begins, takes and gives hops, and ends. A hop that is taken comes out at 48 kHz; when it has been enhanced, it
   is given, in the same order. Between the two lie one hop, or as many as a block has room for. */

#ifndef STREAM_H
#define STREAM_H

#include "signal/echo.h"
#include "stream/enhancer.h"
#include "stream/past.h"
#include "stream/resampler.h"
#include "stream/samples.h"

/* What one call brings and wants. */
typedef struct stream_call {
    const void *x;   /* NULL: behind the end */
    const void *far; /* one channel; NULL: silence */
    void *y;
    samples_format x_format, far_format, y_format;
    int64_t samples; /* of each channel of x */
    int64_t wanted;  /* of each channel of y */
    int64_t written;
} stream_call;

struct percepnet_stream {
    const percepnet_model *model;
    percepnet_options options;
    size_t bytes;
    int decisions, decision_channels; /* how many there are, and channels of each */
    int hop_max;                      /* samples of the longest hop */
    int path_samples;                 /* delay of the signal path and of the filters around it */
    int extra_samples;                /* delay for the sake of block_samples */
    enhancer *enhancers;
    network_work work; /* for one frame */
    network_work residual_work;
    resampler to_48k, from_48k;
    past past;
    echo *echo; /* and all that goes with it, where there is a far end; otherwise NULL */
    resampler far_to_48k;
    past far_past;
    float *far_hop;       /* 480, of the hop that was taken, at 48 kHz */
    float *hop_48k;       /* channels * 480 */
    float *hop;           /* channels * hop_max, at the stream's rate; before that, the hop at 48 kHz with its echo */
    float *dry;           /* hop_max, of one channel */
    float *rest;          /* of each channel, what a stream goes on with behind its end */
    float *left;          /* channels * extra_samples: what calls have not had room for */
    int left_samples;     /* of each channel */
    int bypassed;         /* whether the last hop ended as the input */
    int idle;             /* whether nothing is to be decided */
    int waking_hops;      /* until what is decided after that is to be heard */
    int64_t received;     /* samples before this call */
    int64_t taken, given; /* hops */
    int64_t refused_hops;
    stream_call call;
};

static inline int stream_has_far_end(const percepnet_stream *s) { return FAR_ENDS && s->echo; }

/* Whether nothing has to be decided: the hop before ended as the input, and this one is wanted so too. */
int stream_passes(const percepnet_stream *s);

/* The next hop of such a stream, taken and given as it is. */
void stream_pass_hop(percepnet_stream *s);

/* How many samples a call would give back; or why it is refused. */
int64_t stream_check(const percepnet_stream *s, const void *far, int64_t samples, int64_t capacity);

void stream_begin(percepnet_stream *s, const stream_call *call);
void stream_end(percepnet_stream *s);

/* Hops of this call that can be taken. */
int64_t stream_hops(const percepnet_stream *s);

/* The next hop at 48 kHz, without the echo of the far end; channels are `stride` apart. */
void stream_take_hop(percepnet_stream *s, float *to, int64_t stride);

/* The enhanced hop, which may be changed. */
void stream_give_hop(percepnet_stream *s, float *from, int64_t stride);

/* What stream.c needs of options.c: 0 if an option is out of range, which the error names. */
int options_fit(const percepnet_options *options, percepnet_error *error);

/* What stream.c needs of block.c: all of the hops that can be taken, or all but one, layer by layer. */
int block_serves(const percepnet_block *block, const percepnet_stream *s);
void block_run(percepnet_block *block, percepnet_stream *s, int64_t hops);

#endif
