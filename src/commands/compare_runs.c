/* The runs of `bnn compare`: where their figures come from, and what makes them comparable. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "commands/compare.h"
#include "commands/eval.h"
#include "commands/figures.h"
#include "commands/report.h"

/* ---- files of figures ------------------------------------------------------------------------------------ */

/* path <- the file eval*.json of the directory, "" where it has none. */
static bnn_status find_figures(const char *directory, char *path, size_t size, bnn_error *error)
{
    char found[256] = "";
    bnn_status status = BNN_OK;
    DIR *entries = opendir(directory);
    *path = '\0';
    if (!entries) return bnn_fail(error, BNN_BAD_INPUT, "%s: cannot be read as a directory", directory);
    for (const struct dirent *entry; !status && (entry = readdir(entries));) {
        const char *name = entry->d_name, *end = strrchr(name, '.');
        if (strncmp(name, "eval", 4) != 0 || !end || strcmp(end, ".json") != 0) continue;
        if (*found) {
            const bool later =
                strcmp(name, found) > 0; /* the same message, whatever the order of a directory */
            status =
                bnn_fail(error, BNN_BAD_INPUT,
                         "%s: found several files of figures, %s and %s, expected one, or one of them named",
                         directory, later ? found : name, later ? name : found);
        }
        snprintf(found, sizeof found, "%s", name);
    }
    closedir(entries);
    if (!status && *found && snprintf(path, size, "%s/%s", directory, found) >= (int)size)
        status = bnn_fail(error, BNN_BAD_INPUT, "%.80s...: the path is too long", directory);
    return status;
}

/* The figures are those of the model beside them, where there is one. */
static bnn_status check_model(const compared_run *run, const char *figures, bnn_error *error)
{
    const char *of = cJSON_GetStringValue(figures_find(run->figures, "model.sha256"));
    char path[4096];
    cmd_file file;
    snprintf(path, sizeof path, "%s/model.bin", run->name);
    if (!of || !bnn_file_exists(path)) return BNN_OK;
    const bnn_status status = cmd_read(path, &file, error);
    if (status) return status;
    free(file.bytes);
    if (strcmp(of, file.sha256) == 0) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT,
                    "%s: has the figures of another model than %s, expected those of bnn eval --json %s",
                    figures, path, run->name);
}

static const cJSON *seed_of(const cJSON *figures)
{
    const cJSON *seed = figures_find(figures, "model.seed");
    if (!seed) seed = figures_find(figures, "config.seed");
    return cJSON_IsNumber(seed) ? seed : NULL;
}

/* The figures of a mixture <- the configuration of its members, with the first one's seed. */
static bnn_status take_members(const cmd_file *file, cJSON *figures, const cJSON *models, bnn_error *error)
{
    const cJSON *first = figures_find(models->child, "config"), *model;
    if (!cJSON_IsObject(figures_find(figures, "ensemble")))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: has the figures of %d models apart, expected those of one or of their mixture",
                        file->path, cJSON_GetArraySize(models));
    cJSON *expected = cmd_configuration(first);
    bool alike = true;
    cJSON_ArrayForEach(model, models)
    {
        cJSON *own = cmd_configuration(figures_find(model, "config"));
        alike = alike && cJSON_Compare(own, expected, 1);
        cJSON_Delete(own);
    }
    cJSON_Delete(expected);
    if (!alike)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: is of a mixture of several configurations, expected members that differ in "
                        "their seed alone",
                        file->path);
    cJSON_AddItemToObject(figures, "config", cJSON_Duplicate(first, 1));
    return BNN_OK;
}

static bnn_status parse_figures(const cmd_file *file, compared_run *run, bnn_error *error)
{
    run->figures = cJSON_ParseWithOpts((const char *)file->bytes, NULL, 1);
    const cJSON *several = figures_find(run->figures, "models");
    bnn_status status = BNN_OK;
    if (cJSON_IsArray(several) && several->child) status = take_members(file, run->figures, several, error);
    if (status) return status;
    if (!cJSON_IsObject(figures_find(run->figures, "config")) || !seed_of(run->figures))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: %s, expected what bnn eval --json writes, or the directory of a run", file->path,
                        cJSON_IsObject(run->figures) ? "tells no config and seed" : "is not one JSON object");
    return BNN_OK;
}

/* ---- evaluation ------------------------------------------------------------------------------------------ */

/* The option that asks for figures that are made now, or NULL. */
static const char *asks_to_evaluate(const cmd_line *line)
{
    static const char *const names[] = {"per-image",  "samples",        "mean",  "draws",
                                        "predictive", "no-calibration", "group", "split",
                                        "data",       "images",         "labels"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (cmd_flag(line, names[i])) return names[i];
    return NULL;
}

/* run->images <- what is told of each image. */
static bnn_status keep_images(const bnn_metrics *metrics, compared_run *run, bnn_error *error)
{
    if (!metrics->labelled)
        return bnn_fail(error, BNN_BAD_INPUT, "--per-image: %s has no labels, expected --labels too",
                        run->name);
    run->image_count = metrics->images;
    run->images = bnn_alloc(metrics->images, IMAGE_FIGURES * sizeof *run->images);
    if (!run->images) return bnn_no_memory(error, "figures of images", metrics->images, IMAGE_FIGURES);
    for (size_t i = 0; i < metrics->images; i++) {
        double *row = run->images + i * IMAGE_FIGURES;
        row[IMAGE_ACCURACY] = metrics->image_correct[i];
        row[IMAGE_NLL] = metrics->image_nll[i];
        row[IMAGE_ACCURACY_ORBIT] = metrics->image_correct_orbit[i];
        row[IMAGE_NLL_ORBIT] = metrics->image_nll_orbit[i];
    }
    return BNN_OK;
}

/* As `bnn eval --equivariance --uncertainty --json` does it. */
static bnn_status evaluate(const cmd_line *line, const cmd_file *file, live_line *progress, compared_run *run,
                           bnn_error *error)
{
    bnn_metrics *metrics = NULL;
    evaluation e = {.line = line,
                    .progress = progress,
                    .file = *file,
                    .equivariance = true,
                    .uncertainty = true,
                    .metrics = cmd_flag(line, "per-image") ? &metrics : NULL};
    run->figures = cJSON_CreateObject();
    bnn_status status = cmd_parse_model(file, &e.model, NULL, error);
    if (!status) status = cmd_group(line, e.model, &e.group, error);
    if (!status) status = cmd_predict_options(line, e.model, e.group, &e.options, error);
    if (!status) status = cmd_data(line, e.model, &e.data, error);
    if (!status) cmd_tell_calibration(line, &e.model->calibration, &e.options);
    e.options.progress = live_line_fraction;
    e.options.progress_context = progress;
    if (!status) status = eval_model(&e, run->figures, error);
    if (!status && metrics) status = keep_images(metrics, run, error);
    bnn_metrics_free(metrics);
    bnn_dataset_free(e.data);
    bnn_group_free(e.group);
    bnn_model_free(e.model);
    return status;
}

/* ---- runs ------------------------------------------------------------------------------------------------ */

/* Runs of equal ones differ in their seed alone. How the figures were predicted stands in their `prediction`. */
static cJSON *configuration_of(const cJSON *figures)
{
    static const char *const replaced[] = {"samples", "draws", "predictive"};
    cJSON *configuration = cmd_configuration(figures_find(figures, "config"));
    const cJSON *prediction = figures_find(figures, "prediction");
    cJSON *eval = cJSON_GetObjectItemCaseSensitive(configuration, "eval");
    const cJSON *members = figures_find(figures, "ensemble.members");
    if (members) cJSON_AddItemToObject(configuration, "members", cJSON_Duplicate(members, 1));
    if (!prediction) return configuration;
    for (size_t i = 0; i < sizeof replaced / sizeof *replaced; i++)
        cJSON_DeleteItemFromObjectCaseSensitive(eval, replaced[i]);
    cJSON_AddItemToObject(configuration, "prediction", cJSON_Duplicate(prediction, 1));
    return configuration;
}

/* What the log of a run adds to its figures: the seconds of its training, and what a trigger changed. */
static bnn_status read_log(compared_run *run, bnn_error *error)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/metrics.jsonl", run->name);
    return bnn_file_exists(path) ? report_read_epochs(run->name, run->figures, error) : BNN_OK;
}

static bool is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool is_json(const cmd_file *file)
{
    const char *text = (const char *)file->bytes;
    return text[strspn(text, " \t\r\n")] == '{';
}

bnn_status compared_run_read(const cmd_line *line, const char *operand, live_line *progress,
                             compared_run *run, bnn_error *error)
{
    const char *asked = asks_to_evaluate(line);
    char figures[4096] = "";
    cmd_file file = {.bytes = NULL};
    *run = (compared_run){.name = bnn_input_name(operand), .is_directory = is_directory(operand)};
    bnn_status status =
        run->is_directory && !asked ? find_figures(operand, figures, sizeof figures, error) : BNN_OK;
    if (!status) status = cmd_read(*figures ? figures : operand, &file, error);
    if (!status && asked && is_json(&file))
        status = bnn_fail(error, BNN_BAD_INPUT,
                          "bnn compare: --%s: %s holds figures that are made already, expected a run's "
                          "directory or its model",
                          asked, file.path);
    if (!status && (*figures || is_json(&file)))
        status = parse_figures(&file, run, error);
    else if (!status)
        status = evaluate(line, &file, progress, run, error);
    if (!status && *figures) status = check_model(run, figures, error);
    if (!status && run->is_directory) status = read_log(run, error);
    free(file.bytes);
    if (status) return status;
    run->seed = seed_of(run->figures)->valuedouble;
    run->configuration = configuration_of(run->figures);
    return BNN_OK;
}

void compared_run_free(compared_run *run)
{
    cJSON_Delete(run->configuration);
    cJSON_Delete(run->figures);
    free(run->images);
}

/* ---- figures --------------------------------------------------------------------------------------------- */

bnn_status compared_same_images(const compared_run *run, const compared_run *baseline, bnn_error *error)
{
    /* after the first two: of a configuration that names the images */
    static const char *const paths[] = {"data",
                                        "images",
                                        "config.data.path",
                                        "config.data.test_images",
                                        "config.data.test_labels",
                                        "config.data.labels",
                                        "config.data.test_size",
                                        "config.data.rotate.test",
                                        "config.data.repartition",
                                        "config.data.seed",
                                        "config.data.ising.test_temperatures"};
    const bool named = !figures_find(run->figures, "data.images"); /* else the configuration has no say */
    const size_t count = named ? sizeof paths / sizeof *paths : 2;
    for (size_t i = 0; i < count; i++) {
        const cJSON *a = figures_find(run->figures, paths[i]), *b = figures_find(baseline->figures, paths[i]);
        if ((!a && !b) || cJSON_Compare(a, b, 1)) continue;
        char *found = a ? cJSON_PrintUnformatted(a) : NULL, *expected = b ? cJSON_PrintUnformatted(b) : NULL;
        bnn_fail(error, BNN_BAD_INPUT,
                 "%s: evaluated on other images than the baseline's %s: %s: found %s, expected %s", run->name,
                 baseline->name, paths[i], found ? found : "none", expected ? expected : "none");
        cJSON_free(found);
        cJSON_free(expected);
        return BNN_BAD_INPUT;
    }
    return BNN_OK;
}

static bool is_of_orbit(const char *path)
{
    return strstr(path, "orbit") || strncmp(path, "equivariance.", strlen("equivariance.")) == 0;
}

bool compared_figure(const compared_run *run, const compared_run *baseline, const char *path,
                     double values[2])
{
    const cJSON *a = figures_find(run->figures, path), *b = figures_find(baseline->figures, path);
    if (!cJSON_IsNumber(a) || !cJSON_IsNumber(b)) return false;
    if (is_of_orbit(path) && !cJSON_Compare(figures_find(run->figures, "equivariance.group"),
                                            figures_find(baseline->figures, "equivariance.group"), 1))
        return false;
    values[0] = a->valuedouble, values[1] = b->valuedouble;
    return isfinite(values[0]) && isfinite(values[1]);
}

/* Numbers that are no figure of the model's predictions. */
static bool is_no_figure(const char *name)
{
    static const char *const names[] = {"images", "samples", "order", "n",       "epochs", "wanted",
                                        "model",  "config",  "data",  "version", "members"};
    const size_t length = strlen(name), suffix = strlen("standard_error");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return (length >= suffix && strcmp(name + length - suffix, "standard_error") == 0) ||
           strcmp(name, "prediction") == 0;
}

static void add_paths(const cJSON *branch, const char *prefix, int depth, cJSON *paths)
{
    const cJSON *leaf, *known;
    cJSON_ArrayForEach(leaf, branch)
    {
        char path[256];
        if (is_no_figure(leaf->string)) continue;
        if (snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", leaf->string) >=
            (int)sizeof path)
            continue;
        if (cJSON_IsObject(leaf) && depth < 8) add_paths(leaf, path, depth + 1, paths);
        if (!cJSON_IsNumber(leaf)) continue;
        cJSON_ArrayForEach(known, paths) if (strcmp(known->valuestring, path) == 0) break;
        if (!known) cJSON_AddItemToArray(paths, cJSON_CreateString(path));
    }
}

void compared_paths(const compared_run *run, cJSON *paths)
{
    add_paths(run->figures, "", 0, paths);
}
