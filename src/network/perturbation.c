#include "network/perturbation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const bnn_estimator_names[] = {"weight", "local", "flipout", NULL};

bool bnn_estimator_perturbs(bnn_estimator estimator, const bnn_layer *layer)
{
    if (layer->bias_count == 0 || estimator == BNN_ESTIMATOR_WEIGHT) return false;
    return estimator == BNN_ESTIMATOR_FLIPOUT || layer->kind == BNN_LAYER_DENSE;
}

static bool allocate(perturbation *p, size_t block)
{
    const size_t packed = p->ops->packed_count(&p->linear), saved = p->ops->saved_count(&p->linear, block);
    const size_t in = block * bnn_layer_in_count(p->layer), out = block * bnn_layer_out_count(&p->linear);
    bool complete = true;
    for (size_t i = 0; i < 2; i++) {
        p->packed[i] = bnn_alloc(packed, sizeof(bnn_real));
        p->packed_gradient[i] = bnn_alloc(packed, sizeof(bnn_real));
        p->saved[i] = bnn_alloc(saved, sizeof(bnn_real));
        p->out[i] = bnn_alloc(out, sizeof(bnn_real));
        p->out_gradient[i] = bnn_alloc(out, sizeof(bnn_real));
        complete = complete && p->packed[i] && p->packed_gradient[i] && p->saved[i] && p->out[i] &&
                   p->out_gradient[i];
    }
    p->in = bnn_alloc(in, sizeof(bnn_real));
    p->in_gradient = bnn_alloc(in, sizeof(bnn_real));
    p->in_noise = bnn_alloc(in, sizeof(bnn_real));
    p->out_noise = bnn_alloc(out, sizeof(bnn_real));
    p->choice = bnn_alloc(block * bnn_layer_out_count(p->layer), sizeof(bnn_real));
    return complete && p->in && p->in_gradient && p->in_noise && p->out_noise && p->choice;
}

bnn_status perturbation_create(const bnn_layer *layer, bnn_estimator estimator, size_t block,
                               perturbation **result, bnn_error *error)
{
    perturbation *p = bnn_alloc(1, sizeof *p);
    if (!p) return bnn_no_memory(error, "an estimator", 1, sizeof *p);
    p->estimator = estimator;
    p->layer = layer;
    p->linear = *layer;
    p->linear.relu = p->linear.pool = false;
    if (layer->kind == BNN_LAYER_CONV) {
        p->linear.out_height = layer->in_height;
        p->linear.out_width = layer->in_width;
    }
    p->ops = bnn_layer_ops_for(&p->linear, NULL);
    if (!allocate(p, block)) {
        perturbation_free(p);
        return bnn_no_memory(error, "an estimator", block, sizeof(bnn_real));
    }
    *result = p;
    return BNN_OK;
}

void perturbation_free(perturbation *p)
{
    if (!p) return;
    for (size_t i = 0; i < 2; i++) {
        free(p->packed[i]);
        free(p->packed_gradient[i]);
        free(p->saved[i]);
        free(p->out[i]);
        free(p->out_gradient[i]);
    }
    free(p->in);
    free(p->in_gradient);
    free(p->in_noise);
    free(p->out_noise);
    free(p->choice);
    free(p);
}

size_t perturbation_scratch(const perturbation *p, size_t block)
{
    return p->ops->scratch_count(&p->linear, block);
}

void perturbation_begin(perturbation *p, const bnn_real *mean, const bnn_real *spread, bnn_stream stream,
                        size_t views)
{
    const bnn_real *parameters[] = {mean, spread};
    for (size_t i = 0; i < 2; i++) {
        p->ops->pack(&p->linear, parameters[i] + p->layer->weight_offset,
                     parameters[i] + p->layer->bias_offset, p->packed[i]);
    }
    p->stream = stream;
    p->views = views;
    p->first = 0;
}

/* noise (n), a random sign each. */
static void draw_signs(bnn_pcg32 *rng, bnn_real *noise, size_t n)
{
    uint32_t bits = 0;
    for (size_t j = 0; j < n; j++, bits >>= 1) {
        if (j % 32 == 0) bits = bnn_pcg32_next(rng);
        noise[j] = bits & 1u ? 1 : -1;
    }
}

/* A sign a channel, for every pixel of a channels-last or planar activation. */
static void spread_over_pixels(bnn_layout layout, size_t channels, size_t pixels, bnn_real *noise)
{
    const size_t stride = bnn_channel_stride(channels);
    if (layout == BNN_LAYOUT_PLANAR) {
        for (size_t c = channels; c-- > 0;)
            for (size_t p = pixels; p-- > 0;) noise[c * pixels + p] = noise[c];
    } else {
        for (size_t c = channels; c < stride; c++) noise[c] = 1;
        for (size_t p = 1; p < pixels; p++) memcpy(noise + p * stride, noise, stride * sizeof *noise);
    }
}

/* The noise of one image: an item's views share it. */
static void draw_noise(const perturbation *p, size_t image, bnn_real *in_noise, bnn_real *out_noise)
{
    const bnn_layer *linear = &p->linear;
    const uint64_t item = (p->first + image) / p->views;
    const bnn_stream stream =
        bnn_stream_of(p->stream.state, BNN_STREAM_ESTIMATOR_NOISE, p->stream.sequence, item, 0);
    if (p->estimator == BNN_ESTIMATOR_LOCAL) {
        bnn_normals(stream, out_noise, bnn_layer_out_count(linear));
        return;
    }
    bnn_pcg32 rng = bnn_stream_open(stream);
    if (linear->kind == BNN_LAYER_CONV) {
        draw_signs(&rng, in_noise, linear->in_channels);
        draw_signs(&rng, out_noise, linear->out_channels);
        spread_over_pixels(linear->in_layout, linear->in_channels, linear->in_height * linear->in_width,
                           in_noise);
        spread_over_pixels(BNN_LAYOUT_CHANNELS_LAST, linear->out_channels,
                           linear->out_height * linear->out_width, out_noise);
    } else {
        draw_signs(&rng, in_noise, bnn_layer_in_count(linear));
        draw_signs(&rng, out_noise, linear->out_channels);
    }
}

/* sqrt(B), kept away from 0 where its slope is infinite. */
static bnn_real deviation(bnn_real variance)
{
    return (bnn_real)sqrt(fmax((double)variance, 1e-20));
}

/* out and choice <- ReLU and max-pool of the combined pre-activations A. */
static void activate(perturbation *p, size_t images, bnn_real *out)
{
    const bnn_layer *layer = p->layer;
    const size_t outputs = bnn_layer_out_count(layer), inputs = bnn_layer_out_count(&p->linear);
    const size_t stride =
        layer->kind == BNN_LAYER_CONV ? bnn_channel_stride(layer->out_channels) : layer->out_channels;
    for (size_t n = 0; n < images; n++)
        for (size_t j = 0; j < outputs; j++) {
            const size_t pixel = j / stride, c = j % stride, window = layer->pool ? 2 : 1;
            const size_t y = pixel / layer->out_width * window, x = pixel % layer->out_width * window;
            bnn_real most = 0, where = -1;
            for (size_t v = 0; v < window * window; v++) {
                const size_t at = ((y + v / window) * p->linear.out_width + x + v % window) * stride + c;
                const bnn_real value = p->out[0][n * inputs + at];
                if (v == 0 || value > most) most = value, where = (bnn_real)at;
            }
            if (layer->relu && !(most > 0)) most = 0, where = -1;
            out[n * outputs + j] = most;
            p->choice[n * outputs + j] = where;
        }
}

void perturbation_forward(perturbation *p, const bnn_real *in, size_t images, bnn_real *out,
                          bnn_real *scratch)
{
    const size_t inputs = bnn_layer_in_count(p->layer), outputs = bnn_layer_out_count(&p->linear);
    const bool local = p->estimator == BNN_ESTIMATOR_LOCAL;
    for (size_t n = 0; n < images; n++)
        draw_noise(p, n, p->in_noise + n * inputs, p->out_noise + n * outputs);
    for (size_t j = 0; j < images * inputs; j++) p->in[j] = in[j] * (local ? in[j] : p->in_noise[j]);
    p->ops->forward(&p->linear, p->packed[0], in, images, p->out[0], p->saved[0], scratch);
    p->ops->forward(&p->linear, p->packed[1], p->in, images, p->out[1], p->saved[1], scratch);
    for (size_t j = 0; j < images * outputs; j++)
        p->out[0][j] += p->out_noise[j] * (local ? deviation(p->out[1][j]) : p->out[1][j]);
    activate(p, images, out);
    p->first += images;
}

void perturbation_backward(perturbation *p, const bnn_real *in, const bnn_real *out_gradient, size_t images,
                           bnn_real *in_gradient, bool add, bnn_real *scratch)
{
    const size_t inputs = bnn_layer_in_count(p->layer), outputs = bnn_layer_out_count(&p->linear);
    const size_t pooled = bnn_layer_out_count(p->layer);
    const bool local = p->estimator == BNN_ESTIMATOR_LOCAL;
    memset(p->out_gradient[0], 0, images * outputs * sizeof(bnn_real));
    for (size_t n = 0; n < images; n++)
        for (size_t j = 0; j < pooled; j++)
            if (p->choice[n * pooled + j] >= 0)
                p->out_gradient[0][n * outputs + (size_t)p->choice[n * pooled + j]] =
                    out_gradient[n * pooled + j];
    for (size_t j = 0; j < images * outputs; j++)
        p->out_gradient[1][j] =
            p->out_gradient[0][j] * p->out_noise[j] / (local ? 2 * deviation(p->out[1][j]) : (bnn_real)1);
    p->ops->backward(&p->linear, p->packed[0], in, p->out[0], p->out_gradient[0], images, in_gradient, add,
                     p->packed_gradient[0], p->saved[0], scratch);
    p->ops->backward(&p->linear, p->packed[1], p->in, p->out[1], p->out_gradient[1], images,
                     in_gradient ? p->in_gradient : NULL, add, p->packed_gradient[1], p->saved[1], scratch);
    for (size_t j = 0; in_gradient && j < images * inputs; j++)
        in_gradient[j] += p->in_gradient[j] * (local ? 2 * in[j] : p->in_noise[j]);
}

void perturbation_end(perturbation *p, bnn_real *gradient, bnn_real *spread_gradient)
{
    bnn_real *gradients[] = {gradient, spread_gradient};
    for (size_t i = 0; i < 2; i++)
        p->ops->unpack_gradient(&p->linear, p->packed_gradient[i], gradients[i] + p->layer->weight_offset,
                                gradients[i] + p->layer->bias_offset);
}
