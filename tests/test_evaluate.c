/* Predictions and evaluations on small random posteriors: what must not depend on threads, what the orbit is, what an
 * invariant posterior gives, and that the certificate's bound holds. */
#include "testing.h"

#include <stdlib.h>
#include <string.h>

#include "bnn/evaluate.h"
#include "bnn/symmetry.h"

enum { SIDE = 8, IMAGES = 40, CLASSES = 3 };

typedef struct fixture {
    bnn_model *model;
    bnn_dataset data;
} fixture;

static const char *const config_text =
    "{\"seed\": 1, \"group\": \"D4\", \"model\": {\"type\": \"fcnn\", \"input\": [1, 8, 8], \"classes\": 3, "
    "\"channels\": [8], "
    "\"channel_representation\": \"regular\"}, \"posterior\": {\"rho_init\": -1.5}}";

/* A random posterior on an fcnn under D4, with a defect well above its error, and random images. */
static fixture set_up(void)
{
    fixture f = {.data = {.count = IMAGES, .channels = 1, .height = SIDE, .width = SIDE, .classes = CLASSES}};
    bnn_config config;
    bnn_network_spec spec;
    bnn_error error;
    assert_int_equal(bnn_config_parse("test", config_text, NULL, 0, NULL, &config, &error), BNN_OK);
    bnn_config_network(&config, BNN_REGULAR, &spec);
    assert_int_equal(bnn_model_create(&config, &spec, &f.model, &error), BNN_OK);
    for (size_t j = 0; j < f.model->posterior->count; j++) /* spreads that differ, so that sigma counts too */
        f.model->posterior->rho[j] += (bnn_real)(0.5 * sin((double)j));
    f.data.images = bnn_alloc(IMAGES * SIDE * SIDE, sizeof(bnn_real));
    f.data.labels = bnn_alloc(IMAGES, sizeof(uint32_t));
    bnn_normals(bnn_stream_of(6, BNN_STREAM_AUGMENTATION, 0, 0, 0), f.data.images, IMAGES * SIDE * SIDE);
    for (size_t i = 0; i < IMAGES; i++) f.data.labels[i] = (uint32_t)(i % CLASSES);
    return f;
}

static void tear_down(fixture *f)
{
    free(f->data.labels);
    free(f->data.images);
    bnn_model_free(f->model);
}

static bnn_predict_options options_for(const fixture *f, size_t samples)
{
    return (bnn_predict_options){.group = f->model->group,
                                 .samples = samples,
                                 .seed = 7,
                                 .purpose = BNN_STREAM_EVALUATION_NOISE,
                                 .threads = 2};
}

/* Every prediction, (T, G, N, C), in one array. */
typedef struct kept {
    double *values;
    size_t draws, order;
} kept;

static bnn_status keep(void *context, double *values, size_t first, size_t images, bnn_error *error)
{
    kept *k = context;
    (void)error;
    for (size_t row = 0; row < k->draws * k->order; row++)
        memcpy(k->values + (row * IMAGES + first) * CLASSES, values + row * images * CLASSES,
               images * CLASSES * sizeof *values);
    return BNN_OK;
}

static double *predict(const fixture *f, const bnn_predict_options *options)
{
    bnn_error error;
    const size_t draws = options->mean ? 1 : options->samples,
                 order = options->group ? options->group->order : 1;
    kept k = {bnn_alloc(draws * order * IMAGES * CLASSES, sizeof(double)), draws, order};
    assert_non_null(k.values);
    assert_int_equal(bnn_predict(f->model, &f->data, options, keep, &k, &error), BNN_OK);
    return k.values;
}

static bnn_metrics *evaluate(const fixture *f, const bnn_predict_options *options)
{
    bnn_metrics *metrics;
    bnn_error error;
    assert_int_equal(bnn_evaluate(f->model, &f->data, options, &metrics, &error), BNN_OK);
    return metrics;
}

/* Makes the posterior invariant, bit for bit. */
static void project(fixture *f)
{
    bnn_symmetry *symmetry;
    assert_int_equal(bnn_symmetry_create(f->model->group, f->model->network, &symmetry, NULL), BNN_OK);
    bnn_posterior_project(symmetry, f->model->posterior);
    bnn_symmetry_free(symmetry);
}

static void threads_do_not_change_a_bit(void **state)
{
    fixture f = set_up();
    (void)state;
    for (int draws = 0; draws < 2; draws++) {
        bnn_predict_options options = options_for(&f, 3);
        options.draws = (bnn_draws)draws;
        options.threads = 1;
        double *one = predict(&f, &options);
        for (options.threads = 2; options.threads <= 4; options.threads++) {
            double *other = predict(&f, &options);
            assert_memory_equal(one, other, 3 * 8 * IMAGES * CLASSES * sizeof *one);
            free(other);
        }
        free(one);
    }
    tear_down(&f);
}

/* p_t(g.x) is what the same draw says of the images moved beforehand; independent draws agree at g = e alone. */
static void orbit_is_that_of_moved_images(void **state)
{
    fixture f = set_up(), moved = set_up();
    bnn_grid_action *action;
    bnn_predict_options options = options_for(&f, 2);
    (void)state;
    double *orbit = predict(&f, &options);
    options.draws = BNN_DRAWS_INDEPENDENT;
    double *independent = predict(&f, &options);
    options = options_for(&f, 2);
    options.group = NULL;
    assert_int_equal(bnn_grid_action_create(f.model->group, SIDE, SIDE, &action, NULL), BNN_OK);
    for (size_t g = 0; g < 8; g++) {
        for (size_t i = 0; i < IMAGES; i++)
            bnn_grid_action_apply(action, g, f.data.images + i * SIDE * SIDE, 1, 0,
                                  moved.data.images + i * SIDE * SIDE);
        double *alone = predict(&moved, &options);
        for (size_t t = 0; t < 2; t++) {
            const size_t at = (t * 8 + g) * IMAGES * CLASSES, bytes = IMAGES * CLASSES * sizeof *alone;
            assert_memory_equal(orbit + at, alone + t * IMAGES * CLASSES, bytes);
            assert_true((memcmp(independent + at, orbit + at, bytes) == 0) == (g == 0));
        }
        free(alone);
    }
    bnn_grid_action_free(action);
    free(independent);
    free(orbit);
    tear_down(&moved);
    tear_down(&f);
}

static void group_averaged_is_exactly_invariant(void **state)
{
    fixture f = set_up();
    bnn_predict_options options = options_for(&f, 4);
    (void)state;
    options.group_averaged = true;
    bnn_metrics *metrics = evaluate(&f, &options);
    assert_true(metrics->defect_plugin == 0 && metrics->defect_unbiased == 0 &&
                metrics->symmetric_kl_mean == 0);
    assert_true(metrics->orbit_agreement == 1);
    /* the likelihood is that of the mixture: the mean over the orbit of the log, above the log of the mean */
    options.group_averaged = false;
    double *values = predict(&f, &options), nll = 0;
    for (size_t row = 0; row < 4 * 8 * IMAGES; row++)
        nll -= log(values[row * CLASSES + f.data.labels[row % IMAGES]]) / (4 * 8 * IMAGES);
    assert_close(metrics->expected_nll, nll, 1e-12, 0);
    free(values);
    bnn_metrics_free(metrics);
    tear_down(&f);
}

/* An invariant posterior: no defect, but a plug-in estimate that falls like 1/T towards none. */
static void invariant_posterior_has_no_defect(void **state)
{
    static const size_t draws[] = {4, 16, 64};
    double plugin[3];
    fixture f = set_up();
    (void)state;
    project(&f);
    for (size_t k = 0; k < 3; k++) {
        const bnn_predict_options options = options_for(&f, draws[k]);
        bnn_metrics *metrics = evaluate(&f, &options);
        plugin[k] = metrics->defect_plugin;
        assert_true(fabs(metrics->defect_unbiased) <= 3 * metrics->defect_standard_error);
        bnn_metrics_free(metrics);
    }
    assert_close(plugin[0] / plugin[1], 4, 0.4, 0);
    assert_close(plugin[1] / plugin[2], 4, 0.4, 0);
    tear_down(&f);
}

static void both_defects_agree_at_many_draws(void **state)
{
    fixture f = set_up();
    const bnn_predict_options options = options_for(&f, 1024);
    (void)state;
    bnn_metrics *metrics = evaluate(&f, &options);
    assert_true(metrics->defect_unbiased > 5 * metrics->defect_standard_error);
    assert_close(metrics->defect_unbiased, metrics->defect_plugin, 0.02, 0);
    bnn_metrics_free(metrics);
    tear_down(&f);
}

/* |F(h.x) - F(x)|_1 <= the certificate's bound, on posteriors from invariant to random; 0 when invariant. */
static void bound_of_the_certificate_holds(void **state)
{
    static const double shares[] = {0, 0.003, 0.01, 0.03, 0.1, 1};
    enum { DRAWS = 2048 };
    (void)state;
    for (size_t k = 0; k < sizeof shares / sizeof *shares; k++) {
        fixture f = set_up(), invariant = set_up();
        bnn_symmetry *symmetry;
        bnn_certificate *c;
        project(&invariant);
        bnn_posterior *q = f.model->posterior, *p = invariant.model->posterior;
        for (size_t j = 0; j < q->count; j++) { /* from the invariant posterior towards the random one */
            q->mu[j] = p->mu[j] + (bnn_real)shares[k] * (q->mu[j] - p->mu[j]);
            q->rho[j] = p->rho[j] + (bnn_real)shares[k] * (q->rho[j] - p->rho[j]);
        }
        assert_int_equal(bnn_symmetry_create(f.model->group, f.model->network, &symmetry, NULL), BNN_OK);
        assert_int_equal(bnn_certify(symmetry, q, &c, NULL), BNN_OK);
        const bnn_predict_options options = options_for(&f, DRAWS);
        double *values = predict(&f, &options), worst = 0;
        for (size_t g = 0; g < 8; g++)
            for (size_t i = 0; i < IMAGES; i++) {
                double gap = 0;
                for (size_t class = 0; class < CLASSES; class ++) {
                    double difference = 0;
                    for (size_t t = 0; t < DRAWS; t++)
                        difference += values[((t * 8 + g) * IMAGES + i) * CLASSES + class] -
                                      values[(t * 8 * IMAGES + i) * CLASSES + class];
                    gap += fabs(difference) / DRAWS;
                }
                worst = fmax(worst, gap);
                assert_true(gap <=
                            c->l1[g] + CLASSES * 5 / sqrt(DRAWS)); /* five Monte-Carlo errors a class */
            }
        assert_true((c->l1_bound == 0) == (shares[k] == 0));
        assert_true(shares[k] < 1 || worst > 0.2); /* the random one has something to bound */
        free(values);
        bnn_certificate_free(c);
        bnn_symmetry_free(symmetry);
        tear_down(&invariant);
        tear_down(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(orbit_is_that_of_moved_images),
        cmocka_unit_test(group_averaged_is_exactly_invariant),
        cmocka_unit_test(invariant_posterior_has_no_defect),
        cmocka_unit_test(both_defects_agree_at_many_draws),
        cmocka_unit_test(bound_of_the_certificate_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
