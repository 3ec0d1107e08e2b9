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

static bool supports(const bnn_kernel_shape *shape)
{
    return shape->kernel == 3 && shape->in.layout == BNN_LAYOUT_PLANAR && shape->in.channels <= 4;
}

static size_t packed_count(const bnn_kernel_shape *shape)
{
    return (shape->in.channels * TAPS + 1) * bnn_channel_stride(shape->out.channels);
}

static size_t saved_count(const bnn_kernel_shape *shape, size_t images)
{
    return bnn_code_reals(images * bnn_activation_count(&shape->out));
}

/* One padded image. */
static size_t scratch_count(const bnn_kernel_shape *shape, size_t images)
{
    (void)images;
    return bnn_conv_padded_count(shape);
}

static void pack(const bnn_kernel_shape *shape, const bnn_real *weight, const bnn_real *bias, size_t from,
                 size_t to, bnn_real *packed)
{
    const size_t rows = shape->in.channels * TAPS, stride = bnn_channel_stride(shape->out.channels);
    for (size_t o = from; o < bnn_channel_stride(to); o++) {
        for (size_t i = 0; i < rows; i++) packed[i * stride + o] = o < to ? weight[o * rows + i] : 0;
        packed[rows * stride + o] = o < to ? bias[o] : 0;
    }
}

static void unpack_gradient(const bnn_kernel_shape *shape, bnn_real *packed_gradient,
                            bnn_real *weight_gradient, bnn_real *bias_gradient)
{
    const size_t rows = shape->in.channels * TAPS, stride = bnn_channel_stride(shape->out.channels);
    for (size_t o = 0; o < shape->out.channels; o++) {
        for (size_t i = 0; i < rows; i++) weight_gradient[o * rows + i] = packed_gradient[i * stride + o];
        bias_gradient[o] = packed_gradient[rows * stride + o];
    }
}

/* One image and one or two vectors of output channels; `pool`, `vectors` and, where it is 1, `channels` are
 * constants. `weights`, `out` and `codes` are those of the first vector. */
INLINE void forward_channels(bool pool, size_t vectors, size_t channels, const bnn_kernel_shape *shape,
                             const bnn_real *weights, const bnn_real *padded, bnn_real *out, bnn_code *codes)
{
    const size_t stride = bnn_channel_stride(shape->out.channels), window = pool ? 2 : 1;
    const size_t width = shape->in.width + 2, plane = width * (shape->in.height + 2);
    vec first[2][TAPS], bias[2]; /* the first channel's weights stay in registers */
    for (size_t j = 0; j < vectors; j++) {
        for (size_t t = 0; t < TAPS; t++) first[j][t] = load(weights + t * stride + j * LANES);
        bias[j] = load(weights + channels * TAPS * stride + j * LANES);
    }
    for (size_t y = 0; y < shape->out.height; y++)
        for (size_t x = 0; x < shape->out.width; x++, out += stride) {
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
                finish_window(pool, shape->relu, values[j], 2, bias[j], out + j * LANES,
                              codes ? codes + j * LANES : NULL);
            codes += codes ? stride : 0;
        }
}

/* Whether there are codes is a constant too. */
#define CHANNELS(pool, vectors, channels)                                                                    \
    do {                                                                                                     \
        if (to)                                                                                              \
            forward_channels(pool, vectors, channels, shape, pass->packed + o, pass->scratch, out + o, to);  \
        else                                                                                                 \
            forward_channels(pool, vectors, channels, shape, pass->packed + o, pass->scratch, out + o,       \
                             NULL);                                                                          \
    } while (0)

static void forward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t stride = bnn_channel_stride(shape->out.channels), channels = shape->in.channels;
    const size_t in_count = bnn_activation_count(&shape->in), out_count = bnn_activation_count(&shape->out);
    const bnn_real *in = pass->in[0];
    bnn_real *out = pass->out;
    bnn_code *codes = (bnn_code *)pass->saved;
    for (size_t n = 0; n < pass->images; n++, in += in_count, out += out_count) {
        bnn_conv_pad(shape, in, pass->scratch);
        for (size_t o = 0, vectors; o < stride; o += vectors * LANES) {
            bnn_code *to = codes ? codes + o : NULL;
            vectors = shape->pool && channels == 1 && stride - o >= VECTORS * LANES ? VECTORS : 1;
            if (!shape->pool)
                CHANNELS(false, 1, channels);
            else if (channels > 1)
                CHANNELS(true, 1, channels);
            else if (vectors == 1)
                CHANNELS(true, 1, 1);
            else
                CHANNELS(true, VECTORS, 1);
        }
        codes += codes ? out_count : 0;
    }
}

/* Adds the gradient of one image to the weights of one input channel, whose padded plane is given, and one
 * vector of output channels; and, if it is not NULL, to the bias. */
INLINE void weights_gradient(bool pool, const bnn_kernel_shape *shape, const bnn_real *plane,
                             const bnn_real *out_gradient, const bnn_code *codes, bnn_real *weights,
                             bnn_real *bias)
{
    const size_t stride = bnn_channel_stride(shape->out.channels), window = pool ? 2 : 1;
    const size_t width = shape->in.width + 2;
    vec sum[TAPS] = {{0}}, bias_sum = {0};
    for (size_t y = 0; y < shape->out.height; y++)
        for (size_t x = 0; x < shape->out.width; x++, out_gradient += stride, codes += stride) {
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
static void inputs_gradient(const bnn_kernel_shape *shape, const bnn_real *packed,
                            const bnn_real *out_gradient, const bnn_code *codes, bnn_real *padded)
{
    const size_t stride = bnn_channel_stride(shape->out.channels), window = shape->pool ? 2 : 1;
    const size_t width = shape->in.width + 2, plane = width * (shape->in.height + 2);
    memset(padded, 0, bnn_conv_padded_count(shape) * sizeof *padded);
    for (size_t i = 0; i < bnn_activation_count(&shape->out); i++) {
        const size_t o = i % stride, pixel = i / stride;
        const size_t y = pixel / shape->out.width * window + codes[i] / 2,
                     x = pixel % shape->out.width * window + codes[i] % 2;
        if (codes[i] == BNN_CODE_DEAD) continue;
        for (size_t k = 0; k < shape->in.channels * TAPS; k++)
            padded[k / TAPS * plane + (y + k % TAPS / 3) * width + x + k % 3] +=
                out_gradient[i] * packed[k * stride + o];
    }
}

static void backward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t stride = bnn_channel_stride(shape->out.channels),
                 out_count = bnn_activation_count(&shape->out);
    const size_t height = shape->in.height + 2, width = shape->in.width + 2;
    const bnn_code *codes = (const bnn_code *)pass->saved;
    const bnn_real *out_gradient = pass->out_gradient;
    bnn_real *scratch = pass->scratch, *packed_gradient = pass->packed_gradient;
    if (!pass->add) memset(packed_gradient, 0, packed_count(shape) * sizeof *packed_gradient);
    for (size_t n = 0; n < pass->images; n++, out_gradient += out_count, codes += out_count) {
        bnn_conv_pad(shape, pass->in[0] + n * bnn_activation_count(&shape->in), scratch);
        for (size_t o = 0; o < stride; o += LANES)
            for (size_t c = 0; c < shape->in.channels; c++) {
                bnn_real *weights = packed_gradient + c * TAPS * stride + o;
                bnn_real *bias = c == 0 ? packed_gradient + shape->in.channels * TAPS * stride + o : NULL;
                const bnn_real *plane = scratch + c * height * width;
                if (shape->pool)
                    weights_gradient(true, shape, plane, out_gradient + o, codes + o, weights, bias);
                else
                    weights_gradient(false, shape, plane, out_gradient + o, codes + o, weights, bias);
            }
        if (!pass->in_gradient[0]) continue;
        inputs_gradient(shape, pass->packed, out_gradient, codes, scratch);
        bnn_conv_unpad(shape, scratch, pass->in_gradient[0] + n * bnn_activation_count(&shape->in));
    }
}

const bnn_kernel NAME(bnn_conv_thin) = {
    .name = "thin-" ISA_NAME,
    .set = ISA_NAME,
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
