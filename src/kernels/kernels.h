/* The rows of bnn_layer_ops_list: private to the kernels' room. */
#ifndef BNN_SRC_KERNELS_H
#define BNN_SRC_KERNELS_H

#include "base/cpu.h"
#include "bnn/layer.h"

#define BNN_DECLARE_KERNELS(isa)                                                                             \
    extern const bnn_layer_ops bnn_conv_thin_ops_##isa;     /* simd/thin.c */                                \
    extern const bnn_layer_ops bnn_dense_ops_##isa;         /* simd/dense.c */                               \
    extern const bnn_layer_ops bnn_conv_winograd_ops_##isa; /* simd/winograd.c */
BNN_EACH_ISA(BNN_DECLARE_KERNELS)

extern const bnn_layer_ops bnn_mean_ops;                      /* mean.c */
extern const bnn_layer_ops bnn_dense_ops, bnn_dense_grid_ops; /* dense.c: BLAS */
extern const bnn_layer_ops bnn_conv_gemm_ops;                 /* conv_gemm.c: im2col and BLAS, any shape */
extern const bnn_layer_ops bnn_conv_naive_ops; /* conv_naive.c: plain loops, the twin of the others */

/* dense.c: for layers that work in place. */
void bnn_dense_pack(const bnn_layer *layer, const bnn_real *weight, const bnn_real *bias, bnn_real *packed);
void bnn_dense_unpack_gradient(const bnn_layer *layer, bnn_real *packed_gradient, bnn_real *weight_gradient,
                               bnn_real *bias_gradient);

#endif
