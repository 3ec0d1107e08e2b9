/* The lines of metrics.jsonl. */
#ifndef BNN_SRC_RUN_LOG_H
#define BNN_SRC_RUN_LOG_H

#include "bnn/model.h"
#include "bnn/train.h"

/* One JSON object on one line, with the figures of each layer; freed with free(). NULL when memory is short.
 * `timing`: with the seconds taken, which have no place in a file that every run writes bit for bit alike. */
char *bnn_log_line(const bnn_epoch *epoch, const bnn_model *model, bool timing);

#endif
