#ifndef GAIN_CONTROL_H
#define GAIN_CONTROL_H

/* How loud a recording is: the loudest of its frames, forgotten slowly. */
typedef struct gain_control {
    float peak; /* mean square */
    int held;   /* frames for which it still stays */
    int has_begun;
} gain_control;

void gain_control_reset(gain_control *s);

/* What powers of the next frame are multiplied by, from its energy: at least 1. */
float gain_control_push(gain_control *s, float energy);

#endif
