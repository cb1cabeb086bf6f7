/* What the files that read a model share: one reads the signal path, one the table of layers, one the tensors. */

#ifndef MODEL_READER_H
#define MODEL_READER_H

#include "error.h"
#include "file/safetensors.h"
#include "network/layers.h"

#define SPANS_MAX (2 * TENSORS_MAX * LAYERS_MAX)

/* Where the tensors of a layer are in the file, and their scales. */
typedef struct slots {
    tensor_shape shapes[TENSORS_MAX];
    stored_tensor tensors[TENSORS_MAX], scales[TENSORS_MAX];
    int found[TENSORS_MAX], found_scale[TENSORS_MAX];
    int count;
} slots;

/* What reading takes of memory. */
typedef struct model_reader {
    model_description *d;
    percepnet_error *error;
    int version;
    int feature_count;
    int64_t all_units, all_past; /* of the layers so far */
    struct span {
        const char *begin, *end;
    } spans[SPANS_MAX]; /* where all tensors lie */
    slots slots[LAYERS_MAX];
} model_reader;

/* Each returns 0 if something is wrong, which the reader's error names then. */
int model_read_signal(model_reader *r, const char *where, json signal);
int model_read_features(model_reader *r, json features);
int model_read_layers(model_reader *r, json layers);
int model_read_heads(model_reader *r, json heads);
int model_collect_tensors(model_reader *r, const safetensors *file);
int model_bind_tensors(model_reader *r);

/* Number of a layer by its name; -1 if there is none. */
int model_find_layer(const model_description *d, const char *name);

#endif
