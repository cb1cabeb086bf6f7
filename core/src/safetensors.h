/* The container of model files: a header of JSON that says where each tensor is. */

#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include "json.h"
#include "percepnet.h"

enum tensor_type { TYPE_OTHER, TYPE_F32, TYPE_I8 };

typedef struct safetensors {
    json header;
    const char *data;
    size_t size; /* of the data */
} safetensors;

typedef struct stored_tensor {
    json name;
    enum tensor_type type;
    char type_name[8];
    int dimensions; /* more than 3 are 4 */
    int64_t shape[3];
    const void *data;
} stored_tensor;

/* 0 if the bytes are no such file, or not a whole one: tensors follow each other without a gap. */
int safetensors_open(safetensors *file, const void *data, size_t size, percepnet_error *error);

/* The tensors of an open file one after the other; 0 after the last. A walk begins with {file->header, NULL}. */
int safetensors_next(const safetensors *file, json_walk *walk, stored_tensor *tensor);

#endif
