#include "bnn/symmetry.h"

#include <stdio.h>
#include <stdlib.h>

#include "symmetry/places.h"

bnn_status bnn_layer_place_action(const bnn_group *group, const bnn_layer *layer, uint32_t **source,
                                  bnn_error *error)
{
    *source = NULL;
    if (!layer->type->place_action)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: layers of type %s say of no group how it acts on their weights", layer->name,
                        layer->type->row.name);
    const bnn_status status = layer->type->place_action(group, layer, source, error);
    return status ? bnn_fail_in(error, status, layer->name) : BNN_OK;
}

/* How the elements of the acting group move hidden channels: as elements of the group that the channels carry. */
typedef struct channel_action {
    bnn_group *carried; /* of which regular channels are blocks; NULL where there are none */
    uint16_t element[BNN_GROUP_MAX_ORDER]; /* (order of the acting group): their places in it */
} channel_action;

static bool has_regular_channels(const bnn_network *network)
{
    for (size_t l = 0; l < network->layer_count; l++)
        if (network->layers[l].out_representation == BNN_REGULAR) return true;
    return false;
}

/* action->carried is the caller's to free, whatever the status. */
static bnn_status create_channel_action(const bnn_group *group, const bnn_network *network,
                                        channel_action *action, bnn_error *error)
{
    *action = (channel_action){0};
    if (!has_regular_channels(network)) return BNN_OK;
    const char *name = *network->spec.group ? network->spec.group : group->name;
    const bnn_status status = bnn_group_create(name, &action->carried, error);
    if (status || bnn_group_embedding(group, action->carried, action->element)) return status;
    return bnn_fail(error, BNN_BAD_INPUT,
                    "not judged: the model's channels carry %s, of which %s is no subgroup", name,
                    group->name);
}

bnn_status bnn_network_check_channels(const bnn_group *group, const bnn_network *network, bnn_error *error)
{
    channel_action action;
    const bnn_status status = create_channel_action(group, network, &action, error);
    bnn_group_free(action.carried);
    return status;
}

/* h^-1 applied to a channel: c, or (c, k) -> (c, h^-1 k). */
static size_t channel_source(const channel_action *action, bnn_representation representation, size_t h,
                             size_t channel)
{
    if (representation == BNN_TRIVIAL) return channel;
    const bnn_group *carried = action->carried;
    /* regular channels carry a group: NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    const size_t k = channel % carried->order;
    return channel - k + bnn_group_product(carried, carried->inverse[action->element[h]], k);
}

/* One layer's part of the tables. */
static void fill_layer(bnn_symmetry *symmetry, const bnn_layer *layer, const channel_action *action,
                       const uint32_t *place_source)
{
    const bnn_representation in_representation = bnn_layer_weight_representation(layer);
    const size_t places = layer->places, inputs = bnn_layer_weight_inputs(layer);
    for (size_t h = 0; h < symmetry->group->order; h++) {
        uint32_t *weight = symmetry->source + h * symmetry->count + layer->weight_offset;
        uint32_t *bias = symmetry->source + h * symmetry->count + layer->bias_offset;
        const uint32_t *place = place_source + h * places;
        for (size_t o = 0; o < layer->shape.out.channels; o++) {
            const size_t from_o = channel_source(action, layer->out_representation, h, o);
            *bias++ = (uint32_t)(layer->bias_offset + from_o);
            for (size_t i = 0; i < inputs; i++) {
                const size_t from_i = channel_source(action, in_representation, h, i);
                const size_t from = layer->weight_offset + (from_o * inputs + from_i) * places;
                for (size_t p = 0; p < places; p++) *weight++ = (uint32_t)(from + place[p]);
            }
        }
    }
}

static bnn_status check_width(const bnn_group *carried, const bnn_layer *layer, bnn_error *error)
{
    if (layer->out_representation == BNN_REGULAR && carried &&
        layer->shape.out.channels % carried->order != 0)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "%s: found %zu channels in the regular representation of %s, expected a multiple of %zu",
            layer->name, layer->shape.out.channels, carried->name, carried->order);
    return BNN_OK;
}

static bnn_status add_layer(bnn_symmetry *symmetry, const bnn_layer *layer, const channel_action *action,
                            bnn_error *error)
{
    uint32_t *place_source;
    if (layer->weight_count == 0) return BNN_OK;
    bnn_status status = check_width(action->carried, layer, error);
    if (!status) status = bnn_layer_place_action(symmetry->group, layer, &place_source, error);
    if (status) return status;
    fill_layer(symmetry, layer, action, place_source);
    free(place_source);
    return BNN_OK;
}

/* Collects the orbits {rho(h) j}; an orbit of one entry needs no work from anyone and is left out. */
static void find_orbits(bnn_symmetry *symmetry, bool *seen)
{
    uint32_t members = 0;
    for (size_t j = 0; j < symmetry->count; j++) {
        const uint32_t first = members;
        if (seen[j]) continue;
        for (size_t h = 0; h < symmetry->group->order; h++) {
            const uint32_t image = symmetry->source[h * symmetry->count + j];
            if (seen[image]) continue;
            seen[image] = true;
            symmetry->orbit_member[members++] = image;
        }
        if (members - first > 1)
            symmetry->orbit_start[++symmetry->orbit_count] = members;
        else
            members = first;
    }
}

static bnn_status create_orbits(bnn_symmetry *symmetry, bnn_error *error)
{
    const size_t count = symmetry->count;
    bool *seen = bnn_alloc(count, sizeof *seen);
    symmetry->orbit_start = bnn_alloc(count / 2 + 1, sizeof *symmetry->orbit_start);
    symmetry->orbit_member = bnn_alloc(count, sizeof *symmetry->orbit_member);
    const bool enough = seen && symmetry->orbit_start && symmetry->orbit_member;
    if (enough) find_orbits(symmetry, seen);
    free(seen);
    return enough ? BNN_OK : bnn_no_memory(error, "orbits", count, sizeof *symmetry->orbit_member);
}

static bnn_status fill_tables(bnn_symmetry *symmetry, bnn_error *error)
{
    const bnn_network *network = symmetry->network;
    channel_action action;
    bnn_status status = create_channel_action(symmetry->group, network, &action, error);
    for (size_t l = 0; !status && l < network->layer_count; l++)
        status = add_layer(symmetry, &network->layers[l], &action, error);
    bnn_group_free(action.carried);
    return status;
}

bnn_status bnn_symmetry_create(const bnn_group *group, const bnn_network *network, bnn_symmetry **symmetry,
                               bnn_error *error)
{
    const size_t count = network->parameter_count;
    bnn_status status = BNN_OK;
    *symmetry = NULL;
    if (count > UINT32_MAX)
        return bnn_fail(error, BNN_BAD_INPUT, "found %zu parameters, expected at most %u", count, UINT32_MAX);
    bnn_symmetry *result = bnn_alloc(1, sizeof *result);
    if (!result) return bnn_no_memory(error, "a group action", 1, sizeof *result);
    *result = (bnn_symmetry){.group = group, .network = network, .count = count};
    result->source = bnn_alloc(group->order * count, sizeof *result->source);
    if (!result->source)
        status = bnn_no_memory(error, "a group action", group->order * count, sizeof *result->source);
    if (!status) status = fill_tables(result, error);
    if (!status) status = create_orbits(result, error);
    if (status) {
        bnn_symmetry_free(result);
        return status;
    }
    *symmetry = result;
    return BNN_OK;
}

void bnn_symmetry_free(bnn_symmetry *symmetry)
{
    if (!symmetry) return;
    free(symmetry->orbit_member);
    free(symmetry->orbit_start);
    free(symmetry->source);
    free(symmetry);
}

void bnn_symmetry_apply(const bnn_symmetry *symmetry, size_t element, const bnn_real *in, bnn_real *out)
{
    const uint32_t *source = symmetry->source + element * symmetry->count;
    for (size_t j = 0; j < symmetry->count; j++) out[j] = in[source[j]];
}

bool bnn_network_commutes(const bnn_group *group, const bnn_network *network, char *reason, size_t size)
{
    const size_t height = network->spec.input[1], width = network->spec.input[2];
    if (group->order == 1) return true;
    if (!bnn_group_is_exact(group, height, width)) {
        snprintf(reason, size, "%s does not permute the pixels of %zu x %zu images; %s", group->name, height,
                 width,
                 group->kind == BNN_GROUP_TRANSLATION ? "its k must divide both sides"
                                                      : "C1, C2, D1, D2 do, and on square images C4 and D4");
        return false;
    }
    for (size_t l = 0; l < network->layer_count; l++) {
        const bnn_layer *layer = &network->layers[l];
        if (layer->type->commutes && layer->type->commutes(group, network, layer, reason, size)) continue;
        if (!layer->type->commutes)
            snprintf(reason, size, "%s: layers of type %s do not say that they commute with a group",
                     layer->name, layer->type->row.name);
        return false;
    }
    return true;
}
