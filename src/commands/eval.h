/* The evaluation of a model, which `bnn eval` prints and `bnn report` draws. */
#ifndef BNN_SRC_EVAL_H
#define BNN_SRC_EVAL_H

#include <cjson/cJSON.h>

#include "bnn/evaluate.h"
#include "commands/command.h"
#include "commands/terminal.h"

typedef struct evaluation {
    const cmd_line *line; /* --ood, --images and --json are looked up there */
    live_line *progress;  /* of its predictions */
    cmd_file file;        /* of the model: only eval_model's messages and progress name it */
    bnn_model *model;
    bnn_group *group;
    bnn_dataset *data;
    bnn_predict_options options;
    bool equivariance, uncertainty; /* which figures: those over the orbit, entropies */
    size_t repeats, worst;          /* of the sample sweep; images listed */
} evaluation;

/* Adds the figures that are asked for, but no sample sweep, which `bnn eval` adds for --sample-sweep alone. */
bnn_status eval_model(evaluation *e, cJSON *json, bnn_error *error);

/* The sample sweep over one data set: repeats x T draws of their own. `name` is its member in `json`. */
bnn_status eval_add_sweep(const evaluation *e, cJSON *json, const char *name, const bnn_dataset *data,
                          bnn_error *error);

#endif
