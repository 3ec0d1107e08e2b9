/* Networks as graphs: what a workspace runs together against every layer by itself, sums and outputs that are used twice, the
 * rows of layer types, and layers that do not fit. */
#include "networks.h"

#include <stdlib.h>
#include <string.h>

#include "bnn/engine.h"
#include "network/plan.h"

enum { CLASSES = 3 };

static void check(bnn_status status, const bnn_error *error)
{
    if (status) fail_msg("%s", error->message);
}

/* ---- networks by hand ---------------------------------------------------------------------------------- */

static bnn_network *begin(size_t channels, size_t height, size_t width)
{
    bnn_network *network;
    bnn_error error;
    check(bnn_network_begin((size_t[]){channels, height, width}, CLASSES, 16, &network, &error), &error);
    return network;
}

/* Adds a layer; returns its number. */
static size_t add(bnn_network *network, bnn_layer layer, size_t a, size_t b)
{
    bnn_error error;
    layer.inputs[0] = a;
    layer.inputs[1] = b;
    layer.stream = network->layer_count;
    snprintf(layer.name, sizeof layer.name, "%s.%zu", layer.type->row.name, network->layer_count);
    check(bnn_network_add(network, &layer, &error), &error);
    return network->layer_count - 1;
}

static size_t add_conv(bnn_network *network, size_t in, size_t channels, bnn_representation representation)
{
    return add(network,
               (bnn_layer){.type = &bnn_layer_conv,
                           .shape = {.out.channels = channels, .kernel = 3},
                           .out_representation = representation},
               in, 0);
}

static size_t add_plain(bnn_network *network, const bnn_layer_type *type, size_t a, size_t b)
{
    return add(network, (bnn_layer){.type = type}, a, b);
}

static size_t add_head(bnn_network *network, size_t in)
{
    return add(network, (bnn_layer){.type = &bnn_layer_dense, .shape.out.channels = CLASSES}, in, 0);
}

/* conv, relu; then conv, relu, conv and the sum with what they began with, relu, max-pool; mean, dense. */
static bnn_network *residual(bnn_representation representation)
{
    bnn_network *network = begin(2, 8, 8);
    const size_t first =
        add_plain(network, &bnn_layer_relu, add_conv(network, BNN_IMAGES, 8, representation), 0);
    const size_t inner = add_plain(network, &bnn_layer_relu, add_conv(network, first, 8, representation), 0);
    const size_t sum = add_plain(network, &bnn_layer_sum, add_conv(network, inner, 8, representation), first);
    const size_t pooled =
        add_plain(network, &bnn_layer_max_pool, add_plain(network, &bnn_layer_relu, sum, 0), 0);
    add_head(network, add_plain(network, &bnn_layer_mean, pooled, 0));
    return network;
}

/* A sum of one output with itself; a convolution whose output, and one whose ReLU, is used twice; a pool without a ReLU;
 * what stands before any parameter; a dense layer on the grid. */
static bnn_network *entangled(bnn_representation representation)
{
    bnn_network *network = begin(1, 8, 8);
    const size_t images = add_plain(network, &bnn_layer_relu, BNN_IMAGES, 0);
    const size_t a = add_conv(network, images, 8, representation);
    const size_t relu = add_plain(network, &bnn_layer_relu, a, 0);
    const size_t twice = add_plain(network, &bnn_layer_sum, relu, relu);
    const size_t both = add_plain(network, &bnn_layer_sum, a, twice);
    const size_t pool =
        add_plain(network, &bnn_layer_max_pool, add_conv(network, both, 8, representation), 0);
    const size_t skip = add_plain(network, &bnn_layer_max_pool, relu, 0);
    add_head(network, add_plain(network, &bnn_layer_sum, skip, pool));
    return network;
}

static bnn_network *(*const graphs[])(bnn_representation) = {residual, entangled};
#define GRAPHS (sizeof graphs / sizeof *graphs)

/* ---- the passes ---------------------------------------------------------------------------------------- */

/* A workspace's logits of `images` images against each layer by itself, by the kernels of each set, relative in the Euclidean norm:
 * a logit may come out small by chance. */
static void compare_forward(const bnn_network *network, const char *set)
{
    enum { IMAGES = 5 };
    const size_t count = bnn_network_in_count(network);
    bnn_real *x = test_normals(IMAGES * count, 4), *w = test_normals(network->parameter_count, 5);
    bnn_error error;
    for (size_t j = 0; j < network->parameter_count; j++) w[j] *= (bnn_real)0.3;
    for (int train = 0; train < 2; train++) {
        bnn_workspace *workspace;
        const bnn_workspace_options options = {.block = IMAGES, .train = train, .kernels = set};
        check(bnn_workspace_create(network, &options, &workspace, &error), &error);
        bnn_real *gradient = test_zeros(network->parameter_count);
        bnn_real *packed = test_zeros(bnn_workspace_packed_count(workspace));
        for (size_t part = 0; part < bnn_workspace_parts(workspace); part++)
            bnn_workspace_pack(workspace, part, w, NULL, packed);
        bnn_workspace_begin(workspace,
                            &(bnn_unit){.weights = w, .packed = packed, .gradient = train ? gradient : NULL});
        const bnn_real *found = bnn_workspace_forward(workspace, x, IMAGES);
        double difference = 0, size = 0;
        for (size_t n = 0; n < IMAGES; n++) {
            bnn_real expected[CLASSES];
            naive_forward(network, w, x + n * count, expected);
            for (size_t c = 0; c < CLASSES; c++) {
                const double d = (double)found[n * CLASSES + c] - (double)expected[c];
                difference += d * d;
                size += (double)expected[c] * (double)expected[c];
            }
        }
        const double relative = sqrt(difference / size);
        if (!(relative < (sizeof(bnn_real) == sizeof(float) ? 5e-6 : 1e-13)))
            fail_msg("%s: the logits differ by %.2e", set ? set : "default", relative);
        bnn_workspace_free(workspace);
        free(packed);
        free(gradient);
    }
    free(w);
    free(x);
}

static void graphs_run_as_their_layers_do(void **state)
{
    (void)state;
    for (size_t g = 0; g < GRAPHS; g++) {
        bnn_network *network = graphs[g](BNN_TRIVIAL);
        compare_forward(network, NULL);
        for (const bnn_kernel *const *kernel = bnn_conv_kernels; *kernel; kernel++)
            if (!(*kernel)->runs_here || (*kernel)->runs_here()) compare_forward(network, (*kernel)->set);
        bnn_network_free(network);
    }
}

/* A unit of 16 images with an estimator, in blocks of `block`: the logits, then the gradients of weights and spread; freed with
 * free(). */
static bnn_real *unit_in_blocks(const bnn_network *network, const bnn_estimator *estimator, size_t block)
{
    enum { IMAGES = 16 };
    const size_t n = network->parameter_count, image = bnn_network_in_count(network);
    bnn_real *result = test_zeros(IMAGES * CLASSES + 2 * n), *gradient = result + IMAGES * CLASSES;
    bnn_real *x = test_normals(IMAGES * image, 4), *w = test_normals(n, 5), *spread = test_normals(n, 6);
    const bnn_workspace_options options = {.block = block, .train = true, .estimator = estimator};
    bnn_workspace *workspace;
    bnn_error error;
    for (size_t j = 0; j < n; j++) w[j] *= (bnn_real)0.1, spread[j] = spread[j] * spread[j] * (bnn_real)0.01;
    check(bnn_workspace_create(network, &options, &workspace, &error), &error);
    bnn_real *packed = test_zeros(bnn_workspace_packed_count(workspace));
    for (size_t part = 0; part < bnn_workspace_parts(workspace); part++)
        bnn_workspace_pack(workspace, part, w, spread, packed);
    bnn_workspace_begin(workspace, &(bnn_unit){.weights = w,
                                               .packed = packed,
                                               .gradient = gradient,
                                               .spread = spread,
                                               .spread_gradient = gradient + n,
                                               .stream = {1, 2},
                                               .views = 1});
    for (size_t first = 0; first < IMAGES; first += block) {
        const size_t images = IMAGES - first < block ? IMAGES - first : block;
        bnn_real *logits = result + first * CLASSES, descent[IMAGES * CLASSES];
        memcpy(logits, bnn_workspace_forward(workspace, x + first * image, images),
               images * CLASSES * sizeof *logits);
        for (size_t i = 0; i < images * CLASSES; i++) descent[i] = (bnn_real)((first * CLASSES + i) % 5) - 2;
        bnn_workspace_backward(workspace, descent);
    }
    bnn_workspace_end(workspace);
    bnn_workspace_free(workspace);
    free(packed), free(spread), free(w), free(x);
    return result;
}

/* The noise of an image does not depend on the block that it is in, nor what is made of it: blocks of 16 go through the second
 * convolution in parts, those of 3 at once. */
static void blocks_do_not_matter(void **state)
{
    const bnn_network_spec spec = {.type = BNN_NETWORK_FCNN,
                                   .input = {1, 28, 28},
                                   .classes = CLASSES,
                                   .widths = {32, 64},
                                   .width_count = 2,
                                   .kernel = 3};
    bnn_network *network;
    bnn_error error;
    (void)state;
    check(bnn_network_create(&spec, &network, &error), &error);
    for (size_t e = 1; bnn_estimators[e]; e++) {
        const size_t logits = 16 * CLASSES, n = network->parameter_count;
        bnn_real *found = unit_in_blocks(network, bnn_estimators[e], 16),
                 *expected = unit_in_blocks(network, bnn_estimators[e], 3);
        for (size_t i = 0; i < 3; i++) { /* logits, the gradient of the weights, that of the spread */
            const size_t from = i == 0 ? 0 : logits + (i - 1) * n, count = i == 0 ? logits : n;
            double difference = 0, size = 0;
            for (size_t j = from; j < from + count; j++) {
                difference += pow((double)(found[j] - expected[j]), 2);
                size += pow((double)expected[j], 2);
            }
            assert_true(size > 0 && sqrt(difference / size) < ROUNDING);
        }
        free(expected), free(found);
    }
    bnn_network_free(network);
}

#ifdef BNN_DOUBLE
/* The gradient of a step, mu then rho (2 count), and the loss; threads and samples do not matter here. */
static double step(const bnn_posterior *q, const bnn_estimator *estimator, bnn_real *gradient)
{
    enum { ITEMS = 4 };
    const uint32_t labels[ITEMS] = {0, 1, 2, 1};
    const bnn_engine_options options = {
        .samples = 2, .items = ITEMS, .views = 1, .threads = 1, .estimator = estimator};
    bnn_real *x = test_normals(ITEMS * bnn_network_in_count(q->network), 6);
    bnn_engine *engine;
    bnn_error error;
    check(bnn_engine_create(q, &options, &engine, &error), &error);
    bnn_engine_draw(engine, 7, BNN_STREAM_TRAIN_NOISE, 0);
    const double nll = bnn_engine_step(engine, x, labels, 0).nll;
    if (gradient) {
        memcpy(gradient, bnn_engine_mu_gradient(engine), q->count * sizeof *gradient);
        memcpy(gradient + q->count, bnn_engine_scale_gradient(engine), q->count * sizeof *gradient);
    }
    bnn_engine_free(engine);
    free(x);
    return nll;
}

static void compare_with_differences(bnn_network *network, const bnn_estimator *estimator)
{
    const double by = 1e-6;
    bnn_posterior *q = test_posterior(network, 9);
    double *gradient = test_zeros(2 * q->count), largest = 0;
    for (size_t j = 0; j < q->count; j++) q->mu[j] *= 0.3, q->rho[j] -= 2;
    step(q, estimator, gradient);
    for (size_t j = 0; j < 2 * q->count; j++) largest = fmax(largest, fabs(gradient[j]));
    for (size_t j = 0; j < 2 * q->count; j += 3) {
        bnn_real *parameter = j < q->count ? &q->mu[j] : &q->rho[j - q->count];
        const double kept = *parameter;
        *parameter = kept + by;
        const double above = step(q, estimator, NULL);
        *parameter = kept - by;
        const double below = step(q, estimator, NULL);
        *parameter = kept;
        assert_close(gradient[j], (above - below) / (2 * by), 1e-7, largest);
    }
    free(gradient);
    bnn_posterior_free(q);
}

static void gradients_of_graphs_are_derivatives(void **state)
{
    (void)state;
    for (size_t g = 0; g < GRAPHS; g++)
        for (size_t e = 0; bnn_estimators[e]; e++) {
            bnn_network *network = graphs[g](BNN_TRIVIAL);
            compare_with_differences(network, bnn_estimators[e]);
            bnn_network_free(network);
        }
}
#endif

static void graphs_obey_the_equation(void **state)
{
    static const char *const groups[] = {"C2", "C4", "D1", "D4"};
    (void)state;
    for (size_t i = 0; i < GRAPHS * 4 * 2; i++) {
        bnn_network *network = graphs[i % GRAPHS](i / GRAPHS % 2 ? BNN_REGULAR : BNN_TRIVIAL);
        bnn_group *group = test_group(groups[i / GRAPHS / 2]);
        bnn_symmetry *symmetry;
        bnn_error error;
        char reason[256] = "";
        check(bnn_symmetry_create(group, network, &symmetry, &error), &error);
        bnn_real *w = test_normals(network->parameter_count, 3);
        for (size_t j = 0; j < network->parameter_count; j++) w[j] *= (bnn_real)0.3;
        assert_true(equation_defect(group, network, symmetry, w) < 10 * ROUNDING);
        if (!bnn_network_commutes(group, network, reason, sizeof reason)) fail_msg("%s", reason);
        free(w);
        bnn_symmetry_free(symmetry);
        bnn_group_free(group);
        bnn_network_free(network);
    }
}

/* ---- pools left out ------------------------------------------------------------------------------------ */

/* A plain image, (channels, height, width), in double. */
typedef struct image {
    size_t channels, height, width;
    double *values;
} image;

static double *pixel(const image *x, size_t c, size_t row, size_t column)
{
    return &x->values[(c * x->height + row) * x->width + column];
}

static image blank(size_t channels, size_t height, size_t width)
{
    image x = {channels, height, width, calloc(channels * height * width, sizeof(double))};
    assert_non_null(x.values);
    return x;
}

/* ReLU of a convolution padded with zeros; w <- past its parameters. */
static image convolve(const image *in, size_t channels, size_t kernel, const bnn_real **w)
{
    image out = blank(channels, in->height, in->width);
    const bnn_real *bias = *w + channels * in->channels * kernel * kernel;
    for (size_t o = 0; o < channels; o++)
        for (size_t y = 0; y < in->height; y++)
            for (size_t x = 0; x < in->width; x++) {
                double sum = (double)bias[o];
                for (size_t t = 0; t < in->channels * kernel * kernel; t++) {
                    const size_t row = y + t / kernel % kernel - kernel / 2,
                                 column = x + t % kernel - kernel / 2;
                    if (row < in->height && column < in->width) /* else, beyond 0 too */
                        sum += *pixel(in, t / kernel / kernel, row, column) *
                               (double)(*w)[o * in->channels * kernel * kernel + t];
                }
                *pixel(&out, o, y, x) = sum > 0 ? sum : 0;
            }
    *w = bias + channels;
    return out;
}

static image pool(const image *in)
{
    image out = blank(in->channels, in->height / 2, in->width / 2);
    for (size_t c = 0; c < in->channels; c++)
        for (size_t y = 0; y < out.height; y++)
            for (size_t x = 0; x < out.width; x++)
                *pixel(&out, c, y, x) =
                    fmax(fmax(*pixel(in, c, 2 * y, 2 * x), *pixel(in, c, 2 * y, 2 * x + 1)),
                         fmax(*pixel(in, c, 2 * y + 1, 2 * x), *pixel(in, c, 2 * y + 1, 2 * x + 1)));
    return out;
}

/* logits <- an fcnn or cnn straight from its specification. */
static void plain_network(const bnn_network_spec *spec, const bnn_real *w, const bnn_real *in, double *logits)
{
    image x = blank(spec->input[0], spec->input[1], spec->input[2]);
    for (size_t j = 0; j < x.channels * x.height * x.width; j++) x.values[j] = (double)in[j];
    for (size_t l = 0; l < spec->width_count; l++) {
        image next = convolve(&x, spec->widths[l], spec->kernel, &w);
        free(x.values);
        x = next;
        if (spec->unpooled[l]) continue;
        next = pool(&x);
        free(x.values);
        x = next;
    }
    const size_t pixels = x.height * x.width, inputs = x.channels * pixels;
    for (size_t k = 0; k < spec->classes;
         k++) { /* the mean of a 1x1 convolution's outputs, or one dense layer */
        const bool mean = spec->type == BNN_NETWORK_FCNN;
        logits[k] = (double)w[spec->classes * (mean ? x.channels : inputs) + k];
        for (size_t j = 0; j < inputs; j++)
            logits[k] += mean ? x.values[j] * (double)w[k * x.channels + j / pixels] / (double)pixels
                              : x.values[j] * (double)w[k * inputs + j];
    }
    free(x.values);
}

static void pools_may_be_left_out(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2 * 8; i++) {
        const bnn_network_spec spec = {.type = i % 2 ? BNN_NETWORK_CNN : BNN_NETWORK_FCNN,
                                       .input = {2, 11, 9},
                                       .classes = CLASSES,
                                       .widths = {4, 17, 5},
                                       .width_count = 3,
                                       .kernel = i % 3 ? 3 : 5,
                                       .unpooled = {i / 2 & 1, i / 4 & 1, i / 8 & 1}};
        bnn_network *network = test_network(&spec);
        bnn_real *w = test_normals(network->parameter_count, i), *x = test_normals(2 * 11 * 9, 2);
        bnn_real found[CLASSES];
        double expected[CLASSES];
        for (size_t j = 0; j < network->parameter_count; j++) w[j] *= (bnn_real)0.3;
        plain_network(&spec, w, x, expected);
        naive_forward(network, w, x, found);
        for (size_t c = 0; c < CLASSES; c++) assert_close(found[c], expected[c], ROUNDING, 1);
        compare_forward(network, NULL);
        compare_forward(network, "blas");
        free(x);
        free(w);
        bnn_network_free(network);
    }
}

/* ---- what is run together, and where it is kept -------------------------------------------------------- */

static void chains_run_as_few_kernels(void **state)
{
    static const struct {
        bnn_network_spec spec;
        size_t steps, together[4], streams[4];
    } cases[] = {
        {{.type = BNN_NETWORK_FCNN, .widths = {2, 3}, .width_count = 2}, 4, {3, 3, 1, 1}, {0, 1, 2, 3}},
        {{.type = BNN_NETWORK_FCNN, .widths = {2, 3}, .width_count = 2, .unpooled = {true}},
         4,
         {2, 3, 1, 1},
         {0, 1, 2, 3}},
        {{.type = BNN_NETWORK_CNN, .widths = {2, 3}, .width_count = 2}, 3, {3, 3, 1}, {0, 1, 2}},
        {{.type = BNN_NETWORK_MLP, .widths = {4, 4}, .width_count = 2}, 3, {2, 2, 1}, {0, 1, 2}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bnn_network_spec spec = cases[i].spec;
        bnn_error error;
        spec.input[0] = 1, spec.input[1] = spec.input[2] = 8, spec.classes = CLASSES, spec.kernel = 3;
        bnn_network *network = test_network(&spec);
        for (int train = 0; train < 2; train++) {
            plan p;
            check(plan_create(network, NULL, NULL, train, &p, &error), &error);
            assert_int_equal(p.step_count, cases[i].steps);
            for (size_t s = 0; s < p.step_count; s++) {
                bnn_kernel_shape shape;
                const size_t first = (size_t)(p.steps[s].layer - network->layers);
                assert_int_equal(bnn_network_fused(network, first, &shape), cases[i].together[s]);
                assert_int_equal(p.steps[s].layer->stream, cases[i].streams[s]);
            }
            assert_int_equal(p.out_slots,
                             train ? p.step_count : 2); /* two in turns, where none is read again */
            assert_int_equal(p.gradient_slots, train ? 2 : 0);
            plan_free(&p);
        }
        bnn_network_free(network);
    }
}

/* No buffer holds two things at once: of those in one slot, each begins after the one before it has ended. */
static void buffers_are_not_shared_in_time(void **state)
{
    (void)state;
    for (size_t g = 0; g < 2 * GRAPHS; g++) {
        bnn_network *network = graphs[g / 2](BNN_TRIVIAL);
        plan p;
        bnn_error error;
        check(plan_create(network, NULL, NULL, g % 2, &p, &error), &error);
        for (size_t a = 0; a < p.step_count; a++)
            for (size_t b = 0; b < p.step_count; b++) {
                const plan_range *pairs[][2] = {{&p.steps[a].out, &p.steps[b].out},
                                                {&p.steps[a].gradient, &p.steps[b].gradient}};
                for (size_t k = 0; k < 2 && a != b; k++) {
                    const plan_range *x = pairs[k][0], *y = pairs[k][1];
                    if (x->kept && y->kept && x->slot == y->slot)
                        assert_true(x->end < y->begin || y->end < x->begin);
                }
            }
        plan_free(&p);
        bnn_network_free(network);
    }
}

/* ---- a layer type of one's own: one row and its arithmetic ------------------------------------------------ */

/* out[c] = weight[c] in[c] + bias[c], of a flat activation; one weight a channel. */
static void gain_forward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t n = shape->in.channels;
    for (size_t j = 0; j < pass->images * n; j++)
        pass->out[j] = pass->packed[j % n] * pass->in[0][j] + pass->packed[n + j % n];
}

static void gain_backward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t n = shape->in.channels;
    if (!pass->add) memset(pass->packed_gradient, 0, 2 * n * sizeof *pass->packed_gradient);
    for (size_t j = 0; j < pass->images * n; j++) {
        pass->packed_gradient[j % n] += pass->out_gradient[j] * pass->in[0][j];
        pass->packed_gradient[n + j % n] += pass->out_gradient[j];
        if (pass->in_gradient[0]) pass->in_gradient[0][j] = pass->packed[j % n] * pass->out_gradient[j];
    }
}

static const bnn_kernel gain_kernel = {.name = "gain", .forward = gain_forward, .backward = gain_backward};
static const bnn_kernel *const gain_kernels[] = {&gain_kernel, NULL};

static bnn_status gain_infer(const bnn_network *network, bnn_layer *layer, bnn_error *error)
{
    (void)network, (void)error;
    layer->shape.out = layer->shape.in;
    layer->out_representation = layer->in_representation;
    layer->weight_rank = 1;
    layer->weight_shape[0] = layer->weight_count = layer->bias_count = layer->shape.in.channels;
    layer->places = 1;
    return BNN_OK;
}

static void gain_initial(const bnn_layer *layer, double *mean, double *deviation)
{
    (void)layer;
    *mean = 1;
    *deviation = 0;
}

static bnn_status gain_places(const bnn_group *group, const bnn_layer *layer, uint32_t **source,
                              bnn_error *error)
{
    (void)layer;
    return bnn_group_kernel_action(group, 1, source, error);
}

static bool gain_commutes(const bnn_group *group, const bnn_network *network, const bnn_layer *layer,
                          char *reason, size_t size)
{
    (void)group, (void)network, (void)layer, (void)reason, (void)size;
    return true;
}

static const bnn_layer_type gain = {.row = {.name = "gain"},
                                    .inputs = 1,
                                    .kernels = gain_kernels,
                                    .infer = gain_infer,
                                    .initial = gain_initial,
                                    .place_action = gain_places,
                                    .commutes = gain_commutes};

static bnn_network *with_gain(const bnn_layer_type *type)
{
    bnn_network *network = begin(2, 4, 4);
    const size_t mean = add_plain(network, &bnn_layer_mean, add_conv(network, BNN_IMAGES, 8, BNN_REGULAR), 0);
    add_head(network, add_plain(network, type, mean, 0));
    return network;
}

static void a_type_is_one_row(void **state)
{
    bnn_network *network = with_gain(&gain);
    bnn_group *group = test_group("D4");
    bnn_symmetry *symmetry;
    bnn_error error;
    (void)state;
    compare_forward(network, NULL);
#ifdef BNN_DOUBLE
    for (size_t e = 0; bnn_estimators[e]; e++) compare_with_differences(network, bnn_estimators[e]);
#endif
    bnn_posterior *q = test_posterior(network, 1);
    bnn_posterior_initialise(q, BNN_INIT_KAIMING, -3, 1);
    for (size_t j = 0; j < 8; j++) assert_true(q->mu[network->layers[2].weight_offset + j] == 1);
    check(bnn_symmetry_create(group, network, &symmetry, &error), &error);
    bnn_real *w = test_normals(network->parameter_count, 3);
    assert_true(equation_defect(group, network, symmetry, w) < 10 * ROUNDING);
    free(w);
    bnn_symmetry_free(symmetry);
    bnn_posterior_free(q);
    bnn_group_free(group);
    bnn_network_free(network);
}

/* ---- refused ------------------------------------------------------------------------------------------- */

/* What a row leaves out is not taken for granted. */
static void what_a_row_does_not_say_is_refused(void **state)
{
    bnn_layer_type silent = gain;
    bnn_group *group = test_group("C4");
    bnn_symmetry *symmetry;
    bnn_error error;
    char reason[256] = "";
    (void)state;
    silent.commutes = NULL;
    bnn_network *network = with_gain(&silent);
    assert_false(bnn_network_commutes(group, network, reason, sizeof reason));
    assert_non_null(strstr(reason, "gain.2: layers of type gain do not say that they commute"));
    silent.place_action = NULL;
    assert_int_equal(bnn_symmetry_create(group, network, &symmetry, &error), BNN_BAD_INPUT);
    assert_non_null(strstr(error.message, "gain.2: layers of type gain say of no group"));
    assert_null(symmetry);
    silent.initial = NULL;
    const bnn_layer layer = {.type = &silent, .name = "x", .inputs = {1}};
    assert_int_equal(bnn_network_add(network, &layer, &error), BNN_FAILED);
    assert_non_null(strstr(error.message, "how their weights begin"));
    silent.infer = NULL;
    assert_int_equal(bnn_network_add(network, &layer, &error), BNN_FAILED);
    assert_non_null(strstr(error.message, "what their output is"));
    bnn_network_free(network);
    bnn_group_free(group);
}

/* An expansion pairs the layers of two networks: one of them has a type that says nothing of its scale. */
static void expansion_asks_for_a_scale(void **state)
{
    static const bnn_network_spec small = {
        .type = BNN_NETWORK_MLP, .input = {1, 2, 2}, .classes = CLASSES, .widths = {2}, .width_count = 1};
    bnn_layer_type silent = bnn_layer_dense;
    bnn_network_spec spec;
    bnn_group *group = test_group("C4");
    bnn_error error;
    (void)state;
    silent.expansion_scale = NULL;
    check(bnn_expanded_spec(group, &small, &spec, &error), &error);
    bnn_network *from = test_network(&small), *to = test_network(&spec);
    bnn_posterior *q = test_posterior(from, 1), *expanded = test_posterior(to, 1);
    from->layers[0].type = to->layers[0].type = &silent;
    assert_int_equal(bnn_posterior_expand(group, BNN_GCNN, q, expanded, &error), BNN_BAD_INPUT);
    assert_non_null(strstr(error.message, "fc_layers.0: layers of type dense say of no expansion"));
    bnn_posterior_free(expanded);
    bnn_posterior_free(q);
    bnn_network_free(to);
    bnn_network_free(from);
    bnn_group_free(group);
}

/* Every row: what it has to say, that parameters come with all that is asked of them, and that spreads are drawn where it says
 * so. */
static void rows_are_whole(void **state)
{
    (void)state;
    for (size_t i = 0; bnn_layer_types[i]; i++) {
        const bnn_layer_type *type = bnn_layer_types[i];
        assert_true(type->row.name && type->row.summary && bnn_layer_type_row(i) == &type->row);
        assert_true(type->infer && type->commutes && type->kernels && type->kernels[0]);
        assert_true(type->inputs >= 1 && type->inputs <= BNN_MAX_INPUTS);
        assert_int_equal(type->initial != NULL, type->place_action != NULL);
        assert_int_equal(type->initial != NULL, type->expansion_scale != NULL);
        for (size_t j = 0; j < i; j++) assert_string_not_equal(type->row.name, bnn_layer_types[j]->row.name);
    }
    for (size_t e = 0; bnn_estimators[e]; e++) {
        const bnn_estimator *row = bnn_estimators[e];
        assert_ptr_equal(bnn_estimator_find(row->row.name), row);
        assert_true(!row->perturbs || (row->spread && row->pull_back && row->noise && row->phi &&
                                       row->phi_adjoint && row->psi && row->psi_adjoint));
        if (!row->spread) continue;
        const bnn_real sigma = (bnn_real)0.5, eps[2] = {1, 2};
        bnn_real spread[2];
        for (size_t i = 0; i < 2; i++) row->spread(1, &sigma, &eps[i], &spread[i]);
        assert_int_equal(row->drawn, spread[0] < spread[1]);
    }
}

static void assert_refused(const bnn_network *network, bnn_layer layer, const char *message)
{
    bnn_network copy = *network;
    bnn_error error;
    snprintf(layer.name, sizeof layer.name, "it");
    assert_int_equal(bnn_network_add(&copy, &layer, &error), BNN_BAD_INPUT);
    if (!strstr(error.message, message)) fail_msg("%s", error.message);
    assert_int_equal(copy.layer_count, network->layer_count);
}

static void layers_that_do_not_fit(void **state)
{
    const bnn_layer conv = {.type = &bnn_layer_conv, .shape = {.out.channels = 4, .kernel = 3}};
    bnn_network *network = begin(4, 5, 1);
    (void)state;
    add_conv(network, BNN_IMAGES, 4, BNN_TRIVIAL);
    add_plain(network, &bnn_layer_mean, 0, 0);
    bnn_layer layer = conv;
    layer.inputs[0] = 1;
    assert_refused(network, layer, "it: found a flat input, expected pixels");
    layer = conv;
    layer.shape.kernel = 2;
    assert_refused(network, layer, "it: found a kernel of side 2");
    assert_refused(network, (bnn_layer){.type = &bnn_layer_max_pool}, "it: found 5 x 1 pixels");
    assert_refused(network, (bnn_layer){.type = &bnn_layer_mean, .inputs = {BNN_IMAGES}},
                   "it: found the images");
    assert_refused(network, (bnn_layer){.type = &bnn_layer_sum, .inputs = {0, BNN_IMAGES}},
                   "it: found inputs of 4 x 5 x 1 and 4 x 5 x 1, expected one shape, layout");
    assert_refused(network, (bnn_layer){.type = &bnn_layer_sum, .inputs = {0, 1}},
                   "it: found inputs of 4 x 5 x 1 and 4 x 1 x 1");
    assert_refused(network, (bnn_layer){.type = &bnn_layer_dense, .weight_rank = 4, .shape.out.channels = 2},
                   "it: found an input of 5 x 1 pixels");
    bnn_network_free(network);
}

static void networks_that_are_not_complete(void **state)
{
    const bnn_workspace_options options = {.block = 1};
    bnn_workspace *workspace;
    bnn_error error;
    (void)state;
    bnn_network *network = begin(1, 4, 4);
    assert_int_equal(bnn_workspace_create(network, &options, &workspace, &error), BNN_BAD_INPUT);
    assert_non_null(strstr(error.message, "without layers"));
    add_conv(network, BNN_IMAGES, CLASSES, BNN_TRIVIAL);
    assert_int_equal(bnn_workspace_create(network, &options, &workspace, &error), BNN_BAD_INPUT);
    assert_non_null(strstr(error.message, "conv.0: found an output of 3 x 4 x 4, expected 3 logits"));
    add_head(network, BNN_IMAGES);
    assert_int_equal(bnn_workspace_create(network, &options, &workspace, &error), BNN_BAD_INPUT);
    assert_non_null(strstr(error.message, "conv.0: no layer takes its output"));
    const bnn_layer ahead = {.type = &bnn_layer_relu, .name = "ahead", .inputs = {2}};
    assert_int_equal(bnn_network_add(network, &ahead, &error), BNN_FAILED);
    assert_non_null(strstr(error.message, "ahead: found input 2, expected one of the 2 layers before it"));
    network->capacity = 2;
    assert_int_equal(bnn_network_add(network, &ahead, &error), BNN_FAILED);
    assert_non_null(strstr(error.message, "more layers than the 2"));
    bnn_network_free(network);
}

/* Small while the activations of a narrow network fill the cache, larger in training where the weights outweigh them, never
 * more than asked for, and whole items. */
static void blocks_fit_the_network(void **state)
{
    static const struct {
        bool train;
        size_t widths[2], least, most;
    } cases[] = {{true, {32, 64}, 4, 8},
                 {true, {128, 256}, 9, 16},
                 {true, {256, 512}, 16, 16},
                 {false, {256, 512}, 4, 8}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bnn_network_spec spec = {.type = BNN_NETWORK_FCNN,
                                       .input = {1, 28, 28},
                                       .classes = CLASSES,
                                       .widths = {cases[i].widths[0], cases[i].widths[1]},
                                       .width_count = 2,
                                       .kernel = 3};
        bnn_network *network;
        bnn_error error;
        check(bnn_network_create(&spec, &network, &error), &error);
        bnn_workspace_options options = {.block = 128, .train = cases[i].train};
        assert_in_range(bnn_network_block(network, &options, 1), cases[i].least, cases[i].most);
        assert_int_equal(bnn_network_block(network, &options, 4) % 4, 0);
        assert_int_equal(bnn_network_block(network, &options, 32), 32);
        options.block = 3;
        assert_int_equal(bnn_network_block(network, &options, 1), 3);
        bnn_network_free(network);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graphs_run_as_their_layers_do),
        cmocka_unit_test(blocks_do_not_matter),
#ifdef BNN_DOUBLE
        cmocka_unit_test(gradients_of_graphs_are_derivatives),
#endif
        cmocka_unit_test(graphs_obey_the_equation),
        cmocka_unit_test(pools_may_be_left_out),
        cmocka_unit_test(chains_run_as_few_kernels),
        cmocka_unit_test(buffers_are_not_shared_in_time),
        cmocka_unit_test(a_type_is_one_row),
        cmocka_unit_test(what_a_row_does_not_say_is_refused),
        cmocka_unit_test(expansion_asks_for_a_scale),
        cmocka_unit_test(rows_are_whole),
        cmocka_unit_test(layers_that_do_not_fit),
        cmocka_unit_test(networks_that_are_not_complete),
        cmocka_unit_test(blocks_fit_the_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
