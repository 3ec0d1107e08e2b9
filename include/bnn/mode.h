/* The pluggable stage between the data and the optimiser (src/README.md): what a step sees, what the objective counts, and what
 * happens to the posterior at the trigger. A mode is one file and one row of bnn_modes, which holds all that anybody needs to
 * know of it. */
#ifndef BNN_MODE_H
#define BNN_MODE_H

#include <stdbool.h>
#include <stddef.h>

#include "bnn/config.h"
#include "bnn/model.h"
#include "bnn/objective.h"
#include "bnn/row.h"

/* What an epoch and a step see. */
typedef struct bnn_plan {
    bnn_augmentation augmentation; /* of an item's image */
    size_t repeats;                /* items of a base image in an epoch */
    size_t views;                  /* of an item under one weight draw: 1, or |G| for its whole orbit */
    bnn_view_average average;      /* over the views */
    size_t count_factor;           /* the objective counts N = count_factor * N0 items */
} bnn_plan;

typedef struct bnn_mode {
    bnn_row row;
    const char *const *averages; /* valid values of symmetrization.average, the default first; NULL: none */
    bool holds;        /* always projects every gradient from the trigger on, whatever symmetrization.hold */
    bool needs_action; /* the group has to act on the parameters before the trigger */
    bool replaces_network;             /* the model has another network after the trigger */
    bool averages_factors;             /* q's factors are averaged, which not every family survives */
    bool orbit_a_draw;                 /* a step needs an image's orbit under one weight draw */
    bool ties_weights;                 /* weights of an orbit share noise (bnn_ties) after the trigger */
    bnn_representation representation; /* of hidden channels, where the configuration says auto */

    /* Asked once, before training: a trigger does not change it. */
    void (*plan)(const bnn_config *config, size_t order, bnn_plan *plan);

    /* NULL for modes without a trigger. The epochs before it; SIZE_MAX when only the accuracy decides. */
    size_t (*trigger_epoch)(const bnn_config *config);

    /* What happens to q at the trigger; NULL for modes without one. `symmetry` is that of the model's network, NULL unless needs_action.
     * `fresh`: the posterior has not been trained yet. */
    bnn_status (*symmetrize)(const bnn_symmetry *symmetry, bool fresh, bnn_model *model, bnn_error *error);

    /* Why q is not exactly invariant after the trigger, with *mend <- what would make it so; NULL when it is. A NULL function:
     * it is. */
    const char *(*not_invariant)(const bnn_config *config, const char **mend);

    /* What of the model the file does not hold, after it has been read; NULL: nothing. A file may be a checkpoint from before
     * the trigger: whether q has been symmetrized, its figures tell. */
    bnn_status (*restore)(bnn_model *model, bnn_error *error);

    /* The mode's own checks of a configuration of a run, with `name` before every message; settles what the mode leaves no
     * choice of. NULL: none. */
    bnn_status (*check)(const char *name, bnn_config *config, bnn_error *error);
} bnn_mode;

extern const bnn_mode *const bnn_modes[]; /* NULL-terminated, the default first */
const bnn_row *bnn_mode_row(size_t i);    /* the registry */

/* The mode of a configuration. Its name has been checked, or is empty: then the default. */
const bnn_mode *bnn_mode_of(const bnn_config *config);

/* The plan of `augment`, which others share: every g.x an item (full) or a random g a visit; with `augmentation: none`, base
 * images only when the posterior is held (N = N0), else repeated. */
void bnn_plan_augmented(const bnn_config *config, size_t order, bnn_plan *plan);

/* trigger_epoch where the mode reads symmetrization.trigger_epoch and trigger_accuracy. */
size_t bnn_trigger_configured(const bnn_config *config);

/* Whether every gradient is projected from the trigger on. */
bool bnn_mode_holds(const bnn_config *config);

/* The representation of hidden channels that a configuration asks for. */
bnn_representation bnn_mode_representation(const bnn_config *config);

/* The chosen value of symmetrization.average, the index in the mode's list: the configured one or the default. */
size_t bnn_mode_chosen_average(const bnn_config *config);

/* The checks of a run's configuration that need no data. */
bnn_status bnn_mode_check(const char *name, bnn_config *config, bnn_error *error);

/* For modes that see base images only: refuses an augmentation that the user has set, but for "none", and settles it. */
bnn_status bnn_settle_unaugmented(const char *name, bnn_config *config, bnn_error *error);

/* For modes that always hold: refuses a hold that the user has set to false, and settles it, with what bnn_settle_unaugmented
 * does. */
bnn_status bnn_settle_held(const char *name, bnn_config *config, bnn_error *error);

/* To be called on a model that has been read from a file: checks that its mode exists, and lets it add what files do not hold;
 * `path` for messages. */
bnn_status bnn_mode_restore(const char *path, bnn_model *model, bnn_error *error);

#endif
