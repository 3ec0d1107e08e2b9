/* The gaussian's arithmetic, which other families share: w = mu + sigma eps is any family of location and scale, and a
 * lognormal's KL is that of the gaussian of its logarithm. */
#ifndef BNN_SRC_FAMILIES_H
#define BNN_SRC_FAMILIES_H

#include "bnn/posterior.h"

void bnn_gaussian_draw(const bnn_slice *slice, const bnn_real *eps, bnn_real *w);
void bnn_gaussian_pull_back(const bnn_slice *slice, const bnn_real *eps, const bnn_real *w_gradient,
                            bnn_real *mu_gradient, bnn_real *sigma_gradient);
void bnn_gaussian_kl_gradient(const bnn_slice *slice, bnn_real weight, bnn_real *mu_gradient,
                              bnn_real *sigma_gradient);

double bnn_gaussian_log_noise(const double *eps, size_t n);
double bnn_gaussian_kl(const bnn_slice *slice);
double bnn_gaussian_prior_moment(const bnn_slice *slice);
double bnn_gaussian_divergence(double mu, double sigma, double other_mu, double other_sigma,
                               double *log_bhattacharyya);

#endif
