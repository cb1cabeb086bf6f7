#ifndef ACTIVATION_H
#define ACTIVATION_H

/* Absolute errors, in single precision, of what activation_tanh and activation_sigmoid make. */
#define TANH_ERROR_MAX 2e-6f
#define SIGMOID_ERROR_MAX 1e-6f

/* In place. Results never leave [-1, 1] and [0, 1]. */
void activation_tanh(float *x, int count);
void activation_sigmoid(float *x, int count);

#endif
