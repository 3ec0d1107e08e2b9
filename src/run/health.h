/* Whether a training is still of finite figures, where it stopped to be, and whether it learns. */
#ifndef BNN_SRC_RUN_HEALTH_H
#define BNN_SRC_RUN_HEALTH_H

#include "bnn/dataset.h"
#include "bnn/engine.h"
#include "bnn/evaluate.h"
#include "bnn/model.h"
#include "bnn/optimizer.h"
#include "bnn/train.h"

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

/* For train.detect_anomaly: whether a figure of the engine's last step (engine NULL: of mu and rho) is not finite. text (of `size`
 * bytes) <- the first in the order in which they are made: activations by layers, the gradient by tensors (rho: that of rho too). */
bool bnn_find_anomaly(const bnn_model *model, bnn_engine *engine, bool rho, char *text, size_t size);

/* What is watched in one early epoch, the third with noise. */
typedef struct bnn_health {
    bool watches;
    size_t steps, clipped;
    bnn_real *rho; /* as the epoch began; NULL: it began in an earlier process */
} bnn_health;

/* As epoch `epoch` (from 0) begins; `whole`: none of its steps has been run before. */
bnn_status bnn_health_begin(bnn_health *health, const bnn_model *model, size_t epoch, bool whole,
                            bnn_error *error);
void bnn_health_step(bnn_health *health, bool clipped);

/* As it ends: a line to `listener` for each of these, with the key to change: a loss worse than chance, every step clipped, a sigma
 * that at this pace moves by less than 1 % in all epochs. */
void bnn_health_end(bnn_health *health, const bnn_model *model, const bnn_epoch *epoch,
                    const bnn_train_callbacks *listener);
void bnn_health_free(bnn_health *health);

#endif
