/* No augmentation: base images, each once an epoch, N = N0. Or, as published, each |G| times an epoch, N = |G| N0, so that the steps
 * and the weight of the likelihood are those of `augment`. */
#include "modes/modes.h"

static void plan(const bnn_config *config, size_t order, bnn_plan *plan)
{
    const size_t items = config->symmetrization.count == BNN_COUNT_ORBIT ? order : 1;
    *plan = (bnn_plan){.augmentation = BNN_AUGMENT_NONE, .repeats = items, .views = 1, .count_factor = items};
}

static const char *const keys[] = {"symmetrization.augmentation", "symmetrization.count", NULL};

const bnn_mode bnn_mode_none = {
    .row = {.name = "none", .summary = "no augmentation", .keys = keys},
    .plan = plan,
    .check = bnn_settle_unaugmented,
};
