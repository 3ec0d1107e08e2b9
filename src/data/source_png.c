/* PNG files in a folder: for each split a folder with a subfolder for each class, or a CSV file that gives the labels. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "bnn/io.h"
#include "data/listing.h"
#include "data/png.h"
#include "data/source.h"

/* ---- where a split is --------------------------------------------------------------------------------------- */

/* What may hold a split: SPLIT.csv, SPLIT/labels.csv, or SPLIT with a folder for each class. Of these, CSV files come first, since
 * the folders that they name files in may look like anything. */
static bool find_split(const char *folder, const char *name, char found[BNN_DATA_PATH], bool *csv)
{
    static const char *const suffixes[] = {".csv", "/labels.csv", ""};
    for (size_t s = 0; s < sizeof suffixes / sizeof *suffixes; s++) {
        snprintf(found, BNN_DATA_PATH, "%s/%s%s", folder, name, suffixes[s]);
        *csv = *suffixes[s] != '\0';
        if (bnn_file_exists(found)) return true;
    }
    return false;
}

/* *listing <- the files of a split; an empty one where there is no such split. `every`: see bnn_list_folder. */
static bnn_status list_split(const char *folder, bnn_split split, bool every, bnn_listing *listing,
                             bnn_error *error)
{
    static const char *const names[][3] = {[BNN_TRAIN] = {"train", NULL},
                                           [BNN_VALIDATION] = {"val", "validation", NULL},
                                           [BNN_TEST] = {"test", NULL}};
    char path[BNN_DATA_PATH], found[BNN_DATA_PATH] = "";
    bool csv, is_csv = false;
    *listing = (bnn_listing){0};
    for (size_t i = 0; names[split][i]; i++) {
        if (!find_split(folder, names[split][i], path, &csv)) continue;
        if (*found)
            return bnn_fail(error, BNN_BAD_INPUT, "%s: found %s too, expected one of them", found, path);
        memcpy(found, path, sizeof found);
        is_csv = csv;
    }
    if (*found)
        return is_csv ? bnn_list_csv(found, listing, error) : bnn_list_folder(found, every, listing, error);
    if (split != BNN_TRAIN) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT,
                    "%s: found neither a folder train, with a folder for each class, nor train.csv", folder);
}

/* ---- labels --------------------------------------------------------------------------------------------------- */

static size_t label_of(const bnn_name_table *classes, size_t place)
{
    return classes->numbers ? (size_t)strtol(classes->names[place], NULL, 10) : place;
}

/* labels (4 bytes each) <- those of a listing, by the classes of the training images. */
static bnn_status fill_labels(const bnn_listing *listing, const bnn_name_table *classes, uint8_t *labels,
                              bnn_error *error)
{
    for (size_t i = 0; i < listing->count; i++) {
        const char *name = listing->files[i].label;
        const size_t place = bnn_name_find(classes, name);
        if (place == SIZE_MAX) {
            bnn_choices choices = bnn_choices_for(name);
            for (size_t c = 0; c < classes->count; c++) bnn_choices_add(&choices, classes->names[c]);
            return bnn_fail(error, BNN_BAD_INPUT,
                            "%s: found the class \"%s\", expected one of the training images': %s",
                            listing->files[i].path, name, bnn_choices_text(&choices));
        }
        bnn_store(labels + 4 * i, 4, label_of(classes, place));
    }
    return BNN_OK;
}

/* Names of classes, and parts with theirs, for a data set that was made of the listing. */
static bnn_status add_names(const bnn_listing *listing, const bnn_name_table *classes, bnn_dataset *data,
                            bnn_error *error)
{
    bnn_name_table parts;
    bnn_status status = BNN_OK;
    if (!classes->numbers) {
        const size_t count = classes->count < data->classes ? classes->count : data->classes;
        data->class_names = bnn_alloc(data->classes, sizeof *data->class_names);
        if (!data->class_names)
            return bnn_no_memory(error, "names", data->classes, sizeof *data->class_names);
        memcpy(data->class_names, classes->names, count * sizeof *classes->names);
    }
    if (!*listing->files[0].part) return BNN_OK;
    status = bnn_name_table_of(listing, true, &parts, error);
    if (status) return status;
    data->parts = bnn_alloc(data->count, sizeof *data->parts);
    for (size_t i = 0; data->parts && i < data->count; i++)
        data->parts[i] = (uint32_t)bnn_name_find(&parts, listing->files[i].part);
    if (!data->parts) {
        bnn_name_table_free(&parts);
        return bnn_no_memory(error, "parts", data->count, sizeof *data->parts);
    }
    data->part_count = parts.count;
    data->part_names = parts.names; /* which the data set frees */
    return BNN_OK;
}

/* ---- pixels --------------------------------------------------------------------------------------------------- */

static bnn_status read_image(const bnn_data_paths *paths, const char *path, bnn_png *image, bnn_error *error)
{
    const bnn_numbers *size = &paths->resize;
    const bnn_status status = bnn_png_read(path, image, error);
    if (status || size->count == 0) return status;
    return bnn_png_resize(path, image, (size_t)size->value[0], (size_t)size->value[size->count - 1], error);
}

/* *images <- memory for `count` images like the first one. */
static bnn_status make_array(const bnn_png *first, const char *name, size_t count, bnn_array *images,
                             bnn_error *error)
{
    const size_t c = first->channels, row = first->width * c, image = first->height * row;
    size_t items;
    if (__builtin_mul_overflow(count, image, &items)) items = SIZE_MAX; /* which no machine has */
    *images = (bnn_array){.name = name,
                          .rank = 4,
                          .shape = {count, c, first->height, first->width},
                          .stride = {image, 1, row, c},
                          .count = items,
                          .kind = 'u',
                          .width = first->bytes,
                          .intensities = true,
                          .big_endian = true};
    images->memory = bnn_alloc(items, first->bytes);
    images->items = images->memory;
    return images->memory ? BNN_OK : bnn_no_memory(error, name, items, first->bytes);
}

static bnn_status check_alike(const bnn_png *image, const char *path, const bnn_array *images,
                              const char *first, bnn_error *error)
{
    const size_t *shape = images->shape;
    const bool size = image->height == shape[2] && image->width == shape[3];
    if (size && image->channels == shape[1] && image->bytes == images->width) return BNN_OK;
    return bnn_fail(
        error, BNN_BAD_INPUT,
        "%s: found %zu x %zu x %zu (C x H x W) of %zu bits, expected %zu x %zu x %zu of %zu as %s%s", path,
        image->channels, image->height, image->width, 8 * image->bytes, shape[1], shape[2], shape[3],
        8 * images->width, first, size ? "" : "; data.resize brings all to one size");
}

/* *images <- all files of the listing; the array is named after the folder. */
static bnn_status read_images(const bnn_data_paths *paths, const bnn_listing *listing, bnn_array *images,
                              bnn_error *error)
{
    bnn_status status = BNN_OK;
    for (size_t i = 0; !status && i < listing->count; i++) {
        const char *path = listing->files[i].path;
        bnn_png image;
        status = read_image(paths, path, &image, error);
        if (!status && i == 0) status = make_array(&image, paths->path, listing->count, images, error);
        if (!status) status = check_alike(&image, path, images, listing->files[0].path, error);
        if (!status) {
            const size_t bytes = image.height * image.width * image.channels * image.bytes;
            memcpy(images->memory + i * bytes, image.pixels, bytes);
        }
        bnn_png_free(&image);
    }
    return status;
}

/* ---- the source ----------------------------------------------------------------------------------------------- */

static bnn_status read_split(const bnn_data_paths *paths, const bnn_listing *listing,
                             const bnn_name_table *classes, const bnn_data_options *options,
                             bnn_dataset **dataset, bnn_error *error)
{
    const size_t most = label_of(classes, classes->count - 1) + 1;
    bnn_data_options known =
        bnn_data_options_within(options, options && options->classes ? options->classes : most);
    bnn_array images = {0}, labels = {.name = paths->path,
                                      .rank = 1,
                                      .shape = {listing->count},
                                      .stride = {1},
                                      .count = listing->count,
                                      .kind = 'u',
                                      .width = 4};
    labels.memory = bnn_alloc(listing->count, labels.width);
    labels.items = labels.memory;
    bnn_status status = labels.memory ? fill_labels(listing, classes, labels.memory, error)
                                      : bnn_no_memory(error, paths->path, listing->count, labels.width);
    if (!status) status = read_images(paths, listing, &images, error);
    if (!status) {
        memcpy(known.input, &images.shape[1], sizeof known.input); /* the axes are not to be guessed */
        status = bnn_dataset_from_arrays(&images, &labels, 1, &known, dataset, error);
    }
    if (!status) status = add_names(listing, classes, *dataset, error);
    bnn_array_free(&labels);
    bnn_array_free(&images);
    if (status) {
        bnn_dataset_free(*dataset);
        *dataset = NULL;
    }
    return status;
}

static bnn_status check_paths(const bnn_data_paths *paths, bnn_error *error)
{
    if (!*paths->path)
        return bnn_fail(error, BNN_BAD_INPUT, "data.path: is not set, expected a folder of PNG files");
    if (paths->resize.count > 2)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "data.resize: found %zu numbers, expected [height, width] or one number",
                        paths->resize.count);
    return BNN_OK;
}

static bnn_status load(const bnn_data_paths *paths, bnn_split split, const bnn_data_options *options,
                       bnn_dataset **dataset, bnn_error *error)
{
    bnn_listing train = {0}, other = {0};
    bnn_name_table classes = {0};
    *dataset = NULL;
    bnn_status status = check_paths(paths, error);
    if (!status) status = list_split(paths->path, BNN_TRAIN, true, &train, error);
    if (!status) status = bnn_name_table_of(&train, false, &classes, error);
    if (!status && split != BNN_TRAIN) status = list_split(paths->path, split, false, &other, error);
    const bnn_listing *listing = split == BNN_TRAIN ? &train : &other;
    if (!status && listing->count > 0) status = read_split(paths, listing, &classes, options, dataset, error);
    bnn_name_table_free(&classes);
    bnn_listing_free(&other);
    bnn_listing_free(&train);
    return status;
}

static bool reads(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static const char *const keys[] = {"data.path", "data.resize", NULL};

const bnn_data_source bnn_source_png = {
    .row = {.name = "png", .summary = "a folder of PNG files of your own", .keys = keys},
    .load = load,
    .reads = reads,
};
