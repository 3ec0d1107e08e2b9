#include "bnn/posterior.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/numeric.h"

const char *const bnn_mean_init_names[] = {"kaiming", "zero", "prior", NULL};

const bnn_family *const bnn_families[] = {&bnn_family_gaussian, &bnn_family_laplace, &bnn_family_lognormal,
                                          &bnn_family_point, NULL};

const bnn_row *bnn_family_row(size_t i)
{
    return bnn_families[i] ? &bnn_families[i]->row : NULL;
}

const bnn_family *bnn_family_find(const char *name)
{
    return (const bnn_family *)bnn_row_find(bnn_family_row, name); /* a family begins with its row */
}

bnn_ties *bnn_ties_create(size_t count)
{
    bnn_ties *ties = bnn_alloc(1, sizeof *ties);
    if (!ties) return NULL;
    ties->leader = bnn_alloc(count, sizeof *ties->leader);
    ties->share = bnn_alloc(count, sizeof *ties->share);
    if (ties->leader && ties->share) return ties;
    bnn_ties_free(ties);
    return NULL;
}

void bnn_ties_free(bnn_ties *ties)
{
    if (!ties) return;
    free(ties->share);
    free(ties->leader);
    free(ties);
}

bnn_status bnn_posterior_create(const bnn_network *network, const bnn_family *family,
                                bnn_posterior **posterior, bnn_error *error)
{
    const size_t n = network->parameter_count;
    *posterior = NULL;
    bnn_posterior *q = bnn_alloc(1, sizeof *q);
    if (!q) return bnn_no_memory(error, "a posterior", 1, sizeof *q);
    q->network = network;
    q->family = family;
    q->count = n;
    q->mu = bnn_alloc(n, sizeof *q->mu);
    q->rho = bnn_alloc(n, sizeof *q->rho);
    q->prior_mean = bnn_alloc(n, sizeof *q->prior_mean);
    q->prior_std = bnn_alloc(n, sizeof *q->prior_std);
    if (family->signs) q->sign = bnn_alloc(n, sizeof *q->sign);
    if (!q->mu || !q->rho || !q->prior_mean || !q->prior_std || (family->signs && !q->sign)) {
        bnn_posterior_free(q);
        return bnn_no_memory(error, "a posterior", n, sizeof *q->mu);
    }
    for (size_t j = 0; j < n; j++) {
        q->prior_std[j] = 1;
        if (family->point) q->rho[j] = -INFINITY;
        if (q->sign) q->sign[j] = 1;
    }
    *posterior = q;
    return BNN_OK;
}

void bnn_posterior_free(bnn_posterior *posterior)
{
    if (!posterior) return;
    free(posterior->mu);
    free(posterior->rho);
    free(posterior->prior_mean);
    free(posterior->prior_std);
    free(posterior->sign);
    bnn_ties_free(posterior->ties);
    free(posterior);
}

void bnn_posterior_copy(bnn_posterior *dst, const bnn_posterior *src)
{
    const size_t bytes = src->count * sizeof *src->mu;
    memcpy(dst->mu, src->mu, bytes);
    memcpy(dst->rho, src->rho, bytes);
    memcpy(dst->prior_mean, src->prior_mean, bytes);
    memcpy(dst->prior_std, src->prior_std, bytes);
    if (dst->sign && src->sign) memcpy(dst->sign, src->sign, bytes);
    dst->random_prior = src->random_prior;
    dst->learned_prior = src->learned_prior;
}

const bnn_family *bnn_posterior_family(const bnn_posterior *posterior, const bnn_layer *layer)
{
    const bool head = posterior->family->head && layer == bnn_network_head(posterior->network);
    return head ? posterior->family->head : posterior->family;
}

static void fill(bnn_real *values, size_t count, double value)
{
    for (size_t j = 0; j < count; j++) values[j] = (bnn_real)value;
}

void bnn_posterior_set_layer_std(bnn_posterior *posterior, const bnn_layer *layer, double weight, double bias)
{
    fill(posterior->prior_std + layer->weight_offset, layer->weight_count, weight);
    fill(posterior->prior_std + layer->bias_offset, layer->bias_count, bias);
}

/* A layer's prior. */
static void set_layer_prior(bnn_posterior *posterior, const bnn_prior_std *std, bool random_mean,
                            uint64_t seed, const bnn_layer *layer, double number)
{
    const bool numbers = std->scale == BNN_PRIOR_NUMBERS;
    bnn_real *mean = posterior->prior_mean + layer->weight_offset;
    double middle, deviation;
    layer->type->initial(layer, &middle, &deviation);
    bnn_posterior_set_layer_std(posterior, layer, numbers ? number : deviation, numbers ? number : 1);
    fill(mean, layer->weight_count, 0);
    fill(posterior->prior_mean + layer->bias_offset, layer->bias_count, 0);
    if (!random_mean) return;
    bnn_normals(bnn_stream_of(seed, BNN_STREAM_PRIOR_MEAN, 0, 0, layer->stream), mean, layer->weight_count);
    for (size_t j = 0; j < layer->weight_count; j++)
        mean[j] *= posterior->prior_std[layer->weight_offset + j];
}

bnn_status bnn_posterior_set_prior(bnn_posterior *posterior, const bnn_prior_std *std, bool random_mean,
                                   uint64_t seed, bnn_error *error)
{
    const bnn_network *network = posterior->network;
    size_t layers = 0, next = 0;
    for (size_t l = 0; l < network->layer_count; l++) layers += network->layers[l].bias_count > 0;
    if (std->scale == BNN_PRIOR_NUMBERS && std->count != 1 && std->count != layers)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "prior.std: found %zu numbers, expected one, or one for each of the %zu layers with parameters",
            std->count, layers);
    posterior->random_prior = random_mean;
    posterior->learned_prior = std->scale == BNN_PRIOR_LEARNED;
    for (size_t l = 0; l < network->layer_count; l++)
        if (network->layers[l].bias_count > 0)
            set_layer_prior(posterior, std, random_mean, seed, &network->layers[l],
                            std->number[std->count > 1 ? next++ : 0]);
    return BNN_OK;
}

double bnn_posterior_prior_std(const bnn_posterior *posterior, const bnn_layer *layer, bool bias)
{
    return (double)posterior->prior_std[bias ? layer->bias_offset : layer->weight_offset];
}

/* The initial centre of w: what mu is for a family without signs. */
static void initial_means(bnn_posterior *posterior, bnn_mean_init init, const bnn_layer *layer, uint64_t seed)
{
    bnn_real *mu = posterior->mu + layer->weight_offset;
    if (init == BNN_INIT_PRIOR) {
        memcpy(mu, posterior->prior_mean + layer->weight_offset, layer->weight_count * sizeof *mu);
    } else if (init == BNN_INIT_ZERO) {
        memset(mu, 0, layer->weight_count * sizeof *mu);
    } else {
        double mean, deviation;
        layer->type->initial(layer, &mean, &deviation);
        bnn_normals(bnn_stream_of(seed, BNN_STREAM_INITIAL_MEAN, 0, 0, layer->stream), mu,
                    layer->weight_count);
        for (size_t j = 0; j < layer->weight_count; j++) mu[j] = (bnn_real)mean + mu[j] * (bnn_real)deviation;
    }
    memset(posterior->mu + layer->bias_offset, 0, layer->bias_count * sizeof *mu);
}

/* w = sign exp(mu + sigma eps): sign and log size of the initial means; a random sign and a small size where
 * they are zero. */
static void means_to_signs(bnn_posterior *posterior, const bnn_layer *layer, uint64_t seed)
{
    const double smallest = 1e-3;
    bnn_pcg32 rng = bnn_stream_open(bnn_stream_of(seed, BNN_STREAM_FAMILY_SIGN, 0, 0, layer->stream));
    for (size_t j = layer->weight_offset; j < layer->bias_offset + layer->bias_count; j++) {
        const double mean = (double)posterior->mu[j];
        const bnn_real coin = bnn_pcg32_next(&rng) & 1u ? 1 : -1;
        posterior->sign[j] = mean > 0 ? 1 : mean < 0 ? -1 : coin;
        posterior->mu[j] = (bnn_real)log(fmax(fabs(mean), smallest));
    }
}

void bnn_posterior_initialise(bnn_posterior *posterior, bnn_mean_init init, double rho_init, uint64_t seed)
{
    for (size_t l = 0; l < posterior->network->layer_count; l++) {
        const bnn_layer *layer = &posterior->network->layers[l];
        if (layer->bias_count == 0) continue;
        initial_means(posterior, init, layer, seed);
        if (bnn_posterior_family(posterior, layer)->signs) means_to_signs(posterior, layer, seed);
    }
    for (size_t j = 0; !posterior->family->point && j < posterior->count; j++)
        posterior->rho[j] = (bnn_real)rho_init;
}

bnn_slice bnn_posterior_slice(const bnn_posterior *posterior, const bnn_real *sigma, size_t from,
                              size_t count)
{
    return (bnn_slice){.count = count,
                       .mu = posterior->mu + from,
                       .sigma = sigma + from,
                       .prior_mean = posterior->prior_mean + from,
                       .prior_std = posterior->prior_std + from,
                       .sign = posterior->sign ? posterior->sign + from : NULL};
}

/* The run of a layer with number `index`, from its layer's first parameter on; count 0 past the last. */
static bnn_run run_of(const bnn_network *network, size_t l, size_t index)
{
    const bnn_layer *layer = &network->layers[l];
    const size_t count = layer->weight_count + layer->bias_count, first = index * BNN_RUN;
    const size_t left = first < count ? count - first : 0;
    return (bnn_run){l, index, layer->weight_offset + first, left < BNN_RUN ? left : BNN_RUN};
}

size_t bnn_network_runs(const bnn_network *network, bnn_run *runs)
{
    size_t n = 0;
    for (size_t l = 0; l < network->layer_count; l++)
        for (bnn_run run = run_of(network, l, 0); run.count > 0; run = run_of(network, l, run.index + 1)) {
            if (runs) runs[n] = run;
            n++;
        }
    return n;
}

void bnn_posterior_centre(const bnn_posterior *posterior, bnn_real *w)
{
    const bnn_real zero = 0, one = 1;
    for (size_t l = 0; l < posterior->network->layer_count; l++) {
        const bnn_layer *layer = &posterior->network->layers[l];
        const bnn_family *family = bnn_posterior_family(posterior, layer);
        for (size_t j = layer->weight_offset; j < layer->bias_offset + layer->bias_count; j++) {
            bnn_slice slice = bnn_posterior_slice(posterior, posterior->rho, j, 1);
            slice.sigma = &one;
            family->draw(&slice, &zero, &w[j]);
        }
    }
}

/* `count` parameters of a slice, from its j-th on. */
static bnn_slice part_of(const bnn_slice *slice, size_t j, size_t count)
{
    return (bnn_slice){.count = count,
                       .mu = slice->mu + j,
                       .sigma = slice->sigma + j,
                       .prior_mean = slice->prior_mean + j,
                       .prior_std = slice->prior_std + j,
                       .sign = slice->sign ? slice->sign + j : NULL};
}

/* How many parameters from j on, before `end`, have j's share of their ties. */
static size_t same_share(const bnn_ties *ties, size_t j, size_t end)
{
    size_t n = 1;
    while (j + n < end && ties->share[j + n] == ties->share[j]) n++;
    return n;
}

void bnn_posterior_kl_gradient(const bnn_posterior *posterior, const bnn_family *family,
                               const bnn_slice *slice, size_t from, bnn_real weight, bnn_real *mu_gradient,
                               bnn_real *sigma_gradient)
{
    const bnn_ties *ties = posterior->ties;
    if (!ties) family->kl_gradient(slice, weight, mu_gradient, sigma_gradient);
    for (size_t j = 0, n; ties && j < slice->count; j += n) {
        n = same_share(ties, from + j, from + slice->count);
        const bnn_slice part = part_of(slice, j, n);
        family->kl_gradient(&part, weight * ties->share[from + j], mu_gradient + j, sigma_gradient + j);
    }
}

/* KL(q || p) of a slice from parameter `from` on. */
static double slice_kl(const bnn_posterior *posterior, const bnn_family *family, const bnn_slice *slice,
                       size_t from)
{
    const bnn_ties *ties = posterior->ties;
    double sum = 0;
    if (!ties) return family->kl(slice);
    for (size_t j = 0, n; j < slice->count; j += n) {
        n = same_share(ties, from + j, from + slice->count);
        const bnn_slice part = part_of(slice, j, n);
        sum += (double)ties->share[from + j] * family->kl(&part);
    }
    return sum;
}

/* The prior std for which the KL of the parameters from .. from + count - 1 is least. */
static double best_prior_std(const bnn_posterior *posterior, const bnn_family *family, size_t from,
                             size_t count)
{
    const bnn_ties *ties = posterior->ties;
    bnn_real sigma[BNN_RUN], slope[BNN_RUN];
    double moment = 0, weights = 0;
    for (size_t done = 0; done < count; done += BNN_RUN) {
        const size_t at = from + done, n = count - done < BNN_RUN ? count - done : BNN_RUN;
        bnn_slice slice = bnn_posterior_slice(posterior, posterior->rho, at, n);
        bnn_softplus_array(posterior->rho + at, n, sigma, slope);
        slice.sigma = sigma;
        if (!ties) moment += family->prior_moment(&slice), weights += (double)n;
        for (size_t j = 0, same; ties && j < n; j += same) {
            same = same_share(ties, at + j, at + n);
            const bnn_slice part = part_of(&slice, j, same);
            const double share = (double)ties->share[at + j];
            moment += share * family->prior_moment(&part), weights += share * (double)same;
        }
    }
    return pow(moment / weights, 1.0 / family->prior_power);
}

void bnn_posterior_learn_prior(bnn_posterior *posterior)
{
    for (size_t l = 0; posterior->learned_prior && l < posterior->network->layer_count; l++) {
        const bnn_layer *layer = &posterior->network->layers[l];
        const bnn_family *family = bnn_posterior_family(posterior, layer);
        if (layer->bias_count == 0) continue;
        bnn_posterior_set_layer_std(
            posterior, layer, best_prior_std(posterior, family, layer->weight_offset, layer->weight_count),
            best_prior_std(posterior, family, layer->bias_offset, layer->bias_count));
    }
}

double bnn_posterior_layer_kl(const bnn_posterior *posterior, const bnn_layer *layer)
{
    enum { RUN = 256 };
    bnn_real sigma[RUN];
    const bnn_family *family = bnn_posterior_family(posterior, layer);
    const size_t end = layer->bias_offset + layer->bias_count;
    double sum = 0;
    if (family->point) return NAN;
    for (size_t from = layer->weight_offset; from < end; from += RUN) {
        const size_t count = end - from < RUN ? end - from : RUN;
        bnn_slice slice = bnn_posterior_slice(posterior, posterior->rho, from, count);
        bnn_softplus_array(posterior->rho + from, count, sigma, NULL);
        slice.sigma = sigma;
        sum += slice_kl(posterior, family, &slice, from);
    }
    return sum;
}

double bnn_posterior_kl(const bnn_posterior *posterior)
{
    double sum = 0;
    for (size_t l = 0; l < posterior->network->layer_count; l++)
        sum += bnn_posterior_layer_kl(posterior, &posterior->network->layers[l]);
    return sum;
}

double bnn_posterior_layer_free(const bnn_posterior *posterior, const bnn_layer *layer)
{
    const size_t count = layer->weight_count + layer->bias_count;
    double sum = 0;
    if (!posterior->ties) return (double)count;
    for (size_t j = layer->weight_offset; j < layer->weight_offset + count; j++)
        sum += (double)posterior->ties->share[j];
    return sum;
}

double bnn_posterior_layer_spread(const bnn_posterior *posterior, const bnn_layer *layer)
{
    const size_t count = layer->weight_count + layer->bias_count;
    double sum = 0;
    if (bnn_posterior_family(posterior, layer)->point) return NAN;
    for (size_t j = layer->weight_offset; j < layer->weight_offset + count; j++)
        sum += bnn_softplus((double)posterior->rho[j]) / (double)posterior->prior_std[j];
    return count ? sum / (double)count : 0;
}
