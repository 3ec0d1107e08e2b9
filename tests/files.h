/* For tests of files: a temporary directory, files made of bytes, and what an error line must say. */
#ifndef BNN_TESTS_FILES_H
#define BNN_TESTS_FILES_H

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bnn/status.h"
#include "testing.h"

static char temporary_directory[64];

static int make_temporary_directory(void **state)
{
    (void)state;
    strcpy(temporary_directory, "/tmp/bnn-test-"
                                "XX"
                                "XX"
                                "XX");
    return mkdtemp(temporary_directory) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static int remove_temporary_directory(void **state)
{
    (void)state;
    return nftw(temporary_directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of `name` in the temporary directory; several live at once. */
static inline const char *in_temporary(const char *name)
{
    static char paths[16][256];
    static size_t turn;
    char *path = paths[turn++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", temporary_directory, name);
    return path;
}

/* Writes the bytes with the C library alone, and gives back the path. */
static inline const char *put_file(const char *name, const void *bytes, size_t size)
{
    const char *path = in_temporary(name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}

/* Reads at most `capacity` bytes with the C library alone. */
static inline size_t get_file(const char *path, void *bytes, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t size = fread(bytes, 1, capacity, file);
    assert_int_equal(fclose(file), 0);
    return size;
}

/* Entries of a directory but for . and .. */
static inline size_t count_entries(const char *path)
{
    size_t count = 0;
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) count++;
    closedir(directory);
    return count;
}

/* An .npy of the given version, header text and data, in one buffer that the next call overwrites; *size <-
 * its bytes. */
static inline const uint8_t *npy_bytes(uint8_t version, const char *header, const void *data,
                                       size_t data_size, size_t *size)
{
    static uint8_t bytes[2048];
    const size_t length = strlen(header), field = version == 1 ? 2 : 4;
    memcpy(bytes, "\x93NUMPY", 6);
    bytes[6] = version;
    bytes[7] = 0;
    for (size_t i = 0; i < field; i++) bytes[8 + i] = (uint8_t)(length >> 8 * i);
    memcpy(bytes + 8 + field, header, length);
    memcpy(bytes + 8 + field + length, data, data_size);
    *size = 8 + field + length + data_size;
    return bytes;
}

/* The call failed with `expected`, left one line, and the line holds every text of the list. */
#define assert_failure(status_, expected, error_, ...)                                                       \
    check_failure(status_, expected, &(error_), (const char *const[]){__VA_ARGS__, NULL})

static inline void check_failure(bnn_status status, bnn_status expected, const bnn_error *error,
                                 const char *const *texts)
{
    if (status != expected) fail_msg("status is %d, expected %d", (int)status, (int)expected);
    assert_int_equal(error->status, expected);
    assert_true(error->message[0] != '\0');
    assert_null(strchr(error->message, '\n'));
    for (; *texts; texts++)
        if (!strstr(error->message, *texts)) fail_msg("\"%s\" does not say \"%s\"", error->message, *texts);
}

#endif
