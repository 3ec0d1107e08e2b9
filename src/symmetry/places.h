/* Shared by the files of the symmetry module. */
#ifndef BNN_SRC_SYMMETRY_PRIVATE_H
#define BNN_SRC_SYMMETRY_PRIVATE_H

#include "bnn/symmetry.h"

/* place_action of the layer's type, with the layer named in errors; BNN_BAD_INPUT where the type has none. */
bnn_status bnn_layer_place_action(const bnn_group *group, const bnn_layer *layer, uint32_t **source,
                                  bnn_error *error);

#endif
