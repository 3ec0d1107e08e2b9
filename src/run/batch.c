#include "bnn/batch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bnn/rng.h"

static bnn_status check_shift(const bnn_dataset *dataset, double shift, bnn_error *error)
{
    const size_t side = dataset->height < dataset->width ? dataset->height : dataset->width;
    if (shift <= (double)side) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT,
                    "data.augment.shift: found %g, expected at most the %zu pixels of a side of the images",
                    shift, side);
}

bnn_status bnn_batches_create(const bnn_dataset *dataset, const bnn_grid_action *action, const bnn_plan *plan,
                              const bnn_warp_limits *augment, size_t batch_size, uint64_t seed,
                              bnn_batches **batches, bnn_error *error)
{
    const size_t items = dataset->count * plan->repeats;
    const size_t image = dataset->channels * dataset->height * dataset->width;
    *batches = NULL;
    if (items < batch_size)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "train.batch_size: found %zu, expected at most the %zu items of an epoch (%zu training images "
            "x %zu)",
            batch_size, items, dataset->count, plan->repeats);
    const bnn_status status = check_shift(dataset, augment->shift, error);
    if (status) return status;
    bnn_batches *result = bnn_alloc(1, sizeof *result);
    if (!result) return bnn_no_memory(error, "batches", 1, sizeof *result);
    *result = (bnn_batches){.dataset = dataset,
                            .action = action,
                            .plan = *plan,
                            .augment = *augment,
                            .seed = seed,
                            .items = items,
                            .batch_size = batch_size,
                            .batches = items / batch_size};
    result->order = bnn_alloc(items, sizeof *result->order);
    result->images = bnn_alloc(batch_size * plan->views * image, sizeof *result->images);
    result->labels = bnn_alloc(batch_size, sizeof *result->labels);
    result->weights = bnn_alloc(batch_size, sizeof *result->weights);
    result->counts = bnn_alloc(batch_size, sizeof *result->counts);
    if (bnn_warps(augment)) result->warped = bnn_alloc(batch_size * image, sizeof *result->warped);
    if (!result->order || !result->images || !result->labels || !result->weights || !result->counts ||
        (bnn_warps(augment) && !result->warped)) {
        bnn_batches_free(result);
        return bnn_no_memory(error, "a batch", batch_size * plan->views * image, sizeof(bnn_real));
    }
    *batches = result;
    return BNN_OK;
}

void bnn_batches_free(bnn_batches *batches)
{
    if (!batches) return;
    free(batches->order);
    free(batches->images);
    free(batches->labels);
    free(batches->warped);
    free(batches->weights);
    free(batches->counts);
    free(batches->class_begin);
    free(batches->by_class);
    free(batches);
}

/* ---- balance ----------------------------------------------------------------------------------------------- */

bnn_status bnn_batches_balance(bnn_batches *batches, bnn_balance balance, bnn_error *error)
{
    const bnn_dataset *data = batches->dataset;
    if (balance == BNN_BALANCE_NONE) return BNN_OK;
    for (size_t i = 0; i < data->count; i++)
        if (data->labels[i] >= batches->classes) batches->classes = data->labels[i] + 1;
    batches->class_begin = bnn_alloc(batches->classes + 2, sizeof *batches->class_begin);
    batches->by_class = bnn_alloc(data->count, sizeof *batches->by_class);
    if (!batches->class_begin || !batches->by_class)
        return bnn_no_memory(error, "classes", data->count, sizeof *batches->by_class);
    size_t *next = batches->class_begin + 1; /* next[c]: where the next image of class c goes */
    for (size_t i = 0; i < data->count; i++) next[data->labels[i] + 1]++;
    for (size_t c = 1; c <= batches->classes; c++) next[c] += next[c - 1];
    for (size_t i = 0; i < data->count; i++) batches->by_class[next[data->labels[i]]++] = i;
    batches->balance = balance;
    return BNN_OK;
}

static size_t images_of(const bnn_batches *batches, size_t label)
{
    return batches->class_begin[label + 1] - batches->class_begin[label];
}

static size_t classes_with_images(const bnn_batches *batches)
{
    size_t classes = 0;
    for (size_t c = 0; c < batches->classes; c++) classes += images_of(batches, c) > 0;
    return classes;
}

double bnn_batches_class_weight(const bnn_batches *batches, size_t label)
{
    if (batches->balance == BNN_BALANCE_NONE) return 1;
    if (label >= batches->classes || !images_of(batches, label)) return 0;
    return (double)batches->dataset->count /
           ((double)classes_with_images(batches) * (double)images_of(batches, label));
}

void bnn_batches_describe(const bnn_batches *batches, void (*message)(void *context, const char *line),
                          void *context)
{
    const bnn_batches *b = batches;
    char line[256];
    double least = INFINITY, most = 0;
    if (b->balance == BNN_BALANCE_NONE) return;
    for (size_t c = 0; c < b->classes; c++) {
        const double weight = bnn_batches_class_weight(b, c);
        if (weight > 0) least = fmin(least, weight);
        most = fmax(most, weight);
    }
    snprintf(
        line, sizeof line,
        "data.balance %s: an image counts %.3g to %.3g times by its class, in the mean once: N stays %zu",
        bnn_balance_names[b->balance], least, most, b->plan.count_factor * b->dataset->count);
    message(context, line);
    message(context,
            "train_nll and objective are those of the balanced likelihood, which bounds no evidence; elbo "
            "is that of the data as it is");
}

/* The items of a class in an epoch under balanced sampling. */
static size_t quota_of(const bnn_batches *batches, size_t label)
{
    const size_t classes = classes_with_images(batches);
    size_t k = 0;
    for (size_t c = 0; c < label; c++) k += images_of(batches, c) > 0;
    /* this class has images: NOLINTNEXTLINE(clang-analyzer-core.DivideZero) */
    return (k + 1) * batches->items / classes - k * batches->items / classes;
}

/* Item j of the `items` of a class. */
static size_t item_of(const bnn_batches *batches, size_t label, size_t j)
{
    const size_t repeats = batches->plan.repeats;
    return batches->by_class[batches->class_begin[label] + j / repeats] * repeats + j % repeats;
}

/* order from `at` on <- the class's items of the epoch; returns how many they are. Of the last, incomplete turn, each item is taken
 * with the odds of what is wanted still among those that are left (Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S). */
static size_t sample_class(bnn_batches *batches, size_t label, bnn_pcg32 *rng, size_t at)
{
    const size_t items = images_of(batches, label) * batches->plan.repeats;
    const size_t quota = items ? quota_of(batches, label) : 0;
    size_t wanted = items ? quota % items : 0, n = at;
    for (size_t turn = 0; items && turn < quota / items; turn++)
        for (size_t j = 0; j < items; j++) batches->order[n++] = item_of(batches, label, j);
    for (size_t j = 0; wanted && j < items; j++) {
        if (bnn_pcg32_uniform(rng) * (double)(items - j) >= (double)wanted) continue;
        batches->order[n++] = item_of(batches, label, j);
        wanted--;
    }
    return n - at;
}

static double count_of(const bnn_batches *batches, size_t label)
{
    if (batches->balance != BNN_BALANCE_SAMPLING) return 1;
    return (double)(images_of(batches, label) * batches->plan.repeats) / (double)quota_of(batches, label);
}

/* ---- an epoch ---------------------------------------------------------------------------------------------- */

void bnn_batches_shuffle(bnn_batches *batches, size_t epoch)
{
    bnn_pcg32 rng = bnn_stream_open(bnn_stream_of(batches->seed, BNN_STREAM_SHUFFLE, epoch, 0, 0));
    const bool sampled = batches->balance == BNN_BALANCE_SAMPLING;
    bnn_pcg32 sampler = bnn_stream_open(bnn_stream_of(batches->seed, BNN_STREAM_BALANCE, epoch, 0, 0));
    batches->epoch = epoch;
    for (size_t c = 0, at = 0; sampled && c < batches->classes; c++)
        at += sample_class(batches, c, &sampler, at);
    for (size_t i = 0; !sampled && i < batches->items; i++) batches->order[i] = i;
    bnn_pcg32_shuffle(&rng, batches->order, batches->items);
}

/* The group element that moves an item's image. */
static size_t element_of(const bnn_batches *batches, size_t item)
{
    if (batches->plan.augmentation == BNN_AUGMENT_FULL) return item % batches->plan.repeats;
    if (batches->plan.augmentation == BNN_AUGMENT_NONE) return 0;
    bnn_pcg32 rng =
        bnn_stream_open(bnn_stream_of(batches->seed, BNN_STREAM_AUGMENTATION, batches->epoch, item, 0));
    return bnn_pcg32_below(&rng, (uint32_t)batches->action->order);
}

/* An image of the data set as the group finds it; `room` (C, H, W) is for one that is warped. */
static const bnn_real *image_of(const bnn_batches *batches, size_t row, bnn_real *room)
{
    const bnn_dataset *data = batches->dataset;
    const bnn_real *image = data->images + row * data->channels * data->height * data->width;
    if (!room) return image;
    const bnn_warp warp = bnn_warp_draw(
        &batches->augment, bnn_stream_of(batches->seed, BNN_STREAM_WARP, batches->epoch, row, 0));
    bnn_warp_apply(&warp, image, data->channels, data->height, data->width, data->background, room);
    return room;
}

void bnn_batches_fill(bnn_batches *batches, size_t index, int threads)
{
    const bnn_dataset *data = batches->dataset;
    const size_t image = data->channels * data->height * data->width, views = batches->plan.views;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < batches->batch_size; i++) {
        const size_t item = batches->order[index * batches->batch_size + i],
                     row = item / batches->plan.repeats;
        const size_t element = element_of(batches, item);
        const bnn_real *from = image_of(batches, row, batches->warped ? batches->warped + i * image : NULL);
        for (size_t v = 0; v < views; v++)
            bnn_grid_action_apply(batches->action, views > 1 ? v : element, from, data->channels,
                                  data->background, batches->images + (i * views + v) * image);
        batches->labels[i] = data->labels[row];
        batches->weights[i] = batches->balance == BNN_BALANCE_WEIGHTS
                                  ? bnn_batches_class_weight(batches, data->labels[row])
                                  : 1;
        batches->counts[i] = count_of(batches, data->labels[row]);
    }
}
