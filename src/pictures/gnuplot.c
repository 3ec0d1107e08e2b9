#include "pictures/gnuplot.h"

#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bnn/picture.h"

extern char **environ;

void gnuplot_quote(FILE *script, const char *text)
{
    fputc('\'', script);
    for (; *text; text++) {
        if (*text == '\'') fputc('\'', script);
        fputc(*text, script);
    }
    fputc('\'', script);
}

/* Its standard streams: files without a name, which end with this process whatever happens. */
typedef struct streams {
    FILE *in, *out, *err;
} streams;

static void close_streams(streams *s)
{
    if (s->in) fclose(s->in);
    if (s->out) fclose(s->out);
    if (s->err) fclose(s->err);
}

static bnn_status open_streams(streams *s, const char *script, size_t size, bnn_error *error)
{
    *s = (streams){tmpfile(), tmpfile(), tmpfile()};
    if (s->in && s->out && s->err && fwrite(script, 1, size, s->in) == size && fflush(s->in) == 0 &&
        fseek(s->in, 0, SEEK_SET) == 0)
        return BNN_OK;
    return bnn_fail(error, BNN_FAILED, "gnuplot: cannot write a temporary file: %s", strerror(errno));
}

static bnn_status wait_for(pid_t pid, int *status, bnn_error *error)
{
    while (waitpid(pid, status, 0) < 0)
        if (errno != EINTR) return bnn_fail(error, BNN_FAILED, "gnuplot: cannot wait: %s", strerror(errno));
    return BNN_OK;
}

/* What it said, in its first line that says something. */
static bnn_status complaint(FILE *err, int status, bnn_error *error)
{
    char line[256] = "";
    rewind(err);
    while (!line[strspn(line, " \t^\n")] && fgets(line, sizeof line, err)) {
    }
    line[strcspn(line, "\n")] = '\0';
    return bnn_fail(error, BNN_FAILED, "gnuplot: ended with %d: %s", status, line);
}

static bnn_status run_in(const streams *s, bnn_error *error)
{
    char *const arguments[] = {"gnuplot", "-d", NULL}; /* -d: not the user's own settings */
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int failure = posix_spawn_file_actions_init(&actions), status;
    if (failure) return bnn_fail(error, BNN_FAILED, "gnuplot: cannot be started: %s", strerror(failure));
    failure = posix_spawn_file_actions_adddup2(&actions, fileno(s->in), STDIN_FILENO);
    if (!failure) failure = posix_spawn_file_actions_adddup2(&actions, fileno(s->out), STDOUT_FILENO);
    if (!failure) failure = posix_spawn_file_actions_adddup2(&actions, fileno(s->err), STDERR_FILENO);
    if (!failure) failure = posix_spawnp(&pid, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failure == ENOENT)
        return bnn_fail(error, BNN_FAILED,
                        "gnuplot: found no such program, which draws the pictures (Debian: gnuplot-nox)");
    if (failure) return bnn_fail(error, BNN_FAILED, "gnuplot: cannot be started: %s", strerror(failure));
    const bnn_status waited = wait_for(pid, &status, error);
    return waited || status == 0 ? waited : complaint(s->err, status, error);
}

/* All that was drawn, and a zero byte. */
static bnn_status take(FILE *drawn, uint8_t **bytes, size_t *size, bnn_error *error)
{
    const long length = fseek(drawn, 0, SEEK_END) ? -1 : ftell(drawn);
    if (length <= 0) return bnn_fail(error, BNN_FAILED, "gnuplot: drew nothing");
    rewind(drawn);
    uint8_t *copy = bnn_alloc((size_t)length + 1, 1);
    if (!copy) return bnn_no_memory(error, "a picture", (size_t)length, 1);
    if (fread(copy, 1, (size_t)length, drawn) != (size_t)length) {
        free(copy);
        return bnn_fail(error, BNN_FAILED, "gnuplot: cannot read what it drew");
    }
    *bytes = copy;
    *size = (size_t)length;
    return BNN_OK;
}

bnn_status gnuplot_run(const char *script, size_t size, uint8_t **drawn, size_t *drawn_size, bnn_error *error)
{
    streams s;
    *drawn = NULL;
    bnn_status status = open_streams(&s, script, size, error);
    if (!status) status = run_in(&s, error);
    if (!status) status = take(s.out, drawn, drawn_size, error);
    close_streams(&s);
    return status;
}

bnn_status bnn_pictures_check(bnn_error *error)
{
    static const char script[] = "set print '-'\nprint GPVAL_VERSION\n";
    uint8_t *version;
    size_t size;
    const bnn_status status = gnuplot_run(script, strlen(script), &version, &size, error);
    free(version);
    return status;
}
