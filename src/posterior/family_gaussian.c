/* w = mu + sigma eps, eps ~ N(0, 1); prior N(m, s^2).
 * KL = 1/2 [log(s^2/sigma^2) + (sigma^2 + (mu - m)^2)/s^2 - 1]. What a training step does with every parameter is in
 * simd/gaussian.c. */
#include <math.h>

#include "posterior/gaussian.h"
#include "posterior/simd/gaussian.h"

double bnn_gaussian_log_noise(const double *eps, size_t n)
{
    double sum = 0;
    for (size_t j = 0; j < n; j++) sum += eps[j] * eps[j];
    return -sum / 2;
}

void bnn_gaussian_draw(const bnn_slice *slice, const bnn_real *eps, bnn_real *w)
{
    BNN_DISPATCH(bnn_gaussian_draw, slice, eps, w);
}

void bnn_gaussian_pull_back(const bnn_slice *slice, const bnn_real *eps, const bnn_real *w_gradient,
                            bnn_real *mu_gradient, bnn_real *sigma_gradient)
{
    BNN_DISPATCH(bnn_gaussian_pull_back, slice, eps, w_gradient, mu_gradient, sigma_gradient);
}

void bnn_gaussian_kl_gradient(const bnn_slice *slice, bnn_real weight, bnn_real *mu_gradient,
                              bnn_real *sigma_gradient)
{
    BNN_DISPATCH(bnn_gaussian_kl_gradient, slice, weight, mu_gradient, sigma_gradient);
}

/* log(s'/s) + (s^2 + d^2)/(2 s'^2) - 1/2 and -log BC = 1/2 log((s^2 + s'^2)/(2 s s')) + d^2/(4 (s^2 + s'^2)), both
 * written so that nothing cancels when the two are close, nor is lost when they are far apart. */
double bnn_gaussian_divergence(double mu, double sigma, double other_mu, double other_sigma,
                               double *log_bhattacharyya)
{
    const double distance = mu - other_mu, excess = (sigma - other_sigma) / other_sigma,
                 away = distance / other_sigma;
    const double gap = sigma - other_sigma;
    *log_bhattacharyya = -log1p(gap * gap / (2 * sigma * other_sigma)) / 2 -
                         distance * distance / (4 * (sigma * sigma + other_sigma * other_sigma));
    const double log_ratio = excess < -0.5 ? log(sigma / other_sigma) : log1p(excess);
    return excess + excess * excess / 2 - log_ratio + away * away / 2;
}

double bnn_gaussian_kl(const bnn_slice *slice)
{
    double sum = 0;
    for (size_t j = 0; j < slice->count; j++) {
        const double sigma = (double)slice->sigma[j], s = (double)slice->prior_std[j];
        const double distance = (double)slice->mu[j] - (double)slice->prior_mean[j];
        sum += log(s / sigma) + (sigma * sigma + distance * distance) / (2 * s * s) - 0.5;
    }
    return sum;
}

/* d/ds of sum_j [log s + (sigma_j^2 + (mu_j - m_j)^2)/(2 s^2)] is 0 at s^2 = mean_j (sigma_j^2 + (mu_j - m_j)^2). */
double bnn_gaussian_prior_moment(const bnn_slice *slice)
{
    double sum = 0;
    for (size_t j = 0; j < slice->count; j++) {
        const double sigma = (double)slice->sigma[j];
        const double distance = (double)slice->mu[j] - (double)slice->prior_mean[j];
        sum += sigma * sigma + distance * distance;
    }
    return sum;
}

const bnn_family bnn_family_gaussian = {
    .row = {.name = "gaussian", .summary = "w = mu + sigma eps, eps standard normal"},
    .noise = bnn_normals,
    .log_noise = bnn_gaussian_log_noise,
    .draw = bnn_gaussian_draw,
    .pull_back = bnn_gaussian_pull_back,
    .kl = bnn_gaussian_kl,
    .kl_gradient = bnn_gaussian_kl_gradient,
    .prior_power = 2,
    .prior_moment = bnn_gaussian_prior_moment,
    .divergence = bnn_gaussian_divergence,
    .normal = true,
};
