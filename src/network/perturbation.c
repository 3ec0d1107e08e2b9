#include "network/perturbation.h"

#include <stdlib.h>

static bool allocate(perturbation *p, size_t block)
{
    const bnn_kernel_shape *shape = &p->layer->shape;
    const bnn_kernel *kernel = bnn_kernel_of_set(p->layer->type->kernels, shape, NULL);
    const size_t in = block * bnn_activation_count(&shape->in),
                 out = block * bnn_activation_count(&shape->out);
    bnn_real **buffers[] = {&p->in, &p->in_gradient, &p->in_noise, &p->out, &p->out_gradient, &p->out_noise};
    bool complete = runner_create(&p->mean, kernel, shape, p->layer, block, true);
    complete = runner_create(&p->spread, kernel, shape, p->layer, block, true) && complete;
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
        *buffers[i] = bnn_alloc(i < 3 ? in : out, sizeof(bnn_real));
        complete = complete && *buffers[i];
    }
    return complete;
}

bnn_status perturbation_create(const bnn_layer *layer, const bnn_estimator *estimator, size_t block,
                               perturbation **result, bnn_error *error)
{
    perturbation *p = bnn_alloc(1, sizeof *p);
    if (!p) return bnn_no_memory(error, "an estimator", 1, sizeof *p);
    p->estimator = estimator;
    p->layer = layer;
    if (!allocate(p, block)) {
        perturbation_free(p);
        return bnn_no_memory(error, "an estimator", block, sizeof(bnn_real));
    }
    *result = p;
    return BNN_OK;
}

void perturbation_free(perturbation *p)
{
    if (!p) return;
    runner_free(&p->mean);
    runner_free(&p->spread);
    free(p->in);
    free(p->in_gradient);
    free(p->in_noise);
    free(p->out);
    free(p->out_gradient);
    free(p->out_noise);
    free(p);
}

size_t perturbation_scratch(const perturbation *p, size_t block)
{
    return bnn_kernel_scratch_count(p->mean.kernel, &p->mean.shape, block);
}

void perturbation_begin(perturbation *p, const bnn_unit *unit)
{
    p->stream = bnn_stream_of(unit->stream.state, BNN_STREAM_ESTIMATOR_NOISE, unit->stream.sequence, 0,
                              p->layer->stream);
    p->views = unit->views;
    p->first = 0;
}

void perturbation_forward(perturbation *p, const bnn_pass *pass)
{
    const size_t inputs = bnn_activation_count(&p->layer->shape.in),
                 outputs = bnn_activation_count(&p->layer->shape.out);
    bnn_pass spread = *pass;
    for (size_t n = 0; n < pass->images; n++) { /* an item's views share their noise */
        const uint64_t item = (p->first + n) / p->views;
        const bnn_stream stream =
            bnn_stream_of(p->stream.state, BNN_STREAM_ESTIMATOR_NOISE, p->stream.sequence, item, 0);
        p->estimator->noise(p->layer, stream, p->in_noise + n * inputs, p->out_noise + n * outputs);
    }
    p->estimator->phi(pass->images * inputs, pass->in[0], p->in_noise, p->in);
    spread.in[0] = p->in;
    spread.out = p->out;
    runner_forward(&p->mean, *pass);
    runner_forward(&p->spread, spread);
    p->estimator->psi(pass->images * outputs, p->out, p->out_noise, pass->out);
    p->first += pass->images;
}

void perturbation_backward(perturbation *p, const bnn_pass *pass)
{
    const size_t inputs = bnn_activation_count(&p->layer->shape.in),
                 outputs = bnn_activation_count(&p->layer->shape.out);
    bnn_pass spread = *pass;
    p->estimator->psi_adjoint(pass->images * outputs, p->out, p->out_noise, pass->out_gradient,
                              p->out_gradient);
    spread.in[0] = p->in;
    spread.out = p->out;
    spread.out_gradient = p->out_gradient;
    spread.in_gradient[0] = pass->in_gradient[0] ? p->in_gradient : NULL;
    runner_backward(&p->mean, *pass);
    runner_backward(&p->spread, spread);
    if (pass->in_gradient[0])
        p->estimator->phi_adjoint(pass->images * inputs, pass->in[0], p->in_noise, p->in_gradient,
                                  pass->in_gradient[0]);
}
