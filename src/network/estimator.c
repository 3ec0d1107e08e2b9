#include "bnn/estimator.h"

const bnn_estimator *const bnn_estimators[] = {&bnn_estimator_weight, &bnn_estimator_local,
                                               &bnn_estimator_flipout, NULL};

const bnn_row *bnn_estimator_row(size_t i)
{
    return bnn_estimators[i] ? &bnn_estimators[i]->row : NULL;
}

const bnn_estimator *bnn_estimator_find(const char *name)
{
    return (const bnn_estimator *)bnn_row_find(bnn_estimator_row,
                                               name); /* an estimator begins with its row */
}

bool bnn_estimator_perturbs(const bnn_estimator *estimator, const bnn_layer *layer)
{
    return estimator && estimator->perturbs && layer->bias_count > 0 && estimator->perturbs(layer);
}
