/* bnn_softplus_array for each instruction set. */
#ifndef BNN_BASE_SIMD_SOFTPLUS_H
#define BNN_BASE_SIMD_SOFTPLUS_H

#include "base/cpu.h"
#include "bnn/numeric.h"

#define BNN_DECLARE_SOFTPLUS(isa)                                                                            \
    void bnn_softplus_array_##isa(const bnn_real *x, size_t n, bnn_real *value, bnn_real *slope);
BNN_EACH_ISA(BNN_DECLARE_SOFTPLUS)

#endif
