/* Tied weights: a posterior projected right after initialisation and held invariant, trained on base images
 * alone (N = N0): the projection at trigger 0, with hold and no augmentation. */
#include "modes/modes.h"
#include "modes/projected.h"

static size_t at_once(const bnn_config *config)
{
    (void)config;
    return 0;
}

static void plan(const bnn_config *config, size_t order, bnn_plan *plan)
{
    (void)config, (void)order;
    *plan = (bnn_plan){.augmentation = BNN_AUGMENT_NONE, .repeats = 1, .views = 1, .count_factor = 1};
}

static const char *const keys[] = {"symmetrization.augmentation", "symmetrization.hold", NULL};

const bnn_mode bnn_mode_tie = {
    .row = {.name = "tie",
            .summary = "an invariant posterior from the start, on base images alone",
            .keys = keys},
    .holds = true,
    .needs_action = true,
    .representation = BNN_REGULAR,
    .plan = plan,
    .trigger_epoch = at_once,
    .symmetrize = bnn_symmetrize_projected,
    .check = bnn_settle_held,
};
