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

static bnn_status keep(void *context, const bnn_predictions *p, bnn_error *error)
{
    kept *k = context;
    (void)error;
    for (size_t row = 0; row < k->draws * k->order; row++)
        memcpy(k->values + (row * IMAGES + p->first) * CLASSES, p->values + row * p->images * CLASSES,
               p->images * CLASSES * sizeof *p->values);
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

/* The mean over images of -log F(x)_y and of -log p(y | x, m) over members m, and of the mixture's mutual information, from
 * the members' probabilities (members, IMAGES, CLASSES). */
typedef struct mixture {
    double nll, expected_nll, mutual_information;
} mixture;

static mixture mixture_of(const fixture *f, const double *members, size_t count)
{
    mixture result = {0, 0, 0};
    for (size_t i = 0; i < IMAGES; i++) {
        double mean[CLASSES] = {0};
        for (size_t m = 0; m < count; m++) {
            const double *p = members + (m * IMAGES + i) * CLASSES;
            result.expected_nll -= log(p[f->data.labels[i]]) / (double)(count * IMAGES);
            for (size_t c = 0; c < CLASSES; c++) {
                mean[c] += p[c] / (double)count;
                result.mutual_information += p[c] * log(p[c]) / (double)(count * IMAGES);
            }
        }
        for (size_t c = 0; c < CLASSES; c++) result.mutual_information -= mean[c] * log(mean[c]) / IMAGES;
        result.nll -= log(mean[f->data.labels[i]]) / IMAGES;
    }
    return result;
}

/* Likelihood and information are those of the mixture over (draw, element), at one draw and at w = mu too. */
static void group_averaged_is_exactly_invariant(void **state)
{
    fixture f = set_up();
    (void)state;
    for (int turn = 0; turn < 4; turn++) {
        bnn_predict_options options = options_for(&f, turn == 1 ? 1 : 4);
        options.mean = turn == 2;
        options.draws = turn == 3 ? BNN_DRAWS_INDEPENDENT : BNN_DRAWS_SHARED;
        double *members = predict(&f, &options);
        const mixture expected = mixture_of(&f, members, 8 * (turn == 1 || turn == 2 ? 1 : 4));
        options.average_over = f.model->group;
        bnn_metrics *metrics = evaluate(&f, &options);
        assert_true(metrics->defect_plugin == 0 && metrics->symmetric_kl_mean == 0);
        assert_true(metrics->orbit_agreement == 1);
        assert_close(metrics->nll_orbit, metrics->nll, 1e-14, 0);
        options.group = NULL;
        bnn_metrics *alone = evaluate(&f, &options);
        assert_true(alone->order == 1 && alone->nll == metrics->nll && alone->brier == metrics->brier);
        const bnn_metrics *const both[] = {metrics, alone};
        for (size_t k = 0; k < 2; k++) {
            assert_close(both[k]->nll, expected.nll, 1e-12, 0);
            assert_close(both[k]->expected_nll, expected.expected_nll, 1e-12, 0);
            assert_close(both[k]->mutual_information, expected.mutual_information, 1e-12, 1);
        }
        bnn_metrics_free(alone);
        bnn_metrics_free(metrics);
        free(members);
    }
    tear_down(&f);
}

/* C8 interpolates, so two turns are not one: F_G(g.x) = mean_h F(h.(g.x)) by turning images twice beforehand. */
static void inexact_groups_turn_images_twice(void **state)
{
    enum { ORDER = 8, DRAWS = 3, PLANE = IMAGES * CLASSES };
    fixture f = set_up(), turned = set_up();
    bnn_group *c8;
    bnn_grid_action *action;
    bnn_real once[SIDE * SIDE];
    (void)state;
    assert_int_equal(bnn_group_create("C8", &c8, NULL), BNN_OK);
    assert_int_equal(bnn_grid_action_create(c8, SIDE, SIDE, &action, NULL), BNN_OK);
    bnn_predict_options alone = options_for(&f, DRAWS), options = alone;
    alone.group = NULL;
    options.group = options.average_over = c8;
    f.data.background = turned.data.background = (bnn_real)-0.75;
    double *expected = bnn_alloc(DRAWS * ORDER * PLANE, sizeof *expected), defect = 0;
    double *members = bnn_alloc(DRAWS * ORDER * PLANE, sizeof *members);
    for (size_t g = 0; g < ORDER; g++)
        for (size_t h = 0; h < ORDER; h++) {
            for (size_t i = 0; i < IMAGES; i++) {
                bnn_grid_action_apply(action, g, f.data.images + i * SIDE * SIDE, 1, (bnn_real)-0.75, once);
                bnn_grid_action_apply(action, h, once, 1, (bnn_real)-0.75,
                                      turned.data.images + i * SIDE * SIDE);
            }
            double *p = predict(&turned, &alone);
            for (size_t t = 0; t < DRAWS; t++)
                for (size_t k = 0; k < PLANE; k++)
                    expected[(t * ORDER + g) * PLANE + k] += p[t * PLANE + k] / ORDER;
            if (g == 0) memcpy(members + h * DRAWS * PLANE, p, DRAWS * PLANE * sizeof *p);
            free(p);
        }
    double *found = predict(&f, &options);
    for (size_t k = 0; k < DRAWS * ORDER * PLANE; k++) assert_close(found[k], expected[k], 1e-13, 1);
    for (size_t g = 0; g < ORDER; g++)
        for (size_t k = 0; k < PLANE; k++) {
            double difference = 0;
            for (size_t t = 0; t < DRAWS; t++)
                difference +=
                    (expected[(t * ORDER + g) * PLANE + k] - expected[t * ORDER * PLANE + k]) / DRAWS;
            defect += difference * difference / (ORDER * IMAGES);
        }
    bnn_metrics *metrics = evaluate(&f, &options);
    const mixture mixed = mixture_of(&f, members, DRAWS * ORDER);
    assert_true(defect > 1e-6);
    assert_close(metrics->defect_plugin, defect, 1e-10, 0);
    assert_true(metrics->defect_unbiased != 0);
    assert_close(metrics->nll, mixed.nll, 1e-12, 0);
    assert_close(metrics->expected_nll, mixed.expected_nll, 1e-12, 0);
    assert_close(metrics->mutual_information, mixed.mutual_information, 1e-12, 1);
    bnn_metrics_free(metrics);
    free(found);
    free(members);
    free(expected);
    bnn_grid_action_free(action);
    bnn_group_free(c8);
    tear_down(&turned);
    tear_down(&f);
}

/* log F(x)_y from logits in long double, where softmax gives a probability of 0. */
static void likelihoods_come_from_logits(void **state)
{
    fixture f = set_up();
    (void)state;
    for (size_t j = 0; j < f.model->posterior->count; j++) f.model->posterior->mu[j] *= 100;
    for (int averaged = 0; averaged < 2; averaged++) {
        bnn_predict_options options = options_for(&f, 5);
        options.logits = true;
        double *logits = predict(&f, &options), nll = 0, nll_orbit = 0, expected_nll = 0, least = 0;
        const size_t members = averaged ? 8 : 1;
        for (size_t i = 0; i < IMAGES; i++)
            for (size_t g = 0; g < 8; g++) {
                long double of_members[5 * 8], most = -INFINITY, sum = 0;
                for (size_t m = 0; m < 5 * members; m++) {
                    const size_t t = m / members, h = averaged ? m % members : g;
                    const double *row = logits + ((t * 8 + h) * IMAGES + i) * CLASSES;
                    const double top = fmax(row[0], fmax(row[1], row[2]));
                    long double all = 0;
                    for (size_t c = 0; c < CLASSES; c++) all += expl((long double)row[c] - top);
                    of_members[m] = (long double)row[f.data.labels[i]] - top - logl(all);
                    least = fmin(least, (double)of_members[m]);
                    most = fmaxl(most, of_members[m]);
                    if (g == 0) expected_nll -= (double)of_members[m] / (double)(5 * members * IMAGES);
                }
                for (size_t m = 0; m < 5 * members; m++) sum += expl(of_members[m] - most);
                const double log_likelihood = (double)(most + logl(sum / (5 * members)));
                nll_orbit -= log_likelihood / (8 * IMAGES);
                if (g == 0) nll -= log_likelihood / IMAGES;
            }
        options.logits = false;
        options.average_over = averaged ? f.model->group : NULL;
        bnn_metrics *metrics = evaluate(&f, &options);
        assert_true(least < -2000 && nll > 400); /* or a clamp at log DBL_MIN = -708.4 would go unseen */
        assert_close(metrics->nll, nll, 1e-12, 0);
        assert_close(metrics->nll_orbit, nll_orbit, 1e-12, 0);
        assert_close(metrics->expected_nll, expected_nll, 1e-12, 0);
        bnn_metrics_free(metrics);
        free(logits);
    }
    tear_down(&f);
}

/* A network that has diverged is no bad input, and the first image that shows it is named, for any number of threads. */
static void diverged_weights_are_named(void **state)
{
    static const bnn_real bad[] = {(bnn_real)NAN, (bnn_real)INFINITY};
    fixture f = set_up();
    bnn_metrics *metrics;
    bnn_error error;
    (void)state;
    f.model->posterior->mu[f.model->posterior->count - 1] = bad[0]; /* the last class's bias */
    for (int threads = 1; threads <= 3; threads++) {
        bnn_predict_options options = options_for(&f, 3);
        options.threads = threads;
        assert_int_equal(bnn_evaluate(f.model, &f.data, &options, &metrics, &error), BNN_FAILED);
        assert_string_equal(error.message,
                            "the network's weights have diverged: a prediction became NaN (image 0, draw "
                            "0, class 2)");
        assert_null(metrics);
    }
    f.model->posterior->mu[f.model->posterior->count - 1] = -bad[1];
    const bnn_predict_options options = options_for(&f, 3);
    assert_int_equal(bnn_evaluate(f.model, &f.data, &options, &metrics, &error), BNN_FAILED);
    assert_non_null(strstr(error.message, "-infinity"));
    tear_down(&f);
}

static void labels_beyond_the_model_are_refused(void **state)
{
    fixture f = set_up();
    bnn_metrics *metrics;
    bnn_error error;
    const bnn_predict_options options = options_for(&f, 1);
    (void)state;
    f.data.labels[7] = CLASSES;
    assert_int_equal(bnn_evaluate(f.model, &f.data, &options, &metrics, &error), BNN_BAD_INPUT);
    assert_string_equal(error.message, "labels: image 7 has label 3, expected less than 3");
    tear_down(&f);
}

/* N0 mean E_q log p - KL whatever is evaluated; none where there is no such thing. */
static void the_elbo_is_at_the_number_of_training_images(void **state)
{
    fixture f = set_up();
    bnn_predict_options options = options_for(&f, 4);
    bnn_elbo elbo;
    bnn_error error;
    bnn_posterior *q = f.model->posterior;
    (void)state;
    bnn_metrics *metrics = evaluate(&f, &options);
    assert_int_equal(bnn_evaluate_elbo(f.model, &options, metrics, &elbo, &error), BNN_OK);
    assert_true(elbo.n == 0 && isnan(elbo.total) &&
                isnan(elbo.per_example)); /* the configuration does not say */
    assert_close(elbo.expected_log_likelihood, -metrics->expected_nll, 1e-15, 0);
    f.model->config.data.train_size = 5000;
    assert_int_equal(bnn_evaluate_elbo(f.model, &options, metrics, &elbo, &error), BNN_OK);
    assert_true(elbo.n == 5000 && elbo.kl == bnn_posterior_kl(q));
    assert_close(elbo.total, -5000 * metrics->expected_nll - elbo.kl, 1e-14, 0);
    assert_close(elbo.per_example, -metrics->expected_nll - elbo.kl / 5000, 1e-14, 0);
    options.mean = true;
    assert_int_equal(bnn_evaluate_elbo(f.model, &options, metrics, &elbo, &error), BNN_BAD_INPUT);
    options.mean = false;
    options.average_over = f.model->group;
    assert_int_equal(bnn_evaluate_elbo(f.model, &options, metrics, &elbo, &error), BNN_OK);
    const bnn_prior_std std = {.count = 1, .number = {1}};
    assert_int_equal(bnn_posterior_set_prior(q, &std, true, 3, &error), BNN_OK); /* random means */
    assert_int_equal(bnn_evaluate_elbo(f.model, &options, metrics, &elbo, &error), BNN_BAD_INPUT);
    assert_non_null(strstr(error.message, "prior is not invariant"));
    options.average_over = NULL;
    assert_int_equal(bnn_evaluate_elbo(f.model, &options, metrics, &elbo, &error), BNN_OK);
    options.average_over = f.model->group;
    bnn_symmetry *symmetry;
    assert_int_equal(bnn_symmetry_create(f.model->group, f.model->network, &symmetry, NULL), BNN_OK);
    bnn_symmetry_project(symmetry, q->prior_mean); /* random, and invariant */
    assert_int_equal(bnn_evaluate_elbo(f.model, &options, metrics, &elbo, &error), BNN_OK);
    bnn_symmetry_free(symmetry);
    bnn_metrics_free(metrics);
    tear_down(&f);
}

/* The ELBO's standard error is that of the mean over draws of what each draw says of all images, and of all their views where
 * they are averaged; and it is the spread of the ELBO over seeds. */
static void errors_of_the_elbo(void **state)
{
    enum { DRAWS = 6, SEEDS = 200 };
    fixture f = set_up();
    bnn_predict_options options = options_for(&f, DRAWS);
    bnn_elbo elbo;
    bnn_error error;
    (void)state;
    f.model->config.data.train_size = 5000;
    double *p = predict(&f, &options);
    for (int averaged = 0; averaged < 2; averaged++) {
        double of_draw[DRAWS] = {0}, mean = 0, squares = 0;
        const size_t views = averaged ? 8 : 1;
        for (size_t t = 0; t < DRAWS; t++) {
            for (size_t k = 0; k < views * IMAGES; k++)
                of_draw[t] += log(p[(t * 8 * IMAGES + k) * CLASSES + f.data.labels[k % IMAGES]]) /
                              (double)(views * IMAGES);
            mean += of_draw[t] / DRAWS;
        }
        for (size_t t = 0; t < DRAWS; t++) squares += (of_draw[t] - mean) * (of_draw[t] - mean);
        options.average_over = averaged ? f.model->group : NULL;
        bnn_metrics *metrics = evaluate(&f, &options);
        assert_int_equal(bnn_evaluate_elbo(f.model, &options, metrics, &elbo, &error), BNN_OK);
        assert_close(elbo.expected_log_likelihood, mean, 1e-12, 0);
        assert_close(metrics->expected_nll_error, sqrt(squares / (DRAWS * (DRAWS - 1))), 1e-10, 0);
        assert_close(elbo.total_error,
                     hypot(5000 * metrics->expected_nll_error, elbo.kl_mixture_standard_error), 1e-12, 0);
        assert_true((elbo.kl_mixture_standard_error > 0) == averaged);
        bnn_metrics_free(metrics);
    }
    double sum = 0, squares = 0, said = 0;
    options.average_over = options.group = NULL;
    for (options.seed = 0; options.seed < SEEDS; options.seed++) {
        bnn_metrics *metrics = evaluate(&f, &options);
        sum += metrics->expected_nll / SEEDS;
        squares += metrics->expected_nll * metrics->expected_nll / SEEDS;
        said += metrics->expected_nll_error * metrics->expected_nll_error / SEEDS;
        bnn_metrics_free(metrics);
    }
    print_message("said %.3e, found %.3e\n", sqrt(said), sqrt(squares - sum * sum));
    assert_close(said, squares - sum * sum, 0.3, 0);
    free(p);
    tear_down(&f);
}

/* Centres the logits of w = mu by the head's biases, so that images differ in the class that they are given. */
static void centre(fixture *f)
{
    bnn_predict_options options = options_for(f, 1);
    const bnn_layer *head = &f->model->network->layers[f->model->network->layer_count - 1];
    while (head->bias_count == 0) head--;
    options.group = NULL;
    options.mean = options.logits = true;
    double *logits = predict(f, &options);
    for (size_t k = 0; k < IMAGES * CLASSES; k++)
        f->model->posterior->mu[head->bias_offset + k % CLASSES] -= (bnn_real)(logits[k] / IMAGES);
    free(logits);
}

/* An invariant posterior: no defect, but plug-in figures that fall like 1/T towards none. */
static void invariant_posterior_has_no_defect(void **state)
{
    static const size_t draws[] = {4, 16, 64};
    double plugin[3], kl[3];
    fixture f = set_up();
    (void)state;
    project(&f);
    centre(&f);
    for (size_t k = 0; k < 3; k++) {
        const bnn_predict_options options = options_for(&f, draws[k]);
        bnn_metrics *metrics = evaluate(&f, &options);
        plugin[k] = metrics->defect_plugin;
        kl[k] = metrics->symmetric_kl_mean;
        assert_true((metrics->orbit_agreement < 1) == (draws[k] == 4));
        assert_true(fabs(metrics->defect_unbiased) <= 3 * metrics->defect_standard_error);
        bnn_metrics_free(metrics);
    }
    assert_close(plugin[0] / plugin[1], 4, 0.4, 0);
    assert_close(plugin[1] / plugin[2], 4, 0.4, 0);
    assert_close(kl[0] / kl[1], 4, 0.4, 0);
    assert_close(kl[1] / kl[2], 4, 0.4, 0);
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
        cmocka_unit_test(inexact_groups_turn_images_twice),
        cmocka_unit_test(likelihoods_come_from_logits),
        cmocka_unit_test(diverged_weights_are_named),
        cmocka_unit_test(labels_beyond_the_model_are_refused),
        cmocka_unit_test(the_elbo_is_at_the_number_of_training_images),
        cmocka_unit_test(errors_of_the_elbo),
        cmocka_unit_test(invariant_posterior_has_no_defect),
        cmocka_unit_test(both_defects_agree_at_many_draws),
        cmocka_unit_test(bound_of_the_certificate_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
