/* Model files of format 2, for tests: networks as described, and with whatever is wrong in their text. */

#ifndef WRITE_MODEL_H
#define WRITE_MODEL_H

#include "networks.h"

/* A file in memory of its own, which the caller frees. */
typedef struct model_bytes {
    char *data;
    size_t size;
} model_bytes;

/* Make weights that a file may not have, negative scales and integers of -128, those that it may have. */
void make_storable(test_network *n);

/* The JSON that a file says of a network, ended by a zero. Layers without a name get one: "layer" and their number. The
   caller frees it. */
char *write_description(const model_description *d);

/* A file with this text of its own, and the tensors of a network. */
model_bytes write_file(const char *description, const model_description *d);

/* The file of a network. */
model_bytes write_model(const model_description *d);

/* A file of any header, and any bytes behind it. */
model_bytes write_container(const char *header, const void *body, size_t size);

#endif
