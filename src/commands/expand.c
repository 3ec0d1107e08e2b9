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
    cmd_derivation derivation = {0};
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (status || done) return status;
    if (!cmd_value(&line, "out")) return bnn_fail(error, BNN_BAD_INPUT, "bnn expand: --out MODEL is missing");
    status = cmd_derive(&line, &derivation, error);
    if (!status) status = expand(&line, derivation.model, error);
    if (!status) status = cmd_save(&line, &derivation, error);
    cmd_derivation_free(&derivation);
    return status;
}

static const cmd_option options[] = {
    {"arrangement", "NAME", "gcnn (default), row_rolled or row_constant"},
    CMD_OPTION_GROUP,
    {"out", "MODEL", "where to write"},
    {NULL, NULL, NULL},
};

const subcommand cmd_expand = {.name = "expand",
                               .operands = "MODEL",
                               .summary = "tile a model over its group into one with regular channels",
                               .options = options,
                               .run = run};
