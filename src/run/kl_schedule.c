#include "run/kl_schedule.h"

/* None in the warm-up, then a linear ramp up to `end`. */
static double ramp(double epoch, double warmup, double end)
{
    if (epoch < warmup) return 0;
    return epoch >= end ? 1 : (epoch - warmup + 1) / (end - warmup + 1);
}

double bnn_kl_ramp(const bnn_config *config, size_t epoch)
{
    return ramp((double)epoch, (double)config->train.kl_warmup_epochs, (double)config->train.kl_ramp_end);
}

void bnn_kl_factors(const bnn_config *config, const bnn_posterior *posterior, size_t epoch, double *factors)
{
    const bnn_network *network = posterior->network;
    for (size_t l = 0; l < network->layer_count; l++) {
        const bnn_layer *layer = &network->layers[l];
        const bool head = layer == bnn_network_head(network);
        const double free_nats = config->train.free_bits * bnn_posterior_layer_free(posterior, layer);
        factors[l] =
            head ? ramp((double)epoch, config->train.kl_head_warmup_epochs, config->train.kl_head_ramp_end)
                 : bnn_kl_ramp(config, epoch);
        if (free_nats > 0 && bnn_posterior_layer_kl(posterior, layer) <= free_nats) factors[l] = 0;
    }
}
