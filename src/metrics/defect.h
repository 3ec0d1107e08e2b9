/* The defect of one image after another, and what its standard error needs. Internal to the metrics. */
#ifndef BNN_METRICS_DEFECT_H
#define BNN_METRICS_DEFECT_H

#include <stdbool.h>
#include <stddef.h>

#include "bnn/status.h"
#include "metrics/members.h"

/* Gram matrices are at most this wide: more draws are grouped into blocks for the standard error. */
#define BNN_DEFECT_MAX_BLOCKS 256

typedef struct bnn_defect {
    size_t members, draws, order, classes, images; /* draws: of each member of the mixture */
    bnn_members *pairs;
    size_t blocks;           /* <= draws, BNN_DEFECT_MAX_BLOCKS */
    double *difference;      /* (order*classes, blocks): block means of mean_m d_mt(g) */
    double *gram, *gram_sum; /* (blocks, blocks), below the diagonal: image, all */
    double *row_sum;         /* (blocks) scratch */
    double *plugin_per_element, *unbiased_per_element; /* (order): sums over images */
    double image_draw_variance_sum;                    /* over images: draw variance of the image's figure */
} bnn_defect;

/* `streams` as in bnn_members_create. */
bnn_status bnn_defect_create(size_t members, size_t draws, size_t order, size_t classes,
                             const uint64_t *streams, bnn_defect **defect, bnn_error *error);
void bnn_defect_free(bnn_defect *defect);

/* One image: p_t(g.x) as (members, draws, order, classes) and their mean over draws (order, classes); *plugin, *unbiased and
 * *single receive the image's figures (unbiased is NaN at one draw), the last the mean over draws of a draw's own. */
void bnn_defect_add(bnn_defect *defect, const double *probabilities, const double *mean, double *plugin,
                    double *unbiased, double *single);

/* The standard error of the mean over images of the unbiased figure, given the images' figures. */
double bnn_defect_standard_error(bnn_defect *defect, const double *unbiased);

#endif
