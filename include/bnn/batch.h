/* Batches: the items of an epoch in a shuffled order, each image warped where data.augment says so, and then moved by its group
 * element. */
#ifndef BNN_BATCH_H
#define BNN_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "bnn/config.h"
#include "bnn/dataset.h"
#include "bnn/group.h"
#include "bnn/mode.h"
#include "bnn/warp.h"

typedef struct bnn_batches {
    const bnn_dataset *dataset;    /* borrowed */
    const bnn_grid_action *action; /* borrowed */
    bnn_plan plan;
    bnn_warp_limits augment;
    uint64_t seed;
    size_t epoch;
    size_t items;      /* of an epoch: dataset->count * plan.repeats */
    size_t batch_size; /* items a batch */
    size_t batches;    /* whole batches in an epoch; the last incomplete one is dropped */
    size_t *order;     /* (items) */
    bnn_real *images;  /* (batch_size, views, C, H, W): the batch filled last */
    bnn_real
        *warped; /* (batch_size, C, H, W): its images before the group acts; NULL where nothing is warped */
    uint32_t *labels; /* (batch_size) */
    double *weights; /* (batch_size) of the items in the likelihood that is trained, 1 without data.balance */
    double *counts;  /* (batch_size) and what they stand for of the data as it is: see bnn_batches_balance */

    bnn_balance balance;
    size_t classes;      /* largest label + 1 */
    size_t *class_begin; /* (classes + 1) into by_class */
    size_t *by_class;    /* (count) images in the order of their classes */
} bnn_batches;

/* BNN_BAD_INPUT when an epoch has fewer items than a batch, or images are smaller than their shifts. The warp of an image
 * depends on the seed, the epoch and its place in the data set alone: in an epoch, all its items and views are the group's
 * orbit of one warped image. */
bnn_status bnn_batches_create(const bnn_dataset *dataset, const bnn_grid_action *action, const bnn_plan *plan,
                              const bnn_warp_limits *augment, size_t batch_size, uint64_t seed,
                              bnn_batches **batches, bnn_error *error);
void bnn_batches_free(bnn_batches *batches);

/* data.balance: lets each of the C classes that have images count alike, where it is not none. With n_c of N0 images in class c,
 *     weights    an item of class c has the weight N0/(C n_c), whose mean over the images is 1: N stays;
 *     sampling   an epoch has as many items as without, of every class the same number (but for 1). All items of a class are taken
 *                equally often, but for 1, the last ones by a draw of their own each epoch.
 * An item's count is such that the mean over an epoch of count x nll estimates that of all images as they are: 1 with weights,
 * with sampling items of its class in the data over those in the epoch. */
bnn_status bnn_batches_balance(bnn_batches *batches, bnn_balance balance, bnn_error *error);

/* The weight of a class under either, 1 without balance, 0 where it has no image. */
double bnn_batches_class_weight(const bnn_batches *batches, size_t label);

/* Tells, in lines, what a balance does and what is then claimed. */
void bnn_batches_describe(const bnn_batches *batches, void (*message)(void *context, const char *line),
                          void *context);

/* Shuffles the items for an epoch; the order depends on the seed and the epoch alone. */
void bnn_batches_shuffle(bnn_batches *batches, size_t epoch);

/* Fills images and labels with batch `index` of the epoch. */
void bnn_batches_fill(bnn_batches *batches, size_t index, int threads);

#endif
