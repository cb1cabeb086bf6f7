/* What the tests of the core share: each is one program of one file. */

#ifndef TESTING_H
#define TESTING_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "legacy.h"

#define BANDS 34

static int failures;

static inline void check(int holds, const char *what) {
    if (!holds) {
        failures++;
        printf("failed: %s\n", what);
    }
}

static inline int testing_end(void) {
    printf(failures ? "%d failures\n" : "the core holds\n", failures);
    return failures != 0;
}

static uint32_t random_state = 1;

static inline float uniform(void) {
    random_state = random_state * 1664525u + 1013904223u;
    return (float)(random_state >> 8) / 8388608.0f - 1.0f;
}

static inline void *allocate(size_t size) {
    void *memory = calloc(1, size);
    if (!memory) {
        abort();
    }
    return memory;
}

static const int32_t EDGES[BANDS] = {0,  2,  4,  6,  8,  10, 12,  15,  18,  21,  24,  28,  32,  36,  41,  47,  53,
                                     60, 68, 77, 87, 98, 110, 124, 140, 157, 176, 198, 223, 251, 282, 317, 356, 400};

/* Rows and columns of each layer, of sizes that are no multiple of any vector. */
enum { DENSE = 9, CONV1 = 17, CONV2 = 33, GRU = 21, STRENGTH_GRU = 5 };
static const int32_t SHAPES[PERCEPNET_LAYERS][2] = {
    {DENSE, 2 * BANDS + 2}, {CONV1, 5 * DENSE},          {CONV2, 3 * CONV1},
    {3 * GRU, CONV2},       {3 * GRU, GRU},              {3 * GRU, GRU},
    {3 * GRU, GRU},         {3 * GRU, GRU},              {3 * GRU, GRU},
    {3 * GRU, GRU},         {3 * GRU, GRU},              {3 * STRENGTH_GRU, GRU + CONV2},
    {3 * STRENGTH_GRU, STRENGTH_GRU}, {BANDS, CONV2 + 4 * GRU}, {BANDS, STRENGTH_GRU},
};

static inline percepnet_description description(int lookahead_frames, float spread) {
    percepnet_description d = {.lookahead_frames = lookahead_frames, .bands = BANDS, .band_edges = EDGES};
    random_state = 7;
    for (int layer = 0; layer < PERCEPNET_LAYERS; layer++) {
        int rows = SHAPES[layer][0], columns = SHAPES[layer][1];
        float *weight = allocate(sizeof(float) * (size_t)(rows * columns));
        float *bias = allocate(sizeof(float) * (size_t)rows);
        for (int i = 0; i < rows * columns; i++) {
            weight[i] = spread * uniform();
        }
        for (int i = 0; i < rows; i++) {
            bias[i] = spread * uniform();
        }
        d.layers[layer] = (percepnet_affine){.weight = weight, .bias = bias, .rows = rows, .columns = columns};
    }
    return d;
}

static inline void discard(percepnet_description *d) {
    for (int layer = 0; layer < PERCEPNET_LAYERS; layer++) {
        free((void *)(uintptr_t)d->layers[layer].weight);
        free((void *)(uintptr_t)d->layers[layer].bias);
    }
}

static inline percepnet_model *test_model(int lookahead_frames) {
    percepnet_description d = description(lookahead_frames, 0.3f);
    percepnet_model *model = percepnet_model_create(&d);
    discard(&d);
    return model;
}

/* Pulses whose period wanders over the whole range, in noise. */
static inline void voice(float *x, int samples, int rate_hz) {
    double phase = 0.0;
    random_state = 3;
    for (int n = 0; n < samples; n++) {
        phase += (220.0 + 180.0 * sin(n * 14.4 / rate_hz)) / rate_hz;
        x[n] = 0.02f * uniform();
        if (phase >= 1.0) {
            phase -= 1.0;
            x[n] += 0.5f;
        }
    }
}

#endif
