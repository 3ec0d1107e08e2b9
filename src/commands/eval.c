#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "bnn/evaluate.h"
#include "bnn/io.h"
#include "bnn/mode.h"
#include "bnn/sweep.h"
#include "bnn/symmetry.h"
#include "commands/eval.h"
#include "commands/figures.h"
#include "commands/terminal.h"

/* Whether the orbit has to be predicted: everything but plain accuracy and uncertainty asks for it. */
static bool wants_orbit(const evaluation *e)
{
    return e->equivariance || e->uncertainty || e->worst > 0;
}

/* A mode that sees several views of an image at once may have maximised another likelihood than eval's, and data.augment that
 * of other images. */
static void add_trained_likelihood(const evaluation *e, cJSON *elbo)
{
    const bnn_mode *mode = bnn_mode_of(&e->model->config);
    bnn_plan plan;
    char note[256] = "";
    mode->plan(&e->model->config, e->model->group->order, &plan);
    if (plan.views > 1 && plan.average != BNN_AVERAGE_LOSS)
        bnn_append(note, sizeof note,
                   "trained with the likelihood of each orbit's mean %s (%s), another than this one",
                   bnn_view_average_names[plan.average], mode->row.name);
    if (bnn_warps(&e->model->config.data.augment))
        bnn_append(note, sizeof note, "%strained on warped images (data.augment), evaluated on unwarped ones",
                   *note ? "; " : "");
    if (*note) cJSON_AddStringToObject(elbo, "note", note);
}

static bnn_status add_elbo(const evaluation *e, cJSON *json, const bnn_metrics *metrics, bnn_error *error)
{
    bnn_elbo found;
    bnn_error reason;
    const bnn_status status = bnn_evaluate_elbo(e->model, &e->options, metrics, &found, &reason);
    if (status == BNN_FAILED) return bnn_fail(error, status, "%s", reason.message);
    if (status) {
        cJSON_AddStringToObject(json, "no_elbo", reason.message);
        return BNN_OK;
    }
    cJSON *elbo = cJSON_AddObjectToObject(json, "elbo");
    if (found.n > 0) {
        cmd_add_number(elbo, "per_example", found.per_example);
        cmd_add_number(elbo, "total", found.total);
    } else
        cJSON_AddStringToObject(json, "no_elbo", "the model does not say how many images it was trained on");
    cmd_add_number(elbo, "expected_log_likelihood", found.expected_log_likelihood);
    cmd_add_number(elbo, "kl", found.kl);
    if (found.n > 0) cmd_add_number(elbo, "n", found.n);
    add_trained_likelihood(e, elbo);
    return BNN_OK;
}

/* The certificate is about the weights alone, so it needs an action on them. */
static bnn_status add_equivariance(const evaluation *e, cJSON *json, const bnn_metrics *metrics,
                                   bnn_error *error)
{
    bnn_certificate *certificate = NULL;
    bnn_error reason = {BNN_OK, ""};
    const bnn_status status = cmd_certify(e->model, e->group, &certificate, &reason);
    if (status == BNN_FAILED) return bnn_fail(error, status, "%s", reason.message);
    figures_add_equivariance(json, metrics, e->group, e->data->height, e->data->width, certificate,
                             status ? reason.message : NULL);
    bnn_certificate_free(certificate);
    return BNN_OK;
}

static bnn_status add_ood(const evaluation *e, cJSON *uncertainty, const bnn_metrics *metrics,
                          bnn_error *error)
{
    bnn_dataset *other = NULL;
    bnn_metrics *figures = NULL;
    if (!cmd_value(e->line, "ood")) return BNN_OK;
    bnn_status status =
        cmd_other_data(e->line, "ood", e->model, false, &other, error); /* only the scores count */
    live_line_begin(e->progress, cmd_value(e->line, "ood"));
    if (!status) status = bnn_evaluate(e->model, other, &e->options, &figures, error);
    live_line_clear(e->progress);
    if (!status) figures_add_ood(uncertainty, cmd_value(e->line, "ood"), metrics, figures);
    bnn_metrics_free(figures);
    bnn_dataset_free(other);
    return status;
}

static bnn_status sweep_sink(void *context, const bnn_predictions *predictions, bnn_error *error)
{
    (void)error;
    bnn_sweep_add(context, predictions->values, predictions->images);
    return BNN_OK;
}

bnn_status eval_add_sweep(const evaluation *e, cJSON *json, const char *name, const bnn_dataset *data,
                          bnn_error *error)
{
    bnn_predict_options options = e->options;
    bnn_sweep *sweep = NULL;
    options.group = e->group;
    options.samples = e->options.samples * e->repeats;
    bnn_status status = bnn_sweep_create(e->options.samples, e->repeats, e->group->order,
                                         e->model->network->spec.classes, &sweep, error);
    live_line_begin(e->progress, cmd_value(e->line, "ood"));
    if (!status) status = bnn_predict(e->model, data, &options, sweep_sink, sweep, error);
    live_line_clear(e->progress);
    if (!status) status = figures_add_sweep(json, name, sweep, e->repeats, error);
    bnn_sweep_free(sweep);
    return status;
}

/* On the evaluated images and, where the model knows its training images, on as many of those: the difference
 * is the generalisation gap of the defect. */
static bnn_status add_sweeps(const evaluation *e, cJSON *json, bnn_error *error)
{
    bnn_dataset *train = NULL, *validation = NULL;
    bnn_status status = eval_add_sweep(e, json, "sample_sweep", e->data, error);
    if (status || !e->model->config.data.paths.name[0] || cmd_value(e->line, "images")) return status;
    status = bnn_training_data(&e->model->config, &train, &validation, error);
    if (!status) {
        if (train->count > e->data->count) train->count = e->data->count;
        status = eval_add_sweep(e, json, "sample_sweep_train", train, error);
    }
    bnn_dataset_free(validation);
    bnn_dataset_free(train);
    return status;
}

/* Prediction sets, where the model is calibrated. */
static bnn_status add_sets(const evaluation *e, cJSON *json, const bnn_metrics *metrics, bnn_error *error)
{
    bnn_set_figures *figures = NULL;
    if (!e->model->calibration.images || e->options.uncalibrated) return BNN_OK;
    const bnn_status status = bnn_measure_sets(&e->model->calibration, metrics, &figures, error);
    if (!status) figures_add_sets(json, &e->model->calibration, figures);
    bnn_set_figures_free(figures);
    return status;
}

/* The figures of one part of the images, evaluated by themselves under the same draws. */
static bnn_status add_part(const evaluation *e, cJSON *list, uint32_t part, size_t *indices, bnn_error *error)
{
    bnn_predict_options options = e->options;
    bnn_dataset *images = NULL;
    bnn_metrics *metrics = NULL;
    size_t count = 0;
    for (size_t i = 0; i < e->data->count; i++)
        if (e->data->parts[i] == part) indices[count++] = i;
    if (count == 0) return BNN_OK;
    options.group = NULL;
    bnn_status status = bnn_dataset_subset(e->data, indices, count, &images, error);
    if (!status) status = bnn_evaluate(e->model, images, &options, &metrics, error);
    if (!status) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "name", e->data->part_names[part]);
        figures_add_basic(object, metrics);
        cJSON_AddItemToArray(list, object);
    }
    bnn_metrics_free(metrics);
    bnn_dataset_free(images);
    return status;
}

/* Where the data set says that some of its images are to be told apart, and not all of them are of one part. */
static bnn_status add_parts(const evaluation *e, cJSON *json, bnn_error *error)
{
    size_t alike = 0;
    while (e->data->part_count && alike < e->data->count && e->data->parts[alike] == e->data->parts[0])
        alike++;
    if (!e->data->part_count || alike == e->data->count) return BNN_OK;
    size_t *indices = bnn_alloc(e->data->count, sizeof *indices);
    if (!indices) return bnn_no_memory(error, "parts", e->data->count, sizeof *indices);
    cJSON *list = cJSON_AddArrayToObject(json, "parts");
    bnn_status status = BNN_OK;
    for (size_t p = 0; !status && p < e->data->part_count; p++)
        status = add_part(e, list, (uint32_t)p, indices, error);
    free(indices);
    return status;
}

static bnn_status fill(const evaluation *e, cJSON *json, const bnn_metrics *metrics, bnn_error *error)
{
    bnn_status status = BNN_OK;
    if (e->options.average_over) cJSON_AddStringToObject(json, "averaged_over", e->group->name);
    figures_add_basic(json, metrics);
    if (metrics->labelled) status = add_elbo(e, json, metrics, error);
    if (!status) status = add_parts(e, json, error);
    if (!status && e->uncertainty)
        status = add_ood(e, figures_add_uncertainty(json, metrics), metrics, error);
    if (!status && e->equivariance) status = add_equivariance(e, json, metrics, error);
    if (!status && e->worst) figures_add_worst(json, metrics, e->worst);
    if (!status && cmd_flag(e->line, "sample-sweep")) status = add_sweeps(e, json, error);
    if (!status) figures_add_classes(json, metrics);
    if (!status) status = add_sets(e, json, metrics, error);
    return status;
}

/* Passes of the network over one image for each draw. */
static double views(const evaluation *e)
{
    const double order = (double)e->group->order;
    const bool exact = bnn_group_is_exact(e->group, e->data->height, e->data->width);
    const bool orbit = e->options.group, averaged = e->options.average_over;
    return (orbit || averaged ? order : 1) * (orbit && averaged && !exact ? order : 1);
}

static bnn_status add_source(const evaluation *e, cJSON *json, bnn_error *error)
{
    cmd_add_model(json, &e->file, e->model);
    cmd_add_data(json, e->line, e->model);
    cmd_add_prediction(json, &e->options);
    return cmd_add_config(json, &e->model->config, error);
}

bnn_status eval_model(evaluation *e, cJSON *json, bnn_error *error)
{
    bnn_metrics *metrics = NULL;
    const double start = bnn_seconds();
    if (wants_orbit(e)) e->options.group = e->group;
    live_line_begin(e->progress, e->file.path);
    bnn_status status = bnn_evaluate(e->model, e->data, &e->options, &metrics, error);
    live_line_clear(e->progress);
    const double seconds = bnn_seconds() - start;
    if (!status) status = fill(e, json, metrics, error);
    if (!status) {
        cJSON *timing = cJSON_AddObjectToObject(json, "timing");
        cmd_add_number(timing, "seconds", seconds);
        cmd_add_number(timing, "image_samples_per_second",
                       (double)(metrics->images * metrics->draws) * views(e) / seconds);
        status = add_source(e, json, error);
    }
    bnn_metrics_free(metrics);
    return status;
}

static bnn_status read_options(evaluation *e, bnn_error *error)
{
    e->equivariance = cmd_flag(e->line, "equivariance");
    e->uncertainty = cmd_flag(e->line, "uncertainty") || cmd_flag(e->line, "ood");
    bnn_status status = cmd_predict_options(e->line, e->model, e->group, &e->options, error);
    e->options.progress = live_line_fraction;
    e->options.progress_context = e->progress;
    if (!status) status = cmd_size(e->line, "repeats", 1, 1 << 16, 16, &e->repeats, error);
    if (!status) status = cmd_size(e->line, "worst", 1, (size_t)1 << 30, 0, &e->worst, error);
    if (!status && e->options.mean && cmd_flag(e->line, "sample-sweep"))
        status =
            bnn_fail(error, BNN_BAD_INPUT,
                     "bnn eval: found --mean and --sample-sweep, expected one of them: w = mu has no draws");
    return status;
}

/* The figures of one model as JSON. */
static bnn_status evaluate_model(const cmd_line *line, const char *operand, live_line *progress, cJSON *json,
                                 bnn_error *error)
{
    evaluation e = {.line = line, .progress = progress};
    bnn_status status = cmd_load_identified(operand, &e.file, &e.model, NULL, error);
    if (!status) status = cmd_group(line, e.model, &e.group, error);
    if (!status) status = read_options(&e, error);
    if (!status) status = cmd_data(line, e.model, &e.data, error);
    if (!status && cmd_flag(line, "classes") && !e.data->labels)
        status = bnn_fail(error, BNN_BAD_INPUT, "bnn eval: --classes: expected --labels too");
    if (!status) cmd_tell_calibration(line, e.model, &e.options);
    if (!status) status = eval_model(&e, json, error);
    bnn_dataset_free(e.data);
    bnn_group_free(e.group);
    bnn_model_free(e.model);
    return status;
}

/* What a table of several models has no room for. */
static bnn_status check_several(const cmd_line *line, bnn_error *error)
{
    static const char *const single[] = {"sample-sweep", "worst", "classes"};
    if (line->operand_count == 1 || cmd_flag(line, "json")) return BNN_OK;
    for (size_t i = 0; i < sizeof single / sizeof *single; i++)
        if (cmd_flag(line, single[i]))
            return bnn_fail(
                error, BNN_BAD_INPUT,
                "bnn eval: --%s: found %zu models, expected one, or --json, which has a list for each",
                single[i], line->operand_count);
    return BNN_OK;
}

/* Prints the list of the models' figures and frees it: of one model they are the whole object. */
static bnn_status print(const cmd_line *line, cJSON *models, bnn_error *error)
{
    const bool several = line->operand_count > 1, as_json = cmd_flag(line, "json");
    cJSON *json = several ? cJSON_CreateObject() : cJSON_DetachItemFromArray(models, 0);
    if (several)
        cJSON_AddItemToObject(json, "models", models);
    else
        cJSON_Delete(models);
    if (as_json) return cmd_print_json(json, error);
    if (several)
        figures_print_models(models);
    else
        figures_print(json, cmd_flag(line, "classes"));
    cJSON_Delete(json);
    return BNN_OK;
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bool done;
    live_line progress = live_line_open(LIVE_LINE_PATIENCE);
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (!status && !done) status = check_several(&line, error);
    if (status || done) return status;
    cJSON *models = cJSON_CreateArray();
    for (size_t i = 0; !status && i < line.operand_count; i++) {
        cJSON *model = cJSON_CreateObject();
        cJSON_AddItemToArray(models, model);
        status = evaluate_model(&line, line.operands[i], &progress, model, error);
    }
    if (!status) return print(&line, models, error);
    cJSON_Delete(models);
    return status;
}

static const cmd_option options[] = {
    {"equivariance", NULL, "the figures over the orbit, and the certificate"},
    {"uncertainty", NULL, "entropy, mutual information, its orbit part, reliability, AURC"},
    {"ood", "DATA",
     "AUROC of entropy, mutual information and its orbit part; DATA: as in --data, or a file of images"},
    {"sample-sweep", NULL, "the defect for T = 1, 2, 4, ... --samples draws, also on training images"},
    {"repeats", "K", "repeats of the sample sweep, with draws of their own (default 16)"},
    {"classes", NULL, "print the figures of every class and the confusion matrix; --json always has them"},
    {"worst", "N", "list the N images whose prediction changes most over the orbit"},
    CMD_OPTIONS_PREDICTION,
    CMD_OPTION_CALIBRATION,
    CMD_OPTION_GROUP,
    {"split", "train|validation|test", "images of the model's own data (default: test)"},
    CMD_OPTION_DATA,
    {"images", "F", "images from an IDX or .npy file, as they are (no data.rotate)"},
    {"labels", "F", "their labels"},
    CMD_OPTION_THREADS,
    {"json", NULL, "print one JSON object, which tells the model's SHA-256 and configuration too"},
    {NULL, NULL, NULL},
};

const subcommand cmd_eval = {.name = "eval",
                             .operands = "MODEL...",
                             .summary = "evaluate models: accuracy, ELBO, calibration, equivariance",
                             .details =
                                 "Several MODELs give one table, a row each; with --json an object with "
                                 "their list, `models`. Each is evaluated\n"
                                 "by itself: no mixture of them is formed.\n"
                                 "Entropies, KL and ELBO are in nats. The ELBO is at N0, the number of base "
                                 "training images, whatever N the\n"
                                 "mode trained with: per_example is the mean over the evaluated images of "
                                 "E_q log p(y|x,w), less KL/N0; total\n"
                                 "is N0 times that. On other than the training images it estimates the "
                                 "expected ELBO. There is none with --mean.\n"
                                 "With --predictive group-averaged, likelihoods and mutual information are "
                                 "those of the mixture over draws and\n"
                                 "elements. KL is that of q: where the prior is invariant, the averaged q "
                                 "has the same or up to log |G| less;\n"
                                 "where it is not, there is no ELBO. Where G interpolates, its orbit takes "
                                 "|G|^2 passes: images are turned twice.\n"
                                 "The certificate is that of q, whatever the predictive.\n"
                                 "parts: the figures of the parts that a data set tells apart (its "
                                 "data.ising.window, the\n"
                                 "third column of its CSV file).\n"
                                 "Of a calibrated model (bnn calibrate), what a label scores is that of F "
                                 "at its temperature; ELBO, entropies,\n"
                                 "mutual informations, agreements and defects are made of draws, and stay "
                                 "those of q. conformal: coverage and size\n"
                                 "of its prediction sets for the images evaluated, and with --equivariance "
                                 "for each g.x (per_element).\n" FIGURES_NOTES,
                             .options = options,
                             .run = run};
