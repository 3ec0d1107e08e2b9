/* Global average pool of a channels-last activation. */
#include "network/layers.h"

static void forward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t pixels = shape->in.height * shape->in.width, channels = shape->in.channels;
    const size_t stride = bnn_channel_stride(channels);
    const bnn_real scale = (bnn_real)1 / (bnn_real)pixels;
    const bnn_real *in = pass->in[0];
    bnn_real *out = pass->out;
    for (size_t n = 0; n < pass->images; n++, in += pixels * stride, out += channels)
        for (size_t first = 0; first < channels; first += BNN_CHANNEL_UNIT) {
            bnn_real sum[BNN_CHANNEL_UNIT] = {0}; /* in registers */
            for (size_t p = 0; p < pixels; p++)
                for (size_t c = 0; c < BNN_CHANNEL_UNIT; c++) sum[c] += in[p * stride + first + c];
            for (size_t c = first; c < channels && c < first + BNN_CHANNEL_UNIT; c++)
                out[c] = sum[c - first] * scale;
        }
}

static void backward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t pixels = shape->in.height * shape->in.width, channels = shape->in.channels;
    const size_t stride = bnn_channel_stride(channels);
    const bnn_real scale = (bnn_real)1 / (bnn_real)pixels;
    const bnn_real *out_gradient = pass->out_gradient;
    bnn_real *in_gradient = pass->in_gradient[0];
    if (!in_gradient) return;
    for (size_t n = 0; n < pass->images; n++, out_gradient += channels)
        for (size_t p = 0; p < pixels; p++, in_gradient += stride) {
            for (size_t c = 0; c < channels; c++) in_gradient[c] = out_gradient[c] * scale;
            for (size_t c = channels; c < stride; c++) in_gradient[c] = 0;
        }
}

static const bnn_kernel mean = {.name = "mean", .forward = forward, .backward = backward};
static const bnn_kernel *const kernels[] = {&mean, NULL};

static bnn_status infer(const bnn_network *network, bnn_layer *layer, bnn_error *error)
{
    (void)network;
    if (layer->shape.in.layout != BNN_LAYOUT_CHANNELS_LAST)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: found the images or a flat input, expected a grid of pixels", layer->name);
    layer_keep_channels(layer);
    layer->shape.out = (bnn_activation){BNN_LAYOUT_FLAT, layer->shape.in.channels, 1, 1};
    return BNN_OK;
}

static const char *onnx(const bnn_layer *layer, const bnn_onnx_part *part, const char *const *inputs)
{
    return bnn_onnx_node(part->graph, "ReduceMean", layer_onnx_name(layer, part, ""), inputs,
                         BNN_ONNX_ATTRIBUTES({"axes", 2, {2, 3}}, {"keepdims", 0, {0}}));
}

const bnn_layer_type bnn_layer_mean = {
    .row = {.name = "mean", .summary = "the mean over all pixels"},
    .inputs = 1,
    .kernels = kernels,
    .infer = infer,
    .onnx = onnx,
    .commutes = layer_commutes,
};
