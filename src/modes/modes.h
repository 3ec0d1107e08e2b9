/* The rows of bnn_modes. */
#ifndef BNN_SRC_MODES_H
#define BNN_SRC_MODES_H

#include "bnn/mode.h"

extern const bnn_mode bnn_mode_none, bnn_mode_augment, bnn_mode_group_elbo, bnn_mode_average,
    bnn_mode_project, bnn_mode_orbit_expansion, bnn_mode_tie, bnn_mode_equivariant;

#endif
