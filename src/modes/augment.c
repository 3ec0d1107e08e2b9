/* Data augmentation alone: every g.x_i an item of the objective, N = |G| N0. */
#include "modes/modes.h"

const bnn_mode bnn_mode_augment = {
    .name = "augment", .summary = "data augmentation over the group", .plan = bnn_plan_augmented};
