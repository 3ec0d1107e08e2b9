#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bnn/io.h"
#include "bnn/mode.h"
#include "bnn/ranks.h"
#include "bnn/settings.h"
#include "bnn/train.h"
#include "commands/command.h"
#include "commands/terminal.h"

static volatile sig_atomic_t stop; /* the signal that asks for the end */

static void on_signal(int number)
{
    stop = number;
}

/* The first of these lets the step finish and writes a checkpoint; the next ends the program at once. SIGUSR1 is Slurm's word
 * before it takes the machine away. */
static void catch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction before;
        const bool ignored = sigaction(signals[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN;
        if (signals[i] != SIGHUP || !ignored) sigaction(signals[i], &action, NULL); /* nohup means it */
    }
}

/* What the callbacks print on: one live line on a terminal, else a line an epoch. */
typedef struct progress {
    live_line line;
    double spent; /* seconds in finished epochs */
    bnn_epoch last;
} progress;

static const char *const duration_units[] = {"s", "m", "h"};

static void print_message(void *context, const char *line)
{
    progress *p = context;
    live_line_print(&p->line, line);
}

static void format_epoch(const bnn_epoch *e, char *text, size_t size)
{
    snprintf(text, size, "epoch %zu/%zu%s  nll*N %.1f", e->epoch, e->epochs, e->map ? " (w = mu)" : "",
             e->train_nll * (double)e->n);
    if (isfinite(e->kl)) bnn_append(text, size, "  kl %.1f", e->kl);
    bnn_append(text, size, "  beta %.3g  N %zu", e->kl_weight, e->n);
    if (isfinite(e->objective))
        bnn_append(text, size, "  objective %.1f  elbo %.1f (N0 %zu)", e->objective, e->elbo, e->n_base);
    bnn_append(text, size, "  acc %.4f", e->train_accuracy);
    if (e->validated)
        bnn_append(text, size, "  val acc %.4f nll %.4f", e->validation_accuracy, e->validation_nll);
    bnn_append(text, size, "  %.0f/s", e->image_samples_per_second);
}

static void print_step(void *context, size_t epoch, size_t epochs, double fraction, double nll)
{
    progress *p = context;
    char text[256] = "", left[32];
    const double done = (double)(epoch - 1);
    if (!p->line.live) return;
    bnn_append(text, sizeof text, "epoch %zu/%zu %3.0f%%  nll %.4f", epoch, epochs, 100 * fraction, nll);
    if (epoch > 1) { /* the rest is known from the last epoch */
        bnn_duration_text(p->spent / done * ((double)epochs - done - fraction), duration_units, left,
                          sizeof left);
        if (isfinite(p->last.kl)) bnn_append(text, sizeof text, "  kl %.1f", p->last.kl);
        bnn_append(text, sizeof text, "  acc %.4f  %.0f/s  %s left", p->last.train_accuracy,
                   p->last.image_samples_per_second, left);
    }
    live_line_show(&p->line, text);
}

static void print_epoch(void *context, const bnn_epoch *epoch)
{
    progress *p = context;
    char line[256];
    p->spent += epoch->seconds;
    p->last = *epoch;
    format_epoch(epoch, line, sizeof line);
    if (!p->line.live || epoch->epoch == epoch->epochs || epoch->validated) live_line_print(&p->line, line);
}

/* --keys. */
static void print_keys(void)
{
    bnn_key_help key;
    printf("  %-36s %-12s %s\n", "key", "default", "meaning");
    for (size_t i = 0; bnn_config_help(i, bnn_mode_row, &key); i++) {
        printf("  %-36s %-12s %s", key.path, key.fallback, key.meaning);
        if (*key.choices) printf(" (%s)", key.choices);
        if (*key.readers) printf(" [%s]", key.readers);
        putchar('\n');
    }
}

/* --dry-run. */
static bnn_status print_config(const bnn_config *config, const bnn_train_options *options, bnn_error *error)
{
    char *text;
    bnn_status status = bnn_train_dry_run(config, options, &text, error);
    if (!status) puts(text);
    free(text);
    return status;
}

/* Without --out the run is written beside where the user works; a config.json that is there already is never
 * replaced then, and a configuration is never replaced by its own resolved form (model.bin holds that too).
 */
static bnn_status may_write_config(const char *out, const char *config, bool *may, bnn_error *error)
{
    char path[4096];
    bool same = false;
    bnn_found found = BNN_FOUND_NOTHING;
    *may = snprintf(path, sizeof path, "%s/config.json", out ? out : ".") < (int)sizeof path;
    if (!*may) return BNN_OK;
    const bnn_status status =
        out ? bnn_same_file(path, config, &same, error) : bnn_examine(path, &found, error);
    *may = !same && found == BNN_FOUND_NOTHING;
    return status;
}

/* The configuration and the directory of a run; `config` is room for the path of one. A directory in the place of the configuration is
 * a run to be resumed. */
static bnn_status find_run(const cmd_line *line, char *config, size_t size, bnn_train_options *options,
                           bnn_error *error)
{
    const char *out = cmd_value(line, "out"), *operand = line->operands[0];
    bnn_found found;
    bool same = true;
    bnn_status status = bnn_examine(operand, &found, error);
    const bool directory = found == BNN_FOUND_DIRECTORY;
    if (!status && directory && out) status = bnn_same_file(operand, out, &same, error);
    if (status) return status;
    if (options->resume && (options->overwrite || cmd_flag(line, "dry-run")))
        return bnn_fail(error, BNN_BAD_INPUT, "--resume: found with %s, expected one of them",
                        options->overwrite ? "--overwrite" : "--dry-run");
    if (directory && !options->resume)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: is a directory, expected a configuration, or a run with --resume", operand);
    if (!same)
        return bnn_fail(error, BNN_BAD_INPUT, "--out: found %s, expected the run that is resumed, %s", out,
                        operand);
    if (snprintf(config, size, "%s%s", operand, directory ? "/config.json" : "") >= (int)size)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: the path is too long", operand);
    options->config_name = bnn_input_name(config);
    options->directory = directory ? operand : out ? out : ".";
    return may_write_config(directory ? operand : out, config, &options->write_config, error);
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bnn_config config;
    char path[4096];
    bool done;
    progress p = {.line = live_line_open(0)};
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (status || done) return status;
    if (cmd_flag(&line, "keys")) {
        print_keys();
        return BNN_OK;
    }
    if (line.operand_count == 0)
        return bnn_fail(error, BNN_BAD_INPUT, "bnn train: expected CONFIG.json (see bnn train --help)");
    if (cmd_value(&line, "out") && strcmp(cmd_value(&line, "out"), "-") == 0)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "bnn train: --out: found - (standard output), expected a folder: ./- is one");
    bnn_train_options options = {
        .sets = line.sets,
        .set_count = line.set_count,
        .overwrite = cmd_flag(&line, "overwrite"),
        .resume = cmd_flag(&line, "resume"),
        .stop = bnn_rank() == 0 ? &stop : NULL,
    };
    if (!cmd_flag(&line, "quiet") && bnn_rank() == 0)
        options.callbacks = (bnn_train_callbacks){&p, print_message, print_step, print_epoch};
    status = cmd_threads(&line, &options.threads, error);
    if (!status) status = find_run(&line, path, sizeof path, &options, error);
    if (!status) status = bnn_settings_read(path, line.sets, line.set_count, &config, error);
    if (status) return status;
    if (cmd_flag(&line, "dry-run")) return print_config(&config, &options, error);
    catch_signals();
    status = bnn_train(&config, &options, error);
    live_line_clear(&p.line);
    if (status == BNN_INTERRUPTED && stop) status = (bnn_status)(128 + stop); /* as shells have it */
    if (!status && options.callbacks.message) fprintf(stderr, "model: %s/model.bin\n", options.directory);
    return status;
}

static const cmd_option options[] = {
    {"set", "KEY=VALUE", "override a key of the configuration (repeatable)"},
    {"out", "DIR", "write config.json, metrics.jsonl, model.bin and checkpoint.bin there (default: .)"},
    {"overwrite", NULL, "replace the run that DIR holds: its files are removed first"},
    {"resume", NULL,
     "go on with the run that DIR, or the operand, holds, from its last checkpoint to the same bits"},
    {"dry-run", NULL, "check everything, print the config.json that would be written, and exit"},
    CMD_OPTION_THREADS,
    {"quiet", NULL, "no progress"},
    {"keys", NULL, "list every key of a configuration with its default and meaning, and exit"},
    {NULL, NULL, NULL},
};

const subcommand cmd_train = {.name = "train",
                              .operands = "[CONFIG.json|DIR]",
                              .summary = "train a network as a configuration says",
                              .details = "metrics.jsonl has a line an epoch. train_nll: nats, the mean over "
                                         "items and draws, by the mode's own average over\n"
                                         "views; kl: nats, never rescaled; kl_weight: beta; n: items that "
                                         "the objective counts (|G| N0 with augmentation);\n"
                                         "n_base: N0, the base images. objective: -train_nll n - kl, what "
                                         "the mode maximises where beta is 1/n. data_nll:\n"
                                         "that of every image once, the same unless data.balance weighs or "
                                         "samples. elbo:\n"
                                         "-data_nll n_base - kl, the same at N0 whatever the mode, as `bnn "
                                         "eval` reports it; elbo_per_example: elbo / n_base.\n"
                                         "Both pair the mean train_nll of the epoch's steps, which q has "
                                         "left behind, with the kl at its end. map: whether it\n"
                                         "was one of train.map_epochs, at w = mu: train_nll and the "
                                         "validation's figures are then those of w = mu, and elbo\n"
                                         "and objective are null, since neither is an expectation under q; "
                                         "of a point they and kl always are. "
                                         "layers: kl, and sigma_over_prior, the mean of\n"
                                         "sigma/s (1 at the prior, near 0 where the variance vanishes).\n"
                                         "symmetrization, where the epoch began with the mode's step on a "
                                         "trained q: elbo_before and elbo_after "
                                         "it (at N0, on\n"
                                         "`images` training images with eval.samples draws), "
                                         "elbo_change_per_example, kl_before and kl_after.\n"
                                         "With data.augment, train_nll, train_accuracy and elbo are about "
                                         "the warped images; `bnn eval` warps none.\n",
                              .options = options,
                              .shared = true,
                              .run = run};
