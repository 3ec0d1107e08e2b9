/* Orbit expansion (arXiv:2606.26273): a small network is trained for stage1_epochs, then tiled over the group
 * into one with regular channels, which trains on. */
#include "modes/modes.h"

static size_t after_stage1(const bnn_config *config)
{
    return config->symmetrization.stage1_epochs;
}

static bnn_status symmetrize(const bnn_symmetry *symmetry, bool fresh, bnn_model *model, bnn_error *error)
{
    (void)symmetry, (void)fresh;
    return bnn_model_expand(model, (bnn_arrangement)model->config.symmetrization.arrangement, error);
}

static const char *not_invariant(const bnn_config *config, const char **mend)
{
    *mend = "symmetrization.arrangement: gcnn";
    return config->symmetrization.arrangement == BNN_GCNN
               ? NULL
               : "only the gcnn arrangement of an orbit expansion is invariant";
}

/* Whether the network that training would expand can be, which stage 1 is not to show after hours. */
static bnn_status check_widths(const char *name, const bnn_config *config, bnn_error *error)
{
    bnn_network_spec small, expanded;
    bnn_group *group;
    bnn_status status = bnn_group_create(config->group, &group, error);
    if (status) return status;
    bnn_config_network(config, BNN_TRIVIAL, &small);
    status = bnn_expanded_spec(group, &small, &expanded, error);
    bnn_group_free(group);
    return status ? bnn_fail_in(error, status, name) : BNN_OK;
}

static bnn_status check(const char *name, bnn_config *config, bnn_error *error)
{
    if (config->model.representation == 2)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: model.channel_representation: found \"regular\", expected \"auto\" or "
                        "\"trivial\" for the small network of %s",
                        name, bnn_mode_orbit_expansion.row.name);
    if (config->symmetrization.hold && config->symmetrization.arrangement != BNN_GCNN)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: symmetrization.arrangement: found \"%s\" with hold, expected \"%s\": only that "
                        "expansion is invariant",
                        name, bnn_arrangement_names[config->symmetrization.arrangement],
                        bnn_arrangement_names[BNN_GCNN]);
    return check_widths(name, config, error);
}

static const char *const keys[] = {"symmetrization.augmentation",  "symmetrization.trigger_accuracy",
                                   "symmetrization.stage1_epochs", "symmetrization.arrangement",
                                   "symmetrization.hold",          NULL};

const bnn_mode bnn_mode_orbit_expansion = {
    .row = {.name = "orbit-expansion",
            .summary = "a small network trained, then tiled over the group and trained on",
            .keys = keys},
    .replaces_network = true,
    .plan = bnn_plan_augmented,
    .trigger_epoch = after_stage1,
    .symmetrize = symmetrize,
    .not_invariant = not_invariant,
    .check = check,
};
