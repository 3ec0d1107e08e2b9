#include "data/sniff.h"

#include <stdbool.h>
#include <string.h>

#include "data/array.h"

size_t bnn_byte_order_mark(const uint8_t *bytes, size_t size)
{
    return size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

/* The length of the header can be any bytes, so it is judged by whether the file has room for it. */
static bool is_safetensors(const uint8_t *bytes, size_t size)
{
    return size > 8 && bytes[8] == '{' && bnn_load(bytes, 8, false) <= size - 8;
}

static bool is_json(const uint8_t *bytes, size_t size)
{
    size_t at = bnn_byte_order_mark(bytes, size);
    while (at < size && (bytes[at] == ' ' || bytes[at] == '\t' || bytes[at] == '\r' || bytes[at] == '\n'))
        at++;
    return at < size && (bytes[at] == '{' || bytes[at] == '[');
}

/* Two zero bytes, the type of the items, the number of dimensions. */
static bool is_idx(const uint8_t *bytes, size_t size)
{
    static const uint8_t types[] = {0x08, 0x09, 0x0b, 0x0c, 0x0d, 0x0e};
    return size >= 4 && bytes[0] == 0 && bytes[1] == 0 && memchr(types, bytes[2], sizeof types) &&
           bytes[3] >= 1 && bytes[3] <= BNN_NPY_MAX_RANK;
}

static bool begins_with(const uint8_t *bytes, size_t size, const char *magic)
{
    return size >= strlen(magic) && memcmp(bytes, magic, strlen(magic)) == 0;
}

bnn_file_kind bnn_sniff(const uint8_t *bytes, size_t size)
{
    if (is_safetensors(bytes, size)) return BNN_FILE_SAFETENSORS;
    if (begins_with(bytes, size, "\x93NUMPY")) return BNN_FILE_NPY;
    if (begins_with(bytes, size, "\x1f\x8b")) return BNN_FILE_GZIP;
    if (begins_with(bytes, size, "PK\x03\x04") || begins_with(bytes, size, "PK\x05\x06")) return BNN_FILE_ZIP;
    if (begins_with(bytes, size, "\x89PNG\r\n\x1a\n")) return BNN_FILE_PNG;
    if (is_idx(bytes, size)) return BNN_FILE_IDX;
    return is_json(bytes, size) ? BNN_FILE_JSON : BNN_FILE_UNKNOWN;
}

const char *bnn_file_kind_name(bnn_file_kind kind)
{
    static const char *const names[] = {
        [BNN_FILE_UNKNOWN] = "a file of no known kind",
        [BNN_FILE_SAFETENSORS] = "a safetensors file",
        [BNN_FILE_JSON] = "a JSON text",
        [BNN_FILE_NPY] = "a NumPy array (.npy)",
        [BNN_FILE_IDX] = "an IDX file",
        [BNN_FILE_GZIP] = "a gzip file",
        [BNN_FILE_ZIP] = "a zip archive (.npz)",
        [BNN_FILE_PNG] = "a PNG image",
    };
    return names[kind];
}
