#include "conv.h"

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

/* The row (or column) of the image that row `i` of the padded image repeats, of `size`; `size` for none. */
static size_t source(const bnn_layer *layer, size_t i, size_t size)
{
    const size_t margin = layer->kernel / 2;
    if (layer->circular) return (i + (margin / size + 1) * size - margin) % size;
    return i >= margin && i - margin < size ? i - margin : size;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void pad_row(const bnn_layer *layer, const bnn_real *row, size_t cell, size_t width, bnn_real *padded)
{
    const size_t w = layer->in_width, margin = layer->kernel / 2;
    for (size_t x = 0; x < width; x++) {
        const size_t from = source(layer, x, w);
        if (x == margin) {
            memcpy(padded + x * cell, row, w * cell * sizeof *row);
            x += w - 1;
        } else if (from == w)
            memset(padded + x * cell, 0, cell * sizeof *row);
        else
            memcpy(padded + x * cell, row + from * cell, cell * sizeof *row);
    }
}

void bnn_conv_pad(const bnn_layer *layer, const bnn_real *image, size_t height, size_t width,
                  bnn_real *padded)
{
    const size_t h = layer->in_height, w = layer->in_width;
    size_t cell, planes = planes_of(layer, &cell);
    for (; planes > 0; planes--, image += h * w * cell)
        for (size_t y = 0; y < height; y++, padded += width * cell) {
            const size_t from = source(layer, y, h);
            if (from == h)
                memset(padded, 0, width * cell * sizeof *padded);
            else
                pad_row(layer, image + from * w * cell, cell, width, padded);
        }
}

/* Adds a circularly padded row to the row it came from. */
static void fold_row(const bnn_layer *layer, const bnn_real *padded, size_t width, size_t cell, bnn_real *row)
{
    const size_t w = layer->in_width;
    for (size_t x = 0; x < least(width, w + layer->kernel - 1); x++) {
        bnn_real *to = row + source(layer, x, w) * cell;
        for (size_t c = 0; c < cell; c++) to[c] += padded[x * cell + c];
    }
}

void bnn_conv_unpad(const bnn_layer *layer, const bnn_real *padded, size_t height, size_t width,
                    bnn_real *image)
{
    const size_t h = layer->in_height, w = layer->in_width, margin = layer->kernel / 2;
    size_t cell, planes = planes_of(layer, &cell);
    for (; planes > 0; planes--, image += h * w * cell, padded += height * width * cell) {
        if (layer->circular) {
            memset(image, 0, h * w * cell * sizeof *image);
            for (size_t y = 0; y < least(height, h + layer->kernel - 1); y++)
                fold_row(layer, padded + y * width * cell, width, cell,
                         image + source(layer, y, h) * w * cell);
        } else
            for (size_t y = 0; y < h; y++)
                memcpy(image + y * w * cell, padded + ((y + margin) * width + margin) * cell,
                       w * cell * sizeof *image);
    }
}
