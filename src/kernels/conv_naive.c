/* Convolution by plain loops: the twin that the fast kernels are compared with. Any kernel size, padding, layout,
 * with or without ReLU and pooling. Packed weights are the weights as stored, then the bias. */
#include <string.h>

#include "kernels/kernels.h"

static bool supports(const bnn_layer *layer)
{
    return layer->kind == BNN_LAYER_CONV;
}

static size_t packed_count(const bnn_layer *layer)
{
    return layer->weight_count + layer->bias_count;
}

/* The position of the maximum in its window, one real an output; 4 where ReLU stopped the gradient. */
static size_t saved_count(const bnn_layer *layer, size_t images)
{
    return images * bnn_layer_out_count(layer);
}

/* A sum for each weight of an output channel, and for its bias. */
static size_t scratch_count(const bnn_layer *layer, size_t images)
{
    (void)images;
    return (layer->in_channels * layer->kernel * layer->kernel + 1) * sizeof(bnn_wide) / sizeof(bnn_real);
}

static void pack(const bnn_layer *layer, const bnn_real *weight, const bnn_real *bias, bnn_real *packed)
{
    memcpy(packed, weight, layer->weight_count * sizeof *packed);
    memcpy(packed + layer->weight_count, bias, layer->bias_count * sizeof *packed);
}

static void unpack_gradient(const bnn_layer *layer, bnn_real *packed_gradient, bnn_real *weight_gradient,
                            bnn_real *bias_gradient)
{
    memcpy(weight_gradient, packed_gradient, layer->weight_count * sizeof *packed_gradient);
    memcpy(bias_gradient, packed_gradient + layer->weight_count, layer->bias_count * sizeof *packed_gradient);
}

/* The index within one image of input (c, y, x), or -1 where it lies outside and the padding is zero. */
static ptrdiff_t in_index(const bnn_layer *layer, size_t c, ptrdiff_t y, ptrdiff_t x)
{
    const ptrdiff_t h = (ptrdiff_t)layer->in_height, w = (ptrdiff_t)layer->in_width;
    if (layer->circular) {
        y = (y % h + h) % h;
        x = (x % w + w) % w;
    } else if (y < 0 || y >= h || x < 0 || x >= w)
        return -1;
    if (layer->in_layout == BNN_LAYOUT_PLANAR) return ((ptrdiff_t)c * h + y) * w + x;
    return (y * w + x) * (ptrdiff_t)bnn_channel_stride(layer->in_channels) + (ptrdiff_t)c;
}

/* One pre-activation of one image. */
static bnn_real convolve(const bnn_layer *layer, const bnn_real *packed, const bnn_real *in, size_t o,
                         size_t y, size_t x)
{
    const size_t k = layer->kernel;
    const bnn_real *w = packed + o * layer->in_channels * k * k;
    bnn_wide sum = packed[layer->weight_count + o];
    for (size_t c = 0; c < layer->in_channels; c++)
        for (size_t dy = 0; dy < k; dy++)
            for (size_t dx = 0; dx < k; dx++, w++) {
                const ptrdiff_t i = in_index(layer, c, (ptrdiff_t)(y + dy) - (ptrdiff_t)(k / 2),
                                             (ptrdiff_t)(x + dx) - (ptrdiff_t)(k / 2));
                if (i >= 0) sum += (bnn_wide)*w * in[i];
            }
    return (bnn_real)sum;
}

static void forward(const bnn_layer *layer, const bnn_real *packed, const bnn_real *in, size_t images,
                    bnn_real *out, bnn_real *saved, bnn_real *scratch)
{
    const size_t stride = bnn_channel_stride(layer->out_channels), window = layer->pool ? 2 : 1;
    (void)scratch;
    memset(out, 0, images * bnn_layer_out_count(layer) * sizeof *out);
    for (size_t n = 0; n < images; n++, in += bnn_layer_in_count(layer))
        for (size_t p = 0; p < layer->out_height * layer->out_width; p++, out += stride) {
            const size_t y = p / layer->out_width * window, x = p % layer->out_width * window;
            for (size_t o = 0; o < layer->out_channels; o++) {
                size_t where = 0;
                bnn_real most = 0;
                for (size_t v = 0; v < window * window; v++) {
                    const bnn_real value = convolve(layer, packed, in, o, y + v / window, x + v % window);
                    if (v == 0 || value > most) most = value, where = v;
                }
                if (layer->relu && !(most > 0)) most = most < 0 ? 0 : most, where = 4;
                out[o] = most;
                if (saved) saved[o] = (bnn_real)where;
            }
            if (saved) saved += stride;
        }
}

/* Where output (p, o) of an image took its value from: row and column before pooling. False if ReLU stopped it. */
static bool source_of(const bnn_layer *layer, const bnn_real *saved, size_t p, size_t o, size_t *y, size_t *x)
{
    const size_t window = layer->pool ? 2 : 1;
    const size_t where = (size_t)saved[p * bnn_channel_stride(layer->out_channels) + o];
    if (where == 4) return false;
    *y = p / layer->out_width * window + where / window;
    *x = p % layer->out_width * window + where % window;
    return true;
}

/* Input of tap t (channel, row, column of the kernel) at output (y, x) before pooling. */
static ptrdiff_t tap_index(const bnn_layer *layer, size_t t, size_t y, size_t x)
{
    const size_t k = layer->kernel;
    return in_index(layer, t / (k * k), (ptrdiff_t)(y + t / k % k) - (ptrdiff_t)(k / 2),
                    (ptrdiff_t)(x + t % k) - (ptrdiff_t)(k / 2));
}

static void backward(const bnn_layer *layer, const bnn_real *packed, const bnn_real *in, const bnn_real *out,
                     bnn_real *out_gradient, size_t images, bnn_real *in_gradient, bool add,
                     bnn_real *packed_gradient, const bnn_real *saved, bnn_real *scratch)
{
    const size_t pixels = layer->out_height * layer->out_width,
                 stride = bnn_channel_stride(layer->out_channels);
    const size_t taps = layer->in_channels * layer->kernel * layer->kernel;
    const size_t in_count = bnn_layer_in_count(layer), out_count = bnn_layer_out_count(layer);
    bnn_wide *sum = (bnn_wide *)scratch; /* taps, bias */
    size_t y, x;
    (void)out;
    if (!add) memset(packed_gradient, 0, packed_count(layer) * sizeof *packed_gradient);
    if (in_gradient) memset(in_gradient, 0, images * in_count * sizeof *in_gradient);
    for (size_t o = 0; o < layer->out_channels; o++) {
        memset(sum, 0, (taps + 1) * sizeof *sum);
        for (size_t i = 0; i < images * pixels; i++) {
            const size_t n = i / pixels, p = i % pixels;
            const bnn_real g = out_gradient[n * out_count + p * stride + o];
            if (!source_of(layer, saved + n * out_count, p, o, &y, &x) || g == 0) continue;
            sum[taps] += g;
            for (size_t t = 0; t < taps; t++) {
                const ptrdiff_t at = tap_index(layer, t, y, x);
                if (at < 0) continue;
                sum[t] += (bnn_wide)g * in[n * in_count + (size_t)at];
                if (in_gradient) in_gradient[n * in_count + (size_t)at] += g * packed[o * taps + t];
            }
        }
        for (size_t t = 0; t < taps; t++) packed_gradient[o * taps + t] += (bnn_real)sum[t];
        packed_gradient[layer->weight_count + o] += (bnn_real)sum[taps];
    }
}

const bnn_layer_ops bnn_conv_naive_ops = {
    .name = "naive",
    .supports = supports,
    .packed_count = packed_count,
    .saved_count = saved_count,
    .scratch_count = scratch_count,
    .pack = pack,
    .forward = forward,
    .backward = backward,
    .unpack_gradient = unpack_gradient,
};
