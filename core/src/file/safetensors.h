/* The container of model files: a header of JSON that says where each tensor is. */

#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include "file/json.h"
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
    size_t bytes;
} stored_tensor;

/* Say why the container is damaged; returns 0. */
int safetensors_damaged(percepnet_error *error, const char *why);

/* 0 if the bytes are no such file, or not a whole one. */
int safetensors_open(safetensors *file, const void *data, size_t size, percepnet_error *error);

/* The tensors one after the other: 1 for one, 0 after the last, -1 if its entry is damaged. A walk begins with
   {file->header, NULL}. */
int safetensors_next(const safetensors *file, json_walk *walk, stored_tensor *tensor, percepnet_error *error);

#endif
