/* What every dense layer has around its products, compiled with each of them. */
#ifndef BNN_SRC_DENSE_H
#define BNN_SRC_DENSE_H

#include <string.h>

#include "bnn/kernel.h"

/* out <- ReLU of out + bias. */
static inline void dense_finish(const bnn_kernel_shape *shape, const bnn_real *bias, size_t images,
                                bnn_real *out)
{
    const size_t outputs = shape->out.channels;
    for (size_t n = 0; n < images; n++, out += outputs)
        for (size_t o = 0; o < outputs; o++) {
            const bnn_real sum = out[o] + bias[o];
            out[o] = shape->relu && sum < 0 ? 0 : sum;
        }
}

/* out_gradient <- that of the sums before the ReLU; bias_gradient <- (or with `add`, +=) its sum over images. */
static inline void dense_start_backward(const bnn_kernel_shape *shape, const bnn_pass *pass,
                                        bnn_real *restrict bias_gradient)
{
    const size_t outputs = shape->out.channels, images = pass->images;
    const bnn_real *out = pass->out;
    bnn_real *out_gradient = pass->out_gradient;
    if (!pass->add) memset(bias_gradient, 0, outputs * sizeof *bias_gradient);
    for (size_t n = 0; n < images; n++) {
        bnn_real *restrict gradient = &out_gradient[n * outputs];
        for (size_t o = 0; shape->relu && o < outputs; o++)
            gradient[o] = out[n * outputs + o] > 0 ? gradient[o] : 0;
        for (size_t o = 0; o < outputs; o++) bias_gradient[o] += gradient[o];
    }
}

#endif
