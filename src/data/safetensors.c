/* The format: https://huggingface.co/docs/safetensors, "Format". */
#include "bnn/safetensors.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "bnn/io.h"
#include "data/array.h"
#include "data/sniff.h"

enum { LENGTH_SIZE = 8, HEADER_MOST = 1 << 24 }; /* a sixth of the format's own limit on its header */

static const char metadata_key[] = "__metadata__";

/* A tensor of the header, before its data is read. */
typedef struct entry {
    bnn_tensor tensor;
    size_t width, begin, end; /* bytes an item; its bytes in the data */
} entry;

/* The file while it is being read. */
typedef struct reading {
    const char *path;
    const uint8_t *bytes;
    size_t size, data_start;
    cJSON *header;
    entry *entries;
    size_t entry_count;
    bnn_error *error;
} reading;

/* ---- checks -----------------------------------------------------------------------------------------------
 */

static bnn_status bad_tensor(const reading *r, const char *name, const char *complaint)
{
    return bnn_fail(r->error, BNN_BAD_INPUT, "%s: tensor \"%.127s\": %s", r->path, name, complaint);
}

/* An integer in 0 .. 2^53 - 1: cJSON keeps numbers as double, and its valueint saturates. */
static bool to_size(const cJSON *item, size_t *size)
{
    if (!cJSON_IsNumber(item)) return false;
    const double value = item->valuedouble;
    if (!(value >= 0 && value < 0x1p53 && value == floor(value)) || value > (double)(SIZE_MAX / 2))
        return false;
    *size = (size_t)value;
    return true;
}

static bnn_status parse_shape(const reading *r, const cJSON *shape, bnn_tensor *tensor)
{
    const cJSON *item;
    tensor->rank = 0;
    tensor->count = 1;
    if (!cJSON_IsArray(shape)) return bad_tensor(r, tensor->name, "expected a list as its shape");
    cJSON_ArrayForEach(item, shape)
    {
        if (tensor->rank == BNN_TENSOR_MAX_RANK)
            return bad_tensor(r, tensor->name, "expected at most 8 dimensions");
        size_t *size = &tensor->shape[tensor->rank++];
        if (!to_size(item, size)) return bad_tensor(r, tensor->name, "expected sizes in its shape");
        if (__builtin_mul_overflow(tensor->count, *size, &tensor->count))
            return bad_tensor(r, tensor->name, "the product of its shape overflows");
    }
    return BNN_OK;
}

static bnn_status parse_offsets(const reading *r, const cJSON *offsets, entry *e)
{
    const size_t available = r->size - r->data_start;
    size_t bytes;
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 || !to_size(offsets->child, &e->begin) ||
        !to_size(offsets->child->next, &e->end))
        return bad_tensor(r, e->tensor.name, "expected two offsets in its data_offsets");
    if (e->begin > e->end || e->end > available)
        return bnn_fail(r->error, BNN_BAD_INPUT,
                        "%s: tensor \"%s\": found data_offsets %zu and %zu in %zu bytes of data", r->path,
                        e->tensor.name, e->begin, e->end, available);
    if (__builtin_mul_overflow(e->tensor.count, e->width, &bytes) || bytes != e->end - e->begin)
        return bnn_fail(r->error, BNN_BAD_INPUT,
                        "%s: tensor \"%s\": found %zu bytes of data, expected %zu items of %zu", r->path,
                        e->tensor.name, e->end - e->begin, e->tensor.count, e->width);
    return BNN_OK;
}

static bnn_status parse_entry(const reading *r, const cJSON *item, entry *e)
{
    bnn_tensor *tensor = &e->tensor;
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(item, "dtype");
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(item, "shape");
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    if (strlen(item->string) >= sizeof tensor->name)
        return bad_tensor(r, item->string, "expected a name of at most 127 bytes");
    snprintf(tensor->name, sizeof tensor->name, "%s", item->string);
    /* Three members, and all three there: none is doubled. */
    if (!cJSON_IsObject(item) || cJSON_GetArraySize(item) != 3 || !type || !shape || !offsets)
        return bad_tensor(r, tensor->name, "expected dtype, shape and data_offsets, each once");
    if (!cJSON_IsString(type)) return bad_tensor(r, tensor->name, "expected a string as its dtype");
    e->width = strcmp(type->valuestring, "F32") == 0 ? 4 : strcmp(type->valuestring, "F64") == 0 ? 8 : 0;
    if (e->width == 0)
        return bnn_fail(r->error, BNN_BAD_INPUT, "%s: tensor \"%s\": found dtype %.32s, expected F32 or F64",
                        r->path, tensor->name, type->valuestring);
    const bnn_status status = parse_shape(r, shape, tensor);
    return status ? status : parse_offsets(r, offsets, e);
}

static int compare_offsets(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The first name, in alphabetical order, that occurs twice among the members of an object; NULL if none does.
 * Sets *enough to false when memory is short. */
static const char *find_duplicate(const cJSON *object, bool *enough)
{
    const size_t count = (size_t)cJSON_GetArraySize(object);
    const char **names = bnn_alloc(count, sizeof *names), *duplicate = NULL;
    const cJSON *item;
    size_t n = 0;
    *enough = names;
    if (!names) return NULL;
    cJSON_ArrayForEach(item, object) names[n++] = item->string;
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 1; i < n && !duplicate; i++)
        if (strcmp(names[i - 1], names[i]) == 0) duplicate = names[i];
    free(names);
    return duplicate;
}

static bnn_status check_names(const reading *r, const cJSON *object, const char *where)
{
    bool enough;
    const char *duplicate = find_duplicate(object, &enough);
    if (!enough) return bnn_no_memory(r->error, r->path, (size_t)cJSON_GetArraySize(object), sizeof(char *));
    if (!duplicate) return BNN_OK;
    return bnn_fail(r->error, BNN_BAD_INPUT, "%s: %s names \"%.127s\" twice", r->path, where, duplicate);
}

/* Sorted by offset, the tensors tile the data: no overlap, no hole, nothing left over. */
static bnn_status check_tiling(const reading *r)
{
    const size_t available = r->size - r->data_start;
    size_t at = 0;
    for (size_t i = 0; i < r->entry_count; i++) {
        const entry *e = &r->entries[i];
        if (e->begin != at)
            return bnn_fail(r->error, BNN_BAD_INPUT,
                            "%s: tensor \"%s\" begins at byte %zu of the data, expected %zu (%s)", r->path,
                            e->tensor.name, e->begin, at, e->begin < at ? "tensors overlap" : "a hole");
        at = e->end;
    }
    if (at != available)
        return bnn_fail(r->error, BNN_BAD_INPUT,
                        "%s: found %zu bytes of data, expected %zu as its tensors add up to", r->path,
                        available, at);
    return BNN_OK;
}

/* ---- reading ----------------------------------------------------------------------------------------------
 */

/* r->header <- the JSON of the header's text. */
static bnn_status parse_text(reading *r, const char *text, size_t length)
{
    const char *end = text, *what, *fault = bnn_json_fault(text, &what);
    if (fault)
        return bnn_fail(r->error, BNN_BAD_INPUT, "%s: the header, at byte %zu, %s", r->path,
                        LENGTH_SIZE + (size_t)(fault - text), what);
    if (text[0] == '{' && strlen(text) == length) r->header = cJSON_ParseWithOpts(text, &end, 1);
    if (cJSON_IsObject(r->header)) return BNN_OK;
    return bnn_fail(r->error, BNN_BAD_INPUT,
                    "%s: is no safetensors file: its header is no JSON object (byte %zu)", r->path,
                    LENGTH_SIZE + (size_t)(end - text));
}

/* r->header <- the JSON of the header, an object without duplicate names. */
static bnn_status parse_header(reading *r)
{
    const bnn_file_kind kind = bnn_sniff(r->bytes, r->size);
    if (kind != BNN_FILE_SAFETENSORS && kind != BNN_FILE_UNKNOWN)
        return bnn_fail(r->error, BNN_BAD_INPUT, "%s: is %s, expected a model (safetensors)", r->path,
                        bnn_file_kind_name(kind));
    if (r->size < LENGTH_SIZE)
        return bnn_fail(r->error, BNN_BAD_INPUT,
                        "%s: is no safetensors file: found %zu bytes, expected at least 8", r->path, r->size);
    const uint64_t length = bnn_load(r->bytes, LENGTH_SIZE, false);
    if (length > HEADER_MOST || length > r->size - LENGTH_SIZE)
        return bnn_fail(
            r->error, BNN_BAD_INPUT,
            "%s: is no safetensors file, or truncated: found a header of %llu bytes in a file of %zu, "
            "expected at most %d",
            r->path, (unsigned long long)length, r->size, HEADER_MOST);
    r->data_start = LENGTH_SIZE + (size_t)length;
    char *text = malloc((size_t)length + 1);
    if (!text) return bnn_no_memory(r->error, r->path, (size_t)length + 1, 1);
    memcpy(text, r->bytes + LENGTH_SIZE, (size_t)length);
    text[length] = '\0';
    bnn_status status = parse_text(r, text, (size_t)length);
    free(text);
    return status ? status : check_names(r, r->header, "the header");
}

static bnn_status parse_entries(reading *r)
{
    const cJSON *item;
    bnn_status status = BNN_OK;
    const size_t most = (size_t)cJSON_GetArraySize(r->header);
    r->entries = bnn_alloc(most, sizeof *r->entries);
    if (!r->entries) return bnn_no_memory(r->error, r->path, most, sizeof *r->entries);
    cJSON_ArrayForEach(item, r->header)
    {
        if (strcmp(item->string, metadata_key) == 0) continue;
        status = parse_entry(r, item, &r->entries[r->entry_count++]);
        if (status) return status;
    }
    qsort(r->entries, r->entry_count, sizeof *r->entries, compare_offsets);
    return check_tiling(r);
}

static bnn_status read_metadata(const reading *r, bnn_safetensors *file)
{
    const cJSON *item, *metadata = cJSON_GetObjectItemCaseSensitive(r->header, metadata_key);
    if (!metadata) return BNN_OK;
    if (!cJSON_IsObject(metadata))
        return bnn_fail(r->error, BNN_BAD_INPUT, "%s: %s is no object, expected one of strings", r->path,
                        metadata_key);
    const bnn_status status = check_names(r, metadata, metadata_key);
    if (status) return status;
    const size_t count = (size_t)cJSON_GetArraySize(metadata);
    file->metadata = bnn_alloc(2 * count, sizeof *file->metadata);
    if (!file->metadata) return bnn_no_memory(r->error, r->path, 2 * count, sizeof *file->metadata);
    cJSON_ArrayForEach(item, metadata)
    {
        if (!cJSON_IsString(item))
            return bnn_fail(r->error, BNN_BAD_INPUT, "%s: %s: \"%.127s\" is no string", r->path, metadata_key,
                            item->string);
        char **pair = &file->metadata[2 * file->metadata_count++];
        pair[0] = strdup(item->string);
        pair[1] = strdup(item->valuestring);
        if (!pair[0] || !pair[1]) return bnn_no_memory(r->error, r->path, strlen(item->valuestring), 1);
    }
    return BNN_OK;
}

static bnn_status read_tensors(const reading *r, bnn_safetensors *file)
{
    file->tensors = bnn_alloc(r->entry_count, sizeof *file->tensors);
    if (!file->tensors) return bnn_no_memory(r->error, r->path, r->entry_count, sizeof *file->tensors);
    for (size_t t = 0; t < r->entry_count; t++) {
        const entry *e = &r->entries[t];
        bnn_tensor *tensor = &file->tensors[file->tensor_count++];
        const uint8_t *bytes = r->bytes + r->data_start + e->begin;
        *tensor = e->tensor;
        tensor->data = bnn_alloc(tensor->count, sizeof *tensor->data);
        if (!tensor->data) return bnn_no_memory(r->error, tensor->name, tensor->count, sizeof *tensor->data);
        for (size_t i = 0; i < tensor->count; i++)
            tensor->data[i] = (bnn_real)bnn_load_float(bytes + i * e->width, e->width, false);
    }
    return BNN_OK;
}

bnn_status bnn_safetensors_parse(const char *name, const uint8_t *bytes, size_t size, bnn_safetensors **file,
                                 bnn_error *error)
{
    reading r = {.path = name, .bytes = bytes, .size = size, .error = error};
    *file = NULL;
    bnn_safetensors *result = bnn_alloc(1, sizeof *result);
    if (!result) return bnn_no_memory(error, name, 1, sizeof *result);
    snprintf(result->path, sizeof result->path, "%s", name);
    bnn_status status = parse_header(&r);
    if (!status) status = parse_entries(&r);
    if (!status) status = read_metadata(&r, result);
    if (!status) status = read_tensors(&r, result);
    free(r.entries);
    cJSON_Delete(r.header);
    if (status)
        bnn_safetensors_free(result);
    else
        *file = result;
    return status;
}

bnn_status bnn_safetensors_read(const char *path, bnn_safetensors **file, bnn_error *error)
{
    uint8_t *bytes;
    size_t size;
    *file = NULL;
    bnn_status status = bnn_read_file(path, BNN_FILE_MOST, &bytes, &size, error);
    if (status) return status;
    status = bnn_safetensors_parse(path, bytes, size, file, error);
    free(bytes);
    return status;
}

void bnn_safetensors_free(bnn_safetensors *file)
{
    if (!file) return;
    for (size_t i = 0; i < 2 * file->metadata_count; i++) free(file->metadata[i]);
    free(file->metadata);
    for (size_t t = 0; t < file->tensor_count; t++) free(file->tensors[t].data);
    free(file->tensors);
    free(file);
}

const bnn_tensor *bnn_safetensors_find(const bnn_safetensors *file, const char *name)
{
    for (size_t t = 0; t < file->tensor_count; t++)
        if (strcmp(file->tensors[t].name, name) == 0) return &file->tensors[t];
    return NULL;
}

const char *bnn_safetensors_metadata(const bnn_safetensors *file, const char *key)
{
    for (size_t i = 0; i < file->metadata_count; i++)
        if (strcmp(file->metadata[2 * i], key) == 0) return file->metadata[2 * i + 1];
    return NULL;
}

/* ---- writing ----------------------------------------------------------------------------------------------
 */

static bool add_metadata(cJSON *header, const char *const *metadata, size_t metadata_count)
{
    if (metadata_count == 0) return true;
    cJSON *object = cJSON_AddObjectToObject(header, metadata_key);
    bool good = object;
    for (size_t i = 0; i < metadata_count && good; i++)
        good = cJSON_AddStringToObject(object, metadata[2 * i], metadata[2 * i + 1]);
    return good;
}

/* Adds a tensor whose data begins at *offset, and moves *offset to its end. */
static bool add_tensor(cJSON *header, const bnn_tensor *tensor, size_t *offset)
{
    const size_t end = *offset + tensor->count * sizeof(bnn_real);
    cJSON *object = cJSON_AddObjectToObject(header, tensor->name);
    bool good = object && cJSON_AddStringToObject(object, "dtype", sizeof(bnn_real) == 4 ? "F32" : "F64");
    cJSON *shape = good ? cJSON_AddArrayToObject(object, "shape") : NULL;
    cJSON *offsets = shape ? cJSON_AddArrayToObject(object, "data_offsets") : NULL;
    good = offsets;
    for (size_t d = 0; d < tensor->rank && good; d++)
        good = cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)tensor->shape[d]));
    good = good && cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)*offset)) &&
           cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)end));
    *offset = end;
    return good;
}

/* The header as text, to be freed with cJSON_free, or NULL when memory is short; *data_size <- bytes of data.
 */
static char *print_header(const bnn_tensor *tensors, size_t tensor_count, const char *const *metadata,
                          size_t metadata_count, size_t *data_size)
{
    char *text = NULL;
    cJSON *header = cJSON_CreateObject();
    bool good = header && add_metadata(header, metadata, metadata_count);
    *data_size = 0;
    for (size_t t = 0; t < tensor_count && good; t++) good = add_tensor(header, &tensors[t], data_size);
    if (good) text = cJSON_PrintUnformatted(header);
    cJSON_Delete(header);
    return text;
}

bnn_status bnn_safetensors_write(const char *path, const bnn_tensor *tensors, size_t tensor_count,
                                 const char *const *metadata, size_t metadata_count, bnn_error *error)
{
    size_t data_size;
    char *text = print_header(tensors, tensor_count, metadata, metadata_count, &data_size);
    if (!text) return bnn_fail(error, BNN_FAILED, "%s: out of memory for the header", path);
    const size_t length = strlen(text), padded = (length + 7) / 8 * 8,
                 size = LENGTH_SIZE + padded + data_size;
    const bool readable = padded <= HEADER_MOST && size <= BNN_FILE_MOST;
    uint8_t *bytes = readable ? bnn_alloc(size, 1) : NULL;
    bnn_status status = BNN_OK;
    if (!readable) {
        status = bnn_fail(error, BNN_FAILED,
                          "%s: not written: its %zu bytes, %zu of them the header, are more than can be "
                          "read back (%zu and %d)",
                          path, size, padded, BNN_FILE_MOST, HEADER_MOST);
    } else if (!bytes) {
        status = bnn_no_memory(error, path, size, 1);
    } else {
        uint8_t *at = bytes + LENGTH_SIZE + padded;
        bnn_store(bytes, LENGTH_SIZE, padded);
        memcpy(bytes + LENGTH_SIZE, text, length);
        memset(bytes + LENGTH_SIZE + length, ' ', padded - length);
        for (size_t t = 0; t < tensor_count; t++)
            for (size_t i = 0; i < tensors[t].count; i++, at += sizeof(bnn_real))
                bnn_store_float(at, sizeof(bnn_real), (double)tensors[t].data[i]);
        status = bnn_write_file(path, bytes, size, error);
    }
    free(bytes);
    cJSON_free(text);
    return status;
}
