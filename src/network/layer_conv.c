/* Convolution: its arithmetic is in the kernels' room. */
#include <stdio.h>
#include <stdlib.h>

#include "network/layers.h"

static bnn_status infer(const bnn_network *network, bnn_layer *layer, bnn_error *error)
{
    bnn_kernel_shape *s = &layer->shape;
    const size_t weight[] = {s->out.channels, s->in.channels, s->kernel, s->kernel};
    (void)network;
    if (s->in.layout == BNN_LAYOUT_FLAT)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: found a flat input, expected pixels", layer->name);
    if (s->kernel % 2 == 0)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: found a kernel of side %zu, expected an odd side",
                        layer->name, s->kernel);
    s->out.layout = BNN_LAYOUT_CHANNELS_LAST;
    s->out.height = s->in.height;
    s->out.width = s->in.width;
    layer_set_parameters(layer, 4, weight, s->kernel * s->kernel);
    return BNN_OK;
}

/* With a ReLU, with a max-pool, or with first one and then the other. */
static bool fuse(bnn_kernel_shape *shape, const bnn_layer *next)
{
    if (shape->pool) return false;
    if (next->type == &bnn_layer_max_pool)
        shape->pool = true;
    else if (next->type == &bnn_layer_relu && !shape->relu)
        shape->relu = true;
    else
        return false;
    shape->out = next->shape.out;
    return true;
}

static bnn_status place_action(const bnn_group *group, const bnn_layer *layer, uint32_t **source,
                               bnn_error *error)
{
    return bnn_group_kernel_action(group, layer->shape.kernel, source, error);
}

static bool commutes(const bnn_group *group, const bnn_network *network, const bnn_layer *layer, char *reason,
                     size_t size)
{
    const bool shifts = group->kind == BNN_GROUP_TRANSLATION && group->order > 1;
    (void)network;
    if (!shifts || layer->shape.kernel == 1 || layer->shape.circular) return true;
    snprintf(reason, size, "%s pads with zeros, which translations move; expected model.padding \"circular\"",
             layer->name);
    return false;
}

/* The input with `margin` rows and columns of its other sides around it, by one Gather an axis: Pad has wrapped only since
 * opset 19. */
static const char *wrap(const bnn_layer *layer, const bnn_onnx_part *part, const char *input, size_t axis,
                        size_t side, size_t margin)
{
    static const char *const source[] = {".rows", ".columns"}, *const output[] = {".down", ".across"};
    const size_t count = side + 2 * margin;
    int64_t *from = bnn_alloc(count, sizeof *from);
    if (!from) return NULL;
    for (size_t i = 0; i < count; i++) from[i] = (int64_t)((i + margin * side - margin) % side);
    const char *indices =
        bnn_onnx_integers(part->graph, layer_onnx_name(layer, part, source[axis]), 1, &count, from);
    free(from);
    return bnn_onnx_node(part->graph, "Gather", layer_onnx_name(layer, part, output[axis]),
                         BNN_ONNX_INPUTS(input, indices),
                         BNN_ONNX_ATTRIBUTES({"axis", 0, {(int64_t)axis + 2}}));
}

static const char *onnx(const bnn_layer *layer, const bnn_onnx_part *part, const char *const *inputs)
{
    const bnn_kernel_shape *s = &layer->shape;
    const size_t margin = s->kernel / 2;
    const int64_t zeros = s->circular ? 0 : (int64_t)margin;
    const char *in = inputs[0];
    if (s->circular && margin) {
        in = wrap(layer, part, in, 0, s->in.height, margin);
        if (in) in = wrap(layer, part, in, 1, s->in.width, margin);
        if (!in) return NULL;
    }
    return bnn_onnx_node(
        part->graph, "Conv", layer_onnx_name(layer, part, ""),
        BNN_ONNX_INPUTS(in, layer_onnx_weights(layer, part, layer->weight_rank, layer->weight_shape),
                        layer_onnx_bias(layer, part)),
        BNN_ONNX_ATTRIBUTES({"pads", 4, {zeros, zeros, zeros, zeros}}));
}

const bnn_layer_type bnn_layer_conv = {
    .row = {.name = "conv", .summary = "convolution at stride 1 with \"same\" padding, and a bias"},
    .inputs = 1,
    .kernels = bnn_conv_kernels,
    .infer = infer,
    .fuse = fuse,
    .small_blocks = true,
    .bilinear = true,
    .initial = layer_kaiming,
    .onnx = onnx,
    .place_action = place_action,
    .commutes = commutes,
    .expansion_scale = layer_scale_of_sum,
};
