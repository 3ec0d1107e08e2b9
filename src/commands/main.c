#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/text.h"
#include "bnn/blas.h"
#include "bnn/ranks.h"
#include "commands/command.h"
#include "commands/help.h"

const subcommand *const cmd_all[] = {&cmd_train,      &cmd_eval,   &cmd_predict, &cmd_score,  &cmd_calibrate,
                                     &cmd_symmetrize, &cmd_expand, &cmd_show,    &cmd_report, &cmd_compare,
                                     &cmd_check,      &cmd_info,   &cmd_export,  &cmd_help,   NULL};

bnn_status cmd_find(const char *name, const subcommand **command, bnn_error *error)
{
    bnn_choices choices = bnn_choices_for(name);
    for (size_t i = 0; cmd_all[i]; i++) {
        *command = cmd_all[i];
        if (strcmp(cmd_all[i]->name, name) == 0) return BNN_OK;
        bnn_choices_add(&choices, cmd_all[i]->name);
    }
    return bnn_fail(error, BNN_BAD_INPUT, "unknown command '%s'%s%s%s (see bnn --help)", name,
                    choices.nearest ? ", did you mean '" : "", choices.nearest ? choices.nearest : "",
                    choices.nearest ? "'?" : "");
}

/* Two libraries read their settings when they are loaded, so a setting that the user has not made takes a new start.
 * OPENBLAS_NUM_THREADS is 1 whatever the user has set: products run on our threads (bnn_blas_single_thread), and its own, which
 * start before main, each ask for 128 MiB, for ever where ulimit -v has not as much.
 * OPENBLAS_CORETYPE: on a processor that OpenBLAS does not know, the core that fits (bnn_blas_better_core).
 * OMP_WAIT_POLICY: threads that wait sleep instead of spinning, which on a shared machine costs others nothing and on
 * an idle one next to nothing, as a training step has two barriers. */
static void restart_with_settings(char **argv)
{
    const char *core = bnn_blas_better_core();
    const char *threads = getenv("OPENBLAS_NUM_THREADS");
    bool changed = (!threads || strcmp(threads, "1") != 0) && setenv("OPENBLAS_NUM_THREADS", "1", 1) == 0;
    if (core && !getenv("OPENBLAS_CORETYPE")) changed = setenv("OPENBLAS_CORETYPE", core, 1) == 0 || changed;
    if (!getenv("OMP_WAIT_POLICY")) changed = setenv("OMP_WAIT_POLICY", "passive", 1) == 0 || changed;
    if (changed) execv("/proc/self/exe", argv); /* where that fails, the slower settings serve */
}

/* cJSON's memory. It takes a failed allocation for a syntax error when it reads, and leaves members out when it writes, so
 * none may fail: files are written whole or not at all, and so ending here loses nothing that another place would save. */
static void *json_memory(size_t size)
{
    void *memory = malloc(size);
    if (memory) return memory;
    fputs("bnn: out of memory for JSON\n", stderr);
    exit(BNN_FAILED);
}

static void print_error(bnn_error *error)
{
    const bool says_who = strncmp(error->message, "bnn ", strlen("bnn ")) == 0;
    cmd_print_error(says_who ? "" : "bnn: ", error->message);
}

/* The exit code, once what was printed has arrived. */
static int finish(bnn_status status, bnn_error *error)
{
    if ((fflush(stdout) != 0 || ferror(stdout)) && !status)
        status = bnn_fail(error, BNN_FAILED, "standard output: cannot be written");
    const bool together = bnn_ranks_meet(&status, error);
    if (error->message[0]) print_error(error);
    if (!together) bnn_ranks_abort(status);
    bnn_ranks_leave();
    return (int)status;
}

/* The word that stands where a command does, or a command that an option stands for. */
static const char *command_word(const char *word)
{
    const bool help = strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
    return help ? cmd_help.name : word;
}

/* The ranks that a command line has work for. */
static void begin_ranks(int argc, char **argv)
{
    const subcommand *command;
    bnn_ranks_begin();
    if (argc < 2 || cmd_find(argv[1], &command, NULL) || !command->shared) bnn_ranks_part();
    if (bnn_rank() > 0 && !freopen("/dev/null", "w", stdout)) bnn_ranks_abort(BNN_FAILED);
}

/* That ranks are the same program, on machines that compute alike, and asked for the same. */
static bnn_status agree(int argc, char **argv, bnn_error *error)
{
    char text[4096] = "";
    bnn_append(text, sizeof text, "%s (%s, %s, OpenBLAS core %s)", BNN_VERSION, BNN_REAL_NAME, bnn_isa(),
               bnn_blas_core());
    const bnn_status status = bnn_ranks_agree("version", text, error);
    if (status) return status;
    *text = '\0';
    for (int i = 1; i < argc; i++) bnn_append(text, sizeof text, "%s%s", i > 1 ? " " : "", argv[i]);
    return bnn_ranks_agree("command line", text, error);
}

int main(int argc, char **argv)
{
    bnn_error error = {BNN_OK, ""};
    const subcommand *command;
    restart_with_settings(argv);
    signal(SIGPIPE, SIG_IGN); /* writing then fails with a message */
    signal(SIGXFSZ, SIG_IGN);
    cJSON_InitHooks(&(cJSON_Hooks){json_memory, free});
    begin_ranks(argc, argv);
    if (argc < 2) {
        help_print_usage(stderr);
        return BNN_BAD_INPUT;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("bnn %s (%s, OpenBLAS core %s)\n", BNN_VERSION, BNN_REAL_NAME, bnn_blas_core());
        return finish(BNN_OK, &error);
    }
    if (cmd_find(command_word(argv[1]), &command, &error)) return finish(error.status, &error);
    bnn_blas_single_thread();
    bnn_status status = agree(argc, argv, &error);
    if (!status) status = command->run(command, argc - 1, argv + 1, &error);
    return finish(status, &error);
}
