/* One step of variational inference: draws, forward and backward passes of every Monte-Carlo sample, and the
 * gradient of the loss
 *     mean_batch( -1/S sum_s log p(y | x, w_s) ) + beta KL(q || p)
 * with respect to mu and rho or sigma (src/README.md; Blundell et al. 2015, section 3.2).
 *
 * Work is cut into units (Monte-Carlo samples x chunk of the batch), the same whatever the number of threads and ranks;
 * units of a sample share its packed weights, each unit has a gradient of its own, and units are added up in
 * one fixed order, so results are bit-identical for any number of either. Nothing is allocated in a step, but for MPI.
 *
 * Ranks (bnn/ranks.h) call all of this alike, with the same batch. Each draws the samples of its units, runs these, and reduces a slice
 * of the parameters; after a step all have its result and the whole gradient. */
#ifndef BNN_ENGINE_H
#define BNN_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bnn/objective.h"
#include "bnn/posterior.h"
#include "bnn/status.h"

typedef struct bnn_engine_options {
    size_t samples;                 /* S */
    size_t items;                   /* images in a batch */
    size_t views;                   /* of every image, under the same weight draw */
    bnn_view_average average;       /* over the views */
    const bnn_estimator *estimator; /* NULL: weight draws */
    int threads;
    bnn_scale_gradient gradient; /* of rho, or of sigma */
    bool likelihood_only;        /* the gradient leaves the KL out: see bnn_engine_kl_weight */
    bool detect_anomaly;         /* looks through all activations: see bnn_engine_anomaly */
    const char *kernels;         /* NULL, or a set of kernels: see bnn_workspace_options */
} bnn_engine_options;

typedef struct bnn_engine bnn_engine;

typedef struct bnn_step {
    double nll;     /* mean over samples and items, nats, weighted as bnn_engine_item_weights says */
    size_t correct; /* items whose most probable class under the mean of the samples is the label */
} bnn_step;

/* The engine borrows the posterior, which must outlive it. */
bnn_status bnn_engine_create(const bnn_posterior *posterior, const bnn_engine_options *options,
                             bnn_engine **engine, bnn_error *error);
void bnn_engine_free(bnn_engine *engine);

/* Draws the S weight samples of a step, and the noise of the estimator. */
void bnn_engine_draw(bnn_engine *engine, uint64_t seed, bnn_purpose purpose, uint64_t step);

/* Takes the centre of q, w = mu for a gaussian, in place of every draw of a step: eps = 0. With the estimator of weight draws. */
void bnn_engine_centre(bnn_engine *engine);

/* The same with noise from outside: eps (parameter_count) of sample s. For tests against recorded noise. */
void bnn_engine_set_noise(bnn_engine *engine, size_t sample, const bnn_real *eps);

/* Forward and backward of every sample over a batch: in (items, views, C, H, W), labels (items). The gradient
 * of the loss, with KL weight beta, is then in bnn_engine_mu_gradient and _scale_gradient until the next step.
 */
bnn_step bnn_engine_step(bnn_engine *engine, const bnn_real *in, const uint32_t *labels, double beta);

/* (layer_count) The weight of each layer's KL in later steps over beta, to be written by the caller; 1 at first. For a head
 * with a warm-up of its own, and free bits. */
double *bnn_engine_kl_factors(bnn_engine *engine);

/* (items) The weight of each item's log-likelihood in later steps, to be written by the caller; 1 at first. */
double *bnn_engine_item_weights(bnn_engine *engine);

/* The mean over samples of an item's -log p(y | x, w) in the last step, unweighted. */
double bnn_engine_item_nll(const bnn_engine *engine, size_t item);

/* The first layer with an activation in the last step that is not finite, and *value <- one of those; NULL: none. Where
 * options.detect_anomaly. */
const bnn_layer *bnn_engine_anomaly(const bnn_engine *engine, bnn_real *value);

bnn_real *bnn_engine_mu_gradient(bnn_engine *engine);    /* (parameter_count) */
bnn_real *bnn_engine_scale_gradient(bnn_engine *engine); /* (parameter_count) as options.gradient says */

/* (parameter_count) The weight of each parameter's KL in the last step's loss: beta, times its layer's factor, times its share
 * of a tie. Where options.likelihood_only, for rules that have the KL in closed form; else NULL. */
const bnn_real *bnn_engine_kl_weight(const bnn_engine *engine);

/* (parameter_count) sigma of the last draw's posterior. */
const bnn_real *bnn_engine_sigma(const bnn_engine *engine);

/* Logits of sample s in the last step, (items, views, classes); of several ranks, those of this one's units. */
const bnn_real *bnn_engine_logits(const bnn_engine *engine, size_t sample);

#endif
