/* Networks: a list of layers over one parameter vector. Floor 3: knows weights, not posteriors. */
#ifndef BNN_NETWORK_H
#define BNN_NETWORK_H

#include <stdbool.h>
#include <stddef.h>

#include "bnn/layer.h"
#include "bnn/real.h"
#include "bnn/rng.h"
#include "bnn/row.h"
#include "bnn/status.h"

/* The three architectures (channels first in their description, L = number of channels or hidden entries):
 *   fcnn  [conv k x k -> ReLU -> maxpool 2x2] x L, conv 1x1 to the classes, global average pool. Both of the
 *         last are linear, so the pool runs first (exact, and 49 times less work on 7 x 7 pixels).
 *   cnn   [conv k x k -> ReLU -> maxpool 2x2] x L, flatten, one dense layer to the classes.
 *   mlp   flatten, [dense -> ReLU] x L, dense to the classes. */
typedef enum bnn_network_type { BNN_NETWORK_FCNN, BNN_NETWORK_CNN, BNN_NETWORK_MLP } bnn_network_type;
const bnn_row *bnn_network_type_row(size_t i); /* the registry, in the order of bnn_network_type */

#define BNN_MAX_WIDTHS 16

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
} bnn_network_spec;

typedef struct bnn_network {
    bnn_network_spec spec;
    bnn_layer *layers;
    size_t layer_count;
    size_t parameter_count; /* length of a weight vector w */
} bnn_network;

/* Builds the layers. BNN_BAD_INPUT when an image is too small to be pooled that often or a size is 0. */
bnn_status bnn_network_create(const bnn_network_spec *spec, bnn_network **network, bnn_error *error);
void bnn_network_free(bnn_network *network); /* NULL is legal */

/* What one worker needs to run a network on blocks of at most `block` images; no function below allocates. */
typedef struct bnn_workspace bnn_workspace;

/* `train`: with room for a backward pass. ops_name as in bnn_layer_ops_for. */
bnn_status bnn_workspace_create(const bnn_network *network, size_t block, bool train, const char *ops_name,
                                bnn_workspace **workspace, bnn_error *error);
void bnn_workspace_free(bnn_workspace *workspace);

/* How the weight noise of a training step reaches the activations. */
typedef enum bnn_estimator {
    BNN_ESTIMATOR_WEIGHT, /* one weight draw, shared by the images of a sample */
    BNN_ESTIMATOR_LOCAL, /* dense layers draw pre-activations: x mu + sqrt(x^2 sigma^2) zeta, zeta ~ N(0, 1) an image
                           * and output (Kingma, Salimans and Welling 2015, eq. 6); conv layers as `weight` */
    BNN_ESTIMATOR_FLIPOUT /* x mu + r ((x s) dW), dW = sigma eps shared, r and s random signs of an image
                           * (Wen et al. 2018, eq. 4); conv layers have a sign a channel */
} bnn_estimator;
extern const char *const bnn_estimator_names[]; /* "weight", "local", "flipout", NULL */

/* Whether the estimator gives the layer a second stream of its own. */
bool bnn_estimator_perturbs(bnn_estimator estimator, const bnn_layer *layer);

/* Gives a training workspace the second stream of an estimator: layers that bnn_estimator_perturbs are then run as
 * f(in; weights) combined with f(in; spread), where spread is dW for flipout and sigma^2 for local. */
bnn_status bnn_workspace_perturb(bnn_workspace *workspace, bnn_estimator estimator, bnn_error *error);

/* The number of images in a block: for conv networks 4 to 8, as many as keep the largest layer's buffers in the
 * second-level cache; for an mlp, whose products want many rows, `most`. Never above `most` but to be a multiple of
 * `views` (>= 1). */
size_t bnn_network_block(const bnn_network *network, size_t most, size_t views);

/* A unit of work: one weight draw and several blocks of images. */
typedef struct bnn_unit {
    const bnn_real *weights; /* (parameter_count) w; mu where a layer is perturbed */
    bnn_real *gradient;      /* (parameter_count) <- d loss / d weights; NULL in evaluation */
    const bnn_real *spread; /* (parameter_count) read where a layer is perturbed; NULL without an estimator */
    bnn_real *spread_gradient; /* (parameter_count) <- d loss / d spread of perturbed layers */
    bnn_stream stream;         /* of the estimator's noise */
    size_t views;              /* consecutive images that share that noise: an item's */
} bnn_unit;

/* Starts a unit; what it points to has to stay until bnn_workspace_end. */
void bnn_workspace_begin(bnn_workspace *workspace, const bnn_unit *unit);

/* Logits (images, classes) of `images` <= block inputs in planar layout; valid until the next call. When the
 * workspace is for training, a backward pass may follow. */
const bnn_real *bnn_workspace_forward(bnn_workspace *workspace, const bnn_real *in, size_t images);

/* Adds to the unit's gradient that of the last forward block, given d loss / d logits (images, classes), which may be
 * overwritten. */
void bnn_workspace_backward(bnn_workspace *workspace, bnn_real *logit_gradient);

/* Completes the gradient of a training unit. */
void bnn_workspace_end(bnn_workspace *workspace);

#endif
