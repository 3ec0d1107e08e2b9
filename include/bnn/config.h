/* The configuration of a run (DESIGN section 8): one table of keys gives defaults, parsing, checks, the
 * resolved dump and the help text. Options go through three steps: defaults, load, check. Floor 7. */
#ifndef BNN_CONFIG_H
#define BNN_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bnn/dataset.h"
#include "bnn/network.h"
#include "bnn/objective.h"
#include "bnn/optimizer.h"
#include "bnn/posterior.h"
#include "bnn/status.h"
#include "bnn/symmetry.h"

typedef enum bnn_augmentation { BNN_AUGMENT_NONE, BNN_AUGMENT_FULL, BNN_AUGMENT_RANDOM } bnn_augmentation;
typedef enum bnn_select { BNN_SELECT_VALIDATION, BNN_SELECT_LAST } bnn_select;
typedef enum bnn_predictive { BNN_PREDICT_POSTERIOR, BNN_PREDICT_GROUP_AVERAGED } bnn_predictive;
typedef enum bnn_draws { BNN_DRAWS_SHARED, BNN_DRAWS_INDEPENDENT } bnn_draws;
extern const char *const bnn_predictive_names[]; /* "posterior", "group-averaged", NULL */
extern const char *const bnn_draws_names[];      /* "shared", "independent", NULL */

#define BNN_NAME 32

/* A list of sizes, as `model.channels`. */
typedef struct bnn_sizes {
    size_t count;
    size_t value[BNN_MAX_WIDTHS];
} bnn_sizes;

/* Choices are stored as int, the index in their list of names. */
typedef struct bnn_config {
    size_t seed;
    struct {
        bnn_data_paths paths;
        size_t train_size; /* 0: all that the validation split leaves */
        size_t validation_size;
        size_t test_size; /* 0: all */
        size_t pad;
        int scale;         /* bnn_scale */
        double background; /* NaN: auto, the smallest value of the training images */
    } data;
    char group[BNN_NAME];
    struct {
        int type;
        bnn_sizes input; /* C, H, W; empty: from the data */
        size_t classes;  /* 0: from the data */
        bnn_sizes channels, hidden;
        size_t kernel;
        int padding;        /* 0 zero, 1 circular */
        int representation; /* 0 auto (the mode's), 1 trivial, 2 regular */
    } model;
    struct {
        int mean; /* 0 zero, 1 random */
        double std;
    } prior;
    struct {
        char family[BNN_NAME];
        int mean_init;
        double rho_init;
    } posterior;
    struct {
        char mode[BNN_NAME];
        int augmentation;
        char average[BNN_NAME]; /* empty: the mode's default */
        size_t trigger_epoch;
        double trigger_accuracy; /* 0: none */
        size_t stage1_epochs;
        int arrangement;
        bool hold, keep_optimizer_state;
    } symmetrization;
    struct {
        size_t epochs, batch_size, samples;
        struct {
            char name[BNN_NAME];
            bnn_optimizer_options options;
        } optimizer;
        int schedule;
        double clip_norm; /* 0: none */
        double kl_weight; /* NaN: auto, 1/N */
        size_t kl_warmup_epochs, kl_ramp_end;
        double kl_head_warmup_epochs, kl_head_ramp_end; /* of the last layer; NaN: auto */
        double free_bits;                               /* nats a parameter */
        int estimator;
        int select;
    } train;
    struct {
        size_t samples, every;
        int predictive, draws;
    } eval;
} bnn_config;

/* Every key at its default. */
void bnn_config_default(bnn_config *config);

/* Defaults, then the JSON text (`name` is for messages: a path), then every KEY=VALUE of `sets` (VALUE is
 * JSON, or taken as a string), then all checks that need no data. Unknown keys, wrong types, duplicate keys,
 * values out of range and impossible combinations give BNN_BAD_INPUT naming the key's path, what was found,
 * what was expected and the nearest valid key. `model_only`: the text is that of a model file, where a subset
 * of keys is usable. Unless it is, relative paths become absolute: those from the folder of the file `name`, or from the
 * current one where that is no regular file. */
bnn_status bnn_config_parse(const char *name, const char *text, const char *const *sets, size_t set_count,
                            bool model_only, bnn_config *config, bnn_error *error);

/* bnn_config_parse of a file. */
bnn_status bnn_config_read(const char *path, const char *const *sets, size_t set_count, bnn_config *config,
                           bnn_error *error);

/* Every key explicit, as JSON text (freed with free()); NULL when memory is short. */
char *bnn_config_dump(const bnn_config *config, bool pretty);

/* One line a key: path, type or choices, default, meaning; freed with free(). NULL when memory is short. */
char *bnn_config_help(void);

/* The network that `model` describes, once input and classes are filled in. */
void bnn_config_network(const bnn_config *config, bnn_representation representation, bnn_network_spec *spec);

/* Writes a network's own figures back into `model` (an expanded network has other channels). */
void bnn_config_set_network(bnn_config *config, const bnn_network_spec *spec);

#endif
