/* Predictions over images, weight draws and the orbit, in one pass and in bounded memory; and the figures of
 * an evaluation made from them. Floor 7. */
#ifndef BNN_EVALUATE_H
#define BNN_EVALUATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bnn/config.h"
#include "bnn/dataset.h"
#include "bnn/group.h"
#include "bnn/metrics.h"
#include "bnn/model.h"
#include "bnn/status.h"

typedef struct bnn_predict_options {
    const bnn_group *group; /* whose orbit is predicted; NULL: the images as they are */
    size_t samples;         /* T */
    bool mean;              /* w = mu, no draw; T is then 1 */
    bool logits;            /* logits instead of probabilities */
    bool group_averaged;    /* eval.predictive: the mean over the orbit with the same draws */
    bnn_draws draws;
    uint64_t seed;
    bnn_purpose purpose; /* of the stream of draws */
    int threads;
    const char *kernels; /* NULL, or a name for bnn_layer_ops_for */
} bnn_predict_options;

/* Receives the predictions of `images` consecutive images from `first` on: values (T, G, images, classes), which it
 * may overwrite. */
typedef bnn_status bnn_prediction_sink(void *context, double *values, size_t first, size_t images,
                                       bnn_error *error);

/* Predicts every image of the data set, chunk by chunk. The draws are the same for every chunk. BNN_BAD_INPUT
 * when the images' shape is not the model's. */
bnn_status bnn_predict(const bnn_model *model, const bnn_dataset *data, const bnn_predict_options *options,
                       bnn_prediction_sink *sink, void *context, bnn_error *error);

/* bnn_predict into metrics. Labels are used when the data set has them. With group_averaged the figures are those of
 * the mixture q_G = 1/|G| sum_h rho(h) q, and so is expected_nll: mean_g E_q -log p(y | g.x, w), not the likelihood of the
 * averaged probabilities. KL(q || p) then overstates KL(q_G || p) by at most log |G| nats (DESIGN section 4). */
bnn_status bnn_evaluate(const bnn_model *model, const bnn_dataset *data, const bnn_predict_options *options,
                        bnn_metrics **metrics, bnn_error *error);

#endif
