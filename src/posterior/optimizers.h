/* The rows of bnn_optimizers. */
#ifndef BNN_POSTERIOR_OPTIMIZERS_H
#define BNN_POSTERIOR_OPTIMIZERS_H

#include "bnn/optimizer.h"

extern const bnn_optimizer_rule bnn_optimizer_sgd, bnn_optimizer_adamw, bnn_optimizer_ivon;

#endif
