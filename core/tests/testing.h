/* What the tests of the core share: each is one program of one file. */

#ifndef TESTING_H
#define TESTING_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "networks.h"

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

static const int32_t EDGES[BANDS] = {0,  2,  4,  6,  8,  10,  12,  15,  18,  21,  24,  28,  32,  36,  41,  47,  53,
                                     60, 68, 77, 87, 98, 110, 124, 140, 157, 176, 198, 223, 251, 282, 317, 356, 400};

/* The network of the article, of sizes that are no multiple of any vector. */
static inline percepnet_model *test_model_of(int lookahead_frames, float highpass_hz, weights w, const char *kernel) {
    test_network *n = allocate(sizeof *n);
    test_network_begin(n, lookahead_frames, BANDS, EDGES, w);
    test_network_article(n, 9, 17, 33, 21, 5);
    n->description.highpass_hz = highpass_hz;
    n->description.kernel = kernel;
    percepnet_model *model = model_create(&n->description);
    test_network_discard(n);
    free(n);
    return model;
}

static inline percepnet_model *test_model(int lookahead_frames) {
    return test_model_of(lookahead_frames, 0.0f, (weights){7, 0.3f, 0, 0}, NULL);
}

/* One that gives three windows of a frame out, where it has the look-ahead. */
static inline percepnet_model *test_model_highpass(int lookahead_frames) {
    return test_model_of(lookahead_frames, 30.0f, (weights){7, 0.3f, 0, 0}, NULL);
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
