/* tanh and the logistic function, without a call and without a branch, so that the compiler makes vectors of them. */

#ifndef ACTIVATION_H
#define ACTIVATION_H

/* Absolute errors in single precision. Results never leave [-1, 1] and [0, 1]. */
#define TANH_ERROR_MAX 2e-6f
#define SIGMOID_ERROR_MAX 1e-6f

/* x P(x^2) / Q(x^2), of least maximal error from 0 to 7, where tanh is 1.7e-6 short of 1. */
static inline float activation_tanh(float x) {
    x = x < -7.0f ? -7.0f : x;
    x = x > 7.0f ? 7.0f : x;
    float u = x * x;
    float p = ((1.23737691e-05f * u + 0.0030338373f) * u + 0.130011931f) * u + 0.999999821f;
    float q = (((2.77352342e-07f * u + 0.000250647106f) * u + 0.0241495948f) * u + 0.463344455f) * u + 1.0f;
    return x * p / q;
}

static inline float activation_sigmoid(float x) { return 0.5f * activation_tanh(0.5f * x) + 0.5f; }

#endif
