/* Networks: layers over one parameter vector, each of which names its inputs. It knows weights, not posteriors. */
#ifndef BNN_NETWORK_H
#define BNN_NETWORK_H

#include <stdbool.h>
#include <stddef.h>

#include "bnn/estimator.h"
#include "bnn/layer.h"
#include "bnn/real.h"
#include "bnn/rng.h"
#include "bnn/row.h"
#include "bnn/status.h"

/* The three architectures (channels first in their description, L = number of channels or hidden entries):
 *   fcnn  [conv k x k -> ReLU -> maxpool 2x2] x L, conv 1x1 to the classes, global average pool. Both of the
 *         last are linear, so the pool runs first (exact, and 49 times less work on 7 x 7 pixels).
 *   cnn   [conv k x k -> ReLU -> maxpool 2x2] x L, flatten, one dense layer to the classes.
 *   mlp   flatten, [dense -> ReLU] x L, dense to the classes.
 * Max-pools may be left out one by one. */
typedef enum bnn_network_type { BNN_NETWORK_FCNN, BNN_NETWORK_CNN, BNN_NETWORK_MLP } bnn_network_type;
const bnn_row *bnn_network_type_row(size_t i); /* the registry, in the order of bnn_network_type */

#define BNN_MAX_WIDTHS 16

/* The widest layers that a file may describe, of convolutions and of an mlp. */
#define BNN_CHANNELS_MOST 65536
#define BNN_HIDDEN_MOST 1048576

typedef struct bnn_network_spec {
    bnn_network_type type;
    size_t input[3]; /* C, H, W */
    size_t classes;
    size_t widths[BNN_MAX_WIDTHS]; /* channels of the conv layers, or hidden units */
    size_t width_count;
    size_t kernel; /* odd side of the conv kernels */
    bool circular;
    bnn_representation representation; /* of every hidden activation */
    char group
        [32]; /* of which regular channels are blocks ("C4"); "": of any group that is asked about them */
    bool unpooled[BNN_MAX_WIDTHS]; /* conv layers after which there is no max-pool; false: there is one */
} bnn_network_spec;

struct bnn_network {
    bnn_network_spec spec; /* of a network built by hand: input and classes alone */
    bnn_layer *layers;     /* inputs before what takes them; the last gives the logits */
    size_t layer_count, capacity;
    size_t parameter_count; /* length of a weight vector w */
};

/* Builds the layers of a specification. BNN_BAD_INPUT when an image is too small to be pooled that often or a size is 0. */
bnn_status bnn_network_create(const bnn_network_spec *spec, bnn_network **network, bnn_error *error);
void bnn_network_free(bnn_network *network); /* NULL is legal */

/* By hand: a network without layers, for images of `input` (C, H, W), with room for `capacity` layers; then layer after
 * layer. Of `layer`, the type, name, inputs and stream are read, and what its type asks for (shape.out.channels and
 * out_representation of conv and dense layers, shape.kernel and circular of conv layers); the rest is filled in. The last
 * layer has to give `classes` logits, flat, and every other to be used: bnn_workspace_create checks that. */
bnn_status bnn_network_begin(const size_t input[3], size_t classes, size_t capacity, bnn_network **network,
                             bnn_error *error);
bnn_status bnn_network_add(bnn_network *network, const bnn_layer *layer, bnn_error *error);

/* An input of a layer, by its number in bnn_layer.inputs. */
bnn_activation bnn_network_activation(const bnn_network *network, size_t input,
                                      bnn_representation *representation);

/* bnn_real's of one image, planar. */
size_t bnn_network_in_count(const bnn_network *network);

/* The last layer with parameters: the head. */
const bnn_layer *bnn_network_head(const bnn_network *network);

/* The layers that run as one kernel with layer l as the first: their number, and shape <- what that kernel computes.
 * Layers are run together that follow each other, where nothing else uses what is between them. */
size_t bnn_network_fused(const bnn_network *network, size_t l, bnn_kernel_shape *shape);

/* Adds the layers to an ONNX graph, whose value `images` is (N, C, H, W): *logits <- the name of the value (N, classes).
 * BNN_BAD_INPUT, naming the layer, where one has no ONNX form. */
bnn_status bnn_network_onnx(const bnn_network *network, const bnn_onnx_part *part, const char *images,
                            const char **logits, bnn_error *error);

/* What one worker needs to run a network on blocks of at most `block` images; no function below allocates. */
typedef struct bnn_workspace bnn_workspace;

typedef struct bnn_workspace_options {
    size_t block;
    bool train; /* with room for a backward pass */
    /* NULL: of training, layers that it perturbs are run as f(in; weights) combined with f(in; spread). */
    const bnn_estimator *estimator;
    size_t samples; /* of each image at most, in a unit (bnn_unit); 0 is 1 */
    const char *
        kernels; /* NULL: the fastest; or a set of bnn_kernel, by which every layer runs that has a kernel of it,
                          * and the others by their fastest. For tests and measurements. */
} bnn_workspace_options;

/* The number of images in a block, of options->block at most: for conv networks 4 to 8, as many as keep the largest layer's
 * buffers in the second-level cache; in training up to 16 where the weights, which every block reads, are larger than those
 * buffers, and up to 32 where an estimator perturbs layers, which doubles their weights, and the gradients that blocks add to in
 * the cache; for an mlp, whose products want many rows, options->block. Above it only to be a multiple of `views` (>= 1). */
size_t bnn_network_block(const bnn_network *network, const bnn_workspace_options *options, size_t views);

/* BNN_BAD_INPUT when no layer has a kernel of the set that runs here, or when the network is not complete. */
bnn_status bnn_workspace_create(const bnn_network *network, const bnn_workspace_options *options,
                                bnn_workspace **workspace, bnn_error *error);
void bnn_workspace_free(bnn_workspace *workspace);

/* Reserves what workspaces like this one, `threads` of them at a time, want beside their own memory (bnn_blas_reserve). */
bnn_status bnn_workspace_reserve(const bnn_workspace *workspace, size_t threads, bnn_error *error);

/* A draw's weights as the kernels want them: bnn_real's, and the parts that they are made in, one after the other or by
 * several threads. Both may be 0. Workspaces of equal options pack alike. */
size_t bnn_workspace_packed_count(const bnn_workspace *workspace);
size_t bnn_workspace_parts(const bnn_workspace *workspace);

/* packed (packed_count), aligned to 64 bytes, its part `part`, <- from weights and spread, as in bnn_unit. */
void bnn_workspace_pack(const bnn_workspace *workspace, size_t part, const bnn_real *weights,
                        const bnn_real *spread, bnn_real *packed);

/* A unit of work: one weight draw and several blocks of images. */
typedef struct bnn_unit {
    const bnn_real *weights; /* (parameter_count) w; mu where a layer is perturbed */
    const bnn_real *packed;  /* all parts, of these weights and this spread */
    bnn_real *gradient;      /* (parameter_count) <- d loss / d weights; NULL in evaluation */
    const bnn_real *spread; /* (parameter_count) read where a layer is perturbed; NULL without an estimator */
    bnn_real *spread_gradient; /* (parameter_count) <- d loss / d spread of perturbed layers */
    bnn_stream stream;         /* of the estimator's noise */
    size_t views;              /* consecutive images that share that noise: an item's */
    /* Of each image, under noise of their own, one after the other; 0 is 1. As many as the options say at most. More than 1 only
     * where all layers that take images are perturbed, by normals: they compute once what the samples share. */
    size_t samples;
} bnn_unit;

/* Starts a unit; what it points to has to stay until bnn_workspace_end. */
void bnn_workspace_begin(bnn_workspace *workspace, const bnn_unit *unit);

/* Logits (images, classes) of `images` <= block inputs in planar layout, or of `images` samples of images / unit->samples inputs;
 * valid until the next call. When the workspace is for training, a backward pass may follow. */
const bnn_real *bnn_workspace_forward(bnn_workspace *workspace, const bnn_real *in, size_t images);

/* The first layer whose activations in the last forward block are not all finite, or NULL; of layers that run together, the
 * first of these. *value <- its first such activation. For workspaces for training, which keep all activations. */
const bnn_layer *bnn_workspace_anomaly(const bnn_workspace *workspace, bnn_real *value);

/* Adds to the unit's gradient that of the last forward block, given d loss / d logits (images, classes), which may be
 * overwritten. */
void bnn_workspace_backward(bnn_workspace *workspace, bnn_real *logit_gradient);

/* Completes the gradient of a training unit. */
void bnn_workspace_end(bnn_workspace *workspace);

#endif
