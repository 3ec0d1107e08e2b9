/* What follows the sums of a convolution, for a vector of channels: noise, bias, max-pool, ReLU; and its adjoint. */
#ifndef BNN_SRC_SIMD_WINDOW_H
#define BNN_SRC_SIMD_WINDOW_H

#include <float.h>

#include "base/simd/vector.h"
#include "kernels/padding.h"

/* What a variance is taken for that is less: bnn/kernel.h. */
#define LEAST_VARIANCE 1e-20

/* out, codes (unless NULL) <- from the 2 x 2 values of a pooling window in rows `row` apart, or without
 * pooling from the one value. Returns the codes. */
INLINE mask finish_window(bool pool, bool relu, const vec *values, size_t row, vec bias, bnn_real *out,
                          bnn_code *codes)
{
    vec most = values[0];
    mask code = {0};
    if (pool) {
        most = larger(larger(values[row + 1], values[row]), larger(values[1], values[0]));
        const mask first = values[0] == most, second = values[1] == most, third = values[row] == most;
        code = ~first & ((second & 1) | (~second & (3 + third))); /* true is -1 */
    }
    most += bias;
    if (relu) {
        const mask alive = most > 0;
        code = (alive & code) | (~alive & BNN_CODE_DEAD);
        most = larger((vec){0}, most);
    }
    store(out, most);
    if (codes) store_bytes(codes, code);
    return code;
}

/* What all samples of a window have: of B = variances, but not below `floor`, + `spread_bias`, its root and half the inverse of
 * that. */
typedef struct deviations {
    vec root[4], slope[4];
} deviations;

INLINE deviations window_deviations(bool pool, const vec *variances, size_t row, vec spread_bias, vec floor)
{
    deviations d;
    for (size_t v = 0; v < (pool ? 4 : 1); v++) {
        const vec variance = larger(floor, variances[v / 2 * row + v % 2]) + spread_bias;
        const vec inverse = reciprocal_root(variance);
        d.root[v] = inverse * variance;
        d.slope[v] = inverse / 2;
    }
    return d;
}

/* Of one sample: z sqrt(B), and half of z over that. */
typedef struct noises {
    vec value[4], slope[4];
} noises;

/* z is at `from` in rows `row` and columns `column` apart. */
INLINE noises window_noise(bool pool, const deviations *d, const bnn_real *from, size_t row, size_t column)
{
    noises result;
    for (size_t v = 0; v < (pool ? 4 : 1); v++) {
        const vec z = load(from + v / 2 * row + v % 2 * column);
        result.value[v] = z * d->root[v];
        result.slope[v] = z * d->slope[v];
    }
    return result;
}

/* A window's values are means + noise, or where it is `opposite` less it. slopes <- d out / d B. */
INLINE void finish_noisy_window(bool pool, bool relu, const vec *means, size_t row, const noises *n,
                                bool opposite, vec bias, bnn_real *out, bnn_code *codes, bnn_real *slopes)
{
    const size_t count = pool ? 4 : 1;
    vec values[4], slope = n->slope[0];
    for (size_t v = 0; v < count; v++) {
        const vec mean = means[v / 2 * row + v % 2];
        values[v] = opposite ? mean - n->value[v] : mean + n->value[v];
    }
    const mask code = finish_window(pool, relu, values, 2, bias, out, codes);
    for (size_t v = 1; v < count; v++) slope = choose(code == (lane_integer)v, n->slope[v], slope);
    store(slopes, opposite ? -slope : slope);
}

/* What the variances of sums without their bias are cut off at, so that with it they are `least` at least: rounding may leave a
 * sum of squares below 0. */
INLINE vec variance_floor(vec least, vec spread_bias)
{
    return larger(least - spread_bias, (vec){0});
}

/* The same of sums by Winograd's transforms, whose rounding is that of the largest of their tile. */
INLINE vec tile_floor(vec largest, vec spread_bias)
{
    const bnn_real rounding = 16 * (bnn_real)(sizeof(bnn_real) == sizeof(float) ? FLT_EPSILON : DBL_EPSILON);
    return variance_floor(larger(rounding * largest, (vec){0} + (bnn_real)LEAST_VARIANCE), spread_bias);
}

/* values <- the gradient of the window's values: the output's, or with slopes (not NULL) times them, where its code says so,
 * elsewhere 0. */
INLINE void finish_window_adjoint(bool pool, const bnn_real *out_gradient, const bnn_real *slopes,
                                  const bnn_code *codes, vec *values, size_t row)
{
    vec given = load(out_gradient);
    if (slopes) given *= load(slopes);
    const mask gradient = (mask)given;
    const mask code = load_bytes(codes);
    values[0] = (vec)(gradient & (code == 0));
    if (!pool) return;
    values[1] = (vec)(gradient & (code == 1));
    values[row] = (vec)(gradient & (code == 2));
    values[row + 1] = (vec)(gradient & (code == 3));
}

#endif
