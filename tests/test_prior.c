/* The scales of the prior, and what empirical Bayes makes of them: against the KL itself. */
#include "networks.h"

#include "bnn/numeric.h"

/* Each family's best prior std has no better neighbour: the KL of a slice, by the family's own divergence. */
static void no_neighbour_of_the_best_prior_std_is_better(void **state)
{
    static const bnn_real mu[] = {0.25, -1.25, 0.015625, 2, 0.5}, sigma[] = {0.5, 0.125, 1.5, 0.25, 0.03125};
    static const bnn_real mean[] = {0, 0.5, -0.25, 0, 1};
    (void)state;
    for (const bnn_family *const *family = bnn_families; *family; family++) {
        if (!(*family)->prior_moment) continue;
        const bnn_slice slice = {.count = 5, .mu = mu, .sigma = sigma, .prior_mean = mean};
        const double best = pow((*family)->prior_moment(&slice) / 5, 1.0 / (*family)->prior_power);
        double kl[3] = {0}, ignored;
        for (size_t j = 0; j < 5; j++)
            for (int i = 0; i < 3; i++)
                kl[i] += (*family)->divergence((double)mu[j], (double)sigma[j], (double)mean[j],
                                               best * (1 + 0.01 * (i - 1)), &ignored);
        assert_true(kl[0] > kl[1] && kl[2] > kl[1]);
        assert_close(kl[2] - kl[0], 0, 0.02, kl[0] + kl[2] - 2 * kl[1]); /* flat there */
    }
}

/* Of every layer's weights and biases, with weights that share noise and without. */
static void learned_scales_make_the_kl_least(void **state)
{
    static const bnn_network_spec specs[] = {NETWORK(FCNN, 2, 6, 6, 3, false, 5, 6),
                                             NETWORK(CNN, 1, 4, 4, 3, false, 5),
                                             NETWORK(MLP, 1, 6, 6, 0, false, 7)};
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        bnn_network *network = test_network(&specs[i / 2]);
        bnn_posterior *q = test_posterior(network, 3);
        q->learned_prior = true;
        if (i % 2) { /* weights in unequal ties, one large */
            q->ties = bnn_ties_create(q->count);
            assert_non_null(q->ties);
            for (size_t j = 0; j < q->count; j++)
                q->ties->leader[j] = (uint32_t)j, q->ties->share[j] = j % 3 ? (bnn_real)0.125 : 1;
        }
        bnn_posterior_learn_prior(q);
        const double least = bnn_posterior_kl(q);
        for (size_t l = 0; l < network->layer_count; l++) {
            const bnn_layer *layer = &network->layers[l];
            if (layer->bias_count == 0) continue;
            const double weight = bnn_posterior_prior_std(q, layer, false),
                         bias = bnn_posterior_prior_std(q, layer, true);
            for (double factor = 0.95; factor < 1.1; factor += 0.1) {
                bnn_posterior_set_layer_std(q, layer, factor * weight, bias);
                assert_true(bnn_posterior_kl(q) > least);
                bnn_posterior_set_layer_std(q, layer, weight, factor * bias);
                assert_true(bnn_posterior_kl(q) > least);
            }
            bnn_posterior_set_layer_std(q, layer, weight, bias);
        }
        assert_true(bnn_posterior_kl(q) == least);
        q->learned_prior = false; /* numbers stay */
        bnn_posterior_set_layer_std(q, parameter_layer(network, 0), 3, 4);
        bnn_posterior_learn_prior(q);
        assert_true(bnn_posterior_prior_std(q, parameter_layer(network, 0), false) == 3);
        assert_true(bnn_posterior_prior_std(q, parameter_layer(network, 0), true) == 4);
        bnn_posterior_free(q);
        bnn_network_free(network);
    }
}

/* A scale a layer is left alone by every permutation of its weights, so the prior keeps the group's symmetry. */
static void scales_are_invariant(void **state)
{
    static const bnn_network_spec spec = REGULAR_NETWORK(CNN, 1, 8, 8, 5, false, 8, 8);
    static const bnn_prior_std scales[] = {
        {.scale = BNN_PRIOR_FAN_IN}, {.scale = BNN_PRIOR_LEARNED}, {.count = 3, .number = {0.5, 2, 0.25}}};
    bnn_error error;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        fixture f = test_fixture("D4", &spec);
        bnn_posterior *q = test_posterior(f.network, 2);
        assert_int_equal(bnn_posterior_set_prior(q, &scales[i], false, 0, &error), BNN_OK);
        bnn_posterior_learn_prior(q);
        assert_true(bnn_symmetry_is_invariant(f.symmetry, q->prior_std));
        const double first = bnn_posterior_prior_std(q, parameter_layer(f.network, 0), false),
                     second = bnn_posterior_prior_std(q, parameter_layer(f.network, 1), false);
        assert_true(first != second);
        bnn_posterior_free(q);
        test_fixture_free(&f);
    }
}

/* Random means are drawn from the prior of their own layer. */
static void random_means_have_their_layers_scale(void **state)
{
    static const bnn_network_spec spec = NETWORK(MLP, 1, 20, 20, 0, false, 200);
    const bnn_prior_std scales = {.count = 2, .number = {0.5, 3}};
    bnn_network *network = test_network(&spec);
    bnn_posterior *q = test_posterior(network, 2);
    bnn_error error;
    (void)state;
    assert_int_equal(bnn_posterior_set_prior(q, &scales, true, 7, &error), BNN_OK);
    for (size_t l = 0; l < 2; l++) {
        const bnn_layer *layer = parameter_layer(network, l);
        double square = 0;
        for (size_t j = 0; j < layer->weight_count; j++)
            square += pow((double)q->prior_mean[layer->weight_offset + j], 2);
        assert_close(square / (double)layer->weight_count, scales.number[l] * scales.number[l],
                     5 * sqrt(2 / (double)layer->weight_count), 0);
    }
    bnn_posterior_free(q);
    bnn_network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_neighbour_of_the_best_prior_std_is_better),
        cmocka_unit_test(learned_scales_make_the_kl_least),
        cmocka_unit_test(scales_are_invariant),
        cmocka_unit_test(random_means_have_their_layers_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
