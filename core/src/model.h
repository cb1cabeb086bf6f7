/* What all streams of a model share. */

#ifndef MODEL_H
#define MODEL_H

#include "network/network.h"
#include "percepnet.h"
#include "signal/analysis.h"

struct percepnet_model {
    size_t bytes;
    analysis_tables tables;
    network network;
};

/* NULL without memory, or if there is no kernel of the name. */
percepnet_model *model_create(const model_description *description);

#endif
