/* Global average pool of a channels-last activation. */
#include "kernels/kernels.h"

static bool supports(const bnn_layer *layer)
{
    return layer->kind == BNN_LAYER_MEAN && layer->in_layout == BNN_LAYOUT_CHANNELS_LAST;
}

static size_t none(const bnn_layer *layer)
{
    (void)layer;
    return 0;
}

static size_t none_a_block(const bnn_layer *layer, size_t images)
{
    (void)layer, (void)images;
    return 0;
}

static void pack(const bnn_layer *layer, const bnn_real *weight, const bnn_real *bias, bnn_real *packed)
{
    (void)layer, (void)weight, (void)bias, (void)packed;
}

static void forward(const bnn_layer *layer, const bnn_real *packed, const bnn_real *in, size_t images,
                    bnn_real *out, bnn_real *saved, bnn_real *scratch)
{
    const size_t pixels = layer->in_height * layer->in_width, channels = layer->in_channels;
    const size_t stride = bnn_channel_stride(channels);
    const bnn_real scale = (bnn_real)1 / (bnn_real)pixels;
    (void)packed, (void)saved, (void)scratch;
    for (size_t n = 0; n < images; n++, in += pixels * stride, out += channels)
        for (size_t first = 0; first < channels; first += BNN_CHANNEL_UNIT) {
            bnn_real sum[BNN_CHANNEL_UNIT] = {0}; /* in registers */
            for (size_t p = 0; p < pixels; p++)
                for (size_t c = 0; c < BNN_CHANNEL_UNIT; c++) sum[c] += in[p * stride + first + c];
            for (size_t c = first; c < channels && c < first + BNN_CHANNEL_UNIT; c++)
                out[c] = sum[c - first] * scale;
        }
}

static void backward(const bnn_layer *layer, const bnn_real *packed, const bnn_real *in, const bnn_real *out,
                     bnn_real *out_gradient, size_t images, bnn_real *in_gradient, bool add,
                     bnn_real *packed_gradient, const bnn_real *saved, bnn_real *scratch)
{
    const size_t pixels = layer->in_height * layer->in_width, channels = layer->in_channels;
    const size_t stride = bnn_channel_stride(channels);
    const bnn_real scale = (bnn_real)1 / (bnn_real)pixels;
    (void)packed, (void)in, (void)out, (void)add, (void)packed_gradient, (void)saved, (void)scratch;
    if (!in_gradient) return;
    for (size_t n = 0; n < images; n++, out_gradient += channels)
        for (size_t p = 0; p < pixels; p++, in_gradient += stride) {
            for (size_t c = 0; c < channels; c++) in_gradient[c] = out_gradient[c] * scale;
            for (size_t c = channels; c < stride; c++) in_gradient[c] = 0;
        }
}

static void unpack_gradient(const bnn_layer *layer, bnn_real *packed_gradient, bnn_real *weight_gradient,
                            bnn_real *bias_gradient)
{
    (void)layer, (void)packed_gradient, (void)weight_gradient, (void)bias_gradient;
}

const bnn_layer_ops bnn_mean_ops = {
    .name = "mean",
    .supports = supports,
    .packed_count = none,
    .saved_count = none_a_block,
    .scratch_count = none_a_block,
    .pack = pack,
    .forward = forward,
    .backward = backward,
    .unpack_gradient = unpack_gradient,
};
