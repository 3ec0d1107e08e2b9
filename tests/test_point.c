/* Family point: w = mu. Its gradient and its weight decay, what trainings and files hold of it, and what is refused. */
#include <stdlib.h>

#include "bnn/engine.h"
#include "bnn/evaluate.h"
#include "bnn/optimizer.h"
#include "networks.h"
#include "runs.h"

#define POINT "posterior.family=point"

/* ---- the loss --------------------------------------------------------------------------------------------- */

/* A point under a prior of its own for every weight. */
static bnn_posterior *point_on(const bnn_network *network, uint64_t seed)
{
    bnn_posterior *q = NULL;
    bnn_error error;
    assert_int_equal(bnn_posterior_create(network, &bnn_family_point, &q, &error), BNN_OK);
    bnn_normals(bnn_stream_of(seed, BNN_STREAM_INITIAL_MEAN, 0, 0, 0), q->mu, q->count);
    for (size_t j = 0; j < q->count; j++) {
        q->prior_std[j] = (bnn_real)(0.3 + 0.2 * (double)(j % 4));
        q->prior_mean[j] = (bnn_real)(0.5 * (double)(j % 2));
    }
    return q;
}

#ifdef BNN_DOUBLE
/* -log p(mu), but for a constant: sum over the free weights. */
static double penalty(const bnn_posterior *q)
{
    double sum = 0;
    for (size_t j = 0; j < q->count; j++) {
        const double away = (q->mu[j] - q->prior_mean[j]) / q->prior_std[j];
        if (!q->ties || q->ties->leader[j] == j) sum += away * away / 2;
    }
    return sum;
}

static double loss(bnn_engine *engine, const bnn_posterior *q, const bnn_real *x, const uint32_t *labels)
{
    bnn_engine_centre(engine);
    return bnn_engine_step(engine, x, labels, 0.1).nll + 0.1 * penalty(q);
}

/* Of single weights, and of orbits that are tied: then the sum over the orbit. */
static void gradients_are_derivatives(void **state)
{
    static const bnn_network_spec spec = REGULAR_NETWORK(FCNN, 1, 6, 6, 3, false, 4);
    const uint32_t labels[3] = {0, 2, 1};
    const double by = 1e-6;
    (void)state;
    for (int tied = 0; tied < 2; tied++) {
        fixture f = test_fixture("C4", &spec);
        bnn_posterior *q = point_on(f.network, 3);
        bnn_real *x = test_normals(3 * bnn_network_in_count(f.network), 6);
        const bnn_engine_options options = {.samples = 1, .items = 3, .views = 1, .threads = 2};
        bnn_engine *engine;
        bnn_error error;
        if (tied) {
            bnn_symmetry_project(f.symmetry, q->mu);
            bnn_symmetry_project(f.symmetry, q->prior_mean);
            bnn_symmetry_project(f.symmetry, q->prior_std);
            q->ties = bnn_symmetry_ties(f.symmetry);
        }
        assert_int_equal(bnn_engine_create(q, &options, &engine, &error), BNN_OK);
        loss(engine, q, x, labels);
        double *gradient = test_zeros(q->count);
        memcpy(gradient, bnn_engine_mu_gradient(engine), q->count * sizeof *gradient);
        for (size_t j = 0; j < q->count; j++) {
            double sum = 0, either[2];
            for (int side = 0; side < 2; side++) {
                for (size_t k = 0; k < q->count; k++)
                    if (k == j || (tied && q->ties->leader[k] == q->ties->leader[j]))
                        q->mu[k] += side ? 2 * by : -by;
                either[side] = loss(engine, q, x, labels);
            }
            for (size_t k = 0; k < q->count; k++)
                if (k == j || (tied && q->ties->leader[k] == q->ties->leader[j]))
                    q->mu[k] -= by, sum += gradient[k];
            assert_close(sum, (either[1] - either[0]) / (2 * by), 1e-6, 0.01);
        }
        bnn_engine_free(engine);
        free(gradient), free(x);
        bnn_posterior_free(q);
        test_fixture_free(&f);
    }
}
#endif

/* The maximum a posteriori of sum_j H_j (w_j - c_j)^2/2 an item, N items: (N H c + m/s^2)/(N H + 1/s^2). */
static void optimisers_find_the_maximum_a_posteriori(void **state)
{
    static const bnn_network_spec spec = NETWORK(MLP, 1, 3, 3, 0, false, 4);
    static const struct {
        const char *name;
        bnn_optimizer_options options;
    } runs[] = {
        {"sgd", {.lr = 0.3, .momentum = 0.9, .nesterov = true}},
        {"adamw", {.lr = 0.02, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8}},
    };
    const double n = 20;
    (void)state;
    for (size_t r = 0; r < 2; r++) {
        bnn_network *network = test_network(&spec);
        bnn_posterior *q = point_on(network, 4);
        bnn_real *c = test_normals(q->count, 8), *gradient = test_zeros(q->count),
                 *none = test_zeros(q->count);
        bnn_optimizer *optimizer;
        bnn_error error;
        assert_int_equal(bnn_optimizer_create(bnn_optimizer_find(runs[r].name), &runs[r].options, q->count,
                                              &optimizer, &error),
                         BNN_OK);
        for (size_t i = 0; i < 6000; i++) {
            const bnn_slice slice = bnn_posterior_slice(q, none, 0, q->count);
            for (size_t j = 0; j < q->count; j++)
                gradient[j] = (bnn_real)(0.05 + 0.1 * (double)(j % 7)) * (q->mu[j] - c[j]);
            bnn_posterior_kl_gradient(q, q->family, &slice, 0, (bnn_real)(1 / n), gradient, none);
            const bnn_descent step = {.lr_scale = 1 - (double)i / 6000,
                                      .gradient_factor = 1,
                                      .mu_gradient = gradient,
                                      .sigma = none,
                                      .threads = 1};
            bnn_optimizer_step(optimizer, &step, q);
        }
        for (size_t j = 0; j < q->count; j++) {
            const double h = 0.05 + 0.1 * (double)(j % 7), s = (double)q->prior_std[j];
            const double best =
                (n * h * (double)c[j] + (double)q->prior_mean[j] / (s * s)) / (n * h + 1 / (s * s));
            assert_close((double)q->mu[j], best, 1e-3, 0.1);
            assert_true(isinf(q->rho[j]) && none[j] == 0);
        }
        bnn_optimizer_free(optimizer);
        free(none), free(gradient), free(c);
        bnn_posterior_free(q);
        bnn_network_free(network);
    }
}

/* One step of plain sgd, by the trainer: mu moves by -lr beta mu/s^2 more than without the prior. */
static void the_prior_is_weight_decay(void **state)
{
#define ONE_STEP                                                                                             \
    POINT, "symmetrization.mode=none", "train.epochs=1", "train.batch_size=64", "train.clip_norm=0",         \
        "train.optimizer.momentum=0", "train.optimizer.nesterov=false", "prior.std=0.5"
    bnn_model *models[3];
    (void)state;
    train("start", SETS(ONE_STEP, "train.optimizer.lr=0"));
    train("free", SETS(ONE_STEP, "train.optimizer.lr=0.1", "train.kl_weight=0"));
    train("prior", SETS(ONE_STEP, "train.optimizer.lr=0.1", "train.kl_weight=0.5"));
    models[0] = load("start"), models[1] = load("free"), models[2] = load("prior");
    double most = 0;
    for (size_t j = 0; j < models[0]->posterior->count; j++) {
        const double mu = (double)models[0]->posterior->mu[j], step = 0.1 * 0.5 * mu / (0.5 * 0.5);
        assert_close((double)models[2]->posterior->mu[j], (double)models[1]->posterior->mu[j] - step, 1e-4,
                     0.1);
        most = fmax(most, fabs((double)models[1]->posterior->mu[j] - mu));
    }
    assert_true(most > 1e-3);
    for (size_t i = 0; i < 3; i++) bnn_model_free(models[i]);
}

/* ---- trainings and files ------------------------------------------------------------------------------------ */

static bnn_status refuse_rho(void *context, const bnn_tensor *tensor, bnn_error *error)
{
    (void)error;
    assert_null(strstr(tensor->name, "rho"));
    ++*(size_t *)context;
    return BNN_OK;
}

static bnn_status take(void *context, const bnn_predictions *p, bnn_error *error)
{
    (void)error;
    memcpy(context, p->values, 3 * p->images * CLASSES * sizeof *p->values);
    return BNN_OK;
}

/* Draws are the network at w = mu, bit for bit. */
static void check_draws(const bnn_model *model)
{
    enum { COUNT = 4 };
    bnn_real *x = test_normals(COUNT * bnn_network_in_count(model->network), 3);
    const bnn_dataset images = {.channels = 1, .height = SIDE, .width = SIDE, .count = COUNT, .images = x};
    double drawn[3][COUNT * CLASSES];
    bnn_predict_options options = {.samples = 3, .purpose = BNN_STREAM_EVALUATION_NOISE, .threads = 1};
    bnn_real *w = test_zeros(model->posterior->count);
    bnn_error error;
    bnn_posterior_centre(model->posterior, w);
    assert_memory_equal(w, model->posterior->mu, model->posterior->count * sizeof *w);
    if (bnn_predict(model, &images, &options, take, drawn, &error)) fail_msg("%s", error.message);
    assert_memory_equal(drawn[1], drawn[0], sizeof drawn[0]);
    assert_memory_equal(drawn[2], drawn[0], sizeof drawn[0]);
    free(w);
    free(x);
}

/* Every mode but average; held ones end invariant, and equivariant as networks. */
static void every_mode_trains_points(void **state)
{
    static const char *const optimizers[] = {"train.optimizer.name=sgd", "train.optimizer.name=adamw"};
    (void)state;
    for (size_t m = 0; bnn_modes[m]; m++) {
        const bnn_mode *mode = bnn_modes[m];
        const bool holds = mode->holds || bnn_row_reads(&mode->row, "symmetrization.hold");
        char set[64], bad[64];
        bnn_error error;
        bnn_symmetry *symmetry;
        bnn_certificate *c;
        size_t tensors = 0;
        snprintf(set, sizeof set, "symmetrization.mode=%s", mode->row.name);
        snprintf(bad, sizeof bad, "found \"%s\"", mode->row.name);
        const char *const sets[] = {POINT,
                                    set,
                                    optimizers[m % 2],
                                    holds ? "symmetrization.hold=true" : "seed=4",
                                    mode->replaces_network ? "symmetrization.stage1_epochs=1" : "seed=4",
                                    NULL};
        if (mode->averages_factors) {
            assert_failure(try_training("no", 1, sets, &error), BNN_BAD_INPUT, error, "symmetrization.mode",
                           bad, "point", "\"project\"", "no density");
            continue;
        }
        train("mode", sets);
        bnn_model *model = load("mode");
        assert_int_equal(bnn_posterior_tensors(model->posterior, refuse_rho, &tensors, &error), BNN_OK);
        assert_int_equal(tensors, 2 * 3); /* weights and biases of three layers */
        assert_true(isnan(bnn_posterior_kl(model->posterior)));
        check_draws(model);
        assert_int_equal(bnn_symmetry_create(model->group, model->network, &symmetry, &error), BNN_OK);
        assert_int_equal(bnn_certify(symmetry, model->posterior, &c, &error), BNN_OK);
        assert_true(holds == (c->residual == 0));
        assert_true(holds ? c->kl_max == 0 && c->l1_bound == 0 : isinf(c->kl_max) && c->l1_bound == 2);
        if (holds)
            assert_true(equation_defect(model->group, model->network, NULL, model->posterior->mu) <
                        ROUNDING * 20);
        bnn_certificate_free(c);
        bnn_symmetry_free(symmetry);
        bnn_model_free(model);
    }
}

/* The configuration that a run records says nothing of sigma, and makes the same run. */
static void a_recorded_configuration_trains_again(void **state)
{
    char config[320], out[300];
    (void)state;
    train("first", SETS(POINT, "symmetrization.mode=equivariant", "eval.samples=7", "train.samples=1"));
    snprintf(config, sizeof config, "%s", in_temporary("first/config.json"));
    snprintf(out, sizeof out, "%s", in_temporary("second"));
    succeeded(bnn_run("train", config, "--out", out, "--quiet"));
    static uint8_t bytes[2][1 << 18];
    const size_t size = get_file(in_temporary("first/model.bin"), bytes[0], sizeof bytes[0]);
    assert_int_equal(size, get_file(in_temporary("second/model.bin"), bytes[1], sizeof bytes[1]));
    assert_memory_equal(bytes[0], bytes[1], size);
    bytes[0][get_file(config, bytes[0], sizeof bytes[0] - 1)] = '\0';
    assert_null(strstr((char *)bytes[0], "rho"));
    assert_null(strstr((char *)bytes[0], "samples"));
}

/* ---- what is refused, and what is said ---------------------------------------------------------------------- */

static void what_asks_for_sigma_is_refused(void **state)
{
    static const char *const sets[][3] = {
        {"posterior.rho_init=-5", "posterior.rho_init", "no sigma"},
        {"prior.std=learned", "prior.std", "fan-in"},
        {"train.map_epochs=1", "train.map_epochs", "expected 0"},
        {"train.samples=2", "train.samples", "expected 1"},
        {"train.estimator=flipout", "train.estimator", "expected \"weight\""},
        {"train.estimator=local", "train.estimator", "expected \"weight\""},
        {"train.kl_warmup_epochs=1", "train.kl_warmup_epochs", "no sigma"},
        {"train.kl_ramp_end=1", "train.kl_ramp_end", "no sigma"},
        {"train.kl_head_warmup_epochs=1", "train.kl_head_warmup_epochs", "no sigma"},
        {"train.kl_head_ramp_end=1", "train.kl_head_ramp_end", "no sigma"},
        {"train.free_bits=0.1", "train.free_bits", "no sigma"},
        {"train.optimizer.rho_lr_factor=2", "train.optimizer.rho_lr_factor", "no sigma"},
        {"train.optimizer.name=ivon", "train.optimizer.name", "no sigma"},
    };
    bnn_error error;
    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        assert_failure(try_training("no", 1, SETS(POINT, sets[i][0]), &error), BNN_BAD_INPUT, error,
                       sets[i][1], sets[i][2], "point");
    assert_int_not_equal(access(in_temporary("no"), F_OK), 0);
}

static void no_kl_and_no_elbo_are_claimed(void **state)
{
    char out[300], line[1 << 14];
    (void)state;
    snprintf(out, sizeof out, "%s", in_temporary("said"));
    const program_run *run = succeeded(bnn_run("train", put_small_config(), "--out", out, "--set", POINT,
                                               "--set", "symmetrization.mode=tie"));
    assert_null(strstr(run->err, " kl "));
    assert_null(strstr(run->err, "elbo"));
    assert_non_null(strstr(run->err, "eval.samples is set, but nothing that is chosen reads it"));
    line[get_file(in_temporary("said/metrics.jsonl"), line, sizeof line - 1)] = '\0';
    cJSON *json = cJSON_Parse(line);
    assert_non_null(json);
    assert_true(cJSON_IsNull(member(json, "kl")) && cJSON_IsNull(member(json, "elbo")));
    assert_true(cJSON_IsNull(member(json, "objective")));
    cJSON_Delete(json);

    json = json_of(bnn_run("info", out, "--json"));
    assert_true(cJSON_IsNull(member(json, "kl")));
    assert_non_null(strstr(member(json, "no_kl")->valuestring, "no density"));
    assert_true(cJSON_IsNull(member(cJSON_GetArrayItem(member(json, "layers"), 0), "sigma_over_prior")));
    cJSON_Delete(json);
    const char *table = succeeded(bnn_run("info", out))->out;
    assert_non_null(strstr(table, "none: a point has no density"));
    assert_null(strstr(table, "ELBO"));

    json = json_of(bnn_run("eval", out, "--json", "--equivariance", "--uncertainty"));
    assert_null(cJSON_GetObjectItemCaseSensitive(json, "elbo"));
    assert_non_null(strstr(member(json, "no_elbo")->valuestring, "point"));
    assert_true(figure(json, "samples") == 1);
    assert_true(cJSON_IsNull(member(json, "uncertainty.mutual_information")));
    assert_true(figure(json, "equivariance.certificate.residual") == 0);
    assert_true(figure(json, "equivariance.defect.single_draw") <= ROUNDING * ROUNDING);
    cJSON_Delete(json);
    run = succeeded(bnn_run("eval", out, "--samples", "9"));
    assert_non_null(strstr(run->err, "family point has no noise"));
    assert_null(strstr(run->out, "KL(q"));
    assert_int_equal(bnn_run("check", out)->code, 0);
    assert_one_line(bnn_run("symmetrize", out, "--average", "geometric", "--out", in_temporary("x.bin")), 2,
                    "--average", "point", "--project");
}

/* The other commands take such models. */
static void commands_cope(void **state)
{
    char out[300], x[320], y[320], images[320];
    (void)state;
    snprintf(out, sizeof out, "%s", in_temporary("cope"));
    snprintf(x, sizeof x, "%s", in_temporary("x"));
    snprintf(y, sizeof y, "%s", in_temporary("y"));
    snprintf(images, sizeof images, "%s", in_temporary("test-images"));
    succeeded(bnn_run("train", put_small_config(), "--out", out, "--set", POINT, "--set",
                      "data.validation_size=32", "--quiet"));
    succeeded(bnn_run("symmetrize", out, "--project", "--channels", "trivial", "--out", x));
    succeeded(bnn_run("expand", x, "--out", y));
    assert_int_equal(bnn_run("check", y)->code, 0);
    succeeded(
        bnn_run("predict", out, "--images", images, "--orbit", "--each-draw", "--samples", "4", "--out", x));
    cJSON *json = json_of(bnn_run("score", "--probs", x, "--json"));
    assert_true(figure(json, "samples") == 1);
    cJSON_Delete(json);
    succeeded(bnn_run("export", out, "--onnx", "--samples", "3", "--out", x));
    succeeded(bnn_run("calibrate", out, "--out", x));
    json =
        json_of(bnn_run("eval", x, out, "--json", "--equivariance")); /* without noise no defect has a bias */
    assert_true(figure(json, "equivariance.defect.unbiased") == figure(json, "equivariance.defect.plugin"));
    cJSON_Delete(json);
    succeeded(bnn_run("report", out, "--out", x));
    succeeded(bnn_run("train", put_small_config(), "--out", in_temporary("again"), "--set", POINT, "--set",
                      "symmetrization.mode=tie", "--set", strcat(strcpy(y, "posterior.init_from="), out),
                      "--quiet"));
    assert_one_line(bnn_run("train", put_small_config(), "--out", in_temporary("other"), "--set",
                            strcat(strcpy(y, "posterior.init_from="), out)),
                    2, "posterior.init_from", "family point", "gaussian");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef BNN_DOUBLE
        cmocka_unit_test(gradients_are_derivatives),
#endif
        cmocka_unit_test(optimisers_find_the_maximum_a_posteriori),
        cmocka_unit_test(the_prior_is_weight_decay),
        cmocka_unit_test(every_mode_trains_points),
        cmocka_unit_test(a_recorded_configuration_trains_again),
        cmocka_unit_test(what_asks_for_sigma_is_refused),
        cmocka_unit_test(no_kl_and_no_elbo_are_claimed),
        cmocka_unit_test(commands_cope),
    };
    return cmocka_run_group_tests(tests, set_up_trainings, remove_temporary_directory);
}
