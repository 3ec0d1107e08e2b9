/* What the files of the metrics share. Internal to the room. */
#ifndef BNN_METRICS_FIGURES_H
#define BNN_METRICS_FIGURES_H

#include <stddef.h>
#include <stdint.h>

#include "bnn/metrics.h"

/* The argmax, the lowest of equal ones. */
size_t bnn_metrics_largest(const double *p, size_t classes);

/* The reliability bin of a confidence. */
size_t bnn_metrics_bin(double confidence);

/* of_class, confusions, balanced figures and AUROCs of labelled metrics, from predictive, labels, image_entropy, ... and nll
 * (images). The arrays of classes have been made. BNN_FAILED: no memory. */
bnn_status bnn_measure_classes(const double *nll, bnn_metrics *metrics, bnn_error *error);

/* The standard error of the mean of n values; NaN for one. */
double bnn_mean_error(const double *values, size_t n);

/* That of the ECE by the jackknife over images, each with its first `views` of `order` predictions (images, order, classes). */
double bnn_ece_error(const double *predictive, const uint32_t *labels, size_t images, size_t order,
                     size_t views, size_t classes);

#endif
