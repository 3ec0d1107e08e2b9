#include "network/runner.h"

#include <stdlib.h>

/* Output channels that are packed at a time: two vectors of AVX-512. */
#define PART (2 * BNN_CHANNEL_UNIT)

bool runner_create(runner *r, const bnn_kernel *kernel, const bnn_kernel_shape *shape, const bnn_layer *layer,
                   size_t block, bool train)
{
    *r = (runner){.kernel = kernel, .shape = *shape, .layer = layer};
    if (!train) return true;
    r->own_gradient = bnn_alloc(runner_packed_count(r), sizeof(bnn_real));
    r->saved = bnn_alloc(bnn_kernel_saved_count(kernel, shape, block), sizeof(bnn_real));
    return r->own_gradient && r->saved;
}

void runner_free(runner *r)
{
    free(r->own_gradient);
    free(r->saved);
}

size_t runner_packed_count(const runner *r)
{
    return r->kernel->pack ? bnn_kernel_packed_count(r->kernel, &r->shape) : 0;
}

size_t runner_parts(const runner *r)
{
    return r->kernel->pack ? (r->shape.out.channels + PART - 1) / PART : 0;
}

void runner_pack(const runner *r, size_t part, const bnn_real *weights, bnn_real *packed)
{
    const size_t from = part * PART, left = r->shape.out.channels - from;
    r->kernel->pack(&r->shape, weights + r->layer->weight_offset, weights + r->layer->bias_offset, from,
                    from + (left < PART ? left : PART), packed);
}

void runner_begin(runner *r, const bnn_real *weights, const bnn_real *packed, bnn_real *gradient)
{
    const size_t weight = r->layer->weight_offset;
    const bool in_place = !r->kernel->pack;
    r->gradient = gradient;
    r->packed = in_place ? weights + weight : packed;
    r->packed_gradient = in_place && gradient ? gradient + weight : r->own_gradient;
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
