/* Layers by what tests ask of them. */
#ifndef BNN_TESTS_LAYERS_H
#define BNN_TESTS_LAYERS_H

#include "bnn/network.h"
#include "testing.h"

/* The i-th layer that has parameters. */
static inline const bnn_layer *parameter_layer(const bnn_network *network, size_t i)
{
    for (size_t l = 0; l < network->layer_count; l++)
        if (network->layers[l].bias_count > 0 && i-- == 0) return &network->layers[l];
    fail_msg("a layer too few");
    return NULL;
}

#endif
