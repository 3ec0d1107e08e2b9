/* Matrix products: the only user of cblas. Row-major throughout. Safe to call from several threads at once:
 * every product runs on the calling thread alone (bnn_blas_single_thread). */
#ifndef BNN_BLAS_H
#define BNN_BLAS_H

#include <stdbool.h>
#include <stddef.h>

#include "bnn/real.h"
#include "bnn/status.h"

/* Makes the library run each product on its calling thread. Call once, before any product. */
void bnn_blas_single_thread(void);

/* Makes OpenBLAS take the memory that products on so many threads at a time want, before there is any: it takes BNN_BLAS_BUFFER
 * bytes of address space for each, and where they are not to be had (ulimit -v) it would try again for ever, in the middle of a
 * product. BNN_FAILED, and nothing is taken, where there is no room for them. Not to be called from several threads. */
#define BNN_BLAS_BUFFER (((size_t)128 << 20) + (1 << 16))
bnn_status bnn_blas_reserve(size_t threads, bnn_error *error);

/* The name OpenBLAS gives the processor family whose kernels it runs ("Zen", "SkylakeX", "Prescott"). */
const char *bnn_blas_core(void);

/* The OPENBLAS_CORETYPE under which this processor would be served better than by the core that OpenBLAS
 * detected (its releases do not know processors newer than themselves and fall back to SSE3 kernels, up to
 * five times slower), or NULL when the detection is as good as it gets. The variable is read when the library
 * is loaded, so it takes effect in a new process. */
const char *bnn_blas_better_core(void);

/* C <- alpha op(A) op(B) + beta C, with op(A) (m, k), op(B) (k, n), C (m, n); op transposes where asked.
 * lda, ldb, ldc are the row strides of A, B, C as stored. With beta = 0, C need not be initialised. */
void bnn_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, bnn_real alpha,
              const bnn_real *a, size_t lda, const bnn_real *b, size_t ldb, bnn_real beta, bnn_real *c,
              size_t ldc);

/* The same by three plain loops: the twin that tests compare bnn_gemm with. */
void bnn_gemm_naive(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, bnn_real alpha,
                    const bnn_real *a, size_t lda, const bnn_real *b, size_t ldb, bnn_real beta, bnn_real *c,
                    size_t ldc);

#endif
