#include "bnn/dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bnn/io.h"
#include "data/array.h"
#include "data/source.h"

enum { LABEL_MOST = 65535 }; /* of files whose number of classes is not known */

const bnn_data_source bnn_data_sources[] = {
    {"fashion-mnist", bnn_load_fashion_mnist},
    {"mnist", bnn_load_mnist},
    {"cifar10", bnn_load_cifar10},
    {"cifar100", bnn_load_cifar100},
    {"idx", bnn_load_files},
    {"npy", bnn_load_files},
    {NULL, NULL},
};

bnn_status bnn_dataset_load(const bnn_data_paths *paths, bnn_split split, bnn_dataset **dataset,
                            bnn_error *error)
{
    bnn_choices choices = bnn_choices_for(paths->name);
    *dataset = NULL;
    for (const bnn_data_source *source = bnn_data_sources; source->name; source++) {
        if (strcmp(source->name, paths->name) == 0) return source->load(paths, split, dataset, error);
        bnn_choices_add(&choices, source->name);
    }
    return bnn_fail(error, BNN_BAD_INPUT, "data.name: found \"%s\", expected %s", paths->name,
                    bnn_choices_text(&choices));
}

void bnn_dataset_free(bnn_dataset *dataset)
{
    if (!dataset) return;
    free(dataset->labels);
    free(dataset->images);
    free(dataset);
}

/* *product <- the reals of `count` images; false when that overflows. */
static bool image_reals(size_t count, size_t channels, size_t height, size_t width, size_t *product)
{
    return !__builtin_mul_overflow(count, channels, product) &&
           !__builtin_mul_overflow(*product, height, product) &&
           !__builtin_mul_overflow(*product, width, product);
}

bnn_status bnn_dataset_create(const char *name, size_t count, size_t channels, size_t height, size_t width,
                              bool labelled, bnn_dataset **dataset, bnn_error *error)
{
    size_t reals;
    *dataset = NULL;
    if (!image_reals(count, channels, height, width, &reals)) reals = SIZE_MAX; /* which no machine has */
    bnn_dataset *result = bnn_alloc(1, sizeof *result);
    if (!result) return bnn_no_memory(error, name, 1, sizeof *result);
    *result = (bnn_dataset){.count = count, .channels = channels, .height = height, .width = width};
    result->images = bnn_alloc(reals, sizeof *result->images);
    if (labelled) result->labels = bnn_alloc(count, sizeof *result->labels);
    if (!result->images || (labelled && !result->labels)) {
        bnn_dataset_free(result);
        return bnn_no_memory(error, name, reals, sizeof *result->images);
    }
    *dataset = result;
    return BNN_OK;
}

void bnn_pixel_scale(bnn_real table[256])
{
    for (int x = 0; x < 256; x++) table[x] = (bnn_real)((x / 255.0 - 0.5) / 0.5);
}

/* ---- images and labels from arrays ------------------------------------------------------------------------
 */

/* The file's bytes, and the array that lies in them. */
static bnn_status read_array(const char *path, uint8_t **bytes, bnn_array *array, bnn_error *error)
{
    size_t size;
    bnn_status status = bnn_read_file(path, BNN_FILE_MOST, bytes, &size, error);
    if (status) return status;
    if (size >= 2 && (*bytes)[0] == 0 && (*bytes)[1] == 0)
        status = bnn_idx_array(path, *bytes, size, array, error);
    else if (size >= 1 && (*bytes)[0] == 0x93)
        status = bnn_npy_array(path, *bytes, size, array, error);
    else
        status = bnn_fail(error, BNN_BAD_INPUT, "%s: is neither an IDX nor an .npy file, by its first bytes",
                          path);
    if (status) {
        free(*bytes);
        *bytes = NULL;
    }
    return status;
}

static bool is_channel_count(size_t n)
{
    return n == 1 || n == 3 || n == 4;
}

/* How an array holds images, and the distance in it from one item to the next along every axis. */
typedef struct image_axes {
    size_t count, channels, height, width;
    size_t image_step, channel_step, row_step, pixel_step;
} image_axes;

static bnn_status find_axes(const char *path, const bnn_array *array, image_axes *axes, bnn_error *error)
{
    char shape[200];
    const size_t *n = array->shape;
    if (array->rank == 3)
        *axes = (image_axes){n[0], 1, n[1], n[2], n[1] * n[2], 0, n[2], 1};
    else if (array->rank == 4 && is_channel_count(n[1]))
        *axes = (image_axes){n[0], n[1], n[2], n[3], n[1] * n[2] * n[3], n[2] * n[3], n[3], 1};
    else if (array->rank == 4 && is_channel_count(n[3]))
        *axes = (image_axes){n[0], n[3], n[1], n[2], n[1] * n[2] * n[3], 1, n[2] * n[3], n[3]};
    else
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: found an array of shape %s, expected images (N,H,W), (N,C,H,W) or (N,H,W,C) "
                        "with C 1, 3 or 4",
                        path, bnn_array_shape_text(array, shape));
    if (array->count == 0)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: found an array of shape %s, expected at least one image of one pixel", path,
                        bnn_array_shape_text(array, shape));
    return BNN_OK;
}

/* images of *dataset <- the array, channels first. */
static bnn_status convert_images(const char *path, const bnn_array *array, const image_axes *axes,
                                 bnn_dataset *dataset, bnn_error *error)
{
    const bool bytes = array->kind == 'u';
    bnn_real scale[256], *out = dataset->images;
    bnn_pixel_scale(scale);
    dataset->background = bytes ? scale[0] : 0;
    for (size_t i = 0; i < axes->count; i++)
        for (size_t c = 0; c < axes->channels; c++)
            for (size_t y = 0; y < axes->height; y++)
                for (size_t x = 0; x < axes->width; x++, out++) {
                    const size_t at = i * axes->image_step + c * axes->channel_step + y * axes->row_step +
                                      x * axes->pixel_step;
                    *out = bytes ? scale[array->items[at]] : (bnn_real)bnn_array_item(array, at);
                    if (!isfinite(*out))
                        return bnn_fail(error, BNN_BAD_INPUT,
                                        "%s: image %zu, channel %zu, row %zu, column %zu is %g, expected a "
                                        "finite " BNN_REAL_NAME,
                                        path, i, c, y, x, bnn_array_item(array, at));
                }
    return BNN_OK;
}

static bnn_status read_images(const char *path, bool labelled, bnn_dataset **dataset, bnn_error *error)
{
    uint8_t *bytes;
    bnn_array array;
    image_axes axes = {0};
    bnn_status status = read_array(path, &bytes, &array, error);
    if (status) return status;
    if (array.kind != 'f' && !(array.kind == 'u' && array.width == 1))
        status = bnn_fail(error, BNN_BAD_INPUT, "%s: found pixels of type %c%zu, expected uint8 or float",
                          path, array.kind, array.width);
    if (!status) status = find_axes(path, &array, &axes, error);
    if (!status)
        status = bnn_dataset_create(path, axes.count, axes.channels, axes.height, axes.width, labelled,
                                    dataset, error);
    if (!status) status = convert_images(path, &array, &axes, *dataset, error);
    free(bytes);
    return status;
}

/* labels of *dataset <- the array; dataset->classes as its comment says. */
static bnn_status convert_labels(const char *path, const bnn_array *array, size_t classes,
                                 bnn_dataset *dataset, bnn_error *error)
{
    char shape[200];
    const size_t most = classes ? classes - 1 : LABEL_MOST;
    size_t largest = 0;
    if (!(array->rank == 1 || (array->rank == 2 && array->shape[1] == 1)))
        return bnn_fail(error, BNN_BAD_INPUT, "%s: found an array of shape %s, expected labels (N) or (N,1)",
                        path, bnn_array_shape_text(array, shape));
    if (array->count != dataset->count)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: found %zu labels, expected %zu, one for each image", path,
                        array->count, dataset->count);
    for (size_t i = 0; i < array->count; i++) {
        const double label = bnn_array_item(array, i);
        if (!(label >= 0 && label <= (double)most && label == floor(label)))
            return bnn_fail(error, BNN_BAD_INPUT, "%s: label %zu is %.17g, expected an integer in 0..%zu",
                            path, i, label, most);
        dataset->labels[i] = (uint32_t)label;
        if (dataset->labels[i] > largest) largest = dataset->labels[i];
    }
    dataset->classes = classes ? classes : largest + 1;
    return BNN_OK;
}

static bnn_status read_labels(const char *path, size_t classes, bnn_dataset *dataset, bnn_error *error)
{
    uint8_t *bytes;
    bnn_array array;
    bnn_status status = read_array(path, &bytes, &array, error);
    if (status) return status;
    status = convert_labels(path, &array, classes, dataset, error);
    free(bytes);
    return status;
}

bnn_status bnn_dataset_read(const char *images_path, const char *labels_path, size_t classes,
                            bnn_dataset **dataset, bnn_error *error)
{
    bnn_dataset *result = NULL;
    *dataset = NULL;
    bnn_status status = read_images(images_path, labels_path, &result, error);
    if (!status) result->classes = classes;
    if (!status && labels_path) status = read_labels(labels_path, classes, result, error);
    if (status)
        bnn_dataset_free(result);
    else
        *dataset = result;
    return status;
}

/* ---- derived data sets ------------------------------------------------------------------------------------
 */

bnn_status bnn_dataset_subset(const bnn_dataset *from, const size_t *indices, size_t n, bnn_dataset **dataset,
                              bnn_error *error)
{
    const size_t image = from->channels * from->height * from->width;
    *dataset = NULL;
    for (size_t i = 0; i < n; i++)
        if (indices[i] >= from->count)
            return bnn_fail(error, BNN_BAD_INPUT, "a subset asks for image %zu, expected one below %zu",
                            indices[i], from->count);
    const bnn_status status = bnn_dataset_create("a subset", n, from->channels, from->height, from->width,
                                                 from->labels, dataset, error);
    if (status) return status;
    bnn_dataset *result = *dataset;
    result->classes = from->classes;
    result->background = from->background;
    for (size_t i = 0; i < n; i++) {
        memcpy(result->images + i * image, from->images + indices[i] * image, image * sizeof *from->images);
        if (from->labels) result->labels[i] = from->labels[indices[i]];
    }
    return BNN_OK;
}

bnn_status bnn_dataset_pad(bnn_dataset *dataset, size_t pad, bnn_error *error)
{
    const size_t planes = dataset->count * dataset->channels;
    size_t reals, height, width, margin;
    if (pad == 0) return BNN_OK;
    if (__builtin_mul_overflow(pad, (size_t)2, &margin) ||
        __builtin_add_overflow(dataset->height, margin, &height) ||
        __builtin_add_overflow(dataset->width, margin, &width) ||
        !image_reals(planes, 1, height, width, &reals))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "data.pad: found %zu, which makes images larger than memory can hold", pad);
    bnn_real *padded = bnn_alloc(reals, sizeof *padded);
    if (!padded) return bnn_no_memory(error, "padded images", reals, sizeof *padded);
    for (size_t i = 0; i < reals; i++) padded[i] = dataset->background;
    for (size_t p = 0; p < planes; p++)
        for (size_t y = 0; y < dataset->height; y++)
            memcpy(padded + (p * height + y + pad) * width + pad,
                   dataset->images + (p * dataset->height + y) * dataset->width,
                   dataset->width * sizeof *padded);
    free(dataset->images);
    dataset->images = padded;
    dataset->height = height;
    dataset->width = width;
    return BNN_OK;
}
