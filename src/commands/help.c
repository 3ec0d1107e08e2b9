#include "commands/help.h"

#include "commands/command.h"

void help_print_usage(FILE *stream)
{
    fprintf(stream, "usage: bnn COMMAND [options] ...\n\n" HELP_ABOUT "\n\n");
    for (size_t i = 0; cmd_all[i]; i++)
        fprintf(stream, "  %-11s %s\n", cmd_all[i]->name, cmd_all[i]->summary);
    fprintf(stream, "\nbnn COMMAND --help tells the options of a command; bnn --version the "
                    "version.\n" HELP_STANDARD_INPUT "\n" HELP_EXIT_CODES "\n");
}

static const char *const forms[] = {"man", "man-config", "bash", "zsh", NULL};
static void (*const printers[])(void) = {help_print_man, help_print_man_config, help_print_bash,
                                         help_print_zsh};

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bool done;
    int form;
    const subcommand *about;
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (!status) status = cmd_choice(&line, "as", forms, -1, &form, error);
    if (status || done) return status;
    if (form >= 0 && line.operand_count)
        return bnn_fail(error, BNN_BAD_INPUT, "bnn help: --as: is about all commands, expected none");
    if (form >= 0)
        printers[form]();
    else if (line.operand_count == 0)
        help_print_usage(stdout);
    else if (!(status = cmd_find(line.operands[0], &about, error)))
        cmd_print_help(about);
    return status;
}

static const cmd_option options[] = {
    {"as", "man|man-config|bash|zsh",
     "the manuals of commands and of configuration keys as roff, or completions"},
    {NULL, NULL, NULL},
};

const subcommand cmd_help = {.name = "help",
                             .operands = "[COMMAND]",
                             .summary = "tell about all commands, or the options of one",
                             .options = options,
                             .run = run};
