/* Warm starts: q begins with the figures of another model. Private to the room. */
#ifndef BNN_CONFIG_WARM_START_H
#define BNN_CONFIG_WARM_START_H

#include "bnn/model.h"

/* mu (and the signs of a family that has some), with posterior.init_rho rho too, <- those of the model posterior.init_from, but
 * for the layers that posterior.init_except leaves out. Errors: bnn_model_create. */
bnn_status config_warm_start(const bnn_config *config, bnn_posterior *posterior, bnn_error *error);

/* *found <- the tensor of a file with the name of `wanted`. BNN_BAD_INPUT where it is missing or of another shape. */
bnn_status config_find_tensor(const bnn_safetensors *file, const bnn_tensor *wanted, const bnn_tensor **found,
                              bnn_error *error);

#endif
