/* The natural-gradient rule where the answer is known: a quadratic loss. */
#include "networks.h"

#include "bnn/numeric.h"
#include "bnn/optimizer.h"

/* The mean negative log-likelihood sum_j H_j (w_j - c_j)^2 / 2, whose best mean-field posterior under the prior N(m, s^2) and N
 * items has 1/sigma_j^2 = N H_j + 1/s^2 and mu_j = (N H_j c_j + m/s^2) sigma_j^2. */
typedef struct quadratic {
    bnn_network *network;
    bnn_posterior *q;
    bnn_optimizer *optimizer;
    double n;
    bnn_real *h, *c, *eps, *mu_gradient, *sigma_gradient, *kl_weight, *sigma;
} quadratic;

static quadratic create(const bnn_optimizer_options *options, double n)
{
    static const bnn_network_spec spec = NETWORK(MLP, 1, 3, 3, 0, false, 4);
    quadratic p = {.network = test_network(&spec), .n = n};
    bnn_error error;
    p.q = test_posterior(p.network, 5);
    const size_t count = p.q->count;
    assert_int_equal(bnn_optimizer_create(bnn_optimizer_find("ivon"), options, count, &p.optimizer, &error),
                     BNN_OK);
    p.h = test_zeros(count), p.c = test_normals(count, 8), p.eps = test_zeros(count);
    p.mu_gradient = test_zeros(count), p.sigma_gradient = test_zeros(count);
    p.kl_weight = test_zeros(count), p.sigma = test_zeros(count);
    for (size_t j = 0; j < count; j++) {
        p.h[j] = (bnn_real)(0.05 + 0.1 * (double)(j % 7));
        p.kl_weight[j] = (bnn_real)(1 / n);
        p.q->prior_std[j] = (bnn_real)(0.1 + 0.2 * (double)(j % 3));
        p.q->prior_mean[j] = (bnn_real)(0.5 * (double)(j % 2));
    }
    return p;
}

static void destroy(quadratic *p)
{
    bnn_optimizer_free(p->optimizer);
    bnn_posterior_free(p->q);
    bnn_network_free(p->network);
    bnn_real *const arrays[] = {p->h,         p->c,    p->eps, p->mu_gradient, p->sigma_gradient,
                                p->kl_weight, p->sigma};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
}

/* One step by the gradients averaged over `draws`, or by their expectations where there are none. */
static void step(quadratic *p, size_t number, size_t draws)
{
    const size_t count = p->q->count;
    for (size_t j = 0; j < count; j++) p->sigma[j] = (bnn_real)bnn_softplus((double)p->q->rho[j]);
    for (size_t j = 0; j < count && draws == 0; j++) {
        p->mu_gradient[j] = p->h[j] * (p->q->mu[j] - p->c[j]);
        p->sigma_gradient[j] = p->h[j] * p->sigma[j];
    }
    for (size_t s = 0; s < draws; s++) {
        bnn_normals(bnn_stream_of(11, BNN_STREAM_TRAIN_NOISE, number, s, 0), p->eps, count);
        for (size_t j = 0; j < count; j++) {
            const bnn_real w = p->q->mu[j] + p->sigma[j] * p->eps[j],
                           g = p->h[j] * (w - p->c[j]) / (bnn_real)draws;
            p->mu_gradient[j] = g + (s ? p->mu_gradient[j] : 0);
            p->sigma_gradient[j] = g * p->eps[j] + (s ? p->sigma_gradient[j] : 0);
        }
    }
    const bnn_descent descent = {.lr_scale = 1,
                                 .gradient_factor = 1,
                                 .mu_gradient = p->mu_gradient,
                                 .scale_gradient = p->sigma_gradient,
                                 .kl_weight = p->kl_weight,
                                 .sigma = p->sigma,
                                 .threads = 1};
    bnn_optimizer_step(p->optimizer, &descent, p->q);
}

/* The largest error of mu over the best sigma, and of sigma / the best sigma - 1. */
static void errors(const quadratic *p, double *of_mu, double *of_sigma)
{
    *of_mu = *of_sigma = 0;
    for (size_t j = 0; j < p->q->count; j++) {
        const double h = (double)p->h[j], s = (double)p->q->prior_std[j], precision = p->n * h + 1 / (s * s);
        const double mu = (p->n * h * (double)p->c[j] + (double)p->q->prior_mean[j] / (s * s)) / precision;
        *of_mu = fmax(*of_mu, fabs((double)p->q->mu[j] - mu) * sqrt(precision));
        *of_sigma = fmax(*of_sigma, fabs(bnn_softplus((double)p->q->rho[j]) * sqrt(precision) - 1));
    }
}

static const bnn_optimizer_options usual = {.lr = 0.1, .beta1 = 0.9, .beta2 = 0.99, .h0 = 0.5};

static void a_quadratic_is_solved_exactly(void **state)
{
    double of_mu, of_sigma;
    (void)state;
    quadratic p = create(&usual, 50);
    for (size_t i = 0; i < 4000; i++) step(&p, i, 0);
    errors(&p, &of_mu, &of_sigma);
    if (of_mu > 1e-4 || of_sigma > 1e-4) fail_msg("mu off by %g sigma, sigma by %g", of_mu, of_sigma);
    destroy(&p);
}

/* By draws alone: the curvature is seen in (w - mu) times the gradient. */
static void a_quadratic_is_solved_by_draws(void **state)
{
    bnn_optimizer_options options = usual;
    double of_mu, of_sigma;
    (void)state;
    options.lr = 0.02, options.beta2 = 0.9995;
    quadratic p = create(&options, 50);
    for (size_t i = 0; i < 12000; i++) step(&p, i, 8);
    errors(&p, &of_mu, &of_sigma);
    if (of_mu > 0.5 || of_sigma > 0.15) fail_msg("mu off by %g sigma, sigma by %g", of_mu, of_sigma);
    destroy(&p);
}

/* Gradients that see any curvature, negative too: h + delta stays positive. */
static void sigma_stays_positive(void **state)
{
    bnn_optimizer_options options = usual;
    (void)state;
    options.beta2 = 0.5, options.lr = 0;
    quadratic p = create(&options, 50);
    for (size_t i = 0; i < 200; i++) {
        bnn_normals(bnn_stream_of(3, BNN_STREAM_TRAIN_NOISE, i, 0, 0), p.h, p.q->count);
        for (size_t j = 0; j < p.q->count; j++) p.h[j] *= 100;
        step(&p, i, 0);
        for (size_t j = 0; j < p.q->count; j++)
            assert_true(isfinite(p.q->rho[j]) && bnn_softplus((double)p.q->rho[j]) > 0);
    }
    destroy(&p);
}

/* A q that was trained by something else, or symmetrized in between, goes on with its own sigma. */
static void the_sigma_of_a_trained_posterior_is_kept(void **state)
{
    bnn_optimizer_options options = usual;
    (void)state;
    options.beta2 = 1; /* h stays what it begins with */
    quadratic p = create(&options, 50);
    for (int round = 0; round < 2; round++) {
        p.optimizer->trained = p.optimizer->begins = true;
        for (size_t j = 0; j < p.q->count; j++)
            p.q->rho[j] = (bnn_real)bnn_softplus_inverse((double)p.q->prior_std[j] *
                                                         (0.3 + 0.1 * (double)(j % 5) + 0.1 * round));
        step(&p, (size_t)round, 0);
        for (size_t j = 0; j < p.q->count; j++)
            assert_close(bnn_softplus((double)p.q->rho[j]), (double)p.sigma[j], 1e-4, 0);
    }
    destroy(&p);
}

/* The step of the mean is at most lr (h0 + delta) times the radius. */
static void steps_are_clipped(void **state)
{
    bnn_optimizer_options options = usual;
    (void)state;
    options.clip_radius = 0.01;
    quadratic p = create(&options, 50);
    bnn_real *before = test_zeros(p.q->count);
    memcpy(before, p.q->mu, p.q->count * sizeof *before);
    step(&p, 0, 0);
    for (size_t j = 0; j < p.q->count; j++) {
        const double s = (double)p.q->prior_std[j], most = 0.1 * (0.5 + 1 / (50 * s * s)) * 0.01;
        assert_true(fabs((double)p.q->mu[j] - (double)before[j]) <= most + 1e-6);
    }
    free(before);
    destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quadratic_is_solved_exactly),
        cmocka_unit_test(a_quadratic_is_solved_by_draws),
        cmocka_unit_test(sigma_stays_positive),
        cmocka_unit_test(the_sigma_of_a_trained_posterior_is_kept),
        cmocka_unit_test(steps_are_clipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
