#include <math.h>
#include <stdlib.h>

#include "bnn/blas.h"
#include "bnn/network.h"
#include "network/perturbation.h"
#include "network/plan.h"
#include "network/runner.h"

/* A runner, and where its packed weights are among a draw's. */
typedef struct packing {
    runner *runner;
    bool spread; /* made of the unit's spread */
    size_t offset;
} packing;

struct bnn_workspace {
    plan plan;
    runner *runners;          /* (steps) unused where a layer is perturbed */
    perturbation **perturbed; /* (steps) NULL: runs by its runner */
    packing *packings;        /* (packing_count) one of every runner that runs */
    size_t packing_count, packed_count;
    bnn_real **out, **gradient; /* (slots of the plan) */
    bnn_real *extra[BNN_MAX_INPUTS];
    bnn_real *scratch;
    const bnn_real *in; /* the block that forward saw last */
    size_t images;
    bool add; /* whether this unit has gradients already */
};

static void free_all(bnn_real **buffers, size_t count)
{
    for (size_t i = 0; buffers && i < count; i++) free(buffers[i]);
    free(buffers);
}

void bnn_workspace_free(bnn_workspace *workspace)
{
    if (!workspace) return;
    const plan *p = &workspace->plan;
    for (size_t s = 0; workspace->runners && s < p->step_count; s++) runner_free(&workspace->runners[s]);
    for (size_t s = 0; workspace->perturbed && s < p->step_count; s++)
        perturbation_free(workspace->perturbed[s]);
    for (size_t i = 0; i < BNN_MAX_INPUTS; i++) free(workspace->extra[i]);
    free_all(workspace->out, p->out_slots);
    free_all(workspace->gradient, p->gradient_slots);
    free(workspace->runners);
    free(workspace->perturbed);
    free(workspace->packings);
    free(workspace->scratch);
    plan_free(&workspace->plan);
    free(workspace);
}

/* The buffers of the plan's slots; NULL when memory is short. */
static bnn_real **allocate_slots(const size_t *counts, size_t slots, size_t block)
{
    bnn_real **buffers = bnn_alloc(slots, sizeof *buffers);
    bool complete = buffers;
    for (size_t i = 0; complete && i < slots; i++) {
        buffers[i] = bnn_alloc(block * counts[i], sizeof(bnn_real));
        complete = buffers[i];
    }
    if (complete) return buffers;
    free_all(buffers, slots);
    return NULL;
}

/* What runs a step: the fastest kernel, or of a set the fastest, where it has one. */
static const bnn_kernel *kernel_for(const plan_step *step, const char *set, size_t *of_set)
{
    const bnn_kernel *const *kernels = step->layer->type->kernels;
    const bnn_kernel *asked = bnn_kernel_of_set(kernels, &step->shape, set);
    *of_set += asked != NULL;
    return asked ? asked : bnn_kernel_of_set(kernels, &step->shape, NULL);
}

static void add_packing(bnn_workspace *workspace, runner *r, bool spread)
{
    workspace->packings[workspace->packing_count++] = (packing){r, spread, workspace->packed_count};
    workspace->packed_count +=
        (runner_packed_count(r) + BNN_CHANNEL_UNIT - 1) / BNN_CHANNEL_UNIT * BNN_CHANNEL_UNIT;
}

/* The runners and perturbations of all steps; *scratch <- the largest that they ask for. */
static bnn_status create_steps(bnn_workspace *workspace, const bnn_workspace_options *o, size_t *scratch,
                               bnn_error *error)
{
    size_t of_set = 0;
    for (size_t s = 0; s < workspace->plan.step_count; s++) {
        const plan_step *step = &workspace->plan.steps[s];
        const bnn_kernel *kernel = kernel_for(step, o->kernels, &of_set);
        if (!kernel)
            return bnn_fail(error, BNN_FAILED, "%s: no kernel runs a layer of this shape", step->layer->name);
        *scratch = larger(*scratch, bnn_kernel_scratch_count(kernel, &step->shape, o->block));
        if (o->train && bnn_estimator_perturbs(o->estimator, step->layer)) {
            bnn_status status =
                perturbation_create(step->layer, kernel, &step->shape, o, &workspace->perturbed[s], error);
            if (status) return status;
            add_packing(workspace, &workspace->perturbed[s]->mean, false);
            add_packing(workspace, &workspace->perturbed[s]->spread, true);
            continue;
        }
        if (!runner_create(&workspace->runners[s], kernel, &step->shape, step->layer, o->block, o->train))
            return bnn_no_memory(error, "a layer", o->block, sizeof(bnn_real));
        add_packing(workspace, &workspace->runners[s], false);
    }
    if (of_set == 0)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "kernels: found \"%s\", of which no layer has one that runs here", o->kernels);
    return BNN_OK;
}

static bnn_status allocate_buffers(bnn_workspace *workspace, const bnn_workspace_options *o, size_t scratch,
                                   bnn_error *error)
{
    const plan *p = &workspace->plan;
    workspace->out = allocate_slots(p->out_counts, p->out_slots, o->block);
    workspace->gradient = allocate_slots(p->gradient_counts, p->gradient_slots, o->block);
    workspace->scratch = bnn_alloc(scratch, sizeof(bnn_real));
    bool complete = workspace->out && workspace->gradient && workspace->scratch;
    for (size_t i = 0; complete && i < BNN_MAX_INPUTS; i++) {
        workspace->extra[i] = bnn_alloc(o->block * p->extra[i], sizeof(bnn_real));
        complete = workspace->extra[i];
    }
    return complete
               ? BNN_OK
               : bnn_no_memory(error, "the activations of a block of images", o->block, sizeof(bnn_real));
}

bnn_status bnn_workspace_create(const bnn_network *network, const bnn_workspace_options *options,
                                bnn_workspace **workspace, bnn_error *error)
{
    size_t scratch = 0;
    *workspace = NULL;
    bnn_workspace *result = bnn_alloc(1, sizeof *result);
    if (!result) return bnn_no_memory(error, "a workspace", 1, sizeof *result);
    bnn_status status = plan_create(network, options->train ? options->estimator : NULL, options->kernels,
                                    options->train, &result->plan, error);
    if (!status) {
        result->runners = bnn_alloc(result->plan.step_count, sizeof *result->runners);
        result->perturbed = bnn_alloc(result->plan.step_count, sizeof *result->perturbed);
        result->packings = bnn_alloc(2 * result->plan.step_count, sizeof *result->packings);
        if (!result->runners || !result->perturbed || !result->packings)
            status = bnn_no_memory(error, "layers", result->plan.step_count, sizeof *result->runners);
    }
    if (!status) status = create_steps(result, options, &scratch, error);
    if (!status) status = allocate_buffers(result, options, scratch, error);
    if (status) {
        bnn_workspace_free(result);
        return status;
    }
    *workspace = result;
    return BNN_OK;
}

bnn_status bnn_workspace_reserve(const bnn_workspace *workspace, size_t threads, bnn_error *error)
{
    for (size_t i = 0; i < workspace->packing_count; i++)
        if (workspace->packings[i].runner->kernel->products) return bnn_blas_reserve(threads, error);
    return BNN_OK;
}

size_t bnn_network_block(const bnn_network *network, const bnn_workspace_options *options, size_t views)
{
    const size_t cache = (size_t)3 << 19; /* bytes; fixed, so that results are the same on every machine */
    size_t largest = 0, buffers = 0, packed = 0, images = options->block, most = 16;
    bnn_kernel_shape shape;
    for (size_t l = 0, together; l < network->layer_count; l += together) {
        const bnn_layer *layer = &network->layers[l];
        const bool perturbed = options->train && bnn_estimator_perturbs(options->estimator, layer);
        together = bnn_network_fused(network, l, &shape);
        if (!layer->type->small_blocks) continue;
        if (perturbed) shape.noise = options->estimator->rule;
        const bnn_kernel *kernel = bnn_kernel_of_set(layer->type->kernels, &shape, NULL);
        if (!kernel) { /* it runs twice, without noise */
            shape.noise = BNN_NOISE_NONE;
            kernel = bnn_kernel_of_set(layer->type->kernels, &shape, NULL);
        }
        const size_t count =
            bnn_kernel_saved_count(kernel, &shape, 1) + bnn_kernel_scratch_count(kernel, &shape, 1);
        largest = larger(largest, count);
        buffers += count;
        packed += (perturbed ? 4 : 1) /* two sums, whose gradients are as large and added to by every block */
                  * bnn_kernel_packed_count(kernel, &shape);
        if (perturbed) most = 32;
    }
    if (largest > 0) {
        images = cache / (largest * sizeof(bnn_real));
        if (images < 4) images = 4;
        if (images > 8) images = 8;
        if (options->train && images < packed / buffers) images = packed / buffers;
        if (images > most) images = most;
        if (images > options->block) images = options->block;
    }
    images -= images % views;
    return images ? images : views;
}

size_t bnn_workspace_packed_count(const bnn_workspace *workspace)
{
    return workspace->packed_count;
}

size_t bnn_workspace_parts(const bnn_workspace *workspace)
{
    size_t parts = 0;
    for (size_t i = 0; i < workspace->packing_count; i++)
        parts += runner_parts(workspace->packings[i].runner);
    return parts;
}

void bnn_workspace_pack(const bnn_workspace *workspace, size_t part, const bnn_real *weights,
                        const bnn_real *spread, bnn_real *packed)
{
    const packing *p = workspace->packings;
    for (; part >= runner_parts(p->runner); p++) part -= runner_parts(p->runner);
    runner_pack(p->runner, part, p->spread ? spread : weights, packed + p->offset);
}

void bnn_workspace_begin(bnn_workspace *workspace, const bnn_unit *unit)
{
    workspace->add = false;
    for (size_t i = 0; i < workspace->packing_count; i++) {
        const packing *p = &workspace->packings[i];
        runner_begin(p->runner, p->spread ? unit->spread : unit->weights, unit->packed + p->offset,
                     p->spread ? unit->spread_gradient : unit->gradient);
    }
    for (size_t s = 0; s < workspace->plan.step_count; s++)
        if (workspace->perturbed[s]) perturbation_begin(workspace->perturbed[s], unit);
}

/* What a step reads and writes forward. */
static bnn_pass pass_of(const bnn_workspace *workspace, size_t s)
{
    const plan_step *step = &workspace->plan.steps[s];
    bnn_pass pass = {
        .images = workspace->images, .out = workspace->out[step->out.slot], .scratch = workspace->scratch};
    for (size_t i = 0; i < step->layer->type->inputs; i++)
        pass.in[i] = step->inputs[i] == BNN_IMAGES
                         ? workspace->in
                         : workspace->out[workspace->plan.steps[step->inputs[i]].out.slot];
    return pass;
}

const bnn_real *bnn_workspace_forward(bnn_workspace *workspace, const bnn_real *in, size_t images)
{
    bnn_pass pass = {0};
    workspace->in = in;
    workspace->images = images;
    for (size_t s = 0; s < workspace->plan.step_count; s++) {
        pass = pass_of(workspace, s);
        if (workspace->perturbed[s])
            perturbation_forward(workspace->perturbed[s], &pass);
        else
            runner_forward(&workspace->runners[s], pass);
    }
    return pass.out;
}

const bnn_layer *bnn_workspace_anomaly(const bnn_workspace *workspace, bnn_real *value)
{
    const plan *p = &workspace->plan;
    for (size_t s = 0; s < p->step_count; s++) {
        const bnn_real *out = workspace->out[p->steps[s].out.slot];
        for (size_t j = 0; j < workspace->images * p->steps[s].out.count; j++)
            if (!isfinite(out[j])) {
                *value = out[j];
                return p->steps[s].layer;
            }
    }
    return NULL;
}

/* Where a step writes the gradients of its inputs: NULL where nobody wants one. */
static void find_gradients(const bnn_workspace *workspace, const plan_step *step, bnn_pass *pass)
{
    for (size_t i = 0; i < step->layer->type->inputs; i++) {
        if (step->inputs[i] == BNN_IMAGES) continue;
        const plan_step *from = &workspace->plan.steps[step->inputs[i]];
        if (!from->gradient.kept) continue;
        pass->in_gradient[i] = step->adds[i] ? workspace->extra[i] : workspace->gradient[from->gradient.slot];
    }
}

static void add_gradients(const bnn_workspace *workspace, const plan_step *step)
{
    const size_t count = workspace->images * bnn_activation_count(&step->shape.in);
    for (size_t i = 0; i < step->layer->type->inputs; i++) {
        if (!step->adds[i]) continue;
        bnn_real *sum = workspace->gradient[workspace->plan.steps[step->inputs[i]].gradient.slot];
        for (size_t j = 0; j < count; j++) sum[j] += workspace->extra[i][j];
    }
}

void bnn_workspace_backward(bnn_workspace *workspace, bnn_real *logit_gradient)
{
    for (size_t s = workspace->plan.step_count; s-- > 0;) {
        const plan_step *step = &workspace->plan.steps[s];
        bnn_pass pass = pass_of(workspace, s);
        if (!step->trained) continue;
        pass.add = workspace->add;
        pass.out_gradient = step->gradient.kept ? workspace->gradient[step->gradient.slot] : logit_gradient;
        find_gradients(workspace, step, &pass);
        if (workspace->perturbed[s])
            perturbation_backward(workspace->perturbed[s], &pass);
        else
            runner_backward(&workspace->runners[s], pass);
        add_gradients(workspace, step);
    }
    workspace->add = true;
}

void bnn_workspace_end(bnn_workspace *workspace)
{
    for (size_t i = 0; i < workspace->packing_count; i++) runner_end(workspace->packings[i].runner);
}
