/* Whether a run is healthy: sigma at the ends of its range, the first figure that is not finite (train.detect_anomaly), and
 * what a run says that does not learn. */
#include "networks.h"
#include "trainings.h"

#include "bnn/io.h"

/* ---- the range of sigma --------------------------------------------------------------------------------------- */

/* Whether no figure of q is NaN or infinite: KL, its gradient, divergences from itself turned, averages. */
static void check_figures(const fixture *f, const bnn_family *family, bnn_real rho, bnn_real other)
{
    bnn_posterior *q = NULL;
    bnn_certificate *certificate = NULL;
    bnn_error error;
    assert_int_equal(bnn_posterior_create(f->network, family, &q, &error), BNN_OK);
    bnn_posterior_initialise(q, BNN_INIT_KAIMING, -3, 1);
    for (size_t j = 0; j < q->count; j++) q->rho[j] = j % 3 ? rho : other;
    assert_true(isfinite(bnn_posterior_kl(q)));
    assert_int_equal(bnn_certify(f->symmetry, q, &certificate, &error), BNN_OK);
    /* between weights of either sign there is no density ratio */
    assert_true(q->sign ? !isnan(certificate->kl_max) : isfinite(certificate->kl_max));
    assert_true(isfinite(certificate->residual));
    assert_true(certificate->l1_bound >= 0 && certificate->l1_bound <= 2);
    bnn_certificate_free(certificate);
    for (size_t way = 0; way < 3; way++) {
        bnn_posterior_initialise(q, BNN_INIT_KAIMING, -3, 1);
        for (size_t j = 0; j < q->count; j++) q->rho[j] = j % 3 ? rho : other;
        if (way == 0) bnn_posterior_project(f->symmetry, q);
        if (way > 0) bnn_posterior_average(f->symmetry, way == 1 ? BNN_GEOMETRIC : BNN_ARITHMETIC, q);
        for (size_t j = 0; j < q->count; j++) assert_true(isfinite(q->mu[j]) && isfinite(q->rho[j]));
        assert_true(isfinite(bnn_posterior_kl(q)));
    }
    bnn_posterior_free(q);
}

static void sigma_may_be_tiny_or_huge(void **state)
{
    static const bnn_network_spec spec = NETWORK(CNN, 1, 8, 8, 3, false, 2, 3);
    static const bnn_real rho[] = {-800, -340, -87, -5, 80, 1e4f};
    fixture f = test_fixture("C4", &spec);
    (void)state;
    for (const bnn_family *const *family = bnn_families; *family; family++)
        for (size_t i = 0; i < 6 && !(*family)->point; i++) /* which has no sigma */
            for (size_t k = 0; k < 6; k++) check_figures(&f, *family, rho[i], rho[k]);
    test_fixture_free(&f);
}

/* ---- train.detect_anomaly --------------------------------------------------------------------------------------- */

static const bool is_float = sizeof(bnn_real) == sizeof(float);

/* The small configuration, an mlp of three layers, two steps an epoch. */
#define train(out, ...)                                                                                      \
    bnn_run("train", put_small_config(), "--overwrite", "--out", in_temporary(out), "--threads", "2",        \
            "--set", "data.train_size=64", "--set", "data.validation_size=0", "--set",                       \
            "train.batch_size=32", "--set", "group=C1", "--set", "model.type=mlp", "--set",                  \
            "model.hidden=[8, 8]", __VA_ARGS__)
#define detect(...)                                                                                          \
    train("anomaly", "--quiet", "--set", "train.epochs=2", "--set", "train.detect_anomaly=true", "--set",    \
          "train.clip_norm=0", "--set", "train.optimizer.name=sgd", __VA_ARGS__)

static void names_the_layer_of_an_activation(void **state)
{
    const char *beta = is_float ? "train.kl_weight=1e20" : "train.kl_weight=1e30";
    const char *std = is_float ? "prior.std=1" : "prior.std=1e-30";
    (void)state;
    assert_one_line(detect("--set", beta, "--set", std, "--set", "train.optimizer.lr=1", "--set",
                           "train.optimizer.rho_lr_factor=0", "--set", "model.hidden=[8, 8, 8, 8]"),
                    1, "an activation of fc_layers.", "epoch 1, step 2", "last good checkpoint");
}

/* No setting's range goes so far in double. */
static void names_the_tensor_of_a_gradient_mu_or_rho(void **state)
{
    (void)state;
    if (!is_float) return;
    assert_one_line(detect("--set", "train.kl_weight=1e30", "--set", "prior.std=1e-10"), 1,
                    "the gradient of fc_layers.0.weight_mu is ", "infinity at entry", "epoch 1, step 1");
    assert_one_line(detect("--set", "train.kl_weight=1e30", "--set", "posterior.rho_init=-60"), 1,
                    "the gradient of fc_layers.0.weight_rho is -infinity at entry 0", "epoch 1, step 1");
    assert_one_line(
        detect("--set", "train.kl_weight=1e30", "--set", "prior.std=0.01", "--set", "train.optimizer.lr=1e6"),
        1, "bnn: fc_layers.0.weight_mu is ", "infinity at entry", "epoch 1, step 1");
    assert_one_line(detect("--set", "train.kl_weight=1e27", "--set", "prior.std=1", "--set",
                           "train.optimizer.lr=1e6", "--set", "train.optimizer.rho_lr_factor=1e6"),
                    1, "bnn: fc_layers.0.weight_rho is infinity at entry 0", "epoch 1, step 1");
}

/* A run at whose figures somebody looks is the same run: in the log, but for times, and in what its model predicts. */
static void changes_nothing_of_a_healthy_run(void **state)
{
    static const char *const estimators[] = {"train.estimator=weight", "train.estimator=flipout",
                                             "train.estimator=local"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        size_t size[2];
        uint8_t *bytes[2];
        for (size_t k = 0; k < 2; k++) {
            bnn_error error;
            succeeded(train("healthy", "--quiet", "--set", estimators[i], "--set",
                            k ? "train.detect_anomaly=true" : "train.detect_anomaly=false", "--set",
                            "model.type=fcnn", "--set", "model.channels=[4]", "--set", "model.hidden=[]"));
            succeeded(bnn_run("predict", in_temporary("healthy"), "--images", in_temporary("test-images"),
                              "--logits", "--out", in_temporary("logits.npy")));
            assert_int_equal(bnn_read_file(in_temporary("logits.npy"), 1 << 24, &bytes[k], &size[k], &error),
                             0);
        }
        assert_true(size[0] == size[1] && memcmp(bytes[0], bytes[1], size[0]) == 0);
        free(bytes[0]);
        free(bytes[1]);
    }
}

/* ---- whether it learns ------------------------------------------------------------------------------------------ */

#define watch(...)                                                                                           \
    train("watched", "--set", "train.epochs=5", "--set", "posterior.rho_init=-3", "--set",                   \
          "train.optimizer.name=adamw", "--set", "train.batch_size=8", "--set", "train.clip_norm=1e6",       \
          "--set", "train.optimizer.lr=0.01", __VA_ARGS__)

/* The warnings of a run, by what each says. */
enum { CHANCE = 1, CLIPPED = 2, STILL = 4 };

static unsigned warnings_of(const program_run *run)
{
    static const char *const says[] = {"is worse than chance, log ", "was clipped, to norm ",
                                       "sigma has not moved"};
    unsigned found = 0, lines = 0;
    succeeded(run);
    for (const char *at = run->err; (at = strstr(at, "warning: ")); at++) {
        const char *end = strchr(at, '\n');
        lines++;
        for (size_t i = 0; i < 3; i++) {
            const char *place = strstr(at, says[i]);
            if (place && place < end) found |= 1u << i;
        }
    }
    assert_int_equal(lines, (found & 1) + (found >> 1 & 1) + (found >> 2));
    return found;
}

static void each_warning_where_it_is_due(void **state)
{
    (void)state;
    assert_int_equal(warnings_of(watch("--quiet")), 0);
    assert_int_equal(warnings_of(watch("--threads", "1")), 0);
    assert_int_equal(warnings_of(watch("--set", "posterior.rho_init=3")), CHANCE);
    assert_non_null(strstr(watch("--set", "posterior.rho_init=3")->err, "posterior.rho_init (3)"));
    assert_int_equal(warnings_of(watch("--set", "train.clip_norm=0.01")), CLIPPED);
    assert_non_null(strstr(watch("--set", "train.clip_norm=0.01")->err, "raise train.clip_norm\n"));
    assert_int_equal(warnings_of(watch("--set", "train.optimizer.rho_lr_factor=0")), STILL);
    assert_non_null(strstr(watch("--set", "train.optimizer.rho_lr_factor=0")->err,
                           "raise train.optimizer.rho_lr_factor\n"));
}

/* Said once, after the third epoch with noise. */
static void warnings_come_after_the_first_epochs(void **state)
{
    const char *still = "train.optimizer.rho_lr_factor=0";
    (void)state;
    assert_int_equal(warnings_of(watch("--set", still, "--set", "train.epochs=2")), 0);
    assert_non_null(strstr(watch("--set", still)->err, "in epoch 3:"));
    assert_non_null(strstr(watch("--set", still, "--set", "train.map_epochs=1")->err, "in epoch 4:"));
    assert_int_equal(warnings_of(watch("--set", still, "--set", "train.map_epochs=3")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sigma_may_be_tiny_or_huge),
        cmocka_unit_test(names_the_layer_of_an_activation),
        cmocka_unit_test(names_the_tensor_of_a_gradient_mu_or_rho),
        cmocka_unit_test(changes_nothing_of_a_healthy_run),
        cmocka_unit_test(each_warning_where_it_is_due),
        cmocka_unit_test(warnings_come_after_the_first_epochs),
    };
    return cmocka_run_group_tests(tests, set_up_trainings, remove_temporary_directory);
}
