/* Training: wires data, mode, engine and optimiser, and writes a run's directory.
 * Prints nothing: what happens is reported through callbacks. */
#ifndef BNN_TRAIN_H
#define BNN_TRAIN_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "bnn/config.h"
#include "bnn/status.h"

/* What a mode's trigger changed, right before and right after it: the ELBO at N0 (nats), estimated on `images` training images, as
 * they are, with eval.samples draws; and the KL. */
typedef struct bnn_change {
    size_t images; /* 0: nothing was changed, or only what had not been trained */
    double elbo_before, elbo_after, kl_before, kl_after;
} bnn_change;

/* What an epoch gave: a line of metrics.jsonl. */
typedef struct bnn_epoch {
    size_t epoch, epochs; /* epoch counts from 1 */
    size_t stage;         /* 1 before the mode's trigger, 2 after it; 1 for modes without one */
    bool map;             /* one of train.map_epochs: at w = mu, before sigma is trained */
    size_t n, n_base;     /* items the objective counts, and base images */
    double
        train_nll; /* mean over samples and items, nats, weighted as data.balance says; with map, at w = mu */
    double data_nll;      /* the same as an estimate for the data as it is: each image once, unweighted */
    double kl, kl_weight; /* nats, never rescaled; beta */
    double objective;     /* -train_nll n - kl, nats: what the mode maximises where kl_weight is 1/n */
    double
        elbo; /* -data_nll n_base - kl, nats; both pair the epoch's mean likelihood with its end's kl. With map, both are
                    NaN: the likelihood at w = mu is not the expectation under q that they are made of */
    double train_accuracy;
    bool validated;
    double validation_accuracy, validation_nll;                   /* with map, of w = mu */
    double validation_balanced_accuracy, validation_balanced_nll; /* means over classes */
    double learning_rate, gradient_norm; /* the norm: mean over the epoch's steps, before clipping */
    double seconds, image_samples_per_second;
    bnn_change change; /* that the epoch began with */
} bnn_epoch;

typedef struct bnn_train_callbacks {
    void *context;
    /* NULL where nobody listens */
    void (*message)(void *context, const char *line);
    void (*step)(void *context, size_t epoch, size_t epochs, double fraction_of_epoch, double nll);
    void (*epoch)(void *context, const bnn_epoch *epoch);
} bnn_train_callbacks;

typedef struct bnn_train_options {
    const char *config_name; /* put before messages about the configuration and its data; NULL: nothing */
    const char *const *sets; /* (set_count) what --set changed in it: bnn_config_blame */
    size_t set_count;
    const char *directory; /* made when missing */
    bool write_config;     /* write the resolved config.json there */
    bool overwrite;        /* replace the run that the directory holds: its files are removed first */
    bool resume;           /* go on from its checkpoint.bin, where it has one */
    int threads;
    const volatile sig_atomic_t
        *stop; /* of rank 0; set by a signal: a checkpoint is written and BNN_INTERRUPTED returned */
    bnn_train_callbacks callbacks;
} bnn_train_options;

/* Trains, and leaves model.bin, checkpoint.bin, metrics.jsonl and (write_config) config.json in the directory, which is
 * locked meanwhile; of several ranks (bnn/ranks.h), which call this alike, rank 0 does. Nothing is written before the
 * configuration and the data have been found good.
 *
 * checkpoint.bin is written as the run begins, after each epoch, every train.checkpoint_minutes and when *stop is set; from it
 * `resume` goes on to the same bits, for any number of threads and ranks.
 *
 * BNN_BAD_INPUT, with nothing touched, when the directory holds one of these files and neither `overwrite` nor `resume`, when
 * another run has it locked, or when the run to be resumed has another configuration (train.epochs may have grown). BNN_FAILED when a parameter, gradient, loss or prediction becomes NaN or infinite, with the epoch, the step,
 * the tensor and the last good checkpoint in the message; no file that is written has such a figure, and the parameters of
 * each predicted finitely: validation images or, without them, some training images. */
bnn_status bnn_train(const bnn_config *config, const bnn_train_options *options, bnn_error *error);

/* All that bnn_train checks before it writes, and no more. *text <- the config.json it would write: every key explicit, the
 * sizes those of the data; freed with free(). */
bnn_status bnn_train_dry_run(const bnn_config *config, const bnn_train_options *options, char **text,
                             bnn_error *error);

#endif
