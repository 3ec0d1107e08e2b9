/* The sample sweep: the defect as a function of the number of draws, with independent repeats, to see the
 * Monte-Carlo error of the plug-in and of the unbiased estimate fall. Arrays in, numbers out. */
#ifndef BNN_SWEEP_H
#define BNN_SWEEP_H

#include <stddef.h>

#include "bnn/status.h"

/* The defect from T draws over the same images: mean and standard deviation (sample, NaN at one repeat)
 * across repeats. The unbiased figures are NaN at T = 1. */
typedef struct bnn_sweep_row {
    size_t draws; /* T */
    double plugin_mean, plugin_std;
    double unbiased_mean, unbiased_std;
} bnn_sweep_row;

/* Accumulates over chunks of images. One thread at a time. */
typedef struct bnn_sweep bnn_sweep;

/* T = 1, 2, 4, ... up to max_draws, `repeats` times with draws of their own. All sizes at least 1. */
bnn_status bnn_sweep_create(size_t max_draws, size_t repeats, size_t order, size_t classes, bnn_sweep **sweep,
                            bnn_error *error);
void bnn_sweep_free(bnn_sweep *sweep); /* NULL is legal */

/* Adds a chunk: probabilities (repeats*max_draws, order, images, classes), element 0 the identity. Repeat r
 * uses the draws r*max_draws .. r*max_draws + T - 1. */
void bnn_sweep_add(bnn_sweep *sweep, const double *probabilities, size_t images);

/* The number of values of T, and the rows (levels) of all chunks so far, by growing T. */
size_t bnn_sweep_levels(const bnn_sweep *sweep);
void bnn_sweep_end(const bnn_sweep *sweep, bnn_sweep_row *rows);

#endif
