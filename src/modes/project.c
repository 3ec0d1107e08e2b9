/* Projects the posterior onto the invariant subspace once, at the trigger (arXiv:2606.26273). */
#include "modes/modes.h"
#include "modes/projected.h"

static const char *const keys[] = {"symmetrization.augmentation",         "symmetrization.trigger_epoch",
                                   "symmetrization.trigger_accuracy",     "symmetrization.hold",
                                   "symmetrization.keep_optimizer_state", NULL};

const bnn_mode bnn_mode_project = {
    .row = {.name = "project",
            .summary = "the posterior projected onto the invariant subspace at the trigger",
            .keys = keys},
    .needs_action = true,
    .representation = BNN_REGULAR,
    .plan = bnn_plan_augmented,
    .trigger_epoch = bnn_trigger_configured,
    .symmetrize = bnn_symmetrize_projected,
};
