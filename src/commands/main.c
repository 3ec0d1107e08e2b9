#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "bnn/blas.h"
#include "commands/command.h"

static const subcommand *const commands[] = {&cmd_train,      &cmd_eval,   &cmd_predict,  &cmd_score,
                                             &cmd_symmetrize, &cmd_expand, &cmd_show,     &cmd_report,
                                             &cmd_check,      &cmd_info,   &cmd_calibrate};
static const size_t command_count = sizeof commands / sizeof *commands;

static void print_usage(FILE *stream)
{
    fprintf(stream,
            "usage: bnn COMMAND [options] ...\n\n"
            "Trains and evaluates variational Bayesian neural networks and makes them symmetric.\n\n");
    for (size_t i = 0; i < command_count; i++)
        fprintf(stream, "  %-11s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(stream, "\nbnn COMMAND --help tells the options of a command; bnn --version the version.\n"
                    "Exit codes: 0 done, 1 failed, 2 wrong usage or bad input, 130 interrupted.\n");
}

static const subcommand *find_command(const char *name)
{
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

static bnn_status unknown_command(const char *name, bnn_error *error)
{
    bnn_choices choices = bnn_choices_for(name);
    for (size_t i = 0; i < command_count; i++) bnn_choices_add(&choices, commands[i]->name);
    return bnn_fail(error, BNN_BAD_INPUT, "unknown command '%s'%s%s%s (see bnn --help)", name,
                    choices.nearest ? ", did you mean '" : "", choices.nearest ? choices.nearest : "",
                    choices.nearest ? "'?" : "");
}

/* Two libraries read their settings when they are loaded, so a setting that the user has not made takes a new start.
 * OPENBLAS_CORETYPE: on a processor that OpenBLAS does not know, the core that fits (bnn_blas_better_core).
 * OMP_WAIT_POLICY: threads that wait sleep instead of spinning, which on a shared machine costs others nothing and on
 * an idle one next to nothing, as a training step has two barriers. */
static void restart_with_settings(char **argv)
{
    const char *core = bnn_blas_better_core();
    bool changed = false;
    if (core && !getenv("OPENBLAS_CORETYPE")) changed = setenv("OPENBLAS_CORETYPE", core, 1) == 0;
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
    cmd_print_message(says_who ? "" : "bnn: ", error->message);
}

/* The exit code, once what was printed has arrived. */
static int finish(bnn_status status, bnn_error *error)
{
    if ((fflush(stdout) != 0 || ferror(stdout)) && !status)
        status = bnn_fail(error, BNN_FAILED, "standard output: cannot be written");
    if (error->message[0]) print_error(error);
    return (int)status;
}

int main(int argc, char **argv)
{
    bnn_error error = {BNN_OK, ""};
    restart_with_settings(argv);
    cJSON_InitHooks(&(cJSON_Hooks){json_memory, free});
    if (argc < 2) {
        print_usage(stderr);
        return BNN_BAD_INPUT;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return finish(BNN_OK, &error);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("bnn %s (%s, OpenBLAS core %s)\n", BNN_VERSION, BNN_REAL_NAME, bnn_blas_core());
        return finish(BNN_OK, &error);
    }
    const subcommand *command = find_command(argv[1]);
    if (!command) {
        return finish(unknown_command(argv[1], &error), &error);
    }
    bnn_blas_single_thread();
    return finish(command->run(command, argc - 1, argv + 1, &error), &error);
}
