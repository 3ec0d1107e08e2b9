/* The group-averaged ELBO: an image's whole orbit under the same weight draw, N = N0. */
#include "modes/modes.h"

static void plan(const bnn_config *config, size_t order, bnn_plan *plan)
{
    *plan = (bnn_plan){.augmentation = BNN_AUGMENT_NONE,
                       .repeats = 1,
                       .views = order,
                       .average = (bnn_view_average)bnn_mode_chosen_average(config),
                       .count_factor = 1};
}

static const char *const keys[] = {"symmetrization.average", NULL};

const bnn_mode bnn_mode_group_elbo = {
    .row = {.name = "group-elbo", .summary = "the ELBO averaged over each image's orbit", .keys = keys},
    .averages = bnn_view_average_names,
    .orbit_a_draw = true,
    .plan = plan,
};
