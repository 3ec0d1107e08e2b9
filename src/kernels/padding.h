/* What the fast convolutions share: padded copies of an image and the codes of the max-pool. Private to the
 * kernels' room. */
#ifndef BNN_SRC_CONV_H
#define BNN_SRC_CONV_H

#include <stdint.h>

#include "bnn/kernel.h"

/* Which of its window's values an output is (0 without pooling; 0..3 in row-major order), or that ReLU
 * stopped it. */
typedef uint8_t bnn_code;
enum { BNN_CODE_DEAD = 4 };

/* Reals that hold n codes. */
size_t bnn_code_reals(size_t n);

/* The row (or column), of `size`, that row `i` of the padded image repeats; `size` where there is none. */
static inline size_t bnn_conv_source(const bnn_kernel_shape *shape, size_t i, size_t size)
{
    const size_t margin = shape->kernel / 2;
    if (shape->circular) return (i + (margin / size + 1) * size - margin) % size;
    return i >= margin && i - margin < size ? i - margin : size;
}

/* Reals of one image with the padding of its layer around it, in the layer's input layout. */
size_t bnn_conv_padded_count(const bnn_kernel_shape *shape);

/* padded <- one image: padded pixel (y, x) is the image's (y - kernel/2, x - kernel/2), wrapped around or
 * zero. */
void bnn_conv_pad(const bnn_kernel_shape *shape, const bnn_real *image, bnn_real *padded);

/* The adjoint: image <- the sums of the padded pixels that bnn_conv_pad made of each of its pixels. */
void bnn_conv_unpad(const bnn_kernel_shape *shape, const bnn_real *padded, bnn_real *image);

#endif
