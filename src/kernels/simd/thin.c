/* Direct 3 x 3 convolution of a planar image of few channels, the first layer: too thin for a matrix product.
 * A vector holds output channels; the four values of a pooling window share their 4 x 4 patch of inputs and
 * each weight. Packed: weights (C_in * 9, stride of C_out), then the bias. Signs of an image's channels are taken into its
 * weights, W + s r spread: they are few. Samples of an input share its sums, and what their gradients give the weights is that
 * of their sum. */
#include "base/simd/vector.h"
#include "kernels/kernels.h"
#include "kernels/simd/window.h"

/* Pixels ahead of which backward() asks for the gradients of samples: they are more streams than processors follow. */
enum { TAPS = 9, AHEAD = 4 };

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

/* Codes; with normals the slopes of the outputs before. */
static size_t saved_count(const bnn_kernel_shape *shape, size_t images)
{
    const size_t out = images * bnn_activation_count(&shape->out);
    return (shape->noise == BNN_NOISE_NORMALS ? out : 0) + bnn_code_reals(out);
}

/* A padded image, its squares, its gradient; an image's weights with signs, and their gradient. */
typedef struct buffers {
    bnn_real *weights, *weight_gradient, *padded, *squares, *padded_gradient;
} buffers;

static buffers buffers_in(const bnn_kernel_shape *shape, bnn_real *scratch)
{
    const size_t padded = bnn_conv_padded_count(shape);
    const size_t packed = shape->noise == BNN_NOISE_SIGNS ? packed_count(shape) : 0;
    return (buffers){scratch, scratch + packed, scratch + 2 * packed, scratch + 2 * packed + padded,
                     scratch + 2 * packed + 2 * padded};
}

static size_t scratch_count(const bnn_kernel_shape *shape, size_t images)
{
    (void)images;
    return (shape->noise == BNN_NOISE_SIGNS ? 2 * packed_count(shape) : 0) + 3 * bnn_conv_padded_count(shape);
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

/* b.padded <- the image; with normals b.squares <- its squares. */
static void pad(const bnn_kernel_shape *shape, const bnn_real *image, const buffers *b)
{
    const size_t count = shape->noise == BNN_NOISE_NORMALS ? bnn_conv_padded_count(shape) : 0;
    bnn_conv_pad(shape, image, b->padded);
    for (size_t i = 0; i < count; i++) b->squares[i] = b->padded[i] * b->padded[i];
}

/* What the passes of one input read and write; those of the vector of output channels that they are at. Of each of its samples
 * there is one out, noise, slopes and codes; of a pair one noise. */
typedef struct image {
    const bnn_real *weights, *spread, *noise;
    bnn_real *out, *slopes;
    bnn_code *codes;
    size_t samples;
    bool pairs;
} image;

/* One image and one or two vectors of output channels; or with normals one vector, and in place of the other its spread.
 * `pool`, `normals`, `vectors`, whether there are codes, and `channels` where it is 1, are constants. */
INLINE void forward_channels(bool pool, bool normals, size_t vectors, size_t channels,
                             const bnn_kernel_shape *shape, const buffers *b, image i)
{
    const size_t stride = bnn_channel_stride(shape->out.channels), window = pool ? 2 : 1;
    const size_t width = shape->in.width + 2, plane = width * (shape->in.height + 2);
    const size_t noise_row = shape->in.width * stride, sets = normals ? 2 : vectors;
    const size_t out_count = bnn_activation_count(&shape->out), noise_count = bnn_out_noise_count(shape);
    const bnn_real *weights[2] = {i.weights, normals ? i.spread : i.weights + LANES};
    vec first[2][TAPS], bias[2] = {{0}}; /* the first channel's weights stay in registers */
    for (size_t j = 0; j < sets; j++) {
        for (size_t t = 0; t < TAPS; t++) first[j][t] = load(weights[j] + t * stride);
        bias[j] = load(weights[j] + channels * TAPS * stride);
    }
    const vec floor = variance_floor((vec){0} + (bnn_real)LEAST_VARIANCE, bias[1]);
    for (size_t y = 0; y < shape->out.height; y++)
        for (size_t x = 0; x < shape->out.width; x++) {
            const size_t corner = window * (y * width + x);
            vec values[2][4] = {{{0}}};
            for (size_t c = 0; c < channels; c++)
#pragma GCC unroll 9
                for (size_t t = 0; t < TAPS; t++)
#pragma GCC unroll 4
                    for (size_t v = 0; v < window * window; v++) {
                        const size_t at = c * plane + corner + (t / 3 + v / 2) * width + t % 3 + v % 2;
#pragma GCC unroll 2
                        for (size_t j = 0; j < sets; j++)
                            values[j][v] +=
                                (normals && j ? b->squares : b->padded)[at] *
                                (c == 0 ? first[j][t] : load(weights[j] + (c * TAPS + t) * stride));
                    }
            if (normals) {
                const deviations d = window_deviations(pool, values[1], 2, bias[1], floor);
                const bnn_real *from = i.noise + window * (y * noise_row + x * stride);
                for (size_t n = 0, at = 0; n < i.samples; n++, at += out_count, from += noise_count) {
                    const noises z = window_noise(pool, &d, from, noise_row, stride);
                    finish_noisy_window(pool, shape->relu, values[0], 2, &z, false, bias[0], i.out + at,
                                        i.codes + at, i.slopes + at);
                    if (!i.pairs || ++n == i.samples) continue;
                    at += out_count;
                    finish_noisy_window(pool, shape->relu, values[0], 2, &z, true, bias[0], i.out + at,
                                        i.codes + at, i.slopes + at);
                }
            } else
                for (size_t j = 0; j < vectors; j++)
                    finish_window(pool, shape->relu, values[j], 2, bias[j], i.out + j * LANES,
                                  i.codes ? i.codes + j * LANES : NULL);
            i.out += stride;
            if (normals) i.slopes += stride;
            if (i.codes) i.codes += stride;
        }
}

/* forward_channels() with its constants, for as many vectors of output channels as are left from the o-th channel on;
 * returns how many it took. */
static size_t forward_next(const bnn_kernel_shape *shape, const buffers *b, image i, size_t left)
{
    const size_t channels = shape->in.channels;
    const bool normals = shape->noise == BNN_NOISE_NORMALS;
    /* VECTORS is 1 in some instruction sets. NOLINTNEXTLINE(bugprone-branch-clone) */
    const size_t vectors = !normals && shape->pool && channels == 1 && left >= VECTORS * LANES ? VECTORS : 1;
#define CHANNELS(pool, normals, vectors, channels)                                                           \
    do {                                                                                                     \
        image with = i, without = i;                                                                         \
        without.codes = NULL;                                                                                \
        if (with.codes)                                                                                      \
            forward_channels(pool, normals, vectors, channels, shape, b, with);                              \
        else                                                                                                 \
            forward_channels(pool, normals, vectors, channels, shape, b, without);                           \
    } while (0)
    if (normals && !shape->pool)
        CHANNELS(false, true, 1, channels);
    else if (normals && channels > 1)
        CHANNELS(true, true, 1, channels);
    else if (normals)
        CHANNELS(true, true, 1, 1);
    else if (!shape->pool)
        CHANNELS(false, false, 1, channels);
    else if (channels > 1)
        CHANNELS(true, false, 1, channels);
    else if (vectors == 1)
        CHANNELS(true, false, 1, 1);
    else
        CHANNELS(true, false, VECTORS, 1);
#undef CHANNELS
    return vectors;
}

/* Weight k (row, output channel) of image n has the sign s r; the bias, the last row, r. */
static bnn_real sign_of(const bnn_kernel_shape *shape, const bnn_pass *pass, size_t n, size_t k)
{
    const size_t stride = bnn_channel_stride(shape->out.channels), row = k / stride;
    const bnn_real *in = pass->in_noise + n * bnn_in_noise_count(shape),
                   *out = pass->out_noise + n * bnn_out_noise_count(shape);
    return (row < shape->in.channels * TAPS ? in[row / TAPS] : 1) * out[k % stride];
}

/* The weights of image n; with signs they are in b->weights. */
static const bnn_real *weights_of(const bnn_kernel_shape *shape, const bnn_pass *pass, size_t n,
                                  const buffers *b)
{
    if (shape->noise != BNN_NOISE_SIGNS) return pass->packed;
    for (size_t k = 0; k < packed_count(shape); k++)
        b->weights[k] = pass->packed[k] + sign_of(shape, pass, n, k) * pass->spread[k];
    return b->weights;
}

static size_t samples_of(const bnn_pass *pass)
{
    return pass->samples > 1 ? pass->samples : 1;
}

static bnn_code *codes_of(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t slopes =
        shape->noise == BNN_NOISE_NORMALS ? pass->images * bnn_activation_count(&shape->out) : 0;
    return pass->saved ? (bnn_code *)(pass->saved + slopes) : NULL;
}

static void forward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t stride = bnn_channel_stride(shape->out.channels);
    const size_t in_count = bnn_activation_count(&shape->in), out_count = bnn_activation_count(&shape->out);
    const size_t samples = samples_of(pass);
    const bool normals = shape->noise == BNN_NOISE_NORMALS;
    const buffers b = buffers_in(shape, pass->scratch);
    bnn_code *codes = codes_of(shape, pass);
    for (size_t n = 0; n < pass->images; n += samples) {
        const bnn_real *weights = weights_of(shape, pass, n, &b);
        const bnn_real *noise =
            normals ? pass->out_noise + (pass->draw ? 0 : n * bnn_out_noise_count(shape)) : NULL;
        if (normals && pass->draw) pass->draw(pass->context, n, samples);
        pad(shape, pass->in[0] + n / samples * in_count, &b);
        for (size_t o = 0, vectors; o < stride; o += vectors * LANES) {
            const image i = {.weights = weights + o,
                             .spread = normals ? pass->spread + o : NULL,
                             .noise = normals ? noise + o : NULL,
                             .out = pass->out + n * out_count + o,
                             .slopes = normals ? pass->saved + n * out_count + o : NULL,
                             .codes = codes ? codes + n * out_count + o : NULL,
                             .samples = samples,
                             .pairs = pass->pairs};
            vectors = forward_next(shape, &b, i, stride - o);
        }
    }
}

/* Where the gradient of one input channel's weights comes from and goes to: [0], and with normals [1] of its squares, to B. */
typedef struct gradients {
    const bnn_real *plane[2];
    bnn_real *weights[2], *bias[2];
} gradients;

/* values <- the gradient of a window's values; with normals [1] that of B. */
INLINE void window_gradients(bool pool, bool normals, size_t stride, const bnn_real *out_gradient,
                             const bnn_real *slopes, const bnn_code *codes, vec values[2][4])
{
    finish_window_adjoint(pool, out_gradient, NULL, codes, values[0], 2);
    if (!normals) return;
    finish_window_adjoint(pool, out_gradient, slopes, codes, values[1], 2);
    __builtin_prefetch(out_gradient + AHEAD * stride);
    __builtin_prefetch(slopes + AHEAD * stride);
    __builtin_prefetch(codes + AHEAD * stride);
}

/* Adds the gradient of one input's samples to the weights of one input channel, whose padded plane is given, and one
 * vector of output channels; and, if it is not NULL, to the bias. */
INLINE void channel_gradient(bool pool, bool normals, const bnn_kernel_shape *shape, size_t samples,
                             const bnn_real *out_gradient, const bnn_real *slopes, const bnn_code *codes,
                             const gradients *g)
{
    const size_t stride = bnn_channel_stride(shape->out.channels), window = pool ? 2 : 1;
    const size_t width = shape->in.width + 2, out_count = bnn_activation_count(&shape->out);
    const size_t sets = normals ? 2 : 1;
    vec sum[2][TAPS] = {{{0}}}, bias_sum[2] = {{0}};
    for (size_t y = 0; y < shape->out.height; y++)
        for (size_t x = 0; x < shape->out.width; x++, out_gradient += stride, codes += stride) {
            const size_t corner = window * (y * width + x);
            vec values[2][4], more[2][4];
            window_gradients(pool, normals, stride, out_gradient, slopes, codes, values);
            for (size_t n = 1, at = out_count; n < samples; n++, at += out_count) {
                window_gradients(pool, normals, stride, out_gradient + at, slopes + at, codes + at, more);
#pragma GCC unroll 2
                for (size_t j = 0; j < sets; j++)
#pragma GCC unroll 4
                    for (size_t v = 0; v < window * window; v++) values[j][v] += more[j][v];
            }
            slopes += normals ? stride : 0;
#pragma GCC unroll 2
            for (size_t j = 0; j < sets; j++) {
                bias_sum[j] += values[j][0];
                if (pool) bias_sum[j] += (values[j][1] + values[j][2]) + values[j][3];
#pragma GCC unroll 4
                for (size_t v = 0; v < window * window; v++) {
#pragma GCC unroll 9
                    for (size_t t = 0; t < TAPS; t++)
                        sum[j][t] +=
                            g->plane[j][corner + (t / 3 + v / 2) * width + t % 3 + v % 2] * values[j][v];
                }
            }
        }
    for (size_t j = 0; j < sets; j++) {
        for (size_t t = 0; t < TAPS; t++)
            store(g->weights[j] + t * stride, load(g->weights[j] + t * stride) + sum[j][t]);
        if (g->bias[j]) store(g->bias[j], load(g->bias[j]) + bias_sum[j]);
    }
}

/* Adds the gradient of one padded input's samples to the packed weights and bias; with slopes (not NULL), that of its squares
 * to those of B. */
static void weights_gradient(const bnn_kernel_shape *shape, const buffers *b, size_t samples,
                             const bnn_real *out_gradient, const bnn_real *slopes, const bnn_code *codes,
                             bnn_real *packed_gradient, bnn_real *spread_gradient)
{
    const size_t stride = bnn_channel_stride(shape->out.channels);
    const size_t plane = (shape->in.height + 2) * (shape->in.width + 2);
    for (size_t o = 0; o < stride; o += LANES)
        for (size_t c = 0; c < shape->in.channels; c++) {
            const size_t weights = c * TAPS * stride + o, bias = shape->in.channels * TAPS * stride + o;
            gradients g = {.plane = {b->padded + c * plane}, .weights = {packed_gradient + weights}};
            if (c == 0) g.bias[0] = packed_gradient + bias;
            if (slopes) {
                g.plane[1] = b->squares + c * plane;
                g.weights[1] = spread_gradient + weights;
                if (c == 0) g.bias[1] = spread_gradient + bias;
            }
#define GRADIENT(pool, normals)                                                                              \
    channel_gradient(pool, normals, shape, samples, out_gradient + o, normals ? slopes + o : NULL,           \
                     codes + o, &g)
            if (shape->pool && slopes)
                GRADIENT(true, true);
            else if (shape->pool)
                GRADIENT(true, false);
            else if (slopes)
                GRADIENT(false, true);
            else
                GRADIENT(false, false);
#undef GRADIENT
        }
}

/* Adds to the gradient of one padded image. Only a first layer is planar, and nothing asks for the gradient
 * of the network's input in training: plain loops. */
static void inputs_gradient(const bnn_kernel_shape *shape, const bnn_real *packed,
                            const bnn_real *out_gradient, const bnn_code *codes, bnn_real *padded)
{
    const size_t stride = bnn_channel_stride(shape->out.channels), window = shape->pool ? 2 : 1;
    const size_t width = shape->in.width + 2, plane = width * (shape->in.height + 2);
    for (size_t i = 0; i < bnn_activation_count(&shape->out); i++) {
        const size_t o = i % stride, pixel = i / stride;
        /* training saves codes: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        const size_t y = pixel / shape->out.width * window + codes[i] / 2,
                     x = pixel % shape->out.width * window + codes[i] % 2;
        if (codes[i] == BNN_CODE_DEAD) continue;
        for (size_t k = 0; k < shape->in.channels * TAPS; k++)
            padded[k / TAPS * plane + (y + k % TAPS / 3) * width + x + k % 3] +=
                out_gradient[i] * packed[k * stride + o];
    }
}

/* The gradient of image n reaches the weights through what weights_of() made of them. */
static void signs_adjoint(const bnn_kernel_shape *shape, const bnn_pass *pass, size_t n,
                          const bnn_real *weight_gradient)
{
    for (size_t k = 0; k < packed_count(shape); k++) {
        pass->packed_gradient[k] += weight_gradient[k];
        pass->spread_gradient[k] += sign_of(shape, pass, n, k) * weight_gradient[k];
    }
}

static void backward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t in_count = bnn_activation_count(&shape->in), out_count = bnn_activation_count(&shape->out);
    const size_t size = packed_count(shape) * sizeof(bnn_real), padded = bnn_conv_padded_count(shape);
    const bool signs = shape->noise == BNN_NOISE_SIGNS, normals = shape->noise == BNN_NOISE_NORMALS;
    const buffers b = buffers_in(shape, pass->scratch);
    const size_t samples = samples_of(pass);
    const bnn_code *codes = codes_of(shape, pass);
    if (!pass->add) memset(pass->packed_gradient, 0, size);
    if (!pass->add && shape->noise) memset(pass->spread_gradient, 0, size);
    for (size_t n = 0; n < pass->images; n += samples, codes += samples * out_count) {
        const bnn_real *gradient = pass->out_gradient + n * out_count;
        bnn_real *slopes = pass->saved + n * out_count; /* with normals */
        pad(shape, pass->in[0] + n / samples * in_count, &b);
        if (signs) memset(b.weight_gradient, 0, size);
        weights_gradient(shape, &b, samples, gradient, normals ? slopes : NULL, codes,
                         signs ? b.weight_gradient : pass->packed_gradient, pass->spread_gradient);
        if (signs) signs_adjoint(shape, pass, n, b.weight_gradient);
        if (!pass->in_gradient[0]) continue;
        memset(b.padded_gradient, 0, padded * sizeof(bnn_real));
        for (size_t i = 0; normals && i < out_count; i++) slopes[i] *= gradient[i];
        if (normals) inputs_gradient(shape, pass->spread, slopes, codes, b.padded_gradient);
        for (size_t i = 0; normals && i < padded; i++) b.padded_gradient[i] *= 2 * b.padded[i];
        inputs_gradient(shape, weights_of(shape, pass, n, &b), gradient, codes, b.padded_gradient);
        bnn_conv_unpad(shape, b.padded_gradient, pass->in_gradient[0] + n * in_count);
    }
}

const bnn_kernel NAME(bnn_conv_thin) = {
    .name = "thin-" ISA_NAME,
    .set = ISA_NAME,
    .runs_here = NAME(bnn_runs_here),
    .supports = supports,
    .noise = true,
    .packed_count = packed_count,
    .saved_count = saved_count,
    .scratch_count = scratch_count,
    .pack = pack,
    .forward = forward,
    .backward = backward,
    .unpack_gradient = unpack_gradient,
};
