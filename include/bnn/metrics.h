/* Every figure of an evaluation, from probabilities alone: arrays in, numbers out. It knows no network, so
 * `bnn eval` and `bnn score` share it, and predictions of any framework can be measured.
 *
 * Notation: p[t][g][i][c], T draws (T = 1 when only the mean predictive is known), G group elements (element
 * 0 the identity), N images, C classes. F(g.x_i) = 1/T sum_t p_t(g.x_i).
 *
 * No figure depends on the order of the images, of the draws or of the elements after the identity, beyond rounding; ties
 * count as such. The one exception is defect_standard_error above 256 draws. */
#ifndef BNN_METRICS_H
#define BNN_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bnn/status.h"

#define BNN_ECE_BINS 15
#define BNN_ROW_SUM_TOLERANCE 1e-3 /* how far from 1 the probabilities of a row may sum to */

/* One bin of F's confidence max_c F_c: (b/15, (b+1)/15], the first one with 0. The means of an empty bin are
 * NaN. */
typedef struct bnn_reliability_bin {
    size_t count;
    double accuracy, confidence;
} bnn_reliability_bin;

/* What the predictions are for the images of one class, and for those that are given it. NaN: no image of the class, or none that
 * is given it (precision). */
typedef struct bnn_class_figures {
    size_t count; /* images of the class */
    double recall,
        precision; /* shares that are right: of the images of the class, of those predicted as it */
    double auroc;  /* of F_c, the class's images against the others: P(F_c larger) + 1/2 P(tie) */
    double nll;    /* means over its images */
    double entropy, mutual_information, orbit_mutual_information;
    double recall_orbit, precision_orbit, auroc_orbit; /* of every F(g.x), each by itself */
} bnn_class_figures;

/* Of a mean over images, for other images of their kind: see bnn_metrics. */
typedef struct bnn_standard_errors {
    double accuracy, nll, ece, brier;
} bnn_standard_errors;

/* A figure that cannot be computed from what was given is NaN: without labels the figures that need one, at
 * one draw the mutual information (unless bnn_image_terms tells it) and the unbiased defect. Ties of an argmax go to the
 * lowest class. */
typedef struct bnn_metrics {
    size_t members, draws, order, images, classes; /* draws: of all members of the mixture */
    bool labelled;

    /* of F(x) */
    double accuracy, nll, ece, brier;
    double
        expected_nll; /* mean_i -1/T sum_t log p_t(y_i | x_i): the ELBO's likelihood term an image, negated */
    double
        expected_nll_error; /* its standard error for other draws, on these images; NaN for one draw and for mixtures */
    double entropy, mutual_information; /* means over images, nats */
    /* The mutual information of a mixture's draws in two: mean_m H[F_m] - mean_{m,t} H[p_mt], what weight draws disagree about,
     * and H[F] - mean_m H[F_m], what members do. NaN for one member. */
    double within_members, between_members;
    double aurc;

    /* over the orbit; with one group element they are those of F(x), agreements 1 and the rest 0. The agreements, the
     * symmetric KL and the plug-in defect have a noise floor: of an exactly invariant predictive too, the mean of T draws
     * is not invariant, and their distance from 1 falls as 1/sqrt(T), from 0 as 1/T. defect_unbiased has none. */
    double accuracy_orbit, nll_orbit, ece_orbit, brier_orbit;

    /* For new images, under the same draws; over the orbit an image and its views are one observation (a cluster). Of means
     * over images: the standard deviation over images (n - 1) over sqrt n. Of the ECE, which is none: the jackknife, that is
     * sqrt((n - 1)/n sum_i (e_i - mean e)^2) with e_i the ECE without image i, bins fixed (Efron and Stein, Ann. Stat. 9,
     * 1981). Where a bin is calibrated its |accuracy - confidence| has a kink, and the jackknife is too large. NaN without
     * labels and for one image. */
    bnn_standard_errors standard_error, standard_error_orbit;

    /* One class at a time (NULL without labels), and means over the classes that have images, each class alike. balanced_nll:
     * the mean over classes of the class's mean. auroc: over classes with images, where there are at least two: MedMNIST's. */
    bnn_class_figures *of_class; /* (classes) */
    size_t *confusion,
        *confusion_orbit; /* (classes, classes): images by label (row) and prediction (column); of the orbit,
                                          * order of them an image */
    double balanced_accuracy, balanced_nll, auroc;
    double balanced_accuracy_orbit, auroc_orbit;

    double orbit_mutual_information;
    double orbit_agreement, orbit_identity_agreement;
    double symmetric_kl_mean, symmetric_kl_std; /* std over images and g != e (population) */

    double defect_plugin, defect_plugin_std; /* std over images (population) */
    /* mean_t mean_i mean_g ||p_t(g.x_i) - p_t(x_i)||^2, without bias: how far single draws are from equivariance, where p_t(g.x)
     * and p_t(x) are of one draw (bnn_evaluate: NaN where they are not). T plugin = single_draw + (T - 1) unbiased. */
    double defect_single_draw;
    double defect_unbiased; /* bnn_evaluate: at w = mu, without noise, the plug-in one */
    /* Of defect_unbiased, for new images and new draws alike, both samples being crossed (draws are shared by
     * the images). In one pass and without resampling, by Hoeffding's decomposition:
     *     (variance over images of the image's unbiased defect)/N + V - B,
     * V the variance of the U-statistic in the draws of the Gram matrix M_st = mean_{i,g} <d_s(g), d_t(g)>,
     * and B what the two have in common, from the same variance of every image's own Gram matrix. V's
     * estimate has no bias until it is kept from falling below what is possible; formulas and sources are at
     * the head of src/metrics/defect.c. NaN below 4 draws or 2 images.
     *
     * Where the defect is well above the error, its square is right on average (0.9 to 1.25 times the variance); but as it
     * is estimated from few images and draws, estimate +- 2 errors cover the truth less often than the normal 95 %: in
     * simulations 91 to 95 % from 10 images and 16 draws on, 89 to 94 % at 8 draws, 82 to 91 % at 4 draws, 86 to 92 % at 5
     * images, 67 to 83 % at 2 images. At a defect of 0 they cover more (the error is about 1.3 times too wide), at a defect
     * of the error's size 84 to 92 %.
     *
     * Time T^2 N G C. Above 256 draws M is made of the means of at most 256 blocks of consecutive draws: the pair term of V
     * becomes larger by at most about 1 %, and the error, alone of all figures, depends on the order of the draws: by less
     * than 1 % where the defect is well above it, by 7 % (standard deviation) at a defect of 0. */
    double defect_standard_error;
    double *defect_plugin_per_element;   /* (order) */
    double *defect_unbiased_per_element; /* (order) */

    /* Of an equal mixture, F = 1/M sum_m F_m with T draws p_mt a member. The members are fixed, and D_m = F_m(g.x) - F_m(x):
     *     ||F(g.x) - F(x)||^2 = 1/M^2 sum_{m,n} <D_m, D_n>.
     * defect_plugin puts dbar_m = 1/T sum_t d_mt for D_m. defect_unbiased leaves out the pairs of draws that share noise: a draw
     * with itself, and draws of the same number of members on one stream,
     *     1/M^2 [ sum_{m != n} <dbar_m, dbar_n> + sum_m (||sum_t d_mt||^2 - sum_t ||d_mt||^2)/(T(T-1)) ]
     * where no members share one. Its standard error is that of the U-statistic in the draws 1/M sum_m p_mt, t = 1..T, whose
     * variance is no less, and about 1/T more at a defect of 0. With T = 1 it is NaN; if the members are deterministic,
     * the plug-in is exact.
     *
     * ..._of_members: the same of the first 1, 2, ... members. defect_of_all_members: mean over m != n of the estimate of
     * <D_m, D_n>, without bias that of infinitely many members trained like these (Gerken and Kessel, "Emergent Equivariance
     * in Deep Ensembles", 2024: 0 in the limit of infinite width under full augmentation); NaN for one member. */
    double *defect_plugin_of_members, *defect_unbiased_of_members; /* (members) */
    double defect_of_all_members;

    bnn_reliability_bin reliability[BNN_ECE_BINS], reliability_orbit[BNN_ECE_BINS]; /* F(x), every F(g.x) */

    /* one figure an image, for OOD scores and for the images whose prediction changes most over the orbit */
    double *image_entropy, *image_mutual_information, *image_orbit_mutual_information; /* (images) */
    double *image_defect; /* (images) plug-in: mean_g ||F(g.x) - F(x)||^2 */
    double *image_correct,
        *image_nll; /* (images) 1 or 0, and -log F(x)_y, whose means are accuracy and nll */
    double *image_correct_orbit,
        *image_nll_orbit; /* (images) means over the orbit; all four NaN without labels */

    double *predictive; /* (images, order, classes) F(g.x_i), with the temperature */
    uint32_t *labels;   /* (images), or NULL */
} bnn_metrics;

/* Accumulates figures over chunks of images, so that memory stays bounded: of an image, F over the orbit and a few numbers are
 * kept.
 * The figures do not depend on how the images are cut into chunks. One thread at a time. */
typedef struct bnn_metrics_accumulator bnn_metrics_accumulator;

/* At least one draw, group element and class. The caller releases with bnn_metrics_discard. */
bnn_status bnn_metrics_begin(size_t draws, size_t order, size_t classes,
                             bnn_metrics_accumulator **accumulator, bnn_error *error);

/* The same of the equal mixture of `members` predictives with `draws` draws each, whose draws stand after each other: member m
 * has the draws m*draws .. (m+1)*draws - 1 of what is added. `streams` (members): members of the same number share the noise of
 * draws of the same number; NULL: no two do. */
bnn_status bnn_metrics_begin_mixture(size_t members, size_t draws, const uint64_t *streams, size_t order,
                                     size_t classes, bnn_metrics_accumulator **accumulator, bnn_error *error);

/* Before the first chunk: what a label scores (accuracy, NLL, ECE, Brier score, AURC, the figures of classes but their entropies)
 * is that of F_T = F^(1/T) / sum_c F_c^(1/T) (bnn_temper) instead of F. What is made of draws, expected_nll, entropies, mutual
 * informations, agreements, symmetric KL and defects, stays that of F. */
void bnn_metrics_set_temperature(bnn_metrics_accumulator *accumulator, double temperature);

/* What is known of a chunk of images better than their probabilities tell. A member that is NULL follows from these, where
 * a probability below DBL_MIN counts as DBL_MIN: no log-likelihood is then less than -708.4 nats. */
typedef struct bnn_image_terms {
    const double *log_likelihood;          /* (order, images): log F(g.x_i)_y */
    const double *expected_log_likelihood; /* (images): mean over F's members of log p(y_i | x_i, member) */
    const double *conditional_entropy;     /* (images): mean over F's members of H[p(. | x_i, member)] */
    const double
        *draw_log_likelihood; /* (draws, images): as expected_log_likelihood, of one draw's members */
} bnn_image_terms;

/* Adds a chunk: probabilities (draws, order, images, classes); labels (images) or NULL (all chunks alike); terms or NULL,
 * whose likelihoods are used where there are labels. The members of F are its draws, unless its maker knows of more.
 * BNN_BAD_INPUT, and nothing is added, unless every probability is finite and not negative, every row sums to 1 within
 * BNN_ROW_SUM_TOLERANCE and every label is a class. */
bnn_status bnn_metrics_add(bnn_metrics_accumulator *accumulator, const double *probabilities, size_t images,
                           const uint32_t *labels, const bnn_image_terms *terms, bnn_error *error);

/* *metrics <- the figures of all chunks so far (at least one image); the caller frees them. */
bnn_status bnn_metrics_end(bnn_metrics_accumulator *accumulator, bnn_metrics **metrics, bnn_error *error);
void bnn_metrics_discard(
    bnn_metrics_accumulator *accumulator); /* NULL is legal; also after bnn_metrics_end */
void bnn_metrics_free(bnn_metrics *metrics);

/* AURC: mean over k = 1..n of the share of errors among the k most confident; a block of equal confidences counts as the
 * mean over its orders. correct[i] is 1 or 0. NaN when n = 0 or a `correct` is NaN. */
bnn_status bnn_aurc(const double *confidence, const double *correct, size_t n, double *aurc,
                    bnn_error *error);

/* AUROC of a score that should be larger out of distribution: P(s_ood > s_id) + 1/2 P(tie). NaN when either
 * set is empty or holds a NaN. */
bnn_status bnn_auroc(const double *in_distribution, size_t n, const double *out_of_distribution, size_t m,
                     double *auroc, bnn_error *error);

/* counts (bins) <- how many of n values lie in each of the equal bins of 0..most, ends closed on the left; the last bin takes
 * what lies above, the first what lies below. NaN is not counted. */
void bnn_histogram(const double *values, size_t n, double most, size_t bins, double *counts);

#endif
