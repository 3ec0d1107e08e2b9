/* Whether a training is still of finite figures, and where it stopped to be. */
#ifndef BNN_SRC_RUN_HEALTH_H
#define BNN_SRC_RUN_HEALTH_H

#include "bnn/dataset.h"
#include "bnn/evaluate.h"
#include "bnn/model.h"
#include "bnn/optimizer.h"

/* BNN_FAILED, naming tensor and entry, where a parameter or a figure of the optimiser's state is not finite. */
bnn_status bnn_check_parameters(const bnn_model *model, const bnn_optimizer *optimizer, bnn_error *error);

/* Predicts the first `images` of the data. BNN_FAILED, naming draw and image, where a logit is not finite, which the
 * predictions of finite parameters may be: a draw of large ones overflows on its way through the layers. */
bnn_status bnn_check_predictions(const bnn_model *model, const bnn_dataset *data, size_t images,
                                 const bnn_predict_options *options, bnn_error *error);

/* Writes to `text` (of `size` bytes) where to look for the cause of figures that are not finite: the first tensor of the
 * parameters that has one, else that of their gradient (mu_gradient and scale_gradient, parameter_count each, or both NULL),
 * else the largest parameter. */
void bnn_locate_divergence(const bnn_model *model, bnn_real *mu_gradient, bnn_real *scale_gradient,
                           char *text, size_t size);

#endif
