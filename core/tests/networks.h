/* Networks with random weights, for tests: described as a model file would describe them. */

#ifndef NETWORKS_H
#define NETWORKS_H

#include "model.h"

/* What all of them need of weights. */
typedef struct weights {
    uint32_t state; /* of the generator */
    float spread;   /* uniform in [-spread, spread] */
    int in_8_bits;  /* matrices that may be */
    int any_bits;   /* instead, anything that single precision can hold, NaN too */
} weights;

/* A description whose tensors belong to it, from a signal path without layers on. */
typedef struct test_network {
    model_description description;
    weights weights;
    void *memory[2 * TENSORS_MAX * LAYERS_MAX];
    int memory_count;
} test_network;

void test_network_begin(test_network *n, int lookahead_frames, int bands, const int32_t *edges, weights w);

/* Say which features the network is given, before any layer. */
void test_network_features(test_network *n, const unsigned *blocks, int count);

/* Add a layer to `d`, whose kind, inputs and sizes are set; units follow from the inputs where the kind says so. Returns
   its number, or FEATURES_LAYER if its inputs do not fit together. */
int test_network_add(test_network *n, layer_description d);

/* Units of a layer, or of the network's input. */
int test_network_units(const test_network *n, int layer);

/* The network of the article, of any sizes. */
void test_network_article(test_network *n, int dense, int conv1, int conv2, int gru, int strength_gru);

/* Add a network for bins, whose layers have so many units. */
void test_network_bins(test_network *n, int units);

/* A network of up to `layers` layers of any kinds, as `random` says, and three heads; now and then one for bins. */
void test_network_any(test_network *n, uint32_t (*random)(void *), void *source, int layers);

void test_network_discard(test_network *n);

#endif
