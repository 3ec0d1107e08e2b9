/* bnn_normals for each instruction set. */
#ifndef BNN_BASE_SIMD_NORMALS_H
#define BNN_BASE_SIMD_NORMALS_H

#include "base/cpu.h"
#include "bnn/rng.h"

#define BNN_DECLARE_NORMALS(isa) void bnn_normals_##isa(bnn_stream stream, bnn_real *out, size_t n);
BNN_EACH_ISA(BNN_DECLARE_NORMALS)

#endif
