/* 3 x 3 convolution of a planar image of few channels, the first layer: too thin for a matrix product. Winograd's F(2x2, 3x3),
 * element by element (see winograd.c for the formulas):  Y = A^T [sum_c U_c * V_c] A  of a pooling window, whose inputs are
 * 4 x 4, takes 16 multiplications a channel where direct convolution takes 36; what else there is are additions.
 * A vector holds output channels. Packed: U (C_in * 16, stride of C_out), then the bias. Signs of an image's channels are taken
 * into its weights, U + s r U' of the spread: they are few. Samples of an input share its sums, and what their gradients give
 * the weights is that of their sum. */
#include "base/simd/vector.h"
#include "kernels/kernels.h"
#include "kernels/simd/window.h"

/* Pixels ahead of which backward() asks for the gradients of samples: they are more streams than processors follow. */
enum { SIDE = 4, POINTS = SIDE * SIDE, TAPS = 9, AHEAD = 4 };

/* G and B^T. */
static const bnn_real of_kernel[SIDE][3] = {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}};
static const bnn_real of_input[SIDE][SIDE] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}};

static bool supports(const bnn_kernel_shape *shape)
{
    return shape->kernel == 3 && shape->in.layout == BNN_LAYOUT_PLANAR && shape->in.channels <= 4;
}

static size_t packed_count(const bnn_kernel_shape *shape)
{
    return (shape->in.channels * POINTS + 1) * bnn_channel_stride(shape->out.channels);
}

/* Codes; with normals the slopes of the outputs before. */
static size_t saved_count(const bnn_kernel_shape *shape, size_t images)
{
    const size_t out = images * bnn_activation_count(&shape->out);
    return (shape->noise == BNN_NOISE_NORMALS ? out : 0) + bnn_code_reals(out);
}

/* Tiles of 2 x 2 outputs, before pooling, above and beside each other. */
static size_t tiles_of(const bnn_kernel_shape *shape, size_t outputs)
{
    return shape->pool ? outputs : (outputs + 1) / 2;
}

/* A padded image, and what the last tile of an odd side reads beyond it: finite, and nothing asks for what comes of it. */
static size_t padded_count(const bnn_kernel_shape *shape)
{
    return bnn_conv_padded_count(shape) + shape->in.width + SIDE;
}

/* V (C_in, tiles, POINTS) of an image. */
static size_t v_count(const bnn_kernel_shape *shape)
{
    return shape->in.channels * tiles_of(shape, shape->out.height) * tiles_of(shape, shape->out.width) *
           POINTS;
}

/* An image's weights with signs, and their gradient; the padded image, its squares, its gradient; V of the image, and of its
 * squares. */
typedef struct buffers {
    bnn_real *weights, *weight_gradient, *padded, *squares, *padded_gradient, *v[2];
} buffers;

static buffers buffers_in(const bnn_kernel_shape *shape, bnn_real *scratch)
{
    const size_t packed = shape->noise == BNN_NOISE_SIGNS ? packed_count(shape) : 0;
    buffers b = {.weights = scratch, .weight_gradient = scratch + packed, .padded = scratch + 2 * packed};
    b.squares = b.padded + padded_count(shape);
    b.padded_gradient = b.squares + padded_count(shape);
    b.v[0] = b.padded_gradient + padded_count(shape);
    b.v[1] = b.v[0] + v_count(shape);
    return b;
}

static size_t scratch_count(const bnn_kernel_shape *shape, size_t images)
{
    (void)images;
    return (shape->noise == BNN_NOISE_SIGNS ? 2 * packed_count(shape) : 0) + 3 * padded_count(shape) +
           2 * v_count(shape);
}

static void pack(const bnn_kernel_shape *shape, const bnn_real *weight, const bnn_real *bias, size_t from,
                 size_t to, bnn_real *packed)
{
    const size_t channels = shape->in.channels, stride = bnn_channel_stride(shape->out.channels);
    for (size_t o = from; o < bnn_channel_stride(to); o++) {
        for (size_t p = 0; p < channels * POINTS; p++) {
            const bnn_real *g = weight + (o * channels + p / POINTS) * TAPS;
            const bnn_real *rows = of_kernel[p % POINTS / SIDE], *columns = of_kernel[p % SIDE];
            bnn_real u = 0;
            for (size_t t = 0; o < to && t < TAPS; t++) u += rows[t / 3] * columns[t % 3] * g[t];
            packed[p * stride + o] = u;
        }
        packed[channels * POINTS * stride + o] = o < to ? bias[o] : 0;
    }
}

static void unpack_gradient(const bnn_kernel_shape *shape, bnn_real *packed_gradient,
                            bnn_real *weight_gradient, bnn_real *bias_gradient)
{
    const size_t channels = shape->in.channels, stride = bnn_channel_stride(shape->out.channels);
    for (size_t o = 0; o < shape->out.channels; o++) {
        for (size_t t = 0; t < channels * TAPS; t++) {
            const bnn_real *u = packed_gradient + t / TAPS * POINTS * stride + o;
            bnn_real g = 0;
            for (size_t p = 0; p < POINTS; p++)
                g += of_kernel[p / SIDE][t % TAPS / 3] * of_kernel[p % SIDE][t % 3] * u[p * stride];
            weight_gradient[o * channels * TAPS + t] = g;
        }
        bias_gradient[o] = packed_gradient[channels * POINTS * stride + o];
    }
}

/* Four numbers beside each other: not a vector that every instruction set has, so no function takes or gives one. */
typedef bnn_real four __attribute__((vector_size(SIDE * sizeof(bnn_real))));
typedef bnn_real loose_four
    __attribute__((vector_size(SIDE * sizeof(bnn_real)), aligned(sizeof(bnn_real)), may_alias));

/* v <- B^T d */
INLINE void input_line(const four *d, bnn_real *v)
{
    const four sign = {-1, 1, -1, -1};
    *(loose_four *)v = (loose_four)(*d + sign * __builtin_shufflevector(*d, *d, 2, 2, 1, 1));
}

/* v <- V of a padded image. */
static void transform_inputs(const bnn_kernel_shape *shape, const bnn_real *padded, bnn_real *v)
{
    const size_t width = shape->in.width + 2, plane = width * (shape->in.height + 2);
    const size_t rows = tiles_of(shape, shape->out.height), columns = tiles_of(shape, shape->out.width);
    for (size_t c = 0; c < shape->in.channels; c++)
        for (size_t y = 0; y < rows; y++)
            for (size_t x = 0; x < columns; x++, v += POINTS) {
                const bnn_real *corner = padded + c * plane + 2 * (y * width + x);
                four d[SIDE];
                for (size_t i = 0; i < SIDE; i++) d[i] = (four) * (const loose_four *)(corner + i * width);
                const four lines[SIDE] = {d[0] - d[2], d[1] + d[2], d[2] - d[1], d[3] - d[1]};
                for (size_t i = 0; i < SIDE; i++) input_line(&lines[i], v + i * SIDE);
            }
}

/* b->padded <- an image, b->v <- its V; with normals also of its squares. */
static void transform(const bnn_kernel_shape *shape, const bnn_real *image, const buffers *b)
{
    const size_t count = bnn_conv_padded_count(shape), all = padded_count(shape);
    bnn_conv_pad(shape, image, b->padded);
    memset(b->padded + count, 0, (all - count) * sizeof *b->padded);
    transform_inputs(shape, b->padded, b->v[0]);
    if (shape->noise != BNN_NOISE_NORMALS) return;
    for (size_t i = 0; i < all; i++) b->squares[i] = b->padded[i] * b->padded[i];
    transform_inputs(shape, b->squares, b->v[1]);
}

/* values (2, 2) <- A^T m A */
INLINE void output_tile(const vec *m, vec *values)
{
    vec t[2][SIDE];
#pragma GCC unroll 4
    for (size_t j = 0; j < SIDE; j++) {
        t[0][j] = m[j] + (m[SIDE + j] + m[2 * SIDE + j]);
        t[1][j] = (m[SIDE + j] - m[2 * SIDE + j]) + m[3 * SIDE + j];
    }
#pragma GCC unroll 2
    for (size_t i = 0; i < 2; i++) {
        values[2 * i] = t[i][0] + (t[i][1] + t[i][2]);
        values[2 * i + 1] = (t[i][1] - t[i][2]) + t[i][3];
    }
}

/* Point i of A y. */
INLINE vec output_adjoint(size_t i, vec first, vec second)
{
    if (i == 0) return first;
    if (i == 1) return first + second;
    if (i == 2) return first - second;
    return second;
}

/* m (SIDE) <- line i of A values A^T. */
INLINE void output_line_adjoint(size_t i, const vec *values, vec *m)
{
    const vec first = output_adjoint(i, values[0], values[2]),
              second = output_adjoint(i, values[1], values[3]);
#pragma GCC unroll 4
    for (size_t k = 0; k < SIDE; k++) m[k] = output_adjoint(k, first, second);
}

/* What the passes of one input read and write; those of the vector of output channels that they are at. Of each of its samples
 * there is one out (or its gradient), noise, slopes and codes; of a pair one noise. */
typedef struct image {
    const bnn_real *weights, *spread, *noise, *out_gradient;
    bnn_real *out, *slopes;
    bnn_code *codes;
    bnn_real *weight_gradient, *spread_gradient;
    size_t samples;
    bool pairs;
} image;

/* The counts that loops over tiles need. */
typedef struct sizes {
    size_t rows, columns;    /* tiles */
    size_t stride, out;      /* reals of an output's pixel and of all outputs */
    size_t noise, noise_row; /* of a sample's noise and of a row of that */
} sizes;

static sizes sizes_of(const bnn_kernel_shape *shape)
{
    const size_t stride = bnn_channel_stride(shape->out.channels);
    return (sizes){.rows = tiles_of(shape, shape->out.height),
                   .columns = tiles_of(shape, shape->out.width),
                   .stride = stride,
                   .out = bnn_activation_count(&shape->out),
                   .noise = bnn_out_noise_count(shape),
                   .noise_row = shape->in.width * stride};
}

/* Where the k-th output of tile (y, x) is, which with pooling has one; false where it lies outside. */
INLINE bool output_at(bool pool, const bnn_kernel_shape *shape, const sizes *s, size_t y, size_t x, size_t k,
                      size_t *at)
{
    if (!pool) y = 2 * y + k / 2, x = 2 * x + k % 2;
    *at = (y * shape->out.width + x) * s->stride;
    return pool || (y < shape->out.height && x < shape->out.width);
}

/* out, codes, and with normals slopes, of tile (y, x) from its values, [1] of B. */
INLINE void finish_tile(bool pool, bool normals, bool codes, const bnn_kernel_shape *shape, const sizes *s,
                        const image *i, size_t y, size_t x, vec values[2][4], const vec *bias)
{
    vec floor = {0};
    if (normals)
        floor = tile_floor(larger(larger(values[1][0], values[1][1]), larger(values[1][2], values[1][3])),
                           bias[1]);
    for (size_t k = 0, at; k < (pool ? 1 : 4); k++) {
        if (!output_at(pool, shape, s, y, x, k, &at)) continue;
        const vec *means = values[0] + k;
        if (!normals) {
            finish_window(pool, shape->relu, means, 2, bias[0], i->out + at, codes ? i->codes + at : NULL);
            continue;
        }
        const deviations d = window_deviations(pool, values[1] + k, 2, bias[1], floor);
        const bnn_real *from = i->noise + (2 * y + k / 2) * s->noise_row + (2 * x + k % 2) * s->stride;
        for (size_t n = 0; n < i->samples; n++, at += s->out, from += s->noise) {
            const noises z = window_noise(pool, &d, from, s->noise_row, s->stride);
            finish_noisy_window(pool, shape->relu, means, 2, &z, false, bias[0], i->out + at, i->codes + at,
                                i->slopes + at);
            if (!i->pairs || ++n == i->samples) continue;
            at += s->out;
            finish_noisy_window(pool, shape->relu, means, 2, &z, true, bias[0], i->out + at, i->codes + at,
                                i->slopes + at);
        }
    }
}

/* `pool`, `normals`, `codes` (whether there are any) and `channels` where it is 1, are constants. */
INLINE void forward_image(bool pool, bool normals, bool codes, size_t channels, const bnn_kernel_shape *shape,
                          const buffers *b, const image *i)
{
    const sizes s = sizes_of(shape);
    const size_t sets = normals ? 2 : 1, plane = s.rows * s.columns * POINTS;
    const bnn_real *weights[2] = {i->weights, i->spread};
    vec first[2][POINTS], bias[2] = {{0}}; /* the first channel's weights stay in registers */
    for (size_t j = 0; j < sets; j++) {
        for (size_t p = 0; p < POINTS; p++) first[j][p] = load(weights[j] + p * s.stride);
        bias[j] = load(weights[j] + channels * POINTS * s.stride);
    }
    for (size_t y = 0, tile = 0; y < s.rows; y++)
        for (size_t x = 0; x < s.columns; x++, tile += POINTS) {
            vec values[2][4];
            for (size_t j = 0; j < sets; j++) {
                const bnn_real *v = b->v[j] + tile;
                vec m[POINTS];
#pragma GCC unroll 16
                for (size_t p = 0; p < POINTS; p++) m[p] = v[p] * first[j][p];
                for (size_t c = 1; c < channels; c++)
#pragma GCC unroll 16
                    for (size_t p = 0; p < POINTS; p++)
                        m[p] += v[c * plane + p] * load(weights[j] + (c * POINTS + p) * s.stride);
                output_tile(m, values[j]);
            }
            finish_tile(pool, normals, codes, shape, &s, i, y, x, values, bias);
        }
}

/* forward_image() with its constants, each in a function of its own: see TRANSFORM of tile.h. */
#define FORWARD(name, pool, normals, codes, channels)                                                        \
    static __attribute__((noinline)) void name(const bnn_kernel_shape *shape, const buffers *b,              \
                                               const image *i)                                               \
    {                                                                                                        \
        forward_image(pool, normals, codes, channels, shape, b, i);                                          \
    }
FORWARD(forward_single, false, false, i->codes, shape->in.channels)
FORWARD(forward_single_noisy, false, true, true, shape->in.channels)
FORWARD(forward_pooled, true, false, i->codes, shape->in.channels)
FORWARD(forward_pooled_noisy, true, true, true, shape->in.channels)
FORWARD(forward_pooled_grey, true, false, true, 1)
FORWARD(forward_pooled_grey_alone, true, false, false, 1)
FORWARD(forward_pooled_grey_noisy, true, true, true, 1)

static void forward_channels(const bnn_kernel_shape *shape, const buffers *b, const image *i)
{
    const bool normals = shape->noise == BNN_NOISE_NORMALS;
    if (!shape->pool)
        (normals ? forward_single_noisy : forward_single)(shape, b, i);
    else if (shape->in.channels > 1)
        (normals ? forward_pooled_noisy : forward_pooled)(shape, b, i);
    else if (normals)
        forward_pooled_grey_noisy(shape, b, i);
    else
        (i->codes ? forward_pooled_grey : forward_pooled_grey_alone)(shape, b, i);
}

/* The weights of image n; with signs b->weights <- U + s r U', where the bias, the last row, has the sign r. */
static const bnn_real *weights_of(const bnn_kernel_shape *shape, const bnn_pass *pass, size_t n,
                                  const buffers *b)
{
    const size_t stride = bnn_channel_stride(shape->out.channels), rows = shape->in.channels * POINTS;
    if (shape->noise != BNN_NOISE_SIGNS) return pass->packed;
    const bnn_real *in = pass->in_noise + n * bnn_in_noise_count(shape),
                   *out = pass->out_noise + n * bnn_out_noise_count(shape);
    for (size_t k = 0; k <= rows; k++)
        for (size_t at = k * stride, o = 0; o < stride; o++, at++)
            b->weights[at] = pass->packed[at] + (k < rows ? in[k / POINTS] : 1) * out[o] * pass->spread[at];
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
        transform(shape, pass->in[0] + n / samples * in_count, &b);
        for (size_t o = 0; o < stride; o += LANES) {
            const image i = {.weights = weights + o,
                             .spread = normals ? pass->spread + o : NULL,
                             .noise = normals ? noise + o : NULL,
                             .out = pass->out + n * out_count + o,
                             .slopes = normals ? pass->saved + n * out_count + o : NULL,
                             .codes = codes ? codes + n * out_count + o : NULL,
                             .samples = samples,
                             .pairs = pass->pairs};
            forward_channels(shape, &b, &i);
        }
    }
}

/* values <- the gradient of an output's values; with normals [1] that of B. */
INLINE void output_gradients(bool pool, bool normals, const sizes *s, const image *i, size_t at,
                             vec values[2][4])
{
    finish_window_adjoint(pool, i->out_gradient + at, NULL, i->codes + at, values[0], 2);
    if (!normals) return;
    finish_window_adjoint(pool, i->out_gradient + at, i->slopes + at, i->codes + at, values[1], 2);
    __builtin_prefetch(i->out_gradient + at + AHEAD * s->stride);
    __builtin_prefetch(i->slopes + at + AHEAD * s->stride);
    __builtin_prefetch(i->codes + at + AHEAD * s->stride);
}

/* values <- the gradients of the values of tile (y, x), those of all samples added up. */
INLINE void finish_tile_adjoint(bool pool, bool normals, const bnn_kernel_shape *shape, const sizes *s,
                                const image *i, size_t y, size_t x, vec values[2][4])
{
    const size_t sets = normals ? 2 : 1, count = pool ? 4 : 1;
    for (size_t k = 0, at; k < (pool ? 1 : 4); k++) {
        vec sum[2][4] = {{{0}}}, more[2][4];
        if (output_at(pool, shape, s, y, x, k, &at)) {
            output_gradients(pool, normals, s, i, at, sum);
            for (size_t n = 1; n < i->samples; n++) {
                output_gradients(pool, normals, s, i, at += s->out, more);
#pragma GCC unroll 2
                for (size_t j = 0; j < sets; j++)
#pragma GCC unroll 4
                    for (size_t v = 0; v < count; v++) sum[j][v] += more[j][v];
            }
        }
#pragma GCC unroll 2
        for (size_t j = 0; j < sets; j++)
#pragma GCC unroll 4
            for (size_t v = 0; v < count; v++) values[j][k + v] = sum[j][v];
    }
}

/* Adds the gradient of one input's samples to the weights of one of its channels, and with the first to the bias; with normals
 * [1] to those of B. */
INLINE void channel_gradient(bool pool, bool normals, size_t channel, const bnn_kernel_shape *shape,
                             const buffers *b, const image *i)
{
    const sizes s = sizes_of(shape);
    const size_t sets = normals ? 2 : 1, at_bias = shape->in.channels * POINTS * s.stride;
    bnn_real *to[2] = {i->weight_gradient, i->spread_gradient};
    vec sum[2][POINTS] = {{{0}}}, bias[2] = {{0}};
    for (size_t y = 0, tile = channel * s.rows * s.columns * POINTS; y < s.rows; y++)
        for (size_t x = 0; x < s.columns; x++, tile += POINTS) {
            vec values[2][4];
            finish_tile_adjoint(pool, normals, shape, &s, i, y, x, values);
#pragma GCC unroll 2
            for (size_t j = 0; j < sets; j++) {
                const bnn_real *v = b->v[j] + tile;
#pragma GCC unroll 4
                for (size_t line = 0; line < SIDE; line++) {
                    vec m[SIDE];
                    output_line_adjoint(line, values[j], m);
                    if (line == 1) bias[j] += m[1]; /* the points (1, 1) have the sum of all */
#pragma GCC unroll 4
                    for (size_t k = 0; k < SIDE; k++) sum[j][line * SIDE + k] += v[line * SIDE + k] * m[k];
                }
            }
        }
    for (size_t j = 0; j < sets; j++) {
        for (size_t p = 0; p < POINTS; p++) {
            bnn_real *at = to[j] + (channel * POINTS + p) * s.stride;
            store(at, load(at) + sum[j][p]);
        }
        if (channel == 0) store(to[j] + at_bias, load(to[j] + at_bias) + bias[j]);
    }
}

/* An image's pointers at the vector of channels from the o-th on. */
static image from_channel(image i, size_t o)
{
    i.out_gradient += o;
    i.codes += o;
    i.weight_gradient += o;
    if (i.slopes) i.slopes += o, i.spread_gradient += o;
    return i;
}

#define GRADIENT(name, pool, normals)                                                                        \
    static __attribute__((noinline)) void name(const bnn_kernel_shape *shape, const buffers *b,              \
                                               const image *i, size_t channel)                               \
    {                                                                                                        \
        channel_gradient(pool, normals, channel, shape, b, i);                                               \
    }
GRADIENT(gradient_single, false, false)
GRADIENT(gradient_single_noisy, false, true)
GRADIENT(gradient_pooled, true, false)
GRADIENT(gradient_pooled_noisy, true, true)

/* Adds the gradient of one input's samples to the packed weights and bias; with normals, that of B to its own. */
static void weights_gradient(const bnn_kernel_shape *shape, const buffers *b, const image *all)
{
    const bool normals = shape->noise == BNN_NOISE_NORMALS;
    for (size_t o = 0; o < bnn_channel_stride(shape->out.channels); o += LANES) {
        const image i = from_channel(*all, o);
        for (size_t c = 0; c < shape->in.channels; c++)
            if (shape->pool)
                (normals ? gradient_pooled_noisy : gradient_pooled)(shape, b, &i, c);
            else
                (normals ? gradient_single_noisy : gradient_single)(shape, b, &i, c);
    }
}

/* Adds to the gradient of one padded image, from that of its outputs by `weights`. Only a first layer is planar, and nothing asks
 * for the gradient of the network's input in training: plain loops. */
static void inputs_gradient(const bnn_kernel_shape *shape, const bnn_real *weights, const image *all,
                            bnn_real *padded)
{
    const sizes s = sizes_of(shape);
    const size_t width = shape->in.width + 2, plane = width * (shape->in.height + 2);
    for (size_t tile = 0; tile < s.rows * s.columns; tile++)
        for (size_t o = 0; o < s.stride; o += LANES) {
            const image i = from_channel(*all, o);
            const size_t y = tile / s.columns, x = tile % s.columns;
            vec values[2][4], m[POINTS];
            finish_tile_adjoint(shape->pool, false, shape, &s, &i, y, x, values);
            for (size_t line = 0; line < SIDE; line++) output_line_adjoint(line, values[0], m + line * SIDE);
            for (size_t p = 0; p < shape->in.channels * POINTS; p++) {
                const vec products = m[p % POINTS] * load(weights + p * s.stride + o);
                const bnn_real *rows = of_input[p % POINTS / SIDE], *columns = of_input[p % SIDE];
                bnn_real *corner = padded + p / POINTS * plane + 2 * (y * width + x), sum = 0;
                for (size_t lane = 0; lane < LANES; lane++) sum += products[lane];
                for (size_t k = 0; k < POINTS; k++)
                    corner[k / SIDE * width + k % SIDE] += rows[k / SIDE] * columns[k % SIDE] * sum;
            }
        }
}

/* The gradient of image n reaches the weights through what weights_of() made of them. */
static void signs_adjoint(const bnn_kernel_shape *shape, const bnn_pass *pass, size_t n,
                          const bnn_real *weight_gradient)
{
    const size_t stride = bnn_channel_stride(shape->out.channels), rows = shape->in.channels * POINTS;
    const bnn_real *in = pass->in_noise + n * bnn_in_noise_count(shape),
                   *out = pass->out_noise + n * bnn_out_noise_count(shape);
    for (size_t k = 0; k <= rows; k++)
        for (size_t at = k * stride, o = 0; o < stride; o++, at++) {
            pass->packed_gradient[at] += weight_gradient[at];
            pass->spread_gradient[at] += (k < rows ? in[k / POINTS] : 1) * out[o] * weight_gradient[at];
        }
}

static void backward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t in_count = bnn_activation_count(&shape->in), out_count = bnn_activation_count(&shape->out);
    const size_t size = packed_count(shape) * sizeof(bnn_real), padded = padded_count(shape);
    const bool signs = shape->noise == BNN_NOISE_SIGNS, normals = shape->noise == BNN_NOISE_NORMALS;
    const buffers b = buffers_in(shape, pass->scratch);
    const size_t samples = samples_of(pass);
    bnn_code *codes = codes_of(shape, pass);
    if (!pass->add) memset(pass->packed_gradient, 0, size);
    if (!pass->add && shape->noise) memset(pass->spread_gradient, 0, size);
    for (size_t n = 0; n < pass->images; n += samples, codes += samples * out_count) {
        image i = {.out_gradient = pass->out_gradient + n * out_count,
                   .slopes = normals ? pass->saved + n * out_count : NULL,
                   .codes = codes,
                   .weight_gradient = signs ? b.weight_gradient : pass->packed_gradient,
                   .spread_gradient = pass->spread_gradient,
                   .samples = samples};
        transform(shape, pass->in[0] + n / samples * in_count, &b);
        if (signs) memset(b.weight_gradient, 0, size);
        weights_gradient(shape, &b, &i);
        if (signs) signs_adjoint(shape, pass, n, b.weight_gradient);
        if (!pass->in_gradient[0]) continue;
        memset(b.padded_gradient, 0, padded * sizeof(bnn_real));
        if (i.slopes) { /* with normals */
            image of_squares = i;
            for (size_t j = 0; j < out_count; j++) i.slopes[j] *= i.out_gradient[j];
            of_squares.out_gradient = i.slopes;
            inputs_gradient(shape, pass->spread, &of_squares, b.padded_gradient);
            for (size_t j = 0; j < padded; j++) b.padded_gradient[j] *= 2 * b.padded[j];
        }
        inputs_gradient(shape, weights_of(shape, pass, n, &b), &i, b.padded_gradient);
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
