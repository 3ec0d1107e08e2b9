/* The network that a configuration describes. */
#include <stdio.h>
#include <string.h>

#include "bnn/config.h"

/* Conv layers keep the sides, pools halve them. */
static void fill_pools(bnn_config *config)
{
    size_t height = config->model.input.value[1], width = config->model.input.value[2];
    bnn_flags *pool = &config->model.pool;
    if (!pool->automatic) return;
    *pool = (bnn_flags){.count = config->model.channels.count};
    for (size_t i = 0; i < pool->count; i++) {
        pool->value[i] = height % 2 == 0 && width % 2 == 0;
        if (pool->value[i]) height /= 2, width /= 2;
    }
}

void bnn_config_fill(bnn_config *config, const size_t shape[3], size_t classes)
{
    memcpy(config->model.input.value, shape, 3 * sizeof *shape);
    config->model.input.count = 3;
    if (!config->model.classes) config->model.classes = classes;
    fill_pools(config);
}

void bnn_config_network(const bnn_config *config, bnn_representation representation, bnn_network_spec *spec)
{
    const bnn_sizes *widths =
        config->model.type == BNN_NETWORK_MLP ? &config->model.hidden : &config->model.channels;
    *spec = (bnn_network_spec){.type = (bnn_network_type)config->model.type,
                               .classes = config->model.classes,
                               .width_count = widths->count,
                               .kernel = config->model.kernel,
                               .circular = config->model.padding == 1,
                               .representation = representation};
    snprintf(spec->group, sizeof spec->group, "%s", config->group);
    memcpy(spec->input, config->model.input.value, sizeof spec->input);
    memcpy(spec->widths, widths->value, sizeof spec->widths);
    for (size_t i = 0; config->model.type != BNN_NETWORK_MLP && i < config->model.pool.count; i++)
        spec->unpooled[i] = !config->model.pool.value[i];
}

void bnn_config_set_network(bnn_config *config, const bnn_network_spec *spec)
{
    bnn_sizes *widths = spec->type == BNN_NETWORK_MLP ? &config->model.hidden : &config->model.channels;
    config->model.type = (int)spec->type;
    config->model.input.count = 3;
    memcpy(config->model.input.value, spec->input, sizeof spec->input);
    config->model.classes = spec->classes;
    widths->count = spec->width_count;
    memcpy(widths->value, spec->widths, sizeof spec->widths);
    config->model.pool = (bnn_flags){.count = 0}; /* all, unless one is left out */
    for (size_t i = 0; i < spec->width_count; i++) {
        config->model.pool.value[i] = !spec->unpooled[i];
        if (spec->unpooled[i]) config->model.pool.count = spec->width_count;
    }
    config->model.kernel = spec->kernel;
    config->model.padding = spec->circular ? 1 : 0;
    config->model.representation = spec->representation == BNN_REGULAR ? 2 : 1;
}
