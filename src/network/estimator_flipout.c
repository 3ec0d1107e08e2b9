/* Flipout (Wen et al. 2018): see estimator.h. */
#include <string.h>

#include "bnn/estimator.h"

static bool perturbs(const bnn_layer *layer)
{
    return layer->type->bilinear;
}

static void spread(size_t n, const bnn_real *sigma, const bnn_real *eps, bnn_real *perturbation)
{
    for (size_t j = 0; j < n; j++) perturbation[j] = sigma[j] * eps[j];
}

static void pull_back(size_t n, const bnn_real *sigma, const bnn_real *eps, const bnn_real *spread_gradient,
                      bnn_real *sigma_gradient)
{
    (void)sigma;
    for (size_t j = 0; j < n; j++) sigma_gradient[j] += spread_gradient[j] * eps[j];
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
static void spread_over_pixels(const bnn_activation *a, bnn_real *noise)
{
    const size_t pixels = a->height * a->width, stride = bnn_channel_stride(a->channels);
    if (a->layout == BNN_LAYOUT_PLANAR) {
        for (size_t c = a->channels; c-- > 0;)
            for (size_t p = pixels; p-- > 0;) noise[c * pixels + p] = noise[c];
    } else {
        memset(noise + a->channels, 0, (stride - a->channels) * sizeof *noise);
        for (size_t p = 1; p < pixels; p++) memcpy(noise + p * stride, noise, stride * sizeof *noise);
    }
}

static void noise(const bnn_layer *layer, bnn_stream stream, bnn_real *in_noise, bnn_real *out_noise)
{
    const bnn_activation *in = &layer->shape.in, *out = &layer->shape.out;
    const bool once = layer->type->weights_used_once;
    bnn_pcg32 rng = bnn_stream_open(stream);
    draw_signs(&rng, in_noise, once ? bnn_activation_count(in) : in->channels);
    draw_signs(&rng, out_noise, once ? bnn_activation_count(out) : out->channels);
}

static void expand(const bnn_layer *layer, bnn_real *in_noise, bnn_real *out_noise)
{
    if (layer->type->weights_used_once) return;
    spread_over_pixels(&layer->shape.in, in_noise);
    spread_over_pixels(&layer->shape.out, out_noise);
}

static void phi(size_t n, const bnn_real *in, const bnn_real *in_noise, bnn_real *to)
{
    for (size_t j = 0; j < n; j++) to[j] = in[j] * in_noise[j];
}

static void phi_adjoint(size_t n, const bnn_real *in, const bnn_real *in_noise, const bnn_real *gradient,
                        bnn_real *in_gradient)
{
    (void)in;
    for (size_t j = 0; j < n; j++) in_gradient[j] += gradient[j] * in_noise[j];
}

static void psi(size_t n, const bnn_real *b, const bnn_real *out_noise, bnn_real *out)
{
    for (size_t j = 0; j < n; j++) out[j] += out_noise[j] * b[j];
}

static void psi_adjoint(size_t n, const bnn_real *b, const bnn_real *out_noise, const bnn_real *out_gradient,
                        bnn_real *b_gradient)
{
    (void)b;
    for (size_t j = 0; j < n; j++) b_gradient[j] = out_gradient[j] * out_noise[j];
}

const bnn_estimator bnn_estimator_flipout = {
    .row = {.name = "flipout", .summary = "one weight draw a sample, with random signs an image"},
    .shares_draws = true,
    .normal = true,
    .perturbs = perturbs,
    .drawn = true,
    .spread = spread,
    .pull_back = pull_back,
    .rule = BNN_NOISE_SIGNS,
    .noise = noise,
    .expand = expand,
    .phi = phi,
    .phi_adjoint = phi_adjoint,
    .psi = psi,
    .psi_adjoint = psi_adjoint,
};
