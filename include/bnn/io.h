/* Checked reads and atomic writes. */
#ifndef BNN_IO_H
#define BNN_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bnn/status.h"

/* The bytes at most that the readers of data and models take, decompressed: bounds what a small file of
 * compressed zeros can ask for. */
#define BNN_FILE_MOST ((size_t)UINT32_MAX)

/* What messages call a file: its path, and "standard input" for "-". */
const char *bnn_input_name(const char *path);

/* *data <- the whole file, or standard input for "-", *size its bytes, with a zero byte after the last; freed with free(). A file that
 * is gzip-compressed (whatever its name) is decompressed (zero bytes after its end are padding); truncated or corrupt compressed data is an error
 * that says so. BNN_BAD_INPUT when the file is missing, a directory, unreadable or larger than `most` bytes.
 */
bnn_status bnn_read_file(const char *path, size_t most, uint8_t **data, size_t *size, bnn_error *error);

/* The same, and the SHA-256 of the file as it is stored (before decompression), in hexadecimal. */
#define BNN_SHA256 65
bnn_status bnn_read_identified(const char *path, size_t most, uint8_t **data, size_t *size,
                               char sha256[BNN_SHA256], bnn_error *error);

/* Writes atomically, or to standard output for "-": a temporary file beside `path`, fsync, rename. The old file stays when anything fails. A symbolic
 * link stays: what it names is replaced, or made. */
bnn_status bnn_write_file(const char *path, const void *data, size_t size, bnn_error *error);

/* Appends one line (a newline is added), and syncs it to the disk. */
bnn_status bnn_append_line(const char *path, const char *line, bnn_error *error);

/* Cuts a file after its first `lines` lines. BNN_BAD_INPUT, and nothing is changed, where it has fewer or is missing. */
bnn_status bnn_keep_lines(const char *path, size_t lines, bnn_error *error);

/* Removes the temporary files in a directory whose writers (bnn_write_file) are processes that are gone. */
void bnn_remove_leftovers(const char *directory);

/* Makes the directory, and its parents, where missing. */
bnn_status bnn_make_directory(const char *path, bnn_error *error);

bool bnn_file_exists(const char *path);

/* folder <- the absolute path, without links, of the folder that holds the regular file `path`; the current folder when
 * that is no regular file but a pipe, or missing. */
bnn_status bnn_folder_of(const char *path, char *folder, size_t size, bnn_error *error);

/* Whether the two paths name the same existing file. */
bool bnn_same_file(const char *a, const char *b);

/* Seconds on a clock that never goes back. */
double bnn_seconds(void);

#endif
