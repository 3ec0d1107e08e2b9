/* The pluggable stage between the data and the optimiser (DESIGN section 4): what a step sees, what the
 * objective counts, and what happens to the posterior at the trigger. A mode is one file and one row of
 * bnn_modes. Floor 7. */
#ifndef BNN_MODE_H
#define BNN_MODE_H

#include <stdbool.h>
#include <stddef.h>

#include "bnn/config.h"
#include "bnn/model.h"
#include "bnn/objective.h"

/* What an epoch and a step see. */
typedef struct bnn_plan {
    bnn_augmentation augmentation; /* of an item's image */
    size_t repeats;                /* items of a base image in an epoch */
    size_t views;                  /* of an item under one weight draw: 1, or |G| for its whole orbit */
    bnn_view_average average;      /* over the views */
    size_t count_factor;           /* the objective counts N = count_factor * N0 items */
} bnn_plan;

typedef struct bnn_mode {
    const char *name;
    const char *summary;
    const char *const *averages; /* valid values of symmetrization.average, the default first; NULL: none */
    bool can_hold, holds;        /* may, or always does, project every gradient from the trigger on */
    bool needs_action;           /* the group has to act on the parameters */
    bnn_representation representation; /* of hidden channels, where the configuration says auto */

    void (*plan)(const bnn_config *config, size_t order, bnn_plan *plan);

    /* NULL for modes without a trigger. The epochs before it; SIZE_MAX when only the accuracy decides. */
    size_t (*trigger_epoch)(const bnn_config *config);

    /* What happens to q at the trigger. `symmetry` is that of the model's network, NULL unless needs_action.
     * `fresh`: the posterior has not been trained yet. */
    bnn_status (*symmetrize)(const bnn_symmetry *symmetry, bool fresh, bnn_model *model, bnn_error *error);
} bnn_mode;

extern const bnn_mode *const bnn_modes[]; /* NULL-terminated */
const bnn_mode *bnn_mode_find(const char *name);

/* The plan of `augment`, which average, project and orbit-expansion share: every g.x an item (full) or a
 * random g a visit; with `augmentation: none`, base images only when the posterior is held (N = N0), else
 * repeated. */
void bnn_plan_augmented(const bnn_config *config, size_t order, bnn_plan *plan);

/* trigger_epoch and trigger_accuracy as average and project read them. */
size_t bnn_trigger_configured(const bnn_config *config);

/* Whether every gradient is projected from the trigger on. */
bool bnn_mode_holds(const bnn_config *config);

/* The representation of hidden channels that a configuration asks for. */
bnn_representation bnn_mode_representation(const bnn_config *config);

/* The chosen value of symmetrization.average: the configured one or the mode's default; "" where there is
 * none. */
const char *bnn_mode_chosen_average(const bnn_config *config);

/* The checks of `symmetrization` that need no data; part of bnn_config_parse. */
bnn_status bnn_mode_check(const char *name, const bnn_config *config, bool model_only, bnn_error *error);

#endif
