/* What a run keeps of its state: model.bin, and checkpoint.bin, from which it goes on to the same bits. */
#ifndef BNN_SRC_RUN_CHECKPOINT_H
#define BNN_SRC_RUN_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bnn/model.h"
#include "bnn/optimizer.h"
#include "bnn/safetensors.h"
#include "bnn/train.h"

/* How far a run is. With its model and its optimiser's arrays it is all that the rest of the run depends on: random streams are
 * keyed by seed, epoch and step. */
typedef struct bnn_progress {
    size_t epoch;       /* finished */
    size_t batch;       /* of the next one, finished */
    size_t step;        /* since the beginning */
    bool map;           /* in train.map_epochs: at w = mu */
    bool sigma_trained; /* some step has moved sigma, here or in posterior.init_from */
    bool triggered;     /* the mode has symmetrized q */
    double best_nll;    /* on the validation split, since the trigger; infinite before the first */
    double accuracy;    /* on the training items of the last finished epoch */
    double nll, data_nll, gradient_norm, correct, seconds; /* sums over the batches of the unfinished epoch */
    bnn_change change;     /* by the trigger that the unfinished epoch began with */
    size_t optimizer_step; /* bnn_optimizer: step, begins, trained */
    bool optimizer_begins, optimizer_trained;
} bnn_progress;

/* Calls `visit` for each array of the optimiser's state, as a tensor "optimizer.NAME" of a checkpoint. */
bnn_status bnn_optimizer_tensors(const bnn_optimizer *optimizer, bnn_tensor_visitor *visit, void *context,
                                 bnn_error *error);

/* Writes a checkpoint: the model, the optimiser's state and steps, the progress, the last finished epoch's line of the log (NULL:
 * none) and the run's resolved configuration. BNN_FAILED, and nothing is written, where a tensor is not finite. */
bnn_status bnn_checkpoint_save(const char *path, const bnn_model *model, const bnn_optimizer *optimizer,
                               const bnn_progress *progress, const char *line, const char *config,
                               bnn_error *error);

typedef struct bnn_checkpoint {
    bnn_model *model; /* the caller may take it, and put NULL in its place */
    bnn_progress progress;
    const char *line, *config; /* of the file; line: NULL before the first epoch's end */
    bnn_safetensors *file;
} bnn_checkpoint;

/* BNN_BAD_INPUT where the file is no checkpoint, or one whose progress makes no sense. Freed whatever comes. */
bnn_status bnn_checkpoint_load(const char *path, bnn_checkpoint *checkpoint, bnn_error *error);
void bnn_checkpoint_free(bnn_checkpoint *checkpoint);

/* Whether the run that the checkpoint is of, with so many batches an epoch, may go on under the configuration: the same but for
 * train.epochs, which may have grown, train.checkpoint_minutes and train.detect_anomaly. BNN_BAD_INPUT where not. */
bnn_status bnn_checkpoint_check(const char *path, const bnn_checkpoint *checkpoint, const bnn_config *config,
                                size_t batches, bnn_error *error);

/* The optimiser's state and steps <- the checkpoint's. BNN_BAD_INPUT where an array is missing or of another size. */
bnn_status bnn_checkpoint_restore(const bnn_checkpoint *checkpoint, bnn_optimizer *optimizer,
                                  bnn_error *error);

#endif
