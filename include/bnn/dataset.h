/* Labelled images in memory, and the formats they come in: one row of bnn_data_sources, one file each.
 * Floor 2. */
#ifndef BNN_DATASET_H
#define BNN_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "bnn/real.h"
#include "bnn/status.h"

/* Labelled images; labels may be NULL (prediction needs none). */
typedef struct bnn_dataset {
    size_t count, channels, height, width;
    size_t classes;      /* of the data set when known, else largest label + 1, else 0 */
    bnn_real background; /* the value of a black pixel: -1 after scaling uint8, 0 for floats */
    bnn_real *images;    /* (count, channels, height, width) */
    uint32_t *labels;    /* (count) */
} bnn_dataset;

void bnn_dataset_free(bnn_dataset *dataset);

/* Where a data set's files are: the `data` section of a configuration (DESIGN section 8). Empty strings are
 * unset. */
typedef struct bnn_data_paths {
    char name[32];
    char dir[1024];
    char train_images[1024], train_labels[1024], test_images[1024], test_labels[1024];
    char path[1024];
} bnn_data_paths;

typedef enum bnn_split { BNN_TRAIN, BNN_TEST } bnn_split;

typedef struct bnn_data_source {
    const char *name; /* "fashion-mnist" */
    bnn_status (*load)(const bnn_data_paths *paths, bnn_split split, bnn_dataset **dataset, bnn_error *error);
} bnn_data_source;

/* Every source, NULL-name-terminated: fashion-mnist, mnist, cifar10, cifar100, idx, npy. */
extern const bnn_data_source bnn_data_sources[];

/* Loads a split of paths->name; an unknown name's error lists the known ones. */
bnn_status bnn_dataset_load(const bnn_data_paths *paths, bnn_split split, bnn_dataset **dataset,
                            bnn_error *error);

/* Images from one file, by its contents: IDX (.gz or plain) or .npy. `labels_path` may be NULL.
 * uint8 is scaled to (x/255 - 0.5)/0.5; floats are taken as they are. npy: (N,H,W), (N,C,H,W) or (N,H,W,C)
 * with C in {1, 3, 4}, channels first preferred when both fit; labels (N) or (N,1). Labels must be integers
 * in 0..classes-1 when classes > 0. */
bnn_status bnn_dataset_read(const char *images_path, const char *labels_path, size_t classes,
                            bnn_dataset **dataset, bnn_error *error);

/* *labels (count; freed with free()) <- those of a file in any array format: (N) or (N,1) of exactly `count` integers, of any
 * type, in 0..classes-1; classes 0: in 0..65535. */
bnn_status bnn_labels_read(const char *path, size_t count, size_t classes, uint32_t **labels,
                           bnn_error *error);

/* The rows `indices` (n) of a data set, as a new one. */
bnn_status bnn_dataset_subset(const bnn_dataset *from, const size_t *indices, size_t n, bnn_dataset **dataset,
                              bnn_error *error);

/* Adds `pad` background pixels on every side, in place. */
bnn_status bnn_dataset_pad(bnn_dataset *dataset, size_t pad, bnn_error *error);

#endif
