/* What a training leaves when it goes wrong, and whose directory it writes into: by the program, as users see it, and by the
 * library call. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "bnn/model.h"
#include "bnn/npy.h"
#include "bnn/safetensors.h"
#include "bnn/settings.h"
#include "bnn/train.h"
#include "layers.h"
#include "trainings.h"

#define CASES "tests/cases/"

static bool exists(const char *name)
{
    return access(in_temporary(name), F_OK) == 0;
}

static const char *config(void)
{
    return put_small_config();
}

/* `bnn train CONFIG --out OUT --quiet --threads 1 more...` in the directory of a case. */
#define train_case(name, configuration, out, ...)                                                            \
    finish_program(start_program(CASES name, ARGUMENTS("train", configuration, "--out", in_temporary(out),   \
                                                       "--quiet", "--threads", "1", __VA_ARGS__)))

/* The same of the small configuration. */
#define train_small(out, ...)                                                                                \
    bnn_run("train", config(), "--out", in_temporary(out), "--quiet", "--threads", "1", __VA_ARGS__)

/* ---- divergence --------------------------------------------------------------------------------------------- */

/* Exit code 1, one line with every text that tells the number, which is not finite or beyond what a parameter may be; and a NaN is never
 * -nan. */
#define assert_diverged(run, ...) check_diverged(run, ARGUMENTS("epoch", "step", __VA_ARGS__))

static void check_diverged(const program_run *run, const char *const *texts)
{
    check_one_line(run, 1, texts);
    if (strstr(run->err, "nan")) fail_msg("says nan: %s", run->err);
    if (!strstr(run->err, "NaN") && !strstr(run->err, "infinity") && !strstr(run->err, "expected a number"))
        fail_msg("does not tell the number: %s", run->err);
}

/* The model is one that predicts finitely (and has finite parameters, or it would not be loaded). */
static void assert_good_model(const char *path, const char *images)
{
    const char *out = in_temporary("logits.npy");
    bnn_npy *logits = NULL;
    bnn_error error;
    succeeded(bnn_run("predict", path, "--images", images, "--each-draw", "--logits", "--out", out));
    if (bnn_npy_read(out, &logits, &error)) fail_msg("%s", error.message);
    for (size_t i = 0; i < logits->count; i++) assert_true(isfinite(logits->data[i]));
    bnn_npy_free(logits);
}

/* The group of the case is C1: full augmentation is none. */
#define DIVERGED                                                                                             \
    "--set", "symmetrization.mode=augment", "--set", "symmetrization.augmentation=full", "--set",            \
        "train.epochs=20"

static void a_diverged_run_is_a_failure_with_validation(void **state)
{
    (void)state;
    assert_diverged(train_case("diverged", "config.json", "validated", DIVERGED), "layers",
                    "last good checkpoint: ", in_temporary("validated/checkpoint.bin"));
    assert_good_model(in_temporary("validated/checkpoint.bin"), CASES "diverged/x.npy");
    assert_good_model(in_temporary("validated/model.bin"), CASES "diverged/x.npy");
}

static void a_diverged_run_is_a_failure_without_validation(void **state)
{
    (void)state;
    assert_diverged(
        train_case("diverged", "config.json", "unvalidated", "--set", "data.validation_size=0", DIVERGED),
        "layers", "last good checkpoint: ", in_temporary("unvalidated/checkpoint.bin"));
    assert_false(exists("unvalidated/model.bin"));
    assert_good_model(in_temporary("unvalidated/checkpoint.bin"), CASES "diverged/x.npy");
    assert_diverged(train_case("diverged", "config.json", "unchecked", "--set", "data.validation_size=0",
                               DIVERGED, "--set", "eval.every=20"),
                    "layers", "last good checkpoint: ", in_temporary("unchecked/checkpoint.bin"));
    assert_false(exists("unchecked/model.bin"));
    assert_good_model(in_temporary("unchecked/checkpoint.bin"), CASES "diverged/x.npy");
}

/* One step, whose gradient is finite, of a network deep enough for its large weights to overflow on the way. */
#define ONE_STEP                                                                                             \
    "--set", "train.epochs=1", "--set", "data.train_size=32", "--set", "train.batch_size=32", "--set",       \
        "group=C1", "--set", "train.clip_norm=0", "--set", "model.type=mlp", "--set",                        \
        "model.hidden=[8, 8, 8]"
static const bool is_float = sizeof(bnn_real) == sizeof(float);

/* What no step sees: the predictions that the last update's finite parameters give. */
static void predictions_after_the_last_step_are_looked_at(void **state)
{
    const char *beta = is_float ? "train.kl_weight=1e20" : "train.kl_weight=1e30";
    const char *std = is_float ? "prior.std=1" : "prior.std=1e-30";
    static const char *const validation[] = {"data.validation_size=0", "data.validation_size=32"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_diverged(train_small("late", "--overwrite", ONE_STEP, "--set", beta, "--set", std, "--set",
                                    "train.optimizer.lr=1", "--set", "train.optimizer.rho_lr_factor=0",
                                    "--set", validation[i]),
                        "prediction became", "epoch 1, step 1: every parameter is finite", "fc_layers.",
                        "last good checkpoint: none");
        assert_int_equal(count_entries(in_temporary("late")), 2); /* config.json, metrics.jsonl */
    }
    succeeded(train_small("late", "--overwrite", ONE_STEP)); /* it was not the rest of the settings */
    assert_good_model(in_temporary("late/model.bin"), in_temporary("test-images"));
}

/* An update that overflows from a finite gradient; in double no setting's range goes that far. */
static void parameters_after_the_last_step_are_looked_at(void **state)
{
    (void)state;
    if (!is_float) return;
    assert_diverged(train_small("overflow", ONE_STEP, "--set", "train.kl_weight=1e30", "--set",
                                "prior.std=0.01", "--set", "train.optimizer.lr=1e6"),
                    "fc_layers.0.weight_", "infinity at entry ",
                    "epoch 1, step 1: ", "last good checkpoint: none");
    assert_int_equal(count_entries(in_temporary("overflow")), 2);
}

/* The square of a gradient overflows, and adamw never moves the parameter again. */
static void a_state_that_overflows_is_no_checkpoint(void **state)
{
    (void)state;
    if (!is_float) return;
    assert_diverged(train_small("squares", ONE_STEP, "--set", "train.kl_weight=1e21", "--set",
                                "train.optimizer.name=adamw"),
                    "optimizer.", "is infinity at entry ", "epoch 1, step 1: ", "last good checkpoint: none");
    assert_int_equal(count_entries(in_temporary("squares")), 2);
}

static volatile sig_atomic_t stop;

static void stop_after_a_step(void *context, size_t epoch, size_t epochs, double fraction, double nll)
{
    (void)context, (void)epoch, (void)epochs, (void)fraction, (void)nll;
    stop = 1;
}

/* A run of two steps, stopped after the first. */
static bnn_status interrupted_training(const char *beta, const char *std, const char *lr, bnn_error *error)
{
    const char *const sets[] = {"group=C1",
                                "data.train_size=32",
                                "train.batch_size=16",
                                "model.type=mlp",
                                "train.clip_norm=0",
                                "model.hidden=[8, 8, 8]",
                                "train.epochs=1",
                                beta,
                                std,
                                lr,
                                "train.optimizer.rho_lr_factor=0"};
    const bnn_train_options options = {.directory = in_temporary("interrupted"),
                                       .overwrite = true,
                                       .threads = 1,
                                       .stop = &stop,
                                       .callbacks = {.step = stop_after_a_step}};
    char text[1024];
    bnn_config c;
    stop = 0;
    *error = (bnn_error){BNN_OK, ""};
    bnn_status status = bnn_settings_parse("c.json", small_config(text, sizeof text), sets,
                                           sizeof sets / sizeof *sets, &c, error);
    return status ? status : bnn_train(&c, &options, error);
}

/* An interruption comes after an update, too, and its checkpoint is as good as any other. */
static void an_interrupted_run_is_looked_at_as_well(void **state)
{
    const char *beta = is_float ? "train.kl_weight=1e20" : "train.kl_weight=1e30";
    const char *std = is_float ? "prior.std=1" : "prior.std=1e-30";
    bnn_error error;
    (void)state;
    assert_failure(
        interrupted_training("train.kl_weight=1", "prior.std=1", "train.optimizer.lr=0.01", &error),
        BNN_INTERRUPTED, error, "interrupted in epoch 1", "interrupted/checkpoint.bin");
    assert_true(exists("interrupted/checkpoint.bin"));
    assert_failure(interrupted_training(beta, std, "train.optimizer.lr=1", &error), BNN_FAILED, error,
                   "prediction", "epoch 1, step 1: every parameter is finite", "last good checkpoint: none");
    assert_false(exists("interrupted/checkpoint.bin"));
    if (!is_float) return;
    assert_failure(
        interrupted_training("train.kl_weight=1e30", "prior.std=0.01", "train.optimizer.lr=1e6", &error),
        BNN_FAILED, error, "fc_layers.0.weight_mu is", "epoch 1, step 1");
    assert_false(exists("interrupted/checkpoint.bin"));
}

static bnn_model *small_model(void)
{
    static const char text[] = "{\"group\": \"C1\", \"model\": {\"type\": \"mlp\", \"input\": [1, 2, 2], "
                               "\"classes\": 2, \"hidden\": [3]}}";
    bnn_config c;
    bnn_network_spec spec;
    bnn_model *model = NULL;
    bnn_error error;
    if (bnn_config_parse("text", text, NULL, 0, NULL, &c, &error)) fail_msg("%s", error.message);
    bnn_config_network(&c, BNN_TRIVIAL, &spec);
    if (bnn_model_create(&c, &spec, &model, &error)) fail_msg("%s", error.message);
    return model;
}

/* No command can write a file that is not finite. */
static void a_model_that_is_not_finite_is_not_written(void **state)
{
    bnn_real state_of_optimizer[2] = {0, NAN};
    const bnn_tensor extra = {
        .name = "optimizer.mu.0", .rank = 1, .shape = {2}, .count = 2, .data = state_of_optimizer};
    const char *path = in_temporary("never.bin");
    bnn_model *model = small_model();
    bnn_error error;
    (void)state;
    model->posterior->mu[parameter_layer(model->network, 1)->bias_offset + 1] = -(bnn_real)NAN;
    assert_failure(bnn_model_save(model, path, NULL, 0, NULL, 0, &error), BNN_FAILED, error, "never.bin",
                   "fc_layers.1.bias_mu", "is NaN at entry 1");
    model->posterior->mu[parameter_layer(model->network, 1)->bias_offset + 1] = 0;
    model->posterior->rho[0] = -(bnn_real)INFINITY;
    assert_failure(bnn_model_save(model, path, NULL, 0, NULL, 0, &error), BNN_FAILED, error, "never.bin",
                   "fc_layers.0.weight_rho", "is -infinity at entry 0");
    model->posterior->rho[0] = 0;
    assert_failure(bnn_model_save(model, path, NULL, 0, &extra, 1, &error), BNN_FAILED, error, "never.bin",
                   "optimizer.mu.0", "is NaN at entry 1");
    assert_false(exists("never.bin"));
    state_of_optimizer[1] = 0;
    assert_int_equal(bnn_model_save(model, path, NULL, 0, &extra, 1, &error), BNN_OK);
    assert_true(exists("never.bin"));
    bnn_model_free(model);
}

/* ---- a directory that holds a run ------------------------------------------------------------------------------- */

static const char *const run_files[] = {"model.bin", "checkpoint.bin", "metrics.jsonl", "config.json"};
enum { RUN_FILES = 4 };

/* The files of a run, to be compared with what became of them. */
typedef struct snapshot {
    size_t sizes[RUN_FILES];
    char bytes[RUN_FILES][1 << 15];
} snapshot;

static void take_snapshot(const char *out, snapshot *s)
{
    char name[128];
    memset(s, 0, sizeof *s);
    for (size_t i = 0; i < RUN_FILES; i++) {
        snprintf(name, sizeof name, "%s/%s", out, run_files[i]);
        if (exists(name)) s->sizes[i] = get_file(in_temporary(name), s->bytes[i], sizeof s->bytes[i]);
        assert_true(s->sizes[i] < sizeof s->bytes[i]);
    }
}

static void assert_untouched(const char *out, const snapshot *before)
{
    static snapshot now;
    take_snapshot(out, &now);
    assert_memory_equal(&now, before, sizeof now);
}

static void a_used_directory_is_refused(void **state)
{
    static snapshot before;
    (void)state;
    succeeded(train_case("stale-run", "first.json", "used", "--threads", "1"));
    take_snapshot("used", &before);
    for (size_t i = 0; i < RUN_FILES; i++) assert_true(before.sizes[i] > 0);
    assert_one_line(train_case("stale-run", "second-diverges.json", "used", "--threads", "1"), 2,
                    in_temporary("used"), "model.bin", "checkpoint.bin", "metrics.jsonl", "config.json",
                    "--overwrite", "--out");
    assert_untouched("used", &before);
    /* what is refused for another reason removes nothing either */
    assert_one_line(train_case("stale-run", "first.json", "used", "--overwrite", "--set",
                               "data.train_images=missing.npy"),
                    2, "first.json", "missing.npy");
    assert_untouched("used", &before);
    assert_int_equal(count_entries(in_temporary("used")), RUN_FILES); /* the lock is no file */
}

/* The second run fails, and nothing of the first is left to be taken for its own. */
static void overwriting_removes_the_old_run_first(void **state)
{
    (void)state;
    succeeded(train_case("stale-run", "first.json", "old", "--threads", "1"));
    put_file("old/notes.txt", "mine", 4);
    assert_diverged(train_case("stale-run", "second-diverges.json", "old", "--overwrite", "--set",
                               is_float ? "seed=99" : "train.kl_weight=1e30", "--set",
                               is_float ? "prior.std=1" : "prior.std=1e-30"),
                    "became", "last good checkpoint: none");
    assert_false(exists("old/model.bin") || exists("old/checkpoint.bin"));
    assert_true(exists("old/config.json") && exists("old/metrics.jsonl") && exists("old/notes.txt"));
}

/* Each file alone makes a run, and a config.json where it would be replaced. */
static void each_file_of_a_run_is_seen(void **state)
{
    char name[64], text[1024];
    (void)state;
    for (size_t i = 0; i < RUN_FILES; i++) {
        snprintf(name, sizeof name, "part-%zu", i);
        assert_int_equal(mkdir(in_temporary(name), 0777), 0);
        snprintf(name, sizeof name, "part-%zu/%s", i, run_files[i]);
        put_file(name, "x", 1);
        snprintf(name, sizeof name, "part-%zu", i);
        assert_one_line(train_small(name, "--set", "seed=1"), 2, in_temporary(name), run_files[i]);
        assert_int_equal(count_entries(in_temporary(name)), 1);
    }
    assert_int_equal(mkdir(in_temporary("mine"), 0777), 0);
    small_config(text, sizeof text);
    const char *own = put_file("mine/config.json", text, strlen(text));
    succeeded(bnn_run("train", own, "--out", in_temporary("mine"), "--quiet", "--threads", "1"));
    succeeded(
        bnn_run("train", own, "--out", in_temporary("mine"), "--quiet", "--overwrite", "--threads", "1"));
    char now[1024] = "";
    get_file(own, now, sizeof now - 1);
    assert_string_equal(now, text);
}

/* The file behind a link is removed, and what is neither a file nor a directory is left as it is. */
static void links_are_followed_and_pipes_left_in_place(void **state)
{
    char byte = 'x';
    struct stat info;
    (void)state;
    assert_int_equal(mkdir(in_temporary("linked"), 0777), 0);
    assert_int_equal(mkdir(in_temporary("elsewhere"), 0777), 0);
    put_file("elsewhere/model.bin", &byte, 1);
    assert_int_equal(mkfifo(in_temporary("elsewhere/pipe"), 0666), 0);
    const int pipe = open(in_temporary("elsewhere/pipe"), O_RDWR | O_NONBLOCK); /* so that no writer waits */
    assert_true(pipe >= 0);
    assert_int_equal(symlink("../elsewhere/model.bin", in_temporary("linked/model.bin")), 0);
    assert_int_equal(symlink("../elsewhere/pipe", in_temporary("linked/checkpoint.bin")), 0);
    assert_one_line(train_small("linked", "--set", "seed=1"), 2, "(model.bin)");
    assert_true(exists("elsewhere/model.bin"));
    succeeded(train_small("linked", "--overwrite", "--set", "train.epochs=1"));
    if (exists("elsewhere/model.bin"))
        assert_true(get_file(in_temporary("elsewhere/model.bin"), &byte, 1) == 1 && byte != 'x');
    assert_int_equal(lstat(in_temporary("elsewhere/pipe"), &info), 0);
    assert_true(S_ISFIFO(info.st_mode));
    assert_int_equal(lstat(in_temporary("linked/checkpoint.bin"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    close(pipe);
    assert_int_equal(mkdir(in_temporary("odd"), 0777), 0);
    assert_int_equal(mkdir(in_temporary("odd/model.bin"), 0777), 0);
    assert_one_line(train_small("odd", "--overwrite"), 2, "odd/model.bin", "is a directory");
    assert_int_equal(count_entries(in_temporary("odd")), 1);
}

/* Waits until the file is there and not empty. */
static void await(const char *name)
{
    const struct timespec moment = {0, 20000000};
    struct stat info;
    for (int i = 0; i < 1000; i++) {
        if (stat(in_temporary(name), &info) == 0 && info.st_size > 0) return;
        nanosleep(&moment, NULL);
    }
    fail_msg("no %s", name);
}

static void a_second_run_at_once_is_refused(void **state)
{
    (void)state;
    const pid_t first =
        start_program(NULL, ARGUMENTS("train", config(), "--out", in_temporary("busy"), "--quiet",
                                      "--threads", "1", "--set", "train.epochs=1000000"));
    await("busy/checkpoint.bin");
    assert_one_line(train_small("busy", "--set", "seed=1"), 2, "another bnn", in_temporary("busy"));
    assert_one_line(train_small("busy", "--overwrite"), 2, "another bnn", in_temporary("busy"));
    assert_true(exists("busy/checkpoint.bin") && exists("busy/config.json"));
    assert_int_equal(kill(first, SIGINT), 0);
    assert_one_line(finish_program(first), 130, "checkpoint.bin");
    assert_int_equal(count_entries(in_temporary("busy")), 3); /* no model.bin yet, and no lock left */
    succeeded(train_small("busy", "--overwrite"));
}

/* ---- runs that are made once --------------------------------------------------------------------------------- */

static void a_dry_run_prints_the_configuration_and_writes_nothing(void **state)
{
    char written[4096] = "";
    (void)state;
    const program_run *run = succeeded(train_small("dry", "--dry-run"));
    assert_string_equal(run->err, "");
    assert_false(exists("dry"));
    char *printed = strdup(run->out);
    assert_non_null(printed);
    succeeded(train_small("dry", "--set", "seed=5")); /* as it is there */
    const size_t size = get_file(in_temporary("dry/config.json"), written, sizeof written - 1);
    assert_int_equal(strncmp(printed, written, size), 0);
    assert_string_equal(printed + size, "\n");
    free(printed);
    assert_non_null(
        strstr(succeeded(train_small("dry", "--dry-run", "--set", "seed=6"))->out, "\"seed\":\t6"));
    assert_one_line(train_small("dry", "--dry-run", "--set", "data.train_size=65"), 2, "data.train_size");
}

/* The table, without seconds, that configs/sweep.sh prints for mode none with a further setting. */
static void sweep(const char *set, char *table, size_t size)
{
    char command[4096];
    const char *d = temporary_directory;
    const int length = snprintf(
        command, sizeof command,
        "BNN='%s' OUT='%s/sweep' SEEDS='1 2' SET='data.name=idx data.train_images=%s/train-images "
        "data.train_labels=%s/train-labels data.test_images=%s/test-images data.test_labels=%s/test-labels "
        "data.train_size=0 data.test_size=0 train.epochs=2 train.batch_size=16 eval.samples=2 %s' "
        "FIGURES='accuracy orbit-nll elbo/image' configs/sweep.sh none >'%s/table' 2>'%s/complaints'",
        program_path, d, d, d, d, d, set, d, d);
    assert_true(length > 0 && (size_t)length < sizeof command);
    const int code = system(command);
    if (code != 0) {
        char complaints[512] = "";
        get_file(in_temporary("complaints"), complaints, sizeof complaints - 1);
        fail_msg("exit status %d: %s", code, complaints);
    }
    memset(table, 0, size);
    assert_true(get_file(in_temporary("table"), table, size - 1) > 0);
}

/* The time of a file's last change, to tell one that was kept from one made anew. */
static struct timespec changed(const char *name)
{
    struct stat info;
    assert_int_equal(stat(in_temporary(name), &info), 0);
    return info.st_mtim;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static void a_sweep_repeats_what_its_settings_changed_and_no_more(void **state)
{
    char first[4096], table[4096];
    (void)state;
    sweep("prior.std=1", first, sizeof first);
    assert_non_null(strstr(first, "none"));
    const struct timespec trained = changed("sweep/none-1/model.bin"),
                          evaluated = changed("sweep/none-1/eval-shared.json");
    sweep("prior.std=1", table, sizeof table);
    assert_string_equal(table, first);
    assert_true(same_time(changed("sweep/none-1/model.bin"), trained));
    assert_true(same_time(changed("sweep/none-1/eval-shared.json"), evaluated));

    sweep("prior.std=0.01", table, sizeof table); /* other settings, other figures */
    assert_string_not_equal(table, first);
    assert_false(same_time(changed("sweep/none-1/model.bin"), trained));
    sweep("prior.std=1", table, sizeof table); /* and back */
    assert_string_equal(table, first);

    /* an unfinished run is made anew */
    const struct timespec whole = changed("sweep/none-2/model.bin");
    char log[1 << 14] = "";
    get_file(in_temporary("sweep/none-2/metrics.jsonl"), log, sizeof log - 1);
    put_file("sweep/none-2/metrics.jsonl", log, (size_t)(strchr(log, '\n') + 1 - log));
    sweep("prior.std=1", table, sizeof table);
    assert_false(same_time(changed("sweep/none-2/model.bin"), whole));

    /* figures of another model are not taken for this one's */
    const struct timespec figures = changed("sweep/none-1/eval-shared.json");
    succeeded(bnn_run("train", in_temporary("sweep/none-1/config.json"), "--out", in_temporary("other"),
                      "--quiet", "--set", "seed=77"));
    assert_int_equal(rename(in_temporary("other/model.bin"), in_temporary("sweep/none-1/model.bin")), 0);
    sweep("prior.std=1", table, sizeof table);
    assert_false(same_time(changed("sweep/none-1/eval-shared.json"), figures));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_diverged_run_is_a_failure_with_validation),
        cmocka_unit_test(a_diverged_run_is_a_failure_without_validation),
        cmocka_unit_test(predictions_after_the_last_step_are_looked_at),
        cmocka_unit_test(parameters_after_the_last_step_are_looked_at),
        cmocka_unit_test(a_state_that_overflows_is_no_checkpoint),
        cmocka_unit_test(an_interrupted_run_is_looked_at_as_well),
        cmocka_unit_test(a_model_that_is_not_finite_is_not_written),
        cmocka_unit_test(a_used_directory_is_refused),
        cmocka_unit_test(overwriting_removes_the_old_run_first),
        cmocka_unit_test(each_file_of_a_run_is_seen),
        cmocka_unit_test(links_are_followed_and_pipes_left_in_place),
        cmocka_unit_test(a_second_run_at_once_is_refused),
        cmocka_unit_test(a_dry_run_prints_the_configuration_and_writes_nothing),
        cmocka_unit_test(a_sweep_repeats_what_its_settings_changed_and_no_more),
    };
    return cmocka_run_group_tests(tests, set_up_trainings, remove_temporary_directory);
}
