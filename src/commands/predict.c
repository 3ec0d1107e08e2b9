#include <stdlib.h>

#include "bnn/evaluate.h"
#include "bnn/npy.h"
#include "commands/command.h"

/* Gathers chunks (T, G, images, classes) into one array: every draw or their mean, the whole orbit or the identity. */
typedef struct gathering {
    size_t draws, order, images, classes;
    size_t kept_draws, kept_order; /* of what is written: 1 for the mean over draws, 1 without the orbit */
    double *out;                   /* (kept_draws, kept_order, N, C) */
} gathering;

static bnn_status gather(void *context, const bnn_predictions *predictions, bnn_error *error)
{
    const gathering *g = context;
    const size_t row = predictions->images * g->classes, whole = g->images * g->classes;
    const double *values = predictions->values;
    const double share = (double)g->kept_draws / (double)g->draws;
    (void)error;
    for (size_t t = 0; t < g->draws; t++)
        for (size_t h = 0; h < g->order; h++, values += row) {
            if (h >= g->kept_order) continue;
            double *out =
                g->out + (t % g->kept_draws * g->kept_order + h) * whole + predictions->first * g->classes;
            for (size_t i = 0; i < row; i++) out[i] += values[i] * share;
        }
    return BNN_OK;
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
    if (!g.out) return bnn_no_memory(error, "predictions", count, sizeof *g.out);
    bnn_status status = bnn_predict(model, data, options, gather, &g, error);
    if (!status)
        status =
            bnn_npy_write(cmd_value(line, "out"), g.out, 4 - skip, shape + skip, sizeof(bnn_real), error);
    free(g.out);
    return status;
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
    if (!status && options.average_over && cmd_flag(&line, "logits"))
        status = bnn_fail(
            error, BNN_BAD_INPUT,
            "bnn predict: --logits: the group-averaged predictive is a mean of probabilities, expected "
            "--predictive posterior too");
    if (!status) status = cmd_data(&line, model, &data, error);
    if (!status) {
        const bool orbit = cmd_flag(&line, "orbit") || cmd_flag(&line, "each-draw");
        options.group = orbit ? group : NULL;
        options.logits = cmd_flag(&line, "logits");
        status = predict(&line, model, data, &options, error);
    }
    bnn_dataset_free(data);
    bnn_group_free(group);
    bnn_model_free(model);
    return status;
}

static const cmd_option options[] = {
    {"images", "F", "images from an IDX or .npy file (default: the model's test images)"},
    {"data", "DATA",
     "the test images of a data set, .npz file or folder of PNGs, as they are (no data.rotate)"},
    {"labels", "F", "their labels, checked and otherwise unused"},
    {"out", "P.npy", "where to write: (N,C); (G,N,C) with --orbit; (T,G,N,C) with --each-draw"},
    {"orbit", NULL, "the predictions for every g.x"},
    {"logits", NULL, "logits instead of probabilities"},
    {"each-draw", NULL, "every draw over the orbit instead of the mean"},
    CMD_OPTIONS_PREDICTION,
    CMD_OPTION_GROUP,
    CMD_OPTION_THREADS,
    {NULL, NULL, NULL},
};

const subcommand cmd_predict = {.name = "predict",
                                .operands = "MODEL",
                                .summary = "write predictions for images as a NumPy array",
                                .options = options,
                                .required = "out",
                                .run = run};
