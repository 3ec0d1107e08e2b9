/* Direct 3 x 3 convolution of a planar image of few channels, the first layer: too thin for a matrix product.
 * A vector holds output channels; the four values of a pooling window share their 4 x 4 patch of inputs and
 * each weight. Packed: weights (C_in * 9, stride of C_out), then the bias. */
#include "base/simd/vector.h"
#include "kernels/kernels.h"
#include "kernels/simd/window.h"

enum { TAPS = 9 };

/* Vectors of output channels at a time: two vectors' weights fit in the 32 registers of AVX-512 alone. */
#if defined(__AVX512F__)
#define VECTORS 2
#else
#define VECTORS 1
#endif

static bool supports(const bnn_layer *layer)
{
    return layer->kind == BNN_LAYER_CONV && layer->kernel == 3 && layer->in_layout == BNN_LAYOUT_PLANAR &&
           layer->in_channels <= 4;
}

static size_t packed_count(const bnn_layer *layer)
{
    return (layer->in_channels * TAPS + 1) * bnn_channel_stride(layer->out_channels);
}

static size_t saved_count(const bnn_layer *layer, size_t images)
{
    return bnn_code_reals(images * bnn_layer_out_count(layer));
}

/* One padded image. */
static size_t scratch_count(const bnn_layer *layer, size_t images)
{
    (void)images;
    return bnn_conv_padded_count(layer);
}

static void pack(const bnn_layer *layer, const bnn_real *weight, const bnn_real *bias, bnn_real *packed)
{
    const size_t rows = layer->in_channels * TAPS, stride = bnn_channel_stride(layer->out_channels);
    memset(packed, 0, packed_count(layer) * sizeof *packed);
    for (size_t o = 0; o < layer->out_channels; o++) {
        for (size_t i = 0; i < rows; i++) packed[i * stride + o] = weight[o * rows + i];
        packed[rows * stride + o] = bias[o];
    }
}

static void unpack_gradient(const bnn_layer *layer, bnn_real *packed_gradient, bnn_real *weight_gradient,
                            bnn_real *bias_gradient)
{
    const size_t rows = layer->in_channels * TAPS, stride = bnn_channel_stride(layer->out_channels);
    for (size_t o = 0; o < layer->out_channels; o++) {
        for (size_t i = 0; i < rows; i++) weight_gradient[o * rows + i] = packed_gradient[i * stride + o];
        bias_gradient[o] = packed_gradient[rows * stride + o];
    }
}

/* One image and one or two vectors of output channels; `pool`, `vectors` and, where it is 1, `channels` are
 * constants. `weights`, `out` and `codes` are those of the first vector. */
INLINE void forward_channels(bool pool, size_t vectors, size_t channels, const bnn_layer *layer,
                             const bnn_real *weights, const bnn_real *padded, bnn_real *out, bnn_code *codes)
{
    const size_t stride = bnn_channel_stride(layer->out_channels), window = pool ? 2 : 1;
    const size_t width = layer->in_width + 2, plane = width * (layer->in_height + 2);
    vec first[2][TAPS], bias[2]; /* the first channel's weights stay in registers */
    for (size_t j = 0; j < vectors; j++) {
        for (size_t t = 0; t < TAPS; t++) first[j][t] = load(weights + t * stride + j * LANES);
        bias[j] = load(weights + channels * TAPS * stride + j * LANES);
    }
    for (size_t y = 0; y < layer->out_height; y++)
        for (size_t x = 0; x < layer->out_width; x++, out += stride) {
            const bnn_real *patch = padded + window * (y * width + x);
            vec values[2][4] = {{{0}}};
            for (size_t c = 0; c < channels; c++, patch += plane)
#pragma GCC unroll 9
                for (size_t t = 0; t < TAPS; t++)
#pragma GCC unroll 4
                    for (size_t v = 0; v < window * window; v++) {
                        const bnn_real in = patch[(t / 3 + v / 2) * width + t % 3 + v % 2];
#pragma GCC unroll 2
                        for (size_t j = 0; j < vectors; j++)
                            values[j][v] +=
                                in *
                                (c == 0 ? first[j][t] : load(weights + (c * TAPS + t) * stride + j * LANES));
                    }
#pragma GCC unroll 2
            for (size_t j = 0; j < vectors; j++)
                finish_window(pool, layer->relu, values[j], 2, bias[j], out + j * LANES,
                              codes ? codes + j * LANES : NULL);
            codes += codes ? stride : 0;
        }
}

/* Whether there are codes is a constant too. */
#define CHANNELS(pool, vectors, channels)                                                                    \
    do {                                                                                                     \
        if (to)                                                                                              \
            forward_channels(pool, vectors, channels, layer, packed + o, scratch, out + o, to);              \
        else                                                                                                 \
            forward_channels(pool, vectors, channels, layer, packed + o, scratch, out + o, NULL);            \
    } while (0)

static void forward(const bnn_layer *layer, const bnn_real *packed, const bnn_real *in, size_t images,
                    bnn_real *out, bnn_real *saved, bnn_real *scratch)
{
    const size_t stride = bnn_channel_stride(layer->out_channels), channels = layer->in_channels;
    bnn_code *codes = (bnn_code *)saved;
    for (; images > 0; images--, in += bnn_layer_in_count(layer), out += bnn_layer_out_count(layer)) {
        bnn_conv_pad(layer, in, scratch);
        for (size_t o = 0, vectors; o < stride; o += vectors * LANES) {
            bnn_code *to = codes ? codes + o : NULL;
            vectors = layer->pool && channels == 1 && stride - o >= VECTORS * LANES ? VECTORS : 1;
            if (!layer->pool)
                CHANNELS(false, 1, channels);
            else if (channels > 1)
                CHANNELS(true, 1, channels);
            else if (vectors == 1)
                CHANNELS(true, 1, 1);
            else
                CHANNELS(true, VECTORS, 1);
        }
        codes += codes ? bnn_layer_out_count(layer) : 0;
    }
}

/* Adds the gradient of one image to the weights of one input channel, whose padded plane is given, and one
 * vector of output channels; and, if it is not NULL, to the bias. */
INLINE void weights_gradient(bool pool, const bnn_layer *layer, const bnn_real *plane,
                             const bnn_real *out_gradient, const bnn_code *codes, bnn_real *weights,
                             bnn_real *bias)
{
    const size_t stride = bnn_channel_stride(layer->out_channels), window = pool ? 2 : 1;
    const size_t width = layer->in_width + 2;
    vec sum[TAPS] = {{0}}, bias_sum = {0};
    for (size_t y = 0; y < layer->out_height; y++)
        for (size_t x = 0; x < layer->out_width; x++, out_gradient += stride, codes += stride) {
            const bnn_real *patch = plane + window * (y * width + x);
            vec values[4];
            finish_window_adjoint(pool, out_gradient, codes, values, 2);
            bias_sum += values[0];
            if (pool) bias_sum += (values[1] + values[2]) + values[3];
#pragma GCC unroll 4
            for (size_t v = 0; v < window * window; v++) {
#pragma GCC unroll 9
                for (size_t t = 0; t < TAPS; t++)
                    sum[t] += patch[(t / 3 + v / 2) * width + t % 3 + v % 2] * values[v];
            }
        }
    for (size_t t = 0; t < TAPS; t++) store(weights + t * stride, load(weights + t * stride) + sum[t]);
    if (bias) store(bias, load(bias) + bias_sum);
}

/* padded <- the gradient of one padded image. Only a first layer is planar, and nothing asks for the gradient
 * of the network's input in training: plain loops. */
static void inputs_gradient(const bnn_layer *layer, const bnn_real *packed, const bnn_real *out_gradient,
                            const bnn_code *codes, bnn_real *padded)
{
    const size_t stride = bnn_channel_stride(layer->out_channels), window = layer->pool ? 2 : 1;
    const size_t width = layer->in_width + 2, plane = width * (layer->in_height + 2);
    memset(padded, 0, bnn_conv_padded_count(layer) * sizeof *padded);
    for (size_t i = 0; i < bnn_layer_out_count(layer); i++) {
        const size_t o = i % stride, pixel = i / stride;
        const size_t y = pixel / layer->out_width * window + codes[i] / 2,
                     x = pixel % layer->out_width * window + codes[i] % 2;
        if (codes[i] == BNN_CODE_DEAD) continue;
        for (size_t k = 0; k < layer->in_channels * TAPS; k++)
            padded[k / TAPS * plane + (y + k % TAPS / 3) * width + x + k % 3] +=
                out_gradient[i] * packed[k * stride + o];
    }
}

static void backward(const bnn_layer *layer, const bnn_real *packed, const bnn_real *in, const bnn_real *out,
                     bnn_real *out_gradient, size_t images, bnn_real *in_gradient, bool add,
                     bnn_real *packed_gradient, const bnn_real *saved, bnn_real *scratch)
{
    const size_t stride = bnn_channel_stride(layer->out_channels), out_count = bnn_layer_out_count(layer);
    const size_t height = layer->in_height + 2, width = layer->in_width + 2;
    const bnn_code *codes = (const bnn_code *)saved;
    (void)out;
    if (!add) memset(packed_gradient, 0, packed_count(layer) * sizeof *packed_gradient);
    for (size_t n = 0; n < images; n++, out_gradient += out_count, codes += out_count) {
        bnn_conv_pad(layer, in + n * bnn_layer_in_count(layer), scratch);
        for (size_t o = 0; o < stride; o += LANES)
            for (size_t c = 0; c < layer->in_channels; c++) {
                bnn_real *weights = packed_gradient + c * TAPS * stride + o;
                bnn_real *bias = c == 0 ? packed_gradient + layer->in_channels * TAPS * stride + o : NULL;
                const bnn_real *plane = scratch + c * height * width;
                if (layer->pool)
                    weights_gradient(true, layer, plane, out_gradient + o, codes + o, weights, bias);
                else
                    weights_gradient(false, layer, plane, out_gradient + o, codes + o, weights, bias);
            }
        if (!in_gradient) continue;
        inputs_gradient(layer, packed, out_gradient, codes, scratch);
        bnn_conv_unpad(layer, scratch, in_gradient + n * bnn_layer_in_count(layer));
    }
}

const bnn_layer_ops NAME(bnn_conv_thin_ops) = {
    .name = "thin-" ISA_NAME,
    .runs_here = NAME(bnn_runs_here),
    .supports = supports,
    .packed_count = packed_count,
    .saved_count = saved_count,
    .scratch_count = scratch_count,
    .pack = pack,
    .forward = forward,
    .backward = backward,
    .unpack_gradient = unpack_gradient,
};
