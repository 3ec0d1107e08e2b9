/* The sum of two activations of one shape: what closes a residual block. */
#include <string.h>

#include "bnn/network.h"
#include "network/layers.h"

static void forward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t count = pass->images * bnn_activation_count(&shape->in);
    const bnn_real *a = pass->in[0], *b = pass->in[1];
    bnn_real *out = pass->out;
    for (size_t j = 0; j < count; j++) out[j] = a[j] + b[j];
}

static void backward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t count = pass->images * bnn_activation_count(&shape->in);
    for (size_t i = 0; i < 2; i++)
        if (pass->in_gradient[i])
            memcpy(pass->in_gradient[i], pass->out_gradient, count * sizeof *pass->out_gradient);
}

static const bnn_kernel sum = {.name = "sum", .forward = forward, .backward = backward};
static const bnn_kernel *const kernels[] = {&sum, NULL};

static bnn_status infer(const bnn_network *network, bnn_layer *layer, bnn_error *error)
{
    bnn_representation representation;
    const bnn_activation *a = &layer->shape.in;
    const bnn_activation b = bnn_network_activation(network, layer->inputs[1], &representation);
    if (a->layout != b.layout || a->channels != b.channels || a->height != b.height || a->width != b.width ||
        layer->in_representation != representation)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "%s: found inputs of %zu x %zu x %zu and %zu x %zu x %zu, expected one shape, layout and "
            "representation",
            layer->name, a->channels, a->height, a->width, b.channels, b.height, b.width);
    layer_keep_channels(layer);
    return BNN_OK;
}

static const char *onnx(const bnn_layer *layer, const bnn_onnx_part *part, const char *const *inputs)
{
    return bnn_onnx_node(part->graph, "Add", layer_onnx_name(layer, part, ""), inputs, NULL);
}

const bnn_layer_type bnn_layer_sum = {
    .row = {.name = "sum", .summary = "the sum of two inputs"},
    .inputs = 2,
    .kernels = kernels,
    .infer = infer,
    .onnx = onnx,
    .commutes = layer_commutes,
};
