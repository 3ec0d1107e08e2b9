/* Orbit expansion (arXiv:2606.26273): a small network is trained for stage1_epochs, then tiled over the group
 * into one with regular channels, which trains on. */
#include "modes/modes.h"

static size_t after_stage1(const bnn_config *config)
{
    return config->symmetrization.stage1_epochs;
}

static bnn_status symmetrize(const bnn_symmetry *symmetry, bool fresh, bnn_model *model, bnn_error *error)
{
    bnn_network_spec spec;
    bnn_network *network = NULL;
    bnn_posterior *posterior = NULL;
    (void)symmetry, (void)fresh;
    bnn_status status = bnn_expanded_spec(model->group, &model->network->spec, &spec, error);
    if (!status) status = bnn_network_create(&spec, &network, error);
    if (!status) status = bnn_posterior_create(network, model->posterior->family, &posterior, error);
    if (!status)
        status = bnn_posterior_expand(model->group, (bnn_arrangement)model->config.symmetrization.arrangement,
                                      model->posterior, posterior, error);
    if (status) {
        bnn_posterior_free(posterior);
        bnn_network_free(network);
        return status;
    }
    bnn_model_replace(model, network, posterior);
    return BNN_OK;
}

const bnn_mode bnn_mode_orbit_expansion = {
    .name = "orbit-expansion",
    .summary = "a small network trained, then tiled over the group and trained on",
    .can_hold = true,
    .plan = bnn_plan_augmented,
    .trigger_epoch = after_stage1,
    .symmetrize = symmetrize};
