/* bnn show: the numbers that it draws, read by a gnuplot that only repeats its script; the picture that gnuplot makes of
 * them; and what it says when it cannot. */
#include <math.h>
#include <stdlib.h>

#include "bnn/npy.h"
#include "trainings.h"

#define SHOWN 2
#define DRAWS 3
#define ORDER 4

static char usual_path[4096];

static bnn_npy *predicted(const char *name, const char *how)
{
    bnn_npy *array = NULL;
    succeeded(bnn_run("predict", in_temporary("run"), how, "--samples", "3", "--out", in_temporary(name)));
    assert_int_equal(bnn_npy_read(in_temporary(name), &array, NULL), BNN_OK);
    return array;
}

/* Goes to the next line of the script that is `text`, and behind it. */
static const char *after(const char *script, const char *text)
{
    const char *found = strstr(script, text);
    if (!found) fail_msg("the script has no more \"%s\"", text);
    return found + strlen(text);
}

/* What gnuplot is given. */
static const char *script_of(const char *model, const char *option)
{
    static char script[1 << 20];
    const char *drawn = in_temporary("script.png");
    put_file("gnuplot", "#!/bin/sh\nexec cat\n", 19);
    assert_int_equal(chmod(in_temporary("gnuplot"), 0755), 0);
    assert_int_equal(setenv("PATH", strcat(strcpy(script, temporary_directory), ":/usr/bin:/bin"), 1), 0);
    succeeded(bnn_run("show", in_temporary(model), "--count", "2", "--first", "1", "--samples", "3", "--out",
                      drawn, option));
    script[get_file(drawn, script, sizeof script - 1)] = '\0';
    return script;
}

/* p (CLASSES) <- F^(1/T) / sum of m + step (value - m), at temperature T. */
static void temper(const double *m, const double *value, double step, double temperature, double *p)
{
    double sum = 0;
    for (size_t c = 0; c < CLASSES; c++) sum += p[c] = pow(m[c] + step * (value[c] - m[c]), 1 / temperature);
    for (size_t c = 0; c < CLASSES; c++) p[c] /= sum;
}

/* Bars, in their order on the page, are the means over draws that predict gives, at a temperature, and twice the standard errors
 * of those, here by differences; the label's has a colour of its own. */
static void compare_bars(const char *script, double temperature)
{
    enum { ROW = IMAGES / 2 * CLASSES };
    const double step = 1e-3;
    bnn_npy *each = predicted("each.npy", "--each-draw");
    const char *at = script;
    for (size_t i = 1; i < 1 + SHOWN; i++)
        for (size_t g = 0; g < ORDER; g++) {
            double value[DRAWS][CLASSES], m[CLASSES] = {0}, p[CLASSES], squares[CLASSES] = {0};
            for (size_t k = 0; k < DRAWS * CLASSES; k++) {
                const size_t t = k / CLASSES, c = k % CLASSES;
                value[t][c] = each->data[t * ORDER * ROW + g * ROW + i * CLASSES + c];
                m[c] += value[t][c] / DRAWS;
            }
            for (size_t t = 0; t < DRAWS; t++) {
                double less[CLASSES], more[CLASSES];
                temper(m, value[t], -step, temperature, less);
                temper(m, value[t], step, temperature, more);
                for (size_t c = 0; c < CLASSES; c++) squares[c] += pow((more[c] - less[c]) / (2 * step), 2);
            }
            temper(m, m, 0, temperature, p);
            at = after(at, "$bars << END\n");
            for (size_t c = 0; c < CLASSES; c++) {
                char *end;
                assert_int_equal(strtoul(at, &end, 10), c);
                assert_true(fabs(strtod(end, &end) - p[c]) < 1e-6);
                assert_true(fabs(strtod(end, &end) - 2 * sqrt(squares[c] / (DRAWS * (DRAWS - 1)))) < 1e-6);
                assert_int_equal(strtoul(end, &end, 10) == 0x2a9d5c, c == i % CLASSES);
                at = end + 1;
            }
        }
    assert_null(strstr(at, "$bars << END\n"));
    bnn_npy_free(each);
}

static void bars_are_the_predictions(void **state)
{
    (void)state;
    compare_bars(script_of("run", NULL), 1);
}

static void a_calibrated_model_is_shown_at_its_temperature(void **state)
{
    char title[64];
    (void)state;
    char images[256], labels[256];
    snprintf(images, sizeof images, "%s", put_images("more-images", 40, SIDE, SIDE));
    snprintf(labels, sizeof labels, "%s", put_labels("more-labels", 40, 39 % CLASSES));
    cJSON *json = json_of(bnn_run("calibrate", in_temporary("run"), "--json", "--samples", "3", "--images",
                                  images, "--labels", labels, "--out", in_temporary("calibrated.bin")));
    const double temperature = figure(json, "temperature");
    assert_true(fabs(temperature - 1) > 0.01);
    snprintf(title, sizeof title, "at temperature %.4g", temperature);
    const char *script = script_of("calibrated.bin", NULL);
    assert_non_null(strstr(script, title));
    compare_bars(script, temperature);
    script = script_of("calibrated.bin", "--no-calibration");
    assert_null(strstr(script, "at temperature"));
    compare_bars(script, 1);
    cJSON_Delete(json);
}

static void gnuplot_makes_a_png_of_them(void **state)
{
    uint8_t bytes[24];
    (void)state;
    assert_int_equal(setenv("PATH", usual_path, 1), 0);
    const program_run *run =
        succeeded(bnn_run("show", in_temporary("run"), "--count", "2", "--out", in_temporary("x.png")));
    assert_string_equal(run->out, "");
    assert_string_equal(run->err, "");
    assert_int_equal(get_file(in_temporary("x.png"), bytes, sizeof bytes), sizeof bytes);
    assert_memory_equal(bytes, "\x89PNG\r\n\x1a\n", 8);
    const size_t width = (size_t)bytes[18] << 8 | bytes[19], height = (size_t)bytes[22] << 8 | bytes[23];
    assert_in_range(width, 600, 1200);
    assert_in_range(height, 500, 1000);
}

/* Of a configuration, the training images as its seed chooses them, and nothing predicted. */
static void a_configuration_shows_its_images(void **state)
{
    static char script[1 << 20];
    const char *config = in_temporary("config.json"), *drawn = in_temporary("script.png");
    (void)state;
    assert_int_equal(setenv("PATH", strcat(strcpy(script, temporary_directory), ":/usr/bin:/bin"), 1), 0);
    succeeded(bnn_run("show", config, "--count", "2", "--set", "group=C2", "--out", drawn));
    script[get_file(drawn, script, sizeof script - 1)] = '\0';
    const char *at = script;
    for (size_t i = 0; i < 2 * 2; i++) at = after(at, "$image << END\n");
    assert_null(strstr(at, "$image <<"));
    assert_null(strstr(script, "$bars"));
    after(after(script, "training images"), "C2");
    assert_int_equal(setenv("PATH", usual_path, 1), 0);
    succeeded(bnn_run("show", config, "--out", in_temporary("y.png")));
    const char *out = in_temporary("nothing.png");
    assert_one_line(bnn_run("show", config, "--samples", "3", "--out", out), 2, "--samples is for models");
    assert_one_line(bnn_run("show", config, "--group", "C2", "--out", out), 2, "--group is for models");
    assert_one_line(bnn_run("show", in_temporary("run"), "--set", "seed=1", "--out", out), 2,
                    "--set is for conf");
    assert_one_line(bnn_run("show", config, "--set", "data.train_size=1e9", "--out", out), 2,
                    "data.train_size");
    assert_int_equal(access(out, F_OK), -1);
}

static void what_cannot_be_drawn_is_said(void **state)
{
    const char *run = in_temporary("run"), *out = in_temporary("nothing.png");
    (void)state;
    assert_one_line(bnn_run("show", run), 2, "--out X.png is missing");
    assert_one_line(bnn_run("show", run, "--out", out, "--first", "32"), 2, "--first", "32");
    assert_one_line(bnn_run("show", run, "--out", out, "--count", "0"), 2, "--count");
    assert_int_equal(setenv("PATH", "/nowhere", 1), 0);
    assert_one_line(bnn_run("show", run, "--out", out), 1, "gnuplot", "gnuplot-nox");
    put_file("gnuplot", "#!/bin/sh\necho oh no >&2\nexit 3\n", 32);
    assert_int_equal(setenv("PATH", temporary_directory, 1), 0);
    assert_one_line(bnn_run("show", run, "--out", out), 1, "gnuplot", "oh no");
    put_file("gnuplot", "#!/bin/sh\n", 10);
    assert_one_line(bnn_run("show", run, "--out", out), 1, "gnuplot", "nothing");
    assert_int_equal(access(out, F_OK), -1);
    assert_int_equal(setenv("PATH", usual_path, 1), 0);
}

static int set_up(void **state)
{
    if (set_up_trainings(state)) return -1;
    snprintf(usual_path, sizeof usual_path, "%s", getenv("PATH"));
    put_small_config();
    return bnn_run("train", in_temporary("config.json"), "--out", in_temporary("run"))->code;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bars_are_the_predictions),
        cmocka_unit_test(a_calibrated_model_is_shown_at_its_temperature),
        cmocka_unit_test(gnuplot_makes_a_png_of_them),
        cmocka_unit_test(a_configuration_shows_its_images),
        cmocka_unit_test(what_cannot_be_drawn_is_said),
    };
    return cmocka_run_group_tests(tests, set_up, remove_temporary_directory);
}
