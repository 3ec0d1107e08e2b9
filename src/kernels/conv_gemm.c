/* Convolution as one matrix product an image (im2col): any kernel size, padding and layout; the general fast
 * path. Packed weights are W (K, stride of C_out), K = kernel^2 C_in in the order in which im2col meets the
 * input, then the bias; the padding columns are zero, and so are the padding channels of every product. */
#include <string.h>

#include "bnn/blas.h"
#include "kernels/kernels.h"
#include "kernels/padding.h"

static bool supports(const bnn_layer *layer)
{
    return layer->kind == BNN_LAYER_CONV;
}

static size_t patch_size(const bnn_layer *layer)
{
    return layer->kernel * layer->kernel * layer->in_channels;
}

static size_t packed_count(const bnn_layer *layer)
{
    return (patch_size(layer) + 1) * bnn_channel_stride(layer->out_channels);
}

static size_t saved_count(const bnn_layer *layer, size_t images)
{
    return bnn_code_reals(images * bnn_layer_out_count(layer));
}

/* Scratch: a padded image; its patches (H W, K); values before ReLU and pooling (H W, stride of C_out). */
typedef struct buffers {
    size_t height, width; /* of the padded image */
    bnn_real *padded, *patches, *values;
} buffers;

static size_t scratch_count(const bnn_layer *layer, size_t images)
{
    const size_t pixels = layer->in_height * layer->in_width;
    (void)images;
    return bnn_conv_padded_count(layer) +
           pixels * (patch_size(layer) + bnn_channel_stride(layer->out_channels));
}

static buffers buffers_in(const bnn_layer *layer, bnn_real *scratch)
{
    buffers b = {layer->in_height + layer->kernel - 1, layer->in_width + layer->kernel - 1, scratch, NULL,
                 NULL};
    b.patches = b.padded + bnn_conv_padded_count(layer);
    b.values = b.patches + layer->in_height * layer->in_width * patch_size(layer);
    return b;
}

/* Where weight (o, c, t) is among the packed: the row of its input in a patch, the column of its output. */
static size_t packed_index(const bnn_layer *layer, size_t o, size_t c, size_t t)
{
    const size_t taps = layer->kernel * layer->kernel;
    const size_t row = layer->in_layout == BNN_LAYOUT_PLANAR ? c * taps + t : t * layer->in_channels + c;
    return row * bnn_channel_stride(layer->out_channels) + o;
}

static void pack(const bnn_layer *layer, const bnn_real *weight, const bnn_real *bias, bnn_real *packed)
{
    const size_t taps = layer->kernel * layer->kernel, count = packed_count(layer);
    memset(packed, 0, count * sizeof *packed);
    for (size_t o = 0; o < layer->out_channels; o++)
        for (size_t c = 0; c < layer->in_channels; c++)
            for (size_t t = 0; t < taps; t++) packed[packed_index(layer, o, c, t)] = *weight++;
    memcpy(packed + count - bnn_channel_stride(layer->out_channels), bias,
           layer->out_channels * sizeof *bias);
}

static void unpack_gradient(const bnn_layer *layer, bnn_real *packed_gradient, bnn_real *weight_gradient,
                            bnn_real *bias_gradient)
{
    const size_t taps = layer->kernel * layer->kernel;
    for (size_t o = 0; o < layer->out_channels; o++)
        for (size_t c = 0; c < layer->in_channels; c++)
            for (size_t t = 0; t < taps; t++)
                *weight_gradient++ = packed_gradient[packed_index(layer, o, c, t)];
    memcpy(bias_gradient, packed_gradient + packed_count(layer) - bnn_channel_stride(layer->out_channels),
           layer->out_channels * sizeof *bias_gradient);
}

/* Copies between the padded image and its patches: gathers, or adds the patches to the padded image
 * (adjoint). A patch's row of `kernel` pixels is contiguous in either layout, but for the padding channels.
 */
static void exchange(const bnn_layer *layer, const buffers *b, bool gather)
{
    const bool planar = layer->in_layout == BNN_LAYOUT_PLANAR;
    const size_t k = layer->kernel, channels = layer->in_channels;
    const size_t planes = planar ? channels : 1, cell = planar ? 1 : bnn_channel_stride(channels);
    const size_t used = planar ? 1 : channels;
    bnn_real *patch = b->patches;
    for (size_t y = 0; y < layer->in_height; y++)
        for (size_t x = 0; x < layer->in_width; x++)
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
static void finish_pixel(const bnn_layer *layer, const bnn_real *bias, const bnn_real *value, bnn_real *out,
                         bnn_code *codes)
{
    const size_t stride = bnn_channel_stride(layer->out_channels), window = layer->pool ? 2 : 1;
    for (size_t o = 0; o < stride; o++) {
        bnn_code code = 0;
        bnn_real most = value[o];
        for (size_t v = 1; v < window * window; v++) {
            const bnn_real other = value[(v / window * layer->in_width + v % window) * stride + o];
            if (other > most) most = other, code = (bnn_code)v;
        }
        most += bias[o];
        if (layer->relu && !(most > 0)) most = most < 0 ? 0 : most, code = BNN_CODE_DEAD;
        out[o] = most;
        if (codes) codes[o] = code;
    }
}

static void forward(const bnn_layer *layer, const bnn_real *packed, const bnn_real *in, size_t images,
                    bnn_real *out, bnn_real *saved, bnn_real *scratch)
{
    const size_t stride = bnn_channel_stride(layer->out_channels), window = layer->pool ? 2 : 1;
    const size_t pixels = layer->in_height * layer->in_width, patch = patch_size(layer);
    const bnn_real *bias = packed + patch * stride;
    const buffers b = buffers_in(layer, scratch);
    bnn_code *codes = (bnn_code *)saved;
    for (; images > 0; images--, in += bnn_layer_in_count(layer)) {
        bnn_conv_pad(layer, in, b.padded);
        exchange(layer, &b, true);
        bnn_gemm(false, false, pixels, stride, patch, 1, b.patches, patch, packed, stride, 0, b.values,
                 stride);
        for (size_t y = 0; y < layer->out_height; y++)
            for (size_t x = 0; x < layer->out_width; x++, out += stride, codes += codes ? stride : 0)
                finish_pixel(layer, bias, b.values + (y * layer->in_width + x) * window * stride, out, codes);
    }
}

/* values <- d loss / d values before ReLU and pooling, of one image; adds up d loss / d bias. */
static void scatter_gradient(const bnn_layer *layer, const bnn_real *gradient, const bnn_code *codes,
                             bnn_real *values, bnn_real *bias_gradient)
{
    const size_t stride = bnn_channel_stride(layer->out_channels), window = layer->pool ? 2 : 1;
    memset(values, 0, layer->in_height * layer->in_width * stride * sizeof *values);
    for (size_t y = 0; y < layer->out_height; y++)
        for (size_t x = 0; x < layer->out_width; x++, gradient += stride, codes += stride)
            for (size_t o = 0; o < layer->out_channels; o++) {
                if (codes[o] == BNN_CODE_DEAD) continue;
                const size_t row = y * window + codes[o] / window, column = x * window + codes[o] % window;
                values[(row * layer->in_width + column) * stride + o] = gradient[o];
                bias_gradient[o] += gradient[o];
            }
}

static void backward(const bnn_layer *layer, const bnn_real *packed, const bnn_real *in, const bnn_real *out,
                     bnn_real *out_gradient, size_t images, bnn_real *in_gradient, bool add,
                     bnn_real *packed_gradient, const bnn_real *saved, bnn_real *scratch)
{
    const size_t stride = bnn_channel_stride(layer->out_channels), in_count = bnn_layer_in_count(layer);
    const size_t pixels = layer->in_height * layer->in_width, patch = patch_size(layer);
    const buffers b = buffers_in(layer, scratch);
    const bnn_code *codes = (const bnn_code *)saved;
    (void)out;
    if (!add) memset(packed_gradient, 0, packed_count(layer) * sizeof *packed_gradient);
    for (size_t n = 0; n < images; n++, in += in_count) {
        const size_t at = n * bnn_layer_out_count(layer);
        scatter_gradient(layer, out_gradient + at, codes + at, b.values, packed_gradient + patch * stride);
        bnn_conv_pad(layer, in, b.padded);
        exchange(layer, &b, true);
        bnn_gemm(true, false, patch, stride, pixels, 1, b.patches, patch, b.values, stride, 1,
                 packed_gradient, stride);
        if (!in_gradient) continue;
        bnn_gemm(false, true, pixels, patch, stride, 1, b.values, stride, packed, stride, 0, b.patches,
                 patch);
        memset(b.padded, 0, bnn_conv_padded_count(layer) * sizeof *b.padded);
        exchange(layer, &b, false);
        bnn_conv_unpad(layer, b.padded, in_gradient + n * in_count);
    }
}

const bnn_layer_ops bnn_conv_gemm_ops = {
    .name = "gemm",
    .supports = supports,
    .packed_count = packed_count,
    .saved_count = saved_count,
    .scratch_count = scratch_count,
    .pack = pack,
    .forward = forward,
    .backward = backward,
    .unpack_gradient = unpack_gradient,
};
