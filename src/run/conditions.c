#include "bnn/conditions.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "bnn/mode.h"

#define EXACT_GROUPS                                                                                         \
    "group: C1, C2, D1 or D2, on square images C4 or D4, or a T<k> whose k divides both sides"
#define SIGNS_DIFFER "signs of weights differ within orbits: KL(q || rho(h) q) is infinite"
#define EVERY_DRAW "; every draw is too: the weights of an orbit share one noise value"

/* What is judged: a model under a group that acts on its weights or does not. */
typedef struct judged {
    const bnn_config *config;
    const bnn_model *model;
    const bnn_group *group;       /* the one asked about */
    const bnn_group *trained;     /* the one of the training */
    const bnn_symmetry *symmetry; /* its action on the weights; NULL where it has none */
    const char *no_action;        /* then the reason */
    bool unknown;                 /* then: whether that is because nobody knows how it moves the channels */
} judged;

static void kept(bnn_condition *condition, const char *name, const char *reason)
{
    *condition = (bnn_condition){.name = name, .kept = true, .judged = true};
    snprintf(condition->reason, sizeof condition->reason, "%s", reason);
}

static void broken(bnn_condition *condition, const char *name, const char *reason, const char *mend)
{
    *condition = (bnn_condition){.name = name, .judged = true};
    snprintf(condition->reason, sizeof condition->reason, "%s", reason);
    snprintf(condition->mend, sizeof condition->mend, "%s", mend);
}

/* ---- what would mend it, from the rows ------------------------------------------------------------------- */

static const bnn_mode *mode_of_row(const bnn_row *row)
{
    return (const bnn_mode *)row; /* begins with it */
}

static bool moves_signs(const bnn_row *row)
{
    return !((const bnn_family *)row)->signs;
}

static bool survives_averages(const bnn_row *row)
{
    return moves_signs(row) && !((const bnn_family *)row)->averages_leave;
}

static bool makes_invariant(const bnn_row *row)
{
    return mode_of_row(row)->symmetrize;
}

static bool keeps_factors(const bnn_row *row)
{
    return makes_invariant(row) && !mode_of_row(row)->averages_factors;
}

static bool can_hold(const bnn_row *row)
{
    return bnn_row_reads(row, "symmetrization.hold");
}

/* Appends the names of the rows that pass the test, and returns the text. */
static const char *append_rows(char *text, size_t size, bnn_registry *registry,
                               bool (*test)(const bnn_row *row))
{
    const bnn_row *row;
    bool first = true;
    for (size_t i = 0; (row = registry(i)); i++) {
        if (!test(row)) continue;
        bnn_append(text, size, "%s%s", first ? "" : ", ", row->name);
        first = false;
    }
    return text;
}

/* ---- one condition after the other ----------------------------------------------------------------------- */

static void not_judged(bnn_condition *condition, const char *name, const judged *j)
{
    broken(condition, name, j->no_action, "a subgroup of the model's group");
    condition->judged = false;
}

static void check_prior(const judged *j, bnn_condition *condition)
{
    const char *name = "prior invariant";
    const bnn_posterior *q = j->model->posterior;
    if (!q->random_prior)
        kept(condition, name, "the prior is the same for every weight of an orbit");
    else if (j->symmetry && bnn_symmetry_is_invariant(j->symmetry, q->prior_mean) &&
             bnn_symmetry_is_invariant(j->symmetry, q->prior_std))
        kept(condition, name, "the prior's means are constant on every orbit of weights");
    else if (j->unknown)
        not_judged(condition, name, j);
    else
        broken(condition, name,
               "prior.mean is random: rho(h) moves the prior's means, so KL(q || p) pulls q away from "
               "symmetry",
               "prior.mean: zero");
}

/* Whether the signs of a family that has them differ within orbits: such a q has values that rho(h) q has not. */
static bool signs_differ(const judged *j)
{
    const bnn_real *sign = j->model->posterior->sign;
    return sign && !(j->symmetry && bnn_symmetry_is_invariant(j->symmetry, sign));
}

/* `averages`: whether an average over the group is part of what is judged, as it is of a training. */
static void check_family(const judged *j, bool averages, bnn_condition *condition)
{
    const char *name = "family closed";
    const bnn_family *family = j->model->posterior->family;
    const char *factors = family->row.name;
    char reason[256], mend[256] = "posterior.family: ";
    if (signs_differ(j) && j->unknown)
        not_judged(condition, name, j);
    else if (signs_differ(j))
        broken(condition, name,
               "each weight has a fixed sign, which differs within orbits: rho(h) q has other signs and "
               "lies outside the family",
               append_rows(mend, sizeof mend, bnn_family_row, moves_signs));
    else if (family->averages_leave && averages) {
        snprintf(reason, sizeof reason,
                 "%s factors are permuted into %s factors, but an average of them is none: mode %s leaves "
                 "the family",
                 factors, factors, bnn_mode_of(j->config)->row.name);
        append_rows(mend, sizeof mend, bnn_family_row, survives_averages);
        bnn_append(mend, sizeof mend, "; or symmetrization.mode: ");
        broken(condition, name, reason, append_rows(mend, sizeof mend, bnn_mode_row, keeps_factors));
    } else {
        snprintf(reason, sizeof reason, "%s factors are permuted into %s factors%s", factors, factors,
                 family->averages_leave ? "; averages of them leave the family, permutations do not" : "");
        kept(condition, name, reason);
    }
}

/* Whether the mode puts q into the invariant subspace at its trigger. */
static bool symmetrizes(const bnn_config *config)
{
    const bnn_mode *mode = bnn_mode_of(config);
    const char *ignored;
    return mode->symmetrize && (!mode->not_invariant || !mode->not_invariant(config, &ignored));
}

/* Whether the mode waits for an accuracy that training may never reach. */
static bool may_never_trigger(const bnn_config *config)
{
    const bnn_mode *mode = bnn_mode_of(config);
    return mode->trigger_epoch && mode->trigger_epoch(config) == SIZE_MAX;
}

/* Whether the initial figures are invariant: those of posterior.init_from are at hand, others are drawn or all alike. */
static bool starts_invariant(const judged *j)
{
    const bnn_config *config = j->config;
    const bnn_posterior *q = j->model->posterior;
    if (*config->posterior.init_from)
        return j->symmetry && bnn_symmetry_is_invariant(j->symmetry, q->mu) &&
               bnn_symmetry_is_invariant(j->symmetry, q->rho);
    return config->posterior.mean_init == BNN_INIT_ZERO ||
           (config->posterior.mean_init == BNN_INIT_PRIOR && config->prior.mean == 0);
}

static void check_initial(const judged *j, bnn_condition *condition)
{
    const char *name = "initial q invariant";
    const bnn_config *config = j->config;
    const bnn_mode *mode = bnn_mode_of(config);
    const bool warm = *config->posterior.init_from;
    char reason[256], mend[256] = "posterior.family: ";
    if (j->group->order == 1)
        kept(condition, name, "the group is trivial");
    else if (signs_differ(j))
        broken(condition, name, SIGNS_DIFFER, append_rows(mend, sizeof mend, bnn_family_row, moves_signs));
    else if (symmetrizes(config) && !may_never_trigger(config)) {
        snprintf(reason, sizeof reason, "mode %s makes q invariant at its trigger%s", mode->row.name,
                 mode->ties_weights ? EVERY_DRAW : "");
        kept(condition, name, reason);
    } else if (starts_invariant(j))
        kept(condition, name,
             warm ? "q as posterior.init_from gives it is invariant bit for bit"
                  : "every initial mean is zero and every initial rho is the same");
    else if (symmetrizes(config)) {
        snprintf(reason, sizeof reason,
                 "mode %s acts once the training accuracy is %g, which may never be reached", mode->row.name,
                 config->symmetrization.trigger_accuracy);
        broken(condition, name, reason,
               "symmetrization.trigger_epoch beside trigger_accuracy: the trigger at the latest");
    } else if (mode->symmetrize) {
        const char *make_so;
        const char *why = mode->not_invariant(config, &make_so);
        broken(condition, name, why, make_so);
    } else {
        snprintf(mend, sizeof mend, "%ssymmetrization.mode: ", warm ? "" : "posterior.mean_init: zero; or ");
        broken(condition, name,
               warm ? "the figures of posterior.init_from are not invariant, and nothing symmetrizes q later"
                    : "initial means are random, and nothing symmetrizes q later",
               append_rows(mend, sizeof mend, bnn_mode_row, makes_invariant));
    }
}

/* The first element of the judged group that the training's has not, in words; false where it has all. */
static bool find_untrained(const judged *j, char *text, size_t size)
{
    const bnn_group *group = j->group;
    const size_t *input = j->model->network->spec.input;
    uint16_t place[BNN_GROUP_MAX_ORDER];
    char element[64];
    size_t h = 0;
    if (bnn_group_embedding(group, j->trained, place)) return false;
    while (place[h] != BNN_NO_ELEMENT) h++;
    bnn_group_element_name(group, h, input[1], input[2], element, sizeof element);
    snprintf(text, size, "%s (%s)",
             group->kind == BNN_GROUP_TRANSLATION ? "translation"
             : h < group->n                       ? "rotation"
                                                  : "reflection",
             element);
    return true;
}

static void check_data(const judged *j, bnn_condition *condition)
{
    const char *name = "data complete over G";
    const bnn_config *config = j->config;
    const bnn_mode *mode = bnn_mode_of(config);
    bnn_plan plan;
    char ignored[320], element[128], reason[256], mend[64];
    mode->plan(config, j->trained->order, &plan);
    const bool held = plan.augmentation == BNN_AUGMENT_NONE && bnn_mode_holds(config);
    if (j->group->order == 1)
        kept(condition, name, "the group is trivial");
    else if (find_untrained(j, element, sizeof element)) {
        snprintf(reason, sizeof reason, "training was under %s: no %s was trained on", j->trained->name,
                 element);
        snprintf(mend, sizeof mend, "training with group: %s", j->group->name);
        broken(condition, name, reason, mend);
    } else if (plan.views == j->trained->order)
        kept(condition, name, "every step sees whole orbits");
    else if (plan.augmentation == BNN_AUGMENT_FULL)
        kept(condition, name, "every g.x is an item of the objective");
    else if (held && !bnn_network_commutes(j->group, j->model->network, ignored, sizeof ignored))
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
               "symmetrization.augmentation: full, with a mode that reads it");
}

static void check_action(const judged *j, bnn_condition *condition)
{
    const char *name = "group acts exactly on images";
    const size_t *input = j->model->network->spec.input;
    bnn_error why = {BNN_OK, ""};
    char reason[256];
    const bnn_status status = bnn_grid_check(j->group, input[1], input[2], &why);
    const bool exact = !status && bnn_group_is_exact(j->group, input[1], input[2]);
    snprintf(reason, sizeof reason, "%s %s the pixels of %zu x %zu images", j->group->name,
             exact ? "permutes" : "interpolates between", input[1], input[2]);
    if (exact)
        kept(condition, name, reason);
    else
        broken(condition, name, status ? why.message : reason, EXACT_GROUPS);
}

static void check_architecture(const judged *j, bnn_condition *condition)
{
    const char *name = "architecture commutes with G";
    const bnn_network *network = j->model->network;
    const bool shifts = j->group->kind == BNN_GROUP_TRANSLATION;
    char reason[320];
    const bool commutes = bnn_network_commutes(j->group, network, reason, sizeof reason);
    if (commutes && j->unknown)
        not_judged(condition, name, j);
    else if (!j->symmetry && !j->unknown)
        broken(condition, name, j->no_action,
               "another group, model.type, model.channels or model.channel_representation");
    else if (commutes)
        kept(condition, name, "f(h.x; rho(h)w) = f(x; w): pools drop nothing and every layer has an action");
    else if (!bnn_group_is_exact(j->group, network->spec.input[1], network->spec.input[2]))
        broken(condition, name, reason, EXACT_GROUPS);
    else
        broken(condition, name, reason,
               shifts ? "model.padding: circular, and data.pad or fewer pools (model.pool), so that "
                        "translations shift every pool by whole windows"
                      : "model.pool: auto, or data.pad, so that every size before a pool is even");
}

static void check_optimizer(const judged *j, bnn_condition *condition)
{
    const char *name = "optimiser commutes with rho";
    const bnn_config *config = j->config;
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

static void check_noise(const judged *j, bnn_condition *condition)
{
    const char *name = "gradient noise symmetric";
    char reason[256], mend[256];
    if (j->group->order == 1)
        kept(condition, name, "the group is trivial");
    else if (bnn_mode_holds(j->config) && !bnn_group_embedding(j->group, j->trained, NULL)) {
        snprintf(reason, sizeof reason, "gradients were projected under %s, of which %s is no subgroup",
                 j->trained->name, j->group->name);
        snprintf(mend, sizeof mend, "training with group: %s", j->group->name);
        broken(condition, name, reason, mend);
    } else if (bnn_mode_holds(j->config))
        kept(condition, name, "every gradient is projected from the trigger on");
    else {
        snprintf(mend, sizeof mend, "symmetrization.hold: true, with mode ");
        broken(condition, name, "Monte-Carlo draws and batches make single gradients asymmetric: q drifts",
               append_rows(mend, sizeof mend, bnn_mode_row, can_hold));
    }
}

/* As it is now, in the place of the initial q. */
static void check_q(const judged *j, const bnn_certificate *certificate, bnn_condition *condition)
{
    const char *name = "q invariant";
    char text[128], mend[256] = "posterior.family: ";
    if (j->unknown)
        not_judged(condition, name, j);
    else if (!certificate)
        broken(condition, name, "the group has no action on these weights",
               "another group or representation");
    else if (certificate->residual == 0 && certificate->kl_max == 0)
        kept(condition, name,
             j->model->posterior->ties ? "the posterior equals its projection bit for bit" EVERY_DRAW
                                       : "the posterior equals its projection bit for bit");
    else if (signs_differ(j))
        broken(condition, name, SIGNS_DIFFER, append_rows(mend, sizeof mend, bnn_family_row, moves_signs));
    else if (j->model->posterior->ties && isinf(certificate->kl_max))
        broken(condition, name,
               "weights share noise that the group does not take to weights that share noise",
               "the group of the training, or a mode without shared noise");
    else {
        snprintf(text, sizeof text, "residual |theta - P theta|/|theta| = %.3e", certificate->residual);
        broken(condition, name, text, "bnn symmetrize --project, or train with hold");
    }
}

/* All but the one about q itself, which stands third. */
static void check_rest(const judged *j, bool averages, bnn_condition *conditions)
{
    check_prior(j, &conditions[0]);
    check_family(j, averages, &conditions[1]);
    check_data(j, &conditions[3]);
    check_action(j, &conditions[4]);
    check_architecture(j, &conditions[5]);
    check_optimizer(j, &conditions[6]);
    check_noise(j, &conditions[7]);
    for (size_t i = 3; i < BNN_CONDITION_COUNT; i++) conditions[i].of_training = i == 3 || i == 6 || i == 7;
}

/* j->symmetry <- the group's action on the weights, to be freed, or else the reason why there is none. */
static bnn_status find_action(judged *j, bnn_symmetry **symmetry, bnn_error *why)
{
    bnn_status status = bnn_network_check_channels(j->group, j->model->network, why);
    j->unknown = status == BNN_BAD_INPUT;
    if (!status) status = bnn_symmetry_create(j->group, j->model->network, symmetry, why);
    j->symmetry = *symmetry;
    j->no_action = why->message;
    return status == BNN_BAD_INPUT ? BNN_OK : status;
}

bnn_status bnn_conditions_of_training(const bnn_config *config, const bnn_model *model,
                                      bnn_condition conditions[BNN_CONDITION_COUNT], bnn_error *error)
{
    judged j = {.config = config, .model = model, .group = model->group, .trained = model->group};
    bnn_symmetry *symmetry = NULL;
    bnn_error why = {BNN_OK, ""};
    const bool averages = bnn_mode_of(config)->averages_factors;
    bnn_status status = find_action(&j, &symmetry, &why);
    if (status) return bnn_fail(error, status, "%s", why.message);
    check_rest(&j, averages, conditions);
    check_initial(&j, &conditions[2]);
    conditions[2].of_training = true;
    bnn_symmetry_free(symmetry);
    return BNN_OK;
}

bnn_status bnn_conditions_of_model(const bnn_model *model, const bnn_group *group, const bnn_group *trained,
                                   bnn_condition conditions[BNN_CONDITION_COUNT],
                                   bnn_certificate **certificate, bnn_error *error)
{
    judged j = {.config = &model->config, .model = model, .group = group, .trained = trained};
    bnn_symmetry *symmetry = NULL;
    bnn_error why = {BNN_OK, ""};
    *certificate = NULL;
    bnn_status status = find_action(&j, &symmetry, &why);
    if (status) return bnn_fail(error, status, "%s", why.message);
    if (symmetry) status = bnn_certify(symmetry, model->posterior, certificate, error);
    if (!status) {
        check_rest(&j, false, conditions);
        check_q(&j, *certificate, &conditions[2]);
    }
    bnn_symmetry_free(symmetry);
    return status;
}

bnn_status bnn_final_model(const bnn_config *config, const size_t shape[3], size_t classes, bnn_model **model,
                           bnn_error *error)
{
    bnn_config with_shape = *config;
    bnn_network_spec spec;
    const bnn_mode *mode = bnn_mode_of(config);
    bnn_config_fill(&with_shape, shape, classes);
    bnn_config_network(&with_shape, bnn_mode_representation(config), &spec);
    bnn_status status = bnn_model_create(&with_shape, &spec, model, error);
    if (!status && mode->replaces_network) status = mode->symmetrize(NULL, true, *model, error);
    if (status) {
        bnn_model_free(*model);
        *model = NULL;
    }
    return status;
}
