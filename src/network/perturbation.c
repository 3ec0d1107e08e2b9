#include "network/perturbation.h"

#include <stdlib.h>
#include <string.h>

#include "network/plan.h"

/* How many images of a block go through a kernel with noise at a time: as many as weigh what its weights do, which each part
 * reads again, but no fewer than fill its products, or than the samples of an input, which share sums. */
static size_t part_of_block(const perturbation *p, const bnn_kernel *kernel, const bnn_kernel_shape *shape,
                            const bnn_workspace_options *o)
{
    const size_t image =
        bnn_kernel_saved_count(kernel, shape, 1) + bnn_kernel_scratch_count(kernel, shape, 1);
    const size_t part = larger(2 * bnn_kernel_packed_count(kernel, shape) / image, 4);
    const size_t least = larger(part, p->of_images ? o->samples : 1);
    return least < o->block ? least : o->block;
}

static bool allocate(perturbation *p, const bnn_kernel *kernel, const bnn_kernel_shape *shape,
                     const bnn_workspace_options *o)
{
    const bool twice = !shape->noise;
    const size_t block = o->block;
    p->part = twice ? block : part_of_block(p, kernel, shape, o);
    p->saved_count =
        bnn_channel_stride(bnn_kernel_saved_count(kernel, shape, p->part));          /* keeps them aligned */
    const size_t parts = (p->of_images ? 2 : 1) * ((block + p->part - 1) / p->part); /* see part_from() */
    const size_t images = shape->noise == BNN_NOISE_NORMALS ? p->part : block;       /* see noise_of() */
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

bnn_status perturbation_create(const bnn_layer *layer, const bnn_kernel *kernel,
                               const bnn_kernel_shape *shape, const bnn_workspace_options *options,
                               perturbation **result, bnn_error *error)
{
    perturbation *p = bnn_alloc(1, sizeof *p);
    if (!p) return bnn_no_memory(error, "an estimator", 1, sizeof *p);
    p->estimator = options->estimator;
    p->layer = layer;
    p->of_images = layer->inputs[0] == BNN_IMAGES;
    if (!allocate(p, kernel, shape, options)) {
        perturbation_free(p);
        return bnn_no_memory(error, "an estimator", options->block, sizeof(bnn_real));
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
    p->last_noise = NULL;
    p->samples = p->of_images && unit->samples > 1 ? unit->samples : 1;
    p->paired = p->estimator->paired && unit->samples > 1 ? unit->samples : 1;
}

/* The noise of `images` of the unit's next block, from its `first` on, in the buffers from image `at` on. */
static void draw_noise(perturbation *p, size_t first, size_t images, size_t at)
{
    for (size_t n = 0; n < images; n++) { /* an item's views share their noise */
        const size_t row = p->first + first + n;
        const bnn_real *last = p->last_noise;
        const bool second = row % p->paired % 2 == 1, drawn = second && last && p->last + 1 == row;
        const bnn_stream stream = bnn_stream_of(p->stream.state, BNN_STREAM_ESTIMATOR_NOISE,
                                                p->stream.sequence, (row - second) / p->views, 0);
        bnn_real *in = p->in_noise + (at + n) * p->in_noise_count,
                 *out = p->out_noise + (at + n) * p->out_noise_count;
        const bnn_real *pair = drawn ? last : out;
        if (!drawn) p->estimator->noise(p->layer, stream, in, out);
        if (!p->mean.shape.noise && p->estimator->expand) p->estimator->expand(p->layer, in, out);
        for (size_t j = 0; second && pair && j < p->out_noise_count; j++) out[j] = -pair[j];
        p->last = row;
        p->last_noise = out;
    }
}

/* Whether bnn_pass.pairs. */
static bool pairs(const perturbation *p)
{
    return p->samples > 1 && p->paired > 1;
}

/* bnn_pass.draw */
static void draw_normals(void *context, size_t n, size_t images)
{
    perturbation *p = context;
    const size_t step = pairs(p) ? 2 : 1;
    for (size_t k = 0; k < images; k += step) draw_noise(p, p->part_first + n + k, 1, k / step);
}

/* The images of a block in the part that begins with image `first`: parts are of nearly one size, of whole inputs. There are no
 * more than twice as many as of p->part images. */
static size_t part_from(const perturbation *p, size_t images, size_t first)
{
    const size_t inputs = (images - first) / p->samples, most = p->part / p->samples,
                 parts = (inputs + most - 1) / most;
    return (inputs + parts - 1) / parts * p->samples;
}

/* What a kernel with noise takes for part `number` of a block, that begins with image `first`. */
static bnn_pass part_of_pass(perturbation *p, const bnn_pass *pass, size_t number, size_t first)
{
    const bnn_kernel_shape *shape = &p->mean.shape;
    const bool normals = shape->noise == BNN_NOISE_NORMALS;
    const size_t in = first / p->samples * bnn_activation_count(&shape->in),
                 out = first * bnn_activation_count(&shape->out);
    bnn_pass part = *pass;
    part.images = part_from(p, pass->images, first);
    part.samples = p->samples;
    part.packed = p->mean.packed;
    part.packed_gradient = p->mean.packed_gradient;
    part.spread = p->spread.packed;
    part.spread_gradient = p->spread.packed_gradient;
    part.in_noise = p->in_noise + first * p->in_noise_count;
    part.out_noise = p->out_noise + (normals ? 0 : first * p->out_noise_count);
    part.draw = normals ? draw_normals : NULL;
    part.pairs = normals && pairs(p);
    part.context = p;
    p->part_first = first;
    part.in[0] += in;
    part.out += out;
    part.saved = p->saved + number * p->saved_count;
    part.add = pass->add || first > 0;
    if (part.out_gradient) part.out_gradient += out;
    if (part.in_gradient[0]) part.in_gradient[0] += in;
    return part;
}

/* Outputs of (inputs) to (inputs, samples), in place. */
static void repeat(const perturbation *p, size_t images, bnn_real *out)
{
    const size_t count = p->out_noise_count;
    for (size_t n = images; p->samples > 1 && n-- > 0;)
        memmove(out + n * count, out + n / p->samples * count, count * sizeof *out);
}

/* The adjoint: the sums over samples. */
static void add_samples(const perturbation *p, size_t images, bnn_real *gradient)
{
    const size_t count = p->out_noise_count;
    for (size_t n = 0; p->samples > 1 && n < images; n++) {
        bnn_real *sum = gradient + n / p->samples * count;
        const bnn_real *sample = gradient + n * count;
        if (n % p->samples == 0)
            memmove(sum, sample, count * sizeof *sum);
        else
            for (size_t j = 0; j < count; j++) sum[j] += sample[j];
    }
}

static void forward_twice(perturbation *p, const bnn_pass *pass)
{
    bnn_pass mean = *pass, spread;
    mean.images /= p->samples;
    spread = mean;
    draw_noise(p, 0, pass->images, 0);
    p->estimator->phi(mean.images * p->in_noise_count, pass->in[0], p->in_noise, p->in);
    spread.in[0] = p->in;
    spread.out = p->out;
    runner_forward(&p->mean, mean);
    runner_forward(&p->spread, spread);
    repeat(p, pass->images, mean.out);
    repeat(p, pass->images, spread.out);
    p->estimator->psi(pass->images * p->out_noise_count, p->out, p->out_noise, pass->out);
}

static void backward_twice(perturbation *p, const bnn_pass *pass)
{
    bnn_pass mean = *pass, spread;
    p->estimator->psi_adjoint(pass->images * p->out_noise_count, p->out, p->out_noise, pass->out_gradient,
                              p->out_gradient);
    add_samples(p, pass->images, pass->out_gradient);
    add_samples(p, pass->images, p->out_gradient);
    mean.images /= p->samples;
    spread = mean;
    spread.in[0] = p->in;
    spread.out = p->out;
    spread.out_gradient = p->out_gradient;
    spread.in_gradient[0] = pass->in_gradient[0] ? p->in_gradient : NULL;
    runner_backward(&p->mean, mean);
    runner_backward(&p->spread, spread);
    if (pass->in_gradient[0])
        p->estimator->phi_adjoint(mean.images * p->in_noise_count, pass->in[0], p->in_noise, p->in_gradient,
                                  pass->in_gradient[0]);
}

void perturbation_forward(perturbation *p, const bnn_pass *pass)
{
    const runner *r = &p->mean;
    if (!r->shape.noise) forward_twice(p, pass);
    for (size_t k = 0, first = 0; r->shape.noise && first < pass->images; k++) {
        const bnn_pass part = part_of_pass(p, pass, k, first);
        if (!part.draw) draw_noise(p, first, part.images, first);
        r->kernel->forward(&r->shape, &part);
        first += part.images;
    }
    p->first += pass->images;
}

void perturbation_backward(perturbation *p, const bnn_pass *pass)
{
    const runner *r = &p->mean;
    if (!r->shape.noise) backward_twice(p, pass);
    for (size_t k = 0, first = 0; r->shape.noise && first < pass->images; k++) {
        const bnn_pass part = part_of_pass(p, pass, k, first);
        r->kernel->backward(&r->shape, &part);
        first += part.images;
    }
}
