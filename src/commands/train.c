#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "bnn/io.h"
#include "bnn/mode.h"
#include "bnn/settings.h"
#include "bnn/train.h"
#include "commands/command.h"

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

/* What the callbacks print on: one live line on a terminal, else a line an epoch. */
typedef struct progress {
    bool live;
    double spent; /* seconds in finished epochs */
    bnn_epoch last;
} progress;

static const char *const duration_units[] = {"s", "m", "h"};

static void print_message(void *context, const char *line)
{
    const progress *p = context;
    fprintf(stderr, "%s%s\n", p->live ? "\r\033[K" : "", line);
}

static void format_epoch(const bnn_epoch *e, char *text, size_t size)
{
    snprintf(text, size, "epoch %zu/%zu%s  nll*N %.1f  kl %.1f  beta %.3g  N %zu", e->epoch, e->epochs,
             e->map ? " (w = mu)" : "", e->train_nll * (double)e->n, e->kl, e->kl_weight, e->n);
    if (!e->map)
        bnn_append(text, size, "  objective %.1f  elbo %.1f (N0 %zu)", e->objective, e->elbo, e->n_base);
    bnn_append(text, size, "  acc %.4f", e->train_accuracy);
    if (e->validated)
        bnn_append(text, size, "  val acc %.4f nll %.4f", e->validation_accuracy, e->validation_nll);
    bnn_append(text, size, "  %.0f/s", e->image_samples_per_second);
}

static void print_step(void *context, size_t epoch, size_t epochs, double fraction, double nll)
{
    const progress *p = context;
    char left[32];
    const double done = (double)(epoch - 1);
    if (!p->live) return;
    fprintf(stderr, "\r\033[Kepoch %zu/%zu %3.0f%%  nll %.4f", epoch, epochs, 100 * fraction, nll);
    if (epoch == 1) return; /* the rest is known from the last epoch */
    bnn_duration_text(p->spent / done * ((double)epochs - done - fraction), duration_units, left,
                      sizeof left);
    fprintf(stderr, "  kl %.1f  acc %.4f  %.0f/s  %s left", p->last.kl, p->last.train_accuracy,
            p->last.image_samples_per_second, left);
}

static void print_epoch(void *context, const bnn_epoch *epoch)
{
    progress *p = context;
    char line[256];
    p->spent += epoch->seconds;
    p->last = *epoch;
    format_epoch(epoch, line, sizeof line);
    if (!p->live)
        fprintf(stderr, "%s\n", line);
    else if (epoch->epoch == epoch->epochs || epoch->validated)
        fprintf(stderr, "\r\033[K%s\n", line);
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
static bool may_write_config(const char *out, const char *config)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/config.json", out ? out : ".") >= (int)sizeof path) return false;
    return out ? !bnn_same_file(path, config) : !bnn_file_exists(path);
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bnn_config config;
    bool done;
    progress p = {.live = isatty(STDERR_FILENO)};
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (status || done) return status;
    if (cmd_flag(&line, "keys")) {
        char *keys = bnn_config_help(bnn_mode_row);
        if (!keys) return bnn_no_memory(error, "help", 1, 0);
        printf("  key                                  default      meaning\n%s", keys);
        free(keys);
        return BNN_OK;
    }
    if (line.operand_count == 0)
        return bnn_fail(error, BNN_BAD_INPUT, "bnn train: expected CONFIG.json (see bnn train --help)");
    const char *out = cmd_value(&line, "out");
    bnn_train_options options = {
        .config_name = line.operands[0],
        .sets = line.sets,
        .set_count = line.set_count,
        .directory = out ? out : ".",
        .write_config = may_write_config(out, line.operands[0]),
        .overwrite = cmd_flag(&line, "overwrite"),
        .stop = &stop,
    };
    if (!cmd_flag(&line, "quiet"))
        options.callbacks = (bnn_train_callbacks){&p, print_message, print_step, print_epoch};
    status = cmd_threads(&line, &options.threads, error);
    if (!status) status = bnn_settings_read(line.operands[0], line.sets, line.set_count, &config, error);
    if (status) return status;
    if (cmd_flag(&line, "dry-run")) return print_config(&config, &options, error);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    status = bnn_train(&config, &options, error);
    if (!status && !cmd_flag(&line, "quiet")) fprintf(stderr, "model: %s/model.bin\n", options.directory);
    return status;
}

static const cmd_option options[] = {
    {"set", "KEY=VALUE", "override a key of the configuration (repeatable)"},
    {"out", "DIR", "write config.json, metrics.jsonl, model.bin and checkpoint.bin there (default: .)"},
    {"overwrite", NULL, "replace the run that DIR holds: its files are removed first"},
    {"dry-run", NULL, "check everything, print the config.json that would be written, and exit"},
    CMD_OPTION_THREADS,
    {"quiet", NULL, "no progress"},
    {"keys", NULL, "list every key of a configuration with its default and meaning, and exit"},
    {NULL, NULL, NULL},
};

const subcommand cmd_train = {.name = "train",
                              .operands = "[CONFIG.json]",
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
                                         "and objective are null, since neither is an expectation under q. "
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
                              .run = run};
