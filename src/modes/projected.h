/* What the modes share that project the posterior. */
#ifndef BNN_SRC_PROJECTED_H
#define BNN_SRC_PROJECTED_H

#include "bnn/mode.h"

/* Reynolds projection of the posterior. A fresh posterior is rescaled: projection shrinks the variance of
 * random means by up to |G|, so each layer's weights are scaled back to the norm that they had, which gives
 * the initial function the scale of the unprojected one and keeps q invariant; but for means of posterior.init_from, which are not
 * random. */
bnn_status bnn_symmetrize_projected(const bnn_symmetry *symmetry, bool fresh, bnn_model *model,
                                    bnn_error *error);

/* Of modes that are invariant from the start: a trigger before the first epoch, and base images alone, N = N0. */
size_t bnn_trigger_at_once(const bnn_config *config);
void bnn_plan_base(const bnn_config *config, size_t order, bnn_plan *plan);

#endif
