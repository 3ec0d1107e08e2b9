#include <math.h>
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
#include "commands/mixture.h"
#include "commands/terminal.h"

/* Whether the orbit has to be predicted: everything but plain accuracy and uncertainty asks for it. */
static bool wants_orbit(const evaluation *e)
{
    return e->equivariance || e->uncertainty || e->worst > 0;
}

static bnn_status measure(const evaluation *e, const bnn_dataset *data, const bnn_predict_options *options,
                          bnn_metrics **metrics, bnn_error *error)
{
    if (!e->count) return bnn_evaluate(e->model, data, options, metrics, error);
    return bnn_evaluate_mixture(e->parts, e->count, data, options, metrics, error);
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
    if (e->count) {
        cJSON_AddStringToObject(json, "no_elbo", "several trained models: each has its own");
        return BNN_OK;
    }
    const bnn_status status = bnn_evaluate_elbo(e->model, &e->options, metrics, &found, &reason);
    if (status == BNN_FAILED) return bnn_fail(error, status, "%s", reason.message);
    if (status) {
        cJSON_AddStringToObject(json, "no_elbo", reason.message);
        return BNN_OK;
    }
    cJSON *elbo = cJSON_AddObjectToObject(json, "elbo");
    if (found.n > 0) {
        cmd_add_number(elbo, "per_example", found.per_example);
        cmd_add_number(elbo, "per_example_standard_error", found.total_error / found.n);
        cmd_add_number(elbo, "total", found.total);
        cmd_add_number(elbo, "total_standard_error", found.total_error);
    } else
        cJSON_AddStringToObject(json, "no_elbo", "the model does not say how many images it was trained on");
    cmd_add_number(elbo, "expected_log_likelihood", found.expected_log_likelihood);
    cmd_add_number(elbo, "expected_log_likelihood_standard_error", metrics->expected_nll_error);
    cmd_add_number(elbo, "kl", found.kl);
    if (!isnan(found.kl_mixture)) {
        cmd_add_number(elbo, "kl_mixture", found.kl_mixture);
        cmd_add_number(elbo, "kl_mixture_standard_error", found.kl_mixture_standard_error);
    } else if (found.no_kl_mixture.status)
        cJSON_AddStringToObject(elbo, "no_kl_mixture", found.no_kl_mixture.message);
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
    const bnn_status status =
        e->count ? bnn_fail(&reason, BNN_BAD_INPUT, "several trained models: each has its own")
                 : cmd_certify(e->model, e->group, &certificate, &reason);
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
    if (!status) status = measure(e, other, &e->options, &figures, error);
    live_line_clear(e->progress);
    if (!status) status = figures_add_ood(uncertainty, cmd_value(e->line, "ood"), metrics, figures, error);
    bnn_metrics_free(figures);
    bnn_dataset_free(other);
    return status;
}

/* A draw of a mixture is the mean of one draw of every member: `draws` of them. */
typedef struct sweeping {
    bnn_sweep *sweep;
    size_t members, draws, row; /* row: order x classes */
} sweeping;

static bnn_status sweep_sink(void *context, const bnn_predictions *predictions, bnn_error *error)
{
    const sweeping *s = context;
    const size_t of_member = s->draws * s->row * predictions->images;
    double *values = predictions->values;
    (void)error;
    for (size_t i = 0; s->members > 1 && i < of_member; i++) {
        for (size_t m = 1; m < s->members; m++) values[i] += values[m * of_member + i];
        values[i] /= (double)s->members;
    }
    bnn_sweep_add(s->sweep, values, predictions->images);
    return BNN_OK;
}

bnn_status eval_add_sweep(const evaluation *e, cJSON *json, const char *name, const bnn_dataset *data,
                          bnn_error *error)
{
    bnn_predict_options options = e->options;
    const bnn_member alone = {e->model, options.seed};
    sweeping s = {.members = e->count ? e->count : 1,
                  .draws = e->options.samples * e->repeats,
                  .row = e->group->order * e->model->network->spec.classes};
    options.group = e->group;
    options.samples = s.draws;
    bnn_status status = bnn_sweep_create(e->options.samples, e->repeats, e->group->order,
                                         e->model->network->spec.classes, &s.sweep, error);
    live_line_begin(e->progress, cmd_value(e->line, "ood"));
    if (!status)
        status = bnn_predict_mixture(e->count ? e->parts : &alone, s.members, data, &options, sweep_sink, &s,
                                     error);
    live_line_clear(e->progress);
    if (!status) status = figures_add_sweep(json, name, s.sweep, e->repeats, error);
    bnn_sweep_free(s.sweep);
    return status;
}

/* On the evaluated images and, where the model knows its training images, on as many of those: the difference
 * is the generalisation gap of the defect. The models of a mixture may know different ones. */
static bnn_status add_sweeps(const evaluation *e, cJSON *json, bnn_error *error)
{
    bnn_dataset *train = NULL, *validation = NULL;
    bnn_status status = eval_add_sweep(e, json, "sample_sweep", e->data, error);
    if (status || e->count || !e->model->config.data.paths.name[0] || cmd_value(e->line, "images"))
        return status;
    status = bnn_training_data(&e->model->config, &train, &validation, error);
    if (!status) status = bnn_dataset_agree("training images", train, error);
    if (!status) {
        if (train->count > e->data->count) train->count = e->data->count;
        status = eval_add_sweep(e, json, "sample_sweep_train", train, error);
    }
    bnn_dataset_free(validation);
    bnn_dataset_free(train);
    return status;
}

/* Prediction sets, where the model, or the mixture, is calibrated. */
static bnn_status add_sets(const evaluation *e, cJSON *json, const bnn_metrics *metrics, bnn_error *error)
{
    bnn_set_figures *figures = NULL;
    const bnn_calibration *calibration = e->count ? e->options.calibration : &e->model->calibration;
    if (!calibration || !calibration->images || e->options.uncalibrated) return BNN_OK;
    const bnn_status status = bnn_measure_sets(calibration, metrics, &figures, error);
    if (!status) figures_add_sets(json, calibration, figures);
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
    if (!status) status = measure(e, images, &options, &metrics, error);
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
    if (!status && e->count) figures_add_ensemble(json, metrics, e->equivariance);
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
    if (!e->count) cmd_add_model(json, &e->file, e->model);
    cmd_add_data(json, e->line, e->model);
    cmd_add_prediction(json, &e->options);
    return e->count ? BNN_OK : cmd_add_config(json, &e->model->config, error);
}

bnn_status eval_model(evaluation *e, cJSON *json, bnn_error *error)
{
    bnn_metrics *metrics = NULL;
    const double start = bnn_seconds();
    if (wants_orbit(e)) e->options.group = e->group;
    live_line_begin(e->progress, e->count ? "the mixture" : e->file.path);
    bnn_status status = measure(e, e->data, &e->options, &metrics, error);
    live_line_clear(e->progress);
    const double seconds = bnn_seconds() - start;
    if (!status) status = fill(e, json, metrics, error);
    if (!status) {
        cJSON *timing = cJSON_AddObjectToObject(json, "timing");
        cmd_add_number(timing, "seconds", seconds);
        cmd_add_number(timing, "image_samples_per_second",
                       (double)(metrics->images * metrics->draws) * views(e) / seconds);
        cmd_add_number(timing, "forward_passes", /* of a network, for a prediction */
                       (double)(metrics->draws * (e->options.average_over ? e->group->order : 1)));
        status = add_source(e, json, error);
    }
    if (!status && e->metrics)
        *e->metrics = metrics;
    else
        bnn_metrics_free(metrics);
    return status;
}

static bnn_status read_options(evaluation *e, bnn_error *error)
{
    e->equivariance = cmd_flag(e->line, "equivariance");
    e->uncertainty = cmd_flag(e->line, "uncertainty") || cmd_flag(e->line, "ood");
    e->options.progress = live_line_fraction;
    e->options.progress_context = e->progress;
    bnn_status status = cmd_size(e->line, "repeats", 1, 1 << 16, 16, &e->repeats, error);
    if (!status) status = cmd_size(e->line, "worst", 1, (size_t)1 << 30, 0, &e->worst, error);
    if (!status && e->options.mean && cmd_flag(e->line, "sample-sweep"))
        status =
            bnn_fail(error, BNN_BAD_INPUT,
                     "bnn eval: found --mean and --sample-sweep, expected one of them: w = mu has no draws");
    return status;
}

/* The figures of one member as JSON. */
static bnn_status evaluate_member(const cmd_line *line, const mixture_member *member, live_line *progress,
                                  cJSON *json, bnn_error *error)
{
    evaluation e = {.line = line,
                    .progress = progress,
                    .file = member->file,
                    .model = member->model,
                    .group = member->group,
                    .data = member->data,
                    .options = member->options};
    const bnn_status status = read_options(&e, error);
    if (status) return status;
    cmd_tell_calibration(line, &e.model->calibration, &e.options);
    return eval_model(&e, json, error);
}

/* Those of the mixture, or why there is none. */
static bnn_status evaluate_mixture(const cmd_line *line, const cmd_mixture *mixture, live_line *progress,
                                   cJSON *json, bnn_error *error)
{
    const mixture_member *first = mixture->members;
    evaluation e = {.line = line,
                    .progress = progress,
                    .model = first->model,
                    .parts = mixture->parts,
                    .count = mixture->count,
                    .group = first->group,
                    .data = first->data,
                    .options = first->options};
    e.options.calibration = mixture_calibration(mixture);
    bnn_error reason;
    const bnn_status status = read_options(&e, error);
    if (status) return status;
    if (mixture_check(mixture, wants_orbit(&e) || cmd_flag(line, "sample-sweep"), &reason)) {
        cJSON_AddNullToObject(json, "ensemble");
        cJSON_AddStringToObject(json, "no_ensemble", reason.message);
        return BNN_OK;
    }
    mixture_tell_calibration(line, mixture);
    return eval_model(&e, json, error);
}

/* What a table of several models has no room for. */
static bnn_status check_several(const cmd_line *line, size_t count, bnn_error *error)
{
    static const char *const single[] = {"sample-sweep", "worst", "classes"};
    if (cmd_flag(line, "json")) return BNN_OK;
    for (size_t i = 0; i < sizeof single / sizeof *single; i++)
        if (cmd_flag(line, single[i]))
            return bnn_fail(
                error, BNN_BAD_INPUT,
                "bnn eval: --%s: found %zu models, expected one, or --json, which has a list for each",
                single[i], count);
    return BNN_OK;
}

/* json <- the figures of one model; or those of the mixture of several, and the list of theirs. */
static bnn_status evaluate_all(const cmd_line *line, cJSON *json, bnn_error *error)
{
    live_line progress = live_line_open(LIVE_LINE_PATIENCE);
    cmd_mixture mixture = {0};
    cJSON *models = NULL;
    bnn_status status = mixture_load(line, cmd_data, &mixture, error);
    if (!status && mixture.count > 1) status = check_several(line, mixture.count, error);
    for (size_t m = 0; !status && m < mixture.count; m++)
        if (cmd_flag(line, "classes") && !mixture.members[m].data->labels)
            status = bnn_fail(error, BNN_BAD_INPUT, "bnn eval: --classes: expected --labels too");
    if (!status && mixture.count > 1) models = cJSON_CreateArray();
    for (size_t m = 0; !status && m < mixture.count; m++) {
        cJSON *of_member = models ? cJSON_CreateObject() : json;
        if (models) cJSON_AddItemToArray(models, of_member);
        status = evaluate_member(line, &mixture.members[m], &progress, of_member, error);
    }
    if (!status && models) status = evaluate_mixture(line, &mixture, &progress, json, error);
    if (models) cJSON_AddItemToObject(json, "models", models);
    mixture_free(&mixture);
    return status;
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bool done;
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (status || done) return status;
    cJSON *json = cJSON_CreateObject();
    status = evaluate_all(&line, json, error);
    if (!status && cmd_flag(&line, "json")) return cmd_print_json(json, error);
    if (!status && figures_find(json, "models"))
        figures_print_models(json);
    else if (!status)
        figures_print(json, cmd_flag(&line, "classes"));
    cJSON_Delete(json);
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
    CMD_OPTIONS_IMAGES,
    CMD_OPTION_THREADS,
    {"json", NULL, "print one JSON object, which tells the model's SHA-256 and configuration too"},
    {NULL, NULL, NULL},
};

const subcommand cmd_eval = {
    .name = "eval",
    .operands = "MODEL...",
    .summary = "evaluate models: accuracy, ELBO, calibration, equivariance",
    .details = "Several MODELs give one table, a row each, and a last one of their equal "
               "mixture: the mean of their predictives,\n"
               "--samples draws a member, on the streams of the member alone, without the "
               "members' calibrations. --json: the\n"
               "mixture's figures under the names that they have for one model, and the list "
               "of the members' objects, `models`;\n"
               "uncertainty.within_members (weight draws) and between_members: the two parts "
               "of the mutual information;\n"
               "ensemble.defect: that of the first 1, 2, ... members, and "
               "ensemble.defect_of_all that of infinitely many like these.\n"
               "A mixture has no ELBO and no certificate; its sample sweep is of the images "
               "evaluated alone. Models of other\n"
               "inputs, classes, test images, group or numbers of draws make no mixture, and a "
               "line says which (no_ensemble). A file that `bnn calibrate A B ... --out X` writes stands for "
               "its members, and its mixture\n"
               "is calibrated.\n"
               "Entropies, KL and ELBO are in nats. The ELBO is at N0, the number of base "
               "training images, whatever N the\n"
               "mode trained with: per_example is the mean over the evaluated images of "
               "E_q log p(y|x,w), less KL/N0; total\n"
               "is N0 times that. On other than the training images it estimates the "
               "expected ELBO. There is none with --mean. Its standard errors are for other\n"
               "weight draws, on these images.\n"
               "With --predictive group-averaged, likelihoods and mutual information are "
               "those of the mixture over draws and\n"
               "elements, and the ELBO is that of q_G = 1/|G| sum_h rho(h) q: kl_mixture, its KL, is up to "
               "log |G| less than kl, that of\n"
               "q, and estimated from draws. Where the network does not commute with G, kl counts, and a\n"
               "line says so; where the prior is not invariant, there is no ELBO. Where G interpolates, "
               "its orbit takes |G|^2 passes:\n"
               "images are turned twice.\n"
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
    .shared = true,
    .run = run};
