#include "bnn/conditions.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bnn/mode.h"

#define EXACT_GROUPS                                                                                         \
    "group: C1, C2, D1 or D2, on square images C4 or D4, or a T<k> whose k divides both sides"
#define SIGNS_DIFFER "signs of weights differ within orbits: KL(q || rho(h) q) is infinite"

static void kept(bnn_condition *condition, const char *name, const char *reason)
{
    *condition = (bnn_condition){.name = name, .kept = true};
    snprintf(condition->reason, sizeof condition->reason, "%s", reason);
}

static void broken(bnn_condition *condition, const char *name, const char *reason, const char *mend)
{
    *condition = (bnn_condition){.name = name};
    snprintf(condition->reason, sizeof condition->reason, "%s", reason);
    snprintf(condition->mend, sizeof condition->mend, "%s", mend);
}

/* Whether rho(h) leaves an array of the parameters alone, for every h. */
static bool is_invariant(const bnn_symmetry *symmetry, const bnn_real *values)
{
    for (size_t o = 0; o < symmetry->orbit_count; o++)
        for (size_t i = symmetry->orbit_start[o]; i < symmetry->orbit_start[o + 1]; i++)
            if (values[symmetry->orbit_member[i]] != values[symmetry->orbit_member[symmetry->orbit_start[o]]])
                return false;
    return true;
}

static void check_prior(const bnn_symmetry *symmetry, const bnn_posterior *q, bnn_condition *condition)
{
    const char *name = "prior invariant";
    if (!q->random_prior)
        kept(condition, name, "the prior is the same for every weight");
    else if (symmetry && is_invariant(symmetry, q->prior_mean) && is_invariant(symmetry, q->prior_std))
        kept(condition, name, "the prior's means are constant on every orbit of weights");
    else
        broken(condition, name,
               "prior.mean is random: rho(h) moves the prior's means, so KL(q || p) pulls q away from "
               "symmetry",
               "prior.mean: zero");
}

/* Whether the signs of a family that has them differ within orbits: such a q has values that rho(h) q has not. */
static bool signs_differ(const bnn_symmetry *symmetry, const bnn_posterior *q)
{
    return q->sign && !(symmetry && is_invariant(symmetry, q->sign));
}

static void check_family(const bnn_config *config, const bnn_symmetry *symmetry, const bnn_posterior *q,
                         bnn_condition *condition)
{
    const char *name = "family closed";
    const bool averages = bnn_mode_of(config)->averages_factors;
    char reason[256];
    if (signs_differ(symmetry, q))
        broken(condition, name,
               "each weight has a fixed sign, which differs within orbits: rho(h) q has other signs and "
               "lies outside the family",
               "posterior.family: gaussian");
    else if (q->family->averages_leave && averages)
        broken(condition, name,
               "laplace factors are permuted into laplace factors, but an average of them is none: mode "
               "average leaves the family",
               "posterior.family: gaussian, or mode project");
    else {
        snprintf(reason, sizeof reason, "%s factors are permuted into %s factors%s", q->family->row.name,
                 q->family->row.name,
                 q->family->averages_leave ? "; averages of them leave the family, permutations do not" : "");
        kept(condition, name, reason);
    }
}

/* Whether the mode puts q into the invariant subspace at its trigger. */
static bool symmetrizes(const bnn_config *config)
{
    const bnn_mode *mode = bnn_mode_of(config);
    return mode->symmetrize && (!mode->not_invariant || !mode->not_invariant(config));
}

static void check_initial(const bnn_config *config, const bnn_model *model, const bnn_symmetry *symmetry,
                          bnn_condition *condition)
{
    const char *name = "initial q invariant";
    const bnn_mode *mode = bnn_mode_of(config);
    const bool zero = config->posterior.mean_init == BNN_INIT_ZERO ||
                      (config->posterior.mean_init == BNN_INIT_PRIOR && config->prior.mean == 0);
    char reason[256];
    if (model->group->order == 1)
        kept(condition, name, "the group is trivial");
    else if (signs_differ(symmetry, model->posterior))
        broken(condition, name, SIGNS_DIFFER, "posterior.family: gaussian");
    else if (symmetrizes(config)) {
        snprintf(reason, sizeof reason, "mode %s makes q invariant at its trigger", mode->row.name);
        kept(condition, name, reason);
    } else if (zero)
        kept(condition, name, "every initial mean is zero and every initial rho is the same");
    else if (mode->symmetrize)
        broken(condition, name, mode->not_invariant(config), "symmetrization.arrangement: gcnn");
    else
        broken(condition, name, "initial means are random, and nothing symmetrizes q later",
               "symmetrization.mode: project, average, orbit-expansion or tie, or posterior.mean_init: zero");
}

static void check_data(const bnn_config *config, const bnn_model *model, bnn_condition *condition)
{
    const char *name = "data complete over G";
    const bnn_mode *mode = bnn_mode_of(config);
    bnn_plan plan;
    char ignored[320];
    mode->plan(config, model->group->order, &plan);
    const bool held = plan.augmentation == BNN_AUGMENT_NONE && bnn_mode_holds(config);
    if (model->group->order == 1)
        kept(condition, name, "the group is trivial");
    else if (plan.views == model->group->order)
        kept(condition, name, "every step sees whole orbits");
    else if (plan.augmentation == BNN_AUGMENT_FULL)
        kept(condition, name, "every g.x is an item of the objective");
    else if (held && !bnn_network_commutes(model->group, model->network, ignored, sizeof ignored))
        broken(condition, name,
               "training sees no g.x but x itself, and E_q log p(y|g.x,w) differs from that of x",
               "an architecture that commutes with G");
    else if (held)
        kept(condition, name, "a held q needs no augmented data: E_q log p(y|g.x,w) is the same for every g");
    else if (plan.augmentation == BNN_AUGMENT_RANDOM)
        broken(condition, name, "random augmentation shows an incomplete orbit of every image in an epoch",
               "symmetrization.augmentation: full");
    else
        broken(condition, name, "training sees no g.x but x itself",
               "symmetrization.mode: augment or another, with symmetrization.augmentation: full");
}

static void check_action(const bnn_model *model, bnn_condition *condition)
{
    const char *name = "group acts exactly on images";
    const size_t *input = model->network->spec.input;
    bnn_grid_action *action = NULL;
    bnn_error error = {BNN_OK, ""};
    char reason[256];
    const bool acts = bnn_grid_action_create(model->group, input[1], input[2], &action, &error) == BNN_OK;
    const bool exact = acts && action->exact;
    bnn_grid_action_free(action);
    snprintf(reason, sizeof reason, "%s %s the pixels of %zu x %zu images", model->group->name,
             exact ? "permutes" : "interpolates between", input[1], input[2]);
    if (!acts)
        broken(condition, name, error.message, EXACT_GROUPS);
    else if (exact)
        kept(condition, name, reason);
    else
        broken(condition, name, reason, EXACT_GROUPS);
}

static void check_architecture(const bnn_model *model, const char *no_action, bnn_condition *condition)
{
    const char *name = "architecture commutes with G";
    const size_t *input = model->network->spec.input;
    const bool shifts = model->group->kind == BNN_GROUP_TRANSLATION;
    char reason[320];
    if (no_action)
        broken(condition, name, no_action,
               "another group, model.type, model.channels or model.channel_representation");
    else if (bnn_network_commutes(model->group, model->network, reason, sizeof reason))
        kept(condition, name,
             "f(h.x; rho(h)w) = f(x; w): every pooled size is even and every layer has an action");
    else if (!bnn_group_is_exact(model->group, input[1], input[2]))
        broken(condition, name, reason, EXACT_GROUPS);
    else
        broken(condition, name, reason,
               shifts
                   ? "model.padding: circular, and data.pad or fewer conv layers, so that translations shift "
                     "every pool by whole windows"
                   : "data.pad or fewer conv layers, so that every size before a pool is even");
}

static void check_optimizer(const bnn_config *config, bnn_condition *condition)
{
    const char *name = "optimiser commutes with rho";
    const bnn_mode *mode = bnn_mode_of(config);
    const bool later = mode->needs_action && mode->trigger_epoch && mode->trigger_epoch(config) > 0;
    char reason[256];
    snprintf(reason, sizeof reason, "%s and norm clipping act element by element%s",
             config->train.optimizer.name, later ? ", and the buffers are cleared at the trigger" : "");
    if (later && config->symmetrization.keep_optimizer_state)
        broken(condition, name, "buffers from before the trigger are not invariant and are kept across it",
               "symmetrization.keep_optimizer_state: false");
    else
        kept(condition, name, reason);
}

static void check_noise(const bnn_config *config, const bnn_model *model, bnn_condition *condition)
{
    const char *name = "gradient noise symmetric";
    if (bnn_mode_holds(config))
        kept(condition, name, "every gradient is projected from the trigger on");
    else if (model->group->order == 1)
        kept(condition, name, "the group is trivial");
    else
        broken(condition, name, "Monte-Carlo draws and batches make single gradients asymmetric: q drifts",
               "symmetrization.hold: true (average, project, orbit-expansion) or mode tie");
}

/* All but the one about q itself, which stands third. */
static void check_rest(const bnn_config *config, const bnn_model *model, const bnn_symmetry *symmetry,
                       const char *no_action, bnn_condition *conditions)
{
    check_prior(symmetry, model->posterior, &conditions[0]);
    check_family(config, symmetry, model->posterior, &conditions[1]);
    check_data(config, model, &conditions[3]);
    check_action(model, &conditions[4]);
    check_architecture(model, no_action, &conditions[5]);
    check_optimizer(config, &conditions[6]);
    check_noise(config, model, &conditions[7]);
}

void bnn_conditions_of_training(const bnn_config *config, const bnn_model *model,
                                bnn_condition conditions[BNN_CONDITION_COUNT])
{
    bnn_symmetry *symmetry = NULL;
    bnn_error reason;
    const bool acts = bnn_symmetry_create(model->group, model->network, &symmetry, &reason) == BNN_OK;
    check_rest(config, model, symmetry, acts ? NULL : reason.message, conditions);
    check_initial(config, model, symmetry, &conditions[2]);
    bnn_symmetry_free(symmetry);
}

void bnn_conditions_of_model(const bnn_model *model, const bnn_certificate *certificate,
                             bnn_condition conditions[BNN_CONDITION_COUNT])
{
    const char *name = "q invariant";
    char text[128];
    bnn_conditions_of_training(&model->config, model, conditions);
    if (!certificate)
        broken(&conditions[2], name, "the group has no action on these weights",
               "another group or representation");
    else if (certificate->residual == 0 && certificate->kl_max == 0)
        kept(&conditions[2], name, "the posterior equals its projection bit for bit");
    else if (isinf(certificate->kl_max))
        broken(&conditions[2], name, SIGNS_DIFFER, "posterior.family: gaussian");
    else {
        snprintf(text, sizeof text, "residual |theta - P theta|/|theta| = %.3e", certificate->residual);
        broken(&conditions[2], name, text, "bnn symmetrize --project, or train with hold");
    }
}

bnn_status bnn_final_model(const bnn_config *config, const size_t shape[3], size_t classes, bnn_model **model,
                           bnn_error *error)
{
    bnn_config with_shape = *config;
    bnn_network_spec spec;
    const bnn_mode *mode = bnn_mode_of(config);
    memcpy(with_shape.model.input.value, shape, 3 * sizeof *shape);
    with_shape.model.input.count = 3;
    if (!with_shape.model.classes) with_shape.model.classes = classes;
    bnn_config_network(&with_shape, bnn_mode_representation(config), &spec);
    bnn_status status = bnn_model_create(&with_shape, &spec, model, error);
    if (!status && mode->replaces_network) status = mode->symmetrize(NULL, true, *model, error);
    if (status) {
        bnn_model_free(*model);
        *model = NULL;
    }
    return status;
}
