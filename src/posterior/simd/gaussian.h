/* What a training step does with every parameter of a gaussian, for each instruction set. */
#ifndef BNN_POSTERIOR_SIMD_GAUSSIAN_H
#define BNN_POSTERIOR_SIMD_GAUSSIAN_H

#include "base/cpu.h"
#include "bnn/posterior.h"

#define BNN_DECLARE_GAUSSIAN(isa)                                                                            \
    void bnn_gaussian_draw_##isa(const bnn_slice *slice, const bnn_real *eps, bnn_real *w);                  \
    void bnn_gaussian_pull_back_##isa(const bnn_slice *slice, const bnn_real *eps,                           \
                                      const bnn_real *w_gradient, bnn_real *mu_gradient,                     \
                                      bnn_real *sigma_gradient);                                             \
    void bnn_gaussian_kl_gradient_##isa(const bnn_slice *slice, bnn_real weight, bnn_real *mu_gradient,      \
                                        bnn_real *sigma_gradient);
BNN_EACH_ISA(BNN_DECLARE_GAUSSIAN)

#endif
