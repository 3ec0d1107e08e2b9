/* An array of numbers that lies in memory as a file holds it: what the readers of IDX and .npy give, so that
 * what is done with images and labels does not depend on the format. Floor 2. */
#ifndef BNN_ARRAY_H
#define BNN_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bnn/npy.h"
#include "bnn/status.h"

typedef struct bnn_array {
    size_t rank, shape[BNN_NPY_MAX_RANK];
    size_t count;         /* product of the shape */
    char kind;            /* 'f' float, 'i' signed, 'u' unsigned, 'b' bool */
    size_t width;         /* bytes an item: 1, 2, 4 or 8 */
    bool big_endian;      /* order of an item's bytes */
    const uint8_t *items; /* (count * width), borrowed */
} bnn_array;

/* Checks the header against the size of the bytes; `name` is for messages. */
bnn_status bnn_npy_array(const char *name, const uint8_t *bytes, size_t size, bnn_array *array,
                         bnn_error *error);
bnn_status bnn_idx_array(const char *name, const uint8_t *bytes, size_t size, bnn_array *array,
                         bnn_error *error);

/* What every such header ends with: array->count <- product of the shape, which with `width` bytes an item
 * must be the `size` bytes found after the header. */
bnn_status bnn_array_check(const char *name, bnn_array *array, size_t size, bnn_error *error);

/* "(6, 1, 12, 12)"; returns `text`. */
const char *bnn_array_shape_text(const bnn_array *array, char text[200]);

/* Item i as a number. */
double bnn_array_item(const bnn_array *array, size_t i);

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
