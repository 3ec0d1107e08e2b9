#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bnn/blas.h"
#include "cmd.h"

static const subcommand *const commands[] = {&cmd_train,      &cmd_eval,   &cmd_predict, &cmd_score,
                                             &cmd_symmetrize, &cmd_expand, &cmd_check,   &cmd_info};
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

/* OpenBLAS reads OPENBLAS_CORETYPE when it is loaded; on a processor that it does not know, start again with
 * the core that fits. See bnn_blas_better_core. */
static void restart_with_better_core(char **argv)
{
    const char *core = bnn_blas_better_core();
    if (!core || getenv("OPENBLAS_CORETYPE") || setenv("OPENBLAS_CORETYPE", core, 1) != 0) return;
    execv("/proc/self/exe", argv); /* where that fails, the slower kernels serve */
}

/* A message is one line whatever names and keys the user's input put into it. */
static void print_error(bnn_error *error)
{
    const bool says_who = strncmp(error->message, "bnn ", strlen("bnn ")) == 0;
    for (char *c = error->message; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f) *c = '?';
    fprintf(stderr, "%s%s\n", says_who ? "" : "bnn: ", error->message);
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
        fprintf(stderr, "bnn: unknown command '%s' (see bnn --help)\n", argv[1]);
        return BNN_BAD_INPUT;
    }
    restart_with_better_core(argv);
    bnn_blas_single_thread();
    return finish(command->run(command, argc - 1, argv + 1, &error), &error);
}
