#include "bnn/warp.h"

#include <math.h>

#include "groups/simd/warp.h"

bool bnn_warps(const bnn_warp_limits *limits)
{
    return limits->shift > 0 || limits->rotate > 0 || limits->scale > 0;
}

/* Uniform on [-limit, limit). */
static double draw(bnn_pcg32 *rng, double limit)
{
    return limit * (2 * bnn_pcg32_uniform(rng) - 1);
}

bnn_warp bnn_warp_draw(const bnn_warp_limits *limits, bnn_stream stream)
{
    bnn_pcg32 rng = bnn_stream_open(stream);
    bnn_warp warp;
    warp.down = draw(&rng, limits->shift);
    warp.right = draw(&rng, limits->shift);
    warp.degrees = draw(&rng, limits->rotate);
    warp.scale = 1 + draw(&rng, limits->scale);
    return warp;
}

bnn_warp bnn_warp_turn(bnn_stream stream)
{
    bnn_pcg32 rng = bnn_stream_open(stream);
    return (bnn_warp){.degrees = 360 * bnn_pcg32_uniform(&rng), .scale = 1};
}

/* cos and sin of an angle, exact for multiples of 90 degrees. */
static void rotation_by(double degrees, double *cosine, double *sine)
{
    static const double quarter[] = {1, 0, -1, 0};
    const double angle = degrees - 360 * floor(degrees / 360);
    if (fmod(angle, 90) == 0) {
        const size_t k = (size_t)(angle / 90) % 4;
        *cosine = quarter[k];
        *sine = quarter[(k + 3) % 4];
    } else {
        *cosine = cos(angle * acos(-1.0) / 180);
        *sine = sin(angle * acos(-1.0) / 180);
    }
}

/* Pixel (i, j) is read from where the inverse takes it: with rows growing downwards, turning back by t takes (y, x) to
 * (y cos t + x sin t, -y sin t + x cos t). */
void bnn_warp_apply(const bnn_warp *warp, const bnn_real *in, size_t channels, size_t height, size_t width,
                    bnn_real background, bnn_real *out)
{
    const double middle_row = (double)(height - 1) / 2, middle_column = (double)(width - 1) / 2;
    const double y = -middle_row - warp->down, x = -middle_column - warp->right;
    double cosine, sine;
    rotation_by(warp->degrees, &cosine, &sine);
    cosine /= warp->scale;
    sine /= warp->scale;
    const bnn_reading reading = {.height = (int32_t)height,
                                 .width = (int32_t)width,
                                 .row = (bnn_real)(middle_row + y * cosine + x * sine),
                                 .column = (bnn_real)(middle_column - y * sine + x * cosine),
                                 .cosine = (bnn_real)cosine,
                                 .sine = (bnn_real)sine,
                                 .background = background};
    for (size_t c = 0; c < channels; c++, in += height * width, out += height * width)
        BNN_DISPATCH(bnn_warp_plane, &reading, in, out);
}
