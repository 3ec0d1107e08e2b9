#include "modes/projected.h"

#include <math.h>
#include <stdlib.h>

static double norm(const bnn_real *x, size_t n)
{
    double sum = 0;
    for (size_t j = 0; j < n; j++) sum += (double)x[j] * (double)x[j];
    return sqrt(sum);
}

bnn_status bnn_symmetrize_projected(const bnn_symmetry *symmetry, bool fresh, bnn_model *model,
                                    bnn_error *error)
{
    const bnn_network *network = model->network;
    double *before = bnn_alloc(network->layer_count, sizeof *before);
    if (!before) return bnn_no_memory(error, "norms of layers", network->layer_count, sizeof *before);
    for (size_t l = 0; l < network->layer_count; l++)
        before[l] =
            norm(model->posterior->mu + network->layers[l].weight_offset, network->layers[l].weight_count);
    bnn_posterior_project(symmetry, model->posterior);
    for (size_t l = 0; fresh && l < network->layer_count; l++) {
        const bnn_layer *layer = &network->layers[l];
        if (bnn_config_warm(&model->config, layer->name)) continue;
        bnn_real *mu = model->posterior->mu + layer->weight_offset;
        const double after = norm(mu, layer->weight_count);
        const bnn_real scale = after > 0 ? (bnn_real)(before[l] / after) : 1;
        for (size_t j = 0; j < layer->weight_count; j++) mu[j] *= scale;
    }
    free(before);
    return BNN_OK;
}

size_t bnn_trigger_at_once(const bnn_config *config)
{
    (void)config;
    return 0;
}

void bnn_plan_base(const bnn_config *config, size_t order, bnn_plan *plan)
{
    (void)config, (void)order;
    *plan = (bnn_plan){.augmentation = BNN_AUGMENT_NONE, .repeats = 1, .views = 1, .count_factor = 1};
}
