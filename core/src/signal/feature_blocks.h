/* What the network can be given of a frame, by name: a model file says which blocks, and in which order. */

#ifndef FEATURE_BLOCKS_H
#define FEATURE_BLOCKS_H

enum feature_block {
    FEATURE_BAND_LEVELS,
    FEATURE_COHERENCES,
    FEATURE_PITCH,
    FEATURE_RELATIVE_BAND_LEVELS,
    FEATURE_RELATIVE_BIN_LEVELS,
    FEATURE_LIFTED_BAND_LEVELS,
    FEATURE_ECHO_LEVELS, /* these three only for what is left of an echo */
    FEATURE_FAR_LEVELS,
    FEATURE_ECHO_COHERENCES,
    FEATURE_BLOCKS
};

/* Where each block stands in the network's input: the one table that everything goes by. */
typedef struct feature_layout {
    int start[FEATURE_BLOCKS]; /* -1 for a block that is not there */
    int count;                 /* numbers in all */
} feature_layout;

/* -1 for a name that is none. */
int feature_block_of(const char *name);

const char *feature_block_name(int block);

/* Numbers of a block. */
int feature_block_size(int block, int bands);

/* Whether it takes a far end to know the block. */
int feature_block_is_of_echo(int block);

feature_layout feature_layout_of(const unsigned *blocks, int count, int bands);

#endif
