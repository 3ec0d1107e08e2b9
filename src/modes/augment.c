/* Data augmentation alone: every g.x_i an item of the objective, N = |G| N0. */
#include "modes/modes.h"

static bnn_status check(const char *name, bnn_config *config, bnn_error *error)
{
    if (config->symmetrization.augmentation != BNN_AUGMENT_NONE) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT,
                    "%s: symmetrization.augmentation: found \"none\" with mode %s, expected \"full\" or "
                    "\"random\" (a mode of its own trains without augmentation: %s)",
                    name, bnn_mode_augment.row.name, bnn_mode_none.row.name);
}

static const char *const keys[] = {"symmetrization.augmentation", NULL};

const bnn_mode bnn_mode_augment = {
    .row = {.name = "augment", .summary = "data augmentation over the group", .keys = keys},
    .plan = bnn_plan_augmented,
    .check = check,
};
