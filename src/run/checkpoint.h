/* What a run keeps of its state: model.bin and checkpoint.bin. */
#ifndef BNN_SRC_RUN_CHECKPOINT_H
#define BNN_SRC_RUN_CHECKPOINT_H

#include "bnn/model.h"
#include "bnn/optimizer.h"
#include "bnn/train.h"

/* Calls `visit` for each array of the optimiser's state, as a tensor "optimizer.NAME" of a checkpoint. */
bnn_status bnn_optimizer_tensors(const bnn_optimizer *optimizer, bnn_tensor_visitor *visit, void *context,
                                 bnn_error *error);

/* Writes the model, the log's figures as its metadata (none where its epoch is 0), and, where not NULL, the optimiser's state.
 * BNN_FAILED, and nothing is written, where a figure is not finite. */
bnn_status bnn_checkpoint_save(const bnn_model *model, const bnn_optimizer *optimizer, const bnn_epoch *log,
                               const char *path, bnn_error *error);

#endif
