/* The second stream of one layer under the estimators `local` and `flipout`: out = A + psi(B) with A = f(in; mean) and
 * B = f(phi(in); spread), f the layer without ReLU and pooling.
 *     flipout  phi(x) = s x    psi(B) = r B            spread = dW
 *     local    phi(x) = x^2    psi(B) = zeta sqrt(B)   spread = sigma^2 */
#ifndef BNN_SRC_PERTURBATION_H
#define BNN_SRC_PERTURBATION_H

#include "bnn/network.h"

typedef struct perturbation {
    bnn_estimator estimator;
    const bnn_layer *layer;
    bnn_layer linear; /* the layer without ReLU and pooling */
    const bnn_layer_ops *ops;
    bnn_stream stream;
    size_t views, first; /* first: images of the unit before this block */
    bnn_real *packed[2], *packed_gradient[2], *saved[2], *out[2], *out_gradient[2]; /* mean, spread */
    bnn_real *in, *in_gradient;     /* phi(in) and its gradient */
    bnn_real *in_noise, *out_noise; /* (block, ...) */
    bnn_real *choice; /* (block, outputs) where the maximum was: the layer's own output layout */
} perturbation;

bnn_status perturbation_create(const bnn_layer *layer, bnn_estimator estimator, size_t block,
                               perturbation **result, bnn_error *error);
void perturbation_free(perturbation *p);
size_t perturbation_scratch(const perturbation *p, size_t block);

void perturbation_begin(perturbation *p, const bnn_real *mean, const bnn_real *spread, bnn_stream stream,
                        size_t views);
void perturbation_forward(perturbation *p, const bnn_real *in, size_t images, bnn_real *out,
                          bnn_real *scratch);
void perturbation_backward(perturbation *p, const bnn_real *in, const bnn_real *out_gradient, size_t images,
                           bnn_real *in_gradient, bool add, bnn_real *scratch);
void perturbation_end(perturbation *p, bnn_real *gradient, bnn_real *spread_gradient);

#endif
