/* Convolution by plain loops: the twin that the fast kernels are compared with. Any kernel size, padding, layout,
 * with or without ReLU and pooling. Works on the weights as they are stored, then the bias. */
#include <string.h>

#include "kernels/kernels.h"

/* Weights of an output channel. */
static size_t taps_of(const bnn_kernel_shape *shape)
{
    return shape->in.channels * shape->kernel * shape->kernel;
}

static size_t packed_count(const bnn_kernel_shape *shape)
{
    return shape->out.channels * (taps_of(shape) + 1);
}

/* The position of the maximum in its window, one real an output; 4 where ReLU stopped the gradient. */
static size_t saved_count(const bnn_kernel_shape *shape, size_t images)
{
    return images * bnn_activation_count(&shape->out);
}

/* A sum for each weight of an output channel, and for its bias. */
static size_t scratch_count(const bnn_kernel_shape *shape, size_t images)
{
    (void)images;
    return (taps_of(shape) + 1) * sizeof(bnn_wide) / sizeof(bnn_real);
}

/* The index within one image of input (c, y, x), or -1 where it lies outside and the padding is zero. */
static ptrdiff_t in_index(const bnn_kernel_shape *shape, size_t c, ptrdiff_t y, ptrdiff_t x)
{
    const ptrdiff_t h = (ptrdiff_t)shape->in.height, w = (ptrdiff_t)shape->in.width;
    if (shape->circular) {
        y = (y % h + h) % h;
        x = (x % w + w) % w;
    } else if (y < 0 || y >= h || x < 0 || x >= w)
        return -1;
    if (shape->in.layout == BNN_LAYOUT_PLANAR) return ((ptrdiff_t)c * h + y) * w + x;
    return (y * w + x) * (ptrdiff_t)bnn_channel_stride(shape->in.channels) + (ptrdiff_t)c;
}

/* One pre-activation of one image. */
static bnn_real convolve(const bnn_kernel_shape *shape, const bnn_real *packed, const bnn_real *in, size_t o,
                         size_t y, size_t x)
{
    const size_t k = shape->kernel;
    const bnn_real *w = packed + o * taps_of(shape);
    bnn_wide sum = packed[shape->out.channels * taps_of(shape) + o];
    for (size_t c = 0; c < shape->in.channels; c++)
        for (size_t dy = 0; dy < k; dy++)
            for (size_t dx = 0; dx < k; dx++, w++) {
                const ptrdiff_t i = in_index(shape, c, (ptrdiff_t)(y + dy) - (ptrdiff_t)(k / 2),
                                             (ptrdiff_t)(x + dx) - (ptrdiff_t)(k / 2));
                if (i >= 0) sum += (bnn_wide)*w * in[i];
            }
    return (bnn_real)sum;
}

static void forward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t stride = bnn_channel_stride(shape->out.channels), window = shape->pool ? 2 : 1;
    const bnn_real *in = pass->in[0];
    bnn_real *out = pass->out, *saved = pass->saved;
    memset(out, 0, pass->images * bnn_activation_count(&shape->out) * sizeof *out);
    for (size_t n = 0; n < pass->images; n++, in += bnn_activation_count(&shape->in))
        for (size_t p = 0; p < shape->out.height * shape->out.width; p++, out += stride) {
            const size_t y = p / shape->out.width * window, x = p % shape->out.width * window;
            for (size_t o = 0; o < shape->out.channels; o++) {
                size_t where = 0;
                bnn_real most = 0;
                for (size_t v = 0; v < window * window; v++) {
                    const bnn_real value =
                        convolve(shape, pass->packed, in, o, y + v / window, x + v % window);
                    if (v == 0 || value > most) most = value, where = v;
                }
                if (shape->relu && !(most > 0)) most = most < 0 ? 0 : most, where = 4;
                out[o] = most;
                if (saved) saved[o] = (bnn_real)where;
            }
            if (saved) saved += stride;
        }
}

/* Where output (p, o) of an image took its value from: row and column before pooling. False if ReLU stopped it. */
static bool source_of(const bnn_kernel_shape *shape, const bnn_real *saved, size_t p, size_t o, size_t *y,
                      size_t *x)
{
    const size_t window = shape->pool ? 2 : 1;
    const size_t where = (size_t)saved[p * bnn_channel_stride(shape->out.channels) + o];
    if (where == 4) return false;
    *y = p / shape->out.width * window + where / window;
    *x = p % shape->out.width * window + where % window;
    return true;
}

/* Input of tap t (channel, row, column of the kernel) at output (y, x) before pooling. */
static ptrdiff_t tap_index(const bnn_kernel_shape *shape, size_t t, size_t y, size_t x)
{
    const size_t k = shape->kernel;
    return in_index(shape, t / (k * k), (ptrdiff_t)(y + t / k % k) - (ptrdiff_t)(k / 2),
                    (ptrdiff_t)(x + t % k) - (ptrdiff_t)(k / 2));
}

static void backward(const bnn_kernel_shape *shape, const bnn_pass *pass)
{
    const size_t pixels = shape->out.height * shape->out.width,
                 stride = bnn_channel_stride(shape->out.channels);
    const size_t taps = taps_of(shape), images = pass->images;
    const size_t in_count = bnn_activation_count(&shape->in), out_count = bnn_activation_count(&shape->out);
    const bnn_real *in = pass->in[0];
    bnn_real *in_gradient = pass->in_gradient[0], *packed_gradient = pass->packed_gradient;
    bnn_wide *sum = (bnn_wide *)pass->scratch; /* taps, bias */
    size_t y, x;
    if (!pass->add) memset(packed_gradient, 0, packed_count(shape) * sizeof *packed_gradient);
    if (in_gradient) memset(in_gradient, 0, images * in_count * sizeof *in_gradient);
    for (size_t o = 0; o < shape->out.channels; o++) {
        memset(sum, 0, (taps + 1) * sizeof *sum);
        for (size_t i = 0; i < images * pixels; i++) {
            const size_t n = i / pixels, p = i % pixels;
            const bnn_real g = pass->out_gradient[n * out_count + p * stride + o];
            if (!source_of(shape, pass->saved + n * out_count, p, o, &y, &x) || g == 0) continue;
            sum[taps] += g;
            for (size_t t = 0; t < taps; t++) {
                const ptrdiff_t at = tap_index(shape, t, y, x);
                if (at < 0) continue;
                sum[t] += (bnn_wide)g * in[n * in_count + (size_t)at];
                if (in_gradient) in_gradient[n * in_count + (size_t)at] += g * pass->packed[o * taps + t];
            }
        }
        for (size_t t = 0; t < taps; t++) packed_gradient[o * taps + t] += (bnn_real)sum[t];
        packed_gradient[shape->out.channels * taps + o] += (bnn_real)sum[taps];
    }
}

const bnn_kernel bnn_conv_naive = {
    .name = "conv-naive",
    .set = "naive",
    .packed_count = packed_count,
    .saved_count = saved_count,
    .scratch_count = scratch_count,
    .forward = forward,
    .backward = backward,
};
