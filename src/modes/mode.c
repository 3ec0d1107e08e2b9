#include "bnn/mode.h"

#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "modes/modes.h"

const bnn_mode *const bnn_modes[] = {&bnn_mode_augment, &bnn_mode_none,        &bnn_mode_group_elbo,
                                     &bnn_mode_average, &bnn_mode_project,     &bnn_mode_orbit_expansion,
                                     &bnn_mode_tie,     &bnn_mode_equivariant, NULL};

const bnn_row *bnn_mode_row(size_t i)
{
    return bnn_modes[i] ? &bnn_modes[i]->row : NULL;
}

const bnn_mode *bnn_mode_of(const bnn_config *config)
{
    if (!config->symmetrization.mode[0]) return bnn_modes[0];
    return (const bnn_mode *)bnn_row_find(bnn_mode_row,
                                          config->symmetrization.mode); /* begins with its row */
}

bool bnn_mode_holds(const bnn_config *config)
{
    return bnn_mode_of(config)->holds || config->symmetrization.hold;
}

bnn_representation bnn_mode_representation(const bnn_config *config)
{
    if (config->model.representation != 0)
        return config->model.representation == 2 ? BNN_REGULAR : BNN_TRIVIAL;
    return bnn_mode_of(config)->representation;
}

/* The index of symmetrization.average in the mode's list; its length when it is not there. */
static size_t find_average(const bnn_config *config)
{
    const char *const *averages = bnn_mode_of(config)->averages;
    size_t i = 0;
    while (averages && averages[i] && strcmp(averages[i], config->symmetrization.average) != 0) i++;
    return i;
}

size_t bnn_mode_chosen_average(const bnn_config *config)
{
    return config->symmetrization.average[0] ? find_average(config) : 0;
}

void bnn_plan_augmented(const bnn_config *config, size_t order, bnn_plan *plan)
{
    const bnn_augmentation augmentation = (bnn_augmentation)config->symmetrization.augmentation;
    const bool base_only = augmentation == BNN_AUGMENT_NONE && bnn_mode_holds(config);
    *plan = (bnn_plan){.augmentation = augmentation,
                       .repeats = base_only ? 1 : order,
                       .views = 1,
                       .average = BNN_AVERAGE_LOSS,
                       .count_factor = base_only ? 1 : order};
}

size_t bnn_trigger_configured(const bnn_config *config)
{
    const bool by_accuracy = config->symmetrization.trigger_accuracy > 0;
    return by_accuracy && config->symmetrization.trigger_epoch == 0 ? SIZE_MAX
                                                                    : config->symmetrization.trigger_epoch;
}

static bnn_status check_average(const char *name, const bnn_config *config, bnn_error *error)
{
    const bnn_mode *mode = bnn_mode_of(config);
    if (!config->symmetrization.average[0] || !mode->averages || mode->averages[find_average(config)])
        return BNN_OK;
    bnn_choices choices = bnn_choices_for(config->symmetrization.average);
    bnn_choices_add_all(&choices, mode->averages);
    return bnn_fail(error, BNN_BAD_INPUT,
                    "%s: symmetrization.average: found \"%s\" with mode %s, expected %s", name,
                    config->symmetrization.average, mode->row.name, bnn_choices_text(&choices));
}

static bnn_status check_trigger(const char *name, const bnn_config *config, bnn_error *error)
{
    const bnn_mode *mode = bnn_mode_of(config);
    if (!mode->trigger_epoch) return BNN_OK;
    const size_t epoch = mode->trigger_epoch(config);
    if (epoch != SIZE_MAX && epoch >= config->train.epochs)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "%s: symmetrization: mode %s acts after %zu epochs, expected fewer than train.epochs = %zu", name,
            mode->row.name, epoch, config->train.epochs);
    return BNN_OK;
}

/* Why an estimator does not serve a mode; NULL: it does. */
static const char *unfit(const bnn_mode *mode, const bnn_estimator *estimator)
{
    if (mode->orbit_a_draw && !estimator->shares_draws)
        return "an orbit has to be seen under one weight draw";
    if (mode->ties_weights && estimator->perturbs)
        return "weights that share noise have to be drawn, and images of a sample to share the draw";
    return NULL;
}

static bnn_status check_estimator(const char *name, const bnn_config *config, bnn_error *error)
{
    const bnn_mode *mode = bnn_mode_of(config);
    const bnn_estimator *found = bnn_estimators[config->train.estimator];
    char expected[128] = "";
    if (!unfit(mode, found)) return BNN_OK;
    for (const bnn_estimator *const *e = bnn_estimators; *e; e++)
        if (!unfit(mode, *e))
            bnn_append(expected, sizeof expected, "%s\"%s\"", *expected ? " or " : "", (*e)->row.name);
    return bnn_fail(error, BNN_BAD_INPUT, "%s: train.estimator: found \"%s\" with mode %s, expected %s: %s",
                    name, found->row.name, mode->row.name, expected, unfit(mode, found));
}

bnn_status bnn_settle_unaugmented(const char *name, bnn_config *config, bnn_error *error)
{
    int *augmentation = &config->symmetrization.augmentation;
    if (bnn_config_gives(config, "symmetrization.augmentation") && *augmentation != BNN_AUGMENT_NONE)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: symmetrization.augmentation: found \"%s\" with mode %s, which sees base images "
                        "only; expected "
                        "\"%s\"",
                        name, bnn_augmentation_names[*augmentation], bnn_mode_of(config)->row.name,
                        bnn_augmentation_names[BNN_AUGMENT_NONE]);
    *augmentation = BNN_AUGMENT_NONE;
    return BNN_OK;
}

bnn_status bnn_settle_held(const char *name, bnn_config *config, bnn_error *error)
{
    if (bnn_config_gives(config, "symmetrization.hold") && !config->symmetrization.hold)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: symmetrization.hold: found false with mode %s, which always holds", name,
                        bnn_mode_of(config)->row.name);
    config->symmetrization.hold = true;
    return bnn_settle_unaugmented(name, config, error);
}

/* Averages of factors, products or mixtures, ask for densities. */
static bnn_status check_factors(const char *name, const bnn_config *config, bnn_error *error)
{
    const bnn_mode *mode = bnn_mode_of(config);
    const bnn_family *family = bnn_family_find(config->posterior.family);
    if (!mode->averages_factors || !family->point) return BNN_OK;
    return bnn_fail(
        error, BNN_BAD_INPUT,
        "%s: symmetrization.mode: found \"%s\" with family %s, expected another, as \"%s\", the mean of "
        "the points of an orbit: a point has no density to average",
        name, mode->row.name, family->row.name, bnn_mode_project.row.name);
}

bnn_status bnn_mode_check(const char *name, bnn_config *config, bnn_error *error)
{
    const bnn_mode *mode = bnn_mode_of(config);
    bnn_status status = check_estimator(name, config, error);
    if (!status) status = check_factors(name, config, error);
    if (!status) status = check_average(name, config, error);
    if (!status) status = check_trigger(name, config, error);
    return !status && mode->check ? mode->check(name, config, error) : status;
}

bnn_status bnn_mode_restore(const char *path, bnn_model *model, bnn_error *error)
{
    const bnn_mode *mode = bnn_mode_of(&model->config);
    if (!mode)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: config: symmetrization.mode: found \"%s\", which this bnn does not know", path,
                        model->config.symmetrization.mode);
    const bnn_status status = mode->restore ? mode->restore(model, error) : BNN_OK;
    return status ? bnn_fail_in(error, status, path) : BNN_OK;
}
