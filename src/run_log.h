/* The lines of metrics.jsonl. */
#ifndef BNN_SRC_RUN_LOG_H
#define BNN_SRC_RUN_LOG_H

#include "bnn/model.h"
#include "bnn/train.h"

/* One JSON object on one line, with the figures of each layer; freed with free(). NULL when memory is short.
 */
char *bnn_log_line(const bnn_epoch *epoch, const bnn_model *model);

#endif
