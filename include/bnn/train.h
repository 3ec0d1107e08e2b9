/* Training: wires data, mode, engine and optimiser, and writes a run's directory (DESIGN section 7). Floor 8.
 * Prints nothing: what happens is reported through callbacks. */
#ifndef BNN_TRAIN_H
#define BNN_TRAIN_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "bnn/config.h"
#include "bnn/status.h"

/* What an epoch gave: a line of metrics.jsonl. */
typedef struct bnn_epoch {
    size_t epoch, epochs; /* epoch counts from 1 */
    size_t stage;         /* 1 before the mode's trigger, 2 after it; 1 for modes without one */
    size_t n, n_base;     /* items the objective counts, and base images */
    double train_nll;     /* mean over samples and items, nats */
    double kl, kl_weight; /* nats, never rescaled; beta */
    double objective;     /* -train_nll n - kl, nats: what the mode maximises where kl_weight is 1/n */
    double elbo; /* -train_nll n_base - kl, nats; both pair the epoch's mean train_nll with its end's kl */
    double train_accuracy;
    bool validated;
    double validation_accuracy, validation_nll;
    double learning_rate, gradient_norm; /* the norm: mean over the epoch's steps, before clipping */
    double seconds, image_samples_per_second;
} bnn_epoch;

typedef struct bnn_train_callbacks {
    void *context;
    /* NULL where nobody listens */
    void (*message)(void *context, const char *line);
    void (*step)(void *context, size_t epoch, size_t epochs, double fraction_of_epoch, double nll);
    void (*epoch)(void *context, const bnn_epoch *epoch);
} bnn_train_callbacks;

typedef struct bnn_train_options {
    const char *directory; /* made when missing */
    bool write_config;     /* write the resolved config.json there */
    int threads;
    const volatile sig_atomic_t
        *stop; /* set by a signal: a checkpoint is written and BNN_INTERRUPTED returned */
    bnn_train_callbacks callbacks;
} bnn_train_options;

/* Trains, and leaves model.bin, checkpoint.bin, metrics.jsonl and (write_config) config.json in the
 * directory. Nothing is written before the configuration and the data have been found good. */
bnn_status bnn_train(const bnn_config *config, const bnn_train_options *options, bnn_error *error);

#endif
