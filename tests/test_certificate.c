/* The certificate against its formulas as they are written, against quadrature, and 0 exactly where it must be. */
#include "networks.h"

#include "bnn/numeric.h"

static bnn_certificate *certificate_of(const fixture *f, const bnn_posterior *q)
{
    bnn_certificate *certificate = NULL;
    bnn_error error = {0};
    if (bnn_certify(f->symmetry, q, &certificate, &error)) fail_msg("%s", error.message);
    return certificate;
}

static const bnn_network_spec networks[] = {
    REGULAR_NETWORK(FCNN, 3, 8, 8, 3, false, 8, 16),
    NETWORK(CNN, 1, 8, 8, 3, false, 2, 3),
    REGULAR_NETWORK(MLP, 1, 5, 5, 0, false, 8),
};
#define NETWORKS (sizeof networks / sizeof *networks)

static void invariant_is_exactly_zero(void **state)
{
    (void)state;
    for (size_t t = 0; t < NETWORKS; t++) {
        fixture f = test_fixture("D4", &networks[t]);
        bnn_posterior *q = test_posterior(f.network, 1);
        bnn_posterior_project(f.symmetry, q);
        bnn_certificate *c = certificate_of(&f, q);
        assert_true(c->residual == 0 && c->kl_max == 0 && c->l1_bound == 0 && !signbit(c->l1_bound));
        for (size_t h = 0; h < c->order; h++) assert_true(c->kl[h] == 0 && c->l1[h] == 0);
        for (size_t l = 0; l < c->layer_count; l++)
            assert_true(c->layers[l].residual == 0 && c->layers[l].kl_max == 0 &&
                        c->layers[l].log_bhattacharyya_min == 0);
        bnn_certificate_free(c);
        bnn_posterior_free(q);
        test_fixture_free(&f);
    }
    bnn_certificate_free(NULL);
}

/* sum_j over [begin, end) of KL and log BC of q and rho(h) q, in the textbook form. */
static void textbook(const bnn_symmetry *s, const bnn_posterior *q, size_t h, size_t begin, size_t end,
                     double *kl, double *log_bc)
{
    *kl = *log_bc = 0;
    for (size_t j = begin; j < end; j++) {
        const size_t i = s->source[h * s->count + j];
        const double a = bnn_softplus((double)q->rho[j]), b = bnn_softplus((double)q->rho[i]);
        const double away = (double)q->mu[j] - (double)q->mu[i];
        *kl += log(b / a) + (a * a + away * away) / (2 * b * b) - 0.5;
        *log_bc += 0.5 * log(2 * a * b / (a * a + b * b)) - away * away / (4 * (a * a + b * b));
    }
}

/* ||theta - P theta|| / ||theta|| over [begin, end), from the definition of P. */
static double naive_residual(const bnn_symmetry *s, const bnn_posterior *q, size_t begin, size_t end)
{
    const double order = (double)s->group->order;
    double away = 0, whole = 0;
    for (size_t j = begin; j < end; j++) {
        double mu = 0, sigma = 0;
        for (size_t h = 0; h < s->group->order; h++) {
            mu += (double)q->mu[s->source[h * s->count + j]] / order;
            sigma += bnn_softplus((double)q->rho[s->source[h * s->count + j]]) / order;
        }
        const double m = (double)q->mu[j], v = bnn_softplus((double)q->rho[j]);
        away += (m - mu) * (m - mu) + (v - sigma) * (v - sigma);
        whole += m * m + v * v;
    }
    return sqrt(away / whole);
}

static void follows_the_textbook(void **state)
{
    (void)state;
    for (size_t t = 0; t < NETWORKS; t++) {
        fixture f = test_fixture("D4", &networks[t]);
        bnn_posterior *q = test_posterior(f.network, 2);
        for (size_t j = 0; j < q->count; j++) q->mu[j] *= (bnn_real)0.02, q->rho[j] *= (bnn_real)0.02;
        bnn_certificate *c = certificate_of(&f, q);
        double kl, log_bc, kl_max = 0, most = 0;
        assert_close(c->residual, naive_residual(f.symmetry, q, 0, q->count), 1e-5, 0);
        for (size_t h = 0; h < c->order; h++) {
            textbook(f.symmetry, q, h, 0, q->count, &kl, &log_bc);
            assert_close(c->kl[h], kl, 1e-4, 1e-9);
            assert_close(c->l1[h], 2 * sqrt(1 - exp(2 * log_bc)), 1e-4, 1e-6);
            kl_max = fmax(kl_max, kl), most = fmax(most, c->l1[h]);
        }
        assert_close(c->kl_max, kl_max, 1e-4, 0);
        assert_true(c->l1_bound == most && most > 0.01 && most <= 2);
        for (size_t l = 0, at = 0; l < f.network->layer_count; l++) {
            const bnn_layer *layer = &f.network->layers[l];
            const size_t begin = layer->weight_offset, end = layer->bias_offset + layer->bias_count;
            double least = 0;
            if (layer->weight_count == 0) continue;
            assert_string_equal(c->layers[at].name, layer->name);
            assert_close(c->layers[at].residual, naive_residual(f.symmetry, q, begin, end), 1e-5, 1e-9);
            for (size_t h = 0; h < c->order; h++) {
                textbook(f.symmetry, q, h, begin, end, &kl, &log_bc);
                assert_close(c->layers[at].kl[h], kl, 1e-4, 1e-9);
                least = fmin(least, log_bc);
            }
            assert_close(c->layers[at].log_bhattacharyya_min, least, 1e-4, 1e-9);
            assert_int_equal(++at <= c->layer_count, true);
        }
        bnn_certificate_free(c);
        bnn_posterior_free(q);
        test_fixture_free(&f);
    }
}

/* Two weights that a flip exchanges: KL and the total variation by quadrature over the plane. */
static void agrees_with_quadrature(void **state)
{
    static const bnn_network_spec spec = {.type = BNN_NETWORK_MLP, .input = {1, 1, 2}, .classes = 1};
    fixture f = test_fixture("D1", &spec);
    bnn_posterior *q = test_posterior(f.network, 3);
    double s[2], kl = 0, variation = 0, affinity = 0;
    const double step = 0.02;
    (void)state;
    q->mu[0] = (bnn_real)0.25, q->mu[1] = (bnn_real)-0.25, q->rho[0] = 0, q->rho[1] = (bnn_real)0.5;
    for (size_t i = 0; i < 2; i++) s[i] = bnn_softplus((double)q->rho[i]);
    for (double u = -8; u <= 8; u += step)
        for (double v = -8; v <= 8; v += step) {
            const double norm = 2 * acos(-1.0) * s[0] * s[1];
            const double a = (u - 0.25) / s[0], b = (v + 0.25) / s[1], c = (v - 0.25) / s[0],
                         d = (u + 0.25) / s[1];
            const double p = exp(-(a * a + b * b) / 2) / norm, flipped = exp(-(c * c + d * d) / 2) / norm;
            kl += p * (c * c + d * d - a * a - b * b) / 2 * step * step;
            variation += fabs(p - flipped) / 2 * step * step;
            affinity += sqrt(p * flipped) * step * step;
        }
    bnn_certificate *certificate = certificate_of(&f, q);
    assert_close(certificate->kl[1], kl, 1e-6, 0);
    assert_close(certificate->l1[1], 2 * sqrt(1 - affinity * affinity), 1e-6, 0);
    assert_close(exp(certificate->layers[0].log_bhattacharyya_min), affinity, 1e-6, 0);
    assert_true(2 * variation < certificate->l1[1] && variation > 0.1);
    assert_true(certificate->kl[0] == 0 && certificate->l1[0] == 0);
    bnn_certificate_free(certificate);
    bnn_posterior_free(q);
    test_fixture_free(&f);
}

/* A tiny asymmetry is seen at its own size, not lost in cancellation: KL = 1/2 (m - n)^2 (1/s^2 + 1/t^2) here. */
static void small_asymmetries_are_resolved(void **state)
{
    static const bnn_network_spec spec = {.type = BNN_NETWORK_MLP, .input = {1, 1, 2}, .classes = 1};
    fixture f = test_fixture("D1", &spec);
    bnn_posterior *q = test_posterior(f.network, 3);
    (void)state;
    q->rho[1] = q->rho[0] = 0;
    q->mu[0] = (bnn_real)0x1p-40, q->mu[1] = 0;
    const double s = bnn_softplus(0), exact = 0x1p-80 / (s * s);
    bnn_certificate *c = certificate_of(&f, q);
    assert_close(c->kl[1], exact, 1e-6, 0);
    assert_close(c->l1[1], 2 * sqrt(exact / 2), 1e-6, 0); /* 1 - BC^2 = 2 * 2 (m - n)^2 / (8 s^2) */
    bnn_certificate_free(c);
    bnn_posterior_free(q);
    test_fixture_free(&f);
}

/* Lognormals of opposite signs share no weights. */
static void opposite_signs_are_as_far_as_can_be(void **state)
{
    const bnn_family signed_family = {
        .row = {.name = "signed"}, .signs = true, .divergence = bnn_family_gaussian.divergence};
    static const bnn_network_spec spec = {.type = BNN_NETWORK_MLP, .input = {1, 1, 2}, .classes = 1};
    fixture f = test_fixture("D1", &spec);
    bnn_posterior *q = NULL;
    (void)state;
    assert_int_equal(bnn_posterior_create(f.network, &signed_family, &q, NULL), BNN_OK);
    bnn_certificate *c = certificate_of(&f, q);
    assert_true(c->kl_max == 0 && c->l1_bound == 0);
    bnn_certificate_free(c);
    q->sign[0] = -1;
    c = certificate_of(&f, q);
    assert_true(isinf(c->kl[1]) && c->l1[1] == 2 && c->kl[0] == 0 && c->l1[0] == 0);
    bnn_certificate_free(c);
    bnn_posterior_free(q);
    test_fixture_free(&f);
}

/* A pool that drops a row breaks f(h.x; rho(h)w) = f(x; w): then an invariant q promises nothing. */
static void bounds_nothing_where_the_network_does_not_commute(void **state)
{
    static const bnn_network_spec spec = REGULAR_NETWORK(FCNN, 1, 7, 7, 3, false, 4);
    fixture f = test_fixture("C4", &spec);
    bnn_posterior *q = test_posterior(f.network, 1);
    (void)state;
    bnn_posterior_project(f.symmetry, q);
    bnn_certificate *c = certificate_of(&f, q);
    assert_true(c->residual == 0 && c->kl_max == 0);
    assert_true(c->l1[0] == 0 && c->l1[1] == 2 && c->l1_bound == 2);
    bnn_certificate_free(c);
    bnn_posterior_free(q);
    test_fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invariant_is_exactly_zero),
        cmocka_unit_test(follows_the_textbook),
        cmocka_unit_test(agrees_with_quadrature),
        cmocka_unit_test(small_asymmetries_are_resolved),
        cmocka_unit_test(opposite_signs_are_as_far_as_can_be),
        cmocka_unit_test(bounds_nothing_where_the_network_does_not_commute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
