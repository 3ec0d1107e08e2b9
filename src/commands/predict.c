#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bnn/calibration.h"
#include "bnn/evaluate.h"
#include "bnn/io.h"
#include "bnn/npy.h"
#include "bnn/numeric.h"
#include "bnn/ranks.h"
#include "commands/mixture.h"
#include "commands/terminal.h"

/* Gathers chunks (M T, G, images, classes) into one array: every draw or their mean, the whole orbit or the identity. */
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
    bnn_text rows;
    size_t size;
    FILE *stream = bnn_text_open(&rows);
    if (!stream) return bnn_no_memory(error, out, 1, 0);
    print_rows(g, draws, orbit,
               cmd_flag(line, "sets")     ? "in"
               : cmd_flag(line, "logits") ? "logit"
                                          : "p",
               stream);
    char *text = bnn_text_close(&rows, &size);
    const bnn_status status =
        text ? bnn_write_file(out, text, size, error) : bnn_no_memory(error, out, g->images, g->classes);
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
    if (bnn_rank() > 0) return BNN_OK;
    if (wants_csv(line)) return write_csv(line, g, each_draw, orbit, error);
    if (sets) return bnn_npy_write_flags(out, sets, 4 - skip, shape + skip, error);
    return bnn_npy_write(out, g->out, 4 - skip, shape + skip, sizeof(bnn_real), error);
}

static bnn_status predict(const cmd_line *line, const cmd_mixture *mixture,
                          const bnn_predict_options *options, bnn_error *error)
{
    const bnn_model *model = mixture->members->model;
    const bnn_dataset *data = mixture->members->data;
    const bnn_calibration *calibration = mixture_calibration(mixture);
    const bool raw = !calibration || options->uncalibrated || options->logits;
    const bool each_draw = cmd_flag(line, "each-draw"), orbit = each_draw || cmd_flag(line, "orbit");
    uint8_t *sets = NULL;
    gathering g = {.draws = mixture->count * (options->mean ? 1 : options->samples),
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
    if (!status)
        status = bnn_predict_mixture(mixture->parts, mixture->count, data, options, gather, &g, error);
    if (!status && g.rest) finish(&g, raw ? 1 : calibration->temperature);
    if (!status && cmd_flag(line, "sets")) status = make_sets(calibration, &g, &sets, error);
    if (!status) status = write_predictions(line, &g, sets, error);
    free(sets);
    free(g.rest);
    free(g.out);
    return status;
}

/* What does not go together. */
static bnn_status check_options(const cmd_line *line, const cmd_mixture *mixture, bnn_error *error)
{
    const bnn_predict_options *options = &mixture->members->options;
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
    if (mixture_calibration(mixture)) return BNN_OK;
    if (mixture->count > 1)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "bnn predict: --sets: found %zu models, expected what bnn calibrate writes of them: "
                        "their mixture is not calibrated",
                        mixture->count);
    return bnn_fail(error, BNN_BAD_INPUT,
                    "bnn predict: --sets: %s is not calibrated, expected a model written by bnn calibrate",
                    line->operands[0]);
}

/* Logits and draws have no temperature, which a calibrated model's user may expect. */
static void tell_temperature(const cmd_line *line, const cmd_mixture *mixture)
{
    const bnn_calibration *calibration = mixture_calibration(mixture);
    const bool raw = cmd_flag(line, "logits") || cmd_flag(line, "each-draw");
    char text[BNN_LINE];
    if (!raw) mixture_tell_calibration(line, mixture);
    if (!raw || mixture->members->options.uncalibrated || !calibration) return;
    snprintf(text, sizeof text,
             "written without the model's temperature, %.4g, which acts on the mean over draws",
             calibration->temperature);
    cmd_print_message("bnn predict: ", text);
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bool done;
    cmd_mixture mixture = {0};
    live_line progress = live_line_open(LIVE_LINE_PATIENCE);
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (status || done) return status;
    const bool orbit = cmd_flag(&line, "orbit") || cmd_flag(&line, "each-draw");
    status = mixture_load(&line, cmd_data, &mixture, error);
    if (!status) status = check_options(&line, &mixture, error);
    if (!status && mixture_check(&mixture, orbit, error))
        status = bnn_fail_in(error, BNN_BAD_INPUT, "bnn predict");
    if (!status) {
        bnn_predict_options options = mixture.members->options;
        options.group = orbit ? mixture.members->group : NULL;
        options.logits = cmd_flag(&line, "logits");
        tell_temperature(&line, &mixture);
        options.progress = live_line_fraction;
        options.progress_context = &progress;
        live_line_begin(&progress, line.operands[0]);
        status = predict(&line, &mixture, &options, error);
        live_line_clear(&progress);
    }
    mixture_free(&mixture);
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
    .operands = "MODEL...",
    .summary = "write predictions for images as a NumPy array or CSV",
    .details = "Of several MODELs, their equal mixture: the mean of their predictives, --samples draws a "
               "member, on the streams of the\n"
               "member alone, without the members' calibrations; with --each-draw the draws of one member "
               "after those of another.\n"
               "A file that `bnn calibrate A B ... --out X` writes stands for them, and is calibrated.\n"
               "Inputs, classes, images and, for orbits, groups have to be the same.\n"
               "CSV has a header and a line a prediction: the columns image and p0, p1, "
               "... (logit0, logit1, ... with --logits);\n"
               "before them element with --orbit, and draw and element with --each-draw. "
               "All of them count from 0; element 0 is\n"
               "the identity. Of a calibrated model, probabilities are at its temperature. Sets: of bool, in "
               "CSV the\n"
               "columns in0, in1, ... of 1 and 0.\n",
    .options = options,
    .required = "out",
    .shared = true,
    .run = run};
