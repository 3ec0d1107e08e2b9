#include "commands/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bnn/compare.h"
#include "commands/figures.h"

/* Runs of one configuration. */
typedef struct run_group {
    compared_run **runs; /* (count) */
    size_t count;
    char name[512];
} run_group;

typedef struct comparison {
    const cmd_line *line;
    live_line progress;
    compared_run runs[2 * CMD_MAX_OPERANDS]; /* the operands, then those of --baseline */
    size_t run_count;
    compared_run *places[2 * CMD_MAX_OPERANDS]; /* of all groups, one after the other */
    run_group groups[CMD_MAX_OPERANDS], baseline;
    size_t group_count;
    cJSON *paths; /* of the figures */
    cJSON *json;
} comparison;

/* A run and the baseline's of the same seed. */
typedef struct run_pair {
    const compared_run *run, *baseline;
} run_pair;

static void tell(const char *message)
{
    cmd_print_message("bnn compare: ", message);
}

/* ---- runs and groups ------------------------------------------------------------------------------------- */

static bnn_status read_runs(comparison *c, bnn_error *error)
{
    const size_t operands = c->line->operand_count, count = operands + c->line->listed_count;
    bnn_status status = BNN_OK;
    for (size_t i = 0; !status && i < count; i++) {
        const char *name = i < operands ? c->line->operands[i] : c->line->listed[i - operands];
        status = compared_run_read(c->line, name, &c->progress, &c->runs[c->run_count++], error);
    }
    live_line_clear(&c->progress);
    return status;
}

/* Runs of one configuration and seed are no two observations: they would make the error too small. */
static bnn_status check_seeds(const run_group *group, bnn_error *error)
{
    for (size_t i = 0; i < group->count; i++)
        for (size_t k = 0; k < i; k++)
            if (group->runs[k]->seed == group->runs[i]->seed)
                return bnn_fail(error, BNN_BAD_INPUT,
                                "%s: has the configuration and the seed %.0f of %s, expected another seed",
                                group->runs[i]->name, group->runs[i]->seed, group->runs[k]->name);
    return BNN_OK;
}

/* The operands' groups, in order of appearance; c->places has the runs of one after the other. */
static bnn_status group_runs(comparison *c, bnn_error *error)
{
    const size_t operands = c->line->operand_count;
    compared_run **place = c->places;
    bool taken[CMD_MAX_OPERANDS] = {false};
    bnn_status status = BNN_OK;
    for (size_t i = 0; !status && i < operands; i++) {
        run_group *group = &c->groups[c->group_count];
        if (taken[i]) continue;
        c->group_count++;
        group->runs = place;
        for (size_t k = i; k < operands; k++) {
            if (taken[k] || !cJSON_Compare(c->runs[i].configuration, c->runs[k].configuration, 1)) continue;
            taken[k] = true;
            group->runs[group->count++] = &c->runs[k];
        }
        place += group->count;
        status = check_seeds(group, error);
    }
    c->baseline.runs = place;
    for (size_t i = operands; i < c->run_count; i++) c->baseline.runs[c->baseline.count++] = &c->runs[i];
    return status;
}

/* ---- names ----------------------------------------------------------------------------------------------- */

/* Appends "path=value" of every leaf of a configuration that is another in `than`; `common`: that both have. */
static void append_differences(const cJSON *branch, const cJSON *than, const char *prefix, bool common,
                               char *name, size_t size)
{
    const cJSON *leaf;
    cJSON_ArrayForEach(leaf, branch)
    {
        const cJSON *other = cJSON_GetObjectItemCaseSensitive(than, leaf->string);
        char path[128];
        snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", leaf->string);
        if (cJSON_IsObject(leaf)) {
            append_differences(leaf, other, path, common, name, size);
            continue;
        }
        if (common ? !other || cJSON_Compare(leaf, other, 1) : other != NULL) continue;
        char *value = cJSON_PrintUnformatted(leaf);
        const bool quoted = cJSON_IsString(leaf);
        bnn_append(name, size, "%s%s=%.*s", *name ? ", " : "", path, (int)strlen(value) - 2 * quoted,
                   value + quoted);
        cJSON_free(value);
    }
}

/* In what a configuration differs from another: keys that both have and, with `whole` or where there is none, those that it alone
 * has. */
static void name_differences(const cJSON *configuration, const cJSON *than, bool whole, char *name,
                             size_t size)
{
    *name = '\0';
    append_differences(configuration, than, "", true, name, size);
    if (whole || !*name) append_differences(configuration, than, "", false, name, size);
    if (!*name) bnn_append(name, size, "the same configuration");
}

/* stem <- NAME of a run in a folder NAME-SEED (as configs/sweep.sh names them) or of a file NAME-SEED.json; false where it is
 * called otherwise. */
static bool stem_of(const compared_run *run, char *stem, size_t size)
{
    char path[512], seed[32];
    size_t length = strlen(run->name);
    if (length >= sizeof path) return false;
    while (length > 1 && run->name[length - 1] == '/') length--;
    snprintf(path, sizeof path, "%.*s", (int)length, run->name);
    char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path, *dot = strrchr(file, '.');
    if (!run->is_directory && slash && (strcmp(file, "model.bin") == 0 || strncmp(file, "eval", 4) == 0)) {
        *slash = '\0';
        slash = strrchr(path, '/');
        file = slash ? slash + 1 : path;
    } else if (!run->is_directory && dot)
        *dot = '\0';
    snprintf(seed, sizeof seed, "-%.0f", run->seed);
    const size_t name = strlen(file), suffix = strlen(seed);
    if (name <= suffix || strcmp(file + name - suffix, seed) != 0) return false;
    snprintf(stem, size, "%.*s", (int)(name - suffix), file);
    return true;
}

/* The stem that all runs of the group have. */
static bool stem_of_group(const run_group *group, char *stem, size_t size)
{
    char other[512];
    bool all = stem_of(group->runs[0], stem, size);
    for (size_t i = 1; all && i < group->count; i++)
        all = stem_of(group->runs[i], other, sizeof other) && strcmp(stem, other) == 0;
    return all;
}

static bool is_taken(const comparison *c, const run_group *group, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (&c->groups[k] != group && strcmp(c->groups[k].name, group->name) == 0) return true;
    return strcmp(c->baseline.name, group->name) == 0;
}

/* By the folders of the runs; else by the keys that tell a group from the baseline, and where these do not tell groups apart by
 * all that do; else with a number. */
static void name_groups(comparison *c)
{
    const cJSON *than = c->baseline.runs[0]->configuration;
    bool taken[CMD_MAX_OPERANDS] = {false};
    if (!stem_of_group(&c->baseline, c->baseline.name, sizeof c->baseline.name))
        snprintf(c->baseline.name, sizeof c->baseline.name, "baseline");
    for (size_t i = 0; i < c->group_count; i++) {
        run_group *group = &c->groups[i];
        if (!stem_of_group(group, group->name, sizeof group->name) || is_taken(c, group, i))
            name_differences(group->runs[0]->configuration, than, false, group->name, sizeof group->name);
    }
    for (size_t i = 0; i < c->group_count; i++) taken[i] = is_taken(c, &c->groups[i], c->group_count);
    for (size_t i = 0; i < c->group_count; i++) {
        run_group *group = &c->groups[i];
        if (taken[i])
            name_differences(group->runs[0]->configuration, than, true, group->name, sizeof group->name);
        if (!is_taken(c, group, i)) continue;
        char name[sizeof group->name];
        snprintf(name, sizeof name, "%zu: %.480s", i + 1, group->name);
        snprintf(group->name, sizeof group->name, "%s", name);
    }
}

static bnn_status check_baseline(const run_group *baseline, bnn_error *error)
{
    char name[512];
    for (size_t i = 1; i < baseline->count; i++) {
        const cJSON *own = baseline->runs[i]->configuration, *first = baseline->runs[0]->configuration;
        if (cJSON_Compare(own, first, 1)) continue;
        name_differences(own, first, false, name, sizeof name);
        return bnn_fail(error, BNN_BAD_INPUT,
                        "--baseline: %s differs from %s in %s, expected runs of one configuration",
                        baseline->runs[i]->name, baseline->runs[0]->name, name);
    }
    return check_seeds(baseline, error);
}

/* ---- pairs ----------------------------------------------------------------------------------------------- */

static const compared_run *run_of_seed(const run_group *group, double seed)
{
    for (size_t i = 0; i < group->count; i++)
        if (group->runs[i]->seed == seed) return group->runs[i];
    return NULL;
}

/* Says which runs of `group`, one side of the comparison called `name`, have no partner on the other side. */
static void tell_unpaired(const char *name, const char *side, const run_group *group, const run_group *other)
{
    char seeds[256] = "", text[2 * BNN_LINE];
    for (size_t i = 0; i < group->count; i++)
        if (!run_of_seed(other, group->runs[i]->seed))
            bnn_append(seeds, sizeof seeds, "%s%.0f", *seeds ? ", " : "", group->runs[i]->seed);
    if (!*seeds) return;
    snprintf(text, sizeof text, "%.200s: left out, without a partner: %s seeds %s", name, side, seeds);
    tell(text);
}

/* pairs <- the group's runs and the baseline's of the same seed. */
static bnn_status pair_runs(const comparison *c, const run_group *group, run_pair *pairs, size_t *count,
                            bnn_error *error)
{
    *count = 0;
    for (size_t i = 0; i < group->count; i++) {
        const compared_run *run = group->runs[i], *baseline = run_of_seed(&c->baseline, run->seed);
        if (!baseline) continue;
        const bnn_status status = compared_same_images(run, baseline, error);
        if (status) return status;
        pairs[(*count)++] = (run_pair){run, baseline};
    }
    if (*count == 0)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "%s: found no seed that a run of the baseline has (%s: seed %.0f, %s: seed %.0f), expected "
            "common seeds",
            group->name, group->runs[0]->name, group->runs[0]->seed, c->baseline.runs[0]->name,
            c->baseline.runs[0]->seed);
    tell_unpaired(group->name, "its", group, &c->baseline);
    tell_unpaired(group->name, "the baseline's", &c->baseline, group);
    return BNN_OK;
}

/* ---- over seeds ------------------------------------------------------------------------------------------ */

static void add_interval(cJSON *object, double low, double high)
{
    if (isnan(low) || isnan(high))
        cJSON_AddNullToObject(object, "interval");
    else
        cmd_add_numbers(object, "interval", (const double[]){low, high}, 2);
}

static void add_comparison(cJSON *list, const char *name, const char *figure, const bnn_comparison *found)
{
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddItemToArray(list, entry);
    cJSON_AddStringToObject(entry, "name", name);
    cJSON_AddStringToObject(entry, "figure", figure);
    cJSON_AddNumberToObject(entry, "pairs", (double)found->pairs);
    cmd_add_number(entry, "baseline_mean", found->baseline_mean);
    cmd_add_number(entry, "baseline_std", found->baseline_std);
    cmd_add_number(entry, "mean", found->mean);
    cmd_add_number(entry, "std", found->std);
    cmd_add_number(entry, "mean_difference", found->mean_difference);
    cmd_add_number(entry, "standard_error", found->standard_error);
    add_interval(entry, found->low, found->high);
    cmd_add_number(entry, "p_value", found->p_value);
    cmd_add_number(entry, "least_p_value", found->least_p_value);
}

/* Every figure over the pairs that have it. The figures that some or all of them lack are told. */
static bnn_status compare_figures(const comparison *c, const run_group *group, const run_pair *pairs,
                                  size_t count, bnn_error *error)
{
    cJSON *list = cJSON_GetObjectItemCaseSensitive(c->json, "comparisons");
    const int before = cJSON_GetArraySize(list);
    char lacking[BNN_LINE] = "", text[2 * BNN_LINE];
    const cJSON *path;
    cJSON_ArrayForEach(path, c->paths)
    {
        double run[CMD_MAX_OPERANDS], baseline[CMD_MAX_OPERANDS], values[2];
        bnn_comparison found;
        size_t n = 0;
        for (size_t i = 0; i < count; i++) {
            if (!compared_figure(pairs[i].run, pairs[i].baseline, path->valuestring, values)) continue;
            run[n] = values[0], baseline[n++] = values[1];
        }
        if (n < count) bnn_append(lacking, sizeof lacking, "%s%s", *lacking ? ", " : "", path->valuestring);
        if (n == 0) continue;
        bnn_compare_pairs(run, baseline, n, bnn_stream_of(1, BNN_STREAM_COMPARISON, 0, 0, 0), &found);
        add_comparison(list, group->name, path->valuestring, &found);
    }
    if (cJSON_GetArraySize(list) == before)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: has none of the figures %s that the baseline has",
                        group->name, lacking);
    if (!*lacking) return BNN_OK;
    snprintf(text, sizeof text, "%.200s: compared where both of a pair have it, over the same group: %s",
             group->name, lacking);
    tell(text);
    return BNN_OK;
}

/* ---- over images ----------------------------------------------------------------------------------------- */

static void add_image_figure(cJSON *entry, const char *name, const run_pair *pair, int figure, double low,
                             double high)
{
    const size_t n = pair->run->image_count;
    cJSON *object = cJSON_AddObjectToObject(entry, name);
    double means[2] = {0, 0};
    size_t only[2] = {0, 0}; /* images that the run alone gets right, and the baseline alone */
    for (size_t i = 0; i < n; i++) {
        const double run = pair->run->images[i * IMAGE_FIGURES + (size_t)figure];
        const double baseline = pair->baseline->images[i * IMAGE_FIGURES + (size_t)figure];
        means[0] += run / (double)n, means[1] += baseline / (double)n;
        only[0] += run > baseline, only[1] += run < baseline;
    }
    cmd_add_number(object, "baseline_mean", means[1]);
    cmd_add_number(object, "mean", means[0]);
    cmd_add_number(object, "mean_difference", means[0] - means[1]);
    add_interval(object, low, high);
    if (figure != IMAGE_ACCURACY) return;
    cJSON_AddNumberToObject(object, "run_only", (double)only[0]);
    cJSON_AddNumberToObject(object, "baseline_only", (double)only[1]);
    cmd_add_number(object, "p_value", bnn_mcnemar(only[0], only[1]));
}

/* One pair over the images of its test set; what is resampled is images, each with its whole orbit. */
static bnn_status compare_images(const comparison *c, const run_group *group, const run_pair *pair,
                                 bnn_error *error)
{
    static const char *const names[IMAGE_FIGURES] = {[IMAGE_ACCURACY] = "accuracy",
                                                     [IMAGE_NLL] = "nll",
                                                     [IMAGE_ACCURACY_ORBIT] = "accuracy_orbit",
                                                     [IMAGE_NLL_ORBIT] = "nll_orbit"};
    const size_t n = pair->run->image_count, count = n * IMAGE_FIGURES;
    double low[IMAGE_FIGURES], high[IMAGE_FIGURES], values[2];
    double *differences = bnn_alloc(count, sizeof *differences);
    if (!differences) return bnn_no_memory(error, "differences", count, sizeof *differences);
    for (size_t i = 0; i < count; i++) differences[i] = pair->run->images[i] - pair->baseline->images[i];
    const bnn_stream stream = bnn_stream_of(1, BNN_STREAM_COMPARISON, 1, 0, 0);
    const bnn_status status = bnn_bootstrap_means(differences, n, IMAGE_FIGURES, stream, low, high, error);
    free(differences);
    if (status) return status;
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(c->json, "per_image"), entry);
    cJSON_AddStringToObject(entry, "name", group->name);
    cJSON_AddNumberToObject(entry, "seed", pair->run->seed);
    cJSON_AddStringToObject(entry, "run", pair->run->name);
    cJSON_AddStringToObject(entry, "baseline", pair->baseline->name);
    cJSON_AddNumberToObject(entry, "images", (double)n);
    for (int f = 0; f < IMAGE_FIGURES; f++)
        if (compared_figure(pair->run, pair->baseline, names[f], values))
            add_image_figure(entry, names[f], pair, f, low[f], high[f]);
    return BNN_OK;
}

/* ---- the command ----------------------------------------------------------------------------------------- */

/* c->paths <- those of --figures, each of which a run has; or of all that a run has. */
static bnn_status choose_figures(comparison *c, bnn_error *error)
{
    const char *asked = cmd_value(c->line, "figures");
    for (size_t i = c->run_count; i-- > 0;)
        compared_paths(&c->runs[i], c->paths); /* in the baseline's order */
    if (!asked) return BNN_OK;
    cJSON *all = c->paths;
    c->paths = cJSON_CreateArray();
    bnn_status status = BNN_OK;
    for (const char *at = asked; !status && at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        char name[128];
        const cJSON *known;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, ","), at);
        bnn_choices choices = bnn_choices_for(name);
        cJSON_ArrayForEach(known, all)
        {
            if (strcmp(known->valuestring, name) == 0) break;
            bnn_choices_add(&choices, known->valuestring);
        }
        if (known)
            cJSON_AddItemToArray(c->paths, cJSON_CreateString(name));
        else
            status = bnn_fail(error, BNN_BAD_INPUT, "bnn compare: --figures: found \"%s\", expected %s", name,
                              bnn_choices_text(&choices));
    }
    cJSON_Delete(all);
    return status;
}

/* What an object of the JSON tells of a group besides its figures. */
static void add_group(cJSON *object, const run_group *group)
{
    cJSON_AddStringToObject(object, "name", group->name);
    cJSON *runs = cJSON_AddArrayToObject(object, "runs"), *seeds = cJSON_AddArrayToObject(object, "seeds");
    for (size_t i = 0; i < group->count; i++) {
        cJSON_AddItemToArray(runs, cJSON_CreateString(group->runs[i]->name));
        cJSON_AddItemToArray(seeds, cJSON_CreateNumber(group->runs[i]->seed));
    }
    cJSON_AddItemToObject(object, "configuration", cJSON_Duplicate(group->runs[0]->configuration, 1));
}

static bnn_status compare(comparison *c, bnn_error *error)
{
    const bool per_image = cmd_flag(c->line, "per-image");
    run_pair pairs[CMD_MAX_OPERANDS];
    size_t count;
    bnn_status status = read_runs(c, error);
    if (!status) status = choose_figures(c, error);
    if (!status) status = group_runs(c, error);
    if (!status) status = check_baseline(&c->baseline, error);
    if (status) return status;
    name_groups(c);
    add_group(cJSON_AddObjectToObject(c->json, "baseline"), &c->baseline);
    cJSON *groups = cJSON_AddArrayToObject(c->json, "configurations");
    cJSON_AddArrayToObject(c->json, "comparisons");
    if (per_image) cJSON_AddArrayToObject(c->json, "per_image");
    for (size_t i = 0; !status && i < c->group_count; i++) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddItemToArray(groups, object);
        add_group(object, &c->groups[i]);
        status = pair_runs(c, &c->groups[i], pairs, &count, error);
        if (!status) status = compare_figures(c, &c->groups[i], pairs, count, error);
        for (size_t k = 0; !status && per_image && k < count; k++)
            status = compare_images(c, &c->groups[i], &pairs[k], error);
    }
    cJSON_AddStringToObject(c->json, "version", BNN_VERSION);
    return status;
}

static bnn_status check_options(const cmd_line *line, bnn_error *error)
{
    static const char *const forms[] = {"json", "csv", "markdown", "latex"};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (!cmd_flag(line, forms[i])) continue;
        if (found)
            return bnn_fail(error, BNN_BAD_INPUT, "bnn compare: found --%s and --%s, expected one of them",
                            found, forms[i]);
        found = forms[i];
    }
    for (size_t i = 0; i < 2; i++)
        if (cmd_flag(line, "wide") && cmd_flag(line, forms[i]))
            return bnn_fail(error, BNN_BAD_INPUT, "bnn compare: found --wide and --%s, expected one of them",
                            forms[i]);
    if (cmd_flag(line, "wide") && cmd_flag(line, "per-image"))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "bnn compare: found --wide and --per-image, expected one of them");
    return BNN_OK;
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bool done;
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (!status && !done) status = check_options(&line, error);
    if (status || done) return status;
    comparison *c = bnn_alloc(1, sizeof *c);
    if (!c) return bnn_no_memory(error, "runs", 1, sizeof *c);
    c->line = &line;
    c->progress = live_line_open(LIVE_LINE_PATIENCE);
    c->paths = cJSON_CreateArray();
    c->json = cJSON_CreateObject();
    status = compare(c, error);
    if (!status && cmd_flag(&line, "json")) {
        status = cmd_print_json(c->json, error);
        c->json = NULL;
    } else if (!status)
        compared_print(&line, c->json);
    for (size_t i = 0; i < c->run_count; i++) compared_run_free(&c->runs[i]);
    cJSON_Delete(c->paths);
    cJSON_Delete(c->json);
    free(c);
    return status;
}

static const cmd_option options[] = {
    {"baseline", "RUN...", "runs of the one configuration that the others are compared with"},
    {"figures", "A,B", "of these figures alone (default: every number of bnn eval)"},
    {"per-image", NULL, "also pair by pair over the images of the test set; evaluates every run"},
    CMD_OPTIONS_PREDICTION,
    CMD_OPTION_CALIBRATION,
    CMD_OPTION_GROUP,
    CMD_OPTIONS_IMAGES,
    CMD_OPTION_THREADS,
    {"wide", NULL, "a row a configuration and a column a figure: mean +- standard error, p"},
    {"json", NULL, "print one JSON object"},
    {"csv", NULL, "print CSV"},
    {"markdown", NULL, "print a table in Markdown"},
    {"latex", NULL, "print a tabular in LaTeX"},
    {NULL, NULL, NULL},
};

const subcommand cmd_compare = {
    .name = "compare",
    .operands = "RUN...",
    .summary = "whether runs differ from a baseline's: differences over seeds, intervals, p-values",
    .details =
        "RUN is a file that `bnn eval --json` wrote, the directory of a run, or a model. Of a "
        "directory that holds a "
        "file\n"
        "eval*.json, the figures are taken from it; else, and with --per-image or an option that says "
        "how to evaluate, "
        "the run\n"
        "is evaluated as by `bnn eval --equivariance --uncertainty`. --baseline takes all words up to "
        "the next option; "
        "RUNs\n"
        "stand before it, or after --. The figures of a mixture (bnn eval of several models) are a run of "
        "its members'\n"
        "configuration, with the first one's seed.\n"
        "Runs that differ in their seed alone are one configuration, called after their folders where "
        "these are "
        "NAME-SEED, else\n"
        "by what tells it from the baseline. Each run is paired with the baseline's of the same seed; "
        "runs without a "
        "partner are\n"
        "told and left out. The two of a pair have to be evaluated on the same images.\n"
        "Of the differences, run - baseline, over n pairs: their mean, its standard error, the 95 % "
        "interval of "
        "Student's t with\n"
        "n - 1 degrees of freedom, and the p-value of the two-sided sign-flip test: exact up to 20 "
        "pairs, of 99,999 "
        "drawn flips\n"
        "above. It cannot be less than 2/2^n: .0625 for five pairs, .0313 for six. Nothing is "
        "corrected for the number "
        "of\n"
        "comparisons.\n"
        "--per-image: seeds are the units of the above, and say what another training gives; here the "
        "images are, and "
        "say what\n"
        "another test set gives for these two models. p is McNemar's test (exact) for the accuracy on "
        "the images as "
        "they are;\n"
        "intervals are percentiles of 9999 bootstrap samples of images, each with all its views.\n",
    .options = options,
    .required = "baseline",
    .run = run};
