/* What the benchmarks share: a clock, random numbers, models, updates and the yardstick. */
#ifndef BNN_TESTS_BENCH_H
#define BNN_TESTS_BENCH_H

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bnn/blas.h"
#include "bnn/engine.h"
#include "bnn/model.h"
#include "bnn/optimizer.h"
#include "bnn/rng.h"
#include "bnn/status.h"

enum { CLASSES = 10 };

static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline bnn_real *random_reals(size_t n, double scale, uint64_t stream)
{
    bnn_real *x = bnn_alloc(n, sizeof *x);
    if (!x) exit(BNN_FAILED);
    bnn_normals(bnn_stream_of(3, BNN_STREAM_TRAIN_NOISE, 0, 0, stream), x, n);
    for (size_t i = 0; i < n; i++) x[i] *= (bnn_real)scale;
    return x;
}

static inline void bench_check(bnn_status status, const bnn_error *error)
{
    if (!status) return;
    fprintf(stderr, "bench: %s\n", error->message);
    exit((int)status);
}

/* A model of images with one channel, side x side, and 3 x 3 kernels. */
static inline bnn_model *bench_model(bnn_network_type type, const size_t *widths, size_t width_count,
                                     size_t side)
{
    bnn_network_spec spec = {
        .type = type, .input = {1, side, side}, .classes = CLASSES, .width_count = width_count, .kernel = 3};
    bnn_config config;
    bnn_model *model;
    bnn_error error;
    for (size_t i = 0; i < width_count; i++) spec.widths[i] = widths[i];
    bnn_config_default(&config);
    snprintf(config.posterior.family, sizeof config.posterior.family, "%s", bnn_family_row(0)->name);
    bench_check(bnn_model_create(&config, &spec, &model, &error), &error);
    return model;
}

/* What follows the engine's part of a step. */
static inline void bench_update(bnn_model *model, bnn_engine *engine, bnn_optimizer *optimizer, int threads)
{
    bnn_real *mu = bnn_engine_mu_gradient(engine), *rho = bnn_engine_scale_gradient(engine);
    const double norm = bnn_gradient_norm(mu, rho, model->posterior->count, threads);
    const bnn_descent descent = {.lr_scale = 1,
                                 .gradient_factor = bnn_clip_factor(norm, 1),
                                 .mu_gradient = mu,
                                 .scale_gradient = rho,
                                 .sigma = bnn_engine_sigma(engine),
                                 .threads = threads};
    bnn_optimizer_step(optimizer, &descent, model->posterior);
}

/* The yardstick: products of matrices of 1024 x 1024, on each thread its own. */
enum { YARD = 1024 };
typedef struct products {
    int threads;
    bnn_real *(*matrices)[3]; /* (threads) */
} products;

static inline products products_create(int threads)
{
    products p = {threads, bnn_alloc((size_t)threads, sizeof *p.matrices)};
    if (!p.matrices) exit(BNN_FAILED);
#pragma omp parallel for num_threads(threads > 0 ? threads : 1)
    for (int t = 0; t < threads; t++)
        for (uint64_t i = 0; i < 3; i++) p.matrices[t][i] = random_reals((size_t)YARD * YARD, 1, i);
    return p;
}

static inline void products_free(products *p)
{
    for (int t = 0; t < p->threads; t++)
        for (size_t i = 0; i < 3; i++) free(p->matrices[t][i]);
    free(p->matrices);
}

/* GFLOP/s of a product on every thread at once, added up; without threads 1. */
static inline double products_rate(const products *p)
{
    double total = 0;
    if (p->threads == 0) return 1;
#pragma omp parallel num_threads(p->threads) reduction(+ : total)
    {
        bnn_real *const *m = p->matrices[omp_get_thread_num()];
#pragma omp barrier
        const double start = now();
        bnn_gemm(false, false, YARD, YARD, YARD, 1, m[0], YARD, m[1], YARD, 0, m[2], YARD);
        total += 2e-9 * YARD * YARD * YARD / (now() - start);
    }
    return total;
}

/* Products on one thread each, by the core that fits this processor: OpenBLAS reads that choice when it is loaded, so the
 * program starts again once (bnn_blas_better_core). */
static inline void bench_start(char **arguments)
{
    const char *core = bnn_blas_better_core();
    if (core && !getenv("OPENBLAS_CORETYPE")) {
        setenv("OPENBLAS_CORETYPE", core, 1);
        execv("/proc/self/exe", arguments);
    }
    bnn_blas_single_thread();
}

#endif
