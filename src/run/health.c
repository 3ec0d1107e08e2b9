#include "run/health.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/numeric.h"
#include "run/checkpoint.h"

bnn_status bnn_check_parameters(const bnn_model *model, const bnn_optimizer *optimizer, bnn_error *error)
{
    bnn_status status = bnn_posterior_tensors(model->posterior, bnn_tensor_check, NULL, error);
    return status ? status : bnn_optimizer_tensors(optimizer, bnn_tensor_check_finite, NULL, error);
}

/* ---- predictions --------------------------------------------------------------------------------------- */

static bnn_status discard(void *context, const bnn_predictions *predictions, bnn_error *error)
{
    (void)context, (void)predictions, (void)error;
    return BNN_OK;
}

bnn_status bnn_check_predictions(const bnn_model *model, const bnn_dataset *data, size_t images,
                                 const bnn_predict_options *options, bnn_error *error)
{
    bnn_predict_options alone = *options;
    bnn_dataset few = *data;
    alone.group = alone.average_over = NULL;
    if (images < few.count) few.count = images;
    return bnn_predict(model, &few, &alone, discard, NULL, error);
}

/* ---- the place ----------------------------------------------------------------------------------------- */

typedef struct largest {
    double size;
    char tensor[sizeof((bnn_tensor *)0)->name];
} largest;

static bnn_status find_largest(void *context, const bnn_tensor *tensor, bnn_error *error)
{
    largest *found = context;
    (void)error;
    for (size_t i = 0; i < tensor->count; i++)
        if (fabs((double)tensor->data[i]) > found->size) {
            found->size = fabs((double)tensor->data[i]);
            snprintf(found->tensor, sizeof found->tensor, "%s", tensor->name);
        }
    return BNN_OK;
}

void bnn_locate_divergence(const bnn_model *model, bnn_real *mu_gradient, bnn_real *scale_gradient,
                           char *text, size_t size)
{
    const bnn_posterior *q = model->posterior;
    bnn_posterior gradient = *q; /* laid out as q is */
    largest found = {-1, ""};
    bnn_error place;
    gradient.mu = mu_gradient;
    gradient.rho = scale_gradient;
    if (bnn_posterior_tensors(q, bnn_tensor_check_finite, NULL, &place)) {
        snprintf(text, size, "%s", place.message);
    } else if (mu_gradient && bnn_posterior_tensors(&gradient, bnn_tensor_check_finite, NULL, &place)) {
        snprintf(text, size, "the gradient of %s", place.message);
    } else {
        bnn_posterior_tensors(q, find_largest, &found, NULL);
        snprintf(text, size, "every parameter is finite, the largest, %g, is in %s", found.size,
                 found.tensor);
    }
}

bool bnn_find_anomaly(const bnn_model *model, bnn_engine *engine, bool rho, char *text, size_t size)
{
    bnn_posterior tensors = *model->posterior; /* the gradient is laid out as q is */
    bnn_real value;
    bnn_error place;
    const bnn_layer *layer = engine ? bnn_engine_anomaly(engine, &value) : NULL;
    if (engine) tensors.mu = bnn_engine_mu_gradient(engine);
    if (engine && rho) tensors.rho = bnn_engine_scale_gradient(engine);
    if (layer)
        snprintf(text, size, "an activation of %s became %s", layer->name,
                 bnn_number_text((double)value, (char[BNN_NUMBER_TEXT]){0}));
    else if (bnn_posterior_tensors(&tensors, bnn_tensor_check_finite, NULL, &place))
        snprintf(text, size, "%s%s", engine ? "the gradient of " : "", place.message);
    else
        return false;
    return true;
}

/* ---- whether it learns ----------------------------------------------------------------------------------- */

/* The epoch with noise that is watched: what an epoch of a few steps begins with is no fault. */
#define WATCHED 3

/* Less than this, in all epochs, is no movement of sigma. */
#define MOVED 0.01

bnn_status bnn_health_begin(bnn_health *health, const bnn_model *model, size_t epoch, bool whole,
                            bnn_error *error)
{
    const bnn_posterior *q = model->posterior;
    bnn_health_free(health);
    *health = (bnn_health){.watches = epoch + 1 == model->config.train.map_epochs + WATCHED};
    if (!health->watches || !whole) return BNN_OK;
    health->rho = bnn_alloc(q->count, sizeof *health->rho);
    if (!health->rho) return bnn_no_memory(error, "rho", q->count, sizeof *health->rho);
    memcpy(health->rho, q->rho, q->count * sizeof *health->rho);
    return BNN_OK;
}

void bnn_health_step(bnn_health *health, bool clipped)
{
    health->steps++;
    health->clipped += clipped;
}

/* The mean over the parameters of |sigma/sigma' - 1|, sigma' that of the epoch's beginning. */
static double movement_of_sigma(const bnn_health *health, const bnn_posterior *q)
{
    double sum = 0;
    for (size_t j = 0; j < q->count; j++)
        sum += fabs(bnn_softplus((double)q->rho[j]) / bnn_softplus((double)health->rho[j]) - 1);
    return sum / (double)q->count;
}

void bnn_health_end(bnn_health *health, const bnn_model *model, const bnn_epoch *epoch,
                    const bnn_train_callbacks *listener)
{
    const bnn_config *config = &model->config;
    const bnn_row *rule = &bnn_optimizer_find(config->train.optimizer.name)->row;
    const double chance = log((double)config->model.classes), lr = config->train.optimizer.options.lr;
    char line[256];
    if (!health->watches || !listener->message) return;
    if (epoch->train_nll > chance) {
        snprintf(line, sizeof line,
                 "warning: the loss of epoch %zu, %.4g, is worse than chance, log %zu = %.4g: lower "
                 "train.optimizer.lr (%g), or posterior.rho_init (%g)",
                 epoch->epoch, epoch->train_nll, config->model.classes, chance, lr,
                 config->posterior.rho_init);
        listener->message(listener->context, line);
    }
    if (bnn_row_reads(rule, "train.clip_norm") && health->clipped == health->steps) {
        snprintf(line, sizeof line,
                 "warning: every step of epoch %zu was clipped, to norm %g from %.3g in the mean: raise "
                 "train.clip_norm",
                 epoch->epoch, config->train.clip_norm, epoch->gradient_norm);
        listener->message(listener->context, line);
    }
    const double moved = health->rho ? movement_of_sigma(health, model->posterior) : INFINITY;
    if (moved * (double)(config->train.epochs - config->train.map_epochs) < MOVED) {
        snprintf(line, sizeof line,
                 "warning: sigma has not moved, in the mean by %.2g %% in epoch %zu: raise %s", 100 * moved,
                 epoch->epoch,
                 bnn_row_reads(rule, "train.optimizer.rho_lr_factor") ? "train.optimizer.rho_lr_factor"
                                                                      : "train.optimizer.lr");
        listener->message(listener->context, line);
    }
    health->watches = false;
}

void bnn_health_free(bnn_health *health)
{
    free(health->rho);
    health->rho = NULL;
}
