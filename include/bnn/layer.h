/* Layers, and their types: one row of bnn_layer_types and one file each. A type's row says all that the rest needs to know of
 * it: shapes, arithmetic, parameters and their first values, and how a group acts on it. */
#ifndef BNN_LAYER_H
#define BNN_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bnn/group.h"
#include "bnn/kernel.h"
#include "bnn/onnx.h"
#include "bnn/row.h"
#include "bnn/status.h"

/* How the group acts on the channels of an activation: see symmetry.h. */
typedef enum bnn_representation { BNN_TRIVIAL, BNN_REGULAR } bnn_representation;

/* An input that is not a layer's output: the network's images. */
#define BNN_IMAGES SIZE_MAX

typedef struct bnn_layer_type bnn_layer_type;
typedef struct bnn_network bnn_network;

typedef struct bnn_layer {
    const bnn_layer_type *type;
    char name[40]; /* "conv_layers.0", "classifier": the prefix of its tensors; "conv_layers.0.relu" */

    size_t inputs[BNN_MAX_INPUTS]; /* (type->inputs) layers before it, by their number, or BNN_IMAGES */
    size_t uses;                   /* how many inputs its own output is */
    bnn_kernel_shape shape;        /* the layer's alone, without what is run together with it */
    bnn_representation in_representation, out_representation;

    /* Parameters: a weight tensor, as files write it, row-major, whose first dimension is the output channels and whose
     * second, where it has one, goes over the input channels; and a bias (out channels). The rest of the tensor is
     * `places`: the offsets of a kernel or the pixels of a grid. All 0 without parameters. Offsets are positions in the
     * network's parameter vector; the bias follows the weights. */
    size_t weight_rank, weight_shape[4], places;
    size_t weight_offset, weight_count;
    size_t bias_offset, bias_count;

    /* The layer's number in the keys of random streams, so that a run keeps its noise whatever stands between layers
     * with parameters. In the three architectures of network.h: the place in the list of convolutions, mean and dense
     * layers (ReLU, pools and sums uncounted). */
    size_t stream;
} bnn_layer;

/* What a layer adds to an ONNX graph is made of these, all its names beginning with `prefix`. */
typedef struct bnn_onnx_part {
    bnn_onnx *graph;
    const char *prefix;
    const bnn_real *weights; /* the network's parameter vector */
} bnn_onnx_part;

struct bnn_layer_type {
    bnn_row row;
    size_t inputs;                    /* how many it takes */
    const bnn_kernel *const *kernels; /* its arithmetic: see bnn_conv_kernels */

    /* Completes a layer of which shape.in and in_representation are known, and what the caller asked for (shape.out.channels,
     * shape.kernel, ...): the rest of the shape, out_representation, the parameters' tensors. BNN_BAD_INPUT, with the
     * layer's name, when it cannot be. */
    bnn_status (*infer)(const bnn_network *network, bnn_layer *layer, bnn_error *error);

    /* Takes `next`, the only user of the layer's output, into the layer's own kernel: shape <- what that then computes.
     * False where it cannot. NULL: never. */
    bool (*fuse)(bnn_kernel_shape *shape, const bnn_layer *next);

    /* Buffers for one image, which the kernels go through several times, are so large that blocks of images are kept small
     * enough for the cache: see bnn_network_block. */
    bool small_blocks;

    /* Which estimators of the gradient may take it: output = input * weights + bias, bilinear; and every weight is used
     * once an image, so that pre-activations are independent given the input. A type that says neither has its weights
     * drawn. */
    bool bilinear, weights_used_once;

    /* Mean and standard deviation of the initial weights. Types with parameters have to have it. */
    void (*initial)(const bnn_layer *layer, double *mean, double *deviation);

    /* Adds the layer to a graph whose values are (N, C, H, W), or (N, F) where they are flat, and gives back the name of its
     * output, or NULL when memory is short; `inputs` ends with NULL. NULL: it has no ONNX form. */
    const char *(*onnx)(const bnn_layer *layer, const bnn_onnx_part *part, const char *const *inputs);

    /* ---- symmetry: what is NULL here is refused, never taken for granted ---- */

    /* *source <- how the group acts on the places of the weight tensor, (order, places): (R_g w)[p] = w[source[g*places +
     * p]]; freed with free(). BNN_BAD_INPUT when there is no exact action. NULL: the parameters have none. */
    bnn_status (*place_action)(const bnn_group *group, const bnn_layer *layer, uint32_t **source,
                               bnn_error *error);

    /* Whether f(h.x; rho(h) w) = h.f(x; w) of this layer, given that every parameter has its action and that the group
     * permutes the pixels of the images; if not, a line in `reason` (of `size` bytes) of what breaks it and what mends it.
     * NULL: no. */
    bool (*commutes)(const bnn_group *group, const bnn_network *network, const bnn_layer *layer, char *reason,
                     size_t size);

    /* The factor of the weights of an orbit expansion (symmetry.h) of `layer`, the expanded one. NULL: it has none. */
    double (*expansion_scale)(const bnn_group *group, const bnn_layer *layer);
};

/* A layer that is asked for with weight_rank 4 has its W written to files as (out, in, 1, 1), a convolution of one pixel. */
extern const bnn_layer_type bnn_layer_dense;    /* W x + b over the whole input in (C, H, W) order */
extern const bnn_layer_type bnn_layer_conv;     /* kernel x kernel, stride 1, "same" padding, bias */
extern const bnn_layer_type bnn_layer_relu;     /* max(0, x) */
extern const bnn_layer_type bnn_layer_max_pool; /* 2 x 2, stride 2, an odd last row or column dropped */
extern const bnn_layer_type bnn_layer_mean;     /* over the pixels of a channels-last activation: flat (C) */
extern const bnn_layer_type bnn_layer_sum;      /* of two activations of one shape */

extern const bnn_layer_type *const bnn_layer_types[]; /* NULL-terminated */
const bnn_row *bnn_layer_type_row(size_t i);          /* a bnn_registry */

/* Input channels of the weight tensor, and how the group acts on them: those of the layer, or 1 where each channel has
 * weights of its own. */
size_t bnn_layer_weight_inputs(const bnn_layer *layer);
bnn_representation bnn_layer_weight_representation(const bnn_layer *layer);

#endif
