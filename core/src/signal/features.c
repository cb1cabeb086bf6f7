/* What the network sees of a frame: how loud each band is, how periodic, and its pitch. */

#include "signal/feature_vector.h"

#include <math.h>

void features_finish(const bands *b, const float *energy, float period_samples, float correlation, float *features) {
    for (int band = 0; band < b->count; band++) {
        float power = energy[band] / (FEATURE_WINDOW_ENERGY * b->widths[band]);
        float level_db = 10.0f * log10f(power + FEATURE_FLOOR);
        features[band] = (level_db - FEATURE_CENTRE_DB) / FEATURE_SPAN_DB;
    }
    features[2 * b->count] = log2f(period_samples / SILENT_PERIOD_SAMPLES);
    features[2 * b->count + 1] = 2.0f * correlation - 1.0f;
}
