#ifndef LIMITED_H
#define LIMITED_H

/* Without a call, as fminf and fmaxf are, so that a loop is calculated for many numbers at once; NaN becomes `low`. */
static inline float limited(float x, float low, float high) {
    x = x > low ? x : low;
    return x < high ? x : high;
}

#endif
