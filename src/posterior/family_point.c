/* One point, w = mu: a deterministic network. There is no sigma, no noise and no KL(q || p), which would be infinite; the prior N(m,
 * s^2) acts by -log p(mu) = (mu - m)^2/(2 s^2) + const, weight decay, in the place and with the weight of the KL, so that a training
 * at beta = 1/N looks for the maximum a posteriori. */
#include <math.h>
#include <string.h>

#include "bnn/posterior.h"

static void noise(bnn_stream stream, bnn_real *eps, size_t n)
{
    (void)stream;
    memset(eps, 0, n * sizeof *eps);
}

static void draw(const bnn_slice *slice, const bnn_real *eps, bnn_real *w)
{
    (void)eps;
    memcpy(w, slice->mu, slice->count * sizeof *w);
}

static void pull_back(const bnn_slice *slice, const bnn_real *eps, const bnn_real *w_gradient,
                      bnn_real *mu_gradient, bnn_real *sigma_gradient)
{
    (void)eps, (void)sigma_gradient;
    for (size_t j = 0; j < slice->count; j++) mu_gradient[j] += w_gradient[j];
}

static void prior_gradient(const bnn_slice *slice, bnn_real weight, bnn_real *mu_gradient,
                           bnn_real *sigma_gradient)
{
    (void)sigma_gradient;
    for (size_t j = 0; j < slice->count; j++)
        mu_gradient[j] +=
            weight * (slice->mu[j] - slice->prior_mean[j]) / (slice->prior_std[j] * slice->prior_std[j]);
}

static double divergence(double mu, double sigma, double other_mu, double other_sigma,
                         double *log_bhattacharyya)
{
    (void)sigma, (void)other_sigma;
    *log_bhattacharyya = mu == other_mu ? 0 : -INFINITY;
    return mu == other_mu ? 0 : INFINITY;
}

static const bnn_unread_key unread[] = {
    {"posterior.rho_init", NULL},
    {"posterior.init_rho", "false"},
    {"train.map_epochs", "0"},
    {"train.samples", "1"},
    {"train.estimator", "\"weight\""},
    {"train.kl_warmup_epochs", "0"},
    {"train.kl_ramp_end", "0"},
    {"train.kl_head_warmup_epochs", "\"auto\""},
    {"train.kl_head_ramp_end", "\"auto\""},
    {"train.free_bits", "0"},
    {"train.optimizer.rho_lr_factor", "\"auto\""},
    {"eval.samples", ""},
    {"eval.draws", ""},
    {NULL, NULL},
};

const bnn_family bnn_family_point = {
    .row = {.name = "point",
            .summary = "w = mu, a deterministic network; the prior is weight decay",
            .reason = "w = mu has no sigma and no noise"},
    .point = true,
    .unread = unread,
    .noise = noise,
    .draw = draw,
    .pull_back = pull_back,
    .kl_gradient = prior_gradient,
    .divergence = divergence,
};
