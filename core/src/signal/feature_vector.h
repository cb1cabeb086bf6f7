/* Not features.h, which is a header of the C library. */

#ifndef FEATURE_VECTOR_H
#define FEATURE_VECTOR_H

#include "signal/bands.h"

/* The network's input, 2 * bands + 2 numbers of the order of one: mean power of a bin as (dB + 60) / 30, coherences,
   log2(period / 272), 2 * correlation - 1. The coherences are in their place in `features` already. */
void features_finish(const bands *b, const float *energy, float period_samples, float correlation, float *features);

#endif
