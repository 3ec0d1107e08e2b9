/* The command line as users and scripts see it: exit codes, what is printed where, what is written. */
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>

#include "bnn/npy.h"
#include "bnn/safetensors.h"
#include "bnn/utf8.h"
#include "images.h"
#include "program.h"

#define MODEL REFERENCE "fcnn/model.bin"
#define FIGURES (sizeof(bnn_real) == sizeof(double) ? 1e-9 : 2e-5)

static bool exists(const char *name)
{
    return access(in_temporary(name), F_OK) == 0;
}

static const char *config(void)
{
    return put_small_config();
}

/* ---- train ------------------------------------------------------------------------------------------------- */

/* `bnn train` with these settings is refused in one line, and leaves nothing behind. */
#define assert_train_refused(code, texts, ...)                                                               \
    do {                                                                                                     \
        check_one_line(bnn_run("train", config(), "--out", in_temporary("refused"), __VA_ARGS__), code,      \
                       texts);                                                                               \
        assert_false(exists("refused"));                                                                     \
    } while (0)

static void mistakes_in_settings_are_refused(void **state)
{
    (void)state;
    assert_train_refused(2, ARGUMENTS("train.epochz", "train.epochs"), "--set", "train.epochz=3");
    assert_train_refused(2, ARGUMENTS("config.json", "data.train_size", "65", "64"), "--set",
                         "data.train_size=65");
    assert_train_refused(2, ARGUMENTS("--bogus", "unknown option"), "--bogus");
    assert_train_refused(2, ARGUMENTS("--threads", "expected an integer"), "--threads", "0");
    assert_train_refused(2, ARGUMENTS("--threads", "expected an integer"), "--threads", "two");
    assert_train_refused(2, ARGUMENTS("--set", "expected a value"), "--set");
    assert_train_refused(2, ARGUMENTS("operands"), "another.json");
    assert_train_refused(2, ARGUMENTS("C8", "symmetrization.mode"), "--set", "group=C8", "--set",
                         "model.type=mlp", "--set", "symmetrization.mode=tie");
    const char *typo = put_file("typo.json", "{\"data\": {\"nam\": 1}}", 20);
    check_one_line(bnn_run("train", typo, "--out", in_temporary("refused")), 2,
                   ARGUMENTS("typo.json", "data.nam"));
    const char *line = put_file("line.json", "{\"a\nb\": 1}", 10);
    check_one_line(bnn_run("train", line, "--out", in_temporary("refused")), 2, ARGUMENTS("line.json"));
    const char *escaped = put_file("escaped.json", "{\"a\\nb\\u001b[31m\": 1}", 21);
    check_one_line(bnn_run("train", escaped, "--out", in_temporary("refused")), 2, ARGUMENTS("unknown key"));
    assert_false(exists("refused"));
}

/* A setting that puts `path` in the place of a key's file. */
static const char *file_set(const char *key, const char *path)
{
    static char sets[4][512];
    static size_t turn;
    char *set = sets[turn++ % 4];
    snprintf(set, sizeof sets[0], "data.%s=%s", key, path);
    return set;
}

static void mistakes_in_data_are_refused(void **state)
{
    uint8_t bytes[8192];
    const size_t size = get_file(in_temporary("train-images"), bytes, sizeof bytes);
    (void)state;
    assert_train_refused(2, ARGUMENTS("missing-images", "No such file"), "--set",
                         file_set("train_images", in_temporary("missing-images")));
    assert_train_refused(2, ARGUMENTS("short-images", "bytes"), "--set",
                         file_set("train_images", put_file("short-images", bytes, size - 1)));
    assert_train_refused(2, ARGUMENTS("empty-images"), "--set",
                         file_set("train_images", put_file("empty-images", bytes, 0)));
    bytes[0] = 7;
    assert_train_refused(2, ARGUMENTS("magic-images", "IDX"), "--set",
                         file_set("train_images", put_file("magic-images", bytes, size)));
    assert_train_refused(2, ARGUMENTS("far-labels", "label 63", "200", "2"), "--set", "model.classes=3",
                         "--set", file_set("train_labels", put_labels("far-labels", IMAGES, 200)));
    assert_train_refused(2, ARGUMENTS("few-labels", "63", "64"), "--set",
                         file_set("train_labels", put_labels("few-labels", IMAGES - 1, 0)));
    assert_train_refused(2, ARGUMENTS("group: C4", "8 x 9"), "--set",
                         file_set("train_images", put_images("wide-images", IMAGES, 8, 9)));
    assert_train_refused(2, ARGUMENTS(temporary_directory, "directory"), "--set",
                         file_set("train_images", temporary_directory));
}

/* The test files too: what evaluation would refuse after hours is refused before the first epoch. */
static void mistakes_in_test_files_are_refused(void **state)
{
    (void)state;
    assert_train_refused(2, ARGUMENTS("config.json", "no-images", "No such file"), "--set",
                         file_set("test_images", in_temporary("no-images")));
    assert_train_refused(2, ARGUMENTS("test images", "1 x 9 x 9", "1 x 8 x 8"), "--set",
                         file_set("test_images", put_images("large-images", IMAGES / 2, 9, 9)));
    assert_train_refused(2, ARGUMENTS("far-labels", "label 31 is 7", "0..2"), "--set",
                         file_set("test_labels", put_labels("far-labels", IMAGES / 2, 7)));
    assert_train_refused(2, ARGUMENTS("data.test_size", "33", "32"), "--set", "data.test_size=33");
    assert_train_refused(2, ARGUMENTS("data.test_labels", "not set"), "--set", "data.test_labels=");
}

static void truncated_gzip_is_refused(void **state)
{
    uint8_t bytes[8192];
    (void)state;
    size_t size = get_file(in_temporary("train-images"), bytes, sizeof bytes);
    gzFile file = gzopen(in_temporary("images.gz"), "wb");
    assert_int_equal(gzwrite(file, bytes, (unsigned)size), (int)size);
    assert_int_equal(gzclose(file), Z_OK);
    size = get_file(in_temporary("images.gz"), bytes, sizeof bytes);
    assert_train_refused(2, ARGUMENTS("cut.gz", "truncated"), "--set",
                         file_set("train_images", put_file("cut.gz", bytes, size / 2)));
    bytes[size / 2] ^= 0x40;
    assert_train_refused(2, ARGUMENTS("corrupt.gz"), "--set",
                         file_set("train_images", put_file("corrupt.gz", bytes, size)));
}

static void places_that_cannot_be_written_are_refused(void **state)
{
    (void)state;
    put_file("plain", "x", 1);
    assert_one_line(bnn_run("train", config(), "--out", in_temporary("plain")), 2, "plain", "directory");
    assert_one_line(bnn_run("train", config(), "--out", in_temporary("plain/below")), 2, "plain");
    assert_one_line(bnn_run("train", config(), "--out", ""), 2, "directory");
    assert_one_line(bnn_run("train", config(), "--out", "/proc/no/such"), 2, "/proc/no");
}

static void a_run_leaves_its_files(void **state)
{
    static const char *const names[] = {"run/config.json", "run/metrics.jsonl", "run/model.bin",
                                        "run/checkpoint.bin"};
    (void)state;
    const program_run *run =
        succeeded(bnn_run("train", "--out", in_temporary("run"), config(), "--threads", "1"));
    assert_string_equal(run->out, "");
    assert_non_null(strstr(run->err, "epoch 2/2"));
    assert_null(strchr(run->err, '\r')); /* no terminal, no live line */
    for (size_t i = 0; i < 4; i++) assert_true(exists(names[i]));
    assert_int_equal(count_entries(in_temporary("run")), 4);
    run = succeeded(
        bnn_run("train", in_temporary("run/config.json"), "--out", in_temporary("rerun"), "--quiet"));
    assert_string_equal(run->err, "");
    char first[1 << 16], second[1 << 16];
    const size_t size = get_file(in_temporary("run/model.bin"), first, sizeof first);
    assert_int_equal(get_file(in_temporary("rerun/model.bin"), second, sizeof second), size);
    assert_memory_equal(first, second, size); /* the resolved configuration is the same run */
}

/* Without --out the run is written where the user stands, and never over a config.json of theirs. */
static void the_users_configuration_is_left_alone(void **state)
{
    char before[2048] = "", after[2048] = "", home[256];
    (void)state;
    snprintf(home, sizeof home, "%s", in_temporary("home"));
    assert_int_equal(mkdir(home, 0777), 0);
    get_file(config(), before, sizeof before - 1);
    put_file("home/config.json", before, strlen(before));
    succeeded(finish_program(start_program(home, ARGUMENTS("train", "config.json", "--threads", "1"))));
    get_file(in_temporary("home/config.json"), after, sizeof after - 1);
    assert_string_equal(before, after);
    assert_true(exists("home/model.bin"));
    succeeded(finish_program(start_program(
        home, ARGUMENTS("train", "config.json", "--out", ".", "--overwrite", "--threads", "1"))));
    get_file(in_temporary("home/config.json"), after, sizeof after - 1);
    assert_string_equal(before, after);
}

/* ---- data ---------------------------------------------------------------------------------------------------- */

/* Training said this in a line of its messages. */
static void assert_said(const program_run *run, const char *text)
{
    if (!strstr(succeeded(run)->err, text)) fail_msg("\"%s\" does not say \"%s\"", run->err, text);
}

static const char *moved(const char *from, const char *to)
{
    const char *path = in_temporary(to);
    assert_int_equal(rename(in_temporary(from), path), 0);
    return path;
}

/* Relative paths are those seen from the configuration, whose run finds them wherever it is moved to. */
static void a_moved_run_finds_its_data(void **state)
{
    static const char text[] =
        "{\"data\": {\"name\": \"idx\", \"train_images\": \"x\", \"train_labels\": \"below/../y\", "
        "\"test_images\": "
        "\"below/x\", \"test_labels\": \"below/y\"}, \"group\": \"C4\", \"model\": {\"type\": \"mlp\", "
        "\"hidden\": []}, "
        "\"train\": {\"epochs\": 1, \"batch_size\": 16, \"samples\": 1}}";
    (void)state;
    assert_int_equal(mkdir(in_temporary("project"), 0777), 0);
    assert_int_equal(mkdir(in_temporary("project/below"), 0777), 0);
    put_images("project/x", IMAGES, SIDE, SIDE);
    put_labels("project/y", IMAGES, 0);
    put_images("project/below/x", IMAGES / 2, SIDE, SIDE);
    put_labels("project/below/y", IMAGES / 2, 0);
    const char *path = put_file("project/c.json", text, sizeof text - 1);
    succeeded(bnn_run("train", path, "--out", in_temporary("project/run"), "--quiet", "--threads", "1"));
    moved("project/run", "moved");
    succeeded(finish_program(start_program(in_temporary("moved"), ARGUMENTS("eval", "model.bin", "--json"))));
    succeeded(bnn_run("train", in_temporary("moved/config.json"), "--out", in_temporary("again"), "--quiet",
                      "--threads", "1"));
    assert_int_equal(bnn_run("check", path)->code, 1);
}

/* The images of put_images as floats: a x + b of each byte x. */
static const char *put_float_images(const char *name, double a, double b)
{
    static double values[IMAGES * SIDE * SIDE];
    static const size_t shape[] = {IMAGES, SIDE, SIDE};
    uint8_t bytes[16 + sizeof values / sizeof *values];
    const char *path = in_temporary(name);
    assert_int_equal(get_file(in_temporary("train-images"), bytes, sizeof bytes), sizeof bytes);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) values[i] = a * bytes[16 + i] + b;
    assert_int_equal(bnn_npy_write(path, values, 3, shape, 4, NULL), BNN_OK);
    return path;
}

/* One line on standard error that names the file and both ranges; and the model keeps them through the operators. */
static void images_of_another_scale_are_told(void **state)
{
    char model[256], projected[256];
    (void)state;
    snprintf(model, sizeof model, "%s", in_temporary("scaled/model.bin"));
    snprintf(projected, sizeof projected, "%s", in_temporary("scaled-projected.bin"));
    const char *unit = put_float_images("unit.npy", 1 / 255.0, 0),
               *alike = put_float_images("alike.npy", 1 / 127.5, -1);
    const program_run *run = bnn_run("train", config(), "--out", in_temporary("scaled"), "--threads", "1");
    assert_said(run, "images 1 x 8 x 8 (C x H x W): pixels from -1 to ");
    assert_said(run, " (uint8, scaled), background -1; 3 classes of 21 to 22 images\n");
    assert_null(strstr(run->err, "warning"));
    succeeded(bnn_run("symmetrize", model, "--project", "--out", projected));
    for (int i = 0; i < 2; i++) {
        const char *path = i ? projected : model;
        assert_string_equal(succeeded(bnn_run("eval", path))->err, "");
        assert_string_equal(succeeded(bnn_run("eval", path, "--images", alike))->err, "");
        run = succeeded(bnn_run("eval", path, "--images", unit, "--json"));
        assert_non_null(strstr(run->err, "bnn eval: warning: "));
        assert_non_null(strstr(run->err, "unit.npy: pixels from 0 to 0."));
        assert_non_null(strstr(run->err, "the training images have -1 to 0."));
        assert_ptr_equal(strchr(run->err, '\n'), run->err + strlen(run->err) - 1);
        run = succeeded(bnn_run("predict", path, "--images", unit, "--out", in_temporary("p.npy")));
        assert_non_null(strstr(run->err, "bnn predict: warning: "));
        run = succeeded(bnn_run("eval", path, "--ood", unit));
        assert_non_null(strstr(run->err, "unit.npy: pixels from 0"));
    }
    assert_said(bnn_run("train", config(), "--out", in_temporary("spins"), "--threads", "1", "--set",
                        file_set("train_images", put_float_images("bytes.npy", 1, 0)), "--set",
                        "data.scale=none"),
                "warning: pixels from 0 to ");
    run = bnn_run("train", config(), "--out", in_temporary("unlike"), "--threads", "1", "--set",
                  file_set("test_images", unit), "--set",
                  file_set("test_labels", in_temporary("train-labels")));
    assert_said(run, "warning: the test images: pixels from 0");
}

/* However an evaluated file stores its pixels, what turns into view around them is the training images' smallest value. */
static void one_background_serves_every_file(void **state)
{
    double defects[3];
    (void)state;
    const char *const files[] = {in_temporary("train-images"), put_float_images("alike.npy", 1 / 127.5, -1),
                                 put_float_images("again.npy", 1 / 127.5, -1)};
    succeeded(bnn_run("train", config(), "--out", in_temporary("background"), "--quiet", "--threads", "1"));
    for (size_t i = 0; i < 3; i++) {
        cJSON *json = json_of(bnn_run("eval", in_temporary("background/model.bin"), "--equivariance",
                                      "--group", "C8", "--json", "--images", files[i]));
        defects[i] = figure(json, "equivariance.defect.plugin");
        cJSON_Delete(json);
    }
    assert_close(defects[1], defects[0], 1e-5, 0);
    assert_true(defects[2] == defects[1] && defects[0] > 0);
    char text[4096];
    text[get_file(in_temporary("background/config.json"), text, sizeof text - 1)] = '\0';
    assert_non_null(strstr(text, "\"background\":\t-1,\n"));
}

static void test_files_may_be_left_out(void **state)
{
    (void)state;
    const program_run *run = bnn_run("train", config(), "--out", in_temporary("untested"), "--threads", "1",
                                     "--set", "data.test_images=", "--set", "data.test_labels=");
    assert_said(run, "the data has no test images: bnn eval will need --images");
    const char *model = in_temporary("untested/model.bin");
    assert_one_line(bnn_run("eval", model), 2, "names no test images", "--images");
    assert_one_line(bnn_run("eval", model, "--data", "idx"), 2, "--data", "no test images");
    succeeded(bnn_run("eval", model, "--images", in_temporary("test-images"), "--labels",
                      in_temporary("test-labels")));
}

/* Data to be told from the model's may have labels of any class; data to be judged by them may not. */
static void other_data_may_have_other_classes(void **state)
{
    (void)state;
    put_labels("other-labels", IMAGES / 2, 2);
    succeeded(bnn_run("train", config(), "--out", in_temporary("other"), "--quiet", "--threads", "1", "--set",
                      file_set("test_labels", in_temporary("other-labels"))));
    put_labels("other-labels", IMAGES / 2, 200);
    const char *model = in_temporary("other/model.bin"), *images = in_temporary("test-images");
    succeeded(bnn_run("eval", model, "--images", images, "--ood", "idx"));
    assert_one_line(bnn_run("eval", model, "--data", "idx"), 2, "--data", "label 31 is 200", "0..2");
}

/* There is no model: what is wrong with --out is found before it is looked for. */
static void a_bad_destination_is_found_before_the_work(void **state)
{
    static const char *const commands[] = {"predict",   "report", "show",      "export",
                                           "calibrate", "expand", "symmetrize"};
    (void)state;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        assert_one_line(bnn_run(commands[i], "no-model", "--out", "no-folder/file"), 2, "no-folder/file",
                        "No such file or directory");
        assert_one_line(bnn_run(commands[i], "no-model", "--out", temporary_directory), 2,
                        temporary_directory, "is a directory, expected a file to write");
    }
}

/* File names need not be UTF-8, JSON has to be (RFC 8259, section 8.1). */
static void json_is_utf8_whatever_the_names(void **state)
{
    (void)state;
    put_images("caf\xe9", IMAGES / 2, SIDE, SIDE);
    succeeded(bnn_run("train", config(), "--out", in_temporary("utf8"), "--quiet", "--threads", "1"));
    const program_run *run =
        bnn_run("eval", in_temporary("utf8/model.bin"), "--ood", in_temporary("caf\xe9"), "--json");
    cJSON *json = json_of(run);
    assert_null(bnn_utf8_fault(run->out));
    const char *name = member(json, "uncertainty.ood.data")->valuestring;
    assert_string_equal(name + strlen(name) - 6, "caf\xef\xbf\xbd");
    cJSON_Delete(json);
    assert_train_refused(2, ARGUMENTS("--set", "not valid UTF-8"), "--set", "data.train_images=caf\xe9");
}

/* Waits until another epoch is in a log of `size` bytes. */
static void await_growth(const char *path, off_t size)
{
    const struct timespec moment = {0, 20000000};
    struct stat info;
    for (int i = 0; i < 1500 && (stat(path, &info) || info.st_size <= size); i++) nanosleep(&moment, NULL);
}

/* The code that a shell gives for each signal; the run goes on from its checkpoint. */
static void an_interrupted_run_leaves_a_checkpoint(void **state)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
    struct stat info;
    (void)state;
    char metrics[32], checkpoint[32], run[16];
    for (size_t s = 0; s < sizeof signals / sizeof *signals; s++) {
        snprintf(run, sizeof run, "stopped-%zu", s);
        snprintf(metrics, sizeof metrics, "%s/metrics.jsonl", run);
        snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint.bin", run);
        const pid_t pid =
            start_program(NULL, ARGUMENTS("train", config(), "--out", in_temporary(run), "--set",
                                          "train.epochs=1000000", "--quiet", "--threads", "1"));
        await_growth(in_temporary(metrics), 0);
        assert_int_equal(kill(pid, signals[s]), 0);
        assert_one_line(finish_program(pid), 128 + signals[s], "interrupted in epoch", checkpoint,
                        "--resume");
        cJSON *json = json_of(bnn_run("info", "--json", in_temporary(checkpoint)));
        assert_true(figure(json, "training.epoch") >= 1);
        cJSON_Delete(json);
    }
    assert_int_equal(stat(in_temporary(metrics), &info), 0);
    const pid_t pid =
        start_program(NULL, ARGUMENTS("train", "--resume", in_temporary(run), "--threads", "1"));
    await_growth(in_temporary(metrics), info.st_size);
    assert_int_equal(kill(pid, SIGINT), 0);
    const program_run *resumed = finish_program(pid);
    assert_int_equal(resumed->code, 130);
    assert_non_null(strstr(resumed->err, "resumed after"));
}

static void what_is_resumed_is_named_once(void **state)
{
    (void)state;
    const char *run = in_temporary("once");
    succeeded(bnn_run("train", config(), "--out", run, "--quiet", "--threads", "1"));
    assert_one_line(bnn_run("train", run), 2, run, "is a directory", "--resume");
    assert_one_line(bnn_run("train", "--resume", run, "--out", in_temporary("other")), 2, "--out", run);
    assert_one_line(bnn_run("train", "--resume", "--overwrite", run), 2, "--overwrite");
    assert_one_line(bnn_run("train", "--resume", "--dry-run", run), 2, "--dry-run");
    assert_one_line(bnn_run("train", "--resume", "--quiet", run, "--set", "seed=9"), 2, "seed",
                    "another configuration");
    succeeded(bnn_run("train", "--resume", "--quiet", run, "--set", "train.epochs=3"));
    succeeded(bnn_run("train", "--resume", "--quiet", config(), "--out", run, "--set", "train.epochs=4"));
}

/* ---- usage --------------------------------------------------------------------------------------------------- */

static const char *const commands[] = {"train",  "eval",  "predict", "score",    "symmetrize",
                                       "expand", "check", "info",    "calibrate"};

static void help_is_printed_and_usage_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const program_run *run = succeeded(bnn_run(commands[i], "--help"));
        assert_non_null(strstr(run->out, commands[i]));
        assert_non_null(strstr(run->out, "--help"));
        assert_string_equal(run->err, "");
        assert_one_line(bnn_run(commands[i], "--bogus"), 2, commands[i], "--bogus");
        assert_one_line(bnn_run(commands[i]), 2, commands[i]); /* something is missing */
        assert_non_null(strstr(succeeded(bnn_run("--help"))->out, commands[i]));
    }
    assert_non_null(strstr(succeeded(bnn_run("--version"))->out, "bnn "));
    assert_non_null(strstr(succeeded(bnn_run("train", "--keys"))->out, "symmetrization.hold"));
    assert_one_line(bnn_run("trian"), 2, "trian", "unknown command");
    const program_run *run = finish_program(start_program(NULL, (const char *const[]){NULL}));
    assert_int_equal(run->code, 2);
    assert_string_equal(run->out, "");
    assert_non_null(strstr(run->err, "usage"));
}

static void missing_models_are_named(void **state)
{
    static const char *const takers[] = {"eval", "info", "check"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_one_line(bnn_run(takers[i], in_temporary("none.bin")), 2, "none.bin");
        assert_one_line(bnn_run(takers[i], temporary_directory), 2, temporary_directory);
    }
    assert_one_line(bnn_run("eval", MODEL), 2, "--images", "--data");
    assert_one_line(bnn_run("predict", MODEL, "--images", REFERENCE "fcnn/images.npy"), 2, "--out");
    assert_one_line(bnn_run("symmetrize", MODEL, "--out", in_temporary("x")), 2, "--project", "--average");
    assert_one_line(
        bnn_run("symmetrize", MODEL, "--project", "--average", "geometric", "--out", in_temporary("x")), 2,
        "one of");
    assert_one_line(
        bnn_run("eval", MODEL, "--mean", "--sample-sweep", "--images", REFERENCE "fcnn/images.npy"), 2,
        "--mean", "--sample-sweep");
    assert_one_line(bnn_run("expand", MODEL), 2, "--out");
    assert_one_line(bnn_run("expand", MODEL, "--arrangement", "rolled", "--out", in_temporary("x")), 2,
                    "rolled", "row_rolled");
    assert_false(exists("x"));
}

/* ---- predict, score, eval ----------------------------------------------------------------------------------- */

static bnn_npy *read_npy(const char *path)
{
    bnn_npy *array = NULL;
    bnn_error error;
    if (bnn_npy_read(path, &array, &error)) fail_msg("%s", error.message);
    return array;
}

/* `count` entries of the file from `first` on are those of the expected file. */
static void compare_npy(const char *path, size_t rank, const char *expected_path, size_t count)
{
    bnn_npy *found = read_npy(path), *expected = read_npy(expected_path);
    assert_int_equal(found->rank, rank);
    assert_int_equal(found->count, count);
    assert_true(count <= expected->count);
    for (size_t i = 0; i < count; i++) assert_close(found->data[i], expected->data[i], FIGURES, 0.1);
    bnn_npy_free(expected);
    bnn_npy_free(found);
}

static void predictions_are_the_reference_logits(void **state)
{
    const char *out = in_temporary("out.npy");
    (void)state;
    const program_run *run = succeeded(bnn_run("predict", MODEL, "--images", REFERENCE "fcnn/images.npy",
                                               "--mean", "--logits", "--out", out));
    assert_string_equal(run->out, "");
    compare_npy(out, 2, REFERENCE "fcnn/mean_logits_orbit.npy", 6 * 5);
    succeeded(bnn_run("predict", "--orbit", "--mean", "--logits", "--images", REFERENCE "fcnn/images.npy",
                      "--out", out, MODEL));
    compare_npy(out, 3, REFERENCE "fcnn/mean_logits_orbit.npy", 4 * 6 * 5);
}

/* `bnn score` of what `bnn predict MODEL more...` wrote gives these figures of `bnn eval MODEL more...`. */
static void check_scored(const char *const *more, const char *shape, const char *const *names)
{
    const char *images = REFERENCE "fcnn/images.npy", *labels = REFERENCE "fcnn/labels.npy";
    const char *probs = in_temporary("probs.npy");
    const char *predict[16] = {"predict", MODEL, "--images", images, "--out", probs, shape},
               *eval[16] = {"eval",           MODEL,           "--images", images, "--labels", labels,
                            "--equivariance", "--uncertainty", "--json"};
    size_t p = shape ? 7 : 6, e = 9;
    for (; *more; more++) predict[p++] = eval[e++] = *more;
    succeeded(finish_program(start_program(NULL, predict)));
    cJSON *scored = json_of(bnn_run("score", "--probs", probs, "--labels", labels, "--json"));
    cJSON *evaluated = json_of(finish_program(start_program(NULL, eval)));
    for (; *names; names++) /* the file holds float32 */
        assert_close(figure(scored, *names), figure(evaluated, *names), 1e-5, 1e-2);
    cJSON_Delete(evaluated);
    cJSON_Delete(scored);
}

/* predict writes what score reads, in every shape: the same figures as eval prints, whatever the predictive. */
static void score_of_predictions_is_eval(void **state)
{
#define PLAIN "accuracy", "nll", "ece", "brier", "uncertainty.entropy", "uncertainty.aurc"
#define ORBIT                                                                                                \
    PLAIN, "accuracy_orbit", "nll_orbit", "ece_orbit", "brier_orbit", "equivariance.orbit_agreement",        \
        "equivariance.defect.plugin", "equivariance.symmetric_kl.mean",                                      \
        "uncertainty.orbit_mutual_information"
    const char *const *const settings[] = {
        ARGUMENTS("--samples", "6"), ARGUMENTS("--samples", "6", "--draws", "independent"),
        ARGUMENTS("--samples", "5", "--predictive", "group-averaged"), ARGUMENTS("--mean", "--group", "D4")};
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        check_scored(settings[i], NULL, ARGUMENTS(PLAIN));
        check_scored(settings[i], "--orbit", ARGUMENTS(ORBIT));
        check_scored(settings[i], "--each-draw", ARGUMENTS(ORBIT));
    }
    check_scored(settings[0], "--each-draw",
                 ARGUMENTS("equivariance.defect.unbiased", "equivariance.defect.standard_error",
                           "equivariance.defect.single_draw", "uncertainty.mutual_information"));
    assert_one_line(bnn_run("predict", MODEL, "--images", REFERENCE "fcnn/images.npy", "--logits",
                            "--predictive", "group-averaged", "--out", in_temporary("logits.npy")),
                    2, "--logits", "--predictive posterior");
}

static cJSON *expected_figures(const char *path)
{
    char text[8192];
    text[get_file(path, text, sizeof text - 1)] = '\0';
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    return json;
}

/* Each figure of the list, under its name there and its name here. */
static void compare_figures(const cJSON *found, const cJSON *expected, const char *const (*names)[2],
                            size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_close(figure(found, names[i][1]), figure(expected, names[i][0]), 1e-6, 1);
}

static void score_gives_the_reference_figures(void **state)
{
    static const char *const orbit[][2] = {
        {"accuracy", "accuracy"},
        {"accuracy_orbit", "accuracy_orbit"},
        {"nll", "nll"},
        {"orbit_agreement", "equivariance.orbit_agreement"},
        {"orbit_identity_agreement", "equivariance.orbit_identity_agreement"},
        {"symmetric_kl_mean", "equivariance.symmetric_kl.mean"},
        {"symmetric_kl_std", "equivariance.symmetric_kl.std"},
        {"defect_mean", "equivariance.defect.plugin"},
        {"ece_15", "ece"},
        {"brier", "brier"},
        {"entropy_mean", "uncertainty.entropy"}};
    static const char *const draws[][2] = {
        {"defect_plugin", "equivariance.defect.plugin"},
        {"defect_unbiased", "equivariance.defect.unbiased"},
        {"entropy_mean", "uncertainty.entropy"},
        {"mutual_information_mean", "uncertainty.mutual_information"},
        {"orbit_mutual_information_mean", "uncertainty.orbit_mutual_information"}};
    (void)state;
    cJSON *found = json_of(bnn_run("score", "--probs", REFERENCE "metrics/probs_orbit.npy", "--labels",
                                   REFERENCE "metrics/labels.npy", "--json"));
    cJSON *expected = expected_figures(REFERENCE "metrics/expected.json");
    compare_figures(found, expected, orbit, sizeof orbit / sizeof *orbit);
    cJSON_Delete(expected);
    cJSON_Delete(found);
    found = json_of(bnn_run("score", "--json", "--labels", REFERENCE "metrics/labels_samples.npy", "--probs",
                            REFERENCE "metrics/probs_samples.npy"));
    expected = expected_figures(REFERENCE "metrics/expected_samples.json");
    compare_figures(found, expected, draws, sizeof draws / sizeof *draws);
    const cJSON *elements = member(found, "equivariance.defect.per_element");
    for (int g = 0; g < 4; g++)
        assert_close(cJSON_GetArrayItem(elements, g)->valuedouble,
                     cJSON_GetArrayItem(member(expected, "defect_unbiased_per_element"), g)->valuedouble,
                     1e-6, 1);
    cJSON_Delete(expected);
    cJSON_Delete(found);
}

static void eval_prints_the_documented_keys(void **state)
{
    static const char *const figures[] = {"accuracy",
                                          "accuracy_orbit",
                                          "nll",
                                          "nll_orbit",
                                          "ece",
                                          "brier",
                                          "elbo.expected_log_likelihood",
                                          "elbo.kl",
                                          "uncertainty.entropy",
                                          "uncertainty.mutual_information",
                                          "uncertainty.orbit_mutual_information",
                                          "uncertainty.aurc",
                                          "equivariance.samples",
                                          "equivariance.images",
                                          "equivariance.defect.plugin",
                                          "equivariance.defect.unbiased",
                                          "equivariance.defect.standard_error",
                                          "equivariance.defect.single_draw",
                                          "equivariance.orbit_agreement",
                                          "equivariance.orbit_identity_agreement",
                                          "equivariance.symmetric_kl.mean",
                                          "equivariance.symmetric_kl.std",
                                          "equivariance.certificate.residual",
                                          "equivariance.certificate.kl_max",
                                          "equivariance.certificate.l1_bound",
                                          "timing.seconds",
                                          "timing.image_samples_per_second"};
    (void)state;
    const program_run *run = bnn_run("eval", "--json", "--equivariance", MODEL, "--uncertainty", "--images",
                                     REFERENCE "fcnn/images.npy", "--labels", REFERENCE "fcnn/labels.npy",
                                     "--samples", "4", "--threads", "1");
    cJSON *json = json_of(run);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) figure(json, figures[i]);
    assert_non_null(
        strstr(member(json, "no_elbo")->valuestring, "trained on")); /* the file does not say N0 */
    assert_null(cJSON_GetObjectItemCaseSensitive(member(json, "elbo"), "per_example"));
    assert_string_equal(member(json, "equivariance.certificate.of")->valuestring, "q");
    assert_string_equal(member(json, "equivariance.group")->valuestring, "C4");
    assert_true(cJSON_IsTrue(member(json, "equivariance.exact")));
    assert_int_equal(cJSON_GetArraySize(member(json, "equivariance.defect.per_element")), 4);
    assert_int_equal(cJSON_GetArraySize(member(json, "equivariance.certificate.layers")), 3);
    cJSON_Delete(json);
    json = json_of(bnn_run("eval", MODEL, "--images", REFERENCE "fcnn/images.npy", "--labels",
                           REFERENCE "fcnn/labels.npy", "--json"));
    assert_null(cJSON_GetObjectItemCaseSensitive(json, "equivariance"));
    assert_null(cJSON_GetObjectItemCaseSensitive(json, "uncertainty"));
    cJSON_Delete(json);
    json = json_of(bnn_run("eval", MODEL, "--images", REFERENCE "fcnn/images.npy", "--ood",
                           REFERENCE "fcnn/images.npy", "--json"));
    assert_true(figure(json, "uncertainty.ood.auroc_entropy") == 0.5); /* the same images: all are ties */
    assert_true(figure(json, "uncertainty.ood.auroc_mutual_information") == 0.5);
    assert_true(figure(json, "uncertainty.ood.auroc_orbit_mutual_information") == 0.5);
    cJSON_Delete(json);
    assert_one_line(bnn_run("eval", MODEL, "--images", REFERENCE "fcnn/images.npy", "--ood", "mnits"), 2,
                    "--ood", "mnits", "mnist");
    run = succeeded(bnn_run("eval", "--uncertainty", MODEL, "--images", REFERENCE "fcnn/images.npy",
                            "--labels", REFERENCE "fcnn/labels.npy"));
    assert_non_null(strstr(run->out, "reliability, F(x)"));
    assert_non_null(strstr(run->out, "reliability, F(g.x) over the orbit"));
    run = succeeded(bnn_run("eval", "--equivariance", MODEL, "--images", REFERENCE "fcnn/images.npy"));
    assert_non_null(strstr(run->out, "orbit agreement"));
    assert_null(strstr(run->out, "accuracy")); /* there are no labels */
}

/* ---- symmetrize, expand ------------------------------------------------------------------------------------- */

/* Every tensor of the reference file is in the model as it is there. The published projection is right only for
 * conv weights and for the means (tests/reference/README.md). */
static void compare_tensors(const char *path, const char *expected_path, bool project)
{
    bnn_safetensors *found = NULL, *expected = NULL;
    bnn_error error;
    if (bnn_safetensors_read(path, &found, &error) || bnn_safetensors_read(expected_path, &expected, &error))
        fail_msg("%s", error.message);
    assert_int_equal(found->tensor_count, expected->tensor_count);
    for (size_t t = 0; t < expected->tensor_count; t++) {
        const bnn_tensor *wanted = &expected->tensors[t], *tensor = bnn_safetensors_find(found, wanted->name);
        if (!tensor) fail_msg("%s: no %s", path, wanted->name);
        const bool conv_weight = strstr(wanted->name, "conv") && strstr(wanted->name, "weight");
        if (project && !conv_weight && !strstr(wanted->name, "_mu")) continue;
        assert_int_equal(tensor->rank, wanted->rank);
        assert_memory_equal(tensor->shape, wanted->shape, wanted->rank * sizeof *wanted->shape);
        for (size_t i = 0; i < wanted->count; i++)
            assert_close(tensor->data[i], wanted->data[i], FIGURES, 0.1);
    }
    bnn_safetensors_free(expected);
    bnn_safetensors_free(found);
}

static void operators_give_the_reference_files(void **state)
{
    const char *out = in_temporary("operated.bin");
    (void)state;
    succeeded(bnn_run("symmetrize", MODEL, "--average", "geometric", "--out", out));
    compare_tensors(out, REFERENCE "fcnn/average_geometric.safetensors", false);
    succeeded(bnn_run("symmetrize", "--average", "arithmetic", "--out", out, MODEL));
    compare_tensors(out, REFERENCE "fcnn/average_arithmetic.safetensors", false);
    succeeded(bnn_run("symmetrize", MODEL, "--project", "--out", out));
    compare_tensors(out, REFERENCE "fcnn/project.safetensors", true);
    cJSON *json =
        json_of(bnn_run("eval", "--json", "--equivariance", "--images", REFERENCE "fcnn/images.npy", out));
    assert_true(figure(json, "equivariance.certificate.residual") == 0);
    assert_true(figure(json, "equivariance.certificate.l1_bound") == 0);
    cJSON_Delete(json);
}

static void expansions_give_the_reference_files(void **state)
{
    static const char *const names[] = {"gcnn", "row_rolled", "row_constant"};
    const char *out = in_temporary("expanded.bin"), *logits = in_temporary("logits.npy");
    char expected[128];
    (void)state;
    for (size_t a = 0; a < 3; a++) {
        succeeded(bnn_run("expand", MODEL, "--arrangement", names[a], "--out", out));
        snprintf(expected, sizeof expected, REFERENCE "fcnn/expand_%s.safetensors", names[a]);
        compare_tensors(out, expected, false);
        succeeded(bnn_run("predict", out, "--images", REFERENCE "fcnn/images.npy", "--mean", "--logits",
                          "--orbit", "--out", logits));
        snprintf(expected, sizeof expected, REFERENCE "fcnn/expand_%s_mean_logits_orbit.npy", names[a]);
        compare_npy(logits, 3, expected, 4 * 6 * 5);
    }
    assert_one_line(bnn_run("expand", out, "--out", in_temporary("twice.bin")), 2, "regular");
}

/* ---- check, info -------------------------------------------------------------------------------------------- */

/* `bnn check` of the small configuration finds this condition broken (or, with NULL, none). */
#define assert_broken(condition, ...)                                                                        \
    check_broken(bnn_run("check", config(), "--json", "--set", "group=C4", __VA_ARGS__), condition)

static void check_broken(const program_run *run, const char *condition)
{
    cJSON *json = cJSON_Parse(run->out);
    const cJSON *entry;
    bool broken = false;
    assert_int_equal(run->code, condition ? 1 : 0);
    assert_string_equal(run->err, "");
    cJSON_ArrayForEach(entry, member(json, "conditions"))
    {
        const bool kept = cJSON_IsTrue(member(entry, "kept"));
        if (!condition && !kept) fail_msg("broken: %s", member(entry, "reason")->valuestring);
        broken = broken || (!kept && condition && strcmp(member(entry, "name")->valuestring, condition) == 0);
        if (!kept) assert_true(strlen(member(entry, "mend")->valuestring) > 0);
    }
    if (condition && !broken) fail_msg("not broken: %s in %s", condition, run->out);
    cJSON_Delete(json);
}

static void check_names_the_broken_conditions(void **state)
{
    (void)state;
#define HELD "--set", "symmetrization.mode=project", "--set", "symmetrization.hold=true"
    assert_broken(NULL, HELD);
    assert_broken(NULL, "--set", "symmetrization.mode=tie");
    assert_broken("prior invariant", HELD, "--set", "prior.mean=random");
    assert_broken("optimiser commutes with rho", HELD, "--set", "symmetrization.trigger_epoch=1", "--set",
                  "symmetrization.keep_optimizer_state=true");
    assert_broken("gradient noise symmetric", "--set", "symmetrization.mode=project");
    assert_broken("data complete over G", HELD, "--set", "symmetrization.augmentation=random");
    assert_broken("initial q invariant", "--set", "symmetrization.mode=augment");
    assert_broken("architecture commutes with G", "--set", "model.type=mlp", "--set", "group=C8");
    assert_broken("group acts exactly on images", "--set", "model.type=mlp", "--set", "group=C8");
#define ODD_POOLS                                                                                            \
    "--set", "model.input=[1, 28, 28]", "--set", "model.channels=[8, 8, 8]", "--set", "model.pool=[]"
    assert_broken("architecture commutes with G", HELD, ODD_POOLS);
    assert_broken(NULL, HELD, ODD_POOLS, "--set", "model.pool=auto");   /* no pool on 7 x 7 */
    assert_broken("group acts exactly on images", "--set", "group=T3"); /* 8 is no multiple of 3 */
    assert_broken("data complete over G", HELD, "--set", "symmetrization.augmentation=none", ODD_POOLS);
    assert_broken("initial q invariant", "--set", "symmetrization.mode=tie", "--set",
                  "posterior.family=lognormal");
    check_broken(
        bnn_run("check", config(), "--json", "--set", "group=C1", "--set", "symmetrization.mode=augment"),
        NULL);
    const program_run *run = bnn_run("check", config(), ODD_POOLS);
    assert_int_equal(run->code, 1);
    assert_non_null(strstr(run->out, "7 x 7"));
    assert_non_null(strstr(run->out, "mend"));
}

static void check_and_info_tell_of_a_model(void **state)
{
    (void)state;
    const program_run *run = bnn_run("check", MODEL);
    assert_int_equal(run->code, 1);
    assert_non_null(strstr(run->out, "conv_layers.0"));
    cJSON *json = json_of(bnn_run("info", MODEL, "--json"));
    assert_string_equal(member(json, "type")->valuestring, "fcnn");
    assert_true(figure(json, "parameters") == 4 * 9 + 4 + 8 * 4 * 9 + 8 + 5 * 8 + 5);
    assert_string_equal(member(json, "config.group")->valuestring, "C4");
    cJSON *expected = expected_figures(REFERENCE "fcnn/expected.json");
    assert_close(figure(json, "kl"), figure(expected, "kl"), 1e-5, 1);
    cJSON_Delete(expected);
    cJSON_Delete(json);
    assert_non_null(strstr(succeeded(bnn_run("info", MODEL))->out, "conv_layers.1"));
}

/* ---- a first minute ------------------------------------------------------------------------------------------ */

/* What is left out has a default, what is assumed is said, and what it costs is said before any progress. */
static void data_alone_is_a_configuration(void **state)
{
    char text[512];
    const char *d = temporary_directory;
    snprintf(text, sizeof text,
             "{\"data\": {\"name\": \"idx\", \"train_images\": \"%s/train-images\", \"train_labels\": "
             "\"%s/train-labels\"}, \"train\": {\"batch_size\": 16, \"epochs\": 3}}",
             d, d);
    const char *path = put_file("minimal.json", text, strlen(text)), *out = in_temporary("minimal");
    (void)state;
    const program_run *run = succeeded(bnn_run("train", path, "--out", out, "--threads", "2"));
    const char *const said = strstr(run->err, "group is not set: C1"),
                      *const cost = strstr(run->err, " (3 epochs of "),
                      *const first = strstr(run->err, "epoch 1/3");
    if (!said || !cost || !first || said > cost || cost > first) fail_msg("%s", run->err);
    assert_non_null(strstr(cost, " image-samples/s, 2 threads)\n"));
    cJSON *json = json_of(bnn_run("train", path, "--dry-run"));
    assert_string_equal(member(json, "group")->valuestring, "C1");
    assert_string_equal(member(json, "model.type")->valuestring, "fcnn");
    assert_int_equal(cJSON_GetArraySize(member(json, "model.pool")),
                     cJSON_GetArraySize(member(json, "model.channels")));
    cJSON_Delete(json);

    /* a cost that changes is said anew; a group that is set is not remarked on */
    run = succeeded(bnn_run("train", path, "--out", out, "--overwrite", "--threads", "1", "--set", "group=C2",
                            "--set", "symmetrization.mode=orbit-expansion", "--set",
                            "symmetrization.stage1_epochs=2", "--set", "train.map_epochs=1"));
    if (strstr(run->err, "group is not set") || !strstr(run->err, "\nepoch 1: ") ||
        !strstr(run->err, "\nepoch 2: ") || !strstr(run->err, "\nepoch 3: "))
        fail_msg("%s", run->err);
}

/* ---- damaged models ----------------------------------------------------------------------------------------- */

static const program_run *eval_of(const char *path)
{
    return bnn_run("eval", path, "--images", REFERENCE "fcnn/images.npy", "--samples", "1", "--threads", "1");
}

static void damaged_models_are_refused(void **state)
{
    static uint8_t bytes[1 << 16];
    const size_t size = get_file(MODEL, bytes, sizeof bytes);
    (void)state;
    for (size_t i = 0; i < 12; i++)
        assert_one_line(eval_of(put_file("cut.bin", bytes, i < 3 ? 4 * i : i * size / 12)), 2, "cut.bin");
    for (size_t i = 0; i < 24; i++) {
        const size_t at = i < 8 ? i : i * 53;
        bytes[at] ^= (uint8_t)(1 << i % 8);
        const program_run *run = eval_of(put_file("flipped.bin", bytes, size));
        bytes[at] ^= (uint8_t)(1 << i % 8);
        if (run->code != 0)
            assert_one_line(run, 2, "flipped.bin"); /* some bits are of a name that nobody reads */
        if (i < 8) assert_int_equal(run->code, 2);
    }
}

/* Sizes whose products overflow: 65536^4 is 0 modulo 2^64. */
static void models_beyond_memory_are_refused(void **state)
{
    static const char header[] =
        "{\"__metadata__\": {\"format\": \"bnn\", \"config\": \"{\\\"group\\\": \\\"C4\\\", \\\"model\\\": "
        "{\\\"type\\\": \\\"mlp\\\", \\\"input\\\": [65536, 65536, 65536], \\\"classes\\\": 3, "
        "\\\"hidden\\\": [65536]}}\"}}";
    uint8_t bytes[8 + sizeof header] = {(uint8_t)(sizeof header - 1), (sizeof header - 1) >> 8};
    (void)state;
    memcpy(bytes + 8, header, sizeof header - 1);
    const char *path = put_file("huge.bin", bytes, 8 + sizeof header - 1);
    assert_one_line(bnn_run("check", path), 2, "65536 x 65536 x 65536", "memory");
    const program_run *run = bnn_run("train", config(), "--out", in_temporary("huge"), "--set",
                                     "model.type=mlp", "--set", "model.hidden=[1048576, 1048576]");
    assert_int_equal(run->code, 1); /* the sanitizer adds a warning of its own to the line */
    assert_non_null(strstr(run->err, "out of memory"));
    assert_false(exists("huge"));
}

static void a_full_device_is_told(void **state)
{
    static const char *const printers[] = {"--help", "--version"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char command[PATH_MAX + 64];
        snprintf(command, sizeof command, "%s %s >/dev/full 2>/dev/null", program_path, printers[i]);
        assert_int_equal(WEXITSTATUS(system(command)), 1);
    }
    assert_one_line(bnn_run("predict", MODEL, "--images", REFERENCE "fcnn/images.npy", "--out", "/dev/full"),
                    1, "/dev/full", "No space");
}

static int set_up(void **state)
{
    if (find_program() || make_temporary_directory(state)) return -1;
    put_data_set();
    return setenv("ASAN_OPTIONS", "allocator_may_return_null=1", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_in_settings_are_refused),
        cmocka_unit_test(mistakes_in_data_are_refused),
        cmocka_unit_test(mistakes_in_test_files_are_refused),
        cmocka_unit_test(truncated_gzip_is_refused),
        cmocka_unit_test(places_that_cannot_be_written_are_refused),
        cmocka_unit_test(a_run_leaves_its_files),
        cmocka_unit_test(the_users_configuration_is_left_alone),
        cmocka_unit_test(a_moved_run_finds_its_data),
        cmocka_unit_test(images_of_another_scale_are_told),
        cmocka_unit_test(one_background_serves_every_file),
        cmocka_unit_test(test_files_may_be_left_out),
        cmocka_unit_test(other_data_may_have_other_classes),
        cmocka_unit_test(a_bad_destination_is_found_before_the_work),
        cmocka_unit_test(json_is_utf8_whatever_the_names),
        cmocka_unit_test(an_interrupted_run_leaves_a_checkpoint),
        cmocka_unit_test(what_is_resumed_is_named_once),
        cmocka_unit_test(help_is_printed_and_usage_checked),
        cmocka_unit_test(missing_models_are_named),
        cmocka_unit_test(predictions_are_the_reference_logits),
        cmocka_unit_test(score_of_predictions_is_eval),
        cmocka_unit_test(score_gives_the_reference_figures),
        cmocka_unit_test(eval_prints_the_documented_keys),
        cmocka_unit_test(operators_give_the_reference_files),
        cmocka_unit_test(expansions_give_the_reference_files),
        cmocka_unit_test(check_names_the_broken_conditions),
        cmocka_unit_test(check_and_info_tell_of_a_model),
        cmocka_unit_test(data_alone_is_a_configuration),
        cmocka_unit_test(damaged_models_are_refused),
        cmocka_unit_test(models_beyond_memory_are_refused),
        cmocka_unit_test(a_full_device_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, remove_temporary_directory);
}
