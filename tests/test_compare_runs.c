/* bnn compare: which runs it pairs and what it calls them, that its figures are those of the runs, its tables, the test over
 * images by brute force, and what it refuses. */
#include <stdlib.h>

#include "bnn/npy.h"
#include "trainings.h"

/* A file of figures as `bnn eval --json` writes them, of a configuration that `mode` and `seed` tell. */
static const char *put_figures(const char *name, const char *mode, int seed, double accuracy, double nll,
                               const char *more)
{
    char text[1024];
    const int length =
        snprintf(text, sizeof text,
                 "{\"images\": 100, \"samples\": 4, \"accuracy\": %.17g, \"accuracy_standard_error\": 0.5, "
                 "\"nll\": %.17g, "
                 "\"equivariance\": {\"group\": \"C4\", \"defect\": {\"unbiased\": %d, \"per_element\": [0, "
                 "1]}}, \"model\": "
                 "{\"seed\": %d}, \"config\": {\"seed\": %d, \"train\": {\"checkpoint_minutes\": %d}, "
                 "\"symmetrization\": "
                 "{\"mode\": \"%s\"}, \"eval\": {\"samples\": 4}}, \"prediction\": {\"samples\": 4}%s}",
                 accuracy, nll, seed, seed, seed, seed, mode, more);
    return put_file(name, text, (size_t)length);
}

/* Three seeds of a baseline, in no order, and of a run whose accuracies differ by 0.1, 0.2 and 0.3. */
static void put_seeds(const char *paths[6])
{
    static const double accuracies[] = {0.5, 0.7, 0.3};
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "run-%d.json", i + 1);
        paths[i] = put_figures(name, "tie", i + 1, accuracies[i] + 0.1 * (i + 1), 2, "");
        snprintf(name, sizeof name, "base-%d.json", i + 1);
        paths[3 + i] = put_figures(name, "augment", i + 1, accuracies[i], 1, "");
    }
}

static const cJSON *comparison_of(const cJSON *json, const char *name, const char *figure_path)
{
    const cJSON *found;
    cJSON_ArrayForEach(
        found, member(json, "comparisons")) if (strcmp(member(found, "name")->valuestring, name) == 0 &&
                                                strcmp(member(found, "figure")->valuestring, figure_path) ==
                                                    0) return found;
    fail_msg("no comparison of %s: %s", name, figure_path);
    return NULL;
}

static double end_of(const cJSON *found, int end)
{
    return cJSON_GetArrayItem(member(found, "interval"), end)->valuedouble;
}

/* Differences 0.1, 0.2, 0.3: mean 0.2, error 0.1/sqrt 3, t(2) = .95 sqrt(2/(1 - .95^2)), and p 2/2^3. Those of the NLL are all 1. */
static void seeds_are_paired(void **state)
{
    const char *p[6];
    (void)state;
    put_seeds(p);
    cJSON *json = json_of(bnn_run("compare", p[2], p[0], p[1], "--json", "--baseline", p[4], p[3], p[5]));
    const cJSON *accuracy = comparison_of(json, "run", "accuracy"), *nll = comparison_of(json, "run", "nll");
    assert_string_equal(member(json, "baseline.name")->valuestring, "base");
    assert_int_equal(cJSON_GetArraySize(member(json, "configurations")), 1);
    assert_int_equal(cJSON_GetArraySize(member(json, "comparisons")),
                     3); /* the defect too, and no standard error */
    assert_close(figure(accuracy, "pairs"), 3, 0, 0);
    assert_close(figure(accuracy, "mean_difference"), 0.2, 1e-12, 0);
    assert_close(figure(accuracy, "standard_error"), 0.1 / sqrt(3), 1e-12, 0);
    assert_close(end_of(accuracy, 0), 0.2 - (0.95 * sqrt(2 / 0.0975)) * 0.1 / sqrt(3), 1e-11, 0);
    assert_close(end_of(accuracy, 1), 0.2 + (0.95 * sqrt(2 / 0.0975)) * 0.1 / sqrt(3), 1e-11, 0);
    assert_close(figure(accuracy, "p_value"), 0.25, 0, 0);
    assert_close(figure(accuracy, "least_p_value"), 0.25, 0, 0);
    assert_close(figure(accuracy, "baseline_mean"), 0.5, 1e-15, 0);
    assert_true(end_of(nll, 0) == 1 && end_of(nll, 1) == 1);
    assert_close(figure(comparison_of(json, "run", "equivariance.defect.unbiased"), "mean_difference"), 0, 0,
                 0);
    cJSON_Delete(json);
}

/* Configurations apart, each with the baseline; called by what differs where their files have no NAME-SEED. */
static void configurations_are_apart(void **state)
{
    const char *p[6];
    (void)state;
    put_seeds(p);
    const char *other = put_figures("x.json", "none", 2, 0.4, 3, ""),
               *same = put_figures("y.json", "augment", 3, 0.9, 1, "");
    cJSON *json =
        json_of(bnn_run("compare", other, p[0], p[1], same, "--json", "--baseline", p[3], p[4], p[5]));
    const cJSON *found = comparison_of(json, "symmetrization.mode=none", "accuracy");
    assert_close(figure(found, "mean_difference"), -0.3, 1e-12, 0);
    assert_close(figure(found, "p_value"), 1, 0, 0);
    assert_true(cJSON_IsNull(member(found, "interval")) && cJSON_IsNull(member(found, "standard_error")));
    assert_close(figure(comparison_of(json, "the same configuration", "accuracy"), "mean_difference"), 0.6,
                 1e-12, 0);
    assert_close(figure(comparison_of(json, "run", "accuracy"), "pairs"), 2, 0, 0);
    cJSON_Delete(json);
}

/* A file of figures of a mixture of two, the second of another group. */
static const char *put_mixture(const char *name, const char *group)
{
    char text[512];
    const int length =
        snprintf(text, sizeof text,
                 "{\"images\": 100, \"accuracy\": 0.9, \"ensemble\": {\"members\": 2}, \"models\": "
                 "[{\"config\": {\"seed\": 2, \"group\": \"C4\"}}, {\"config\": {\"seed\": 9, \"group\": "
                 "\"%s\"}}]}",
                 group);
    return put_file(name, text, (size_t)length);
}

/* A mixture counts as a run of its members' configuration with the first one's seed. */
static void mixtures_are_runs(void **state)
{
    const char *p[6];
    (void)state;
    put_seeds(p);
    cJSON *json = json_of(bnn_run("compare", put_mixture("alike.json", "C4"), "--json", "--baseline", p[4]));
    const cJSON *found = member(json, "comparisons")->child;
    assert_close(member(found, "mean_difference")->valuedouble, 0.9 - 0.7, 1e-12, 0);
    assert_true(member(found, "pairs")->valuedouble == 1);
    cJSON_Delete(json);
    assert_one_line(bnn_run("compare", put_mixture("other.json", "D4"), "--baseline", p[4]), 2, "other.json",
                    "several configurations");
}

/* Configurations that differ from the baseline in one key alike are told apart by those that it has not. */
static void names_are_told_apart(void **state)
{
    static const char *const holds[] = {"true", "false"};
    const char *p[6], *paths[2];
    (void)state;
    put_seeds(p);
    for (int i = 0; i < 2; i++) {
        char text[256], name[32];
        snprintf(name, sizeof name, "h%d.json", i);
        snprintf(text, sizeof text,
                 "{\"nll\": 1, \"images\": 100, \"config\": {\"seed\": 1, \"symmetrization\": {\"mode\": "
                 "\"project\", "
                 "\"hold\": %s}}}",
                 holds[i]);
        paths[i] = put_file(name, text, strlen(text));
    }
    const program_run *run = succeeded(
        bnn_run("compare", paths[0], paths[1], "--figures", "nll", "--markdown", "--baseline", p[3]));
    assert_non_null(
        strstr(run->out, "| symmetrization.mode=project, symmetrization.hold=true | nll | 1 | 1 | 1 | 0 |"));
    assert_non_null(strstr(run->out, "symmetrization.hold=false | nll |"));
}

/* A seed without a partner is told in a line, and so is a figure that a run lacks; the rest is compared. */
static void what_has_no_partner_is_told(void **state)
{
    const char *p[6];
    (void)state;
    put_seeds(p);
    const program_run *run = succeeded(
        bnn_run("compare", p[0], p[1], p[2], "--csv", "--figures", "nll", "--baseline", p[3], p[5]));
    assert_non_null(strstr(run->err, "run: left out, without a partner: its seeds 2\n"));
    assert_non_null(strstr(run->out, "\nrun,nll,2,1,0,2,0,1,0,1,1,0.5,0.5\n"));
    const char *more = put_figures("run-1.json", "tie", 1, 0.6, 2, ", \"brier\": 0.5");
    run = succeeded(bnn_run("compare", more, p[1], "--csv", "--baseline", p[3], p[4], p[5]));
    assert_non_null(strstr(run->err, "the baseline's seeds 3\n"));
    assert_non_null(strstr(run->err, "over the same group: brier\n"));
    assert_null(strstr(run->out, "brier"));
}

/* Orbits under different groups are no figures of one kind. */
static void orbits_of_other_groups_are_left_out(void **state)
{
    const char *p[6];
    char text[1024];
    (void)state;
    put_seeds(p);
    text[get_file(p[0], text, sizeof text - 1)] = '\0';
    memcpy(strstr(text, "C4"), "D4", 2);
    const char *other = put_file("d4-1.json", text, strlen(text));
    const program_run *run = succeeded(bnn_run("compare", other, "--csv", "--baseline", p[3]));
    assert_non_null(strstr(run->out, "d4,accuracy,1"));
    assert_null(strstr(run->out, "equivariance"));
    assert_non_null(strstr(run->err, "equivariance.defect.unbiased"));
}

static void tables_are_well_formed(void **state)
{
    const char *p[6];
    (void)state;
    put_seeds(p);
    const char *odd = put_figures("a,\"b\"_&|%-1.json", "tie", 1, 0.6, 2, "");
    const program_run *run =
        succeeded(bnn_run("compare", odd, p[1], "--csv", "--baseline", p[3], p[4], "--figures", "nll"));
    assert_string_equal(
        run->out, "name,figure,pairs,baseline_mean,baseline_std,mean,std,mean_difference,standard_error,low,"
                  "high,p_value,least_p_value\n"
                  "symmetrization.mode=tie,nll,2,1,0,2,0,1,0,1,1,0.5,0.5\n");
    run = succeeded(bnn_run("compare", odd, "--csv", "--baseline", p[3], "--figures", "nll"));
    assert_non_null(strstr(run->out, "\n\"a,\"\"b\"\"_&|%\",nll,1,1,,2,,1,,,,1,1\n"));
    run = succeeded(bnn_run("compare", odd, "--markdown", "--baseline", p[3], "--figures", "nll"));
    assert_non_null(strstr(run->out, "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
                                     "| a,\"b\"_&\\|% | nll | 1 | 1 | 2 | 1 |  |  | 1 |\n"));
    run = succeeded(bnn_run("compare", odd, "--latex", "--baseline", p[3], "--figures", "nll"));
    assert_non_null(strstr(run->out, "\\begin{tabular}{llrrrrrrr}\n\\hline\nrun & figure & pairs & "));
    assert_non_null(strstr(run->out, "\\hline\na,\"b\"\\_\\&$\\vert$\\% & nll & 1 & 1 & 2 & 1 &  &  & 1 "
                                     "\\\\\n\\hline\n\\end{tabular}\n% "));
    run = succeeded(bnn_run("compare", p[0], p[1], p[2], "--latex", "--wide", "--baseline", p[3], p[4], p[5],
                            "--figures", "accuracy,nll"));
    assert_non_null(strstr(run->out, "\\begin{tabular}{lrr}\n\\hline\nrun & accuracy & nll \\\\\n\\hline\n"
                                     "base & 0.5 $\\pm$ 0.12 & 1 $\\pm$ 0 \\\\\n"
                                     "run & 0.7 $\\pm$ 0.1, p 0.25 & 2 $\\pm$ 0, p 0.25 \\\\\n\\hline\n"));
    run = succeeded(bnn_run("compare", p[0], p[1], p[2], "--baseline", p[3], p[4], p[5]));
    assert_non_null(strstr(run->out, "3 pairs: p is 2/2^3 = 0.25 at least"));
}

/* ---- runs ------------------------------------------------------------------------------------------------ */

static const char *const modes[] = {"augment", "tie"};

static void train_runs(void)
{
    static bool trained;
    if (trained) return;
    for (int mode = 0; mode < 2; mode++)
        for (int seed = 1; seed <= 2; seed++) {
            char name[32], sets[2][64];
            snprintf(name, sizeof name, "%s-%d", modes[mode], seed);
            snprintf(sets[0], sizeof sets[0], "symmetrization.mode=%s", modes[mode]);
            snprintf(sets[1], sizeof sets[1], "seed=%d", seed);
            succeeded(bnn_run("train", put_small_config(), "--out", in_temporary(name), "--quiet",
                              "--threads", "1", "--set", sets[0], "--set", sets[1]));
        }
    trained = true;
}

/* The directory of a run is evaluated as bnn eval does it, or has a file with what it printed. */
static void directories_have_the_figures_of_eval(void **state)
{
    const char *tie = in_temporary("tie-1"), *augment = in_temporary("augment-1");
    (void)state;
    train_runs();
    cJSON *json = json_of(bnn_run("compare", tie, "--baseline", augment, "--json", "--threads", "1"));
    cJSON *a = json_of(bnn_run("eval", tie, "--equivariance", "--json")),
          *b = json_of(bnn_run("eval", augment, "--equivariance", "--json"));
    static const char *const paths[] = {"accuracy", "nll_orbit", "elbo.per_example",
                                        "equivariance.defect.unbiased"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const cJSON *found = comparison_of(json, "tie", paths[i]);
        assert_close(figure(found, "mean"), figure(a, paths[i]), 1e-14, 1e-3);
        assert_close(figure(found, "baseline_mean"), figure(b, paths[i]), 1e-14, 1e-3);
        assert_close(figure(found, "mean_difference"), figure(a, paths[i]) - figure(b, paths[i]), 1e-13, 1);
    }
    comparison_of(json, "tie", "training.seconds");
    cJSON_ReplaceItemInObjectCaseSensitive(a, "accuracy", cJSON_CreateNumber(0.625));
    char *text = cJSON_Print(a);
    put_file("tie-1/eval-mine.json", text, strlen(text));
    cJSON_free(text);
    cJSON_Delete(json);
    json = json_of(bnn_run("compare", tie, "--baseline", augment, "--json", "--threads", "1"));
    assert_close(figure(comparison_of(json, "tie", "accuracy"), "mean"), 0.625, 0, 0);
    cJSON_Delete(json);
    json =
        json_of(bnn_run("compare", tie, "--baseline", augment, "--json", "--threads", "1", "--samples", "2"));
    assert_true(figure(comparison_of(json, "tie", "accuracy"), "mean") != 0.625); /* evaluated after all */
    cJSON_Delete(json);
    const char *second = put_figures("tie-1/eval-2.json", "tie", 1, 1, 1, "");
    assert_one_line(bnn_run("compare", tie, "--baseline", augment), 2, "tie-1",
                    "eval-2.json and eval-mine.json");
    assert_int_equal(remove(second), 0);
    cJSON_ReplaceItemInObjectCaseSensitive(cJSON_GetObjectItem(a, "model"), "sha256",
                                           cJSON_CreateString("00"));
    text = cJSON_Print(a);
    put_file("tie-1/eval-mine.json", text, strlen(text));
    cJSON_free(text);
    assert_one_line(bnn_run("compare", tie, "--baseline", augment), 2, "eval-mine.json",
                    "of another model than");
    assert_int_equal(remove(in_temporary("tie-1/eval-mine.json")), 0);
    cJSON_Delete(a);
    cJSON_Delete(b);
}

/* probabilities (4, N, CLASSES) of a run over its orbit */
static bnn_npy *orbit_of(const char *run)
{
    bnn_npy *p;
    succeeded(bnn_run("predict", in_temporary(run), "--orbit", "--out", in_temporary("p.npy")));
    assert_int_equal(bnn_npy_read(in_temporary("p.npy"), &p, NULL), BNN_OK);
    assert_int_equal(p->count, 4 * IMAGES / 2 * CLASSES);
    return p;
}

/* Means, discordant images and McNemar's p from what predict writes; an interval holds its mean difference. */
static void images_are_counted(void **state)
{
    enum { N = IMAGES / 2 };
    (void)state;
    train_runs();
    cJSON *json = json_of(bnn_run("compare", in_temporary("tie-1"), in_temporary("tie-2"), "--per-image",
                                  "--json", "--threads", "1", "--baseline", in_temporary("augment-1"),
                                  in_temporary("augment-2")));
    bnn_npy *p[2] = {orbit_of("tie-2"), orbit_of("augment-2")};
    double right[2] = {0}, nll[2] = {0}, right_orbit[2] = {0}, only[2] = {0}, tail = 0, ways = 1;
    for (size_t i = 0; i < N; i++) {
        bool correct[2];
        for (int k = 0; k < 2; k++)
            for (size_t g = 0; g < 4; g++) {
                const double *row = p[k]->data + (g * N + i) * CLASSES;
                const bool is = row[i % CLASSES] >= fmax(row[0], fmax(row[1], row[2]));
                right_orbit[k] += is / 4.0 / N;
                if (g > 0) continue;
                correct[k] = is;
                right[k] += (double)is / N;
                nll[k] -= log(row[i % CLASSES]) / N;
            }
        only[0] += correct[0] && !correct[1], only[1] += correct[1] && !correct[0];
    }
    for (double k = 0; k <= fmin(only[0], only[1]); k++) {
        tail += ways / pow(2, only[0] + only[1]);
        ways *= (only[0] + only[1] - k) / (k + 1);
    }
    const cJSON *entry = cJSON_GetArrayItem(member(json, "per_image"), 1),
                *accuracy = member(entry, "accuracy");
    assert_int_equal(cJSON_GetArraySize(member(json, "per_image")), 2);
    assert_close(figure(entry, "seed"), 2, 0, 0);
    assert_close(figure(entry, "images"), N, 0, 0);
    assert_close(figure(accuracy, "mean"), right[0], 1e-12, 0);
    assert_close(figure(accuracy, "mean_difference"), right[0] - right[1], 1e-12, 1);
    assert_close(figure(accuracy, "run_only"), only[0], 0, 0);
    assert_close(figure(accuracy, "baseline_only"), only[1], 0, 0);
    assert_close(figure(accuracy, "p_value"), fmin(1, 2 * tail), 1e-12, 0);
    assert_close(figure(member(entry, "accuracy_orbit"), "mean_difference"), right_orbit[0] - right_orbit[1],
                 1e-12, 1);
    assert_close(figure(member(entry, "nll"), "mean_difference"), nll[0] - nll[1], 1e-5, 1);
    static const char *const names[] = {"accuracy", "nll", "accuracy_orbit", "nll_orbit"};
    for (size_t i = 0; i < 4; i++) {
        const cJSON *found = member(entry, names[i]);
        const double d = figure(found, "mean_difference");
        assert_true(end_of(found, 0) <= d && d <= end_of(found, 1));
    }
    bnn_npy_free(p[0]);
    bnn_npy_free(p[1]);
    cJSON_Delete(json);
}

/* ---- mistakes -------------------------------------------------------------------------------------------- */

static void mistakes_of_runs_are_told(void **state)
{
    const char *p[6];
    (void)state;
    put_seeds(p);
    assert_one_line(bnn_run("compare", p[0], "--baseline", p[4]), 2, "seed 1", "seed 2", "common seeds");
    assert_one_line(bnn_run("compare", p[0], p[0], "--baseline", p[3]), 2, "run-1.json", "the seed 1",
                    "another seed");
    assert_one_line(bnn_run("compare", p[0], "--baseline", p[3], p[3]), 2, "base-1.json", "another seed");
    assert_one_line(bnn_run("compare", p[0], "--baseline", p[3], p[1]), 2, "run-2.json",
                    "symmetrization.mode=tie", "one configuration");
    assert_one_line(bnn_run("compare", p[0], "--baseline", p[3], "--figures", "nll,accurcy"), 2, "accurcy",
                    "did you mean \"accuracy\"?");
    const char *data = ", \"data\": {\"name\": \"mnist\", \"split\": \"test\"}";
    assert_one_line(bnn_run("compare", put_figures("z.json", "tie", 1, 1, 1, data), "--baseline", p[3]), 2,
                    "z.json", "other images", "mnist");
    assert_one_line(bnn_run("compare", put_file("n.json", "{\"accuracy\": 1}", 15), "--baseline", p[3]), 2,
                    "n.json", "no config and seed");
    assert_one_line(bnn_run("compare", put_file("n.json", "{\"accuracy\": ", 13), "--baseline", p[3]), 2,
                    "n.json", "not one JSON object");
    assert_one_line(bnn_run("compare", put_file("n.json", "{\"models\": [{}, {}]}", 20), "--baseline", p[3]),
                    2, "n.json", "2 models");
    const char *bare = "{\"config\": {\"seed\": 1}, \"images\": 100, \"nll\": \"low\"}";
    assert_one_line(bnn_run("compare", put_file("n.json", bare, strlen(bare)), "--baseline", p[3]), 2,
                    "none of the figures", "accuracy", "nll");
    assert_one_line(bnn_run("compare", in_temporary("nosuch"), "--baseline", p[3]), 2, "nosuch");
    assert_one_line(bnn_run("compare", temporary_directory, "--baseline", p[3]), 2, "model.bin");
}

static void mistakes_of_options_are_told(void **state)
{
    const char *p[6];
    (void)state;
    put_seeds(p);
    assert_one_line(bnn_run("compare", p[0]), 2, "--baseline RUN... is missing");
    assert_one_line(bnn_run("compare", "--baseline", p[0]), 2, "0 operands");
    assert_one_line(bnn_run("compare", p[0], "--baseline"), 2, "--baseline: expected a value");
    assert_one_line(bnn_run("compare", p[0], "--baseline", p[3], "--csv", "--latex"), 2, "--csv and --latex");
    assert_one_line(bnn_run("compare", p[0], "--baseline", p[3], "--wide", "--json"), 2, "--wide and --json");
    assert_one_line(bnn_run("compare", p[0], "--baseline", p[3], "--per-image"), 2, "--per-image",
                    "run-1.json", "made already");
    assert_one_line(bnn_run("compare", "-", "--baseline", p[3], "-"), 2, "found - 2 times");
    succeeded(bnn_run("compare", "--baseline", p[3], "--", p[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_are_paired),
        cmocka_unit_test(configurations_are_apart),
        cmocka_unit_test(mixtures_are_runs),
        cmocka_unit_test(names_are_told_apart),
        cmocka_unit_test(what_has_no_partner_is_told),
        cmocka_unit_test(orbits_of_other_groups_are_left_out),
        cmocka_unit_test(tables_are_well_formed),
        cmocka_unit_test(directories_have_the_figures_of_eval),
        cmocka_unit_test(images_are_counted),
        cmocka_unit_test(mistakes_of_runs_are_told),
        cmocka_unit_test(mistakes_of_options_are_told),
    };
    return cmocka_run_group_tests(tests, set_up_trainings, remove_temporary_directory);
}
