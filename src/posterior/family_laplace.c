/* w = mu + b eps with eps ~ Laplace(0, 1) and b = sigma; prior Laplace(m, s).
 * KL = log(s/b) + (b e^(-|d|/b) + |d|)/s - 1 with d = mu - m (integrate the density piece by piece). */
#include <math.h>

#include "posterior/gaussian.h"

static void noise(bnn_stream stream, bnn_real *eps, size_t n)
{
    bnn_pcg32 rng = bnn_stream_open(stream);
    for (size_t j = 0; j < n; j++) {
        const uint32_t bits = bnn_pcg32_next(&rng);
        const double size = -log(((bits >> 1) + 0.5) * 0x1p-31);
        eps[j] = (bnn_real)(bits & 1u ? size : -size);
    }
}

static double log_noise(const double *eps, size_t n)
{
    double sum = 0;
    for (size_t j = 0; j < n; j++) sum += fabs(eps[j]);
    return -sum;
}

static double divergence(double mu, double b, double other_mu, double other_b, double *log_bhattacharyya)
{
    const double distance = fabs(mu - other_mu);
    if (distance == 0 && b == other_b) {
        *log_bhattacharyya = 0;
        return 0;
    }
    /* BC = (2 sqrt(b b'))^-1 int e^(-p|x| - r|x - d|) dx with p = 1/2b, r = 1/2b': e^(-min(p, r) |d|) times what follows, which
     * neither over- nor underflows */
    const double p = 1 / (2 * b), r = 1 / (2 * other_b), gap = fabs(r - p), away = gap * distance;
    const double outside = (1 + exp(-away)) / (p + r);
    const double between = away < 1e-8 ? distance * (1 - away / 2) : -expm1(-away) / gap;
    *log_bhattacharyya = fmin(log((outside + between) / (2 * sqrt(b * other_b))) - fmin(p, r) * distance, 0);
    return fmax(log(other_b / b) + (b * exp(-distance / b) + distance) / other_b - 1, 0);
}

static double kl(const bnn_slice *slice)
{
    double sum = 0, ignored;
    for (size_t j = 0; j < slice->count; j++)
        sum += divergence((double)slice->mu[j], (double)slice->sigma[j], (double)slice->prior_mean[j],
                          (double)slice->prior_std[j], &ignored);
    return sum;
}

static void kl_gradient(const bnn_slice *slice, bnn_real weight, bnn_real *mu_gradient,
                        bnn_real *sigma_gradient)
{
    for (size_t j = 0; j < slice->count; j++) {
        const double d = (double)slice->mu[j] - (double)slice->prior_mean[j], b = (double)slice->sigma[j];
        const double s = (double)slice->prior_std[j], ratio = fabs(d) / b, decay = exp(-ratio);
        const double slope = d > 0 ? 1 : d < 0 ? -1 : 0;
        mu_gradient[j] += weight * (bnn_real)(slope * (1 - decay) / s);
        sigma_gradient[j] += weight * (bnn_real)(decay * (1 + ratio) / s - 1 / b);
    }
}

/* d/ds of sum_j [log s + (b_j e^(-|d_j|/b_j) + |d_j|)/s] is 0 at the mean of the bracket's numerator. */
static double prior_moment(const bnn_slice *slice)
{
    double sum = 0;
    for (size_t j = 0; j < slice->count; j++) {
        const double d = fabs((double)slice->mu[j] - (double)slice->prior_mean[j]),
                     b = (double)slice->sigma[j];
        sum += b * exp(-d / b) + d;
    }
    return sum;
}

const bnn_family bnn_family_laplace = {
    .row = {.name = "laplace", .summary = "w = mu + sigma eps, eps of the Laplace distribution"},
    .averages_leave = true,
    .noise = noise,
    .log_noise = log_noise,
    .draw = bnn_gaussian_draw,
    .pull_back = bnn_gaussian_pull_back,
    .kl = kl,
    .kl_gradient = kl_gradient,
    .prior_power = 1,
    .prior_moment = prior_moment,
    .divergence = divergence,
};
