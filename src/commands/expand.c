#include "bnn/symmetry.h"
#include "commands/command.h"

static bnn_status expand(const cmd_line *line, bnn_model *model, bnn_error *error)
{
    bnn_status status = cmd_choice(line, "arrangement", bnn_arrangement_names, BNN_GCNN,
                                   &model->config.symmetrization.arrangement, error);
    if (!status) status = cmd_set_group(line, model, error);
    if (!status)
        status = bnn_model_expand(model, (bnn_arrangement)model->config.symmetrization.arrangement, error);
    return status ? status : bnn_model_save(model, cmd_value(line, "out"), NULL, NULL, 0, error);
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bool done;
    bnn_model *model = NULL;
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (status || done) return status;
    if (!cmd_value(&line, "out")) return bnn_fail(error, BNN_BAD_INPUT, "bnn expand: --out MODEL is missing");
    status = bnn_model_load(line.operands[0], &model, NULL, error);
    if (!status) status = expand(&line, model, error);
    bnn_model_free(model);
    return status;
}

static const cmd_option options[] = {
    {"arrangement", "NAME", "gcnn (default), row_rolled or row_constant"},
    {"group", "G", "another group than the model's"},
    {"out", "MODEL", "where to write"},
    {NULL, NULL, NULL},
};

const subcommand cmd_expand = {.name = "expand",
                               .operands = "MODEL",
                               .summary = "tile a model over its group into one with regular channels",
                               .options = options,
                               .run = run};
