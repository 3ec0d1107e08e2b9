/* The mean-field variational posterior q(w) = prod_j q(w_j; mu_j, sigma_j), sigma = softplus(rho), its prior
 * and its families. The mathematics: src/README.md; Blundell et al., "Weight Uncertainty in Neural Networks" (2015), eq.
 * 3-8. It knows a network's parameter vector. */
#ifndef BNN_POSTERIOR_H
#define BNN_POSTERIOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bnn/network.h"
#include "bnn/real.h"
#include "bnn/rng.h"
#include "bnn/row.h"
#include "bnn/status.h"

/* The largest |rho| that files may hold: the square of such a sigma is finite in float. */
#define BNN_RHO_MOST 1e18

/* What a gradient is taken in beside mu. */
typedef enum bnn_scale_gradient {
    BNN_GRADIENT_OF_RHO,  /* d loss / d rho = d loss / d sigma times the slope of softplus */
    BNN_GRADIENT_OF_SIGMA /* before that slope */
} bnn_scale_gradient;

/* A contiguous run of parameters that a family works on. Read-only to the family but for what it says. */
typedef struct bnn_slice {
    size_t count;
    const bnn_real *mu, *sigma;             /* sigma > 0 */
    const bnn_real *prior_mean, *prior_std; /* the prior's own mu and sigma: it is of the same family as q */
    const bnn_real *sign;                   /* NULL unless the family has signs */
} bnn_slice;

/* A key of the configuration that means nothing to a family: at `harmless` (as JSON) it says nothing false, NULL: at no value,
 * "": at any; elsewhere it is refused. */
typedef struct bnn_unread_key {
    const char *path, *harmless;
} bnn_unread_key;

/* A family of distributions of one weight: one file, one row of bnn_families. */
typedef struct bnn_family {
    bnn_row row;
    const struct bnn_family *head; /* of the head; NULL: the family itself */
    bool signs;                    /* a fixed random sign a weight, which a group does not move */
    bool averages_leave;           /* an average of its members over the group is none of its members */
    bool
        point; /* all of it at mu: rho is -infinity and stays so, files have none, there is no KL, and eps counts for nothing */
    const bnn_unread_key *unread; /* ends with a NULL path; row.reason says why. NULL: none */
    bool normal; /* w - mu is sigma times a standard normal, as the estimators of pre-activations assume */

    /* n draws of the noise eps that the reparameterisation starts from. */
    void (*noise)(bnn_stream stream, bnn_real *eps, size_t n);

    /* The log density of n values of eps, summed, but for a constant a value; NULL: there is no density. */
    double (*log_noise)(const double *eps, size_t n);

    /* w <- the reparameterised draw; eps = 0 gives the centre (w = mu for gaussian). */
    void (*draw)(const bnn_slice *slice, const bnn_real *eps, bnn_real *w);

    /* d loss / d mu += ..., d loss / d sigma += ..., given d loss / d w at that draw. */
    void (*pull_back)(const bnn_slice *slice, const bnn_real *eps, const bnn_real *w_gradient,
                      bnn_real *mu_gradient, bnn_real *sigma_gradient);

    /* KL(q || p) in nats, summed. NULL for a point. */
    double (*kl)(const bnn_slice *slice);

    /* d loss / d mu += weight * dKL/dmu, and the same of sigma. Of a point, -log p(mu) stands for the KL. */
    void (*kl_gradient)(const bnn_slice *slice, bnn_real weight, bnn_real *mu_gradient,
                        bnn_real *sigma_gradient);

    /* Empirical Bayes: given all else, KL is least at the prior std s with s^prior_power = the mean over the weights of the
     * moment, which is summed over a slice. NULL: there is no such s. */
    int prior_power;
    double (*prior_moment)(const bnn_slice *slice);

    /* Of one parameter: KL(q_j || q'_j) in nats between two members of the family, exactly 0 when they are equal,
     * and the log of their Bhattacharyya coefficient. */
    double (*divergence)(double mu, double sigma, double other_mu, double other_sigma,
                         double *log_bhattacharyya);
} bnn_family;

extern const bnn_family *const bnn_families[]; /* NULL-terminated, the default first */
const bnn_row *bnn_family_row(size_t i);       /* the registry */
extern const bnn_family bnn_family_gaussian, bnn_family_laplace, bnn_family_lognormal, bnn_family_point;

/* NULL when there is none of that name. */
const bnn_family *bnn_family_find(const char *name);

/* Weights that share one noise value: w_j = mu_j + sigma_j eps_leader(j), the distribution of the free weights alone, of which
 * there are sum_j share_j. Weights of a tie have equal mu, sigma and prior; KL counts each tie once. */
typedef struct bnn_ties {
    uint32_t *leader; /* (count) a parameter of the same layer; leader[leader[j]] == leader[j] */
    bnn_real *share;  /* (count) 1 over the number of weights that share j's noise */
} bnn_ties;

/* NULL when memory is short. */
bnn_ties *bnn_ties_create(size_t count);
void bnn_ties_free(bnn_ties *ties); /* NULL is legal */

typedef struct bnn_posterior {
    const bnn_network *network; /* borrowed */
    const bnn_family *family;   /* of every layer, but for a gaussian head */
    size_t count;               /* network->parameter_count */
    bnn_real *mu;               /* (count) */
    bnn_real *rho;              /* (count) */
    bnn_real *prior_mean;       /* (count) m_j */
    bnn_real *prior_std;        /* (count) s_j > 0 */
    bnn_real *sign;             /* (count) +1 or -1 where the family has signs, else NULL */
    bool learned_prior;         /* prior_std is kept where KL(q || p) is least */
    bool random_prior;          /* prior_mean is a draw, not zero: written to files */
    bnn_ties *ties;             /* owned; NULL: mean field, a noise value a weight */
} bnn_posterior;

/* A posterior with mu = 0, rho = 0, prior N(0, 1), for `network`, which must outlive it. */
bnn_status bnn_posterior_create(const bnn_network *network, const bnn_family *family,
                                bnn_posterior **posterior, bnn_error *error);
void bnn_posterior_free(bnn_posterior *posterior); /* NULL is legal */

/* Deep copy of src's figures into dst, of the same network or one with the same tensors; dst keeps its ties. */
void bnn_posterior_copy(bnn_posterior *dst, const bnn_posterior *src);

/* Initial figures. */
typedef enum bnn_mean_init { BNN_INIT_KAIMING, BNN_INIT_ZERO, BNN_INIT_PRIOR } bnn_mean_init;
extern const char *const bnn_mean_init_names[]; /* "kaiming", "zero", "prior", NULL */

/* How wide the prior is. One scale a layer's weights and one its biases: a group that permutes parameters within them leaves
 * such a prior alone. */
typedef enum bnn_prior_scale {
    BNN_PRIOR_NUMBERS, /* one number, or one a layer with parameters */
    BNN_PRIOR_FAN_IN,  /* weights: the deviation of their initial values, sqrt(2 / fan-in); biases 1 */
    BNN_PRIOR_LEARNED /* empirical Bayes: that which makes KL(q || p) least, kept up as q changes; begins at fan-in */
} bnn_prior_scale;

typedef struct bnn_prior_std {
    bnn_prior_scale scale;
    size_t count; /* of numbers */
    double number[BNN_MAX_WIDTHS + 2];
} bnn_prior_std;

/* The prior; random means are drawn from N(0, std^2) for weights, biases keep 0. BNN_BAD_INPUT when the numbers are neither
 * one nor as many as the layers with parameters. */
bnn_status bnn_posterior_set_prior(bnn_posterior *posterior, const bnn_prior_std *std, bool random_mean,
                                   uint64_t seed, bnn_error *error);

/* Where the prior is learned: gives each layer's weights, and its biases, the prior std for which their KL is least. */
void bnn_posterior_learn_prior(bnn_posterior *posterior);

/* Sets the prior std of a layer's weights and biases. */
void bnn_posterior_set_layer_std(bnn_posterior *posterior, const bnn_layer *layer, double weight,
                                 double bias);

/* The prior std of a layer's weights, or of its biases. */
double bnn_posterior_prior_std(const bnn_posterior *posterior, const bnn_layer *layer, bool bias);

/* mu: Kaiming-normal weights (std sqrt(2 / fan-in)) and zero biases, zero, or the prior's means; rho =
 * rho_init everywhere. A family with signs takes the sign of the initial mean and, for mu, the log of its
 * size. */
void bnn_posterior_initialise(bnn_posterior *posterior, bnn_mean_init init, double rho_init, uint64_t seed);

/* The family of a layer: the posterior's, or gaussian for the head of families that want it so. */
const bnn_family *bnn_posterior_family(const bnn_posterior *posterior, const bnn_layer *layer);

/* The slice [from, from + count), with sigma (posterior->count). */
bnn_slice bnn_posterior_slice(const bnn_posterior *posterior, const bnn_real *sigma, size_t from,
                              size_t count);

/* d loss / d mu += weight * dKL/dmu over the slice from parameter `from` on, and the same of sigma; each tie counts once. */
void bnn_posterior_kl_gradient(const bnn_posterior *posterior, const bnn_family *family,
                               const bnn_slice *slice, size_t from, bnn_real weight, bnn_real *mu_gradient,
                               bnn_real *sigma_gradient);

/* Parameters are drawn, and their gradients reduced, in runs: up to BNN_RUN consecutive ones of a layer, few enough for
 * the arrays of a run to stay in the first-level cache. */
#define BNN_RUN 512
typedef struct bnn_run {
    size_t layer, index; /* index: the run's number within its layer */
    size_t from, count;  /* parameters from .. from + count - 1 */
} bnn_run;

/* Returns the number of runs of a network, and fills `runs` where it is not NULL. */
size_t bnn_network_runs(const bnn_network *network, bnn_run *runs);

/* w (count) <- the centre of q: mu for a gaussian. */
void bnn_posterior_centre(const bnn_posterior *posterior, bnn_real *w);

/* KL(q || p) in nats, summed in double; of one layer (weights and biases), and of all. NaN for a point. */
double bnn_posterior_layer_kl(const bnn_posterior *posterior, const bnn_layer *layer);
double bnn_posterior_kl(const bnn_posterior *posterior);

/* The free parameters of a layer: all, or of each tie one. */
double bnn_posterior_layer_free(const bnn_posterior *posterior, const bnn_layer *layer);

/* The mean of sigma_j / s_j over a layer's parameters: 1 at the prior, near 0 for a vanishing variance, NaN for a
 * point. */
double bnn_posterior_layer_spread(const bnn_posterior *posterior, const bnn_layer *layer);

#endif
