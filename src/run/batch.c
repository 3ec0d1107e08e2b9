#include "bnn/batch.h"

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
    if (bnn_warps(augment)) result->warped = bnn_alloc(batch_size * image, sizeof *result->warped);
    if (!result->order || !result->images || !result->labels || (bnn_warps(augment) && !result->warped)) {
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
    free(batches);
}

void bnn_batches_shuffle(bnn_batches *batches, size_t epoch)
{
    bnn_pcg32 rng = bnn_stream_open(bnn_stream_of(batches->seed, BNN_STREAM_SHUFFLE, epoch, 0, 0));
    batches->epoch = epoch;
    for (size_t i = 0; i < batches->items; i++) batches->order[i] = i;
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
    }
}
