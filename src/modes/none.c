/* No augmentation: base images, each repeated |G| times an epoch, so that the steps and the weight of the
 * likelihood are those of `augment`. */
#include "modes/modes.h"

static void plan(const bnn_config *config, size_t order, bnn_plan *plan)
{
    bnn_plan_augmented(config, order, plan);
    plan->augmentation = BNN_AUGMENT_NONE;
}

const bnn_mode bnn_mode_none = {.name = "none", .summary = "no augmentation", .plan = plan};
