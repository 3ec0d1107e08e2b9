#include "bnn/evaluate.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "bnn/numeric.h"
#include "bnn/sampler.h"

/* A chunk's predictions take at most this much memory, and so do its moved images. */
#define CHUNK_BYTES ((size_t)32 << 20)
#define CHUNK_IMAGES 1024

/* With fewer draws than this a chunk is split, so that several threads have work. */
#define LEAST_UNITS 16

typedef struct predictor {
    const bnn_model *model;
    const bnn_dataset *data;
    const bnn_predict_options *options;
    bnn_grid_action *action;
    size_t draws, order, classes, image; /* image: reals of one */
    size_t chunk, parts, block;
    bnn_workspace **workspaces; /* (threads) */
    bnn_sampler *sampler;
    bnn_real *weights, *noise; /* (threads, parameters) */
    bnn_real *moved;           /* (order, chunk, image) a chunk's images under every element */
    double *values;            /* (draws, order, chunk, classes) */
} predictor;

static bnn_status check_shape(const bnn_model *model, const bnn_dataset *data, bnn_error *error)
{
    const size_t *input = model->network->spec.input;
    if (data->channels == input[0] && data->height == input[1] && data->width == input[2]) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT,
                    "images: found %zu x %zu x %zu (C x H x W), expected the model's %zu x %zu x %zu",
                    data->channels, data->height, data->width, input[0], input[1], input[2]);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t chunk_of(const predictor *p)
{
    const size_t predictions = CHUNK_BYTES / (p->draws * p->order * p->classes * sizeof *p->values);
    const size_t images = CHUNK_BYTES / (p->order * p->image * sizeof *p->moved);
    const size_t chunk = least(least(predictions, images), least(CHUNK_IMAGES, p->data->count));
    return chunk ? chunk : 1;
}

static bnn_status prepare(predictor *p, bnn_error *error)
{
    const size_t threads = (size_t)p->options->threads, parameters = p->model->posterior->count;
    bnn_status status = bnn_grid_action_create(p->options->group ? p->options->group : p->model->group,
                                               p->data->height, p->data->width, &p->action, error);
    if (status) return status;
    p->draws = p->options->mean ? 1 : p->options->samples;
    p->order = p->options->group ? p->action->order : 1;
    p->classes = p->model->network->spec.classes;
    p->image = p->data->channels * p->data->height * p->data->width;
    p->chunk = chunk_of(p);
    p->parts = (LEAST_UNITS + p->draws - 1) / p->draws;
    p->block = bnn_network_block(p->model->network, 128, 1);
    p->weights = bnn_alloc(threads * parameters, sizeof *p->weights);
    p->noise = bnn_alloc(threads * parameters, sizeof *p->noise);
    p->moved = bnn_alloc(p->order * p->chunk * p->image, sizeof *p->moved);
    p->values = bnn_alloc(p->draws * p->order * p->chunk * p->classes, sizeof *p->values);
    p->workspaces = bnn_alloc(threads, sizeof *p->workspaces);
    if (!p->weights || !p->noise || !p->moved || !p->values || !p->workspaces)
        return bnn_no_memory(error, "predictions", p->draws * p->order * p->chunk * p->classes,
                             sizeof *p->values);
    const bnn_workspace_options options = {.block = p->block, .kernels = p->options->kernels};
    for (size_t t = 0; !status && t < threads; t++)
        status = bnn_workspace_create(p->model->network, &options, &p->workspaces[t], error);
    if (!status) status = bnn_sampler_create(p->model->posterior, &p->sampler, error);
    for (size_t r = 0; !status && r < p->sampler->run_count; r++)
        bnn_sampler_refresh(p->sampler, &p->sampler->runs[r]);
    return status;
}

static void release(predictor *p)
{
    for (int t = 0; p->workspaces && t < p->options->threads; t++) bnn_workspace_free(p->workspaces[t]);
    free(p->workspaces);
    free(p->values);
    free(p->moved);
    free(p->noise);
    free(p->weights);
    bnn_sampler_free(p->sampler);
    bnn_grid_action_free(p->action);
}

/* One of the (order, chunk) moved images. */
static void move_image(predictor *p, size_t first, size_t row)
{
    const size_t g = row / p->chunk, i = row % p->chunk;
    bnn_grid_action_apply(p->action, g, p->data->images + (first + i) * p->image, p->data->channels,
                          p->data->background, p->moved + row * p->image);
}

/* The weights of draw t on a thread; g tells the draws of one element from those of another, 0 where they are shared. */
static void begin_draw(predictor *p, size_t t, size_t g, int thread)
{
    const bnn_predict_options *o = p->options;
    const size_t parameters = p->model->posterior->count;
    bnn_real *weights = p->weights + (size_t)thread * parameters;
    if (o->mean)
        bnn_posterior_centre(p->model->posterior, weights);
    else
        bnn_sampler_draw(p->sampler, (bnn_draw){o->seed, o->purpose, g, t},
                         p->noise + (size_t)thread * parameters, weights);
    bnn_workspace_begin(p->workspaces[thread], &(bnn_unit){.weights = weights});
}

/* One block of moved images: run, written to values. */
static void run_block(predictor *p, size_t t, size_t g, size_t at, size_t images, int thread)
{
    const bnn_real *in = p->moved + (g * p->chunk + at) * p->image;
    const bnn_real *logits = bnn_workspace_forward(p->workspaces[thread], in, images);
    double *out = p->values + ((t * p->order + g) * p->chunk + at) * p->classes;
    for (size_t i = 0; i < images; i++, logits += p->classes, out += p->classes) {
        if (p->options->logits)
            for (size_t c = 0; c < p->classes; c++) out[c] = (double)logits[c];
        else
            bnn_softmax(logits, p->classes, out);
    }
}

/* Draw t over one part of a chunk: every image, every element. */
static void run_unit(predictor *p, size_t unit, size_t images, int thread)
{
    const size_t t = unit / p->parts, part = unit % p->parts;
    const size_t begin = part * images / p->parts, end = (part + 1) * images / p->parts;
    const bool independent = p->options->draws == BNN_DRAWS_INDEPENDENT;
    if (begin == end) return;
    for (size_t g = 0; g < p->order; g++) {
        if (g == 0 || independent) begin_draw(p, t, independent ? g : 0, thread);
        for (size_t at = begin; at < end; at += p->block)
            run_block(p, t, g, at, least(end - at, p->block), thread);
    }
}

bnn_status bnn_predict(const bnn_model *model, const bnn_dataset *data, const bnn_predict_options *options,
                       bnn_prediction_sink *sink, void *context, bnn_error *error)
{
    predictor p = {.model = model, .data = data, .options = options};
    bnn_status status = check_shape(model, data, error);
    if (status) return status;
    status = prepare(&p, error);
    for (size_t first = 0; !status && first < data->count; first += p.chunk) {
        const size_t images = least(data->count - first, p.chunk);
        p.chunk = images; /* the last chunk may be shorter: values are packed by its own size */
#pragma omp parallel num_threads(options->threads)
        {
#pragma omp for schedule(static)
            for (size_t row = 0; row < p.order * images; row++) move_image(&p, first, row);
#pragma omp for schedule(dynamic, 1)
            for (size_t unit = 0; unit < p.draws * p.parts; unit++)
                run_unit(&p, unit, images, omp_get_thread_num());
        }
        if (options->group_averaged) bnn_metrics_group_average(p.values, p.draws, p.order, images, p.classes);
        status = sink(context, p.values, first, images, error);
    }
    release(&p);
    return status;
}

typedef struct evaluation {
    bnn_metrics_accumulator *accumulator;
    const uint32_t *labels;
    size_t draws, order, classes;
    bool group_averaged;
    double nll; /* sum over draws, elements and images of -log p of the label; for group_averaged */
} evaluation;

static bnn_status add_to_metrics(void *context, double *values, size_t first, size_t images, bnn_error *error)
{
    evaluation *e = context;
    const uint32_t *labels = e->labels ? e->labels + first : NULL;
    for (size_t row = 0; labels && e->group_averaged && row < e->draws * e->order * images; row++)
        e->nll -= log(fmax(values[row * e->classes + labels[row % images]], DBL_MIN));
    if (e->group_averaged) bnn_metrics_group_average(values, e->draws, e->order, images, e->classes);
    return bnn_metrics_add(e->accumulator, values, images, labels, error);
}

bnn_status bnn_evaluate(const bnn_model *model, const bnn_dataset *data, const bnn_predict_options *options,
                        bnn_metrics **metrics, bnn_error *error)
{
    bnn_predict_options raw = *options;
    evaluation e = {.labels = data->labels,
                    .draws = options->mean ? 1 : options->samples,
                    .order = options->group ? options->group->order : 1,
                    .classes = model->network->spec.classes,
                    .group_averaged = options->group_averaged};
    *metrics = NULL;
    raw.group_averaged = false; /* averaged above, once the likelihoods have been taken */
    bnn_status status = bnn_metrics_begin(e.draws, e.order, e.classes, &e.accumulator, error);
    if (!status) status = bnn_predict(model, data, &raw, add_to_metrics, &e, error);
    if (!status) status = bnn_metrics_end(e.accumulator, metrics, error);
    if (!status && e.group_averaged && e.labels)
        (*metrics)->expected_nll = e.nll / (double)(e.draws * e.order * data->count);
    bnn_metrics_discard(e.accumulator);
    return status;
}
