/* As torch.optim.SGD: g += decay value; v = momentum v + g (v = g at the first step); value -= lr (nesterov ? g + momentum v
 * : v). As the published code groups its parameters, decay acts on mu alone and rho has a learning rate of its own. */
#include "posterior/optimizers.h"

static void descend(const bnn_update *u, double lr, double weight_decay, const bnn_real *gradient,
                    bnn_real *value, bnn_real *velocity)
{
    const bnn_real decay = (bnn_real)weight_decay, momentum = (bnn_real)u->options->momentum;
    const bnn_real keep = u->step > 1 ? momentum : 0, rate = (bnn_real)lr, factor = u->factor;
    const bnn_real ahead = u->options->nesterov ? momentum : 1, now = u->options->nesterov ? 1 : 0;
    for (size_t j = 0; j < u->count; j++) {
        const bnn_real g = factor * gradient[j] + decay * value[j];
        velocity[j] = keep * velocity[j] + g;
        value[j] -= rate * (now * g + ahead * velocity[j]);
    }
}

static void update(const bnn_update *u)
{
    descend(u, u->lr, u->options->weight_decay, u->mu_gradient, u->mu, u->state[0]);
    if (!u->scale_gradient) return;
    descend(u, u->lr * u->options->rho_lr_factor, 0, u->scale_gradient, u->rho, u->state[1]);
}

static const char *refuse(const bnn_optimizer_options *options)
{
    return options->nesterov && options->momentum == 0 ? "train.optimizer.nesterov: true needs momentum > 0"
                                                       : NULL;
}

static const char *const states[] = {"mu.0", "rho.0", NULL};
static const char *const keys[] = {"train.kl_warmup_epochs",
                                   "train.kl_ramp_end",
                                   "train.kl_head_warmup_epochs",
                                   "train.kl_head_ramp_end",
                                   "train.free_bits",
                                   "train.clip_norm",
                                   "train.optimizer.momentum",
                                   "train.optimizer.nesterov",
                                   "train.optimizer.rho_lr_factor",
                                   "train.optimizer.weight_decay",
                                   NULL};

const bnn_optimizer_rule bnn_optimizer_sgd = {
    .row = {.name = "sgd", .summary = "stochastic gradient descent with momentum", .keys = keys},
    .states = states,
    .gradient = BNN_GRADIENT_OF_RHO,
    .default_lr = 0.01,
    .default_rho_lr_factor = 10,
    .refuse = refuse,
    .update = update,
};
