/* The models that a command is given, and their equal mixture: `bnn eval` and `bnn predict` share them. */
#ifndef BNN_SRC_MIXTURE_H
#define BNN_SRC_MIXTURE_H

#include <stddef.h>

#include "bnn/evaluate.h"
#include "commands/command.h"

/* A model, its images, and how it is asked about them. */
typedef struct mixture_member {
    cmd_file file;
    bnn_model *model;
    bnn_group *group;  /* --group, or its own */
    bnn_dataset *data; /* that of the first member where it is the same, bit for bit */
    bnn_predict_options options;
} mixture_member;

typedef struct cmd_mixture {
    mixture_member *members; /* (count), one an operand */
    bnn_member *parts;       /* (count) the same for bnn_predict_mixture */
    size_t count;
} cmd_mixture;

/* Every operand of the line. The caller frees the mixture, also after a failure. */
bnn_status mixture_load(const cmd_line *line, cmd_mixture *mixture, bnn_error *error);
void mixture_free(cmd_mixture *mixture);

/* Whether they make a mixture: one input, the same classes, images and draws a member, and where the orbit is asked for, one group.
 * BNN_BAD_INPUT, with two files and what differs in *error, where they do not. */
bnn_status mixture_check(const cmd_mixture *mixture, bool orbit, bnn_error *error);

/* Says on standard error that a mixture leaves out what its members' calibrations would add. */
void mixture_tell_calibration(const cmd_line *line, const cmd_mixture *mixture);

#endif
