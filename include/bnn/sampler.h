/* Draws from a posterior: where its noise comes from, and what becomes of it. Training and evaluation draw by the same
 * sampler. */
#ifndef BNN_SAMPLER_H
#define BNN_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "bnn/posterior.h"
#include "bnn/rng.h"
#include "bnn/status.h"

/* A draw's key: the same key gives the same weights, whoever draws them when. */
typedef struct bnn_draw {
    uint64_t seed;
    bnn_purpose purpose;
    uint64_t step, sample;
} bnn_draw;

typedef struct bnn_sampler {
    const bnn_posterior *posterior; /* borrowed */
    bnn_real *sigma,
        *slope;    /* (count) softplus(rho), and d sigma / d rho; as of the last bnn_sampler_refresh */
    bnn_run *runs; /* (run_count) of the posterior's network */
    size_t run_count;
} bnn_sampler;

/* The posterior must outlive it; it may be tied, or untied, between draws. */
bnn_status bnn_sampler_create(const bnn_posterior *posterior, bnn_sampler **sampler, bnn_error *error);
void bnn_sampler_free(bnn_sampler *sampler); /* NULL is legal */

/* sigma and slope of a run <- from the posterior's rho. Different runs may be refreshed by different threads. */
void bnn_sampler_refresh(bnn_sampler *sampler, const bnn_run *run);

/* eps (posterior->count), at the run's parameters, <- a draw's noise, from bnn_stream_of(seed, purpose, step, sample,
 * layer->stream + 2^16 index). */
void bnn_sampler_noise(const bnn_sampler *sampler, const bnn_run *run, bnn_draw draw, bnn_real *eps);

/* Where weights share noise, eps (posterior->count) of the run's parameters <- that of their leaders, whose noise has to be
 * there for the whole layer. Nothing to do for a mean-field posterior. */
void bnn_sampler_tie(const bnn_sampler *sampler, const bnn_run *run, bnn_real *eps);

/* w (posterior->count), at the run's parameters, <- the draw of that noise. */
void bnn_sampler_weights(const bnn_sampler *sampler, const bnn_run *run, const bnn_real *eps, bnn_real *w);

/* w (posterior->count) <- one whole draw, on the calling thread; eps (posterior->count) is scratch. */
void bnn_sampler_draw(const bnn_sampler *sampler, bnn_draw draw, bnn_real *eps, bnn_real *w);

#endif
