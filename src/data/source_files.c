/* The user's own files, IDX or .npy: each is read by its contents, whatever its name and that of the source. */
#include "data/source.h"

static bnn_status load(const bnn_data_paths *paths, bnn_split split, const bnn_data_options *options,
                       bnn_dataset **dataset, bnn_error *error)
{
    const struct {
        const char *name, *images, *labels;
    } files[] = {[BNN_TRAIN] = {"train", paths->train_images, paths->train_labels},
                 [BNN_VALIDATION] = {"validation", paths->validation_images, paths->validation_labels},
                 [BNN_TEST] = {"test", paths->test_images, paths->test_labels}},
      *file = &files[split];
    *dataset = NULL;
    if (split != BNN_TRAIN && !*file->images && !*file->labels) return BNN_OK; /* there is no such split */
    if (!*file->images || !*file->labels)
        return bnn_fail(error, BNN_BAD_INPUT, "data.%s_%s: is not set, expected a file (data.name is \"%s\")",
                        file->name, *file->images ? "labels" : "images", paths->name);
    return bnn_dataset_read(file->images, file->labels, options, dataset, error);
}

static const char *const keys[] = {"data.train_images",
                                   "data.train_labels",
                                   "data.validation_images",
                                   "data.validation_labels",
                                   "data.test_images",
                                   "data.test_labels",
                                   NULL};

const bnn_data_source bnn_source_idx = {
    .row = {.name = "idx", .summary = "IDX files of your own, the format of MNIST", .keys = keys},
    .load = load,
};

const bnn_data_source bnn_source_npy = {
    .row = {.name = "npy", .summary = "NumPy .npy files of your own", .keys = keys},
    .load = load,
};
