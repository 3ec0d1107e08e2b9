/* Warps: an image turned, scaled and shifted at once, with one bilinear interpolation. They are no group: what they change in
 * training is the data (data.augment, data.rotate), not the symmetry of the posterior. */
#ifndef BNN_WARP_H
#define BNN_WARP_H

#include <stdbool.h>
#include <stddef.h>

#include "bnn/real.h"
#include "bnn/rng.h"

/* About the centre ((H-1)/2, (W-1)/2) of an image: it is turned, then scaled, then shifted. */
typedef struct bnn_warp {
    double degrees;     /* counter-clockwise, as the elements of C<n> */
    double scale;       /* 2: twice as large; above 0 */
    double down, right; /* pixels */
} bnn_warp;

/* How far random warps go: the shifts are uniform on [-shift, shift], each on its own, degrees on [-rotate, rotate] and the
 * scale on [1 - scale, 1 + scale]. All zero: no warp at all. */
typedef struct bnn_warp_limits {
    double shift;  /* pixels */
    double rotate; /* degrees */
    double scale;  /* a fraction below 1 */
} bnn_warp_limits;

/* Whether some of the limits is above zero. */
bool bnn_warps(const bnn_warp_limits *limits);

/* The warp that a stream draws: down, right, degrees, scale, in this order, whichever limits are zero. */
bnn_warp bnn_warp_draw(const bnn_warp_limits *limits, bnn_stream stream);

/* A turn by an angle that the stream draws uniformly from [0, 360) degrees. */
bnn_warp bnn_warp_turn(bnn_stream stream);

/* out (channels, height, width) <- the warped image, every channel alike; in and out do not overlap. Pixels outside the image
 * count as `background`. Threads may share everything but `out`. */
void bnn_warp_apply(const bnn_warp *warp, const bnn_real *in, size_t channels, size_t height, size_t width,
                    bnn_real background, bnn_real *out);

#endif
