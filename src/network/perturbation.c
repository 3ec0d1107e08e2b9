#include "network/perturbation.h"

#include <stdlib.h>

static bool allocate(perturbation *p, const bnn_kernel *kernel, const bnn_kernel_shape *shape, size_t block)
{
    const bool twice = !shape->noise;
    const size_t in = bnn_activation_count(&shape->in), out = bnn_activation_count(&shape->out);
    p->in_noise_count = twice ? in : bnn_in_noise_count(shape);
    p->out_noise_count = twice ? out : bnn_out_noise_count(shape);
    const struct {
        bnn_real **buffer;
        size_t count;
    } wanted[] = {{&p->in_noise, p->in_noise_count}, {&p->out_noise, p->out_noise_count},
                  {&p->in, twice ? in : 0},          {&p->in_gradient, twice ? in : 0},
                  {&p->out, twice ? out : 0},        {&p->out_gradient, twice ? out : 0}};
    bool complete = runner_create(&p->mean, kernel, shape, p->layer, block, true);
    complete = runner_create(&p->spread, kernel, shape, p->layer, twice ? block : 0, true) && complete;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        *wanted[i].buffer = bnn_alloc(block * wanted[i].count, sizeof(bnn_real));
        complete = complete && *wanted[i].buffer;
    }
    return complete;
}

bnn_status perturbation_create(const bnn_layer *layer, const bnn_estimator *estimator,
                               const bnn_kernel *kernel, const bnn_kernel_shape *shape, size_t block,
                               perturbation **result, bnn_error *error)
{
    perturbation *p = bnn_alloc(1, sizeof *p);
    if (!p) return bnn_no_memory(error, "an estimator", 1, sizeof *p);
    p->estimator = estimator;
    p->layer = layer;
    if (!allocate(p, kernel, shape, block)) {
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

void perturbation_begin(perturbation *p, const bnn_unit *unit)
{
    p->stream = bnn_stream_of(unit->stream.state, BNN_STREAM_ESTIMATOR_NOISE, unit->stream.sequence, 0,
                              p->layer->stream);
    p->views = unit->views;
    p->first = 0;
}

/* The noise of the unit's next block. */
static void draw_noise(perturbation *p, size_t images)
{
    for (size_t n = 0; n < images; n++) { /* an item's views share their noise */
        const uint64_t item = (p->first + n) / p->views;
        const bnn_stream stream =
            bnn_stream_of(p->stream.state, BNN_STREAM_ESTIMATOR_NOISE, p->stream.sequence, item, 0);
        bnn_real *in = p->in_noise + n * p->in_noise_count, *out = p->out_noise + n * p->out_noise_count;
        p->estimator->noise(p->layer, stream, in, out);
        if (!p->mean.shape.noise && p->estimator->expand) p->estimator->expand(p->layer, in, out);
    }
    p->first += images;
}

/* What a kernel with noise takes beside the rest. */
static bnn_pass with_noise(const perturbation *p, const bnn_pass *pass)
{
    bnn_pass result = *pass;
    result.spread = p->spread.packed;
    result.spread_gradient = p->spread.packed_gradient;
    result.in_noise = p->in_noise;
    result.out_noise = p->out_noise;
    return result;
}

static void forward_twice(perturbation *p, const bnn_pass *pass)
{
    bnn_pass spread = *pass;
    p->estimator->phi(pass->images * p->in_noise_count, pass->in[0], p->in_noise, p->in);
    spread.in[0] = p->in;
    spread.out = p->out;
    runner_forward(&p->mean, *pass);
    runner_forward(&p->spread, spread);
    p->estimator->psi(pass->images * p->out_noise_count, p->out, p->out_noise, pass->out);
}

static void backward_twice(perturbation *p, const bnn_pass *pass)
{
    bnn_pass spread = *pass;
    p->estimator->psi_adjoint(pass->images * p->out_noise_count, p->out, p->out_noise, pass->out_gradient,
                              p->out_gradient);
    spread.in[0] = p->in;
    spread.out = p->out;
    spread.out_gradient = p->out_gradient;
    spread.in_gradient[0] = pass->in_gradient[0] ? p->in_gradient : NULL;
    runner_backward(&p->mean, *pass);
    runner_backward(&p->spread, spread);
    if (pass->in_gradient[0])
        p->estimator->phi_adjoint(pass->images * p->in_noise_count, pass->in[0], p->in_noise, p->in_gradient,
                                  pass->in_gradient[0]);
}

void perturbation_forward(perturbation *p, const bnn_pass *pass)
{
    draw_noise(p, pass->images);
    if (p->mean.shape.noise)
        runner_forward(&p->mean, with_noise(p, pass));
    else
        forward_twice(p, pass);
}

void perturbation_backward(perturbation *p, const bnn_pass *pass)
{
    if (p->mean.shape.noise)
        runner_backward(&p->mean, with_noise(p, pass));
    else
        backward_twice(p, pass);
}
