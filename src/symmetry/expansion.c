/* Orbit expansion: see symmetry.h for the formulas. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/numeric.h"
#include "symmetry/places.h"

const char *const bnn_arrangement_names[] = {"gcnn", "row_rolled", "row_constant", NULL};

bnn_status bnn_expanded_spec(const bnn_group *group, const bnn_network_spec *small,
                             bnn_network_spec *expanded, bnn_error *error)
{
    if (small->representation != BNN_TRIVIAL)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "orbit expansion: found a network with regular channels, expected trivial ones (it may have "
            "been expanded already)");
    if (small->width_count == 0)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "orbit expansion: found no hidden layer, expected at least one");
    *expanded = *small;
    expanded->representation = BNN_REGULAR;
    snprintf(expanded->group, sizeof expanded->group, "%s", group->name);
    const size_t most = small->type == BNN_NETWORK_MLP ? BNN_HIDDEN_MOST : BNN_CHANNELS_MOST;
    for (size_t i = 0; i < small->width_count; i++)
        if (__builtin_mul_overflow(small->widths[i], group->order, &expanded->widths[i]) ||
            expanded->widths[i] > most)
            return bnn_fail(error, BNN_BAD_INPUT,
                            "orbit expansion: layer %zu of width %zu is too wide for %s, whose %zu elements "
                            "leave it at most %zu",
                            i, small->widths[i], group->name, group->order, most / group->order);
    return BNN_OK;
}

/* One layer of the small network and its counterpart. */
typedef struct pair {
    const bnn_group *group;
    bnn_arrangement arrangement;
    const bnn_layer *small, *big;
    const uint32_t *place_source; /* (order, places) */
} pair;

/* What turns the copy of a weight that leads from channel (i, k) to channel (o, g). */
static size_t turn(const pair *p, size_t g, size_t k)
{
    const bnn_group *group = p->group;
    const size_t back = group->inverse[k];
    if (p->big->out_representation == BNN_TRIVIAL) return k;
    if (p->big->in_representation == BNN_TRIVIAL) return g;
    switch (p->arrangement) {
    case BNN_ROW_CONSTANT:
        return back;
    case BNN_ROW_ROLLED:
        return bnn_group_product(group, g, back);
    case BNN_GCNN:
        break;
    }
    return bnn_group_product(group, g, bnn_group_product(group, back, g));
}

static size_t copies(const pair *p, bnn_representation representation)
{
    return representation == BNN_REGULAR ? p->group->order : 1;
}

/* big (O, g, I, k, places) <- turned copies of small (O, I, places), both whole parameter vectors. */
static void copy_weights(const pair *p, const bnn_real *small, bnn_real *big)
{
    const size_t places = p->small->places, inputs = bnn_layer_weight_inputs(p->small);
    const size_t out_copies = copies(p, p->big->out_representation);
    const size_t in_copies = copies(p, bnn_layer_weight_representation(p->big));
    const bnn_real *from = small + p->small->weight_offset;
    bnn_real *to = big + p->big->weight_offset;
    for (size_t o = 0; o < p->small->shape.out.channels; o++, from += inputs * places)
        for (size_t g = 0; g < out_copies; g++)
            for (size_t i = 0; i < inputs; i++)
                for (size_t k = 0; k < in_copies; k++) {
                    const uint32_t *source = p->place_source + turn(p, g, k) * places;
                    for (size_t at = 0; at < places; at++) *to++ = from[i * places + source[at]];
                }
}

static void copy_biases(const pair *p, const bnn_real *small, bnn_real *big)
{
    const size_t out_copies = copies(p, p->big->out_representation);
    for (size_t o = 0; o < p->big->bias_count; o++)
        big[p->big->bias_offset + o] = small[p->small->bias_offset + o / out_copies];
}

static void copy_all(const pair *p, const bnn_real *small, bnn_real *big)
{
    copy_weights(p, small, big);
    copy_biases(p, small, big);
}

/* scaled <- the layer's part of `values`, the weights times `factor` plus `shift`. */
static void scale_weights(const bnn_layer *layer, double factor, double shift, const bnn_real *values,
                          bnn_real *scaled)
{
    for (size_t j = layer->weight_offset; j < layer->weight_offset + layer->weight_count; j++)
        scaled[j] = (bnn_real)(factor * (double)values[j] + shift);
    memcpy(scaled + layer->bias_offset, values + layer->bias_offset, layer->bias_count * sizeof *scaled);
}

/* The same for sigma = softplus(rho) times `factor`; at factor 1 rho stays as it is, without a round trip. */
static void scale_rho(const bnn_layer *layer, double factor, const bnn_real *rho, bnn_real *scaled)
{
    scale_weights(layer, 1, 0, rho, scaled);
    if (factor == 1) return;
    for (size_t j = layer->weight_offset; j < layer->weight_offset + layer->weight_count; j++)
        scaled[j] = (bnn_real)bnn_softplus_inverse(factor * bnn_softplus((double)rho[j]));
}

/* Scales and copies mu, sigma and the prior. In a family with signs, w = sign exp(mu + sigma eps), mu is a logarithm:
 * it moves by the logarithm of the scale, and sigma keeps its size. */
static void expand_layer(const pair *p, const bnn_posterior *small, bnn_real *scaled, bnn_posterior *big)
{
    const bool logarithms = bnn_posterior_family(small, p->small)->signs;
    const double scale = p->big->type->expansion_scale(p->group, p->big);
    const double factor = logarithms ? 1 : scale, shift = logarithms ? log(scale) : 0;
    scale_weights(p->small, factor, shift, small->mu, scaled);
    copy_all(p, scaled, big->mu);
    scale_rho(p->small, factor, small->rho, scaled);
    copy_all(p, scaled, big->rho);
    scale_weights(p->small, factor, small->random_prior ? shift : 0, small->prior_mean, scaled);
    copy_all(p, scaled, big->prior_mean);
    copy_all(p, small->prior_std, big->prior_std);
    if (small->sign) copy_all(p, small->sign, big->sign);
}

static bnn_status check_pair(const bnn_group *group, const bnn_posterior *small,
                             const bnn_posterior *expanded, bnn_error *error)
{
    bnn_network_spec spec;
    const bnn_network_spec *found = &expanded->network->spec;
    const bnn_status status = bnn_expanded_spec(group, &small->network->spec, &spec, error);
    if (status) return status;
    if (found->type != spec.type || memcmp(found->input, spec.input, sizeof spec.input) != 0 ||
        found->classes != spec.classes || found->width_count != spec.width_count ||
        found->kernel != spec.kernel || (*found->group && strcmp(found->group, spec.group) != 0) ||
        found->representation != spec.representation ||
        memcmp(found->unpooled, spec.unpooled, sizeof spec.unpooled) != 0 ||
        memcmp(found->widths, spec.widths, spec.width_count * sizeof *spec.widths) != 0)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "orbit expansion: the larger network is not the smaller one expanded by %s",
                        group->name);
    if (small->family != expanded->family)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "orbit expansion: found posteriors of families %s and %s, expected one",
                        small->family->row.name, expanded->family->row.name);
    return BNN_OK;
}

bnn_status bnn_posterior_expand(const bnn_group *group, bnn_arrangement arrangement,
                                const bnn_posterior *small, bnn_posterior *expanded, bnn_error *error)
{
    bnn_status status = check_pair(group, small, expanded, error);
    if (status) return status;
    bnn_real *scaled = bnn_alloc(small->count, sizeof *scaled);
    if (!scaled) return bnn_no_memory(error, "an expanded posterior", small->count, sizeof *scaled);
    for (size_t l = 0; !status && l < small->network->layer_count; l++) {
        uint32_t *place_source;
        pair p = {group, arrangement, &small->network->layers[l], &expanded->network->layers[l], NULL};
        if (p.small->weight_count == 0) continue;
        status = p.small->type->expansion_scale
                     ? bnn_layer_place_action(group, p.small, &place_source, error)
                     : bnn_fail(error, BNN_BAD_INPUT,
                                "%s: layers of type %s say of no expansion how it scales them", p.small->name,
                                p.small->type->row.name);
        if (status) break;
        p.place_source = place_source;
        expand_layer(&p, small, scaled, expanded);
        free(place_source);
    }
    expanded->random_prior = small->random_prior;
    expanded->learned_prior = small->learned_prior;
    free(scaled);
    return status;
}
