#include "bnn/symmetry.h"
#include "commands/command.h"

static const char *const channels[] = {"trivial", "regular", NULL};

/* The model's own network with another representation of its hidden channels, under the model's group: same tensors,
 * another action. */
static bnn_status set_representation(bnn_model *model, bnn_representation representation, bnn_error *error)
{
    bnn_network_spec spec;
    bnn_network *network = NULL;
    bnn_posterior *posterior = NULL;
    bnn_config_network(&model->config, representation, &spec);
    bnn_status status = bnn_network_create(&spec, &network, error);
    if (!status) status = bnn_posterior_create(network, model->posterior->family, &posterior, error);
    if (status) {
        bnn_network_free(network);
        return status;
    }
    bnn_posterior_copy(posterior, model->posterior);
    bnn_model_replace(model, network, posterior);
    return BNN_OK;
}

static bnn_status symmetrize(const cmd_line *line, bnn_model *model, bnn_error *error)
{
    const bool project = cmd_flag(line, "project");
    bnn_symmetry *symmetry = NULL;
    int average, representation;
    if (!project && model->posterior->family->point)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "bnn symmetrize: --average: found a model of family %s, which has no density to average; "
            "expected --project, the mean of the points of an orbit",
            model->posterior->family->row.name);
    bnn_status status = cmd_choice(line, "average", bnn_average_names, BNN_GEOMETRIC, &average, error);
    if (!status)
        status = cmd_choice(line, "channels", channels, project ? BNN_REGULAR : BNN_TRIVIAL, &representation,
                            error);
    if (!status) status = set_representation(model, (bnn_representation)representation, error);
    if (!status) status = bnn_symmetry_create(model->group, model->network, &symmetry, error);
    if (status) return status;
    if (project)
        bnn_posterior_project(symmetry, model->posterior);
    else
        bnn_posterior_average(symmetry, (bnn_average)average, model->posterior);
    bnn_symmetry_free(symmetry);
    return BNN_OK;
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bool done;
    const bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (status || done) return status;
    if (cmd_flag(&line, "project") == (cmd_value(&line, "average") != NULL))
        return bnn_fail(error, BNN_BAD_INPUT, "bnn symmetrize: expected one of --project and --average KIND");
    return cmd_derive(&line, symmetrize, error);
}

static const cmd_option options[] = {
    {"average", "geometric|arithmetic", "average the posterior over the group"},
    {"project", NULL, "project the posterior onto the invariant subspace"},
    {"channels", "trivial|regular",
     "how the group acts on hidden channels (default: trivial to average, regular to project)"},
    CMD_OPTION_GROUP,
    {"out", "MODEL", "where to write"},
    {NULL, NULL, NULL},
};

const subcommand cmd_symmetrize = {.name = "symmetrize",
                                   .operands = "MODEL",
                                   .summary = "average or project a model's posterior over its group",
                                   .options = options,
                                   .required = "out",
                                   .run = run};
