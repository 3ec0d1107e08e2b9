#include "network/plan.h"

#include <stdlib.h>

static bnn_status check_complete(const bnn_network *network, bnn_error *error)
{
    if (network->layer_count == 0) return bnn_fail(error, BNN_BAD_INPUT, "found a network without layers");
    const bnn_layer *last = &network->layers[network->layer_count - 1];
    for (const bnn_layer *layer = network->layers; layer < last; layer++)
        if (layer->uses == 0)
            return bnn_fail(error, BNN_BAD_INPUT, "%s: no layer takes its output", layer->name);
    if (last->shape.out.layout != BNN_LAYOUT_FLAT || last->shape.out.channels != network->spec.classes)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: found an output of %zu x %zu x %zu, expected %zu logits",
                        last->name, last->shape.out.channels, last->shape.out.height, last->shape.out.width,
                        network->spec.classes);
    return BNN_OK;
}

/* The step that gives the output of a layer. */
static size_t step_of(const plan *p, const bnn_network *network, size_t input)
{
    size_t s = 0;
    if (input == BNN_IMAGES) return input;
    while (s + 1 < p->step_count && p->steps[s + 1].layer <= &network->layers[input]) s++;
    return s;
}

/* The number of layers of the step that begins with layer l; shape <- what it computes. */
static size_t join(const bnn_network *network, size_t l, const bnn_estimator *estimator, const char *kernels,
                   bnn_kernel_shape *shape)
{
    const bnn_layer *layer = &network->layers[l];
    const size_t together = bnn_network_fused(network, l, shape);
    if (!bnn_estimator_perturbs(estimator, layer)) return together;
    shape->noise = estimator->rule;
    if (shape->noise && bnn_kernel_of_set(layer->type->kernels, shape, kernels)) return together;
    *shape = layer->shape;
    return 1;
}

static void make_steps(const bnn_network *network, const bnn_estimator *estimator, const char *kernels,
                       plan *p)
{
    for (size_t l = 0; l < network->layer_count;) {
        const bnn_layer *layer = &network->layers[l];
        plan_step *step = &p->steps[p->step_count];
        *step = (plan_step){.layer = layer, .last_use = p->step_count};
        l += join(network, l, estimator, kernels, &step->shape);
        step->trained = layer->bias_count > 0;
        for (size_t i = 0; i < layer->type->inputs; i++) {
            const size_t from = step->inputs[i] = step_of(p, network, layer->inputs[i]);
            if (from == BNN_IMAGES) continue;
            step->trained = step->trained || p->steps[from].trained;
            p->steps[from].last_use = p->step_count;
        }
        p->step_count++;
    }
}

/* Whether an earlier input of the step, or a later step, writes the gradient of its i-th input first. */
static bool is_written(const plan *p, size_t s, size_t i)
{
    const plan_step *step = &p->steps[s];
    const size_t from = step->inputs[i];
    for (size_t earlier = 0; earlier < i; earlier++)
        if (step->inputs[earlier] == from) return true;
    return p->steps[from].last_use != s;
}

/* When outputs and gradients are kept. Times are numbers of steps, forward or backward. */
static void find_ranges(plan *p, bool train)
{
    const size_t n = p->step_count;
    for (size_t s = 0; s < n; s++) {
        plan_step *step = &p->steps[s];
        const size_t count = bnn_activation_count(&step->shape.out);
        const bool wanted = train && step->trained && s + 1 < n; /* that of the logits is given */
        step->out = (plan_range){true, s, train || s + 1 == n ? n : step->last_use, count, 0};
        step->gradient = (plan_range){wanted, n - 1 - step->last_use, n - 1 - s, count, 0};
        for (size_t i = 0; train && i < step->layer->type->inputs; i++) {
            if (step->inputs[i] == BNN_IMAGES || !p->steps[step->inputs[i]].trained) continue;
            step->adds[i] = is_written(p, s, i);
            if (step->adds[i]) p->extra[i] = larger(p->extra[i], bnn_activation_count(&step->shape.in));
        }
    }
}

/* Gives each range of one kind, by its beginning, the first buffer that is free; returns the number of buffers. */
static size_t assign_slots(plan *p, bool gradients, size_t *counts, size_t *free_at)
{
    size_t slots = 0;
    for (size_t time = 0; time < p->step_count; time++)
        for (size_t s = 0; s < p->step_count; s++) {
            plan_range *range = gradients ? &p->steps[s].gradient : &p->steps[s].out;
            if (!range->kept || range->begin != time) continue;
            for (range->slot = 0; range->slot < slots && free_at[range->slot] > time;) range->slot++;
            if (range->slot == slots) slots++;
            free_at[range->slot] = range->end + 1;
            counts[range->slot] = larger(counts[range->slot], range->count);
        }
    return slots;
}

bnn_status plan_create(const bnn_network *network, const bnn_estimator *estimator, const char *kernels,
                       bool train, plan *p, bnn_error *error)
{
    const size_t most = network->layer_count;
    *p = (plan){0};
    bnn_status status = check_complete(network, error);
    if (status) return status;
    size_t *free_at = bnn_alloc(2 * most, sizeof *free_at);
    p->steps = bnn_alloc(most, sizeof *p->steps);
    p->out_counts = bnn_alloc(2 * most, sizeof *p->out_counts);
    if (free_at && p->steps && p->out_counts) {
        p->gradient_counts = p->out_counts + most;
        make_steps(network, estimator, kernels, p);
        find_ranges(p, train);
        p->out_slots = assign_slots(p, false, p->out_counts, free_at);
        p->gradient_slots = assign_slots(p, true, p->gradient_counts, free_at + most);
    } else
        status = bnn_no_memory(error, "a plan of the layers", most, sizeof *p->steps);
    free(free_at);
    return status;
}

void plan_free(plan *p)
{
    free(p->steps);
    free(p->out_counts);
}
