#define ZLIB_CONST
#include "bnn/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sha2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum {
    CHUNK = 1 << 24, /* bytes handed to one read, write or inflate */
    HEAD = 1 << 16   /* that are read before a file is asked for its size */
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Whether the reason in errno is the machine's fault: it ran out of something, or broke. */
static bool machine_failed(void)
{
    switch (errno) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EIO:
    case EINTR:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return true;
    default:
        return false;
    }
}

bnn_status bnn_system_failure(bnn_error *error, const char *path, const char *what)
{
    const int code = errno;
    return bnn_fail(error, machine_failed() ? BNN_FAILED : BNN_BAD_INPUT, "%s: cannot %s: %s", path, what,
                    strerror(code));
}

/* stat, but that *exists is false where nothing is. */
static bnn_status look(const char *path, struct stat *info, bool *exists, bnn_error *error)
{
    *exists = stat(path, info) == 0;
    return *exists || !machine_failed() ? BNN_OK : bnn_system_failure(error, path, "examine");
}

bnn_status bnn_examine(const char *path, bnn_found *found, bnn_error *error)
{
    struct stat info;
    bool exists;
    const bnn_status status = look(path, &info, &exists, error);
    *found = !exists                 ? BNN_FOUND_NOTHING
             : S_ISREG(info.st_mode) ? BNN_FOUND_FILE
             : S_ISDIR(info.st_mode) ? BNN_FOUND_DIRECTORY
                                     : BNN_FOUND_SPECIAL;
    return status;
}

/* ---- reading ----------------------------------------------------------------------------------------------
 */

/* What is being read. It may grow to most + 1 bytes, the last of which says that there was too much. */
typedef struct contents {
    const char *path;
    uint8_t *data;
    size_t size, capacity, most;
    bnn_whole_size *whole; /* or NULL */
    size_t packed;         /* what is decompressed: the compressed bytes; otherwise 0 */
    bool asked, told;      /* whether the head has been asked for the size, and has told it */
} contents;

/* Lowers c->most to what the first bytes tell of the rest. */
static bnn_status ask_head(contents *c, bnn_error *error)
{
    const size_t whole = c->whole ? c->whole(c->data, c->size) : 0;
    const size_t untold = c->packed > BNN_INFLATE_UNTOLD / BNN_INFLATE_FACTOR ? BNN_INFLATE_FACTOR * c->packed
                                                                              : BNN_INFLATE_UNTOLD;
    c->asked = true;
    if (whole && c->packed && !bnn_can_inflate_to(c->packed, whole))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: its header tells of %zu bytes, more than its %zu compressed bytes can hold",
                        c->path, whole, c->packed);
    c->told = whole && whole <= c->most;
    if (c->told)
        c->most = whole;
    else if (c->packed)
        c->most = smaller(c->most, untold);
    return BNN_OK;
}

/* Makes room after the data: at first for `first` bytes, then for all that the head tells, or else for twice as many each
 * time. */
static bnn_status grow(contents *c, size_t first, bnn_error *error)
{
    size_t capacity = c->capacity ? 2 * c->capacity : first;
    if (c->capacity && !c->asked) {
        const bnn_status status = ask_head(c, error);
        if (status) return status;
        if (c->told && c->packed) capacity = c->most + 1;
    }
    capacity = smaller(capacity, c->most + 1);
    if (capacity <= c->size) /* the head tells of less than there is already */
        return bnn_fail(error, BNN_BAD_INPUT, "%s: holds more than the %zu bytes that its header tells",
                        c->path, c->most);
    uint8_t *data = capacity > bnn_memory_most() ? NULL : realloc(c->data, capacity + 1); /* and a zero */
    if (!data) return bnn_no_memory(error, c->path, capacity, 1);
    c->data = data;
    c->capacity = capacity;
    return BNN_OK;
}

static bnn_status check_size(const contents *c, const char *what, bnn_error *error)
{
    if (c->size <= c->most) return BNN_OK;
    if (c->told)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: %s holds more than the %zu bytes that its header tells",
                        c->path, what, c->most);
    return bnn_fail(error, BNN_BAD_INPUT, "%s: %s is larger than the %zu bytes expected at most", c->path,
                    what, c->most);
}

static bnn_status read_descriptor(int descriptor, contents *c, bnn_error *error)
{
    struct stat info;
    if (fstat(descriptor, &info)) return bnn_system_failure(error, c->path, "examine");
    if (S_ISDIR(info.st_mode))
        return bnn_fail(error, BNN_BAD_INPUT, "%s: is a directory, expected a file", c->path);
    /* One byte more than a regular file holds, so that its end shows without growing. */
    const size_t expected = S_ISREG(info.st_mode) && info.st_size > 0 ? (size_t)info.st_size + 1 : HEAD;
    for (;;) {
        if (c->size == c->capacity) {
            const bnn_status status = grow(c, expected, error);
            if (status) return status;
        }
        const ssize_t got = read(descriptor, c->data + c->size, smaller(c->capacity - c->size, CHUNK));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return bnn_system_failure(error, c->path, "read");
        if (got == 0) break;
        c->size += (size_t)got;
        const bnn_status status = check_size(c, "the file", error);
        if (status) return status;
    }
    c->data[c->size] = 0;
    return BNN_OK;
}

static bool is_gzip(const contents *c)
{
    return c->size >= 2 && c->data[0] == 0x1f && c->data[1] == 0x8b;
}

/* Whether nothing but zero bytes follows: the padding of tapes and of blocks, which gzip passes over too. */
static bool is_padding(const contents *packed, size_t used)
{
    while (used < packed->size && packed->data[used] == 0) used++;
    return used == packed->size;
}

/* One turn of inflate. `*used` counts the packed bytes consumed; *done is set at the end of the last member.
 */
static bnn_status inflate_some(z_stream *z, const contents *packed, size_t *used, contents *c, bool *done,
                               bnn_error *error)
{
    const size_t in = smaller(packed->size - *used, CHUNK), out = smaller(c->capacity - c->size, CHUNK);
    z->next_in = packed->data + *used;
    z->avail_in = (uInt)in;
    z->next_out = c->data + c->size;
    z->avail_out = (uInt)out;
    const int code = inflate(z, Z_NO_FLUSH);
    *used += in - z->avail_in;
    c->size += out - z->avail_out;
    switch (code) {
    case Z_OK:
        return check_size(c, "the decompressed file", error);
    case Z_STREAM_END:
        *done = is_padding(packed, *used);
        if (!*done && packed->data[*used] != 0x1f)
            return bnn_fail(error, BNN_BAD_INPUT, "%s: found %zu bytes after the end of the compressed data",
                            c->path, packed->size - *used);
        inflateReset(z); /* a gzip file may hold several members, one after the other */
        return check_size(c, "the decompressed file", error);
    case Z_BUF_ERROR:
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: the compressed data is truncated: it ends after %zu bytes, before its checksum",
                        c->path, packed->size);
    case Z_MEM_ERROR:
        return bnn_fail(error, BNN_FAILED, "%s: out of memory while decompressing", c->path);
    default:
        return bnn_fail(error, BNN_BAD_INPUT, "%s: the compressed data is corrupt near byte %zu (%s)",
                        c->path, *used, z->msg ? z->msg : "inflate failed");
    }
}

static bnn_status decompress(const contents *packed, contents *c, bnn_error *error)
{
    z_stream z = {0};
    size_t used = 0;
    bool done = false;
    bnn_status status = BNN_OK;
    if (inflateInit2(&z, 15 + 16) != Z_OK) /* 15: the largest window; 16: expect gzip */
        return bnn_fail(error, BNN_FAILED, "%s: out of memory while decompressing", c->path);
    while (!status && !done) {
        if (c->size == c->capacity) status = grow(c, HEAD, error);
        if (!status) status = inflate_some(&z, packed, &used, c, &done, error);
    }
    inflateEnd(&z);
    if (!status) c->data[c->size] = 0;
    return status;
}

static bool is_standard(const char *path)
{
    return strcmp(path, "-") == 0;
}

const char *bnn_input_name(const char *path)
{
    return is_standard(path) ? "standard input" : path;
}

void bnn_sha256(const void *data, size_t size, char sha256[BNN_SHA256])
{
    SHA256Data(data, size, sha256);
}

/* `whole` and `sha256` may be NULL. */
static bnn_status read_contents(const char *path, size_t most, bnn_whole_size *whole, uint8_t **data,
                                size_t *size, char sha256[BNN_SHA256], bnn_error *error)
{
    const char *name = bnn_input_name(path);
    if (most > SIZE_MAX / 8) most = SIZE_MAX / 8; /* so that doubling cannot overflow */
    contents raw = {.path = name, .most = most, .whole = whole}, unpacked = raw;
    *data = NULL;
    *size = 0;
    const int descriptor = is_standard(path) ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return bnn_system_failure(error, path, "open");
    bnn_status status = read_descriptor(descriptor, &raw, error);
    if (!is_standard(path)) close(descriptor);
    if (!status && sha256) SHA256Data(raw.data, raw.size, sha256);
    if (!status && is_gzip(&raw)) {
        unpacked.packed = raw.size;
        status = decompress(&raw, &unpacked, error);
        free(raw.data);
        raw = unpacked;
    }
    if (status) {
        free(raw.data);
        return status;
    }
    *data = raw.data;
    *size = raw.size;
    return BNN_OK;
}

bnn_status bnn_read_file(const char *path, size_t most, uint8_t **data, size_t *size, bnn_error *error)
{
    return read_contents(path, most, NULL, data, size, NULL, error);
}

bnn_status bnn_read_told(const char *path, bnn_whole_size *whole, uint8_t **data, size_t *size,
                         bnn_error *error)
{
    return read_contents(path, BNN_FILE_MOST, whole, data, size, NULL, error);
}

bnn_status bnn_read_identified(const char *path, size_t most, uint8_t **data, size_t *size,
                               char sha256[BNN_SHA256], bnn_error *error)
{
    return read_contents(path, most, NULL, data, size, sha256, error);
}

/* ---- writing ----------------------------------------------------------------------------------------------
 */

static bool write_all(int descriptor, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t put = write(descriptor, bytes, smaller(size, CHUNK));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        bytes += put;
        size -= (size_t)put;
    }
    return true;
}

static int directory_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (int)(slash - path) + 1 : 0;
}

/* target <- the file that `path` names, through symbolic links, the last of which may lead to a file that is yet to be
 * made; false, with errno set, when there is no such name. */
static bool follow_links(const char *path, char target[PATH_MAX])
{
    enum { LINKS_MOST = 40 }; /* as Linux follows */
    char link[PATH_MAX], next[PATH_MAX];
    errno = ENAMETOOLONG;
    if (strlen(path) >= PATH_MAX) return false;
    memcpy(target, path, strlen(path) + 1);
    for (int links = 0; links < LINKS_MOST; links++) {
        const ssize_t length = readlink(target, link, sizeof link - 1);
        if (length < 0) return !machine_failed(); /* no link; whether it can be written shows when it is */
        link[length] = '\0';
        const int folder = link[0] == '/' ? 0 : directory_length(target);
        if (snprintf(next, sizeof next, "%.*s%s", folder, target, link) >= (int)sizeof next) return false;
        memcpy(target, next, strlen(next) + 1);
    }
    errno = ELOOP;
    return false;
}

/* Creates a file of a new name in the target's directory; `name` receives it. */
static int open_temporary(const char *target, char *name, size_t capacity)
{
    int descriptor = -1;
    for (int attempt = 0; attempt < 100; attempt++) {
        snprintf(name, capacity, "%.*s.bnn-%ld-%d.tmp", directory_length(target), target, (long)getpid(),
                 attempt);
        descriptor = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor >= 0 || errno != EEXIST) break;
    }
    return descriptor;
}

/* Makes a rename in the target's directory outlive a power failure, where the file system can promise that.
 */
static void sync_directory(const char *target)
{
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%.*s.", directory_length(target), target);
    const int descriptor = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    fsync(descriptor);
    close(descriptor);
}

#define BESIDE "create a temporary file beside it"

static bnn_status replace_file(const char *target, const struct stat *old, const void *data, size_t size,
                               bnn_error *error)
{
    char temporary[PATH_MAX + 64];
    const int descriptor = open_temporary(target, temporary, sizeof temporary);
    if (descriptor < 0) return bnn_system_failure(error, target, BESIDE);
    bool good = write_all(descriptor, data, size);
    if (good && old) good = fchmod(descriptor, old->st_mode & 0777) == 0;
    if (good) good = fsync(descriptor) == 0;
    bnn_status status = good ? BNN_OK : bnn_system_failure(error, target, "write");
    if (close(descriptor) && !status) status = bnn_system_failure(error, target, "write");
    if (!status && rename(temporary, target)) status = bnn_system_failure(error, target, "replace");
    if (status)
        unlink(temporary);
    else
        sync_directory(target);
    return status;
}

/* A device or a pipe (/dev/stdout) is written, not replaced. */
static bnn_status write_special(const char *path, const void *data, size_t size, bnn_error *error)
{
    const int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    if (descriptor < 0) return bnn_system_failure(error, path, "open");
    bnn_status status = write_all(descriptor, data, size) ? BNN_OK : bnn_system_failure(error, path, "write");
    if (close(descriptor) && !status) status = bnn_system_failure(error, path, "write");
    return status;
}

/* What a path names to write: a special file, or the regular one that is made or replaced. */
typedef struct destination {
    struct stat old;
    bool exists, special;
    char target[PATH_MAX]; /* through symbolic links: the file is replaced, not the link */
} destination;

static bnn_status find_destination(const char *path, destination *d, bnn_error *error)
{
    const bnn_status status = look(path, &d->old, &d->exists, error);
    if (status) return status;
    if (d->exists && S_ISDIR(d->old.st_mode))
        return bnn_fail(error, BNN_BAD_INPUT, "%s: is a directory, expected a file to write", path);
    d->special = d->exists && !S_ISREG(d->old.st_mode);
    return d->special || follow_links(path, d->target) ? BNN_OK : bnn_system_failure(error, path, "write");
}

bnn_status bnn_can_write(const char *path, bnn_error *error)
{
    char folder[PATH_MAX + 2];
    destination d;
    if (is_standard(path)) return BNN_OK;
    const bnn_status status = find_destination(path, &d, error);
    if (status || d.special) return status;
    snprintf(folder, sizeof folder, "%.*s.", directory_length(d.target), d.target);
    return access(folder, W_OK | X_OK) ? bnn_system_failure(error, d.target, BESIDE) : BNN_OK;
}

bnn_status bnn_write_file(const char *path, const void *data, size_t size, bnn_error *error)
{
    destination d;
    if (is_standard(path))
        return write_all(STDOUT_FILENO, data, size) ? BNN_OK
                                                    : bnn_system_failure(error, "standard output", "write");
    const bnn_status status = find_destination(path, &d, error);
    if (status) return status;
    if (d.special) return write_special(path, data, size, error);
    return replace_file(d.target, d.exists ? &d.old : NULL, data, size, error);
}

/* Appends to an open file; what a failure has left of it is cut off again, or else the next line would join it. */
static bnn_status append(int descriptor, const char *path, const char *bytes, size_t size, bnn_error *error)
{
    struct stat before;
    if (fstat(descriptor, &before)) return bnn_system_failure(error, path, "examine");
    if (write_all(descriptor, (const uint8_t *)bytes, size) &&
        (fsync(descriptor) == 0 || errno == EINVAL)) /* a pipe or a device has nothing to sync */
        return BNN_OK;
    const bnn_status status = bnn_system_failure(error, path, "append");
    if (S_ISREG(before.st_mode) && ftruncate(descriptor, before.st_size))
        return bnn_fail(error, status, "%s: cannot append, nor cut off what was written of a line", path);
    return status;
}

bnn_status bnn_append_line(const char *path, const char *line, bnn_error *error)
{
    const size_t length = strlen(line);
    char *bytes = malloc(length + 1);
    if (!bytes) return bnn_no_memory(error, path, length + 1, 1);
    memcpy(bytes, line, length);
    bytes[length] = '\n';
    const int descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    bnn_status status = descriptor < 0 ? bnn_system_failure(error, path, "open")
                                       : append(descriptor, path, bytes, length + 1, error);
    if (descriptor >= 0 && close(descriptor) && !status) status = bnn_system_failure(error, path, "append");
    free(bytes);
    return status;
}

bnn_status bnn_keep_lines(const char *path, size_t lines, bnn_error *error)
{
    uint8_t *bytes;
    size_t size, end = 0, found = 0;
    bnn_status status = bnn_read_file(path, BNN_FILE_MOST, &bytes, &size, error);
    if (status) return status;
    for (size_t i = 0; i < size && found < lines; i++)
        if (bytes[i] == '\n') found++, end = i + 1;
    free(bytes);
    if (found < lines)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: found %zu lines, expected at least %zu", path, found,
                        lines);
    return end < size && truncate(path, (off_t)end) ? bnn_system_failure(error, path, "cut") : BNN_OK;
}

void bnn_remove_leftovers(const char *directory)
{
    DIR *stream = opendir(directory);
    for (const struct dirent *entry; stream && (entry = readdir(stream));) {
        long process;
        int attempt, length = 0;
        if (sscanf(entry->d_name, ".bnn-%ld-%d.tmp%n", &process, &attempt, &length) != 2 || length == 0 ||
            entry->d_name[length] || process <= 0)
            continue;
        if (kill((pid_t)process, 0) && errno == ESRCH) unlinkat(dirfd(stream), entry->d_name, 0);
    }
    if (stream) closedir(stream);
}

bnn_status bnn_make_directory(const char *path, bnn_error *error)
{
    char part[PATH_MAX];
    struct stat info;
    const size_t length = strlen(path);
    if (length == 0) return bnn_fail(error, BNN_BAD_INPUT, "cannot make a directory: its name is empty");
    if (length >= sizeof part) {
        errno = ENAMETOOLONG;
        return bnn_system_failure(error, path, "make the directory");
    }
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0777) && errno != EEXIST)
            return bnn_system_failure(error, part, "make the directory");
    }
    if (stat(path, &info)) return bnn_system_failure(error, path, "make the directory");
    if (!S_ISDIR(info.st_mode))
        return bnn_fail(error, BNN_BAD_INPUT, "%s: is a file, expected a directory", path);
    return BNN_OK;
}

bool bnn_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bnn_status bnn_folder_of(const char *path, char *folder, size_t size, bnn_error *error)
{
    char parent[PATH_MAX], absolute[PATH_MAX];
    struct stat info;
    bool exists;
    const bnn_status status = look(path, &info, &exists, error);
    if (status) return status;
    const int length = exists && S_ISREG(info.st_mode) ? directory_length(path) : 0;
    errno = ENAMETOOLONG;
    if (snprintf(parent, sizeof parent, "%.*s.", length, path) >= (int)sizeof parent ||
        !realpath(parent, absolute))
        return bnn_system_failure(error, path, "find the folder");
    if (strlen(absolute) >= size) {
        errno = ENAMETOOLONG;
        return bnn_system_failure(error, absolute, "take the folder");
    }
    memcpy(folder, absolute, strlen(absolute) + 1);
    return BNN_OK;
}

bnn_status bnn_same_file(const char *a, const char *b, bool *same, bnn_error *error)
{
    struct stat first, second;
    bool one, other = false;
    bnn_status status = look(a, &first, &one, error);
    if (!status) status = look(b, &second, &other, error);
    *same = !status && one && other && first.st_dev == second.st_dev && first.st_ino == second.st_ino;
    return status;
}

double bnn_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}
