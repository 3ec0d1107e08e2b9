/* Estimators: how the weight noise of a training step reaches the activations; one row of bnn_estimators, one file each.
 *
 * A layer that an estimator perturbs computes f(in; W) = W in + b twice, without noise of its own:
 *     out = A + psi(B)    A = f(in; mu)    B = f(phi(in); spread)
 * with a spread of the weights, made of sigma and the draw's noise eps, and noise of each image in phi and psi: by a kernel
 * with noise (bnn/kernel.h), which shares between the two what it can, where there is one for the shape; else by two runs
 * of a kernel without, the twin of the first. */
#ifndef BNN_ESTIMATOR_H
#define BNN_ESTIMATOR_H

#include <stdbool.h>
#include <stddef.h>

#include "bnn/layer.h"
#include "bnn/real.h"
#include "bnn/rng.h"
#include "bnn/row.h"

typedef struct bnn_estimator {
    bnn_row row;
    bool
        shares_draws; /* the views of an item are seen under one weight draw, as an objective over orbits needs */
    bool normal;      /* needs a family with w = mu + sigma eps, eps ~ N(0, 1): bnn_family.normal */

    /* Whether it perturbs the layer; others have their weights drawn. NULL: none. The rest is NULL then. */
    bool (*perturbs)(const bnn_layer *layer);

    /* Of n parameters: spread <-, and sigma_gradient += d loss / d sigma through it. `drawn`: eps matters to them; else all
     * samples of a step have the same spread. */
    bool drawn;
    void (*spread)(size_t n, const bnn_real *sigma, const bnn_real *eps, bnn_real *spread);
    void (*pull_back)(size_t n, const bnn_real *sigma, const bnn_real *eps, const bnn_real *spread_gradient,
                      bnn_real *sigma_gradient);

    /* The rule of kernels that run the layer at once, with what is fused to it; where there is no such kernel the layer runs
     * twice, alone, and what follows combines the two. NONE: always so. */
    bnn_noise rule;

    /* in_noise, out_noise <- the noise of one image: as the rule says in layers whose pixels share weights, else one an
     * element of input and output. `paired`: where samples of an image go through the network together, every second one has
     * minus the out_noise of the one before in its place. */
    bool paired;
    void (*noise)(const bnn_layer *layer, bnn_stream stream, bnn_real *in_noise, bnn_real *out_noise);

    /* The same buffers, from that to one an element, in the layouts of the layer's input and output. NULL: it is. */
    void (*expand)(const bnn_layer *layer, bnn_real *in_noise, bnn_real *out_noise);

    /* Element by element: to <- phi(in); in_gradient += its adjoint of the gradient of phi(in). */
    void (*phi)(size_t n, const bnn_real *in, const bnn_real *in_noise, bnn_real *to);
    void (*phi_adjoint)(size_t n, const bnn_real *in, const bnn_real *in_noise, const bnn_real *gradient,
                        bnn_real *in_gradient);

    /* out += psi(b); b_gradient <- its adjoint of the gradient of out. */
    void (*psi)(size_t n, const bnn_real *b, const bnn_real *out_noise, bnn_real *out);
    void (*psi_adjoint)(size_t n, const bnn_real *b, const bnn_real *out_noise, const bnn_real *out_gradient,
                        bnn_real *b_gradient);
} bnn_estimator;

/* One weight draw, shared by the images of a sample. */
extern const bnn_estimator bnn_estimator_weight;

/* Pre-activations are drawn: mu x + sqrt(sigma^2 x^2) zeta, zeta ~ N(0, 1) an image and output (Kingma, Salimans and Welling
 * 2015, eq. 6): phi(x) = x^2, psi(B) = zeta sqrt(B), spread = sigma^2. That is what weight draws give each image where its
 * weights are used once (dense layers). Pixels of a convolution share weights, so that weight draws correlate their
 * pre-activations; here each has a zeta of its own (as in Molchanov, Ashukha and Vetrov, "Variational Dropout Sparsifies
 * Deep Neural Networks", 2017, and Shridhar, Laumann and Liwicki, arXiv:1901.02731): each has the mean and
 * variance that weight draws give it, but the correlation is dropped. A network with convolutions so trains on another expectation
 * of log p(y | x) than the ELBO's, mostly one of less variance; evaluation draws weights, as ever. B by Winograd's transforms
 * carries an error of some 1e-6 of the largest B nearby (in float), which may make it negative: it is cut off at 0 before
 * sigma^2 of the bias, which is exact, is added.
 *
 * A step's samples go through the network together, in groups: its first layers sum the images once for all of a group. Of the
 * samples 2k and 2k + 1, both of an image, the second has -zeta in all layers (antithetic draws): half as many to draw. Each
 * sample has its distribution and the mean of samples its expectation, but the two of a pair are not independent: whoever
 * estimates an error from the samples of a step has to take pairs. Of an odd number the last is alone. */
extern const bnn_estimator bnn_estimator_local;

/* mu x + r (dW (s x)), dW = sigma eps shared, r and s random signs of an image (Wen et al. 2018, eq. 4): phi(x) = s x, psi(B)
 * = r B, spread = dW. Where pixels share weights they share signs: one a channel. */
extern const bnn_estimator bnn_estimator_flipout;

/* Every estimator, NULL-terminated, the default first. */
extern const bnn_estimator *const bnn_estimators[];
const bnn_row *bnn_estimator_row(size_t i); /* a bnn_registry */
const bnn_estimator *bnn_estimator_find(const char *name);

/* Whether the estimator (NULL: weight draws) gives the layer a second stream of its own. */
bool bnn_estimator_perturbs(const bnn_estimator *estimator, const bnn_layer *layer);

#endif
