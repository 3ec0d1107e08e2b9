/* The improved variational online Newton method: Y. Shen, N. Daheim, B. Cong, P. Nickl, G. M. Marconi, C. Bazan, R. Yokota, I.
 * Gurevych, D. Cremers, M. E. Khan, T. Moellenhoff, "Variational Learning is Effective for Large Deep Networks",
 * arXiv:2402.17641 (2024), algorithm 1. With N the items that the objective counts, delta = 1/(N s^2) the prior's precision an
 * item and h the curvature of the mean negative log-likelihood,
 *     sigma^2 = 1/(N (h + delta))
 *     g <- b1 g + (1 - b1) dL/dmu
 *     f  = (dL/dsigma)/sigma = mean(dL/dw (w - mu)) N (h + delta)          the curvature that a step's draws see
 *     h <- b2 h + (1 - b2) f + (1 - b2)^2 (h - f)^2 / (2 (h + delta))      which stays positive by itself
 *     mu <- mu - lr (h0 + delta) clip((g/(1 - b1^t) + delta (mu - m)) / (h + delta))
 * with L that likelihood alone: the KL is in delta. A KL whose weight is 0 for a while, or in part, leaves no N: schedules and free
 * bits are not read. Of tied weights, N is that over their number: L is then shared by as many. */
#include <math.h>

#include "bnn/numeric.h"
#include "posterior/optimizers.h"

/* delta, from the weight of the KL, which is 1/N. */
static double delta_of(const bnn_update *u, size_t j)
{
    const double std = (double)u->prior_std[j];
    return (double)u->kl_weight[j] / (std * std);
}

/* h begins at h0, or where q has been trained before, so that sigma is what it is. */
static void start(const bnn_update *u)
{
    bnn_real *h = u->state[1];
    for (size_t j = 0; j < u->count; j++) {
        const double sigma = (double)u->sigma[j];
        h[j] = (bnn_real)(u->trained ? fmax((double)u->kl_weight[j] / (sigma * sigma) - delta_of(u, j), 0)
                                     : u->options->h0);
    }
}

/* h after a step: as it was where no noise has shown the curvature. */
static double next_curvature(const bnn_update *u, size_t j, double delta)
{
    const double b2 = u->options->beta2, old = (double)u->state[1][j];
    if (!u->scale_gradient) return old;
    const double f = (double)u->scale_gradient[j] / (double)u->sigma[j], away = (1 - b2) * (old - f);
    return b2 * old + (1 - b2) * f + away * away / (2 * (old + delta));
}

static void update(const bnn_update *u)
{
    const bnn_optimizer_options *o = u->options;
    const double b1 = o->beta1, correction = 1 / (1 - pow(b1, (double)u->step));
    const double most = o->clip_radius > 0 ? o->clip_radius : INFINITY;
    bnn_real *g = u->state[0], *h = u->state[1];
    for (size_t j = 0; j < u->count; j++) {
        const double delta = delta_of(u, j), curvature = next_curvature(u, j, delta);
        const double distance = (double)u->mu[j] - (double)u->prior_mean[j];
        g[j] = (bnn_real)(b1 * (double)g[j] + (1 - b1) * (double)u->mu_gradient[j]);
        const double step = ((double)g[j] * correction + delta * distance) / (curvature + delta);
        h[j] = (bnn_real)curvature;
        u->mu[j] -= (bnn_real)(u->lr * (o->h0 + delta) * fmax(fmin(step, most), -most));
        if (u->scale_gradient)
            u->rho[j] = (bnn_real)bnn_softplus_inverse(sqrt((double)u->kl_weight[j] / (curvature + delta)));
    }
}

static const char *const states[] = {"gradient", "curvature", NULL};
static const char *const keys[] = {"train.optimizer.beta1", "train.optimizer.beta2", "train.optimizer.h0",
                                   "train.optimizer.clip_radius", NULL};

const bnn_optimizer_rule bnn_optimizer_ivon = {
    .row = {.name = "ivon",
            .summary = "natural gradients for mu and sigma at once",
            .keys = keys,
            .reason = "its sigma is that of the whole KL, and its steps are scaled by the curvature"},
    .states = states,
    .gradient = BNN_GRADIENT_OF_SIGMA,
    .likelihood_only = true,
    .normal = true,
    .default_lr = 0.1,
    .start = start,
    .update = update,
};
