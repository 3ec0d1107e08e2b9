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

/* Whether `packed` bytes can be `size` bytes once they are inflated: deflate makes of a byte at most 1032 (zlib's technical
 * notes, "Maximum Compression Factor"). What says otherwise in its header is not believed before memory is taken for it. */
static inline bool bnn_can_inflate_to(size_t packed, size_t size)
{
    return size / 1032 <= packed;
}

/* What a compressed file may hold at most. */
#define BNN_INFLATE_UNTOLD ((size_t)1 << 26)
#define BNN_INFLATE_FACTOR 16

/* *data <- the whole file, or standard input for "-", *size its bytes, with a zero byte after the last; freed with free(). A file that
 * is gzip-compressed (whatever its name) is decompressed (zero bytes after its end are padding); truncated or corrupt compressed data is an error
 * that says so. BNN_BAD_INPUT when the file is missing, a directory, unreadable or larger than `most` bytes.
 */
bnn_status bnn_read_file(const char *path, size_t most, uint8_t **data, size_t *size, bnn_error *error);

/* The same of a file whose first bytes tell its size: `whole` gives the bytes of all of it, from its first `size` ones (64 KiB, or all
 * there are), 0 where they do not tell. What is decompressed or comes from a pipe is read to one byte beyond that, and no
 * memory is taken for more. Where the size is not known, a compressed file is decompressed to 64 MiB, or 16 times its own
 * bytes where that is more. */
typedef size_t bnn_whole_size(const uint8_t *head, size_t size);
bnn_status bnn_read_told(const char *path, bnn_whole_size *whole, uint8_t **data, size_t *size,
                         bnn_error *error);

/* The SHA-256 of some bytes, in hexadecimal. */
#define BNN_SHA256 65
void bnn_sha256(const void *data, size_t size, char sha256[BNN_SHA256]);

/* bnn_read_file, and the SHA-256 of the file as it is stored (before decompression), in hexadecimal. */
bnn_status bnn_read_identified(const char *path, size_t most, uint8_t **data, size_t *size,
                               char sha256[BNN_SHA256], bnn_error *error);

/* Writes atomically, or to standard output for "-": a temporary file beside `path`, fsync, rename. The old file stays when anything fails. A symbolic
 * link stays: what it names is replaced, or made. */
bnn_status bnn_write_file(const char *path, const void *data, size_t size, bnn_error *error);

/* The failures of bnn_write_file that show before there is anything to write: a directory at the path, none above it, no right to
 * write there. */
bnn_status bnn_can_write(const char *path, bnn_error *error);

/* Appends one line (a newline is added), and syncs it to the disk; where that fails, the file is cut back to what it was. */
bnn_status bnn_append_line(const char *path, const char *line, bnn_error *error);

/* Cuts a file after its first `lines` lines. BNN_BAD_INPUT, and nothing is changed, where it has fewer or is missing. */
bnn_status bnn_keep_lines(const char *path, size_t lines, bnn_error *error);

/* Removes the temporary files in a directory whose writers (bnn_write_file) are processes that are gone. */
void bnn_remove_leftovers(const char *directory);

/* Makes the directory, and its parents, where missing. */
bnn_status bnn_make_directory(const char *path, bnn_error *error);

bool bnn_file_exists(const char *path);

/* *found <- what stands at the path, through links. BNN_FAILED where the machine cannot say (a read error): which is not nothing. */
typedef enum bnn_found {
    BNN_FOUND_NOTHING,
    BNN_FOUND_FILE,
    BNN_FOUND_DIRECTORY,
    BNN_FOUND_SPECIAL
} bnn_found;
bnn_status bnn_examine(const char *path, bnn_found *found, bnn_error *error);

/* "path: cannot do: reason", from errno: BNN_FAILED where the machine ran out of something or broke, otherwise the fault of the
 * path, BNN_BAD_INPUT. */
bnn_status bnn_system_failure(bnn_error *error, const char *path, const char *what);

/* folder <- the absolute path, without links, of the folder that holds the regular file `path`; the current folder when
 * that is no regular file but a pipe, or missing. */
bnn_status bnn_folder_of(const char *path, char *folder, size_t size, bnn_error *error);

/* *same <- whether the two paths name the same existing file. */
bnn_status bnn_same_file(const char *a, const char *b, bool *same, bnn_error *error);

/* Seconds on a clock that never goes back. */
double bnn_seconds(void);

#endif
