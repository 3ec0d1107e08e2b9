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

/* ---- training and validation --------------------------------------------------------------------------- */

/* *train <- a seeded subset of `all`, *validation <- others. */
static bnn_status cut(const bnn_config *config, const bnn_dataset *all, bnn_dataset **train,
                      bnn_dataset **validation, bnn_error *error)
{
    const size_t count = all->count, kept = config->data.validation_size;
    const size_t size =
        config->data.train_size ? config->data.train_size : count - (kept < count ? kept : count);
    if (size == 0 || size > count || kept > count - size)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "data.train_size + data.validation_size: found %zu + %zu, expected at most the %zu training "
            "images of %s",
            size, kept, count, config->data.paths.name);
    size_t *order = bnn_alloc(count, sizeof *order);
    if (!order) return bnn_no_memory(error, "the split", count, sizeof *order);
    for (size_t i = 0; i < count; i++) order[i] = i;
    bnn_pcg32 rng = bnn_stream_open(bnn_stream_of(config->seed, BNN_STREAM_DATA_SPLIT, 0, 0, 0));
    bnn_pcg32_shuffle(&rng, order, count);
    bnn_status status = bnn_dataset_subset(all, order, size, train, error);
    if (!status && kept) status = bnn_dataset_subset(all, order + size, kept, validation, error);
    free(order);
    return status;
}

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
    return check_shape("validation", *validation, all, error);
}

bnn_status bnn_training_data(const bnn_config *config, bnn_dataset **train, bnn_dataset **validation,
                             bnn_error *error)
{
    const bnn_data_options options = bnn_config_data_options(config);
    bnn_dataset *all = NULL;
    *train = *validation = NULL;
    bnn_status status = bnn_dataset_load(&config->data.paths, BNN_TRAIN, &options, &all, error);
    if (!status) status = load_validation(config, all, validation, error);
    if (!status) status = cut(config, all, train, validation, error);
    if (!status) status = bnn_dataset_pad(*train, config->data.pad, error);
    if (!status && *validation) status = bnn_dataset_pad(*validation, config->data.pad, error);
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
    bnn_status status = bnn_dataset_load(&config->data.paths, BNN_TEST, &options, test, error);
    if (status || !*test) return status;
    if (size > (*test)->count)
        status = bnn_fail(error, BNN_BAD_INPUT,
                          "data.test_size: found %zu, expected at most the %zu test images of %s", size,
                          (*test)->count, config->data.paths.name);
    else if (size)
        (*test)->count = size;
    if (!status) status = bnn_dataset_pad(*test, config->data.pad, error);
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
            "warning: uint8 pixels span no more than %.3g after scaling to -1..1; data.scale: none takes "
            "them as they "
            "are",
            most - least);
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
    warn_of_pixels(train, &to);
    warn_of_missing(counts, classes, &to);
    free(counts);
    return BNN_OK;
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
}
