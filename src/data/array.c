#include "data/array.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "bnn/io.h"

const bnn_array_format *const bnn_array_formats[] = {&bnn_array_idx, &bnn_array_npy, NULL};

bnn_status bnn_array_read(const char *path, bnn_array *array, bnn_error *error)
{
    uint8_t *bytes;
    size_t size;
    char known[128] = "";
    const char *name = bnn_input_name(path);
    *array = (bnn_array){0};
    bnn_status status = bnn_read_file(path, BNN_FILE_MOST, &bytes, &size, error);
    if (status) return status;
    const bnn_array_format *const *format = bnn_array_formats;
    for (; *format && !(*format)->sniff(bytes, size); format++)
        bnn_append(known, sizeof known, "%s%s", *known ? ", " : "", (*format)->name);
    if (*format)
        status = (*format)->parse(name, bytes, size, array, error);
    else
        status = bnn_fail(error, BNN_BAD_INPUT,
                          "%s: is of no known format by its first bytes, expected one of %s", name, known);
    if (status || array->memory)
        free(bytes);
    else
        array->memory = bytes;
    if (status) bnn_array_free(array);
    return status;
}

void bnn_array_free(bnn_array *array)
{
    free(array->memory);
    *array = (bnn_array){0};
}

bnn_status bnn_array_arrange(bnn_array *array, bool fortran, size_t size, bnn_error *error)
{
    char shape[200];
    bool fits = true;
    array->count = 1;
    for (size_t i = 0; i < array->rank && fits; i++) {
        const size_t axis = fortran ? i : array->rank - 1 - i;
        array->stride[axis] = array->count;
        fits = !__builtin_mul_overflow(array->count, array->shape[axis], &array->count);
    }
    size_t bytes;
    fits = fits && !__builtin_mul_overflow(array->count, array->width, &bytes);
    if (fits && bytes == size) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT, "%s: found %zu bytes of data, expected %s items of %zu bytes",
                    array->name, size, bnn_array_shape_text(array, shape), array->width);
}

const char *bnn_array_shape_text(const bnn_array *array, char text[200])
{
    snprintf(text, 200, "(");
    for (size_t d = 0; d < array->rank; d++) bnn_append(text, 200, "%s%zu", d ? ", " : "", array->shape[d]);
    return bnn_append(text, 200, array->rank == 1 ? ",)" : ")");
}

const char *bnn_array_type_text(const bnn_array *array, char text[BNN_TYPE_NAME])
{
    const char *kind = array->kind == 'f' ? "float" : array->kind == 'i' ? "int" : "uint";
    if (array->kind == 'b')
        snprintf(text, BNN_TYPE_NAME, "bool");
    else
        snprintf(text, BNN_TYPE_NAME, "%s%zu", kind, 8 * array->width);
    return text;
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

double bnn_array_item(const bnn_array *array, size_t at)
{
    const uint8_t *item = array->items + at * array->width;
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

void bnn_array_values(const bnn_array *array, double *values)
{
    size_t index[BNN_NPY_MAX_RANK] = {0}, at = 0;
    for (size_t i = 0; i < array->count; i++) {
        values[i] = bnn_array_item(array, at);
        for (size_t axis = array->rank; axis-- > 0;) { /* the next index, as an odometer counts */
            at += array->stride[axis];
            if (++index[axis] < array->shape[axis]) break;
            at -= array->stride[axis] * array->shape[axis];
            index[axis] = 0;
        }
    }
}

bnn_status bnn_array_labels(const bnn_array *array, size_t count, size_t classes, uint32_t *labels,
                            size_t *largest, bnn_error *error)
{
    enum { LABEL_MOST = 65535 };
    char shape[200];
    const size_t most = classes ? classes - 1 : LABEL_MOST;
    size_t found = 0;
    if (!(array->rank == 1 || (array->rank == 2 && array->shape[1] == 1)))
        return bnn_fail(error, BNN_BAD_INPUT, "%s: found an array of shape %s, expected labels (N) or (N,1)",
                        array->name, bnn_array_shape_text(array, shape));
    if (array->count != count)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: found %zu labels, expected %zu, one for each image",
                        array->name, array->count, count);
    for (size_t i = 0; i < count; i++) {
        const double label = bnn_array_item(array, i * array->stride[0]);
        if (!(label >= 0 && label <= (double)most && label == floor(label)))
            return bnn_fail(error, BNN_BAD_INPUT, "%s: label %zu is %.17g, expected an integer in 0..%zu%s",
                            array->name, i, label, most, classes ? ", the classes there are" : "");
        labels[i] = (uint32_t)label;
        if (labels[i] > found) found = labels[i];
    }
    if (largest) *largest = found;
    return BNN_OK;
}
