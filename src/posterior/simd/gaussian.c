/* What a training step does with every parameter of a gaussian: ../family_gaussian.c has the formulas. Plain loops, which the
 * compiler turns into vectors of each instruction set. */
#include "posterior/simd/gaussian.h"

#include "base/simd/vector.h"

void NAME(bnn_gaussian_draw)(const bnn_slice *slice, const bnn_real *eps, bnn_real *restrict w)
{
    const bnn_real *mu = slice->mu, *sigma = slice->sigma;
    for (size_t j = 0; j < slice->count; j++) w[j] = mu[j] + sigma[j] * eps[j];
}

void NAME(bnn_gaussian_pull_back)(const bnn_slice *slice, const bnn_real *eps, const bnn_real *w_gradient,
                                  bnn_real *restrict mu_gradient, bnn_real *restrict sigma_gradient)
{
    for (size_t j = 0; j < slice->count; j++) {
        mu_gradient[j] += w_gradient[j];
        sigma_gradient[j] += w_gradient[j] * eps[j];
    }
}

void NAME(bnn_gaussian_kl_gradient)(const bnn_slice *slice, bnn_real weight, bnn_real *restrict mu_gradient,
                                    bnn_real *restrict sigma_gradient)
{
    const bnn_real *mu = slice->mu, *mean = slice->prior_mean, *std = slice->prior_std;
    for (size_t j = 0; j < slice->count; j++) {
        const bnn_real sigma = slice->sigma[j], precision = weight / (std[j] * std[j]);
        mu_gradient[j] += precision * (mu[j] - mean[j]);
        sigma_gradient[j] += precision * sigma - weight / sigma;
    }
}
