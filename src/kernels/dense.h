/* What every dense layer has around its products, compiled with each of them. */
#ifndef BNN_SRC_DENSE_H
#define BNN_SRC_DENSE_H

#include <string.h>

#include "bnn/layer.h"

/* out <- ReLU of out + bias. */
static inline void dense_finish(const bnn_layer *layer, const bnn_real *bias, size_t images, bnn_real *out)
{
    const size_t outputs = layer->out_channels;
    for (size_t n = 0; n < images; n++, out += outputs)
        for (size_t o = 0; o < outputs; o++) {
            const bnn_real sum = out[o] + bias[o];
            out[o] = layer->relu && sum < 0 ? 0 : sum;
        }
}

/* out_gradient <- that of the sums before the ReLU; bias_gradient <- (or with `add`, +=) its sum over images. */
static inline void dense_start_backward(const bnn_layer *layer, const bnn_real *out, bnn_real *out_gradient,
                                        size_t images, bool add, bnn_real *restrict bias_gradient)
{
    const size_t outputs = layer->out_channels;
    if (!add) memset(bias_gradient, 0, outputs * sizeof *bias_gradient);
    for (size_t n = 0; n < images; n++) {
        bnn_real *restrict gradient = &out_gradient[n * outputs];
        for (size_t o = 0; layer->relu && o < outputs; o++)
            gradient[o] = out[n * outputs + o] > 0 ? gradient[o] : 0;
        for (size_t o = 0; o < outputs; o++) bias_gradient[o] += gradient[o];
    }
}

#endif
