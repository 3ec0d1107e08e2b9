/* The table of configuration keys, which gives defaults, types, dumps and help, and the values of keys as JSON. Private to the
 * room. */
#ifndef BNN_CONFIG_KEYS_H
#define BNN_CONFIG_KEYS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "bnn/config.h"

typedef enum key_type {
    KEY_SIZE,         /* size_t */
    KEY_REAL,         /* double */
    KEY_REAL_OR_AUTO, /* double, NaN for "auto" */
    KEY_BOOL,         /* bool */
    KEY_TEXT,         /* char[size] */
    KEY_PATH,         /* char[size], absolute once parsed */
    KEY_NAME,         /* char[size], the name of a registry's row; empty: its first */
    KEY_CHOICE,       /* int, an index into names, or into the rows of a registry */
    KEY_SIZES,        /* bnn_sizes */
    KEY_NUMBERS,      /* bnn_numbers: a list of numbers, or one */
    KEY_STD,          /* bnn_prior_std: a number, a list of them, or one of names */
    KEY_FLAGS,        /* bnn_flags */
    KEY_NAMES         /* bnn_names */
} key_type;

typedef struct config_key {
    const char *path;
    key_type type;
    size_t offset, size;
    double least, most; /* of numbers, and of a list's entries */
    const char *const *names;
    bnn_registry *registry; /* of names; NULL for a KEY_NAME: the modes', which stand above */
    const char *fallback;   /* the default, as JSON */
    const char *unsaid;     /* what a model file means that does not say it; NULL: the default */
    const char *meaning;
    bool whole;    /* of numbers in a list: integers */
    bool optional; /* of a KEY_NAME: empty, it is the name of no row, and with no modes at hand that of any */
    const char *
        owner; /* path of the key that decides whether this one is read: by its registry's chosen row, or a path by
                          being set; NULL: always */
    bool
        tolerated; /* set and not read, it is reported instead of refused: the key serves another choice of its owner */
} config_key;

#define CONFIG_ANY                                                                                           \
    9007199254740991.0 /* 2^53 - 1: up to here, integers are exact in JSON's doubles (RFC 8259, section 6) */

extern const config_key config_keys[];
extern const size_t config_key_count;

/* The key of a path, or NULL. */
const config_key *config_find_key(const char *path);

/* Whether some key lies inside the object `path`. */
bool config_is_object(const char *path);

/* Whether the value is text in the configuration. */
bool config_is_text(const config_key *row);

/* BNN_BAD_INPUT that offers the nearest valid key. */
bnn_status config_unknown_key(const char *name, const char *path, bnn_error *error);

/* The i-th name that a choice has, or NULL; all of them, in quotes, in a buffer, which is returned; what a choice expects where
 * `found` was found. */
const char *config_name_at(const config_key *key, size_t i);
char *config_list_names(const config_key *key, char *text, size_t size);
bnn_choices config_choices_of(const config_key *key, const char *found);

/* The key's member of the configuration <- a value; false when it is not of the key's type or range. */
bool config_set_value(const config_key *row, const cJSON *value, bnn_config *config);

/* The value as JSON; NULL when memory is short. */
cJSON *config_get_value(const config_key *row, const bnn_config *config);

/* BNN_BAD_INPUT: what was found and what was expected. */
bnn_status config_wrong_value(const char *name, const config_key *row, const cJSON *value, bnn_error *error);

#endif
