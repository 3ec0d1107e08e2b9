/* One plane of an image, warped: bilinear interpolation without branches, so that compilers make vectors of it. Exists once for
 * each instruction set: see base/cpu.h. */
#include "groups/simd/warp.h"

#include "base/simd/vector.h"

INLINE int32_t within(int32_t x, int32_t most)
{
    const int32_t positive = x > 0 ? x : 0;
    return positive < most ? positive : most;
}

INLINE bnn_real between(bnn_real x, bnn_real least, bnn_real most)
{
    const bnn_real more = x > least ? x : least;
    return more < most ? more : most;
}

void NAME(bnn_warp_plane)(const bnn_reading *reading, const bnn_real *restrict in, bnn_real *restrict out)
{
    const int32_t height = reading->height, width = reading->width;
    const bnn_real cosine = reading->cosine, sine = reading->sine, background = reading->background;
    for (int32_t i = 0; i < height; i++, out += width) {
        const bnn_real first_row = reading->row + (bnn_real)i * cosine;
        const bnn_real first_column = reading->column - (bnn_real)i * sine;
        for (int32_t j = 0; j < width; j++) {
            /* All that is more than a pixel outside is alike. */
            const bnn_real row = between(first_row + (bnn_real)j * sine, -1, (bnn_real)height);
            const bnn_real column = between(first_column + (bnn_real)j * cosine, -1, (bnn_real)width);
            const int32_t top = (int32_t)(row + 1) - 1, left = (int32_t)(column + 1) - 1; /* rounded down */
            const bnn_real below = row - (bnn_real)top, beyond = column - (bnn_real)left;
            /* Pixels outside have no weight. */
            const bnn_real y0 = top >= 0 && top < height ? 1 - below : 0, y1 = top + 1 < height ? below : 0;
            const bnn_real x0 = left >= 0 && left < width ? 1 - beyond : 0,
                           x1 = left + 1 < width ? beyond : 0;
            const int32_t row0 = within(top, height - 1) * width, row1 = within(top + 1, height - 1) * width;
            const int32_t column0 = within(left, width - 1), column1 = within(left + 1, width - 1);
            const bnn_real sum = y0 * (x0 * in[row0 + column0] + x1 * in[row0 + column1]) +
                                 y1 * (x0 * in[row1 + column0] + x1 * in[row1 + column1]);
            out[j] = sum + (1 - (y0 + y1) * (x0 + x1)) * background;
        }
    }
}
