/* A layer's geometry, and the interface behind which its arithmetic lives. The network calls the functions of
 * bnn_layer_ops and does not know which implementation runs; implementations (kernels) know nothing of
 * posteriors, groups or modes.
 *
 * Layouts of one image's activation:
 *   planar         (C, H, W)                      the network's input
 *   channels-last  (H, W, bnn_channel_stride(C))  the output of a conv layer; channels beyond C are zero
 *   flat           (F)                            the output of mean and dense layers
 * A block of n images is n of these one after the other. Channels-last blocks are aligned to 64
 * bytes; planar and flat ones need not be. */
#ifndef BNN_LAYER_H
#define BNN_LAYER_H

#include <stdbool.h>
#include <stddef.h>

#include "bnn/real.h"

typedef enum bnn_layer_kind {
    BNN_LAYER_CONV, /* conv kernel x kernel, stride 1, "same" padding; + bias; ReLU; max-pool 2 x 2 */
    BNN_LAYER_MEAN, /* global average pool of a channels-last activation: flat (C). No parameters. */
    BNN_LAYER_DENSE /* W x + b over the whole input activation in (C, H, W) order; ReLU. */
} bnn_layer_kind;

typedef enum bnn_layout { BNN_LAYOUT_PLANAR, BNN_LAYOUT_CHANNELS_LAST, BNN_LAYOUT_FLAT } bnn_layout;

/* How the group acts on the channels of an activation: see symmetry.h. */
typedef enum bnn_representation { BNN_TRIVIAL, BNN_REGULAR } bnn_representation;

typedef struct bnn_layer {
    bnn_layer_kind kind;
    char name[40]; /* "conv_layers.0", "classifier", "fc", "fc_layers.2": the prefix of its tensors */

    bnn_layout in_layout;
    size_t in_channels, in_height, in_width; /* height = width = 1 for a flat input */
    size_t out_channels;                     /* features of a dense layer */
    size_t out_height, out_width;            /* after pooling; 1 x 1 for mean and dense */

    size_t kernel; /* odd side of the conv kernel; 0 otherwise */
    bool circular; /* conv: wrap around instead of zero padding */
    bool relu;
    bool pool; /* conv: max-pool 2 x 2 with stride 2, an odd last row or column dropped */

    /* Weight (out_channels, in_channels, kernel, kernel), or (out_channels, in_channels * in_height *
     * in_width) for dense; row-major as in PyTorch. Bias (out_channels). Positions in the network's parameter
     * vector. */
    size_t weight_offset, weight_count;
    size_t bias_offset, bias_count;
    bool weight_is_1x1_conv; /* a dense layer written to files as (out, in, 1, 1): fcnn's classifier */

    bnn_representation in_representation, out_representation;
} bnn_layer;

/* Channels of a channels-last pixel in memory: `channels` rounded up to BNN_CHANNEL_UNIT. */
size_t bnn_channel_stride(size_t channels);

/* bnn_real's in one image's input and output activation, in the layouts above. */
size_t bnn_layer_in_count(const bnn_layer *layer);
size_t bnn_layer_out_count(const bnn_layer *layer);

/* One implementation of a kind of layer. A unit of work is one weight draw and several blocks of images:
 *     pack; for each block { forward; backward }; unpack_gradient
 * Nothing allocates; every buffer is the caller's, aligned to 64 bytes (but for planar and flat blocks, and for
 * parameters) and as large as the *_count functions say (in bnn_real; they may return 0). The functions may be called from several threads on different
 * buffers. */
typedef struct bnn_layer_ops {
    const char *name; /* "naive", "gemm", "winograd-avx512", ... */

    /* Whether this processor has its instruction set; NULL where any has. Nothing else of the row may be called if not. */
    bool (*runs_here)(void);

    /* Whether this implementation can run the layer: see bnn_layer_ops_fit. */
    bool (*supports)(const bnn_layer *layer);

    size_t (*packed_count)(const bnn_layer *layer); /* one draw's weights and bias as the kernel wants them */
    size_t (*saved_count)(const bnn_layer *layer, size_t images);   /* kept from forward to backward */
    size_t (*scratch_count)(const bnn_layer *layer, size_t images); /* free again on return */

    /* packed <- weight (weight_count) and bias (bias_count). */
    void (*pack)(const bnn_layer *layer, const bnn_real *weight, const bnn_real *bias, bnn_real *packed);

    /* out <- the layer's output for `images` inputs. saved = NULL when no backward pass follows. */
    void (*forward)(const bnn_layer *layer, const bnn_real *packed, const bnn_real *in, size_t images,
                    bnn_real *out, bnn_real *saved, bnn_real *scratch);

    /* Given d loss / d out of the block that forward() saw last with this `saved`:
     * packed_gradient <- (or with `add`, after a unit's first block, +=) d loss / d packed weights and bias, in a form
     * of packed_count reals of the kernel's own choosing; in_gradient <- d loss / d in, unless it is NULL (the
     * first layer). `in` and `out` are those of forward(). out_gradient may be overwritten. */
    void (*backward)(const bnn_layer *layer, const bnn_real *packed, const bnn_real *in, const bnn_real *out,
                     bnn_real *out_gradient, size_t images, bnn_real *in_gradient, bool add,
                     bnn_real *packed_gradient, const bnn_real *saved, bnn_real *scratch);

    /* weight_gradient, bias_gradient <- the accumulated packed_gradient in the layout of the parameters.
     * packed_gradient may be overwritten. */
    void (*unpack_gradient)(const bnn_layer *layer, bnn_real *packed_gradient, bnn_real *weight_gradient,
                            bnn_real *bias_gradient);

    /* Packed weights, and the packed gradient, are the layer's slice of the parameter vector itself, weights then bias:
     * nobody needs to call pack or unpack_gradient, and no alignment may be assumed. */
    bool in_place;
} bnn_layer_ops;

/* Every implementation, fastest first, NULL-terminated. */
extern const bnn_layer_ops *const bnn_layer_ops_list[];

/* Whether an implementation runs on this processor and can run the layer. */
bool bnn_layer_ops_fit(const bnn_layer_ops *ops, const bnn_layer *layer);

/* The first implementation in the list that fits the layer; `name`, if not NULL, asks for one by name (for
 * tests and measurements) and falls back to the first where none of that name fits the layer. Where one source is
 * compiled for several instruction sets, the name is "kind-set" ("winograd-avx2"), and `name` may be that, the kind
 * ("winograd": the fastest that runs here) or the set ("avx2": every kind compiled for it, to run a whole network so). */
const bnn_layer_ops *bnn_layer_ops_for(const bnn_layer *layer, const char *name);

#endif
