#include "network/perturbation.h"

#include <stdlib.h>

#include "network/plan.h"

/* How many images of a block go through a kernel with noise at a time: as many as weigh what its weights do, which each part
 * reads again, but no fewer than fill its products. */
static size_t part_of_block(const bnn_kernel *kernel, const bnn_kernel_shape *shape, size_t block)
{
    const size_t image = bnn_kernel_saved_count(kernel, shape, 1) +
                         bnn_kernel_scratch_count(kernel, shape, 1) + bnn_out_noise_count(shape);
    const size_t part = larger(2 * bnn_kernel_packed_count(kernel, shape) / image, 4);
    return part < block ? part : block;
}

static bool allocate(perturbation *p, const bnn_kernel *kernel, const bnn_kernel_shape *shape, size_t block)
{
    const bool twice = !shape->noise;
    p->part = twice ? block : part_of_block(kernel, shape, block);
    p->saved_count =
        bnn_channel_stride(bnn_kernel_saved_count(kernel, shape, p->part)); /* keeps them aligned */
    const size_t parts = (block + p->part - 1) / p->part;
    const size_t images = shape->noise == BNN_NOISE_NORMALS ? p->part : block; /* see noise_of() */
    const size_t in = bnn_activation_count(&shape->in), out = bnn_activation_count(&shape->out);
    p->in_noise_count = twice ? in : bnn_in_noise_count(shape);
    p->out_noise_count = twice ? out : bnn_out_noise_count(shape);
    const struct {
        bnn_real **buffer;
        size_t count;
    } wanted[] = {{&p->in_noise, p->in_noise_count}, {&p->out_noise, p->out_noise_count},
                  {&p->in, twice ? in : 0},          {&p->in_gradient, twice ? in : 0},
                  {&p->out, twice ? out : 0},        {&p->out_gradient, twice ? out : 0}};
    bool complete = runner_create(&p->mean, kernel, shape, p->layer, twice ? block : 0, true);
    complete = runner_create(&p->spread, kernel, shape, p->layer, twice ? block : 0, true) && complete;
    p->saved = bnn_alloc(twice ? 0 : parts * p->saved_count, sizeof(bnn_real));
    complete = complete && p->saved;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        *wanted[i].buffer = bnn_alloc(images * wanted[i].count, sizeof(bnn_real));
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
    free(p->saved);
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

/* Where the noise of a block's images from `first` on is: normals are needed forward alone, so that parts share a buffer. */
static size_t noise_of(const perturbation *p, size_t first)
{
    return p->mean.shape.noise == BNN_NOISE_NORMALS ? 0 : first;
}

/* The noise of `images` of the unit's next block, from its `first` on. */
static void draw_noise(perturbation *p, size_t first, size_t images)
{
    for (size_t n = 0; n < images; n++) { /* an item's views share their noise */
        const uint64_t item = (p->first + first + n) / p->views;
        const size_t at = noise_of(p, first) + n;
        const bnn_stream stream =
            bnn_stream_of(p->stream.state, BNN_STREAM_ESTIMATOR_NOISE, p->stream.sequence, item, 0);
        bnn_real *in = p->in_noise + at * p->in_noise_count, *out = p->out_noise + at * p->out_noise_count;
        p->estimator->noise(p->layer, stream, in, out);
        if (!p->mean.shape.noise && p->estimator->expand) p->estimator->expand(p->layer, in, out);
    }
}

/* What a kernel with noise takes for the part of a block that begins with image `first`. */
static bnn_pass part_of_pass(const perturbation *p, const bnn_pass *pass, size_t first)
{
    const bnn_kernel_shape *shape = &p->mean.shape;
    const size_t in = first * bnn_activation_count(&shape->in),
                 out = first * bnn_activation_count(&shape->out);
    bnn_pass part = *pass;
    part.images = pass->images - first < p->part ? pass->images - first : p->part;
    part.packed = p->mean.packed;
    part.packed_gradient = p->mean.packed_gradient;
    part.spread = p->spread.packed;
    part.spread_gradient = p->spread.packed_gradient;
    part.in_noise = p->in_noise + noise_of(p, first) * p->in_noise_count;
    part.out_noise = p->out_noise + noise_of(p, first) * p->out_noise_count;
    part.in[0] += in;
    part.out += out;
    part.saved = p->saved + first / p->part * p->saved_count;
    part.add = pass->add || first > 0;
    if (part.out_gradient) part.out_gradient += out;
    if (part.in_gradient[0]) part.in_gradient[0] += in;
    return part;
}

static void forward_twice(perturbation *p, const bnn_pass *pass)
{
    bnn_pass spread = *pass;
    draw_noise(p, 0, pass->images);
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
    const runner *r = &p->mean;
    if (!r->shape.noise) forward_twice(p, pass);
    for (size_t first = 0; r->shape.noise && first < pass->images; first += p->part) {
        const bnn_pass part = part_of_pass(p, pass, first);
        draw_noise(p, first, part.images);
        r->kernel->forward(&r->shape, &part);
    }
    p->first += pass->images;
}

void perturbation_backward(perturbation *p, const bnn_pass *pass)
{
    const runner *r = &p->mean;
    if (!r->shape.noise) backward_twice(p, pass);
    for (size_t first = 0; r->shape.noise && first < pass->images; first += p->part) {
        const bnn_pass part = part_of_pass(p, pass, first);
        r->kernel->backward(&r->shape, &part);
    }
}
