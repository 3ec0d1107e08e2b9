#include "bnn/mode.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "modes/modes.h"

const bnn_mode *const bnn_modes[] = {
    &bnn_mode_none,    &bnn_mode_augment,         &bnn_mode_group_elbo, &bnn_mode_average,
    &bnn_mode_project, &bnn_mode_orbit_expansion, &bnn_mode_tie,        NULL};

const bnn_mode *bnn_mode_find(const char *name)
{
    for (const bnn_mode *const *mode = bnn_modes; *mode; mode++)
        if (strcmp((*mode)->name, name) == 0) return *mode;
    return NULL;
}

bool bnn_mode_holds(const bnn_config *config)
{
    const bnn_mode *mode = bnn_mode_find(config->symmetrization.mode);
    return mode->holds || (mode->can_hold && config->symmetrization.hold);
}

bnn_representation bnn_mode_representation(const bnn_config *config)
{
    if (config->model.representation != 0)
        return config->model.representation == 2 ? BNN_REGULAR : BNN_TRIVIAL;
    return bnn_mode_find(config->symmetrization.mode)->representation;
}

const char *bnn_mode_chosen_average(const bnn_config *config)
{
    const bnn_mode *mode = bnn_mode_find(config->symmetrization.mode);
    if (config->symmetrization.average[0]) return config->symmetrization.average;
    return mode->averages ? mode->averages[0] : "";
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

static bnn_status check_average(const char *name, const bnn_mode *mode, const char *average, bnn_error *error)
{
    char expected[128] = "";
    size_t length = 0;
    if (!average[0]) return BNN_OK;
    if (!mode->averages)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: symmetrization.average: found \"%s\", but mode %s averages nothing", name,
                        average, mode->name);
    for (size_t i = 0; mode->averages[i]; i++) {
        if (strcmp(mode->averages[i], average) == 0) return BNN_OK;
        length += (size_t)snprintf(expected + length, sizeof expected - length, "%s%s", i ? ", " : "",
                                   mode->averages[i]);
    }
    return bnn_fail(error, BNN_BAD_INPUT,
                    "%s: symmetrization.average: found \"%s\", expected one of %s for mode %s", name, average,
                    expected, mode->name);
}

/* Settings that the mode would silently pass over. */
static bnn_status check_unused(const char *name, const bnn_mode *mode, const bnn_config *config,
                               bnn_error *error)
{
    const bool configured = mode->trigger_epoch == bnn_trigger_configured;
    if (config->symmetrization.trigger_epoch > 0 && !configured)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "%s: symmetrization.trigger_epoch: found %zu with mode %s, expected mode average or project%s",
            name, config->symmetrization.trigger_epoch, mode->name,
            mode == &bnn_mode_orbit_expansion ? " (stage1_epochs is that of orbit-expansion)" : "");
    if (config->symmetrization.trigger_accuracy > 0 && !configured && mode != &bnn_mode_orbit_expansion)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "%s: symmetrization.trigger_accuracy: found %g with mode %s, expected mode average, project or "
            "orbit-expansion",
            name, config->symmetrization.trigger_accuracy, mode->name);
    if (config->symmetrization.keep_optimizer_state && !configured)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "%s: symmetrization.keep_optimizer_state: true with mode %s, expected mode average or "
            "project: the buffers of other modes have no trigger to outlive",
            name, mode->name);
    return BNN_OK;
}

static bnn_status check_trigger(const char *name, const bnn_mode *mode, const bnn_config *config,
                                bnn_error *error)
{
    if (!mode->trigger_epoch) return BNN_OK;
    const size_t epoch = mode->trigger_epoch(config);
    if (epoch != SIZE_MAX && epoch >= config->train.epochs)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "%s: symmetrization: mode %s acts after %zu epochs, expected fewer than train.epochs = %zu", name,
            mode->name, epoch, config->train.epochs);
    return BNN_OK;
}

bnn_status bnn_mode_check(const char *name, const bnn_config *config, bool model_only, bnn_error *error)
{
    const bnn_mode *mode = bnn_mode_find(config->symmetrization.mode);
    const bool expansion = mode == &bnn_mode_orbit_expansion;
    if (!mode) {
        char expected[256] = "";
        size_t length = 0;
        for (size_t i = 0; bnn_modes[i]; i++)
            length += (size_t)snprintf(expected + length, sizeof expected - length, "%s%s", i ? ", " : "",
                                       bnn_modes[i]->name);
        return bnn_fail(error, BNN_BAD_INPUT, "%s: symmetrization.mode: found \"%s\", expected one of %s",
                        name, config->symmetrization.mode, expected);
    }
    if (model_only) return BNN_OK; /* a trained model: what follows is about training */
    if (config->symmetrization.hold && !mode->can_hold && !mode->holds)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "%s: symmetrization.hold: true, but mode %s leaves nothing invariant to hold; expected average, "
            "project or orbit-expansion",
            name, mode->name);
    if (mode == &bnn_mode_augment && config->symmetrization.augmentation == BNN_AUGMENT_NONE)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "%s: symmetrization.augmentation: found \"none\" with mode augment, expected \"full\" or "
            "\"random\" (mode \"none\" trains without augmentation)",
            name);
    if (expansion && config->model.representation == 2)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: model.channel_representation: found \"regular\", expected \"auto\" or "
                        "\"trivial\" for the small "
                        "network of orbit-expansion",
                        name);
    if (expansion && config->symmetrization.hold && config->symmetrization.arrangement != BNN_GCNN)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: symmetrization.arrangement: found \"%s\" with hold, expected \"gcnn\": only "
                        "that expansion is "
                        "invariant",
                        name, bnn_arrangement_names[config->symmetrization.arrangement]);
    bnn_status status = check_average(name, mode, config->symmetrization.average, error);
    if (!status) status = check_unused(name, mode, config, error);
    return status ? status : check_trigger(name, mode, config, error);
}
