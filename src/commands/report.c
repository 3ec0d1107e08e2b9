#include "commands/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bnn/io.h"
#include "bnn/mode.h"
#include "bnn/picture.h"
#include "commands/eval.h"
#include "commands/figures.h"
#include "commands/show.h"

/* Images at most of the sample sweep, which takes --repeats times the draws of the rest. */
enum { SWEEP_IMAGES = 200, MOST_PICTURED = 16 };

typedef struct report {
    const cmd_line *line;
    cJSON *json, *runs, *configurations; /* the latter two are members of the first */
    size_t repeats, worst;
    report_picture *pictures; /* (operands), the first ones used */
} report;

const report_figure report_figures[] = {
    {"elbo_per_example", "eval.elbo.per_example", "ELBO an image",
     "nats, at the number N0 of base training images: what training maximises; higher is better", "%.3f", 0},
    {"elbo_change_per_example", "symmetrization.elbo_change_per_example", "its change at the step",
     "nats an image: the ELBO right after q was symmetrized less that right before", "%.3f", 0},
    {"accuracy", "eval.accuracy", "accuracy", "of the images as they are", "%.4f", 0},
    {"accuracy_orbit", "eval.accuracy_orbit", "accuracy, orbit", "of every image under every g", "%.4f", 0},
    {"nll", "eval.nll", "NLL", "mean negative log-likelihood of the label (nats); lower is better", "%.4f",
     0},
    {"ece", "eval.ece", "ECE", "expected calibration error, 15 bins", "%.4f", 0},
    {"defect_unbiased", "eval.equivariance.defect.unbiased", "defect, unbiased",
     "mean of ||F(g.x) - F(x)||^2 over images and G, without Monte-Carlo bias: 0 is exact symmetry", "%.2e",
     0},
    {"defect_single_draw", "eval.equivariance.defect.single_draw", "defect, one draw",
     "the same of a single draw's own prediction, mean over draws", "%.2e", 0},
    {"training_seconds", "training.seconds", "seconds", "of training, all epochs", "%.1f", 0},
    {"forwards", "forwards", "forwards", "passes of the network a prediction", "%.0f", 0},
    {"entropy", "eval.uncertainty.entropy", "entropy", "of the predictive F(x), mean over images, nats",
     "%.3f", 1},
    {"mutual_information", "eval.uncertainty.mutual_information", "mutual information",
     "the part of the entropy that comes from not knowing the weights, nats", "%.2e", 1},
    {"orbit_mutual_information", "eval.uncertainty.orbit_mutual_information", "orbit mutual information",
     "the part that is about the pose only, nats", "%.2e", 1},
    {"aurc", "eval.uncertainty.aurc", "AURC", "area under the risk-coverage curve; lower is better", "%.4f",
     1},
    {"auroc_entropy", "eval.uncertainty.ood.auroc_entropy", "AUROC, entropy",
     "how well the score tells other data from the test images: 0.5 is chance, 1 perfect", "%.4f", 1},
    {"auroc_mutual_information", "eval.uncertainty.ood.auroc_mutual_information", "AUROC, mutual information",
     "the same of the mutual information", "%.4f", 1},
    {"auroc_orbit_mutual_information", "eval.uncertainty.ood.auroc_orbit_mutual_information",
     "AUROC, orbit mutual information", "the same of the orbit mutual information", "%.4f", 1},
    {NULL, NULL, NULL, NULL, NULL, 0},
};

/* ---- what a run's directory holds ----------------------------------------------------------------------- */

static bnn_status parse_epoch(const char *path, size_t number, const char *text, cJSON *epochs,
                              bnn_error *error)
{
    cJSON *epoch = cJSON_ParseWithOpts(text, NULL, 1);
    if (cJSON_IsObject(epoch) && cJSON_IsNumber(figures_find(epoch, "epoch"))) {
        cJSON_AddItemToArray(epochs, epoch);
        return BNN_OK;
    }
    cJSON_Delete(epoch);
    return bnn_fail(error, BNN_BAD_INPUT,
                    "%s: line %zu: found \"%.40s\", expected the JSON object of an epoch", path, number,
                    text);
}

/* run.epochs <- the lines of metrics.jsonl; run.training and run.symmetrization <- what they sum up to. */
bnn_status report_read_epochs(const char *directory, cJSON *run, bnn_error *error)
{
    char path[4096];
    uint8_t *bytes;
    size_t size, number = 0;
    double seconds = 0;
    const cJSON *epoch, *change = NULL;
    if (snprintf(path, sizeof path, "%s/metrics.jsonl", directory) >= (int)sizeof path)
        return bnn_fail(error, BNN_BAD_INPUT, "%.80s...: the path is too long", directory);
    bnn_status status = bnn_read_file(path, BNN_FILE_MOST, &bytes, &size, error);
    if (status) return status;
    cJSON *epochs = cJSON_AddArrayToObject(run, "epochs");
    char *rest = NULL;
    for (char *text = strtok_r((char *)bytes, "\n", &rest); !status && text;
         text = strtok_r(NULL, "\n", &rest))
        status = parse_epoch(path, ++number, text, epochs, error);
    free(bytes);
    if (!status && number == 0)
        status = bnn_fail(error, BNN_BAD_INPUT, "%s: is empty, expected a line an epoch", path);
    if (status) return status;
    cJSON_ArrayForEach(epoch, epochs)
    {
        const cJSON *spent = figures_find(epoch, "seconds"), *changed = figures_find(epoch, "symmetrization");
        if (cJSON_IsNumber(spent)) seconds += spent->valuedouble;
        if (changed) change = changed;
    }
    cJSON *training = cJSON_AddObjectToObject(run, "training");
    cmd_add_number(training, "epochs", (double)number);
    cmd_add_number(training, "seconds", seconds);
    if (change) cJSON_AddItemToObject(run, "symmetrization", cJSON_Duplicate(change, 1));
    return BNN_OK;
}

/* The number of the run's configuration (cmd_configuration). */
static bnn_status find_configuration(report *r, const bnn_model *model, cJSON *run, bnn_error *error)
{
    cJSON *configuration, *other;
    char *text = bnn_config_dump(&model->config, false);
    if (!text) return bnn_no_memory(error, "a configuration", 1, 0);
    cJSON *whole = cJSON_Parse(text), *config = cmd_configuration(whole);
    size_t number = 0;
    free(text);
    cJSON_Delete(whole);
    cJSON_ArrayForEach(other, r->configurations)
    {
        if (cJSON_Compare(figures_find(other, "config"), config, 1)) break;
        number++;
    }
    if (other)
        cJSON_Delete(config);
    else {
        configuration = cJSON_CreateObject();
        cJSON_AddStringToObject(configuration, "mode", bnn_mode_of(&model->config)->row.name);
        cJSON_AddStringToObject(configuration, "group", model->group->name);
        cJSON_AddItemToObject(configuration, "config", config);
        cJSON_AddArrayToObject(configuration, "runs");
        cJSON_AddItemToArray(r->configurations, configuration);
        other = configuration;
    }
    cJSON_AddNumberToObject(run, "configuration", (double)number);
    cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(other, "runs"),
                         cJSON_CreateNumber((double)cJSON_GetArraySize(r->runs) - 1));
    return BNN_OK;
}

/* Two runs of one configuration and seed are one: as two they would make the deviation over seeds too small. */
static bnn_status check_seed(const report *r, const cJSON *run, bnn_error *error)
{
    const cJSON *other;
    cJSON_ArrayForEach(other, r->runs)
    {
        if (other != run && cJSON_Compare(figures_find(other, "seed"), figures_find(run, "seed"), 1) &&
            cJSON_Compare(figures_find(other, "configuration"), figures_find(run, "configuration"), 1))
            return bnn_fail(
                error, BNN_BAD_INPUT, "%s: has the configuration and the seed of %s, expected another seed",
                figures_find(run, "directory")->valuestring, figures_find(other, "directory")->valuestring);
    }
    return BNN_OK;
}

static bnn_status add_run(report *r, const char *directory, bnn_error *error)
{
    bnn_model *model;
    bnn_status status = cmd_load_model(directory, &model, NULL, error);
    if (status) return status;
    cJSON *run = cJSON_CreateObject();
    cJSON_AddItemToArray(r->runs, run);
    cJSON_AddStringToObject(run, "directory", directory);
    cJSON_AddNumberToObject(run, "seed", (double)model->config.seed);
    status = find_configuration(r, model, run, error);
    if (!status) status = check_seed(r, run, error);
    if (!status) status = report_read_epochs(directory, run, error);
    bnn_model_free(model);
    return status;
}

/* ---- names ----------------------------------------------------------------------------------------------- */

/* Appends " path=value" for every leaf of a configuration in which it differs from another one of its mode. */
static void append_differences(const report *r, const cJSON *own, const char *prefix, const cJSON *branch,
                               char *name, size_t size)
{
    const cJSON *leaf, *other;
    cJSON_ArrayForEach(leaf, branch)
    {
        char path[128];
        bool differs = false;
        snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", leaf->string);
        if (cJSON_IsObject(leaf)) {
            append_differences(r, own, path, leaf, name, size);
            continue;
        }
        cJSON_ArrayForEach(other, r->configurations) differs =
            differs || (cJSON_Compare(figures_find(other, "mode"), figures_find(own, "mode"), 1) &&
                        !cJSON_Compare(figures_find(figures_find(other, "config"), path), leaf, 1));
        if (!differs) continue;
        char *value = cJSON_PrintUnformatted(leaf);
        bnn_append(name, size, ", %s %s", path, value);
        cJSON_free(value);
    }
}

/* A configuration is called by its mode, and by what tells it from others of that mode. */
static void name_configurations(report *r)
{
    cJSON *own;
    cJSON_ArrayForEach(own, r->configurations)
    {
        char name[256] = "";
        bnn_append(name, sizeof name, "%s", figures_find(own, "mode")->valuestring);
        append_differences(r, own, "", figures_find(own, "config"), name, sizeof name);
        cJSON_AddStringToObject(own, "name", name);
    }
}

/* ---- evaluation ------------------------------------------------------------------------------------------ */

/* run.sample_sweep <- the defect against the number of draws, on the first images. */
static bnn_status add_sweep(const report *r, const evaluation *e, cJSON *run, bnn_error *error)
{
    evaluation some = *e;
    bnn_dataset first = *e->data; /* borrows */
    if (e->options.mean) return BNN_OK;
    if (first.count > SWEEP_IMAGES) first.count = SWEEP_IMAGES;
    some.repeats = r->repeats;
    const bnn_status status = eval_add_sweep(&some, run, "sample_sweep", &first, error);
    if (!status)
        cJSON_AddNumberToObject(cJSON_GetObjectItemCaseSensitive(run, "sample_sweep"), "images",
                                (double)first.count);
    return status;
}

/* The images whose prediction changes most over the orbit. */
static bnn_status draw_worst(const evaluation *e, const cJSON *run, report_picture *picture, bnn_error *error)
{
    const cJSON *list = figures_find(run, "eval.worst"), *entry;
    size_t numbers[MOST_PICTURED], count = 0;
    char title[512];
    bnn_dataset *chosen;
    cJSON_ArrayForEach(entry, list) if (count < MOST_PICTURED) numbers[count++] =
        (size_t)figures_find(entry, "image")->valuedouble;
    if (count == 0) return BNN_OK;
    bnn_status status = show_certificate(e->model, e->group, title, sizeof title, error);
    if (!status) status = bnn_dataset_subset(e->data, numbers, count, &chosen, error);
    if (status) return status;
    const orbit_show show = {.title = title,
                             .model = e->model,
                             .group = e->group,
                             .data = chosen,
                             .numbers = numbers,
                             .options = e->options};
    status = show_orbits(&show, &picture->png, &picture->size, error);
    bnn_dataset_free(chosen);
    return status;
}

static bnn_status evaluate(report *r, cJSON *run, bool first, live_line *progress, bnn_error *error)
{
    const size_t number = (size_t)figures_find(run, "configuration")->valuedouble;
    evaluation e = {
        .line = r->line, .progress = progress, .equivariance = true, .uncertainty = true, .worst = r->worst};
    bnn_status status =
        cmd_load_identified(figures_find(run, "directory")->valuestring, &e.file, &e.model, NULL, error);
    if (!status) status = cmd_group(r->line, e.model, &e.group, error);
    if (!status) status = cmd_predict_options(r->line, e.model, e.group, &e.options, error);
    if (!status) status = cmd_data(r->line, e.model, &e.data, error);
    if (!status) {
        const double draws = e.options.mean ? 1 : (double)e.options.samples;
        cJSON_AddNumberToObject(run, "forwards",
                                draws * (e.options.average_over ? (double)e.group->order : 1));
        status = eval_model(&e, cJSON_AddObjectToObject(run, "eval"), error);
    }
    if (!status && first) status = add_sweep(r, &e, run, error);
    if (!status && first) status = draw_worst(&e, run, &r->pictures[number], error);
    bnn_dataset_free(e.data);
    bnn_group_free(e.group);
    bnn_model_free(e.model);
    return status;
}

static bnn_status evaluate_runs(report *r, bnn_error *error)
{
    live_line progress = live_line_open(0);
    char text[64];
    const int count = cJSON_GetArraySize(r->runs);
    bnn_status status = BNN_OK;
    for (int i = 0; !status && i < count; i++) {
        cJSON *run = cJSON_GetArrayItem(r->runs, i);
        const int number = (int)figures_find(run, "configuration")->valuedouble;
        const cJSON *of_configuration = figures_find(cJSON_GetArrayItem(r->configurations, number), "runs");
        snprintf(text, sizeof text, "run %d of %d", i + 1, count);
        live_line_show(&progress, text);
        status = evaluate(r, run, (int)cJSON_GetArrayItem(of_configuration, 0)->valuedouble == i, &progress,
                          error);
    }
    live_line_clear(&progress);
    return status;
}

/* Mean and standard deviation (sample) over the runs of a configuration that have the figure. */
static void summarise(const report *r, cJSON *configuration, const report_figure *figure)
{
    const cJSON *number;
    double n = 0, sum = 0, squares = 0;
    for (int pass = 0; pass < 2; pass++) cJSON_ArrayForEach(number, figures_find(configuration, "runs"))
        {
            const cJSON *run = cJSON_GetArrayItem(r->runs, (int)number->valuedouble);
            const cJSON *value = figures_find(run, figure->path);
            if (!cJSON_IsNumber(value)) continue;
            if (pass == 0) n++, sum += value->valuedouble;
            if (pass == 1) squares += pow(value->valuedouble - sum / n, 2);
        }
    if (n == 0) return;
    cJSON *entry = cJSON_AddObjectToObject(configuration, figure->name);
    cmd_add_number(entry, "mean", sum / n);
    cmd_add_number(entry, "std", n > 1 ? sqrt(squares / (n - 1)) : NAN);
    cmd_add_number(entry, "n", n);
}

/* ---- the command ----------------------------------------------------------------------------------------- */

/* Reads the JSON back as it is printed: cJSON may leave out the last digit, and the page is to have no other numbers. */
static void settle(report *r)
{
    char *text = cJSON_Print(r->json);
    cJSON_Delete(r->json);
    r->json = cJSON_Parse(text);
    r->runs = r->configurations = NULL;
    cJSON_free(text);
}

static bnn_status write_page(const report *r, bnn_error *error)
{
    bnn_text whole;
    size_t size;
    FILE *page = bnn_text_open(&whole);
    if (!page) return bnn_no_memory(error, "the report", 1, 0);
    bnn_status status = report_page(page, r->json, r->pictures, error);
    char *text = bnn_text_close(&whole, &size);
    if (!text && !status) status = bnn_no_memory(error, "the report", 1, 0);
    if (!status) status = bnn_write_file(cmd_value(r->line, "out"), text, size, error);
    free(text);
    return status;
}

static bnn_status make(report *r, bnn_error *error)
{
    cJSON *configuration;
    bnn_status status = BNN_OK;
    for (size_t i = 0; !status && i < r->line->operand_count; i++)
        status = add_run(r, r->line->operands[i], error);
    if (status) return status;
    name_configurations(r);
    status = evaluate_runs(r, error);
    if (status) return status;
    cJSON_ArrayForEach(configuration, r->configurations) for (const report_figure *f = report_figures;
                                                              f->name; f++) summarise(r, configuration, f);
    settle(r);
    return write_page(r, error);
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bool done;
    report r = {.line = &line};
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (status || done) return status;
    status = cmd_size(&line, "repeats", 2, 1 << 16, 8, &r.repeats, error);
    if (!status) status = cmd_size(&line, "worst", 1, MOST_PICTURED, 3, &r.worst, error);
    if (!status) status = bnn_pictures_check(error);
    if (status) return status;
    r.json = cJSON_CreateObject();
    cJSON_AddStringToObject(r.json, "version", BNN_VERSION);
    r.configurations = cJSON_AddArrayToObject(r.json, "configurations");
    r.runs = cJSON_AddArrayToObject(r.json, "runs");
    r.pictures = bnn_alloc(line.operand_count, sizeof *r.pictures);
    status = r.pictures ? make(&r, error)
                        : bnn_no_memory(error, "pictures", line.operand_count, sizeof *r.pictures);
    for (size_t i = 0; r.pictures && i < line.operand_count; i++) free(r.pictures[i].png);
    free(r.pictures);
    if (!status && cmd_flag(&line, "json")) return cmd_print_json(r.json, error);
    cJSON_Delete(r.json);
    return status;
}

static const cmd_option options[] = {
    {"out", "report.html", "where to write"},
    {"ood", "DATA", "entropies and AUROC on other data too; DATA: a data set, or a file"},
    {"worst", "N",
     "images drawn of each configuration, those whose prediction changes most over the orbit (default 3)"},
    {"repeats", "K", "repeats of the defect against T, with draws of their own (default 8)"},
    CMD_OPTIONS_PREDICTION,
    CMD_OPTION_CALIBRATION,
    CMD_OPTION_GROUP,
    CMD_OPTIONS_IMAGES,
    CMD_OPTION_THREADS,
    {"json", NULL, "print the figures of the page as one JSON object"},
    {NULL, NULL, NULL},
};

const subcommand cmd_report = {.name = "report",
                               .operands = "DIR...",
                               .summary = "evaluate runs and draw them, compared, on one page of HTML",
                               .details = "DIR is the directory of a run. Runs that differ in their seed "
                                          "alone are one configuration: the page has their mean and\n"
                                          "standard deviation. What is evaluated is what `bnn eval "
                                          "--equivariance --uncertainty` evaluates; the defect against T is\n"
                                          "that of the first run of a configuration, on 200 images. The page "
                                          "needs no other file and no script.\n",
                               .options = options,
                               .required = "out",
                               .run = run};
