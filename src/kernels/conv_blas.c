/* Convolution as one matrix product an image (im2col): any kernel size, padding and layout; the general fast
 * path. Packed weights are W (K, stride of C_out), K = kernel^2 C_in in the order in which im2col meets the
 * input, then the bias; the padding columns are zero, and so are the padding channels of every product. */
#include <string.h>

#include "bnn/blas.h"
#include "kernels/kernels.h"
#include "kernels/padding.h"

static size_t patch_size(const bnn_kernel_shape *shape)
{
    return shape->kernel * shape->kernel * shape->in.channels;
}

static size_t packed_count(const bnn_kernel_shape *shape)
{
    return (patch_size(shape) + 1) * bnn_channel_stride(shape->out.channels);
}

static size_t saved_count(const bnn_kernel_shape *shape, size_t images)
{
    return bnn_code_reals(images * bnn_activation_count(&shape->out));
}

/* Scratch: a padded image; its patches (H W, K); values before ReLU and pooling (H W, stride of C_out). */
typedef struct buffers {
    size_t height, width; /* of the padded image */
    bnn_real *padded, *patches, *values;
} buffers;

static size_t scratch_count(const bnn_kernel_shape *shape, size_t images)
{
    const size_t pixels = shape->in.height * shape->in.width;
    (void)images;
    return bnn_conv_padded_count(shape) +
           pixels * (patch_size(shape) + bnn_channel_stride(shape->out.channels));
}

static buffers buffers_in(const bnn_kernel_shape *shape, bnn_real *scratch)
{
    buffers b = {shape->in.height + shape->kernel - 1, shape->in.width + shape->kernel - 1, scratch, NULL,
                 NULL};
    b.patches = b.padded + bnn_conv_padded_count(shape);
    b.values = b.patches + shape->in.height * shape->in.width * patch_size(shape);
    return b;
}

/* Where weight (o, c, t) is among the packed: the row of its input in a patch, the column of its output. */
static size_t packed_index(const bnn_kernel_shape *shape, size_t o, size_t c, size_t t)
{
    const size_t taps = shape->kernel * shape->kernel;
    const size_t row = shape->in.layout == BNN_LAYOUT_PLANAR ? c * taps + t : t * shape->in.channels + c;
    return row * bnn_channel_stride(shape->out.channels) + o;
}

static void pack(const bnn_kernel_shape *shape, const bnn_real *weight, const bnn_real *bias, size_t from,
                 size_t to, bnn_real *packed)
{
    const size_t taps = shape->kernel * shape->kernel, patch = patch_size(shape);
    bnn_real *packed_bias = packed + patch * bnn_channel_stride(shape->out.channels);
    for (size_t o = from; o < bnn_channel_stride(to); o++) {
        for (size_t c = 0; c < shape->in.channels; c++)
            for (size_t t = 0; t < taps; t++)
                packed[packed_index(shape, o, c, t)] = o < to ? weight[o * patch + c * taps + t] : 0;
        packed_bias[o] = o < to ? bias[o] : 0;
    }
}

static void unpack_gradient(const bnn_kernel_shape *shape, bnn_real *packed_gradient,
                            bnn_real *weight_gradient, bnn_real *bias_gradient)
{
    const size_t taps = shape->kernel * shape->kernel;
    for (size_t o = 0; o < shape->out.channels; o++)
        for (size_t c = 0; c < shape->in.channels; c++)
            for (size_t t = 0; t < taps; t++)
                *weight_gradient++ = packed_gradient[packed_index(shape, o, c, t)];
    memcpy(bias_gradient, packed_gradient + packed_count(shape) - bnn_channel_stride(shape->out.channels),
           shape->out.channels * sizeof *bias_gradient);
}

/* Copies between the padded image and its patches: gathers, or adds the patches to the padded image
 * (adjoint). A patch's row of `kernel` pixels is contiguous in either layout, but for the padding channels.
 */
static void exchange(const bnn_kernel_shape *shape, const buffers *b, bool gather)
{
    const bool planar = shape->in.layout == BNN_LAYOUT_PLANAR;
    const size_t k = shape->kernel, channels = shape->in.channels;
    const size_t planes = planar ? channels : 1, cell = planar ? 1 : bnn_channel_stride(channels);
    const size_t used = planar ? 1 : channels;
    bnn_real *patch = b->patches;
    for (size_t y = 0; y < shape->in.height; y++)
        for (size_t x = 0; x < shape->in.width; x++)
            for (size_t plane = 0; plane < planes; plane++)
                for (size_t t = 0; t < k * k; t++, patch += used) {
                    const size_t row = plane * b->height + y + t / k;
                    bnn_real *pixel = b->padded + (row * b->width + x + t % k) * cell;
                    if (gather)
                        for (size_t c = 0; c < used; c++) patch[c] = pixel[c];
                    else
                        for (size_t c = 0; c < used; c++) pixel[c] += patch[c];
                }
}

/* One image's output pixel: bias, the first largest of the window, ReLU. `value` is the window's first. */
static void finish_pixel(const bnn_kernel_shape *shape, const bnn_real *bias, const bnn_real *value,
                         bnn_real *out, bnn_code *codes)
{
    const size_t stride = bnn_channel_stride(shape->out.channels), window = shape->pool ? 2 : 1;
    for (size_t o = 0; o < stride; o++) {
        bnn_code code = 0;
        bnn_real most = value[o];
        for (size_t v = 1; v < window * window; v++) {
            const bnn_real other = value[(v / window * shape->in.width + v % window) * stride + o];
            if (other > most) most = other, code = (bnn_code)v;
        }
        most += bias[o];
        if (shape->relu && !(most > 0)) most = most < 0 ? 0 : most, code = BNN_CODE_DEAD;
        out[o] = most;
        if (codes) codes[o] = code;
    }
}

static void forward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t stride = bnn_channel_stride(shape->out.channels), window = shape->pool ? 2 : 1;
    const size_t pixels = shape->in.height * shape->in.width, patch = patch_size(shape);
    const bnn_real *in = pass->in[0], *bias = pass->packed + patch * stride;
    const buffers b = buffers_in(shape, pass->scratch);
    bnn_real *out = pass->out;
    bnn_code *codes = (bnn_code *)pass->saved;
    for (size_t n = 0; n < pass->images; n++, in += bnn_activation_count(&shape->in)) {
        bnn_conv_pad(shape, in, b.padded);
        exchange(shape, &b, true);
        bnn_gemm(false, false, pixels, stride, patch, 1, b.patches, patch, pass->packed, stride, 0, b.values,
                 stride);
        for (size_t y = 0; y < shape->out.height; y++)
            for (size_t x = 0; x < shape->out.width; x++, out += stride) {
                finish_pixel(shape, bias, b.values + (y * shape->in.width + x) * window * stride, out, codes);
                if (codes) codes += stride;
            }
    }
}

/* values <- d loss / d values before ReLU and pooling, of one image; adds up d loss / d bias. */
static void scatter_gradient(const bnn_kernel_shape *shape, const bnn_real *gradient, const bnn_code *codes,
                             bnn_real *values, bnn_real *bias_gradient)
{
    const size_t stride = bnn_channel_stride(shape->out.channels), window = shape->pool ? 2 : 1;
    memset(values, 0, shape->in.height * shape->in.width * stride * sizeof *values);
    for (size_t y = 0; y < shape->out.height; y++)
        for (size_t x = 0; x < shape->out.width; x++, gradient += stride, codes += stride)
            for (size_t o = 0; o < shape->out.channels; o++) {
                if (codes[o] == BNN_CODE_DEAD) continue;
                const size_t row = y * window + codes[o] / window, column = x * window + codes[o] % window;
                values[(row * shape->in.width + column) * stride + o] = gradient[o];
                bias_gradient[o] += gradient[o];
            }
}

static void backward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t stride = bnn_channel_stride(shape->out.channels),
                 in_count = bnn_activation_count(&shape->in);
    const size_t pixels = shape->in.height * shape->in.width, patch = patch_size(shape);
    const buffers b = buffers_in(shape, pass->scratch);
    const bnn_code *codes = (const bnn_code *)pass->saved;
    const bnn_real *in = pass->in[0];
    bnn_real *packed_gradient = pass->packed_gradient;
    if (!pass->add) memset(packed_gradient, 0, packed_count(shape) * sizeof *packed_gradient);
    for (size_t n = 0; n < pass->images; n++, in += in_count) {
        const size_t at = n * bnn_activation_count(&shape->out);
        scatter_gradient(shape, pass->out_gradient + at, codes + at, b.values,
                         packed_gradient + patch * stride);
        bnn_conv_pad(shape, in, b.padded);
        exchange(shape, &b, true);
        bnn_gemm(true, false, patch, stride, pixels, 1, b.patches, patch, b.values, stride, 1,
                 packed_gradient, stride);
        if (!pass->in_gradient[0]) continue;
        bnn_gemm(false, true, pixels, patch, stride, 1, b.values, stride, pass->packed, stride, 0, b.patches,
                 patch);
        memset(b.padded, 0, bnn_conv_padded_count(shape) * sizeof *b.padded);
        exchange(shape, &b, false);
        bnn_conv_unpad(shape, b.padded, pass->in_gradient[0] + n * in_count);
    }
}

const bnn_kernel bnn_conv_blas = {
    .name = "conv-blas",
    .set = "blas",
    .products = true,
    .packed_count = packed_count,
    .saved_count = saved_count,
    .scratch_count = scratch_count,
    .pack = pack,
    .forward = forward,
    .backward = backward,
    .unpack_gradient = unpack_gradient,
};
