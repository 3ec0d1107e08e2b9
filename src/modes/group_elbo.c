/* The group-averaged ELBO: an image's whole orbit under the same weight draw, N = N0. */
#include <string.h>

#include "modes/modes.h"

static void plan(const bnn_config *config, size_t order, bnn_plan *plan)
{
    *plan = (bnn_plan){.augmentation = BNN_AUGMENT_NONE, .repeats = 1, .views = order, .count_factor = 1};
    for (int i = 0; bnn_view_average_names[i]; i++)
        if (strcmp(bnn_view_average_names[i], bnn_mode_chosen_average(config)) == 0)
            plan->average = (bnn_view_average)i;
}

const bnn_mode bnn_mode_group_elbo = {.name = "group-elbo",
                                      .summary = "the ELBO averaged over each image's orbit",
                                      .averages = bnn_view_average_names,
                                      .plan = plan};
