#include "bnn/posterior.h"

#include <stdlib.h>
#include <string.h>

bnn_status bnn_posterior_create(const bnn_network *network, const struct bnn_family *family,
                                bnn_posterior **posterior, bnn_error *error)
{
    const size_t n = network->parameter_count;
    *posterior = NULL;
    bnn_posterior *q = bnn_alloc(1, sizeof *q);
    if (!q) return bnn_no_memory(error, "a posterior", 1, sizeof *q);
    q->network = network;
    q->family = family;
    q->count = n;
    q->mu = bnn_alloc(n, sizeof *q->mu);
    q->rho = bnn_alloc(n, sizeof *q->rho);
    q->prior_mean = bnn_alloc(n, sizeof *q->prior_mean);
    q->prior_std = bnn_alloc(n, sizeof *q->prior_std);
    if (!q->mu || !q->rho || !q->prior_mean || !q->prior_std) {
        bnn_posterior_free(q);
        return bnn_no_memory(error, "a posterior", n, sizeof *q->mu);
    }
    for (size_t j = 0; j < n; j++) q->prior_std[j] = 1;
    *posterior = q;
    return BNN_OK;
}

void bnn_posterior_free(bnn_posterior *posterior)
{
    if (!posterior) return;
    free(posterior->mu);
    free(posterior->rho);
    free(posterior->prior_mean);
    free(posterior->prior_std);
    free(posterior->sign);
    free(posterior);
}

void bnn_posterior_copy(bnn_posterior *dst, const bnn_posterior *src)
{
    const size_t bytes = src->count * sizeof *src->mu;
    memcpy(dst->mu, src->mu, bytes);
    memcpy(dst->rho, src->rho, bytes);
    memcpy(dst->prior_mean, src->prior_mean, bytes);
    memcpy(dst->prior_std, src->prior_std, bytes);
    if (dst->sign && src->sign) memcpy(dst->sign, src->sign, bytes);
    dst->random_prior = src->random_prior;
}
