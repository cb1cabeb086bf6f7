/* What the network can be given of a frame, by name: a model file says which blocks, and in which order. */

#ifndef FEATURE_BLOCKS_H
#define FEATURE_BLOCKS_H

enum feature_block {
    FEATURE_BAND_LEVELS,
    FEATURE_COHERENCES,
    FEATURE_PITCH,
    FEATURE_RELATIVE_BAND_LEVELS,
    FEATURE_RELATIVE_BIN_LEVELS,
    FEATURE_BLOCKS
};

/* -1 for a name that is none. */
int feature_block_of(const char *name);

const char *feature_block_name(int block);

/* Numbers of a block. */
int feature_block_size(int block, int bands);

#endif
