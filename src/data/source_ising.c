/* Ising configurations at given temperatures, with the phase of the infinite lattice as their class. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/ising.h"
#include "data/source.h"

/* What a split is made of. */
typedef struct plan {
    size_t size, images; /* a side; all images */
    const bnn_numbers *temperatures, *window;
    uint64_t seed;
    bnn_split split;
} plan;

static bnn_status check_temperatures(const char *key, const bnn_numbers *list, bnn_error *error)
{
    if (list->count == 0)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: found [], expected at least one temperature", key);
    for (size_t i = 0; i < list->count; i++)
        for (size_t j = 0; j < i; j++)
            if (list->value[i] == list->value[j])
                return bnn_fail(error, BNN_BAD_INPUT, "%s: found %g twice, expected each temperature once",
                                key, list->value[i]);
    return BNN_OK;
}

static bnn_status make_plan(const bnn_data_paths *paths, bnn_split split, plan *p, bnn_error *error)
{
    const bool own = split == BNN_TEST && paths->ising.test_temperatures.count > 0;
    const size_t each =
        split == BNN_TRAIN ? paths->ising.train_per_temperature : paths->ising.test_per_temperature;
    *p = (plan){.size = paths->ising.size,
                .temperatures = own ? &paths->ising.test_temperatures : &paths->ising.temperatures,
                .window = &paths->ising.window,
                .seed = paths->seed,
                .split = split};
    p->images = each * p->temperatures->count;
    if (p->window->count && !(p->window->count == 2 && p->window->value[0] < p->window->value[1]))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "data.ising.window: expected [] or [from, to] with from below to");
    return check_temperatures(own ? "data.ising.test_temperatures" : "data.ising.temperatures",
                              p->temperatures, error);
}

/* The stream of a temperature, whatever others there are. */
static bnn_stream stream_of(const plan *p, double temperature)
{
    uint64_t bits;
    memcpy(&bits, &temperature, sizeof bits);
    return bnn_stream_of(p->seed, BNN_STREAM_ISING, (uint64_t)p->split, bits, p->size);
}

/* spins (images, size, size), labels (images) <- configurations of each temperature in turn. */
static bnn_status draw(const plan *p, int8_t *spins, uint8_t *labels, bnn_error *error)
{
    const size_t count = p->temperatures->count, sites = p->size * p->size;
    for (size_t t = 0; t < count; t++) {
        const double temperature = p->temperatures->value[t];
        bnn_ising *chain;
        const bnn_status status =
            bnn_ising_create(p->size, temperature, stream_of(p, temperature), &chain, error);
        if (status) return status;
        for (size_t i = t; i < p->images; i += count) {
            bnn_ising_next(chain, spins + i * sites);
            labels[i] = temperature < BNN_ISING_CRITICAL;
        }
        bnn_ising_free(chain);
    }
    return BNN_OK;
}

/* Parts: outside and within the window, or else each temperature. */
static bnn_status add_parts(const plan *p, bnn_dataset *data, bnn_error *error)
{
    const bool windowed = p->window->count == 2;
    const double *from = p->window->value, *value = p->temperatures->value;
    const size_t count = windowed ? 2 : p->temperatures->count;
    data->part_names = bnn_alloc(count, sizeof *data->part_names);
    data->parts = bnn_alloc(data->count, sizeof *data->parts);
    if (!data->part_names || !data->parts)
        return bnn_no_memory(error, "parts", data->count, sizeof *data->parts);
    data->part_count = count;
    for (size_t k = 0; k < count; k++)
        if (windowed)
            snprintf(data->part_names[k], sizeof *data->part_names, "T %s %g to %g", k ? "from" : "outside",
                     from[0], from[1]);
        else
            snprintf(data->part_names[k], sizeof *data->part_names, "T = %g", value[k]);
    for (size_t i = 0; i < data->count; i++) {
        const size_t t = i % p->temperatures->count;
        data->parts[i] = (uint32_t)(windowed ? value[t] >= from[0] && value[t] <= from[1] : t);
    }
    return BNN_OK;
}

static bnn_status make_dataset(const plan *p, const bnn_data_options *options, bnn_dataset **dataset,
                               bnn_error *error)
{
    static const char *const phases[] = {"disordered", "ordered", NULL};
    const bnn_data_options known = bnn_data_options_within(options, 2);
    const size_t sites = p->size * p->size;
    bnn_array images = {.name = "ising",
                        .rank = 3,
                        .shape = {p->images, p->size, p->size},
                        .stride = {sites, p->size, 1},
                        .count = p->images * sites,
                        .kind = 'i',
                        .width = 1},
              labels = {.name = "ising",
                        .rank = 1,
                        .shape = {p->images},
                        .stride = {1},
                        .count = p->images,
                        .kind = 'u',
                        .width = 1};
    images.items = images.memory = bnn_alloc(p->images, sites);
    labels.items = labels.memory = bnn_alloc(p->images, 1);
    bnn_status status = images.memory && labels.memory
                            ? draw(p, (int8_t *)images.memory, labels.memory, error)
                            : bnn_no_memory(error, "Ising configurations", p->images, sites);
    if (!status) status = bnn_dataset_from_arrays(&images, &labels, 1, &known, dataset, error);
    if (!status) status = bnn_dataset_name_classes(*dataset, phases, error);
    if (!status) status = add_parts(p, *dataset, error);
    bnn_array_free(&labels);
    bnn_array_free(&images);
    if (status) {
        bnn_dataset_free(*dataset);
        *dataset = NULL;
    }
    return status;
}

static bnn_status load(const bnn_data_paths *paths, bnn_split split, const bnn_data_options *options,
                       bnn_dataset **dataset, bnn_error *error)
{
    plan p;
    *dataset = NULL;
    if (split == BNN_VALIDATION) return BNN_OK;
    const bnn_status status = make_plan(paths, split, &p, error);
    if (status || p.images == 0) return status;
    return make_dataset(&p, options, dataset, error);
}

static const char *const keys[] = {"data.ising.size",
                                   "data.ising.temperatures",
                                   "data.ising.test_temperatures",
                                   "data.ising.window",
                                   "data.ising.train_per_temperature",
                                   "data.ising.test_per_temperature",
                                   "data.seed",
                                   NULL};

const bnn_data_source bnn_source_ising = {
    .row = {.name = "ising",
            .summary = "configurations of the 2-D Ising model, drawn when they are asked for, 2 phases",
            .keys = keys},
    .load = load,
};
