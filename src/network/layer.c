#include "bnn/layer.h"

#include <math.h>
#include <string.h>

#include "network/layers.h"

const bnn_layer_type *const bnn_layer_types[] = {&bnn_layer_conv,
                                                 &bnn_layer_dense,
                                                 &bnn_layer_relu,
                                                 &bnn_layer_max_pool,
                                                 &bnn_layer_mean,
                                                 &bnn_layer_sum,
                                                 NULL};

const bnn_row *bnn_layer_type_row(size_t i)
{
    return bnn_layer_types[i] ? &bnn_layer_types[i]->row : NULL;
}

size_t bnn_layer_weight_inputs(const bnn_layer *layer)
{
    return layer->weight_rank > 1 ? layer->shape.in.channels : 1;
}

bnn_representation bnn_layer_weight_representation(const bnn_layer *layer)
{
    return layer->weight_rank > 1 ? layer->in_representation : BNN_TRIVIAL;
}

void layer_set_parameters(bnn_layer *layer, size_t rank, const size_t *shape, size_t places)
{
    layer->weight_rank = rank;
    memcpy(layer->weight_shape, shape, rank * sizeof *shape);
    layer->places = places;
    layer->weight_count = 1;
    for (size_t i = 0; i < rank; i++) layer->weight_count *= shape[i];
    layer->bias_count = shape[0];
}

void layer_keep_channels(bnn_layer *layer)
{
    layer->shape.out = layer->shape.in;
    layer->out_representation = layer->in_representation;
}

void layer_kaiming(const bnn_layer *layer, double *mean, double *deviation)
{
    const double fan_in = (double)layer->weight_count / (double)layer->shape.out.channels;
    *mean = 0;
    *deviation = sqrt(2 / fan_in);
}

bool layer_commutes(const bnn_group *group, const bnn_network *network, const bnn_layer *layer, char *reason,
                    size_t size)
{
    (void)group, (void)network, (void)layer, (void)reason, (void)size;
    return true;
}

double layer_scale_of_sum(const bnn_group *group, const bnn_layer *layer)
{
    const double order = (double)group->order;
    if (layer->in_representation == BNN_TRIVIAL) return 1;
    return layer->out_representation == BNN_TRIVIAL ? 1 / order : 1 / sqrt(order);
}

const char *layer_onnx_name(const bnn_layer *layer, const bnn_onnx_part *part, const char *suffix)
{
    return bnn_onnx_name(part->graph, "%s%s%s", part->prefix, layer->name, suffix);
}

const char *layer_onnx_weights(const bnn_layer *layer, const bnn_onnx_part *part, size_t rank,
                               const size_t *shape)
{
    return bnn_onnx_reals(part->graph, layer_onnx_name(layer, part, ".weight"), rank, shape,
                          part->weights + layer->weight_offset);
}

const char *layer_onnx_bias(const bnn_layer *layer, const bnn_onnx_part *part)
{
    return bnn_onnx_reals(part->graph, layer_onnx_name(layer, part, ".bias"), 1, &layer->bias_count,
                          part->weights + layer->bias_offset);
}
