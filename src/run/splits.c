#include "bnn/splits.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bnn/rng.h"

bnn_data_options bnn_config_data_options(const bnn_config *config)
{
    bnn_data_options options = {.pad = config->data.pad,
                                .classes = config->model.classes,
                                .scale = (bnn_scale)config->data.scale,
                                .background = config->data.background};
    if (config->model.input.count == 3)
        memcpy(options.input, config->model.input.value, sizeof options.input);
    return options;
}

/* ---- which images ---------------------------------------------------------------------------------------- */

static bnn_status check_shape(const char *split, const bnn_dataset *data, const bnn_dataset *train,
                              bnn_error *error)
{
    if (data->channels == train->channels && data->height == train->height && data->width == train->width)
        return BNN_OK;
    return bnn_fail(
        error, BNN_BAD_INPUT,
        "%s images: found %zu x %zu x %zu (C x H x W), expected %zu x %zu x %zu as the training images",
        split, data->channels, data->height, data->width, train->channels, train->height, train->width);
}

/* *all <- the training images of the source and then its test images. */
static bnn_status load_both(const bnn_config *config, const bnn_data_options *options, bnn_dataset **all,
                            bnn_error *error)
{
    const char *name = config->data.paths.name;
    bnn_dataset *train = NULL, *test = NULL;
    bnn_status status = bnn_dataset_load(&config->data.paths, BNN_TRAIN, options, &train, error);
    if (!status) {
        bnn_data_options alike = *options;
        memcpy(alike.input, (size_t[]){train->channels, train->height, train->width}, sizeof alike.input);
        status = bnn_dataset_load(&config->data.paths, BNN_TEST, &alike, &test, error);
    }
    if (!status && !test)
        status =
            bnn_fail(error, BNN_BAD_INPUT, "data.repartition: found %zu, expected 0: %s has no test images",
                     config->data.repartition, name);
    if (!status) status = check_shape("test", test, train, error);
    if (!status && config->data.repartition >= train->count + test->count)
        status = bnn_fail(
            error, BNN_BAD_INPUT,
            "data.repartition: found %zu, expected fewer than the %zu training and test images of %s",
            config->data.repartition, train->count + test->count, name);
    if (!status) {
        status = bnn_dataset_join(train, test, all, error);
        if (status) status = bnn_fail_in(error, status, "data.repartition");
    }
    bnn_dataset_free(train);
    bnn_dataset_free(test);
    return status;
}

static void shuffle(uint64_t seed, bnn_purpose purpose, size_t *items, size_t n)
{
    bnn_pcg32 rng = bnn_stream_open(bnn_stream_of(seed, purpose, 0, 0, 0));
    bnn_pcg32_shuffle(&rng, items, n);
}

/* The images that a split may have: those of *all whose indices are the first *count of *order (freed with free()). */
static bnn_status find_images(const bnn_config *config, bnn_split split, const bnn_data_options *options,
                              bnn_dataset **all, size_t **order, size_t *count, bnn_error *error)
{
    const size_t drawn = config->data.repartition;
    *all = NULL, *order = NULL, *count = 0;
    const bnn_status status = drawn ? load_both(config, options, all, error)
                                    : bnn_dataset_load(&config->data.paths, split, options, all, error);
    if (status || !*all) return status;
    *count = (*all)->count;
    *order = bnn_alloc(*count, sizeof **order);
    if (!*order) return bnn_no_memory(error, "the split", *count, sizeof **order);
    for (size_t i = 0; i < *count; i++) (*order)[i] = i;
    if (drawn == 0) return BNN_OK;
    shuffle(config->data.paths.seed, BNN_STREAM_REPARTITION, *order, *count);
    *count = split == BNN_TRAIN ? drawn : *count - drawn;
    if (split == BNN_TEST) memmove(*order, *order + drawn, *count * sizeof **order);
    return BNN_OK;
}

/* ---- what becomes of them --------------------------------------------------------------------------------- */

/* Turns image i as the image at indices[i] of its file; NULL: i. */
static bnn_status turn(const bnn_config *config, bnn_split split, const size_t *indices, bnn_dataset *data,
                       bnn_error *error)
{
    const size_t image = data->channels * data->height * data->width;
    bnn_real *still = bnn_alloc(image, sizeof *still);
    if (!still) return bnn_no_memory(error, "an image", image, sizeof *still);
    for (size_t i = 0; i < data->count; i++) {
        bnn_real *at = data->images + i * image;
        const bnn_warp warp = bnn_warp_turn(bnn_stream_of(config->data.paths.seed, BNN_STREAM_TURN,
                                                          (uint64_t)split, indices ? indices[i] : i, 0));
        memcpy(still, at, image * sizeof *still);
        bnn_warp_apply(&warp, still, data->channels, data->height, data->width, data->background, at);
    }
    free(still);
    return BNN_OK;
}

/* Images of a split as a run has them: padded, then turned. */
static bnn_status finish(const bnn_config *config, bnn_split split, const size_t *indices, bnn_dataset *data,
                         bnn_error *error)
{
    const int rotation = split == BNN_TEST ? config->data.rotate.test : config->data.rotate.train;
    const bnn_status status = bnn_dataset_pad(data, config->data.pad, error);
    return status || rotation == BNN_ROTATE_NONE ? status : turn(config, split, indices, data, error);
}

/* *data <- the `n` images `indices` of `all`, finished. */
static bnn_status take(const bnn_config *config, bnn_split split, const bnn_dataset *all,
                       const size_t *indices, size_t n, bnn_dataset **data, bnn_error *error)
{
    const bnn_status status = bnn_dataset_subset(all, indices, n, data, error);
    return status ? status : finish(config, split, indices, *data, error);
}

/* ---- training and validation --------------------------------------------------------------------------- */

/* *train <- a seeded subset of the `count` images `order` of `all`, *validation <- others. */
static bnn_status cut(const bnn_config *config, const bnn_dataset *all, size_t *order, size_t count,
                      bnn_dataset **train, bnn_dataset **validation, bnn_error *error)
{
    const size_t kept = config->data.validation_size;
    const size_t size =
        config->data.train_size ? config->data.train_size : count - (kept < count ? kept : count);
    if (size == 0 || size > count || kept > count - size)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "data.train_size + data.validation_size: found %zu + %zu, expected at most the %zu training "
            "images of %s",
            size, kept, count, config->data.paths.name);
    shuffle(config->seed, BNN_STREAM_DATA_SPLIT, order, count);
    bnn_status status = take(config, BNN_TRAIN, all, order, size, train, error);
    if (!status && kept) status = take(config, BNN_TRAIN, all, order + size, kept, validation, error);
    return status;
}

/* *validation <- the source's own validation split, NULL where it has none; read like the training split `all`. */
static bnn_status load_validation(const bnn_config *config, const bnn_dataset *all, bnn_dataset **validation,
                                  bnn_error *error)
{
    const bnn_data_options options = {.input = {all->channels, all->height, all->width},
                                      .classes = all->classes,
                                      .scale = (bnn_scale)config->data.scale,
                                      .background = (double)all->background};
    bnn_status status = bnn_dataset_load(&config->data.paths, BNN_VALIDATION, &options, validation, error);
    if (status || !*validation) return status;
    if (config->data.validation_size)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "data.validation_size: found %zu, expected 0: %s has a validation split of its own",
                        config->data.validation_size, config->data.paths.name);
    status = check_shape("validation", *validation, all, error);
    return status ? status : finish(config, BNN_VALIDATION, NULL, *validation, error);
}

bnn_status bnn_training_data(const bnn_config *config, bnn_dataset **train, bnn_dataset **validation,
                             bnn_error *error)
{
    const bnn_data_options options = bnn_config_data_options(config);
    bnn_dataset *all;
    size_t *order, count;
    *train = *validation = NULL;
    bnn_status status = find_images(config, BNN_TRAIN, &options, &all, &order, &count, error);
    if (!status) status = load_validation(config, all, validation, error);
    if (!status) status = cut(config, all, order, count, train, validation, error);
    free(order);
    bnn_dataset_free(all);
    if (status) {
        bnn_dataset_free(*train);
        bnn_dataset_free(*validation);
        *train = *validation = NULL;
    }
    return status;
}

/* ---- test ---------------------------------------------------------------------------------------------- */

bnn_status bnn_test_data(const bnn_config *config, bnn_dataset **test, bnn_error *error)
{
    const bnn_data_options options = bnn_config_data_options(config);
    const size_t size = config->data.test_size;
    bnn_dataset *all;
    size_t *order, count;
    *test = NULL;
    bnn_status status = find_images(config, BNN_TEST, &options, &all, &order, &count, error);
    if (!status && all && size > count)
        status = bnn_fail(error, BNN_BAD_INPUT,
                          "data.test_size: found %zu, expected at most the %zu test images of %s", size,
                          count, config->data.paths.name);
    if (!status && all) status = take(config, BNN_TEST, all, order, size ? size : count, test, error);
    free(order);
    bnn_dataset_free(all);
    if (status) {
        bnn_dataset_free(*test);
        *test = NULL;
    }
    return status;
}

bnn_status bnn_check_test_data(const bnn_config *config, const bnn_dataset *train, bnn_range *pixels,
                               bnn_error *error)
{
    bnn_dataset *test;
    *pixels = (bnn_range){NAN, NAN};
    bnn_status status = bnn_test_data(config, &test, error);
    if (!status && !test && config->data.rotate.test != BNN_ROTATE_NONE)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "data.rotate.test: is set, expected \"none\": %s has no test images",
                        config->data.paths.name);
    if (status || !test) return status;
    *pixels = test->pixels;
    status = check_shape("test", test, train, error);
    bnn_dataset_free(test);
    return status;
}

/* ---- what is worth saying ------------------------------------------------------------------------------ */

static bool differs(bnn_range training, bnn_range other)
{
    const double width = training.most - training.least, ratio = (other.most - other.least) / width;
    const double out = fmax(training.least - other.least, other.most - training.most);
    if (isnan(training.least) || isnan(other.least)) return false;
    if (width == 0) return other.least != training.least || other.most != training.most;
    return ratio < 3 / 4.0 || ratio > 4 / 3.0 || out > width / 3;
}

bool bnn_range_warning(const char *name, bnn_range training, bnn_range other, char line[BNN_LINE])
{
    if (!differs(training, other)) return false;
    snprintf(line, BNN_LINE,
             "warning: %.200s: pixels from %.4g to %.4g, where the training images have %.4g to %.4g: are "
             "they scaled "
             "alike?",
             name, other.least, other.most, training.least, training.most);
    return true;
}

typedef struct speech {
    void (*say)(void *context, const char *line);
    void *context;
} speech;

static void say(const speech *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const speech *to, const char *format, ...)
{
    char line[BNN_LINE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    to->say(to->context, line);
}

static void warn_of_pixels(const bnn_dataset *data, const speech *to)
{
    const double least = data->pixels.least, most = data->pixels.most;
    if (data->scaled && most - least < 0.1)
        say(to,
            "warning: %s pixels span no more than %.3g after scaling to -1..1; data.scale: none takes them "
            "as they "
            "are",
            data->type, most - least);
    if (!data->scaled && (least < -4 || most > 4))
        say(to,
            "warning: pixels from %.4g to %.4g (%s, taken as they are) lie outside -4..4; initial weights "
            "are made for "
            "pixels near -1..1",
            least, most, data->type);
}

/* Classes without an example are learned as impossible, which nothing else would tell. */
static void warn_of_missing(const size_t *counts, size_t classes, const speech *to)
{
    char list[256] = "";
    size_t missing = 0;
    for (size_t c = 0; c < classes; c++)
        if (!counts[c]) bnn_append(list, sizeof list, "%s%zu", missing++ ? ", " : "", c);
    if (missing) say(to, "warning: %zu of %zu classes have no training image: %s", missing, classes, list);
}

/* What the classes are called, and how many images each has. */
static void tell_names(const bnn_dataset *train, const size_t *counts, const speech *to)
{
    char list[BNN_LINE - 16] = "";
    if (!train->class_names) return;
    for (size_t c = 0; c < train->classes; c++)
        bnn_append(list, sizeof list, "%s%zu %s (%zu)", c ? ", " : "", c, train->class_names[c], counts[c]);
    say(to, "classes: %s", list);
}

bnn_status bnn_describe_training_data(const bnn_dataset *train, size_t classes,
                                      void (*tell)(void *context, const char *line), void *context,
                                      bnn_error *error)
{
    const speech to = {tell, context};
    size_t *counts = bnn_alloc(classes, sizeof *counts), least = SIZE_MAX, most = 0;
    if (!counts) return bnn_no_memory(error, "classes", classes, sizeof *counts);
    for (size_t i = 0; i < train->count; i++) counts[train->labels[i]]++;
    for (size_t c = 0; c < classes; c++) {
        if (counts[c] < least) least = counts[c];
        if (counts[c] > most) most = counts[c];
    }
    char each[64];
    if (least < most)
        snprintf(each, sizeof each, "%zu to %zu", least, most);
    else
        snprintf(each, sizeof each, "%zu", most);
    say(&to,
        "images %zu x %zu x %zu (C x H x W): pixels from %.4g to %.4g (%s%s), background %.4g; %zu classes "
        "of %s images",
        train->channels, train->height, train->width, train->pixels.least, train->pixels.most, train->type,
        train->scaled ? ", scaled" : "", (double)train->background, classes, each);
    tell_names(train, counts, &to);
    warn_of_pixels(train, &to);
    warn_of_missing(counts, classes, &to);
    free(counts);
    return BNN_OK;
}

/* data.repartition and data.rotate. */
static void describe_making(const bnn_config *config, const speech *to)
{
    const bool train = config->data.rotate.train != BNN_ROTATE_NONE;
    const bool test = config->data.rotate.test != BNN_ROTATE_NONE;
    if (config->data.repartition)
        say(to,
            "data.repartition: %zu images for training and validation, drawn by data.seed %zu from training "
            "and "
            "test images together; the test images are among the others",
            config->data.repartition, config->data.paths.seed);
    if (train || test)
        say(to,
            "data.rotate: each image of %s is turned once, by an angle uniform over 360 degrees (data.seed "
            "%zu)",
            !test    ? "training and validation"
            : !train ? "the test set"
                     : "training, validation and test",
            config->data.paths.seed);
    if (!train && !test && !config->data.repartition && bnn_config_gives(config, "data.seed") &&
        !bnn_row_reads(&bnn_data_source_find(config->data.paths.name)->row, "data.seed"))
        say(to, "data.seed is set, but nothing that is chosen reads it");
}

void bnn_describe_preparation(const bnn_config *config, void (*tell)(void *context, const char *line),
                              void *context)
{
    const speech to = {tell, context};
    const bnn_warp_limits *augment = &config->data.augment;
    if (bnn_warps(augment))
        say(&to,
            "data.augment: every training image is warped anew each epoch, before the group acts (shift up "
            "to %g "
            "pixels, rotation up to %g degrees, scale %g to %g): no more data, N stays; elbo is that of the "
            "warped images",
            augment->shift, augment->rotate, 1 - augment->scale, 1 + augment->scale);
    describe_making(config, &to);
}
