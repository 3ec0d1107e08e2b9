/* q_G = 1/|G| sum_h rho(h) q as a posterior of its own: KL(q || q_G) against quadrature, a plain Monte-Carlo estimate and its
 * limits, and the ELBO against one that is computed from draws of q_G itself. */
#include "networks.h"

#include "bnn/evaluate.h"
#include "bnn/numeric.h"

static const bnn_network_spec tiny = NETWORK(FCNN, 1, 4, 4, 3, false, 1);
static const bnn_draw draw = {5, BNN_STREAM_EVALUATION_NOISE, 0, 0};

typedef struct estimate {
    double value, error;
} estimate;

static estimate divergence_of(const fixture *f, const bnn_posterior *q, size_t draws, int threads)
{
    estimate found;
    bnn_error error = {0};
    if (bnn_mixture_divergence(f->symmetry, q, draw, draws, threads, &found.value, &found.error, &error))
        fail_msg("%s", error.message);
    return found;
}

/* A posterior of a family with equal mu, rho and signs everywhere. */
static bnn_posterior *level(const fixture *f, const bnn_family *family)
{
    bnn_posterior *q;
    assert_int_equal(bnn_posterior_create(f->network, family, &q, NULL), BNN_OK);
    for (size_t j = 0; j < q->count; j++) q->rho[j] = (bnn_real)bnn_softplus_inverse(0.5);
    for (size_t j = 0; q->sign && j < q->count; j++) q->sign[j] = 1;
    return q;
}

/* The first orbit, which stands in a kernel. */
static const uint32_t *first_orbit(const fixture *f)
{
    return f->symmetry->orbit_member + f->symmetry->orbit_start[0];
}

static double log_factor(bool laplace, double x, double mu, double sigma)
{
    const double z = (x - mu) / sigma;
    return laplace ? -fabs(z) - log(2 * sigma) : -z * z / 2 - log(sigma) - log(2 * acos(-1)) / 2;
}

/* KL(q || q_G) where q(a, b) is a product and q_G(a, b) = 1/2 (q(a, b) + q(b, a)), by the midpoint rule. */
static double quadrature(bool laplace, const double mu[2], const double sigma[2])
{
    enum { POINTS = 2000 };
    const double reach = laplace ? 30 : 9;
    double sum = 0;
    for (size_t i = 0; i < POINTS; i++) {
        const double a = mu[0] + sigma[0] * reach * (2 * ((double)i + 0.5) / POINTS - 1);
        for (size_t k = 0; k < POINTS; k++) {
            const double b = mu[1] + sigma[1] * reach * (2 * ((double)k + 0.5) / POINTS - 1);
            const double here =
                log_factor(laplace, a, mu[0], sigma[0]) + log_factor(laplace, b, mu[1], sigma[1]);
            const double there =
                log_factor(laplace, b, mu[0], sigma[0]) + log_factor(laplace, a, mu[1], sigma[1]);
            sum -= exp(here) * (log1p(exp(there - here)) - log(2));
        }
    }
    return sum * 4 * reach * reach * sigma[0] * sigma[1] / (POINTS * POINTS);
}

/* One orbit of two weights that differ; the rest of q is invariant and adds nothing. */
static void agrees_with_quadrature(void **state)
{
    static const double mu[][2] = {{0.3, -0.4}, {0, 0}, {1.2, -0.5}, {0.1, 0.15}},
                        sigma[][2] = {{0.5, 0.5}, {0.3, 0.9}, {0.4, 0.6}, {0.5, 0.45}};
    const bnn_family *const families[] = {&bnn_family_gaussian, &bnn_family_laplace, &bnn_family_lognormal};
    fixture f = test_fixture("C2", &tiny);
    (void)state;
    for (size_t k = 0; k < 12; k++) {
        const double *m = mu[k % 4], *s = sigma[k % 4];
        bnn_posterior *q = level(&f, families[k / 4]);
        for (size_t i = 0; i < 2; i++) {
            q->mu[first_orbit(&f)[i]] = (bnn_real)m[i];
            q->rho[first_orbit(&f)[i]] = (bnn_real)bnn_softplus_inverse(s[i]);
        }
        const double truth = quadrature(k / 4 == 1, m, s);
        const estimate found = divergence_of(&f, q, 40000, 2);
        print_message("%s %zu: %.5f +- %.5f, quadrature %.5f\n", q->family->row.name, k % 4, found.value,
                      found.error, truth);
        assert_true(fabs(found.value - truth) <= 3.5 * found.error && found.error < 0.002);
        assert_true(truth > 0 && truth < log(2));
        bnn_posterior_free(q);
    }
    test_fixture_free(&f);
}

/* Against the plain estimate mean_t log q(w_t)/q_G(w_t), with many orbits and elements, and draws of the test's own. */
static void agrees_with_the_plain_estimate(void **state)
{
    enum { DRAWS = 20000 };
    static const char *const groups[] = {"C4", "D4"};
    (void)state;
    for (size_t k = 0; k < 4; k++) {
        fixture f = test_fixture(groups[k % 2], &tiny);
        const bool laplace = k / 2;
        bnn_posterior *q = level(&f, laplace ? &bnn_family_laplace : &bnn_family_gaussian);
        double sum = 0, squares = 0;
        bnn_pcg32 rng;
        bnn_pcg32_seed(&rng, 3, k);
        for (size_t j = 0; j < q->count; j++) {
            q->mu[j] = (bnn_real)(0.5 * bnn_pcg32_uniform(&rng));
            q->rho[j] = (bnn_real)bnn_softplus_inverse(0.3 + 0.4 * bnn_pcg32_uniform(&rng));
        }
        for (size_t t = 0; t < DRAWS; t++) {
            bnn_real eps[64];
            double w[64], logs[8];
            assert_true(q->count <= 64);
            q->family->noise(bnn_stream_of(77, BNN_STREAM_TRAIN_NOISE, t, 0, 0), eps, q->count);
            for (size_t j = 0; j < q->count; j++)
                w[j] = (double)q->mu[j] + bnn_softplus((double)q->rho[j]) * (double)eps[j];
            for (size_t h = 0; h < f.group->order; h++) {
                logs[h] = 0;
                for (size_t j = 0; j < q->count; j++)
                    logs[h] += log_factor(laplace, w[f.symmetry->source[h * q->count + j]], (double)q->mu[j],
                                          bnn_softplus((double)q->rho[j]));
            }
            const double term = logs[0] - bnn_log_mean_exp(logs, f.group->order, 1);
            sum += term / DRAWS;
            squares += term * term / DRAWS;
        }
        const estimate found = divergence_of(&f, q, 20000, 2);
        const double error = sqrt((squares - sum * sum) / DRAWS);
        print_message("%s %s: %.4f +- %.4f, plain %.4f +- %.4f\n", groups[k % 2], q->family->row.name,
                      found.value, found.error, sum, error);
        assert_true(fabs(found.value - sum) <= 3.5 * sqrt(error * error + found.error * found.error));
        assert_true(found.error <= error &&
                    found.value > 10 * found.error); /* it is an average of the plain one */
        bnn_posterior_free(q);
        test_fixture_free(&f);
    }
}

/* log |G| where the images of q lie far apart; the log of how many there are where some are the same; 0 where all are. */
static void limits(void **state)
{
    static const char *const groups[] = {"C2", "C4", "D4"};
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        fixture f = test_fixture(groups[k], &tiny);
        bnn_posterior *q = test_posterior(f.network, 4);
        for (size_t j = 0; j < q->count; j++) q->rho[j] = -8;
        const estimate far = divergence_of(&f, q, 50, 1);
        assert_close(far.value, log((double)f.group->order), 1e-9, 0);
        assert_close(far.error, 0, 1e-9, 1);
        for (size_t j = 0; j < q->count; j++) q->rho[j] = (bnn_real)(1 + 0.1 * sin((double)j));
        const estimate near = divergence_of(&f, q, 50, 1), four = divergence_of(&f, q, 50, 4);
        assert_true(near.value > 0.01 && near.value < 0.95 * far.value);
        assert_true(near.value == four.value && near.error == four.error);
        bnn_posterior_project(f.symmetry, q);
        const estimate none = divergence_of(&f, q, 50, 1);
        assert_true(none.value == 0 && none.error == 0);
        bnn_posterior_free(q);
        test_fixture_free(&f);
    }
    fixture f = test_fixture("C4", &tiny), half = test_fixture("C2", &tiny);
    bnn_posterior *q = test_posterior(f.network, 4);
    bnn_posterior_project(half.symmetry, q);
    for (size_t j = 0; j < q->count; j++) q->rho[j] = -8;
    assert_close(divergence_of(&f, q, 50, 1).value, log(2), 1e-9, 0);
    bnn_posterior_free(q);
    test_fixture_free(&half);
    test_fixture_free(&f);
}

/* Weights of opposite signs share no values, however wide q is. */
static void signs_keep_images_apart(void **state)
{
    fixture f = test_fixture("C2", &tiny);
    bnn_posterior *q = level(&f, &bnn_family_lognormal);
    (void)state;
    assert_true(divergence_of(&f, q, 10, 1).value == 0);
    q->sign[first_orbit(&f)[0]] = -1;
    assert_close(divergence_of(&f, q, 10, 1).value, log(2), 1e-12, 0);
    bnn_posterior_free(q);
    test_fixture_free(&f);
}

/* Of weights that share noise there is 0 where q is invariant, and no density elsewhere. */
static void shared_noise_has_no_density(void **state)
{
    fixture f = test_fixture("C4", &tiny);
    bnn_posterior *q = level(&f, &bnn_family_gaussian);
    double value, error_of;
    bnn_error error;
    (void)state;
    bnn_ties *ties = q->ties = bnn_ties_create(q->count);
    for (size_t j = 0; j < q->count; j++) ties->leader[j] = (uint32_t)j, ties->share[j] = 1;
    const uint32_t *orbit = first_orbit(&f);
    for (size_t i = 0; i < 4; i++) ties->leader[orbit[i]] = orbit[0], ties->share[orbit[i]] = (bnn_real)0.25;
    assert_true(divergence_of(&f, q, 10, 1).value == 0);
    ties->leader[orbit[3]] = orbit[3]; /* the action no longer takes ties to ties */
    assert_int_equal(bnn_mixture_divergence(f.symmetry, q, draw, 10, 1, &value, &error_of, &error),
                     BNN_BAD_INPUT);
    assert_non_null(strstr(error.message, "share noise"));
    bnn_posterior_free(q);
    test_fixture_free(&f);
}

/* ---- the ELBO -------------------------------------------------------------------------------------------- */

enum { IMAGES = 12, N0 = 40 };

static bnn_model *model_of(const char *group, const char *more)
{
    char text[1024];
    bnn_config config;
    bnn_network_spec spec;
    bnn_model *model;
    bnn_error error;
    snprintf(
        text, sizeof text,
        "{\"seed\": 1, \"group\": \"%s\", \"data\": {\"train_size\": %d}, \"model\": {\"type\": \"fcnn\", "
        "\"input\": [1, 4, 4], \"classes\": 3, \"channels\": [1]}%s}",
        group, N0, more);
    if (bnn_config_parse("test", text, NULL, 0, NULL, &config, &error)) fail_msg("%s", error.message);
    bnn_config_network(&config, BNN_TRIVIAL, &spec);
    if (bnn_model_create(&config, &spec, &model, &error)) fail_msg("%s", error.message);
    return model;
}

static bnn_dataset random_images(void)
{
    bnn_dataset data = {.count = IMAGES, .channels = 1, .height = 4, .width = 4, .classes = 3};
    data.images = test_normals(IMAGES * 16, 9);
    data.labels = bnn_alloc(IMAGES, sizeof *data.labels);
    for (size_t i = 0; i < IMAGES; i++) data.labels[i] = (uint32_t)(i % 3);
    return data;
}

static bnn_elbo elbo_of(const bnn_model *model, const bnn_dataset *data, size_t samples, bool averaged)
{
    const bnn_predict_options options = {.average_over = averaged ? model->group : NULL,
                                         .samples = samples,
                                         .seed = 3,
                                         .purpose = BNN_STREAM_EVALUATION_NOISE,
                                         .threads = 2};
    bnn_metrics *metrics;
    bnn_elbo elbo;
    bnn_error error;
    if (bnn_evaluate(model, data, &options, &metrics, &error)) fail_msg("%s", error.message);
    if (bnn_evaluate_elbo(model, &options, metrics, &elbo, &error)) fail_msg("%s", error.message);
    bnn_metrics_free(metrics);
    return elbo;
}

/* E_{q_G}[log q_G(w)/p(w)] from draws of q_G itself, in double, with densities of the test's own. */
static estimate brute_kl(const fixture *f, const bnn_posterior *q, size_t draws)
{
    estimate found = {0};
    double squares = 0;
    for (size_t t = 0; t < draws; t++) {
        bnn_real eps[64];
        double u[64], w[64], logs[8], prior = 0;
        const size_t moved = t % f->group->order;
        bnn_normals(bnn_stream_of(78, BNN_STREAM_TRAIN_NOISE, t, 0, 0), eps, q->count);
        for (size_t j = 0; j < q->count; j++)
            u[j] = (double)q->mu[j] + bnn_softplus((double)q->rho[j]) * (double)eps[j];
        for (size_t j = 0; j < q->count; j++) {
            w[j] = u[f->symmetry->source[moved * q->count + j]];
            prior += log_factor(false, w[j], (double)q->prior_mean[j], (double)q->prior_std[j]);
        }
        for (size_t h = 0; h < f->group->order; h++) {
            logs[h] = 0;
            for (size_t j = 0; j < q->count; j++)
                logs[h] += log_factor(false, w[f->symmetry->source[h * q->count + j]], (double)q->mu[j],
                                      bnn_softplus((double)q->rho[j]));
        }
        const double term = bnn_log_mean_exp(logs, f->group->order, 1) - prior;
        found.value += term / (double)draws;
        squares += term * term / (double)draws;
    }
    found.error = sqrt((squares - found.value * found.value) / (double)draws);
    return found;
}

/* q_G's expected log-likelihood is the mean over h of that of rho(h) q on the images as they are. */
static double brute_likelihood(const fixture *f, bnn_model *model, const bnn_dataset *data, size_t samples)
{
    bnn_posterior *q = model->posterior;
    bnn_real *mu = test_zeros(q->count), *rho = test_zeros(q->count);
    double sum = 0;
    memcpy(mu, q->mu, q->count * sizeof *mu);
    memcpy(rho, q->rho, q->count * sizeof *rho);
    for (size_t h = 0; h < f->group->order; h++) {
        bnn_symmetry_apply(f->symmetry, h, mu, q->mu);
        bnn_symmetry_apply(f->symmetry, h, rho, q->rho);
        sum += elbo_of(model, data, samples, false).expected_log_likelihood / (double)f->group->order;
    }
    memcpy(q->mu, mu, q->count * sizeof *mu);
    memcpy(q->rho, rho, q->count * sizeof *rho);
    free(rho);
    free(mu);
    return sum;
}

static void the_elbo_is_that_of_the_mixture(void **state)
{
    bnn_model *model = model_of("C4", "");
    bnn_posterior *q = model->posterior;
    bnn_dataset data = random_images();
    fixture f = {model->group, model->network, NULL};
    (void)state;
    assert_int_equal(bnn_symmetry_create(f.group, f.network, &f.symmetry, NULL), BNN_OK);
    for (size_t j = 0; j < q->count; j++) q->rho[j] = (bnn_real)(-0.7 + 0.4 * sin((double)j));
    const bnn_elbo of_q = elbo_of(model, &data, 4000, false), of_mixture = elbo_of(model, &data, 4000, true);
    const estimate kl = brute_kl(&f, q, 40000);
    const double likelihood = brute_likelihood(&f, model, &data, 4000);
    print_message("KL %.4f, of q_G %.4f +- %.4f, by brute force %.4f +- %.4f; likelihood %.4f, %.4f\n",
                  of_mixture.kl, of_mixture.kl_mixture, of_mixture.kl_mixture_standard_error, kl.value,
                  kl.error, of_mixture.expected_log_likelihood, likelihood);
    assert_true(of_q.kl == of_mixture.kl && isnan(of_q.kl_mixture));
    assert_true(of_mixture.kl_mixture_standard_error > 0);
    assert_true(fabs(of_mixture.kl_mixture - kl.value) <=
                3.5 * hypot(kl.error, of_mixture.kl_mixture_standard_error));
    assert_close(of_mixture.expected_log_likelihood, likelihood, 0.02, 0);
    assert_close(of_mixture.total, N0 * of_mixture.expected_log_likelihood - of_mixture.kl_mixture, 1e-12, 0);
    assert_close(of_mixture.per_example, of_mixture.total / N0, 1e-12, 0);
    /* between the group-averaged ELBO of q and log |G| above it */
    const double of_average = N0 * of_mixture.expected_log_likelihood - of_mixture.kl;
    assert_true(of_mixture.total > of_average + 0.1 && of_mixture.total < of_average + log(4));
    bnn_posterior_project(f.symmetry, q);
    assert_true(elbo_of(model, &data, 2, true).kl_mixture == bnn_posterior_kl(q));
    bnn_symmetry_free(f.symmetry);
    free(data.labels);
    free(data.images);
    bnn_model_free(model);
}

/* Where the network does not commute with the group, the ELBO of (w, h) is what there is. */
static void networks_that_do_not_commute(void **state)
{
    bnn_model *model = model_of("T2", ""); /* translations find a border */
    bnn_dataset data = random_images();
    (void)state;
    const bnn_elbo elbo = elbo_of(model, &data, 3, true);
    assert_true(isnan(elbo.kl_mixture) && elbo.no_kl_mixture.status == BNN_BAD_INPUT);
    assert_non_null(strstr(elbo.no_kl_mixture.message, "circular"));
    assert_close(elbo.total, N0 * elbo.expected_log_likelihood - elbo.kl, 1e-12, 0);
    free(data.labels);
    free(data.images);
    bnn_model_free(model);
}

/* The prior of a lognormal has the signs of q: if the group moves them, the mixture has weights that the prior has not. */
static void signs_belong_to_the_prior(void **state)
{
    bnn_model *model = model_of("C4", ", \"posterior\": {\"family\": \"lognormal\"}");
    const bnn_predict_options options = {
        .average_over = model->group, .samples = 2, .purpose = BNN_STREAM_EVALUATION_NOISE, .threads = 1};
    bnn_dataset data = random_images();
    bnn_metrics *metrics;
    bnn_elbo elbo;
    bnn_error error;
    (void)state;
    assert_int_equal(bnn_evaluate(model, &data, &options, &metrics, &error), BNN_OK);
    assert_int_equal(bnn_evaluate_elbo(model, &options, metrics, &elbo, &error), BNN_BAD_INPUT);
    assert_non_null(strstr(error.message, "prior is not invariant"));
    for (size_t j = 0; j < model->posterior->count; j++) model->posterior->sign[j] = 1;
    assert_int_equal(bnn_evaluate_elbo(model, &options, metrics, &elbo, &error), BNN_OK);
    assert_true(elbo.kl_mixture < elbo.kl && elbo.kl_mixture >= elbo.kl - log(4) - 1e-9);
    bnn_metrics_free(metrics);
    free(data.labels);
    free(data.images);
    bnn_model_free(model);
}

/* A family may have no density. */
static void families_without_a_density(void **state)
{
    bnn_family bare = bnn_family_gaussian;
    fixture f = test_fixture("C2", &tiny);
    double value, error_of;
    bnn_error error;
    (void)state;
    bare.log_noise = NULL;
    bnn_posterior *q = test_posterior(f.network, 3);
    q->family = &bare;
    assert_int_equal(bnn_mixture_divergence(f.symmetry, q, draw, 10, 1, &value, &error_of, &error),
                     BNN_BAD_INPUT);
    assert_non_null(strstr(error.message, "family gaussian has no density"));
    bnn_posterior_free(q);
    test_fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_quadrature),
        cmocka_unit_test(agrees_with_the_plain_estimate),
        cmocka_unit_test(limits),
        cmocka_unit_test(signs_keep_images_apart),
        cmocka_unit_test(shared_noise_has_no_density),
        cmocka_unit_test(the_elbo_is_that_of_the_mixture),
        cmocka_unit_test(networks_that_do_not_commute),
        cmocka_unit_test(signs_belong_to_the_prior),
        cmocka_unit_test(families_without_a_density),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
