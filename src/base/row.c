#include "bnn/row.h"

#include <string.h>

const bnn_row *bnn_row_find(bnn_registry *registry, const char *name)
{
    const bnn_row *row = NULL;
    for (size_t i = 0; (row = registry(i)) && strcmp(row->name, name) != 0; i++) continue;
    return row;
}

bool bnn_row_reads(const bnn_row *row, const char *key)
{
    for (size_t i = 0; row->keys && row->keys[i]; i++)
        if (strcmp(row->keys[i], key) == 0) return true;
    return false;
}
