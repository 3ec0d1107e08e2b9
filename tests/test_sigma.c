/* Every optimiser trains sigma: below the prior's where the data determines a weight, up to the prior's where it says nothing. */
#include "networks.h"

#include "bnn/engine.h"
#include "bnn/numeric.h"
#include "bnn/optimizer.h"

/* Pixel 0 tells the class, pixel 1 is black: its weights are in no likelihood. */
enum { ITEMS = 256, PIXELS = 2, CLASSES = 2 };

typedef struct problem {
    bnn_network *network;
    bnn_posterior *q;
    bnn_engine *engine;
    bnn_optimizer *optimizer;
    bnn_real in[ITEMS * PIXELS];
    uint32_t labels[ITEMS];
} problem;

static void create(problem *p, const bnn_optimizer_rule *rule, double sigma)
{
    static const bnn_network_spec spec = {
        .type = BNN_NETWORK_MLP, .input = {1, 1, PIXELS}, .classes = CLASSES};
    const bnn_optimizer_options options = {.lr = 0.05,
                                           .rho_lr_factor = rule->default_rho_lr_factor,
                                           .momentum = 0.9,
                                           .beta1 = 0.9,
                                           .beta2 = 0.995,
                                           .epsilon = 1e-8,
                                           .h0 = 0.5};
    const bnn_engine_options step = {.samples = 4,
                                     .items = ITEMS,
                                     .views = 1,
                                     .threads = 1,
                                     .gradient = rule->gradient,
                                     .likelihood_only = rule->likelihood_only};
    bnn_error error;
    p->network = test_network(&spec);
    p->q = test_posterior(p->network, 1);
    bnn_posterior_initialise(p->q, BNN_INIT_ZERO, bnn_softplus_inverse(sigma), 1);
    assert_int_equal(bnn_engine_create(p->q, &step, &p->engine, &error), BNN_OK);
    assert_int_equal(bnn_optimizer_create(rule, &options, p->q->count, &p->optimizer, &error), BNN_OK);
    for (size_t i = 0; i < ITEMS; i++) {
        p->labels[i] = i % CLASSES;
        p->in[i * PIXELS] = i % CLASSES ? 3 : -3;
        p->in[i * PIXELS + 1] = 0;
    }
}

static void destroy(problem *p)
{
    bnn_optimizer_free(p->optimizer);
    bnn_engine_free(p->engine);
    bnn_posterior_free(p->q);
    bnn_network_free(p->network);
}

static void train(problem *p, size_t steps)
{
    for (size_t i = 0; i < steps; i++) {
        bnn_engine_draw(p->engine, 1, BNN_STREAM_TRAIN_NOISE, i);
        bnn_engine_step(p->engine, p->in, p->labels, 1.0 / ITEMS);
        const bnn_descent descent = {.lr_scale = 1,
                                     .gradient_factor = 1,
                                     .mu_gradient = bnn_engine_mu_gradient(p->engine),
                                     .scale_gradient = bnn_engine_scale_gradient(p->engine),
                                     .kl_weight = bnn_engine_kl_weight(p->engine),
                                     .sigma = bnn_engine_sigma(p->engine),
                                     .threads = 1};
        bnn_optimizer_step(p->optimizer, &descent, p->q);
    }
}

/* From above and from below: sigma of weights in the likelihood ends under 0.6, of the others at the prior's, 1. */
static void sigma_goes_where_the_data_is(void **state)
{
    static const double begins[] = {0.8, 0.3};
    (void)state;
    for (const bnn_optimizer_rule *const *rule = bnn_optimizers; *rule; rule++)
        for (size_t i = 0; i < 2; i++) {
            problem p;
            create(&p, *rule, begins[i]);
            train(&p, 2500);
            for (size_t c = 0; c < CLASSES; c++) {
                const bnn_real *rho =
                    p.q->rho + p.network->layers[p.network->layer_count - 1].weight_offset + c * PIXELS;
                const double seen = bnn_softplus((double)rho[0]), unseen = bnn_softplus((double)rho[1]);
                if (!(seen < 0.6 && unseen > 0.95 && unseen < 1.05))
                    fail_msg("%s: sigma from %g to %g and %g", (*rule)->row.name, begins[i], seen, unseen);
            }
            destroy(&p);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sigma_goes_where_the_data_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
