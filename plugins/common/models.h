/* The models of all plugins of a process: each is found and read once, and
 * shared by whoever wants it. */

#ifndef PLUGIN_MODELS_H
#define PLUGIN_MODELS_H

#include <percepnet.h>

/* What hosts offer by number. The last one is the file that the environment
 * variable PERCEPNET_MODEL names. */
enum { MODEL_DEFAULT, MODEL_SMALL, MODEL_OWN, MODEL_COUNT };

/* What suppresses the rest of an echo, which no host offers. */
#define MODEL_RESIDUAL MODEL_COUNT

/* The number that a host means by the value of a control. */
int model_number(float value);

/* The model of a number, read if nobody holds it yet; NULL with the reason in
 * `error`. Not for audio threads. */
const percepnet_model *model_acquire(int number, percepnet_error *error);

/* Give it back: with the last one its memory goes. NULL is allowed. */
void model_release(const percepnet_model *model);

#endif
