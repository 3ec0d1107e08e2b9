/* The conditions for exact equivariance (DESIGN section 4; arXiv:2606.26273), each kept or broken by a
 * configuration or a model, with the reason and the mend. Floor 8. */
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
    char reason[1024]; /* why */
    char mend[320];    /* how to mend it; empty when it is kept */
} bnn_condition;

#define BNN_CONDITION_COUNT 8

/* Of a configuration: what training by it keeps and breaks. `model` is the network as it is after the mode's
 * trigger, with the posterior as initialised. */
void bnn_conditions_of_training(const bnn_config *config, const bnn_model *model,
                                bnn_condition conditions[BNN_CONDITION_COUNT]);

/* Of a trained model: the same, with its own prior and with q as it is now in the place of the initial q.
 * `certificate`: NULL where the group has no action on the weights. */
void bnn_conditions_of_model(const bnn_model *model, const bnn_certificate *certificate,
                             bnn_condition conditions[BNN_CONDITION_COUNT]);

/* The network that a configuration ends with, on a fresh posterior; `shape` (C, H, W) and `classes` of the
 * data. */
bnn_status bnn_final_model(const bnn_config *config, const size_t shape[3], size_t classes, bnn_model **model,
                           bnn_error *error);

#endif
