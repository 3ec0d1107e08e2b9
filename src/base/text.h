/* Texts of messages: built piece by piece in a buffer of fixed size, lists of names, and the name that was meant. */
#ifndef BNN_SRC_TEXT_H
#define BNN_SRC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "bnn/row.h"

/* Appends to the zero-terminated text in a buffer of `size` bytes, and returns it. What does not fit is left out; "..."
 * then ends the text, and further calls change nothing. */
char *bnn_append(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The edits that turn one text into the other (Levenshtein 1966: a letter put in, left out or replaced), in thirds: a
 * letter in the other case is a third of an edit. SIZE_MAX where b is longer than a name. */
size_t bnn_edit_distance(const char *a, const char *b);

/* The names that would have been right where another was found:
 *     bnn_choices choices = bnn_choices_for(found);
 *     for (each row) bnn_choices_add(&choices, row->name);
 *     bnn_fail(error, BNN_BAD_INPUT, "key: found \"%s\", expected %s", found, bnn_choices_text(&choices)); */
typedef struct bnn_choices {
    const char *found; /* borrowed, as the names are */
    const char
        *nearest; /* of the names, the one that was probably meant; NULL where none is like what was found */
    size_t distance, count;
    char text[640];
} bnn_choices;

bnn_choices bnn_choices_for(const char *found);
void bnn_choices_add(bnn_choices *choices, const char *name);

/* Adds every name of a list that ends with NULL, or of a registry. */
void bnn_choices_add_all(bnn_choices *choices, const char *const *names);
void bnn_choices_add_rows(bnn_choices *choices, bnn_registry *registry);

/* one of "sgd", "adamw" (did you mean "adamw"?) */
const char *bnn_choices_text(bnn_choices *choices);

/* *value <- a number written in decimal, and nothing else: no blank, no hexadecimal, no "nan". */
bool bnn_decimal(const char *text, double *value);

/* "90 s", "12 min", "1.5 h" in the words of `units` for seconds, minutes and hours. Returns `text`, a buffer of `size` bytes. */
char *bnn_duration_text(double seconds, const char *const units[3], char *text, size_t size);

/* "a", "b": the names of a list that ends with NULL, in quotes. Returns `text`, a buffer of `size` bytes. */
char *bnn_join(char *text, size_t size, const char *const *names);

/* A text that grows as a stream writes to it:
 *     FILE *stream = bnn_text_open(&text);
 *     char *whole = bnn_text_close(&text, &size);
 * The stream is NULL, and so is the whole, where memory was short in any write. (open_memstream of the GNU C library does not
 * tell.) The whole ends with a zero byte that *size does not count (NULL is legal), and is freed with free(). */
typedef struct bnn_text {
    FILE *stream;
    char *bytes;
    size_t size, capacity;
} bnn_text;

FILE *bnn_text_open(bnn_text *text);
char *bnn_text_close(bnn_text *text, size_t *size);

#endif
