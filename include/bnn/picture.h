/* Pictures: arrays in, a PNG out. gnuplot draws them; without it they are refused, and the line names its package. */
#ifndef BNN_PICTURE_H
#define BNN_PICTURE_H

#include <stddef.h>
#include <stdint.h>

#include "bnn/real.h"
#include "bnn/status.h"

/* The longest name of a group element, with its zero. */
#define BNN_PICTURE_NAME 64

/* Images over their orbit, a row each, and under every g.x the bars of its predicted distribution. All borrowed. */
typedef struct bnn_orbit_picture {
    const char *title;              /* one or several lines */
    size_t images, order, classes;  /* order: of the group */
    size_t channels, height, width; /* 3 channels are red, green, blue; of other numbers the first is shown */
    const bnn_real
        *pixels; /* (images, order, channels, height, width); the darkest is black, the lightest white */
    const double *mean,
        *deviation;         /* (images, order, classes) F(g.x), and what its error bars reach either way */
    const uint32_t *labels; /* (images) whose bar has another colour, or NULL */
    const size_t *numbers;  /* (images) of each image in its data set */
    const char (*elements)[BNN_PICTURE_NAME]; /* (order) */
} bnn_orbit_picture;

/* Draws into a PNG file, written as bnn_write_file does. BNN_FAILED when gnuplot is missing or fails. */
bnn_status bnn_draw_orbits(const bnn_orbit_picture *picture, const char *path, bnn_error *error);

#endif
