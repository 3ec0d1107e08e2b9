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
#include "bnn/ranks.h"

/* In the order in which a run is removed: without its checkpoint it is none that --resume would go on with. config.json is last,
 * as it may be the user's own. */
enum { CHECKPOINT, FILES = 4 };
static const char *const names[FILES] = {"checkpoint.bin", "model.bin", "metrics.jsonl", "config.json"};

static char *path_of(bnn_run_directory *directory, size_t file)
{
    char *const paths[FILES] = {directory->checkpoint, directory->model, directory->metrics,
                                directory->config};
    return paths[file];
}

static bnn_status make_paths(bnn_run_directory *directory, const char *path, bnn_error *error)
{
    directory->descriptor = -1;
    for (size_t i = 0; i < FILES; i++)
        if (snprintf(path_of(directory, i), BNN_RUN_PATH, "%s/%s", path, names[i]) >= BNN_RUN_PATH)
            return bnn_fail(error, BNN_BAD_INPUT, "%.80s...: the path is too long", path);
    return BNN_OK;
}

/* The lock is on the directory itself. Network file systems may lock files alone (flock(2)): there the run goes on without. */
static bnn_status lock(bnn_run_directory *directory, const char *path, bnn_error *error)
{
    directory->descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory->descriptor < 0) return bnn_system_failure(error, path, "open the directory");
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
        bnn_found what;
        const bnn_status status = bnn_examine(path_of(directory, i), &what, error);
        if (status) return status;
        if (what == BNN_FOUND_DIRECTORY)
            return bnn_fail(error, BNN_BAD_INPUT, "%s: is a directory, expected a file to write",
                            path_of(directory, i));
        found[i] = what == BNN_FOUND_FILE;
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
            return bnn_system_failure(error, path_of(directory, i), "remove");
    }
    return BNN_OK;
}

/* A run that died before its first checkpoint begins anew: all that it has is made again. */
static bnn_status check_same_run(const bnn_run_directory *directory, const char *path, const char *config,
                                 bnn_error *error)
{
    uint8_t *text = NULL;
    size_t size;
    const bnn_status status = bnn_read_file(directory->config, BNN_FILE_MOST, &text, &size, error);
    if (status == BNN_FAILED) return status;
    const bool same = !status && strcmp((const char *)text, config) == 0;
    free(text);
    if (same) return BNN_OK;
    return bnn_fail(
        error, BNN_BAD_INPUT,
        "%s: found no checkpoint.bin to resume from, nor a config.json of this very run, expected "
        "--overwrite to replace what is there, or another --out",
        path);
}

/* A run to be resumed is left as it is, but where it has not begun. */
static bnn_status make_room(bnn_run_directory *directory, const char *path, const char *config,
                            bool write_config, bnn_run_found wanted, bool *resumed, bnn_error *error)
{
    bool found[FILES] = {false}, any = false;
    const bnn_status status = look_for_run(directory, write_config ? FILES : FILES - 1, found, error);
    if (status) return status;
    for (size_t i = 0; i < FILES; i++) any = any || found[i];
    *resumed = wanted == BNN_RUN_RESUME && found[CHECKPOINT];
    if (*resumed || !any) return BNN_OK;
    switch (wanted) {
    case BNN_RUN_REPLACE:
        return remove_run(directory, found, error);
    case BNN_RUN_RESUME:
        return check_same_run(directory, path, config, error);
    default:
        return holds_a_run(path, found, error);
    }
}

static bnn_status open_directory(const char *path, const char *config, bool write_config, bnn_run_found found,
                                 bnn_run_directory *directory, bool *resumed, bnn_error *error)
{
    bnn_status status = bnn_make_directory(path, error);
    if (!status) status = lock(directory, path, error);
    if (!status) bnn_remove_leftovers(path);
    if (!status) status = make_room(directory, path, config, write_config, found, resumed, error);
    if (!status && !*resumed && write_config)
        status = bnn_write_file(directory->config, config, strlen(config), error);
    if (!status && !*resumed) status = bnn_write_file(directory->metrics, "", 0, error);
    return status;
}

bnn_status bnn_run_directory_open(const char *path, const char *config, bool write_config,
                                  bnn_run_found found, bnn_run_directory *directory, bool *resumed,
                                  bnn_error *error)
{
    struct {
        bnn_status status;
        bool resumed;
    } told = {BNN_OK, false};
    bnn_status status = make_paths(directory, path, error);
    if (!status && bnn_rank() == 0)
        status = open_directory(path, config, write_config, found, directory, &told.resumed, error);
    told.status = status;
    bnn_ranks_tell(&told, sizeof told);
    *resumed = told.resumed;
    if (!status && told.status) status = bnn_fail(error, told.status, "%s: not open on rank 0", path);
    if (status) bnn_run_directory_close(directory);
    return status;
}

bnn_status bnn_run_directory_resume(const bnn_run_directory *directory, size_t lines, const char *before,
                                    const char *config, bnn_error *error)
{
    uint8_t *text;
    size_t size;
    bnn_found config_is = BNN_FOUND_NOTHING;
    if (bnn_rank() > 0) return BNN_OK;
    bnn_status status = bnn_keep_lines(directory->metrics, lines, error);
    if (!status) status = bnn_examine(directory->config, &config_is, error);
    if (status || config_is == BNN_FOUND_NOTHING) return status;
    status = bnn_read_file(directory->config, BNN_FILE_MOST, &text, &size, error);
    if (status) return status;
    const bool own = strcmp((const char *)text, before) == 0;
    free(text);
    if (!own || strcmp(before, config) == 0) return BNN_OK;
    return bnn_write_file(directory->config, config, strlen(config), error);
}

void bnn_run_directory_close(bnn_run_directory *directory)
{
    if (directory->descriptor >= 0) close(directory->descriptor);
    directory->descriptor = -1;
}
