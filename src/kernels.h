/* The rows of bnn_layer_ops_list: private to the kernels' room. */
#ifndef BNN_SRC_KERNELS_H
#define BNN_SRC_KERNELS_H

#include "bnn/layer.h"

extern const bnn_layer_ops bnn_mean_ops;       /* kernel_mean.c */
extern const bnn_layer_ops bnn_dense_ops;      /* kernel_dense.c */
extern const bnn_layer_ops bnn_conv_gemm_ops;  /* kernel_conv_gemm.c: im2col and BLAS, any shape */
extern const bnn_layer_ops bnn_conv_naive_ops; /* kernel_conv_naive.c: plain loops, the twin of the others */

#endif
