/* How far a posterior is from invariance, without any data: see symmetry.h and src/README.md. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/numeric.h"
#include "bnn/symmetry.h"

/* A posterior's moments, and their projection. */
typedef struct moments {
    const bnn_posterior *posterior;
    const bnn_real *mu, *sign;                        /* (count); sign NULL unless the family has signs */
    bnn_real *sigma, *mu_projected, *sigma_projected; /* (count) */
} moments;

/* Whether rho(h), given by its table, takes the weights that share noise with j to weights that share noise. If not, q and
 * rho(h) q lie in different subspaces. */
static bool moves_tie(const bnn_ties *ties, const uint32_t *source, size_t j)
{
    return ties->leader[source[j]] == ties->leader[source[ties->leader[j]]];
}

/* Adds, of parameter j and the one that rho(h) puts in its place, KL(q_j || q_h) and the log of the Bhattacharyya coefficient;
 * each tie counts once. Weights of opposite signs share no values. */
static void divergence(const moments *q, const bnn_family *family, const uint32_t *source, size_t j,
                       double *kl, double *log_bhattacharyya)
{
    const bnn_ties *ties = q->posterior->ties;
    const size_t h = source[j];
    const double share = ties ? (double)ties->share[j] : 1;
    double log_bc;
    if ((q->sign && q->sign[j] != q->sign[h]) || (ties && !moves_tie(ties, source, j))) {
        *kl = INFINITY;
        *log_bhattacharyya = -INFINITY;
        return;
    }
    *kl += share * family->divergence((double)q->mu[j], (double)q->sigma[j], (double)q->mu[h],
                                      (double)q->sigma[h], &log_bc);
    *log_bhattacharyya += share * log_bc;
}

/* sum over a range of (v - P v)^2 and of v^2 */
static void add_squares(const bnn_real *values, const bnn_real *projected, size_t begin, size_t end,
                        double squares[2])
{
    for (size_t j = begin; j < end; j++) {
        const double value = (double)values[j], away = value - (double)projected[j];
        squares[0] += away * away;
        squares[1] += value * value;
    }
}

static double ratio_of(const double squares[2])
{
    return squares[0] > 0 ? sqrt(squares[0] / squares[1]) : 0;
}

/* One layer's figures; adds its log BC for every element, and its squares, to the totals. */
static void certify_layer(const bnn_symmetry *symmetry, const bnn_layer *layer, const moments *q,
                          bnn_certificate_layer *result, double *log_bhattacharyya, double total_squares[2])
{
    const size_t begin = layer->weight_offset, end = layer->bias_offset + layer->bias_count;
    const bnn_family *family = bnn_posterior_family(q->posterior, layer);
    double squares[2] = {0, 0};
    memcpy(result->name, layer->name, sizeof result->name);
    add_squares(q->mu, q->mu_projected, begin, end, squares);
    add_squares(q->sigma, q->sigma_projected, begin, end, squares);
    result->residual = ratio_of(squares);
    for (size_t i = 0; i < 2; i++) total_squares[i] += squares[i];
    for (size_t h = 0; h < symmetry->group->order; h++) {
        const uint32_t *source = symmetry->source + h * symmetry->count;
        double log_bc = 0;
        for (size_t j = begin; j < end; j++) divergence(q, family, source, j, &result->kl[h], &log_bc);
        result->kl_max = fmax(result->kl_max, result->kl[h]);
        result->log_bhattacharyya_min = fmin(result->log_bhattacharyya_min, log_bc);
        log_bhattacharyya[h] += log_bc;
    }
}

/* The layers' figures and their totals. KL and log BC of a product are sums over its factors. They bound the defect only
 * where f(h.x; rho(h) w) = f(x; w); elsewhere all that is left is that the L1 distance of two distributions is at most
 * 2. */
static void certify_all(const bnn_symmetry *symmetry, const moments *q, bnn_certificate *result)
{
    const bnn_network *network = symmetry->network;
    char ignored[256];
    const bool commutes = bnn_network_commutes(symmetry->group, network, ignored, sizeof ignored);
    double squares[2] = {0, 0}, log_bhattacharyya[BNN_GROUP_MAX_ORDER] = {0};
    for (size_t l = 0; l < network->layer_count; l++) {
        if (network->layers[l].weight_count == 0) continue;
        bnn_certificate_layer *layer = &result->layers[result->layer_count++];
        layer->kl = result->kl + (1 + result->layer_count) * result->order;
        certify_layer(symmetry, &network->layers[l], q, layer, log_bhattacharyya, squares);
        for (size_t h = 0; h < result->order; h++) result->kl[h] += layer->kl[h];
    }
    result->residual = ratio_of(squares);
    for (size_t h = 0; h < result->order; h++) {
        result->l1[h] = commutes || h == 0 ? 2 * sqrt(fabs(expm1(2 * log_bhattacharyya[h]))) : 2;
        result->kl_max = fmax(result->kl_max, result->kl[h]);
        result->l1_bound = fmax(result->l1_bound, result->l1[h]);
    }
}

static bnn_status create_moments(const bnn_symmetry *symmetry, const bnn_posterior *posterior, moments *q,
                                 bnn_error *error)
{
    const size_t count = posterior->count;
    *q = (moments){.posterior = posterior, .mu = posterior->mu, .sign = posterior->sign};
    q->sigma = bnn_alloc(count, sizeof *q->sigma);
    q->mu_projected = bnn_alloc(count, sizeof *q->mu_projected);
    q->sigma_projected = bnn_alloc(count, sizeof *q->sigma_projected);
    if (!q->sigma || !q->mu_projected || !q->sigma_projected)
        return bnn_no_memory(error, "a certificate", count, sizeof *q->sigma);
    for (size_t j = 0; j < count; j++) q->sigma[j] = (bnn_real)bnn_softplus((double)posterior->rho[j]);
    memcpy(q->mu_projected, q->mu, count * sizeof *q->mu);
    memcpy(q->sigma_projected, q->sigma, count * sizeof *q->sigma);
    bnn_symmetry_project(symmetry, q->mu_projected);
    bnn_symmetry_project(symmetry, q->sigma_projected);
    return BNN_OK;
}

static bnn_status create_certificate(const bnn_symmetry *symmetry, bnn_certificate **certificate,
                                     bnn_error *error)
{
    const size_t order = symmetry->group->order, layers = symmetry->network->layer_count;
    bnn_certificate *result = bnn_alloc(1, sizeof *result);
    *certificate = result;
    if (!result) return bnn_no_memory(error, "a certificate", 1, sizeof *result);
    result->order = order;
    result->kl = bnn_alloc((2 + layers) * order, sizeof *result->kl); /* kl, l1, and kl of each layer */
    result->layers = bnn_alloc(layers, sizeof *result->layers);
    if (!result->kl || !result->layers)
        return bnn_no_memory(error, "a certificate", layers, sizeof *result->layers);
    result->l1 = result->kl + order;
    return BNN_OK;
}

bnn_status bnn_certify(const bnn_symmetry *symmetry, const bnn_posterior *posterior,
                       bnn_certificate **certificate, bnn_error *error)
{
    moments q = {0};
    bnn_status status = create_certificate(symmetry, certificate, error);
    if (!status) status = create_moments(symmetry, posterior, &q, error);
    if (!status) certify_all(symmetry, &q, *certificate);
    free(q.sigma_projected);
    free(q.mu_projected);
    free(q.sigma);
    if (status) {
        bnn_certificate_free(*certificate);
        *certificate = NULL;
    }
    return status;
}

void bnn_certificate_free(bnn_certificate *certificate)
{
    if (!certificate) return;
    free(certificate->layers);
    free(certificate->kl);
    free(certificate);
}
