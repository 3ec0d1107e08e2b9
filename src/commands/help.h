/* What the tables of commands, options and keys say, in the form that a reader has: a person, man, or a shell. */
#ifndef BNN_SRC_HELP_H
#define BNN_SRC_HELP_H

#include <stdio.h>

/* The first lines of help, and what MODEL stands for. */
#define HELP_ABOUT "Trains and evaluates variational Bayesian neural networks and makes them symmetric."
#define HELP_EXIT_CODES                                                                                      \
    "Exit codes: 0 done, 1 failed, 2 wrong usage or bad input, 130 interrupted\n"                            \
    "(by SIGTERM 143, SIGHUP 129, SIGUSR1 138)."
#define HELP_MODEL "MODEL is a model file, or the directory of a run, which has its model.bin."
#define HELP_STANDARD_INPUT                                                                                  \
    "A file named - is standard input, and for --out standard output. Paths in a configuration from there "  \
    "are relative to\nthe current folder."

void help_print_usage(FILE *stream);

/* Manual pages as roff: bnn.1 and bnn-config.5. */
void help_print_man(void);
void help_print_man_config(void);

/* Completions, as bash and zsh load them. */
void help_print_bash(void);
void help_print_zsh(void);

#endif
