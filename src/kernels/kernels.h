/* The rows of bnn_conv_kernels and bnn_dense_kernels: private to the kernels' room. */
#ifndef BNN_SRC_KERNELS_H
#define BNN_SRC_KERNELS_H

#include "base/cpu.h"
#include "bnn/kernel.h"

#define BNN_DECLARE_KERNELS(isa)                                                                             \
    extern const bnn_kernel bnn_conv_thin_##isa;     /* simd/thin.c */                                       \
    extern const bnn_kernel bnn_conv_winograd_##isa; /* simd/winograd.c */                                   \
    extern const bnn_kernel bnn_dense_##isa;         /* simd/dense.c */
BNN_EACH_ISA(BNN_DECLARE_KERNELS)

extern const bnn_kernel bnn_conv_blas;  /* conv_blas.c: im2col and BLAS, any shape */
extern const bnn_kernel bnn_conv_naive; /* conv_naive.c: plain loops, the twin of the others */
extern const bnn_kernel bnn_dense_blas, bnn_dense_grid; /* dense.c: BLAS */

#endif
