/* Predictions over images, weight draws and the orbit, in one pass and in bounded memory; and the figures of
 * an evaluation made from them.
 *
 * The predictive is F(x) = 1/T sum_t softmax f(x; w_t), or, group-averaged, F_G(x) = 1/|G| sum_h F(h.x), under the same
 * draws: the mixture over T |G| members (draw, element). Where G permutes pixels, F_G(g.x) = F_G(x) bit for bit: one pass
 * over the orbit gives all of it. Where G interpolates, turns do not compose, and F_G(g.x) is measured on h.(g.x), images
 * turned twice: |G|^2 forward passes an image and draw, in the memory of |G|. Where f(h.x; rho(h) w) = f(x; w)
 * (bnn_network_commutes), F_G is the predictive of q_G = 1/|G| sum_h rho(h) q. */
#ifndef BNN_EVALUATE_H
#define BNN_EVALUATE_H

#include <signal.h>
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
    const bnn_group *group; /* whose orbit is predicted: G elements; NULL: the images as they are, G = 1 */
    const bnn_group *average_over; /* of the group-averaged predictive; NULL: F itself */
    const uint32_t *labels;        /* one an image, for the likelihoods, or NULL */
    size_t samples;                /* T */
    bool mean;                     /* w = mu, no draw; T is then 1 */
    bool uncalibrated;             /* bnn_evaluate: without the model's temperature */
    bool logits;                   /* values are logits instead of probabilities: not with average_over */
    bnn_draws draws;
    uint64_t seed;
    bnn_purpose purpose; /* of the stream of draws */
    int threads;
    void (*progress)(void *context,
                     double fraction); /* told of the share that is done, by the calling thread; or NULL */
    void *progress_context;
    const char *kernels;               /* NULL, or a set of kernels: see bnn_workspace_options */
    const volatile sig_atomic_t *stop; /* NULL, or not 0 once a signal asks for the end: BNN_INTERRUPTED */
} bnn_predict_options;

/* The predictions of `images` consecutive images from `first` on. */
typedef struct bnn_predictions {
    size_t first, images;
    double *values; /* (T, G, images, classes), for the sink to overwrite; group-averaged: means over h */
    bnn_image_terms terms; /* likelihoods, from logits, if there are labels; the entropy if group-averaged */
} bnn_predictions;

typedef bnn_status bnn_prediction_sink(void *context, const bnn_predictions *predictions, bnn_error *error);

/* Predicts every image of the data set, chunk by chunk. The draws are the same for every chunk. BNN_BAD_INPUT when the
 * images' shape is not the model's or a label is none of its classes; BNN_FAILED, naming the first image, when a logit is
 * not finite. */
bnn_status bnn_predict(const bnn_model *model, const bnn_dataset *data, const bnn_predict_options *options,
                       bnn_prediction_sink *sink, void *context, bnn_error *error);

/* bnn_predict into metrics, with the data set's labels where it has them, and with the temperature of the model's calibration,
 * where it has one. Every log-likelihood is formed from logits, and
 * those of a mean over members by log-sum-exp. Group-averaged, expected_nll is mean_g E_q -log p(y | g.x, w) and the mutual
 * information that of all members, at one draw too. */
bnn_status bnn_evaluate(const bnn_model *model, const bnn_dataset *data, const bnn_predict_options *options,
                        bnn_metrics **metrics, bnn_error *error);

/* The ELBO at the number of base training images N0,
 *     N0 mean_i E_q log p(y_i | x_i, w) - KL(q || p),
 * whatever N the mode trained with. On the training images it is the ELBO itself; on others, the mean over them estimates
 * the expected ELBO of a training set of N0 images of their kind under this q.
 *
 * Group-averaged, KL(q || p) stands for KL(q_G || p), which it exceeds by at most log |G| nats where the prior is invariant
 * under rho; where it is not, KL(q_G || p) may be larger, and there is no ELBO. */
typedef struct bnn_elbo {
    double expected_log_likelihood; /* mean over images */
    double kl;                      /* KL(q || p) */
    double n;                       /* N0; 0: the model does not tell it, and the following two are NaN */
    double total, per_example;      /* N0 expected_log_likelihood - kl; that over N0 */
} bnn_elbo;

/* BNN_BAD_INPUT, with the reason why there is none: w = mu, or a group-averaged predictive under a prior that is not known
 * to be invariant. `metrics` are the figures of labelled images under `options`. */
bnn_status bnn_evaluate_elbo(const bnn_model *model, const bnn_predict_options *options,
                             const bnn_metrics *metrics, bnn_elbo *elbo, bnn_error *error);

#endif
