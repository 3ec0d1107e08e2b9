/* Dense layers on BLAS. Packed weights are W, then the bias: as stored in the parameter vector for a flat or planar input;
 * for a channels-last one each row of W, which is in (C, H, W) order, is reordered to the input's layout. */
#include <string.h>

#include "bnn/blas.h"
#include "kernels/dense.h"
#include "kernels/kernels.h"

static bool supports_flat(const bnn_layer *layer)
{
    return layer->kind == BNN_LAYER_DENSE && layer->in_layout != BNN_LAYOUT_CHANNELS_LAST;
}

static bool supports_grid(const bnn_layer *layer)
{
    return layer->kind == BNN_LAYER_DENSE && layer->in_layout == BNN_LAYOUT_CHANNELS_LAST;
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
    memset(packed, 0, out * in * sizeof *packed);
    reorder(layer, (bnn_real *)weight, packed, false);
    memcpy(packed + out * in, bias, out * sizeof *packed);
}

void bnn_dense_pack(const bnn_layer *layer, const bnn_real *weight, const bnn_real *bias, bnn_real *packed)
{
    memcpy(packed, weight, layer->weight_count * sizeof *packed);
    memcpy(packed + layer->weight_count, bias, layer->bias_count * sizeof *packed);
}

static void forward(const bnn_layer *layer, const bnn_real *packed, const bnn_real *in, size_t images,
                    bnn_real *out, bnn_real *saved, bnn_real *scratch)
{
    const size_t inputs = bnn_layer_in_count(layer), outputs = layer->out_channels;
    (void)saved, (void)scratch;
    bnn_gemm(false, true, images, outputs, inputs, 1, in, inputs, packed, inputs, 0, out, outputs);
    dense_finish(layer, packed + outputs * inputs, images, out);
}

static void backward(const bnn_layer *layer, const bnn_real *packed, const bnn_real *in, const bnn_real *out,
                     bnn_real *out_gradient, size_t images, bnn_real *in_gradient, bool add,
                     bnn_real *packed_gradient, const bnn_real *saved, bnn_real *scratch)
{
    const size_t inputs = bnn_layer_in_count(layer), outputs = layer->out_channels;
    (void)saved, (void)scratch;
    dense_start_backward(layer, out, out_gradient, images, add, packed_gradient + outputs * inputs);
    bnn_gemm(true, false, outputs, inputs, images, 1, out_gradient, outputs, in, inputs, add ? 1 : 0,
             packed_gradient, inputs);
    if (in_gradient)
        bnn_gemm(false, false, images, inputs, outputs, 1, out_gradient, outputs, packed, inputs, 0,
                 in_gradient, inputs);
}

static void unpack_gradient(const bnn_layer *layer, bnn_real *packed_gradient, bnn_real *weight_gradient,
                            bnn_real *bias_gradient)
{
    const size_t in = bnn_layer_in_count(layer), out = layer->out_channels;
    reorder(layer, weight_gradient, packed_gradient, true);
    memcpy(bias_gradient, packed_gradient + out * in, out * sizeof *packed_gradient);
}

void bnn_dense_unpack_gradient(const bnn_layer *layer, bnn_real *packed_gradient, bnn_real *weight_gradient,
                               bnn_real *bias_gradient)
{
    memcpy(weight_gradient, packed_gradient, layer->weight_count * sizeof *packed_gradient);
    memcpy(bias_gradient, packed_gradient + layer->weight_count, layer->bias_count * sizeof *packed_gradient);
}

const bnn_layer_ops bnn_dense_ops = {
    .name = "dense-blas",
    .supports = supports_flat,
    .packed_count = packed_count,
    .saved_count = none,
    .scratch_count = none,
    .pack = bnn_dense_pack,
    .forward = forward,
    .backward = backward,
    .unpack_gradient = bnn_dense_unpack_gradient,
    .in_place = true,
};
const bnn_layer_ops bnn_dense_grid_ops = {
    .name = "dense-grid",
    .supports = supports_grid,
    .packed_count = packed_count,
    .saved_count = none,
    .scratch_count = none,
    .pack = pack,
    .forward = forward,
    .backward = backward,
    .unpack_gradient = unpack_gradient,
};
