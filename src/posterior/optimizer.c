#include "bnn/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "posterior/optimizers.h"

const bnn_optimizer_rule *const bnn_optimizers[] = {&bnn_optimizer_adamw, &bnn_optimizer_sgd,
                                                    &bnn_optimizer_ivon, NULL};

const bnn_row *bnn_optimizer_row(size_t i)
{
    return bnn_optimizers[i] ? &bnn_optimizers[i]->row : NULL;
}

const bnn_optimizer_rule *bnn_optimizer_find(const char *name)
{
    return (const bnn_optimizer_rule *)bnn_row_find(bnn_optimizer_row,
                                                    name); /* a row begins with its bnn_row */
}

bnn_status bnn_optimizer_create(const bnn_optimizer_rule *rule, const bnn_optimizer_options *options,
                                size_t count, bnn_optimizer **optimizer, bnn_error *error)
{
    *optimizer = NULL;
    bnn_optimizer *result = bnn_alloc(1, sizeof *result);
    if (!result) return bnn_no_memory(error, "an optimizer", 1, sizeof *result);
    result->rule = rule;
    result->options = *options;
    result->count = count;
    result->begins = true;
    for (; rule->states[result->state_count]; result->state_count++) {
        bnn_real **state = &result->state[result->state_count];
        *state = bnn_alloc(count, sizeof **state);
        if (!*state) {
            bnn_optimizer_free(result);
            return bnn_no_memory(error, "optimizer state", count, sizeof **state);
        }
    }
    *optimizer = result;
    return BNN_OK;
}

void bnn_optimizer_free(bnn_optimizer *optimizer)
{
    if (!optimizer) return;
    for (size_t i = 0; i < optimizer->state_count; i++) free(optimizer->state[i]);
    free(optimizer);
}

void bnn_optimizer_reset(bnn_optimizer *optimizer)
{
    optimizer->step = 0;
    optimizer->begins = true;
    for (size_t i = 0; i < optimizer->state_count; i++)
        memset(optimizer->state[i], 0, optimizer->count * sizeof(bnn_real));
}

/* Runs the rule over the parameters from .. from + count - 1. */
static void update_run(const bnn_optimizer *optimizer, const bnn_descent *descent, bnn_posterior *q,
                       size_t from, size_t count)
{
    bnn_real *state[BNN_OPTIMIZER_MAX_STATES] = {NULL};
    for (size_t i = 0; i < optimizer->state_count; i++) state[i] = optimizer->state[i] + from;
    const bnn_update update = {.options = &optimizer->options,
                               .lr = optimizer->options.lr * descent->lr_scale,
                               .step = optimizer->step,
                               .factor = (bnn_real)descent->gradient_factor,
                               .trained = optimizer->trained,
                               .count = count,
                               .mu_gradient = descent->mu_gradient + from,
                               .scale_gradient =
                                   descent->scale_gradient ? descent->scale_gradient + from : NULL,
                               .kl_weight = descent->kl_weight ? descent->kl_weight + from : NULL,
                               .sigma = descent->sigma + from,
                               .prior_mean = q->prior_mean + from,
                               .prior_std = q->prior_std + from,
                               .mu = q->mu + from,
                               .rho = q->rho + from,
                               .state = state};
    if (optimizer->begins && optimizer->rule->start) optimizer->rule->start(&update);
    optimizer->rule->update(&update);
}

void bnn_optimizer_step(bnn_optimizer *optimizer, const bnn_descent *descent, bnn_posterior *posterior)
{
    enum { RUN = 4096 };
    const size_t count = optimizer->count;
    optimizer->step++;
#pragma omp parallel for num_threads(descent->threads) schedule(static)
    for (size_t from = 0; from < count; from += RUN)
        update_run(optimizer, descent, posterior, from, count - from < RUN ? count - from : RUN);
    optimizer->begins = false;
}

/* The sum of squares of n reals. Several sums side by side need not wait for each other. */
static double sum_of_squares(const bnn_real *x, size_t n)
{
    enum { LANES = 8 };
    double lane[LANES] = {0}, sum = 0;
    size_t j = 0;
    for (; j + LANES <= n; j += LANES)
        for (size_t l = 0; l < LANES; l++) lane[l] += (double)x[j + l] * (double)x[j + l];
    for (; j < n; j++) sum += (double)x[j] * (double)x[j];
    for (size_t l = 0; l < LANES; l++) sum += lane[l];
    return sum;
}

double bnn_gradient_norm(const bnn_real *mu_gradient, const bnn_real *scale_gradient, size_t count,
                         int threads)
{
    enum { PARTS = 64 }; /* the same for any number of threads, and so is the sum */
    double part[PARTS], sum = 0;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t p = 0; p < PARTS; p++) {
        const size_t from = p * count / PARTS, n = (p + 1) * count / PARTS - from;
        part[p] = sum_of_squares(mu_gradient + from, n);
        if (scale_gradient) part[p] += sum_of_squares(scale_gradient + from, n);
    }
    for (size_t p = 0; p < PARTS; p++) sum += part[p];
    return sqrt(sum);
}

double bnn_clip_factor(double norm, double most)
{
    const double factor = most / (norm + 1e-6);
    return most > 0 && factor < 1 ? factor : 1;
}

const char *const bnn_schedule_names[] = {"constant", "cosine", NULL};

double bnn_schedule_scale(bnn_schedule schedule, size_t epoch, size_t epochs)
{
    if (schedule == BNN_SCHEDULE_CONSTANT) return 1;
    return (1 + cos(3.14159265358979323846 * (double)epoch / (double)epochs)) / 2;
}

double bnn_warmup_scale(size_t step, size_t steps)
{
    return step + 1 < steps ? (double)(step + 1) / (double)steps : 1;
}
