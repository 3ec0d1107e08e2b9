/* The weight of the KL over the epochs: warm-up, ramp and free bits. */
#ifndef BNN_SRC_RUN_KL_SCHEDULE_H
#define BNN_SRC_RUN_KL_SCHEDULE_H

#include <stddef.h>

#include "bnn/config.h"
#include "bnn/posterior.h"

/* The share of beta in an epoch (from 0): none in the warm-up, then a linear ramp (src/README.md). */
double bnn_kl_ramp(const bnn_config *config, size_t epoch);

/* factors (layers) <- each layer's share of beta in an epoch: the ramp, which the last layer may have of its own, and nothing
 * where a layer's KL is within its free bits (Kingma et al., "Improved Variational Inference with Inverse Autoregressive Flow",
 * 2016, eq. 15: max(lambda, KL) has no slope there). */
void bnn_kl_factors(const bnn_config *config, const bnn_posterior *posterior, size_t epoch, double *factors);

#endif
