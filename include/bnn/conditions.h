/* The conditions for exact equivariance (arXiv:2606.26273), each kept or broken by a configuration or a model, with the
 * reason and the mend. */
#ifndef BNN_CONDITIONS_H
#define BNN_CONDITIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "bnn/config.h"
#include "bnn/model.h"
#include "bnn/symmetry.h"

typedef struct bnn_condition {
    const char *name; /* "prior invariant" */
    bool kept;
    bool judged;       /* false: nothing can be said, for the reason given; it is not kept then */
    bool of_training;  /* about how a model was trained, not what it is */
    char reason[2048]; /* why */
    char mend[320];    /* how to mend it; empty when it is kept */
} bnn_condition;

#define BNN_CONDITION_COUNT 8

/* Of a configuration: what training by it keeps and breaks. `model` is the network as it is after the mode's
 * trigger, with the posterior as initialised. */
bnn_status bnn_conditions_of_training(const bnn_config *config, const bnn_model *model,
                                      bnn_condition conditions[BNN_CONDITION_COUNT], bnn_error *error);

/* Of a trained model under `group`, its own or another: what the model is, with q as it is now in the place of the
 * initial q, and apart from that (of_training) what its training kept, which was under the group `trained`. An action on
 * regular channels belongs to the model's group and its subgroups; under others, what is about weights is not judged.
 * *certificate <- q's, to be freed; NULL where the group has no action on the weights. */
bnn_status bnn_conditions_of_model(const bnn_model *model, const bnn_group *group, const bnn_group *trained,
                                   bnn_condition conditions[BNN_CONDITION_COUNT],
                                   bnn_certificate **certificate, bnn_error *error);

/* The network that a configuration ends with, on a fresh posterior; `shape` (C, H, W) and `classes` of the
 * data. */
bnn_status bnn_final_model(const bnn_config *config, const size_t shape[3], size_t classes, bnn_model **model,
                           bnn_error *error);

#endif
