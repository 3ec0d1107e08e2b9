#include <stdlib.h>

#include "bnn/evaluate.h"
#include "bnn/npy.h"
#include "cmd.h"

/* Gathers chunks (T, G, images, C) into one array: every draw, or the mean over draws. */
typedef struct gathering {
    size_t draws, order, images, classes;
    bool each_draw;
    double *out; /* (T, G, N, C) or (G, N, C) */
} gathering;

static bnn_status gather(void *context, const double *values, size_t first, size_t images, bnn_error *error)
{
    const gathering *g = context;
    const size_t row = images * g->classes, whole = g->images * g->classes;
    (void)error;
    for (size_t t = 0; t < g->draws; t++)
        for (size_t h = 0; h < g->order; h++, values += row) {
            double *out = g->out + ((g->each_draw ? t : 0) * g->order + h) * whole + first * g->classes;
            for (size_t i = 0; i < row; i++)
                out[i] += g->each_draw ? values[i] : values[i] / (double)g->draws;
        }
    return BNN_OK;
}

static bnn_status predict(const cmd_line *line, const bnn_model *model, const bnn_group *group,
                          const bnn_dataset *data, const bnn_predict_options *options, bnn_error *error)
{
    gathering g = {.draws = options->mean ? 1 : options->samples,
                   .order = options->group ? group->order : 1,
                   .images = data->count,
                   .classes = model->network->spec.classes,
                   .each_draw = cmd_flag(line, "each-draw")};
    const size_t shape[] = {g.draws, g.order, g.images, g.classes};
    const size_t skip = g.each_draw ? 0 : cmd_flag(line, "orbit") ? 1 : 2;
    const size_t count = (g.each_draw ? g.draws : 1) * g.order * g.images * g.classes;
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
    bnn_predict_options options = {.purpose = BNN_STREAM_EVALUATION_NOISE};
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (status || done) return status;
    if (!cmd_value(&line, "out"))
        return bnn_fail(error, BNN_BAD_INPUT, "bnn predict: --out P.npy is missing");
    status = bnn_model_load(line.operands[0], &model, NULL, error);
    if (!status)
        status = cmd_size(&line, "samples", 1, 1 << 20, model->config.eval.samples, &options.samples, error);
    if (!status) status = cmd_threads(&line, &options.threads, error);
    if (!status) status = cmd_group(&line, model, &group, error);
    if (!status) status = cmd_data(&line, model, &data, error);
    if (!status) {
        options.group = cmd_flag(&line, "orbit") || cmd_flag(&line, "each-draw") ? group : NULL;
        options.mean = cmd_flag(&line, "mean");
        options.logits = cmd_flag(&line, "logits");
        options.seed = model->config.seed;
        status = predict(&line, model, group, data, &options, error);
    }
    bnn_dataset_free(data);
    bnn_group_free(group);
    bnn_model_free(model);
    return status;
}

static const cmd_option options[] = {
    {"images", "F", "images from an IDX or .npy file (default: the model's test images)"},
    {"data", "NAME", "the test images of a data set"},
    {"labels", "F", "their labels, checked and otherwise unused"},
    {"out", "P.npy", "where to write: (N,C); (G,N,C) with --orbit; (T,G,N,C) with --each-draw"},
    {"orbit", NULL, "the predictions for every g.x"},
    {"mean", NULL, "the network at w = mu, with no draw"},
    {"logits", NULL, "logits instead of probabilities"},
    {"samples", "T", "weight draws (default: eval.samples); their mean is written"},
    {"each-draw", NULL, "every draw over the orbit instead of the mean"},
    {"group", "G", "another group than the model's"},
    {"threads", "N", "worker threads (default: all processors)"},
    {NULL, NULL, NULL},
};

const subcommand cmd_predict = {.name = "predict",
                                .operands = "MODEL",
                                .summary = "write predictions for images as a NumPy array",
                                .options = options,
                                .run = run};
