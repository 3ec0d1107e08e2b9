/* As torch.optim.AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2); as the published
 * code groups its parameters, decay acts on mu and rho. */
#include <math.h>

#include "posterior/optimizers.h"

static bnn_real root_of(bnn_real x)
{
#ifdef BNN_DOUBLE
    return sqrt(x);
#else
    return sqrtf(x);
#endif
}

static void descend(const bnn_update *u, double lr, const bnn_real *gradient, bnn_real *value,
                    bnn_real *first, bnn_real *second)
{
    const bnn_optimizer_options *o = u->options;
    const bnn_real b1 = (bnn_real)o->beta1, b2 = (bnn_real)o->beta2, factor = u->factor;
    const bnn_real rest1 = (bnn_real)(1 - o->beta1), rest2 = (bnn_real)(1 - o->beta2);
    const bnn_real size = (bnn_real)(lr / (1 - pow(o->beta1, (double)u->step)));
    const bnn_real correction = (bnn_real)(1 / sqrt(1 - pow(o->beta2, (double)u->step)));
    const bnn_real decay = (bnn_real)(1 - lr * o->weight_decay), epsilon = (bnn_real)o->epsilon;
    for (size_t j = 0; j < u->count; j++) {
        const bnn_real g = factor * gradient[j];
        first[j] = b1 * first[j] + rest1 * g;
        second[j] = b2 * second[j] + rest2 * g * g;
        value[j] = decay * value[j] - size * first[j] / (root_of(second[j]) * correction + epsilon);
    }
}

static void update(const bnn_update *u)
{
    descend(u, u->lr, u->mu_gradient, u->mu, u->state[0], u->state[2]);
    if (!u->scale_gradient) return;
    descend(u, u->lr * u->options->rho_lr_factor, u->scale_gradient, u->rho, u->state[1], u->state[3]);
}

static const char *const states[] = {"mu.0", "rho.0", "mu.1", "rho.1", NULL};
static const char *const keys[] = {"train.kl_warmup_epochs",
                                   "train.kl_ramp_end",
                                   "train.kl_head_warmup_epochs",
                                   "train.kl_head_ramp_end",
                                   "train.free_bits",
                                   "train.clip_norm",
                                   "train.optimizer.beta1",
                                   "train.optimizer.beta2",
                                   "train.optimizer.epsilon",
                                   "train.optimizer.rho_lr_factor",
                                   "train.optimizer.weight_decay",
                                   NULL};

const bnn_optimizer_rule bnn_optimizer_adamw = {
    .row = {.name = "adamw", .summary = "Adam with decoupled weight decay", .keys = keys},
    .states = states,
    .gradient = BNN_GRADIENT_OF_RHO,
    .default_lr = 0.003,
    .default_rho_lr_factor = 1,
    .update = update,
};
