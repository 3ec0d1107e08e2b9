/* Runs the program that BNN names, as a user would, and keeps what it printed. */
#ifndef BNN_TESTS_PROGRAM_H
#define BNN_TESTS_PROGRAM_H

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "files.h"

extern char **environ;

typedef struct program_run {
    int code; /* exit code; 128 + the signal that ended it */
    char out[1 << 18], err[1 << 14];
} program_run;

static char program_path[PATH_MAX];
static char program_out[128], program_err[128]; /* the files that take its output */
static const char *program_in; /* the file that it reads as standard input; NULL: the test's own */

static inline int find_program(void)
{
    const char *name = getenv("BNN");
    if (name && realpath(name, program_path) && access(program_path, X_OK) == 0) return 0;
    fprintf(stderr, "BNN: expected the path of the program to test\n");
    return -1;
}

/* Starts `bnn arguments...` in `directory` (NULL: here), its output going to files. */
static inline pid_t start_program(const char *directory, const char *const *arguments)
{
    const char *argv[40] = {program_path};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes; /* signals as they are by default, also where the tests run under nohup */
    sigset_t all;
    pid_t pid;
    size_t n = 1;
    for (; arguments[n - 1]; n++) {
        assert_true(n + 1 < sizeof argv / sizeof *argv);
        argv[n] = arguments[n - 1];
    }
    snprintf(program_out, sizeof program_out, "%s/stdout", temporary_directory);
    snprintf(program_err, sizeof program_err, "%s/stderr", temporary_directory);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, program_out, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    posix_spawn_file_actions_addopen(&actions, 2, program_err, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (program_in) posix_spawn_file_actions_addopen(&actions, 0, program_in, O_RDONLY, 0);
    if (directory) posix_spawn_file_actions_addchdir_np(&actions, directory);
    sigfillset(&all);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    assert_int_equal(posix_spawn(&pid, program_path, &actions, &attributes, (char *const *)argv, environ), 0);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

/* Waits for it; the run it gives back is overwritten by the next. */
static inline const program_run *finish_program(pid_t pid)
{
    static program_run run;
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    run.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    run.out[get_file(program_out, run.out, sizeof run.out - 1)] = '\0';
    run.err[get_file(program_err, run.err, sizeof run.err - 1)] = '\0';
    return &run;
}

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define bnn_run(...) finish_program(start_program(NULL, ARGUMENTS(__VA_ARGS__)))

/* It ended well. */
static inline const program_run *succeeded(const program_run *run)
{
    if (run->code != 0) fail_msg("exit code %d: %s", run->code, run->err);
    return run;
}

/* It ended with the code and exactly one line on standard error that holds every text of the list. */
#define assert_one_line(run, code, ...) check_one_line(run, code, ARGUMENTS(__VA_ARGS__))

static inline void check_one_line(const program_run *run, int code, const char *const *texts)
{
    const char *newline = strchr(run->err, '\n');
    if (run->code != code) fail_msg("exit code %d, expected %d: %s", run->code, code, run->err);
    if (!newline || newline[1] || newline == run->err) fail_msg("expected one line: %s", run->err);
    assert_string_equal(run->out, "");
    for (; *texts; texts++)
        if (!strstr(run->err, *texts)) fail_msg("\"%s\" does not say \"%s\"", run->err, *texts);
}

/* The one JSON object on standard output; nothing else may stand there. */
static inline cJSON *json_of(const program_run *run)
{
    cJSON *json = cJSON_ParseWithOpts(succeeded(run)->out, NULL, 1);
    if (!cJSON_IsObject(json)) fail_msg("not one JSON object: %.200s", run->out);
    return json;
}

/* The member at a path with dots. */
static inline const cJSON *member(const cJSON *json, const char *path)
{
    char part[64];
    const char *whole = path;
    for (const char *dot; (dot = strchr(path, '.')); path = dot + 1) {
        snprintf(part, sizeof part, "%.*s", (int)(dot - path), path);
        json = cJSON_GetObjectItemCaseSensitive(json, part);
    }
    json = cJSON_GetObjectItemCaseSensitive(json, path);
    if (!json) fail_msg("no %s", whole);
    return json;
}

static inline double figure(const cJSON *json, const char *path)
{
    const cJSON *value = member(json, path);
    if (!cJSON_IsNumber(value)) fail_msg("%s is no number", path);
    return value->valuedouble;
}

#endif
