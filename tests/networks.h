/* Small networks for tests, run by the naive kernels alone. */
#ifndef BNN_TESTS_NETWORKS_H
#define BNN_TESTS_NETWORKS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/group.h"
#include "bnn/network.h"
#include "bnn/posterior.h"
#include "bnn/rng.h"
#include "bnn/safetensors.h"
#include "bnn/symmetry.h"
#include "layers.h"
#include "testing.h"

/* Rounding of a forward pass through a few layers. */
#define ROUNDING (sizeof(bnn_real) == sizeof(double) ? 1e-12 : 2e-5)

/* The specification of a network of 3 classes; the widths come last. */
#define NETWORK_OF(channels, kind, c, h, w, k, wrap, ...)                                                    \
    {                                                                                                        \
        .type = BNN_NETWORK_##kind, .input = {c, h, w}, .classes = 3, .kernel = k, .circular = wrap,         \
        .widths = {__VA_ARGS__}, .width_count = sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t),            \
        .representation = channels                                                                           \
    }
#define NETWORK(...) NETWORK_OF(BNN_TRIVIAL, __VA_ARGS__)
#define REGULAR_NETWORK(...) NETWORK_OF(BNN_REGULAR, __VA_ARGS__)

/* A group, a network and the action of one on the other. */
typedef struct fixture {
    bnn_group *group;
    bnn_network *network;
    bnn_symmetry *symmetry;
} fixture;

static inline bnn_group *test_group(const char *name)
{
    bnn_group *group = NULL;
    bnn_error error = {0};
    if (bnn_group_create(name, &group, &error)) fail_msg("%s", error.message);
    return group;
}

static inline bnn_network *test_network(const bnn_network_spec *spec)
{
    bnn_network *network = NULL;
    bnn_error error = {0};
    if (bnn_network_create(spec, &network, &error)) fail_msg("%s", error.message);
    return network;
}

static inline fixture test_fixture(const char *group, const bnn_network_spec *spec)
{
    fixture f = {test_group(group), test_network(spec), NULL};
    bnn_error error = {0};
    if (bnn_symmetry_create(f.group, f.network, &f.symmetry, &error)) fail_msg("%s", error.message);
    return f;
}

static inline void test_fixture_free(fixture *f)
{
    bnn_symmetry_free(f->symmetry);
    bnn_network_free(f->network);
    bnn_group_free(f->group);
}

static inline bnn_real *test_zeros(size_t n)
{
    bnn_real *values = bnn_alloc(n, sizeof *values);
    assert_non_null(values);
    return values;
}

/* n draws from N(0, 1), another set for every `seed`. */
static inline bnn_real *test_normals(size_t n, uint64_t seed)
{
    bnn_real *values = test_zeros(n);
    bnn_normals(bnn_stream_of(seed, BNN_STREAM_TRAIN_NOISE, 0, 0, 0), values, n);
    return values;
}

/* A posterior of random figures: mu ~ N(0, 1), rho ~ N(-1, 1). */
static inline bnn_posterior *test_posterior(const bnn_network *network, uint64_t seed)
{
    bnn_posterior *q = NULL;
    bnn_error error = {0};
    if (bnn_posterior_create(network, &bnn_family_gaussian, &q, &error)) fail_msg("%s", error.message);
    bnn_normals(bnn_stream_of(seed, BNN_STREAM_INITIAL_MEAN, 0, 0, 0), q->mu, q->count);
    bnn_normals(bnn_stream_of(seed, BNN_STREAM_INITIAL_MEAN, 1, 0, 0), q->rho, q->count);
    for (size_t j = 0; j < q->count; j++) q->rho[j] -= 1;
    return q;
}

/* Tensor LAYER.weight_mu, .weight_rho, .bias_mu or .bias_rho of a file, (count). */
static inline const bnn_real *test_tensor(const bnn_safetensors *file, const char *layer, const char *what,
                                          size_t count)
{
    char name[80];
    snprintf(name, sizeof name, "%s.%s", layer, what);
    const bnn_tensor *tensor = bnn_safetensors_find(file, name);
    if (!tensor || tensor->count != count) fail_msg("%s: no tensor %s of %zu", file->path, name, count);
    return tensor->data;
}

/* mu and rho of a posterior on `network` from a file. */
static inline bnn_posterior *test_load(const bnn_network *network, const char *path)
{
    bnn_posterior *q = test_posterior(network, 1);
    bnn_safetensors *file = NULL;
    bnn_error error = {0};
    if (bnn_safetensors_read(path, &file, &error)) fail_msg("%s", error.message);
    for (size_t l = 0; l < network->layer_count; l++) {
        const bnn_layer *layer = &network->layers[l];
        const size_t weights = layer->weight_count, biases = layer->bias_count, bytes = sizeof(bnn_real);
        if (weights == 0) continue;
        memcpy(q->mu + layer->weight_offset, test_tensor(file, layer->name, "weight_mu", weights),
               weights * bytes);
        memcpy(q->rho + layer->weight_offset, test_tensor(file, layer->name, "weight_rho", weights),
               weights * bytes);
        memcpy(q->mu + layer->bias_offset, test_tensor(file, layer->name, "bias_mu", biases), biases * bytes);
        memcpy(q->rho + layer->bias_offset, test_tensor(file, layer->name, "bias_rho", biases),
               biases * bytes);
    }
    bnn_safetensors_free(file);
    return q;
}

/* The network of the reference folder fcnn: see tests/reference/README.md. */
static const bnn_network_spec test_reference_spec = {.type = BNN_NETWORK_FCNN,
                                                     .input = {1, 12, 12},
                                                     .classes = 5,
                                                     .widths = {4, 8},
                                                     .width_count = 2,
                                                     .kernel = 3};
#define REFERENCE_TOLERANCE (sizeof(bnn_real) == sizeof(double) ? 1e-9 : 1e-5)

/* Every layer by itself, by the kernel that is called naive where there is one: the twin of what a workspace runs together.
 * logits (classes) <- f(x; w) for one image. */
static inline void naive_forward(const bnn_network *network, const bnn_real *w, const bnn_real *x,
                                 bnn_real *logits)
{
    bnn_real **out = bnn_alloc(network->layer_count, sizeof *out);
    assert_non_null(out);
    for (size_t l = 0; l < network->layer_count; l++) {
        const bnn_layer *layer = &network->layers[l];
        const bnn_kernel_shape *shape = &layer->shape;
        const bnn_kernel *kernel = bnn_kernel_of_set(layer->type->kernels, shape, "naive");
        if (!kernel) kernel = bnn_kernel_of_set(layer->type->kernels, shape, NULL);
        bnn_real *packed = test_zeros(bnn_kernel_packed_count(kernel, shape));
        bnn_real *scratch = test_zeros(bnn_kernel_scratch_count(kernel, shape, 1));
        out[l] = test_zeros(bnn_activation_count(&shape->out));
        if (kernel->pack)
            kernel->pack(shape, w + layer->weight_offset, w + layer->bias_offset, 0, shape->out.channels,
                         packed);
        bnn_pass pass = {.images = 1,
                         .packed = kernel->pack ? packed : w + layer->weight_offset,
                         .out = out[l],
                         .scratch = scratch};
        for (size_t i = 0; i < layer->type->inputs; i++)
            pass.in[i] = layer->inputs[i] == BNN_IMAGES ? x : out[layer->inputs[i]];
        kernel->forward(shape, &pass);
        free(scratch);
        free(packed);
    }
    memcpy(logits, out[network->layer_count - 1], network->spec.classes * sizeof *logits);
    for (size_t l = 0; l < network->layer_count; l++) free(out[l]);
    free(out);
}

/* max_{h, c} |f(h.x; rho(h) w) - f(x; w)| for an x of random pixels; with `symmetry` NULL, |f(h.x; w) - f(x; w)|. */
static inline double equation_defect_of(uint64_t seed, const bnn_group *group, const bnn_network *network,
                                        const bnn_symmetry *symmetry, const bnn_real *w)
{
    const size_t *input = network->spec.input, pixels = input[0] * input[1] * input[2];
    bnn_grid_action *action = NULL;
    bnn_real *x = test_normals(pixels, seed), *hx = test_zeros(pixels),
             *hw = test_zeros(network->parameter_count);
    bnn_real expected[16], found[16];
    double defect = 0;
    assert_true(network->spec.classes <= 16);
    assert_int_equal(bnn_grid_action_create(group, input[1], input[2], &action, NULL), BNN_OK);
    naive_forward(network, w, x, expected);
    for (size_t h = 0; h < group->order; h++) {
        bnn_grid_action_apply(action, h, x, input[0], 0, hx);
        if (symmetry)
            bnn_symmetry_apply(symmetry, h, w, hw);
        else
            memcpy(hw, w, network->parameter_count * sizeof *w);
        naive_forward(network, hw, hx, found);
        for (size_t c = 0; c < network->spec.classes; c++)
            defect = fmax(defect, fabs((double)(found[c] - expected[c])));
    }
    free(hw);
    free(hx);
    free(x);
    bnn_grid_action_free(action);
    return defect;
}

static inline double equation_defect(const bnn_group *group, const bnn_network *network,
                                     const bnn_symmetry *symmetry, const bnn_real *w)
{
    return equation_defect_of(3, group, network, symmetry, w);
}

#endif
