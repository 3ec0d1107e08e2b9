#include "bnn/dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/io.h"
#include "bnn/ranks.h"
#include "data/source.h"

void bnn_dataset_free(bnn_dataset *dataset)
{
    if (!dataset) return;
    free(dataset->parts);
    free(dataset->part_names);
    free(dataset->class_names);
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
    *result = (bnn_dataset){
        .count = count, .channels = channels, .height = height, .width = width, .pixels = {NAN, NAN}};
    result->images = bnn_alloc(reals, sizeof *result->images);
    if (labelled) result->labels = bnn_alloc(count, sizeof *result->labels);
    if (!result->images || (labelled && !result->labels)) {
        bnn_dataset_free(result);
        return bnn_no_memory(error, name, reals, sizeof *result->images);
    }
    *dataset = result;
    return BNN_OK;
}

/* ---- derived data sets ------------------------------------------------------------------------------------
 */

/* *copy <- `count` names, or NULL where there are none. */
static bnn_status copy_names(char (*names)[BNN_LABEL_NAME], size_t count, char (**copy)[BNN_LABEL_NAME],
                             bnn_error *error)
{
    *copy = NULL;
    if (!names) return BNN_OK;
    *copy = bnn_alloc(count, sizeof **copy);
    if (!*copy) return bnn_no_memory(error, "names", count, sizeof **copy);
    memcpy(*copy, names, count * sizeof **copy);
    return BNN_OK;
}

bnn_status bnn_dataset_name_classes(bnn_dataset *dataset, const char *const *names, bnn_error *error)
{
    size_t count = 0;
    while (names[count]) count++;
    if (count != dataset->classes) return BNN_OK;
    dataset->class_names = bnn_alloc(count, sizeof *dataset->class_names);
    if (!dataset->class_names) return bnn_no_memory(error, "names", count, sizeof *dataset->class_names);
    for (size_t i = 0; i < count; i++)
        snprintf(dataset->class_names[i], sizeof dataset->class_names[i], "%s", names[i]);
    return BNN_OK;
}

/* What is known of all images of `from`, but for names. */
static void describe_as(bnn_dataset *dataset, const bnn_dataset *from)
{
    dataset->classes = from->classes;
    dataset->scaled = from->scaled;
    dataset->pixels = from->pixels;
    dataset->background = from->background;
    memcpy(dataset->type, from->type, sizeof dataset->type);
}

/* Names and parts of the images `indices` (n) of `from`. */
static bnn_status take_names(bnn_dataset *dataset, const bnn_dataset *from, const size_t *indices, size_t n,
                             bnn_error *error)
{
    bnn_status status = copy_names(from->class_names, from->classes, &dataset->class_names, error);
    if (!status) status = copy_names(from->part_names, from->part_count, &dataset->part_names, error);
    if (status || !from->part_count) return status;
    dataset->parts = bnn_alloc(n, sizeof *dataset->parts);
    if (!dataset->parts) return bnn_no_memory(error, "parts", n, sizeof *dataset->parts);
    dataset->part_count = from->part_count;
    for (size_t i = 0; i < n; i++) dataset->parts[i] = from->parts[indices[i]];
    return BNN_OK;
}

bnn_status bnn_dataset_subset(const bnn_dataset *from, const size_t *indices, size_t n, bnn_dataset **dataset,
                              bnn_error *error)
{
    const size_t image = from->channels * from->height * from->width;
    *dataset = NULL;
    for (size_t i = 0; i < n; i++)
        if (indices[i] >= from->count)
            return bnn_fail(error, BNN_BAD_INPUT, "a subset asks for image %zu, expected one below %zu",
                            indices[i], from->count);
    bnn_status status = bnn_dataset_create("a subset", n, from->channels, from->height, from->width,
                                           from->labels, dataset, error);
    if (!status) status = take_names(*dataset, from, indices, n, error);
    if (status) {
        bnn_dataset_free(*dataset);
        *dataset = NULL;
        return status;
    }
    bnn_dataset *result = *dataset;
    describe_as(result, from);
    for (size_t i = 0; i < n; i++) {
        memcpy(result->images + i * image, from->images + indices[i] * image, image * sizeof *from->images);
        if (from->labels) result->labels[i] = from->labels[indices[i]];
    }
    return BNN_OK;
}

bnn_status bnn_dataset_join(const bnn_dataset *first, const bnn_dataset *second, bnn_dataset **dataset,
                            bnn_error *error)
{
    const size_t image = first->channels * first->height * first->width;
    const size_t images = first->count * image;
    *dataset = NULL;
    if (strcmp(first->type, second->type) != 0)
        return bnn_fail(error, BNN_BAD_INPUT, "found images of %s and of %s, expected one type", first->type,
                        second->type);
    const bnn_dataset *named = second->classes > first->classes ? second : first;
    bnn_status status =
        bnn_dataset_create("joined images", first->count + second->count, first->channels, first->height,
                           first->width, first->labels && second->labels, dataset, error);
    if (!status) status = copy_names(named->class_names, named->classes, &(*dataset)->class_names, error);
    if (status) {
        bnn_dataset_free(*dataset);
        *dataset = NULL;
        return status;
    }
    bnn_dataset *result = *dataset;
    describe_as(result, first);
    if (second->classes > result->classes) result->classes = second->classes;
    result->pixels.least = fmin(first->pixels.least, second->pixels.least);
    result->pixels.most = fmax(first->pixels.most, second->pixels.most);
    memcpy(result->images, first->images, images * sizeof *first->images);
    memcpy(result->images + images, second->images, second->count * image * sizeof *second->images);
    if (!result->labels) return BNN_OK;
    memcpy(result->labels, first->labels, first->count * sizeof *first->labels);
    memcpy(result->labels + first->count, second->labels, second->count * sizeof *second->labels);
    return BNN_OK;
}

/* Hashes (count) of the images' bytes: FNV-1a (Fowler, Noll and Vo; RFC 9923). */
static uint64_t *hash_images(const bnn_dataset *dataset)
{
    const size_t bytes = dataset->channels * dataset->height * dataset->width * sizeof *dataset->images;
    uint64_t *hashes = bnn_alloc(dataset->count, sizeof *hashes);
    for (size_t i = 0; hashes && i < dataset->count; i++) {
        const uint8_t *at = (const uint8_t *)dataset->images + i * bytes;
        uint64_t hash = 0xcbf29ce484222325;
        for (size_t k = 0; k < bytes; k++) hash = (hash ^ at[k]) * 0x100000001b3;
        hashes[i] = hash;
    }
    return hashes;
}

static int by_value(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

bnn_status bnn_dataset_agree(const char *what, const bnn_dataset *data, bnn_error *error)
{
    const size_t reals = data->count * data->channels * data->height * data->width;
    char images[BNN_SHA256], labels[BNN_SHA256], text[320];
    if (bnn_ranks_count() == 1) return BNN_OK;
    bnn_sha256(data->images, reals * sizeof *data->images, images);
    bnn_sha256(data->labels, data->labels ? data->count * sizeof *data->labels : 0, labels);
    snprintf(text, sizeof text, "%zu images of SHA-256 %.16s..., labels of %.16s..., background %g",
             data->count, images, labels, (double)data->background);
    return bnn_ranks_agree(what, text, error);
}

bnn_status bnn_dataset_shared(const bnn_dataset *a, const bnn_dataset *b, size_t *shared, bnn_error *error)
{
    *shared = 0;
    if (a->channels != b->channels || a->height != b->height || a->width != b->width) return BNN_OK;
    uint64_t *own = hash_images(a), *others = hash_images(b);
    if (own && others) {
        qsort(others, b->count, sizeof *others, by_value);
        for (size_t i = 0; i < a->count; i++)
            *shared += bsearch(&own[i], others, b->count, sizeof *others, by_value) != NULL;
    }
    const bool whole = own && others;
    free(own);
    free(others);
    return whole ? BNN_OK : bnn_no_memory(error, "hashes of images", a->count + b->count, sizeof *own);
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
