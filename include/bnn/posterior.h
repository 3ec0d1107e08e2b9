/* The mean-field variational posterior q(w) = prod_j q(w_j; mu_j, sigma_j), sigma = softplus(rho), its prior
 * and its families. DESIGN section 1; Blundell et al., "Weight Uncertainty in Neural Networks" (2015), eq. 3-8.
 * Floor 4: knows a network's parameter vector. */
#ifndef BNN_POSTERIOR_H
#define BNN_POSTERIOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bnn/network.h"
#include "bnn/real.h"
#include "bnn/status.h"

struct bnn_family;

typedef struct bnn_posterior {
    const bnn_network *network;      /* borrowed */
    const struct bnn_family *family; /* a row of bnn_families */
    size_t count;                    /* network->parameter_count */
    bnn_real *mu;                    /* (count) */
    bnn_real *rho;                   /* (count) */
    bnn_real *prior_mean;            /* (count) m_j */
    bnn_real *prior_std;             /* (count) s_j > 0 */
    bnn_real *sign;                  /* (count) +1 or -1: the fixed sign buffer of a lognormal family, else NULL */
    bool random_prior;               /* prior_mean is a draw, not zero: written to files */
} bnn_posterior;

/* A posterior with mu = 0, rho = 0, prior N(0, 1), for `network`, which must outlive it. */
bnn_status bnn_posterior_create(const bnn_network *network, const struct bnn_family *family,
                                bnn_posterior **posterior, bnn_error *error);
void bnn_posterior_free(bnn_posterior *posterior);

/* Deep copy of src's figures into dst of the same network. */
void bnn_posterior_copy(bnn_posterior *dst, const bnn_posterior *src);

#endif
