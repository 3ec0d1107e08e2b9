/* A kernel with the weights of a unit, and what it keeps between its passes. Private to the network's room. */
#ifndef BNN_SRC_RUNNER_H
#define BNN_SRC_RUNNER_H

#include "bnn/layer.h"

typedef struct runner {
    const bnn_kernel *kernel;
    bnn_kernel_shape shape;
    const bnn_layer *layer; /* whose parameters it takes */

    /* The unit's packed weights and their gradient, which is the buffer below; or, where the kernel works in place, the
     * layer's slices of the unit's parameter vectors. */
    const bnn_real *packed;
    bnn_real *packed_gradient;
    bnn_real *gradient; /* the unit's, (parameter_count) */

    bnn_real *own_gradient, *saved; /* NULL: not needed */
} runner;

/* For blocks of at most `block` images; `kernel` fits the shape. False when memory is short; runner_free whatever comes. */
bool runner_create(runner *r, const bnn_kernel *kernel, const bnn_kernel_shape *shape, const bnn_layer *layer,
                   size_t block, bool train);
void runner_free(runner *r);

/* Packed weights, in bnn_real, and the parts in which they are packed; 0 where the kernel works in place. */
size_t runner_packed_count(const runner *r);
size_t runner_parts(const runner *r);

/* packed (runner_packed_count), one part of it, <- from weights (parameter_count). */
void runner_pack(const runner *r, size_t part, const bnn_real *weights, bnn_real *packed);

/* Starts a unit on weights and gradient, both (parameter_count), and the packed weights; gradient NULL in evaluation. */
void runner_begin(runner *r, const bnn_real *weights, const bnn_real *packed, bnn_real *gradient);

/* The passes of bnn_kernel; packed weights and what is saved are filled in. */
void runner_forward(const runner *r, bnn_pass pass);
void runner_backward(const runner *r, bnn_pass pass);

/* Completes the unit's gradient. */
void runner_end(const runner *r);

#endif
