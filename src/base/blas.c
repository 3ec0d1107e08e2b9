#include "bnn/blas.h"

#include <cblas.h>
#include <omp.h>
#include <stdint.h>
#include <strings.h>
#include <sys/mman.h>

void bnn_blas_single_thread(void)
{
    const int threads = omp_get_max_threads();
    openblas_set_num_threads(1);
    omp_set_num_threads(threads); /* an OpenBLAS built on OpenMP sets the number for everybody */
}

/* OpenBLAS's own, which no header of it declares: a buffer that is free or new, and its return. Where a build has them not, nothing
 * is reserved. */
extern void *blas_memory_alloc(int) __attribute__((weak));
extern void blas_memory_free(void *) __attribute__((weak));

/* Whether so many bytes are to be had now. */
static bool is_room_for(size_t bytes)
{
    void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) return false;
    munmap(room, bytes);
    return true;
}

/* The process's buffers are OpenBLAS's, which keeps them to its end and does not tell their number: hence `kept`. */
bnn_status bnn_blas_reserve(size_t threads, bnn_error *error)
{
    enum { MOST = 256 };
    static size_t kept;
    void *buffer[MOST];
    if (threads > MOST) threads = MOST;
    if (threads <= kept || !blas_memory_alloc || !blas_memory_free) return BNN_OK;
    if (!is_room_for((threads - kept) * BNN_BLAS_BUFFER))
        return bnn_fail(error, BNN_FAILED,
                        "out of memory for matrix products: OpenBLAS wants %zu MiB of address space for each "
                        "of %zu threads (ulimit -v, --threads)",
                        BNN_BLAS_BUFFER >> 20, threads);
    for (size_t t = 0; t < threads; t++) buffer[t] = blas_memory_alloc(0);
    for (size_t t = threads; t-- > 0;) blas_memory_free(buffer[t]);
    kept = threads;
    return BNN_OK;
}

const char *bnn_blas_core(void)
{
    return openblas_get_corename();
}

const char *bnn_blas_better_core(void)
{
#if defined(__x86_64__) || defined(__i386__)
    static const char *const avx512_cores[] = {"SkylakeX", "Cooperlake", "Sapphirerapids", "Zen"};
    static const char *const avx2_cores[] = {"Haswell", "Zen", "Excavator"};
    const char *core = bnn_blas_core();
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")) {
        for (size_t i = 0; i < sizeof avx512_cores / sizeof *avx512_cores; i++)
            if (strcasecmp(core, avx512_cores[i]) == 0) return NULL;
        return "SKYLAKEX";
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        for (size_t i = 0; i < sizeof avx2_cores / sizeof *avx2_cores; i++)
            if (strcasecmp(core, avx2_cores[i]) == 0) return NULL;
        return "HASWELL";
    }
#endif
    return NULL;
}

void bnn_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, bnn_real alpha,
              const bnn_real *a, size_t lda, const bnn_real *b, size_t ldb, bnn_real beta, bnn_real *c,
              size_t ldc)
{
    const enum CBLAS_TRANSPOSE ta = transpose_a ? CblasTrans : CblasNoTrans;
    const enum CBLAS_TRANSPOSE tb = transpose_b ? CblasTrans : CblasNoTrans;
    if (m == 0 || n == 0) return;
#ifdef BNN_DOUBLE
    cblas_dgemm(CblasRowMajor, ta, tb, (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c,
                (int)ldc);
#else
    cblas_sgemm(CblasRowMajor, ta, tb, (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c,
                (int)ldc);
#endif
}

void bnn_gemm_naive(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, bnn_real alpha,
                    const bnn_real *a, size_t lda, const bnn_real *b, size_t ldb, bnn_real beta, bnn_real *c,
                    size_t ldc)
{
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            bnn_wide sum = 0;
            for (size_t l = 0; l < k; l++)
                sum += (bnn_wide)(transpose_a ? a[l * lda + i] : a[i * lda + l]) *
                       (transpose_b ? b[j * ldb + l] : b[l * ldb + j]);
            sum *= alpha;
            if (beta != 0) sum += (bnn_wide)beta * c[i * ldc + j];
            c[i * ldc + j] = (bnn_real)sum;
        }
    }
}
