/* Optimisers that act element by element (and so commute with every permutation of the parameters),
 * learning-rate schedules and clipping of the global gradient norm. Floor 4: arrays in, arrays out. */
#ifndef BNN_OPTIMIZER_H
#define BNN_OPTIMIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "bnn/real.h"
#include "bnn/status.h"

typedef struct bnn_optimizer_options {
    double lr;
    double rho_lr_factor;         /* the learning rate of rho is lr times this */
    double weight_decay;          /* of mu, and of rho where the rule says so */
    double momentum;              /* sgd */
    bool nesterov;                /* sgd */
    double beta1, beta2, epsilon; /* adamw */
} bnn_optimizer_options;

/* One rule: one row of bnn_optimizer_rules. */
typedef struct bnn_optimizer_rule {
    const char *name;     /* "sgd", "adamw" */
    double rho_lr_factor; /* the default */
    bool decays_rho;      /* whether weight decay acts on rho too; it always acts on mu */
    size_t buffers;       /* arrays of state a parameter array needs: at most 2 */
    /* One update of n values at learning rate lr, by factor times the gradient; step counts from 1. */
    void (*update)(const bnn_optimizer_options *options, double lr, size_t step, bnn_real factor,
                   const bnn_real *gradient, size_t n, bnn_real *value, bnn_real *const *state);
} bnn_optimizer_rule;

/* As the published code groups its parameters, sgd decays mu alone and adamw both.
 * sgd as torch.optim.SGD: g += decay value; v = momentum v + g (v = g at the first step);
 *     value -= lr (nesterov ? g + momentum v : v).
 * adamw as torch.optim.AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019, alg. 2).
 */
extern const bnn_optimizer_rule bnn_optimizer_rules[]; /* ends with a NULL name */
const bnn_optimizer_rule *bnn_optimizer_find(const char *name);

typedef struct bnn_optimizer {
    const bnn_optimizer_rule *rule;
    bnn_optimizer_options options;
    size_t count;                         /* parameters: mu and rho have this many each */
    size_t step;                          /* updates done */
    bnn_real *mu_state[2], *rho_state[2]; /* NULL where the rule needs none */
} bnn_optimizer;

bnn_status bnn_optimizer_create(const bnn_optimizer_rule *rule, const bnn_optimizer_options *options,
                                size_t count, bnn_optimizer **optimizer, bnn_error *error);
void bnn_optimizer_free(bnn_optimizer *optimizer);

/* Forgets momentum and moments. */
void bnn_optimizer_reset(bnn_optimizer *optimizer);

/* One step at lr_scale times the options' learning rate with gradient_factor times the gradients, over the parameters on
 * `threads` threads. */
void bnn_optimizer_step(bnn_optimizer *optimizer, double lr_scale, double gradient_factor,
                        const bnn_real *mu_gradient, const bnn_real *rho_gradient, bnn_real *mu,
                        bnn_real *rho, int threads);

/* sqrt of the sum of squares of both gradients, summed in double in one fixed order whatever `threads`. */
double bnn_gradient_norm(const bnn_real *mu_gradient, const bnn_real *rho_gradient, size_t count,
                         int threads);

/* The factor that takes gradients of this norm to at most `most` (as torch: most / (norm + 1e-6) when that is below 1,
 * else 1); 1 for most <= 0. */
double bnn_clip_factor(double norm, double most);

typedef enum bnn_schedule { BNN_SCHEDULE_CONSTANT, BNN_SCHEDULE_COSINE } bnn_schedule;
extern const char *const bnn_schedule_names[]; /* "constant", "cosine", NULL */

/* The factor on the learning rate in epoch 0 .. epochs - 1; cosine: (1 + cos(pi epoch / epochs)) / 2. */
double bnn_schedule_scale(bnn_schedule schedule, size_t epoch, size_t epochs);

#endif
