/* Local reparameterisation (Kingma, Salimans and Welling 2015): see estimator.h. */
#include <math.h>
#include <string.h>

#include "bnn/estimator.h"

static bool perturbs(const bnn_layer *layer)
{
    return layer->type->bilinear;
}

static void spread(size_t n, const bnn_real *sigma, const bnn_real *eps, bnn_real *variance)
{
    (void)eps;
    for (size_t j = 0; j < n; j++) variance[j] = sigma[j] * sigma[j];
}

static void pull_back(size_t n, const bnn_real *sigma, const bnn_real *eps, const bnn_real *spread_gradient,
                      bnn_real *sigma_gradient)
{
    (void)eps;
    for (size_t j = 0; j < n; j++) sigma_gradient[j] += spread_gradient[j] * (2 * sigma[j]);
}

static void noise(const bnn_layer *layer, bnn_stream stream, bnn_real *in_noise, bnn_real *out_noise)
{
    const bnn_activation *out = &layer->shape.out;
    const size_t count = bnn_activation_count(out), stride = bnn_channel_stride(out->channels);
    const size_t beyond = out->layout == BNN_LAYOUT_CHANNELS_LAST ? stride - out->channels : 0;
    (void)in_noise;
    bnn_normals(stream, out_noise, count);
    for (size_t p = out->channels; beyond && p < count; p += stride)
        memset(out_noise + p, 0, beyond * sizeof *out_noise);
}

static void phi(size_t n, const bnn_real *in, const bnn_real *in_noise, bnn_real *to)
{
    (void)in_noise;
    for (size_t j = 0; j < n; j++) to[j] = in[j] * in[j];
}

static void phi_adjoint(size_t n, const bnn_real *in, const bnn_real *in_noise, const bnn_real *gradient,
                        bnn_real *in_gradient)
{
    (void)in_noise;
    for (size_t j = 0; j < n; j++) in_gradient[j] += gradient[j] * (2 * in[j]);
}

/* sqrt(B), kept away from 0 where its slope is infinite. */
static bnn_real deviation(bnn_real variance)
{
    return (bnn_real)sqrt(fmax((double)variance, 1e-20));
}

static void psi(size_t n, const bnn_real *b, const bnn_real *out_noise, bnn_real *out)
{
    for (size_t j = 0; j < n; j++) out[j] += out_noise[j] * deviation(b[j]);
}

static void psi_adjoint(size_t n, const bnn_real *b, const bnn_real *out_noise, const bnn_real *out_gradient,
                        bnn_real *b_gradient)
{
    for (size_t j = 0; j < n; j++) b_gradient[j] = out_gradient[j] * out_noise[j] / (2 * deviation(b[j]));
}

const bnn_estimator bnn_estimator_local = {
    .row = {.name = "local",
            .summary =
                "pre-activations are drawn; of a convolution, pixels apart, which drops their correlation"},
    .normal = true,
    .perturbs = perturbs,
    .spread = spread,
    .pull_back = pull_back,
    .rule = BNN_NOISE_NORMALS,
    .paired = true,
    .noise = noise,
    .phi = phi,
    .phi_adjoint = phi_adjoint,
    .psi = psi,
    .psi_adjoint = psi_adjoint,
};
