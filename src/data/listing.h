/* Image files and their classes by name: from a folder with a subfolder for each class, or from a CSV file. */
#ifndef BNN_LISTING_H
#define BNN_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bnn/dataset.h"
#include "bnn/status.h"

typedef char bnn_name[BNN_LABEL_NAME];

typedef struct bnn_listed {
    char *path;
    bnn_name label; /* the name of its class */
    bnn_name part;  /* empty: the CSV file has no third column */
} bnn_listed;

typedef struct bnn_listing {
    size_t count, capacity;
    bnn_listed *files;
} bnn_listing;

void bnn_listing_free(bnn_listing *listing); /* one that is all zero is legal */

/* The files of a folder's subfolders, whose names are the classes: by turns one of each class, classes and a class's files in the
 * order of their bytes. Names that begin with a dot are passed over. BNN_BAD_INPUT: the folder cannot be read, has no subfolder
 * or, with `every`, one without a file; a name is too long or no text. */
bnn_status bnn_list_folder(const char *folder, bool every, bnn_listing *listing, bnn_error *error);

/* The lines "file,label" or "file,label,part" of a CSV file, in their order; files seen from its folder. A first line whose first
 * field does not end with ".png" is a heading. BNN_BAD_INPUT names the line. */
bnn_status bnn_list_csv(const char *path, bnn_listing *listing, bnn_error *error);

/* Names without repetition: whole numbers in 0..65535, if all are such, by value, and otherwise in the order of their bytes. */
typedef struct bnn_name_table {
    size_t count;
    bnn_name *names;
    bool numbers;
} bnn_name_table;

/* *table <- the classes of a listing, or its parts. */
bnn_status bnn_name_table_of(const bnn_listing *listing, bool parts, bnn_name_table *table, bnn_error *error);
void bnn_name_table_free(bnn_name_table *table);

/* The place of a name in a table; SIZE_MAX where it is not there. */
size_t bnn_name_find(const bnn_name_table *table, const char *name);

#endif
