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

/* Bars, in their order on the page, are the means over draws that predict gives, and twice the standard errors of those;
 * the label's has a colour of its own. */
static void bars_are_the_predictions(void **state)
{
    static char script[1 << 20];
    const char *drawn = in_temporary("script.png");
    (void)state;
    put_file("gnuplot", "#!/bin/sh\nexec cat\n", 19);
    assert_int_equal(chmod(in_temporary("gnuplot"), 0755), 0);
    assert_int_equal(setenv("PATH", strcat(strcpy(script, temporary_directory), ":/usr/bin:/bin"), 1), 0);
    succeeded(bnn_run("show", in_temporary("run"), "--count", "2", "--first", "1", "--samples", "3", "--out",
                      drawn));
    script[get_file(drawn, script, sizeof script - 1)] = '\0';
    bnn_npy *mean = predicted("mean.npy", "--orbit"), *each = predicted("each.npy", "--each-draw");
    const size_t images = IMAGES / 2, row = images * CLASSES;
    const char *at = script;
    for (size_t i = 1; i < 1 + SHOWN; i++)
        for (size_t g = 0; g < ORDER; g++) {
            at = after(at, "$bars << END\n");
            for (size_t c = 0; c < CLASSES; c++) {
                const size_t place = g * row + i * CLASSES + c;
                double squares = 0;
                char *end;
                for (size_t t = 0; t < DRAWS; t++)
                    squares += pow(each->data[t * ORDER * row + place] - mean->data[place], 2);
                assert_int_equal(strtoul(at, &end, 10), c);
                assert_true(fabs(strtod(end, &end) - mean->data[place]) < 1e-6);
                assert_true(fabs(strtod(end, &end) - 2 * sqrt(squares / (DRAWS * (DRAWS - 1)))) < 1e-6);
                assert_int_equal(strtoul(end, &end, 10) == 0x2a9d5c, c == i % CLASSES);
                at = end + 1;
            }
        }
    assert_null(strstr(at, "$bars << END\n"));
    bnn_npy_free(mean);
    bnn_npy_free(each);
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
        cmocka_unit_test(gnuplot_makes_a_png_of_them),
        cmocka_unit_test(a_configuration_shows_its_images),
        cmocka_unit_test(what_cannot_be_drawn_is_said),
    };
    return cmocka_run_group_tests(tests, set_up, remove_temporary_directory);
}
