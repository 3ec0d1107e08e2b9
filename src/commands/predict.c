#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/calibration.h"
#include "bnn/evaluate.h"
#include "bnn/npy.h"
#include "bnn/numeric.h"
#include "commands/command.h"

/* Gathers chunks (T, G, images, classes) into one array: every draw or their mean, the whole orbit or the identity. */
typedef struct gathering {
    size_t draws, order, images, classes;
    size_t kept_draws, kept_order; /* of what is written: 1 for the mean over draws, 1 without the orbit */
    double *out;                   /* (kept_draws, kept_order, N, C) */
    double *rest; /* what the sums over draws lost by rounding, as there; NULL with every draw */
} gathering;

static bnn_status gather(void *context, const bnn_predictions *predictions, bnn_error *error)
{
    const gathering *g = context;
    const size_t row = predictions->images * g->classes, whole = g->images * g->classes;
    const double *values = predictions->values;
    (void)error;
    for (size_t t = 0; t < g->draws; t++)
        for (size_t h = 0; h < g->order; h++, values += row) {
            if (h >= g->kept_order) continue;
            const size_t at =
                (t % g->kept_draws * g->kept_order + h) * whole + predictions->first * g->classes;
            for (size_t i = 0; i < row && g->rest; i++)
                bnn_add_exactly(&g->out[at + i], &g->rest[at + i], values[i]);
            if (!g->rest) memcpy(g->out + at, values, row * sizeof *values);
        }
    return BNN_OK;
}

/* The means over draws from their sums, as eval has them, and at the model's temperature. */
static void finish(const gathering *g, double temperature)
{
    const size_t rows = g->kept_order * g->images, count = rows * g->classes;
    for (size_t i = 0; i < count; i++) g->out[i] = (g->out[i] + g->rest[i]) / (double)g->draws;
    for (size_t r = 0; r < rows; r++)
        bnn_temper(g->out + r * g->classes, g->classes, temperature, g->out + r * g->classes);
}

/* Writes the set of every row of F_T. */
static bnn_status write_sets(const cmd_line *line, const bnn_calibration *calibration, const gathering *g,
                             size_t rank, const size_t *shape, bnn_error *error)
{
    const size_t rows = g->kept_order * g->images;
    uint8_t *sets = bnn_alloc(rows, g->classes);
    if (!sets) return bnn_no_memory(error, "prediction sets", rows, g->classes);
    for (size_t r = 0; r < rows; r++)
        bnn_set_of(calibration, g->out + r * g->classes, g->classes, sets + r * g->classes);
    const bnn_status status = bnn_npy_write_flags(cmd_value(line, "out"), sets, rank, shape, error);
    free(sets);
    return status;
}

static bnn_status predict(const cmd_line *line, const bnn_model *model, const bnn_dataset *data,
                          const bnn_predict_options *options, bnn_error *error)
{
    const bool each_draw = cmd_flag(line, "each-draw"), orbit = each_draw || cmd_flag(line, "orbit");
    gathering g = {.draws = options->mean ? 1 : options->samples,
                   .order = options->group ? options->group->order : 1,
                   .images = data->count,
                   .classes = model->network->spec.classes};
    g.kept_draws = each_draw ? g.draws : 1;
    g.kept_order = orbit ? g.order : 1;
    const size_t shape[] = {g.kept_draws, g.kept_order, g.images, g.classes};
    const size_t skip = each_draw ? 0 : orbit ? 1 : 2;
    const size_t count = g.kept_draws * g.kept_order * g.images * g.classes;
    g.out = bnn_alloc(count, sizeof *g.out);
    g.rest = each_draw ? NULL : bnn_alloc(count, sizeof *g.rest);
    bnn_status status = BNN_OK;
    if (!g.out || (!each_draw && !g.rest)) status = bnn_no_memory(error, "predictions", count, sizeof *g.out);
    if (!status) status = bnn_predict(model, data, options, gather, &g, error);
    if (!status && g.rest)
        finish(&g, options->uncalibrated || options->logits ? 1 : model->calibration.temperature);
    if (!status && cmd_flag(line, "sets"))
        status = write_sets(line, &model->calibration, &g, 4 - skip, shape + skip, error);
    else if (!status)
        status =
            bnn_npy_write(cmd_value(line, "out"), g.out, 4 - skip, shape + skip, sizeof(bnn_real), error);
    free(g.rest);
    free(g.out);
    return status;
}

/* What does not go together. */
static bnn_status check_options(const cmd_line *line, const bnn_model *model,
                                const bnn_predict_options *options, bnn_error *error)
{
    static const char *const others[] = {"logits", "each-draw", "no-calibration"};
    if (options->average_over && cmd_flag(line, "logits"))
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "bnn predict: --logits: the group-averaged predictive is a mean of probabilities, expected "
            "--predictive posterior too");
    if (!cmd_flag(line, "sets")) return BNN_OK;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (cmd_flag(line, others[i]))
            return bnn_fail(error, BNN_BAD_INPUT, "bnn predict: found --sets and --%s, expected one of them",
                            others[i]);
    if (model->calibration.images) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT,
                    "bnn predict: --sets: %s is not calibrated, expected a model written by bnn calibrate",
                    line->operands[0]);
}

/* Logits and draws have no temperature, which a calibrated model's user may expect. */
static void tell_temperature(const cmd_line *line, const bnn_model *model, const bnn_predict_options *options)
{
    const bool raw = cmd_flag(line, "logits") || cmd_flag(line, "each-draw");
    char text[BNN_LINE];
    if (!raw) cmd_tell_calibration(line, model, options);
    if (!raw || options->uncalibrated || !model->calibration.images) return;
    snprintf(text, sizeof text,
             "written without the model's temperature, %.4g, which acts on the mean over draws",
             model->calibration.temperature);
    cmd_print_message("bnn predict: ", text);
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bool done;
    bnn_model *model = NULL;
    bnn_group *group = NULL;
    bnn_dataset *data = NULL;
    bnn_predict_options options;
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (status || done) return status;
    status = cmd_load_model(line.operands[0], &model, NULL, error);
    if (!status) status = cmd_group(&line, model, &group, error);
    if (!status) status = cmd_predict_options(&line, model, group, &options, error);
    if (!status) status = check_options(&line, model, &options, error);
    if (!status) status = cmd_data(&line, model, &data, error);
    if (!status) {
        const bool orbit = cmd_flag(&line, "orbit") || cmd_flag(&line, "each-draw");
        options.group = orbit ? group : NULL;
        options.logits = cmd_flag(&line, "logits");
        tell_temperature(&line, model, &options);
        status = predict(&line, model, data, &options, error);
    }
    bnn_dataset_free(data);
    bnn_group_free(group);
    bnn_model_free(model);
    return status;
}

static const cmd_option options[] = {
    {"images", "F", "images from an IDX or .npy file (default: the model's test images)"},
    {"data", "NAME", "the test images of a data set, as they are (no data.rotate)"},
    {"labels", "F", "their labels, checked and otherwise unused"},
    {"out", "P.npy", "where to write: (N,C); (G,N,C) with --orbit; (T,G,N,C) with --each-draw"},
    {"orbit", NULL, "the predictions for every g.x"},
    {"logits", NULL, "logits instead of probabilities"},
    {"sets", NULL, "prediction sets of a calibrated model (bool) instead of probabilities"},
    {"each-draw", NULL, "every draw over the orbit instead of the mean"},
    CMD_OPTIONS_PREDICTION,
    CMD_OPTION_CALIBRATION,
    CMD_OPTION_GROUP,
    CMD_OPTION_THREADS,
    {NULL, NULL, NULL},
};

const subcommand cmd_predict = {.name = "predict",
                                .operands = "MODEL",
                                .summary = "write predictions for images as a NumPy array",
                                .details = "Of a calibrated model, probabilities are at its temperature. "
                                           "Sets: of bool, shaped as the probabilities.\n",
                                .options = options,
                                .required = "out",
                                .run = run};
