/* Predictions over images, weight draws and the orbit, in one pass and in bounded memory; and the figures of
 * an evaluation made from them.
 *
 * The predictive is F(x) = 1/T sum_t softmax f(x; w_t), or, group-averaged, F_G(x) = 1/|G| sum_h F(h.x), under the same
 * draws: the mixture over T |G| members (draw, element). Where G permutes pixels, F_G(g.x) = F_G(x) bit for bit: one pass
 * over the orbit gives all of it. Where G interpolates, turns do not compose, and F_G(g.x) is measured on h.(g.x), images
 * turned twice: |G|^2 forward passes an image and draw, in the memory of |G|. Where f(h.x; rho(h) w) = f(x; w)
 * (bnn_network_commutes), F_G is the predictive of q_G = 1/|G| sum_h rho(h) q.
 *
 * Ranks (bnn/ranks.h) call this alike. Each runs some of the draws, or of the images where draws are few, and all get the
 * predictions; options->stop is rank 0's.
 *
 * Of several models, F = 1/M sum_m F_m, the equal mixture of their predictives, with T draws a member on the streams that the
 * member uses alone: the prediction is the mean of the members' to rounding. */
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
    const bnn_group *average_over;      /* of the group-averaged predictive; NULL: F itself */
    const uint32_t *labels;             /* one an image, for the likelihoods, or NULL */
    size_t samples;                     /* T, of each member of a mixture */
    bool mean;                          /* w = mu, no draw; T is then 1 */
    bool uncalibrated;                  /* bnn_evaluate: without the temperature */
    const bnn_calibration *calibration; /* of a mixture of several; NULL: none. A single model has its own */
    bool logits; /* values are logits instead of probabilities: not with average_over */
    bnn_draws draws;
    uint64_t seed;       /* of a mixture, each member has its own */
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
    double *values; /* (M T, G, images, classes), for the sink to overwrite; group-averaged: means over h */
    bnn_image_terms terms; /* likelihoods, from logits, if there are labels; the entropy if group-averaged */
} bnn_predictions;

typedef bnn_status bnn_prediction_sink(void *context, const bnn_predictions *predictions, bnn_error *error);

/* Predicts every image of the data set, chunk by chunk. The draws are the same for every chunk. BNN_BAD_INPUT when the
 * images' shape is not the model's or a label is none of its classes; BNN_FAILED, naming the first image, when a logit is
 * not finite. */
bnn_status bnn_predict(const bnn_model *model, const bnn_dataset *data, const bnn_predict_options *options,
                       bnn_prediction_sink *sink, void *context, bnn_error *error);

/* A member of a mixture, and the seed of its draws. */
typedef struct bnn_member {
    const bnn_model *model;
    uint64_t seed;
} bnn_member;

/* The same of a mixture of `count` (at least 1) models, of one input shape and as many classes: the draws of one member after
 * those of another. */
bnn_status bnn_predict_mixture(const bnn_member *members, size_t count, const bnn_dataset *data,
                               const bnn_predict_options *options, bnn_prediction_sink *sink, void *context,
                               bnn_error *error);

/* bnn_predict into metrics, with the data set's labels where it has them, and with the temperature of the model's calibration,
 * where it has one. Every log-likelihood is formed from logits, and
 * those of a mean over members by log-sum-exp. Group-averaged, expected_nll is mean_g E_q -log p(y | g.x, w) and the mutual
 * information that of all members, at one draw too. */
bnn_status bnn_evaluate(const bnn_model *model, const bnn_dataset *data, const bnn_predict_options *options,
                        bnn_metrics **metrics, bnn_error *error);

/* The same of a mixture. That of several models has the temperature of options->calibration, if any: a member's calibration is
 * that of its own predictive. */
bnn_status bnn_evaluate_mixture(const bnn_member *members, size_t count, const bnn_dataset *data,
                                const bnn_predict_options *options, bnn_metrics **metrics, bnn_error *error);

/* The ELBO at the number of base training images N0,
 *     N0 mean_i E_q log p(y_i | x_i, w) - KL(q || p),
 * whatever N the mode trained with. On the training images it is the ELBO itself; on others, the mean over them estimates
 * the expected ELBO of a training set of N0 images of their kind under this q.
 *
 * Group-averaged, it is the ELBO of q_G, a posterior of its own, where f(h.x; rho(h) w) = f(x; w) and the prior is invariant under
 * rho: E_{q_G} log p(y | x, w) = mean_h E_q log p(y | h.x, w), and KL(q_G || p) = KL(q || p) - KL(q || q_G), which is estimated
 * (bnn_mixture_divergence) and at most log |G| less than KL(q || p). Where the network does not commute with the group, or q has
 * no density, KL(q || p) stands in its place, that of (w, h) with h uniform. Where the prior is not invariant, KL(q_G || p)
 * may be larger, and there is no ELBO. */
typedef struct bnn_elbo {
    double expected_log_likelihood;   /* mean over images */
    double kl;                        /* KL(q || p) */
    double kl_mixture;                /* KL(q_G || p), or NaN */
    double kl_mixture_standard_error; /* over the draws that it is estimated from */
    bnn_error no_kl_mixture;          /* the reason; BNN_OK where none is asked for, or there is one */
    double n;                         /* N0; 0: the model does not tell it, and the following two are NaN */
    double total, per_example;        /* N0 expected_log_likelihood - kl (kl_mixture); that over N0 */
    double total_error; /* standard error of total for other draws, on these images; NaN at one draw */
} bnn_elbo;

/* BNN_BAD_INPUT, with the reason why there is none: w = mu, a point, or a group-averaged predictive under a prior that is not known
 * to be invariant. `metrics` are the figures of labelled images under `options`. */
bnn_status bnn_evaluate_elbo(const bnn_model *model, const bnn_predict_options *options,
                             const bnn_metrics *metrics, bnn_elbo *elbo, bnn_error *error);

#endif
