/* Dense layers on BLAS. Packed weights are W, then the bias: as stored in the parameter vector for a flat or planar input;
 * for a channels-last one each row of W, which is in (C, H, W) order, is reordered to the input's layout. */
#include <string.h>

#include "bnn/blas.h"
#include "kernels/dense.h"
#include "kernels/kernels.h"

static bool is_flat(const bnn_kernel_shape *shape)
{
    return shape->in.layout != BNN_LAYOUT_CHANNELS_LAST;
}

static bool is_grid(const bnn_kernel_shape *shape)
{
    return shape->in.layout == BNN_LAYOUT_CHANNELS_LAST;
}

static size_t packed_count(const bnn_kernel_shape *shape)
{
    return shape->out.channels * (bnn_activation_count(&shape->in) + 1);
}

/* Copies `rows` rows between W (C, H*W) and packed (H*W, stride of C); `unpack` tells the direction. */
static void reorder(const bnn_kernel_shape *shape, size_t rows, bnn_real *weight, bnn_real *packed,
                    bool unpack)
{
    const size_t pixels = shape->in.height * shape->in.width, channels = shape->in.channels;
    const size_t stride = bnn_channel_stride(channels);
    for (size_t o = 0; o < rows; o++, weight += channels * pixels, packed += pixels * stride)
        for (size_t c = 0; c < channels; c++)
            for (size_t p = 0; p < pixels; p++) {
                if (unpack)
                    weight[c * pixels + p] = packed[p * stride + c];
                else
                    packed[p * stride + c] = weight[c * pixels + p];
            }
}

static void pack(const bnn_kernel_shape *shape, const bnn_real *weight, const bnn_real *bias, size_t from,
                 size_t to, bnn_real *packed)
{
    const size_t in = bnn_activation_count(&shape->in), pixels = shape->in.height * shape->in.width;
    memset(packed + from * in, 0, (to - from) * in * sizeof *packed);
    reorder(shape, to - from, (bnn_real *)weight + from * shape->in.channels * pixels, packed + from * in,
            false);
    memcpy(packed + shape->out.channels * in + from, bias + from, (to - from) * sizeof *packed);
}

static void forward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t inputs = bnn_activation_count(&shape->in), outputs = shape->out.channels;
    bnn_gemm(false, true, pass->images, outputs, inputs, 1, pass->in[0], inputs, pass->packed, inputs, 0,
             pass->out, outputs);
    dense_finish(shape, pass->packed + outputs * inputs, pass->images, pass->out);
}

static void backward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t inputs = bnn_activation_count(&shape->in), outputs = shape->out.channels;
    dense_start_backward(shape, pass, pass->packed_gradient + outputs * inputs);
    bnn_gemm(true, false, outputs, inputs, pass->images, 1, pass->out_gradient, outputs, pass->in[0], inputs,
             pass->add ? 1 : 0, pass->packed_gradient, inputs);
    if (pass->in_gradient[0])
        bnn_gemm(false, false, pass->images, inputs, outputs, 1, pass->out_gradient, outputs, pass->packed,
                 inputs, 0, pass->in_gradient[0], inputs);
}

static void unpack_gradient(const bnn_kernel_shape *shape, bnn_real *packed_gradient,
                            bnn_real *weight_gradient, bnn_real *bias_gradient)
{
    const size_t in = bnn_activation_count(&shape->in), out = shape->out.channels;
    reorder(shape, out, weight_gradient, packed_gradient, true);
    memcpy(bias_gradient, packed_gradient + out * in, out * sizeof *packed_gradient);
}

const bnn_kernel bnn_dense_blas = {
    .name = "dense-blas",
    .set = "blas",
    .products = true,
    .supports = is_flat,
    .packed_count = packed_count,
    .forward = forward,
    .backward = backward,
};
const bnn_kernel bnn_dense_grid = {
    .name = "dense-grid",
    .set = "blas",
    .products = true,
    .supports = is_grid,
    .packed_count = packed_count,
    .pack = pack,
    .forward = forward,
    .backward = backward,
    .unpack_gradient = unpack_gradient,
};
