/* The configuration of a run (README.md): one table of keys gives defaults, types, the resolved dump and the help text. It
 * loads and types; what a combination is worth, modes and data judge (bnn_settings_read). */
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
#include "bnn/row.h"
#include "bnn/status.h"
#include "bnn/symmetry.h"
#include "bnn/warp.h"

typedef enum bnn_augmentation { BNN_AUGMENT_NONE, BNN_AUGMENT_FULL, BNN_AUGMENT_RANDOM } bnn_augmentation;
typedef enum bnn_count {
    BNN_COUNT_BASE,
    BNN_COUNT_ORBIT
} bnn_count; /* of unaugmented images: one, or |G| items each */
typedef enum bnn_select { BNN_SELECT_VALIDATION, BNN_SELECT_LAST } bnn_select;
typedef enum bnn_predictive { BNN_PREDICT_POSTERIOR, BNN_PREDICT_GROUP_AVERAGED } bnn_predictive;
typedef enum bnn_draws { BNN_DRAWS_SHARED, BNN_DRAWS_INDEPENDENT } bnn_draws;
typedef enum bnn_rotation { BNN_ROTATE_NONE, BNN_ROTATE_UNIFORM } bnn_rotation;
typedef enum bnn_balance { BNN_BALANCE_NONE, BNN_BALANCE_WEIGHTS, BNN_BALANCE_SAMPLING } bnn_balance;
extern const char *const bnn_balance_names[];      /* "none", "weights", "sampling", NULL */
extern const char *const bnn_augmentation_names[]; /* "none", "full", "random", NULL */
extern const char *const bnn_predictive_names[];   /* "posterior", "group-averaged", NULL */
extern const char *const bnn_draws_names[];        /* "shared", "independent", NULL */

#define BNN_NAME 32
#define BNN_PATH 1024

/* A list of sizes, as `model.channels`. */
typedef struct bnn_sizes {
    size_t count;
    size_t value[BNN_MAX_WIDTHS];
} bnn_sizes;

/* A list of flags, as `model.pool`. */
typedef struct bnn_flags {
    bool automatic; /* "auto" */
    size_t count;
    bool value[BNN_MAX_WIDTHS];
} bnn_flags;

/* A list of names, as `posterior.init_except`. */
typedef struct bnn_names {
    size_t count;
    char value[BNN_MAX_WIDTHS][40];
} bnn_names;

#define BNN_CONFIG_KEYS 128 /* at most */

/* Choices are stored as int, the index in their list of names; a number that may be "auto" is NaN then. */
typedef struct bnn_config {
    bool given[BNN_CONFIG_KEYS];  /* by key: set by the user, in the file or by --set */
    bool unread[BNN_CONFIG_KEYS]; /* by key: the chosen mode, data source, ... do not read it */
    size_t seed;
    struct {
        bnn_data_paths paths;
        size_t train_size; /* 0: all that the validation split leaves */
        size_t validation_size;
        size_t test_size; /* 0: all */
        size_t pad;
        int scale;         /* bnn_scale */
        double background; /* NaN: auto, the smallest value of the training images */
        bnn_warp_limits augment;
        struct {
            int train, test; /* bnn_rotation: of training and validation images, and of test images */
        } rotate;
        size_t repartition; /* images drawn from training and test images together for training; 0: none */
        int balance;        /* bnn_balance: how classes count in training */
    } data;
    char group[BNN_NAME];
    struct {
        int type;
        bnn_sizes input; /* C, H, W; empty: from the data */
        size_t classes;  /* 0: from the data */
        bnn_sizes channels, hidden;
        bnn_flags pool; /* one a conv layer; empty: after every one; automatic: bnn_config_fill */
        size_t kernel;
        int padding;        /* 0 zero, 1 circular */
        int representation; /* 0 auto (the mode's), 1 trivial, 2 regular */
    } model;
    struct {
        int mean; /* 0 zero, 1 random */
        bnn_prior_std std;
    } prior;
    struct {
        char family[BNN_NAME];
        int mean_init;
        double rho_init;
        char init_from[BNN_PATH]; /* a model or the folder of a run whose means q begins with; empty: none */
        bool init_rho;            /* and with its rho */
        bnn_names init_except; /* layers, or what their names begin with, that are initialised all the same */
    } posterior;
    struct {
        char mode[BNN_NAME];
        int augmentation;
        int count;              /* bnn_count */
        char average[BNN_NAME]; /* empty: the mode's default */
        size_t trigger_epoch;
        double trigger_accuracy; /* 0: none */
        size_t stage1_epochs;
        int arrangement;
        bool hold, keep_optimizer_state;
    } symmetrization;
    struct {
        size_t epochs, batch_size, samples;
        double checkpoint_minutes;
        size_t map_epochs; /* of the epochs, the first so many: w = mu, and sigma as it is initialised */
        struct {
            char name[BNN_NAME];
            bnn_optimizer_options options;
        } optimizer;
        int schedule;
        size_t lr_warmup_steps;
        double clip_norm; /* 0: none */
        double kl_weight; /* NaN: auto, 1/N */
        size_t kl_warmup_epochs, kl_ramp_end;
        double kl_head_warmup_epochs, kl_head_ramp_end; /* of the last layer */
        double free_bits;                               /* nats a parameter */
        int estimator;
        int select;
    } train;
    struct {
        size_t samples, every;
        int predictive, draws;
    } eval;
} bnn_config;

/* Every key at the default of a run. */
void bnn_config_default(bnn_config *config);

/* Defaults, then the JSON text (`name` is for messages: a path), then every KEY=VALUE of `sets` (VALUE is
 * JSON, or taken as a string), then the checks that need neither data nor modes. Unknown keys, wrong types, duplicate keys,
 * values out of range, names of no row, and keys that the chosen rows do not read give BNN_BAD_INPUT naming the key's path,
 * what was found, what was expected and the nearest valid key. `modes`: the registry of symmetrization.mode; NULL for the text
 * of a model file, where a subset of keys is usable (one that is not there means what it means to the published code) and keys
 * that nobody reads any more are passed over; of other text, relative paths
 * become absolute: those from the folder of the file `name`, or from the current one where that is no regular file. */
bnn_status bnn_config_parse(const char *name, const char *text, const char *const *sets, size_t set_count,
                            bnn_registry *modes, bnn_config *config, bnn_error *error);

/* bnn_config_parse of the bytes of a file, with a zero byte after the last; a byte order mark is passed over.
 * BNN_BAD_INPUT when it is a file of another kind, which the message names. */
bnn_status bnn_config_read_text(const char *name, const uint8_t *bytes, size_t size, const char *const *sets,
                                size_t set_count, bnn_registry *modes, bnn_config *config, bnn_error *error);

/* The same of a file. */
bnn_status bnn_config_read(const char *path, const char *const *sets, size_t set_count, bnn_registry *modes,
                           bnn_config *config, bnn_error *error);

/* Whether the user has set a key, in the file or by --set. */
bool bnn_config_gives(const bnn_config *config, const char *path);

/* Whether q begins with the means that the model posterior.init_from has for a layer of that name. */
bool bnn_config_warm(const bnn_config *config, const char *layer);

/* The paths, one a call and then NULL, of keys that the user has set although the chosen rows do not read them (of those that
 * bnn_config_parse lets pass); *i is 0 at first. */
const char *bnn_config_unread(const bnn_config *config, size_t *i);

/* For the failure of a check, whose message is "KEY: ..." or "NAME: KEY: ...": puts what the user has to look at in front.
 * That is --set KEY=VALUE where KEY was set so, and else the file `name`, with all --sets where there are some. Returns
 * `status`, and does nothing unless it is BNN_BAD_INPUT. */
bnn_status bnn_config_blame(const char *name, const char *const *sets, size_t set_count, bnn_status status,
                            bnn_error *error);

/* Every key that is read, explicit, as JSON text (freed with free()); NULL when memory is short. */
char *bnn_config_dump(const bnn_config *config, bool pretty);

/* text (of `size` bytes) <- the paths of the keys that differ, but for those of `but` (NULL-terminated), with commas between;
 * empty where none does. */
void bnn_config_differences(const bnn_config *a, const bnn_config *b, const char *const *but, char *text,
                            size_t size);

/* What help says of a key. */
typedef struct bnn_key_help {
    const char *path, *meaning;
    char fallback[64]; /* the default, as JSON */
    char choices[256]; /* "a", "b": the names that it takes; empty: no names */
    char readers[256]; /* the rows that read it, or the key that it belongs to; empty: always read */
} bnn_key_help;

/* The i-th key; false past the last. */
bool bnn_config_help(size_t i, bnn_registry *modes, bnn_key_help *help);

/* Fills in what the data says: model.input (the images' `shape`: C, H, W), model.classes where it is 0, and an automatic
 * model.pool, which is a pool after each conv layer whose height and width are even, and so drops nothing. */
void bnn_config_fill(bnn_config *config, const size_t shape[3], size_t classes);

/* The network that `model` describes, once it is filled in. */
void bnn_config_network(const bnn_config *config, bnn_representation representation, bnn_network_spec *spec);

/* Writes a network's own figures back into `model` (an expanded network has other channels). */
void bnn_config_set_network(bnn_config *config, const bnn_network_spec *spec);

#endif
