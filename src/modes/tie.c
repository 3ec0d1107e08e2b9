/* Tied weights: a posterior projected right after initialisation and held invariant, trained on base images
 * alone (N = N0): the projection at trigger 0, with hold and no augmentation. */
#include "modes/modes.h"
#include "modes/projected.h"

static const char *const keys[] = {"symmetrization.augmentation", "symmetrization.hold", NULL};

const bnn_mode bnn_mode_tie = {
    .row = {.name = "tie",
            .summary = "an invariant posterior from the start, on base images alone",
            .keys = keys},
    .holds = true,
    .needs_action = true,
    .representation = BNN_REGULAR,
    .plan = bnn_plan_base,
    .trigger_epoch = bnn_trigger_at_once,
    .symmetrize = bnn_symmetrize_projected,
    .check = bnn_settle_held,
};
