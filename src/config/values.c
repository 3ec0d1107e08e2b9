/* Values of keys: from JSON, to JSON, and what is wrong with them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/keys.h"

/* The shortest text that reads back as the same double; cJSON's own printing gives up the last bit. */
static cJSON *exact_number(double value)
{
    char text[32];
    int digits = 15;
    do snprintf(text, sizeof text, "%.*g", digits, value);
    while (strtod(text, NULL) != value && ++digits <= 17);
    return cJSON_CreateRaw(text);
}

bnn_status config_wrong_value(const char *name, const config_key *row, const cJSON *value, bnn_error *error)
{
    char expected[800] = "";
    cJSON *exact = cJSON_IsNumber(value) ? exact_number(value->valuedouble) : NULL;
    char *found = cJSON_PrintUnformatted(exact ? exact : value);
    cJSON_Delete(exact);
    bnn_choices choices = config_choices_of(row, cJSON_IsString(value) ? value->valuestring : "");
    switch (row->type) {
    case KEY_SIZE:
        snprintf(expected, sizeof expected, "an integer from %.0f to %.0f%s", row->least, row->most,
                 row->most == CONFIG_ANY ? " (JSON's numbers are not exact beyond 2^53)" : "");
        break;
    case KEY_REAL:
        snprintf(expected, sizeof expected, "a number from %g to %g", row->least, row->most);
        break;
    case KEY_REAL_OR_AUTO:
        snprintf(expected, sizeof expected, "\"auto\" or a number from %g to %g", row->least, row->most);
        break;
    case KEY_BOOL:
        snprintf(expected, sizeof expected, "true or false");
        break;
    case KEY_TEXT:
    case KEY_PATH:
    case KEY_NAME:
        snprintf(expected, sizeof expected, "a string of at most %zu bytes", row->size - 1);
        break;
    case KEY_CHOICE:
        snprintf(expected, sizeof expected, "%s", bnn_choices_text(&choices));
        break;
    case KEY_STD:
        snprintf(expected, sizeof expected, "a number from %g to %g, a list of them, one a layer, or %s",
                 row->least, row->most, bnn_choices_text(&choices));
        break;
    case KEY_SIZES:
        snprintf(expected, sizeof expected, "a list of at most %d integers from %.0f to %.0f", BNN_MAX_WIDTHS,
                 row->least, row->most);
        break;
    case KEY_NUMBERS:
        snprintf(expected, sizeof expected, "%s from %g to %g, or a list of at most %d of them",
                 row->whole ? "an integer" : "a number", row->least, row->most, BNN_NUMBERS);
        break;
    case KEY_FLAGS:
        snprintf(expected, sizeof expected, "\"auto\" or a list of at most %d of true and false",
                 BNN_MAX_WIDTHS);
        break;
    case KEY_NAMES:
        snprintf(expected, sizeof expected, "a list of at most %d strings of at most %zu bytes",
                 BNN_MAX_WIDTHS, sizeof((bnn_names *)0)->value[0] - 1);
        break;
    }
    bnn_fail(error, BNN_BAD_INPUT, "%s: %s: found %.200s, expected %s", name, row->path, found ? found : "?",
             expected);
    cJSON_free(found);
    return BNN_BAD_INPUT;
}

static bool is_number(const cJSON *value, const config_key *row, bool integer)
{
    return cJSON_IsNumber(value) && isfinite(value->valuedouble) && value->valuedouble >= row->least &&
           value->valuedouble <= row->most && (!integer || value->valuedouble == floor(value->valuedouble));
}

static bool is_auto(const cJSON *value)
{
    return cJSON_IsString(value) && strcmp(value->valuestring, "auto") == 0;
}

static bool set_sizes(const config_key *row, const cJSON *value, bnn_sizes *sizes)
{
    const cJSON *entry;
    bnn_sizes list = {0, {0}};
    if (!cJSON_IsArray(value)) return false;
    cJSON_ArrayForEach(entry, value)
    {
        if (list.count == BNN_MAX_WIDTHS || !is_number(entry, row, true)) return false;
        list.value[list.count++] = (size_t)entry->valuedouble;
    }
    *sizes = list;
    return true;
}

static bool set_numbers(const config_key *row, const cJSON *value, bnn_numbers *numbers)
{
    const cJSON *entry = cJSON_IsArray(value) ? value->child : value;
    bnn_numbers list = {0, {0}};
    for (; entry; entry = cJSON_IsArray(value) ? entry->next : NULL) {
        if (list.count == BNN_NUMBERS || !is_number(entry, row, row->whole)) return false;
        list.value[list.count++] = entry->valuedouble;
    }
    *numbers = list;
    return true;
}

static bool set_flags(const cJSON *value, bnn_flags *flags)
{
    const cJSON *entry;
    bnn_flags list = {.automatic = is_auto(value)};
    if (!list.automatic && !cJSON_IsArray(value)) return false;
    cJSON_ArrayForEach(entry, value)
    {
        if (list.count == BNN_MAX_WIDTHS || !cJSON_IsBool(entry)) return false;
        list.value[list.count++] = cJSON_IsTrue(entry);
    }
    *flags = list;
    return true;
}

static bool set_names(const cJSON *value, bnn_names *names)
{
    const cJSON *entry;
    bnn_names list = {0, {""}};
    if (!cJSON_IsArray(value)) return false;
    cJSON_ArrayForEach(entry, value)
    {
        if (list.count == BNN_MAX_WIDTHS || !cJSON_IsString(entry) || !*entry->valuestring ||
            strlen(entry->valuestring) >= sizeof list.value[0])
            return false;
        memcpy(list.value[list.count++], entry->valuestring, strlen(entry->valuestring) + 1);
    }
    *names = list;
    return true;
}

static bool set_choice(const config_key *row, const cJSON *value, int *choice)
{
    const char *name;
    for (size_t i = 0; cJSON_IsString(value) && (name = config_name_at(row, i)); i++)
        if (strcmp(name, value->valuestring) == 0) {
            *choice = (int)i;
            return true;
        }
    return false;
}

static bool set_std(const config_key *row, const cJSON *value, bnn_prior_std *std)
{
    const cJSON *entry = cJSON_IsArray(value) ? value->child : value;
    bnn_prior_std read = {.scale = BNN_PRIOR_NUMBERS};
    int word;
    if (set_choice(row, value, &word)) {
        *std = (bnn_prior_std){.scale = (bnn_prior_scale)(word + 1)};
        return true;
    }
    for (; entry; entry = cJSON_IsArray(value) ? entry->next : NULL) {
        if (read.count == sizeof read.number / sizeof *read.number || !is_number(entry, row, false))
            return false;
        read.number[read.count++] = entry->valuedouble;
    }
    *std = read;
    return read.count > 0;
}

bool config_set_value(const config_key *row, const cJSON *value, bnn_config *config)
{
    void *at = (char *)config + row->offset;
    switch (row->type) {
    case KEY_SIZE:
        if (!is_number(value, row, true)) return false;
        *(size_t *)at = (size_t)value->valuedouble;
        return true;
    case KEY_REAL_OR_AUTO:
        if (is_auto(value)) {
            *(double *)at = NAN;
            return true;
        } /* fall through */
    case KEY_REAL:
        if (!is_number(value, row, false)) return false;
        *(double *)at = value->valuedouble;
        return true;
    case KEY_BOOL:
        if (!cJSON_IsBool(value)) return false;
        *(bool *)at = cJSON_IsTrue(value);
        return true;
    case KEY_TEXT:
    case KEY_PATH:
    case KEY_NAME:
        if (!cJSON_IsString(value) || strlen(value->valuestring) >= row->size) return false;
        memset(at, 0, row->size);
        memcpy(at, value->valuestring, strlen(value->valuestring));
        return true;
    case KEY_CHOICE:
        return set_choice(row, value, at);
    case KEY_STD:
        return set_std(row, value, at);
    case KEY_SIZES:
        return set_sizes(row, value, at);
    case KEY_NUMBERS:
        return set_numbers(row, value, at);
    case KEY_FLAGS:
        return set_flags(value, at);
    case KEY_NAMES:
        return set_names(value, at);
    }
    return false;
}

static cJSON *get_std(const config_key *row, const bnn_prior_std *std)
{
    if (std->scale != BNN_PRIOR_NUMBERS) return cJSON_CreateString(row->names[std->scale - 1]);
    if (std->count == 1) return exact_number(std->number[0]);
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < std->count; i++) cJSON_AddItemToArray(list, exact_number(std->number[i]));
    return list;
}

cJSON *config_get_value(const config_key *row, const bnn_config *config)
{
    const void *at = (const char *)config + row->offset;
    cJSON *list;
    switch (row->type) {
    case KEY_SIZE:
        return exact_number((double)*(const size_t *)at);
    case KEY_REAL_OR_AUTO:
        if (isnan(*(const double *)at)) return cJSON_CreateString("auto");
        return exact_number(*(const double *)at);
    case KEY_REAL:
        return exact_number(*(const double *)at);
    case KEY_BOOL:
        return cJSON_CreateBool(*(const bool *)at);
    case KEY_TEXT:
    case KEY_PATH:
    case KEY_NAME:
        return cJSON_CreateString(at);
    case KEY_CHOICE:
        return cJSON_CreateString(config_name_at(row, (size_t) * (const int *)at));
    case KEY_STD:
        return get_std(row, at);
    case KEY_SIZES:
        list = cJSON_CreateArray();
        for (size_t i = 0; list && i < ((const bnn_sizes *)at)->count; i++)
            cJSON_AddItemToArray(list, cJSON_CreateNumber((double)((const bnn_sizes *)at)->value[i]));
        return list;
    case KEY_NUMBERS:
        list = cJSON_CreateArray();
        for (size_t i = 0; list && i < ((const bnn_numbers *)at)->count; i++)
            cJSON_AddItemToArray(list, exact_number(((const bnn_numbers *)at)->value[i]));
        return list;
    case KEY_FLAGS:
        if (((const bnn_flags *)at)->automatic) return cJSON_CreateString("auto");
        list = cJSON_CreateArray();
        for (size_t i = 0; list && i < ((const bnn_flags *)at)->count; i++)
            cJSON_AddItemToArray(list, cJSON_CreateBool(((const bnn_flags *)at)->value[i]));
        return list;
    case KEY_NAMES:
        list = cJSON_CreateArray();
        for (size_t i = 0; list && i < ((const bnn_names *)at)->count; i++)
            cJSON_AddItemToArray(list, cJSON_CreateString(((const bnn_names *)at)->value[i]));
        return list;
    }
    return NULL;
}
