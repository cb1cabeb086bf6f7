#include "signal/feature_blocks.h"

#include <string.h>

#include "signal/constants.h"

static const char *const NAMES[FEATURE_BLOCKS] = {
    [FEATURE_BAND_LEVELS] = "band_levels",
    [FEATURE_COHERENCES] = "coherences",
    [FEATURE_PITCH] = "pitch",
    [FEATURE_RELATIVE_BAND_LEVELS] = "relative_band_levels",
    [FEATURE_RELATIVE_BIN_LEVELS] = "relative_bin_levels",
    [FEATURE_LIFTED_BAND_LEVELS] = "lifted_band_levels",
    [FEATURE_ECHO_LEVELS] = "echo_levels",
    [FEATURE_FAR_LEVELS] = "far_levels",
    [FEATURE_ECHO_COHERENCES] = "echo_coherences",
};

int feature_block_of(const char *name) {
    for (int block = 0; block < FEATURE_BLOCKS; block++) {
        if (!strcmp(NAMES[block], name)) {
            return block;
        }
    }
    return -1;
}

const char *feature_block_name(int block) { return NAMES[block]; }

int feature_block_size(int block, int bands) {
    switch (block) {
    case FEATURE_PITCH: return 2;
    case FEATURE_RELATIVE_BIN_LEVELS: return RELATIVE_BINS;
    default: return bands;
    }
}

int feature_block_is_of_echo(int block) {
    return block == FEATURE_ECHO_LEVELS || block == FEATURE_FAR_LEVELS || block == FEATURE_ECHO_COHERENCES;
}

feature_layout feature_layout_of(const unsigned *blocks, int count, int bands) {
    feature_layout layout = {.count = 0};
    for (int block = 0; block < FEATURE_BLOCKS; block++) {
        layout.start[block] = -1;
    }
    for (int i = 0; i < count; i++) {
        layout.start[blocks[i]] = layout.count;
        layout.count += feature_block_size((int)blocks[i], bands);
    }
    return layout;
}
