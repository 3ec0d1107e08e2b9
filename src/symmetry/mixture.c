/* The group mixture q_G = 1/|G| sum_h rho(h) q as a posterior of its own: how far q is from it. In the variable u with w = u, or
 * |w| = e^u of a lognormal, every family is one of location and scale, u = mu + sigma eps. rho(h) permutes u as it does w, so
 * that the slopes dw/du cancel in q(rho(h) w)/q(w), as do the sigmas before the densities of eps. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "bnn/sampler.h"
#include "bnn/symmetry.h"

/* Whether rho(h) takes weights that share noise to weights that share noise, for every h. */
static bool keeps_ties(const bnn_symmetry *symmetry, const bnn_ties *ties)
{
    for (size_t h = 0; ties && h < symmetry->group->order; h++) {
        const uint32_t *source = symmetry->source + h * symmetry->count;
        for (size_t j = 0; j < symmetry->count; j++)
            if (ties->leader[source[j]] != ties->leader[source[ties->leader[j]]]) return false;
    }
    return true;
}

static bool is_invariant(const bnn_symmetry *symmetry, const bnn_posterior *q)
{
    return bnn_symmetry_is_invariant(symmetry, q->mu) && bnn_symmetry_is_invariant(symmetry, q->rho) &&
           (!q->sign || bnn_symmetry_is_invariant(symmetry, q->sign)) && keeps_ties(symmetry, q->ties);
}

/* u (count) <- a draw. */
static void draw_location(const bnn_sampler *sampler, bnn_draw draw, bnn_real *eps, double *u)
{
    const bnn_posterior *q = sampler->posterior;
    for (size_t r = 0; r < sampler->run_count; r++) bnn_sampler_noise(sampler, &sampler->runs[r], draw, eps);
    for (size_t j = 0; j < q->count; j++)
        u[j] = (double)q->mu[j] + (double)sampler->sigma[j] * (double)eps[j];
}

/* log q(rho(h) w), but for what is the same for every h. */
static double log_density(const bnn_symmetry *symmetry, const bnn_sampler *sampler, size_t h, const double *u)
{
    const bnn_posterior *q = sampler->posterior;
    const uint32_t *source = symmetry->source + h * symmetry->count;
    double eps[BNN_RUN], sum = 0;
    for (size_t r = 0; r < sampler->run_count; r++) {
        const bnn_run *run = &sampler->runs[r];
        const bnn_layer *layer = &q->network->layers[run->layer];
        for (size_t k = 0; k < run->count; k++) {
            const size_t j = run->from + k, from = source[j];
            if (q->sign && q->sign[j] != q->sign[from]) return -INFINITY;
            eps[k] = (u[from] - (double)q->mu[j]) / (double)sampler->sigma[j];
        }
        sum += bnn_posterior_family(q, layer)->log_noise(eps, run->count);
    }
    return sum;
}

/* log |G| - H[h | w] from log q(rho(h) w). */
static double information(const double *logs, size_t order)
{
    double most = -INFINITY, sum = 0, entropy = 0;
    for (size_t h = 0; h < order; h++) most = fmax(most, logs[h]);
    for (size_t h = 0; h < order; h++) sum += exp(logs[h] - most);
    for (size_t h = 0; h < order; h++) {
        const double p = exp(logs[h] - most) / sum;
        if (p > 0) entropy -= p * log(p);
    }
    return fmax(log((double)order) - entropy, 0);
}

/* terms (draws) <- that of each draw. */
static bnn_status measure_draws(const bnn_symmetry *symmetry, const bnn_sampler *sampler, bnn_draw draw,
                                size_t draws, int threads, double *terms, bnn_error *error)
{
    const size_t count = symmetry->count, scratch = (size_t)threads * count;
    bnn_real *eps = bnn_alloc(scratch, sizeof *eps);
    double *u = bnn_alloc(scratch, sizeof *u);
    if (eps && u) {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
        for (size_t t = 0; t < draws; t++) {
            double logs[BNN_GROUP_MAX_ORDER], *of_thread = u + (size_t)omp_get_thread_num() * count;
            draw_location(sampler, (bnn_draw){draw.seed, draw.purpose, draw.step, draw.sample + t},
                          eps + (size_t)omp_get_thread_num() * count, of_thread);
            for (size_t h = 0; h < symmetry->group->order; h++)
                logs[h] = log_density(symmetry, sampler, h, of_thread);
            terms[t] = information(logs, symmetry->group->order);
        }
    }
    const bool whole = eps && u;
    free(u);
    free(eps);
    return whole ? BNN_OK : bnn_no_memory(error, "draws of a mixture", scratch, sizeof *u);
}

static bnn_status check(const bnn_posterior *q, bnn_error *error)
{
    for (size_t l = 0; l < q->network->layer_count; l++) {
        const bnn_family *family = bnn_posterior_family(q, &q->network->layers[l]);
        if (!family->log_noise)
            return bnn_fail(error, BNN_BAD_INPUT, "a posterior of family %s has no density",
                            family->row.name);
    }
    if (q->ties)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "weights of q share noise, and q, which is not invariant, has no density");
    return BNN_OK;
}

bnn_status bnn_mixture_divergence(const bnn_symmetry *symmetry, const bnn_posterior *posterior, bnn_draw draw,
                                  size_t draws, int threads, double *divergence, double *standard_error,
                                  bnn_error *error)
{
    bnn_sampler *sampler = NULL;
    double *terms = NULL, squares = 0;
    *divergence = *standard_error = 0;
    if (is_invariant(symmetry, posterior)) return BNN_OK;
    bnn_status status = check(posterior, error);
    if (!status) status = bnn_sampler_create(posterior, &sampler, error);
    if (status) return status;
    for (size_t r = 0; r < sampler->run_count; r++) bnn_sampler_refresh(sampler, &sampler->runs[r]);
    terms = bnn_alloc(draws, sizeof *terms);
    status = terms ? measure_draws(symmetry, sampler, draw, draws, threads, terms, error)
                   : bnn_no_memory(error, "draws of a mixture", draws, sizeof *terms);
    if (!status) {
        const double n = (double)draws;
        for (size_t t = 0; t < draws; t++) *divergence += terms[t] / n;
        for (size_t t = 0; t < draws; t++) squares += (terms[t] - *divergence) * (terms[t] - *divergence);
        *standard_error = sqrt(squares / (n - 1) / n);
    }
    free(terms);
    bnn_sampler_free(sampler);
    return status;
}
