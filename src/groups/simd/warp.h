/* The inner loop of bnn_warp_apply for each instruction set. */
#ifndef BNN_GROUPS_SIMD_WARP_H
#define BNN_GROUPS_SIMD_WARP_H

#include <stdint.h>

#include "base/cpu.h"
#include "bnn/real.h"

/* Where the pixels of a plane (height, width) are read from: (i, j) at row + i down + j right, column + i right - j down, which
 * is (row, column) + (i, j) turned and scaled. */
typedef struct bnn_reading {
    int32_t height, width;
    bnn_real row, column; /* of pixel (0, 0) */
    bnn_real cosine, sine;
    bnn_real background;
} bnn_reading;

#define BNN_DECLARE_WARP(isa)                                                                                \
    void bnn_warp_plane_##isa(const bnn_reading *reading, const bnn_real *restrict in,                       \
                              bnn_real *restrict out);
BNN_EACH_ISA(BNN_DECLARE_WARP)

#endif
