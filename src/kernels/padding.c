#include "kernels/padding.h"

#include <string.h>

size_t bnn_code_reals(size_t n)
{
    return (n + sizeof(bnn_real) - 1) / sizeof(bnn_real);
}

/* A layout as `planes` grids of cells of `cell` reals: planar (C, 1), channels-last (1, stride of C). */
static size_t planes_of(const bnn_layer *layer, size_t *cell)
{
    const bool planar = layer->in_layout == BNN_LAYOUT_PLANAR;
    *cell = planar ? 1 : bnn_channel_stride(layer->in_channels);
    return planar ? layer->in_channels : 1;
}

size_t bnn_conv_padded_count(const bnn_layer *layer)
{
    size_t cell, planes = planes_of(layer, &cell);
    return planes * cell * (layer->in_height + layer->kernel - 1) * (layer->in_width + layer->kernel - 1);
}

/* A padded row by column: the pixels that circular padding repeats. */
static void wrap_row(const bnn_layer *layer, const bnn_real *row, size_t cell, bnn_real *padded)
{
    for (size_t x = 0; x < layer->in_width + layer->kernel - 1; x++)
        memcpy(padded + x * cell, row + bnn_conv_source(layer, x, layer->in_width) * cell,
               cell * sizeof *row);
}

void bnn_conv_pad(const bnn_layer *layer, const bnn_real *image, bnn_real *padded)
{
    const size_t h = layer->in_height, w = layer->in_width, margin = layer->kernel / 2,
                 width = w + 2 * margin;
    size_t cell, planes = planes_of(layer, &cell);
    if (!layer->circular) memset(padded, 0, bnn_conv_padded_count(layer) * sizeof *padded);
    for (; planes > 0; planes--, image += h * w * cell)
        for (size_t y = 0; y < h + 2 * margin; y++, padded += width * cell) {
            const size_t from = bnn_conv_source(layer, y, h);
            if (layer->circular)
                wrap_row(layer, image + from * w * cell, cell, padded);
            else if (from < h)
                memcpy(padded + margin * cell, image + from * w * cell, w * cell * sizeof *image);
        }
}

void bnn_conv_unpad(const bnn_layer *layer, const bnn_real *padded, bnn_real *image)
{
    const size_t h = layer->in_height, w = layer->in_width;
    size_t cell, planes = planes_of(layer, &cell);
    memset(image, 0, bnn_layer_in_count(layer) * sizeof *image);
    for (; planes > 0; planes--, image += h * w * cell)
        for (size_t y = 0; y < h + layer->kernel - 1; y++)
            for (size_t x = 0; x < w + layer->kernel - 1; x++, padded += cell) {
                const size_t row = bnn_conv_source(layer, y, h), column = bnn_conv_source(layer, x, w);
                if (row == h || column == w) continue;
                for (size_t c = 0; c < cell; c++) image[(row * w + column) * cell + c] += padded[c];
            }
}
