#include "run/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "bnn/io.h"

enum { FILES = 4 }; /* config.json last: it may be the user's own */
static const char *const names[FILES] = {"model.bin", "checkpoint.bin", "metrics.jsonl", "config.json"};

static char *path_of(bnn_run_directory *directory, size_t file)
{
    char *const paths[FILES] = {directory->model, directory->checkpoint, directory->metrics,
                                directory->config};
    return paths[file];
}

static bnn_status make_paths(bnn_run_directory *directory, const char *path, bnn_error *error)
{
    for (size_t i = 0; i < FILES; i++)
        if (snprintf(path_of(directory, i), BNN_RUN_PATH, "%s/%s", path, names[i]) >= BNN_RUN_PATH)
            return bnn_fail(error, BNN_BAD_INPUT, "%.80s...: the path is too long", path);
    return BNN_OK;
}

/* The lock is on the directory itself. Network file systems may lock files alone (flock(2)): there the run goes on without. */
static bnn_status lock(bnn_run_directory *directory, const char *path, bnn_error *error)
{
    directory->descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory->descriptor < 0)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: cannot open the directory: %s", path, strerror(errno));
    directory->locked = flock(directory->descriptor, LOCK_EX | LOCK_NB) == 0;
    if (!directory->locked && errno == EWOULDBLOCK)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: another bnn is training into this directory", path);
    return BNN_OK;
}

/* found[i] <- whether file i of the first `count` is there. What is neither a file nor a directory (a pipe, a device) is
 * nobody's run, and is written to as it is. */
static bnn_status look_for_run(bnn_run_directory *directory, size_t count, bool *found, bnn_error *error)
{
    for (size_t i = 0; i < count; i++) {
        struct stat info;
        const bool exists = stat(path_of(directory, i), &info) == 0;
        if (exists && S_ISDIR(info.st_mode))
            return bnn_fail(error, BNN_BAD_INPUT, "%s: is a directory, expected a file to write",
                            path_of(directory, i));
        found[i] = exists && S_ISREG(info.st_mode);
    }
    return BNN_OK;
}

static bnn_status holds_a_run(const char *path, const bool *found, bnn_error *error)
{
    char list[80] = "";
    for (size_t i = 0; i < FILES; i++)
        if (found[i]) bnn_append(list, sizeof list, "%s%s", *list ? ", " : "", names[i]);
    return bnn_fail(error, BNN_BAD_INPUT,
                    "%s: holds a run already (%s), expected --overwrite to replace it, or another --out",
                    path, list);
}

/* A file behind a symbolic link is removed, not the link, through which the next one is then written. */
static bnn_status remove_run(bnn_run_directory *directory, const bool *found, bnn_error *error)
{
    for (size_t i = 0; i < FILES; i++) {
        char target[PATH_MAX];
        if (found[i] && (!realpath(path_of(directory, i), target) || unlink(target)))
            return bnn_fail(error, BNN_BAD_INPUT, "%s: cannot remove: %s", path_of(directory, i),
                            strerror(errno));
    }
    return BNN_OK;
}

bnn_status bnn_run_directory_open(const char *path, const char *config, bool overwrite,
                                  bnn_run_directory *directory, bnn_error *error)
{
    bool found[FILES] = {false}, any = false;
    directory->descriptor = -1;
    bnn_status status = make_paths(directory, path, error);
    if (!status) status = bnn_make_directory(path, error);
    if (!status) status = lock(directory, path, error);
    if (!status) status = look_for_run(directory, config ? FILES : FILES - 1, found, error);
    for (size_t i = 0; i < FILES; i++) any = any || found[i];
    if (!status && any && !overwrite) status = holds_a_run(path, found, error);
    if (!status) status = remove_run(directory, found, error);
    if (!status && config) status = bnn_write_file(directory->config, config, strlen(config), error);
    if (!status) status = bnn_write_file(directory->metrics, "", 0, error);
    if (status) bnn_run_directory_close(directory);
    return status;
}

void bnn_run_directory_close(bnn_run_directory *directory)
{
    if (directory->descriptor >= 0) close(directory->descriptor);
    directory->descriptor = -1;
}
