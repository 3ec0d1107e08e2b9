/* What a file is, by its first bytes: one place for everybody who reads files that users name. */
#ifndef BNN_SRC_SNIFF_H
#define BNN_SRC_SNIFF_H

#include <stddef.h>
#include <stdint.h>

typedef enum bnn_file_kind {
    BNN_FILE_UNKNOWN,
    BNN_FILE_SAFETENSORS, /* the length of a header that the file has room for, and a header that begins with '{' */
    BNN_FILE_JSON,        /* after a byte order mark and blanks, '{' or '[' */
    BNN_FILE_NPY,
    BNN_FILE_IDX,
    BNN_FILE_GZIP,
    BNN_FILE_ZIP, /* .npz files are zip archives */
    BNN_FILE_PNG
} bnn_file_kind;

bnn_file_kind bnn_sniff(const uint8_t *bytes, size_t size);

/* "a JSON text", "a NumPy array (.npy)", ... with its article. */
const char *bnn_file_kind_name(bnn_file_kind kind);

/* The bytes of the UTF-8 byte order mark that a text begins with: 3 or 0. */
size_t bnn_byte_order_mark(const uint8_t *bytes, size_t size);

#endif
