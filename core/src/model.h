/* What is inside a model. */

#ifndef MODEL_H
#define MODEL_H

#include "network/network.h"
#include "percepnet.h"
#include "signal/analysis.h"

struct percepnet_model {
    int lookahead_frames;
    size_t bytes;
    analysis_tables tables;
    network network;
};

#endif
