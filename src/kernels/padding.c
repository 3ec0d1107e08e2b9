#include "kernels/padding.h"

#include <string.h>

size_t bnn_code_reals(size_t n)
{
    return (n + sizeof(bnn_real) - 1) / sizeof(bnn_real);
}

/* A layout as `planes` grids of cells of `cell` reals: planar (C, 1), channels-last (1, stride of C). */
static size_t planes_of(const bnn_kernel_shape *shape, size_t *cell)
{
    const bool planar = shape->in.layout == BNN_LAYOUT_PLANAR;
    *cell = planar ? 1 : bnn_channel_stride(shape->in.channels);
    return planar ? shape->in.channels : 1;
}

size_t bnn_conv_padded_count(const bnn_kernel_shape *shape)
{
    size_t cell, planes = planes_of(shape, &cell);
    return planes * cell * (shape->in.height + shape->kernel - 1) * (shape->in.width + shape->kernel - 1);
}

/* A padded row by column: the pixels that circular padding repeats. */
static void wrap_row(const bnn_kernel_shape *shape, const bnn_real *row, size_t cell, bnn_real *padded)
{
    for (size_t x = 0; x < shape->in.width + shape->kernel - 1; x++)
        memcpy(padded + x * cell, row + bnn_conv_source(shape, x, shape->in.width) * cell,
               cell * sizeof *row);
}

void bnn_conv_pad(const bnn_kernel_shape *shape, const bnn_real *image, bnn_real *padded)
{
    const size_t h = shape->in.height, w = shape->in.width, margin = shape->kernel / 2,
                 width = w + 2 * margin;
    size_t cell, planes = planes_of(shape, &cell);
    if (!shape->circular) memset(padded, 0, bnn_conv_padded_count(shape) * sizeof *padded);
    for (; planes > 0; planes--, image += h * w * cell)
        for (size_t y = 0; y < h + 2 * margin; y++, padded += width * cell) {
            const size_t from = bnn_conv_source(shape, y, h);
            if (shape->circular)
                wrap_row(shape, image + from * w * cell, cell, padded);
            else if (from < h)
                memcpy(padded + margin * cell, image + from * w * cell, w * cell * sizeof *image);
        }
}

void bnn_conv_unpad(const bnn_kernel_shape *shape, const bnn_real *padded, bnn_real *image)
{
    const size_t h = shape->in.height, w = shape->in.width;
    size_t cell, planes = planes_of(shape, &cell);
    memset(image, 0, bnn_activation_count(&shape->in) * sizeof *image);
    for (; planes > 0; planes--, image += h * w * cell)
        for (size_t y = 0; y < h + shape->kernel - 1; y++)
            for (size_t x = 0; x < w + shape->kernel - 1; x++, padded += cell) {
                const size_t row = bnn_conv_source(shape, y, h), column = bnn_conv_source(shape, x, w);
                if (row == h || column == w) continue;
                for (size_t c = 0; c < cell; c++) image[(row * w + column) * cell + c] += padded[c];
            }
}
