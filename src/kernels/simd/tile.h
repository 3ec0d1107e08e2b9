/* The transforms of Winograd's F(6x6, 3x3) and, for what is left of a line, F(4, 3) and F(2, 3): see winograd.c for
 * the formulas and their source. A line of `length` outputs has length + 2 inputs and as many points: of 0, 1, -1, 2, -2,
 * 1/2, -1/2, infinity the first length + 1 and the last. The scales of the points are those of length 6 for any length,
 * so that all share one U. A tile is transformed for a vector of channels at a time, first its columns, then its rows. */
#ifndef BNN_SRC_SIMD_TILE_H
#define BNN_SRC_SIMD_TILE_H

#include <stdbool.h>

#include "base/simd/vector.h"

enum { LENGTH = 6, POINTS = LENGTH + 2, LAST = POINTS - 1, PLANES = POINTS * POINTS };

#define UNROLL _Pragma("GCC unroll 8")

/* The k-th point of a line. */
INLINE size_t point(size_t length, size_t k)
{
    return k == length + 1 ? LAST : k;
}

/* t = B^T d */
INLINE void input_line(size_t length, const vec *d, vec *t)
{
    if (length == 2) {
        t[0] = d[0] - d[2];
        t[1] = (d[1] + d[2]) * (bnn_real)-2.25;
        t[2] = (d[1] - d[2]) * (bnn_real)2.25;
        t[LAST] = d[3] - d[1];
    } else if (length == 4) {
        const vec even = d[4] - 4 * d[2], odd = d[3] - 4 * d[1];
        const vec even2 = d[4] - d[2], odd2 = 2 * (d[3] - d[1]);
        t[0] = d[0] - d[2] + even2 * (bnn_real)0.25;
        t[1] = (even + odd) * (bnn_real)0.75;
        t[2] = (even - odd) * (bnn_real)0.75;
        t[3] = (even2 + odd2) * (bnn_real)3.75;
        t[4] = (even2 - odd2) * (bnn_real)3.75;
        t[LAST] = d[5] - d[3] - 2 * odd2;
    } else {
        const vec even = d[2] + d[6] - d[4] * (bnn_real)4.25, odd = d[1] + d[5] - d[3] * (bnn_real)4.25;
        const vec even2 = d[6] - d[4] * (bnn_real)1.25 + d[2] * (bnn_real)0.25;
        const vec odd2 = 2 * d[5] - d[3] * (bnn_real)2.5 + d[1] * (bnn_real)0.5;
        const vec even3 = d[6] - 5 * d[4] + 4 * d[2];
        const vec odd3 = d[5] * (bnn_real)0.5 - d[3] * (bnn_real)2.5 + 2 * d[1];
        t[0] = d[0] - d[6] + (d[4] - d[2]) * (bnn_real)5.25;
        t[1] = even + odd;
        t[2] = even - odd;
        t[3] = even2 + odd2;
        t[4] = even2 - odd2;
        t[5] = even3 + odd3;
        t[6] = even3 - odd3;
        t[LAST] = d[7] - d[1] + (d[3] - d[5]) * (bnn_real)5.25;
    }
}

/* d = B t */
INLINE void input_line_adjoint(size_t length, const vec *t, vec *d)
{
    const vec sum = t[1] + t[2], difference = t[1] - t[2];
    d[0] = t[0];
    d[length + 1] = t[LAST];
    if (length == 2) {
        d[1] = difference * (bnn_real)-2.25 - t[LAST];
        d[2] = sum * (bnn_real)-2.25 - t[0];
    } else if (length == 4) {
        const vec even = sum * (bnn_real)0.75, odd = difference * (bnn_real)0.75;
        const vec even2 = (t[3] + t[4]) * (bnn_real)3.75, odd2 = (t[3] - t[4]) * (bnn_real)3.75;
        d[1] = 4 * (t[LAST] - odd) - 2 * odd2;
        d[2] = t[0] * (bnn_real)-1.25 - 4 * even - even2;
        d[3] = odd + 2 * odd2 - 5 * t[LAST];
        d[4] = t[0] * (bnn_real)0.25 + even + even2;
    } else {
        const vec sum2 = t[3] + t[4], difference2 = t[3] - t[4], sum3 = t[5] + t[6],
                  difference3 = t[5] - t[6];
        d[1] = difference + difference2 * (bnn_real)0.5 + 2 * difference3 - t[LAST];
        d[2] = sum + sum2 * (bnn_real)0.25 + 4 * sum3 - t[0] * (bnn_real)5.25;
        d[3] = t[LAST] * (bnn_real)5.25 - difference * (bnn_real)4.25 -
               (difference2 + difference3) * (bnn_real)2.5;
        d[4] = t[0] * (bnn_real)5.25 - sum * (bnn_real)4.25 - sum2 * (bnn_real)1.25 - 5 * sum3;
        d[5] = difference + 2 * difference2 + difference3 * (bnn_real)0.5 - t[LAST] * (bnn_real)5.25;
        d[6] = sum + sum2 + sum3 - t[0];
    }
}

/* y = A^T m */
INLINE void output_line(size_t length, const vec *m, vec *y)
{
    const vec sum = m[1] + m[2], difference = m[1] - m[2];
    if (length == 2) {
        y[0] = m[0] + sum;
        y[1] = difference + m[LAST];
    } else if (length == 4) {
        const vec sum2 = m[3] + m[4], difference2 = m[3] - m[4];
        y[0] = m[0] + sum + sum2;
        y[1] = difference + 2 * difference2;
        y[2] = sum + 4 * sum2;
        y[3] = difference + 8 * difference2 + m[LAST];
    } else {
        const vec sum2 = m[3] + m[4], difference2 = m[3] - m[4], sum3 = m[5] + m[6],
                  difference3 = m[5] - m[6];
        y[0] = m[0] + sum + sum2 + sum3;
        y[1] = difference + 2 * difference2 + difference3 * (bnn_real)0.5;
        y[2] = sum + 4 * sum2 + sum3 * (bnn_real)0.25;
        y[3] = difference + 8 * difference2 + difference3 * (bnn_real)0.125;
        y[4] = sum + 16 * sum2 + sum3 * (bnn_real)0.0625;
        y[5] = difference + 32 * difference2 + difference3 * (bnn_real)0.03125 + m[LAST];
    }
}

/* m = A y */
INLINE void output_line_adjoint(size_t length, const vec *y, vec *m)
{
    m[0] = y[0];
    m[LAST] = y[length - 1];
    if (length == 2) {
        m[1] = y[0] + y[1];
        m[2] = y[0] - y[1];
    } else if (length == 4) {
        const vec even = y[0] + y[2], odd = y[1] + y[3];
        const vec even2 = y[0] + 4 * y[2], odd2 = 2 * y[1] + 8 * y[3];
        m[1] = even + odd;
        m[2] = even - odd;
        m[3] = even2 + odd2;
        m[4] = even2 - odd2;
    } else {
        const vec even = y[0] + y[2] + y[4], odd = y[1] + y[3] + y[5];
        const vec even2 = y[0] + 4 * y[2] + 16 * y[4], odd2 = 2 * y[1] + 8 * y[3] + 32 * y[5];
        const vec even3 = y[0] + y[2] * (bnn_real)0.25 + y[4] * (bnn_real)0.0625;
        const vec odd3 = y[1] * (bnn_real)0.5 + y[3] * (bnn_real)0.125 + y[5] * (bnn_real)0.03125;
        m[1] = even + odd;
        m[2] = even - odd;
        m[3] = even2 + odd2;
        m[4] = even2 - odd2;
        m[5] = even3 + odd3;
        m[6] = even3 - odd3;
    }
}

/* u = G g */
INLINE void kernel_line(const vec *g, vec *u)
{
    const vec one = (g[0] + g[2]) * (bnn_real)(-2.0 / 9);
    const vec two = g[0] * (bnn_real)(1.0 / 90) + g[2] * (bnn_real)(4.0 / 90);
    const vec half = g[0] * (bnn_real)(32.0 / 45) + g[2] * (bnn_real)(8.0 / 45);
    u[0] = g[0];
    u[1] = one - g[1] * (bnn_real)(2.0 / 9);
    u[2] = one + g[1] * (bnn_real)(2.0 / 9);
    u[3] = two + g[1] * (bnn_real)(2.0 / 90);
    u[4] = two - g[1] * (bnn_real)(2.0 / 90);
    u[5] = half + g[1] * (bnn_real)(16.0 / 45);
    u[6] = half - g[1] * (bnn_real)(16.0 / 45);
    u[LAST] = g[2];
}

/* g = G^T u */
INLINE void kernel_line_adjoint(const vec *u, vec *g)
{
    const vec one = (u[1] + u[2]) * (bnn_real)(-2.0 / 9), two = u[3] + u[4], half = u[5] + u[6];
    g[0] = u[0] + one + two * (bnn_real)(1.0 / 90) + half * (bnn_real)(32.0 / 45);
    g[1] = (u[2] - u[1]) * (bnn_real)(2.0 / 9) + (u[3] - u[4]) * (bnn_real)(2.0 / 90) +
           (u[5] - u[6]) * (bnn_real)(16.0 / 45);
    g[2] = one + two * (bnn_real)(4.0 / 90) + half * (bnn_real)(8.0 / 45) + u[LAST];
}

/* The points of a line in planes `step` apart. The pointer is hidden from the compiler: it would keep the addresses of all
 * planes for the next channels, in memory, as there are more of them than registers. */
INLINE void load_points(size_t length, const bnn_real *from, size_t step, vec *line)
{
    __asm__("" : "+r"(from));
    UNROLL
    for (size_t k = 0; k < length + 2; k++) line[point(length, k)] = load(from + point(length, k) * step);
}

INLINE void store_points(size_t length, const vec *line, bnn_real *to, size_t step)
{
    __asm__("" : "+r"(to));
    UNROLL
    for (size_t k = 0; k < length + 2; k++) store(to + point(length, k) * step, line[point(length, k)]);
}

/* V <- B^T d B of the inputs, or of their squares: pixel (y, x) of the tile, channel c. */
INLINE void input_tile(size_t length_y, size_t length_x, bool squares, bnn_real *const pixel[POINTS][POINTS],
                       size_t c, bnn_real *v, size_t v_plane)
{
    const size_t points_y = length_y + 2, points_x = length_x + 2;
    vec t[POINTS][POINTS];
    UNROLL
    for (size_t x = 0; x < points_x; x++) {
        vec d[POINTS], line[POINTS];
        UNROLL
        for (size_t y = 0; y < points_y; y++) {
            const vec in = load(pixel[y][x] + c);
            d[y] = in;
            if (squares) d[y] = in * in;
        }
        input_line(length_y, d, line);
        UNROLL
        for (size_t k = 0; k < points_y; k++) t[point(length_y, k)][x] = line[point(length_y, k)];
    }
    UNROLL
    for (size_t k = 0; k < points_y; k++) {
        const size_t i = point(length_y, k);
        vec line[POINTS];
        input_line(length_x, t[i], line);
        store_points(length_x, line, v + i * POINTS * v_plane, v_plane);
    }
}

/* t <- B dV, by columns. */
INLINE void input_columns_adjoint(size_t length_y, size_t length_x, const bnn_real *v, size_t v_plane,
                                  vec t[POINTS][POINTS])
{
    UNROLL
    for (size_t l = 0; l < length_x + 2; l++) {
        const size_t j = point(length_x, l);
        vec line[POINTS], d[POINTS];
        load_points(length_y, v + j * v_plane, POINTS * v_plane, line);
        input_line_adjoint(length_y, line, d);
        UNROLL
        for (size_t y = 0; y < length_y + 2; y++) t[y][j] = d[y];
    }
}

/* Adds B dV B^T to the gradient of the inputs; and 2 inputs times that of squares_v, unless it is NULL. */
INLINE void input_tile_adjoint(size_t length_y, size_t length_x, const bnn_real *v, const bnn_real *squares_v,
                               size_t v_plane, bnn_real *const pixel[POINTS][POINTS],
                               bnn_real *const inputs[POINTS][POINTS], size_t c)
{
    vec t[POINTS][POINTS], squares[POINTS][POINTS];
    input_columns_adjoint(length_y, length_x, v, v_plane, t);
    if (squares_v) input_columns_adjoint(length_y, length_x, squares_v, v_plane, squares);
    UNROLL
    for (size_t y = 0; y < length_y + 2; y++) {
        vec d[POINTS], of_squares[POINTS];
        input_line_adjoint(length_x, t[y], d);
        if (squares_v) input_line_adjoint(length_x, squares[y], of_squares);
        UNROLL
        for (size_t x = 0; x < length_x + 2; x++) {
            if (squares_v) d[x] += 2 * load(inputs[y][x] + c) * of_squares[x];
            store(pixel[y][x] + c, load(pixel[y][x] + c) + d[x]);
        }
    }
}

/* y (LENGTH, LENGTH) <- A^T M A */
INLINE void output_tile(size_t length_y, size_t length_x, const bnn_real *m, size_t m_plane,
                        vec y[LENGTH][LENGTH])
{
    const size_t points_x = length_x + 2;
    vec t[LENGTH][POINTS];
    UNROLL
    for (size_t l = 0; l < points_x; l++) {
        const size_t j = point(length_x, l);
        vec line[POINTS], out[LENGTH];
        load_points(length_y, m + j * m_plane, POINTS * m_plane, line);
        output_line(length_y, line, out);
        UNROLL
        for (size_t i = 0; i < length_y; i++) t[i][j] = out[i];
    }
    UNROLL
    for (size_t i = 0; i < length_y; i++) output_line(length_x, t[i], y[i]);
}

/* M <- A y A^T */
INLINE void output_tile_adjoint(size_t length_y, size_t length_x, vec y[LENGTH][LENGTH], bnn_real *m,
                                size_t m_plane)
{
    const size_t points_x = length_x + 2;
    vec t[LENGTH][POINTS];
    UNROLL
    for (size_t i = 0; i < length_y; i++) output_line_adjoint(length_x, y[i], t[i]);
    UNROLL
    for (size_t l = 0; l < points_x; l++) {
        const size_t j = point(length_x, l);
        vec line[LENGTH], out[POINTS];
        UNROLL
        for (size_t i = 0; i < length_y; i++) line[i] = t[i][j];
        output_line_adjoint(length_y, line, out);
        store_points(length_y, out, m + j * m_plane, POINTS * m_plane);
    }
}

/* Defines a function `name` of `parameters`, which begin with length_y and length_x and whose names `names` repeats: the transform
 * that is given, of those lengths and what follows. It has a function for each pair of lengths, which are constants there and is
 * not inlined: where they share one, the compiler keeps less in registers, and transforms take up to a third longer. (Under the
 * sanitizers one has to do: their checks of the unrolled code take a minute to compile.) */
#ifdef __SANITIZE_ADDRESS__
#define TRANSFORM(name, parameters, names, transform, ...)                                                   \
    static void name parameters                                                                              \
    {                                                                                                        \
        transform(length_y, length_x, __VA_ARGS__);                                                          \
    }
#else
#define TRANSFORM(name, parameters, names, transform, ...)                                                   \
    OF_LENGTHS(name, 2, 2, parameters, transform, __VA_ARGS__)                                               \
    OF_LENGTHS(name, 2, 4, parameters, transform, __VA_ARGS__)                                               \
    OF_LENGTHS(name, 2, 6, parameters, transform, __VA_ARGS__)                                               \
    OF_LENGTHS(name, 4, 2, parameters, transform, __VA_ARGS__)                                               \
    OF_LENGTHS(name, 4, 4, parameters, transform, __VA_ARGS__)                                               \
    OF_LENGTHS(name, 4, 6, parameters, transform, __VA_ARGS__)                                               \
    OF_LENGTHS(name, 6, 2, parameters, transform, __VA_ARGS__)                                               \
    OF_LENGTHS(name, 6, 4, parameters, transform, __VA_ARGS__)                                               \
    OF_LENGTHS(name, 6, 6, parameters, transform, __VA_ARGS__)                                               \
    INLINE void name parameters                                                                              \
    {                                                                                                        \
        static void(*const all[3][3]) parameters = {{name##_2_2, name##_2_4, name##_2_6},                    \
                                                    {name##_4_2, name##_4_4, name##_4_6},                    \
                                                    {name##_6_2, name##_6_4, name##_6_6}};                   \
        all[length_y / 2 - 1][length_x / 2 - 1] names;                                                       \
    }
#define OF_LENGTHS(name, y, x, parameters, transform, ...)                                                   \
    static __attribute__((noinline)) void name##_##y##_##x parameters                                        \
    {                                                                                                        \
        (void)length_y, (void)length_x;                                                                      \
        transform(y, x, __VA_ARGS__);                                                                        \
    }
#endif

/* Two of them, of a transform whose next argument is a constant: `without` where that is false, `with` where it is true. */
#define TRANSFORMS(without, with, parameters, names, transform, ...)                                         \
    TRANSFORM(without, parameters, names, transform, false, __VA_ARGS__)                                     \
    TRANSFORM(with, parameters, names, transform, true, __VA_ARGS__)

#endif
