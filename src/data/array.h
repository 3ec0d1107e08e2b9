/* An array of numbers that lies in memory as a file holds it: what the readers of file formats give, so that what is done
 * with images and labels does not depend on the format. */
#ifndef BNN_ARRAY_H
#define BNN_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bnn/dataset.h"
#include "bnn/npy.h"
#include "bnn/status.h"

typedef struct bnn_array {
    const char *name; /* for messages: the file; borrowed */
    size_t rank, shape[BNN_NPY_MAX_RANK];
    size_t stride
        [BNN_NPY_MAX_RANK]; /* items from one entry of an axis to the next, whatever the order in the file */
    size_t count;           /* product of the shape */
    char kind;              /* 'f' float, 'i' signed, 'u' unsigned, 'b' bool */
    size_t width;           /* bytes an item: 1, 2, 4 or 8 */
    bool intensities;       /* from 0, black, to the largest of its type, white, as uint8 is without this */
    bool big_endian;        /* order of an item's bytes */
    const uint8_t *items;   /* borrowed, or within `memory` */
    uint8_t *memory;        /* NULL, or what bnn_array_free releases */
} bnn_array;

/* A format of files that hold one array. */
typedef struct bnn_array_format {
    const char *name; /* "IDX" */
    /* Whether the file is of this format, by its first bytes. */
    bool (*sniff)(const uint8_t *bytes, size_t size);
    /* Checks the header against the size. array->items points into `bytes`, or into array->memory where the format has to
     * be unpacked. */
    bnn_status (*parse)(const char *name, const uint8_t *bytes, size_t size, bnn_array *array,
                        bnn_error *error);
} bnn_array_format;

extern const bnn_array_format bnn_array_idx, bnn_array_npy;
extern const bnn_array_format *const bnn_array_formats[]; /* every format, NULL-terminated */

/* Reads a file of any of the formats, gzip-compressed or not; `path` has to outlive the array. The error for a file of
 * none of them lists them. */
bnn_status bnn_array_read(const char *path, bnn_array *array, bnn_error *error);
void bnn_array_free(bnn_array *array); /* what it owns; one that is all zero is legal */

/* What every header ends with: count and strides <- those of the shape, the last axis fastest or, with `fortran`, the
 * first; with `width` bytes an item the array must be the `size` bytes found after the header. */
bnn_status bnn_array_arrange(bnn_array *array, bool fortran, size_t size, bnn_error *error);

/* "(6, 1, 12, 12)"; returns `text`. */
const char *bnn_array_shape_text(const bnn_array *array, char text[200]);

/* The type of an item as NumPy calls it: "uint8"; returns `text`. */
const char *bnn_array_type_text(const bnn_array *array, char text[BNN_TYPE_NAME]);

/* The item at a sum of index times stride. */
double bnn_array_item(const bnn_array *array, size_t at);

/* values (count) <- every item, the last axis fastest. */
void bnn_array_values(const bnn_array *array, double *values);

/* Labels from an array (N) or (N,1) of `count` integers in 0..classes-1; classes 0: not known, 65536 at most.
 * labels (count) <- them; *largest, where not NULL, <- the largest. */
bnn_status bnn_array_labels(const bnn_array *array, size_t count, size_t classes, uint32_t *labels,
                            size_t *largest, bnn_error *error);

/* Integers of 1 to 8 bytes in either byte order, whatever the machine's own. */
static inline uint64_t bnn_load(const uint8_t *bytes, size_t width, bool big_endian)
{
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++) value = value << 8 | bytes[big_endian ? i : width - 1 - i];
    return value;
}

static inline void bnn_store(uint8_t *bytes, size_t width, uint64_t value) /* little-endian */
{
    for (size_t i = 0; i < width; i++) bytes[i] = (uint8_t)(value >> 8 * i);
}

/* IEEE 754 numbers of 4 or 8 bytes. */
static inline double bnn_load_float(const uint8_t *bytes, size_t width, bool big_endian)
{
    const uint64_t bits = bnn_load(bytes, width, big_endian);
    const uint32_t low = (uint32_t)bits;
    float single;
    double wide;
    memcpy(&single, &low, sizeof single);
    memcpy(&wide, &bits, sizeof wide);
    return width == 4 ? (double)single : wide;
}

static inline void bnn_store_float(uint8_t *bytes, size_t width, double value) /* little-endian */
{
    const float single = (float)value;
    uint32_t low;
    uint64_t bits;
    memcpy(&low, &single, sizeof low);
    memcpy(&bits, &value, sizeof bits);
    bnn_store(bytes, width, width == 4 ? low : bits);
}

_Static_assert(sizeof(float) == 4 && sizeof(double) == 8, "IEEE 754 float and double");

#endif
