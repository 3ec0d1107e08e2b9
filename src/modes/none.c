/* No augmentation: base images, each repeated |G| times an epoch, so that the steps and the weight of the
 * likelihood are those of `augment`. */
#include "modes/modes.h"

static void plan(const bnn_config *config, size_t order, bnn_plan *plan)
{
    (void)config;
    *plan = (bnn_plan){.augmentation = BNN_AUGMENT_NONE, .repeats = order, .views = 1, .count_factor = order};
}

static const char *const keys[] = {"symmetrization.augmentation", NULL};

const bnn_mode bnn_mode_none = {
    .row = {.name = "none", .summary = "no augmentation", .keys = keys},
    .plan = plan,
    .check = bnn_settle_unaugmented,
};
