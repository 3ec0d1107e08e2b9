/* Dense layers on BLAS. The packed weights are W as stored, with its columns reordered to the input's layout where
 * that is channels-last (the order of rows of W is (C, H, W)); then the bias. */
#include <string.h>

#include "bnn/blas.h"
#include "kernels.h"

static bool supports(const bnn_layer *layer)
{
    return layer->kind == BNN_LAYER_DENSE;
}

static size_t packed_count(const bnn_layer *layer)
{
    return layer->out_channels * (bnn_layer_in_count(layer) + 1);
}

static size_t none(const bnn_layer *layer, size_t images)
{
    (void)layer, (void)images;
    return 0;
}

/* Copies between W's rows (C, H*W) and packed rows (H*W, stride of C); `unpack` tells the direction. */
static void reorder(const bnn_layer *layer, bnn_real *weight, bnn_real *packed, bool unpack)
{
    const size_t pixels = layer->in_height * layer->in_width, channels = layer->in_channels;
    const size_t stride = bnn_channel_stride(channels);
    for (size_t o = 0; o < layer->out_channels; o++, weight += channels * pixels, packed += pixels * stride)
        for (size_t c = 0; c < channels; c++)
            for (size_t p = 0; p < pixels; p++) {
                if (unpack)
                    weight[c * pixels + p] = packed[p * stride + c];
                else
                    packed[p * stride + c] = weight[c * pixels + p];
            }
}

static void pack(const bnn_layer *layer, const bnn_real *weight, const bnn_real *bias, bnn_real *packed)
{
    const size_t in = bnn_layer_in_count(layer), out = layer->out_channels;
    if (layer->in_layout == BNN_LAYOUT_CHANNELS_LAST) {
        memset(packed, 0, out * in * sizeof *packed);
        reorder(layer, (bnn_real *)weight, packed, false);
    } else
        memcpy(packed, weight, out * in * sizeof *packed);
    memcpy(packed + out * in, bias, out * sizeof *packed);
}

static void forward(const bnn_layer *layer, const bnn_real *packed, const bnn_real *in, size_t images,
                    bnn_real *out, bnn_real *saved, bnn_real *scratch)
{
    const size_t inputs = bnn_layer_in_count(layer), outputs = layer->out_channels;
    const bnn_real *bias = packed + outputs * inputs;
    (void)saved, (void)scratch;
    bnn_gemm(false, true, images, outputs, inputs, 1, in, inputs, packed, inputs, 0, out, outputs);
    for (size_t n = 0; n < images; n++, out += outputs)
        for (size_t o = 0; o < outputs; o++) {
            const bnn_real sum = out[o] + bias[o];
            out[o] = layer->relu && sum < 0 ? 0 : sum;
        }
}

static void backward(const bnn_layer *layer, const bnn_real *packed, const bnn_real *in, const bnn_real *out,
                     bnn_real *out_gradient, size_t images, bnn_real *in_gradient, bnn_real *packed_gradient,
                     const bnn_real *saved, bnn_real *scratch)
{
    const size_t inputs = bnn_layer_in_count(layer), outputs = layer->out_channels;
    bnn_real *bias_gradient = packed_gradient + outputs * inputs;
    (void)saved, (void)scratch;
    for (size_t n = 0; n < images; n++)
        for (size_t o = 0; o < outputs; o++) {
            bnn_real *gradient = &out_gradient[n * outputs + o];
            *gradient = layer->relu && !(out[n * outputs + o] > 0) ? 0 : *gradient;
            bias_gradient[o] += *gradient;
        }
    bnn_gemm(true, false, outputs, inputs, images, 1, out_gradient, outputs, in, inputs, 1, packed_gradient,
             inputs);
    if (in_gradient)
        bnn_gemm(false, false, images, inputs, outputs, 1, out_gradient, outputs, packed, inputs, 0,
                 in_gradient, inputs);
}

static void unpack_gradient(const bnn_layer *layer, bnn_real *packed_gradient, bnn_real *weight_gradient,
                            bnn_real *bias_gradient)
{
    const size_t in = bnn_layer_in_count(layer), out = layer->out_channels;
    if (layer->in_layout == BNN_LAYOUT_CHANNELS_LAST)
        reorder(layer, weight_gradient, packed_gradient, true);
    else
        memcpy(weight_gradient, packed_gradient, out * in * sizeof *packed_gradient);
    memcpy(bias_gradient, packed_gradient + out * in, out * sizeof *packed_gradient);
}

const bnn_layer_ops bnn_dense_ops = {"dense", supports, packed_count, none,           none,
                                     pack,    forward,  backward,     unpack_gradient};
