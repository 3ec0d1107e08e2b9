/* Mode equivariant: what a training leaves behind, what optimisers make of weights that share noise, and what is refused. */
#include <stdlib.h>

#include "bnn/engine.h"
#include "bnn/evaluate.h"
#include "bnn/numeric.h"
#include "bnn/optimizer.h"
#include "bnn/splits.h"
#include "networks.h"
#include "runs.h"

#define EQUIVARIANT "symmetrization.mode=equivariant"

/* ---- what a training leaves behind ------------------------------------------------------------------------ */

typedef struct spread {
    size_t order, classes;
    double most; /* max |p_t(g.x) - p_t(x)| */
} spread;

static bnn_status find_spread(void *context, const bnn_predictions *p, bnn_error *error)
{
    spread *s = context;
    const size_t block = p->images * s->classes;
    (void)error;
    for (size_t t = 0; t < 3; t++)
        for (size_t g = 1; g < s->order; g++)
            for (size_t k = 0; k < block; k++)
                s->most = fmax(s->most, fabs(p->values[(t * s->order + g) * block + k] -
                                             p->values[t * s->order * block + k]));
    return BNN_OK;
}

/* The largest change of a single draw's prediction over the orbits of random images, under every group element. */
static double change_of_draws(const bnn_model *model)
{
    enum { COUNT = 5 };
    const size_t pixels = bnn_network_in_count(model->network);
    bnn_real *x = test_normals(COUNT * pixels, 3);
    const bnn_dataset images = {.channels = 1, .height = SIDE, .width = SIDE, .count = COUNT, .images = x};
    const bnn_predict_options options = {
        .group = model->group, .samples = 3, .purpose = BNN_STREAM_EVALUATION_NOISE, .threads = 2};
    spread s = {model->group->order, model->network->spec.classes, 0};
    bnn_error error;
    if (bnn_predict(model, &images, &options, find_spread, &s, &error)) fail_msg("%s", error.message);
    free(x);
    return s.most;
}

/* KL(q || p) of the free weights: of each orbit, found from the group's table, one factor. */
static double kl_by_orbits(const bnn_symmetry *symmetry, const bnn_posterior *q, double *orbits)
{
    bool *seen = calloc(q->count, sizeof *seen);
    double kl = 0;
    *orbits = 0;
    assert_non_null(seen);
    for (size_t j = 0; j < q->count; j++) {
        if (seen[j]) continue;
        for (size_t h = 0; h < symmetry->group->order; h++) {
            const size_t i = symmetry->source[h * q->count + j];
            seen[i] = true;
            assert_true(q->mu[i] == q->mu[j] && q->rho[i] == q->rho[j]);
            assert_true(q->ties->leader[i] == j); /* the smallest, as the loop runs */
        }
        const double s = bnn_softplus((double)q->rho[j]), p = (double)q->prior_std[j], m = (double)q->mu[j];
        if (strcmp(q->family->row.name, "laplace") == 0)
            kl += log(p / s) + fabs(m) / p + s / p * exp(-fabs(m) / s) - 1;
        else
            kl += log(p / s) + (s * s + m * m) / (2 * p * p) - 0.5;
        ++*orbits;
    }
    free(seen);
    return kl;
}

static void check_model(const bnn_model *model, const char *what)
{
    bnn_symmetry *symmetry;
    bnn_certificate *certificate;
    bnn_error error;
    double orbits, free_count = 0;
    assert_int_equal(bnn_symmetry_create(model->group, model->network, &symmetry, &error), BNN_OK);
    assert_int_equal(bnn_certify(symmetry, model->posterior, &certificate, &error), BNN_OK);
    if (certificate->residual != 0 || certificate->kl_max != 0 || certificate->l1_bound != 0)
        fail_msg("%s: residual %g, KL %g", what, certificate->residual, certificate->kl_max);
    assert_close(bnn_posterior_kl(model->posterior), kl_by_orbits(symmetry, model->posterior, &orbits), 1e-5,
                 1e-3);
    for (size_t l = 0; l < model->network->layer_count; l++)
        free_count += bnn_posterior_layer_free(model->posterior, &model->network->layers[l]);
    assert_close(free_count, orbits, 1e-6, 0);
    assert_true(orbits < 0.75 * (double)model->posterior->count);
    const double change = change_of_draws(model);
    if (change > ROUNDING) fail_msg("%s: a draw changes by %g over the orbit", what, change);
    bnn_certificate_free(certificate);
    bnn_symmetry_free(symmetry);
}

/* Every network, group, family and optimiser that go together. */
static void every_draw_is_equivariant(void **state)
{
    static const char *const types[] = {"model.type=fcnn", "model.type=cnn", "model.type=mlp"};
    static const char *const groups[] = {"group=C4", "group=D4", "group=T2", "group=C2", "group=D1"};
    static const char *const rest[][2] = {
        {"train.optimizer.name=sgd", "posterior.family=gaussian"},
        {"train.optimizer.name=adamw", "posterior.family=gaussian"},
        {"train.optimizer.name=ivon", "posterior.family=gaussian"},
        {"train.optimizer.name=sgd", "posterior.family=laplace"},
        {"train.optimizer.name=adamw", "posterior.family=laplace"},
    };
    (void)state;
    for (size_t t = 0; t < 3; t++)
        for (size_t g = 0; g < 5; g++)
            for (size_t r = 0; r < 5; r++) {
                char what[128];
                snprintf(what, sizeof what, "%s %s %s %s", types[t], groups[g], rest[r][0], rest[r][1]);
                train("each", SETS(EQUIVARIANT, types[t], groups[g], rest[r][0], rest[r][1],
                                   g == 2 ? "model.padding=circular" : "model.padding=zero",
                                   (t + g + r) % 2 ? "prior.std=learned" : "prior.std=fan-in",
                                   (t + g + r) % 3 ? "train.map_epochs=0" : "train.map_epochs=1"));
                bnn_model *model = load("each");
                check_model(model, what);
                bnn_model_free(model);
            }
}

/* What the mode is for: draws of `tie`, whose q is as invariant, change over the orbit. */
static void draws_of_an_invariant_posterior_are_not(void **state)
{
    (void)state;
    train("tie", SETS("symmetrization.mode=tie", "posterior.rho_init=-2"));
    bnn_model *model = load("tie");
    assert_true(change_of_draws(model) > 1e-3);
    bnn_model_free(model);
}

static void the_result_does_not_depend_on_the_threads(void **state)
{
    static uint8_t bytes[3][1 << 18];
    static const char *const optimizers[] = {"train.optimizer.name=sgd", "train.optimizer.name=adamw",
                                             "train.optimizer.name=ivon"};
    bnn_error error;
    (void)state;
    for (size_t o = 0; o < 3; o++) {
        size_t sizes[3];
        for (int t = 0; t < 3; t++) {
            const char *const sets[] = {
                EQUIVARIANT, optimizers[o], "prior.std=learned", "train.samples=3", "data.validation_size=16",
                NULL};
            assert_int_equal(try_training("threads", 1 + t, sets, &error), BNN_OK);
            sizes[t] = get_file(in_temporary("threads/checkpoint.bin"), bytes[t], sizeof bytes[t]);
            assert_true(sizes[t] > 0 && sizes[t] < sizeof bytes[t] && sizes[t] == sizes[0]);
            assert_memory_equal(bytes[t], bytes[0], sizes[0]);
        }
    }
}

/* Random means are rescaled after the projection, those of posterior.init_from are not. lr 0: as training begins. */
static void means_begin_at_their_scale(void **state)
{
    char from[320];
    (void)state;
    train("none", SETS("symmetrization.mode=none", "train.optimizer.lr=0"));
    train("fresh", SETS(EQUIVARIANT, "train.optimizer.lr=0"));
    bnn_model *none = load("none"), *fresh = load("fresh");
    for (size_t l = 0; l < fresh->network->layer_count; l++) {
        const bnn_layer *layer = &fresh->network->layers[l];
        double before = 0, after = 0;
        for (size_t j = layer->weight_offset; j < layer->weight_offset + layer->weight_count; j++) {
            before += (double)none->posterior->mu[j] * (double)none->posterior->mu[j];
            after += (double)fresh->posterior->mu[j] * (double)fresh->posterior->mu[j];
        }
        assert_close(after, before, 1e-4, 1e-6);
    }
    snprintf(from, sizeof from, "posterior.init_from=%s", in_temporary("fresh/model.bin"));
    train("warm", SETS(EQUIVARIANT, "train.optimizer.lr=0", from));
    bnn_model *warm = load("warm");
    assert_memory_equal(warm->posterior->mu, fresh->posterior->mu, warm->posterior->count * sizeof(bnn_real));
    bnn_model_free(warm);
    bnn_model_free(fresh);
    bnn_model_free(none);
}

/* ---- optimisers where the answer is known ------------------------------------------------------------------- */

/* The mean negative log-likelihood (w - c)' A (w - c)/2 of all weights w = E u of the free ones u, A = B'B/n + 1/2. Of the
 * posteriors N(mu_o, sigma_o^2) of u under the prior N(0, s^2) and N items, with H = E'AE, the best has 1/sigma_o^2 = N H_oo +
 * 1/s^2 and (N H + 1/s^2) mu = N E'A c. */
enum { MOST = 64 };
typedef struct quadratic {
    fixture f;
    bnn_posterior *q;
    size_t count, free_count;
    size_t orbit[MOST]; /* of each weight */
    double a[MOST][MOST], c[MOST], mean[MOST], sigma[MOST];
} quadratic;

static const double items = 50, prior = 0.7;

/* x <- the solution of m x = x, by elimination; m is positive definite. */
static void solve(double m[MOST][MOST], double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++) {
            const double factor = m[k][i] / m[i][i];
            for (size_t l = i; l < n; l++) m[k][l] -= factor * m[i][l];
            x[k] -= factor * x[i];
        }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++) x[i] -= m[i][k] * x[k];
        x[i] /= m[i][i];
    }
}

static void make_quadratic(quadratic *p)
{
    static const bnn_network_spec spec = NETWORK(FCNN, 1, 4, 4, 3, false, 3); /* orbits of 4 and of 1 */
    static double h[MOST][MOST];
    *p = (quadratic){.f = test_fixture("C4", &spec)};
    p->q = test_posterior(p->f.network, 5);
    p->count = p->q->count;
    assert_true(p->count <= MOST);
    bnn_real *b = test_normals(p->count * p->count, 9), *c = test_normals(p->count, 10);
    bnn_posterior_project(p->f.symmetry, p->q);
    p->q->ties = bnn_symmetry_ties(p->f.symmetry);
    assert_non_null(p->q->ties);
    for (size_t j = 0; j < p->count; j++) {
        p->q->prior_std[j] = (bnn_real)prior;
        p->c[j] = (double)c[j];
        p->orbit[j] = p->q->ties->leader[j] == j ? p->free_count++ : p->orbit[p->q->ties->leader[j]];
        for (size_t k = 0; k < p->count; k++) {
            for (size_t l = 0; l < p->count; l++)
                p->a[j][k] += (double)b[l * p->count + j] * (double)b[l * p->count + k] / (double)p->count;
            if (j == k) p->a[j][k] += 0.5;
        }
    }
    assert_true(p->free_count < p->count);
    memset(h, 0, sizeof h);
    for (size_t j = 0; j < p->count; j++)
        for (size_t k = 0; k < p->count; k++) {
            h[p->orbit[j]][p->orbit[k]] += items * p->a[j][k];
            p->mean[p->orbit[j]] += items * p->a[j][k] * p->c[k];
        }
    for (size_t o = 0; o < p->free_count; o++) {
        h[o][o] += 1 / (prior * prior);
        p->sigma[o] = 1 / sqrt(h[o][o]);
    }
    solve(h, p->mean, p->free_count);
    free(c);
    free(b);
}

/* The expectations of what the engine adds up: of dL/dw_j, and of dL/dw_j eps_o(j) with w_k = mu_k + sigma_k eps_o(k). */
static void add_expected_gradients(const quadratic *p, const bnn_real *sigma, bnn_real *mu_gradient,
                                   bnn_real *sigma_gradient)
{
    for (size_t j = 0; j < p->count; j++) {
        double mean = 0, noise = 0;
        for (size_t k = 0; k < p->count; k++) {
            mean += p->a[j][k] * ((double)p->q->mu[k] - p->c[k]);
            if (p->orbit[k] == p->orbit[j]) noise += p->a[j][k] * (double)sigma[k];
        }
        mu_gradient[j] = (bnn_real)mean;
        sigma_gradient[j] = (bnn_real)noise;
    }
}

static void descend(quadratic *p, const char *name, const bnn_optimizer_options *options, size_t steps)
{
    const bnn_optimizer_rule *rule = bnn_optimizer_find(name);
    bnn_real *mu_gradient = test_zeros(p->count), *scale_gradient = test_zeros(p->count);
    bnn_real *sigma = test_zeros(p->count), *slope = test_zeros(p->count), *weight = test_zeros(p->count);
    bnn_optimizer *optimizer;
    bnn_error error;
    assert_int_equal(bnn_optimizer_create(rule, options, p->count, &optimizer, &error), BNN_OK);
    for (size_t i = 0; i < steps; i++) {
        bnn_softplus_array(p->q->rho, p->count, sigma, slope);
        add_expected_gradients(p, sigma, mu_gradient, scale_gradient);
        const bnn_slice slice = bnn_posterior_slice(p->q, sigma, 0, p->count);
        if (!rule->likelihood_only)
            bnn_posterior_kl_gradient(p->q, p->q->family, &slice, 0, (bnn_real)(1 / items), mu_gradient,
                                      scale_gradient);
        for (size_t j = 0; j < p->count; j++) {
            if (rule->gradient == BNN_GRADIENT_OF_RHO) scale_gradient[j] *= slope[j];
            weight[j] = (bnn_real)(1 / items) * p->q->ties->share[j]; /* as the engine weighs the KL */
        }
        bnn_symmetry_project(p->f.symmetry, mu_gradient);
        bnn_symmetry_project(p->f.symmetry, scale_gradient);
        const bnn_descent step = {.lr_scale = 1 - (double)i / (double)steps,
                                  .gradient_factor = 1,
                                  .mu_gradient = mu_gradient,
                                  .scale_gradient = scale_gradient,
                                  .kl_weight = weight,
                                  .sigma = sigma,
                                  .threads = 1};
        bnn_optimizer_step(optimizer, &step, p->q);
    }
    bnn_optimizer_free(optimizer);
    free(weight), free(slope), free(sigma), free(scale_gradient), free(mu_gradient);
}

/* The posterior of the free weights, found in all of them: an orbit's curvature is the sum over all its pairs. */
static void optimisers_find_the_posterior_of_the_free_weights(void **state)
{
    static const struct {
        const char *name;
        bnn_optimizer_options options;
        size_t steps;
    } runs[] = {
        {"sgd", {.lr = 0.1, .rho_lr_factor = 10, .momentum = 0.9}, 8000},
        {"adamw", {.lr = 0.02, .rho_lr_factor = 1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8}, 20000},
        {"ivon", {.lr = 0.1, .beta1 = 0.9, .beta2 = 0.99, .h0 = 0.5}, 8000},
    };
    (void)state;
    for (size_t r = 0; r < sizeof runs / sizeof *runs; r++) {
        quadratic *p = calloc(1, sizeof *p);
        assert_non_null(p);
        make_quadratic(p);
        descend(p, runs[r].name, &runs[r].options, runs[r].steps);
        for (size_t j = 0; j < p->count; j++) {
            const size_t o = p->orbit[j];
            const double away = fabs((double)p->q->mu[j] - p->mean[o]) / p->sigma[o];
            const double wide = bnn_softplus((double)p->q->rho[j]) / p->sigma[o] - 1;
            if (away > 2e-3 || fabs(wide) > 2e-3)
                fail_msg("%s: mu off by %g sigma, sigma by %g", runs[r].name, away, wide);
        }
        assert_true(bnn_symmetry_is_invariant(p->f.symmetry, p->q->mu));
        assert_true(bnn_symmetry_is_invariant(p->f.symmetry, p->q->rho));
        bnn_posterior_free(p->q);
        test_fixture_free(&p->f);
        free(p);
    }
}

/* What the engine hands to a rule that has the KL in closed form. */
static void the_engine_weighs_the_kl_by_the_share(void **state)
{
    static const bnn_network_spec spec = NETWORK(FCNN, 1, 4, 4, 3, false, 3);
    const uint32_t labels[2] = {0, 2};
    fixture f = test_fixture("C4", &spec);
    bnn_posterior *q = test_posterior(f.network, 5);
    bnn_real *x = test_normals(2 * bnn_network_in_count(f.network), 6);
    const bnn_engine_options options = {.samples = 1,
                                        .items = 2,
                                        .views = 1,
                                        .threads = 1,
                                        .gradient = BNN_GRADIENT_OF_SIGMA,
                                        .likelihood_only = true};
    bnn_engine *engine;
    bnn_error error;
    size_t sizes[5] = {0};
    (void)state;
    bnn_posterior_project(f.symmetry, q);
    q->ties = bnn_symmetry_ties(f.symmetry);
    assert_int_equal(bnn_engine_create(q, &options, &engine, &error), BNN_OK);
    bnn_engine_draw(engine, 1, BNN_STREAM_TRAIN_NOISE, 0);
    bnn_engine_step(engine, x, labels, 0.02);
    for (size_t j = 0; j < q->count; j++) {
        size_t size = 0;
        for (size_t k = 0; k < q->count; k++) size += q->ties->leader[k] == q->ties->leader[j];
        assert_true(size == 1 || size == 4);
        sizes[size]++;
        assert_close((double)bnn_engine_kl_weight(engine)[j], 0.02 / (double)size, 1e-6, 0);
    }
    assert_true(sizes[1] > 0 && sizes[4] > 0);
    bnn_engine_free(engine);
    free(x);
    bnn_posterior_free(q);
    test_fixture_free(&f);
}

/* ---- what is refused ---------------------------------------------------------------------------------------- */

static void what_would_break_a_draw_is_refused(void **state)
{
    static const struct {
        const char *sets[3], *texts[4];
    } cases[] = {
        {{"train.estimator=flipout"}, {"train.estimator", "weight", "share noise"}},
        {{"train.estimator=local"}, {"train.estimator", "weight", "share noise"}},
        {{"prior.mean=random"}, {"prior.mean", "zero", "one prior"}},
        {{"posterior.family=lognormal"}, {"posterior.family", "\"gaussian\", \"laplace\"", "signs"}},
        {{"symmetrization.hold=false"}, {"symmetrization.hold", "always holds"}},
        {{"symmetrization.augmentation=full"}, {"symmetrization.augmentation", "base images only"}},
        {{"group=C8", "model.type=mlp"}, {"symmetrization.mode", "C8", "fc_layers.0"}},
        {{"model.channels=[8, 6]"}, {"conv_layers.1", "6", "multiple of 4"}},
        {{"train.optimizer.name=ivon", "posterior.family=laplace"}, {"ivon"}},
    };
    bnn_error error;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *sets[5] = {EQUIVARIANT};
        memcpy(sets + 1, cases[i].sets, sizeof cases[i].sets);
        assert_int_equal(try_training("no", 1, sets, &error), BNN_BAD_INPUT);
        for (size_t k = 0; k < 4 && cases[i].texts[k]; k++)
            if (!strstr(error.message, cases[i].texts[k]))
                fail_msg("\"%s\" does not say \"%s\"", error.message, cases[i].texts[k]);
    }
    assert_int_not_equal(access(in_temporary("no"), F_OK), 0);
}

/* A file whose weights differ within an orbit claims what it is not. */
static void a_file_off_the_orbits_is_refused(void **state)
{
    char path[320];
    bnn_error error;
    (void)state;
    train("off", SETS(EQUIVARIANT));
    for (int rho = 0; rho < 2; rho++) {
        bnn_model *model = load("off"), *again = NULL;
        const bnn_layer *layer = parameter_layer(model->network, 1);
        bnn_real *values = rho ? model->posterior->rho : model->posterior->mu;
        values[layer->weight_offset + 1] += (bnn_real)0.01;
        snprintf(path, sizeof path, "%s", in_temporary("off.bin"));
        assert_int_equal(bnn_model_save(model, path, NULL, 0, NULL, 0, &error), BNN_OK);
        assert_int_equal(bnn_model_load(path, &again, NULL, &error), BNN_OK);
        assert_failure(bnn_mode_restore(path, again, &error), BNN_BAD_INPUT, error, "off.bin", layer->name,
                       rho ? "found rho" : "found mu", "orbit of weights under C4", "equivariant");
        bnn_model_free(again);
        bnn_model_free(model);
    }
}

/* ---- by the program ----------------------------------------------------------------------------------------- */

static void the_program_says_what_it_is(void **state)
{
    (void)state;
    char config[320], out[300], model[320];
    snprintf(config, sizeof config, "%s", put_small_config());
    snprintf(out, sizeof out, "%s", in_temporary("program"));
    snprintf(model, sizeof model, "%s/model.bin", out);
    succeeded(bnn_run("train", config, "--out", out, "--set", EQUIVARIANT, "--quiet"));
    cJSON *json = json_of(bnn_run("info", model, "--json"));
    double sum = 0;
    const cJSON *layer;
    assert_true(figure(json, "free_parameters") < figure(json, "parameters") / 2);
    cJSON_ArrayForEach(layer, member(json, "layers")) sum += figure(layer, "free_parameters");
    assert_true(sum == figure(json, "free_parameters"));
    assert_non_null(strstr(member(json, "ties")->valuestring, "the file holds every weight"));
    cJSON_Delete(json);
    assert_non_null(strstr(succeeded(bnn_run("info", model))->out, "of them free"));
    assert_non_null(strstr(succeeded(bnn_run("check", model))->out, "every draw"));
    assert_one_line(bnn_run("symmetrize", model, "--project", "--out", in_temporary("p.bin")), 2,
                    "equivariant", "share noise");
    assert_one_line(bnn_run("expand", model, "--out", in_temporary("p.bin")), 2, "equivariant",
                    "share noise");
    json = json_of(bnn_run("eval", model, "--json", "--equivariance", "--samples", "4"));
    assert_true(figure(json, "equivariance.defect.single_draw") <= ROUNDING * ROUNDING);
    assert_true(figure(json, "equivariance.certificate.residual") == 0);
    assert_true(figure(json, "equivariance.certificate.l1_bound") == 0);
    cJSON_Delete(json);
}

/* The defect of a single draw: of tie's draws, by the program, against its own predictions; and where there is none. */
static void the_program_measures_single_draws(void **state)
{
    enum { DRAWS = 3, ORDER = 4, COUNT = IMAGES / 2 };
    static uint8_t bytes[1 << 16];
    bnn_real p[DRAWS][ORDER][COUNT][CLASSES];
    char out[300], model[320], file[320], images[320];
    double sum = 0;
    (void)state;
    snprintf(out, sizeof out, "%s", in_temporary("draws"));
    snprintf(model, sizeof model, "%s/model.bin", out);
    snprintf(file, sizeof file, "%s", in_temporary("p.npy"));
    snprintf(images, sizeof images, "%s", in_temporary("test-images"));
    succeeded(bnn_run("train", put_small_config(), "--out", out, "--set", "symmetrization.mode=tie", "--set",
                      "posterior.rho_init=-2", "--quiet"));
    succeeded(bnn_run("predict", model, "--images", images, "--orbit", "--each-draw", "--samples", "3",
                      "--out", file));
    const size_t size = get_file(file, bytes, sizeof bytes);
    assert_true(size > sizeof p && size < sizeof bytes);
    memcpy(p, bytes + size - sizeof p, sizeof p);
    for (size_t t = 0; t < DRAWS; t++)
        for (size_t g = 0; g < ORDER; g++)
            for (size_t i = 0; i < COUNT; i++)
                for (size_t c = 0; c < CLASSES; c++)
                    sum += pow((double)p[t][g][i][c] - (double)p[t][0][i][c], 2) / (DRAWS * ORDER * COUNT);
    cJSON *json = json_of(bnn_run("eval", model, "--json", "--equivariance", "--samples", "3"));
    assert_true(sum > 1e-5);
    assert_close(figure(json, "equivariance.defect.single_draw"), sum, 1e-4, 1e-3);
    cJSON_Delete(json);
    json = json_of(bnn_run("score", "--probs", file, "--json"));
    assert_close(figure(json, "equivariance.defect.single_draw"), sum, 1e-4, 1e-3);
    cJSON_Delete(json);
    assert_non_null(strstr(succeeded(bnn_run("eval", model, "--equivariance", "--samples", "3"))->out,
                           "defect of a single draw"));
    assert_non_null(
        strstr(succeeded(bnn_run("eval", model, out, "--equivariance", "--samples", "3"))->out, "one draw"));
    json = json_of(
        bnn_run("eval", model, "--json", "--equivariance", "--samples", "3", "--draws", "independent"));
    assert_true(cJSON_IsNull(member(json, "equivariance.defect.single_draw")));
    cJSON_Delete(json);
    succeeded(bnn_run("predict", model, "--images", images, "--orbit", "--samples", "3", "--out", file));
    json = json_of(bnn_run("score", "--probs", file, "--json"));
    assert_true(cJSON_IsNull(member(json, "equivariance.defect.single_draw")));
    cJSON_Delete(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_draw_is_equivariant),
        cmocka_unit_test(draws_of_an_invariant_posterior_are_not),
        cmocka_unit_test(the_result_does_not_depend_on_the_threads),
        cmocka_unit_test(means_begin_at_their_scale),
        cmocka_unit_test(optimisers_find_the_posterior_of_the_free_weights),
        cmocka_unit_test(the_engine_weighs_the_kl_by_the_share),
        cmocka_unit_test(what_would_break_a_draw_is_refused),
        cmocka_unit_test(a_file_off_the_orbits_is_refused),
        cmocka_unit_test(the_program_says_what_it_is),
        cmocka_unit_test(the_program_measures_single_draws),
    };
    return cmocka_run_group_tests(tests, set_up_trainings, remove_temporary_directory);
}
