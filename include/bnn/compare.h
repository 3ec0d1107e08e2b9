/* Whether one configuration differs from another: paired over seeds, and over the images of one test set. Arrays in, numbers out.
 *
 * Over n pairs (run i and baseline i have the same seed) with differences d_i = run_i - baseline_i: their mean, its standard
 * error s/sqrt(n) with s their standard deviation (n - 1), the interval mean +- t_.975(n - 1) s/sqrt(n), which covers 95 % where
 * the d_i are normal, and the p-value of the sign-flip test (Fisher, The Design of Experiments, 1935, section 21): under the
 * hypothesis that each d_i is as likely as -d_i, the probability of a |sum d_i| at least as large. It needs no normality; with n
 * pairs it is never below 2/2^n, which five pairs cannot bring under .05. */
#ifndef BNN_COMPARE_H
#define BNN_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

#include "bnn/rng.h"
#include "bnn/status.h"

#define BNN_COMPARE_LEVEL 0.95
#define BNN_MOST_FLIPPED 20        /* pairs whose 2^n sign flips are all looked at */
#define BNN_SIGN_FLIPS 99999       /* that are drawn for more pairs */
#define BNN_BOOTSTRAP_SAMPLES 9999 /* (B + 1) (1 - level)/2 = 250 is an integer */

/* The standard deviations (n - 1), the error and the interval are NaN for one pair. */
typedef struct bnn_comparison {
    size_t pairs;
    double mean, std;                   /* of the run */
    double baseline_mean, baseline_std; /* of the baseline */
    double mean_difference, standard_error, low, high;
    double
        p_value; /* exact, or for more than BNN_MOST_FLIPPED pairs (1 + b)/(1 + B), b of B drawn flips being as large */
    double least_p_value; /* that so many pairs can have: 2/2^n, or 1/(1 + B) */
} bnn_comparison;

/* run, baseline (pairs), at least one and finite; `stream` is that of the drawn flips. Sums that differ by less than 1e-9 of
 * sum |d_i| count as equal: figures are counts over images, and so many flips tie but for rounding. */
void bnn_compare_pairs(const double *run, const double *baseline, size_t pairs, bnn_stream stream,
                       bnn_comparison *comparison);

/* P(|T| < t) of Student's t with `freedom` >= 1 degrees, t >= 0: the finite sums for integer degrees (Abramowitz and Stegun,
 * Handbook of Mathematical Functions, 1964, 26.7.3 and 26.7.4). And the t of such a probability in [0, 1 - 1e-9], by bisection. */
double bnn_student_within(double t, size_t freedom);
double bnn_student_interval(double probability, size_t freedom);

/* McNemar's test (Psychometrika 12, 1947) as the exact two-sided binomial test: of the images that just one of two models gets
 * right, run_only and baseline_only, each is as likely to be of either kind. min(1, 2 P(X <= min)), X of Bin(run_only +
 * baseline_only, 1/2); 1 without any. */
double bnn_mcnemar(size_t run_only, size_t baseline_only);

/* low, high (columns) <- the percentile interval of BNN_COMPARE_LEVEL of the mean of each column of values (n, columns), over
 * BNN_BOOTSTRAP_SAMPLES samples of n rows drawn with replacement (Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
 * section 13.3). A row is one observation: what depends on each other, as the views of an image, belongs into one row, summed.
 * All columns see the same samples. 1 <= n < 2^32. */
bnn_status bnn_bootstrap_means(const double *values, size_t n, size_t columns, bnn_stream stream, double *low,
                               double *high, bnn_error *error);

#endif
