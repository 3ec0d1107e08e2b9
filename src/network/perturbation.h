/* A layer that an estimator perturbs, in one worker: see estimator.h. */
#ifndef BNN_SRC_PERTURBATION_H
#define BNN_SRC_PERTURBATION_H

#include "bnn/network.h"
#include "network/runner.h"

typedef struct perturbation {
    const bnn_estimator *estimator;
    const bnn_layer *layer;
    runner mean, spread;
    bnn_stream stream;
    size_t views, first;            /* first: images of the unit before this block */
    bnn_real *in, *in_gradient;     /* phi(in), and its gradient */
    bnn_real *out, *out_gradient;   /* B, and its gradient */
    bnn_real *in_noise, *out_noise; /* all (block, ...) */
} perturbation;

bnn_status perturbation_create(const bnn_layer *layer, const bnn_estimator *estimator, size_t block,
                               perturbation **result, bnn_error *error);
void perturbation_free(perturbation *p); /* NULL is legal */
size_t perturbation_scratch(const perturbation *p, size_t block);

/* Starts a unit, but for its runners. */
void perturbation_begin(perturbation *p, const bnn_unit *unit);
void perturbation_forward(perturbation *p, const bnn_pass *pass);
void perturbation_backward(perturbation *p, const bnn_pass *pass);

#endif
