/* What all streams of a model share. */

#ifndef MODEL_H
#define MODEL_H

#include "network/network.h"
#include "percepnet.h"
#include "signal/analysis.h"
#include "signal/echo_shape.h"

/* Programs that have no far end, such as the browsers' smaller binary, can leave its code out. */
#ifdef PERCEPNET_WITHOUT_FAR_END
#define FAR_ENDS 0
#else
#define FAR_ENDS 1
#endif

struct percepnet_model {
    size_t bytes;
    analysis_tables tables;
    network network;
    network bins; /* without layers where the model has none */
#if FAR_ENDS
    real_fft lag_fft; /* for the delay of an echo */
#endif
    echo_shape_tables shape; /* of models that hear echo; empty in others */
};

/* NULL without memory, or if there is no kernel of the name. */
percepnet_model *model_create(const model_description *description);

#endif
