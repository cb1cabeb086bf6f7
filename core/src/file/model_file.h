/* Model files: safetensors with a description of the network, read from memory and checked in everything. */

#ifndef MODEL_FILE_H
#define MODEL_FILE_H

#include <stddef.h>

#include "network/description.h"
#include "percepnet.h"

/* Read a file into a description, whose tensors then point into it. 0 if anything is wrong with it: then the error names
   the field, what was expected and what was found. */
int model_file_read(const void *data, size_t size, model_description *description, percepnet_error *error);

#endif
