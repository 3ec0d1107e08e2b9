/* Completions for bash and zsh: of commands, of options, of the names that an option or a key takes, and of keys. */
#include <string.h>

#include "bnn/dataset.h"
#include "bnn/mode.h"
#include "commands/command.h"
#include "commands/help.h"

/* The words in a list of names, "a|b" or "\"a\", \"b\"", between blanks. */
static void print_words(const char *list)
{
    for (const char *c = list; *c; c++)
        if (*c == '|')
            putchar(' ');
        else if (*c != '"' && *c != ',')
            putchar(*c);
}

static void print_sources(void)
{
    const bnn_row *row;
    for (size_t i = 0; (row = bnn_data_row(i)); i++) printf("%s%s", i ? " " : "", row->name);
}

static bool takes_names(const cmd_option *option)
{
    return option->argument && strchr(option->argument, '|');
}

static bool takes_source(const cmd_option *option)
{
    return strcmp(option->name, "data") == 0 || strcmp(option->name, "ood") == 0;
}

static bool takes_key(const cmd_option *option)
{
    return strcmp(option->name, "set") == 0;
}

/* Calls `print` for each key. */
static void for_keys(void (*print)(const bnn_key_help *key))
{
    bnn_key_help key;
    for (size_t i = 0; bnn_config_help(i, bnn_mode_row, &key); i++) print(&key);
}

/* ---- bash ----------------------------------------------------------------------------------------------- */

static void bash_key(const bnn_key_help *key)
{
    printf(" %s", key->path);
}

/* What stands before = is a word of its own to bash. */
static void bash_values(const bnn_key_help *key)
{
    if (!*key->choices) return;
    printf("    *:%s) words='", key->path);
    print_words(key->choices);
    puts("' ;;");
}

/* The word after an option. */
static void bash_arguments(const subcommand *command)
{
    for (const cmd_option *option = command->options; option->name; option++) {
        if (!takes_names(option) && !takes_source(option) && !takes_key(option)) continue;
        printf("    %s:--%s) ", command->name, option->name);
        if (takes_key(option)) {
            puts("words=$keys suffix='=' ;;");
            continue;
        }
        fputs("words='", stdout);
        if (takes_source(option))
            print_sources();
        else
            print_words(option->argument);
        puts("' ;;");
    }
}

static void bash_options(const subcommand *command)
{
    printf("        %s) words='", command->name);
    for (const cmd_option *option = command->options; option->name; option++) printf("--%s ", option->name);
    puts("--help' ;;");
}

void help_print_bash(void)
{
    puts("# bash completion of bnn, made by `bnn help --as bash`\n_bnn() {\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words='' suffix='' "
         "command=help");
    fputs("    local commands='", stdout);
    for (size_t i = 0; cmd_all[i]; i++) printf("%s ", cmd_all[i]->name);
    fputs("'\n    local keys='", stdout);
    for_keys(bash_key);
    puts("'\n    [ \"$COMP_CWORD\" -gt 1 ] && command=${COMP_WORDS[1]}\n"
         "    if [ \"$cur\" = = ]; then\n        cur=''\n"
         "    elif [ \"$prev\" = = ]; then\n        prev=${COMP_WORDS[COMP_CWORD - 2]}\n    fi\n"
         "    case $command:$prev in");
    for (size_t i = 0; cmd_all[i]; i++) bash_arguments(cmd_all[i]);
    for_keys(bash_values);
    puts("    *)\n        case $cur:$command in\n        -*:help) words='--help --version --as' ;;\n"
         "        [!-]*:help | :help) words=$commands ;;\n        -*) case $command in");
    for (size_t i = 0; cmd_all[i]; i++)
        if (cmd_all[i] != &cmd_help) bash_options(cmd_all[i]);
    puts("        esac ;;\n        esac ;;\n    esac\n"
         "    [ -n \"$suffix\" ] && compopt -o nospace 2> /dev/null\n"
         "    COMPREPLY=($(compgen -W \"$words\" -S \"$suffix\" -- \"$cur\"))\n}\n"
         "complete -o default -F _bnn bnn");
}

/* ---- zsh ------------------------------------------------------------------------------------------------ */

/* The text within single quotes, as a description or message of _arguments and _describe. */
static void zsh_text(const char *text)
{
    for (const char *c = text; *c; c++) {
        if (strchr("[]:\\", *c)) putchar('\\');
        fputs(*c == '\'' ? "'\\''" : (char[]){*c, '\0'}, stdout);
    }
}

static void zsh_key(const bnn_key_help *key)
{
    printf("        '%s'\n", key->path);
}

static void zsh_option(const cmd_option *option)
{
    printf("            '%s--%s%s[", takes_key(option) ? "*" : "", option->name, option->argument ? "=" : "");
    zsh_text(option->meaning);
    putchar(']');
    if (option->argument) {
        putchar(':');
        zsh_text(option->argument);
        putchar(':');
    }
    if (takes_names(option) || takes_source(option)) {
        putchar('(');
        if (takes_source(option))
            print_sources();
        else
            print_words(option->argument);
        putchar(')');
    } else if (takes_key(option))
        fputs("->key", stdout);
    else if (option->argument)
        fputs("_files", stdout);
    puts("' \\");
}

static void zsh_command(const subcommand *command)
{
    printf("    %s)\n        _arguments \\\n", command->name);
    for (const cmd_option *option = command->options; option->name; option++) zsh_option(option);
    printf("            '--help[print this and exit]' \\\n            '*:%s' ;;\n",
           command == &cmd_help ? "command:->command" : "file:_files");
}

void help_print_zsh(void)
{
    puts("#compdef bnn\n# zsh completion of bnn, made by `bnn help --as zsh`\n_bnn() {\n"
         "    local state curcontext=$curcontext\n    local -a commands keys\n    typeset -A opt_args\n"
         "    commands=(");
    for (size_t i = 0; cmd_all[i]; i++) {
        printf("        '%s:", cmd_all[i]->name);
        zsh_text(cmd_all[i]->summary);
        puts("'");
    }
    puts("    )\n    keys=(");
    for_keys(zsh_key);
    puts("    )\n    if ((CURRENT == 2)); then\n        _describe command commands\n        return\n    fi\n"
         "    shift words\n    ((CURRENT--))\n    case $words[1] in");
    for (size_t i = 0; cmd_all[i]; i++) zsh_command(cmd_all[i]);
    puts("    esac\n    case $state in\n    key) compadd -S = -a keys ;;\n    command) _describe command "
         "commands ;;\n"
         "    esac\n}\n_bnn \"$@\"");
}
