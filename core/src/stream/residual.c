#include "stream/residual.h"

#include <math.h>
#include <string.h>

#include "signal/mix.h"

/* What is known of the bands: energies, and what they are made of. */
enum { LEFT, ECHO, FAR, CORRELATION, ONE_CHANNEL, OF_BANDS };

static float *of_bands(const residual *r, int what) { return r->of_bands + what * r->model->tables.bands.count; }

int residual_serves(const percepnet_model *model) {
    const int *start = model->tables.layout.start;
    for (int block = 0; block < FEATURE_BLOCKS; block++) {
        if (start[block] >= 0 && block != FEATURE_BAND_LEVELS && !feature_block_is_of_echo(block)) {
            return 0;
        }
    }
    return start[FEATURE_ECHO_LEVELS] >= 0;
}

static size_t past_hops(const residual *r) { return 2 * (size_t)r->channels + 1; }

void residual_init(residual *r, const percepnet_model *model, int channels, arena *a) {
    int bands = model->tables.bands.count;
    r->model = model;
    r->channels = channels;
    network_state_init(&r->network, &model->network, a);
    r->past = ARENA_TAKE(a, float, past_hops(r) * HOP_SAMPLES);
    r->of_bands = ARENA_TAKE(a, float, OF_BANDS * bands);
    r->features = ARENA_TAKE(a, float, model->network.features);
    r->gains = ARENA_TAKE(a, float, bands);
    echo_shape_init(&r->shape, &model->shape, model->tables.lookahead_frames, channels, a);
}

void residual_reset(residual *r) {
    network_reset(&r->network, &r->model->network);
    memset(r->past, 0, sizeof(float) * past_hops(r) * HOP_SAMPLES);
    echo_shape_reset(&r->shape);
    r->spoken = 1.0f;
    r->heard = 0;
}

static void transform(const residual *r, float *past, const float *hop, complex32 *spectrum) {
    _Alignas(ARENA_ALIGNMENT) complex32 work[STFT_WORK];
    float frame[WINDOW_SAMPLES];
    memcpy(frame, past, sizeof(float) * HOP_SAMPLES);
    memcpy(frame + HOP_SAMPLES, hop, sizeof(float) * HOP_SAMPLES);
    memcpy(past, hop, sizeof(float) * HOP_SAMPLES);
    stft_analysis(&r->model->tables.stft, frame, spectrum, work);
}

/* Add what was found of a channel to what is known of those before it. */
static void add(const residual *r, int what) {
    const float *found = of_bands(r, ONE_CHANNEL);
    float *sum = of_bands(r, what);
    for (int band = 0; band < r->model->tables.bands.count; band++) {
        sum[band] += found[band];
    }
}

static void add_energy(const residual *r, const complex32 *spectrum, int what) {
    bands_energy(&r->model->tables.bands, spectrum, of_bands(r, ONE_CHANNEL));
    add(r, what);
}

static void hear_channel(const residual *r, int channel, const float *left, const float *echo) {
    complex32 of_left[BINS], of_echo[BINS];
    transform(r, r->past + channel * HOP_SAMPLES, left, of_left);
    transform(r, r->past + (r->channels + channel) * HOP_SAMPLES, echo, of_echo);
    add_energy(r, of_left, LEFT);
    add_energy(r, of_echo, ECHO);
    bands_correlation(&r->model->tables.bands, of_left, of_echo, of_bands(r, ONE_CHANNEL));
    add(r, CORRELATION);
}

static void hear_far(const residual *r, const float *far) {
    complex32 of_far[BINS];
    transform(r, r->past + 2 * r->channels * HOP_SAMPLES, far, of_far);
    add_energy(r, of_far, FAR);
}

static void put(const residual *r, enum feature_block block, int what, int channels, float *features) {
    const bands *b = &r->model->tables.bands;
    int start = r->model->tables.layout.start[block];
    for (int band = 0; start >= 0 && band < b->count; band++) {
        features[start + band] = features_level(b, of_bands(r, what)[band] / (float)channels, band);
    }
}

/* While nobody speaks but the loudspeaker, what is left of it is all there is to hear: it is turned down further. */
static void quieten_echo_alone(residual *r) {
    int bands = r->model->tables.bands.count;
    double energy = 0.0;
    for (int band = 0; band < bands; band++) {
        energy += (double)r->gains[band] * (double)r->gains[band];
    }
    float rms = (float)sqrt(energy / bands), before = ECHO_ALONE_DECAY * r->spoken;
    r->spoken = rms > before ? rms : before;
    float share = r->spoken / ECHO_ALONE_GAIN, factor = 1.0f;
    for (int i = 0; share < 1.0f && i < ECHO_ALONE_EXPONENT; i++) {
        factor *= share;
    }
    for (int band = 0; band < bands; band++) {
        r->gains[band] *= factor;
    }
}

void residual_hear(residual *r, network_work *work, const float *left, int64_t left_stride, const float *echo,
                   int64_t echo_stride, const float *far) {
    const analysis_tables *tables = &r->model->tables;
    network_state *state = &r->network;
    int coherences = tables->layout.start[FEATURE_ECHO_COHERENCES];
    size_t size = sizeof(float) * (size_t)tables->bands.count;
    memset(r->of_bands, 0, OF_BANDS * size);
    for (int channel = 0; channel < r->channels; channel++) {
        hear_channel(r, channel, left + channel * left_stride, echo + channel * echo_stride);
    }
    hear_far(r, far);
    echo_shape_hear(&r->shape, echo, echo_stride);
    put(r, FEATURE_BAND_LEVELS, LEFT, r->channels, r->features);
    put(r, FEATURE_ECHO_LEVELS, ECHO, r->channels, r->features);
    put(r, FEATURE_FAR_LEVELS, FAR, 1, r->features);
    if (coherences >= 0) {
        bands_coherence(&tables->bands, of_bands(r, CORRELATION), of_bands(r, LEFT), of_bands(r, ECHO),
                        r->features + coherences);
    }
    network_run(&r->model->network, work, r->features, &state, 1, 1);
    memcpy(r->gains, work->heads.gains, size);
    quieten_echo_alone(r);
    r->heard = 1;
}

void residual_take_out(residual *r, analysis *heard, const analysis_tables *tables, complex32 *noisy, complex32 *given,
                       float *taken) {
    float bins[BINS];
    echo_shape_take_out(&r->shape, heard, tables, r->gains, noisy, given, bins, taken);
    mix_scale(tables->kernel, heard->windows->count * r->channels, bins, heard->frame.combs);
}
