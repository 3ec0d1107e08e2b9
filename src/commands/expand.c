#include "bnn/symmetry.h"
#include "commands/command.h"

static bnn_status expand(const cmd_line *line, bnn_model *model, bnn_error *error)
{
    bnn_status status = cmd_choice(line, "arrangement", bnn_arrangement_names, BNN_GCNN,
                                   &model->config.symmetrization.arrangement, error);
    return status ? status
                  : bnn_model_expand(model, (bnn_arrangement)model->config.symmetrization.arrangement, error);
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bool done;
    const bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    return status || done ? status : cmd_derive(&line, expand, error);
}

static const cmd_option options[] = {
    {"arrangement", "gcnn|row_rolled|row_constant", "how inner kernels are turned (default gcnn)"},
    CMD_OPTION_GROUP,
    {"out", "MODEL", "where to write"},
    {NULL, NULL, NULL},
};

const subcommand cmd_expand = {.name = "expand",
                               .operands = "MODEL",
                               .summary = "tile a model over its group into one with regular channels",
                               .options = options,
                               .required = "out",
                               .run = run};
