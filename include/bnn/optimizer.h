/* Optimisers: rules that update q from the gradient of the loss, learning-rate schedules, and clipping of the global gradient
 * norm. A rule is one file and one row of bnn_optimizers. */
#ifndef BNN_OPTIMIZER_H
#define BNN_OPTIMIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "bnn/posterior.h"
#include "bnn/real.h"
#include "bnn/row.h"
#include "bnn/status.h"

typedef struct bnn_optimizer_options {
    double lr;
    double rho_lr_factor;         /* the learning rate of rho is lr times this */
    double weight_decay;          /* of mu, and of rho where the rule says so */
    double momentum;              /* sgd */
    bool nesterov;                /* sgd */
    double beta1, beta2, epsilon; /* adamw, and the betas of ivon */
    double h0;                    /* ivon: curvature at first */
    double clip_radius;           /* ivon: largest step of an element over lr (h0 + delta); 0: any */
} bnn_optimizer_options;

/* One update of a run of consecutive parameters. Everything begins at the run's first one. */
typedef struct bnn_update {
    const bnn_optimizer_options *options;
    double lr;       /* of this step */
    size_t step;     /* counts from 1 since the last reset */
    bnn_real factor; /* on both gradients: clipping, where the row reads train.clip_norm */
    bool trained;    /* sigma had been trained before the first step */
    size_t count;
    const bnn_real *mu_gradient; /* (count) of the loss */
    const bnn_real *
        scale_gradient; /* (count) as the row asks for it; NULL: rho stays as it is, the loss is that at w = mu */
    /* (count) The weight of each parameter's KL in the loss, where the row asks for the likelihood alone: 1/N, or what a
     * schedule, free bits or a tie make of it, 0 included; else NULL. */
    const bnn_real *kl_weight;
    const bnn_real *sigma;                  /* (count) before the update */
    const bnn_real *prior_mean, *prior_std; /* (count) */
    bnn_real *mu, *rho;                     /* (count) updated in place */
    bnn_real *const *state;                 /* the row's arrays, (count) each */
} bnn_update;

/* A rule acts element by element, and so commutes with every permutation of the parameters. */
typedef struct bnn_optimizer_rule {
    bnn_row row;
    const char *const
        *states; /* names of its arrays of state in checkpoints, NULL-terminated; zero at first */
    bnn_scale_gradient gradient;  /* what the second gradient is taken in */
    bool likelihood_only;         /* the gradient is to leave the KL out: the rule has it in closed form */
    bool normal;                  /* needs a family of normal distributions: bnn_family.normal */
    double default_lr;            /* of options.lr */
    double default_rho_lr_factor; /* of options.rho_lr_factor, where the rule reads it */

    /* The reason why the options are impossible, or NULL. May be NULL. */
    const char *(*refuse)(const bnn_optimizer_options *options);

    /* The state before the first step, and before the next where q was set by others in between; may be NULL. */
    void (*start)(const bnn_update *update);

    void (*update)(const bnn_update *update);
} bnn_optimizer_rule;

extern const bnn_optimizer_rule *const bnn_optimizers[]; /* NULL-terminated, the default first */
const bnn_row *bnn_optimizer_row(size_t i);              /* the registry */
const bnn_optimizer_rule *bnn_optimizer_find(const char *name);

#define BNN_OPTIMIZER_MAX_STATES 8

typedef struct bnn_optimizer {
    const bnn_optimizer_rule *rule;
    bnn_optimizer_options options;
    size_t count;                              /* parameters */
    size_t step;                               /* updates done */
    bool begins;                               /* q was set by others since the last step */
    bool trained;                              /* sigma had been trained before that; the caller sets it */
    size_t state_count;                        /* of the rule */
    bnn_real *state[BNN_OPTIMIZER_MAX_STATES]; /* (count) each */
} bnn_optimizer;

bnn_status bnn_optimizer_create(const bnn_optimizer_rule *rule, const bnn_optimizer_options *options,
                                size_t count, bnn_optimizer **optimizer, bnn_error *error);
void bnn_optimizer_free(bnn_optimizer *optimizer);

/* Forgets momentum and moments. */
void bnn_optimizer_reset(bnn_optimizer *optimizer);

/* What a step is made from: the engine's gradients (projected, where q is held) and sigma, and the loss's scale. */
typedef struct bnn_descent {
    double lr_scale;                              /* on the options' learning rate */
    double gradient_factor;                       /* on both gradients */
    const bnn_real *mu_gradient, *scale_gradient; /* (count); the second may be NULL, as in bnn_update */
    const bnn_real *kl_weight;                    /* (count) or NULL, as in bnn_update */
    const bnn_real *sigma;                        /* (count) */
    int threads;
} bnn_descent;

/* One step of q, over its parameters on `threads` threads. */
void bnn_optimizer_step(bnn_optimizer *optimizer, const bnn_descent *descent, bnn_posterior *posterior);

/* sqrt of the sum of squares of both gradients, of the first alone where the second is NULL, summed in double in one fixed order whatever `threads`. */
double bnn_gradient_norm(const bnn_real *mu_gradient, const bnn_real *scale_gradient, size_t count,
                         int threads);

/* The factor that takes gradients of this norm to at most `most` (as torch: most / (norm + 1e-6) when that is below 1,
 * else 1); 1 for most <= 0. */
double bnn_clip_factor(double norm, double most);

typedef enum bnn_schedule { BNN_SCHEDULE_CONSTANT, BNN_SCHEDULE_COSINE } bnn_schedule;
extern const char *const bnn_schedule_names[]; /* "constant", "cosine", NULL */

/* The factor on the learning rate in epoch 0 .. epochs - 1; cosine: (1 + cos(pi epoch / epochs)) / 2. */
double bnn_schedule_scale(bnn_schedule schedule, size_t epoch, size_t epochs);

/* The factor that lets the learning rate rise over the first `steps`: (step + 1)/steps below 1, else 1; `step` from 0. */
double bnn_warmup_scale(size_t step, size_t steps);

#endif
