/* Dense layers of a flat or planar input, by the products of product.h on W as it lies in the parameter vector: BLAS
 * would copy W for every product, and a draw's W is used for two at most. Activations are transposed instead, of which
 * there are fewer. */
#include "kernels/dense.h"
#include "base/simd/vector.h"
#include "kernels/kernels.h"
#include "kernels/simd/product.h"

/* Images in whole vectors, and the size of a matrix in panels. */
static size_t padded(size_t images)
{
    return (images + LANES - 1) / LANES * LANES;
}

static size_t in_panels(size_t rows, size_t columns)
{
    const size_t panel = NAME(bnn_panel);
    return (columns + panel - 1) / panel * panel * rows;
}

static bool supports(const bnn_kernel_shape *shape)
{
    return shape->in.layout != BNN_LAYOUT_CHANNELS_LAST &&
           bnn_activation_count(&shape->in) % BNN_CHANNEL_UNIT == 0;
}

static size_t packed_count(const bnn_kernel_shape *shape)
{
    return shape->out.channels * (bnn_activation_count(&shape->in) + 1);
}

/* What a product reads, in panels, and what it gives. */
static size_t scratch_count(const bnn_kernel_shape *shape, size_t images)
{
    const size_t inputs = bnn_activation_count(&shape->in), outputs = shape->out.channels;
    const size_t forward = in_panels(inputs, images) + outputs * padded(images);
    const size_t backward = in_panels(outputs, images) + inputs * padded(images);
    return forward > backward ? forward : backward;
}

/* Exchanges lanes and rows: in step h, the blocks of h x h off the diagonal of each 2h x 2h. */
INLINE void transpose_square(vec *rows)
{
#ifdef __clang__ /* which lacks the shuffle of two vectors */
    for (size_t i = 1; i < LANES; i++)
        for (size_t j = 0; j < i; j++) {
            const bnn_real swap = rows[i][j];
            rows[i][j] = rows[j][i];
            rows[j][i] = swap;
        }
#else
    static const lane_integer numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    mask lane;
    memcpy(&lane, numbers, sizeof lane);
#pragma GCC unroll 4
    for (lane_integer h = 1; h < (lane_integer)LANES; h *= 2) {
        /* Lanes of the first row of a pair, then of the second. */
        const mask low = lane + (((lane & h) != 0) & ((lane_integer)LANES - h)), high = low + h;
#pragma GCC unroll 16
        for (size_t i = 0; i < LANES; i++)
            if (!(i & (size_t)h)) {
                const vec a = rows[i], b = rows[i + (size_t)h];
                rows[i] = __builtin_shuffle(a, b, low);
                rows[i + (size_t)h] = __builtin_shuffle(a, b, high);
            }
    }
#endif
}

/* to (columns, rows) <- from (rows, columns); neither need be aligned. */
static void transpose(const bnn_real *from, size_t from_row, size_t rows, size_t columns, bnn_real *to,
                      size_t to_row)
{
    const size_t whole_rows = rows / LANES * LANES, whole_columns = columns / LANES * LANES;
    for (size_t r = 0; r < whole_rows; r += LANES)
        for (size_t c = 0; c < whole_columns; c += LANES) {
            vec square[LANES];
#pragma GCC unroll 16
            for (size_t i = 0; i < LANES; i++) square[i] = load_anywhere(from + (r + i) * from_row + c);
            transpose_square(square);
#pragma GCC unroll 16
            for (size_t i = 0; i < LANES; i++) store_anywhere(to + (c + i) * to_row + r, square[i]);
        }
    for (size_t r = 0; r < rows; r++)
        for (size_t c = r < whole_rows ? whole_columns : 0; c < columns; c++)
            to[c * to_row + r] = from[r * from_row + c];
}

/* panels (columns, images) <- the transpose of `from` (images, columns), zeros in lanes past the last image. */
static void transpose_to_panels(const bnn_real *from, size_t images, size_t columns, bnn_real *panels)
{
    const size_t panel = NAME(bnn_panel);
    for (size_t first = 0; first < images; first += panel) {
        const size_t part = images - first < panel ? images - first : panel;
        if (part % LANES) memset(panels + first * columns, 0, panel * columns * sizeof *panels);
        transpose(from + first * columns, columns, part, columns, panels + first * columns, panel);
    }
}

/* out (images, rows) <- in (images, columns) A^T with A (rows, columns): element (i, l) at a[i * a_row + l * a_column]. */
static void multiply_images(const bnn_real *a, size_t a_row, size_t a_column, size_t rows, size_t columns,
                            const bnn_real *in, size_t images, bnn_real *out, bnn_real *scratch)
{
    const size_t panel = NAME(bnn_panel), whole = padded(images);
    bnn_real *out_transposed = scratch + in_panels(columns, images);
    const bnn_product product = {.m = rows,
                                 .n = whole,
                                 .k = columns,
                                 .a = a,
                                 .a_row = a_row,
                                 .a_column = a_column,
                                 .b = scratch,
                                 .b_row = panel,
                                 .b_panel = panel * columns,
                                 .c = out_transposed,
                                 .c_row = whole};
    transpose_to_panels(in, images, columns, scratch);
    NAME(bnn_multiply)(&product);
    transpose(out_transposed, whole, rows, images, out, rows);
}

static void forward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t inputs = bnn_activation_count(&shape->in), outputs = shape->out.channels;
    multiply_images(pass->packed, inputs, 1, outputs, inputs, pass->in[0], pass->images, pass->out,
                    pass->scratch);
    dense_finish(shape, pass->packed + outputs * inputs, pass->images, pass->out);
}

static void backward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t inputs = bnn_activation_count(&shape->in), outputs = shape->out.channels;
    const bnn_product weights = {.m = outputs,
                                 .n = inputs,
                                 .k = pass->images,
                                 .a = pass->out_gradient,
                                 .a_row = 1,
                                 .a_column = outputs,
                                 .b = pass->in[0],
                                 .b_row = inputs,
                                 .b_panel = NAME(bnn_panel),
                                 .c = pass->packed_gradient,
                                 .c_row = inputs,
                                 .add = pass->add};
    dense_start_backward(shape, pass, pass->packed_gradient + outputs * inputs);
    NAME(bnn_multiply)(&weights);
    if (pass->in_gradient[0])
        multiply_images(pass->packed, 1, inputs, inputs, outputs, pass->out_gradient, pass->images,
                        pass->in_gradient[0], pass->scratch);
}

const bnn_kernel NAME(bnn_dense) = {
    .name = "dense-" ISA_NAME,
    .set = ISA_NAME,
    .runs_here = NAME(bnn_runs_here),
    .supports = supports,
    .packed_count = packed_count,
    .scratch_count = scratch_count,
    .forward = forward,
    .backward = backward,
};
