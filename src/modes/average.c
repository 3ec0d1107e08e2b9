/* Averages the posterior over the group once, at the trigger (arXiv:2606.26273). */
#include <string.h>

#include "modes/modes.h"

static const char *const averages[] = {"geometric", "arithmetic", NULL};

static bnn_status symmetrize(const bnn_symmetry *symmetry, bool fresh, bnn_model *model, bnn_error *error)
{
    (void)fresh, (void)error;
    if (strcmp(bnn_mode_chosen_average(&model->config), "arithmetic") == 0)
        bnn_posterior_average_arithmetic(symmetry, model->posterior);
    else
        bnn_posterior_average_geometric(symmetry, model->posterior);
    return BNN_OK;
}

const bnn_mode bnn_mode_average = {.name = "average",
                                   .summary = "the posterior averaged over the group at the trigger",
                                   .averages = averages,
                                   .can_hold = true,
                                   .needs_action = true,
                                   .plan = bnn_plan_augmented,
                                   .trigger_epoch = bnn_trigger_configured,
                                   .symmetrize = symmetrize};
