#include "run/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>

#include "run/log.h"

bnn_status bnn_optimizer_tensors(const bnn_optimizer *optimizer, bnn_tensor_visitor *visit, void *context,
                                 bnn_error *error)
{
    bnn_status status = BNN_OK;
    for (size_t i = 0; !status && i < optimizer->state_count; i++) {
        bnn_tensor tensor = {
            .rank = 1, .shape = {optimizer->count}, .count = optimizer->count, .data = optimizer->state[i]};
        snprintf(tensor.name, sizeof tensor.name, "optimizer.%s", optimizer->rule->states[i]);
        status = visit(context, &tensor, error);
    }
    return status;
}

typedef struct tensors {
    bnn_tensor tensor[BNN_OPTIMIZER_MAX_STATES];
    size_t count;
} tensors;

static bnn_status collect(void *context, const bnn_tensor *tensor, bnn_error *error)
{
    tensors *list = context;
    (void)error;
    list->tensor[list->count++] = *tensor;
    return BNN_OK;
}

bnn_status bnn_checkpoint_save(const bnn_model *model, const bnn_optimizer *optimizer, const bnn_epoch *log,
                               const char *path, bnn_error *error)
{
    tensors state = {.count = 0};
    char *training = NULL;
    if (log->epoch && !(training = bnn_log_line(log, model, false)))
        return bnn_no_memory(error, "a log line", 1, 0);
    bnn_status status = optimizer ? bnn_optimizer_tensors(optimizer, collect, &state, error) : BNN_OK;
    if (!status) status = bnn_model_save(model, path, training, state.tensor, state.count, error);
    free(training);
    return status;
}
