/* Images and labels from arrays of any format: which axis is which, scaling, ranges. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/source.h"

const char *const bnn_scale_names[] = {"auto", "none", NULL};

static const bnn_data_options nothing_known = {.background = NAN};

bnn_data_options bnn_data_options_within(const bnn_data_options *options, size_t classes)
{
    bnn_data_options within = options ? *options : nothing_known;
    if (!within.classes || within.classes > classes) within.classes = classes;
    return within;
}

/* ---- which axis is which ------------------------------------------------------------------------------- */

/* How an array holds images: the size of every axis, and the items from one entry of it to the next. */
typedef struct image_axes {
    size_t count, channels, height, width;
    size_t image_step, channel_step, row_step, pixel_step;
} image_axes;

static bool is_usual(size_t channels)
{
    return channels == 1 || channels == 3 || channels == 4;
}

/* Whether images of these axes are the model's input, before or after padding. */
static bool fits(const image_axes *axes, const bnn_data_options *options)
{
    const size_t *input = options->input, margin = 2 * options->pad;
    return axes->channels == input[0] &&
           ((axes->height == input[1] && axes->width == input[2]) ||
            (axes->height + margin == input[1] && axes->width + margin == input[2]));
}

/* Whether an array of rank 4 is (N,H,W,C), rather than (N,C,H,W), for the reasons that bnn_dataset_read gives. */
static bool channels_are_last(const image_axes *first, const image_axes *last,
                              const bnn_data_options *options)
{
    if (fits(first, options) != fits(last, options)) return fits(last, options);
    if (is_usual(first->channels) || is_usual(last->channels)) return !is_usual(first->channels);
    if ((first->height == first->width) != (last->height == last->width)) return last->height == last->width;
    return last->channels < first->channels;
}

static bnn_status find_axes(const bnn_array *array, const bnn_data_options *options, image_axes *axes,
                            bnn_error *error)
{
    char shape[200];
    const size_t *n = array->shape, *step = array->stride;
    if (array->rank == 3) {
        *axes = (image_axes){n[0], 1, n[1], n[2], step[0], 0, step[1], step[2]};
    } else if (array->rank == 4) {
        const image_axes first = {n[0], n[1], n[2], n[3], step[0], step[1], step[2], step[3]};
        const image_axes last = {n[0], n[3], n[1], n[2], step[0], step[3], step[1], step[2]};
        *axes = channels_are_last(&first, &last, options) ? last : first;
    } else {
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: found an array of shape %s, expected images (N,H,W), (N,C,H,W) or (N,H,W,C)",
                        array->name, bnn_array_shape_text(array, shape));
    }
    if (array->count == 0)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: found an array of shape %s, expected at least one image of one pixel",
                        array->name, bnn_array_shape_text(array, shape));
    return BNN_OK;
}

/* ---- pixels and labels --------------------------------------------------------------------------------- */

/* table[x] <- (x/255 - 0.5)/0.5: black is -1, white is 1. */
static void fill_scale(bnn_real table[256])
{
    for (int x = 0; x < 256; x++) table[x] = (bnn_real)((x / 255.0 - 0.5) / 0.5);
}

/* An item as a pixel: through `scale` where that is not NULL and has it, and else by the same formula. */
static bnn_real pixel_of(const bnn_array *array, const bnn_real *scale, size_t at)
{
    if (!scale) return (bnn_real)bnn_array_item(array, at);
    if (array->width == 1) return scale[array->items[at]];
    const double white = ldexp(1, (int)(8 * array->width)) - 1;
    return (bnn_real)((bnn_array_item(array, at) / white - 0.5) / 0.5);
}

/* images of *dataset from `first` on <- the array, channels first, scaled where `scale` is not NULL; the range of *dataset is
 * widened to hold them. */
static bnn_status fill_images(const bnn_array *array, const image_axes *axes, const bnn_real *scale,
                              size_t first, bnn_dataset *dataset, bnn_error *error)
{
    const size_t image = axes->channels * axes->height * axes->width;
    bnn_real *out = dataset->images + first * image;
    bnn_real least = (bnn_real)dataset->pixels.least, most = (bnn_real)dataset->pixels.most;
    for (size_t i = 0; i < axes->count; i++)
        for (size_t c = 0; c < axes->channels; c++)
            for (size_t y = 0; y < axes->height; y++) {
                size_t at = i * axes->image_step + c * axes->channel_step + y * axes->row_step;
                for (size_t x = 0; x < axes->width; x++, at += axes->pixel_step, out++) {
                    const bnn_real value = pixel_of(array, scale, at);
                    if (!isfinite(value))
                        return bnn_fail(error, BNN_BAD_INPUT,
                                        "%s: image %zu, channel %zu, row %zu, column %zu is %g, expected a "
                                        "finite " BNN_REAL_NAME,
                                        array->name, i, c, y, x, bnn_array_item(array, at));
                    if (value < least) least = value;
                    if (value > most) most = value;
                    *out = value;
                }
            }
    dataset->pixels = (bnn_range){(double)least, (double)most};
    return BNN_OK;
}

/* All parts of the data set, whose shape is that of `axes`. */
static bnn_status fill_parts(const bnn_array *images, const bnn_array *labels, size_t parts,
                             const bnn_data_options *options, bnn_dataset *dataset, bnn_error *error)
{
    bnn_status status = BNN_OK;
    bnn_real scale[256];
    image_axes axes = {0};
    fill_scale(scale);
    dataset->classes = options->classes;
    dataset->pixels = (bnn_range){INFINITY, -INFINITY};
    for (size_t p = 0, first = 0; !status && p < parts; p++, first += axes.count) {
        const bool intensities = images[p].intensities || images[p].width == 1;
        const bool scaled = options->scale == BNN_SCALE_AUTO && images[p].kind == 'u' && intensities;
        size_t largest;
        status = find_axes(&images[p], options, &axes, error);
        if (status) break;
        bnn_array_type_text(&images[p], dataset->type);
        dataset->scaled = scaled;
        status = fill_images(&images[p], &axes, scaled ? scale : NULL, first, dataset, error);
        if (status || !labels) continue;
        status = bnn_array_labels(&labels[p], axes.count, options->classes, dataset->labels + first, &largest,
                                  error);
        if (!status && dataset->classes < largest + 1) dataset->classes = largest + 1;
    }
    dataset->background =
        (bnn_real)(isnan(options->background) ? dataset->pixels.least : options->background);
    return status;
}

bnn_status bnn_dataset_from_arrays(const bnn_array *images, const bnn_array *labels, size_t parts,
                                   const bnn_data_options *options, bnn_dataset **dataset, bnn_error *error)
{
    image_axes axes = {0}, other = {0};
    size_t count = 0;
    bnn_dataset *result = NULL;
    bnn_status status;
    *dataset = NULL;
    if (!options) options = &nothing_known;
    for (size_t p = 0; p < parts; p++) {
        status = find_axes(&images[p], options, &other, error);
        if (status) return status;
        if (p == 0) axes = other;
        if (other.channels != axes.channels || other.height != axes.height || other.width != axes.width)
            return bnn_fail(error, BNN_BAD_INPUT,
                            "%s: found images of %zu x %zu x %zu (C x H x W), expected %zu x %zu x %zu",
                            images[p].name, other.channels, other.height, other.width, axes.channels,
                            axes.height, axes.width);
        count += other.count;
    }
    status = bnn_dataset_create(images[0].name, count, axes.channels, axes.height, axes.width, labels,
                                &result, error);
    if (!status) status = fill_parts(images, labels, parts, options, result, error);
    if (status)
        bnn_dataset_free(result);
    else
        *dataset = result;
    return status;
}

/* ---- from files ---------------------------------------------------------------------------------------- */

bnn_status bnn_dataset_read(const char *images_path, const char *labels_path, const bnn_data_options *options,
                            bnn_dataset **dataset, bnn_error *error)
{
    bnn_array images = {0}, labels = {0};
    *dataset = NULL;
    bnn_status status = bnn_array_read(images_path, &images, error);
    if (!status && labels_path) status = bnn_array_read(labels_path, &labels, error);
    if (!status)
        status = bnn_dataset_from_arrays(&images, labels_path ? &labels : NULL, 1, options, dataset, error);
    bnn_array_free(&labels);
    bnn_array_free(&images);
    return status;
}

bnn_status bnn_labels_read(const char *path, size_t count, size_t classes, uint32_t **labels,
                           bnn_error *error)
{
    bnn_array array;
    *labels = NULL;
    bnn_status status = bnn_array_read(path, &array, error);
    if (status) return status;
    uint32_t *result = bnn_alloc(count, sizeof *result);
    status = result ? bnn_array_labels(&array, count, classes, result, NULL, error)
                    : bnn_no_memory(error, path, count, sizeof *result);
    bnn_array_free(&array);
    if (status)
        free(result);
    else
        *labels = result;
    return status;
}
