#include "bnn/engine.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/sampler.h"
#include "posterior/units.h"

/* With fewer samples than MOST_UNITS the batch is split, so that several threads have work: into so many units, or as many as
 * leave each a block of images, but no fewer than LEAST_UNITS. With less to do, a unit of a wide network would be all reading
 * of weights and writing of gradients. A unit that has UNIT_ITEMS loses little by that: of more items there are more units, for
 * ranks. */
#define LEAST_UNITS 4
#define MOST_UNITS 8
#define UNIT_BLOCK 16
#define UNIT_ITEMS 128

/* An activation of a unit that is not finite. */
typedef struct anomaly {
    size_t layer; /* the first that has one, counted from 1; 0: none */
    double value;
} anomaly;

struct bnn_engine {
    const bnn_posterior *posterior;
    bnn_engine_options options;
    size_t count, classes, in_count; /* parameters; reals an image */
    size_t draws;                    /* of weights: the samples, or 1 that they share */
    bnn_units units;                 /* (groups of samples, chunks of items) and their gradients */
    size_t block;                    /* images at a time, of all samples of a group */
    bnn_workspace **workspaces;      /* (threads) */
    bnn_sampler *sampler;
    bnn_real *noise, *weights;  /* (draws, count) */
    bool *drawn;                /* (draws) by units of this rank */
    bnn_real *spread;           /* (draws, count) of the weights of perturbed layers */
    size_t packed_count, parts; /* of a draw's packed weights */
    bnn_real *packed;   /* (draws, packed_count) or, where each unit has its draw, (threads, packed_count) */
    bnn_stream stream;  /* of the step's estimator noise */
    double *kl_factors; /* (layers) */
    bnn_real *mu_gradient, *scale_gradient;
    bnn_real *kl_weight;      /* (count) where the gradient leaves the KL out, else NULL */
    bnn_real *logits;         /* (samples, items, views, classes) */
    bnn_real *logit_gradient; /* (threads, block, classes) */
    double *probabilities;    /* (samples, items, classes) */
    double *nll;              /* (samples, items) */
    double *item_weights;     /* (items) */
    anomaly *anomalies;       /* (units) NULL: not looked for */

    /* Of several ranks: (samples x items, 1 + classes) nll and probabilities in the order of units; what is exchanged before the
     * gradients are reduced, and after it. */
    double *results;
    bnn_exchange before, after;
};

/* The layer that a run of parameters belongs to. */
static const bnn_layer *layer_of(const bnn_engine *engine, const bnn_run *run)
{
    return &engine->posterior->network->layers[run->layer];
}

/* Whether some layers may have a spread beside their weights. */
static bool perturbs(const bnn_engine_options *options)
{
    return options->estimator && options->estimator->perturbs;
}

/* The draws of S samples: 1 where no layer has one. */
static size_t draws_of(const bnn_network *network, const bnn_engine_options *o)
{
    if (!perturbs(o) || o->estimator->drawn) return o->samples;
    for (size_t l = 0; l < network->layer_count; l++)
        if (network->layers[l].bias_count > 0 && !bnn_estimator_perturbs(o->estimator, &network->layers[l]))
            return o->samples;
    return 1;
}

/* Whether samples may go through the network together, so that its first layers compute what they share once: that is so where
 * they differ by the noise of pre-activations alone, and nothing but such layers takes images. */
static bool go_together(const bnn_network *network, const bnn_engine_options *o)
{
    if (!perturbs(o) || draws_of(network, o) > 1 || o->views > 1) return false;
    for (size_t l = 0; l < network->layer_count; l++)
        for (size_t i = 0; i < network->layers[l].type->inputs; i++)
            if (network->layers[l].inputs[i] == BNN_IMAGES && network->layers[l].bias_count == 0)
                return false;
    return true;
}

/* The first sample of a group; of group `groups`, the end. Groups of several have an even one first: estimators pair them. */
static size_t first_of(const bnn_engine *engine, size_t group)
{
    const size_t samples = engine->options.samples, first = group * samples / engine->units.groups;
    return engine->units.groups < samples && first < samples ? first / 2 * 2 : first;
}

static size_t largest_group(const bnn_engine *engine)
{
    size_t most = 0;
    for (size_t g = 0; g < engine->units.groups; g++) {
        const size_t samples = first_of(engine, g + 1) - first_of(engine, g);
        if (samples > most) most = samples;
    }
    return most;
}

/* Whether several units share a draw. */
static bool shares_draws(const bnn_engine *engine)
{
    return engine->units.units > engine->draws;
}

static size_t draw_of(const bnn_engine *engine, size_t sample)
{
    return sample % engine->draws;
}

static bnn_status make_arrays(bnn_engine *engine, bnn_error *error)
{
    const bnn_engine_options *o = &engine->options;
    const size_t all = engine->count, rows = o->items * o->views;
    const size_t packings = shares_draws(engine) ? engine->draws : (size_t)o->threads;
    const struct {
        bnn_real **array;
        size_t count;
    } wanted[] = {
        {&engine->noise, engine->draws * all},
        {&engine->weights, engine->draws * all},
        {&engine->spread, perturbs(o) ? engine->draws * all : 0},
        {&engine->packed, packings * engine->packed_count},
        {&engine->mu_gradient, all},
        {&engine->scale_gradient, all},
        {&engine->kl_weight, o->likelihood_only ? all : 0},
        {&engine->logits, o->samples * rows * engine->classes},
        {&engine->logit_gradient, (size_t)o->threads * engine->block * engine->classes},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        *wanted[i].array = bnn_alloc(wanted[i].count, sizeof(bnn_real));
        if (!*wanted[i].array)
            return bnn_no_memory(error, "a training step", wanted[i].count, sizeof(bnn_real));
    }
    engine->probabilities = bnn_alloc(o->samples * o->items * engine->classes, sizeof(double));
    engine->nll = bnn_alloc(o->samples * o->items, sizeof(double));
    engine->kl_factors = bnn_alloc(engine->posterior->network->layer_count, sizeof(double));
    engine->item_weights = bnn_alloc(o->items, sizeof(double));
    engine->drawn = bnn_alloc(engine->draws, sizeof *engine->drawn);
    if (o->detect_anomaly) {
        engine->anomalies = bnn_alloc(engine->units.units, sizeof *engine->anomalies);
        if (!engine->anomalies)
            return bnn_no_memory(error, "units", engine->units.units, sizeof *engine->anomalies);
    }
    if (!engine->probabilities || !engine->nll || !engine->kl_factors || !engine->item_weights ||
        !engine->drawn)
        return bnn_no_memory(error, "predictions", o->samples * o->items * engine->classes, sizeof(double));
    for (size_t l = 0; l < engine->posterior->network->layer_count; l++) engine->kl_factors[l] = 1;
    for (size_t i = 0; i < o->items; i++) engine->item_weights[i] = 1;
    for (size_t unit = engine->units.first; unit < engine->units.end; unit++)
        engine->drawn[draw_of(engine, first_of(engine, unit / engine->units.chunks))] = true;
    return BNN_OK;
}

/* The first of a unit's items. */
static size_t item_of(const bnn_engine *engine, size_t chunk)
{
    return chunk * engine->options.items / engine->units.chunks;
}

/* Samples and items of the units before one, in pairs. */
static size_t rows_before(const bnn_engine *engine, size_t unit)
{
    const size_t items = engine->options.items, group = unit / engine->units.chunks;
    if (unit == engine->units.units) return engine->options.samples * items;
    const size_t s = first_of(engine, group);
    return s * items + (first_of(engine, group + 1) - s) * item_of(engine, unit % engine->units.chunks);
}

/* What several ranks exchange in a step: units' gradients, slice by slice, and their results; then the slices of the sums. */
static bnn_status plan_exchanges(bnn_engine *engine, bnn_error *error)
{
    const bnn_sampler *sampler = engine->sampler;
    const bnn_units *units = &engine->units;
    const size_t ranks = bnn_ranks_count(), row = (1 + engine->classes) * sizeof(double);
    bnn_status status = bnn_units_create(&engine->units, sampler->runs, sampler->run_count,
                                         perturbs(&engine->options), &engine->before, error);
    if (status || ranks == 1) return status;
    size_t *begin = bnn_alloc(3 * (ranks + 1), sizeof *begin);
    engine->results = bnn_alloc(rows_before(engine, units->units), row);
    if (!begin || !engine->results) {
        free(begin);
        return bnn_no_memory(error, "ranks", rows_before(engine, units->units), row);
    }
    size_t *rows = begin + ranks + 1, *slice = rows + ranks + 1;
    for (size_t r = 0; r <= ranks; r++) {
        begin[r] = bnn_rank_begin(units->units, r);
        rows[r] = rows_before(engine, begin[r]);
        slice[r] = bnn_units_slice(units, sampler->runs, sampler->run_count, r);
    }
    status = bnn_exchange_gather(&engine->before, engine->results, row, rows, error);
    if (!status && engine->anomalies)
        status = bnn_exchange_gather(&engine->before, engine->anomalies, sizeof(anomaly), begin, error);
    if (!status)
        status = bnn_exchange_gather(&engine->after, engine->mu_gradient, sizeof(bnn_real), slice, error);
    if (!status)
        status = bnn_exchange_gather(&engine->after, engine->scale_gradient, sizeof(bnn_real), slice, error);
    free(begin);
    return status;
}

static bnn_workspace_options workspace_options(const bnn_engine_options *o, size_t block)
{
    return (bnn_workspace_options){
        .block = block, .train = true, .estimator = o->estimator, .kernels = o->kernels};
}

/* Groups of samples, each about as large as a block of images; and chunks of items. */
static void cut_work(const bnn_network *network, bnn_engine *engine)
{
    const bnn_engine_options *o = &engine->options;
    const bnn_workspace_options unit = workspace_options(o, UNIT_BLOCK);
    const size_t block = bnn_network_block(network, &unit, o->views);
    const size_t full = o->samples * o->items / UNIT_ITEMS, most = full > MOST_UNITS ? full : MOST_UNITS;
    size_t units = o->samples * (o->items * o->views / block);
    if (units < LEAST_UNITS) units = LEAST_UNITS;
    if (units > most) units = most;
    const size_t groups = go_together(network, o) ? (o->samples + block - 1) / block : o->samples;
    size_t chunks = groups < o->samples ? units : (units + o->samples - 1) / o->samples;
    if (chunks > o->items) chunks = o->items;
    engine->units = bnn_units_cut(groups, chunks, engine->sampler->runs, engine->sampler->run_count);
}

bnn_status bnn_engine_create(const bnn_posterior *posterior, const bnn_engine_options *options,
                             bnn_engine **engine, bnn_error *error)
{
    const bnn_network *network = posterior->network;
    *engine = NULL;
    bnn_engine *result = bnn_alloc(1, sizeof *result);
    if (!result) return bnn_no_memory(error, "an engine", 1, sizeof *result);
    result->posterior = posterior;
    result->options = *options;
    result->count = posterior->count;
    result->classes = network->spec.classes;
    result->in_count = bnn_network_in_count(network);
    result->draws = draws_of(network, options);
    bnn_status status = bnn_sampler_create(posterior, &result->sampler, error);
    if (status) {
        bnn_engine_free(result);
        return status;
    }
    cut_work(network, result);
    const size_t group = largest_group(result);
    const size_t chunk = (options->items + result->units.chunks - 1) / result->units.chunks;
    bnn_workspace_options workspace = workspace_options(options, group * chunk * options->views);
    workspace.block = bnn_network_block(network, &workspace, group * options->views);
    workspace.samples = group;
    result->block = workspace.block;

    result->workspaces = bnn_alloc((size_t)options->threads, sizeof *result->workspaces);
    if (!result->workspaces) status = bnn_no_memory(error, "threads", (size_t)options->threads, 8);
    for (int t = 0; !status && t < options->threads; t++)
        status = bnn_workspace_create(network, &workspace, &result->workspaces[t], error);
    if (!status) status = bnn_workspace_reserve(result->workspaces[0], (size_t)options->threads, error);
    if (!status) {
        result->packed_count = bnn_workspace_packed_count(result->workspaces[0]);
        result->parts = bnn_workspace_parts(result->workspaces[0]);
        status = make_arrays(result, error);
    }
    if (!status) status = plan_exchanges(result, error);
    if (status) {
        bnn_engine_free(result);
        return status;
    }
    *engine = result;
    return BNN_OK;
}

void bnn_engine_free(bnn_engine *engine)
{
    if (!engine) return;
    for (int t = 0; engine->workspaces && t < engine->options.threads; t++)
        bnn_workspace_free(engine->workspaces[t]);
    free(engine->workspaces);
    bnn_sampler_free(engine->sampler);
    free(engine->noise);
    free(engine->weights);
    bnn_units_free(&engine->units);
    free(engine->spread);
    free(engine->packed);
    free(engine->kl_factors);
    free(engine->mu_gradient);
    free(engine->scale_gradient);
    free(engine->kl_weight);
    free(engine->logits);
    free(engine->logit_gradient);
    free(engine->probabilities);
    free(engine->item_weights);
    free(engine->nll);
    free(engine->anomalies);
    free(engine->drawn);
    free(engine->results);
    bnn_exchange_free(&engine->before);
    bnn_exchange_free(&engine->after);
    free(engine);
}

/* A run of a sample's weights, and spread, from its noise: its draw, or for perturbed layers mu and the spread. */
static void draw_weights(bnn_engine *engine, const bnn_run *part, size_t s)
{
    bnn_real *noise = engine->noise + s * engine->count, *weights = engine->weights + s * engine->count;
    if (!bnn_estimator_perturbs(engine->options.estimator, layer_of(engine, part))) {
        bnn_sampler_weights(engine->sampler, part, noise, weights);
        return;
    }
    const bnn_slice slice =
        bnn_posterior_slice(engine->posterior, engine->sampler->sigma, part->from, part->count);
    memcpy(weights + part->from, slice.mu, part->count * sizeof *weights);
    engine->options.estimator->spread(part->count, slice.sigma, noise + part->from,
                                      engine->spread + s * engine->count + part->from);
}

/* Whether a draw's noise of run r is wanted here: for its weights, for the gradient, or where noise is shared within a layer, by other
 * runs for the gradient. */
static bool wants_noise(const bnn_engine *engine, size_t r, size_t draw)
{
    const bnn_units *units = &engine->units;
    const bnn_run *runs = engine->sampler->runs;
    if (engine->drawn[draw] || bnn_units_reduces(units, r)) return true;
    return engine->posterior->ties && units->reduced && runs[r].layer >= runs[units->first_run].layer &&
           runs[r].layer <= runs[units->end_run - 1].layer;
}

void bnn_engine_draw(bnn_engine *engine, uint64_t seed, bnn_purpose purpose, uint64_t step)
{
    bnn_sampler *sampler = engine->sampler;
    const size_t draws = engine->draws, count = engine->count;
    const bool tied = engine->posterior->ties;
#pragma omp parallel num_threads(engine->options.threads)
    {
#pragma omp for schedule(static)
        for (size_t r = 0; r < sampler->run_count; r++) {
            const bnn_run *part = &sampler->runs[r];
            bnn_sampler_refresh(sampler, part);
            for (size_t s = 0; s < draws; s++) {
                const size_t at = s * count + part->from;
                if (!wants_noise(engine, r, s)) continue;
                for (size_t j = 0; j < part->count; j += BNN_CHANNEL_UNIT)
                    __builtin_prefetch(engine->weights + at + j, 1); /* while noise is made */
                bnn_sampler_noise(sampler, part, (bnn_draw){seed, purpose, step, s},
                                  engine->noise + s * count);
                if (!tied && engine->drawn[s]) draw_weights(engine, part, s);
            }
        }
#pragma omp for schedule(static)
        for (size_t r = 0; r < (tied ? sampler->run_count : 0); r++)
            for (size_t s = 0; s < draws; s++) {
                if (!engine->drawn[s] && !bnn_units_reduces(&engine->units, r)) continue;
                bnn_sampler_tie(sampler, &sampler->runs[r], engine->noise + s * count);
                if (engine->drawn[s]) draw_weights(engine, &sampler->runs[r], s);
            }
    }
    engine->stream = bnn_stream_of(seed, BNN_STREAM_ESTIMATOR_NOISE, step, purpose, 0);
}

void bnn_engine_centre(bnn_engine *engine)
{
    bnn_sampler *sampler = engine->sampler;
    memset(engine->noise, 0, engine->draws * engine->count * sizeof *engine->noise);
#pragma omp parallel for num_threads(engine->options.threads) schedule(static)
    for (size_t r = 0; r < sampler->run_count; r++) {
        bnn_sampler_refresh(sampler, &sampler->runs[r]);
        for (size_t s = 0; s < engine->draws; s++) draw_weights(engine, &sampler->runs[r], s);
    }
}

void bnn_engine_set_noise(bnn_engine *engine, size_t sample, const bnn_real *eps)
{
    const size_t draw = draw_of(engine, sample);
    memcpy(engine->noise + draw * engine->count, eps, engine->count * sizeof *eps);
    for (size_t r = 0; r < engine->sampler->run_count; r++) {
        bnn_sampler_refresh(engine->sampler, &engine->sampler->runs[r]);
        draw_weights(engine, &engine->sampler->runs[r], draw);
    }
}

/* One part of a draw's packed weights. */
static void pack_part(bnn_engine *engine, size_t draw, size_t part, bnn_real *packed)
{
    const bnn_real *spread = perturbs(&engine->options) ? engine->spread + draw * engine->count : NULL;
    bnn_workspace_pack(engine->workspaces[0], part, engine->weights + draw * engine->count, spread, packed);
}

/* Keeps the first layer of a unit's blocks with an activation that is not finite. */
static void look_for_anomaly(bnn_engine *engine, size_t unit, const bnn_workspace *workspace)
{
    anomaly *first = &engine->anomalies[unit];
    bnn_real value;
    const bnn_layer *layer = bnn_workspace_anomaly(workspace, &value);
    const size_t found = layer ? (size_t)(layer - engine->posterior->network->layers) + 1 : 0;
    if (found && (!first->layer || found < first->layer)) *first = (anomaly){found, (double)value};
}

const bnn_layer *bnn_engine_anomaly(const bnn_engine *engine, bnn_real *value)
{
    const anomaly *first = NULL;
    for (const anomaly *a = engine->anomalies; a < engine->anomalies + engine->units.units; a++)
        if (a->layer && (!first || a->layer < first->layer)) first = a;
    if (!first) return NULL;
    *value = (bnn_real)first->value;
    return &engine->posterior->network->layers[first->layer - 1];
}

/* The losses of `count` items from the i-th on under `samples` samples from s on, whose logits (items, samples, views, classes)
 * are given; gradient <- that of them. */
static void find_losses(bnn_engine *engine, size_t s, size_t samples, size_t i, size_t count,
                        const uint32_t *labels, const bnn_real *logits, bnn_real *gradient)
{
    const bnn_engine_options *o = &engine->options;
    const size_t row = o->views * engine->classes;
    const double scale = 1 / (double)(o->samples * o->items);
    for (size_t k = 0; k < count * samples; k++, logits += row, gradient += row) {
        const size_t item = i + k / samples, at = (s + k % samples) * o->items + item;
        memcpy(engine->logits + at * row, logits, row * sizeof *logits);
        engine->nll[at] = bnn_objective(o->average, logits, o->views, engine->classes, labels[item],
                                        scale * engine->item_weights[item], gradient,
                                        engine->probabilities + at * engine->classes);
    }
}

/* Forward and backward of one group of samples over one chunk of the batch. */
static void run_unit(bnn_engine *engine, size_t unit, const bnn_real *in, const uint32_t *labels, int thread)
{
    const bnn_engine_options *o = &engine->options;
    const size_t group = unit / engine->units.chunks, chunk = unit % engine->units.chunks;
    const size_t s = first_of(engine, group), samples = first_of(engine, group + 1) - s,
                 draw = draw_of(engine, s);
    const size_t first = item_of(engine, chunk), end = item_of(engine, chunk + 1);
    const size_t most = engine->block / (samples * o->views), blocks = (end - first + most - 1) / most;
    bnn_workspace *workspace = engine->workspaces[thread];
    bnn_real *gradient = engine->logit_gradient + (size_t)thread * engine->block * engine->classes;
    bnn_real *packed = engine->packed + (shares_draws(engine) ? draw : (size_t)thread) * engine->packed_count;

    for (size_t part = 0; part < (shares_draws(engine) ? 0 : engine->parts); part++)
        pack_part(engine, draw, part, packed);
    bnn_unit work = {.weights = engine->weights + draw * engine->count,
                     .packed = packed,
                     .gradient = bnn_units_gradient(&engine->units, BNN_OF_WEIGHTS, unit),
                     .views = o->views,
                     .samples = samples};
    if (perturbs(o)) {
        work.spread = engine->spread + draw * engine->count;
        work.spread_gradient = bnn_units_gradient(&engine->units, BNN_OF_SPREAD, unit);
        work.stream =
            bnn_stream_of(engine->stream.state, BNN_STREAM_ESTIMATOR_NOISE, engine->stream.sequence, unit, 0);
    }
    if (o->detect_anomaly) engine->anomalies[unit] = (anomaly){.layer = 0};
    bnn_workspace_begin(workspace, &work);
    for (size_t block = 0, i = first; block < blocks; block++) {
        const size_t next = first + (block + 1) * (end - first) / blocks, items = next - i;
        const bnn_real *logits = bnn_workspace_forward(workspace, in + i * o->views * engine->in_count,
                                                       items * samples * o->views);
        if (o->detect_anomaly) look_for_anomaly(engine, unit, workspace);
        find_losses(engine, s, samples, i, items, labels, logits, gradient);
        bnn_workspace_backward(workspace, gradient);
        i = next;
    }
    bnn_workspace_end(workspace);
}

/* The gradient of a perturbed layer: d/d mu as it is, d/d sigma through the spread. */
static void pull_back_perturbed(const bnn_engine *engine, size_t group, const bnn_run *part,
                                bnn_real *mu_gradient, bnn_real *sigma_gradient)
{
    const size_t draw = draw_of(engine, first_of(engine, group));
    const bnn_real *mean = bnn_units_sum(&engine->units, BNN_OF_WEIGHTS, group, part);
    const bnn_real *spread = bnn_units_sum(&engine->units, BNN_OF_SPREAD, group, part);
    for (size_t j = 0; j < part->count; j++) mu_gradient[j] += mean[j];
    engine->options.estimator->pull_back(part->count, engine->sampler->sigma + part->from,
                                         engine->noise + draw * engine->count + part->from, spread,
                                         sigma_gradient);
}

/* The KL's weight in the loss, for a rule that has its gradient in closed form. */
static void weigh_kl(bnn_engine *engine, const bnn_run *part, double beta)
{
    const bnn_ties *ties = engine->posterior->ties;
    beta *= engine->kl_factors[part->layer];
    for (size_t j = part->from; j < part->from + part->count; j++)
        engine->kl_weight[j] = (bnn_real)beta * (ties ? ties->share[j] : 1);
}

/* Adds up the units of one run of parameters and pulls the gradient back to mu and rho. */
static void reduce_run(bnn_engine *engine, const bnn_run *part, double beta)
{
    const bnn_family *family = bnn_posterior_family(engine->posterior, layer_of(engine, part));
    const bnn_slice slice =
        bnn_posterior_slice(engine->posterior, engine->sampler->sigma, part->from, part->count);
    const bool perturbed = bnn_estimator_perturbs(engine->options.estimator, layer_of(engine, part));
    bnn_real *mu_gradient = engine->mu_gradient + part->from,
             *scale_gradient = engine->scale_gradient + part->from;
    beta *= engine->kl_factors[part->layer];
    memset(mu_gradient, 0, part->count * sizeof *mu_gradient);
    memset(scale_gradient, 0, part->count * sizeof *scale_gradient);
    for (size_t g = 0; g < engine->units.groups; g++) {
        if (perturbed)
            pull_back_perturbed(engine, g, part, mu_gradient, scale_gradient);
        else /* a group is a sample */
            family->pull_back(&slice, engine->noise + g * engine->count + part->from,
                              bnn_units_sum(&engine->units, BNN_OF_WEIGHTS, g, part), mu_gradient,
                              scale_gradient);
    }
    if (!engine->options.likelihood_only && beta != 0)
        bnn_posterior_kl_gradient(engine->posterior, family, &slice, part->from, (bnn_real)beta, mu_gradient,
                                  scale_gradient);
    for (size_t j = 0; engine->options.gradient == BNN_GRADIENT_OF_RHO && j < part->count; j++)
        scale_gradient[j] *= engine->sampler->slope[part->from + j];
}

/* The mean likelihood and the number of items that the mean of the samples gets right. */
static bnn_step summarise(const bnn_engine *engine, const uint32_t *labels)
{
    const bnn_engine_options *o = &engine->options;
    bnn_step result = {0, 0};
    for (size_t i = 0; i < o->items; i++) {
        size_t best = 0;
        double most = -1;
        for (size_t c = 0; c < engine->classes; c++) {
            double p = 0;
            for (size_t s = 0; s < o->samples; s++)
                p += engine->probabilities[(s * o->items + i) * engine->classes + c];
            if (p > most) most = p, best = c;
        }
        result.correct += best == labels[i];
    }
    for (size_t k = 0; k < o->samples * o->items; k++)
        result.nll += engine->item_weights[k % o->items] * engine->nll[k];
    result.nll /= (double)(o->samples * o->items);
    return result;
}

/* The results of a unit -> its rows of what is exchanged; or `back`. */
static void copy_results(bnn_engine *engine, size_t unit, bool back)
{
    const size_t classes = engine->classes, chunk = unit % engine->units.chunks,
                 group = unit / engine->units.chunks;
    double *row = engine->results + rows_before(engine, unit) * (1 + classes);
    for (size_t s = first_of(engine, group); s < first_of(engine, group + 1); s++)
        for (size_t i = item_of(engine, chunk); i < item_of(engine, chunk + 1); i++, row += 1 + classes) {
            const size_t at = s * engine->options.items + i;
            double *nll = &engine->nll[at], *p = engine->probabilities + at * classes;
            *(back ? nll : row) = *(back ? row : nll);
            memcpy(back ? p : row + 1, back ? row + 1 : p, classes * sizeof *p);
        }
}

/* Of several ranks: each reduces its slice of the parameters, and gets the others. */
static void share_reduction(bnn_engine *engine, double beta)
{
    const bnn_units *units = &engine->units;
    for (size_t unit = units->first; unit < units->end; unit++) copy_results(engine, unit, false);
    bnn_exchange_run(&engine->before);
    for (size_t unit = 0; unit < units->units; unit++) copy_results(engine, unit, true);
#pragma omp parallel for num_threads(engine->options.threads) schedule(static)
    for (size_t r = units->first_run; r < units->end_run; r++)
        reduce_run(engine, &engine->sampler->runs[r], beta);
    bnn_exchange_run(&engine->after);
}

bnn_step bnn_engine_step(bnn_engine *engine, const bnn_real *in, const uint32_t *labels, double beta)
{
    const size_t shared = shares_draws(engine) ? engine->draws * engine->parts : 0;
    const bool alone = bnn_ranks_count() == 1;
#pragma omp parallel num_threads(engine->options.threads)
    {
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < shared; i++)
            if (engine->drawn[i / engine->parts])
                pack_part(engine, i / engine->parts, i % engine->parts,
                          engine->packed + i / engine->parts * engine->packed_count);
#pragma omp for schedule(dynamic, 1)
        for (size_t unit = engine->units.first; unit < engine->units.end; unit++)
            run_unit(engine, unit, in, labels, omp_get_thread_num());
#pragma omp for schedule(static)
        for (size_t r = 0; r < engine->sampler->run_count; r++) {
            const bnn_run *part = &engine->sampler->runs[r];
            if (engine->options.likelihood_only) weigh_kl(engine, part, beta);
            if (alone)
                reduce_run(engine, part, beta);
            else
                bnn_units_join(&engine->units, part);
        }
    }
    if (!alone) share_reduction(engine, beta);
    return summarise(engine, labels);
}

double *bnn_engine_kl_factors(bnn_engine *engine)
{
    return engine->kl_factors;
}

double *bnn_engine_item_weights(bnn_engine *engine)
{
    return engine->item_weights;
}

double bnn_engine_item_nll(const bnn_engine *engine, size_t item)
{
    const size_t samples = engine->options.samples, items = engine->options.items;
    double sum = 0;
    for (size_t s = 0; s < samples; s++) sum += engine->nll[s * items + item];
    return sum / (double)samples;
}

bnn_real *bnn_engine_mu_gradient(bnn_engine *engine)
{
    return engine->mu_gradient;
}

bnn_real *bnn_engine_scale_gradient(bnn_engine *engine)
{
    return engine->scale_gradient;
}

const bnn_real *bnn_engine_kl_weight(const bnn_engine *engine)
{
    return engine->options.likelihood_only ? engine->kl_weight : NULL;
}

const bnn_real *bnn_engine_sigma(const bnn_engine *engine)
{
    return engine->sampler->sigma;
}

const bnn_real *bnn_engine_logits(const bnn_engine *engine, size_t sample)
{
    const bnn_engine_options *o = &engine->options;
    return engine->logits + sample * o->items * o->views * engine->classes;
}
