/* An .npz archive, as numpy.savez writes it and MedMNIST is published (Yang et al., "MedMNIST v2", Scientific Data 10, 2023): a zip
 * archive of .npy files train_images, train_labels, val_images, val_labels, test_images, test_labels. */
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
    zip_t *zip;
    size_t size; /* bytes of the file */
} archive;

/* ---- the archive ------------------------------------------------------------------------------------------ */

static bnn_status open_archive(const char *path, archive *a, bnn_error *error)
{
    struct stat info;
    int code = 0;
    *a = (archive){.path = path};
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return bnn_fail(error, BNN_BAD_INPUT, "%s: is no regular file, expected an .npz archive", path);
    a->zip = zip_open(path, ZIP_RDONLY, &code);
    if (a->zip) {
        a->size = (size_t)info.st_size;
        return BNN_OK;
    }
    zip_error_t reason;
    zip_error_init_with_code(&reason, code);
    const bnn_status status =
        bnn_fail(error, code == ZIP_ER_MEMORY ? BNN_FAILED : BNN_BAD_INPUT,
                 "%s: cannot be read as an .npz archive: %s", path, zip_error_strerror(&reason));
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

/* An array whose name is nearly that of a split would be passed over in silence. */
static bnn_status check_names(const archive *a, bnn_error *error)
{
    const zip_int64_t count = zip_get_num_entries(a->zip, 0);
    for (zip_int64_t i = 0; i < count; i++) {
        const char *name = zip_get_name(a->zip, (zip_uint64_t)i, 0);
        const size_t length = name ? strlen(name) : 0;
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

/* bytes (size + 1) <- the open member, to its very end, where its checksum is compared. */
static bnn_status unpack(zip_file_t *file, const char *name, uint8_t *bytes, size_t size, bnn_error *error)
{
    size_t at = 0;
    zip_int64_t got;
    while (at <= size && (got = zip_fread(file, bytes + at, size + 1 - at)) > 0) at += (size_t)got;
    if (at > size)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: holds more than the %zu bytes that its header tells", name,
                        size);
    if (got < 0) return bnn_fail(error, BNN_BAD_INPUT, "%s: is damaged: %s", name, zip_file_strerror(file));
    if (at < size)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: found %zu bytes, expected %zu: is it cut short?", name, at,
                        size);
    return BNN_OK;
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
        return bnn_fail(error, BNN_BAD_INPUT, "%s: is damaged: %s", name, zip_strerror(a->zip));
    bnn_status status = check_member(a, name, &info, error);
    if (status) return status;
    const size_t size = (size_t)info.size;
    uint8_t *bytes = bnn_alloc(size + 1, 1);
    zip_file_t *file = zip_fopen(a->zip, member, 0);
    if (!bytes)
        status = bnn_no_memory(error, name, size, 1);
    else if (!file)
        status = bnn_fail(error, BNN_BAD_INPUT, "%s: is damaged: %s", name, zip_strerror(a->zip));
    else
        status = unpack(file, name, bytes, size, error);
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
