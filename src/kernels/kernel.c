#include "bnn/layer.h"

#include <string.h>

#include "kernels/kernels.h"

size_t bnn_channel_stride(size_t channels)
{
    return (channels + BNN_CHANNEL_UNIT - 1) / BNN_CHANNEL_UNIT * BNN_CHANNEL_UNIT;
}

size_t bnn_layer_in_count(const bnn_layer *layer)
{
    const size_t pixels = layer->in_height * layer->in_width;
    return layer->in_layout == BNN_LAYOUT_CHANNELS_LAST ? pixels * bnn_channel_stride(layer->in_channels)
                                                        : pixels * layer->in_channels;
}

size_t bnn_layer_out_count(const bnn_layer *layer)
{
    return layer->kind == BNN_LAYER_CONV
               ? layer->out_height * layer->out_width * bnn_channel_stride(layer->out_channels)
               : layer->out_channels;
}

#define DENSE(isa) &bnn_dense_ops_##isa,
#define THIN(isa) &bnn_conv_thin_ops_##isa,
#define WINOGRAD(isa) &bnn_conv_winograd_ops_##isa,

// clang-format off
const bnn_layer_ops *const bnn_layer_ops_list[] = {
    &bnn_mean_ops,
    BNN_EACH_ISA(DENSE)
    &bnn_dense_ops, &bnn_dense_grid_ops,
    BNN_EACH_ISA(THIN)
    BNN_EACH_ISA(WINOGRAD)
    &bnn_conv_gemm_ops,
    &bnn_conv_naive_ops,
    NULL,
};
// clang-format on

/* Whether `name` is all of "kind-isa", its kind or its isa. */
static bool is_called(const bnn_layer_ops *ops, const char *name)
{
    const char *dash = strchr(ops->name, '-');
    const size_t length = strlen(name);
    return strcmp(ops->name, name) == 0 ||
           (dash && (strcmp(dash + 1, name) == 0 ||
                     (length == (size_t)(dash - ops->name) && strncmp(ops->name, name, length) == 0)));
}

bool bnn_layer_ops_fit(const bnn_layer_ops *ops, const bnn_layer *layer)
{
    return (!ops->runs_here || ops->runs_here()) && ops->supports(layer);
}

const bnn_layer_ops *bnn_layer_ops_for(const bnn_layer *layer, const char *name)
{
    const bnn_layer_ops *first = NULL;
    for (const bnn_layer_ops *const *ops = bnn_layer_ops_list; *ops; ops++) {
        if (!bnn_layer_ops_fit(*ops, layer)) continue;
        if (!first) first = *ops;
        if (!name || is_called(*ops, name)) return *ops;
    }
    return first;
}
