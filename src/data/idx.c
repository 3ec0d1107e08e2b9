/* IDX, the format of MNIST and its kin (http://yann.lecun.com/exdb/mnist, "The IDX file format"): two zero
 * bytes, a type, the number of dimensions, every dimension in 4 bytes, the data; all big-endian. */
#include "data/array.h"

static bool is_idx(const uint8_t *bytes, size_t size)
{
    return size >= 2 && bytes[0] == 0 && bytes[1] == 0;
}

/* *array <- what the header says, *start <- its bytes. */
static bnn_status parse_header(const char *name, const uint8_t *bytes, size_t size, bnn_array *array,
                               size_t *start, bnn_error *error)
{
    static const struct {
        uint8_t code;
        char kind;
        size_t width;
    } types[] = {{0x08, 'u', 1}, {0x09, 'i', 1}, {0x0b, 'i', 2},
                 {0x0c, 'i', 4}, {0x0d, 'f', 4}, {0x0e, 'f', 8}};
    const size_t type_count = sizeof types / sizeof *types;
    if (size < 4 || !is_idx(bytes, size))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: is no IDX file: expected it to begin with two zero bytes, a type and "
                        "a number of dimensions",
                        name);
    size_t t = 0;
    while (t < type_count && types[t].code != bytes[2]) t++;
    if (t == type_count)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: found IDX type 0x%02x, expected 0x08 (uint8), another integer or 0x0d "
                        "(float)",
                        name, bytes[2]);
    const size_t rank = bytes[3];
    *start = 4 + 4 * rank;
    if (rank < 1 || rank > BNN_NPY_MAX_RANK)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: found %zu IDX dimensions, expected 1 to %d", name, rank,
                        BNN_NPY_MAX_RANK);
    if (size < *start)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: ends within its IDX header: found %zu bytes, expected %zu",
                        name, size, *start);
    *array = (bnn_array){.name = name,
                         .rank = rank,
                         .kind = types[t].kind,
                         .width = types[t].width,
                         .big_endian = true,
                         .items = bytes + *start};
    for (size_t d = 0; d < rank; d++) array->shape[d] = (size_t)bnn_load(bytes + 4 + 4 * d, 4, true);
    return BNN_OK;
}

static bnn_status parse_idx(const char *name, const uint8_t *bytes, size_t size, bnn_array *array,
                            bnn_error *error)
{
    size_t start;
    const bnn_status status = parse_header(name, bytes, size, array, &start, error);
    return status ? status : bnn_array_arrange(array, false, size - start, error);
}

static size_t whole_idx(const uint8_t *bytes, size_t size)
{
    bnn_array array;
    size_t start;
    return parse_header("", bytes, size, &array, &start, NULL) ? 0 : bnn_array_whole(&array, start);
}

const bnn_array_format bnn_array_idx = {
    .name = "IDX", .sniff = is_idx, .whole = whole_idx, .parse = parse_idx};
