/* What the program says of itself and of where its figures come from, and standard input and output as files. */
#include <signal.h>
#include <sys/ioctl.h>

#include "bnn/npy.h"
#include "images.h"
#include "program.h"

#define FOLDER REFERENCE "fcnn/"
#define MODEL FOLDER "model.bin"
#define IMAGES_OF_MODEL "--images", FOLDER "images.npy"
#define LABELLED IMAGES_OF_MODEL, "--labels", FOLDER "labels.npy"

/* ---- where figures come from -------------------------------------------------------------------------------- */

/* The first word of what sha256sum prints of a file. */
static const char *sha256_of(const char *path)
{
    static char digest[65];
    char command[PATH_MAX + 32];
    snprintf(command, sizeof command, "sha256sum '%s'", path);
    FILE *stream = popen(command, "r");
    assert_non_null(stream);
    assert_int_equal(fread(digest, 1, 64, stream), 64);
    pclose(stream);
    return digest;
}

static void assert_text(const cJSON *json, const char *path, const char *expected)
{
    const char *found = cJSON_GetStringValue(member(json, path));
    if (!found) fail_msg("%s is no text", path);
    assert_string_equal(found, expected);
}

static void assert_identified(const cJSON *json, const char *path, const char *file)
{
    char version[64];
    assert_text(json, "model.path", path);
    assert_text(json, "model.sha256", sha256_of(file));
    assert_text(json, "model.group", "C4");
    assert_true(figure(json, "model.seed") == 0);
    snprintf(version, sizeof version, "bnn %s (", member(json, "model.version")->valuestring);
    const program_run *run = succeeded(bnn_run("--version"));
    assert_int_equal(strncmp(run->out, version, strlen(version)), 0);
    assert_text(json, "config.model.type", "fcnn");
}

static void figures_tell_their_model(void **state)
{
    (void)state;
    cJSON *json = json_of(bnn_run("eval", MODEL, LABELLED, "--json", "--samples", "3"));
    assert_identified(json, MODEL, MODEL);
    assert_text(json, "data.images", FOLDER "images.npy");
    assert_text(json, "data.labels", FOLDER "labels.npy");
    assert_true(figure(json, "prediction.samples") == 3);
    assert_text(json, "prediction.draws", "shared");
    assert_text(json, "prediction.predictive", "posterior");
    cJSON_Delete(json);
    json = json_of(bnn_run("info", MODEL, "--json"));
    assert_identified(json, MODEL, MODEL);
    cJSON_Delete(json);
    const program_run *run = bnn_run("check", MODEL, "--json", "--group", "C2");
    json = cJSON_Parse(run->out);
    assert_identified(json, MODEL, MODEL);
    cJSON_Delete(json);
    json = json_of(
        bnn_run("eval", MODEL, IMAGES_OF_MODEL, "--mean", "--predictive", "group-averaged", "--json"));
    assert_true(cJSON_IsTrue(member(json, "prediction.mean")));
    assert_text(json, "prediction.predictive", "group-averaged");
    assert_true(figure(json, "timing.forward_passes") == 4); /* w = mu, in four poses */
    assert_null(cJSON_GetObjectItem(member(json, "prediction"), "samples"));
    cJSON_Delete(json);
}

/* A short training's configuration, and its data. */
static const char *training(void)
{
    put_data_set();
    return put_small_config();
}

/* A run's folder is its model.bin, and its data and configuration are those of its training. */
static void figures_tell_their_run(void **state)
{
    char folder[256], path[300];
    const char *config = training();
    (void)state;
    snprintf(folder, sizeof folder, "%s", in_temporary("run"));
    snprintf(path, sizeof path, "%s/model.bin", folder);
    succeeded(bnn_run("train", config, "--out", folder, "--quiet", "--threads", "1"));
    cJSON *json = json_of(bnn_run("eval", folder, "--json"));
    assert_text(json, "model.path", path);
    assert_text(json, "model.sha256", sha256_of(path));
    assert_true(figure(json, "model.seed") == 5);
    assert_text(json, "data.name", "idx");
    assert_text(json, "data.split", "test");
    assert_true(figure(json, "config.train.epochs") == 2);
    cJSON_Delete(json);
    const program_run *run = bnn_run("check", config, "--json");
    json = cJSON_Parse(run->out);
    assert_true(figure(json, "config.seed") == 5);
    cJSON_Delete(json);
}

/* ---- several models ------------------------------------------------------------------------------------------ */

static void several_models_are_each_evaluated(void **state)
{
    const char *other = in_temporary("projected.bin");
    const char *const paths[] = {MODEL, other};
    (void)state;
    succeeded(bnn_run("symmetrize", MODEL, "--project", "--out", other));
    cJSON *all = json_of(bnn_run("eval", MODEL, other, LABELLED, "--json", "--equivariance"));
    const cJSON *models = member(all, "models");
    assert_int_equal(cJSON_GetArraySize(models), 2);
    for (int i = 0; i < 2; i++) {
        cJSON *found = cJSON_GetArrayItem(models, i);
        cJSON *alone = json_of(bnn_run("eval", paths[i], LABELLED, "--json", "--equivariance"));
        cJSON_DeleteItemFromObject(alone, "timing");
        cJSON_DeleteItemFromObject(found, "timing");
        assert_true(cJSON_Compare(alone, found, 1));
        cJSON_Delete(alone);
    }
    const program_run *run = succeeded(bnn_run("eval", MODEL, other, LABELLED));
    char accuracy[32], *second = strstr(run->out, "\n");
    snprintf(accuracy, sizeof accuracy, " %.4f ", figure(cJSON_GetArrayItem(models, 1), "nll"));
    assert_non_null(second);
    const char *third = strstr(second + 1, "\n");
    assert_non_null(third);
    assert_int_equal(strncmp(run->out, "model ", 6), 0);
    assert_int_equal(strncmp(second + 1, MODEL, strlen(MODEL)), 0);
    assert_int_equal(strncmp(third + 1, other, strlen(other)), 0);
    assert_non_null(strstr(third, accuracy));
    assert_null(strstr(run->out, "not the same images"));
    cJSON_Delete(all);
    assert_one_line(bnn_run("eval", MODEL, other, LABELLED, "--worst", "2"), 2, "--worst", "--json");
    assert_one_line(bnn_run("eval", MODEL, "none.bin", LABELLED), 2, "none.bin");
}

/* ---- standard input and output ------------------------------------------------------------------------------- */

static size_t read_all(const char *path, char *bytes, size_t capacity)
{
    const size_t size = get_file(path, bytes, capacity - 1);
    bytes[size] = '\0';
    return size;
}

static void a_dash_is_standard_input(void **state)
{
    char bytes[1 << 16];
    (void)state;
    program_in = training();
    cJSON *piped = json_of(bnn_run("train", "-", "--dry-run")),
          *named = json_of(bnn_run("train", program_in, "--dry-run"));
    assert_true(cJSON_Compare(piped, named, 1));
    cJSON_Delete(named);
    cJSON_Delete(piped);
    program_in = put_file("broken.json", "{\"seed\": }", 10);
    assert_one_line(bnn_run("train", "-", "--out", in_temporary("x")), 2, "standard input: line 1, column");
    program_in = MODEL;
    piped = json_of(bnn_run("eval", "-", LABELLED, "--json"));
    assert_identified(piped, "standard input", MODEL);
    cJSON_Delete(piped);
    assert_one_line(bnn_run("predict", "-", "--images", "-", "--out", in_temporary("x")), 2, "2 times",
                    "standard input");
    assert_one_line(bnn_run("train", in_temporary("config.json"), "--out", "-"), 2, "--out", "folder");
    program_in = FOLDER "images.npy";
    const program_run *run =
        succeeded(bnn_run("predict", MODEL, "--images", "-", "--out", "-", "--samples", "4"));
    assert_string_equal(run->err, "");
    const size_t size = get_file(program_out, bytes, sizeof bytes);
    program_in = put_file("piped.npy", bytes, size);
    cJSON *scored = json_of(bnn_run("score", "--probs", "-", "--labels", FOLDER "labels.npy", "--json"));
    cJSON *evaluated = json_of(bnn_run("eval", MODEL, LABELLED, "--samples", "4", "--json"));
    assert_close(figure(scored, "nll"), figure(evaluated, "nll"), 1e-5, 1e-2);
    cJSON_Delete(evaluated);
    cJSON_Delete(scored);
    program_in = NULL;
}

/* ---- predictions --------------------------------------------------------------------------------------------- */

/* Every number of the CSV is the array's, and every index counts as the array does. */
static void check_csv(const char *const *more, const char *header)
{
    const char *predict[16] = {"predict", MODEL, IMAGES_OF_MODEL, "--samples", "3", "--out"};
    static char csv[1 << 18];
    bnn_npy *array = NULL;
    size_t n = 7, count = 0;
    for (; *more; more++) predict[n++ + 1] = *more;
    predict[7] = in_temporary("p.npy");
    succeeded(finish_program(start_program(NULL, predict)));
    predict[7] = in_temporary("p.csv");
    succeeded(finish_program(start_program(NULL, predict)));
    assert_int_equal(bnn_npy_read(in_temporary("p.npy"), &array, NULL), BNN_OK);
    read_all(in_temporary("p.csv"), csv, sizeof csv);
    assert_int_equal(strncmp(csv, header, strlen(header)), 0);
    const size_t classes = array->shape[array->rank - 1];
    char *at = csv + strlen(header);
    for (size_t row = 0; row < array->count / classes; row++) {
        size_t place = 0;
        for (size_t d = 0; d + 1 < array->rank; d++, at++)
            place = place * array->shape[d] + (size_t)strtoul(at, &at, 10);
        assert_int_equal(place, row);
        for (size_t c = 0; c < classes; c++, at++) {
            assert_true((bnn_real)strtod(at, &at) == (bnn_real)array->data[count++]);
            assert_int_equal(*at, c + 1 < classes ? ',' : '\n');
        }
    }
    assert_int_equal(*at, '\0');
    bnn_npy_free(array);
}

static void csv_is_the_array(void **state)
{
    (void)state;
    check_csv((const char *const[]){NULL}, "image,p0,p1,p2,p3,p4\n");
    check_csv(ARGUMENTS("--orbit"), "element,image,p0,p1,p2,p3,p4\n");
    check_csv(ARGUMENTS("--each-draw", "--logits"),
              "draw,element,image,logit0,logit1,logit2,logit3,logit4\n");
    const program_run *run =
        succeeded(bnn_run("predict", MODEL, IMAGES_OF_MODEL, "--mean", "--csv", "--out", "-"));
    assert_int_equal(strncmp(run->out, "image,p0", 8), 0);
}

/* Of logits, score gives what eval does, to the last digits that the file keeps. */
static void scores_of_logits_are_those_of_eval(void **state)
{
    static const char *const names[] = {"nll",
                                        "brier",
                                        "ece",
                                        "nll_orbit",
                                        "equivariance.defect.unbiased",
                                        "uncertainty.mutual_information",
                                        "uncertainty.entropy"};
    const char *logits = in_temporary("l.npy");
    (void)state;
    succeeded(bnn_run("predict", MODEL, IMAGES_OF_MODEL, "--each-draw", "--logits", "--out", logits));
    cJSON *scored = json_of(bnn_run("score", "--logits", logits, "--labels", FOLDER "labels.npy", "--json"));
    cJSON *evaluated = json_of(bnn_run("eval", MODEL, LABELLED, "--equivariance", "--uncertainty", "--json"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_close(figure(scored, names[i]), figure(evaluated, names[i]), 1e-12, 1e-3);
    cJSON_Delete(evaluated);
    cJSON_Delete(scored);
    /* far beyond what probabilities can say: class 1 is 2000 nats behind */
    const size_t shape[] = {1, 2};
    const double far[] = {1000, -1000}, label = 1;
    assert_int_equal(bnn_npy_write(logits, far, 2, shape, 8, NULL), BNN_OK);
    const char *labels = in_temporary("labels.npy");
    assert_int_equal(bnn_npy_write(labels, &label, 1, shape, 8, NULL), BNN_OK);
    scored = json_of(bnn_run("score", "--logits", logits, "--labels", labels, "--json"));
    assert_close(figure(scored, "nll"), 2000, 1e-12, 1);
    cJSON_Delete(scored);
    assert_int_equal(bnn_npy_write(logits, (double[]){0, INFINITY}, 2, shape, 8, NULL), BNN_OK);
    assert_one_line(bnn_run("score", "--logits", logits), 2, "l.npy", "infinity", "class 1");
    assert_one_line(bnn_run("score", "--logits", logits, "--probs", logits), 2, "one of --probs");
    assert_one_line(bnn_run("score"), 2, "one of --probs");
    assert_one_line(bnn_run("score", "--logits", logits, "--renormalize"), 2, "--renormalize");
}

/* ---- help ---------------------------------------------------------------------------------------------------- */

static void help_and_near_misses(void **state)
{
    char version[256];
    (void)state;
    strcpy(version, succeeded(bnn_run("--version"))->out);
    assert_string_equal(succeeded(bnn_run("-V"))->out, version);
    static char help[1 << 14];
    strcpy(help, succeeded(bnn_run("predict", "--help"))->out);
    assert_string_equal(succeeded(bnn_run("help", "predict"))->out, help);
    assert_string_equal(succeeded(bnn_run("--help", "predict"))->out, help);
    strcpy(help, succeeded(bnn_run("help"))->out);
    assert_string_equal(succeeded(bnn_run("-h"))->out, help);
    assert_one_line(bnn_run("evla"), 2, "did you mean 'eval'?");
    assert_one_line(bnn_run("help", "symetrize"), 2, "did you mean 'symmetrize'?");
    assert_one_line(bnn_run("eval", MODEL, "--equivarance"), 2, "did you mean --equivariance");
    assert_one_line(bnn_run("train", FOLDER "images.npy", "--sett", "a=1"), 2, "did you mean --set");
    assert_one_line(bnn_run("help", "--as", "man", "train"), 2, "--as", "expected none");
}

/* ---- progress ------------------------------------------------------------------------------------------------ */

enum { WIDTH = 32 };

/* Starts `bnn arguments...` with standard error on a terminal of WIDTH columns; *terminal <- its other end. */
static pid_t start_on_terminal(const char *kind, const char *const *arguments, int *terminal)
{
    const struct winsize size = {.ws_row = 24, .ws_col = WIDTH};
    *terminal = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(*terminal >= 0 && grantpt(*terminal) == 0 && unlockpt(*terminal) == 0);
    const int slave = open(ptsname(*terminal), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0 && ioctl(slave, TIOCSWINSZ, &size) == 0);
    assert_int_equal(setenv("TERM", kind, 1), 0);
    const char *argv[40] = {program_path};
    for (size_t n = 0; arguments[n]; n++) argv[n + 1] = arguments[n];
    posix_spawn_file_actions_t actions;
    pid_t pid;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, slave, 2);
    assert_int_equal(posix_spawn(&pid, program_path, &actions, NULL, (char *const *)argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(slave);
    return pid;
}

/* What the terminal shows until the program ends, or until it has shown `until`; then the program is ended. */
static void watch(pid_t pid, int terminal, const char *until, char *text, size_t capacity)
{
    size_t size = 0;
    int status;
    for (;;) {
        const ssize_t got = read(terminal, text + size, capacity - 1 - size);
        if (got <= 0) break;
        text[size += (size_t)got] = '\0';
        if (until && strstr(text, until)) break;
    }
    text[size] = '\0';
    close(terminal);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* No line, live or kept, is as wide as the terminal. */
static void assert_never_wraps(const char *text)
{
    size_t column = 0;
    for (; *text; text++) {
        if (strncmp(text, "\033[K", 3) == 0)
            text += 2;
        else
            column = *text == '\r' || *text == '\n' ? 0 : column + 1;
        if (column >= WIDTH) fail_msg("wraps before: %.60s", text);
    }
}

static void progress_keeps_to_the_terminal(void **state)
{
    static char text[1 << 16];
    const char *path = training();
    int terminal;
    (void)state;
    const char *const *train =
        ARGUMENTS("train", path, "--out", in_temporary("watched"), "--overwrite", "--threads", "1");
    pid_t pid = start_on_terminal("xterm", train, &terminal);
    watch(pid, terminal, NULL, text, sizeof text);
    char *live = strstr(text, "\r\033[Kepoch 1/2"), *end = strstr(text, "\nmodel: ");
    if (!live || !end) fail_msg("no live line: %s", text);
    *end = '\0';                                /* it is a path, which is never broken */
    assert_non_null(strstr(text, "epoch 2/2")); /* and its figures, though they take several lines */
    assert_non_null(strstr(text, "  acc 0."));
    assert_never_wraps(text);

    pid = start_on_terminal("dumb", train, &terminal);
    watch(pid, terminal, NULL, text, sizeof text);
    assert_null(strstr(text, "\033"));
    assert_non_null(strstr(text, "epoch 2/2  nll*N"));

    /* predictions that take long enough to be told of: more draws than will ever be waited for */
    const char *const *predict = ARGUMENTS("predict", MODEL, IMAGES_OF_MODEL, "--samples", "1000000", "--out",
                                           in_temporary("never.npy"), "--threads", "1");
    pid = start_on_terminal("xterm", predict, &terminal);
    watch(pid, terminal, "%", text, sizeof text);
    if (!strstr(text, "\r\033[K") || !strchr(text, '%')) fail_msg("no progress: %s", text);
    assert_never_wraps(text);
}

static int set_up(void **state)
{
    return find_program() || make_temporary_directory(state) ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_tell_their_model),
        cmocka_unit_test(figures_tell_their_run),
        cmocka_unit_test(several_models_are_each_evaluated),
        cmocka_unit_test(a_dash_is_standard_input),
        cmocka_unit_test(csv_is_the_array),
        cmocka_unit_test(scores_of_logits_are_those_of_eval),
        cmocka_unit_test(help_and_near_misses),
        cmocka_unit_test(progress_keeps_to_the_terminal),
    };
    return cmocka_run_group_tests(tests, set_up, remove_temporary_directory);
}
