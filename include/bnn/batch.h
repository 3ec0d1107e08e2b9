/* Batches: the items of an epoch in a shuffled order, each image warped where data.augment says so, and then moved by its group
 * element. */
#ifndef BNN_BATCH_H
#define BNN_BATCH_H

#include <stddef.h>
#include <stdint.h>

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
} bnn_batches;

/* BNN_BAD_INPUT when an epoch has fewer items than a batch, or images are smaller than their shifts. The warp of an image
 * depends on the seed, the epoch and its place in the data set alone: in an epoch, all its items and views are the group's
 * orbit of one warped image. */
bnn_status bnn_batches_create(const bnn_dataset *dataset, const bnn_grid_action *action, const bnn_plan *plan,
                              const bnn_warp_limits *augment, size_t batch_size, uint64_t seed,
                              bnn_batches **batches, bnn_error *error);
void bnn_batches_free(bnn_batches *batches);

/* Shuffles the items for an epoch; the order depends on the seed and the epoch alone. */
void bnn_batches_shuffle(bnn_batches *batches, size_t epoch);

/* Fills images and labels with batch `index` of the epoch. */
void bnn_batches_fill(bnn_batches *batches, size_t index, int threads);

#endif
