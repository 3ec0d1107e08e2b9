/* What the data formats share; one row of bnn_data_sources and one file each. Floor 2. */
#ifndef BNN_DATA_H
#define BNN_DATA_H

#include <stdbool.h>

#include "bnn/dataset.h"

#define BNN_DATA_PATH 1400 /* a folder of bnn_data_paths and a file's name */

/* The loaders of bnn_data_sources. */
bnn_status bnn_load_fashion_mnist(const bnn_data_paths *paths, bnn_split split, bnn_dataset **dataset,
                                  bnn_error *error);
bnn_status bnn_load_mnist(const bnn_data_paths *paths, bnn_split split, bnn_dataset **dataset,
                          bnn_error *error);
bnn_status bnn_load_cifar10(const bnn_data_paths *paths, bnn_split split, bnn_dataset **dataset,
                            bnn_error *error);
bnn_status bnn_load_cifar100(const bnn_data_paths *paths, bnn_split split, bnn_dataset **dataset,
                             bnn_error *error);
bnn_status bnn_load_files(const bnn_data_paths *paths, bnn_split split, bnn_dataset **dataset,
                          bnn_error *error);

/* The files of a split that a known data set comes in. */
typedef struct bnn_data_files {
    const char *const *names; /* NULL-terminated, without ".gz" */
    const char *subdirectory; /* where its archive unpacks them, looked into too: "x/"; or "" */
    const char *remedy;       /* how to get it */
} bnn_data_files;

/* found[i] <- the path of file i, plain or .gz. They all lie in one folder: data.dir when it is set,
 * otherwise data/NAME or else /usr/share/datasets/NAME. The error names the files, the folders and the
 * remedy. */
bnn_status bnn_data_find(const bnn_data_paths *paths, const bnn_data_files *files,
                         char found[][BNN_DATA_PATH], bnn_error *error);

/* An empty data set of this shape: images zero, labels zero or, unless `labelled`, NULL. `name` is for
 * messages. */
bnn_status bnn_dataset_create(const char *name, size_t count, size_t channels, size_t height, size_t width,
                              bool labelled, bnn_dataset **dataset, bnn_error *error);

/* table[x] <- (x/255 - 0.5)/0.5: black is -1, white is 1. */
void bnn_pixel_scale(bnn_real table[256]);

#endif
