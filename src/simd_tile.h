/* The transforms of Winograd's F(4x4, 3x3) and, for short lines, F(2x2, 3x3): see simd_winograd.c for the
 * formulas and their source. Lines hold 6 values (4 outputs); short ones have the points 0, 1, 2 and 5, 4
 * inputs and 2 outputs. A tile is transformed for a vector of channels at a time, first its columns, then its
 * rows. */
#ifndef BNN_SRC_SIMD_TILE_H
#define BNN_SRC_SIMD_TILE_H

#include "simd.h"

enum { POINTS = 6, PLANES = POINTS * POINTS };

#define UNROLL _Pragma("GCC unroll 6")

/* The k-th point of a line. */
INLINE size_t point(bool is_short, size_t k)
{
    return is_short && k == 3 ? 5 : k;
}

/* t = B^T d */
INLINE void input_line(bool is_short, const vec *d, vec *t)
{
    if (is_short) {
        t[0] = 4 * (d[0] - d[2]);
        t[1] = -3 * (d[1] + d[2]);
        t[2] = 3 * (d[1] - d[2]);
        t[5] = d[3] - d[1];
    } else {
        const vec even = d[4] - 4 * d[2], odd = d[3] - 4 * d[1];
        const vec even2 = d[4] - d[2], odd2 = 2 * (d[3] - d[1]);
        t[0] = 4 * (d[0] - d[2]) + even2;
        t[1] = even + odd;
        t[2] = even - odd;
        t[3] = even2 + odd2;
        t[4] = even2 - odd2;
        t[5] = (d[5] - d[3]) - 2 * odd2;
    }
}

/* d = B t */
INLINE void input_line_adjoint(bool is_short, const vec *t, vec *d)
{
    const vec sum = t[1] + t[2], difference = t[2] - t[1];
    if (is_short) {
        d[0] = 4 * t[0];
        d[1] = 3 * difference - t[5];
        d[2] = -4 * t[0] - 3 * sum;
        d[3] = t[5];
    } else {
        const vec sum2 = t[3] + t[4], difference2 = t[4] - t[3];
        d[0] = 4 * t[0];
        d[1] = 4 * (difference + t[5]) + 2 * difference2;
        d[2] = -5 * t[0] - 4 * sum - sum2;
        d[3] = -5 * t[5] - 2 * difference2 - difference;
        d[4] = t[0] + sum + sum2;
        d[5] = t[5];
    }
}

/* y = A^T m */
INLINE void output_line(bool is_short, const vec *m, vec *y)
{
    const vec sum = m[1] + m[2], difference = m[1] - m[2];
    if (is_short) {
        y[0] = m[0] + sum;
        y[1] = difference + m[5];
    } else {
        const vec sum2 = m[3] + m[4], difference2 = m[3] - m[4];
        y[0] = m[0] + sum + sum2;
        y[1] = difference + 2 * difference2;
        y[2] = sum + 4 * sum2;
        y[3] = difference + 8 * difference2 + m[5];
    }
}

/* m = A y */
INLINE void output_line_adjoint(bool is_short, const vec *y, vec *m)
{
    m[0] = y[0];
    if (is_short) {
        m[1] = y[0] + y[1];
        m[2] = y[0] - y[1];
        m[5] = y[1];
    } else {
        const vec even = y[0] + y[2], odd = y[1] + y[3];
        const vec even2 = y[0] + 4 * y[2], odd2 = 2 * y[1] + 8 * y[3];
        m[1] = even + odd;
        m[2] = even - odd;
        m[3] = even2 + odd2;
        m[4] = even2 - odd2;
        m[5] = y[3];
    }
}

/* u = G g */
INLINE void kernel_line(const vec *g, vec *u)
{
    const vec one = (g[0] + g[2]) * (bnn_real)(-1.0 / 6),
              two = g[0] * (bnn_real)(1.0 / 24) + g[2] * (bnn_real)(1.0 / 6);
    u[0] = g[0] * (bnn_real)0.25;
    u[1] = one - g[1] * (bnn_real)(1.0 / 6);
    u[2] = one + g[1] * (bnn_real)(1.0 / 6);
    u[3] = two + g[1] * (bnn_real)(1.0 / 12);
    u[4] = two - g[1] * (bnn_real)(1.0 / 12);
    u[5] = g[2];
}

/* g = G^T u */
INLINE void kernel_line_adjoint(const vec *u, vec *g)
{
    const vec one = (u[1] + u[2]) * (bnn_real)(1.0 / 6), two = u[3] + u[4];
    g[0] = u[0] * (bnn_real)0.25 - one + two * (bnn_real)(1.0 / 24);
    g[1] = (u[2] - u[1]) * (bnn_real)(1.0 / 6) + (u[3] - u[4]) * (bnn_real)(1.0 / 12);
    g[2] = two * (bnn_real)(1.0 / 6) - one + u[5];
}

/* V <- B^T d B of the inputs: pixel (y, x) of the tile, channel c. */
INLINE void input_tile(bool short_y, bool short_x, bnn_real *const pixel[POINTS][POINTS], size_t c,
                       bnn_real *v, size_t v_plane)
{
    const size_t points_y = short_y ? 4 : 6, points_x = short_x ? 4 : 6;
    vec t[POINTS][POINTS];
    UNROLL
    for (size_t x = 0; x < points_x; x++) {
        vec d[POINTS], line[POINTS];
        UNROLL
        for (size_t y = 0; y < points_y; y++) d[y] = load(pixel[y][x] + c);
        input_line(short_y, d, line);
        UNROLL
        for (size_t k = 0; k < points_y; k++) t[point(short_y, k)][x] = line[point(short_y, k)];
    }
    UNROLL
    for (size_t k = 0; k < points_y; k++) {
        const size_t i = point(short_y, k);
        vec line[POINTS];
        input_line(short_x, t[i], line);
        UNROLL
        for (size_t l = 0; l < points_x; l++)
            store(v + (i * POINTS + point(short_x, l)) * v_plane, line[point(short_x, l)]);
    }
}

/* Adds B dV B^T to the gradient of the inputs. */
INLINE void input_tile_adjoint(bool short_y, bool short_x, const bnn_real *v, size_t v_plane,
                               bnn_real *const pixel[POINTS][POINTS], size_t c)
{
    const size_t points_y = short_y ? 4 : 6, points_x = short_x ? 4 : 6;
    vec t[POINTS][POINTS];
    UNROLL
    for (size_t l = 0; l < points_x; l++) {
        const size_t j = point(short_x, l);
        vec line[POINTS], d[POINTS];
        UNROLL
        for (size_t k = 0; k < points_y; k++)
            line[point(short_y, k)] = load(v + (point(short_y, k) * POINTS + j) * v_plane);
        input_line_adjoint(short_y, line, d);
        UNROLL
        for (size_t y = 0; y < points_y; y++) t[y][j] = d[y];
    }
    UNROLL
    for (size_t y = 0; y < points_y; y++) {
        vec d[POINTS];
        input_line_adjoint(short_x, t[y], d);
        UNROLL
        for (size_t x = 0; x < points_x; x++) store(pixel[y][x] + c, load(pixel[y][x] + c) + d[x]);
    }
}

/* y (4, 4) <- A^T M A */
INLINE void output_tile(bool short_y, bool short_x, const bnn_real *m, size_t m_plane, vec y[4][4])
{
    const size_t points_y = short_y ? 4 : 6, points_x = short_x ? 4 : 6, outputs = short_y ? 2 : 4;
    vec t[4][POINTS];
    UNROLL
    for (size_t l = 0; l < points_x; l++) {
        const size_t j = point(short_x, l);
        vec line[POINTS], out[4];
        UNROLL
        for (size_t k = 0; k < points_y; k++)
            line[point(short_y, k)] = load(m + (point(short_y, k) * POINTS + j) * m_plane);
        output_line(short_y, line, out);
        UNROLL
        for (size_t i = 0; i < outputs; i++) t[i][j] = out[i];
    }
    UNROLL
    for (size_t i = 0; i < outputs; i++) output_line(short_x, t[i], y[i]);
}

/* M <- A y A^T */
INLINE void output_tile_adjoint(bool short_y, bool short_x, vec y[4][4], bnn_real *m, size_t m_plane)
{
    const size_t points_y = short_y ? 4 : 6, points_x = short_x ? 4 : 6, outputs = short_y ? 2 : 4;
    vec t[4][POINTS];
    UNROLL
    for (size_t i = 0; i < outputs; i++) output_line_adjoint(short_x, y[i], t[i]);
    UNROLL
    for (size_t l = 0; l < points_x; l++) {
        const size_t j = point(short_x, l);
        vec line[4], out[POINTS];
        UNROLL
        for (size_t i = 0; i < outputs; i++) line[i] = t[i][j];
        output_line_adjoint(short_y, line, out);
        UNROLL
        for (size_t k = 0; k < points_y; k++)
            store(m + (point(short_y, k) * POINTS + j) * m_plane, out[point(short_y, k)]);
    }
}

/* Calls a transform with the tile's kind as constants. */
#define BY_KIND(transform, short_y, short_x, ...)                                                            \
    do {                                                                                                     \
        if (!(short_y) && !(short_x))                                                                        \
            transform(false, false, __VA_ARGS__);                                                            \
        else if (!(short_y))                                                                                 \
            transform(false, true, __VA_ARGS__);                                                             \
        else if (!(short_x))                                                                                 \
            transform(true, false, __VA_ARGS__);                                                             \
        else                                                                                                 \
            transform(true, true, __VA_ARGS__);                                                              \
    } while (0)

#endif
