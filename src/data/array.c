#include "data/array.h"

#include <math.h>
#include <stdio.h>

#include "base/text.h"

bnn_status bnn_array_check(const char *name, bnn_array *array, size_t size, bnn_error *error)
{
    char shape[200];
    bool fits = true;
    array->count = 1;
    for (size_t d = 0; d < array->rank && fits; d++)
        fits = !__builtin_mul_overflow(array->count, array->shape[d], &array->count);
    size_t bytes;
    fits = fits && !__builtin_mul_overflow(array->count, array->width, &bytes);
    if (fits && bytes == size) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT, "%s: found %zu bytes of data, expected %s items of %zu bytes", name,
                    size, bnn_array_shape_text(array, shape), array->width);
}

const char *bnn_array_shape_text(const bnn_array *array, char text[200])
{
    snprintf(text, 200, "(");
    for (size_t d = 0; d < array->rank; d++) bnn_append(text, 200, "%s%zu", d ? ", " : "", array->shape[d]);
    return bnn_append(text, 200, array->rank == 1 ? ",)" : ")");
}

/* binary16 of IEEE 754: 1 bit of sign, 5 of exponent (bias 15), 10 of fraction. */
static double half_value(uint64_t bits)
{
    const int exponent = (int)(bits >> 10 & 31);
    const double fraction = (double)(bits & 1023);
    double size;
    if (exponent == 31)
        size = fraction > 0 ? NAN : INFINITY;
    else
        size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return bits >> 15 ? -size : size;
}

double bnn_array_item(const bnn_array *array, size_t i)
{
    const uint8_t *item = array->items + i * array->width;
    const uint64_t bits = bnn_load(item, array->width, array->big_endian);
    const uint64_t sign = UINT64_C(1) << (8 * array->width - 1);
    switch (array->kind) {
    case 'u':
        return (double)bits;
    case 'i':
        return bits & sign ? -(double)((sign << 1) - bits) : (double)bits;
    case 'b':
        return bits != 0;
    default:
        return array->width == 2 ? half_value(bits) : bnn_load_float(item, array->width, array->big_endian);
    }
}
