/* CIFAR-10 and CIFAR-100, binary version (https://www.cs.toronto.edu/~kriz/cifar.html): records of one label
 * byte (CIFAR-100: a coarse one, of 20 superclasses, and a fine one) and 3 x 32 x 32 pixels, channels first. */
#include <stdlib.h>

#include "bnn/io.h"
#include "data/source.h"

enum { SIDE = 32, PIXELS = 3 * SIDE * SIDE, FILES_MOST = 5 };

typedef struct cifar {
    size_t classes, label_bytes, label; /* label: which of the label bytes is taken */
    bnn_data_files files;
    const char *const *names; /* of the classes, or NULL */
} cifar;

/* Reads a file of records: *images and *labels <- arrays that lie in it; those of *images own it. */
static bnn_status read_records(const cifar *kind, const char *path, bnn_array *images, bnn_array *labels,
                               bnn_error *error)
{
    const size_t record = kind->label_bytes + PIXELS;
    size_t size;
    uint8_t *bytes;
    const bnn_status status = bnn_read_file(path, BNN_FILE_MOST, &bytes, &size, error);
    if (status) return status;
    const size_t count = size / record;
    *images = (bnn_array){.name = path,
                          .rank = 4,
                          .shape = {count, 3, SIDE, SIDE},
                          .stride = {record, SIDE * SIDE, SIDE, 1},
                          .count = count * PIXELS,
                          .kind = 'u',
                          .width = 1,
                          .items = bytes + kind->label_bytes,
                          .memory = bytes};
    *labels = (bnn_array){.name = path,
                          .rank = 1,
                          .shape = {count},
                          .stride = {record},
                          .count = count,
                          .kind = 'u',
                          .width = 1,
                          .items = bytes + kind->label};
    if (count > 0 && size % record == 0) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT, "%s: found %zu bytes, expected records of %zu", path, size, record);
}

static bnn_status load(const cifar *kind, const bnn_data_paths *paths, const bnn_data_options *options,
                       bnn_dataset **dataset, bnn_error *error)
{
    bnn_data_options known = bnn_data_options_within(options, kind->classes);
    char found[FILES_MOST][BNN_DATA_PATH];
    bnn_array images[FILES_MOST] = {{0}}, labels[FILES_MOST] = {{0}};
    size_t parts = 0;
    known.input[0] = 3, known.input[1] = known.input[2] = SIDE; /* the axes are not to be guessed */
    bnn_status status = bnn_data_find(paths, &kind->files, found, error);
    for (; !status && kind->files.names[parts]; parts++)
        status = read_records(kind, found[parts], &images[parts], &labels[parts], error);
    if (!status) status = bnn_dataset_from_arrays(images, labels, parts, &known, dataset, error);
    if (!status && kind->names) status = bnn_dataset_name_classes(*dataset, kind->names, error);
    for (size_t p = 0; p < parts; p++) bnn_array_free(&images[p]);
    return status;
}

static bnn_status load_cifar10(const bnn_data_paths *paths, bnn_split split, const bnn_data_options *options,
                               bnn_dataset **dataset, bnn_error *error)
{
    static const char *const train[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                        "data_batch_4.bin", "data_batch_5.bin", NULL};
    static const char *const test[] = {"test_batch.bin", NULL};
    static const char *const names[] = {"airplane", "automobile", "bird", "cat",   "deer", "dog",
                                        "frog",     "horse",      "ship", "truck", NULL};
    const cifar kind = {.classes = 10,
                        .label_bytes = 1,
                        .names = names,
                        .files = {split == BNN_TRAIN ? train : test, "cifar-10-batches-bin/",
                                  "data/get.sh cifar10 gets it; or name its folder in data.dir"}};
    *dataset = NULL;
    return split == BNN_VALIDATION ? BNN_OK : load(&kind, paths, options, dataset, error);
}

static bnn_status load_cifar100(const bnn_data_paths *paths, bnn_split split, const bnn_data_options *options,
                                bnn_dataset **dataset, bnn_error *error)
{
    static const char *const train[] = {"train.bin", NULL}, *const test[] = {"test.bin", NULL};
    const bool coarse = paths->labels == 1;
    const cifar kind = {.classes = coarse ? 20 : 100,
                        .label_bytes = 2,
                        .label = coarse ? 0 : 1,
                        .files = {split == BNN_TRAIN ? train : test, "cifar-100-binary/",
                                  "unpack cifar-100-binary.tar.gz there or name its folder in data.dir"}};
    *dataset = NULL;
    return split == BNN_VALIDATION ? BNN_OK : load(&kind, paths, options, dataset, error);
}

static const char *const keys10[] = {"data.dir", NULL}, *const keys100[] = {"data.dir", "data.labels", NULL};

const bnn_data_source bnn_source_cifar10 = {
    .row = {.name = "cifar10", .summary = "60000 colour images, 32 x 32, 10 classes", .keys = keys10},
    .load = load_cifar10,
};

const bnn_data_source bnn_source_cifar100 = {
    .row = {.name = "cifar100",
            .summary = "60000 colour images, 32 x 32, 100 classes or 20 superclasses",
            .keys = keys100},
    .load = load_cifar100,
};
