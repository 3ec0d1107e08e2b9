/* The directory of a run: the files in it, the lock that keeps a second run out, and the refusal to write over a run that is
 * there already. */
#ifndef BNN_SRC_RUN_DIRECTORY_H
#define BNN_SRC_RUN_DIRECTORY_H

#include <stdbool.h>

#include "bnn/status.h"

#define BNN_RUN_PATH 4096

typedef struct bnn_run_directory {
    char model[BNN_RUN_PATH], checkpoint[BNN_RUN_PATH], metrics[BNN_RUN_PATH], config[BNN_RUN_PATH];
    int descriptor; /* of the directory, -1 where it is not open; holds the lock */
    bool locked;    /* false on a file system without locks */
} bnn_run_directory;

/* Makes the directory where it is missing and locks it until bnn_run_directory_close or the end of the process; the lock
 * leaves no file behind. Then writes `config`, where not NULL, as config.json, and an empty metrics.jsonl.
 *
 * BNN_BAD_INPUT when another process has the lock; when the directory holds a run (model.bin, checkpoint.bin, metrics.jsonl,
 * or the config.json that `config` would replace), unless `overwrite`, which removes these files first; and when one of the
 * names is a directory. After a failure the directory is closed. */
bnn_status bnn_run_directory_open(const char *path, const char *config, bool overwrite,
                                  bnn_run_directory *directory, bnn_error *error);

/* A directory that is not open is legal, as is one of zero bytes with descriptor -1. */
void bnn_run_directory_close(bnn_run_directory *directory);

#endif
