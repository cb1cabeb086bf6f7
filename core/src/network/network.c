/* The network: features in, band gains and comb filter strengths out.

   features -> dense -> conv1 -> conv2 -> gru1 -> gru2 -> gru3 -> gain_gru -> gains
                                  |        |       |      |         |           ^
                                  +--------+-------+------+---------+--- skips -+
                                  +--- and gru3 -> strength_gru -> strengths */

#include "network/network.h"

#include <stddef.h>
#include <string.h>

#include "signal/constants.h"

static int in_range(int units) { return units >= 1 && units <= UNITS_MAX; }

static int is_affine(const percepnet_affine *layer, int rows, int columns) {
    int has_weights = layer->integers ? layer->scale != NULL : layer->weight != NULL;
    return has_weights && layer->bias && layer->rows == rows && layer->columns == columns;
}

static int is_gru(const percepnet_affine *layer, int inputs, int units) {
    return is_affine(layer, 3 * units, inputs) && is_affine(layer + 1, 3 * units, units);
}

int network_fits(const percepnet_description *d) {
    const percepnet_affine *layer = d->layers;
    int features = 2 * d->bands + 2;
    int dense = layer[PERCEPNET_DENSE].rows;
    int conv1 = layer[PERCEPNET_CONV1].rows;
    int conv2 = layer[PERCEPNET_CONV2].rows;
    int gru = layer[PERCEPNET_GRU1_STATE].columns;
    int strength_gru = layer[PERCEPNET_STRENGTH_GRU_STATE].columns;
    if (!in_range(dense) || !in_range(conv1) || !in_range(conv2) || !in_range(gru) || !in_range(strength_gru)) {
        return 0;
    }
    return is_affine(&layer[PERCEPNET_DENSE], dense, features) &&
           is_affine(&layer[PERCEPNET_CONV1], conv1, CONV1_TAPS * dense) &&
           is_affine(&layer[PERCEPNET_CONV2], conv2, CONV2_TAPS * conv1) &&
           is_gru(&layer[PERCEPNET_GRU1_INPUT], conv2, gru) && is_gru(&layer[PERCEPNET_GRU2_INPUT], gru, gru) &&
           is_gru(&layer[PERCEPNET_GRU3_INPUT], gru, gru) && is_gru(&layer[PERCEPNET_GAIN_GRU_INPUT], gru, gru) &&
           is_gru(&layer[PERCEPNET_STRENGTH_GRU_INPUT], gru + conv2, strength_gru) &&
           is_affine(&layer[PERCEPNET_GAIN], d->bands, conv2 + 4 * gru) &&
           is_affine(&layer[PERCEPNET_STRENGTH], d->bands, strength_gru);
}

void network_init(network *net, const percepnet_description *d, const kernel *k, arena *a) {
    net->bands = d->bands;
    net->features = 2 * d->bands + 2;
    net->dense = d->layers[PERCEPNET_DENSE].rows;
    net->conv1 = d->layers[PERCEPNET_CONV1].rows;
    net->conv2 = d->layers[PERCEPNET_CONV2].rows;
    net->gru = d->layers[PERCEPNET_GRU1_STATE].columns;
    net->strength_gru = d->layers[PERCEPNET_STRENGTH_GRU_STATE].columns;
    for (int layer = 0; layer < PERCEPNET_LAYERS; layer++) {
        matvec_init(&net->layers[layer], &d->layers[layer], k, a);
    }
}

static int skips(const network *net) { return net->conv2 + 4 * net->gru; }

static int units_of(const network *net, int gru) { return gru == STRENGTH_GRU ? net->strength_gru : net->gru; }

void network_state_init(network_state *s, const network *net, arena *a) {
    s->conv1_past = ARENA_TAKE(a, float, (CONV1_TAPS - 1) * net->dense);
    s->conv2_past = ARENA_TAKE(a, float, (CONV2_TAPS - 1) * net->conv1);
    for (int gru = 0; gru < NETWORK_GRUS; gru++) {
        s->grus[gru] = ARENA_TAKE(a, float, units_of(net, gru));
    }
}

void network_reset(network_state *s, const network *net) {
    memset(s->conv1_past, 0, sizeof(float) * (size_t)((CONV1_TAPS - 1) * net->dense));
    memset(s->conv2_past, 0, sizeof(float) * (size_t)((CONV2_TAPS - 1) * net->conv1));
    for (int gru = 0; gru < NETWORK_GRUS; gru++) {
        memset(s->grus[gru], 0, sizeof(float) * (size_t)units_of(net, gru));
    }
}

static int widest_rounded(const network *net) {
    int widest = 0;
    for (int layer = 0; layer < PERCEPNET_LAYERS; layer++) {
        int size = matvec_rounded(&net->layers[layer]);
        widest = size > widest ? size : widest;
    }
    return widest;
}

void network_work_init(network_work *w, const network *net, int streams, int frames, arena *a) {
    size_t s = (size_t)streams, all = s * (size_t)frames;
    size_t widest = (size_t)(net->gru > net->strength_gru ? net->gru : net->strength_gru);
    w->streams = streams;
    w->frames = frames;
    w->features = ARENA_TAKE(a, float, all * (size_t)net->features);
    w->gains = ARENA_TAKE(a, float, all * (size_t)net->bands);
    w->strengths = ARENA_TAKE(a, float, all * (size_t)net->bands);
    w->conv1_input = ARENA_TAKE(a, float, s * (size_t)((CONV1_TAPS - 1 + frames) * net->dense));
    w->conv2_input = ARENA_TAKE(a, float, s * (size_t)((CONV2_TAPS - 1 + frames) * net->conv1));
    w->skips = ARENA_TAKE(a, float, all * (size_t)skips(net));
    w->strength_input = ARENA_TAKE(a, float, all * (size_t)(net->gru + net->conv2));
    w->strength_gru = ARENA_TAKE(a, float, all * (size_t)net->strength_gru);
    w->from_input = ARENA_TAKE(a, float, all * 3 * widest);
    w->from_state = ARENA_TAKE(a, float, s * 3 * widest);
    w->inputs = ARENA_TAKE(a, const float *, all);
    w->rounded = ARENA_TAKE(a, int8_t, all * (size_t)widest_rounded(net));
}

/* Frames that lie `stride` apart are a layer's inputs. */
static void take(network_work *w, const float *x, int count, int stride) {
    for (int i = 0; i < count; i++) {
        w->inputs[i] = x + (size_t)i * (size_t)stride;
    }
}

/* A layer on the frames that were taken; what it makes lies `stride` apart. */
static void apply(const network *net, network_work *w, int layer, int count, float *y, int stride) {
    matvec_apply(&net->layers[layer], w->inputs, count, y, stride, w->rounded);
}

static void tanh_frames(const network *net, int layer, int count, float *y, int stride) {
    const matvec *m = &net->layers[layer];
    for (int i = 0; i < count; i++) {
        m->kernel->tanh(y + (size_t)i * (size_t)stride, m->rows);
    }
}

static void sigmoid_frames(const network *net, int layer, int count, float *y, int stride) {
    const matvec *m = &net->layers[layer];
    for (int i = 0; i < count; i++) {
        m->kernel->sigmoid(y + (size_t)i * (size_t)stride, m->rows);
    }
}

/* A strip is the input of a convolution: the frames of a stream before the newest, and these. */
typedef struct strip {
    float *x;
    int past, units;
    int length; /* from one stream to the next */
} strip;

static strip strip_of(float *x, int taps, int units, int frames) {
    strip s = {x, taps - 1, units, (taps - 1 + frames) * units};
    return s;
}

static float *strip_start(const strip *s, int stream) { return s->x + (size_t)stream * (size_t)s->length; }

static float *strip_newest(const strip *s, int stream) { return strip_start(s, stream) + s->past * s->units; }

static void recall(const strip *s, int stream, const float *past) {
    memcpy(strip_start(s, stream), past, sizeof(float) * (size_t)(s->past * s->units));
}

static void remember(const strip *s, int stream, int frames, float *past) {
    memcpy(past, strip_start(s, stream) + frames * s->units, sizeof(float) * (size_t)(s->past * s->units));
}

static void take_strips(network_work *w, const strip *s, int streams, int frames) {
    for (int stream = 0; stream < streams; stream++) {
        for (int t = 0; t < frames; t++) {
            w->inputs[stream * frames + t] = strip_start(s, stream) + t * s->units;
        }
    }
}

/* A layer on the frames that were taken. They are frames of one stream, or one of each. */
static void fill_strips(const network *net, network_work *w, int layer, const strip *s, int streams, int frames) {
    int stride = frames > 1 ? s->units : s->length;
    apply(net, w, layer, streams * frames, strip_newest(s, 0), stride);
    tanh_frames(net, layer, streams * frames, strip_newest(s, 0), stride);
}

static void convolutions(const network *net, network_work *w, network_state *const *states, int streams, int frames) {
    int all = streams * frames;
    strip first = strip_of(w->conv1_input, CONV1_TAPS, net->dense, w->frames);
    strip second = strip_of(w->conv2_input, CONV2_TAPS, net->conv1, w->frames);
    for (int stream = 0; stream < streams; stream++) {
        recall(&first, stream, states[stream]->conv1_past);
        recall(&second, stream, states[stream]->conv2_past);
    }
    take(w, w->features, all, net->features);
    fill_strips(net, w, PERCEPNET_DENSE, &first, streams, frames);
    take_strips(w, &first, streams, frames);
    fill_strips(net, w, PERCEPNET_CONV1, &second, streams, frames);
    take_strips(w, &second, streams, frames);
    apply(net, w, PERCEPNET_CONV2, all, w->skips, skips(net));
    tanh_frames(net, PERCEPNET_CONV2, all, w->skips, skips(net));
    for (int stream = 0; stream < streams; stream++) {
        remember(&first, stream, frames, states[stream]->conv1_past);
        remember(&second, stream, frames, states[stream]->conv2_past);
    }
}

/* On the frames that were taken: all of them through the input's matrix, then step by step. */
static void gru(const network *net, network_work *w, int which, network_state *const *states, int streams, int frames,
                float *out, int stride) {
    int layer = PERCEPNET_GRU1_INPUT + 2 * which, units = units_of(net, which);
    const kernel *k = net->layers[layer].kernel;
    apply(net, w, layer, streams * frames, w->from_input, 3 * units);
    for (int t = 0; t < frames; t++) {
        for (int stream = 0; stream < streams; stream++) {
            size_t before = (size_t)(stream * frames + t - 1) * (size_t)stride;
            w->inputs[stream] = t == 0 ? states[stream]->grus[which] : out + before;
        }
        apply(net, w, layer + 1, streams, w->from_state, 3 * units);
        for (int stream = 0; stream < streams; stream++) {
            size_t at = (size_t)(stream * frames + t);
            k->gates(w->from_input + at * 3 * (size_t)units, w->from_state + (size_t)stream * 3 * (size_t)units,
                     w->inputs[stream], units, out + at * (size_t)stride);
        }
    }
    for (int stream = 0; stream < streams; stream++) {
        size_t last = (size_t)(stream * frames + frames - 1) * (size_t)stride;
        memcpy(states[stream]->grus[which], out + last, sizeof(float) * (size_t)units);
    }
}

static void join(const network *net, const network_work *w, int count) {
    for (int i = 0; i < count; i++) {
        const float *conv2 = w->skips + (size_t)i * (size_t)skips(net), *gru3 = conv2 + net->conv2 + 2 * net->gru;
        float *joined = w->strength_input + (size_t)i * (size_t)(net->gru + net->conv2);
        memcpy(joined, gru3, sizeof(float) * (size_t)net->gru);
        memcpy(joined + net->gru, conv2, sizeof(float) * (size_t)net->conv2);
    }
}

void network_run(const network *net, network_work *w, network_state *const *states, int streams, int frames) {
    int all = streams * frames;
    convolutions(net, w, states, streams, frames);
    float *before = w->skips, *after = w->skips + net->conv2;
    for (int which = GRU1; which <= GAIN_GRU; which++, before = after, after += net->gru) {
        take(w, before, all, skips(net));
        gru(net, w, which, states, streams, frames, after, skips(net));
    }
    join(net, w, all);
    take(w, w->strength_input, all, net->gru + net->conv2);
    gru(net, w, STRENGTH_GRU, states, streams, frames, w->strength_gru, net->strength_gru);
    take(w, w->skips, all, skips(net));
    apply(net, w, PERCEPNET_GAIN, all, w->gains, net->bands);
    sigmoid_frames(net, PERCEPNET_GAIN, all, w->gains, net->bands);
    take(w, w->strength_gru, all, net->strength_gru);
    apply(net, w, PERCEPNET_STRENGTH, all, w->strengths, net->bands);
    sigmoid_frames(net, PERCEPNET_STRENGTH, all, w->strengths, net->bands);
}
