/* The rows of bnn_layer_ops_list, and the instruction sets: private to the kernels' room. */
#ifndef BNN_SRC_KERNELS_H
#define BNN_SRC_KERNELS_H

#include "bnn/layer.h"
#include "bnn/posterior.h"
#include "bnn/rng.h"

/* The instruction sets that the files simd_*.c are compiled for, fastest first; the last runs everywhere. */
#ifdef __x86_64__
#define BNN_EACH_ISA(DO) DO(avx512) DO(avx2) DO(portable)
#else
#define BNN_EACH_ISA(DO) DO(portable)
#endif

/* What an instruction set brings besides layers. */
typedef struct bnn_isa {
    const char *name;
    bool (*runs_here)(void);
    void (*normals)(bnn_stream stream, bnn_real *out, size_t n);                     /* bnn_normals */
    void (*softplus)(const bnn_real *x, size_t n, bnn_real *value, bnn_real *slope); /* bnn_softplus_array */
    void (*draw)(const bnn_slice *slice, const bnn_real *eps, bnn_real *w);          /* bnn_gaussian_... */
    void (*pull_back)(const bnn_slice *slice, const bnn_real *eps, const bnn_real *w_gradient,
                      bnn_real *mu_gradient, bnn_real *sigma_gradient);
    void (*kl_gradient)(const bnn_slice *slice, bnn_real weight, bnn_real *mu_gradient,
                        bnn_real *sigma_gradient);
} bnn_isa;

extern const bnn_isa bnn_isas[]; /* ends with a NULL name */

#define BNN_ISA_DECLARE(isa)                                                                                 \
    bool bnn_runs_here_##isa(void);                                                                          \
    void bnn_normals_##isa(bnn_stream stream, bnn_real *out, size_t n); /* simd_normals.c */                 \
    void bnn_softplus_##isa(const bnn_real *x, size_t n, bnn_real *value, bnn_real *slope);                  \
    void bnn_gaussian_draw_##isa(const bnn_slice *slice, const bnn_real *eps, bnn_real *w);                  \
    void bnn_gaussian_pull_back_##isa(const bnn_slice *slice, const bnn_real *eps,                           \
                                      const bnn_real *w_gradient, bnn_real *mu_gradient,                     \
                                      bnn_real *sigma_gradient);                                             \
    void bnn_gaussian_kl_gradient_##isa(const bnn_slice *slice, bnn_real weight, bnn_real *mu_gradient,      \
                                        bnn_real *sigma_gradient); /* simd_gaussian.c */                     \
    bool bnn_supports_thin_##isa(const bnn_layer *layer);                                                    \
    extern const bnn_layer_ops bnn_conv_thin_ops_##isa; /* simd_thin.c */                                    \
    bool bnn_supports_dense_##isa(const bnn_layer *layer);                                                   \
    extern const bnn_layer_ops bnn_dense_ops_##isa; /* simd_dense.c */                                       \
    bool bnn_supports_winograd_##isa(const bnn_layer *layer);                                                \
    extern const bnn_layer_ops bnn_conv_winograd_ops_##isa; /* simd_winograd.c */
BNN_EACH_ISA(BNN_ISA_DECLARE)

extern const bnn_layer_ops bnn_mean_ops;                      /* kernel_mean.c */
extern const bnn_layer_ops bnn_dense_ops, bnn_dense_grid_ops; /* kernel_dense.c: BLAS */
extern const bnn_layer_ops bnn_conv_gemm_ops;  /* kernel_conv_gemm.c: im2col and BLAS, any shape */
extern const bnn_layer_ops bnn_conv_naive_ops; /* kernel_conv_naive.c: plain loops, the twin of the others */

/* kernel_dense.c: for layers that work in place. */
void bnn_dense_pack(const bnn_layer *layer, const bnn_real *weight, const bnn_real *bias, bnn_real *packed);
void bnn_dense_unpack_gradient(const bnn_layer *layer, bnn_real *packed_gradient, bnn_real *weight_gradient,
                               bnn_real *bias_gradient);

#endif
