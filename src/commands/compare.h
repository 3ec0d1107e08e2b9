/* What the files of `bnn compare` share: runs and their figures, and the tables. */
#ifndef BNN_SRC_COMPARE_H
#define BNN_SRC_COMPARE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "commands/command.h"
#include "commands/terminal.h"

/* What is told of one image: columns of bnn_bootstrap_means. */
enum { IMAGE_ACCURACY, IMAGE_NLL, IMAGE_ACCURACY_ORBIT, IMAGE_NLL_ORBIT, IMAGE_FIGURES };

/* A run, its figures as `bnn eval --json` prints them, and what decides with which others it is compared. */
typedef struct compared_run {
    const char *name; /* as the user calls it */
    cJSON *figures;
    cJSON
        *configuration; /* resolved, and how it predicts; without seed and keys of which no figure depends */
    double seed;
    bool is_directory;
    double *images; /* (image_count, IMAGE_FIGURES) with --per-image, else NULL */
    size_t image_count;
} compared_run;

/* Reads the figures of a run that `bnn eval --json` wrote, or evaluates it (see the help). `run` is released with
 * compared_run_free, also after a failure. */
bnn_status compared_run_read(const cmd_line *line, const char *operand, live_line *progress,
                             compared_run *run, bnn_error *error);
void compared_run_free(compared_run *run);

/* Whether the two were evaluated on the same images: BNN_BAD_INPUT that says in what they differ. */
bnn_status compared_same_images(const compared_run *run, const compared_run *baseline, bnn_error *error);

/* A figure of both at a path with dots; false where one has none, or where they are of orbits under different groups. */
bool compared_figure(const compared_run *run, const compared_run *baseline, const char *path,
                     double values[2]);

/* Adds to the list of paths those of the run's figures that it lacks. */
void compared_paths(const compared_run *run, cJSON *paths);

/* Prints the JSON of the comparison: as text, or as the line's --csv, --markdown or --latex says; with --wide a row a
 * configuration and a column a figure. */
void compared_print(const cmd_line *line, const cJSON *json);

#endif
