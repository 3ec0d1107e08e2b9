/* Manual pages in the language of man(7). */
#include <string.h>

#include "bnn/dataset.h"
#include "bnn/mode.h"
#include "commands/command.h"
#include "commands/help.h"

/* The text as it is, whatever roff would read in it: line ends are blanks, and no line begins with a request. */
static void print_text(const char *text)
{
    for (const char *c = text; *c; c++) {
        const bool first = c == text || c[-1] == '\n';
        if (first && (*c == '.' || *c == '\'')) fputs("\\&", stdout);
        switch (*c) {
        case '\\':
            fputs("\\e", stdout);
            break;
        case '-':
            fputs("\\-", stdout);
            break;
        case '\'':
            fputs("\\(aq", stdout);
            break;
        case '`':
            fputs("\\(ga", stdout);
            break;
        case '^':
            fputs("\\(ha", stdout);
            break;
        case '~':
            fputs("\\(ti", stdout);
            break;
        case ' ':
            if (!first) putchar(' '); /* a line that begins with one would be set apart */
            break;
        default:
            putchar(*c);
        }
    }
}

static void print_line(const char *text)
{
    print_text(text);
    if (!*text || text[strlen(text) - 1] != '\n') putchar('\n');
}

/* An entry of a list: its term in bold, then in italics what is put in its place. */
static void print_term(const char *dashes, const char *name, const char *argument)
{
    fputs(".TP\n\\fB", stdout);
    print_text(dashes);
    print_text(name);
    fputs("\\fR", stdout);
    if (argument) {
        fputs(" \\fI", stdout);
        print_text(argument);
        fputs("\\fR", stdout);
    }
    putchar('\n');
}

static void print_command(const subcommand *command)
{
    printf(".SS bnn %s\n\\fBbnn %s\\fR [\\fIoptions\\fR] \\fI", command->name, command->name);
    print_text(command->operands);
    fputs("\\fR\n.PP\n", stdout);
    print_line(command->summary);
    if (command->details) {
        fputs(".PP\n", stdout);
        print_line(command->details);
    }
    for (const cmd_option *option = command->options; option->name; option++) {
        print_term("--", option->name, option->argument);
        print_line(option->meaning);
    }
}

static void print_environment(void)
{
    static const char *const variables[][2] = {
        {"OMP_NUM_THREADS", "worker threads where --threads is not given"},
        {"OMP_WAIT_POLICY, OPENBLAS_CORETYPE",
         "settings of the libraries; where they are not set, bnn sets what serves it"},
        {"TERM, COLUMNS",
         "progress is shown in place on a terminal whose TERM is set and not dumb; COLUMNS is "
         "its width where it does not tell"},
        {"NO_COLOR", "is kept: bnn prints no colours"},
    };
    fputs(".SH ENVIRONMENT\n", stdout);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        print_term("", variables[i][0], NULL);
        print_line(variables[i][1]);
    }
}

void help_print_man(void)
{
    fputs(".TH BNN 1 \"\" \"bnn " BNN_VERSION
          "\" \"User Commands\"\n.SH NAME\nbnn \\- variational Bayesian neural "
          "networks with exact symmetry\n.SH SYNOPSIS\n\\fBbnn\\fR \\fICOMMAND\\fR [\\fIoptions\\fR] ...\n"
          ".br\n\\fBbnn\\fR \\fB\\-\\-help\\fR | \\fB\\-\\-version\\fR | \\fB\\-V\\fR\n.SH DESCRIPTION\n",
          stdout);
    print_line(HELP_ABOUT);
    print_line(HELP_MODEL);
    print_line(HELP_STANDARD_INPUT);
    fputs(".PP\nEvery command has \\fB\\-\\-help\\fR.\n.SH COMMANDS\n", stdout);
    for (size_t i = 0; cmd_all[i]; i++) print_command(cmd_all[i]);
    fputs(".SH EXIT STATUS\n", stdout);
    print_line(HELP_EXIT_CODES);
    print_environment();
    fputs(".SH SEE ALSO\n.BR bnn\\-config (5)\n", stdout);
}

static void print_key(const bnn_key_help *key)
{
    print_term("", key->path, NULL);
    print_text(key->meaning);
    fputs(" (default ", stdout);
    print_text(key->fallback);
    fputs(")", stdout);
    if (*key->choices) {
        fputs(". One of ", stdout);
        print_text(key->choices);
    }
    if (*key->readers) {
        fputs(". Read with ", stdout);
        print_text(key->readers);
    }
    fputs(".\n", stdout);
}

void help_print_man_config(void)
{
    bnn_key_help key;
    char last[32] = "";
    fputs(".TH BNN\\-CONFIG 5 \"\" \"bnn " BNN_VERSION
          "\" \"File Formats\"\n.SH NAME\nbnn\\-config \\- configuration "
          "of a training of bnn\n.SH DESCRIPTION\n",
          stdout);
    print_line(
        "A configuration is one JSON object. A key with dots is a member of objects within: train.epochs "
        "is epochs of train. Only data.name has to be there; a key that nothing reads is refused. "
        "Relative paths are those seen from the folder of the file.");
    fputs(".PP\n.nf\n", stdout);
    printf("{\"data\": {\"name\": \"");
    print_text(bnn_data_row(0)->name);
    puts("\"}, \"group\": \"C4\", \"train\": {\"epochs\": 10}}");
    fputs(".fi\n.SH KEYS\n", stdout);
    for (size_t i = 0; bnn_config_help(i, bnn_mode_row, &key); i++) {
        const int length = (int)strcspn(key.path, ".");
        if (key.path[length] && strncmp(last, key.path, (size_t)length + 1) != 0) {
            snprintf(last, sizeof last, "%.*s.", length, key.path);
            printf(".SS %.*s\n", length, key.path);
        }
        print_key(&key);
    }
    fputs(".SH SEE ALSO\n.BR bnn (1)\n", stdout);
}
