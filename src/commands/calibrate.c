#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bnn/calibration.h"
#include "bnn/ensemble.h"
#include "bnn/evaluate.h"
#include "bnn/ranks.h"
#include "commands/figures.h"
#include "commands/mixture.h"
#include "commands/terminal.h"

/* Data sets may have a few images twice; more of the calibration images than this share of them in the training or the test set
 * are no accident. */
#define SHARED_MOST 0.01

typedef struct calibration {
    const cmd_line *line;
    cmd_mixture mixture;
    bnn_dataset *data; /* that of its first member */
    bnn_predict_options options;
    bnn_calibration made;
} calibration;

static bnn_status read_coverage(const cmd_line *line, double *coverage, bnn_error *error)
{
    const char *text = cmd_value(line, "coverage");
    *coverage = 0.9;
    if (!text || (bnn_decimal(text, coverage) && *coverage > 0 && *coverage < 1)) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT,
                    "bnn calibrate: --coverage: found %s, expected a number between 0 and 1", text);
}

static bnn_status read_options(calibration *c, bnn_error *error)
{
    bnn_status status = read_coverage(c->line, &c->made.wanted, error);
    if (!status)
        status = cmd_choice(c->line, "method", bnn_set_method_names, BNN_SETS_LAC, &c->made.method, error);
    if (!status && mixture_check(&c->mixture, false, error))
        status = bnn_fail_in(error, BNN_BAD_INPUT, "bnn calibrate");
    return status;
}

/* ---- which images ---------------------------------------------------------------------------------------- */

/* Refuses calibration images that are those of another set. */
static bnn_status compare(const calibration *c, const char *name, const bnn_dataset *other, bnn_error *error)
{
    size_t shared;
    char text[160];
    const bnn_status status = bnn_dataset_shared(c->data, other, &shared, error);
    if (status || !shared) return status;
    if ((double)shared > SHARED_MOST * (double)c->data->count)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "bnn calibrate: found %zu of the %zu calibration images among the model's %s images, "
            "expected images that are in neither: what is fitted to them would hold for them alone",
            shared, c->data->count, name);
    snprintf(text, sizeof text, "warning: %zu of the %zu calibration images are among the model's %s images",
             shared, c->data->count, name);
    cmd_print_message("bnn calibrate: ", text);
    return BNN_OK;
}

/* Compares the images with the training and the test set, as far as these can be read. */
static bnn_status check_images(const calibration *c, const bnn_config *config, bnn_error *error)
{
    bnn_dataset *train = NULL, *validation = NULL, *test = NULL;
    bnn_error reason;
    if (!*config->data.paths.name) return BNN_OK;
    bnn_status status = bnn_training_data(config, &train, &validation, &reason);
    if (!status) status = bnn_test_data(config, &test, &reason);
    if (status == BNN_FAILED)
        bnn_fail(error, status, "%s", reason.message);
    else if (status) {
        char text[BNN_LINE];
        snprintf(text, sizeof text,
                 "the images are not compared with the model's training and test images: %.300s",
                 reason.message);
        cmd_print_message("bnn calibrate: ", text);
        status = BNN_OK;
    } else {
        status = compare(c, "training", train, error);
        if (!status && test) status = compare(c, "test", test, error);
    }
    bnn_dataset_free(test);
    bnn_dataset_free(validation);
    bnn_dataset_free(train);
    return status;
}

/* --images or --data, or else the validation split. */
static bnn_status find_images(const cmd_line *line, const bnn_model *model, bnn_dataset **data,
                              bnn_error *error)
{
    const bool other = cmd_value(line, "images") || cmd_value(line, "data");
    const bnn_status status = other || cmd_value(line, "labels")
                                  ? cmd_data(line, model, data, error)
                                  : cmd_split_data(line, model, BNN_VALIDATION, data, error);
    if (status || (*data)->labels) return status;
    return bnn_fail(error, BNN_BAD_INPUT, "bnn calibrate: --images: expected --labels too");
}

/* ---- the fit ----------------------------------------------------------------------------------------------- */

static bnn_status measure(const calibration *c, bnn_metrics **metrics, bnn_error *error)
{
    return bnn_evaluate_mixture(c->mixture.parts, c->mixture.count, c->data, &c->options, metrics, error);
}

/* made <- the temperature of F, and the threshold of F's scores at it; *before <- the figures without. */
static bnn_status fit(calibration *c, bnn_metrics **before, bnn_error *error)
{
    bnn_calibration *made = &c->made;
    bnn_status status = measure(c, before, error);
    if (status) return status;
    bnn_metrics *m = *before;
    made->temperature = bnn_fit_temperature(m->predictive, m->labels, m->images, m->classes);
    if (isnan(made->temperature)) return bnn_no_memory(error, "a temperature", m->classes, sizeof(double));
    for (size_t i = 0; i < m->images; i++) {
        double *p = m->predictive + i * m->classes;
        bnn_temper(p, m->classes, made->temperature, p);
    }
    status = bnn_set_threshold((bnn_set_method)made->method, m->predictive, m->labels, m->images, m->classes,
                               made->wanted, &made->threshold, error);
    if (status) return bnn_fail_in(error, status, "bnn calibrate");
    made->images = m->images;
    made->samples = c->options.mean ? 0 : m->draws / m->members;
    if (c->options.average_over)
        snprintf(made->group, sizeof made->group, "%s", c->options.average_over->name);
    return BNN_OK;
}

/* A fit at a bound is one that the images do not tell. */
static void tell_bound(double temperature)
{
    if (temperature > 1.01 * BNN_LEAST_TEMPERATURE && temperature < 0.99 * BNN_MOST_TEMPERATURE) return;
    cmd_print_message("bnn calibrate: ",
                      temperature < 1
                          ? "warning: every image is predicted right: the likelihood grows with 1/T "
                            "without end, and T is the least there is"
                          : "warning: the predictions are no better than none: T is the largest "
                            "there is");
}

static bnn_status report(calibration *c, const bnn_metrics *before, bnn_error *error)
{
    const bnn_calibration *made = &c->made;
    bnn_metrics *after = NULL;
    c->options.uncalibrated = false;
    c->options.calibration = made;
    bnn_status status = measure(c, &after, error);
    if (status) return status;
    if (cmd_flag(c->line, "json")) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddNumberToObject(json, "images", (double)made->images);
        cJSON_AddNumberToObject(json, "samples", (double)made->samples);
        cJSON_AddNumberToObject(json, "temperature", made->temperature);
        cmd_add_number(json, "nll_before", before->nll);
        cmd_add_number(json, "nll", after->nll);
        cmd_add_number(json, "ece_before", before->ece);
        cmd_add_number(json, "ece", after->ece);
        cJSON_AddStringToObject(json, "method", bnn_set_method_names[made->method]);
        cJSON_AddNumberToObject(json, "wanted", made->wanted);
        cJSON_AddNumberToObject(json, "threshold", made->threshold);
        status = cmd_print_json(json, error);
    } else
        printf(
            "%-24s %zu\n%-24s %.4f\n%-24s %.4f, %.4f\n%-24s %.4f, %.4f\n%-24s %s, of coverage %g: scores up "
            "to %.6g\n",
            "calibration images", made->images, "temperature", made->temperature, "NLL before and after",
            before->nll, after->nll, "ECE before and after", before->ece, after->ece, "sets",
            bnn_set_method_names[made->method], made->wanted, made->threshold);
    bnn_metrics_free(after);
    return status;
}

/* A model with its calibration; or the names of several, with that of their mixture. */
static bnn_status save(calibration *c, bnn_error *error)
{
    const mixture_member *first = c->mixture.members;
    const char *const metadata[] = {"training", first->training}, *const out = cmd_value(c->line, "out");
    bnn_ensemble ensemble = {.count = c->mixture.count, .calibration = c->made};
    if (bnn_rank() > 0) return BNN_OK;
    if (ensemble.count == 1) {
        first->model->calibration = c->made;
        return bnn_model_save(first->model, out, metadata, 1, NULL, 0, error);
    }
    ensemble.members = bnn_alloc(ensemble.count, sizeof *ensemble.members);
    if (!ensemble.members) return bnn_no_memory(error, out, ensemble.count, sizeof *ensemble.members);
    for (size_t m = 0; m < ensemble.count; m++) {
        memcpy(ensemble.members[m].path, first[m].file.path, sizeof first[m].file.path);
        memcpy(ensemble.members[m].sha256, first[m].file.sha256, sizeof first[m].file.sha256);
    }
    const bnn_status status = bnn_ensemble_save(out, &ensemble, error);
    free(ensemble.members);
    return status;
}

static bnn_status calibrate(calibration *c, bnn_error *error)
{
    bnn_metrics *before = NULL;
    bnn_status status = fit(c, &before, error);
    if (!status) {
        tell_bound(c->made.temperature);
        status = save(c, error);
    }
    if (!status) status = report(c, before, error);
    bnn_metrics_free(before);
    return status;
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bool done;
    calibration c = {.line = &line};
    live_line progress = live_line_open(LIVE_LINE_PATIENCE);
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (status || done) return status;
    status = mixture_load(&line, find_images, &c.mixture, error);
    if (!status) status = read_options(&c, error);
    for (size_t m = 0; !status && m < c.mixture.count; m++) {
        c.data = c.mixture.members->data;
        status = check_images(&c, &c.mixture.members[m].model->config, error);
    }
    if (!status) {
        c.options = c.mixture.members->options;
        c.options.uncalibrated = true;
        c.options.progress = live_line_fraction;
        c.options.progress_context = &progress;
        live_line_begin(&progress, line.operands[0]);
        status = calibrate(&c, error);
        live_line_clear(&progress);
    }
    mixture_free(&c.mixture);
    return status;
}

static const cmd_option options[] = {
    {"out", "MODEL", "where to write the model with its calibration"},
    {"coverage", "C", "of the prediction sets, between 0 and 1 (default 0.9)"},
    {"method", "lac|aps", "scores of the prediction sets (default lac)"},
    {"images", "F", "images to calibrate on (default: the validation split of the model's data)"},
    {"labels", "F", "their labels"},
    CMD_OPTION_DATA,
    CMD_OPTIONS_PREDICTION,
    CMD_OPTION_GROUP,
    CMD_OPTION_THREADS,
    {"json", NULL, "print one JSON object"},
    {NULL, NULL, NULL},
};

const subcommand cmd_calibrate = {
    .name = "calibrate",
    .operands = "MODEL...",
    .summary = "fit a temperature and prediction sets on validation images, and keep them in the model",
    .details =
        "The temperature T acts on the mean over draws (and over the group, where that is averaged): "
        "F_T = F^(1/T) / "
        "sum_c F_c^(1/T),\n"
        "with T of the largest likelihood of the calibration images. Accuracy stays, and so does an "
        "exact invariance.\n"
        "Sets are split-conformal: the set of x has the classes whose score is at most q, the ceil((n "
        "+ 1) C)-th smallest "
        "score of\n"
        "the labels of the n calibration images. lac: 1 - F_T(y); small sets, some of them empty. "
        "aps: the mass of the more "
        "probable\n"
        "classes, not randomised; at least the most probable class, so that coverage is not below the "
        "accuracy. If\n"
        "calibration images and new ones are exchangeable, new ones are covered with probability at "
        "least C. The\n"
        "validation split is nearly so: with train.select \"validation\" it chose the best epoch; "
        "--images avoids that.\n"
        "eval, predict, report and show use what the model keeps, for the same --samples and --predictive; "
        "--no-calibration leaves it "
        "out.\n"
        "symmetrize and expand make other models, without it.\n"
        "Of several MODELs, their equal mixture is calibrated. What is written then is no model but names "
        "them, by path "
        "and SHA-256, and keeps\n"
        "the calibration; eval and predict take it in their place. Their calibration images have to be "
        "the same.\n",
    .options = options,
    .required = "out",
    .shared = true,
    .run = run};
