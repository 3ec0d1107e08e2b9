/* .npz archives for tests, made with libzip: members one after the other, then the file. */
#ifndef BNN_TESTS_ARCHIVES_H
#define BNN_TESTS_ARCHIVES_H

#include <zip.h>

#include "files.h"

static inline zip_t *new_archive(const char *path)
{
    int code;
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
    assert_non_null(zip);
    return zip;
}

/* Adds a member of these bytes, of which libzip takes a copy. */
static inline void add_member(zip_t *zip, const char *name, const void *bytes, size_t size,
                              zip_int32_t method)
{
    void *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    zip_source_t *source = zip_source_buffer(zip, copy, size, 1);
    assert_non_null(source);
    const zip_int64_t index = zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8);
    assert_true(index >= 0);
    assert_int_equal(zip_set_file_compression(zip, (zip_uint64_t)index, method, 0), 0);
}

/* An .npy of this type and shape, whatever its size; freed with free(). *size <- its bytes. */
static inline uint8_t *array_bytes(const char *type, const char *shape, const void *data, size_t data_size,
                                   size_t *size)
{
    char header[200];
    const int length = snprintf(header, sizeof header,
                                "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", type, shape);
    uint8_t *bytes = malloc(10 + (size_t)length + data_size);
    assert_non_null(bytes);
    memcpy(bytes, "\x93NUMPY\x01\x00", 8);
    bytes[8] = (uint8_t)length, bytes[9] = 0;
    memcpy(bytes + 10, header, (size_t)length);
    memcpy(bytes + 10 + length, data, data_size);
    *size = 10 + (size_t)length + data_size;
    return bytes;
}

/* Adds the array "key.npy". */
static inline void add_array(zip_t *zip, const char *key, const char *type, const char *shape,
                             const void *data, size_t data_size, zip_int32_t method)
{
    char member[128];
    size_t size;
    uint8_t *bytes = array_bytes(type, shape, data, data_size, &size);
    snprintf(member, sizeof member, "%s.npy", key);
    add_member(zip, member, bytes, size, method);
    free(bytes);
}

/* The same as a file by itself. */
static inline void put_array(const char *name, const char *type, const char *shape, const void *data,
                             size_t data_size)
{
    size_t size;
    uint8_t *bytes = array_bytes(type, shape, data, data_size, &size);
    put_file(name, bytes, size);
    free(bytes);
}

static inline void close_archive(zip_t *zip)
{
    assert_int_equal(zip_close(zip), 0);
}

#endif
