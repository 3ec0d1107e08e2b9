/* Every figure of an evaluation, from probabilities alone: arrays in, numbers out (DESIGN section 6). Floor 2:
 * knows no network, so `bnn eval` and `bnn score` share it, and predictions of any framework can be measured.
 *
 * Notation: p[t][g][i][c], T draws (T = 1 when only the mean predictive is known), G group elements (element 0 the
 * identity), N images, C classes. F(g.x_i) = 1/T sum_t p_t(g.x_i). */
#ifndef BNN_METRICS_H
#define BNN_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bnn/status.h"

#define BNN_ECE_BINS 15

/* A figure that cannot be computed from what was given (unbiased defect at T = 1, accuracy without labels) is
 * NaN. */
typedef struct bnn_metrics {
    size_t draws, order, images, classes;
    bool labelled;

    /* of F(x) */
    double accuracy, nll, ece, brier;
    double expected_nll; /* mean_i -1/T sum_t log p_t(y_i | x_i): the ELBO's likelihood term a image, negated */
    double entropy, mutual_information; /* means over images, nats */
    double aurc;

    /* over the orbit */
    double accuracy_orbit, nll_orbit, ece_orbit, brier_orbit;
    double orbit_mutual_information;
    double orbit_agreement, orbit_identity_agreement;
    double symmetric_kl_mean, symmetric_kl_std; /* std over images (population) */

    double defect_plugin, defect_plugin_std; /* std over images (population) */
    double defect_unbiased, defect_standard_error;
    double *defect_plugin_per_element;   /* (order) */
    double *defect_unbiased_per_element; /* (order) */

    /* reliability over F(x) and over the orbit: bins open on the left, closed on the right */
    struct bnn_reliability_bin {
        size_t count;
        double accuracy, confidence;
    } reliability[BNN_ECE_BINS], reliability_orbit[BNN_ECE_BINS];

    /* one figure an image, for OOD scores and for the images whose prediction changes most over the orbit */
    double *image_entropy, *image_mutual_information, *image_orbit_mutual_information; /* (images) */
    double *image_defect; /* (images) plug-in: mean_g ||F(g.x) - F(x)||^2 */
} bnn_metrics;

/* Accumulates figures over chunks of images, so that memory stays bounded: a few numbers an image are kept. */
typedef struct bnn_metrics_accumulator bnn_metrics_accumulator;

bnn_status bnn_metrics_begin(size_t draws, size_t order, size_t classes, bnn_metrics_accumulator **accumulator,
                             bnn_error *error);

/* Adds a chunk: probabilities (draws, order, images, classes), rows summing to 1; labels (images) or NULL (all
 * chunks alike). */
bnn_status bnn_metrics_add(bnn_metrics_accumulator *accumulator, const double *probabilities, size_t images,
                           const uint32_t *labels, bnn_error *error);

/* *metrics <- the figures of all chunks. */
bnn_status bnn_metrics_end(bnn_metrics_accumulator *accumulator, bnn_metrics **metrics, bnn_error *error);
void bnn_metrics_discard(bnn_metrics_accumulator *accumulator); /* NULL is legal; also after bnn_metrics_end */
void bnn_metrics_free(bnn_metrics *metrics);

/* AUROC of a score that should be larger out of distribution: P(s_ood > s_id) + 1/2 P(tie). */
double bnn_auroc(const double *in_distribution, size_t n, const double *out_of_distribution, size_t m);

#endif
