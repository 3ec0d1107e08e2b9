/* What no twin can see: whether the draws are independent. Every figure below has a known distribution when they are,
 * and may lie as many standard deviations out as chance exceeds once in 10^5 to 10^6, among all the figures that it is
 * the largest of: 5 for one, 6 for hundreds, 7 for 10^5. Seeds are fixed, so a test always gives the same answer. */
#include "testing.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/blas.h"
#include "bnn/engine.h"
#include "bnn/evaluate.h"
#include "bnn/numeric.h"
#include "bnn/sampler.h"
#include "networks.h"

/* `figure` lies at most `most` standard deviations from what is expected. */
static void expect_chance(const char *name, const char *what, double figure, double most)
{
    if (!(fabs(figure) <= most))
        fail_msg("%s: %s: %.2f standard deviations, chance gives at most %g", name, what, figure, most);
}

/* ---- second moments of draws laid side by side --------------------------------------------------------- */

/* A row x (width) of draws that should be independent, of mean 0 and variance 1, anew for every replicate. */
typedef struct layout {
    const char *name;
    size_t width, replicates;
    double excess; /* kurtosis of a draw, less 3 */
    void (*fill)(void *context, uint64_t replicate, bnn_real *x);
    void *context;
} layout;

typedef struct moments {
    double *mean;              /* (width) */
    bnn_real *product;         /* (width, width) mean of x x^T */
    bnn_real *squares_product; /* the same of (x^2 - 1) / sqrt(2) */
} moments;

static moments measure(const layout *l)
{
    enum { BLOCK = 500 };
    const size_t n = l->width;
    const bnn_real share = 1 / (bnn_real)l->replicates;
    moments m = {bnn_alloc(n, sizeof(double)), test_zeros(n * n), test_zeros(n * n)};
    bnn_real *x = test_zeros(BLOCK * n);
    assert_non_null(m.mean);
    assert_int_equal(l->replicates % BLOCK, 0);
    for (size_t first = 0; first < l->replicates; first += BLOCK) {
        for (size_t i = 0; i < BLOCK; i++) l->fill(l->context, first + i, x + i * n);
        for (size_t i = 0; i < BLOCK * n; i++) m.mean[i % n] += (double)x[i] / (double)l->replicates;
        bnn_gemm(true, false, n, n, BLOCK, share, x, n, x, n, 1, m.product, n);
        for (size_t i = 0; i < BLOCK * n; i++) x[i] = (x[i] * x[i] - 1) * (bnn_real)0.70710678118654752;
        bnn_gemm(true, false, n, n, BLOCK, share, x, n, x, n, 1, m.squares_product, n);
    }
    free(x);
    return m;
}

static void moments_free(moments *m)
{
    free(m->mean);
    free(m->product);
    free(m->squares_product);
}

/* With M replicates, sqrt(M) mean ~ N(0, 1) at each place; the sum of their squares ~ chi-square(width), of variance
 * 2 width, whose tail is a little heavier than the normal one. */
static void check_means(const layout *l, const moments *m)
{
    const double width = (double)l->width, replicates = (double)l->replicates;
    double sum = 0, largest = 0;
    for (size_t i = 0; i < l->width; i++) {
        sum += m->mean[i] * m->mean[i] * replicates;
        largest = fmax(largest, fabs(m->mean[i]) * sqrt(replicates));
    }
    expect_chance(l->name, "largest mean", largest, 6);
    expect_chance(l->name, "all means", (sum - width) / sqrt(2 * width), 6);
}

/* With r_ij = sum_t x_ti x_tj / sqrt(sum_t x_ti^2 sum_t x_tj^2), r_ij^2 ~ Beta(1/2, (M - 1)/2) for normals: of mean
 * 1/M, variance 2 (M - 1) / (M^2 (M + 2)), and pairwise independent, so their sum over up to 131 thousand pairs is
 * nearly normal; each sqrt(M) r is nearly N(0, 1). Other distributions differ by O(1/M). */
static void check_correlations(const layout *l, const char *what, const bnn_real *product)
{
    const size_t n = l->width;
    const double pairs = (double)(n * (n - 1)) / 2, replicates = (double)l->replicates;
    double sum = 0, largest = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) {
            const double r =
                (double)product[i * n + j] / sqrt((double)product[i * n + i] * (double)product[j * n + j]);
            sum += r * r * replicates;
            largest = fmax(largest, fabs(r) * sqrt(replicates));
        }
    const double deviation = sqrt(2 * pairs * (replicates - 1) / (replicates + 2));
    expect_chance(l->name, what, (sum - pairs) / deviation, 5);
    expect_chance(l->name, what, largest, 7);
}

/* The mean square of the sum of k neighbours has mean k and variance k^2 (2 + excess / k) / M; k = 1 is the variance of
 * each draw. Two-dimensional prefix sums of C = mean x x^T give it. */
static void check_sums_of_neighbours(const layout *l, const moments *m)
{
    enum { MOST = 64 };
    const size_t n = l->width, stride = n + 1;
    double *prefix = bnn_alloc(stride * stride, sizeof *prefix), largest = 0;
    assert_non_null(prefix);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            prefix[(i + 1) * stride + j + 1] = prefix[i * stride + j + 1] + prefix[(i + 1) * stride + j] -
                                               prefix[i * stride + j] + (double)m->product[i * n + j];
    for (size_t k = 1; k <= MOST; k++)
        for (size_t from = 0, to = k; to <= n; from++, to++) {
            const double square = prefix[to * stride + to] - prefix[from * stride + to] -
                                  prefix[to * stride + from] + prefix[from * stride + from];
            const double rounding = 1e-5;
            const double deviation = sqrt((2 + l->excess / (double)k) / (double)l->replicates) + rounding;
            largest = fmax(largest, fabs(square / (double)k - 1) / deviation);
        }
    expect_chance(l->name, "variance of a sum of neighbours", largest, 7);
    free(prefix);
}

/* A Rayleigh quotient of C = product, after some steps of power iteration with sign (C - shift). */
static double extreme_eigenvalue(const bnn_real *product, size_t n, double sign, double shift)
{
    enum { STEPS = 60 };
    double *v = bnn_alloc(2 * n, sizeof *v), *next = v + n, quotient = 0;
    assert_non_null(v);
    for (size_t i = 0; i < n; i++) v[i] = sin((double)(i * i)) / sqrt((double)n / 2);
    for (size_t step = 0; step < STEPS; step++) {
        double norm = 0, before = 0;
        quotient = 0;
        for (size_t i = 0; i < n; i++) {
            double sum = 0;
            for (size_t j = 0; j < n; j++) sum += (double)product[i * n + j] * v[j];
            quotient += v[i] * sum;
            before += v[i] * v[i];
            next[i] = sign * (sum - shift * v[i]);
            norm += next[i] * next[i];
        }
        quotient /= before;
        for (size_t i = 0; i < n; i++) v[i] = next[i] / sqrt(norm);
    }
    free(v);
    return quotient;
}

/* The eigenvalues of C fill the interval of Marchenko and Pastur, (sqrt(M) -+ sqrt(width))^2 / M. About its ends the
 * outermost ones have the Tracy-Widom distribution of order 1 in the units below (I. M. Johnstone, "On the Distribution
 * of the Largest Eigenvalue in Principal Components Analysis", Ann. Stat. 29, 2001; for the smallest, O. N. Feldheim
 * and S. Sodin, Geom. Funct. Anal. 20, 2010), which exceeds 6 with probability 2e-6. Every Rayleigh quotient lies
 * between them, so power iteration that has not converged is no false alarm. */
static void check_eigenvalues(const layout *l, const moments *m)
{
    const double rows = (double)l->replicates, a = sqrt(rows), b = sqrt((double)l->width);
    const double above = (a + b) * (a + b) / rows, below = (a - b) * (a - b) / rows;
    const double unit_above = (a + b) * cbrt(1 / b + 1 / a) / rows,
                 unit_below = (a - b) * cbrt(1 / b - 1 / a) / rows;
    const double largest = extreme_eigenvalue(m->product, l->width, 1, below);
    const double smallest = extreme_eigenvalue(m->product, l->width, -1, above);
    expect_chance(l->name, "largest eigenvalue", fmax((largest - above) / unit_above, 0), 6);
    expect_chance(l->name, "smallest eigenvalue", fmin((smallest - below) / unit_below, 0), 6);
}

static void check_independence(const layout *l)
{
    moments m = measure(l);
    check_means(l, &m);
    check_sums_of_neighbours(l, &m);
    check_correlations(l, "correlations", m.product);
    check_eigenvalues(l, &m);
    if (l->excess == 0) check_correlations(l, "correlations of squares", m.squares_product);
    moments_free(&m);
}

/* ---- draws of one stream, and of streams whose keys differ in one part ---------------------------------- */

enum { REPLICATES = 20000 };

/* What keys the noise of a run of parameters. */
typedef enum key_part { SEED, PURPOSE, STEP, SAMPLE, LAYER, INDEX, KEY_PARTS } key_part;
static const char *const key_part_names[] = {"seeds",  "purposes", "steps",    "samples",
                                             "layers", "runs",     "all parts"};

/* A sampler of a network of many layers. */
typedef struct deep {
    bnn_network *network;
    bnn_posterior *posterior;
    bnn_sampler *sampler;
} deep;

enum { STREAMS = 8, EACH = 2 * BNN_NORMAL_LANES };
static deep test_deep(const bnn_family *family)
{
    bnn_network_spec spec = {
        .type = BNN_NETWORK_MLP, .input = {1, 1, 1}, .classes = 2, .width_count = STREAMS};
    deep d;
    bnn_error error;
    for (size_t l = 0; l < STREAMS; l++) spec.widths[l] = 1;
    d.network = test_network(&spec);
    assert_int_equal(bnn_posterior_create(d.network, family, &d.posterior, &error), BNN_OK);
    assert_int_equal(bnn_sampler_create(d.posterior, &d.sampler, &error), BNN_OK);
    return d;
}

static void deep_free(deep *d)
{
    bnn_sampler_free(d->sampler);
    bnn_posterior_free(d->posterior);
    bnn_network_free(d->network);
}

static void noise_of(const bnn_sampler *sampler, const uint64_t key[KEY_PARTS], bnn_real *x, size_t n)
{
    const bnn_network *network = sampler->posterior->network;
    const bnn_run run = {.layer = (size_t)(parameter_layer(network, key[LAYER]) - network->layers),
                         .index = key[INDEX],
                         .count = n};
    bnn_sampler_noise(sampler, &run, (bnn_draw){key[SEED], (bnn_purpose)key[PURPOSE], key[STEP], key[SAMPLE]},
                      x);
}

static void fill_run(void *context, uint64_t replicate, bnn_real *x)
{
    const uint64_t key[KEY_PARTS] = {1, BNN_STREAM_TRAIN_NOISE, replicate, 0, 0, 0};
    noise_of(context, key, x, BNN_RUN);
}

static void fill_laplace_run(void *context, uint64_t replicate, bnn_real *x)
{
    fill_run(context, replicate, x);
    for (size_t j = 0; j < BNN_RUN; j++) x[j] *= (bnn_real)0.70710678118654752; /* variance 2 */
}

static void a_run_is_independent(void **state)
{
    deep d = test_deep(&bnn_family_gaussian);
    const layout normals = {"a run", BNN_RUN, 2 * REPLICATES, 0, fill_run, d.sampler};
    (void)state;
    check_independence(&normals);
    deep_free(&d);
}

static void a_run_of_laplace_noise_is_independent(void **state)
{
    deep d = test_deep(&bnn_family_laplace);
    const layout noise = {"a run of Laplace noise", BNN_RUN, REPLICATES, 3, fill_laplace_run, d.sampler};
    (void)state;
    check_independence(&noise);
    deep_free(&d);
}

typedef struct streams {
    const bnn_sampler *sampler;
    key_part differs;
} streams;

/* The first 32 normals of 8 streams whose keys differ in one part; or, for KEY_PARTS, in which part is the larger one,
 * and in the upper half of the step. Replicates are steps that no two of them share, or seeds where steps differ. */
static void fill_streams(void *context, uint64_t replicate, bnn_real *x)
{
    const streams *s = context;
    for (size_t v = 0; v < STREAMS; v++) {
        uint64_t key[KEY_PARTS] = {1, BNN_STREAM_PRIOR_MEAN, 0, 0, 0, 0};
        key[s->differs == STEP ? SEED : STEP] = 2 * replicate;
        if (s->differs < KEY_PARTS)
            key[s->differs] += v;
        else if (v < KEY_PARTS)
            key[v]++;
        else
            key[STEP] += v << 32;
        noise_of(s->sampler, key, x + v * EACH, EACH);
    }
}

static void streams_are_independent(void **state)
{
    deep d = test_deep(&bnn_family_gaussian);
    (void)state;
    for (key_part p = 0; p <= KEY_PARTS; p++) {
        streams s = {d.sampler, p};
        const layout beginnings = {key_part_names[p], STREAMS * EACH, REPLICATES, 0, fill_streams, &s};
        check_independence(&beginnings);
    }
    deep_free(&d);
}

/* ---- noise of a training step, as its logits show it ---------------------------------------------------- */

/* A network, a posterior with mu = 0 and one sigma, an engine, and a batch of copies of one constant image. */
typedef struct trainer {
    bnn_network *network;
    bnn_posterior *posterior;
    bnn_engine *engine;
    bnn_engine_options options;
    bnn_real *images; /* (items, inputs) */
    uint32_t *labels; /* (items) all 0 */
} trainer;

static trainer test_trainer(const bnn_network_spec *spec, bnn_engine_options options, double pixel,
                            double sigma)
{
    const size_t inputs = spec->input[0] * spec->input[1] * spec->input[2];
    trainer t = {
        .network = test_network(spec), .options = options, .images = test_zeros(options.items * inputs)};
    bnn_error error;
    assert_int_equal(bnn_posterior_create(t.network, &bnn_family_gaussian, &t.posterior, &error), BNN_OK);
    assert_int_equal(bnn_engine_create(t.posterior, &options, &t.engine, &error), BNN_OK);
    t.labels = bnn_alloc(options.items, sizeof *t.labels);
    assert_non_null(t.labels);
    for (size_t i = 0; i < options.items * inputs; i++) t.images[i] = (bnn_real)pixel;
    for (size_t j = 0; j < t.posterior->count; j++)
        t.posterior->rho[j] = (bnn_real)bnn_softplus_inverse(sigma);
    return t;
}

static void trainer_free(trainer *t)
{
    free(t->labels);
    free(t->images);
    bnn_engine_free(t->engine);
    bnn_posterior_free(t->posterior);
    bnn_network_free(t->network);
}

enum { CLASSES = 8, ITEMS = 16, SAMPLES = 4 };
static const bnn_network_spec linear_spec = {
    .type = BNN_NETWORK_MLP, .input = {1, 1, CLASSES}, .classes = CLASSES};

/* x (samples, items, classes) <- the logits of a step. */
static void fill_logits(void *context, uint64_t replicate, bnn_real *x)
{
    trainer *t = context;
    const size_t each = t->options.items * CLASSES;
    bnn_engine_draw(t->engine, 1, BNN_STREAM_TRAIN_NOISE, replicate);
    bnn_engine_step(t->engine, t->images, t->labels, 0);
    for (size_t s = 0; s < t->options.samples; s++)
        memcpy(x + s * each, bnn_engine_logits(t->engine, s), each * sizeof *x);
}

/* With mu = 0 and sigma = 1, and 0 for the biases, images of one bright pixel show the weights. */
static void weights_are_independent(void **state)
{
    const bnn_engine_options options = {.samples = SAMPLES, .items = CLASSES, .views = 1, .threads = 1};
    trainer t = test_trainer(&linear_spec, options, 0, 1);
    const layout weights = {
        "weights of a step", SAMPLES * CLASSES * CLASSES, REPLICATES / 2, 0, fill_logits, &t};
    (void)state;
    for (size_t c = 0; c < CLASSES; c++) {
        t.images[c * CLASSES + c] = 1;
        t.posterior->rho[t.network->layers[0].bias_offset + c] = -40;
    }
    check_independence(&weights);
    trainer_free(&t);
}

/* The first samples of each pair; the second ones are minus those. */
static void fill_pairs(void *context, uint64_t replicate, bnn_real *x)
{
    trainer *t = context;
    const size_t each = t->options.items * CLASSES;
    bnn_real *all = test_zeros(t->options.samples * each);
    fill_logits(t, replicate, all);
    for (size_t s = 0; s < t->options.samples; s++)
        for (size_t i = 0; i < each; i++)
            if (s % 2 == 0)
                x[s / 2 * each + i] = all[s * each + i];
            else
                assert_true(all[s * each + i] == -all[(s - 1) * each + i]);
    free(all);
}

/* With mu = 0 and sigma = 1, black images show the noise itself. */
static void local_noise_is_independent(void **state)
{
    const bnn_engine_options options = {.samples = 2 * SAMPLES - 1,
                                        .items = ITEMS,
                                        .views = 1,
                                        .estimator = &bnn_estimator_local,
                                        .threads = 1};
    trainer t = test_trainer(&linear_spec, options, 0, 1);
    const layout noise = {"local noise", SAMPLES * ITEMS * CLASSES, REPLICATES / 2, 0, fill_pairs, &t};
    (void)state;
    check_independence(&noise);
    trainer_free(&t);
}

/* Of images of ones, with mu = 0 and dW the unit matrix and biases of 2, the logits are r (s + 2) for an output's sign
 * r and an input's s: x (samples, items, r and s, classes). */
static void fill_flipout(void *context, uint64_t replicate, bnn_real *x)
{
    trainer *t = context;
    bnn_real *eps = test_zeros(t->posterior->count);
    for (size_t c = 0; c < CLASSES; c++) eps[c * CLASSES + c] = 1, eps[CLASSES * CLASSES + c] = 2;
    bnn_engine_draw(t->engine, 1, BNN_STREAM_TRAIN_NOISE, replicate);
    for (size_t s = 0; s < t->options.samples; s++) bnn_engine_set_noise(t->engine, s, eps);
    bnn_engine_step(t->engine, t->images, t->labels, 0);
    for (size_t s = 0; s < t->options.samples; s++)
        for (size_t i = 0; i < t->options.items; i++, x += 2 * CLASSES)
            for (size_t c = 0; c < CLASSES; c++) {
                const bnn_real logit = bnn_engine_logits(t->engine, s)[i * CLASSES + c];
                x[c] = logit < 0 ? -1 : 1;
                x[CLASSES + c] = x[c] * logit - 2;
            }
    free(eps);
}

static void flipout_signs_are_independent(void **state)
{
    const bnn_engine_options options = {.samples = SAMPLES,
                                        .items = ITEMS / 2,
                                        .views = 1,
                                        .estimator = &bnn_estimator_flipout,
                                        .threads = 1};
    trainer t = test_trainer(&linear_spec, options, 1, 1);
    const layout signs = {"flipout signs", SAMPLES * ITEMS * CLASSES, REPLICATES / 2, -2, fill_flipout, &t};
    (void)state;
    check_independence(&signs);
    trainer_free(&t);
}

/* ---- predictions and gradients that are known ----------------------------------------------------------- */

/* The mean of a figure over draws, and its standard error. */
typedef struct average {
    double sum, squares, count;
} average;

static void average_add(average *a, double x)
{
    a->sum += x;
    a->squares += x * x;
    a->count++;
}

static double average_mean(const average *a)
{
    return a->sum / a->count;
}

static double average_error(const average *a)
{
    return sqrt((a->squares / a->count - average_mean(a) * average_mean(a)) / a->count);
}

/* W (10, 36) and b with mu = 0 and sigma = .3. C4 permutes the columns of W, so q is exactly invariant; and the classes
 * are exchangeable. */
enum { SIDE = 6, DIGITS = 10, DRAWS = 50000, IMAGES = 3 };

static bnn_model *invariant_model(void)
{
    char text[400];
    bnn_config config;
    bnn_network_spec spec;
    bnn_model *model;
    bnn_symmetry *symmetry;
    bnn_certificate *certificate;
    bnn_error error;
    snprintf(
        text, sizeof text,
        "{\"seed\": 1, \"group\": \"C4\", \"model\": {\"type\": \"mlp\", \"input\": [1, %d, %d], "
        "\"classes\": %d, \"hidden\": []}, \"posterior\": {\"mean_init\": \"zero\", \"rho_init\": %.17g}}",
        SIDE, SIDE, DIGITS, bnn_softplus_inverse(0.3));
    if (bnn_config_parse("test", text, NULL, 0, NULL, &config, &error)) fail_msg("%s", error.message);
    bnn_config_network(&config, BNN_TRIVIAL, &spec);
    assert_int_equal(bnn_model_create(&config, &spec, &model, &error), BNN_OK);
    assert_int_equal(bnn_symmetry_create(model->group, model->network, &symmetry, &error), BNN_OK);
    assert_int_equal(bnn_certify(symmetry, model->posterior, &certificate, &error), BNN_OK);
    assert_true(certificate->l1_bound == 0);
    bnn_certificate_free(certificate);
    bnn_symmetry_free(symmetry);
    return model;
}

/* A constant image, and two that turns change. */
static double pixel(size_t image, size_t row, size_t column)
{
    const double x = (double)column, y = (double)row;
    return image == 0 ? 1 : image == 1 ? (row < SIDE / 2 ? 1 : -1) : sin(1 + 7 * y + 3 * x + x * y);
}

/* Over draws that lie `stride` apart, E (p - other) = 0 in every class; other = NULL stands for the uniform
 * distribution. With e_c the standard errors of the means, ||mean p - mean other||_1 is a sum of half-normal figures
 * that are nearly independent, of mean sqrt(2/pi) sum_c e_c and variance (1 - 2/pi) sum_c e_c^2. */
static void expect_equal_predictions(const char *name, const double *p, const double *other, size_t stride)
{
    const double half_normal_mean = 0.79788456080286536, half_normal_variance = 0.36338022763241866;
    double distance = 0, mean = 0, variance = 0;
    for (size_t c = 0; c < DIGITS; c++) {
        average gap = {0, 0, 0};
        for (size_t t = 0; t < DRAWS; t++)
            average_add(&gap, p[t * stride + c] - (other ? other[t * stride + c] : 1.0 / DIGITS));
        const double error = average_error(&gap);
        expect_chance(name, "probability", average_mean(&gap) / error, 6);
        distance += fabs(average_mean(&gap));
        mean += half_normal_mean * error;
        variance += half_normal_variance * error * error;
    }
    expect_chance(name, "L1 distance", (distance - mean) / sqrt(variance), 6);
}

/* F of the constant image is the uniform distribution; F(h.x) = F(x). */
static bnn_status check_predictions(void *context, const bnn_predictions *predictions, bnn_error *error)
{
    const size_t first = predictions->first, images = predictions->images;
    const size_t order = *(const size_t *)context, stride = order * images * DIGITS;
    (void)error;
    for (size_t i = 0; i < images; i++) {
        const double *p = predictions->values + i * DIGITS;
        if (first + i == 0) expect_equal_predictions("a constant image", p, NULL, stride);
        for (size_t h = 1; h < order && first + i > 0; h++)
            expect_equal_predictions("an image and a turn of it", p + h * images * DIGITS, p, stride);
    }
    return BNN_OK;
}

static void an_invariant_posterior_predicts_invariantly(void **state)
{
    bnn_model *model = invariant_model();
    size_t order = model->group->order;
    bnn_dataset data = {.count = IMAGES, .channels = 1, .height = SIDE, .width = SIDE, .classes = DIGITS};
    const bnn_predict_options options = {.group = model->group,
                                         .samples = DRAWS,
                                         .seed = 1,
                                         .purpose = BNN_STREAM_EVALUATION_NOISE,
                                         .threads = 2};
    bnn_error error;
    (void)state;
    data.images = test_zeros(IMAGES * SIDE * SIDE);
    for (size_t i = 0; i < IMAGES * SIDE * SIDE; i++)
        data.images[i] = (bnn_real)pixel(i / (SIDE * SIDE), i / SIDE % SIDE, i % SIDE);
    assert_int_equal(bnn_predict(model, &data, &options, check_predictions, &order, &error), BNN_OK);
    free(data.images);
    bnn_model_free(model);
}

/* E[p (1 - p)] for p = 1 / (1 + e^-D), D ~ N(0, variance), by the trapezoid rule: far more exact than the draws. */
static double expected_slope(double variance)
{
    const double most = 12, step = 0.125;
    double sum = 0;
    for (double z = -most; z <= most; z += step) {
        const double p = bnn_sigmoid(sqrt(variance) * z);
        sum += step * exp(-z * z / 2) / 2.5066282746310002 * p * (1 - p);
    }
    return sum;
}

/* gradient_j <- d E[-log p] / d sigma_j of two classes on an image of ones, with mu = 0 and one sigma everywhere. The
 * difference D of the logits is N(0, v) given the layer below, and d E[-log p] / dv = E[p (1 - p)] / 2 (R. Price, "A
 * Useful Theorem for Nonlinear Devices Having Gaussian Inputs", IRE Trans. Inf. Theory 4, 1958). Without a hidden layer
 * v = sum_j sigma_j^2. */
static void expect_linear(const trainer *t, double sigma, double *gradient)
{
    for (size_t j = 0; j < t->posterior->count; j++)
        gradient[j] = sigma * expected_slope(sigma * sigma * (double)t->posterior->count);
}

/* With a hidden layer of ReLUs, the vector of its activations has a length u r, with u^2 = sigma^2 (inputs + 1) and
 * r^2 ~ chi-square(k) for the number k ~ binomial(width, 1/2) of units that are on. This is the density of r > 0. */
static double length_density(double width, double r)
{
    double sum = 0;
    for (double k = 1; k <= width; k++)
        sum += exp(lgamma(width + 1) - lgamma(k + 1) - lgamma(width - k + 1)) * exp2(1 - k / 2 - width) *
               pow(r, k - 1) * exp(-r * r / 2) / tgamma(k / 2);
    return sum;
}

/* v = 2 sigma^2 (1 + u^2 r^2). The parameters of the first layer are exchangeable, and so are the last one's weights,
 * and its biases: each has an equal share of what scaling all of them would do. */
static void expect_hidden(const trainer *t, double sigma, double *gradient)
{
    const bnn_layer *first = &t->network->layers[0], *last = bnn_network_head(t->network);
    const double width = (double)first->shape.out.channels, step = 0.0625;
    const double u2 = sigma * sigma * (double)(first->weight_count + first->bias_count) / width;
    double slope = exp2(-width) * expected_slope(2 * sigma * sigma),
           square = 0; /* E[p (1 - p)], E[p (1 - p) r^2] */
    for (double r = step / 2; r < 12; r += step) {
        const double part =
            step * length_density(width, r) * expected_slope(2 * sigma * sigma * (1 + u2 * r * r));
        slope += part;
        square += part * r * r;
    }
    for (size_t j = 0; j < t->posterior->count; j++)
        gradient[j] = sigma * (j >= last->bias_offset     ? slope
                               : j >= last->weight_offset ? u2 * square / width
                                                          : 2 * sigma * sigma * square / width);
}

/* The mean over steps of the gradient of sigma in every parameter, and of its sum over all. */
static void check_gradients(const char *name, size_t inputs, size_t width,
                            void (*expect)(const trainer *t, double sigma, double *gradient))
{
    enum { STEPS = 6000 };
    const double sigma = 0.3, slope = bnn_sigmoid(bnn_softplus_inverse(sigma));
    const bnn_network_spec spec = {.type = BNN_NETWORK_MLP,
                                   .input = {1, 1, inputs},
                                   .classes = 2,
                                   .widths = {width},
                                   .width_count = width > 0};
    const bnn_engine_options options = {.samples = 64, .items = 1, .views = 1, .threads = 1};
    trainer t = test_trainer(&spec, options, 1, sigma);
    const size_t n = t.posterior->count;
    average *found = bnn_alloc(n, sizeof *found), found_sum = {0, 0, 0};
    double *expected = bnn_alloc(n, sizeof *expected), expected_sum = 0;
    assert_true(found && expected);
    expect(&t, sigma, expected);
    for (size_t step = 0; step < STEPS; step++) {
        double sum = 0;
        bnn_engine_draw(t.engine, 1, BNN_STREAM_TRAIN_NOISE, step);
        bnn_engine_step(t.engine, t.images, t.labels, 0);
        for (size_t j = 0; j < n; j++) {
            const double gradient = (double)bnn_engine_scale_gradient(t.engine)[j] / slope;
            average_add(&found[j], gradient);
            sum += gradient;
        }
        average_add(&found_sum, sum);
    }
    for (size_t j = 0; j < n; j++) {
        expect_chance(name, "gradient", (average_mean(&found[j]) - expected[j]) / average_error(&found[j]),
                      6);
        expected_sum += expected[j];
    }
    expect_chance(name, "sum of the gradient",
                  (average_mean(&found_sum) - expected_sum) / average_error(&found_sum), 6);
    free(expected);
    free(found);
    trainer_free(&t);
}

static void gradients_of_small_networks_are_known(void **state)
{
    (void)state;
    check_gradients("a linear network", 36, 0, expect_linear);
    check_gradients("a hidden layer", 12, 8, expect_hidden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_independent),
        cmocka_unit_test(a_run_of_laplace_noise_is_independent),
        cmocka_unit_test(streams_are_independent),
        cmocka_unit_test(weights_are_independent),
        cmocka_unit_test(local_noise_is_independent),
        cmocka_unit_test(flipout_signs_are_independent),
        cmocka_unit_test(an_invariant_posterior_predicts_invariantly),
        cmocka_unit_test(gradients_of_small_networks_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
