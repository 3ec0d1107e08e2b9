/* Projects the posterior onto the invariant subspace once, at the trigger (arXiv:2606.26273). */
#include "modes/modes.h"
#include "modes/projected.h"

const bnn_mode bnn_mode_project = {.name = "project",
                                   .summary =
                                       "the posterior projected onto the invariant subspace at the trigger",
                                   .can_hold = true,
                                   .needs_action = true,
                                   .representation = BNN_REGULAR,
                                   .plan = bnn_plan_augmented,
                                   .trigger_epoch = bnn_trigger_configured,
                                   .symmetrize = bnn_symmetrize_projected};
