/* The directory of a run: the files in it, the lock that keeps a second run out, and the refusal to write over a run that is
 * there already. */
#ifndef BNN_SRC_RUN_DIRECTORY_H
#define BNN_SRC_RUN_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>

#include "bnn/status.h"

#define BNN_RUN_PATH 4096

typedef struct bnn_run_directory {
    char model[BNN_RUN_PATH], checkpoint[BNN_RUN_PATH], metrics[BNN_RUN_PATH], config[BNN_RUN_PATH];
    int descriptor; /* of the directory, -1 where it is not open; holds the lock */
    bool locked;    /* false on a file system without locks */
} bnn_run_directory;

/* What becomes of a run that the directory holds already. */
typedef enum bnn_run_found { BNN_RUN_REFUSE, BNN_RUN_REPLACE, BNN_RUN_RESUME } bnn_run_found;

/* Makes the directory where it is missing and locks it until bnn_run_directory_close or the end of the process; the lock
 * leaves no file behind. What writers that are gone have left half written (io.h) is removed. Then writes `config`, the run's
 * configuration, as config.json (write_config), and an empty metrics.jsonl; but not where a run is resumed, *resumed: it has a
 * checkpoint.
 *
 * BNN_BAD_INPUT when another process has the lock; when one of the names is a directory; when the directory holds a run
 * (model.bin, checkpoint.bin, metrics.jsonl, or the config.json that would be replaced) that is to be refused (one that is to
 * be replaced is removed first); and when one that is to be resumed has neither a checkpoint nor a config.json that is
 * `config`. After a failure the directory is closed. Of several ranks rank 0 does all this, and the others learn what it found; so
 * with bnn_run_directory_resume. */
bnn_status bnn_run_directory_open(const char *path, const char *config, bool write_config,
                                  bnn_run_found found, bnn_run_directory *directory, bool *resumed,
                                  bnn_error *error);

/* Cuts metrics.jsonl back to its first `lines` lines, and writes `config` in the place of a config.json that is as `before`,
 * as this program wrote it. BNN_BAD_INPUT, and nothing is written, where it has fewer. */
bnn_status bnn_run_directory_resume(const bnn_run_directory *directory, size_t lines, const char *before,
                                    const char *config, bnn_error *error);

/* A directory that is not open is legal, as is one of zero bytes with descriptor -1. */
void bnn_run_directory_close(bnn_run_directory *directory);

#endif
