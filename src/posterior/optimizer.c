#include "bnn/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void sgd(const bnn_optimizer_options *options, double lr, size_t step, bnn_real factor,
                const bnn_real *gradient, size_t n, bnn_real *value, bnn_real *const *state)
{
    const bnn_real decay = (bnn_real)options->weight_decay, momentum = (bnn_real)options->momentum;
    const bnn_real keep = step > 1 ? momentum : 0;
    const bnn_real ahead = options->nesterov ? momentum : 1, now = options->nesterov ? 1 : 0;
    const bnn_real rate = (bnn_real)lr;
    bnn_real *velocity = state[0];
    for (size_t j = 0; j < n; j++) {
        const bnn_real g = factor * gradient[j] + decay * value[j];
        velocity[j] = keep * velocity[j] + g;
        value[j] -= rate * (now * g + ahead * velocity[j]);
    }
}

static void adamw(const bnn_optimizer_options *options, double lr, size_t step, bnn_real factor,
                  const bnn_real *gradient, size_t n, bnn_real *value, bnn_real *const *state)
{
    const bnn_real b1 = (bnn_real)options->beta1, b2 = (bnn_real)options->beta2;
    const bnn_real rest1 = (bnn_real)(1 - options->beta1), rest2 = (bnn_real)(1 - options->beta2);
    const bnn_real size = (bnn_real)(lr / (1 - pow(options->beta1, (double)step)));
    const bnn_real correction = (bnn_real)(1 / sqrt(1 - pow(options->beta2, (double)step)));
    const bnn_real decay = (bnn_real)(1 - lr * options->weight_decay), epsilon = (bnn_real)options->epsilon;
    bnn_real *first = state[0], *second = state[1];
    for (size_t j = 0; j < n; j++) {
        const bnn_real g = factor * gradient[j];
        first[j] = b1 * first[j] + rest1 * g;
        second[j] = b2 * second[j] + rest2 * g * g;
#ifdef BNN_DOUBLE
        const bnn_real root = sqrt(second[j]);
#else
        const bnn_real root = sqrtf(second[j]);
#endif
        value[j] = decay * value[j] - size * first[j] / (root * correction + epsilon);
    }
}

const bnn_optimizer_rule bnn_optimizer_rules[] = {
    {.name = "sgd", .rho_lr_factor = 10, .buffers = 1, .update = sgd},
    {.name = "adamw", .rho_lr_factor = 1, .decays_rho = true, .buffers = 2, .update = adamw},
    {.name = NULL},
};

const bnn_optimizer_rule *bnn_optimizer_find(const char *name)
{
    for (const bnn_optimizer_rule *rule = bnn_optimizer_rules; rule->name; rule++)
        if (strcmp(rule->name, name) == 0) return rule;
    return NULL;
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
    for (size_t b = 0; b < rule->buffers; b++) {
        result->mu_state[b] = bnn_alloc(count, sizeof(bnn_real));
        result->rho_state[b] = bnn_alloc(count, sizeof(bnn_real));
        if (!result->mu_state[b] || !result->rho_state[b]) {
            bnn_optimizer_free(result);
            return bnn_no_memory(error, "optimizer state", count, sizeof(bnn_real));
        }
    }
    *optimizer = result;
    return BNN_OK;
}

void bnn_optimizer_free(bnn_optimizer *optimizer)
{
    if (!optimizer) return;
    for (size_t b = 0; b < 2; b++) {
        free(optimizer->mu_state[b]);
        free(optimizer->rho_state[b]);
    }
    free(optimizer);
}

void bnn_optimizer_reset(bnn_optimizer *optimizer)
{
    optimizer->step = 0;
    for (size_t b = 0; b < optimizer->rule->buffers; b++) {
        memset(optimizer->mu_state[b], 0, optimizer->count * sizeof(bnn_real));
        memset(optimizer->rho_state[b], 0, optimizer->count * sizeof(bnn_real));
    }
}

void bnn_optimizer_step(bnn_optimizer *optimizer, double lr_scale, double gradient_factor,
                        const bnn_real *mu_gradient, const bnn_real *rho_gradient, bnn_real *mu,
                        bnn_real *rho, int threads)
{
    enum { RUN = 4096 };
    const size_t step = ++optimizer->step, count = optimizer->count;
    const bnn_real factor = (bnn_real)gradient_factor;
    bnn_optimizer_options rho_options = optimizer->options;
    if (!optimizer->rule->decays_rho) rho_options.weight_decay = 0;
    const double lr = optimizer->options.lr * lr_scale, rho_lr = lr * optimizer->options.rho_lr_factor;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t from = 0; from < count; from += RUN) {
        const size_t n = count - from < RUN ? count - from : RUN;
        bnn_real *mu_state[2], *rho_state[2];
        for (size_t b = 0; b < optimizer->rule->buffers; b++) {
            mu_state[b] = optimizer->mu_state[b] + from;
            rho_state[b] = optimizer->rho_state[b] + from;
        }
        optimizer->rule->update(&optimizer->options, lr, step, factor, mu_gradient + from, n, mu + from,
                                mu_state);
        optimizer->rule->update(&rho_options, rho_lr, step, factor, rho_gradient + from, n, rho + from,
                                rho_state);
    }
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

double bnn_gradient_norm(const bnn_real *mu_gradient, const bnn_real *rho_gradient, size_t count, int threads)
{
    enum { PARTS = 64 }; /* the same for any number of threads, and so is the sum */
    double part[PARTS], sum = 0;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t p = 0; p < PARTS; p++) {
        const size_t from = p * count / PARTS, n = (p + 1) * count / PARTS - from;
        part[p] = sum_of_squares(mu_gradient + from, n) + sum_of_squares(rho_gradient + from, n);
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
