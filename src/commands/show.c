#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bnn/evaluate.h"
#include "bnn/mode.h"
#include "bnn/picture.h"
#include "commands/command.h"
#include "commands/terminal.h"

/* What is drawn: the images of `data` (no more than are shown) over the orbit, and their predictions. */
typedef struct show {
    const cmd_line *line;
    bnn_model *model;
    bnn_group *group;
    bnn_dataset *data;
    size_t first; /* of the images shown, in the data set */
    bnn_predict_options options;
    bnn_grid_action *action;
    size_t draws;
    bnn_real *pixels;                   /* (images, order, C, H, W) */
    double *mean, *deviation;           /* (images, order, classes) */
    size_t *numbers;                    /* (images) */
    char (*elements)[BNN_PICTURE_NAME]; /* (order) */
} show;

/* Means over the draws, and twice their standard errors. */
static bnn_status gather(void *context, const bnn_predictions *predictions, bnn_error *error)
{
    const show *s = context;
    const size_t order = s->group->order, classes = s->model->network->spec.classes;
    const size_t stride = order * predictions->images * classes;
    const double draws = (double)s->draws;
    (void)error;
    for (size_t i = 0; i < predictions->images; i++)
        for (size_t g = 0; g < order; g++)
            for (size_t c = 0; c < classes; c++) {
                const double *value = predictions->values + (g * predictions->images + i) * classes + c;
                const size_t at = ((predictions->first + i) * order + g) * classes + c;
                double sum = 0, squares = 0;
                for (size_t t = 0; t < s->draws; t++) sum += value[t * stride];
                for (size_t t = 0; t < s->draws; t++) {
                    const double from_mean = value[t * stride] - sum / draws;
                    squares += from_mean * from_mean;
                }
                s->mean[at] = sum / draws;
                s->deviation[at] = s->draws > 1 ? 2 * sqrt(squares / (draws * (draws - 1))) : 0;
            }
    return BNN_OK;
}

/* Keeps `count` images from the number `first` on. */
static bnn_status choose_images(show *s, bnn_error *error)
{
    const size_t count = s->data->count;
    size_t shown, indices[64];
    bnn_dataset *chosen = NULL;
    bnn_status status = cmd_size(s->line, "count", 1, 64, 4, &shown, error);
    if (!status) status = cmd_size(s->line, "first", 0, count - 1, 0, &s->first, error);
    if (status) return status;
    if (shown > count - s->first) shown = count - s->first;
    for (size_t i = 0; i < shown; i++) indices[i] = s->first + i;
    status = bnn_dataset_subset(s->data, indices, shown, &chosen, error);
    if (status) return status;
    bnn_dataset_free(s->data);
    s->data = chosen;
    return BNN_OK;
}

static bnn_status make_arrays(show *s, bnn_error *error)
{
    const bnn_dataset *d = s->data;
    const size_t rows = d->count * s->group->order, predicted = rows * s->model->network->spec.classes;
    s->pixels = bnn_alloc(rows * d->channels * d->height * d->width, sizeof *s->pixels);
    s->mean = bnn_alloc(predicted, sizeof *s->mean);
    s->deviation = bnn_alloc(predicted, sizeof *s->deviation);
    s->numbers = bnn_alloc(d->count, sizeof *s->numbers);
    s->elements = bnn_alloc(s->group->order, sizeof *s->elements);
    if (!s->pixels || !s->mean || !s->deviation || !s->numbers || !s->elements)
        return bnn_no_memory(error, "a picture", rows, sizeof *s->pixels);
    return bnn_grid_action_create(s->group, d->height, d->width, &s->action, error);
}

static void turn_images(const show *s)
{
    const bnn_dataset *d = s->data;
    const size_t order = s->group->order, image = d->channels * d->height * d->width;
    for (size_t g = 0; g < order; g++)
        bnn_group_element_name(s->group, g, d->height, d->width, s->elements[g], sizeof s->elements[g]);
    for (size_t i = 0; i < d->count; i++) {
        s->numbers[i] = s->first + i;
        for (size_t g = 0; g < order; g++)
            bnn_grid_action_apply(s->action, g, d->images + i * image, d->channels, d->background,
                                  s->pixels + (i * order + g) * image);
    }
}

/* What is known of the symmetry for every image, under what is drawn of a few. */
static bnn_status title(const show *s, char *text, size_t size, bnn_error *error)
{
    bnn_certificate *certificate = NULL;
    bnn_error reason = {BNN_OK, ""};
    const bnn_config *c = &s->model->config;
    bnn_status status = cmd_certify(s->model, s->group, &certificate, &reason);
    if (status == BNN_FAILED) return bnn_fail(error, status, "%s", reason.message);
    bnn_append(text, size,
               "%s, mode %s, group %s: F(g.x), the mean over %zu weight draws, and twice its standard error",
               s->line->operands[0], bnn_mode_of(c)->row.name, s->group->name, s->draws);
    if (s->options.average_over) bnn_append(text, size, ", averaged over the group");
    if (certificate)
        bnn_append(text, size,
                   "\ncertificate of q: residual %.3g; |F(h.x) - F(x)|_1 is at most %.3g for every image x",
                   certificate->residual, certificate->l1_bound);
    else
        bnn_append(text, size, "\nno certificate: %s", reason.message);
    bnn_certificate_free(certificate);
    return BNN_OK;
}

static bnn_status draw(show *s, bnn_error *error)
{
    char text[1024] = "";
    const bnn_dataset *d = s->data;
    turn_images(s);
    bnn_status status = bnn_predict(s->model, d, &s->options, gather, s, error);
    if (!status) status = title(s, text, sizeof text, error);
    if (status) return status;
    const bnn_orbit_picture picture = {.title = text,
                                       .images = d->count,
                                       .order = s->group->order,
                                       .classes = s->model->network->spec.classes,
                                       .channels = d->channels,
                                       .height = d->height,
                                       .width = d->width,
                                       .pixels = s->pixels,
                                       .mean = s->mean,
                                       .deviation = s->deviation,
                                       .labels = d->labels,
                                       .numbers = s->numbers,
                                       .elements = (const char(*)[BNN_PICTURE_NAME])s->elements};
    return bnn_draw_orbits(&picture, cmd_value(s->line, "out"), error);
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bool done;
    show s = {.line = &line};
    live_line progress = live_line_open(LIVE_LINE_PATIENCE);
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (status || done) return status;
    status = cmd_load_model(line.operands[0], &s.model, NULL, error);
    if (!status) status = cmd_group(&line, s.model, &s.group, error);
    if (!status) status = cmd_predict_options(&line, s.model, s.group, &s.options, error);
    if (!status) status = cmd_data(&line, s.model, &s.data, error);
    if (!status) status = choose_images(&s, error);
    if (!status) status = make_arrays(&s, error);
    if (!status) {
        s.options.group = s.group;
        s.options.progress = live_line_fraction;
        s.options.progress_context = &progress;
        s.draws = s.options.mean ? 1 : s.options.samples;
        live_line_begin(&progress, line.operands[0]);
        status = draw(&s, error);
        live_line_clear(&progress);
    }
    bnn_grid_action_free(s.action);
    free(s.pixels);
    free(s.mean);
    free(s.deviation);
    free(s.numbers);
    free(s.elements);
    bnn_dataset_free(s.data);
    bnn_group_free(s.group);
    bnn_model_free(s.model);
    return status;
}

static const cmd_option options[] = {
    {"out", "X.png", "where to write"},
    {"count", "N", "images shown (default 4)"},
    {"first", "I", "the number of the first in its data set (default 0)"},
    {"images", "F", "images from an IDX or .npy file (default: the model's test images)"},
    {"labels", "F", "their labels, whose bars then have another colour"},
    {"data", "DATA", "the test images of a data set, .npz file or folder of PNGs"},
    CMD_OPTIONS_PREDICTION,
    CMD_OPTION_GROUP,
    CMD_OPTION_THREADS,
    {NULL, NULL, NULL},
};

const subcommand cmd_show = {.name = "show",
                             .operands = "MODEL",
                             .summary =
                                 "draw images over their orbit, with predictions and certificate, as a PNG",
                             .options = options,
                             .required = "out",
                             .run = run};
