#include "bnn/network.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const conv_keys[] = {"model.channels", "model.kernel", "model.padding", NULL};
static const char *const dense_keys[] = {"model.hidden", NULL};
static const bnn_row types[] = {
    {"fcnn", "convolutions, a 1x1 convolution to the classes, global average pool", conv_keys},
    {"cnn", "convolutions, one dense layer to the classes", conv_keys},
    {"mlp", "dense layers", dense_keys},
};

const bnn_row *bnn_network_type_row(size_t i)
{
    return i < sizeof types / sizeof *types ? &types[i] : NULL;
}

/* Where the next layer's parameters go, and what the activation looks like that it will see. */
typedef struct builder {
    bnn_network *network;
    bnn_layout layout;
    size_t channels, height, width;
    bnn_representation representation;
} builder;

static bnn_layer *add_layer(builder *b, bnn_layer_kind kind, const char *name, size_t out_channels)
{
    bnn_layer *layer = &b->network->layers[b->network->layer_count++];
    *layer = (bnn_layer){.kind = kind,
                         .in_layout = b->layout,
                         .in_channels = b->channels,
                         .in_height = b->height,
                         .in_width = b->width,
                         .out_channels = out_channels,
                         .out_height = 1,
                         .out_width = 1,
                         .in_representation = b->representation,
                         .out_representation = b->network->spec.representation};
    snprintf(layer->name, sizeof layer->name, "%s", name);
    return layer;
}

static void add_parameters(builder *b, bnn_layer *layer, size_t weights)
{
    layer->weight_offset = b->network->parameter_count;
    layer->weight_count = weights;
    layer->bias_offset = layer->weight_offset + weights;
    layer->bias_count = layer->out_channels;
    b->network->parameter_count = layer->bias_offset + layer->bias_count;
}

static void add_conv(builder *b, const char *name, size_t out_channels)
{
    const bnn_network_spec *spec = &b->network->spec;
    bnn_layer *layer = add_layer(b, BNN_LAYER_CONV, name, out_channels);
    layer->kernel = spec->kernel;
    layer->circular = spec->circular;
    layer->relu = true;
    layer->pool = true;
    layer->out_height = b->height / 2;
    layer->out_width = b->width / 2;
    add_parameters(b, layer, out_channels * b->channels * spec->kernel * spec->kernel);
    b->layout = BNN_LAYOUT_CHANNELS_LAST;
    b->channels = out_channels;
    b->height = layer->out_height;
    b->width = layer->out_width;
    b->representation = spec->representation;
}

static bnn_layer *add_dense(builder *b, const char *name, size_t out_channels, bool last)
{
    bnn_layer *layer = add_layer(b, BNN_LAYER_DENSE, name, out_channels);
    layer->relu = !last;
    if (last) layer->out_representation = BNN_TRIVIAL;
    add_parameters(b, layer, out_channels * b->channels * b->height * b->width);
    b->layout = BNN_LAYOUT_FLAT;
    b->channels = out_channels;
    b->height = b->width = 1;
    b->representation = layer->out_representation;
    return layer;
}

static void add_mean(builder *b)
{
    add_layer(b, BNN_LAYER_MEAN, "mean", b->channels);
    b->layout = BNN_LAYOUT_FLAT;
    b->height = b->width = 1;
}

/* Whether every count of parameters and activations is far from overflowing: each is at most the product here,
 * whose bound of 2^56 is beyond any memory. */
static bool counts_fit(const bnn_network_spec *spec)
{
    double widest = (double)(spec->input[0] > spec->classes ? spec->input[0] : spec->classes);
    for (size_t i = 0; i < spec->width_count; i++)
        if ((double)spec->widths[i] > widest) widest = (double)spec->widths[i];
    return widest * widest * (double)spec->input[1] * (double)spec->input[2] *
               (double)(spec->kernel * spec->kernel) <=
           0x1p56;
}

static bnn_status check_spec(const bnn_network_spec *spec, bnn_error *error)
{
    const size_t layers = spec->width_count;
    const size_t side = spec->input[1] < spec->input[2] ? spec->input[1] : spec->input[2];
    if (spec->input[0] == 0 || side == 0 || spec->classes == 0)
        return bnn_fail(error, BNN_BAD_INPUT, "model.input or model.classes has a size of 0");
    for (size_t i = 0; i < layers; i++)
        if (spec->widths[i] == 0)
            return bnn_fail(error, BNN_BAD_INPUT, "model: layer %zu has a width of 0", i);
    if (!counts_fit(spec))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "model: a network of these widths on %zu x %zu x %zu images is beyond any memory",
                        spec->input[0], spec->input[1], spec->input[2]);
    if (spec->type == BNN_NETWORK_MLP) return BNN_OK;
    if (layers == 0)
        return bnn_fail(error, BNN_BAD_INPUT, "model.channels: found no layer, expected at least one");
    if (side >> layers == 0)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "model.channels: found %zu layers, each followed by a 2x2 max-pool, on %zu x %zu images; "
            "expected at most as many as leave one pixel",
            layers, spec->input[1], spec->input[2]);
    return BNN_OK;
}

bnn_status bnn_network_create(const bnn_network_spec *spec, bnn_network **network, bnn_error *error)
{
    char name[40];
    *network = NULL;
    bnn_status status = check_spec(spec, error);
    if (status) return status;
    bnn_network *result = bnn_alloc(1, sizeof *result);
    if (!result) return bnn_no_memory(error, "a network", 1, sizeof *result);
    result->spec = *spec;
    result->layers = bnn_alloc(spec->width_count + 2, sizeof *result->layers);
    if (!result->layers) {
        bnn_network_free(result);
        return bnn_no_memory(error, "layers", spec->width_count + 2, sizeof *result->layers);
    }
    builder b = {result, BNN_LAYOUT_PLANAR, spec->input[0], spec->input[1], spec->input[2], BNN_TRIVIAL};
    for (size_t i = 0; i < spec->width_count; i++) {
        const bool mlp = spec->type == BNN_NETWORK_MLP;
        snprintf(name, sizeof name, mlp ? "fc_layers.%zu" : "conv_layers.%zu", i);
        if (mlp)
            add_dense(&b, name, spec->widths[i], false);
        else
            add_conv(&b, name, spec->widths[i]);
    }
    switch (spec->type) {
    case BNN_NETWORK_FCNN:
        add_mean(&b);
        add_dense(&b, "classifier", spec->classes, true)->weight_is_1x1_conv = true;
        break;
    case BNN_NETWORK_CNN:
        add_dense(&b, "fc", spec->classes, true);
        break;
    case BNN_NETWORK_MLP:
        snprintf(name, sizeof name, "fc_layers.%zu", spec->width_count);
        add_dense(&b, name, spec->classes, true);
        break;
    }
    *network = result;
    return BNN_OK;
}

void bnn_network_free(bnn_network *network)
{
    if (!network) return;
    free(network->layers);
    free(network);
}
