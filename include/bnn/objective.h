/* The likelihood term of the objective, for an image seen under one weight draw in one or several views (the
 * elements of its orbit). */
#ifndef BNN_OBJECTIVE_H
#define BNN_OBJECTIVE_H

#include <stddef.h>

#include "bnn/real.h"

/* What is averaged over the views g (arXiv:2606.26273, group-averaged ELBO); with one view all three agree.
 */
typedef enum bnn_view_average {
    BNN_AVERAGE_LOSS,   /* mean_g log p(y | g.x) */
    BNN_AVERAGE_LOGITS, /* log p(y) of the mean logits */
    BNN_AVERAGE_PROBS   /* log mean_g p(y | g.x) */
} bnn_view_average;

extern const char *const bnn_view_average_names[]; /* "loss", "logits", "probs", NULL */

/* Returns the negative log-likelihood in nats. logits (views, classes); gradient (views, classes), where not
 * NULL, <- scale * d nll / d logits; probabilities (classes) <- the mean over views of softmax(logits), or the
 * softmax of the mean logits for BNN_AVERAGE_LOGITS. */
double bnn_objective(bnn_view_average average, const bnn_real *logits, size_t views, size_t classes,
                     size_t label, double scale, bnn_real *gradient, double *probabilities);

#endif
