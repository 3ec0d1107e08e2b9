/* The evaluation of a model, which `bnn eval` prints and `bnn report` draws. */
#ifndef BNN_SRC_EVAL_H
#define BNN_SRC_EVAL_H

#include <cjson/cJSON.h>

#include "bnn/evaluate.h"
#include "commands/command.h"
#include "commands/terminal.h"

/* Of one model, or of the equal mixture of several: then `model` is the first, `file` without a path, and what only a trained q has
 * (ELBO, certificate) is left out with the reason. */
typedef struct evaluation {
    const cmd_line *line; /* --ood, --images and --json are looked up there */
    live_line *progress;  /* of its predictions */
    cmd_file file;        /* of the model: only eval_model's messages and progress name it */
    bnn_model *model;
    const bnn_member *parts; /* (count) of a mixture */
    size_t count;            /* 0: the model alone */
    bnn_group *group;
    bnn_dataset *data;
    bnn_predict_options options;
    bool equivariance, uncertainty; /* which figures: those over the orbit, entropies */
    size_t repeats, worst;          /* of the sample sweep; images listed */
    bnn_metrics **metrics; /* receives what the figures were made of, for the caller to free; or NULL */
} evaluation;

/* Adds the figures that are asked for, but no sample sweep, which `bnn eval` adds for --sample-sweep alone. */
bnn_status eval_model(evaluation *e, cJSON *json, bnn_error *error);

/* The sample sweep over one data set: repeats x T draws of their own. `name` is its member in `json`. */
bnn_status eval_add_sweep(const evaluation *e, cJSON *json, const char *name, const bnn_dataset *data,
                          bnn_error *error);

#endif
