#include "bnn/sampler.h"

#include <stdlib.h>

#include "bnn/numeric.h"

bnn_status bnn_sampler_create(const bnn_posterior *posterior, bnn_sampler **sampler, bnn_error *error)
{
    const size_t count = posterior->count;
    *sampler = NULL;
    bnn_sampler *result = bnn_alloc(1, sizeof *result);
    if (!result) return bnn_no_memory(error, "a sampler", 1, sizeof *result);
    result->posterior = posterior;
    result->run_count = bnn_network_runs(posterior->network, NULL);
    result->runs = bnn_alloc(result->run_count, sizeof *result->runs);
    result->sigma = bnn_alloc(count, sizeof *result->sigma);
    result->slope = bnn_alloc(count, sizeof *result->slope);
    if (!result->runs || !result->sigma || !result->slope) {
        bnn_sampler_free(result);
        return bnn_no_memory(error, "a sampler", count, sizeof(bnn_real));
    }
    bnn_network_runs(posterior->network, result->runs);
    *sampler = result;
    return BNN_OK;
}

void bnn_sampler_free(bnn_sampler *sampler)
{
    if (!sampler) return;
    free(sampler->slope);
    free(sampler->sigma);
    free(sampler->runs);
    free(sampler);
}

void bnn_sampler_refresh(bnn_sampler *sampler, const bnn_run *run)
{
    bnn_softplus_array(sampler->posterior->rho + run->from, run->count, sampler->sigma + run->from,
                       sampler->slope + run->from);
}

static const bnn_family *family_of(const bnn_sampler *sampler, const bnn_run *run)
{
    return bnn_posterior_family(sampler->posterior, &sampler->posterior->network->layers[run->layer]);
}

void bnn_sampler_noise(const bnn_sampler *sampler, const bnn_run *run, bnn_draw draw, bnn_real *eps)
{
    const size_t layer = sampler->posterior->network->layers[run->layer].stream;
    const bnn_stream stream =
        bnn_stream_of(draw.seed, draw.purpose, draw.step, draw.sample, layer + (run->index << 16));
    family_of(sampler, run)->noise(stream, eps + run->from, run->count);
}

void bnn_sampler_tie(const bnn_sampler *sampler, const bnn_run *run, bnn_real *eps)
{
    const bnn_ties *ties = sampler->posterior->ties;
    for (size_t j = run->from; ties && j < run->from + run->count; j++)
        if (ties->leader[j] != j) eps[j] = eps[ties->leader[j]]; /* leaders keep theirs: no order matters */
}

void bnn_sampler_weights(const bnn_sampler *sampler, const bnn_run *run, const bnn_real *eps, bnn_real *w)
{
    const bnn_slice slice = bnn_posterior_slice(sampler->posterior, sampler->sigma, run->from, run->count);
    family_of(sampler, run)->draw(&slice, eps + run->from, w + run->from);
}

void bnn_sampler_draw(const bnn_sampler *sampler, bnn_draw draw, bnn_real *eps, bnn_real *w)
{
    for (size_t r = 0; r < sampler->run_count; r++) bnn_sampler_noise(sampler, &sampler->runs[r], draw, eps);
    for (size_t r = 0; r < sampler->run_count; r++) {
        bnn_sampler_tie(sampler, &sampler->runs[r], eps);
        bnn_sampler_weights(sampler, &sampler->runs[r], eps, w);
    }
}
