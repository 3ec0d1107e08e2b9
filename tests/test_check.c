/* bnn check: what a file is, what a model is apart from how it was trained, and groups other than the model's. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/blas.h"
#include "commands/command.h"
#include "data/sniff.h"
#include "trainings.h"

#define MODEL REFERENCE "fcnn/model.bin"

static uint8_t contents[1 << 16];

static const char *config(void)
{
    return put_small_config();
}

/* A shell's command line, in which %s is the program; its exit code. */
static int shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int shell(const char *format, ...)
{
    char command[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    const int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* One condition of `bnn check --json`. */
static const cJSON *condition(const cJSON *json, const char *name)
{
    const cJSON *entry;
    cJSON_ArrayForEach(entry, member(json, "conditions")) if (strcmp(member(entry, "name")->valuestring,
                                                                     name) == 0) return entry;
    fail_msg("no condition %s", name);
    return NULL;
}

/* What `bnn check --json` printed, when it ended with this code. */
static cJSON *checked(const program_run *run, int code)
{
    if (run->code != code) fail_msg("exit code %d, expected %d: %s%s", run->code, code, run->out, run->err);
    assert_string_equal(run->err, "");
    cJSON *json = cJSON_ParseWithOpts(run->out, NULL, 1);
    assert_non_null(json);
    return json;
}

#define assert_condition(json, name, field, value)                                                           \
    do {                                                                                                     \
        if (cJSON_IsTrue(member(condition(json, name), field)) != (value))                                   \
            fail_msg("%s: %s is not %d: %s", name, field, value,                                             \
                     member(condition(json, name), "reason")->valuestring);                                  \
    } while (0)

/* ---- what a file is -------------------------------------------------------------------------------------- */

static void kinds_of_files_are_told_apart(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        bnn_file_kind kind;
    } rows[] = {
        {"{\"seed\": 1}", 11, BNN_FILE_JSON},
        {"\xef\xbb\xbf{}", 5, BNN_FILE_JSON},
        {" \t\r\n[1]", 7, BNN_FILE_JSON},
        {"\xef\xbb\xbf \n{}", 7, BNN_FILE_JSON},
        {"        {}", 10, BNN_FILE_JSON}, /* eight blanks are no length that this file has room for */
        {"\2\0\0\0\0\0\0\0{}", 10, BNN_FILE_SAFETENSORS},
        {"\3\0\0\0\0\0\0\0{}", 10, BNN_FILE_UNKNOWN}, /* truncated */
        {"\2\0\0\0\0\0\0\0", 8, BNN_FILE_UNKNOWN},
        {"\0\0\x08\1\0\0\0\0", 8, BNN_FILE_IDX},
        {"\0\0\x0a\1\0\0\0\0", 8, BNN_FILE_UNKNOWN},
        {"\x93NUMPY\1\0", 8, BNN_FILE_NPY},
        {"PK\3\4", 4, BNN_FILE_ZIP},
        {"\x1f\x8b\x08", 3, BNN_FILE_GZIP},
        {"\x89PNG\r\n\x1a\n", 8, BNN_FILE_PNG},
        {"seed: 1", 7, BNN_FILE_UNKNOWN},
        {" \n", 2, BNN_FILE_UNKNOWN},
        {"", 0, BNN_FILE_UNKNOWN}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const bnn_file_kind kind = bnn_sniff((const uint8_t *)rows[i].bytes, rows[i].size);
        if (kind != rows[i].kind) fail_msg("row %zu is taken for %s", i, bnn_file_kind_name(kind));
    }
}

/* The reference model with its header filled up with spaces to `length` bytes. */
static const char *put_padded_model(size_t length)
{
    static uint8_t padded[1 << 16];
    const size_t size = get_file(MODEL, contents, sizeof contents);
    const size_t header = (size_t)contents[0] | (size_t)contents[1] << 8, rest = size - 8 - header;
    assert_true(header <= length && 8 + length + rest <= sizeof padded);
    memset(padded, ' ', sizeof padded);
    for (size_t i = 0; i < 8; i++) padded[i] = (uint8_t)(length >> 8 * i);
    memcpy(padded + 8, contents + 8, header);
    memcpy(padded + 8 + length, contents + 8 + header, rest);
    return put_file("padded.bin", padded, 8 + length + rest);
}

/* Lengths whose bytes are blanks, zeros, line feeds, tabs, braces and brackets. */
static void any_length_of_header_is_a_model(void **state)
{
    static const size_t lengths[] = {0x0a20, 0x0d00, 0x0d20, 0x2000, 0x2020, 0x0d0a, 0x7b20, 0x5b7b, 0x7b7b};
    char expected[1 << 14];
    (void)state;
    strcpy(expected, bnn_run("check", MODEL)->out);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const program_run *run = bnn_run("check", put_padded_model(lengths[i]));
        assert_int_equal(run->code, 1);
        assert_string_equal(run->out, expected);
    }
}

static void a_byte_order_mark_is_passed_over(void **state)
{
    char text[1100] = "\xef\xbb\xbf", expected[1 << 14];
    (void)state;
    const program_run *run = bnn_run("check", config());
    assert_int_equal(run->code, 1);
    strcpy(expected, run->out);
    small_config(text + 3, sizeof text - 3);
    const char *path = put_file("bom.json", text, strlen(text));
    run = bnn_run("check", path);
    assert_int_equal(run->code, 1);
    assert_string_equal(run->out, expected);
    succeeded(bnn_run("train", path, "--out", in_temporary("bom"), "--quiet"));
    text[strlen(text) - 3] = '!';
    assert_one_line(bnn_run("check", put_file("bom.json", text, strlen(text))), 2, "line", "not valid JSON");
    strcpy(expected, bnn_run("check", put_file("bom.json", "{!", 2))->err);
    assert_string_equal(bnn_run("check", put_file("bom.json", "\xef\xbb\xbf{!", 5))->err, expected);
    assert_non_null(strstr(expected, "line 1, column"));
}

static void pipes_are_read_once(void **state)
{
    (void)state;
    const char *out = in_temporary("piped"), *as_file = in_temporary("as_file");
    assert_int_equal(shell("cat %s | %s check /dev/stdin >%s 2>&1", config(), program_path, out), 1);
    assert_int_equal(shell("%s check %s >%s 2>&1", program_path, config(), as_file), 1);
    assert_int_equal(shell("cmp -s %s %s", out, as_file), 0);
    assert_int_equal(shell("cat %s | %s check /dev/stdin >%s 2>&1", MODEL, program_path, out), 1);
    assert_int_equal(shell("%s check %s >%s 2>&1", program_path, MODEL, as_file), 1);
    assert_int_equal(shell("cmp -s %s %s", out, as_file), 0);
    assert_int_equal(shell("cat %s | %s info /dev/stdin >%s 2>&1", MODEL, program_path, out), 0);
}

static void other_files_are_named(void **state)
{
    static const char *const takers[] = {"eval", "info", "predict", "symmetrize", "expand"};
    const char *images = REFERENCE "fcnn/images.npy", *nothing = put_file("nothing", "", 0);
    (void)state;
    for (size_t i = 0; i < sizeof takers / sizeof *takers; i++) {
        const bool writes = i > 1;
        const program_run *run = i == 3
                                     ? bnn_run(takers[i], config(), "--project", "--out", in_temporary("x"))
                                 : writes ? bnn_run(takers[i], config(), "--out", in_temporary("x"))
                                          : bnn_run(takers[i], config());
        assert_one_line(run, 2, "config.json: is a JSON text, expected a model (safetensors)");
    }
    assert_one_line(bnn_run("eval", images), 2, "images.npy: is a NumPy array (.npy), expected a model");
    assert_one_line(bnn_run("train", MODEL), 2, "model.bin: is a safetensors file, expected a configuration");
    assert_one_line(bnn_run("check", images), 2, "is a NumPy array (.npy), expected a configuration");
    assert_one_line(bnn_run("check", nothing), 2, "nothing: is a file of no known kind, expected");
    assert_one_line(bnn_run("check", MODEL, "--set", "seed=1"), 2, "--set is for configurations");
    assert_one_line(bnn_run("check", config(), "--group", "C2"), 2, "--group is for models");
}

/* ---- models ---------------------------------------------------------------------------------------------- */

static void a_directory_stands_for_its_model(void **state)
{
    char expected[1 << 14];
    const char *run = in_temporary("run");
    (void)state;
    succeeded(bnn_run("train", config(), "--out", run, "--quiet"));
    strcpy(expected, succeeded(bnn_run("info", in_temporary("run/model.bin")))->out);
    assert_string_equal(succeeded(bnn_run("info", run))->out, expected);
    succeeded(bnn_run("eval", run));
    succeeded(bnn_run("predict", run, "--out", in_temporary("p.npy")));
    succeeded(bnn_run("symmetrize", run, "--project", "--out", in_temporary("s.bin")));
    succeeded(bnn_run("expand", run, "--out", in_temporary("e.bin")));
    assert_int_equal(bnn_run("check", run)->code, 1);
    assert_one_line(bnn_run("eval", temporary_directory), 2, temporary_directory, "without a model.bin");
}

static void training_does_not_decide_about_a_model(void **state)
{
    static const char *const about_training[] = {"data complete over G", "optimiser commutes with rho",
                                                 "gradient noise symmetric"};
    const char *projected = in_temporary("projected.bin");
    (void)state;
    succeeded(bnn_run("train", config(), "--out", in_temporary("free"), "--quiet", "--set",
                      "symmetrization.augmentation=random"));
    succeeded(bnn_run("symmetrize", "--project", in_temporary("free"), "--out", projected));
    cJSON *json = checked(bnn_run("check", "--json", projected), 0);
    assert_condition(json, "q invariant", "kept", true);
    assert_condition(json, "gradient noise symmetric", "kept", false);
    assert_condition(json, "data complete over G", "kept", false);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(member(condition(json, about_training[i]), "about")->valuestring, "training");
    assert_string_equal(member(condition(json, "q invariant"), "about")->valuestring, "model");
    assert_string_equal(member(condition(json, "prior invariant"), "about")->valuestring, "model");
    assert_string_equal(member(json, "trained_group")->valuestring, "C4");
    assert_true(figure(json, "certificate.l1_bound") == 0);
    cJSON_Delete(json);
    const program_run *run = bnn_run("check", projected);
    assert_int_equal(run->code, 0);
    const char *training = strstr(run->out, "\ntraining, under C4");
    assert_non_null(training);
    assert_true(strstr(run->out, "BROKEN") > training && strstr(run->out, "q invariant") < training);
    assert_int_equal(bnn_run("check", in_temporary("free"))->code, 1); /* q itself is not invariant */
}

/* ---- other groups ---------------------------------------------------------------------------------------- */

/* A model with channels of C4, held invariant under it while it was trained. */
static const char *tied(void)
{
    static bool made;
    const char *path = in_temporary("tied/model.bin");
    if (!made)
        succeeded(bnn_run("train", config(), "--out", in_temporary("tied"), "--quiet", "--set",
                          "symmetrization.mode=tie"));
    made = true;
    return path;
}

static void subgroups_inherit_what_the_group_has(void **state)
{
    static const char *const groups[] = {"C4", "C2", "C1"};
    (void)state;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        cJSON *json = checked(bnn_run("check", "--json", tied(), "--group", groups[i]), 0);
        const cJSON *entry;
        cJSON_ArrayForEach(entry, member(json, "conditions"))
        {
            if (!cJSON_IsTrue(member(entry, "kept")))
                fail_msg("%s: %s", groups[i], member(entry, "name")->valuestring);
        }
        assert_true(figure(json, "certificate.residual") == 0 && figure(json, "certificate.kl_max") == 0);
        assert_string_equal(member(json, "group")->valuestring, groups[i]);
        assert_string_equal(member(json, "trained_group")->valuestring, "C4");
        cJSON_Delete(json);
    }
    cJSON *json = json_of(bnn_run("eval", "--json", "--equivariance", tied(), "--group", "C2"));
    assert_true(figure(json, "equivariance.certificate.l1_bound") == 0);
    cJSON_Delete(json);
}

static void groups_that_the_channels_do_not_carry_are_not_judged(void **state)
{
    static const char *const groups[] = {"D4", "C8", "D1"}, *const weights[] = {
                                                                "q invariant",
                                                                "architecture commutes with G"};
    (void)state;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        cJSON *json = checked(bnn_run("check", "--json", tied(), "--group", groups[i]), 1);
        for (size_t c = 0; c < 2; c++) {
            if (i == 1 && c == 1) continue; /* C8 does not even permute the pixels: that is judged */
            assert_condition(json, weights[c], "kept", false);
            assert_condition(json, weights[c], "judged", false);
            assert_non_null(strstr(member(condition(json, weights[c]), "reason")->valuestring,
                                   "not judged: the model's channels carry C4"));
        }
        assert_condition(json, "prior invariant", "kept", true);
        assert_condition(json, "group acts exactly on images", "kept", i != 1);
        assert_condition(json, "data complete over G", "kept", false);
        assert_condition(json, "data complete over G", "judged", true);
        assert_condition(json, "gradient noise symmetric", "kept", false);
        assert_null(cJSON_GetObjectItem(json, "certificate"));
        cJSON_Delete(json);
    }
    const program_run *run = bnn_run("check", tied(), "--group", "D4");
    assert_non_null(strstr(run->out, "not judged q invariant"));
    assert_non_null(strstr(run->out, "no reflection (r0 flip) was trained on"));
    assert_null(strstr(run->out, "every gradient is projected"));
    cJSON *json = json_of(bnn_run("eval", "--json", "--equivariance", tied(), "--group", "D4"));
    assert_non_null(strstr(member(json, "equivariance.no_certificate")->valuestring, "channels carry C4"));
    cJSON_Delete(json);
}

/* Trivial channels carry no group: weights are judged under any, and training under its own. Here the orbits of C4 on
 * 3 x 3 kernels are those of D4, so what C4 tied is invariant under D4. */
static void trivial_channels_are_judged_under_any_group(void **state)
{
    (void)state;
    succeeded(bnn_run("train", config(), "--out", in_temporary("open"), "--quiet", "--set",
                      "symmetrization.mode=tie", "--set", "model.channel_representation=trivial"));
    cJSON *json = checked(bnn_run("check", "--json", in_temporary("open"), "--group", "D4"), 0);
    assert_condition(json, "q invariant", "kept", true);
    assert_condition(json, "architecture commutes with G", "kept", true);
    assert_condition(json, "data complete over G", "kept", false);
    assert_condition(json, "gradient noise symmetric", "kept", false);
    cJSON_Delete(json);
}

/* A model that was given another group is judged under that one, and its training under the one it had. */
static void the_group_of_the_training_is_remembered(void **state)
{
    const char *first = in_temporary("d4.bin"), *second = in_temporary("d2.bin");
    (void)state;
    succeeded(bnn_run("symmetrize", "--project", "--group", "D4", tied(), "--out", first));
    succeeded(bnn_run("symmetrize", "--project", "--group", "D2", first, "--out", second));
    for (size_t i = 0; i < 2; i++) {
        cJSON *json = checked(bnn_run("check", "--json", i ? second : first), 0);
        assert_string_equal(member(json, "group")->valuestring, i ? "D2" : "D4");
        assert_string_equal(member(json, "trained_group")->valuestring, "C4");
        assert_condition(json, "q invariant", "kept", true);
        assert_condition(json, "data complete over G", "kept", false);
        cJSON_Delete(json);
    }
    cJSON *json = json_of(bnn_run("info", "--json", second));
    assert_true(figure(json, "training.epoch") == 2);
    cJSON_Delete(json);
}

/* ---- configurations -------------------------------------------------------------------------------------- */

static void an_accuracy_may_never_be_reached(void **state)
{
    (void)state;
#define HELD "--set", "symmetrization.mode=project", "--set", "symmetrization.hold=true"
    cJSON *json = checked(
        bnn_run("check", "--json", config(), HELD, "--set", "symmetrization.trigger_accuracy=0.9"), 1);
    assert_condition(json, "initial q invariant", "kept", false);
    assert_non_null(
        strstr(member(condition(json, "initial q invariant"), "reason")->valuestring, "never be reached"));
    assert_non_null(
        strstr(member(condition(json, "initial q invariant"), "mend")->valuestring, "trigger_epoch"));
    cJSON_Delete(json);
    json = checked(bnn_run("check", "--json", config(), HELD, "--set", "symmetrization.trigger_accuracy=0.9",
                           "--set", "symmetrization.trigger_epoch=1"),
                   0);
    cJSON_Delete(json);
}

/* ---- the command line ------------------------------------------------------------------------------------ */

static void nearest_names_are_offered(void **state)
{
    const char *c = config();
    (void)state;
    assert_one_line(bnn_run("trian"), 2, "unknown command 'trian', did you mean 'train'?");
    assert_one_line(bnn_run("eval", MODEL, "--thread", "2"), 2,
                    "--thread: unknown option, did you mean --threads");
    assert_one_line(bnn_run("eval", MODEL, "--draws", "Shared"), 2, "--draws: found \"Shared\"",
                    "did you mean \"shared\"");
    assert_one_line(bnn_run("eval", MODEL, "--group", "c4"), 2, "--group", "did you mean \"C4\"");
    assert_one_line(bnn_run("check", c, "--set", "group=d4"), 2,
                    "--set group=d4: group: ", "did you mean \"D4\"");
    assert_one_line(bnn_run("check", c, "--set", "symmetrization.mode=Tie"), 2,
                    "--set symmetrization.mode=Tie: symmetrization.mode: ", "did you mean \"tie\"");
    assert_one_line(bnn_run("check", c, "--set", "train.optimizer.name=adam"), 2, "did you mean \"adamw\"");
    assert_one_line(bnn_run("check", c, "--set", "posterior.family=Gauss"), 2, "did you mean \"gaussian\"");
    assert_one_line(bnn_run("check", c, "--set", "model.padding=circluar"), 2, "did you mean \"circular\"");
    assert_one_line(bnn_run("check", c, "--set", "data.name=IDX"), 2, "did you mean \"idx\"");
}

static void mistakes_are_said_of_the_right_word(void **state)
{
    (void)state;
    assert_one_line(bnn_run("info", "-m.bin"), 2, "bnn info: -m.bin: unknown option");
    assert_one_line(bnn_run("info", "--", "-m.bin"), 2, "-m.bin: cannot open");
    assert_one_line(bnn_run("eval", MODEL, "--threads"), 2, "--threads: expected a value");
    assert_one_line(bnn_run("eval", "--samples", "--json", MODEL), 2,
                    "--samples: expected a value, found --json");
    assert_one_line(bnn_run("eval", "--json=1", MODEL), 2, "--json takes no value");
    assert_one_line(bnn_run("eval", "--samples=-3", MODEL), 2, "--samples: found -3, expected an integer");
    assert_one_line(bnn_run("eval", "--samples", "-3", MODEL), 2, "--samples: found -3, expected an integer");
    assert_one_line(bnn_run("train", config(), "--set", "train.epochs=x"), 2,
                    "bnn: --set train.epochs=x: train.epochs: ");
    assert_one_line(bnn_run("train", config(), "--set", "train.epoch=3"), 2,
                    "bnn: --set train.epoch=3: ", "train.epochs");
    assert_one_line(bnn_run("train", config(), "--set", "model.kernel=4"), 2,
                    "bnn: --set model.kernel=4: model.kernel: ");
    assert_one_line(bnn_run("train", config(), "--set", "train.epochs=1", "--set",
                            "symmetrization.mode=project", "--set", "symmetrization.trigger_epoch=5"),
                    2, "config.json with --set train.epochs=1 --set", "acts after 5 epochs");
    assert_one_line(bnn_run("train", config(), "--set", "data.train_size=65"), 2,
                    "--set data.train_size=65: ");
}

/* --threads is by default what OpenMP would take, whatever OpenBLAS is told. */
static void threads_follow_openmp(void **state)
{
    static const cmd_option options[] = {CMD_OPTION_THREADS, {NULL, NULL, NULL}};
    const subcommand command = {.name = "x", .operands = "", .options = options};
    char *none[] = {"x", NULL}, *two[] = {"x", "--threads", "2", NULL};
    const int before = omp_get_max_threads();
    cmd_line line;
    bool done;
    int threads;
    bnn_error error;
    (void)state;
    omp_set_num_threads(7);
    bnn_blas_single_thread();
    assert_int_equal(cmd_parse(&command, 1, none, &line, &done, &error), BNN_OK);
    assert_int_equal(cmd_threads(&line, &threads, &error), BNN_OK);
    assert_int_equal(threads, 7);
    omp_set_num_threads(1000);
    assert_int_equal(cmd_threads(&line, &threads, &error), BNN_OK);
    assert_int_equal(threads, 256);
    assert_int_equal(cmd_parse(&command, 3, two, &line, &done, &error), BNN_OK);
    assert_int_equal(cmd_threads(&line, &threads, &error), BNN_OK);
    assert_int_equal(threads, 2);
    omp_set_num_threads(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_of_files_are_told_apart),
        cmocka_unit_test(any_length_of_header_is_a_model),
        cmocka_unit_test(a_byte_order_mark_is_passed_over),
        cmocka_unit_test(pipes_are_read_once),
        cmocka_unit_test(other_files_are_named),
        cmocka_unit_test(a_directory_stands_for_its_model),
        cmocka_unit_test(training_does_not_decide_about_a_model),
        cmocka_unit_test(subgroups_inherit_what_the_group_has),
        cmocka_unit_test(groups_that_the_channels_do_not_carry_are_not_judged),
        cmocka_unit_test(trivial_channels_are_judged_under_any_group),
        cmocka_unit_test(the_group_of_the_training_is_remembered),
        cmocka_unit_test(an_accuracy_may_never_be_reached),
        cmocka_unit_test(nearest_names_are_offered),
        cmocka_unit_test(mistakes_are_said_of_the_right_word),
        cmocka_unit_test(threads_follow_openmp),
    };
    return cmocka_run_group_tests(tests, set_up_trainings, remove_temporary_directory);
}
