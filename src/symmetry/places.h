/* Shared by the files of the symmetry module. */
#ifndef BNN_SRC_SYMMETRY_PRIVATE_H
#define BNN_SRC_SYMMETRY_PRIVATE_H

#include "bnn/symmetry.h"

/* A weight tensor is (out_channels, in_channels, places): the offsets of a kernel, the pixels under a dense
 * layer, or one. */
size_t bnn_layer_places(const bnn_layer *layer);

/* *source <- the action on the places, (order, places): (R_g w)[p] = w[source[g*places + p]]; freed with
 * free(). BNN_BAD_INPUT names the layer when there is no exact one. */
bnn_status bnn_layer_place_action(const bnn_group *group, const bnn_layer *layer, uint32_t **source,
                                  bnn_error *error);

#endif
