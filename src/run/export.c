#include "bnn/export.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/sampler.h"

typedef struct exporting {
    const bnn_model *model;
    const bnn_predict_options *options;
    bool uint8;
    size_t draws;
    bnn_onnx *graph;
    bnn_grid_action *action; /* of options->average_over, or NULL */
} exporting;

/* ---- from the images of a user to those of the network ------------------------------------------------- */

/* What data.scale makes of bytes: x/127.5 - 1, or x itself. */
static const char *scale(const exporting *e, const char *images)
{
    static const bnn_real half = 127.5, one = 1;
    bnn_onnx *graph = e->graph;
    const int64_t to_float = 1; /* TensorProto.FLOAT */
    if (!e->uint8) return images;
    const char *numbers = bnn_onnx_node(graph, "Cast", "numbers", BNN_ONNX_INPUTS(images),
                                        BNN_ONNX_ATTRIBUTES({"to", 0, {to_float}}));
    if (e->model->config.data.scale == BNN_SCALE_NONE) return numbers;
    const char *halves =
        bnn_onnx_node(graph, "Div", "halves",
                      BNN_ONNX_INPUTS(numbers, bnn_onnx_reals(graph, "half", 0, NULL, &half)), NULL);
    return bnn_onnx_node(graph, "Sub", "scaled",
                         BNN_ONNX_INPUTS(halves, bnn_onnx_reals(graph, "one", 0, NULL, &one)), NULL);
}

static const char *pad(const exporting *e, const char *images)
{
    const int64_t margin = (int64_t)e->model->config.data.pad,
                  pads[8] = {0, 0, margin, margin, 0, 0, margin, margin};
    const bnn_real background = (bnn_real)e->model->config.data.background;
    const size_t count = 8;
    if (margin == 0) return images;
    return bnn_onnx_node(e->graph, "Pad", "padded",
                         BNN_ONNX_INPUTS(images, bnn_onnx_integers(e->graph, "pads", 1, &count, pads),
                                         bnn_onnx_reals(e->graph, "background", 0, NULL, &background)),
                         NULL);
}

/* (|G| N, C, H, W), first all images under the first element. */
static bnn_status turn(const exporting *e, const char **images, bnn_error *error)
{
    const size_t *input = e->model->network->spec.input, pixels = input[1] * input[2];
    const size_t order = e->action ? e->action->order : 1, sources[] = {order, pixels}, three = 3, four = 4;
    const int64_t flat[] = {0, (int64_t)input[0], (int64_t)pixels}; /* 0: as it is */
    const int64_t whole[] = {-1, (int64_t)input[0], (int64_t)input[1], (int64_t)input[2]};
    bnn_onnx *graph = e->graph;
    if (!e->action) return BNN_OK;
    int64_t *source = bnn_alloc(order * pixels, sizeof *source);
    if (!source) return bnn_no_memory(error, "a group action", order * pixels, sizeof *source);
    for (size_t i = 0; i < order * pixels; i++) source[i] = e->action->source[i];
    const char *in = bnn_onnx_node(
        graph, "Reshape", "pixels",
        BNN_ONNX_INPUTS(*images, bnn_onnx_integers(graph, "pixels_shape", 1, &three, flat)), NULL);
    in = bnn_onnx_node(graph, "Gather", "orbits",
                       BNN_ONNX_INPUTS(in, bnn_onnx_integers(graph, "sources", 2, sources, source)),
                       BNN_ONNX_ATTRIBUTES({"axis", 0, {2}})); /* (N, C, |G|, H W) */
    in = bnn_onnx_node(graph, "Transpose", "elements", BNN_ONNX_INPUTS(in),
                       BNN_ONNX_ATTRIBUTES({"perm", 4, {2, 0, 1, 3}}));
    *images =
        bnn_onnx_node(graph, "Reshape", "turned",
                      BNN_ONNX_INPUTS(in, bnn_onnx_integers(graph, "turned_shape", 1, &four, whole)), NULL);
    free(source);
    return BNN_OK;
}

static bnn_status add_images(const exporting *e, const char **images, bnn_error *error)
{
    const size_t *input = e->model->network->spec.input, margin = 2 * e->model->config.data.pad;
    const size_t shape[] = {input[0], input[1] - margin, input[2] - margin};
    *images = bnn_onnx_input(e->graph, "images", e->uint8 ? BNN_ONNX_UINT8 : BNN_ONNX_FLOAT, 3, shape);
    *images = pad(e, scale(e, *images));
    return turn(e, images, error);
}

/* ---- from draws to predictions ------------------------------------------------------------------------- */

/* Probabilities, or logits, of one draw; `values` is the place for their name. */
static bnn_status add_draw(const exporting *e, const bnn_real *weights, const char *prefix,
                           const char *images, const char **values, bnn_error *error)
{
    const bnn_onnx_part part = {e->graph, prefix, weights};
    const bnn_status status = bnn_network_onnx(e->model->network, &part, images, values, error);
    if (status || e->options->logits) return status;
    *values = bnn_onnx_node(e->graph, "Softmax", bnn_onnx_name(e->graph, "%ssoftmax", prefix),
                            BNN_ONNX_INPUTS(*values), BNN_ONNX_ATTRIBUTES({"axis", 0, {1}}));
    return BNN_OK;
}

/* values (draws) <- of the draws that bnn_predict takes, or of w = mu. */
static bnn_status add_draws(const exporting *e, const char *images, const char **values, bnn_error *error)
{
    const bnn_predict_options *o = e->options;
    const bnn_posterior *q = e->model->posterior;
    bnn_sampler *sampler = NULL;
    bnn_real *weights = bnn_alloc(q->count, sizeof *weights), *noise = bnn_alloc(q->count, sizeof *noise);
    bnn_status status = bnn_sampler_create(q, &sampler, error);
    if (!status && (!weights || !noise)) status = bnn_no_memory(error, "weights", q->count, sizeof *weights);
    for (size_t r = 0; !status && r < sampler->run_count; r++)
        bnn_sampler_refresh(sampler, &sampler->runs[r]);
    for (size_t t = 0; !status && t < e->draws; t++) {
        char prefix[32] = "";
        if (o->mean) {
            bnn_posterior_centre(q, weights);
        } else {
            snprintf(prefix, sizeof prefix, "draw_%zu.", t);
            bnn_sampler_draw(sampler, (bnn_draw){o->seed, o->purpose, 0, t}, noise, weights);
        }
        status = add_draw(e, weights, prefix, images, &values[t], error);
    }
    bnn_sampler_free(sampler);
    free(noise);
    free(weights);
    return status;
}

/* The mean over elements of (|G| N, classes). */
static const char *average(const exporting *e, const char *values)
{
    const size_t three = 3;
    const int64_t apart[] = {e->action ? (int64_t)e->action->order : 1, -1,
                             (int64_t)e->model->network->spec.classes};
    bnn_onnx *graph = e->graph;
    if (!e->action) return values;
    values = bnn_onnx_node(
        graph, "Reshape", "by_element",
        BNN_ONNX_INPUTS(values, bnn_onnx_integers(graph, "by_element_shape", 1, &three, apart)), NULL);
    return bnn_onnx_node(graph, "ReduceMean", "group_average", BNN_ONNX_INPUTS(values),
                         BNN_ONNX_ATTRIBUTES({"axes", 1, {0}}, {"keepdims", 0, {0}}));
}

/* F^(1/T), normalised, as bnn_temper has it: the softmax of log F / T. */
static const char *temper(const exporting *e, const char *values)
{
    const bnn_real temperature = (bnn_real)e->model->calibration.temperature;
    bnn_onnx *graph = e->graph;
    if (e->options->logits || e->options->uncalibrated || temperature == 1) return values;
    values = bnn_onnx_node(graph, "Log", "logarithms", BNN_ONNX_INPUTS(values), NULL);
    values = bnn_onnx_node(
        graph, "Div", "at_temperature",
        BNN_ONNX_INPUTS(values, bnn_onnx_reals(graph, "temperature", 0, NULL, &temperature)), NULL);
    return bnn_onnx_node(graph, "Softmax", "tempered", BNN_ONNX_INPUTS(values),
                         BNN_ONNX_ATTRIBUTES({"axis", 0, {1}}));
}

static bnn_status fill(const exporting *e, bnn_error *error)
{
    const bnn_predict_options *o = e->options;
    const char *images, *name = o->logits ? "logits" : "probabilities";
    const char **values = bnn_alloc(e->draws + 1, sizeof *values); /* of the draws, and a NULL */
    if (!values) return bnn_no_memory(error, "draws", e->draws, sizeof *values);
    bnn_status status = add_images(e, &images, error);
    if (!status) status = add_draws(e, images, values, error);
    if (!status) {
        const char *mean =
            e->draws > 1 ? bnn_onnx_node(e->graph, "Mean", "mean_of_draws", values, NULL) : values[0];
        bnn_onnx_node(e->graph, "Identity", name, BNN_ONNX_INPUTS(temper(e, average(e, mean))), NULL);
        bnn_onnx_output(e->graph, name, BNN_ONNX_FLOAT, 1, &e->model->network->spec.classes);
    }
    free(values);
    return status;
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

static bnn_status check(const exporting *e, bnn_error *error)
{
    const bnn_model *model = e->model;
    const size_t *input = model->network->spec.input, pad = model->config.data.pad;
    const double bytes = (double)e->draws * (double)model->posterior->count * sizeof(float);
    if (bytes > 0x1p31)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "found %.3g bytes of weights in %zu draws, expected at most the 2 GiB of an ONNX file", bytes,
            e->draws);
    if (pad && isnan(model->config.data.background))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "data.background: is auto, expected the number that the model pads images with");
    if (input[1] <= 2 * pad || input[2] <= 2 * pad)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "data.pad: found %zu, expected less than half of %zu x %zu pixels", pad, input[1],
                        input[2]);
    return BNN_OK;
}

static bnn_status find_action(exporting *e, bnn_error *error)
{
    const bnn_group *group = e->options->average_over;
    const size_t *input = e->model->network->spec.input;
    if (!group) return BNN_OK;
    const bnn_status status = bnn_grid_action_create(group, input[1], input[2], &e->action, error);
    if (status || e->action->exact) return status;
    return bnn_fail(
        error, BNN_BAD_INPUT,
        "%s interpolates images of %zu x %zu pixels, so its mean is not invariant; expected a group "
        "that permutes pixels (C1, C2, C4, D1, D2, D4 or T<k>)",
        group->name, input[1], input[2]);
}

static void describe(const exporting *e, char *text, size_t size)
{
    const bnn_predict_options *o = e->options;
    char draws[64] = "mean weights";
    if (!o->mean)
        snprintf(draws, sizeof draws, "%zu weight draws (seed %llu)", e->draws, (unsigned long long)o->seed);
    snprintf(text, size, "%s, %s%s%s", bnn_network_type_row((size_t)e->model->network->spec.type)->name,
             draws, o->average_over ? ", averaged over " : "", o->average_over ? o->average_over->name : "");
}

bnn_status bnn_export_onnx(const bnn_model *model, const bnn_predict_options *options, bool uint8,
                           bnn_onnx **graph, bnn_error *error)
{
    exporting e = {
        .model = model, .options = options, .uint8 = uint8, .draws = options->mean ? 1 : options->samples};
    char description[160];
    *graph = NULL;
    bnn_status status = check(&e, error);
    if (!status) status = find_action(&e, error);
    if (!status) {
        describe(&e, description, sizeof description);
        e.graph = bnn_onnx_create("bnn", description);
        status = e.graph ? fill(&e, error) : bnn_no_memory(error, "a graph", 1, 0);
    }
    bnn_grid_action_free(e.action);
    if (status)
        bnn_onnx_free(e.graph);
    else
        *graph = e.graph;
    return status;
}
