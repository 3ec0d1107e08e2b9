/* safetensors files: 8-byte little-endian header length, JSON header, raw little-endian data.
 * F32 and F64 are read into bnn_real; F32 is written (F64 by the double build). */
#ifndef BNN_SAFETENSORS_H
#define BNN_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "bnn/real.h"
#include "bnn/status.h"

#define BNN_TENSOR_MAX_RANK 8

typedef struct bnn_tensor {
    char name[128];
    size_t rank, shape[BNN_TENSOR_MAX_RANK];
    size_t count;   /* product of the shape */
    bnn_real *data; /* owned by the file when read; borrowed when written */
} bnn_tensor;

typedef struct bnn_safetensors {
    char path[4096]; /* for messages */
    bnn_tensor *tensors;
    size_t tensor_count;
    char **metadata;       /* key, value, key, value, ..., of `__metadata__` */
    size_t metadata_count; /* pairs */
} bnn_safetensors;

/* Every field is checked against the file's size before anything is allocated for it: header length, JSON,
 * dtype, shape overflow, offsets in range, in order without overlap or holes, duplicate names. */
bnn_status bnn_safetensors_read(const char *path, bnn_safetensors **file, bnn_error *error);

/* The same from the bytes of a file; `name` is for messages. */
bnn_status bnn_safetensors_parse(const char *name, const uint8_t *bytes, size_t size, bnn_safetensors **file,
                                 bnn_error *error);
void bnn_safetensors_free(bnn_safetensors *file);

/* NULL when there is none. */
const bnn_tensor *bnn_safetensors_find(const bnn_safetensors *file, const char *name);
const char *bnn_safetensors_metadata(const bnn_safetensors *file, const char *key);

/* Writes atomically. The header is padded with spaces to a multiple of 8 bytes. metadata: key, value pairs.
 */
bnn_status bnn_safetensors_write(const char *path, const bnn_tensor *tensors, size_t tensor_count,
                                 const char *const *metadata, size_t metadata_count, bnn_error *error);

#endif
