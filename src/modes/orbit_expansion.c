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
    return BNN_OK;
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
