/* Calibration after training: a temperature, and prediction sets with a given coverage. Arrays in, numbers out.
 *
 * The temperature acts on the predictive itself, not on logits or draws: F_T(x)_c = F(x)_c^(1/T) / sum_k F(x)_k^(1/T), with F the
 * mean over draws (and, group-averaged, over the group). It is a function of F(x) alone: argmaxes stay, and where F(g.x) = F(x)
 * bit for bit, so has F_T, and so have sets made from it.
 *
 * Sets are split-conformal (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; Angelopoulos and Bates,
 * arXiv:2107.07511): from n images that nothing else was fitted to, q <- the k-th smallest of their scores s(x_i, y_i), k =
 * ceil((n + 1) c); the set of x is {y : s(x, y) <= q}. If those images and a new one are exchangeable, P(y in set) >= c,
 * and at most c + 1/(n+1) where no two scores are equal, whatever the model. This is on average over calibrations; given one,
 * the coverage varies as a Beta(k, n + 1 - k), whose deviation is about sqrt(c (1 - c)/n). Scores:
 *     lac  1 - F(x)_y (Sadinle, Lei and Wasserman 2019): the smallest sets on average; a set may be empty
 *     aps  sum of F(x)_c over c with F(x)_c > F(x)_y: the mass of what is more probable (Romano, Sesia and Candes 2020, with their
 *          U = 0: not randomised, so a set is a function of the image). It has the most probable class always. Where that alone
 *          is right more often than c, all scores up to q are 0, and coverage is the accuracy. */
#ifndef BNN_CALIBRATION_H
#define BNN_CALIBRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bnn/metrics.h"
#include "bnn/status.h"

/* tempered (classes) <- F_T; may be F itself. At T = 1 it is F bit for bit. A probability below DBL_MIN counts as DBL_MIN. */
void bnn_temper(const double *probabilities, size_t classes, double temperature, double *tempered);

/* Temperatures outside are not looked for: there, a likelihood still grows where every image is predicted right (T -> 0) or no
 * better than at random (T -> infinity). */
#define BNN_LEAST_TEMPERATURE 0.01
#define BNN_MOST_TEMPERATURE 100.0

/* The temperature of the largest mean log F_T(x_i)_(y_i) between the two bounds; probabilities (images, classes), labels (images).
 * The negated mean is convex in 1/T, and the root of its derivative is found by bisection. */
double bnn_fit_temperature(const double *probabilities, const uint32_t *labels, size_t images,
                           size_t classes);

typedef enum bnn_set_method { BNN_SETS_LAC, BNN_SETS_APS } bnn_set_method;
extern const char *const bnn_set_method_names[]; /* "lac", "aps", NULL */

/* What a model keeps of its calibration. */
typedef struct bnn_calibration {
    double temperature; /* 1: none */
    size_t images;      /* that it was made from; 0: the model is not calibrated, and what follows is unset */
    int method;         /* bnn_set_method */
    double wanted;      /* c */
    double threshold;   /* q, of scores of F_T */
    /* of the predictive that was calibrated */
    size_t samples; /* draws; 0: w = mu */
    char group[32]; /* averaged over it; empty: not */
} bnn_calibration;

/* The score of a class. */
double bnn_set_score(bnn_set_method method, const double *probabilities, size_t classes, size_t label);

/* q of the scores of `images` images. BNN_BAD_INPUT when k is more than those, so that every set would have every class: it names
 * the images needed. */
bnn_status bnn_set_threshold(bnn_set_method method, const double *probabilities, const uint32_t *labels,
                             size_t images, size_t classes, double wanted, double *threshold,
                             bnn_error *error);

/* set (classes) <- 1 for the classes in the set of F_T, else 0; returns their number. */
size_t bnn_set_of(const bnn_calibration *calibration, const double *probabilities, size_t classes,
                  uint8_t *set);

/* Prediction sets of evaluated images. Coverages are NaN without labels. */
typedef struct bnn_set_figures {
    size_t order, classes;
    double coverage, mean_size;           /* of the set of x */
    double standard_error;                /* of coverage, over images: other images, the same calibration */
    double empty;                         /* share of images with an empty set */
    double *of_class, *of_class_size;     /* (classes) coverage and mean size, by label; NaN without images */
    double *of_element, *of_element_size; /* (order) of the sets of g.x */
    double agreement; /* mean over images and g of whether the sets of g.x and x are the same */
} bnn_set_figures;

/* From metrics->predictive and labels, which have to be those of F_T; freed with bnn_set_figures_free. */
bnn_status bnn_measure_sets(const bnn_calibration *calibration, const bnn_metrics *metrics,
                            bnn_set_figures **figures, bnn_error *error);
void bnn_set_figures_free(bnn_set_figures *figures); /* NULL is legal */

#endif
