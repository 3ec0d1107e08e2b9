#include "network/runner.h"

#include <stdlib.h>

bool runner_create(runner *r, const bnn_kernel *kernel, const bnn_kernel_shape *shape, const bnn_layer *layer,
                   size_t block, bool train)
{
    const size_t packed = kernel->pack ? bnn_kernel_packed_count(kernel, shape) : 0;
    *r = (runner){.kernel = kernel, .shape = *shape, .layer = layer};
    r->own_packed = bnn_alloc(packed, sizeof(bnn_real));
    if (!train) return r->own_packed;
    r->own_gradient = bnn_alloc(packed, sizeof(bnn_real));
    r->saved = bnn_alloc(bnn_kernel_saved_count(kernel, shape, block), sizeof(bnn_real));
    return r->own_packed && r->own_gradient && r->saved;
}

void runner_free(runner *r)
{
    free(r->own_packed);
    free(r->own_gradient);
    free(r->saved);
}

void runner_begin(runner *r, const bnn_real *weights, bnn_real *gradient)
{
    const size_t weight = r->layer->weight_offset, bias = r->layer->bias_offset;
    r->gradient = gradient;
    if (r->kernel->pack) {
        r->kernel->pack(&r->shape, weights + weight, weights + bias, r->own_packed);
        r->packed = r->own_packed;
        r->packed_gradient = r->own_gradient;
    } else {
        r->packed = weights + weight;
        r->packed_gradient = gradient ? gradient + weight : NULL;
    }
}

void runner_forward(const runner *r, bnn_pass pass)
{
    pass.packed = r->packed;
    pass.saved = r->saved;
    r->kernel->forward(&r->shape, &pass);
}

void runner_backward(const runner *r, bnn_pass pass)
{
    pass.packed = r->packed;
    pass.saved = r->saved;
    pass.packed_gradient = r->packed_gradient;
    r->kernel->backward(&r->shape, &pass);
}

void runner_end(const runner *r)
{
    if (r->kernel->pack)
        r->kernel->unpack_gradient(&r->shape, r->own_gradient, r->gradient + r->layer->weight_offset,
                                   r->gradient + r->layer->bias_offset);
}
