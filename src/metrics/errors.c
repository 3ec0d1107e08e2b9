/* Standard errors over images. */
#include <math.h>

#include "metrics/figures.h"

double bnn_mean_error(const double *values, size_t n)
{
    const double count = (double)n;
    double mean = 0, squares = 0;
    if (n < 2) return NAN;
    for (size_t i = 0; i < n; i++) mean += values[i] / count;
    for (size_t i = 0; i < n; i++) squares += (values[i] - mean) * (values[i] - mean);
    return sqrt(squares / (count - 1) / count);
}

/* gaps (bins) += sign (correct - confidence) of the views of one image. */
static void add_gaps(const double *p, uint32_t label, size_t views, size_t classes, double sign, double *gaps)
{
    for (size_t g = 0; g < views; g++, p += classes) {
        const size_t predicted = bnn_metrics_largest(p, classes);
        gaps[bnn_metrics_bin(p[predicted])] += sign * ((double)(predicted == label) - p[predicted]);
    }
}

/* ECE = sum_b |A_b| / (n views), A_b the sum of correct - confidence in bin b; without image i, A_b lacks its views. */
double bnn_ece_error(const double *predictive, const uint32_t *labels, size_t images, size_t order,
                     size_t views, size_t classes)
{
    const size_t stride = order * classes;
    const double n = (double)images;
    double gaps[BNN_ECE_BINS] = {0}, mean = 0, squares = 0;
    if (images < 2) return NAN;
    for (size_t i = 0; i < images; i++) add_gaps(predictive + i * stride, labels[i], views, classes, 1, gaps);
    for (size_t i = 0; i < images; i++) {
        double without[BNN_ECE_BINS], error = 0;
        for (size_t b = 0; b < BNN_ECE_BINS; b++) without[b] = gaps[b];
        add_gaps(predictive + i * stride, labels[i], views, classes, -1, without);
        for (size_t b = 0; b < BNN_ECE_BINS; b++) error += fabs(without[b]) / ((n - 1) * (double)views);
        const double from_mean =
            error - mean; /* Welford's recurrence: the errors differ in the last digits */
        mean += from_mean / (double)(i + 1);
        squares += from_mean * (error - mean);
    }
    return sqrt((n - 1) / n * squares);
}
