/* 3 x 3 convolution of channels-last activations by Winograd's minimal filtering F(6x6, 3x3): A. Lavin and S.
 * Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv:1509.09308 (2015).
 *
 * A tile of 6 x 6 outputs is  Y = A^T [sum_c U_c * V_c] A  with  U = G g G^T  of the kernel g,  V = B^T d B
 * of the 8 x 8 inputs d, and * element by element: 64 multiplications a channel where direct convolution
 * takes 324. For each of the 64 elements ("planes") the sum over channels is a matrix product,  M (tiles,
 * C_out) = V (tiles, C_in) U. The gradients are the adjoints:  dM = A dY A^T,  dU = V^T dM,  dV = dM U^T,  dg
 * = G^T dU G,  dd = B dV B^T.
 *
 * A plane is a pair of the points at which polynomials are evaluated. What is left of a height or width that
 * 6 does not divide is a row or column of tiles of length 4 or 2, F(4, 3) or F(2, 3), which need fewer of
 * the points and share U: 14 = 6 + 6 + 2 takes 20 points, as 4 + 4 + 4 + 2 would take 22. Tiles are so
 * numbered that those which a plane needs are consecutive.
 *
 * Noise: signs, one a channel and image, commute with the transforms of pixels, so A and B of kernel.h share those:
 * M = V U + r ((s V) U') with U' of the spread. Normals need a V' of the squares and an M' of their own, and share what
 * follows the sums. */
#include "base/simd/vector.h"
#include "kernels/kernels.h"
#include "kernels/simd/product.h"
#include "kernels/simd/tile.h"
#include "kernels/simd/window.h"

/* The sizes of one block, and what it has in memory. A tile is long (6) or short (4 or 2), by height and by width. */
typedef struct tiling {
    size_t in_stride, out_stride; /* channels of a pixel */
    size_t height, width;         /* outputs before pooling, without an odd row that pooling drops */
    size_t long_y, long_x;        /* long tiles above and beside each other */
    size_t short_y, short_x;      /* 1 when a short tile follows, else 0 */
    size_t rest_y, rest_x;        /* length of short tiles */
    size_t images, tiles;         /* tiles of the block */
    size_t v_plane, m_plane;      /* steps between planes of V (tiles, in_stride) and M (tiles, out_stride) */
    size_t u_plane, ut_plane;     /* of U (in_channels, out_stride) and its transpose, in panels */
} tiling;

/* Planes lie an odd number of cache lines apart: a power of two would map them all to the same few cache
 * sets. */
static size_t plane(size_t reals)
{
    return reals + (reals / BNN_CHANNEL_UNIT % 2 == 0 ? BNN_CHANNEL_UNIT : 0);
}

static size_t panels(size_t rows, size_t columns)
{
    const size_t panel = NAME(bnn_panel);
    return plane(rows * ((columns + panel - 1) / panel * panel));
}

static tiling tiling_of(const bnn_kernel_shape *shape, size_t images)
{
    tiling s = {.in_stride = bnn_channel_stride(shape->in.channels),
                .out_stride = bnn_channel_stride(shape->out.channels),
                .height = shape->out.height * (shape->pool ? 2 : 1),
                .width = shape->out.width * (shape->pool ? 2 : 1),
                .images = images};
    s.long_y = (s.height + 1) / LENGTH;
    s.long_x = (s.width + 1) / LENGTH;
    s.short_y = s.height > LENGTH * s.long_y;
    s.short_x = s.width > LENGTH * s.long_x;
    s.rest_y = s.height > LENGTH * s.long_y + 2 ? 4 : 2;
    s.rest_x = s.width > LENGTH * s.long_x + 2 ? 4 : 2;
    s.tiles = images * (s.long_y + s.short_y) * (s.long_x + s.short_x);
    s.v_plane = plane(s.tiles * s.in_stride);
    s.m_plane = plane(s.tiles * s.out_stride);
    s.u_plane = panels(shape->in.channels, s.out_stride);
    s.ut_plane = panels(shape->out.channels, s.in_stride);
    return s;
}

/* Tile (y, x) of an image: those long by height and short by width come first, then the long, then those
 * short by height alone, then the short. */
static size_t tile_number(const tiling *s, size_t image, size_t y, size_t x)
{
    const size_t long_tiles = s->images * s->long_y * s->short_x;
    if (y < s->long_y)
        return x < s->long_x ? long_tiles + (image * s->long_y + y) * s->long_x + x : image * s->long_y + y;
    const size_t short_tiles = s->images * s->long_y * (s->long_x + s->short_x);
    return short_tiles + (x < s->long_x ? image * s->long_x + x : s->images * s->long_x + image);
}

static size_t length_y(const tiling *s, size_t y)
{
    return y < s->long_y ? LENGTH : s->rest_y;
}

static size_t length_x(const tiling *s, size_t x)
{
    return x < s->long_x ? LENGTH : s->rest_x;
}

/* The tiles that have a plane: *first and their count. */
static size_t tiles_of_plane(const tiling *s, size_t p, size_t *first)
{
    const size_t i = p / POINTS, j = p % POINTS;
    const bool tall = i > s->rest_y && i != LAST, broad = j > s->rest_x && j != LAST; /* long tiles only */
    *first = broad ? s->images * s->long_y * s->short_x : 0;
    return s->images * (s->long_y + (tall ? 0 : s->short_y)) * (s->long_x + (broad ? 0 : s->short_x));
}

static bool supports(const bnn_kernel_shape *shape)
{
    return shape->kernel == 3 && shape->in.layout == BNN_LAYOUT_CHANNELS_LAST;
}

/* Packed: U, then its transpose, both in panels (product.h), then the bias. Packed gradient: dU (C_in,
 * out_stride) with U's step between planes, and the bias where the packed one is. */
static size_t packed_count(const bnn_kernel_shape *shape)
{
    const tiling s = tiling_of(shape, 1);
    return PLANES * (s.u_plane + s.ut_plane) + s.out_stride;
}

/* Planes come from far, and are more streams than processors follow: rows of planes, and kernels of each of many channels, after
 * which one is asked for; reals of a plane that are unpacked at a time, of few planes at once. */
enum { AHEAD = 2, KERNELS_AHEAD = 8, UNPACKED = 2048 };

/* Channels of a matrix of kernels: those from .. to - 1 of `count`, which are `step` weights apart. */
typedef struct channels {
    size_t from, to, count, step;
} channels;

/* Transforms the kernels of a matrix of channels into panels of columns. */
static void pack_side(const bnn_real *weight, channels rows, channels columns, bnn_real *packed,
                      size_t u_plane)
{
    const size_t panel = NAME(bnn_panel);
    for (size_t c = columns.from; c < bnn_channel_stride(columns.to); c += LANES)
        for (size_t r = rows.from; r < rows.to; r++) {
            bnn_real *to = packed + c / panel * panel * rows.count + r * panel + c % panel;
            vec g[3][3] = {{{0}}}, t[3][POINTS];
            for (size_t lane = 0; lane < LANES && c + lane < columns.to; lane++)
                for (size_t k = 0; k < 9; k++)
                    g[k % 3][k / 3][lane] = weight[r * rows.step + (c + lane) * columns.step + k];
            for (size_t x = 0; x < 3; x++) kernel_line(g[x], t[x]);
            for (size_t i = 0; i < POINTS; i++) {
                const vec line[3] = {t[0][i], t[1][i], t[2][i]};
                vec u[POINTS];
                kernel_line(line, u);
                for (size_t j = 0; j < POINTS; j++) {
                    bnn_real *at = to + (i * POINTS + j) * u_plane;
                    store(at, u[j]);
                    __builtin_prefetch(at + AHEAD * panel, 1, 2);
                }
            }
        }
}

static void pack(const bnn_kernel_shape *shape, const bnn_real *weight, const bnn_real *bias, size_t from,
                 size_t to, bnn_real *packed)
{
    const tiling s = tiling_of(shape, 1);
    const channels in = {0, shape->in.channels, shape->in.channels, 9};
    const channels out = {from, to, shape->out.channels, shape->in.channels * 9};
    bnn_real *transposed = packed + PLANES * s.u_plane, *packed_bias = transposed + PLANES * s.ut_plane;
    pack_side(weight, in, out, packed, s.u_plane);
    pack_side(weight, out, in, transposed, s.ut_plane);
    for (size_t o = from; o < bnn_channel_stride(to); o++) packed_bias[o] = o < to ? bias[o] : 0;
}

/* dU G, three planes of each row, in the place of dU: `count` reals of a plane. */
static void unpack_rows(const tiling *s, bnn_real *planes, size_t count)
{
    for (size_t i = 0; i < POINTS; i++, planes += POINTS * s->u_plane)
        for (size_t k = 0; k < count; k += LANES) {
            vec line[POINTS], g[3];
            for (size_t j = 0; j < POINTS; j++) line[j] = load(planes + j * s->u_plane + k);
            kernel_line_adjoint(line, g);
            for (size_t x = 0; x < 3; x++) store(planes + x * s->u_plane + k, g[x]);
        }
}

/* The gradients of the kernels of input channel c and of outputs from the o-th on, a vector, <- G^T (dU G). */
static void unpack_columns(const bnn_kernel_shape *shape, const tiling *s, size_t o, size_t c,
                           const bnn_real *planes, bnn_real *weight_gradient)
{
    const size_t in = shape->in.channels, out = shape->out.channels;
    for (size_t lane = 0; lane < LANES; lane++)
        __builtin_prefetch(weight_gradient + ((o + lane) * in + c + KERNELS_AHEAD) * 9, 1);
    for (size_t x = 0; x < 3; x++) {
        vec line[POINTS], g[3];
        for (size_t i = 0; i < POINTS; i++) line[i] = load(planes + (i * POINTS + x) * s->u_plane);
        kernel_line_adjoint(line, g);
        for (size_t lane = 0; lane < LANES && o + lane < out; lane++)
            for (size_t y = 0; y < 3; y++)
                weight_gradient[((o + lane) * in + c) * 9 + y * 3 + x] = g[y][lane];
    }
}

static void unpack_gradient(const bnn_kernel_shape *shape, bnn_real *packed_gradient,
                            bnn_real *weight_gradient, bnn_real *bias_gradient)
{
    const tiling s = tiling_of(shape, 1);
    const size_t in = shape->in.channels, rows = (UNPACKED + s.out_stride - 1) / s.out_stride;
    for (size_t c = 0; c < in; c += rows) {
        const size_t end = c + rows < in ? c + rows : in;
        unpack_rows(&s, packed_gradient + c * s.out_stride, (end - c) * s.out_stride);
        for (size_t o = 0; o < s.out_stride; o += LANES)
            for (size_t r = c; r < end; r++)
                unpack_columns(shape, &s, o, r, packed_gradient + r * s.out_stride + o, weight_gradient);
    }
    memcpy(bias_gradient, packed_gradient + PLANES * (s.u_plane + s.ut_plane),
           shape->out.channels * sizeof *bias_gradient);
}

/* Saved: V, which backward() overwrites; or with normals the slopes of the outputs, as to make V and V' anew takes less time
 * than to have them from memory; then the codes of the outputs. */
typedef struct kept {
    bnn_real *v, *slopes;
    bnn_code *codes;
} kept;

/* Reals before the codes. */
static size_t before_codes(const bnn_kernel_shape *shape, const tiling *s)
{
    return shape->noise == BNN_NOISE_NORMALS ? s->images * bnn_activation_count(&shape->out)
                                             : PLANES * s->v_plane;
}

static kept kept_in(const bnn_kernel_shape *shape, const tiling *s, bnn_real *saved)
{
    return (kept){saved, saved, (bnn_code *)(saved + before_codes(shape, s))};
}

static size_t saved_count(const bnn_kernel_shape *shape, size_t images)
{
    const tiling s = tiling_of(shape, images);
    return before_codes(shape, &s) + bnn_code_reals(images * bnn_activation_count(&shape->out));
}

/* Scratch: a pixel for what lies outside the image, M (or dM), V where it is not saved; with normals the sums by the weights
 * (tiles, out_stride / LANES, VALUES, LANES), while M and V are those by the spread, and backward V (or dV) of the squares; with
 * signs those of all tiles, and a plane of V and one of dM with their signs. */
enum { VALUES = LENGTH * LENGTH };
typedef struct buffers {
    bnn_real *outside, *m, *v;
    bnn_real *means, *squares_v;
    bnn_real *in_signs, *out_signs, *signed_v, *signed_m;
} buffers;

static buffers buffers_in(const tiling *s, bnn_real *scratch)
{
    buffers b = {.outside = scratch, .m = scratch + s->in_stride};
    b.v = b.m + PLANES * s->m_plane;
    b.means = b.squares_v = b.in_signs = b.v + PLANES * s->v_plane;
    b.signed_v = b.in_signs + s->v_plane;
    b.out_signs = b.signed_v + s->v_plane;
    b.signed_m = b.out_signs + s->m_plane;
    return b;
}

static size_t scratch_count(const bnn_kernel_shape *shape, size_t images)
{
    const tiling s = tiling_of(shape, images);
    const size_t means = s.tiles * VALUES * s.out_stride, v = PLANES * s.v_plane;
    const size_t noise[] = {[BNN_NOISE_NONE] = 0,
                            [BNN_NOISE_SIGNS] = 2 * (s.v_plane + s.m_plane),
                            [BNN_NOISE_NORMALS] = means > v ? means : v};
    return s.in_stride + PLANES * (s.m_plane + s.v_plane) + noise[shape->noise];
}

/* A line of addresses: written at once, as stores one by one would wait behind those of the tile before. */
typedef size_t addresses __attribute__((vector_size(POINTS * sizeof(size_t))));

/* pixel <- where the inputs of tile (y, x) are in an image, or `outside`. */
static void find_pixels(const bnn_kernel_shape *shape, const tiling *s, bnn_real *image, size_t y, size_t x,
                        bnn_real *outside, bnn_real *pixel[POINTS][POINTS])
{
    const size_t height = shape->in.height, width = shape->in.width,
                 pixel_bytes = s->in_stride * sizeof(bnn_real);
    addresses columns;
    for (size_t j = 0; j < POINTS; j++)
        columns[j] = bnn_conv_source(shape, LENGTH * x + j, width) * pixel_bytes;
    const addresses inside = (addresses)(columns < width * pixel_bytes);
    for (size_t i = 0; i < POINTS; i++) {
        const size_t row = bnn_conv_source(shape, LENGTH * y + i, height);
        const size_t line = (size_t)(image + row * width * s->in_stride);
        const addresses known = row < height ? inside : (addresses){0};
        const addresses found = (known & (columns + line)) | (~known & (size_t)outside);
        memcpy(pixel[i], &found, sizeof found);
    }
}

TRANSFORMS(transform_tile, transform_squares,
           (size_t length_y, size_t length_x, bnn_real *const pixel[POINTS][POINTS], size_t c, bnn_real *v,
            size_t v_plane),
           (length_y, length_x, pixel, c, v, v_plane), input_tile, pixel, c, v, v_plane)

/* V <- the transformed inputs of a block, or of their squares. */
static void transform_inputs(const bnn_kernel_shape *shape, const tiling *s, const bnn_real *in, bool squares,
                             bnn_real *outside, bnn_real *v)
{
    memset(outside, 0, s->in_stride * sizeof *outside);
    for (size_t n = 0; n < s->images; n++, in += bnn_activation_count(&shape->in))
        for (size_t y = 0; y < s->long_y + s->short_y; y++)
            for (size_t x = 0; x < s->long_x + s->short_x; x++) {
                bnn_real *pixel[POINTS][POINTS], *to = v + tile_number(s, n, y, x) * s->in_stride;
                find_pixels(shape, s, (bnn_real *)in, y, x, outside, pixel);
                for (size_t c = 0; c < s->in_stride; c += LANES)
                    if (squares)
                        transform_squares(length_y(s, y), length_x(s, x), pixel, c, to + c, s->v_plane);
                    else
                        transform_tile(length_y(s, y), length_x(s, x), pixel, c, to + c, s->v_plane);
            }
}

TRANSFORM(add_tile_adjoint,
          (size_t length_y, size_t length_x, const bnn_real *v, size_t v_plane,
           bnn_real *const pixel[POINTS][POINTS], size_t c),
          (length_y, length_x, v, v_plane, pixel, c), input_tile_adjoint, v, NULL, v_plane, pixel, NULL, c)
TRANSFORM(add_noisy_tile_adjoint,
          (size_t length_y, size_t length_x, const bnn_real *v, const bnn_real *squares_v, size_t v_plane,
           bnn_real *const pixel[POINTS][POINTS], bnn_real *const inputs[POINTS][POINTS], size_t c),
          (length_y, length_x, v, squares_v, v_plane, pixel, inputs, c), input_tile_adjoint, v, squares_v,
          v_plane, pixel, inputs, c)

/* The adjoint: in_gradient += from dV; and from that of the squares of `in`, unless it is NULL. What falls outside is
 * dropped. */
static void transform_inputs_adjoint(const bnn_kernel_shape *shape, const tiling *s, const bnn_real *v,
                                     const bnn_real *squares_v, const bnn_real *in, bnn_real *outside,
                                     bnn_real *in_gradient)
{
    const size_t count = bnn_activation_count(&shape->in);
    for (size_t n = 0; n < s->images; n++)
        for (size_t y = 0; y < s->long_y + s->short_y; y++)
            for (size_t x = 0; x < s->long_x + s->short_x; x++) {
                const size_t at = tile_number(s, n, y, x) * s->in_stride;
                bnn_real *pixel[POINTS][POINTS], *inputs[POINTS][POINTS];
                find_pixels(shape, s, in_gradient + n * count, y, x, outside, pixel);
                if (squares_v) find_pixels(shape, s, (bnn_real *)in + n * count, y, x, outside, inputs);
                for (size_t c = 0; c < s->in_stride; c += LANES)
                    if (squares_v)
                        add_noisy_tile_adjoint(length_y(s, y), length_x(s, x), v + at + c, squares_v + at + c,
                                               s->v_plane, pixel, inputs, c);
                    else
                        add_tile_adjoint(length_y(s, y), length_x(s, x), v + at + c, s->v_plane, pixel, c);
            }
}

/* The outputs of a tile: the first of them in the block, steps to the next, and how many rows and columns
 * there are of them without pooling. (With pooling, tiles are full.) */
typedef struct outputs {
    size_t at, row, column, rows, columns;
} outputs;

static outputs outputs_of(const bnn_kernel_shape *shape, const tiling *s, size_t image, size_t y, size_t x)
{
    const size_t most = shape->pool ? LENGTH / 2 : LENGTH, column = s->out_stride,
                 row = shape->out.width * column;
    outputs o = {(image * shape->out.height + most * y) * row + most * x * column, row, column,
                 shape->out.height - most * y, shape->out.width - most * x};
    if (o.rows > most) o.rows = most;
    if (o.columns > most) o.columns = most;
    return o;
}

/* out, codes <- from the tile of M at `m`. */
INLINE void finish_tile(size_t height, size_t width, bool pool, const bnn_kernel_shape *shape,
                        const bnn_real *m, size_t m_plane, vec bias, const outputs *o, bnn_real *out,
                        bnn_code *codes)
{
    vec tile[LENGTH][LENGTH];
    output_tile(height, width, m, m_plane, tile);
    if (pool) {
        UNROLL
        for (size_t i = 0; i < height / 2; i++) UNROLL
        for (size_t j = 0; j < width / 2; j++)
            finish_window(true, shape->relu, &tile[2 * i][2 * j], LENGTH, bias,
                          out + i * o->row + j * o->column,
                          codes ? codes + i * o->row + j * o->column : NULL);
    } else
        for (size_t i = 0; i < height && i < o->rows; i++)
            for (size_t j = 0; j < width && j < o->columns; j++)
                finish_window(false, shape->relu, &tile[i][j], LENGTH, bias, out + i * o->row + j * o->column,
                              codes ? codes + i * o->row + j * o->column : NULL);
}

/* means (VALUES) <- those of the tile of M at `m`. */
INLINE void keep_means(size_t height, size_t width, const bnn_real *m, size_t m_plane, bnn_real *means)
{
    vec tile[LENGTH][LENGTH];
    output_tile(height, width, m, m_plane, tile);
    UNROLL
    for (size_t i = 0; i < height; i++) UNROLL
    for (size_t j = 0; j < width; j++) store(means + (i * LENGTH + j) * LANES, tile[i][j]);
}

/* The same as finish_tile() with normals, of the tile of M' at `m`; z of the tile's first value is at `normals`. */
INLINE void finish_noisy_tile(size_t height, size_t width, bool pool, const bnn_kernel_shape *shape,
                              const bnn_real *m, size_t m_plane, const bnn_real *kept_means, vec bias,
                              vec spread_bias, const outputs *o, const bnn_real *normals, bnn_real *out,
                              bnn_code *codes, bnn_real *slopes)
{
    const size_t window = pool ? 2 : 1, noise_row = shape->in.width * o->column;
    const vec *means = (const vec *)kept_means;
    vec variances[LENGTH][LENGTH];
    output_tile(height, width, m, m_plane, variances);
    vec largest = {0};
    UNROLL
    for (size_t i = 0; i < height; i++) UNROLL
    for (size_t j = 0; j < width; j++) largest = larger(variances[i][j], largest);
    const vec floor = tile_floor(largest, spread_bias);
    for (size_t i = 0; i < height / window && i < o->rows; i++)
        for (size_t j = 0; j < width / window && j < o->columns; j++) {
            const size_t at = i * o->row + j * o->column;
            const bnn_real *z = normals + window * (i * noise_row + j * o->column);
            const vec *mean = means + window * (i * LENGTH + j),
                      *variance = &variances[window * i][window * j];
            const deviations d = window_deviations(pool, variance, LENGTH, spread_bias, floor);
            const noises n = window_noise(pool, &d, z, noise_row, o->column);
            finish_noisy_window(pool, shape->relu, mean, LENGTH, &n, false, bias, out + at, codes + at,
                                slopes + at);
        }
}

/* dM at `m` <- from the gradient of the tile's outputs, or with slopes (not NULL) dM'; adds up d loss / d bias: a tile's sum
 * is its transform at the points (1, 1). */
INLINE void finish_tile_adjoint(size_t height, size_t width, bool pool, const bnn_real *out_gradient,
                                const bnn_real *slopes, const bnn_code *codes, const outputs *o, bnn_real *m,
                                size_t m_plane, bnn_real *bias_gradient)
{
    vec tile[LENGTH][LENGTH];
    if (pool) {
        UNROLL
        for (size_t i = 0; i < height / 2; i++) UNROLL
        for (size_t j = 0; j < width / 2; j++) {
            const size_t at = i * o->row + j * o->column;
            finish_window_adjoint(true, out_gradient + at, slopes ? slopes + at : NULL, codes + at,
                                  &tile[2 * i][2 * j], LENGTH);
        }
    } else {
        memset(tile, 0, sizeof tile);
        for (size_t i = 0; i < o->rows; i++)
            for (size_t j = 0; j < o->columns; j++) {
                const size_t at = i * o->row + j * o->column;
                finish_window_adjoint(false, out_gradient + at, slopes ? slopes + at : NULL, codes + at,
                                      &tile[i][j], LENGTH);
            }
    }
    output_tile_adjoint(height, width, tile, m, m_plane);
    store(bias_gradient, load(bias_gradient) + load(m + (POINTS + 1) * m_plane));
}

TRANSFORMS(transform_output, transform_pooled_output,
           (size_t length_y, size_t length_x, const bnn_kernel_shape *shape, const bnn_real *m,
            size_t m_plane, const bnn_real *bias, const outputs *o, bnn_real *out, bnn_code *codes),
           (length_y, length_x, shape, m, m_plane, bias, o, out, codes), finish_tile, shape, m, m_plane,
           load(bias), o, out, codes)
TRANSFORM(transform_mean,
          (size_t length_y, size_t length_x, const bnn_real *m, size_t m_plane, bnn_real *means),
          (length_y, length_x, m, m_plane, means), keep_means, m, m_plane, means)
TRANSFORMS(transform_noisy_output, transform_noisy_pooled_output,
           (size_t length_y, size_t length_x, const bnn_kernel_shape *shape, const bnn_real *m,
            size_t m_plane, const bnn_real *means, const bnn_real *bias, const bnn_real *spread_bias,
            const outputs *o, const bnn_real *normals, bnn_real *out, bnn_code *codes, bnn_real *slopes),
           (length_y, length_x, shape, m, m_plane, means, bias, spread_bias, o, normals, out, codes, slopes),
           finish_noisy_tile, shape, m, m_plane, means, load(bias), load(spread_bias), o, normals, out, codes,
           slopes)
TRANSFORMS(transform_output_adjoint, transform_pooled_output_adjoint,
           (size_t length_y, size_t length_x, const bnn_real *out_gradient, const bnn_real *slopes,
            const bnn_code *codes, const outputs *o, bnn_real *m, size_t m_plane, bnn_real *bias_gradient),
           (length_y, length_x, out_gradient, slopes, codes, o, m, m_plane, bias_gradient),
           finish_tile_adjoint, out_gradient, slopes, codes, o, m, m_plane, bias_gradient)

static void transform_outputs(const bnn_kernel_shape *shape, const tiling *s, const bnn_real *m,
                              const bnn_real *bias, bnn_real *out, bnn_code *codes)
{
    for (size_t n = 0; n < s->images; n++)
        for (size_t y = 0; y < s->long_y + s->short_y; y++)
            for (size_t x = 0; x < s->long_x + s->short_x; x++) {
                const bnn_real *from = m + tile_number(s, n, y, x) * s->out_stride;
                const outputs o = outputs_of(shape, s, n, y, x);
                for (size_t c = 0; c < s->out_stride; c += LANES)
                    (shape->pool ? transform_pooled_output : transform_output)(
                        length_y(s, y), length_x(s, x), shape, from + c, s->m_plane, bias + c, &o,
                        out + o.at + c, codes ? codes + o.at + c : NULL);
            }
}

static void transform_means(const tiling *s, const buffers *b)
{
    bnn_real *means = b->means;
    for (size_t n = 0; n < s->images; n++)
        for (size_t y = 0; y < s->long_y + s->short_y; y++)
            for (size_t x = 0; x < s->long_x + s->short_x; x++) {
                const bnn_real *from = b->m + tile_number(s, n, y, x) * s->out_stride;
                for (size_t c = 0; c < s->out_stride; c += LANES, means += VALUES * LANES)
                    transform_mean(length_y(s, y), length_x(s, x), from + c, s->m_plane, means);
            }
}

/* With normals: the first value of tile (y, x) before pooling is at (6 y, 6 x). */
static void transform_noisy_outputs(const bnn_kernel_shape *shape, const tiling *s, const buffers *b,
                                    const bnn_pass *pass, const kept *k)
{
    const size_t at_bias = PLANES * (s->u_plane + s->ut_plane);
    const bnn_real *bias = pass->packed + at_bias, *spread_bias = pass->spread + at_bias, *means = b->means;
    for (size_t n = 0; n < s->images; n++) {
        const bnn_real *image = pass->out_noise + (pass->draw ? 0 : n * bnn_out_noise_count(shape));
        if (pass->draw) pass->draw(pass->context, n, 1);
        for (size_t y = 0; y < s->long_y + s->short_y; y++)
            for (size_t x = 0; x < s->long_x + s->short_x; x++) {
                const bnn_real *from = b->m + tile_number(s, n, y, x) * s->out_stride;
                const bnn_real *noise = image + LENGTH * (y * shape->in.width + x) * s->out_stride;
                const outputs o = outputs_of(shape, s, n, y, x);
                for (size_t c = 0; c < s->out_stride; c += LANES, means += VALUES * LANES)
                    (shape->pool ? transform_noisy_pooled_output : transform_noisy_output)(
                        length_y(s, y), length_x(s, x), shape, from + c, s->m_plane, means, bias + c,
                        spread_bias + c, &o, noise + c, pass->out + o.at + c, k->codes + o.at + c,
                        k->slopes + o.at + c);
            }
    }
}

static void transform_outputs_adjoint(const bnn_kernel_shape *shape, const tiling *s,
                                      const bnn_real *out_gradient, const bnn_real *slopes,
                                      const bnn_code *codes, bnn_real *m, bnn_real *bias_gradient)
{
    for (size_t n = 0; n < s->images; n++)
        for (size_t y = 0; y < s->long_y + s->short_y; y++)
            for (size_t x = 0; x < s->long_x + s->short_x; x++) {
                bnn_real *to = m + tile_number(s, n, y, x) * s->out_stride;
                const outputs o = outputs_of(shape, s, n, y, x);
                for (size_t c = 0; c < s->out_stride; c += LANES)
                    (shape->pool ? transform_pooled_output_adjoint : transform_output_adjoint)(
                        length_y(s, y), length_x(s, x), out_gradient + o.at + c,
                        slopes ? slopes + o.at + c : NULL, codes + o.at + c, &o, to + c, s->m_plane,
                        bias_gradient + c);
            }
}

/* The part of a plane that its tiles need: its number, theirs, and where V, M and their signs have it. */
typedef struct part {
    size_t plane, tiles, in_at, out_at, in_signs_at, out_signs_at;
} part;

static part part_of(const tiling *s, size_t p)
{
    size_t first;
    part a = {.plane = p, .tiles = tiles_of_plane(s, p, &first)};
    a.in_signs_at = first * s->in_stride;
    a.out_signs_at = first * s->out_stride;
    a.in_at = p * s->v_plane + a.in_signs_at;
    a.out_at = p * s->m_plane + a.out_signs_at;
    return a;
}

/* M <- V U, or with `add` +=; in one plane, whose V and M are given. */
static void multiply_outputs(const bnn_kernel_shape *shape, const tiling *s, const part *a, const bnn_real *v,
                             const bnn_real *packed, bool add, bnn_real *m)
{
    const size_t panel = NAME(bnn_panel);
    const bnn_product product = {a->tiles,
                                 s->out_stride,
                                 shape->in.channels,
                                 v,
                                 s->in_stride,
                                 1,
                                 packed + a->plane * s->u_plane,
                                 panel,
                                 panel * shape->in.channels,
                                 m,
                                 s->out_stride,
                                 add};
    NAME(bnn_multiply)(&product);
}

/* dU <- V^T dM, or with `add` +=. */
static void multiply_weights(const bnn_kernel_shape *shape, const tiling *s, const part *a, const bnn_real *v,
                             const bnn_real *m, bool add, bnn_real *packed_gradient)
{
    const bnn_product product = {shape->in.channels,
                                 s->out_stride,
                                 a->tiles,
                                 v,
                                 1,
                                 s->in_stride,
                                 m,
                                 s->out_stride,
                                 NAME(bnn_panel),
                                 packed_gradient + a->plane * s->u_plane,
                                 s->out_stride,
                                 add};
    NAME(bnn_multiply)(&product);
}

/* dV <- dM U^T, or with `add` +=. */
static void multiply_inputs(const bnn_kernel_shape *shape, const tiling *s, const part *a, const bnn_real *m,
                            const bnn_real *packed, bool add, bnn_real *v)
{
    const size_t panel = NAME(bnn_panel);
    const bnn_product product = {a->tiles,
                                 s->in_stride,
                                 shape->out.channels,
                                 m,
                                 s->out_stride,
                                 1,
                                 packed + PLANES * s->u_plane + a->plane * s->ut_plane,
                                 panel,
                                 panel * shape->out.channels,
                                 v,
                                 s->in_stride,
                                 add};
    NAME(bnn_multiply)(&product);
}

/* The signs of each tile's image, in_signs (tiles, in_stride) and out_signs (tiles, out_stride). */
static void spread_signs(const bnn_kernel_shape *shape, const tiling *s, const bnn_pass *pass,
                         const buffers *b)
{
    for (size_t n = 0; n < s->images; n++)
        for (size_t y = 0; y < s->long_y + s->short_y; y++)
            for (size_t x = 0; x < s->long_x + s->short_x; x++) {
                const size_t tile = tile_number(s, n, y, x);
                memcpy(b->in_signs + tile * s->in_stride, pass->in_noise + n * bnn_in_noise_count(shape),
                       s->in_stride * sizeof(bnn_real));
                memcpy(b->out_signs + tile * s->out_stride, pass->out_noise + n * bnn_out_noise_count(shape),
                       s->out_stride * sizeof(bnn_real));
            }
}

/* to <- from times signs; `to` may be `from`. */
static void multiply_signs(size_t n, const bnn_real *from, const bnn_real *signs, bnn_real *to)
{
    for (size_t j = 0; j < n; j += LANES) store(to + j, load(from + j) * load(signs + j));
}

/* A constant of all outputs is one of M at the points (1, 1): there the spread's bias is added, and its gradient found. */
enum { CONSTANT = POINTS + 1 };

/* M <- V U + r ((s V) U' + the bias of U') in one plane. */
static void sum_with_signs(const bnn_kernel_shape *shape, const tiling *s, const part *a, const buffers *b,
                           const bnn_pass *pass, const bnn_real *v)
{
    const bnn_real *bias = pass->spread + PLANES * (s->u_plane + s->ut_plane);
    const size_t out_count = a->tiles * s->out_stride;
    bnn_real *m = b->m + a->out_at;
    multiply_signs(a->tiles * s->in_stride, v + a->in_at, b->in_signs + a->in_signs_at, b->signed_v);
    multiply_outputs(shape, s, a, b->signed_v, pass->spread, false, m);
    for (size_t j = 0; a->plane == CONSTANT && j < out_count; j += LANES)
        store(m + j, load(m + j) + load(bias + j % s->out_stride));
    multiply_signs(out_count, m, b->out_signs + a->out_signs_at, m);
    multiply_outputs(shape, s, a, v + a->in_at, pass->packed, true, m);
}

/* Its adjoint, given dM: dU' and its bias; if it is asked for dV <- s ((r dM) U'^T), in the place of V. */
static void sum_with_signs_adjoint(const bnn_kernel_shape *shape, const tiling *s, const part *a,
                                   const buffers *b, const bnn_pass *pass, bnn_real *v)
{
    bnn_real *bias_gradient = pass->spread_gradient + PLANES * (s->u_plane + s->ut_plane);
    const size_t in_count = a->tiles * s->in_stride, out_count = a->tiles * s->out_stride;
    multiply_signs(in_count, v, b->in_signs + a->in_signs_at, b->signed_v);
    multiply_signs(out_count, b->m + a->out_at, b->out_signs + a->out_signs_at, b->signed_m);
    multiply_weights(shape, s, a, b->signed_v, b->signed_m, pass->add, pass->spread_gradient);
    for (size_t j = 0; a->plane == CONSTANT && j < out_count; j += LANES) {
        bnn_real *to = bias_gradient + j % s->out_stride;
        store(to, load(to) + load(b->signed_m + j));
    }
    if (!pass->in_gradient[0]) return;
    multiply_inputs(shape, s, a, b->signed_m, pass->spread, false, v);
    multiply_signs(in_count, v, b->in_signs + a->in_signs_at, v);
}

static void forward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const tiling s = tiling_of(shape, pass->images);
    const buffers b = buffers_in(&s, pass->scratch);
    const kept k = pass->saved ? kept_in(shape, &s, pass->saved) : (kept){NULL};
    const bool signs = shape->noise == BNN_NOISE_SIGNS, normals = shape->noise == BNN_NOISE_NORMALS;
    bnn_real *v = pass->saved && !normals ? k.v : b.v;
    transform_inputs(shape, &s, pass->in[0], false, b.outside, v);
    if (signs) spread_signs(shape, &s, pass, &b);
    for (size_t p = 0; p < PLANES; p++) {
        const part a = part_of(&s, p);
        if (signs)
            sum_with_signs(shape, &s, &a, &b, pass, v);
        else
            multiply_outputs(shape, &s, &a, v + a.in_at, pass->packed, false, b.m + a.out_at);
    }
    if (normals) {
        transform_means(&s, &b);
        transform_inputs(shape, &s, pass->in[0], true, b.outside, v);
        for (size_t p = 0; p < PLANES; p++) {
            const part a = part_of(&s, p);
            multiply_outputs(shape, &s, &a, v + a.in_at, pass->spread, false, b.m + a.out_at);
        }
        transform_noisy_outputs(shape, &s, &b, pass, &k);
    } else
        transform_outputs(shape, &s, b.m, pass->packed + PLANES * (s.u_plane + s.ut_plane), pass->out,
                          k.codes);
}

/* The gradients of weights and bias, given those of the outputs; V becomes dV where the inputs' is asked for. */
static void backward_sums(const bnn_kernel_shape *shape, const tiling *s, const buffers *b, bnn_real *v,
                          const bnn_real *slopes, const bnn_code *codes, const bnn_pass *pass)
{
    const bool signs = shape->noise == BNN_NOISE_SIGNS;
    const size_t at_bias = PLANES * (s->u_plane + s->ut_plane),
                 bytes_of_bias = s->out_stride * sizeof(bnn_real);
    if (!pass->add) memset(pass->packed_gradient + at_bias, 0, bytes_of_bias);
    if (!pass->add && signs) memset(pass->spread_gradient + at_bias, 0, bytes_of_bias);
    transform_outputs_adjoint(shape, s, pass->out_gradient, slopes, codes, b->m,
                              pass->packed_gradient + at_bias);
    if (signs) spread_signs(shape, s, pass, b);
    for (size_t p = 0; p < PLANES; p++) {
        const part a = part_of(s, p);
        const bnn_real *m = b->m + a.out_at;
        multiply_weights(shape, s, &a, v + a.in_at, m, pass->add, pass->packed_gradient);
        if (signs) sum_with_signs_adjoint(shape, s, &a, b, pass, v + a.in_at);
        if (pass->in_gradient[0]) multiply_inputs(shape, s, &a, m, pass->packed, signs, v + a.in_at);
    }
}

static void backward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const tiling s = tiling_of(shape, pass->images);
    const buffers b = buffers_in(&s, pass->scratch);
    const kept k = kept_in(shape, &s, pass->saved);
    const bool normals = shape->noise == BNN_NOISE_NORMALS;
    bnn_real *in_gradient = pass->in_gradient[0], *v = normals ? b.v : k.v;
    if (normals) {
        bnn_pass variances = *pass;
        variances.packed = pass->spread;
        variances.packed_gradient = pass->spread_gradient;
        transform_inputs(shape, &s, pass->in[0], true, b.outside, b.squares_v);
        backward_sums(shape, &s, &b, b.squares_v, k.slopes, k.codes, &variances);
        transform_inputs(shape, &s, pass->in[0], false, b.outside, v);
    }
    backward_sums(shape, &s, &b, v, NULL, k.codes, pass);
    if (!in_gradient) return;
    memset(in_gradient, 0, pass->images * bnn_activation_count(&shape->in) * sizeof *in_gradient);
    transform_inputs_adjoint(shape, &s, v, normals ? b.squares_v : NULL, pass->in[0], b.outside, in_gradient);
}

const bnn_kernel NAME(bnn_conv_winograd) = {
    .name = "winograd-" ISA_NAME,
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
