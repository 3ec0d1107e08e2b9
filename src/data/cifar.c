/* CIFAR-10 and CIFAR-100, binary version (https://www.cs.toronto.edu/~kriz/cifar.html): records of one label
 * byte (CIFAR-100: a coarse one and a fine one, the label) and 3 x 32 x 32 pixels, channels first. */
#include <stdlib.h>

#include "bnn/io.h"
#include "data/source.h"

enum { SIDE = 32, PIXELS = 3 * SIDE * SIDE, FILES_MOST = 5 };

typedef struct cifar {
    size_t classes, label_bytes;
    bnn_data_files files;
} cifar;

/* The records of one file; images and labels of the data set from `first` on <- them. */
static bnn_status convert(const cifar *kind, const char *path, const uint8_t *bytes, size_t count,
                          size_t first, bnn_dataset *dataset, bnn_error *error)
{
    const size_t record = kind->label_bytes + PIXELS;
    bnn_real scale[256], *out = dataset->images + first * PIXELS;
    bnn_pixel_scale(scale);
    dataset->background = scale[0];
    for (size_t i = 0; i < count; i++) {
        const uint8_t *pixels = bytes + i * record + kind->label_bytes;
        const uint8_t label = pixels[-1];
        if (label >= kind->classes)
            return bnn_fail(error, BNN_BAD_INPUT, "%s: label %zu is %d, expected an integer in 0..%zu", path,
                            i, label, kind->classes - 1);
        dataset->labels[first + i] = label;
        for (size_t p = 0; p < PIXELS; p++) *out++ = scale[pixels[p]];
    }
    return BNN_OK;
}

static bnn_status load_cifar(const cifar *kind, const bnn_data_paths *paths, bnn_dataset **dataset,
                             bnn_error *error)
{
    const size_t record = kind->label_bytes + PIXELS;
    char found[FILES_MOST][BNN_DATA_PATH];
    uint8_t *bytes[FILES_MOST] = {NULL};
    size_t counts[FILES_MOST] = {0}, size, total = 0, first = 0;
    bnn_dataset *result = NULL;
    *dataset = NULL;
    bnn_status status = bnn_data_find(paths, &kind->files, found, error);
    for (size_t f = 0; !status && kind->files.names[f]; f++) {
        status = bnn_read_file(found[f], BNN_FILE_MOST, &bytes[f], &size, error);
        if (!status && (size == 0 || size % record != 0))
            status = bnn_fail(error, BNN_BAD_INPUT, "%s: found %zu bytes, expected records of %zu", found[f],
                              size, record);
        counts[f] = size / record;
        total += counts[f];
    }
    if (!status) status = bnn_dataset_create(paths->name, total, 3, SIDE, SIDE, true, &result, error);
    for (size_t f = 0; !status && kind->files.names[f]; f++) {
        status = convert(kind, found[f], bytes[f], counts[f], first, result, error);
        first += counts[f];
    }
    for (size_t f = 0; f < FILES_MOST; f++) free(bytes[f]);
    if (status) {
        bnn_dataset_free(result);
    } else {
        result->classes = kind->classes;
        *dataset = result;
    }
    return status;
}

bnn_status bnn_load_cifar10(const bnn_data_paths *paths, bnn_split split, bnn_dataset **dataset,
                            bnn_error *error)
{
    static const char *const train[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                        "data_batch_4.bin", "data_batch_5.bin", NULL};
    static const char *const test[] = {"test_batch.bin", NULL};
    const cifar kind = {10,
                        1,
                        {split == BNN_TRAIN ? train : test, "cifar-10-batches-bin/",
                         "unpack cifar-10-binary.tar.gz there or name its folder in data.dir"}};
    return load_cifar(&kind, paths, dataset, error);
}

bnn_status bnn_load_cifar100(const bnn_data_paths *paths, bnn_split split, bnn_dataset **dataset,
                             bnn_error *error)
{
    static const char *const train[] = {"train.bin", NULL}, *const test[] = {"test.bin", NULL};
    const cifar kind = {100,
                        2,
                        {split == BNN_TRAIN ? train : test, "cifar-100-binary/",
                         "unpack cifar-100-binary.tar.gz there or name its folder in data.dir"}};
    return load_cifar(&kind, paths, dataset, error);
}
