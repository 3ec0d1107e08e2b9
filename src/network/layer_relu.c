/* max(0, x), in any layout. What is not a number stays so. */
#include "network/layers.h"

static void forward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t count = pass->images * bnn_activation_count(&shape->in);
    const bnn_real *in = pass->in[0];
    bnn_real *out = pass->out;
    for (size_t j = 0; j < count; j++) out[j] = in[j] < 0 ? 0 : in[j];
}

static void backward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t count = pass->images * bnn_activation_count(&shape->in);
    const bnn_real *out = pass->out, *out_gradient = pass->out_gradient;
    bnn_real *in_gradient = pass->in_gradient[0];
    for (size_t j = 0; in_gradient && j < count; j++) in_gradient[j] = out[j] > 0 ? out_gradient[j] : 0;
}

static const bnn_kernel relu = {.name = "relu", .forward = forward, .backward = backward};
static const bnn_kernel *const kernels[] = {&relu, NULL};

static bnn_status infer(const bnn_network *network, bnn_layer *layer, bnn_error *error)
{
    (void)network, (void)error;
    layer_keep_channels(layer);
    return BNN_OK;
}

static const char *onnx(const bnn_layer *layer, const bnn_onnx_part *part, const char *const *inputs)
{
    return bnn_onnx_node(part->graph, "Relu", layer_onnx_name(layer, part, ""), inputs, NULL);
}

const bnn_layer_type bnn_layer_relu = {
    .row = {.name = "relu", .summary = "max(0, x)"},
    .inputs = 1,
    .kernels = kernels,
    .infer = infer,
    .onnx = onnx,
    .commutes = layer_commutes,
};
