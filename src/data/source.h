/* What the sources of data share. A source is one file and one row of bnn_data_sources. */
#ifndef BNN_SOURCE_H
#define BNN_SOURCE_H

#include <stdbool.h>

#include "bnn/dataset.h"
#include "data/array.h"

#define BNN_DATA_PATH 1400 /* a folder of bnn_data_paths and a file's name */

/* The rows of bnn_data_sources. */
extern const bnn_data_source bnn_source_fashion_mnist, bnn_source_mnist, bnn_source_cifar10,
    bnn_source_cifar100, bnn_source_idx, bnn_source_npy, bnn_source_npz, bnn_source_png, bnn_source_ising;

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

/* `options` (NULL: nothing known) for a data set of at most `classes` classes. */
bnn_data_options bnn_data_options_within(const bnn_data_options *options, size_t classes);

/* The images of `parts` arrays, one after the other, and their labels: of as many arrays, or none where `labels` is NULL. What
 * is taken for images and for labels: see bnn_dataset_read. The parts have to agree on C, H and W. */
bnn_status bnn_dataset_from_arrays(const bnn_array *images, const bnn_array *labels, size_t parts,
                                   const bnn_data_options *options, bnn_dataset **dataset, bnn_error *error);

/* Gives the classes these names (NULL-terminated), where there are as many. */
bnn_status bnn_dataset_name_classes(bnn_dataset *dataset, const char *const *names, bnn_error *error);

/* Whether `packed` bytes can be `size` bytes once they are inflated: deflate makes of a byte at most 1032 (zlib's technical
 * notes, "Maximum Compression Factor"). What says otherwise in its header is not believed before memory is taken for it. */
static inline bool bnn_can_inflate_to(size_t packed, size_t size)
{
    return size / 1032 <= packed;
}

/* An empty data set of this shape: images zero, labels zero or, unless `labelled`, NULL. `name` is for
 * messages. */
bnn_status bnn_dataset_create(const char *name, size_t count, size_t channels, size_t height, size_t width,
                              bool labelled, bnn_dataset **dataset, bnn_error *error);

#endif
