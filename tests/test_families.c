/* Each family's KL and Bhattacharyya coefficient against numerical integration of its density, its draws against the
 * moments and the gradient of its KL against finite differences. */
#include "testing.h"

#include <stdlib.h>
#include <string.h>

#include "bnn/posterior.h"
#include "bnn/sampler.h"

/* log density of v = w for gaussian and laplace, and of v = log |w| for lognormal: KL and BC do not change under that
 * bijection. */
static double log_density(const bnn_family *family, double v, double mu, double sigma)
{
    if (family == &bnn_family_laplace) return -fabs(v - mu) / sigma - log(2 * sigma);
    return -(v - mu) * (v - mu) / (2 * sigma * sigma) - log(sigma) - log(2 * 3.14159265358979323846) / 2;
}

/* Simpson's rule for KL (which = 0) or BC (which = 1), piece by piece between the kinks of a Laplace density. */
static double integrate(const bnn_family *family, double mu, double sigma, double nu, double tau, int which)
{
    const double reach = 40 * fmax(sigma, tau);
    const double knots[] = {fmin(mu, nu) - reach, fmin(mu, nu), fmax(mu, nu), fmax(mu, nu) + reach};
    const size_t n = 100000;
    double total = 0;
    for (size_t piece = 0; piece < 3; piece++) {
        const double step = (knots[piece + 1] - knots[piece]) / (double)n;
        for (size_t i = 0; i <= n; i++) {
            const double v = knots[piece] + (double)i * step;
            const double p = log_density(family, v, mu, sigma), q = log_density(family, v, nu, tau);
            const double value = which ? exp((p + q) / 2) : exp(p) * (p - q);
            total += value * step / 3 * (i == 0 || i == n ? 1 : i % 2 ? 4 : 2);
        }
    }
    return total;
}

static void divergences_match_integrals(void **state)
{
    static const double cases[][4] = {{0.3, 0.5, 0, 1}, {-1, 0.05, 0, 1},           {0.7, 2, 0.5, 0.6},
                                      {0, 1, 0, 1},     {0.2, 0.3, 0.2, 0.3000001}, {2, 0.4, -1, 0.4}};
    (void)state;
    for (const bnn_family *const *family = bnn_families; *family; family++)
        for (size_t i = 0; !(*family)->point && i < sizeof cases / sizeof *cases; i++) {
            const double *c = cases[i];
            double log_bc;
            const double kl = (*family)->divergence(c[0], c[1], c[2], c[3], &log_bc);
            assert_close(kl, integrate(*family, c[0], c[1], c[2], c[3], 0), 1e-8, 1e-2);
            assert_close(exp(log_bc), integrate(*family, c[0], c[1], c[2], c[3], 1), 1e-8, 1);
        }
}

/* One parameter with a prior, as a slice. */
typedef struct one {
    bnn_real mu, sigma, prior_mean, prior_std, sign;
} one;

static bnn_slice slice_of(const one *p)
{
    return (bnn_slice){1, &p->mu, &p->sigma, &p->prior_mean, &p->prior_std, &p->sign};
}

static void kl_is_the_divergence_from_the_prior(void **state)
{
    static const one cases[] = {{0.25, 0.5, 0, 1, 1}, {-1.5, 0.0625, 0.5, 0.75, -1}, {0, 2, 0.25, 1, 1}};
    (void)state;
    for (const bnn_family *const *family = bnn_families; *family; family++)
        for (size_t i = 0; !(*family)->point && i < sizeof cases / sizeof *cases; i++) {
            const one *p = &cases[i];
            const bnn_slice slice = slice_of(p);
            assert_close((*family)->kl(&slice),
                         integrate(*family, (double)p->mu, (double)p->sigma, (double)p->prior_mean,
                                   (double)p->prior_std, 0),
                         1e-7, 1e-2);
        }
}

static void kl_gradients_are_derivatives(void **state)
{
    const one p = {-1.5, 0.25, 0.5, 0.75, -1};
    const double step = 1e-5;
    (void)state;
    for (const bnn_family *const *family = bnn_families; *family; family++) {
        const bnn_slice slice = slice_of(&p);
        bnn_real mu_gradient = 0, sigma_gradient = 0;
        double ignored, kl[4];
        if ((*family)->point) continue;
        (*family)->kl_gradient(&slice, 2, &mu_gradient, &sigma_gradient);
        for (int i = 0; i < 4; i++) {
            const double shift = i % 2 ? -step : step;
            kl[i] = (*family)->divergence((double)p.mu + (i < 2 ? shift : 0),
                                          (double)p.sigma + (i < 2 ? 0 : shift), (double)p.prior_mean,
                                          (double)p.prior_std, &ignored);
        }
        assert_close(mu_gradient, (kl[0] - kl[1]) / step, 1e-6, 1);
        assert_close(sigma_gradient, (kl[2] - kl[3]) / step, 1e-6, 1);
    }
}

static void draws_have_the_right_moments(void **state)
{
    enum { N = 400000 };
    static bnn_real eps[N];
    const one p = {0.5, 0.25, 0, 1, -1};
    const double m = 0.5, s = 0.25, shape = exp(s * s);
    const struct {
        const bnn_family *family;
        double mean, variance;
    } expected[] = {{&bnn_family_gaussian, m, s * s},
                    {&bnn_family_laplace, m, 2 * s * s},
                    {&bnn_family_lognormal, -exp(m + s * s / 2), (shape - 1) * exp(2 * m + s * s)}};
    (void)state;
    for (size_t f = 0; f < 3; f++) {
        double mean = 0, square = 0;
        expected[f].family->noise(bnn_stream_of(9, BNN_STREAM_TRAIN_NOISE, 0, 0, f), eps, N);
        for (size_t i = 0; i < N; i++) {
            const bnn_slice slice = slice_of(&p);
            bnn_real w;
            expected[f].family->draw(&slice, &eps[i], &w);
            mean += (double)w / N;
            square += (double)w * (double)w / N;
        }
        assert_close(mean, expected[f].mean, 5 * sqrt(expected[f].variance / N), 1);
        assert_close(square - mean * mean, expected[f].variance, 0.02, 0);
    }
}

static void a_lognormal_network_keeps_its_signs_and_a_gaussian_head(void **state)
{
    const bnn_network_spec spec = {.type = BNN_NETWORK_MLP,
                                   .input = {1, 4, 4},
                                   .classes = 3,
                                   .widths = {6},
                                   .width_count = 1,
                                   .kernel = 3};
    bnn_network *network;
    bnn_posterior *q;
    bnn_error error;
    (void)state;
    assert_int_equal(bnn_network_create(&spec, &network, &error), BNN_OK);
    assert_int_equal(bnn_posterior_create(network, &bnn_family_lognormal, &q, &error), BNN_OK);
    bnn_posterior_initialise(q, BNN_INIT_KAIMING, -3, 1);
    bnn_sampler *sampler;
    bnn_real *eps = bnn_alloc(q->count, sizeof *eps), *w = bnn_alloc(q->count, sizeof *w);
    assert_int_equal(bnn_sampler_create(q, &sampler, &error), BNN_OK);
    for (size_t r = 0; r < sampler->run_count; r++) bnn_sampler_refresh(sampler, &sampler->runs[r]);
    bnn_sampler_draw(sampler, (bnn_draw){1, BNN_STREAM_TRAIN_NOISE, 0, 0}, eps, w);
    const bnn_layer *head = bnn_network_head(network);
    for (size_t j = 0; j < head->weight_offset; j++) {
        assert_true(q->sign[j] == 1 || q->sign[j] == -1);
        assert_true(w[j] * q->sign[j] > 0);
    }
    for (size_t j = head->weight_offset; j < head->bias_offset; j++)
        assert_close(w[j], (double)q->mu[j] + (double)sampler->sigma[j] * (double)eps[j], 1e-6, 1);
    free(w);
    free(eps);
    bnn_sampler_free(sampler);
    bnn_posterior_free(q);
    bnn_network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(divergences_match_integrals),
        cmocka_unit_test(kl_is_the_divergence_from_the_prior),
        cmocka_unit_test(kl_gradients_are_derivatives),
        cmocka_unit_test(draws_have_the_right_moments),
        cmocka_unit_test(a_lognormal_network_keeps_its_signs_and_a_gaussian_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
