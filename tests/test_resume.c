/* A run that is stopped and resumed ends with the bits of one that was not, whatever the number of threads. */
#include <signal.h>
#include <stdlib.h>

#include "bnn/settings.h"
#include "bnn/train.h"
#include "trainings.h"

enum { SETS = 16, BYTES = 1 << 20 };

static volatile sig_atomic_t stop;

/* Stops a training after some steps; SIZE_MAX: never. */
static void count_down(void *context, size_t epoch, size_t epochs, double fraction, double nll)
{
    size_t *steps = context;
    (void)epoch, (void)epochs, (void)fraction, (void)nll;
    if (*steps != SIZE_MAX && --*steps == 0) stop = 1;
}

/* Trains the small configuration with these settings (NULL-terminated) into `out`. */
static bnn_status train(const char *out, const char *const *sets, bool resume, size_t steps, int threads,
                        bnn_error *error)
{
    const bnn_train_options options = {.directory = in_temporary(out),
                                       .write_config = true,
                                       .resume = resume,
                                       .threads = threads,
                                       .stop = &stop,
                                       .callbacks = {.context = &steps, .step = count_down}};
    char text[1024];
    bnn_config config;
    size_t count = 0;
    while (sets[count]) count++;
    stop = 0;
    *error = (bnn_error){BNN_OK, ""};
    bnn_status status =
        bnn_settings_parse("c.json", small_config(text, sizeof text), sets, count, &config, error);
    return status ? status : bnn_train(&config, &options, error);
}

/* A file of a run, freed with free(); of metrics.jsonl without the times. */
static char *contents(const char *out, const char *name, size_t *size)
{
    char *bytes = malloc(BYTES), path[256];
    assert_non_null(bytes);
    snprintf(path, sizeof path, "%s/%s", in_temporary(out), name);
    *size = get_file(path, bytes, BYTES - 1);
    bytes[*size] = '\0';
    for (char *from; strcmp(name, "metrics.jsonl") == 0 && (from = strstr(bytes, "\"seconds\""));) {
        char *rate = strstr(from, "\"image_samples_per_second\""), *to = rate ? strchr(rate, ',') : NULL;
        assert_non_null(to);
        memmove(from, to, strlen(to) + 1);
        *size -= (size_t)(to - from);
    }
    return bytes;
}

static void assert_same_file(const char *a, const char *b, const char *name)
{
    size_t first_size, second_size;
    char *first = contents(a, name, &first_size), *second = contents(b, name, &second_size);
    assert_int_equal(first_size, second_size);
    assert_memory_equal(first, second, first_size);
    free(second);
    free(first);
}

static const char *const common[] = {"train.epochs=4", "data.train_size=48", "train.batch_size=16"};

/* What a run's state is made of: the trigger and the network that it replaces, w = mu first, scales that are learned, a random
 * prior, every optimiser and estimator, signs, warps, the best model so far. */
static const char *const variants[][8] = {
    {"symmetrization.mode=augment", "train.optimizer.name=adamw", "data.augment.shift=1"},
    {"symmetrization.mode=orbit-expansion", "symmetrization.stage1_epochs=2", "symmetrization.hold=true"},
    {"symmetrization.mode=orbit-expansion", "symmetrization.trigger_accuracy=0.01", "data.validation_size=16",
     "train.optimizer.name=ivon", "train.kl_weight=0.001"},
    {"symmetrization.mode=tie", "train.optimizer.name=ivon", "prior.std=learned", "train.samples=2"},
    {"symmetrization.mode=project", "symmetrization.trigger_epoch=2", "train.map_epochs=1",
     "symmetrization.keep_optimizer_state=true", "data.validation_size=16"},
    {"symmetrization.mode=average", "symmetrization.trigger_epoch=1", "posterior.family=laplace",
     "symmetrization.average=geometric"},
    {"symmetrization.mode=group-elbo", "train.free_bits=0.01", "train.optimizer.name=sgd"},
    {"symmetrization.mode=none", "group=C1", "posterior.family=lognormal", "prior.mean=random",
     "train.optimizer.name=adamw"},
    {"symmetrization.mode=augment", "train.estimator=flipout", "train.schedule=cosine",
     "train.lr_warmup_steps=9"},
    {"symmetrization.mode=augment", "train.estimator=local", "train.checkpoint_minutes=0", "eval.every=3",
     "data.validation_size=16"},
    {"symmetrization.mode=augment", "data.balance=sampling", "data.validation_size=16"},
    {"symmetrization.mode=tie", "data.balance=weights", "train.checkpoint_minutes=0"},
    {"symmetrization.mode=augment", "posterior.family=point", "train.optimizer.name=adamw"},
    {"symmetrization.mode=orbit-expansion", "symmetrization.stage1_epochs=2", "posterior.family=point",
     "data.validation_size=16"},
    {"symmetrization.mode=equivariant", "train.optimizer.name=ivon", "prior.std=learned", "train.samples=2",
     "train.checkpoint_minutes=0"},
    {"symmetrization.mode=equivariant", "posterior.family=laplace", "train.map_epochs=1",
     "train.optimizer.name=adamw", "data.validation_size=16"},
    {"symmetrization.mode=augment", "train.kl_warmup_epochs=1", "train.kl_ramp_end=4", "train.kl_weight=0.1"},
    {"symmetrization.mode=augment", "data.validation_size=16", "train.optimizer.lr=5"}, /* soon at its best */
};

static void a_resumed_run_ends_with_the_same_bits(void **state)
{
    static const size_t stops[] = {1, 7, 5, 20,
                                   4}; /* an epoch of full augmentation has 20 steps, of base images 5 */
    bnn_error error;
    (void)state;
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        const char *sets[SETS] = {common[0], common[1], common[2]};
        char whole[32], parts[32];
        for (size_t i = 0; i < 8 && variants[v][i]; i++) sets[3 + i] = variants[v][i];
        snprintf(whole, sizeof whole, "whole-%zu", v);
        snprintf(parts, sizeof parts, "parts-%zu", v);
        if (train(whole, sets, false, SIZE_MAX, 1, &error)) fail_msg("%s: %s", sets[3], error.message);
        bnn_status status = BNN_INTERRUPTED;
        for (size_t i = 0; status == BNN_INTERRUPTED; i++)
            status = train(parts, sets, i > 0, i < 5 ? stops[i] : SIZE_MAX, 1 + (int)(i % 2), &error);
        if (status) fail_msg("%s: %s", sets[3], error.message);
        assert_same_file(whole, parts, "model.bin");
        assert_same_file(whole, parts, "metrics.jsonl");
        assert_same_file(whole, parts, "config.json");
    }
}

/* The files of a run are as they were after a refusal. */
#define assert_refused(sets_, ...)                                                                           \
    do {                                                                                                     \
        size_t before_size, after_size;                                                                      \
        char *before = contents("run", "checkpoint.bin", &before_size), *after;                              \
        assert_failure(train("run", sets_, true, SIZE_MAX, 1, &error), BNN_BAD_INPUT, error, __VA_ARGS__);   \
        after = contents("run", "checkpoint.bin", &after_size);                                              \
        assert_int_equal(before_size, after_size);                                                           \
        assert_memory_equal(before, after, before_size);                                                     \
        free(after);                                                                                         \
        free(before);                                                                                        \
    } while (0)

static const char *const few[] = {"train.epochs=2", "data.train_size=48", NULL};

static void another_configuration_is_no_resumption(void **state)
{
    bnn_error error;
    (void)state;
    assert_int_equal(train("run", few, false, 18, 1, &error), BNN_INTERRUPTED);
    const char *const other[] = {"train.epochs=2", "data.train_size=48", "prior.std=2", "seed=6", NULL};
    assert_refused(other, "another configuration", "prior.std", "seed", "train.epochs", in_temporary("run"));
    const char *const fewer[] = {"train.epochs=1", "data.train_size=48", NULL};
    assert_refused(fewer, "train.epochs: found 1, expected at least the run's 2");

    /* More epochs are the same run, and its configuration is then theirs. */
    const char *const more[] = {"train.epochs=3", "data.train_size=48", "train.detect_anomaly=true",
                                "train.checkpoint_minutes=1", NULL};
    assert_int_equal(train("run", more, true, SIZE_MAX, 1, &error), BNN_OK);
    assert_int_equal(train("longer", more, false, SIZE_MAX, 1, &error), BNN_OK);
    assert_same_file("run", "longer", "model.bin");
    assert_same_file("run", "longer", "config.json");

    /* A run that has all its epochs is left as it is. */
    size_t before_size, after_size;
    char *before = contents("run", "checkpoint.bin", &before_size), *after;
    assert_int_equal(train("run", more, true, SIZE_MAX, 1, &error), BNN_OK);
    after = contents("run", "checkpoint.bin", &after_size);
    assert_int_equal(before_size, after_size);
    assert_memory_equal(before, after, before_size);
    free(after);
    free(before);
    assert_same_file("run", "longer", "metrics.jsonl");
}

/* What was written after the last checkpoint is written anew; what is missing cannot be. */
static void the_log_is_cut_to_the_checkpoint(void **state)
{
    bnn_error error;
    (void)state;
    assert_int_equal(train("cut", few, false, 18, 1, &error), BNN_INTERRUPTED);
    assert_int_equal(train("uncut", few, false, SIZE_MAX, 1, &error), BNN_OK);
    FILE *log = fopen(in_temporary("cut/metrics.jsonl"), "a");
    assert_non_null(log);
    fputs("{\"epoch\":2,\"half a li", log);
    assert_int_equal(fclose(log), 0);
    put_file("cut/.bnn-999999999-0.tmp", "half", 4); /* of a process that is gone */
    assert_int_equal(train("cut", few, true, SIZE_MAX, 1, &error), BNN_OK);
    assert_same_file("cut", "uncut", "metrics.jsonl");
    assert_same_file("cut", "uncut", "model.bin");
    assert_int_equal(count_entries(in_temporary("cut")), 4);

    assert_int_equal(truncate(in_temporary("cut/metrics.jsonl"), 10), 0);
    const char *const more[] = {"train.epochs=3", "data.train_size=48", NULL};
    assert_failure(train("cut", more, true, SIZE_MAX, 1, &error), BNN_BAD_INPUT, error, "metrics.jsonl",
                   "found 0 lines, expected at least 2");
}

/* A stop after an epoch's last step does not wait for its validation, which is made when the run goes on. */
static void a_validation_is_stopped(void **state)
{
    const char *const sets[] = {"train.epochs=1", "data.train_size=48", "data.validation_size=16", NULL};
    struct stat info;
    bnn_error error;
    (void)state;
    assert_failure(train("validated", sets, false, 12, 1, &error), BNN_INTERRUPTED, error,
                   "interrupted in epoch 1");
    assert_int_equal(stat(in_temporary("validated/metrics.jsonl"), &info), 0);
    assert_int_equal(info.st_size, 0);
    assert_int_equal(train("validated", sets, true, SIZE_MAX, 1, &error), BNN_OK);
    assert_int_equal(train("unstopped", sets, false, SIZE_MAX, 1, &error), BNN_OK);
    assert_same_file("validated", "unstopped", "model.bin");
    assert_same_file("validated", "unstopped", "metrics.jsonl");
}

/* Without a checkpoint a run of this very configuration begins anew, and no other. */
static void a_run_without_a_checkpoint_begins_anew(void **state)
{
    bnn_error error;
    (void)state;
    assert_int_equal(train("early", few, true, SIZE_MAX, 1, &error), BNN_OK); /* nothing is there */
    assert_int_equal(remove(in_temporary("early/checkpoint.bin")), 0);
    assert_int_equal(train("early", few, true, SIZE_MAX, 1, &error), BNN_OK);
    assert_int_equal(remove(in_temporary("early/checkpoint.bin")), 0);
    const char *const other[] = {"train.epochs=3", "data.train_size=48", NULL};
    assert_failure(train("early", other, true, SIZE_MAX, 1, &error), BNN_BAD_INPUT, error,
                   "no checkpoint.bin", "--overwrite", in_temporary("early"));
    assert_int_equal(count_entries(in_temporary("early")), 3);
}

/* A checkpoint of another kind, or broken, is refused with a line, and nothing is touched. */
static void broken_checkpoints_are_refused(void **state)
{
    bnn_error error;
    size_t size;
    (void)state;
    assert_int_equal(train("broken", few, false, SIZE_MAX, 1, &error), BNN_OK);
    char *model = contents("broken", "model.bin", &size);
    put_file("broken/checkpoint.bin", model, size);
    assert_failure(train("broken", few, true, SIZE_MAX, 1, &error), BNN_BAD_INPUT, error, "checkpoint.bin",
                   "progress");
    for (size_t cut = 0; cut < size; cut += size / 7) {
        put_file("broken/checkpoint.bin", model, cut);
        assert_failure(train("broken", few, true, SIZE_MAX, 1, &error), BNN_BAD_INPUT, error,
                       "checkpoint.bin");
    }
    free(model);
    assert_int_equal(count_entries(in_temporary("broken")), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resumed_run_ends_with_the_same_bits),
        cmocka_unit_test(another_configuration_is_no_resumption),
        cmocka_unit_test(the_log_is_cut_to_the_checkpoint),
        cmocka_unit_test(a_validation_is_stopped),
        cmocka_unit_test(a_run_without_a_checkpoint_begins_anew),
        cmocka_unit_test(broken_checkpoints_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up_trainings, remove_temporary_directory);
}
