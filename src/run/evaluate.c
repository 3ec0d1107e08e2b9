#include "bnn/evaluate.h"

#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/numeric.h"
#include "bnn/ranks.h"
#include "bnn/sampler.h"
#include "bnn/symmetry.h"

/* A chunk's predictions take at most this much memory, and so do its moved images. */
#define CHUNK_BYTES ((size_t)32 << 20)
#define CHUNK_IMAGES 1024

/* With fewer draws than this a chunk is split, so that several threads have work. */
#define LEAST_UNITS 16

/* Of KL(q || q_G): of terms between 0 and log |G|, the error is at most log |G|/32. */
#define MIXTURE_DRAWS 256

/* A model of the mixture, and what runs it. */
typedef struct runner {
    const bnn_model *model;
    uint64_t seed;
    bnn_sampler *sampler;
    bnn_workspace **workspaces; /* (threads) */
    size_t block, packed_count;
} runner;

/* How a rank's units of a pass went. */
typedef struct outcome {
    size_t broken; /* the place of the first logit that is not finite, or SIZE_MAX */
    double logit;
    bool stopped;
} outcome;

/* Images are predicted in chunks, a chunk in passes: a pass runs `views` moved copies of every image under every draw. F
 * itself takes one, whose views are the orbit. The group-averaged predictive takes one for each element g of the orbit, with
 * the views h.(g.x), unless they are the same images for every g. */
typedef struct predictor {
    runner *models; /* (count), of which each has `samples` of the draws */
    size_t count, samples;
    const bnn_dataset *data;
    const bnn_predict_options *options;
    bnn_grid_action *orbit, *average; /* of the options' groups; NULL where there is none */
    size_t draws, order, views, passes;
    size_t classes, image;      /* image: reals of one */
    size_t first, images, pass; /* of the chunk at hand; its pass */
    size_t chunk, parts;
    bnn_real *weights, *noise;       /* (threads, parameters) */
    bnn_real *packed;                /* (threads, packed_count) */
    size_t parameters, packed_count; /* the most of a member */
    bnn_real *turned;           /* (chunk, image) g.x, of which the views are taken; empty with one pass */
    bnn_real *moved;            /* (views, chunk, image) */
    double *members;            /* (draws, views, chunk, classes) of a pass */
    double *member_likelihoods; /* (draws, views, chunk) logs */
    double *values;             /* (draws, order, chunk, classes) means over the views; empty without */
    double *log_likelihood;     /* (order, chunk) of the predictive */
    double *of_draws;           /* (draws, chunk) mean log-likelihoods of a draw's members at g = e */
    double *expected, *entropy; /* (chunk) means over the members of the predictive at g = e */
    size_t units;               /* of the pass that are done; atomic */
    outcome of_pass;

    /* Of several ranks, each of which runs consecutive units: (draws, views, chunk, classes + 1) probabilities and
     * log-likelihoods in the order of units, and what each has of it. */
    double *shared;
    size_t *begin;     /* (ranks + 1) rows of `shared` */
    outcome *outcomes; /* (ranks) */
    bnn_exchange exchange;
} predictor;

static bnn_status check_data(const bnn_model *model, const bnn_dataset *data, const uint32_t *labels,
                             bnn_error *error)
{
    const size_t *input = model->network->spec.input, classes = model->network->spec.classes;
    if (data->channels != input[0] || data->height != input[1] || data->width != input[2])
        return bnn_fail(error, BNN_BAD_INPUT,
                        "images: found %zu x %zu x %zu (C x H x W), expected the model's %zu x %zu x %zu",
                        data->channels, data->height, data->width, input[0], input[1], input[2]);
    for (size_t i = 0; labels && i < data->count; i++)
        if (labels[i] >= classes)
            return bnn_fail(error, BNN_BAD_INPUT, "labels: image %zu has label %lu, expected less than %zu",
                            i, (unsigned long)labels[i], classes);
    return BNN_OK;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static bnn_status make_action(const predictor *p, const bnn_group *group, bnn_grid_action **action,
                              bnn_error *error)
{
    return group ? bnn_grid_action_create(group, p->data->height, p->data->width, action, error) : BNN_OK;
}

static bnn_status plan(predictor *p, bnn_error *error)
{
    const bnn_predict_options *o = p->options;
    bnn_status status = make_action(p, o->group, &p->orbit, error);
    if (!status) status = make_action(p, o->average_over, &p->average, error);
    if (status) return status;
    p->samples = o->mean ? 1 : o->samples;
    if (__builtin_mul_overflow(p->count, p->samples, &p->draws))
        return bnn_no_memory(error, "draws", p->count, p->samples);
    p->order = p->orbit ? p->orbit->order : 1;
    p->views = p->average ? p->average->order : p->order;
    const bool one_orbit = o->group == o->average_over && p->average && p->average->exact;
    p->passes = p->average && !one_orbit ? p->order : 1;
    p->classes = p->models->model->network->spec.classes;
    p->image = p->data->channels * p->data->height * p->data->width;
    const size_t rows = p->draws * (p->views + (p->average ? p->order : 0));
    const size_t predictions = CHUNK_BYTES / (rows * p->classes * sizeof *p->values);
    const size_t images = CHUNK_BYTES / (p->views * p->image * sizeof *p->moved);
    p->chunk = least(least(predictions, images), least(CHUNK_IMAGES, p->data->count));
    if (!p->chunk) p->chunk = 1;
    p->parts = (LEAST_UNITS + p->draws - 1) / p->draws;
    for (size_t m = 0; m < p->count; m++)
        p->parameters = most(p->parameters, p->models[m].model->posterior->count);
    return BNN_OK;
}

static bnn_status prepare_member(predictor *p, runner *member, bnn_error *error)
{
    bnn_workspace_options options = {.block = 128};
    bnn_status status = BNN_OK;
    member->block = bnn_network_block(member->model->network, &options, 1);
    options = (bnn_workspace_options){.block = member->block, .kernels = p->options->kernels};
    member->workspaces = bnn_alloc((size_t)p->options->threads, sizeof *member->workspaces);
    if (!member->workspaces)
        return bnn_no_memory(error, "predictions", (size_t)p->options->threads, sizeof *member->workspaces);
    for (int t = 0; !status && t < p->options->threads; t++)
        status = bnn_workspace_create(member->model->network, &options, &member->workspaces[t], error);
    if (!status) status = bnn_workspace_reserve(member->workspaces[0], (size_t)p->options->threads, error);
    if (!status) status = bnn_sampler_create(member->model->posterior, &member->sampler, error);
    if (status) return status;
    for (size_t r = 0; r < member->sampler->run_count; r++)
        bnn_sampler_refresh(member->sampler, &member->sampler->runs[r]);
    member->packed_count = bnn_workspace_packed_count(member->workspaces[0]);
    p->packed_count = most(p->packed_count, member->packed_count);
    return BNN_OK;
}

/* What several ranks exchange. */
static bnn_status prepare_exchange(predictor *p, size_t members, bnn_error *error)
{
    const size_t ranks = bnn_ranks_count();
    if (ranks == 1) return BNN_OK;
    p->shared = bnn_alloc(members * (p->classes + 1), sizeof *p->shared);
    p->begin = bnn_alloc(2 * (ranks + 1), sizeof *p->begin);
    p->outcomes = bnn_alloc(ranks, sizeof *p->outcomes);
    if (p->shared && p->begin && p->outcomes) return BNN_OK;
    return bnn_no_memory(error, "predictions", members * (p->classes + 1), sizeof *p->shared);
}

static bnn_status prepare(predictor *p, bnn_error *error)
{
    const size_t threads = (size_t)p->options->threads;
    bnn_status status = plan(p, error);
    if (status) return status;
    const size_t parameters = p->parameters;
    const size_t members = p->draws * p->views * p->chunk,
                 means = p->average ? p->draws * p->order * p->chunk : 0;
    p->weights = bnn_alloc(threads * parameters, sizeof *p->weights);
    p->noise = bnn_alloc(threads * parameters, sizeof *p->noise);
    p->turned = bnn_alloc(p->passes > 1 ? p->chunk * p->image : 0, sizeof *p->turned);
    p->moved = bnn_alloc(p->views * p->chunk * p->image, sizeof *p->moved);
    p->members = bnn_alloc(members * p->classes, sizeof *p->members);
    p->member_likelihoods = bnn_alloc(members, sizeof *p->member_likelihoods);
    p->values = bnn_alloc(means * p->classes, sizeof *p->values);
    p->log_likelihood = bnn_alloc(p->order * p->chunk, sizeof *p->log_likelihood);
    p->of_draws = bnn_alloc(p->draws * p->chunk, sizeof *p->of_draws);
    p->expected = bnn_alloc(p->chunk, sizeof *p->expected);
    p->entropy = bnn_alloc(p->chunk, sizeof *p->entropy);
    if (!p->weights || !p->noise || !p->turned || !p->moved || !p->members || !p->member_likelihoods ||
        !p->values || !p->log_likelihood || !p->of_draws || !p->expected || !p->entropy)
        return bnn_no_memory(error, "predictions", members * p->classes, sizeof *p->members);
    status = prepare_exchange(p, members, error);
    for (size_t m = 0; !status && m < p->count; m++) status = prepare_member(p, &p->models[m], error);
    if (status) return status;
    p->packed = bnn_alloc(threads * p->packed_count, sizeof *p->packed);
    return p->packed ? BNN_OK : bnn_no_memory(error, "packed weights", p->packed_count, sizeof *p->packed);
}

static void release(predictor *p)
{
    for (size_t m = 0; m < p->count; m++) {
        const runner *member = &p->models[m];
        for (int t = 0; member->workspaces && t < p->options->threads; t++)
            bnn_workspace_free(member->workspaces[t]);
        free(member->workspaces);
        bnn_sampler_free(member->sampler);
    }
    free(p->models);
    bnn_exchange_free(&p->exchange);
    free(p->outcomes);
    free(p->begin);
    free(p->shared);
    free(p->entropy);
    free(p->expected);
    free(p->of_draws);
    free(p->log_likelihood);
    free(p->values);
    free(p->member_likelihoods);
    free(p->members);
    free(p->moved);
    free(p->turned);
    free(p->packed);
    free(p->noise);
    free(p->weights);
    bnn_grid_action_free(p->average);
    bnn_grid_action_free(p->orbit);
}

/* ---- one pass ------------------------------------------------------------------------------------------ */

/* The pass's images, (images, image). */
static const bnn_real *sources(const predictor *p)
{
    return p->passes > 1 ? p->turned : p->data->images + p->first * p->image;
}

static void turn_image(const predictor *p, size_t i)
{
    bnn_grid_action_apply(p->orbit, p->pass, p->data->images + (p->first + i) * p->image, p->data->channels,
                          p->data->background, p->turned + i * p->image);
}

/* One of the (views, images) moved images. */
static void move_image(const predictor *p, size_t row)
{
    const bnn_grid_action *action = p->average ? p->average : p->orbit;
    const bnn_real *in = sources(p) + row % p->images * p->image;
    bnn_real *out = p->moved + row * p->image;
    if (action)
        bnn_grid_action_apply(action, row / p->images, in, p->data->channels, p->data->background, out);
    else
        memcpy(out, in, p->image * sizeof *out);
}

/* The weights of draw t on a thread; `element` tells the draws of one element from those of another, 0 where they are
 * shared. */
static void begin_draw(predictor *p, size_t t, size_t element, int thread)
{
    const bnn_predict_options *o = p->options;
    const runner *member = &p->models[t / p->samples];
    bnn_workspace *workspace = member->workspaces[thread];
    bnn_real *weights = p->weights + (size_t)thread * p->parameters;
    bnn_real *packed = p->packed + (size_t)thread * p->packed_count;
    if (o->mean)
        bnn_posterior_centre(member->model->posterior, weights);
    else
        bnn_sampler_draw(member->sampler, (bnn_draw){member->seed, o->purpose, element, t % p->samples},
                         p->noise + (size_t)thread * p->parameters, weights);
    for (size_t part = 0; part < bnn_workspace_parts(workspace); part++)
        bnn_workspace_pack(workspace, part, weights, NULL, packed);
    bnn_workspace_begin(workspace, &(bnn_unit){.weights = weights, .packed = packed});
}

/* Remembers the first logit in the order (image, view, draw, class) that is not finite, whatever thread finds it. */
static void check_logits(predictor *p, size_t t, size_t view, size_t i, const bnn_real *logits)
{
    for (size_t c = 0; c < p->classes; c++) {
        if (isfinite(logits[c])) continue;
        const size_t place = ((i * p->views + view) * p->draws + t) * p->classes + c;
#pragma omp critical(bnn_predict)
        if (place < p->of_pass.broken) p->of_pass.broken = place, p->of_pass.logit = (double)logits[c];
        return;
    }
}

/* One block of moved images: run, written to members. */
static void run_block(predictor *p, size_t t, size_t view, size_t at, size_t images, int thread)
{
    const bnn_real *in = p->moved + (view * p->images + at) * p->image;
    const bnn_real *logits = bnn_workspace_forward(p->models[t / p->samples].workspaces[thread], in, images);
    const uint32_t *labels = p->options->labels;
    const size_t row = (t * p->views + view) * p->images;
    for (size_t i = at; i < at + images; i++, logits += p->classes) {
        double *out = p->members + (row + i) * p->classes;
        check_logits(p, t, view, i, logits);
        const double log_sum = bnn_softmax(logits, p->classes, out);
        if (labels) p->member_likelihoods[row + i] = (double)logits[labels[p->first + i]] - log_sum;
        for (size_t c = 0; p->options->logits && c < p->classes; c++) out[c] = (double)logits[c];
    }
}

/* The units of a pass that this rank runs. */
static size_t first_unit(const predictor *p)
{
    return bnn_rank_begin(p->draws * p->parts, bnn_rank());
}

static size_t end_of_units(const predictor *p)
{
    return bnn_rank_begin(p->draws * p->parts, bnn_rank() + 1);
}

/* The first image of a part. */
static size_t begin_of(const predictor *p, size_t part)
{
    return part * p->images / p->parts;
}

static bool is_stopped(const predictor *p)
{
    return p->options->stop && *p->options->stop;
}

/* Draw t over one part of the images, every view. */
static void run_unit(predictor *p, size_t unit, int thread)
{
    const size_t t = unit / p->parts, part = unit % p->parts;
    const size_t begin = begin_of(p, part), end = begin_of(p, part + 1);
    const size_t block = p->models[t / p->samples].block;
    const bool independent = p->options->draws == BNN_DRAWS_INDEPENDENT;
    if (begin == end || is_stopped(p)) return;
    for (size_t view = 0; view < p->views; view++) {
        if (view == 0 || independent) begin_draw(p, t, independent ? p->pass * p->views + view : 0, thread);
        for (size_t at = begin; at < end; at += block)
            run_block(p, t, view, at, least(end - at, block), thread);
    }
}

/* values and entropy of image i <- those of the pass's members. */
static void average_members(predictor *p, size_t i)
{
    const size_t images = p->images, classes = p->classes, views = p->views;
    double entropy = 0;
    for (size_t t = 0; t < p->draws; t++) {
        const double *members = p->members + (t * views * images + i) * classes;
        double *mean = p->values + ((t * p->order + p->pass) * images + i) * classes;
        for (size_t c = 0; c < classes; c++) {
            double sum = 0;
            for (size_t v = 0; v < views; v++) sum += members[v * images * classes + c];
            mean[c] = sum / (double)views;
        }
        for (size_t v = 0; v < views; v++) entropy += bnn_entropy(members + v * images * classes, classes);
    }
    if (p->pass == 0) p->entropy[i] = entropy / (double)(p->draws * views);
}

/* log_likelihood and expected of image i <- those of the pass's members: of all of them, or of each view's draws. */
static void gather_likelihoods(predictor *p, size_t i)
{
    const size_t members = p->average ? p->draws * p->views : p->draws;
    const size_t stride = p->average ? p->images : p->views * p->images;
    const double *of_members = p->member_likelihoods + i;
    for (size_t g = 0; g < (p->average ? 1 : p->order); g++)
        p->log_likelihood[(p->pass + g) * p->images + i] =
            bnn_log_mean_exp(of_members + g * p->images, members, stride);
    if (p->pass > 0) return;
    double sum = 0;
    for (size_t m = 0; m < members; m++) sum += of_members[m * stride];
    p->expected[i] = sum / (double)members;
    for (size_t t = 0; t < p->draws; t++) {
        double of_draw = 0;
        for (size_t v = 0; v < (p->average ? p->views : 1); v++)
            of_draw += of_members[(t * p->views + v) * p->images];
        p->of_draws[t * p->images + i] = p->average ? of_draw / (double)p->views : of_draw;
    }
}

/* One orbit of views serves every element: what the first pass gave for the identity goes to the others. */
static void repeat_over_orbit(predictor *p)
{
    const size_t images = p->images, row = images * p->classes;
    for (size_t g = p->passes; g < p->order; g++) {
        for (size_t t = 0; t < p->draws; t++)
            memcpy(p->values + (t * p->order + g) * row, p->values + t * p->order * row,
                   row * sizeof *p->values);
        memcpy(p->log_likelihood + g * images, p->log_likelihood, images * sizeof *p->log_likelihood);
    }
}

/* Counts a unit of the pass as done; the calling thread says so. */
static void count_unit(predictor *p, int thread)
{
    size_t done;
#pragma omp atomic capture
    done = ++p->units;
    if (thread > 0 || !p->options->progress) return;
    const double of_pass = (double)done / (double)(end_of_units(p) - first_unit(p));
    const double images = (double)p->images * ((double)p->pass + of_pass) / (double)p->passes;
    p->options->progress(p->options->progress_context, ((double)p->first + images) / (double)p->data->count);
}

/* Names the first logit that is not finite, and of several members whose it is. */
static bnn_status fail_broken(const predictor *p, bnn_error *error)
{
    const size_t broken = p->of_pass.broken, draw = broken / p->classes % p->draws;
    char logit[BNN_NUMBER_TEXT], member[48] = "";
    if (p->count > 1) snprintf(member, sizeof member, "model %zu, ", draw / p->samples);
    return bnn_fail(
        error, BNN_FAILED,
        "the network's weights have diverged: a prediction became %s (%simage %zu, draw %zu, class %zu)",
        bnn_number_text(p->of_pass.logit, logit), member,
        p->first + broken / (p->classes * p->draws * p->views), draw % p->samples, broken % p->classes);
}

/* ---- several ranks ----------------------------------------------------------------------------------------- */

/* Rows of `shared` before a unit's. */
static size_t rows_before(const predictor *p, size_t unit)
{
    return p->views * (unit / p->parts * p->images + begin_of(p, unit % p->parts));
}

/* The predictions of a unit -> its rows of what is shared; or `back`. */
static void copy_unit(predictor *p, size_t unit, bool back)
{
    const size_t begin = begin_of(p, unit % p->parts), end = begin_of(p, unit % p->parts + 1);
    double *row = p->shared + rows_before(p, unit) * (p->classes + 1);
    for (size_t view = 0; view < p->views; view++)
        for (size_t i = begin; i < end; i++, row += p->classes + 1) {
            const size_t at = (unit / p->parts * p->views + view) * p->images + i;
            double *values = p->members + at * p->classes, *likelihood = p->member_likelihoods + at;
            memcpy(back ? values : row, back ? row : values, p->classes * sizeof *row);
            *(back ? likelihood : row + p->classes) = *(back ? row + p->classes : likelihood);
        }
}

/* What the pass came to on all ranks: the first logit that is not finite, and rank 0's wish to stop. */
static outcome outcome_of_all(const predictor *p)
{
    outcome all = p->outcomes[0];
    for (size_t r = 1; r < bnn_ranks_count(); r++)
        if (p->outcomes[r].broken < all.broken)
            all.broken = p->outcomes[r].broken, all.logit = p->outcomes[r].logit;
    return all;
}

/* Every rank gets the predictions of all, to add them up in the same order. */
static bnn_status share(predictor *p, bnn_error *error)
{
    const size_t ranks = bnn_ranks_count(), units = p->draws * p->parts;
    size_t *each = p->begin + ranks + 1;
    for (size_t r = 0; r <= ranks; r++) {
        p->begin[r] = rows_before(p, bnn_rank_begin(units, r));
        each[r] = r;
    }
    for (size_t unit = first_unit(p); unit < end_of_units(p); unit++) copy_unit(p, unit, false);
    p->outcomes[bnn_rank()] = p->of_pass;
    p->exchange.count = 0;
    bnn_status status =
        bnn_exchange_gather(&p->exchange, p->shared, (p->classes + 1) * sizeof *p->shared, p->begin, error);
    if (!status) status = bnn_exchange_gather(&p->exchange, p->outcomes, sizeof *p->outcomes, each, error);
    if (status) return status;
    bnn_exchange_run(&p->exchange);
    for (size_t unit = 0; unit < units; unit++) copy_unit(p, unit, true);
    p->of_pass = outcome_of_all(p);
    return BNN_OK;
}

static bnn_status run_pass(predictor *p, bnn_error *error)
{
    bnn_status status = BNN_OK;
    p->of_pass = (outcome){.broken = SIZE_MAX};
    p->units = 0;
#pragma omp parallel num_threads(p->options->threads)
    {
#pragma omp for schedule(static)
        for (size_t i = 0; i < (p->passes > 1 ? p->images : 0); i++) turn_image(p, i);
#pragma omp for schedule(static)
        for (size_t row = 0; row < p->views * p->images; row++) move_image(p, row);
#pragma omp for schedule(dynamic, 1)
        for (size_t unit = first_unit(p); unit < end_of_units(p); unit++) {
            run_unit(p, unit, omp_get_thread_num());
            count_unit(p, omp_get_thread_num());
        }
#pragma omp master
        {
            p->of_pass.stopped = is_stopped(p);
            if (bnn_ranks_count() > 1) status = share(p, error);
        }
#pragma omp barrier
#pragma omp for schedule(static)
        for (size_t i = 0; i < p->images; i++) {
            if (p->average) average_members(p, i);
            if (p->options->labels) gather_likelihoods(p, i);
        }
    }
    if (status) return status;
    if (p->of_pass.stopped) return bnn_fail(error, BNN_INTERRUPTED, "interrupted while predicting");
    return p->of_pass.broken == SIZE_MAX ? BNN_OK : fail_broken(p, error);
}

static bnn_status run_chunk(predictor *p, bnn_prediction_sink *sink, void *context, bnn_error *error)
{
    bnn_predictions predictions = {.first = p->first, .images = p->images, .values = p->members};
    for (p->pass = 0; p->pass < p->passes; p->pass++) {
        const bnn_status status = run_pass(p, error);
        if (status) return status;
    }
    if (p->options->labels) {
        predictions.terms.log_likelihood = p->log_likelihood;
        predictions.terms.expected_log_likelihood = p->expected;
        predictions.terms.draw_log_likelihood = p->of_draws;
    }
    if (p->average) {
        repeat_over_orbit(p);
        predictions.values = p->values;
        if (p->draws * p->views > 1) predictions.terms.conditional_entropy = p->entropy;
    }
    return sink(context, &predictions, error);
}

bnn_status bnn_predict_mixture(const bnn_member *members, size_t count, const bnn_dataset *data,
                               const bnn_predict_options *options, bnn_prediction_sink *sink, void *context,
                               bnn_error *error)
{
    predictor p = {.data = data, .options = options};
    bnn_status status = BNN_OK;
    for (size_t m = 0; !status && m < count; m++)
        status = check_data(members[m].model, data, options->labels, error);
    if (status) return status;
    p.models = bnn_alloc(count, sizeof *p.models);
    if (!p.models) return bnn_no_memory(error, "members", count, sizeof *p.models);
    for (p.count = 0; p.count < count; p.count++)
        p.models[p.count] = (runner){.model = members[p.count].model, .seed = members[p.count].seed};
    status = prepare(&p, error);
    for (; !status && p.first < data->count; p.first += p.images) {
        p.images = least(data->count - p.first, p.chunk);
        status = run_chunk(&p, sink, context, error);
    }
    release(&p);
    return status;
}

bnn_status bnn_predict(const bnn_model *model, const bnn_dataset *data, const bnn_predict_options *options,
                       bnn_prediction_sink *sink, void *context, bnn_error *error)
{
    return bnn_predict_mixture(&(bnn_member){model, options->seed}, 1, data, options, sink, context, error);
}

/* ---- figures ------------------------------------------------------------------------------------------- */

typedef struct evaluation {
    bnn_metrics_accumulator *accumulator;
    const uint32_t *labels;
} evaluation;

static bnn_status add_to_metrics(void *context, const bnn_predictions *p, bnn_error *error)
{
    const evaluation *e = context;
    return bnn_metrics_add(e->accumulator, p->values, p->images, e->labels ? e->labels + p->first : NULL,
                           &p->terms, error);
}

/* Metrics of a mixture of these members, with the temperature of a member that stands alone. */
static bnn_status begin_metrics(const bnn_member *members, size_t count, const bnn_predict_options *options,
                                bnn_metrics_accumulator **accumulator, bnn_error *error)
{
    const bnn_model *model = members->model;
    const size_t draws = options->mean ? 1 : options->samples,
                 order = options->group ? options->group->order : 1;
    uint64_t *streams = bnn_alloc(count, sizeof *streams);
    if (!streams) return bnn_no_memory(error, "members", count, sizeof *streams);
    for (size_t m = 0; m < count; m++) streams[m] = members[m].seed;
    const bnn_status status = bnn_metrics_begin_mixture(count, draws, streams, order,
                                                        model->network->spec.classes, accumulator, error);
    const bnn_calibration *calibration = count == 1 ? &model->calibration : options->calibration;
    if (!status && calibration && !options->uncalibrated)
        bnn_metrics_set_temperature(*accumulator, calibration->temperature);
    free(streams);
    return status;
}

/* At w = mu there is no noise: the plug-in defects are those of F itself. */
static void take_exact_defects(bnn_metrics *metrics, size_t members)
{
    metrics->defect_unbiased = metrics->defect_plugin;
    memcpy(metrics->defect_unbiased_per_element, metrics->defect_plugin_per_element,
           metrics->order * sizeof(double));
    memcpy(metrics->defect_unbiased_of_members, metrics->defect_plugin_of_members, members * sizeof(double));
}

bnn_status bnn_evaluate_mixture(const bnn_member *members, size_t count, const bnn_dataset *data,
                                const bnn_predict_options *options, bnn_metrics **metrics, bnn_error *error)
{
    bnn_predict_options with_labels = *options;
    evaluation e = {.labels = data->labels};
    *metrics = NULL;
    with_labels.labels = data->labels;
    bnn_status status = begin_metrics(members, count, options, &e.accumulator, error);
    if (!status) status = bnn_predict_mixture(members, count, data, &with_labels, add_to_metrics, &e, error);
    if (!status) status = bnn_metrics_end(e.accumulator, metrics, error);
    if (!status && options->mean) take_exact_defects(*metrics, count);
    if (!status && options->draws == BNN_DRAWS_INDEPENDENT && !options->mean)
        (*metrics)->defect_single_draw = NAN; /* p_t(g.x) is of another draw than p_t(x) */
    bnn_metrics_discard(e.accumulator);
    return status;
}

bnn_status bnn_evaluate(const bnn_model *model, const bnn_dataset *data, const bnn_predict_options *options,
                        bnn_metrics **metrics, bnn_error *error)
{
    return bnn_evaluate_mixture(&(bnn_member){model, options->seed}, 1, data, options, metrics, error);
}

/* Whether rho(h) is known to leave the prior alone for every h; where it has no action on the weights, a prior that is not
 * the same for every weight is not. Signs are part of the prior: it has no weight of another one. */
static bnn_status is_prior_invariant(const bnn_model *model, const bnn_group *group, bool *invariant,
                                     bnn_error *error)
{
    const bnn_posterior *q = model->posterior;
    bnn_symmetry *symmetry = NULL;
    *invariant = !q->random_prior && !q->sign;
    if (*invariant) return BNN_OK;
    const bnn_status status = bnn_symmetry_create(group, model->network, &symmetry, error);
    if (!status)
        *invariant = (!q->sign || bnn_symmetry_is_invariant(symmetry, q->sign)) &&
                     bnn_symmetry_is_invariant(symmetry, q->prior_mean) &&
                     bnn_symmetry_is_invariant(symmetry, q->prior_std);
    bnn_symmetry_free(symmetry);
    return status == BNN_FAILED ? status : BNN_OK;
}

/* KL(q_G || p) under a prior that is invariant, or why there is none. */
static bnn_status add_mixture(const bnn_model *model, const bnn_predict_options *options, bnn_elbo *elbo)
{
    bnn_symmetry *symmetry = NULL;
    bnn_error *reason = &elbo->no_kl_mixture;
    double divergence;
    char text[256];
    bnn_status status = bnn_symmetry_create(options->average_over, model->network, &symmetry, reason);
    if (!status && !bnn_network_commutes(options->average_over, model->network, text, sizeof text))
        status = bnn_fail(reason, BNN_BAD_INPUT, "%s", text);
    if (!status)
        status = bnn_mixture_divergence(
            symmetry, model->posterior, (bnn_draw){options->seed, options->purpose, 0, 0}, MIXTURE_DRAWS,
            options->threads, &divergence, &elbo->kl_mixture_standard_error, reason);
    if (!status) elbo->kl_mixture = elbo->kl - divergence;
    bnn_symmetry_free(symmetry);
    return status;
}

bnn_status bnn_evaluate_elbo(const bnn_model *model, const bnn_predict_options *options,
                             const bnn_metrics *metrics, bnn_elbo *elbo, bnn_error *error)
{
    const bnn_family *family = model->posterior->family;
    bool invariant = true;
    if (family->point)
        return bnn_fail(error, BNN_BAD_INPUT, "family %s has no density, so there is no KL and no ELBO",
                        family->row.name);
    if (options->mean) return bnn_fail(error, BNN_BAD_INPUT, "w = mu is one network, no expectation over q");
    if (options->average_over) {
        const bnn_status status = is_prior_invariant(model, options->average_over, &invariant, error);
        if (status) return status;
    }
    if (!invariant)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "the prior is not invariant, and KL(q || prior) bounds no KL of the group-averaged q");
    const double n = (double)model->config.data.train_size, kl = bnn_posterior_kl(model->posterior);
    *elbo =
        (bnn_elbo){.expected_log_likelihood = -metrics->expected_nll, .kl = kl, .kl_mixture = NAN, .n = n};
    if (options->average_over && add_mixture(model, options, elbo) == BNN_FAILED)
        return bnn_fail(error, BNN_FAILED, "%s", elbo->no_kl_mixture.message);
    elbo->total =
        n > 0 ? n * elbo->expected_log_likelihood - (isnan(elbo->kl_mixture) ? kl : elbo->kl_mixture) : NAN;
    elbo->total_error = hypot(n * metrics->expected_nll_error, elbo->kl_mixture_standard_error);
    elbo->per_example = elbo->total / n;
    return BNN_OK;
}
