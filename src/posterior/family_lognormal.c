/* w = sign exp(mu + sigma eps), eps ~ N(0, 1), with a fixed sign a weight; the prior has the same sign and log |w| ~
 * N(m, s^2). KL does not change under the bijection w <-> log |w|, so it is that of gaussians. The last layer stays
 * gaussian. */
#include <math.h>

#include "posterior/gaussian.h"

static bnn_real weight_of(const bnn_slice *slice, size_t j, bnn_real eps)
{
    return slice->sign[j] * (bnn_real)exp((double)(slice->mu[j] + slice->sigma[j] * eps));
}

static void draw(const bnn_slice *slice, const bnn_real *eps, bnn_real *w)
{
    for (size_t j = 0; j < slice->count; j++) w[j] = weight_of(slice, j, eps[j]);
}

static void pull_back(const bnn_slice *slice, const bnn_real *eps, const bnn_real *w_gradient,
                      bnn_real *mu_gradient, bnn_real *sigma_gradient)
{
    for (size_t j = 0; j < slice->count; j++) {
        const bnn_real gradient = w_gradient[j] * weight_of(slice, j, eps[j]); /* dw/dmu = w */
        mu_gradient[j] += gradient;
        sigma_gradient[j] += gradient * eps[j];
    }
}

const bnn_family bnn_family_lognormal = {
    .row = {.name = "lognormal",
            .summary = "the size of w is lognormal, its sign fixed; the last layer is normal"},
    .signs = true,
    .head = &bnn_family_gaussian,
    .noise = bnn_normals,
    .log_noise = bnn_gaussian_log_noise,
    .draw = draw,
    .pull_back = pull_back,
    .kl = bnn_gaussian_kl,
    .kl_gradient = bnn_gaussian_kl_gradient,
    .prior_power = 2,
    .prior_moment = bnn_gaussian_prior_moment,
    .divergence = bnn_gaussian_divergence,
};
