#include "data/listing.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "bnn/io.h"
#include "bnn/utf8.h"
#include "data/sniff.h"

enum { PATH_MOST = 4096 };

void bnn_listing_free(bnn_listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) free(listing->files[i].path);
    free(listing->files);
    *listing = (bnn_listing){0};
}

/* *name <- the text, which has to be one that JSON and a line of output can hold. */
static bnn_status set_name(const char *where, const char *what, const char *text, size_t length,
                           bnn_name name, bnn_error *error)
{
    bool plain = length > 0 && length < sizeof(bnn_name);
    for (size_t i = 0; i < length; i++) plain = plain && (unsigned char)text[i] >= ' ' && text[i] != 0x7f;
    if (plain) {
        memcpy(name, text, length);
        name[length] = '\0';
    }
    if (plain && !bnn_utf8_fault(name)) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT, "%s: %s \"%.*s\": expected 1 to %zu bytes of UTF-8 text", where,
                    what, (int)(length < 100 ? length : 100), text, sizeof(bnn_name) - 1);
}

/* One more file, whose path the listing then owns; NULL: memory is short. */
static bnn_listed *add_file(bnn_listing *listing, const char *path)
{
    if (listing->count == listing->capacity) {
        const size_t capacity = listing->capacity ? 2 * listing->capacity : 64;
        bnn_listed *grown = bnn_alloc(capacity, sizeof *grown);
        if (!grown) return NULL;
        if (listing->count) memcpy(grown, listing->files, listing->count * sizeof *grown);
        free(listing->files);
        listing->files = grown;
        listing->capacity = capacity;
    }
    bnn_listed *file = &listing->files[listing->count];
    file->path = strdup(path);
    if (!file->path) return NULL;
    listing->count++;
    return file;
}

/* ---- folders ------------------------------------------------------------------------------------------------ */

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void free_entries(struct dirent **entries, int count)
{
    for (int i = 0; i < count; i++) free(entries[i]);
    free(entries);
}

/* *entries (*count) <- those of a folder, in the order of their bytes. */
static bnn_status scan(const char *folder, struct dirent ***entries, int *count, bnn_error *error)
{
    *count = scandir(folder, entries, is_shown, by_bytes);
    if (*count >= 0) return BNN_OK;
    return bnn_fail(error, errno == ENOMEM ? BNN_FAILED : BNN_BAD_INPUT, "%s: cannot read the folder: %s",
                    folder, strerror(errno));
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bnn_status join(const char *folder, const char *name, char path[PATH_MOST], bnn_error *error)
{
    if (snprintf(path, PATH_MOST, "%s/%s", folder, name) < PATH_MOST) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT, "%s/%.80s...: the path is too long", folder, name);
}

/* The files of one class's folder. */
static bnn_status list_class(const char *folder, const char *class, bool every, bnn_listing *listing,
                             bnn_error *error)
{
    struct dirent **entries = NULL;
    char path[PATH_MOST];
    int count = 0;
    bnn_name label = "";
    bnn_status status = set_name(folder, "the class", class, strlen(class), label, error);
    if (!status) status = scan(folder, &entries, &count, error);
    if (!status && count == 0 && every)
        status = bnn_fail(error, BNN_BAD_INPUT, "%s: is empty, expected PNG files of the class", folder);
    for (int i = 0; !status && i < count; i++) {
        status = join(folder, entries[i]->d_name, path, error);
        bnn_listed *file = status ? NULL : add_file(listing, path);
        if (file)
            memcpy(file->label, label, sizeof label);
        else if (!status)
            status = bnn_no_memory(error, folder, listing->count, sizeof *file);
    }
    free_entries(entries, count);
    return status;
}

/* Files of class after class become one of each class by turns. `of` (classes + 1): where each class begins. */
static bnn_status take_turns(bnn_listing *listing, const size_t *of, size_t classes, bnn_error *error)
{
    bnn_listed *mixed = bnn_alloc(listing->count, sizeof *mixed);
    if (!mixed) return bnn_no_memory(error, "files", listing->count, sizeof *mixed);
    for (size_t turn = 0, at = 0; at < listing->count; turn++)
        for (size_t c = 0; c < classes; c++)
            if (of[c] + turn < of[c + 1]) mixed[at++] = listing->files[of[c] + turn];
    free(listing->files);
    listing->files = mixed;
    listing->capacity = listing->count;
    return BNN_OK;
}

bnn_status bnn_list_folder(const char *folder, bool every, bnn_listing *listing, bnn_error *error)
{
    struct dirent **entries = NULL;
    char path[PATH_MOST];
    size_t classes = 0;
    int count = 0;
    *listing = (bnn_listing){0};
    bnn_status status = scan(folder, &entries, &count, error);
    if (status) return status;
    size_t *of = bnn_alloc((size_t)count + 1, sizeof *of);
    if (!of) status = bnn_no_memory(error, folder, (size_t)count + 1, sizeof *of);
    for (int i = 0; !status && i < count; i++) {
        status = join(folder, entries[i]->d_name, path, error);
        if (!status && !is_folder(path))
            status = bnn_fail(error, BNN_BAD_INPUT,
                              "%s: is no folder, expected a folder for each class in %s", path, folder);
        if (!status) status = list_class(path, entries[i]->d_name, every, listing, error);
        if (!status) of[++classes] = listing->count;
    }
    if (!status && listing->count == 0)
        status = bnn_fail(error, BNN_BAD_INPUT,
                          "%s: found no image, expected a folder of PNG files for each class", folder);
    if (!status) status = take_turns(listing, of, classes, error);
    free(of);
    free_entries(entries, count);
    if (status) bnn_listing_free(listing);
    return status;
}

/* ---- CSV files ---------------------------------------------------------------------------------------------- */

/* Fields of one line, without the blanks around them. Returns how many there are, `most` + 1 for more. */
static size_t split_line(const char *line, size_t length, const char **fields, size_t *lengths, size_t most)
{
    size_t count = 0;
    for (size_t from = 0, to; from <= length; from = to + 1) {
        for (to = from; to < length && line[to] != ',';) to++;
        if (count == most) return most + 1;
        size_t first = from, last = to;
        while (first < last && (line[first] == ' ' || line[first] == '\t')) first++;
        while (last > first && strchr(" \t\r", line[last - 1])) last--;
        fields[count] = line + first;
        lengths[count++] = last - first;
    }
    return count;
}

static bool ends_in_png(const char *text, size_t length)
{
    return length >= 4 && strncasecmp(text + length - 4, ".png", 4) == 0;
}

/* One line of the file; *columns <- those of the first that is no heading, which all others have to have. */
static bnn_status list_line(const char *where, int folder_length, const char *line, size_t length, bool first,
                            size_t *columns, bnn_listing *listing, bnn_error *error)
{
    const char *fields[3];
    size_t lengths[3];
    char path[PATH_MOST];
    const size_t count = split_line(line, length, fields, lengths, 3);
    if (count == 1 && lengths[0] == 0) return BNN_OK; /* an empty line */
    if (count < 2 || count > 3 || (*columns && count != *columns) || memchr(line, '"', length))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: found \"%.*s\", expected file,label or file,label,part, alike in all lines and "
                        "without quotes",
                        where, (int)(length < 100 ? length : 100), line);
    if (first && !ends_in_png(fields[0], lengths[0])) return BNN_OK; /* a heading */
    *columns = count;
    const bool absolute = *fields[0] == '/';
    if (snprintf(path, sizeof path, "%.*s%.*s", absolute ? 0 : folder_length, where, (int)lengths[0],
                 fields[0]) >= (int)sizeof path)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: the path is too long", where);
    bnn_listed *file = add_file(listing, path);
    if (!file) return bnn_no_memory(error, where, listing->count, sizeof *file);
    bnn_status status = set_name(where, "the label", fields[1], lengths[1], file->label, error);
    if (!status && count == 3) status = set_name(where, "the part", fields[2], lengths[2], file->part, error);
    return status;
}

bnn_status bnn_list_csv(const char *path, bnn_listing *listing, bnn_error *error)
{
    const char *slash = strrchr(path, '/');
    const int folder_length = slash ? (int)(slash - path) + 1 : 0;
    uint8_t *bytes;
    size_t size, columns = 0, number = 1;
    char where[PATH_MOST];
    *listing = (bnn_listing){0};
    bnn_status status = bnn_read_file(path, (size_t)1 << 30, &bytes, &size, error);
    if (status) return status;
    const char *text = (const char *)bytes, *end = text + size,
               *line = text + bnn_byte_order_mark(bytes, size);
    for (; !status && line < end; number++) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const size_t length = (size_t)((newline ? newline : end) - line);
        snprintf(where, sizeof where, "%s: line %zu", path, number);
        status = list_line(where, folder_length, line, length, number == 1, &columns, listing, error);
        line += length + 1;
    }
    free(bytes);
    if (!status && listing->count == 0)
        status = bnn_fail(error, BNN_BAD_INPUT, "%s: found no image, expected lines file,label", path);
    if (status) bnn_listing_free(listing);
    return status;
}

/* ---- names -------------------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int compare_numbers(const void *a, const void *b)
{
    const long x = strtol(a, NULL, 10), y = strtol(b, NULL, 10);
    return x != y ? (x > y) - (x < y) : strcmp(a, b);
}

static bool is_number(const char *name)
{
    const size_t digits = strspn(name, "0123456789");
    return name[digits] == '\0' && digits <= 5 && strtol(name, NULL, 10) <= 65535;
}

bnn_status bnn_name_table_of(const bnn_listing *listing, bool parts, bnn_name_table *table, bnn_error *error)
{
    size_t count = 0;
    *table = (bnn_name_table){.numbers = true};
    bnn_name *names = bnn_alloc(listing->count, sizeof *names);
    if (!names) return bnn_no_memory(error, "names", listing->count, sizeof *names);
    for (size_t i = 0; i < listing->count; i++) {
        const bnn_listed *file = &listing->files[i];
        memcpy(names[i], parts ? file->part : file->label, sizeof names[i]);
        table->numbers = table->numbers && is_number(names[i]);
    }
    qsort(names, listing->count, sizeof *names, table->numbers ? compare_numbers : compare_names);
    for (size_t i = 0; i < listing->count; i++)
        if (count == 0 || strcmp(names[count - 1], names[i]) != 0)
            memmove(names[count++], names[i], sizeof *names);
    table->count = count;
    table->names = names;
    return BNN_OK;
}

void bnn_name_table_free(bnn_name_table *table)
{
    free(table->names);
    *table = (bnn_name_table){0};
}

size_t bnn_name_find(const bnn_name_table *table, const char *name)
{
    const bool number = table->numbers && is_number(name);
    size_t low = 0, high = table->count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const int order =
            number ? compare_numbers(table->names[middle], name) : compare_names(table->names[middle], name);
        if (order == 0) return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}
