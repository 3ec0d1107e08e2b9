#include "run/health.h"

#include <math.h>
#include <stdio.h>

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
