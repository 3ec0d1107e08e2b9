#include "bnn/ensemble.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/safetensors.h"
#include "config/calibration.h"

#define FORMAT "bnn-ensemble"
#define BYTES_MOST ((size_t)4 << 20) /* more than any ensemble has: such a file is not looked into */

/* How much of a path is its folder, with the slash; 0 where it has none. */
static size_t folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

/* text <- the path of a member as it is written into a file of the folder, which is absolute or empty. */
static bnn_status write_path(const char *member, const char *folder, char text[PATH_MAX], bnn_error *error)
{
    const size_t length = strlen(folder);
    char *whole = realpath(member, NULL);
    if (!whole) return bnn_fail(error, BNN_BAD_INPUT, "%s: found no file to name in an ensemble", member);
    const bool inside = length && strncmp(whole, folder, length) == 0 && whole[length] == '/';
    snprintf(text, PATH_MAX, "%s", inside ? whole + length + 1 : whole);
    free(whole);
    return BNN_OK;
}

static bnn_status list_members(const char *path, const bnn_ensemble *ensemble, cJSON *list, bnn_error *error)
{
    char text[PATH_MAX];
    snprintf(text, sizeof text, "%.*s", (int)folder_of(path), path);
    char *folder = realpath(*text ? text : ".", NULL);
    bnn_status status = BNN_OK;
    for (size_t m = 0; !status && m < ensemble->count; m++) {
        cJSON *member = cJSON_CreateObject();
        cJSON_AddItemToArray(list, member);
        status = write_path(ensemble->members[m].path, folder ? folder : "", text, error);
        cJSON_AddStringToObject(member, "path", text);
        cJSON_AddStringToObject(member, "sha256", ensemble->members[m].sha256);
    }
    free(folder);
    return status;
}

bnn_status bnn_ensemble_save(const char *path, const bnn_ensemble *ensemble, bnn_error *error)
{
    char calibration[CONFIG_CALIBRATION_TEXT];
    cJSON *list = cJSON_CreateArray();
    bnn_status status = list_members(path, ensemble, list, error);
    char *members = status ? NULL : cJSON_PrintUnformatted(list);
    if (!status && !members) status = bnn_no_memory(error, path, ensemble->count, sizeof *ensemble->members);
    if (!status) {
        const char *const metadata[] = {"format",
                                        FORMAT,
                                        CONFIG_CALIBRATION_KEY,
                                        config_calibration_text(&ensemble->calibration, calibration),
                                        "members",
                                        members};
        status = bnn_safetensors_write(path, NULL, 0, metadata, 3, error);
    }
    free(members);
    cJSON_Delete(list);
    return status;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

static bnn_status read_member(const char *name, size_t m, const cJSON *json, bnn_ensemble_member *member,
                              bnn_error *error)
{
    const char *path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "path"));
    const char *sha256 = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "sha256"));
    if (!path || !*path || !sha256 || strlen(sha256) != BNN_SHA256 - 1)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: __metadata__: members: member %zu has no path and SHA-256, expected both", name,
                        m);
    const int folder = *path == '/' ? 0 : (int)folder_of(name);
    if (snprintf(member->path, sizeof member->path, "%.*s%s", folder, name, path) >= (int)sizeof member->path)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: the path of member %zu is too long", name, m);
    memcpy(member->sha256, sha256, BNN_SHA256);
    return BNN_OK;
}

static bnn_status read_members(const char *name, const cJSON *list, bnn_ensemble *ensemble, bnn_error *error)
{
    const int count = cJSON_GetArraySize(list);
    bnn_status status = BNN_OK;
    if (!cJSON_IsArray(list) || count < 2 || count > BNN_ENSEMBLE_MOST)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: __metadata__: members: expected a list of 2 to %d members",
                        name, BNN_ENSEMBLE_MOST);
    ensemble->count = (size_t)count;
    ensemble->members = bnn_alloc(ensemble->count, sizeof *ensemble->members);
    if (!ensemble->members) return bnn_no_memory(error, name, ensemble->count, sizeof *ensemble->members);
    for (int m = 0; !status && m < count; m++)
        status = read_member(name, (size_t)m, cJSON_GetArrayItem(list, m), &ensemble->members[m], error);
    return status;
}

static bnn_status read_ensemble(const bnn_safetensors *file, bnn_ensemble **ensemble, bnn_error *error)
{
    const char *format = bnn_safetensors_metadata(file, "format"),
               *members = bnn_safetensors_metadata(file, "members");
    if (!format || strcmp(format, FORMAT) != 0) return BNN_OK;
    bnn_ensemble *read = bnn_alloc(1, sizeof *read);
    if (!read) return bnn_no_memory(error, file->path, 1, sizeof *read);
    cJSON *list = members ? cJSON_ParseWithOpts(members, NULL, 1) : NULL;
    bnn_status status = read_members(file->path, list, read, error);
    if (!status) status = config_load_calibration(file, &read->calibration, error);
    cJSON_Delete(list);
    if (status)
        bnn_ensemble_free(read);
    else
        *ensemble = read;
    return status;
}

bnn_status bnn_ensemble_parse(const char *name, const uint8_t *bytes, size_t size, bnn_ensemble **ensemble,
                              bnn_error *error)
{
    bnn_safetensors *file = NULL;
    *ensemble = NULL;
    if (size > BYTES_MOST || bnn_safetensors_parse(name, bytes, size, &file, NULL))
        return BNN_OK; /* no ensemble at any rate */
    const bnn_status status = read_ensemble(file, ensemble, error);
    bnn_safetensors_free(file);
    return status;
}

void bnn_ensemble_free(bnn_ensemble *ensemble)
{
    if (!ensemble) return;
    free(ensemble->members);
    free(ensemble);
}
