#include "commands/show.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bnn/calibration.h"
#include "bnn/io.h"
#include "bnn/mode.h"
#include "bnn/picture.h"
#include "bnn/settings.h"
#include "commands/command.h"
#include "commands/terminal.h"
#include "data/sniff.h"

/* What is drawn. */
typedef struct arrays {
    const orbit_show *show;
    size_t classes, draws; /* classes 0: nothing is predicted */
    bnn_grid_action *action;
    bnn_real *pixels;                   /* (images, order, C, H, W) */
    double *mean, *deviation;           /* (images, order, classes) */
    double temperature, *plain;         /* T; (classes) a mean without it */
    char (*elements)[BNN_PICTURE_NAME]; /* (order) */
} arrays;

/* squares (classes) += of how much a draw, whose values are given, moves F_T: the mean F of all at temperature T, to first order. */
static void add_squares(const arrays *a, const double *value, const double *tempered, double *squares)
{
    const double *plain = a->plain;
    double sum = 0;
    for (size_t c = 0; c < a->classes; c++) sum += tempered[c] * value[c] / fmax(plain[c], DBL_MIN);
    for (size_t c = 0; c < a->classes; c++) {
        const double moved = a->temperature == 1
                                 ? value[c] - plain[c]
                                 : tempered[c] * (value[c] / fmax(plain[c], DBL_MIN) - sum) / a->temperature;
        squares[c] += moved * moved;
    }
}

/* Means over the draws, at the model's temperature, and twice their standard errors. */
static bnn_status gather(void *context, const bnn_predictions *predictions, bnn_error *error)
{
    const arrays *a = context;
    const size_t order = a->show->group->order, classes = a->classes;
    const size_t stride = order * predictions->images * classes;
    const double draws = (double)a->draws;
    (void)error;
    for (size_t i = 0; i < predictions->images; i++)
        for (size_t g = 0; g < order; g++) {
            const double *values = predictions->values + (g * predictions->images + i) * classes;
            const size_t at = ((predictions->first + i) * order + g) * classes;
            double *deviation = a->deviation + at;
            for (size_t c = 0; c < classes; c++) {
                double sum = 0;
                for (size_t t = 0; t < a->draws; t++) sum += values[t * stride + c];
                a->plain[c] = sum / draws;
            }
            bnn_temper(a->plain, classes, a->temperature, a->mean + at);
            for (size_t c = 0; c < classes; c++) deviation[c] = 0;
            for (size_t t = 0; t < a->draws; t++)
                add_squares(a, values + t * stride, a->mean + at, deviation);
            for (size_t c = 0; c < classes; c++)
                deviation[c] = a->draws > 1 ? 2 * sqrt(deviation[c] / (draws * (draws - 1))) : 0;
        }
    return BNN_OK;
}

static bnn_status make_arrays(arrays *a, bnn_error *error)
{
    const bnn_dataset *d = a->show->data;
    const size_t rows = d->count * a->show->group->order, predicted = rows * a->classes;
    a->pixels = bnn_alloc(rows * d->channels * d->height * d->width, sizeof *a->pixels);
    a->mean = bnn_alloc(predicted, sizeof *a->mean);
    a->deviation = bnn_alloc(predicted, sizeof *a->deviation);
    a->plain = bnn_alloc(a->classes, sizeof *a->plain);
    a->elements = bnn_alloc(a->show->group->order, sizeof *a->elements);
    if (!a->pixels || !a->mean || !a->deviation || !a->plain || !a->elements)
        return bnn_no_memory(error, "a picture", rows, sizeof *a->pixels);
    return bnn_grid_action_create(a->show->group, d->height, d->width, &a->action, error);
}

static void turn_images(const arrays *a)
{
    const bnn_dataset *d = a->show->data;
    const size_t order = a->show->group->order, image = d->channels * d->height * d->width;
    for (size_t g = 0; g < order; g++)
        bnn_group_element_name(a->show->group, g, d->height, d->width, a->elements[g], sizeof a->elements[g]);
    for (size_t i = 0; i < d->count; i++)
        for (size_t g = 0; g < order; g++)
            bnn_grid_action_apply(a->action, g, d->images + i * image, d->channels, d->background,
                                  a->pixels + (i * order + g) * image);
}

static bnn_status draw(const arrays *a, uint8_t **png, size_t *size, bnn_error *error)
{
    const bnn_dataset *d = a->show->data;
    const bnn_orbit_picture picture = {.title = a->show->title,
                                       .images = d->count,
                                       .order = a->show->group->order,
                                       .classes = a->classes,
                                       .channels = d->channels,
                                       .height = d->height,
                                       .width = d->width,
                                       .pixels = a->pixels,
                                       .mean = a->mean,
                                       .deviation = a->deviation,
                                       .labels = d->labels,
                                       .numbers = a->show->numbers,
                                       .elements = (const char(*)[BNN_PICTURE_NAME])a->elements};
    return bnn_draw_orbits(&picture, png, size, error);
}

bnn_status show_orbits(const orbit_show *show, uint8_t **png, size_t *size, bnn_error *error)
{
    arrays a = {.show = show, .classes = show->model ? show->model->network->spec.classes : 0};
    bnn_predict_options options = show->options;
    options.group = show->group;
    a.draws = options.mean ? 1 : options.samples;
    a.temperature = show->model && !options.uncalibrated ? show->model->calibration.temperature : 1;
    *png = NULL;
    bnn_status status = make_arrays(&a, error);
    if (!status) turn_images(&a);
    if (!status && show->model) status = bnn_predict(show->model, show->data, &options, gather, &a, error);
    if (!status) status = draw(&a, png, size, error);
    bnn_grid_action_free(a.action);
    free(a.pixels);
    free(a.mean);
    free(a.deviation);
    free(a.plain);
    free(a.elements);
    return status;
}

bnn_status show_certificate(const bnn_model *model, const bnn_group *group, char *text, size_t size,
                            bnn_error *error)
{
    bnn_certificate *certificate = NULL;
    bnn_error reason = {BNN_OK, ""};
    const bnn_status status = cmd_certify(model, group, &certificate, &reason);
    if (status == BNN_FAILED) return bnn_fail(error, status, "%s", reason.message);
    *text = '\0';
    if (certificate)
        bnn_append(text, size,
                   "certificate of q: residual %.3g; |F(h.x) - F(x)|_1 is at most %.3g for every image x",
                   certificate->residual, certificate->l1_bound);
    else
        bnn_append(text, size, "no certificate: %s", reason.message);
    bnn_certificate_free(certificate);
    return BNN_OK;
}

/* ---- the command --------------------------------------------------------------------------------------- */

typedef struct command_show {
    const cmd_line *line;
    orbit_show show;
    bnn_dataset *data;
    size_t numbers[64];
} command_show;

/* Keeps `count` images from the number `first` on. */
static bnn_status choose_images(command_show *s, bnn_error *error)
{
    const size_t count = s->data->count;
    size_t shown, first;
    bnn_dataset *chosen = NULL;
    bnn_status status = cmd_size(s->line, "count", 1, 64, 4, &shown, error);
    if (!status) status = cmd_size(s->line, "first", 0, count - 1, 0, &first, error);
    if (status) return status;
    if (shown > count - first) shown = count - first;
    for (size_t i = 0; i < shown; i++) s->numbers[i] = first + i;
    status = bnn_dataset_subset(s->data, s->numbers, shown, &chosen, error);
    if (status) return status;
    bnn_dataset_free(s->data);
    s->data = chosen;
    return BNN_OK;
}

/* Draws what has been loaded under a title, and writes it. */
static bnn_status write_picture(command_show *s, const char *title, bnn_error *error)
{
    uint8_t *png = NULL;
    size_t size;
    s->show.title = title;
    s->show.numbers = s->numbers;
    bnn_status status = choose_images(s, error);
    s->show.data = s->data;
    if (!status) status = show_orbits(&s->show, &png, &size, error);
    if (!status) status = bnn_write_file(cmd_value(s->line, "out"), png, size, error);
    s->show.title = NULL;
    free(png);
    return status;
}

/* Predictions, and what is known of the symmetry for every image under what is drawn of a few. */
static bnn_status show_model(command_show *s, const cmd_file *file, bnn_error *error)
{
    live_line progress = live_line_open(LIVE_LINE_PATIENCE);
    char title[1024] = "", certificate[512];
    orbit_show *show = &s->show;
    if (s->line->set_count > 0)
        return bnn_fail(error, BNN_BAD_INPUT, "bnn show: --set is for configurations, and %s is a model",
                        file->path);
    bnn_status status = cmd_parse_model(file, &show->model, NULL, error);
    if (!status) status = cmd_group(s->line, show->model, &show->group, error);
    if (!status) status = cmd_predict_options(s->line, show->model, show->group, &show->options, error);
    if (!status) status = cmd_data(s->line, show->model, &s->data, error);
    if (!status) status = show_certificate(show->model, show->group, certificate, sizeof certificate, error);
    if (status) return status;
    cmd_tell_calibration(s->line, &show->model->calibration, &show->options);
    bnn_append(title, sizeof title,
               "%s, mode %s, group %s: F(g.x), the mean over %zu weight draws, and twice its standard error",
               s->line->operands[0], bnn_mode_of(&show->model->config)->row.name, show->group->name,
               show->options.mean ? 1 : show->options.samples);
    if (show->options.average_over) bnn_append(title, sizeof title, ", averaged over the group");
    if (show->model->calibration.images && !show->options.uncalibrated)
        bnn_append(title, sizeof title, ", at temperature %.4g", show->model->calibration.temperature);
    bnn_append(title, sizeof title, "\n%s", certificate);
    show->options.progress = live_line_fraction;
    show->options.progress_context = &progress;
    live_line_begin(&progress, s->line->operands[0]);
    status = write_picture(s, title, error);
    live_line_clear(&progress);
    show->options.progress_context = NULL;
    return status;
}

/* Of a configuration, the training images before data.augment. What only a model has a use for is refused. */
static bnn_status show_config(command_show *s, const cmd_file *file, bnn_error *error)
{
    static const char *const of_models[] = {"images", "labels",     "data",           "samples", "mean",
                                            "draws",  "predictive", "no-calibration", "group"};
    const char *const *sets = s->line->sets;
    char title[1024] = "";
    bnn_config config;
    bnn_dataset *validation = NULL;
    for (size_t i = 0; i < sizeof of_models / sizeof *of_models; i++)
        if (cmd_flag(s->line, of_models[i]))
            return bnn_fail(error, BNN_BAD_INPUT, "bnn show: --%s is for models, and %s is a configuration",
                            of_models[i], file->path);
    bnn_status status =
        bnn_settings_read_text(file->path, file->bytes, file->size, sets, s->line->set_count, &config, error);
    if (status) return status;
    status = bnn_group_create(config.group, &s->show.group, error);
    if (!status) status = bnn_training_data(&config, &s->data, &validation, error);
    bnn_dataset_free(validation);
    if (status) return bnn_config_blame(file->path, sets, s->line->set_count, status, error);
    bnn_append(title, sizeof title,
               "%s: training images over their orbit under %s\n%zu images of %zu x %zu x %zu (C x H x W), %s",
               s->line->operands[0], s->show.group->name, s->data->count, s->data->channels, s->data->height,
               s->data->width, s->data->type);
    return write_picture(s, title, error);
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    cmd_file file;
    bool done;
    command_show s = {.line = &line};
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (status || done) return status;
    status = cmd_read(line.operands[0], &file, error);
    if (!status)
        status = bnn_sniff(file.bytes, file.size) == BNN_FILE_JSON ? show_config(&s, &file, error)
                                                                   : show_model(&s, &file, error);
    free(file.bytes);
    bnn_dataset_free(s.data);
    bnn_group_free(s.show.group);
    bnn_model_free(s.show.model);
    return status;
}

static const cmd_option options[] = {
    {"out", "X.png", "where to write"},
    {"set", "KEY=VALUE", "override a key of the configuration (repeatable)"},
    {"count", "N", "images shown (default 4)"},
    {"first", "I", "the number of the first in its data set (default 0)"},
    {"images", "F", "images from an IDX or .npy file (default: the model's test images)"},
    {"labels", "F", "their labels, whose bars then have another colour"},
    CMD_OPTION_DATA,
    CMD_OPTIONS_PREDICTION,
    CMD_OPTION_CALIBRATION,
    CMD_OPTION_GROUP,
    CMD_OPTION_THREADS,
    {NULL, NULL, NULL},
};

const subcommand cmd_show = {
    .name = "show",
    .operands = "MODEL|CONFIG.json",
    .summary = "draw images over their orbit, with predictions and certificate, as a PNG",
    .details = "Of a configuration, the training images are drawn, without predictions.\n",
    .options = options,
    .required = "out",
    .run = run};
