#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/calibration.h"
#include "bnn/evaluate.h"
#include "bnn/io.h"
#include "bnn/npy.h"
#include "bnn/numeric.h"
#include "commands/command.h"
#include "commands/terminal.h"

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

/* ---- CSV ----------------------------------------------------------------------------------------------- */

static bool wants_csv(const cmd_line *line)
{
    const char *out = cmd_value(line, "out");
    const size_t length = strlen(out);
    return cmd_flag(line, "csv") || (length > 4 && strcmp(out + length - 4, ".csv") == 0);
}

/* A line a prediction, in the order of the array: [draw,][element,]image and the classes' numbers, which read back as what the
 * array would hold. */
static void print_rows(const gathering *g, bool draws, bool orbit, const char *column, FILE *stream)
{
    const int digits = sizeof(bnn_real) == sizeof(float) ? 9 : 17;
    const double *value = g->out;
    fprintf(stream, "%s%simage", draws ? "draw," : "", orbit ? "element," : "");
    for (size_t c = 0; c < g->classes; c++) fprintf(stream, ",%s%zu", column, c);
    fputc('\n', stream);
    for (size_t t = 0; t < g->kept_draws; t++)
        for (size_t h = 0; h < g->kept_order; h++)
            for (size_t i = 0; i < g->images; i++) {
                if (draws) fprintf(stream, "%zu,", t);
                if (orbit) fprintf(stream, "%zu,", h);
                fprintf(stream, "%zu", i);
                for (size_t c = 0; c < g->classes; c++)
                    fprintf(stream, ",%.*g", digits, (double)(bnn_real)*value++);
                fputc('\n', stream);
            }
}

static bnn_status write_csv(const cmd_line *line, const gathering *g, bool draws, bool orbit,
                            bnn_error *error)
{
    const char *out = cmd_value(line, "out");
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return bnn_no_memory(error, out, 1, 0);
    print_rows(g, draws, orbit,
               cmd_flag(line, "sets")     ? "in"
               : cmd_flag(line, "logits") ? "logit"
                                          : "p",
               stream);
    const bool whole = !ferror(stream);
    bnn_status status = fclose(stream) == 0 && whole ? bnn_write_file(out, text, size, error)
                                                     : bnn_no_memory(error, out, g->images, g->classes);
    free(text);
    return status;
}

/* ---- prediction sets --------------------------------------------------------------------------------------- */

/* Puts 1 and 0 in the place of the probabilities: whether a class is in the set of its row of F_T. */
static bnn_status make_sets(const bnn_calibration *calibration, const gathering *g, uint8_t **sets,
                            bnn_error *error)
{
    const size_t rows = g->kept_order * g->images;
    *sets = bnn_alloc(rows, g->classes);
    if (!*sets) return bnn_no_memory(error, "prediction sets", rows, g->classes);
    for (size_t r = 0; r < rows; r++)
        bnn_set_of(calibration, g->out + r * g->classes, g->classes, *sets + r * g->classes);
    for (size_t i = 0; i < rows * g->classes; i++) g->out[i] = (*sets)[i];
    return BNN_OK;
}

static bnn_status write_predictions(const cmd_line *line, const gathering *g, const uint8_t *sets,
                                    bnn_error *error)
{
    const bool each_draw = cmd_flag(line, "each-draw"), orbit = each_draw || cmd_flag(line, "orbit");
    const size_t shape[] = {g->kept_draws, g->kept_order, g->images, g->classes};
    const size_t skip = each_draw ? 0 : orbit ? 1 : 2;
    const char *out = cmd_value(line, "out");
    if (wants_csv(line)) return write_csv(line, g, each_draw, orbit, error);
    if (sets) return bnn_npy_write_flags(out, sets, 4 - skip, shape + skip, error);
    return bnn_npy_write(out, g->out, 4 - skip, shape + skip, sizeof(bnn_real), error);
}

static bnn_status predict(const cmd_line *line, const bnn_model *model, const bnn_dataset *data,
                          const bnn_predict_options *options, bnn_error *error)
{
    const bool each_draw = cmd_flag(line, "each-draw"), orbit = each_draw || cmd_flag(line, "orbit");
    uint8_t *sets = NULL;
    gathering g = {.draws = options->mean ? 1 : options->samples,
                   .order = options->group ? options->group->order : 1,
                   .images = data->count,
                   .classes = model->network->spec.classes};
    g.kept_draws = each_draw ? g.draws : 1;
    g.kept_order = orbit ? g.order : 1;
    const size_t count = g.kept_draws * g.kept_order * g.images * g.classes;
    g.out = bnn_alloc(count, sizeof *g.out);
    g.rest = each_draw ? NULL : bnn_alloc(count, sizeof *g.rest);
    bnn_status status = BNN_OK;
    if (!g.out || (!each_draw && !g.rest)) status = bnn_no_memory(error, "predictions", count, sizeof *g.out);
    if (!status) status = bnn_predict(model, data, options, gather, &g, error);
    if (!status && g.rest)
        finish(&g, options->uncalibrated || options->logits ? 1 : model->calibration.temperature);
    if (!status && cmd_flag(line, "sets")) status = make_sets(&model->calibration, &g, &sets, error);
    if (!status) status = write_predictions(line, &g, sets, error);
    free(sets);
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
    live_line progress = live_line_open(LIVE_LINE_PATIENCE);
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
        options.progress = live_line_fraction;
        options.progress_context = &progress;
        live_line_begin(&progress, line.operands[0]);
        status = predict(&line, model, data, &options, error);
        live_line_clear(&progress);
    }
    bnn_dataset_free(data);
    bnn_group_free(group);
    bnn_model_free(model);
    return status;
}

static const cmd_option options[] = {
    {"images", "F", "images from an IDX or .npy file (default: the model's test images)"},
    CMD_OPTION_DATA,
    {"labels", "F", "their labels, checked and otherwise unused"},
    {"out", "FILE", "where to write, NumPy (N,C); (G,N,C) with --orbit; (T,G,N,C) with --each-draw"},
    {"csv", NULL, "CSV instead of NumPy, as is written to a FILE whose name ends in .csv"},
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

const subcommand cmd_predict = {
    .name = "predict",
    .operands = "MODEL",
    .summary = "write predictions for images as a NumPy array or CSV",
    .details = "CSV has a header and a line a prediction: the columns image and p0, p1, "
               "... (logit0, logit1, ... with --logits);\n"
               "before them element with --orbit, and draw and element with --each-draw. "
               "All of them count from 0; element 0 is\n"
               "the identity. Of a calibrated model, probabilities are at its temperature. Sets: of bool, in "
               "CSV the\n"
               "columns in0, in1, ... of 1 and 0.\n",
    .options = options,
    .required = "out",
    .run = run};
