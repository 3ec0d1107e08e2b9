/* The lines of metrics.jsonl, and of what a training costs. */
#ifndef BNN_SRC_RUN_LOG_H
#define BNN_SRC_RUN_LOG_H

#include "bnn/model.h"
#include "bnn/splits.h"
#include "bnn/train.h"

/* One JSON object on one line, with the figures of each layer; freed with free(). NULL when memory is short.
 * `timing`: with the seconds taken, which have no place in a file that every run writes bit for bit alike. */
char *bnn_log_line(const bnn_epoch *epoch, const bnn_model *model, bool timing);

/* What some epochs take. */
typedef struct bnn_cost {
    size_t from, end, epochs; /* from 0, up to but without `end`, of so many in all */
    double seconds, rate;     /* an epoch's, and image-samples a second */
    int threads;
    bool validates;
} bnn_cost;

/* line <- what they will cost; returned. */
char *bnn_log_cost(const bnn_cost *cost, char line[BNN_LINE]);

#endif
