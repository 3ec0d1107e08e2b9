/* An .npz archive, as numpy.savez writes it and MedMNIST is published (Yang et al., "MedMNIST v2", Scientific Data 10, 2023): a zip
 * archive of .npy files train_images, train_labels, val_images, val_labels, test_images, test_labels. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>

#include "base/text.h"
#include "bnn/io.h"
#include "data/sniff.h"
#include "data/source.h"

static const struct {
    const char *images, *labels;
} split_keys[] = {[BNN_TRAIN] = {"train_images", "train_labels"},
                  [BNN_VALIDATION] = {"val_images", "val_labels"},
                  [BNN_TEST] = {"test_images", "test_labels"}};
enum { SPLITS = sizeof split_keys / sizeof *split_keys, NAME = 1200 };

typedef struct archive {
    const char *path;
    FILE *file; /* owned by `zip`; tells of read errors where libzip speaks of damage */
    zip_t *zip;
    size_t size; /* bytes of the file */
} archive;

/* ---- the archive ------------------------------------------------------------------------------------------ */

/* Why libzip cannot go on: that memory was short (of which errno tells where libzip does not), or that the file could not be read, is
 * not the archive's fault. `name`: the archive's, or an array's in it. */
static bnn_status failure(const archive *a, const char *name, const char *what, zip_error_t *reason,
                          bnn_error *error)
{
    const int code = zip_error_code_zip(reason);
    if (code == ZIP_ER_MEMORY || errno == ENOMEM) return bnn_no_memory(error, name, a->size, 1);
    if (code == ZIP_ER_READ || code == ZIP_ER_SEEK) {
        errno = zip_error_code_system(reason);
        return bnn_system_failure(error, name, "read");
    }
    if (a->file && ferror(a->file))
        return bnn_fail(error, BNN_FAILED, "%s: cannot read: %s", name, strerror(EIO));
    return bnn_fail(error, BNN_BAD_INPUT, "%s: %s: %s", name, what, zip_error_strerror(reason));
}

/* A regular file, as opening a pipe would wait for its other end. */
static bnn_status open_file(const char *path, archive *a, bnn_error *error)
{
    struct stat info;
    bnn_found found;
    const bnn_status status = bnn_examine(path, &found, error);
    if (status) return status;
    if (found == BNN_FOUND_DIRECTORY || found == BNN_FOUND_SPECIAL)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: is no regular file, expected an .npz archive", path);
    a->file = fopen(path, "rb");
    if (!a->file || fstat(fileno(a->file), &info))
        return bnn_system_failure(error, path, "be read as an .npz archive");
    a->size = (size_t)info.st_size;
    return BNN_OK;
}

static bnn_status open_archive(const char *path, archive *a, bnn_error *error)
{
    zip_error_t reason;
    *a = (archive){.path = path};
    bnn_status status = open_file(path, a, error);
    zip_error_init(&reason);
    errno = 0;
    zip_source_t *source =
        status ? NULL : zip_source_filep_create(a->file, 0, -1, &reason);   /* owns the file */
    if (source) a->zip = zip_open_from_source(source, ZIP_RDONLY, &reason); /* owns the source */
    if (!status && !a->zip) status = failure(a, path, "cannot be read as an .npz archive", &reason, error);
    if (source && !a->zip) zip_source_free(source);
    if (!source && a->file) fclose(a->file);
    zip_error_fini(&reason);
    return status;
}

static void close_archive(archive *a)
{
    if (a->zip) zip_discard(a->zip);
}

static bool has(const archive *a, const char *key)
{
    char member[64];
    snprintf(member, sizeof member, "%s.npy", key);
    return zip_name_locate(a->zip, member, 0) >= 0;
}

/* The names of the arrays, without ".npy". Returns `text`. */
static char *list_arrays(const archive *a, char *text, size_t size)
{
    const zip_int64_t count = zip_get_num_entries(a->zip, 0);
    snprintf(text, size, count > 0 ? "" : "none");
    for (zip_int64_t i = 0; i < count; i++) {
        const char *name = zip_get_name(a->zip, (zip_uint64_t)i, 0);
        const size_t length = name ? strlen(name) : 0;
        const bool array = length > 4 && strcmp(name + length - 4, ".npy") == 0;
        bnn_append(text, size, "%s%.*s", i ? ", " : "", (int)(array ? length - 4 : length), name ? name : "");
    }
    return text;
}

/* An array whose name is nearly that of a split, or one of two of a name, would be passed over in silence. */
static bnn_status check_names(const archive *a, bnn_error *error)
{
    const zip_int64_t count = zip_get_num_entries(a->zip, 0);
    for (zip_int64_t i = 0; i < count; i++) {
        const char *name = zip_get_name(a->zip, (zip_uint64_t)i, 0);
        const size_t length = name ? strlen(name) : 0;
        if (name && zip_name_locate(a->zip, name, 0) != i)
            return bnn_fail(error, BNN_BAD_INPUT, "%s: holds two members %.200s, expected one", a->path,
                            name);
        bool known = length < 11 || (strcmp(name + length - 11, "_images.npy") != 0 &&
                                     strcmp(name + length - 11, "_labels.npy") != 0);
        bnn_choices choices = bnn_choices_for(name ? name : "");
        for (size_t s = 0; s < SPLITS && !known; s++) {
            const char *const keys[] = {split_keys[s].images, split_keys[s].labels, NULL};
            for (size_t k = 0; k < 2; k++)
                known = known || (strlen(keys[k]) == length - 4 && strncmp(name, keys[k], length - 4) == 0);
            bnn_choices_add_all(&choices, keys);
        }
        if (!known)
            return bnn_fail(error, BNN_BAD_INPUT, "%s: found the array %.*s, expected %s", a->path,
                            (int)(length - 4), name, bnn_choices_text(&choices));
    }
    return BNN_OK;
}

/* What the archive's directory says of a member, before any memory is taken for it. */
static bnn_status check_member(const archive *a, const char *name, const zip_stat_t *info, bnn_error *error)
{
    const zip_uint64_t wanted = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    const bool stored = info->comp_method == ZIP_CM_STORE;
    if ((info->valid & wanted) != wanted ||
        ((info->valid & ZIP_STAT_ENCRYPTION_METHOD) && info->encryption_method != ZIP_EM_NONE) ||
        (!stored && info->comp_method != ZIP_CM_DEFLATE))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: is encrypted, or packed by another method than deflate, "
                        "expected what numpy.savez or savez_compressed writes",
                        name);
    if (info->size > BNN_FILE_MOST)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: is larger than the %zu bytes expected at most", name,
                        BNN_FILE_MOST);
    if (info->comp_size > a->size || (stored && info->size != info->comp_size) ||
        !bnn_can_inflate_to(info->comp_size, info->size))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: found %llu bytes packed into %llu, in a file of %zu, which cannot be", name,
                        (unsigned long long)info->size, (unsigned long long)info->comp_size, a->size);
    return BNN_OK;
}

/* bytes (to) <- what the open member holds from `*at` on, or up to its end; *at <- where that is. */
static bnn_status unpack(const archive *a, zip_file_t *file, const char *name, uint8_t *bytes, size_t to,
                         size_t *at, bnn_error *error)
{
    zip_int64_t got = 0;
    while (*at < to && (got = zip_fread(file, bytes + *at, to - *at)) > 0) *at += (size_t)got;
    if (got < 0) return failure(a, name, "is damaged", zip_file_get_error(file), error);
    return BNN_OK;
}

/* bytes (size + 1) <- the rest of the open member, `at` bytes of which are there, to its very end, where its checksum is
 * compared. */
static bnn_status unpack_rest(const archive *a, zip_file_t *file, const char *name, uint8_t *bytes,
                              size_t size, size_t at, bnn_error *error)
{
    const bnn_status status = unpack(a, file, name, bytes, size + 1, &at, error);
    if (status) return status;
    if (at > size)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: holds more than the %zu bytes that its header tells", name,
                        size);
    if (at < size)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: found %zu bytes, expected %zu: is it cut short?", name, at,
                        size);
    return BNN_OK;
}

/* What is wrong with an array whose header, in the first `got` bytes of a member, does not tell of the member's `size`. */
static bnn_status bad_header(const char *name, const uint8_t *head, size_t got, size_t size, bnn_error *error)
{
    bnn_array ignored;
    const bool told = bnn_array_npy.whole(head, got);
    const bnn_status status = bnn_array_npy.parse(name, head, told ? size : got, &ignored, error);
    return status ? status : bnn_fail(error, BNN_BAD_INPUT, "%s: has a header that is too long", name);
}

/* *bytes (size + 1) <- the open member, if the header of the array in it tells of as many bytes as the archive does: memory is
 * taken for its first bytes, then for all. */
static bnn_status read_member(const archive *a, zip_file_t *file, const char *name, size_t size,
                              uint8_t **bytes, bnn_error *error)
{
    enum { HEAD = 1 << 16 };
    uint8_t *head = bnn_alloc(HEAD, 1);
    size_t at = 0;
    if (!head) return bnn_no_memory(error, name, HEAD, 1);
    bnn_status status = unpack(a, file, name, head, size < HEAD ? size : HEAD, &at, error);
    if (!status && at == HEAD && bnn_array_npy.whole(head, at) != size)
        status = bad_header(name, head, at, size, error);
    if (!status && !(*bytes = bnn_alloc(size + 1, 1))) status = bnn_no_memory(error, name, size, 1);
    if (!status) {
        memcpy(*bytes, head, at);
        status = unpack_rest(a, file, name, *bytes, size, at, error);
    }
    free(head);
    return status;
}

/* *array <- that of the key; it owns its memory. `name` receives its name for messages, and has to outlive it. */
static bnn_status read_array(const archive *a, const char *key, char name[NAME], bnn_array *array,
                             bnn_error *error)
{
    char member[64], list[512];
    zip_stat_t info;
    snprintf(name, NAME, "%s: %s", a->path, key);
    snprintf(member, sizeof member, "%s.npy", key);
    if (!has(a, key))
        return bnn_fail(error, BNN_BAD_INPUT, "%s: found no array %s, expected it among those there are: %s",
                        a->path, key, list_arrays(a, list, sizeof list));
    if (zip_stat(a->zip, member, 0, &info))
        return failure(a, name, "is damaged", zip_get_error(a->zip), error);
    bnn_status status = check_member(a, name, &info, error);
    if (status) return status;
    errno = 0;
    const size_t size = (size_t)info.size;
    uint8_t *bytes = NULL;
    zip_file_t *file = zip_fopen(a->zip, member, 0);
    if (!file)
        status = failure(a, name, "is damaged", zip_get_error(a->zip), error);
    else
        status = read_member(a, file, name, size, &bytes, error);
    if (!status) status = bnn_array_npy.parse(name, bytes, size, array, error);
    if (file) zip_fclose(file);
    if (status)
        free(bytes);
    else
        array->memory = bytes;
    return status;
}

/* ---- the source --------------------------------------------------------------------------------------------- */

static bnn_status read_split(const archive *a, bnn_split split, const bnn_data_options *options,
                             bnn_dataset **dataset, bnn_error *error)
{
    char images_name[NAME], labels_name[NAME];
    bnn_array images = {0}, labels = {0};
    bnn_status status = read_array(a, split_keys[split].images, images_name, &images, error);
    if (!status) status = read_array(a, split_keys[split].labels, labels_name, &labels, error);
    if (!status) status = bnn_dataset_from_arrays(&images, &labels, 1, options, dataset, error);
    bnn_array_free(&labels);
    bnn_array_free(&images);
    return status;
}

static bnn_status load(const bnn_data_paths *paths, bnn_split split, const bnn_data_options *options,
                       bnn_dataset **dataset, bnn_error *error)
{
    archive a;
    *dataset = NULL;
    if (!*paths->path) return bnn_fail(error, BNN_BAD_INPUT, "data.path: is not set, expected an .npz file");
    bnn_status status = open_archive(paths->path, &a, error);
    if (!status) status = check_names(&a, error);
    if (!status &&
        (split == BNN_TRAIN || has(&a, split_keys[split].images) || has(&a, split_keys[split].labels)))
        status = read_split(&a, split, options, dataset, error);
    close_archive(&a);
    return status;
}

static bool reads(const char *path)
{
    uint8_t first[4];
    FILE *file = fopen(path, "rb");
    const size_t got = file ? fread(first, 1, sizeof first, file) : 0;
    if (file) fclose(file);
    return bnn_sniff(first, got) == BNN_FILE_ZIP;
}

static const char *const keys[] = {"data.path", NULL};

const bnn_data_source bnn_source_npz = {
    .row = {.name = "npz", .summary = "a NumPy .npz archive of your own, or of MedMNIST", .keys = keys},
    .load = load,
    .reads = reads,
};
