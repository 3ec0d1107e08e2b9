/* The action of a group on the parameter vector, and every operator on a posterior that is a loop over it.
 * The mathematics: src/README.md.
 *
 * Each activation carries a permutation of its channels: trivial (fixed) or regular (channels in blocks of
 * |G|, index (c, k) -> c*|G| + k, h.(c, k) = (c, hk)). Then rho(h) is a permutation of the parameter vector
 * and f(h.x; rho(h) w) = f(x; w):
 *   conv             (rho(h)W)[o,i,p]    = W[h^-1 o, h^-1 i, h^-1 p]     p: offset from the kernel's centre
 *   dense on a grid  (rho(h)W)[o,(i,p)]  = W[h^-1 o, (h^-1 i, h^-1 p)]
 *   dense            (rho(h)W)[o,i]      = W[h^-1 o, h^-1 i]
 *   bias             (rho(h)b)[o]        = b[h^-1 o] */
#ifndef BNN_SYMMETRY_H
#define BNN_SYMMETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bnn/group.h"
#include "bnn/network.h"
#include "bnn/posterior.h"
#include "bnn/sampler.h"

typedef struct bnn_symmetry {
    const bnn_group *group;     /* borrowed */
    const bnn_network *network; /* borrowed */
    size_t count;               /* parameters */
    /* (order, count): (rho(h)w)[j] = w[source[h*count + j]]. The slice at a layer's weight_offset or
     * bias_offset is that layer's table. */
    uint32_t *source;
    /* The orbits of more than one parameter, first members ascending: orbit o holds the parameters
     * orbit_member[orbit_start[o]] ... orbit_member[orbit_start[o + 1] - 1]. */
    size_t orbit_count;
    uint32_t *orbit_start;  /* (orbit_count + 1) */
    uint32_t *orbit_member; /* at most (count) */
} bnn_symmetry;

/* BNN_BAD_INPUT, with the layer and the reason, when some layer has no exact action: C8 on a dense layer over
 * a grid or on 5 x 5 kernels, a regular representation whose channels are no multiple of |G|, a grid before a
 * dense layer that the translations do not divide; and as bnn_network_check_channels says. That the action exists does
 * not make f(h.x; rho(h) w) = f(x; w) hold: see bnn_network_commutes. */
bnn_status bnn_symmetry_create(const bnn_group *group, const bnn_network *network, bnn_symmetry **symmetry,
                               bnn_error *error);
void bnn_symmetry_free(bnn_symmetry *symmetry);

/* Whether the group acts on the hidden channels: they are trivial, or regular under the group that network->spec names,
 * which then has to have `group` among its subgroups; a subgroup acts by the larger group's tables. BNN_BAD_INPUT for
 * any other group: how it would move such channels is nowhere said, and "not judged" begins the message. */
bnn_status bnn_network_check_channels(const bnn_group *group, const bnn_network *network, bnn_error *error);

/* Whether f(h.x; rho(h) w) = f(x; w) for every x, w and h, given that bnn_symmetry_create succeeds: G
 * permutes the pixels of the images, its elements take the windows of every max-pool to windows, and
 * translations find no border. If not, writes a line to `reason` (of `size` bytes): what breaks it, and what
 * would mend it. */
bool bnn_network_commutes(const bnn_group *group, const bnn_network *network, char *reason, size_t size);

/* out <- rho(h) in; both (count), not overlapping. */
void bnn_symmetry_apply(const bnn_symmetry *symmetry, size_t element, const bnn_real *in, bnn_real *out);

/* values <- P values = 1/|G| sum_h rho(h) values, in place: each orbit is summed once, in a fixed order, and
 * one number is written to all its entries, so the result is invariant bit for bit and P P = P. One pass over
 * the entries that move; allocates nothing. Safe from several threads on different values. */
void bnn_symmetry_project(const bnn_symmetry *symmetry, bnn_real *values);

/* Whether rho(h) values = values (count), bit for bit, for every h. */
bool bnn_symmetry_is_invariant(const bnn_symmetry *symmetry, const bnn_real *values);

/* One noise value an orbit: each orbit's leader is its smallest parameter. A posterior whose figures agree within orbits then has
 * draws w with rho(h) w = w for every h: each is an equivariant network where bnn_network_commutes. NULL when memory is short. */
bnn_ties *bnn_symmetry_ties(const bnn_symmetry *symmetry);

/* One-shot operators on a posterior (arXiv:2606.26273). Each acts on every orbit of parameters, and leaves q
 * exactly invariant, bit for bit. sigma (not rho) is averaged; what an orbit's entries already agree on is
 * left as it is, so each operator applied twice is applied once. The prior is not touched.
 *   project     m~ = mean m_h                  s~ = mean s_h
 *   geometric   m~ = s~^2 mean(m_h / s_h^2)    1/s~^2 = mean 1/s_h^2              (product of experts)
 *   arithmetic  m~ = mean m_h                  s~^2 = mean(s_h^2 + m_h^2) - m~^2  (moment matching) */
void bnn_posterior_project(const bnn_symmetry *symmetry, bnn_posterior *posterior);
typedef enum bnn_average { BNN_GEOMETRIC, BNN_ARITHMETIC } bnn_average;
extern const char *const bnn_average_names[]; /* "geometric", "arithmetic", NULL */
void bnn_posterior_average(const bnn_symmetry *symmetry, bnn_average average, bnn_posterior *posterior);

/* Orbit expansion of a posterior on a network with trivial channels C_l into one with regular channels
 * |G| C_l:
 *   first layer  W'[(o,g), i]     =          R_g W[o,i]     bias repeated
 *   inner layer  W'[(o,g), (i,k)] = |G|^-1/2 R_r W[o,i]     bias repeated
 *   last layer   W'[c, (i,k)]     = |G|^-1   R_k W[c,i]
 * R acts on a kernel's offsets or on the grid under a dense layer, and not at all where there is neither.
 * gcnn makes q exactly invariant, bit for bit: rho(h) W' = W' asks for r(hg, hk) = h r(g, k), which g k^-1 g
 * satisfies in every group, commutative or not. The others do not satisfy it, and serve as ablations
 * (row_rolled leaves the function of an fcnn invariant all the same where G commutes: layer l's channels then
 * follow (c, g) -> (c, h^l g), whose order its global average does not see; rho and the certificate know only
 * (c, g) -> (c, h g)). */
typedef enum bnn_arrangement {
    BNN_GCNN,        /* r = g k^-1 g */
    BNN_ROW_ROLLED,  /* r = g k^-1 */
    BNN_ROW_CONSTANT /* r = k^-1 */
} bnn_arrangement;
extern const char *const bnn_arrangement_names[]; /* "gcnn", "row_rolled", "row_constant", NULL */

/* The specification of the expanded network. BNN_BAD_INPUT when `small` has regular channels or no hidden
 * layer. */
bnn_status bnn_expanded_spec(const bnn_group *group, const bnn_network_spec *small,
                             bnn_network_spec *expanded, bnn_error *error);

/* Fills `expanded` (a posterior of the same family on a network of bnn_expanded_spec) from `small`. sigma and random
 * prior means are scaled like mu, so that the weights' distributions are; prior_std and sign are those of the weight
 * that each is a copy of. */
bnn_status bnn_posterior_expand(const bnn_group *group, bnn_arrangement arrangement,
                                const bnn_posterior *small, bnn_posterior *expanded, bnn_error *error);

/* How far q is from invariance. `residual` = ||theta - P theta|| / ||theta|| with theta = (mu, sigma); 0
 * exactly when q is invariant. `kl` = KL(q || rho(h) q) in nats; `l1_bound`: for every input x, with F the
 * predictive,
 *     ||F(h.x) - F(x)||_1 <= 2 TV(q, rho(h) q) <= 2 sqrt(1 - BC^2),  BC the Bhattacharyya coefficient.
 * That needs f(h.x; rho(h) w) = f(x; w): where bnn_network_commutes says no, the bound is the trivial 2. Of weights that share
 * noise each tie counts once; where rho(h) does not take ties to ties, q and rho(h) q share no values: infinity, and 2. */
typedef struct bnn_certificate_layer {
    char name[40];
    double residual;
    double kl_max;                /* over the elements */
    double *kl;                   /* (order) */
    double log_bhattacharyya_min; /* of this layer's factor, over the elements: <= 0 */
} bnn_certificate_layer;

typedef struct bnn_certificate {
    size_t order;
    double residual, kl_max, l1_bound; /* over all parameters; maxima over the elements */
    double *kl, *l1;                   /* (order) */
    size_t layer_count;
    bnn_certificate_layer *layers; /* the layers with parameters */
} bnn_certificate;

bnn_status bnn_certify(const bnn_symmetry *symmetry, const bnn_posterior *posterior,
                       bnn_certificate **certificate, bnn_error *error);
void bnn_certificate_free(bnn_certificate *certificate);

/* KL(q || q_G) in nats, of the group mixture q_G = 1/|G| sum_h rho(h) q: exactly 0 where q is invariant, log |G| where the rho(h) q
 * lie far apart. Where the prior p is invariant E_{q_G} log q_G/p = E_q log q_G/p, so that
 *     KL(q_G || p) = KL(q || p) - KL(q || q_G).
 * It is the mutual information of h and w with h uniform and w ~ rho(h) q, estimated without bias by the mean over draws w ~ q of
 *     log |G| - H[h | w],    P(h | w) proportional to q(rho(h)^-1 w),
 * each between 0 and log |G|; standard_error: theirs. `draws` (at least 2) begin at `draw` and count up its sample. BNN_BAD_INPUT,
 * with the reason, where q has no density: weights share noise, or the family has none. Neither depends on the number of threads. */
bnn_status bnn_mixture_divergence(const bnn_symmetry *symmetry, const bnn_posterior *posterior, bnn_draw draw,
                                  size_t draws, int threads, double *divergence, double *standard_error,
                                  bnn_error *error);

#endif
