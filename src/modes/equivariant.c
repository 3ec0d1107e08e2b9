/* A Bayesian group CNN: a posterior projected right after initialisation whose weights share one noise value an orbit, so that
 * every draw is an equivariant network. q is the product of its orbits' factors, and KL, ELBO and the prior N(m, s^2) count each
 * orbit once. Trained like `tie`, on base images alone (N = N0).
 *
 * An orbit of n weights has, as engine and projection leave them, the mean over it of the likelihood's gradient, and 1/n of the
 * KL's: both are 1/n of the derivative by the free weight. So steps of sgd are those in the whole vector of weights, as under
 * `tie`, and ivon's curvature and 1/N are both 1/n of the free weight's, whose sigma^2 = 1/(N (h + delta)) they give. */
#include "base/text.h"
#include "modes/modes.h"
#include "modes/projected.h"

static bnn_status share_noise(const bnn_symmetry *symmetry, bnn_posterior *q, bnn_error *error)
{
    bnn_ties_free(q->ties);
    q->ties = bnn_symmetry_ties(symmetry);
    return q->ties ? BNN_OK : bnn_no_memory(error, "ties of weights", q->count, sizeof(bnn_real));
}

static bnn_status symmetrize(const bnn_symmetry *symmetry, bool fresh, bnn_model *model, bnn_error *error)
{
    const bnn_status status = bnn_symmetrize_projected(symmetry, fresh, model, error);
    return status ? status : share_noise(symmetry, model->posterior, error);
}

/* The layer in which an array (count) differs within an orbit; NULL: in none. */
static const bnn_layer *differing_layer(const bnn_symmetry *symmetry, const bnn_real *values)
{
    const bnn_layer *layer = symmetry->network->layers;
    for (size_t o = 0; o < symmetry->orbit_count; o++)
        for (size_t i = symmetry->orbit_start[o]; i < symmetry->orbit_start[o + 1]; i++) {
            const size_t j = symmetry->orbit_member[i];
            if (values[j] == values[symmetry->orbit_member[symmetry->orbit_start[o]]]) continue;
            while (j >= layer->weight_offset + layer->weight_count + layer->bias_count) layer++;
            return layer;
        }
    return NULL;
}

/* Weights that share noise are equal in every figure: a file that has others is none of this mode. */
static bnn_status check_orbits(const bnn_symmetry *symmetry, const bnn_posterior *q, bnn_error *error)
{
    const struct {
        const char *name;
        const bnn_real *values;
    } arrays[] = {{"mu", q->mu},
                  {"rho", q->rho},
                  {"prior_mu", q->prior_mean},
                  {"prior_std", q->prior_std},
                  {"sign", q->sign}};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        const bnn_layer *layer = arrays[i].values ? differing_layer(symmetry, arrays[i].values) : NULL;
        if (layer)
            return bnn_fail(error, BNN_BAD_INPUT,
                            "%s: found %s that differ within an orbit of weights under %s, expected equal "
                            "ones: under mode %s they share one noise value",
                            layer->name, arrays[i].name, symmetry->group->name,
                            bnn_mode_equivariant.row.name);
    }
    return BNN_OK;
}

/* Files hold every weight and no ties. */
static bnn_status restore(bnn_model *model, bnn_error *error)
{
    bnn_symmetry *symmetry = NULL;
    bnn_status status = bnn_symmetry_create(model->group, model->network, &symmetry, error);
    if (!status) status = check_orbits(symmetry, model->posterior, error);
    if (!status) status = share_noise(symmetry, model->posterior, error);
    bnn_symmetry_free(symmetry);
    return status;
}

static bnn_status check(const char *name, bnn_config *config, bnn_error *error)
{
    const bnn_family *family = bnn_family_find(config->posterior.family);
    if (config->prior.mean == 1)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: prior.mean: found \"random\" with mode %s, expected \"zero\": the weights of an "
                        "orbit have one prior",
                        name, bnn_mode_equivariant.row.name);
    if (family && family->signs) {
        bnn_choices choices = bnn_choices_for(family->row.name);
        for (const bnn_family *const *f = bnn_families; *f; f++)
            if (!(*f)->signs) bnn_choices_add(&choices, (*f)->row.name);
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: posterior.family: found \"%s\" with mode %s, expected %s: signs, fixed for each "
                        "weight, would differ within orbits",
                        name, family->row.name, bnn_mode_equivariant.row.name, bnn_choices_text(&choices));
    }
    return bnn_settle_held(name, config, error);
}

static const char *const keys[] = {"symmetrization.augmentation", "symmetrization.hold", NULL};

const bnn_mode bnn_mode_equivariant = {
    .row = {.name = "equivariant",
            .summary = "one noise value a weight orbit: every draw an equivariant network",
            .keys = keys},
    .holds = true,
    .needs_action = true,
    .ties_weights = true,
    .representation = BNN_REGULAR,
    .plan = bnn_plan_base,
    .trigger_epoch = bnn_trigger_at_once,
    .symmetrize = symmetrize,
    .restore = restore,
    .check = check,
};
