/* Outer products in registers: ROWS x 2 vectors of C are kept in registers while a column of A meets a row of
 * B at each step, with B's row read once and each element of A spread over a vector by the load itself. With
 * AVX-512 that is 28 accumulators of 32 registers, 28 multiply-adds for 16 loads. */
#include "kernels/simd/product.h"

#include "base/simd/vector.h"
#include "kernels/kernels.h"

#if defined(__AVX512F__)
#define ROWS 14
#else
#define ROWS 6
#endif
#define PANEL (2 * LANES)

/* Rows of B after which one is asked for: they reach into the next panel, where the processor does not follow by itself, and B is
 * often larger than the nearer caches. */
enum { AHEAD = 40 };

const size_t NAME(bnn_panel) = PANEL;

/* `rows` x `vectors` of C; both are constants where this is inlined, and so is which of A's steps is 1. C comes from further
 * away than A and B: it is asked for before the loop and used after it. Rows of A are reached from every third, those of C one after
 * the other, which is hidden from the compiler: it would keep the addresses of all, in memory. */
INLINE void outer(size_t rows, size_t vectors, size_t a_row, size_t a_column, const bnn_product *p,
                  const bnn_real *a, const bnn_real *b, bnn_real *c)
{
    const size_t b_row = p->b_row, c_row = p->c_row;
    const bnn_real *const end = a + p->k * a_column, *threes[(ROWS + 2) / 3] = {a};
    vec sum[ROWS][2];
#pragma GCC unroll 5
    for (size_t i = 1; 3 * i < rows; i++) threes[i] = a + 3 * i * a_row;
    bnn_real *to = c;
#pragma GCC unroll 16
    for (size_t i = 0; i < rows; i++, to += c_row) {
#pragma GCC unroll 2
        for (size_t j = 0; j < vectors; j++) {
            sum[i][j] = (vec){0};
            __builtin_prefetch(to + j * LANES, 1);
        }
        __asm__("" : "+r"(to));
    }
    for (; threes[0] != end; b += b_row) {
        vec row[2];
#pragma GCC unroll 2
        for (size_t j = 0; j < vectors; j++) row[j] = load_anywhere(b + j * LANES);
#pragma GCC unroll 2
        for (size_t j = 0; j < vectors; j++) __builtin_prefetch(b + AHEAD * b_row + j * LANES);
#pragma GCC unroll 16
        for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 2
            for (size_t j = 0; j < vectors; j++) sum[i][j] += threes[i / 3][i % 3 * a_row] * row[j];
#pragma GCC unroll 5
        for (size_t i = 0; 3 * i < rows; i++) {
            threes[i] += a_column;
            __asm__("" : "+r"(threes[i]));
        }
    }
    const bool add = p->add;
#pragma GCC unroll 16
    for (size_t i = 0; i < rows; i++, c += c_row) {
#pragma GCC unroll 2
        for (size_t j = 0; j < vectors; j++) {
            if (add) sum[i][j] += load_anywhere(c + j * LANES);
            store_anywhere(c + j * LANES, sum[i][j]);
        }
        __asm__("" : "+r"(c));
    }
}

/* outer() for any number of rows up to ROWS. */
INLINE void strip(size_t rows, size_t vectors, size_t a_row, size_t a_column, const bnn_product *p,
                  const bnn_real *a, const bnn_real *b, bnn_real *c)
{
#define CASE(n)                                                                                              \
    case n:                                                                                                  \
        outer(n, vectors, a_row, a_column, p, a, b, c);                                                      \
        break;
    switch (rows) {
        CASE(1)
        CASE(2)
        CASE(3)
        CASE(4)
        CASE(5)
        CASE(6)
#if ROWS > 6
        CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12) CASE(13) CASE(14)
#endif
    }
#undef CASE
}

/* The product with A's layout and the panel's width in vectors as constants, one function each. */
#define STRIPS(name, vectors, a_row, a_column)                                                               \
    static void name(size_t rows, const bnn_product *p, const bnn_real *a, const bnn_real *b, bnn_real *c)   \
    {                                                                                                        \
        strip(rows, vectors, a_row, a_column, p, a, b, c);                                                   \
    }
STRIPS(strip_of_rows_2, 2, p->a_row, 1)
STRIPS(strip_of_rows_1, 1, p->a_row, 1)
STRIPS(strip_of_columns_2, 2, 1, p->a_column)
STRIPS(strip_of_columns_1, 1, 1, p->a_column)

void NAME(bnn_multiply)(const bnn_product *p)
{
    if (p->m == 0) return;
    /* Strips of nearly equal height, the first `more` one higher: a low one would wait for its few sums. */
    const size_t strips = (p->m + ROWS - 1) / ROWS, height = p->m / strips, more = p->m % strips;
    const bnn_real *a = p->a;
    bnn_real *c = p->c;
    for (size_t s = 0; s < strips; s++) {
        const size_t rows = height + (s < more);
        const bnn_real *b = p->b;
        for (size_t column = 0; column < p->n; column += PANEL, b += p->b_panel) {
            const bool whole = p->n - column >= PANEL;
            if (p->a_column == 1)
                (whole ? strip_of_rows_2 : strip_of_rows_1)(rows, p, a, b, c + column);
            else
                (whole ? strip_of_columns_2 : strip_of_columns_1)(rows, p, a, b, c + column);
        }
        a += rows * p->a_row;
        c += rows * p->c_row;
    }
}
