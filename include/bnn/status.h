/* Status codes, error messages with context, and checked allocation. Includes nothing of bnn.
 *
 * Every function that can fail returns a bnn_status and, where it takes a bnn_error *, leaves there one line
 * that names the file or key, the place, what was found and what was expected. `error` may be NULL. */
#ifndef BNN_STATUS_H
#define BNN_STATUS_H

#include <stddef.h>

/* The values are the exit codes of the command line. */
typedef enum bnn_status {
    BNN_OK = 0,
    BNN_FAILED = 1,       /* the machine refused: no memory, no space, a run that diverged */
    BNN_BAD_INPUT = 2,    /* the user's input is wrong */
    BNN_INTERRUPTED = 130 /* SIGINT or SIGTERM */
} bnn_status;

typedef struct bnn_error {
    bnn_status status;
    char message[2048]; /* one line, no newline at its end; a longer one is cut in its middle */
} bnn_error;

/* Formats the message into *error (if not NULL) and returns `status`:
 *     return bnn_fail(error, BNN_BAD_INPUT, "%s: found %zu bytes, expected %zu", path, n, want); */
bnn_status bnn_fail(bnn_error *error, bnn_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the message that *error already holds; returns its status. */
bnn_status bnn_fail_in(bnn_error *error, bnn_status status, const char *prefix);

/* A number for a message: "%g", or "NaN", "infinity" or "-infinity" whatever the C library calls them; returns `text`. */
#define BNN_NUMBER_TEXT 32
const char *bnn_number_text(double value, char text[BNN_NUMBER_TEXT]);

/* The bytes at most that one allocation may take: 7/8 of the machine's memory. */
size_t bnn_memory_most(void);

/* `count * size` zeroed bytes aligned to 64, or NULL when memory is short, the product overflows or is beyond bnn_memory_most;
 * a count of 0 gives a valid pointer. Released with free(). */
void *bnn_alloc(size_t count, size_t size) __attribute__((malloc, warn_unused_result));

/* The failure of an allocation, as a status. */
bnn_status bnn_no_memory(bnn_error *error, const char *what, size_t count, size_t size);

/* An analyser that sees one file at a time is told what these return. */
#ifdef __clang_analyzer__
#define bnn_fail(error, status, ...) ((void)bnn_fail(error, status, __VA_ARGS__), (status))
#define bnn_fail_in(error, status, prefix) ((void)bnn_fail_in(error, status, prefix), (status))
#define bnn_no_memory(...) ((void)bnn_no_memory(__VA_ARGS__), BNN_FAILED)
#endif

#endif
