#include "signal/symmetric.h"

float *symmetric(const float *half, int length, arena *a) {
    float *whole = ARENA_TAKE(a, float, length);
    if (a->memory) {
        for (int n = 0; n < length / 2; n++) {
            whole[n] = whole[length - 1 - n] = half[n];
        }
    }
    return whole;
}
