/* A dense layer over a flat input or a whole grid: its arithmetic is in the kernels' room. */
#include <stdlib.h>

#include "network/layers.h"

static bnn_status infer(const bnn_network *network, bnn_layer *layer, bnn_error *error)
{
    bnn_kernel_shape *s = &layer->shape;
    const size_t places = s->in.height * s->in.width;
    const size_t as_convolution[] = {s->out.channels, s->in.channels, 1, 1},
                 as_matrix[] = {s->out.channels, s->in.channels * places};
    (void)network;
    s->out = (bnn_activation){BNN_LAYOUT_FLAT, s->out.channels, 1, 1};
    if (layer->weight_rank == 4 && places != 1)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: found an input of %zu x %zu pixels, expected one",
                        layer->name, s->in.height, s->in.width);
    if (layer->weight_rank == 4)
        layer_set_parameters(layer, 4, as_convolution, 1);
    else
        layer_set_parameters(layer, 2, as_matrix, places);
    return BNN_OK;
}

static bool fuse(bnn_kernel_shape *shape, const bnn_layer *next)
{
    if (next->type != &bnn_layer_relu || shape->relu) return false;
    return shape->relu = true;
}

/* Translations do not move an axis of one pixel, which a pool over the whole of an axis leaves: they act as on n equal
 * pixels. `source` (order, long_height, long_width) becomes (order, height, width) in place. */
static void shorten(size_t order, size_t long_height, size_t long_width, size_t height, size_t width,
                    uint32_t *source)
{
    uint32_t *to = source;
    for (size_t g = 0; g < order; g++)
        for (size_t y = 0; y < height; y++)
            for (size_t x = 0; x < width; x++) {
                const size_t from = source[(g * long_height + y) * long_width + x];
                *to++ = (uint32_t)(from / long_width % height * width + from % long_width % width);
            }
}

static bnn_status place_action(const bnn_group *group, const bnn_layer *layer, uint32_t **source,
                               bnn_error *error)
{
    const bnn_activation *in = &layer->shape.in;
    bnn_grid_action *action;
    if (in->layout == BNN_LAYOUT_FLAT) return bnn_group_kernel_action(group, 1, source, error);
    const size_t one = group->kind == BNN_GROUP_TRANSLATION ? group->n : 1;
    const size_t long_height = in->height == 1 ? one : in->height,
                 long_width = in->width == 1 ? one : in->width;
    bnn_status status = bnn_grid_action_create(group, long_height, long_width, &action, error);
    if (status) return status;
    *source = action->source;
    action->source = NULL;
    if (action->exact)
        shorten(group->order, long_height, long_width, in->height, in->width, *source);
    else
        status = bnn_fail(
            error, BNN_BAD_INPUT,
            "%s has no exact action on the %zu x %zu grid of its inputs: expected C1, C2, C4, D1, D2, D4 "
            "or T<k>",
            group->name, in->height, in->width);
    bnn_grid_action_free(action);
    return status;
}

static const char *onnx(const bnn_layer *layer, const bnn_onnx_part *part, const char *const *inputs)
{
    const size_t matrix[] = {layer->weight_shape[0], layer->weight_count / layer->weight_shape[0]};
    const char *in = inputs[0];
    if (layer->shape.in.layout != BNN_LAYOUT_FLAT)
        in = bnn_onnx_node(part->graph, "Flatten", layer_onnx_name(layer, part, ".flat"), BNN_ONNX_INPUTS(in),
                           NULL);
    return bnn_onnx_node(
        part->graph, "Gemm", layer_onnx_name(layer, part, ""),
        BNN_ONNX_INPUTS(in, layer_onnx_weights(layer, part, 2, matrix), layer_onnx_bias(layer, part)),
        BNN_ONNX_ATTRIBUTES({"transB", 0, {1}}));
}

const bnn_layer_type bnn_layer_dense = {
    .row = {.name = "dense", .summary = "W x + b over the whole input"},
    .inputs = 1,
    .kernels = bnn_dense_kernels,
    .infer = infer,
    .fuse = fuse,
    .bilinear = true,
    .weights_used_once = true,
    .initial = layer_kaiming,
    .onnx = onnx,
    .place_action = place_action,
    .commutes = layer_commutes,
    .expansion_scale = layer_scale_of_sum,
};
