/* What the network for bins is given. */

#include "signal/bin_ratios.h"

#include <stddef.h>

#define CENTRE 0.5f

static void put(const float *values, float *to) {
    for (int k = 0; k < NOISE_SHAPE_BINS; k++) {
        to[k] = values[k] - CENTRE;
    }
}

static void put_share(const float *x, const float *y, float *to) {
    for (int k = 0; k < NOISE_SHAPE_BINS; k++) {
        to[k] = x[k] / (x[k] + y[k] + NOISE_SHAPE_SILENT) - CENTRE;
    }
}

int bin_ratio_at(int feature, int bin) { return feature % BIN_RATIOS * BIN_RATIOS_ROW + bin + feature / BIN_RATIOS; }

void bin_ratios_of(const bin_powers *of, float *ratios) {
    float noisy[NOISE_SHAPE_BINS], place[NOISE_SHAPE_BINS];
    for (int k = 0; k < NOISE_SHAPE_BINS; k++) {
        noisy[k] = of->noise_around[k] / (1.0f + of->noise_around[k]);
        place[k] = (float)k / (float)NOISE_SHAPE_BINS;
    }
    /* The share of the first in both; or the first alone, which is one. */
    const float *pairs[BIN_RATIOS][2] = {
        {of->noise, of->heard},        {of->now, of->heard},   {of->ahead, of->heard},
        {of->now, of->noise},          {of->combed, of->now},  {of->gains, NULL},
        {of->strengths, NULL},         {of->factors, NULL},    {of->now, of->around},
        {of->heard, of->heard_around}, {noisy, NULL},          {place, NULL},
        {of->before, of->heard},       {of->after, of->heard}, {of->unsmoothed, of->now},
        {of->ahead, of->noise},
    };
    for (int i = 0; i < BIN_RATIOS; i++, ratios += BIN_RATIOS_ROW) {
        ratios[0] = ratios[BIN_RATIOS_ROW - 1] = 0.0f;
        if (pairs[i][1]) {
            put_share(pairs[i][0], pairs[i][1], ratios + 1);
        } else {
            put(pairs[i][0], ratios + 1);
        }
    }
}
