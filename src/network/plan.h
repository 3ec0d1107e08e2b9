/* What runs in which order, and which buffers hold what. Private to the network's room.
 *
 * A step is one kernel: one layer, or several that run together (bnn_network_fused). Forward, steps run in their order, and a
 * step's output is kept until the last step that takes it; in training to the end. Backward they run in the opposite order,
 * and the gradient of an output is kept from the last step that took it, which writes it, over the others, which add to it in
 * that order, to the step's own. Buffers that are not kept at the same time are the same: a chain alternates between two. */
#ifndef BNN_SRC_PLAN_H
#define BNN_SRC_PLAN_H

#include "bnn/network.h"

static inline size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* A figure that is kept from one time to another, both included, in buffer `slot`. */
typedef struct plan_range {
    bool kept;
    size_t begin, end, count, slot; /* count: bnn_real's of one image */
} plan_range;

typedef struct plan_step {
    const bnn_layer *layer; /* the first that it runs: whose inputs and parameters it takes */
    bnn_kernel_shape shape;
    size_t inputs[BNN_MAX_INPUTS]; /* (layer->type->inputs) steps, or BNN_IMAGES */
    bool adds[BNN_MAX_INPUTS];     /* that input's gradient has been written by a later step */
    size_t last_use;               /* the last step that takes its output; its own number: none */
    bool trained;                  /* it or a step before it has parameters: its gradient is wanted */
    plan_range out, gradient;
} plan_step;

typedef struct plan {
    plan_step *steps;
    size_t step_count;
    size_t out_slots, gradient_slots;
    size_t *out_counts, *gradient_counts; /* (slots) bnn_real's of one image */
    size_t extra[BNN_MAX_INPUTS];         /* for gradients before they are added */
} plan;

/* `estimator`: layers that it perturbs run alone, unless a kernel of the set `kernels` (NULL: any) runs them with noise.
 * BNN_BAD_INPUT when the network is not complete. */
bnn_status plan_create(const bnn_network *network, const bnn_estimator *estimator, const char *kernels,
                       bool train, plan *p, bnn_error *error);
void plan_free(plan *p);

#endif
