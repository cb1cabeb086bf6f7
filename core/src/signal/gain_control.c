/* How much a recording is lifted before a network hears its levels. */

#include "signal/gain_control.h"

#include <math.h>

#include "signal/constants.h"

void gain_control_reset(gain_control *s) { *s = (gain_control){.peak = GAIN_START}; }

float gain_control_push(gain_control *s, float energy) {
    float power = energy / GAIN_FULL_SCALE;
    if (power > s->peak) {
        *s = (gain_control){power, GAIN_HOLD_FRAMES, 1};
    } else if (s->held) {
        s->held--;
    } else {
        s->peak = fmaxf(s->peak * (s->has_begun ? GAIN_RELEASE : GAIN_RELEASE_AT_FIRST), GAIN_PEAK_MIN);
    }
    return fmaxf(GAIN_TARGET / s->peak, 1.0f);
}
