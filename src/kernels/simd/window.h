/* What follows the sums of a convolution, for a vector of channels: bias, max-pool, ReLU; and its adjoint. */
#ifndef BNN_SRC_SIMD_WINDOW_H
#define BNN_SRC_SIMD_WINDOW_H

#include "base/simd/vector.h"
#include "kernels/padding.h"

/* out, codes (unless NULL) <- from the 2 x 2 values of a pooling window in rows `row` apart, or without
 * pooling from the one value. */
INLINE void finish_window(bool pool, bool relu, const vec *values, size_t row, vec bias, bnn_real *out,
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
}

/* values <- the gradient of the window's values: the output's where its code says so, elsewhere 0. */
INLINE void finish_window_adjoint(bool pool, const bnn_real *out_gradient, const bnn_code *codes, vec *values,
                                  size_t row)
{
    const mask gradient = (mask)load(out_gradient);
    const mask code = load_bytes(codes);
    values[0] = (vec)(gradient & (code == 0));
    if (!pool) return;
    values[1] = (vec)(gradient & (code == 1));
    values[row] = (vec)(gradient & (code == 2));
    values[row + 1] = (vec)(gradient & (code == 3));
}

#endif
