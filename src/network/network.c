#include "bnn/network.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const conv_keys[] = {"model.channels", "model.pool", "model.kernel", "model.padding",
                                        NULL};
static const char *const dense_keys[] = {"model.hidden", NULL};
static const bnn_row types[] = {
    {"fcnn", "convolutions, a 1x1 convolution to the classes, global average pool", conv_keys, NULL},
    {"cnn", "convolutions, one dense layer to the classes", conv_keys, NULL},
    {"mlp", "dense layers", dense_keys, NULL},
};

const bnn_row *bnn_network_type_row(size_t i)
{
    return i < sizeof types / sizeof *types ? &types[i] : NULL;
}

/* ---- layers -------------------------------------------------------------------------------------------- */

bnn_status bnn_network_begin(const size_t input[3], size_t classes, size_t capacity, bnn_network **network,
                             bnn_error *error)
{
    *network = NULL;
    bnn_network *result = bnn_alloc(1, sizeof *result);
    if (!result) return bnn_no_memory(error, "a network", 1, sizeof *result);
    for (size_t i = 0; i < 3; i++) result->spec.input[i] = input[i];
    result->spec.classes = classes;
    result->capacity = capacity;
    result->layers = bnn_alloc(capacity, sizeof *result->layers);
    if (!result->layers) {
        bnn_network_free(result);
        return bnn_no_memory(error, "layers", capacity, sizeof *result->layers);
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

bnn_activation bnn_network_activation(const bnn_network *network, size_t input,
                                      bnn_representation *representation)
{
    const size_t *images = network->spec.input;
    if (input == BNN_IMAGES) {
        *representation = BNN_TRIVIAL;
        return (bnn_activation){BNN_LAYOUT_PLANAR, images[0], images[1], images[2]};
    }
    *representation = network->layers[input].out_representation;
    return network->layers[input].shape.out;
}

size_t bnn_network_in_count(const bnn_network *network)
{
    bnn_representation ignored;
    const bnn_activation images = bnn_network_activation(network, BNN_IMAGES, &ignored);
    return bnn_activation_count(&images);
}

const bnn_layer *bnn_network_head(const bnn_network *network)
{
    size_t l = network->layer_count - 1;
    while (l > 0 && network->layers[l].bias_count == 0) l--;
    return &network->layers[l];
}

static bnn_status check_layer(const bnn_network *network, const bnn_layer *layer, bnn_error *error)
{
    const bnn_layer_type *type = layer->type;
    if (network->layer_count == network->capacity)
        return bnn_fail(error, BNN_FAILED, "%s: found more layers than the %zu that there is room for",
                        layer->name, network->capacity);
    if (!type->infer || !type->kernels || type->inputs == 0 || type->inputs > BNN_MAX_INPUTS)
        return bnn_fail(error, BNN_FAILED,
                        "%s: layers of type %s do not say what their output is, or how it is computed",
                        layer->name, type->row.name);
    for (size_t i = 0; i < type->inputs; i++)
        if (layer->inputs[i] != BNN_IMAGES && layer->inputs[i] >= network->layer_count)
            return bnn_fail(error, BNN_FAILED,
                            "%s: found input %zu, expected one of the %zu layers before it", layer->name,
                            layer->inputs[i], network->layer_count);
    return BNN_OK;
}

/* Gives a layer that has parameters their place in the parameter vector. */
static bnn_status place_parameters(bnn_network *network, bnn_layer *layer, bnn_error *error)
{
    if (layer->bias_count == 0) return BNN_OK;
    if (!layer->type->initial)
        return bnn_fail(error, BNN_FAILED, "%s: layers of type %s do not say how their weights begin",
                        layer->name, layer->type->row.name);
    layer->weight_offset = network->parameter_count;
    layer->bias_offset = layer->weight_offset + layer->weight_count;
    network->parameter_count = layer->bias_offset + layer->bias_count;
    return BNN_OK;
}

bnn_status bnn_network_add(bnn_network *network, const bnn_layer *layer, bnn_error *error)
{
    bnn_layer added = *layer;
    bnn_status status = check_layer(network, layer, error);
    if (status) return status;
    added.shape.in = bnn_network_activation(network, added.inputs[0], &added.in_representation);
    status = added.type->infer(network, &added, error);
    if (!status) status = place_parameters(network, &added, error);
    if (status) return status;
    for (size_t i = 0; i < added.type->inputs; i++)
        if (added.inputs[i] != BNN_IMAGES) network->layers[added.inputs[i]].uses++;
    network->layers[network->layer_count++] = added;
    return BNN_OK;
}

size_t bnn_network_fused(const bnn_network *network, size_t l, bnn_kernel_shape *shape)
{
    const bnn_layer *first = &network->layers[l];
    size_t end = l + 1;
    *shape = first->shape;
    while (first->type->fuse && end < network->layer_count && network->layers[end].type->inputs == 1 &&
           network->layers[end].inputs[0] == end - 1 && network->layers[end - 1].uses == 1 &&
           first->type->fuse(shape, &network->layers[end]))
        end++;
    return end - l;
}

/* ---- the architectures --------------------------------------------------------------------------------- */

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
    size_t pools = 0;
    if (spec->input[0] == 0 || side == 0 || spec->classes == 0)
        return bnn_fail(error, BNN_BAD_INPUT, "model.input or model.classes has a size of 0");
    for (size_t i = 0; i < layers; i++) {
        if (spec->widths[i] == 0)
            return bnn_fail(error, BNN_BAD_INPUT, "model: layer %zu has a width of 0", i);
        pools += !spec->unpooled[i];
    }
    if (!counts_fit(spec))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "model: a network of these widths on %zu x %zu x %zu images is beyond any memory",
                        spec->input[0], spec->input[1], spec->input[2]);
    if (spec->type == BNN_NETWORK_MLP) return BNN_OK;
    if (layers == 0)
        return bnn_fail(error, BNN_BAD_INPUT, "model.channels: found no layer, expected at least one");
    if (side >> pools == 0)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "model.channels: found %zu layers followed by a 2x2 max-pool, on %zu x %zu images; "
                        "expected at most as many as leave one pixel (model.pool leaves pools out)",
                        pools, spec->input[1], spec->input[2]);
    return BNN_OK;
}

/* Adds a layer to the end of the chain; `part` ("relu") is added to the name of the layer that it belongs to. */
static bnn_status add(bnn_network *network, bnn_layer layer, const char *name, const char *part,
                      bnn_error *error)
{
    layer.inputs[0] = network->layer_count ? network->layer_count - 1 : BNN_IMAGES;
    snprintf(layer.name, sizeof layer.name, "%s%s%s", name, *part ? "." : "", part);
    return bnn_network_add(network, &layer, error);
}

static bnn_status add_conv(bnn_network *network, size_t i, bnn_error *error)
{
    const bnn_network_spec *spec = &network->spec;
    const bnn_layer conv = {
        .type = &bnn_layer_conv,
        .shape = {.out.channels = spec->widths[i], .kernel = spec->kernel, .circular = spec->circular},
        .out_representation = spec->representation,
        .stream = i};
    char name[32];
    snprintf(name, sizeof name, "conv_layers.%zu", i);
    bnn_status status = add(network, conv, name, "", error);
    if (!status) status = add(network, (bnn_layer){.type = &bnn_layer_relu}, name, "relu", error);
    if (!status && !spec->unpooled[i])
        status = add(network, (bnn_layer){.type = &bnn_layer_max_pool}, name, "pool", error);
    return status;
}

static bnn_status add_hidden(bnn_network *network, size_t i, bnn_error *error)
{
    const bnn_layer dense = {.type = &bnn_layer_dense,
                             .shape.out.channels = network->spec.widths[i],
                             .out_representation = network->spec.representation,
                             .stream = i};
    char name[32];
    snprintf(name, sizeof name, "fc_layers.%zu", i);
    const bnn_status status = add(network, dense, name, "", error);
    return status ? status : add(network, (bnn_layer){.type = &bnn_layer_relu}, name, "relu", error);
}

/* The layers after the hidden ones: output channels are trivial. */
static bnn_status add_head(bnn_network *network, bnn_error *error)
{
    const size_t hidden = network->spec.width_count;
    bnn_layer head = {
        .type = &bnn_layer_dense, .shape.out.channels = network->spec.classes, .stream = hidden};
    char name[32] = "fc";
    bnn_status status = BNN_OK;
    switch (network->spec.type) {
    case BNN_NETWORK_FCNN:
        snprintf(name, sizeof name, "classifier");
        head.weight_rank = 4;
        head.stream = hidden + 1;
        status = add(network, (bnn_layer){.type = &bnn_layer_mean, .stream = hidden}, "mean", "", error);
        break;
    case BNN_NETWORK_CNN:
        break;
    case BNN_NETWORK_MLP:
        snprintf(name, sizeof name, "fc_layers.%zu", hidden);
        break;
    }
    return status ? status : add(network, head, name, "", error);
}

bnn_status bnn_network_create(const bnn_network_spec *spec, bnn_network **network, bnn_error *error)
{
    bnn_network *result = NULL;
    *network = NULL;
    bnn_status status = check_spec(spec, error);
    if (!status)
        status = bnn_network_begin(spec->input, spec->classes, 3 * spec->width_count + 2, &result, error);
    if (status) return status;
    result->spec = *spec;
    for (size_t i = 0; !status && i < spec->width_count; i++)
        status = (spec->type == BNN_NETWORK_MLP ? add_hidden : add_conv)(result, i, error);
    if (!status) status = add_head(result, error);
    if (status) {
        bnn_network_free(result);
        return status;
    }
    *network = result;
    return BNN_OK;
}
