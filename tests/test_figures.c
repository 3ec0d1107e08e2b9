/* The figures that `bnn eval` and `bnn score` print: whose they are, where there are none, and what is refused. */
#include "bnn/npy.h"
#include "trainings.h"

#define MODEL REFERENCE "fcnn/model.bin"
#define FIGURES (sizeof(bnn_real) == sizeof(double) ? 1e-9 : 2e-5)

static const char *config(void)
{
    return put_small_config();
}

/* mean_i 1/T sum_t log softmax(logits_t(x_i))_y of an array (T, 1, N, CLASSES), labels i % CLASSES. */
static double mean_log_likelihood(const char *path, size_t draws, size_t images)
{
    bnn_npy *logits;
    double sum = 0;
    assert_int_equal(bnn_npy_read(path, &logits, NULL), BNN_OK);
    assert_int_equal(logits->count, draws * images * CLASSES);
    for (size_t row = 0; row < draws * images; row++) {
        const double *z = logits->data + row * CLASSES, most = fmax(z[0], fmax(z[1], z[2]));
        double all = 0;
        for (size_t c = 0; c < CLASSES; c++) all += exp(z[c] - most);
        sum += z[row % images % CLASSES] - most - log(all);
    }
    bnn_npy_free(logits);
    return sum / (double)(draws * images);
}

/* The ELBO of images other than those of the training is at the latter's number, from the logits that predict writes. */
static void the_elbo_is_that_of_the_training_set(void **state)
{
    const char *path = in_temporary("elbo/model.bin"), *logits = in_temporary("elbo-logits.npy");
    const char *images = in_temporary("test-images"), *labels = in_temporary("test-labels");
    (void)state;
    succeeded(bnn_run("train", config(), "--out", in_temporary("elbo"), "--quiet", "--threads", "1", "--set",
                      "group=C1"));
    succeeded(bnn_run("predict", path, "--logits", "--each-draw", "--samples", "6", "--out", logits));
    const double likelihood = mean_log_likelihood(logits, 6, IMAGES / 2);
    cJSON *info = json_of(bnn_run("info", path, "--json")),
          *training = cJSON_DetachItemFromObject(info, "training");
    const double kl = figure(info, "kl");
    const char *const *const runs[] = {
        ARGUMENTS("eval", path, "--json", "--samples", "6"),
        ARGUMENTS("eval", path, "--json", "--samples", "6", "--images", images, "--labels", labels)};
    for (size_t i = 0; i < 2; i++) {
        cJSON *json = json_of(finish_program(start_program(NULL, runs[i])));
        assert_true(figure(json, "images") == IMAGES / 2 && figure(json, "elbo.n") == IMAGES);
        assert_close(figure(json, "elbo.expected_log_likelihood"), likelihood, FIGURES, 1);
        assert_close(figure(json, "elbo.kl"), kl, 1e-12, 0);
        assert_close(figure(json, "elbo.per_example"), likelihood - kl / IMAGES, FIGURES, 1);
        assert_close(figure(json, "elbo.total"), IMAGES * likelihood - kl, FIGURES, 1);
        cJSON_Delete(json);
    }
    assert_close(figure(training, "elbo"), -IMAGES * figure(training, "train_nll") - kl, 1e-12, 0);
    assert_close(figure(training, "elbo_per_example"), figure(training, "elbo") / IMAGES, 1e-12, 0);
    cJSON *json = json_of(bnn_run("eval", path, "--json", "--mean"));
    assert_null(cJSON_GetObjectItemCaseSensitive(json, "elbo"));
    cJSON_Delete(json);
    assert_null(strstr(succeeded(bnn_run("eval", path, "--mean"))->out, "ELBO per example"));
    assert_non_null(strstr(succeeded(bnn_run("eval", path))->out, "ELBO per example"));
    cJSON_Delete(training);
    cJSON_Delete(info);
}

/* What eval says when its ELBO is not the one that the mode maximised, or is none. */
static void elbos_that_differ_are_told(void **state)
{
    (void)state;
    succeeded(bnn_run("train", config(), "--out", in_temporary("views"), "--quiet", "--threads", "1", "--set",
                      "symmetrization.mode=group-elbo", "--set", "symmetrization.average=probs", "--set",
                      "prior.mean=random"));
    const char *path = in_temporary("views/model.bin");
    const program_run *run = succeeded(bnn_run("eval", path));
    assert_non_null(strstr(run->out, "orbit's mean probs (group-elbo)"));
    run = succeeded(bnn_run("eval", path, "--predictive", "group-averaged", "--equivariance"));
    assert_non_null(strstr(run->out, "no ELBO"));
    assert_non_null(strstr(run->out, "the prior is not invariant"));
    assert_null(strstr(run->out, "KL(q || prior)  "));
    assert_non_null(strstr(run->out, "group-averaged over C4"));
    assert_non_null(strstr(run->out, "certificate of q"));
    cJSON *json = json_of(bnn_run("eval", path, "--predictive", "group-averaged", "--json"));
    assert_null(cJSON_GetObjectItemCaseSensitive(json, "elbo"));
    member(json, "no_elbo");
    assert_string_equal(member(json, "averaged_over")->valuestring, "C4");
    cJSON_Delete(json);
}

/* No figure that there is not, in whatever a command prints for people. */
static void nothing_prints_nan(void **state)
{
    const char *images = REFERENCE "fcnn/images.npy", *labels = REFERENCE "fcnn/labels.npy";
    const char *const *const runs[] = {
        ARGUMENTS("eval", MODEL, "--images", images, "--labels", labels, "--samples", "1", "--equivariance",
                  "--uncertainty", "--worst", "3", "--sample-sweep", "--repeats", "1", "--ood", images),
        ARGUMENTS("eval", MODEL, "--images", images, "--mean", "--equivariance", "--uncertainty"),
        ARGUMENTS("eval", MODEL, "--images", images, "--labels", labels, "--classes", "--mean"),
        ARGUMENTS("score", "--probs", REFERENCE "metrics/probs_orbit.npy"),
        ARGUMENTS("score", "--probs", REFERENCE "metrics/probs_orbit.npy", "--labels",
                  REFERENCE "metrics/labels.npy"),
        ARGUMENTS("info", MODEL)};
    (void)state;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        const program_run *run = succeeded(finish_program(start_program(NULL, runs[i])));
        if (strstr(run->out, "nan") || strstr(run->out, "inf\n") || strstr(run->out, "-inf"))
            fail_msg("run %zu: %s", i, run->out);
    }
}

static void rows_that_are_no_distribution_are_named(void **state)
{
    const double rows[3][2] = {{0.5, 0.5}, {0.25, 0.77}, {0, 1}}, far[1][2] = {{0.5, 0.56}};
    const double none[1][2] = {{-NAN, 1}};
    const char *path = in_temporary("rows.npy"), *labels = in_temporary("row-labels.npy");
    (void)state;
    assert_int_equal(bnn_npy_write(path, &rows[0][0], 2, (const size_t[]){3, 2}, 8, NULL), BNN_OK);
    assert_int_equal(bnn_npy_write(labels, (const double[]){1, 1, 0}, 2, (const size_t[]){3, 1}, 8, NULL),
                     BNN_OK);
    assert_one_line(bnn_run("score", "--probs", path, "--labels", labels), 2, "rows.npy", "image 1", "1.02",
                    "0.001", "--renormalize");
    cJSON *json = json_of(bnn_run("score", "--json", "--renormalize", "--probs", path, "--labels", labels));
    assert_close(figure(json, "nll"), -(log(0.5) + log(0.77 / 1.02) + log(0x1p-1022)) / 3, 1e-12, 0);
    cJSON_Delete(json);
    assert_int_equal(bnn_npy_write(path, &far[0][0], 2, (const size_t[]){1, 2}, 8, NULL), BNN_OK);
    assert_one_line(bnn_run("score", "--probs", path, "--renormalize"), 2, "image 0", "1.06", "0.05");
    assert_int_equal(bnn_npy_write(path, &none[0][0], 2, (const size_t[]){1, 2}, 8, NULL), BNN_OK);
    assert_one_line(bnn_run("score", "--probs", path, "--renormalize"), 2, "class 0", "has NaN,");
    assert_int_equal(bnn_npy_write(path, NULL, 3, (const size_t[]){4, 0, 2}, 8, NULL), BNN_OK);
    assert_one_line(bnn_run("score", "--probs", path), 2, "rows.npy", "(4, 0, 2)", "(G,N,C)");
    assert_int_equal(bnn_npy_write(path, &rows[0][0], 1, (const size_t[]){2}, 8, NULL), BNN_OK);
    assert_one_line(bnn_run("score", "--probs", path), 2, "rows.npy", "(2,)", "(N,C)");
    assert_int_equal(bnn_npy_write(labels, (const double[]){1, 1}, 2, (const size_t[]){1, 2}, 8, NULL),
                     BNN_OK);
    assert_int_equal(bnn_npy_write(path, &rows[0][0], 3, (const size_t[]){1, 1, 2}, 8, NULL), BNN_OK);
    assert_one_line(bnn_run("score", "--probs", path, "--labels", labels), 2, "row-labels.npy", "(1, 2)",
                    "(N,1)");
}

/* The table of classes, with what there is of the orbit, and the confusion matrix, as the JSON has them. */
static void classes_are_printed(void **state)
{
    const char *probs = REFERENCE "metrics/probs_orbit.npy", *labels = REFERENCE "metrics/labels.npy";
    (void)state;
    cJSON *json = json_of(bnn_run("score", "--json", "--probs", probs, "--labels", labels));
    const cJSON *classes = member(json, "classes"), *confusion = member(json, "confusion"), *row;
    const program_run *run = succeeded(bnn_run("score", "--classes", "--probs", probs, "--labels", labels));
    const char *at = strstr(run->out, "   class");
    double images = 0, right = 0;
    assert_non_null(at);
    assert_int_equal(cJSON_GetArraySize(classes), 10);
    cJSON_ArrayForEach(row, classes)
    {
        double label, count, recall;
        at = strchr(at, '\n') + 1;
        assert_int_equal(sscanf(at, "%lf %lf %lf", &label, &count, &recall), 3);
        assert_true(label == figure(row, "label") && count == figure(row, "count"));
        assert_true(fabs(recall - figure(row, "recall")) < 0.51e-4);
        images += count;
        right += cJSON_GetArrayItem(cJSON_GetArrayItem(confusion, (int)label), (int)label)->valuedouble;
    }
    assert_true(images == 64 && right == 64 * figure(json, "accuracy"));
    assert_non_null(strstr(run->out, "\nconfusion: rows"));
    assert_non_null(strstr(run->out, "\nconfusion over the orbit: rows"));
    assert_non_null(strstr(run->out, " +- "));
    cJSON_Delete(json);
    assert_null(strstr(succeeded(bnn_run("score", "--probs", probs, "--labels", labels))->out, "confusion"));
    assert_one_line(bnn_run("score", "--classes", "--probs", probs), 2, "--classes", "--labels");
    assert_one_line(bnn_run("eval", "--classes", MODEL, "--images", REFERENCE "fcnn/images.npy"), 2,
                    "--classes", "--labels");
}

static void a_group_averaged_prediction_has_no_defect(void **state)
{
    (void)state;
    succeeded(bnn_run("train", config(), "--out", in_temporary("averaged"), "--quiet", "--threads", "1",
                      "--set", "eval.predictive=group-averaged"));
    const char *path = in_temporary("averaged/model.bin");
    cJSON *json = json_of(bnn_run("eval", "--json", "--equivariance", path));
    assert_true(figure(json, "equivariance.defect.plugin") == 0);
    assert_true(figure(json, "equivariance.defect.unbiased") == 0);
    assert_true(figure(json, "equivariance.orbit_agreement") == 1);
    cJSON_Delete(json);
    json = json_of(bnn_run("eval", "--json", "--equivariance", path, "--predictive", "posterior"));
    assert_true(figure(json, "equivariance.defect.plugin") > 0);
    cJSON_Delete(json);
    json = json_of(bnn_run("eval", "--json", "--equivariance", path, "--group", "C8"));
    assert_true(figure(json, "equivariance.defect.plugin") > 0); /* turned images, turned again */
    assert_true(figure(json, "elbo.n") == IMAGES);
    cJSON_Delete(json);
    json = json_of(bnn_run("eval", "--json", "--uncertainty", path, "--samples", "1"));
    assert_true(figure(json, "uncertainty.mutual_information") > 0); /* of the elements */
    cJSON_Delete(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_elbo_is_that_of_the_training_set),
        cmocka_unit_test(elbos_that_differ_are_told),
        cmocka_unit_test(nothing_prints_nan),
        cmocka_unit_test(rows_that_are_no_distribution_are_named),
        cmocka_unit_test(classes_are_printed),
        cmocka_unit_test(a_group_averaged_prediction_has_no_defect),
    };
    return cmocka_run_group_tests(tests, set_up_trainings, remove_temporary_directory);
}
