/* PNG images as they are: no gamma, no background. */
#ifndef BNN_SRC_PNG_H
#define BNN_SRC_PNG_H

#include <stddef.h>
#include <stdint.h>

#include "bnn/status.h"

typedef struct bnn_png {
    size_t height, width;
    size_t channels; /* 1 grey, 3 red, green, blue */
    size_t bytes;    /* a sample: 1, or 2, the high byte first */
    uint8_t *pixels; /* (height, width, channels) samples */
} bnn_png;

/* Reads a file. Samples of less than 8 bits are widened to 8, palettes to colours, and an alpha channel is left out. BNN_BAD_INPUT:
 * it is no PNG, is cut short or damaged (checksums), says of itself what it cannot hold, or a pixel is not opaque. */
bnn_status bnn_png_read(const char *path, bnn_png *image, bnn_error *error);
void bnn_png_free(bnn_png *image); /* one that is all zero is legal */

/* Brings the image to another size, in place: each direction by a triangular filter, as wide as the distance of two pixels of the
 * coarser of the two grids (bilinear interpolation upwards, a weighted mean of what a pixel covers downwards), its weights
 * summing to 1 at the border too; samples are rounded to the nearest. `name` is for messages. */
bnn_status bnn_png_resize(const char *name, bnn_png *image, size_t height, size_t width, bnn_error *error);

#endif
