/* MNIST (http://yann.lecun.com/exdb/mnist) and FashionMNIST (Xiao, Rasul and Vollgraf, arXiv:1708.07747), which has taken
 * over its files' names: IDX images 28 x 28, ten classes. */
#include "data/source.h"

static bnn_status load(const bnn_data_paths *paths, bnn_split split, const char *remedy,
                       const bnn_data_options *options, bnn_dataset **dataset, bnn_error *error)
{
    static const char *const names[][3] = {
        [BNN_TRAIN] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", NULL},
        [BNN_TEST] = {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", NULL}};
    const bnn_data_files files = {.names = names[split], .subdirectory = "", .remedy = remedy};
    const bnn_data_options known = bnn_data_options_within(options, 10);
    char found[2][BNN_DATA_PATH];
    *dataset = NULL;
    if (split == BNN_VALIDATION) return BNN_OK; /* there is none */
    const bnn_status status = bnn_data_find(paths, &files, found, error);
    return status ? status : bnn_dataset_read(found[0], found[1], &known, dataset, error);
}

static const char *const clothes[] = {"T-shirt/top", "trouser", "pullover", "dress",      "coat", "sandal",
                                      "shirt",       "sneaker", "bag",      "ankle boot", NULL};

static bnn_status load_fashion_mnist(const bnn_data_paths *paths, bnn_split split,
                                     const bnn_data_options *options, bnn_dataset **dataset, bnn_error *error)
{
    const bnn_status status = load(
        paths, split,
        "data/get.sh fashion-mnist gets them, on Debian also apt-get install dataset-fashion-mnist; or name "
        "their folder in data.dir",
        options, dataset, error);
    return status || !*dataset ? status : bnn_dataset_name_classes(*dataset, clothes, error);
}

static bnn_status load_mnist(const bnn_data_paths *paths, bnn_split split, const bnn_data_options *options,
                             bnn_dataset **dataset, bnn_error *error)
{
    return load(paths, split, "data/get.sh mnist gets them; or name their folder in data.dir", options,
                dataset, error);
}

static const char *const keys[] = {"data.dir", NULL};

const bnn_data_source bnn_source_fashion_mnist = {
    .row = {.name = "fashion-mnist",
            .summary = "70000 grey images of clothes, 28 x 28, 10 classes",
            .keys = keys},
    .load = load_fashion_mnist,
};

const bnn_data_source bnn_source_mnist = {
    .row = {.name = "mnist", .summary = "70000 grey images of digits, 28 x 28, 10 classes", .keys = keys},
    .load = load_mnist,
};
