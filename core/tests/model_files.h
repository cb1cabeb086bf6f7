/* Model files that are written in C, independently of what reads them: for tests and for the fuzzer. */

#ifndef MODEL_FILES_H
#define MODEL_FILES_H

#include <stddef.h>

typedef struct written_tensor {
    const char *name, *type; /* F32 or I8 */
    int dimensions;
    int shape[3];
} written_tensor;

/* What a file is written from. */
typedef struct written_model {
    const char *text; /* JSON that describes it */
    const written_tensor *tensors;
    int tensor_count;
} written_model;

/* A file of every kind of layer, and one of format 1. */
extern const written_model EVERY_KIND, FORMAT_1;

/* Bytes of at most this size. */
#define WRITTEN_MAX 32768

/* Write a file into `to`; returns its size. `text` stands in the place of the model's own, for `text_size` bytes that
   need not be JSON, and need not be text. */
size_t model_file_write(const written_model *model, const char *text, size_t text_size, char *to);

/* The same of a header of safetensors and its data. */
size_t model_file_join(const char *header, size_t header_size, const char *data, size_t data_size, char *to);

#endif
