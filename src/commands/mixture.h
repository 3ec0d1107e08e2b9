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
    char *training;    /* what its file says of its training, or NULL */
    bnn_group *group;  /* --group, or its own */
    bnn_dataset *data; /* that of the first member where it is the same, bit for bit */
    bnn_predict_options options;
} mixture_member;

/* The models of the operands, or of the ensemble that the only operand is. */
typedef struct cmd_mixture {
    mixture_member *members; /* (count) */
    bnn_member *parts;       /* (count) the same for bnn_predict_mixture */
    size_t count;
    bnn_calibration calibration; /* of the mixture of several; without images there is none */
} cmd_mixture;

/* The images that a model is asked about, as cmd_data. */
typedef bnn_status mixture_data(const cmd_line *line, const bnn_model *model, bnn_dataset **data,
                                bnn_error *error);

/* Every operand of the line, with the images that `find` finds. The caller frees the mixture, also after a failure. */
bnn_status mixture_load(const cmd_line *line, mixture_data *find, cmd_mixture *mixture, bnn_error *error);
void mixture_free(cmd_mixture *mixture);

/* Whether they make a mixture: one input, the same classes, images and draws a member, and where the orbit is asked for, one group.
 * BNN_BAD_INPUT, with two files and what differs in *error, where they do not. */
bnn_status mixture_check(const cmd_mixture *mixture, bool orbit, bnn_error *error);

/* That of the only model, or of the mixture of several; NULL where there is none. */
const bnn_calibration *mixture_calibration(const cmd_mixture *mixture);

/* cmd_tell_calibration, and that a mixture of several leaves out the calibrations of its members. */
void mixture_tell_calibration(const cmd_line *line, const cmd_mixture *mixture);

#endif
