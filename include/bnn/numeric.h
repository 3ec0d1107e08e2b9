/* Numerically stable elementary functions. */
#ifndef BNN_NUMERIC_H
#define BNN_NUMERIC_H

#include <stddef.h>

#include "bnn/real.h"

/* softplus(x) = log(1 + e^x), and its inverse log(e^y - 1) for y > 0. */
double bnn_softplus(double x);
double bnn_softplus_inverse(double y);

/* value (n) <- softplus(x); slope (n), where not NULL, <- its derivative. To a few units in the last place, also where
 * softplus is tiny; in float, x below -87 counts as -87, so that no sigma becomes 0. */
void bnn_softplus_array(const bnn_real *x, size_t n, bnn_real *value, bnn_real *slope);

/* 1 / (1 + e^-x), the derivative of softplus. */
double bnn_sigmoid(double x);

/* probabilities (n) <- softmax of logits (n). Returns log sum_i exp(logits_i): the log of probability i is logits_i less
 * that, also where the probability is too small for a double. */
double bnn_softmax(const bnn_real *logits, size_t n, double *probabilities);

/* -sum_i p_i log p_i in nats, of probabilities (n). */
double bnn_entropy(const double *probabilities, size_t n);

/* log(1/n sum_i exp(values_i)) of n values that lie `stride` apart; none of them is infinite or NaN. */
double bnn_log_mean_exp(const double *values, size_t n, size_t stride);

/* *sum + *rest <- *sum + *rest + x, but for the last bits of *rest (Knuth, The Art of Computer Programming 2, 4.2.2,
 * theorem B). */
void bnn_add_exactly(double *sum, double *rest, double x);

#endif
