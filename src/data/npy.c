/* The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#include "bnn/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/io.h"
#include "data/array.h"

enum { MAGIC_SIZE = 6, VERSION_SIZE = 2 };
static const char magic[] = "\x93NUMPY";

/* Where the parser is in the header: a Python dictionary written out,
 * {'descr': '<f8', 'fortran_order': False, 'shape': (6, 1), } and spaces, and a newline. */
typedef struct header {
    const char *name, *text;
    size_t size, at;
    bnn_error *error;
} header;

static bnn_status bad_header(const header *h, const char *expected)
{
    return bnn_fail(h->error, BNN_BAD_INPUT, "%s: .npy header: at character %zu, expected %s", h->name, h->at,
                    expected);
}

static char peek(header *h)
{
    while (h->at < h->size && (h->text[h->at] == ' ' || h->text[h->at] == '\n')) h->at++;
    return h->at < h->size ? h->text[h->at] : '\0';
}

static bool accept(header *h, char c)
{
    if (peek(h) != c) return false;
    h->at++;
    return true;
}

/* A string in either kind of quotes, without escapes. */
static bnn_status parse_string(header *h, char *string, size_t capacity)
{
    const char quote = peek(h);
    size_t length = 0;
    if (quote != '\'' && quote != '"') return bad_header(h, "a string in quotes");
    h->at++;
    while (h->at < h->size && h->text[h->at] != quote && length + 1 < capacity)
        string[length++] = h->text[h->at++];
    string[length] = '\0';
    if (h->at >= h->size || h->text[h->at] != quote) return bad_header(h, "the end of a short string");
    h->at++;
    return BNN_OK;
}

/* '<f8': byte order, kind, bytes an item. */
static bnn_status parse_type(header *h, bnn_array *array)
{
    static const char *const kinds[] = {"f2", "f4", "f8", "i1", "i2", "i4", "i8",
                                        "u1", "u2", "u4", "u8", "b1", NULL};
    char type[16] = {0};
    if (peek(h) == '[') return bad_header(h, "a simple number type, found a structured one");
    const bnn_status status = parse_string(h, type, sizeof type);
    if (status) return status;
    size_t k = 0;
    while (kinds[k] && strcmp(type + 1, kinds[k]) != 0) k++;
    const bool order = type[0] == '<' || type[0] == '>' || (type[0] == '|' && type[2] == '1');
    if (!order || !kinds[k])
        return bnn_fail(h->error, BNN_BAD_INPUT,
                        "%s: .npy header: found items of type '%s', expected float, integer or bool", h->name,
                        type);
    array->big_endian = type[0] == '>';
    array->kind = type[1];
    array->width = (size_t)(type[2] - '0');
    return BNN_OK;
}

static bnn_status parse_order(header *h, bool *fortran)
{
    static const char *const words[] = {"False", "True"};
    peek(h);
    for (size_t w = 0; w < 2; w++) {
        const size_t length = strlen(words[w]);
        if (h->size - h->at < length || memcmp(h->text + h->at, words[w], length) != 0) continue;
        h->at += length;
        *fortran = w == 1;
        return BNN_OK;
    }
    return bad_header(h, "False or True");
}

/* 40, or 40L as Python 2 writes it. */
static bnn_status parse_size(header *h, size_t *size)
{
    const char first = peek(h);
    if (first < '0' || first > '9') return bad_header(h, "a size");
    *size = 0;
    for (; h->at < h->size && h->text[h->at] >= '0' && h->text[h->at] <= '9'; h->at++)
        if (__builtin_mul_overflow(*size, (size_t)10, size) ||
            __builtin_add_overflow(*size, (size_t)(h->text[h->at] - '0'), size))
            return bad_header(h, "a size that a machine can hold");
    if (h->at < h->size && h->text[h->at] == 'L') h->at++;
    return BNN_OK;
}

/* (), (3,), (3, 4), (3, 4,) */
static bnn_status parse_shape(header *h, bnn_array *array)
{
    if (!accept(h, '(')) return bad_header(h, "the shape, a tuple in parentheses");
    array->rank = 0;
    while (!accept(h, ')')) {
        if (array->rank == BNN_NPY_MAX_RANK) return bad_header(h, "at most 8 dimensions");
        const bnn_status status = parse_size(h, &array->shape[array->rank]);
        if (status) return status;
        array->rank++;
        if (!accept(h, ',') && (array->rank == 1 || peek(h) != ')')) return bad_header(h, "a comma");
    }
    return BNN_OK;
}

static bnn_status parse_dictionary(header *h, bnn_array *array, bool *fortran)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    bool seen[3] = {false};
    char key[16];
    bnn_status status = BNN_OK;
    if (!accept(h, '{')) return bad_header(h, "{");
    while (!status && !accept(h, '}')) {
        if ((status = parse_string(h, key, sizeof key))) break;
        size_t k = 0;
        while (k < 3 && strcmp(key, keys[k]) != 0) k++;
        if (k == 3 || seen[k]) return bad_header(h, "each of descr, fortran_order and shape once");
        seen[k] = true;
        if (!accept(h, ':')) return bad_header(h, "a colon");
        status = k == 0 ? parse_type(h, array) : k == 1 ? parse_order(h, fortran) : parse_shape(h, array);
        if (!status && !accept(h, ',') && peek(h) != '}') status = bad_header(h, "a comma or }");
    }
    if (status) return status;
    if (!seen[0] || !seen[1] || !seen[2]) return bad_header(h, "each of descr, fortran_order and shape once");
    if (peek(h) != '\0' || h->at != h->size) return bad_header(h, "the end of the header");
    return BNN_OK;
}

static bool is_npy(const uint8_t *bytes, size_t size)
{
    return size >= 1 && bytes[0] == (uint8_t)magic[0]; /* one byte, so that a file cut short is called so */
}

static bnn_status parse_npy(const char *name, const uint8_t *bytes, size_t size, bnn_array *array,
                            bnn_error *error)
{
    const size_t start = MAGIC_SIZE + VERSION_SIZE;
    bool fortran = false;
    *array = (bnn_array){.name = name};
    if (size < start || memcmp(bytes, magic, MAGIC_SIZE) != 0)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: is no .npy file: expected \\x93NUMPY at its beginning",
                        name);
    const unsigned version = bytes[MAGIC_SIZE], minor = bytes[MAGIC_SIZE + 1];
    if (version < 1 || version > 3 || minor != 0)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: found .npy version %u.%u, expected 1.0, 2.0 or 3.0", name,
                        version, minor);
    const size_t field = version == 1 ? 2 : 4; /* bytes of the header's length */
    if (size - start < field || size - start - field < bnn_load(bytes + start, field, false))
        return bnn_fail(error, BNN_BAD_INPUT, "%s: ends within its .npy header, after %zu bytes", name, size);
    const size_t length = (size_t)bnn_load(bytes + start, field, false);
    header h = {name, (const char *)bytes + start + field, length, 0, error};
    const bnn_status status = parse_dictionary(&h, array, &fortran);
    if (status) return status;
    array->items = bytes + start + field + length;
    return bnn_array_arrange(array, fortran, size - start - field - length, error);
}

const bnn_array_format bnn_array_npy = {.name = ".npy", .sniff = is_npy, .parse = parse_npy};

bnn_status bnn_npy_parse(const char *name, const uint8_t *bytes, size_t size, bnn_npy **array,
                         bnn_error *error)
{
    bnn_array view;
    *array = NULL;
    const bnn_status status = parse_npy(name, bytes, size, &view, error);
    if (status) return status;
    bnn_npy *result = bnn_alloc(1, sizeof *result);
    double *data = bnn_alloc(view.count, sizeof *data);
    if (!result || !data) {
        free(data);
        free(result);
        return bnn_no_memory(error, name, view.count, sizeof *data);
    }
    bnn_array_values(&view, data);
    *result = (bnn_npy){
        .rank = view.rank, .count = view.count, .kind = view.kind, .width = view.width, .data = data};
    memcpy(result->shape, view.shape, sizeof result->shape);
    *array = result;
    return BNN_OK;
}

bnn_status bnn_npy_read(const char *path, bnn_npy **array, bnn_error *error)
{
    uint8_t *bytes;
    size_t size;
    *array = NULL;
    bnn_status status = bnn_read_file(path, BNN_FILE_MOST, &bytes, &size, error);
    if (status) return status;
    status = bnn_npy_parse(bnn_input_name(path), bytes, size, array, error);
    free(bytes);
    return status;
}

void bnn_npy_free(bnn_npy *array)
{
    if (!array) return;
    free(array->data);
    free(array);
}

const char *bnn_npy_shape_text(const bnn_npy *array, char text[200])
{
    bnn_array view = {.rank = array->rank};
    memcpy(view.shape, array->shape, sizeof view.shape);
    return bnn_array_shape_text(&view, text);
}

/* Version 1.0: magic, version, a length of 2 bytes, and a header that ends with a newline at a multiple
 * of 64. */
static size_t write_header(uint8_t header_bytes[512], const bnn_array *array)
{
    char shape[200], dictionary[300];
    const size_t start = MAGIC_SIZE + VERSION_SIZE + 2;
    const int length =
        snprintf(dictionary, sizeof dictionary, "{'descr': '%s%zu', 'fortran_order': False, 'shape': %s, }",
                 array->kind == 'b' ? "|b" : "<f", array->width, bnn_array_shape_text(array, shape));
    const size_t total = (start + (size_t)length + 1 + 63) / 64 * 64;
    memset(header_bytes, ' ', total);
    memcpy(header_bytes, magic, MAGIC_SIZE);
    header_bytes[MAGIC_SIZE] = 1;
    header_bytes[MAGIC_SIZE + 1] = 0;
    bnn_store(header_bytes + MAGIC_SIZE + VERSION_SIZE, 2, total - start);
    memcpy(header_bytes + start, dictionary, (size_t)length);
    header_bytes[total - 1] = '\n';
    return total;
}

/* Writes an array whose items are floats of `data`, or where that is NULL the bytes of `flags`. */
static bnn_status write_array(const char *path, const double *data, const uint8_t *flags, bnn_array *array,
                              const size_t *shape, bnn_error *error)
{
    const size_t width = array->width;
    uint8_t header_bytes[512];
    if (array->rank > BNN_NPY_MAX_RANK || (data && width != 4 && width != 8))
        return bnn_fail(error, BNN_FAILED, "%s: cannot write %zu dimensions of %zu-byte items", path,
                        array->rank, width);
    array->count = 1;
    for (size_t d = 0; d < array->rank; d++) array->count *= array->shape[d] = shape[d];
    const size_t start = write_header(header_bytes, array);
    uint8_t *bytes = bnn_alloc(start + array->count * width, 1);
    if (!bytes) return bnn_no_memory(error, path, array->count, width);
    memcpy(bytes, header_bytes, start);
    for (size_t i = 0; data && i < array->count; i++)
        bnn_store_float(bytes + start + i * width, width, data[i]);
    if (flags) memcpy(bytes + start, flags, array->count);
    const bnn_status status = bnn_write_file(path, bytes, start + array->count * width, error);
    free(bytes);
    return status;
}

bnn_status bnn_npy_write(const char *path, const double *data, size_t rank, const size_t *shape, size_t width,
                         bnn_error *error)
{
    bnn_array array = {.rank = rank, .kind = 'f', .width = width};
    return write_array(path, data, NULL, &array, shape, error);
}

bnn_status bnn_npy_write_flags(const char *path, const uint8_t *flags, size_t rank, const size_t *shape,
                               bnn_error *error)
{
    bnn_array array = {.rank = rank, .kind = 'b', .width = 1};
    return write_array(path, NULL, flags, &array, shape, error);
}
