/* bnn report: that its figures are those of bnn eval and of the log, that the page is whole and quiet in a browser, and what
 * it says when it cannot; and what a trigger changes of the ELBO. */
#include <math.h>
#include <stdlib.h>

#include "bnn/html.h"
#include "bnn/metrics.h"
#include "trainings.h"

enum { RUNS = 3 };
static const char *const runs[RUNS] = {"augment-1", "augment-2", "tie-1"};
static char usual_path[4096];

/* A whole file as text, which the next call overwrites. */
static const char *text_of(const char *path)
{
    static char *text;
    enum { MOST = 1 << 24 };
    if (!text) text = malloc(MOST);
    assert_non_null(text);
    const size_t size = get_file(path, text, MOST - 1);
    assert_true(size < MOST - 1);
    text[size] = '\0';
    return text;
}

/* The report of all runs, as JSON; the page is "report.html". */
static cJSON *make_report(void)
{
    return json_of(bnn_run("report", in_temporary(runs[0]), in_temporary(runs[1]), in_temporary(runs[2]),
                           "--samples", "4", "--repeats", "2", "--worst", "2", "--ood",
                           in_temporary("train-images"), "--out", in_temporary("report.html"), "--json"));
}

static void assert_same_json(const cJSON *found, const cJSON *expected, const char *what)
{
    if (cJSON_Compare(found, expected, 1)) return;
    char *a = cJSON_PrintUnformatted(found), *b = cJSON_PrintUnformatted(expected);
    fail_msg("%s: found %.2000s, expected %.2000s", what, a, b);
}

static void runs_have_the_figures_of_eval(void **state)
{
    (void)state;
    cJSON *report = make_report();
    for (int i = 0; i < RUNS; i++) {
        cJSON *eval =
            json_of(bnn_run("eval", in_temporary(runs[i]), "--equivariance", "--uncertainty", "--ood",
                            in_temporary("train-images"), "--worst", "2", "--samples", "4", "--json"));
        cJSON *found =
            cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(member(report, "runs"), i), "eval");
        cJSON_DeleteItemFromObjectCaseSensitive(found, "timing"); /* two clocks */
        cJSON_DeleteItemFromObjectCaseSensitive(eval, "timing");
        assert_same_json(found, eval, runs[i]);
        cJSON_Delete(eval);
    }
    cJSON_Delete(report);
}

static void runs_have_the_epochs_of_their_log(void **state)
{
    (void)state;
    cJSON *report = make_report();
    for (int i = 0; i < RUNS; i++) {
        char path[64];
        const cJSON *run = cJSON_GetArrayItem(member(report, "runs"), i), *epoch;
        double seconds = 0;
        snprintf(path, sizeof path, "%s/metrics.jsonl", runs[i]);
        const char *line = text_of(in_temporary(path));
        cJSON_ArrayForEach(epoch, member(run, "epochs"))
        {
            cJSON *expected = cJSON_ParseWithOpts(line, &line, 0);
            assert_same_json(epoch, expected, path);
            seconds += figure(expected, "seconds");
            cJSON_Delete(expected);
        }
        assert_string_equal(line, "\n");
        assert_close(figure(run, "training.seconds"), seconds, 1e-12, 0);
    }
    cJSON_Delete(report);
}

/* Runs that differ in their seed are one configuration, whose mean and standard deviation are those of its runs. */
static void configurations_are_means_over_seeds(void **state)
{
    static const char *const paths[][2] = {{"accuracy", "eval.accuracy"},
                                           {"nll", "eval.nll"},
                                           {"elbo_per_example", "eval.elbo.per_example"},
                                           {"defect_unbiased", "eval.equivariance.defect.unbiased"},
                                           {"auroc_entropy", "eval.uncertainty.ood.auroc_entropy"}};
    (void)state;
    cJSON *report = make_report();
    const cJSON *configurations = member(report, "configurations"), *reports = member(report, "runs");
    assert_int_equal(cJSON_GetArraySize(configurations), 2);
    const cJSON *augment = cJSON_GetArrayItem(configurations, 0),
                *tie = cJSON_GetArrayItem(configurations, 1);
    assert_string_equal(member(augment, "name")->valuestring, "augment");
    assert_string_equal(member(tie, "name")->valuestring, "tie");
    for (size_t f = 0; f < sizeof paths / sizeof *paths; f++) {
        const double a = figure(cJSON_GetArrayItem(reports, 0), paths[f][1]);
        const double b = figure(cJSON_GetArrayItem(reports, 1), paths[f][1]);
        const cJSON *of_two = member(augment, paths[f][0]), *of_one = member(tie, paths[f][0]);
        assert_close(figure(of_two, "mean"), (a + b) / 2, 1e-12, 1e-12);
        assert_close(figure(of_two, "std"), fabs(a - b) / sqrt(2), 1e-9, 1e-12);
        assert_close(figure(of_one, "mean"), figure(cJSON_GetArrayItem(reports, 2), paths[f][1]), 0, 0);
        assert_true(cJSON_IsNull(member(of_one, "std")));
    }
    assert_close(figure(cJSON_GetArrayItem(reports, 0), "forwards"), 4, 0, 0);
    cJSON_Delete(report);
}

static void assert_on_page(const char *page, double value)
{
    char text[64];
    snprintf(text, sizeof text, "<data value=\"%.17g\">", value);
    if (!strstr(page, text)) fail_msg("the page has no %s", text);
}

/* Every number of a table stands on the page with all its digits. */
static void the_page_has_the_figures_of_the_json(void **state)
{
    static const char *const of_run[] = {"eval.elbo.per_example",
                                         "eval.accuracy",
                                         "eval.accuracy_orbit",
                                         "eval.nll",
                                         "eval.ece",
                                         "eval.equivariance.defect.unbiased",
                                         "training.seconds",
                                         "forwards"};
    (void)state;
    cJSON *report = make_report();
    const char *page = text_of(in_temporary("report.html"));
    const cJSON *run, *configuration, *row, *count, *entry;
    cJSON_ArrayForEach(run, member(report, "runs")) for (size_t f = 0; f < sizeof of_run / sizeof *of_run;
                                                         f++) assert_on_page(page, figure(run, of_run[f]));
    cJSON_ArrayForEach(configuration, member(report, "configurations"))
        cJSON_ArrayForEach(entry, configuration)
    {
        const cJSON *mean = cJSON_GetObjectItemCaseSensitive(entry, "mean");
        const cJSON *std = cJSON_GetObjectItemCaseSensitive(entry, "std");
        if (mean) assert_on_page(page, mean->valuedouble);
        if (std && cJSON_IsNumber(std) && std->valuedouble > 0) assert_on_page(page, std->valuedouble);
    }
    cJSON_ArrayForEach(row, member(cJSON_GetArrayItem(member(report, "runs"), 2), "eval.confusion"))
        cJSON_ArrayForEach(count, row) assert_on_page(page, count->valuedouble);
    cJSON_Delete(report);
}

/* ---- the page as a file --------------------------------------------------------------------------------- */

/* The name behind '<' or '</': its bytes. */
static size_t name_length(const char *name)
{
    return strcspn(name, " \t\n/>");
}

/* Elements are closed in the order in which they were opened, attributes quoted, and & begins a name. */
static void check_well_formed(const char *page)
{
    const char *open[64];
    size_t depth = 0;
    assert_int_equal(strncmp(page, "<!DOCTYPE html>\n", 16), 0);
    for (const char *at = page + 16; (at = strpbrk(at, "<&")); at++) {
        if (*at == '&') {
            if (strcspn(at, ";") > 6) fail_msg("a bare &: %.40s", at);
            continue;
        }
        const char *name = at + 1 + (at[1] == '/'), *end = name;
        for (char quote = 0; *end && (quote || *end != '>'); end++) {
            if (quote ? *end == quote : *end == '"' || *end == '\'') quote = quote ? 0 : *end;
            if (!quote && *end == '<') fail_msg("a bare <: %.40s", at);
        }
        if (!*end) fail_msg("not closed: %.40s", at);
        if (at[1] == '/') {
            if (depth == 0 || strncmp(open[depth - 1], name, name_length(name)) != 0 ||
                name_length(open[depth - 1]) != name_length(name))
                fail_msg("closes another element: %.40s after %.40s", at, depth ? open[depth - 1] : "none");
            depth--;
        } else if (end[-1] != '/') {
            assert_true(depth < sizeof open / sizeof *open);
            open[depth++] = name;
        }
        at = end;
    }
    assert_int_equal(depth, 0);
}

/* No name of an element stands twice. */
static void check_ids(const char *page)
{
    for (const char *at = page; (at = strstr(at, " id=")); at++) {
        char id[64];
        snprintf(id, sizeof id, "%.*s", (int)strcspn(at + 5, "'\"") + 6, at);
        const char *again = strstr(at + 1, id);
        if (again) fail_msg("twice on the page:%s", id);
    }
}

static void the_page_is_well_formed_and_alone(void **state)
{
    (void)state;
    cJSON_Delete(make_report());
    const char *page = text_of(in_temporary("report.html"));
    check_well_formed(page);
    check_ids(page);
    assert_non_null(strstr(page, "name=\"viewport\""));
    assert_non_null(strstr(page, "prefers-color-scheme:dark"));
    assert_non_null(strstr(page, "src=\"data:image/png;base64,iVBORw0KGgo"));
    assert_null(strstr(page, "<script"));
    assert_null(strstr(page, "src=\"http"));
    assert_null(strstr(page, "@import"));
}

/* A browser reads the page to its end and has nothing to say of it. */
static void a_browser_is_quiet(void **state)
{
    char command[1024];
    (void)state;
    if (system("command -v chromium >/dev/null 2>&1") != 0)
        fail_msg("chromium is missing: run \"make deps\"");
    cJSON_Delete(make_report());
    snprintf(command, sizeof command,
             "chromium --headless --no-sandbox --disable-gpu --user-data-dir='%s/profile' "
             "--enable-logging=stderr --v=0 "
             "--dump-dom 'file://%s/report.html' >'%s/dom' 2>'%s/log'",
             temporary_directory, temporary_directory, temporary_directory, temporary_directory);
    assert_int_equal(system(command), 0);
    assert_null(strstr(text_of(in_temporary("log")), "CONSOLE"));
    const char *dom = text_of(in_temporary("dom"));
    assert_non_null(strstr(dom, "The worst images"));
    assert_non_null(strstr(dom, "</html>"));
}

static void texts_are_escaped(void **state)
{
    char *text = NULL;
    size_t size = 0;
    (void)state;
    FILE *page = open_memstream(&text, &size);
    assert_non_null(page);
    bnn_html_text(page, "a<b & \"c\" \xff\x01>");
    bnn_html_number(page, "%.1f", NAN);
    bnn_html_number(page, "%.1f", 0.1);
    assert_int_equal(fclose(page), 0);
    assert_string_equal(
        text, "a&lt;b &amp; &quot;c&quot; \xef\xbf\xbd?&gt;–<data value=\"0.10000000000000001\">0.1</data>");
    free(text);
}

/* ---- charts ----------------------------------------------------------------------------------------------- */

/* Puts a gnuplot before the usual one that keeps its scripts and draws next to nothing. */
static void put_gnuplot(const char *script)
{
    char path[4200];
    put_file("gnuplot", script, strlen(script));
    assert_int_equal(chmod(in_temporary("gnuplot"), 0755), 0);
    snprintf(path, sizeof path, "%s:/usr/bin:/bin", temporary_directory);
    assert_int_equal(setenv("PATH", path, 1), 0);
}

/* Goes to the next line of the scripts that is `text`, and behind it. */
static const char *after(const char *script, const char *text)
{
    const char *found = strstr(script, text);
    if (!found) fail_msg("the scripts have no more \"%s\"", text);
    return found + strlen(text);
}

/* The curves of KL, and the points of the comparison, are the numbers of the JSON. */
static void charts_are_drawn_from_the_json(void **state)
{
    char script[512];
    (void)state;
    snprintf(script, sizeof script, "#!/bin/sh\ncat >>'%s/scripts'\nprintf '<defs>\\n</defs>\\n</svg>\\n'\n",
             temporary_directory);
    put_gnuplot(script);
    cJSON *report = make_report();
    const cJSON *reports = member(report, "runs"), *epoch;
    const char *at = after(text_of(in_temporary("scripts")), "set ylabel 'KL(q‖p) (nats)'");
    for (int i = 0; i < RUNS; i++) {
        at = after(at, "<< END\n");
        cJSON_ArrayForEach(epoch, member(cJSON_GetArrayItem(reports, i), "epochs"))
        {
            char *end;
            assert_close(strtod(at, &end), figure(epoch, "epoch"), 0, 0);
            assert_close(strtod(end, NULL), figure(epoch, "kl"), 1e-8, 0);
            at = strchr(at, '\n') + 1;
        }
        assert_int_equal(strncmp(at, "END\n", 4), 0);
    }
    at = after(text_of(in_temporary("scripts")), "set xlabel 'unbiased defect'");
    for (int i = 0; i < 2; i++) { /* points of the two runs of the first configuration */
        at = i == 0 ? after(at, "<< END\n") : strchr(at, '\n') + 1;
        char *end;
        strtod(at, &end); /* on a scale of its own */
        assert_close(strtod(end, NULL), figure(cJSON_GetArrayItem(reports, i), "eval.accuracy_orbit"), 1e-8,
                     0);
    }
    cJSON_Delete(report);
    assert_int_equal(setenv("PATH", usual_path, 1), 0);
}

/* asinh(v/u), u a power of ten: 0 in the middle, signs kept; and one gap for what is not finite. */
static void a_signed_scale_keeps_zero_and_signs(void **state)
{
    double x[] = {-1e-3, 0, 1e-3, NAN, 1}, y[] = {1, 2, 3, 4, 5};
    const double expected[] = {-asinh(1), 0, asinh(1), asinh(1000)};
    const bnn_series series = {.style = BNN_SERIES_LINE, .count = 5, .x = x, .y = y};
    const bnn_chart chart = {.title = "t",
                             .x = {"x", BNN_AXIS_SIGNED_LOG, NAN, NAN},
                             .y = {"y", BNN_AXIS_LINEAR, NAN, NAN},
                             .series = &series,
                             .count = 1};
    char script[512], *svg;
    (void)state;
    snprintf(script, sizeof script, "#!/bin/sh\ncat >'%s/scripts'\nprintf '<defs>\\n</defs>\\n</svg>\\n'\n",
             temporary_directory);
    put_gnuplot(script);
    assert_int_equal(bnn_draw_chart(&chart, 1, &svg, NULL), BNN_OK);
    free(svg);
    const char *scripts = text_of(in_temporary("scripts")), *at = after(scripts, "<< END\n");
    for (int i = 0; i < 4; i++) {
        if (i == 3) {
            assert_int_equal(*at, '\n');
            at++;
        }
        assert_close(strtod(at, NULL), expected[i], 1e-8, 1e-8);
        at = strchr(at, '\n') + 1;
    }
    after(after(after(scripts, "add ('0' 0)"), "add ('1e-3' "), "add ('0.1' ");
    assert_int_equal(setenv("PATH", usual_path, 1), 0);
}

static void histograms_count(void **state)
{
    const double values[] = {0, 0.49, 0.5, 1, 1.9999, 2, 3, -1, NAN};
    double counts[4];
    (void)state;
    bnn_histogram(values, 9, 2, 4, counts);
    assert_memory_equal(counts, ((double[]){3, 1, 1, 3}), sizeof counts);
}

/* ---- what a trigger changes -------------------------------------------------------------------------------- */

/* The KL before and after is that of the same run stopped there, and of that projected by hand; the ELBO, by other draws, what
 * eval gives on the training images. */
static void the_log_has_the_elbo_around_the_trigger(void **state)
{
    (void)state;
    const char *config = in_temporary("config.json"), *images = in_temporary("train-images");
    const char *labels = in_temporary("train-labels"), *before = in_temporary("before");
    const char *projected = in_temporary("projected.bin");
    succeeded(bnn_run("train", config, "--set", "symmetrization.mode=project", "--set",
                      "symmetrization.trigger_epoch=1", "--set", "eval.samples=2000", "--out",
                      in_temporary("around")));
    succeeded(bnn_run("train", config, "--set", "model.channel_representation=regular", "--set",
                      "train.epochs=1", "--out", before));
    succeeded(bnn_run("symmetrize", before, "--project", "--out", projected));
    const char *line = strchr(text_of(in_temporary("around/metrics.jsonl")), '\n') + 1;
    cJSON *epoch = cJSON_ParseWithOpts(line, NULL, 0);
    const cJSON *change = member(epoch, "symmetrization");
    const char *const models[] = {before, projected}, *const kl[] = {"kl_before", "kl_after"},
                      *const elbo[] = {"elbo_before", "elbo_after"};
    assert_close(figure(change, "images"), IMAGES, 0, 0);
    for (int i = 0; i < 2; i++) {
        cJSON *eval = json_of(bnn_run("eval", models[i], "--images", images, "--labels", labels, "--samples",
                                      "2000", "--json"));
        assert_close(figure(change, kl[i]), figure(eval, "elbo.kl"), 1e-9, 0);
        assert_close(figure(change, elbo[i]), figure(eval, "elbo.total"), 2e-3, 0);
        cJSON_Delete(eval);
    }
    assert_close(figure(change, "elbo_change_per_example"),
                 (figure(change, "elbo_after") - figure(change, "elbo_before")) / IMAGES, 1e-12, 0);
    cJSON_Delete(epoch);
}

/* ---- other runs, and refusals ------------------------------------------------------------------------------ */

/* One run, one draw, no orbit; w = mu; images without labels: what cannot be known is left out. */
static void little_makes_a_page_too(void **state)
{
    (void)state;
    const char *run = in_temporary("plain"), *page = in_temporary("plain.html");
    succeeded(bnn_run("train", in_temporary("config.json"), "--set", "group=C1", "--set",
                      "symmetrization.mode=none", "--out", run));
    succeeded(bnn_run("report", run, "--samples", "1", "--repeats", "2", "--out", page));
    check_well_formed(text_of(page));
    succeeded(bnn_run("report", run, "--mean", "--out", page));
    check_well_formed(text_of(page));
    succeeded(bnn_run("report", in_temporary("tie-1"), "--group", "D4", "--predictive", "group-averaged",
                      "--images", in_temporary("test-images"), "--out", page));
    check_well_formed(text_of(page));
}

static void configurations_are_told_apart(void **state)
{
    (void)state;
    const char *run = in_temporary("other");
    succeeded(
        bnn_run("train", in_temporary("config.json"), "--set", "train.optimizer.lr=0.02", "--out", run));
    cJSON *report = json_of(bnn_run("report", in_temporary(runs[0]), run, "--repeats", "2", "--out",
                                    in_temporary("two.html"), "--json"));
    const cJSON *configurations = member(report, "configurations");
    assert_int_equal(cJSON_GetArraySize(configurations), 2);
    assert_string_equal(member(cJSON_GetArrayItem(configurations, 0), "name")->valuestring,
                        "augment, train.optimizer.lr 0.01");
    assert_string_equal(member(cJSON_GetArrayItem(configurations, 1), "name")->valuestring,
                        "augment, train.optimizer.lr 0.02");
    cJSON_Delete(report);
}

static void what_cannot_be_reported_is_said(void **state)
{
    (void)state;
    const char *run = in_temporary(runs[0]), *out = in_temporary("nothing.html");
    assert_one_line(bnn_run("report", run), 2, "--out report.html is missing");
    assert_one_line(bnn_run("report", "--out", out), 2, "0 operands", "DIR...");
    assert_one_line(bnn_run("report", in_temporary("nowhere"), "--out", out), 2, "nowhere");
    assert_one_line(bnn_run("report", run, run, "--out", out), 2, runs[0], "another seed");
    assert_one_line(bnn_run("report", run, "--worst", "0", "--out", out), 2, "--worst", "0");
    assert_int_equal(mkdir(in_temporary("broken"), 0777), 0);
    const char *page = text_of(in_temporary("augment-1/model.bin"));
    struct stat info;
    assert_int_equal(stat(in_temporary("augment-1/model.bin"), &info), 0);
    put_file("broken/model.bin", page, (size_t)info.st_size);
    assert_one_line(bnn_run("report", in_temporary("broken"), "--out", out), 2, "broken/metrics.jsonl");
    put_file("broken/metrics.jsonl", "", 0);
    assert_one_line(bnn_run("report", in_temporary("broken"), "--out", out), 2, "metrics.jsonl", "empty");
    put_file("broken/metrics.jsonl", "{\"epoch\":1}\n{\"epoch\":\n", 22);
    assert_one_line(bnn_run("report", in_temporary("broken"), "--out", out), 2, "metrics.jsonl", "line 2");
    assert_int_equal(setenv("PATH", "/nowhere", 1), 0);
    assert_one_line(bnn_run("report", run, "--out", out), 1, "gnuplot", "gnuplot-nox");
    assert_int_equal(setenv("PATH", usual_path, 1), 0);
    assert_int_equal(access(out, F_OK), -1);
}

static int set_up(void **state)
{
    if (set_up_trainings(state)) return -1;
    snprintf(usual_path, sizeof usual_path, "%s", getenv("PATH"));
    put_small_config();
    for (int i = 0; i < RUNS; i++) {
        char mode[64], seed[64];
        snprintf(mode, sizeof mode, "symmetrization.mode=%.*s", (int)strcspn(runs[i], "-"), runs[i]);
        snprintf(seed, sizeof seed, "seed=%s", strchr(runs[i], '-') + 1);
        if (bnn_run("train", in_temporary("config.json"), "--set", mode, "--set", seed, "--out",
                    in_temporary(runs[i]))
                ->code)
            return -1;
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_have_the_figures_of_eval),
        cmocka_unit_test(runs_have_the_epochs_of_their_log),
        cmocka_unit_test(configurations_are_means_over_seeds),
        cmocka_unit_test(the_page_has_the_figures_of_the_json),
        cmocka_unit_test(the_page_is_well_formed_and_alone),
        cmocka_unit_test(a_browser_is_quiet),
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(charts_are_drawn_from_the_json),
        cmocka_unit_test(a_signed_scale_keeps_zero_and_signs),
        cmocka_unit_test(histograms_count),
        cmocka_unit_test(the_log_has_the_elbo_around_the_trigger),
        cmocka_unit_test(little_makes_a_page_too),
        cmocka_unit_test(configurations_are_told_apart),
        cmocka_unit_test(what_cannot_be_reported_is_said),
    };
    return cmocka_run_group_tests(tests, set_up, remove_temporary_directory);
}
