/* `bnn calibrate`, and what eval, predict, info, symmetrize and expand make of a calibrated model. */
#include "bnn/calibration.h"
#include "bnn/npy.h"
#include "trainings.h"

enum { VALIDATION = 20, ORDER = 4 };

static const char *model, *calibrated;

static bnn_npy *array_of(const char *path, size_t count)
{
    bnn_npy *array;
    assert_int_equal(bnn_npy_read(path, &array, NULL), BNN_OK);
    assert_int_equal(array->count, count);
    return array;
}

/* The temperature is that of the validation split, kept in the file, and in use unless an option leaves it out. */
static void a_calibration_is_kept_and_used(void **state)
{
    (void)state;
    cJSON *made = json_of(bnn_run("calibrate", model, "--json", "--out", calibrated));
    cJSON *info = json_of(bnn_run("info", "--json", calibrated));
    const double temperature = figure(made, "temperature");
    assert_true(figure(made, "images") == VALIDATION && figure(made, "nll") < figure(made, "nll_before"));
    assert_close(figure(info, "calibration.temperature"), temperature, 1e-14, 0);
    assert_true(figure(info, "calibration.samples") == 2 && figure(info, "training.epoch") > 0);
    assert_non_null(
        strstr(succeeded(bnn_run("info", calibrated))->out, "calibrated on 20 images with 2 draws"));

    cJSON *plain = json_of(bnn_run("eval", "--json", "--split", "validation", model));
    cJSON *with = json_of(bnn_run("eval", "--json", "--split", "validation", calibrated));
    cJSON *without =
        json_of(bnn_run("eval", "--json", "--split", "validation", "--no-calibration", calibrated));
    assert_close(figure(with, "nll"), figure(made, "nll"), 1e-12, 0);
    assert_close(figure(plain, "nll"), figure(made, "nll_before"), 1e-12, 0);
    assert_true(figure(with, "accuracy") == figure(plain, "accuracy"));
    assert_close(figure(with, "temperature"), temperature, 1e-14, 0);
    assert_true(figure(with, "conformal.wanted") == 0.9);
    assert_close(figure(with, "conformal.coverage"), 19 / 20.0, 1e-12,
                 0); /* 19 = ceil(21 * 0.9) of those images */
    assert_true(figure(with, "elbo.total") == figure(plain, "elbo.total"));
    static const char *const own[] = {"timing", "model"}; /* what each has of its own */
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        cJSON_DeleteItemFromObject(plain, own[i]);
        cJSON_DeleteItemFromObject(without, own[i]);
    }
    assert_true(cJSON_Compare(plain, without, 1));
    cJSON_Delete(without);
    cJSON_Delete(with);
    cJSON_Delete(plain);
    cJSON_Delete(info);
    cJSON_Delete(made);
}

/* predict writes F^(1/T)/sum, and the sets that follow from it and the threshold. */
static void predictions_and_sets_agree(void **state)
{
    const size_t count = IMAGES / 2 * CLASSES;
    const char *plain = in_temporary("plain.npy"), *with = in_temporary("with.npy"),
               *sets = in_temporary("sets.npy");
    (void)state;
    succeeded(bnn_run("predict", calibrated, "--no-calibration", "--out", plain));
    assert_string_equal(succeeded(bnn_run("predict", calibrated, "--out", with))->err, "");
    succeeded(bnn_run("predict", calibrated, "--sets", "--out", sets));
    cJSON *json = json_of(bnn_run("eval", "--json", calibrated));
    const double temperature = figure(json, "temperature"), threshold = figure(json, "conformal.threshold");
    bnn_npy *p = array_of(plain, count), *q = array_of(with, count), *s = array_of(sets, count);
    double covered = 0, size = 0;
    assert_true(s->kind == 'b' && s->rank == 2 && s->shape[1] == CLASSES);
    for (size_t i = 0; i < count; i += CLASSES) {
        double all = 0;
        for (size_t c = 0; c < CLASSES; c++) all += pow(p->data[i + c], 1 / temperature);
        for (size_t c = 0; c < CLASSES; c++) {
            assert_close(q->data[i + c], pow(p->data[i + c], 1 / temperature) / all, 1e-5, 1e-3);
            assert_true(s->data[i + c] == (1 - q->data[i + c] <= threshold));
            size += s->data[i + c];
        }
        covered += s->data[i + i / CLASSES % CLASSES];
    }
    assert_close(figure(json, "conformal.coverage"), covered / (IMAGES / 2.0), 1e-12, 0);
    assert_close(figure(json, "conformal.mean_size"), size / (IMAGES / 2.0), 1e-12, 0);
    bnn_npy_free(s);
    bnn_npy_free(q);
    bnn_npy_free(p);
    cJSON_Delete(json);
    succeeded(bnn_run("predict", model, "--out", with));
    uint8_t bytes[2][4096];
    const size_t length = get_file(plain, bytes[0], sizeof bytes[0]);
    assert_int_equal(get_file(with, bytes[1], sizeof bytes[1]), length);
    assert_memory_equal(bytes[0], bytes[1], length); /* q is as it was */
}

/* A group-averaged predictive is the same for every pose bit for bit, so its sets are too, by either score; that of a posterior
 * without symmetry is not, and says so. */
static void sets_are_the_same_for_every_pose(void **state)
{
    static const char *const methods[] = {"lac", "aps"};
    const char *averaged = in_temporary("averaged.bin"), *sets = in_temporary("orbit-sets.npy");
    const size_t row = IMAGES / 2 * CLASSES;
    (void)state;
    for (size_t m = 0; m < 2; m++) {
        succeeded(bnn_run("calibrate", model, "--predictive", "group-averaged", "--coverage", "0.6",
                          "--method", methods[m], "--out", averaged));
        const char *const *const arguments =
            ARGUMENTS("eval", "--json", "--equivariance", "--predictive", "group-averaged", averaged);
        cJSON *json = json_of(finish_program(start_program(NULL, arguments)));
        const cJSON *coverage = member(json, "conformal.per_element");
        assert_int_equal(cJSON_GetArraySize(coverage), ORDER);
        for (int g = 0; g < ORDER; g++)
            assert_true(cJSON_GetArrayItem(coverage, g)->valuedouble == figure(json, "conformal.coverage"));
        assert_true(figure(json, "conformal.orbit_agreement") == 1);
        assert_string_equal(member(json, "conformal.method")->valuestring, methods[m]);
        cJSON_Delete(json);
        succeeded(bnn_run("predict", averaged, "--sets", "--orbit", "--predictive", "group-averaged", "--out",
                          sets));
        bnn_npy *s = array_of(sets, ORDER * row);
        assert_true(s->rank == 3 && s->shape[0] == ORDER);
        for (size_t g = 1; g < ORDER; g++)
            assert_memory_equal(s->data, s->data + g * row, row * sizeof *s->data);
        double size = 0;
        for (size_t i = 0; i < row; i++) size += s->data[i];
        assert_true(size > 0 && size < (double)row); /* they say something */
        bnn_npy_free(s);
    }
    cJSON *json = json_of(bnn_run("eval", "--json", "--equivariance", calibrated));
    assert_true(figure(json, "conformal.orbit_agreement") < 1);
    assert_int_equal(cJSON_GetArraySize(member(json, "conformal.per_element")), ORDER);
    assert_int_equal(cJSON_GetArraySize(member(json, "conformal.per_class")), CLASSES);
    cJSON_Delete(json);
}

static void another_predictive_is_warned_of(void **state)
{
    const char *out = in_temporary("other.npy");
    (void)state;
    const program_run *run = succeeded(bnn_run("eval", "--samples", "3", calibrated));
    assert_non_null(strstr(run->err, "calibrated for 2 weight draws, and is used with 3 weight draws"));
    run = succeeded(bnn_run("eval", "--samples", "3", "--no-calibration", calibrated));
    assert_string_equal(run->err, "");
    run = succeeded(bnn_run("predict", "--mean", calibrated, "--out", out));
    assert_non_null(strstr(run->err, "w = mu"));
    run = succeeded(bnn_run("predict", "--each-draw", calibrated, "--out", out));
    assert_non_null(strstr(run->err, "without the model's temperature"));
}

static void other_posteriors_lose_it(void **state)
{
    const char *out = in_temporary("changed.bin");
    const char *const *const runs[] = {ARGUMENTS("symmetrize", calibrated, "--project", "--out", out),
                                       ARGUMENTS("expand", calibrated, "--out", out)};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const program_run *run = succeeded(finish_program(start_program(NULL, runs[i])));
        assert_non_null(strstr(run->err, "left out"));
        cJSON *info = json_of(bnn_run("info", "--json", out));
        assert_null(cJSON_GetObjectItemCaseSensitive(info, "calibration"));
        cJSON_Delete(info);
    }
    assert_one_line(bnn_run("predict", out, "--sets", "--out", in_temporary("no.npy")), 2, "--sets",
                    "not calibrated");
}

static void what_cannot_be_calibrated_is_refused(void **state)
{
    const char *images = in_temporary("test-images"), *labels = in_temporary("test-labels");
    const char *train = in_temporary("train-images"), *train_labels = in_temporary("train-labels");
    const char *few = put_images("few-images", 7, SIDE, SIDE), *out = in_temporary("refused.bin");
    char few_labels[128];
    snprintf(few_labels, sizeof few_labels, "%s", put_labels("few-labels", 7, 0));
    (void)state;
    assert_one_line(bnn_run("calibrate", model), 2, "--out MODEL is missing");
    assert_one_line(bnn_run("calibrate", model, "--out", out, "--images", images, "--labels", labels), 2,
                    "32 of the 32", "test images");
    assert_one_line(bnn_run("calibrate", model, "--out", out, "--images", train, "--labels", train_labels), 2,
                    "44 of the 64", "training images");
    assert_one_line(bnn_run("calibrate", model, "--out", out, "--images", few), 2, "--labels");
    assert_one_line(bnn_run("calibrate", model, "--out", out, "--images", few, "--labels", few_labels), 2,
                    "found 7 calibration images", "at least 9");
    assert_one_line(bnn_run("calibrate", model, "--out", out, "--coverage", "1"), 2, "--coverage",
                    "between 0 and 1");
    assert_one_line(bnn_run("calibrate", model, "--out", out, "--method", "lak"), 2, "lak", "did you mean",
                    "lac");
    assert_one_line(bnn_run("eval", model, "--split", "train", "--images", few), 2, "--split", "--images");
    assert_one_line(bnn_run("eval", model, "--split", "tset"), 2, "tset", "validation");
    assert_one_line(bnn_run("predict", calibrated, "--sets", "--logits", "--out", out), 2, "--sets",
                    "--logits");
    assert_int_equal(access(out, F_OK), -1);
    cJSON *json = json_of(bnn_run("eval", model, "--json", "--split", "train"));
    assert_true(figure(json, "images") == IMAGES - VALIDATION);
    assert_string_equal(member(json, "data.split")->valuestring, "train");
    cJSON_Delete(json);
    char text[1024];
    small_config(text, sizeof text);
    put_file("whole.json", text, strlen(text));
    succeeded(bnn_run("train", in_temporary("whole.json"), "--quiet", "--out", in_temporary("whole")));
    assert_one_line(bnn_run("calibrate", in_temporary("whole"), "--out", out), 2, "no validation images",
                    "--images");
}

/* The text in a file, replaced by one of the same length. */
static const char *with_text(const char *from, const char *text, const char *by)
{
    static uint8_t bytes[1 << 16];
    const size_t size = get_file(from, bytes, sizeof bytes), length = strlen(text);
    uint8_t *at = memmem(bytes, size, text, length);
    assert_true(at && strlen(by) == length);
    memcpy(at, by, length);
    return put_file("wrong.bin", bytes, size);
}

static void a_wrong_calibration_is_refused(void **state)
{
    (void)state;
    assert_one_line(bnn_run("eval", with_text(calibrated, "\\\"lac\\\"", "\\\"lec\\\"")), 2, "wrong.bin",
                    "calibration", "\"method\"");
    assert_one_line(bnn_run("eval", with_text(calibrated, "temperature", "temperetura")), 2, "wrong.bin",
                    "calibration", "\"temperature\"");
    assert_one_line(bnn_run("eval", with_text(calibrated, "\\\"images\\\":20", "\\\"images\\\":-2")), 2,
                    "wrong.bin", "\"images\"");
}

static int set_up(void **state)
{
    static char paths[2][128];
    if (set_up_trainings(state)) return -1;
    put_small_config();
    snprintf(paths[0], sizeof paths[0], "%s", in_temporary("run"));
    snprintf(paths[1], sizeof paths[1], "%s", in_temporary("calibrated.bin"));
    model = paths[0], calibrated = paths[1];
    return bnn_run("train", in_temporary("config.json"), "--quiet", "--out", model, "--set",
                   "data.validation_size=20", "--set", "train.epochs=12")
        ->code;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_calibration_is_kept_and_used),
        cmocka_unit_test(predictions_and_sets_agree),
        cmocka_unit_test(sets_are_the_same_for_every_pose),
        cmocka_unit_test(another_predictive_is_warned_of),
        cmocka_unit_test(other_posteriors_lose_it),
        cmocka_unit_test(what_cannot_be_calibrated_is_refused),
        cmocka_unit_test(a_wrong_calibration_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, remove_temporary_directory);
}
