#include <stdlib.h>

#include "bnn/network.h"

bnn_status bnn_network_onnx(const bnn_network *network, const bnn_onnx_part *part, const char *images,
                            const char **logits, bnn_error *error)
{
    const char **outputs = bnn_alloc(network->layer_count, sizeof *outputs); /* of every layer so far */
    bnn_status status = BNN_OK;
    if (!outputs) return bnn_no_memory(error, "a graph", network->layer_count, sizeof *outputs);
    for (size_t l = 0; !status && l < network->layer_count; l++) {
        const bnn_layer *layer = &network->layers[l];
        const char *inputs[BNN_MAX_INPUTS + 1] = {NULL};
        for (size_t i = 0; i < layer->type->inputs; i++)
            inputs[i] = layer->inputs[i] == BNN_IMAGES ? images : outputs[layer->inputs[i]];
        if (!layer->type->onnx)
            status = bnn_fail(error, BNN_BAD_INPUT, "%s: layers of type %s have no ONNX form", layer->name,
                              layer->type->row.name);
        else if (!(outputs[l] = layer->type->onnx(layer, part, inputs)))
            status = bnn_no_memory(error, layer->name, 1, 0);
    }
    *logits = outputs[network->layer_count - 1];
    free(outputs);
    return status;
}
