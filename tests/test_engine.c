/* The training step: gradients against finite differences of the loss, bit-identity over threads, and the objective
 * over views against its definition. */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/engine.h"
#include "bnn/optimizer.h"
#include "bnn/rng.h"

enum { ITEMS = 5, CLASSES = 3 };

/* A random posterior on a small network, and a random batch. */
typedef struct fixture {
    bnn_network *network;
    bnn_posterior *posterior;
    bnn_engine *engine;
    bnn_real *in;
    uint32_t labels[ITEMS];
} fixture;

static const bnn_network_spec specs[] = {
    {.type = BNN_NETWORK_MLP,
     .input = {1, 3, 4},
     .classes = CLASSES,
     .widths = {7, 5},
     .width_count = 2,
     .kernel = 3},
    {.type = BNN_NETWORK_CNN,
     .input = {2, 8, 6},
     .classes = CLASSES,
     .widths = {3, 4},
     .width_count = 2,
     .kernel = 3},
    {.type = BNN_NETWORK_FCNN,
     .input = {1, 9, 8},
     .classes = CLASSES,
     .widths = {4, 5},
     .width_count = 2,
     .kernel = 3},
    {.type = BNN_NETWORK_FCNN,
     .input = {1, 8, 8},
     .classes = CLASSES,
     .widths = {4},
     .width_count = 1,
     .kernel = 5,
     .circular = true},
    {.type = BNN_NETWORK_FCNN,
     .input = {1, 5, 6},
     .classes = CLASSES,
     .widths = {3, 4, 3},
     .width_count = 3,
     .kernel = 3,
     .unpooled = {true, false, true}},
    {.type = BNN_NETWORK_CNN,
     .input = {1, 6, 5},
     .classes = CLASSES,
     .widths = {3, 2},
     .width_count = 2,
     .kernel = 3,
     .unpooled = {false, true}},
};

static void set_up(fixture *f, const bnn_network_spec *spec, const bnn_family *family,
                   bnn_engine_options options)
{
    bnn_error error;
    const size_t views = options.views, image = spec->input[0] * spec->input[1] * spec->input[2];
    assert_int_equal(bnn_network_create(spec, &f->network, &error), BNN_OK);
    assert_int_equal(bnn_posterior_create(f->network, family, &f->posterior, &error), BNN_OK);
    const bnn_prior_std std = {.count = 1, .number = {0.8}};
    assert_int_equal(bnn_posterior_set_prior(f->posterior, &std, true, 3, &error), BNN_OK);
    bnn_posterior_initialise(f->posterior, BNN_INIT_KAIMING, -2, 4);
    assert_int_equal(bnn_engine_create(f->posterior, &options, &f->engine, &error), BNN_OK);
    f->in = bnn_alloc(ITEMS * views * image, sizeof *f->in);
    bnn_normals(bnn_stream_of(1, BNN_STREAM_AUGMENTATION, 0, 0, 0), f->in, ITEMS * views * image);
    for (size_t i = 0; i < ITEMS; i++) f->labels[i] = (uint32_t)(i % CLASSES);
}

static void tear_down(fixture *f)
{
    free(f->in);
    bnn_engine_free(f->engine);
    bnn_posterior_free(f->posterior);
    bnn_network_free(f->network);
}

#ifdef BNN_DOUBLE
/* The loss at the current parameters, under the same noise at every call; leaves the gradient in the engine. */
static double loss(fixture *f, double beta)
{
    bnn_engine_draw(f->engine, 11, BNN_STREAM_TRAIN_NOISE, 12);
    return bnn_engine_step(f->engine, f->in, f->labels, beta).nll + beta * bnn_posterior_kl(f->posterior);
}

static void compare_with_differences(fixture *f, double beta)
{
    const size_t n = f->posterior->count;
    const double step = 1e-6;
    double *gradient = bnn_alloc(2 * n, sizeof *gradient), largest = 0;
    loss(f, beta);
    memcpy(gradient, bnn_engine_mu_gradient(f->engine), n * sizeof *gradient);
    memcpy(gradient + n, bnn_engine_scale_gradient(f->engine), n * sizeof *gradient);
    for (size_t j = 0; j < 2 * n; j++) largest = fmax(largest, fabs(gradient[j]));
    for (size_t j = 0; j < 2 * n; j++) {
        bnn_real *parameter = j < n ? &f->posterior->mu[j] : &f->posterior->rho[j - n];
        const bnn_real kept = *parameter;
        *parameter = kept + step;
        const double above = loss(f, beta);
        *parameter = kept - step;
        const double below = loss(f, beta);
        *parameter = kept;
        assert_close(gradient[j], (above - below) / (2 * step), 1e-7, largest);
    }
    free(gradient);
}

/* A sample in several chunks, of which one is larger; in two; and whole. */
static const size_t samples_and_chunks[] = {1, 2, 4};

static void gradients_are_derivatives(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        for (const bnn_family *const *family = bnn_families; *family; family++) {
            if ((*family)->point) continue; /* which has no KL: test_point.c */
            fixture f;
            const size_t samples = samples_and_chunks[(size_t)(family - bnn_families + (ptrdiff_t)i) % 3];
            set_up(&f, &specs[i], *family,
                   (bnn_engine_options){.samples = samples, .items = ITEMS, .views = 1, .threads = 2});
            compare_with_differences(&f, 0.01);
            tear_down(&f);
        }
}

static void gradients_over_views_are_derivatives(void **state)
{
    static const bnn_view_average averages[] = {BNN_AVERAGE_LOSS, BNN_AVERAGE_LOGITS, BNN_AVERAGE_PROBS};
    (void)state;
    for (size_t a = 0; a < 3; a++) {
        fixture f;
        set_up(&f, &specs[a % 2], &bnn_family_gaussian,
               (bnn_engine_options){
                   .samples = 2, .items = ITEMS, .views = 4, .average = averages[a], .threads = 2});
        compare_with_differences(&f, 0.01);
        tear_down(&f);
    }
}

static void gradients_of_estimators_are_derivatives(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        for (size_t e = 1; bnn_estimators[e]; e++) {
            fixture f;
            set_up(&f, &specs[i], &bnn_family_gaussian,
                   (bnn_engine_options){.samples = samples_and_chunks[(i + e) % 3],
                                        .items = ITEMS,
                                        .views = 1,
                                        .estimator = bnn_estimators[e],
                                        .threads = 2});
            compare_with_differences(&f, 0.01);
            tear_down(&f);
        }
}
#endif

/* Mean and variance over steps of a few entries of the gradient. */
enum { PROBES = 12 };
static void gradient_moments(const bnn_estimator *estimator, const bnn_network_spec *spec,
                             double mean[PROBES], double variance[PROBES], size_t steps)
{
    fixture f;
    double sum[PROBES] = {0}, square[PROBES] = {0};
    set_up(
        &f, spec, &bnn_family_gaussian,
        (bnn_engine_options){.samples = 4, .items = ITEMS, .views = 1, .estimator = estimator, .threads = 2});
    for (size_t step = 0; step < steps; step++) {
        bnn_engine_draw(f.engine, 1, BNN_STREAM_TRAIN_NOISE, step);
        bnn_engine_step(f.engine, f.in, f.labels, 0);
        for (size_t i = 0; i < PROBES; i++) {
            const size_t j = i / 2 * (f.posterior->count - 1) / (PROBES / 2 - 1);
            const double g =
                (double)(i % 2 ? bnn_engine_scale_gradient : bnn_engine_mu_gradient)(f.engine)[j];
            sum[i] += g;
            square[i] += g * g;
        }
    }
    for (size_t i = 0; i < PROBES; i++) {
        mean[i] = sum[i] / (double)steps;
        variance[i] = (square[i] / (double)steps - mean[i] * mean[i]) / (double)steps; /* of the mean */
    }
    tear_down(&f);
}

/* Of one pixel, where convolutions use a weight once. */
static const bnn_network_spec one_pixel = {.type = BNN_NETWORK_CNN,
                                           .input = {2, 1, 1},
                                           .classes = CLASSES,
                                           .widths = {3, 4},
                                           .width_count = 2,
                                           .kernel = 3,
                                           .unpooled = {true, true}};

/* Except where pre-activations that share weights are drawn apart. */
static void estimators_have_equal_means(void **state)
{
    const bnn_network_spec *const all[] = {&specs[0], &one_pixel, &specs[1], &specs[2]};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        double mean[3][PROBES], variance[3][PROBES];
        for (int e = 0; e < 3; e++) gradient_moments(bnn_estimators[e], all[i], mean[e], variance[e], 3000);
        for (int e = 1; e < 3; e++) {
            if (bnn_estimators[e] == &bnn_estimator_local && i >= 2) continue;
            for (size_t k = 0; k < PROBES; k++) {
                const double error = sqrt(variance[0][k] + variance[e][k]);
                if (fabs(mean[e][k] - mean[0][k]) > 4.5 * error)
                    fail_msg("%s, network %zu, entry %zu: mean %g, by weight draws %g, standard error %g",
                             bnn_estimators[e]->row.name, i, k, mean[e][k], mean[0][k], error);
            }
        }
    }
}

/* Adds a layer to the end of a chain. */
static void append(bnn_network *network, bnn_layer layer)
{
    bnn_error error;
    layer.inputs[0] = network->layer_count ? network->layer_count - 1 : BNN_IMAGES;
    layer.stream = network->layer_count;
    snprintf(layer.name, sizeof layer.name, "layer %zu", network->layer_count);
    assert_int_equal(bnn_network_add(network, &layer, &error), BNN_OK);
}

/* Mean and variance of a logit of the chain conv, conv, mean, dense, of which the second alone has noise: with h = conv(x) of
 * the first, its pre-activations of different pixels p and channels o are independent N(mu h + b, sigma^2 h^2 + sigma_b^2). */
static void closed_form(const bnn_posterior *q, const bnn_real *x, size_t height, size_t width, size_t logit,
                        double *mean, double *variance)
{
    const bnn_layer *first = &q->network->layers[0], *second = &q->network->layers[1],
                    *head = &q->network->layers[3];
    const size_t hidden = first->shape.out.channels, channels = second->shape.out.channels,
                 pixels = height * width;
    *mean = (double)q->mu[head->bias_offset + logit];
    *variance = 0;
    for (size_t i = 0; i < channels * pixels; i++) {
        const size_t o = i / pixels, y = i % pixels / width, column = i % width;
        const double sigma = log1p(exp((double)q->rho[second->bias_offset + o])),
                     w = (double)q->mu[head->weight_offset + logit * channels + o] / (double)pixels;
        double m = (double)q->mu[second->bias_offset + o], v = sigma * sigma;
        for (size_t k = 0; k < hidden * 9; k++) {
            const size_t c = k / 9, row = y + k % 9 / 3, at = column + k % 3; /* of the padded image */
            const size_t j = second->weight_offset + o * hidden * 9 + k;
            if (row < 1 || row > height || at < 1 || at > width) continue;
            /* The first convolution is that of its centre tap. */
            const double h =
                (double)q->mu[first->weight_offset + c * 9 + 4] * (double)x[(row - 1) * width + at - 1] +
                (double)q->mu[first->bias_offset + c];
            const double s = log1p(exp((double)q->rho[j]));
            m += (double)q->mu[j] * h;
            v += s * s * h * h;
        }
        *mean += w * m;
        *variance += w * w * v;
    }
}

/* What estimator.h says of local on convolutions, independence of pixels included, in mean and variance of the logits. */
static void local_draws_pixels_apart(void **state)
{
    enum { HEIGHT = 9, WIDTH = 8, COPIES = 64, SAMPLES = 8, STEPS = 80, N = COPIES * SAMPLES * STEPS };
    enum { PAIRS = N / 2 }; /* of samples as far above the mean as below */
    const size_t input[] = {1, HEIGHT, WIDTH};
    bnn_real *in = bnn_alloc(COPIES * HEIGHT * WIDTH, sizeof *in);
    uint32_t labels[COPIES] = {0};
    double sum[CLASSES] = {0}, square[CLASSES] = {0};
    bnn_network *network;
    bnn_posterior *q;
    bnn_engine *engine;
    bnn_error error;
    (void)state;
    assert_int_equal(bnn_network_begin(input, CLASSES, 4, &network, &error), BNN_OK);
    append(network, (bnn_layer){.type = &bnn_layer_conv, .shape = {.out.channels = 3, .kernel = 3}});
    append(network, (bnn_layer){.type = &bnn_layer_conv, .shape = {.out.channels = 5, .kernel = 3}});
    append(network, (bnn_layer){.type = &bnn_layer_mean});
    append(network, (bnn_layer){.type = &bnn_layer_dense, .shape.out.channels = CLASSES});
    assert_int_equal(bnn_posterior_create(network, &bnn_family_gaussian, &q, &error), BNN_OK);
    bnn_posterior_initialise(q, BNN_INIT_KAIMING, -1, 4);
    for (size_t l = 0; l < 4; l += 3) /* the layers without noise */
        for (size_t j = 0; j < network->layers[l].weight_count + network->layers[l].bias_count; j++)
            q->rho[network->layers[l].weight_offset + j] = -60;
    for (size_t j = 0; j < 3 * 9; j++) q->mu[j] = j % 9 == 4 ? q->mu[j] : 0;
    bnn_normals(bnn_stream_of(1, BNN_STREAM_AUGMENTATION, 0, 0, 0), in, HEIGHT * WIDTH);
    for (size_t i = 1; i < COPIES; i++) memcpy(in + i * HEIGHT * WIDTH, in, HEIGHT * WIDTH * sizeof *in);
    const bnn_engine_options options = {
        .samples = SAMPLES, .items = COPIES, .views = 1, .estimator = &bnn_estimator_local, .threads = 2};
    assert_int_equal(bnn_engine_create(q, &options, &engine, &error), BNN_OK);
    for (uint64_t step = 0; step < STEPS; step++) {
        bnn_engine_draw(engine, 1, BNN_STREAM_TRAIN_NOISE, step);
        bnn_engine_step(engine, in, labels, 0);
        for (size_t i = 0; i < COPIES * SAMPLES * CLASSES; i++) {
            const double z = (double)bnn_engine_logits(engine, i / CLASSES / COPIES)[i % (COPIES * CLASSES)];
            sum[i % CLASSES] += z;
            square[i % CLASSES] += z * z;
        }
    }
    for (size_t c = 0; c < CLASSES; c++) {
        double mean, variance;
        closed_form(q, in, HEIGHT, WIDTH, c, &mean, &variance);
        const double found = sum[c] / N, spread = square[c] / N - found * found;
        assert_true(fabs(found - mean) <= 4.5 * sqrt(variance / N));
        assert_close(spread, variance, 4.5 * sqrt(2.0 / PAIRS), 0);
    }
    bnn_engine_free(engine);
    bnn_posterior_free(q);
    bnn_network_free(network);
    free(in);
}

static void threads_do_not_change_a_bit(void **state)
{
    static const size_t sample_counts[] = {1, 3, 10};
    (void)state;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        for (size_t k = 0; k < 3; k++) {
            fixture one, other;
            bnn_engine_options options = {.samples = sample_counts[k],
                                          .items = ITEMS,
                                          .views = 1,
                                          .estimator = bnn_estimators[k],
                                          .threads = 1};
            set_up(&one, &specs[i], &bnn_family_gaussian, options);
            bnn_engine_draw(one.engine, 5, BNN_STREAM_TRAIN_NOISE, 6);
            const bnn_step expected = bnn_engine_step(one.engine, one.in, one.labels, 0.1);
            const size_t bytes = one.posterior->count * sizeof(bnn_real);
            for (int threads = 2; threads <= 5; threads++) {
                options.threads = threads;
                set_up(&other, &specs[i], &bnn_family_gaussian, options);
                bnn_engine_draw(other.engine, 5, BNN_STREAM_TRAIN_NOISE, 6);
                const bnn_step found = bnn_engine_step(other.engine, other.in, other.labels, 0.1);
                assert_true(found.nll == expected.nll && found.correct == expected.correct);
                assert_memory_equal(bnn_engine_mu_gradient(other.engine), bnn_engine_mu_gradient(one.engine),
                                    bytes);
                assert_memory_equal(bnn_engine_scale_gradient(other.engine),
                                    bnn_engine_scale_gradient(one.engine), bytes);
                tear_down(&other);
            }
            tear_down(&one);
        }
}

/* The gradient of a whole step, mu then rho (2 count), by these samples, estimator, threads and kernels; freed with free(). The
 * second layer's weights are packed in two parts. The draw is one without a near tie among the values of a pool. */
static bnn_real *step_gradient(bnn_network_type type, bnn_engine_options options, size_t *count)
{
    const bnn_network_spec spec = {.type = type,
                                   .input = {1, 28, 28},
                                   .classes = CLASSES,
                                   .widths = {16, 40},
                                   .width_count = 2,
                                   .kernel = 3};
    fixture f;
    options.items = ITEMS;
    options.views = 1;
    set_up(&f, &spec, &bnn_family_gaussian, options);
    bnn_engine_draw(f.engine, 50, BNN_STREAM_TRAIN_NOISE, 6);
    bnn_engine_step(f.engine, f.in, f.labels, 1e-4);
    *count = f.posterior->count;
    bnn_real *gradient = bnn_alloc(2 * *count, sizeof *gradient);
    assert_non_null(gradient);
    memcpy(gradient, bnn_engine_mu_gradient(f.engine), *count * sizeof *gradient);
    memcpy(gradient + *count, bnn_engine_scale_gradient(f.engine), *count * sizeof *gradient);
    tear_down(&f);
    return gradient;
}

/* A step by a set of kernels against one by plain loops, relative in the Euclidean norm. A maximum that flips within its
 * window would show as 1e-3. */
static void compare_step(bnn_network_type type, bnn_engine_options options, const char *set,
                         const bnn_real *plain)
{
    size_t n;
    double difference = 0, size = 0;
    options.kernels = set;
    bnn_real *fast = step_gradient(type, options, &n);
    for (size_t j = 0; j < 2 * n; j++) {
        const double d = (double)fast[j] - (double)plain[j];
        difference += d * d;
        size += (double)plain[j] * (double)plain[j];
    }
    const double relative = sqrt(difference / size);
    if (!(relative < (sizeof(bnn_real) == sizeof(float) ? 5e-6 : 1e-13)))
        fail_msg("%s, %s: the whole gradient differs by %.2e", options.estimator->row.name,
                 set ? set : "default", relative);
    free(fast);
}

/* A whole step by the kernels of every set against one by plain loops, which add up in twice the precision: with units that
 * share a draw's packed weights, and with units that have their own; of estimators that perturb, kernels with noise against
 * two runs of plain loops. */
static void fast_kernels_cost_no_accuracy(void **state)
{
    static const bnn_network_type types[] = {BNN_NETWORK_FCNN, BNN_NETWORK_CNN};
    static const size_t sample_counts[] = {1, 2, 4};
    (void)state;
    for (size_t i = 0; bnn_estimators[i / 6]; i++) {
        const bnn_network_type type = types[i % 2];
        bnn_engine_options options = {.samples = sample_counts[i / 2 % 3],
                                      .estimator = bnn_estimators[i / 6],
                                      .threads = 2,
                                      .kernels = "naive"};
        size_t n;
        bnn_real *plain = step_gradient(type, options, &n);
        compare_step(type, options, NULL, plain);
        for (const bnn_kernel *const *kernel = bnn_conv_kernels; *kernel; kernel++)
            if (!(*kernel)->runs_here || (*kernel)->runs_here())
                compare_step(type, options, (*kernel)->set, plain);
        free(plain);
    }
}

/* One sample, whose weights are packed by several threads and used by several units. */
static void threads_do_not_change_a_bit_of_any_kernels(void **state)
{
    static const bnn_network_type types[] = {BNN_NETWORK_FCNN, BNN_NETWORK_CNN};
    (void)state;
    for (size_t t = 0; t < 2; t++)
        for (const bnn_kernel *const *kernel = bnn_conv_kernels; *kernel; kernel++) {
            size_t n;
            if ((*kernel)->runs_here && !(*kernel)->runs_here()) continue;
            bnn_real *expected = step_gradient(
                types[t], (bnn_engine_options){.samples = 1, .threads = 1, .kernels = (*kernel)->set}, &n);
            for (int threads = 2; threads <= 3; threads++) {
                bnn_real *found = step_gradient(
                    types[t],
                    (bnn_engine_options){.samples = 1, .threads = threads, .kernels = (*kernel)->set}, &n);
                assert_memory_equal(found, expected, 2 * n * sizeof *found);
                free(found);
            }
            free(expected);
        }
}

/* A whole network may be asked to run by a set of kernels, not by one that no layer has. */
static void sets_that_nobody_has_are_refused(void **state)
{
    static const char *const sets[] = {"winograd-portable", "port", ""};
    bnn_network *network;
    bnn_error error;
    (void)state;
    assert_int_equal(bnn_network_create(&specs[1], &network, &error), BNN_OK);
    for (size_t k = 0; k < sizeof sets / sizeof *sets; k++) {
        bnn_workspace *workspace;
        const bnn_workspace_options options = {.block = 4, .kernels = sets[k]};
        assert_int_equal(bnn_workspace_create(network, &options, &workspace, &error), BNN_BAD_INPUT);
        assert_null(workspace);
        assert_non_null(strstr(error.message, "of which no layer has one"));
    }
    bnn_network_free(network);
}

/* -log of the average likelihood, straight from the definitions. */
static void objective_follows_its_definition(void **state)
{
    enum { VIEWS = 3 };
    const bnn_real logits[VIEWS * CLASSES] = {1, -2, 0.5, 3, 0.25, -1, -0.5, 2, 1.5};
    double p[VIEWS][CLASSES], mean_logits[CLASSES] = {0}, loss_ = 0, mean_p = 0, out[CLASSES];
    const size_t label = 2;
    (void)state;
    for (size_t g = 0; g < VIEWS; g++) {
        double sum = 0;
        for (size_t c = 0; c < CLASSES; c++) sum += exp((double)logits[g * CLASSES + c]);
        for (size_t c = 0; c < CLASSES; c++) {
            p[g][c] = exp((double)logits[g * CLASSES + c]) / sum;
            mean_logits[c] += (double)logits[g * CLASSES + c] / VIEWS;
        }
        loss_ -= log(p[g][label]) / VIEWS;
        mean_p += p[g][label] / VIEWS;
    }
    double sum = 0;
    for (size_t c = 0; c < CLASSES; c++) sum += exp(mean_logits[c]);
    assert_close(bnn_objective(BNN_AVERAGE_LOSS, logits, VIEWS, CLASSES, label, 1, NULL, out), loss_, 1e-12,
                 0);
    assert_close(out[0], (p[0][0] + p[1][0] + p[2][0]) / VIEWS, 1e-12, 0);
    assert_close(bnn_objective(BNN_AVERAGE_PROBS, logits, VIEWS, CLASSES, label, 1, NULL, out), -log(mean_p),
                 1e-12, 0);
    assert_close(bnn_objective(BNN_AVERAGE_LOGITS, logits, VIEWS, CLASSES, label, 1, NULL, out),
                 log(sum) - mean_logits[label], 1e-12, 0);
    assert_close(out[1], exp(mean_logits[1]) / sum, 1e-12, 0);
}

/* What the KL adds to a gradient is, parameter by parameter, its weight times the derivative of KL(q_j || p_j): beta, a
 * layer's factor, and the share of a tie. */
static void the_kl_may_be_left_to_the_rule(void **state)
{
    const double factors[] = {0.5, 0, 2}, beta = 0.25;
    bnn_engine_options options = {
        .samples = 1, .items = ITEMS, .views = 1, .threads = 1, .gradient = BNN_GRADIENT_OF_SIGMA};
    fixture whole, part;
    (void)state;
    set_up(&whole, &specs[0], &bnn_family_gaussian, options);
    options.likelihood_only = true;
    set_up(&part, &specs[0], &bnn_family_gaussian, options);
    bnn_posterior *q = part.posterior;
    const fixture *both[] = {&whole, &part};
    for (size_t i = 0; i < 2; i++) {
        bnn_ties *ties = both[i]->posterior->ties = bnn_ties_create(q->count);
        for (size_t j = 0; j < q->count; j++) ties->leader[j] = (uint32_t)j, ties->share[j] = 1;
        for (size_t j = 1; j < 5; j++) ties->leader[j] = 1, ties->share[j] = (bnn_real)0.25;
        for (size_t l = 0, n = 0; l < both[i]->network->layer_count; l++)
            if (both[i]->network->layers[l].bias_count > 0)
                bnn_engine_kl_factors(both[i]->engine)[l] = factors[n++];
        bnn_engine_draw(both[i]->engine, 1, BNN_STREAM_TRAIN_NOISE, 2);
        bnn_engine_step(both[i]->engine, both[i]->in, both[i]->labels, beta);
    }
    const bnn_real *weight = bnn_engine_kl_weight(part.engine), *sigma = bnn_engine_sigma(part.engine);
    assert_null(bnn_engine_kl_weight(whole.engine));
    for (size_t j = 0; j < q->count; j++) {
        const double s = (double)q->prior_std[j], away = (double)(q->mu[j] - q->prior_mean[j]);
        const double w = (double)weight[j];
        const double factor = j < (size_t)(7 * 12 + 7) ? 0.5 : j < (size_t)(7 * 12 + 7 + 5 * 7 + 5) ? 0 : 2;
        assert_close(w, beta * factor * (j >= 1 && j < 5 ? 0.25 : 1), 1e-6, 0);
        assert_close(bnn_engine_mu_gradient(whole.engine)[j],
                     (double)bnn_engine_mu_gradient(part.engine)[j] + w * away / (s * s), 1e-5, 0.1);
        assert_close(bnn_engine_scale_gradient(whole.engine)[j],
                     (double)bnn_engine_scale_gradient(part.engine)[j] +
                         w * ((double)sigma[j] / (s * s) - 1 / (double)sigma[j]),
                     1e-5, 0.1);
    }
    tear_down(&part);
    tear_down(&whole);
}

/* Without noise: w = mu whatever sigma, every draw alike, by the gradient of zero noise. */
static void the_centre_has_no_noise(void **state)
{
    bnn_real logits[ITEMS * CLASSES];
    (void)state;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        fixture f;
        set_up(&f, &specs[i], &bnn_family_gaussian,
               (bnn_engine_options){.samples = 2, .items = ITEMS, .views = 1, .threads = 2});
        for (int round = 0; round < 2; round++) {
            for (size_t j = 0; j < f.posterior->count; j++) f.posterior->rho[j] = (bnn_real)(4 * round - 3);
            bnn_engine_draw(f.engine, 1, BNN_STREAM_TRAIN_NOISE, 2);
            bnn_engine_centre(f.engine);
            bnn_engine_step(f.engine, f.in, f.labels, 0);
            for (size_t s = 0; s < 2; s++) {
                if (round == 0 && s == 0) memcpy(logits, bnn_engine_logits(f.engine, s), sizeof logits);
                assert_memory_equal(bnn_engine_logits(f.engine, s), logits, sizeof logits);
            }
            for (size_t j = 0; j < f.posterior->count; j++)
                assert_true(bnn_engine_scale_gradient(f.engine)[j] == 0);
        }
        tear_down(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef BNN_DOUBLE
        cmocka_unit_test(gradients_are_derivatives),
        cmocka_unit_test(gradients_over_views_are_derivatives),
        cmocka_unit_test(gradients_of_estimators_are_derivatives),
#endif
        cmocka_unit_test(estimators_have_equal_means),
        cmocka_unit_test(local_draws_pixels_apart),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(fast_kernels_cost_no_accuracy),
        cmocka_unit_test(threads_do_not_change_a_bit_of_any_kernels),
        cmocka_unit_test(sets_that_nobody_has_are_refused),
        cmocka_unit_test(objective_follows_its_definition),
        cmocka_unit_test(the_centre_has_no_noise),
        cmocka_unit_test(the_kl_may_be_left_to_the_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
