/* Max-pool 2 x 2 with stride 2 in planar or channels-last layout; an odd last row or column is dropped. */
#include <stdio.h>
#include <string.h>

#include "bnn/network.h"
#include "network/layers.h"

/* A layout as `planes` grids of cells of `cell` reals: planar (C, 1), channels-last (1, stride of C). */
typedef struct grid {
    size_t planes, cell, height, width;
} grid;

static grid grid_of(const bnn_activation *a)
{
    const bool planar = a->layout == BNN_LAYOUT_PLANAR;
    return (grid){planar ? a->channels : 1, planar ? 1 : bnn_channel_stride(a->channels), a->height,
                  a->width};
}

/* The first pixel of output pixel p's window, of all images' planes one after the other. */
static size_t window_of(const grid *in, const grid *out, size_t p)
{
    const size_t row = p / out->width, plane = row / out->height;
    return (plane * in->height + row % out->height * 2) * in->width + p % out->width * 2;
}

/* The pixel of a window with the largest value, the first of equals; what is not a number is larger than any. */
static size_t largest(const bnn_real *in, size_t window, size_t width, size_t cell, size_t c)
{
    const size_t pixels[] = {window, window + 1, window + width, window + width + 1};
    size_t best = pixels[0];
    for (size_t v = 1; v < 4; v++) {
        const bnn_real value = in[pixels[v] * cell + c];
        if (value > in[best * cell + c] || value != value) best = pixels[v];
    }
    return best;
}

static void forward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const grid in = grid_of(&shape->in), out = grid_of(&shape->out);
    const size_t pixels = pass->images * out.planes * out.height * out.width;
    for (size_t p = 0; p < pixels; p++) {
        const size_t window = window_of(&in, &out, p);
        for (size_t c = 0; c < in.cell; c++) {
            const size_t from = largest(pass->in[0], window, in.width, in.cell, c);
            pass->out[p * in.cell + c] = pass->in[0][from * in.cell + c];
        }
    }
}

static void backward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const grid in = grid_of(&shape->in), out = grid_of(&shape->out);
    const size_t pixels = pass->images * out.planes * out.height * out.width;
    bnn_real *in_gradient = pass->in_gradient[0];
    if (!in_gradient) return;
    memset(in_gradient, 0, pass->images * bnn_activation_count(&shape->in) * sizeof *in_gradient);
    for (size_t p = 0; p < pixels; p++) {
        const size_t window = window_of(&in, &out, p);
        for (size_t c = 0; c < in.cell; c++) {
            const size_t from = largest(pass->in[0], window, in.width, in.cell, c);
            in_gradient[from * in.cell + c] = pass->out_gradient[p * in.cell + c];
        }
    }
}

static const bnn_kernel max_pool = {.name = "max-pool", .forward = forward, .backward = backward};
static const bnn_kernel *const kernels[] = {&max_pool, NULL};

static bnn_status infer(const bnn_network *network, bnn_layer *layer, bnn_error *error)
{
    bnn_kernel_shape *s = &layer->shape;
    (void)network;
    if (s->in.height < 2 || s->in.width < 2)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: found %zu x %zu pixels, expected at least 2 x 2",
                        layer->name, s->in.height, s->in.width);
    layer_keep_channels(layer);
    s->out.height /= 2;
    s->out.width /= 2;
    return BNN_OK;
}

/* ---- symmetry ------------------------------------------------------------------------------------------ */

/* Whether an element that moves an axis of `size` pixels takes windows of 2 to windows: a turn or flip when no pixel is
 * dropped; shifts by size / k when they are by even numbers of pixels, or when one window is the whole axis, which all
 * shifts leave as it is. */
static bool windows_map(const bnn_group *group, size_t size)
{
    if (group->kind != BNN_GROUP_TRANSLATION) return size % 2 == 0;
    return size % (2 * group->n) == 0 || size == 2;
}

/* The least p for which height + 2p and width + 2p are multiples of `unit`, or `unit` when there is none. */
static size_t least_padding(size_t height, size_t width, size_t unit)
{
    size_t p = 0;
    while (p < unit && ((height + 2 * p) % unit != 0 || (width + 2 * p) % unit != 0)) p++;
    return p;
}

/* Sides of images that are good for all pools of a network. */
static size_t good_sides(const bnn_group *group, const bnn_network *network)
{
    size_t unit = group->kind == BNN_GROUP_TRANSLATION ? group->n : 1;
    for (size_t l = 0; l < network->layer_count; l++)
        if (network->layers[l].type == &bnn_layer_max_pool) unit *= 2;
    return unit;
}

/* D1 moves only columns. */
static bool commutes(const bnn_group *group, const bnn_network *network, const bnn_layer *layer, char *reason,
                     size_t size)
{
    const bnn_activation *in = &layer->shape.in;
    const bool shifts = group->kind == BNN_GROUP_TRANSLATION;
    const bool rows_move = group->kind != BNN_GROUP_DIHEDRAL || group->n > 1;
    if (group->order == 1 ||
        ((!rows_move || windows_map(group, in->height)) && windows_map(group, in->width)))
        return true;
    const size_t unit = good_sides(group, network);
    const size_t padding = least_padding(network->spec.input[1], network->spec.input[2], unit);
    const int written =
        snprintf(reason, size,
                 "%s max-pools %zu x %zu pixels, which %s; fewer pools (model.pool), or images with sides "
                 "divisible by "
                 "%zu, mend it",
                 layer->name, in->height, in->width,
                 shifts ? "the translations do not shift by whole windows" : "drops a row or column", unit);
    if (padding < unit && written >= 0 && (size_t)written < size)
        snprintf(reason + written, size - (size_t)written, " (%zu pixels of padding on every side give them)",
                 padding);
    return false;
}

static const char *onnx(const bnn_layer *layer, const bnn_onnx_part *part, const char *const *inputs)
{
    return bnn_onnx_node(part->graph, "MaxPool", layer_onnx_name(layer, part, ""), inputs,
                         BNN_ONNX_ATTRIBUTES({"kernel_shape", 2, {2, 2}}, {"strides", 2, {2, 2}}));
}

const bnn_layer_type bnn_layer_max_pool = {
    .row = {.name = "max-pool", .summary = "the largest of each 2 x 2 pixels, at stride 2"},
    .inputs = 1,
    .kernels = kernels,
    .infer = infer,
    .onnx = onnx,
    .commutes = commutes,
};
