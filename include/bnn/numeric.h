/* Numerically stable elementary functions. Floor 1. */
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

/* probabilities (n) <- softmax of logits (n). */
void bnn_softmax(const bnn_real *logits, size_t n, double *probabilities);

#endif
