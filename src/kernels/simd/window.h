/* What follows the sums of a convolution, for a vector of channels: noise, bias, max-pool, ReLU; and its adjoint. */
#ifndef BNN_SRC_SIMD_WINDOW_H
#define BNN_SRC_SIMD_WINDOW_H

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

/* A window's values are means + z sqrt(B); z is `sign` times what is at `noise` in rows `noise_row` and columns `noise_column`
 * apart. slopes <- d out / d B. */
INLINE void finish_noisy_window(bool pool, bool relu, const vec *means, const deviations *d, size_t row,
                                vec bias, bnn_real sign, const bnn_real *noise, size_t noise_row,
                                size_t noise_column, bnn_real *out, bnn_code *codes, bnn_real *slopes)
{
    const size_t count = pool ? 4 : 1;
    vec values[4], slope[4];
    for (size_t v = 0; v < count; v++) {
        const vec z = sign * load(noise + v / 2 * noise_row + v % 2 * noise_column);
        values[v] = means[v / 2 * row + v % 2] + z * d->root[v];
        slope[v] = z * d->slope[v];
    }
    const mask code = finish_window(pool, relu, values, 2, bias, out, codes);
    for (size_t v = 1; v < count; v++) slope[0] = choose(code == (lane_integer)v, slope[v], slope[0]);
    store(slopes, slope[0]);
}

/* What the variances of sums without their bias are cut off at, so that with it they are `least` at least: rounding may leave a
 * sum of squares below 0. */
INLINE vec variance_floor(vec least, vec spread_bias)
{
    return larger(least - spread_bias, (vec){0});
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
