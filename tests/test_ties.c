/* Weights that share noise: what is drawn, what KL counts, the gradient of a step, and the certificate. */
#include "networks.h"

#include "bnn/engine.h"
#include "bnn/numeric.h"
#include "bnn/sampler.h"

enum { ITEMS = 4, CLASSES = 3 };

static const bnn_network_spec specs[] = {
    REGULAR_NETWORK(FCNN, 2, 8, 8, 3, false, 8),
    REGULAR_NETWORK(CNN, 1, 8, 8, 5, false, 8, 8),
    NETWORK(CNN, 1, 4, 4, 3, false, 5),
    REGULAR_NETWORK(MLP, 1, 6, 6, 0, false, 8),
};
#define SPECS (sizeof specs / sizeof *specs)

/* A random posterior, invariant under the action and tied by it. */
static bnn_posterior *tied(const fixture *f, uint64_t seed)
{
    bnn_posterior *q = test_posterior(f->network, seed);
    for (size_t j = 0; j < q->count; j++) q->mu[j] *= (bnn_real)0.3, q->prior_std[j] = (bnn_real)0.8;
    bnn_posterior_project(f->symmetry, q);
    q->ties = bnn_symmetry_ties(f->symmetry);
    assert_non_null(q->ties);
    return q;
}

/* A draw is invariant, its leaders' weights are those of the untied posterior, and each network drawn obeys
 * f(h.x; w) = f(x; w), on any number of threads. */
static void draws_are_invariant(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * SPECS; i++) {
        fixture f = test_fixture(i % 2 ? "D4" : "C4", &specs[i / 2]);
        bnn_posterior *q = tied(&f, 3);
        bnn_real *eps = test_zeros(q->count), *w = test_zeros(q->count), *free_w = test_zeros(q->count);
        const bnn_draw draw = {1, BNN_STREAM_EVALUATION_NOISE, 0, 7};
        bnn_sampler *sampler;
        bnn_error error;
        assert_int_equal(bnn_sampler_create(q, &sampler, &error), BNN_OK);
        for (size_t r = 0; r < sampler->run_count; r++) bnn_sampler_refresh(sampler, &sampler->runs[r]);
        bnn_sampler_draw(sampler, draw, eps, w);
        assert_true(bnn_symmetry_is_invariant(f.symmetry, w));
        assert_true(equation_defect(f.group, f.network, NULL, w) < 20 * ROUNDING);
        bnn_ties *ties = q->ties;
        q->ties = NULL;
        bnn_sampler_draw(sampler, draw, eps, free_w);
        assert_false(bnn_symmetry_is_invariant(f.symmetry, free_w));
        for (size_t j = 0; j < q->count; j++) assert_true(w[j] == free_w[ties->leader[j]]);
        q->ties = ties;
        bnn_sampler_free(sampler);
        free(free_w), free(w), free(eps);
        bnn_posterior_free(q);
        test_fixture_free(&f);
    }
}

static double normal_kl(const bnn_posterior *q, size_t j)
{
    const double sigma = bnn_softplus((double)q->rho[j]), s = (double)q->prior_std[j];
    const double away = (double)q->mu[j] - (double)q->prior_mean[j];
    return log(s / sigma) + (sigma * sigma + away * away) / (2 * s * s) - 0.5;
}

/* KL sums over orbits, each by its first member, and so do the free parameters. */
static void each_tie_counts_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < SPECS; i++) {
        fixture f = test_fixture("C4", &specs[i]);
        bnn_posterior *q = tied(&f, 4);
        bool *seen = calloc(q->count, sizeof *seen);
        double kl = 0, layers = 0, free_count = 0, orbits = 0;
        for (size_t j = 0; j < q->count; j++) {
            if (seen[j]) continue;
            for (size_t h = 0; h < 4; h++) seen[f.symmetry->source[h * q->count + j]] = true;
            kl += normal_kl(q, j);
            orbits++;
        }
        for (size_t l = 0; l < f.network->layer_count; l++) {
            layers += bnn_posterior_layer_kl(q, &f.network->layers[l]);
            free_count += bnn_posterior_layer_free(q, &f.network->layers[l]);
        }
        assert_close(bnn_posterior_kl(q), kl, 1e-6, 0);
        assert_close(layers, kl, 1e-6, 0);
        assert_close(free_count, orbits, 1e-6, 0);
        assert_true(orbits < (double)q->count);
        free(seen);
        bnn_posterior_free(q);
        test_fixture_free(&f);
    }
}

#ifdef BNN_DOUBLE
static double loss(bnn_engine *engine, const bnn_posterior *q, const bnn_real *x, const uint32_t *labels)
{
    bnn_engine_draw(engine, 11, BNN_STREAM_TRAIN_NOISE, 12);
    return bnn_engine_step(engine, x, labels, 0.1).nll + 0.1 * bnn_posterior_kl(q);
}

/* The derivative by an orbit's common mu, or rho, is the sum of its entries' gradients. */
static void gradients_are_derivatives(void **state)
{
    const uint32_t labels[ITEMS] = {0, 1, 2, 1};
    const double by = 1e-6;
    (void)state;
    for (size_t i = 0; i < SPECS; i++) {
        fixture f = test_fixture("C4", &specs[i]);
        const bnn_symmetry *s = f.symmetry;
        const bnn_engine_options options = {.samples = 2, .items = ITEMS, .views = 1, .threads = 2};
        bnn_posterior *q = tied(&f, 5);
        bnn_real *x = test_normals(ITEMS * bnn_network_in_count(f.network), 6);
        double *gradient = test_zeros(2 * q->count);
        bnn_engine *engine;
        bnn_error error;
        assert_int_equal(bnn_engine_create(q, &options, &engine, &error), BNN_OK);
        loss(engine, q, x, labels);
        memcpy(gradient, bnn_engine_mu_gradient(engine), q->count * sizeof *gradient);
        memcpy(gradient + q->count, bnn_engine_scale_gradient(engine), q->count * sizeof *gradient);
        for (size_t o = 0; o < 2 * s->orbit_count; o += 5) {
            const uint32_t *member = s->orbit_member + s->orbit_start[o / 2];
            const size_t size = s->orbit_start[o / 2 + 1] - s->orbit_start[o / 2];
            double *values = o % 2 ? q->rho : q->mu, sum = 0, either[2];
            const double kept = values[member[0]];
            for (size_t k = 0; k < size; k++) sum += gradient[(o % 2 ? q->count : 0) + member[k]];
            for (int side = 0; side < 2; side++) {
                for (size_t k = 0; k < size; k++) values[member[k]] = kept + (side ? by : -by);
                either[side] = loss(engine, q, x, labels);
            }
            for (size_t k = 0; k < size; k++) values[member[k]] = kept;
            assert_close(sum, (either[1] - either[0]) / (2 * by), 1e-6, 0.01);
        }
        bnn_engine_free(engine);
        free(gradient), free(x);
        bnn_posterior_free(q);
        test_fixture_free(&f);
    }
}
#endif

static bnn_certificate *certificate_of(const bnn_symmetry *symmetry, const bnn_posterior *q)
{
    bnn_certificate *certificate = NULL;
    bnn_error error = {0};
    if (bnn_certify(symmetry, q, &certificate, &error)) fail_msg("%s", error.message);
    return certificate;
}

/* Ties of a normal subgroup (C2 of C4) go to ties: KL counts each once. Those of D1 do not go to ties under turns, and then q
 * and its turned copy have no values in common, whatever the figures. */
static void the_certificate_knows_ties(void **state)
{
    const bnn_network_spec *spec = &specs[2];
    fixture c4 = test_fixture("C4", spec), c2 = test_fixture("C2", spec), d1 = test_fixture("D1", spec);
    bnn_posterior *q = tied(&c2, 6), *equal = tied(&d1, 7);
    (void)state;
    bnn_certificate *c = certificate_of(c4.symmetry, q);
    for (size_t h = 0; h < 4; h++) {
        double kl = 0;
        for (size_t j = 0; j < q->count; j++) {
            const size_t i = c4.symmetry->source[h * q->count + j];
            const double a = bnn_softplus((double)q->rho[j]), b = bnn_softplus((double)q->rho[i]);
            const double away = (double)(q->mu[j] - q->mu[i]);
            if (q->ties->leader[j] == j) kl += log(b / a) + (a * a + away * away) / (2 * b * b) - 0.5;
        }
        assert_close(c->kl[h], kl, 1e-5, 1e-2);
        assert_true(h % 2 || c->kl[h] == 0);
    }
    assert_true(c->kl[1] > 0 && isfinite(c->kl[1]));
    bnn_certificate_free(c);
    for (size_t j = 0; j < equal->count; j++) equal->mu[j] = 0, equal->rho[j] = -1;
    c = certificate_of(d1.symmetry, equal);
    assert_true(c->kl_max == 0 && c->l1_bound == 0);
    bnn_certificate_free(c);
    c = certificate_of(c4.symmetry, equal);
    assert_true(isinf(c->kl_max) && c->l1_bound == 2 && c->residual == 0);
    assert_true(c->kl[2] == 0); /* a half turn takes columns to columns */
    bnn_certificate_free(c);
    bnn_posterior_free(equal);
    bnn_posterior_free(q);
    test_fixture_free(&d1);
    test_fixture_free(&c2);
    test_fixture_free(&c4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_are_invariant),
        cmocka_unit_test(each_tie_counts_once),
#ifdef BNN_DOUBLE
        cmocka_unit_test(gradients_are_derivatives),
#endif
        cmocka_unit_test(the_certificate_knows_ties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
