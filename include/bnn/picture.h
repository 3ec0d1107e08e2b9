/* Pictures: arrays in, a PNG or an SVG out. gnuplot draws them; without it they are refused, and the line names its
 * package. */
#ifndef BNN_PICTURE_H
#define BNN_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bnn/real.h"
#include "bnn/status.h"

/* Whether gnuplot can be run: BNN_FAILED, as the drawing functions give it, where it cannot. */
bnn_status bnn_pictures_check(bnn_error *error);

/* ---- images over their orbit --------------------------------------------------------------------------- */

/* The longest name of a group element, with its zero. */
#define BNN_PICTURE_NAME 64

/* Images over their orbit, a row each, and under every g.x the bars of its predicted distribution. All borrowed. */
typedef struct bnn_orbit_picture {
    const char *title; /* one or several lines */
    size_t images, order,
        classes; /* order: of the group; classes 0: nothing is predicted, and there are no bars */
    size_t channels, height, width; /* 3 channels are red, green, blue; of other numbers the first is shown */
    const bnn_real
        *pixels; /* (images, order, channels, height, width); the darkest is black, the lightest white */
    const double *mean,
        *deviation;         /* (images, order, classes) F(g.x), and what its error bars reach either way */
    const uint32_t *labels; /* (images) whose bar has another colour, or NULL */
    const size_t *numbers;  /* (images) of each image in its data set */
    const char (*elements)[BNN_PICTURE_NAME]; /* (order) */
} bnn_orbit_picture;

/* *png (*size bytes; freed with free()) <- a PNG file. BNN_FAILED when gnuplot is missing or fails. */
bnn_status bnn_draw_orbits(const bnn_orbit_picture *picture, uint8_t **png, size_t *size, bnn_error *error);

/* ---- charts -------------------------------------------------------------------------------------------- */

typedef enum bnn_series_style {
    BNN_SERIES_LINE,
    BNN_SERIES_DASHED,
    BNN_SERIES_POINTS,      /* with error bars where there are errors */
    BNN_SERIES_LINE_POINTS, /* the same, and the points joined */
    BNN_SERIES_STEPS,       /* a histogram: y from x on to the next x, filled */
} bnn_series_style;

typedef struct bnn_series {
    const char *label; /* for a legend, which is not part of the chart; NULL: none */
    size_t colour;     /* bnn_chart_colour */
    bnn_series_style style;
    bool faint; /* one of several of a kind */
    size_t count;
    double *x, *y;             /* (count); NaN: a gap */
    double *x_error, *y_error; /* (count) what error bars reach either way, NaN: none; NULL: none at all */
} bnn_series;

/* BNN_AXIS_LOG2: for numbers from 1 on. BNN_AXIS_SIGNED_LOG: asinh(v/u), linear about 0 and logarithmic away from it, for figures of any sign over decades; u is
 * a power of ten that fits the chart's figures. */
typedef enum bnn_axis_scale {
    BNN_AXIS_LINEAR,
    BNN_AXIS_LOG,
    BNN_AXIS_LOG2,
    BNN_AXIS_SIGNED_LOG
} bnn_axis_scale;

typedef struct bnn_axis {
    const char *label;
    bnn_axis_scale scale;
    double least, most; /* NaN: from the figures */
} bnn_axis;

typedef struct bnn_spoke {
    double degrees;
    const char *label;
} bnn_spoke;

/* x against y, or a polar chart: x in degrees, counter-clockwise from the right, and y >= 0 the distance from the middle (less
 * counts as 0). All borrowed. */
typedef struct bnn_chart {
    const char *title; /* what those hear who cannot see it */
    bnn_axis x, y;
    const bnn_series *series;
    size_t count;
    const bnn_spoke *spokes; /* (spoke_count) of a polar chart; NULL: the chart is none */
    size_t spoke_count;
} bnn_chart;

/* Series by their colour: "#rrggbb", legible on white and on black alike; they repeat after BNN_CHART_COLOURS. */
#define BNN_CHART_COLOURS 8
const char *bnn_chart_colour(size_t colour);

/* *svg (freed with free()) <- an svg element for a page of HTML, of class "chart", without a size of its own. Its text and
 * axes are of the colour "black", its grid "gray", which a style sheet may change; `number`, another one for each chart of a
 * page, keeps the names apart that it holds. BNN_FAILED when gnuplot is missing or fails. */
bnn_status bnn_draw_chart(const bnn_chart *chart, size_t number, char **svg, bnn_error *error);

#endif
