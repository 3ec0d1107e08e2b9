#include <stdio.h>

#include "bnn/export.h"
#include "commands/command.h"

/* Of more, a file is so many times the model that a program which draws serves better. */
#define MOST_DRAWS 1024

/* Says so where the graph is not what predict gives by itself. */
static void tell_settings(const cmd_line *line, const bnn_model *model, const bnn_predict_options *options)
{
    const bool average = cmd_flag(line, "group-average");
    cmd_tell_calibration(line, model, options);
    if (model->config.eval.predictive == BNN_PREDICT_GROUP_AVERAGED && !average)
        cmd_print_message("bnn export: ", "the model's eval.predictive is group-averaged, the graph is not: "
                                          "--group-average averages it too");
    if (average && cmd_flag(line, "samples") && model->config.eval.draws == BNN_DRAWS_INDEPENDENT)
        cmd_print_message("bnn export: ",
                          "the model's eval.draws is independent, the graph has the same draws "
                          "for every element");
}

static bnn_status check_options(const cmd_line *line, bnn_error *error)
{
    if (!cmd_flag(line, "onnx"))
        return bnn_fail(error, BNN_BAD_INPUT, "bnn export: --onnx is missing, the only format that there is");
    if (cmd_flag(line, "group") && !cmd_flag(line, "group-average"))
        return bnn_fail(error, BNN_BAD_INPUT, "bnn export: --group: expected --group-average too");
    if (cmd_flag(line, "logits") && cmd_flag(line, "group-average"))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "bnn export: found --logits and --group-average, which is a mean of probabilities; "
                        "expected one of them");
    return BNN_OK;
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bool done;
    bnn_model *model = NULL;
    bnn_group *group = NULL;
    bnn_onnx *graph = NULL;
    bnn_predict_options options = {0};
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (status || done) return status;
    status = check_options(&line, error);
    if (!status) status = cmd_size(&line, "samples", 1, MOST_DRAWS, 0, &options.samples, error);
    if (!status) status = cmd_load_model(line.operands[0], &model, NULL, error);
    if (!status) status = cmd_group(&line, model, &group, error);
    if (!status) {
        options.mean = options.samples == 0;
        options.seed = model->config.seed;
        options.purpose = BNN_STREAM_EVALUATION_NOISE;
        options.average_over = cmd_flag(&line, "group-average") ? group : NULL;
        options.logits = cmd_flag(&line, "logits");
        options.uncalibrated = options.logits || cmd_flag(&line, "no-calibration");
        status = bnn_export_onnx(model, &options, cmd_flag(&line, "uint8"), &graph, error);
        if (status) bnn_fail_in(error, status, line.operands[0]);
    }
    if (!status) status = bnn_onnx_write(graph, cmd_value(&line, "out"), error);
    if (!status) tell_settings(&line, model, &options);
    bnn_onnx_free(graph);
    bnn_group_free(group);
    bnn_model_free(model);
    return status;
}

static const cmd_option options[] = {
    {"onnx", NULL, "as an ONNX graph (opset 13)"},
    {"out", "X.onnx", "where to write"},
    {"samples", "K", "the mean over K weight draws, those of predict --samples K (default: w = mu)"},
    {"group-average", NULL, "the mean over the orbit of each image, for groups that permute pixels"},
    CMD_OPTION_CALIBRATION,
    CMD_OPTION_GROUP,
    {"logits", NULL, "logits (their mean over draws) instead of probabilities"},
    {"uint8", NULL, "images are bytes, which the graph scales as the model's data.scale says"},
    {NULL, NULL, NULL},
};

static const char details[] =
    "The graph takes what predict --images takes and gives what predict gives, to rounding:\n"
    "  images         (N,C,H,W) float32, taken as they are, or with --uint8 bytes, scaled to -1..1 unless\n"
    "                 data.scale is none; without the padding of data.pad, which the graph adds\n"
    "  probabilities  (N,classes) float32, of a calibrated model at its temperature, or, with --logits, "
    "logits\n"
    "for any number N of images. With --samples the file holds K networks, and --group-average runs each on "
    "all\n"
    "|G| images of an orbit, under the same draws. A double-precision bnn writes float32 too.\n";

const subcommand cmd_export = {.name = "export",
                               .operands = "MODEL",
                               .summary = "write a model's predictions as an ONNX graph, for other programs",
                               .options = options,
                               .details = details,
                               .required = "out",
                               .run = run};
