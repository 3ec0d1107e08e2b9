#include <stdlib.h>
#include <string.h>

#include "bnn/network.h"
#include "network/perturbation.h"

/* What one layer needs in one worker. */
typedef struct layer_buffers {
    const bnn_layer_ops *ops;
    bnn_real *packed;          /* the kernel's own, NULL where it works in place */
    bnn_real *packed_gradient; /* the same; NULL when not training */
    bnn_real *out;             /* (block, out_count); shared by layers of equal parity when not training */
    bnn_real *saved;           /* NULL when not training */
    perturbation *perturbed;   /* the layer's second stream, or NULL: then it runs by `ops` */
} layer_buffers;

struct bnn_workspace {
    const bnn_network *network;
    size_t block;
    bool train;
    layer_buffers *layers;
    bnn_real *scratch;
    bnn_real *gradient[2]; /* d loss / d activation, alternating between layers */
    bnn_real *alternating[2];
    bnn_unit unit;
    const bnn_real *in; /* the block that forward saw last */
    size_t images;
    bool add; /* whether this unit has gradients already */
};

void bnn_workspace_free(bnn_workspace *workspace)
{
    if (!workspace) return;
    for (size_t l = 0; workspace->layers && l < workspace->network->layer_count; l++) {
        layer_buffers *buffers = &workspace->layers[l];
        free(buffers->packed);
        free(buffers->packed_gradient);
        free(buffers->saved);
        perturbation_free(buffers->perturbed);
        if (workspace->train) free(buffers->out);
    }
    free(workspace->layers);
    free(workspace->scratch);
    for (size_t i = 0; i < 2; i++) {
        free(workspace->gradient[i]);
        free(workspace->alternating[i]);
    }
    free(workspace);
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static bool allocate_layer(const bnn_layer *layer, size_t block, bool train, const char *ops_name,
                           layer_buffers *buffers)
{
    buffers->ops = bnn_layer_ops_for(layer, ops_name);
    const size_t packed = buffers->ops->in_place ? 0 : buffers->ops->packed_count(layer);
    buffers->packed = bnn_alloc(packed, sizeof(bnn_real));
    if (!train) return buffers->packed;
    buffers->packed_gradient = bnn_alloc(packed, sizeof(bnn_real));
    buffers->out = bnn_alloc(block * bnn_layer_out_count(layer), sizeof(bnn_real));
    buffers->saved = bnn_alloc(buffers->ops->saved_count(layer, block), sizeof(bnn_real));
    return buffers->packed && buffers->packed_gradient && buffers->out && buffers->saved;
}

bnn_status bnn_workspace_create(const bnn_network *network, size_t block, bool train, const char *ops_name,
                                bnn_workspace **workspace, bnn_error *error)
{
    size_t activation = 0, scratch = 0;
    *workspace = NULL;
    bnn_workspace *result = bnn_alloc(1, sizeof *result);
    if (!result) return bnn_no_memory(error, "a workspace", 1, sizeof *result);
    result->network = network;
    result->block = block;
    result->train = train;
    result->layers = bnn_alloc(network->layer_count, sizeof *result->layers);
    bool complete = result->layers != NULL;
    for (size_t l = 0; complete && l < network->layer_count; l++) {
        const bnn_layer *layer = &network->layers[l];
        complete = allocate_layer(layer, block, train, ops_name, &result->layers[l]);
        activation = larger(activation, block * bnn_layer_out_count(layer));
        scratch = larger(scratch, result->layers[l].ops->scratch_count(layer, block));
    }
    result->scratch = bnn_alloc(scratch, sizeof(bnn_real));
    complete = complete && result->scratch;
    bnn_real **pair = train ? result->gradient : result->alternating;
    for (size_t i = 0; complete && i < 2; i++) {
        pair[i] = bnn_alloc(activation, sizeof(bnn_real));
        complete = pair[i];
    }
    for (size_t l = 0; complete && !train && l < network->layer_count; l++)
        result->layers[l].out = result->alternating[l % 2];
    if (!complete) {
        bnn_workspace_free(result);
        return bnn_no_memory(error, "the activations of a block of images", activation, sizeof(bnn_real));
    }
    *workspace = result;
    return BNN_OK;
}

bnn_status bnn_workspace_perturb(bnn_workspace *workspace, bnn_estimator estimator, bnn_error *error)
{
    size_t scratch = 0;
    for (size_t l = 0; l < workspace->network->layer_count; l++) {
        const bnn_layer *layer = &workspace->network->layers[l];
        layer_buffers *buffers = &workspace->layers[l];
        if (bnn_estimator_perturbs(estimator, layer)) {
            bnn_status status =
                perturbation_create(layer, estimator, workspace->block, &buffers->perturbed, error);
            if (status) return status;
            scratch = larger(scratch, perturbation_scratch(buffers->perturbed, workspace->block));
        } else
            scratch = larger(scratch, buffers->ops->scratch_count(layer, workspace->block));
    }
    free(workspace->scratch);
    workspace->scratch = bnn_alloc(scratch, sizeof(bnn_real));
    return workspace->scratch ? BNN_OK : bnn_no_memory(error, "an estimator", scratch, sizeof(bnn_real));
}

size_t bnn_network_block(const bnn_network *network, size_t most, size_t views)
{
    const size_t cache = (size_t)3 << 19; /* bytes; fixed, so that results are the same on every machine */
    size_t largest = 1, images = most;
    for (size_t l = 0; l < network->layer_count; l++) {
        const bnn_layer *layer = &network->layers[l];
        if (layer->kind != BNN_LAYER_CONV) continue;
        const bnn_layer_ops *ops = bnn_layer_ops_for(layer, NULL);
        largest = larger(largest, ops->saved_count(layer, 1) + ops->scratch_count(layer, 1));
    }
    if (network->spec.type != BNN_NETWORK_MLP) {
        images = cache / (largest * sizeof(bnn_real));
        if (images < 4) images = 4;
        if (images > 8) images = 8;
        if (images > most) images = most;
    }
    images -= images % views;
    return images ? images : views;
}

/* A layer's packed weights and packed gradient: its own, or its slice of the unit's. */
static const bnn_real *packed_weights(const bnn_workspace *workspace, size_t l)
{
    const layer_buffers *buffers = &workspace->layers[l];
    return buffers->ops->in_place ? workspace->unit.weights + workspace->network->layers[l].weight_offset
                                  : buffers->packed;
}

static bnn_real *packed_gradient(const bnn_workspace *workspace, size_t l)
{
    const layer_buffers *buffers = &workspace->layers[l];
    return buffers->ops->in_place ? workspace->unit.gradient + workspace->network->layers[l].weight_offset
                                  : buffers->packed_gradient;
}

void bnn_workspace_begin(bnn_workspace *workspace, const bnn_unit *unit)
{
    workspace->unit = *unit;
    workspace->add = false;
    for (size_t l = 0; l < workspace->network->layer_count; l++) {
        const bnn_layer *layer = &workspace->network->layers[l];
        layer_buffers *buffers = &workspace->layers[l];
        if (buffers->perturbed) {
            const bnn_stream stream =
                bnn_stream_of(unit->stream.state, BNN_STREAM_ESTIMATOR_NOISE, unit->stream.sequence, 0, l);
            perturbation_begin(buffers->perturbed, unit->weights, unit->spread, stream, unit->views);
            continue;
        }
        if (!buffers->ops->in_place)
            buffers->ops->pack(layer, unit->weights + layer->weight_offset,
                               unit->weights + layer->bias_offset, buffers->packed);
    }
}

const bnn_real *bnn_workspace_forward(bnn_workspace *workspace, const bnn_real *in, size_t images)
{
    workspace->in = in;
    workspace->images = images;
    for (size_t l = 0; l < workspace->network->layer_count; l++) {
        const layer_buffers *buffers = &workspace->layers[l];
        if (buffers->perturbed)
            perturbation_forward(buffers->perturbed, in, images, buffers->out, workspace->scratch);
        else
            buffers->ops->forward(&workspace->network->layers[l], packed_weights(workspace, l), in, images,
                                  buffers->out, buffers->saved, workspace->scratch);
        in = buffers->out;
    }
    return in;
}

void bnn_workspace_backward(bnn_workspace *workspace, bnn_real *logit_gradient)
{
    bnn_real *out_gradient = logit_gradient;
    for (size_t l = workspace->network->layer_count; l-- > 0;) {
        const layer_buffers *buffers = &workspace->layers[l];
        bnn_real *in_gradient = l > 0 ? workspace->gradient[l % 2] : NULL;
        const bnn_real *in = l > 0 ? workspace->layers[l - 1].out : workspace->in;
        if (buffers->perturbed)
            perturbation_backward(buffers->perturbed, in, out_gradient, workspace->images, in_gradient,
                                  workspace->add, workspace->scratch);
        else
            buffers->ops->backward(&workspace->network->layers[l], packed_weights(workspace, l), in,
                                   buffers->out, out_gradient, workspace->images, in_gradient, workspace->add,
                                   packed_gradient(workspace, l), buffers->saved, workspace->scratch);
        out_gradient = in_gradient;
    }
    workspace->add = true;
}

void bnn_workspace_end(bnn_workspace *workspace)
{
    const bnn_unit *unit = &workspace->unit;
    for (size_t l = 0; l < workspace->network->layer_count; l++) {
        const bnn_layer *layer = &workspace->network->layers[l];
        const layer_buffers *buffers = &workspace->layers[l];
        if (buffers->perturbed)
            perturbation_end(buffers->perturbed, unit->gradient, unit->spread_gradient);
        else if (!buffers->ops->in_place)
            buffers->ops->unpack_gradient(layer, buffers->packed_gradient,
                                          unit->gradient + layer->weight_offset,
                                          unit->gradient + layer->bias_offset);
    }
}
