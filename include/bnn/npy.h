/* NumPy .npy arrays (format versions 1 to 3, C or Fortran order, little or big endian). */
#ifndef BNN_NPY_H
#define BNN_NPY_H

#include <stddef.h>
#include <stdint.h>

#include "bnn/status.h"

#define BNN_NPY_MAX_RANK 8

typedef struct bnn_npy {
    size_t rank, shape[BNN_NPY_MAX_RANK];
    size_t count;
    char kind;    /* 'f' float, 'i' signed, 'u' unsigned, 'b' bool */
    size_t width; /* bytes an item in the file */
    double *data; /* (count), converted, the last axis fastest whatever the order in the file */
} bnn_npy;

/* Reads f2, f4, f8, i1..i8, u1..u8, b1. BNN_BAD_INPUT: magic, version, header, size. */
bnn_status bnn_npy_read(const char *path, bnn_npy **array, bnn_error *error);

/* The same from bytes in memory (a member of an .npz); `name` is for messages. */
bnn_status bnn_npy_parse(const char *name, const uint8_t *bytes, size_t size, bnn_npy **array,
                         bnn_error *error);
void bnn_npy_free(bnn_npy *array);

/* "(6, 1, 12, 12)"; returns `text`. */
const char *bnn_npy_shape_text(const bnn_npy *array, char text[200]);

/* Writes '<f8' when `width` is 8 and '<f4' when it is 4, atomically. */
bnn_status bnn_npy_write(const char *path, const double *data, size_t rank, const size_t *shape, size_t width,
                         bnn_error *error);

/* Writes '|b1', atomically; flags are 0 or 1. */
bnn_status bnn_npy_write_flags(const char *path, const uint8_t *flags, size_t rank, const size_t *shape,
                               bnn_error *error);

#endif
