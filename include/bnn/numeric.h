/* Numerically stable elementary functions. */
#ifndef BNN_NUMERIC_H
#define BNN_NUMERIC_H

#include <stddef.h>

#include "bnn/real.h"

/* Where e^rho is still a normal bnn_real, and squares of what is divided by it are finite in double. */
#ifdef BNN_DOUBLE
#define BNN_RHO_FLOOR (-300)
#else
#define BNN_RHO_FLOOR (-87)
#endif

/* softplus(x) = log(1 + e^x), and its inverse log(e^y - 1) for y > 0. */
double bnn_softplus(double x);
double bnn_softplus_inverse(double y);

/* sigma of a rho that bnn_real holds: its softplus, but what is below BNN_RHO_FLOOR counts as that, so that no sigma becomes 0. */
double bnn_sigma(bnn_real rho);

/* value (n) <- softplus(x); slope (n), where not NULL, <- its derivative. To a few units in the last place, also where
 * softplus is tiny; as in bnn_sigma, x below BNN_RHO_FLOOR counts as that. */
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
