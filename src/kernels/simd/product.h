/* The small matrix products of Winograd's convolution: C <- A B or C += A B, by outer products that stay in
 * registers. Exists once for each instruction set: see base/cpu.h. */
#ifndef BNN_SRC_SIMD_PRODUCT_H
#define BNN_SRC_SIMD_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/kernels.h"

/* A (m, k): element (i, l) at a[i * a_row + l * a_column]; one of the two steps is 1.
 * B (k, n): in panels of PANEL columns (the last may be narrower), `b_panel` apart; a panel's rows `b_row`
 * apart. C (m, n): rows `c_row` apart. n is a multiple of LANES; nothing need be aligned. */
typedef struct bnn_product {
    size_t m, n, k;
    const bnn_real *a;
    size_t a_row, a_column;
    const bnn_real *b;
    size_t b_row, b_panel;
    bnn_real *c;
    size_t c_row;
    bool add;
} bnn_product;

#define BNN_PRODUCT_DECLARE(isa)                                                                             \
    extern const size_t bnn_panel_##isa; /* PANEL, in columns */                                             \
    void bnn_multiply_##isa(const bnn_product *product);
BNN_EACH_ISA(BNN_PRODUCT_DECLARE)

#endif
