/* Averages the posterior over the group once, at the trigger (arXiv:2606.26273). */
#include "modes/modes.h"

static bnn_status symmetrize(const bnn_symmetry *symmetry, bool fresh, bnn_model *model, bnn_error *error)
{
    (void)fresh, (void)error;
    bnn_posterior_average(symmetry, (bnn_average)bnn_mode_chosen_average(&model->config), model->posterior);
    return BNN_OK;
}

static const char *const keys[] = {"symmetrization.augmentation",
                                   "symmetrization.average",
                                   "symmetrization.trigger_epoch",
                                   "symmetrization.trigger_accuracy",
                                   "symmetrization.hold",
                                   "symmetrization.keep_optimizer_state",
                                   NULL};

const bnn_mode bnn_mode_average = {
    .row = {.name = "average",
            .summary = "the posterior averaged over the group at the trigger",
            .keys = keys},
    .averages = bnn_average_names,
    .needs_action = true,
    .averages_factors = true,
    .plan = bnn_plan_augmented,
    .trigger_epoch = bnn_trigger_configured,
    .symmetrize = symmetrize,
};
