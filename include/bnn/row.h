/* Registries: modes, data sources, families, optimisers, ... are lists of rows, one file a row, and each row begins with what
 * everybody may ask of it. Help texts, error messages and the check that no setting is ignored are made from that. */
#ifndef BNN_ROW_H
#define BNN_ROW_H

#include <stdbool.h>
#include <stddef.h>

typedef struct bnn_row {
    const char *name;    /* as configurations and files write it */
    const char *summary; /* half a line of help */
    const char *const
        *keys; /* NULL-terminated paths of the configuration's keys that belong to the registry and that this
                              * row reads; NULL: none */
    const char *reason; /* why it reads none of those that other rows read, or NULL */
} bnn_row;

/* Row i of a registry, the default first; NULL past the last. */
typedef const bnn_row *bnn_registry(size_t i);

/* The row of a name, and NULL when there is none. */
const bnn_row *bnn_row_find(bnn_registry *registry, const char *name);

/* Whether a row reads a key, by its path. */
bool bnn_row_reads(const bnn_row *row, const char *key);

#endif
