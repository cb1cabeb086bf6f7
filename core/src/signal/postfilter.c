/* Envelope post-filter: bands that are still too noisy are attenuated further, and the energy is given back. */

#include "signal/postfilter.h"

#include <math.h>

#include "signal/circle.h"
#include "signal/constants.h"

void postfilter(const float *gains, const float *energy, float *out, int bands) {
    const double half_pi = 1.57079632679489661923;
    float before = 0.0f, after = 0.0f;
    for (int band = 0; band < bands; band++) {
        float gain = gains[band];
        float warped = gain * (float)circle_sin(half_pi * (double)fminf(gain, 1.0f));
        before += gain * gain * energy[band];
        after += warped * warped * energy[band];
        out[band] = warped;
    }
    float ratio = (before + TINY * TINY) / (after + TINY * TINY);
    float scale = sqrtf((1.0f + POSTFILTER_BETA) * ratio / (1.0f + POSTFILTER_BETA * ratio * ratio));
    for (int band = 0; band < bands; band++) {
        out[band] *= scale;
    }
}
