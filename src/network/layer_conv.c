/* Convolution: its arithmetic is in the kernels' room. */
#include <stdio.h>

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

const bnn_layer_type bnn_layer_conv = {
    .row = {.name = "conv", .summary = "convolution at stride 1 with \"same\" padding, and a bias"},
    .inputs = 1,
    .kernels = bnn_conv_kernels,
    .infer = infer,
    .fuse = fuse,
    .small_blocks = true,
    .bilinear = true,
    .initial = layer_kaiming,
    .place_action = place_action,
    .commutes = commutes,
    .expansion_scale = layer_scale_of_sum,
};
