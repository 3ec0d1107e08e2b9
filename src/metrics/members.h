/* The members of an equal mixture: what two of them have in common, of the defect, and their entropies. Internal to the
 * metrics; bnn/metrics.h has the estimators. */
#ifndef BNN_METRICS_MEMBERS_H
#define BNN_METRICS_MEMBERS_H

#include <stddef.h>
#include <stdint.h>

#include "bnn/status.h"

typedef struct bnn_members {
    size_t count, draws, order, classes; /* draws: of each member */
    uint64_t *streams;                   /* (count) members of one number share their noise */
    double *difference;                  /* (count, draws, classes) scratch: d_mt of one element */
    double *sum;                         /* (count, classes) scratch: sums over draws */
    double *plugin,
        *unbiased; /* (count, count), column <= row: products of pairs, sums over images of means over g */
} bnn_members;

/* `streams` (count), or NULL where no two members share one. */
bnn_status bnn_members_create(size_t count, size_t draws, size_t order, size_t classes,
                              const uint64_t *streams, bnn_members **members, bnn_error *error);
void bnn_members_free(bnn_members *members); /* NULL is legal */

/* One image's p_mt(g.x) (count, draws, order, classes): adds the pairs' products of element g, and returns the unbiased
 * estimate of ||F(g.x) - F(x)||^2, NaN at one draw a member. */
double bnn_members_add(bnn_members *members, const double *probabilities, size_t g);

/* mean_m H[F_m(x)] of such an image. */
double bnn_members_entropy(bnn_members *members, const double *probabilities);

/* plugin, unbiased (count) <- the defects of the mixtures of the first 1, 2, ... members, means over `images`; returns the
 * defect of infinitely many (bnn/metrics.h), NaN for one. */
double bnn_members_defects(const bnn_members *members, size_t images, double *plugin, double *unbiased);

#endif
