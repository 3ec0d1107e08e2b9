/* What the subcommands share: a table of options that gives parsing and help, and small helpers. Only main.c
 * and the cmd_*.c files print or exit. Results go to standard output, progress and messages to standard
 * error. */
#ifndef BNN_SRC_CMD_H
#define BNN_SRC_CMD_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "bnn/dataset.h"
#include "bnn/evaluate.h"
#include "bnn/group.h"
#include "bnn/io.h"
#include "bnn/model.h"
#include "bnn/splits.h"
#include "bnn/status.h"

#define CMD_MAX_OPTIONS 48
#define CMD_MAX_REPEATS 64
#define CMD_MAX_OPERANDS 256

typedef struct cmd_option {
    const char *name;     /* "--threads" without the dashes */
    const char *argument; /* "N", or NULL for a flag; "RUN...": all words up to the next option or -- */
    const char *meaning;
} cmd_option;

typedef struct subcommand {
    const char *name;
    const char *
        operands; /* "CONFIG.json": words between spaces count; "[X]" may be left out, "X..." is one or more */
    const char *summary;
    const char *details;       /* further help, or NULL */
    const cmd_option *options; /* ends with a NULL name */
    const char *required;      /* the option that has to be given, or NULL */
    bool shared;               /* by all ranks; other commands are rank 0's */
    bnn_status (*run)(const struct subcommand *command, int argc, char **argv, bnn_error *error);
} subcommand;

extern const subcommand cmd_train, cmd_eval, cmd_predict, cmd_score, cmd_symmetrize, cmd_expand, cmd_show,
    cmd_report, cmd_compare, cmd_check, cmd_info, cmd_export, cmd_calibrate, cmd_help;

/* All of them (main.c), NULL-terminated, and the one of a name: BNN_BAD_INPUT that offers the nearest when there is none. */
extern const subcommand *const cmd_all[];
bnn_status cmd_find(const char *name, const subcommand **command, bnn_error *error);

/* The parsed command line; everything points into argv. */
typedef struct cmd_line {
    const subcommand *command;
    const char *values[CMD_MAX_OPTIONS]; /* of options[i]: NULL when not given, "" for a flag */
    const char *sets[CMD_MAX_REPEATS];   /* every value of --set */
    size_t set_count;
    const char *operands[CMD_MAX_OPERANDS];
    size_t operand_count;
    const char *listed[CMD_MAX_OPERANDS]; /* the words of the option that takes several ("RUN...") */
    size_t listed_count;
} cmd_line;

/* The rows of options that several commands share. */
#define CMD_OPTION_THREADS                                                                                   \
    {                                                                                                        \
        "threads", "N",                                                                                      \
            "worker threads, on which no result depends (default: OMP_NUM_THREADS, or all processors)"       \
    }
#define CMD_OPTIONS_PREDICTION                                                                               \
    {"samples", "T", "weight draws a prediction (default: eval.samples)"},                                   \
        {"mean", NULL, "the network at w = mu, with no draw"},                                               \
        {"draws", "shared|independent",                                                                      \
         "the same draws for every element, or new ones (default: eval.draws)"},                             \
    {                                                                                                        \
        "predictive", "posterior|group-averaged",                                                            \
            "F itself, or its mean over the orbit (default: eval.predictive)"                                \
    }
#define CMD_OPTION_CALIBRATION                                                                               \
    {                                                                                                        \
        "no-calibration", NULL, "without the temperature and the sets that bnn calibrate put into the model" \
    }
#define CMD_OPTION_DATA                                                                                      \
    {                                                                                                        \
        "data", "DATA",                                                                                      \
            "the test images of another data set, .npz file or folder of PNGs, as they are (no data.rotate)" \
    }
/* What is evaluated: images of the model's own data, or others. */
#define CMD_OPTIONS_IMAGES                                                                                   \
    {"split", "train|validation|test", "images of the model's own data (default: test)"}, CMD_OPTION_DATA,   \
        {"images", "F", "images from an IDX or .npy file, as they are (no data.rotate)"},                    \
    {                                                                                                        \
        "labels", "F", "their labels"                                                                        \
    }
#define CMD_OPTION_GROUP                                                                                     \
    {                                                                                                        \
        "group", "G", "another group than the model's"                                                       \
    }

/* Options may stand before or after operands, as --name, --name VALUE or --name=VALUE; after -- all words are operands.
 * "-" is standard input, which one file may come from, and standard output for --out. --help prints the help and sets *done. */
bnn_status cmd_parse(const subcommand *command, int argc, char **argv, cmd_line *line, bool *done,
                     bnn_error *error);
void cmd_print_help(const subcommand *command);

/* BNN_BAD_INPUT where --out names a file that the command reads: `path`, "" for none; `what` says where it was named. cmd_parse
 * asks this of operands and options, cmd_data of the files that the model's configuration names. */
bnn_status cmd_spare(const cmd_line *line, const char *what, const char *path, bnn_error *error);

/* The value of an option: NULL when it was not given. */
const char *cmd_value(const cmd_line *line, const char *name);
bool cmd_flag(const cmd_line *line, const char *name);

/* An integer option in least..most, or `fallback` when it was not given. */
bnn_status cmd_size(const cmd_line *line, const char *name, size_t least, size_t most, size_t fallback,
                    size_t *value, bnn_error *error);

/* The index in `names` of the value of an option, or `fallback`. */
bnn_status cmd_choice(const cmd_line *line, const char *name, const char *const *names, int fallback,
                      int *value, bnn_error *error);

/* --threads: when it was not given OMP_NUM_THREADS, or else the processors at hand. */
bnn_status cmd_threads(const cmd_line *line, int *threads, bnn_error *error);

/* --group, or the model's own (a new one in either case). */
bnn_status cmd_group(const cmd_line *line, const bnn_model *model, bnn_group **group, bnn_error *error);

/* What an operand names, read once, so that pipes serve as well as files: `path` is the operand, or the model.bin in it
 * when it is the directory of a run. */
typedef struct cmd_file {
    char path[4096];         /* "standard input" for "-" */
    char sha256[BNN_SHA256]; /* of the file as it is stored */
    uint8_t *bytes;          /* (size) and a zero byte; freed with free() */
    size_t size;
} cmd_file;

bnn_status cmd_read(const char *operand, cmd_file *file, bnn_error *error);

/* The model in a file that has been read, its mode known. `tensors` as in bnn_model_load. */
bnn_status cmd_parse_model(const cmd_file *file, bnn_model **model, bnn_safetensors **tensors,
                           bnn_error *error);

/* The model that an operand names, the file's bytes already freed. `tensors` as in bnn_model_load. */
bnn_status cmd_load_identified(const char *operand, cmd_file *file, bnn_model **model,
                               bnn_safetensors **tensors, bnn_error *error);

/* The same, where nobody asks which file it was. `file` as in bnn_model_load. */
bnn_status cmd_load_model(const char *operand, bnn_model **model, bnn_safetensors **file, bnn_error *error);

/* Loads the operand's model, gives it --group, changes it, and writes it to --out with what is known of its training. */
bnn_status cmd_derive(const cmd_line *line,
                      bnn_status (*change)(const cmd_line *line, bnn_model *model, bnn_error *error),
                      bnn_error *error);

/* The certificate of the model's q under a group. BNN_BAD_INPUT, with the reason in *error, where there is none. */
bnn_status cmd_certify(const bnn_model *model, const bnn_group *group, bnn_certificate **certificate,
                       bnn_error *error);

/* The group that a model was trained under: its own, unless its file says that it got another one later. */
bnn_status cmd_trained_group(const bnn_model *model, const bnn_safetensors *file, bnn_group **group,
                             bnn_error *error);

/* What eval, predict and show share of a prediction's options: --samples, --mean, --draws, --predictive, --no-calibration and
 * --threads, by default those of the model's configuration; a point is predicted at w = mu. `group` is that of a group-averaged predictive. */
bnn_status cmd_predict_options(const cmd_line *line, const bnn_model *model, const bnn_group *group,
                               bnn_predict_options *options, bnn_error *error);

/* Says on standard error that more draws of a point than one are one. */
void cmd_tell_point(const cmd_line *line, const bnn_model *model);

/* Warns on standard error where a calibrated model is used with another predictive than it was calibrated for. */
void cmd_tell_calibration(const cmd_line *line, const bnn_calibration *calibration,
                          const bnn_predict_options *options);

/* A split of the model's configuration, as cmd_data has it. */
bnn_status cmd_split_data(const cmd_line *line, const bnn_model *model, bnn_split split, bnn_dataset **data,
                          bnn_error *error);

/* The images a model is asked about: --images (and --labels), --data NAME, or the test set of its
 * configuration (or its --split); padded as the model wants them. Warns on standard error where their range is unlike that of the training
 * images. */
bnn_status cmd_data(const cmd_line *line, const bnn_model *model, bnn_dataset **data, bnn_error *error);

/* The test images of the data set that `option` (--ood, --data) names, or the images of the file, shaped for the model as
 * cmd_data does it. Labels may be those of other classes; with `labelled` false there are none. */
bnn_status cmd_other_data(const cmd_line *line, const char *option, const bnn_model *model, bool labelled,
                          bnn_dataset **data, bnn_error *error);

/* Prints who and the message on standard error, as one line whatever names and keys the user's input put into it; of several ranks,
 * only rank 0 does. An error is printed by the rank whose it is. */
void cmd_print_message(const char *who, const char *message);
void cmd_print_error(const char *who, const char *message);

/* Prints the JSON on standard output and frees it; NULL means that memory was short. What of a file's name is not valid
 * UTF-8 is replaced. */
bnn_status cmd_print_json(cJSON *json, bnn_error *error);

/* What tells one file of figures from another. `model`: path, SHA-256, seed and group of the model, and the version of the
 * program that writes the figures. `config`: a resolved configuration. `data`: the images that cmd_data gives. `prediction`:
 * how they are predicted. */
void cmd_add_model(cJSON *object, const cmd_file *file, const bnn_model *model);
bnn_status cmd_add_config(cJSON *object, const bnn_config *config, bnn_error *error);

/* A copy of a resolved configuration without its seed and without keys of which no result depends: what several runs are of one
 * configuration for. The caller deletes it. */
cJSON *cmd_configuration(const cJSON *config);

void cmd_add_data(cJSON *object, const cmd_line *line, const bnn_model *model);
void cmd_add_prediction(cJSON *object, const bnn_predict_options *options);

/* Adds a number, or null where it is not finite. */
void cmd_add_number(cJSON *object, const char *name, double value);

/* A certificate as JSON. */
void cmd_add_certificate(cJSON *object, const bnn_certificate *certificate);

/* Adds an array of n numbers. */
void cmd_add_numbers(cJSON *object, const char *name, const double *values, size_t n);

#endif
