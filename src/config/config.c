#include "bnn/config.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/io.h"
#include "bnn/utf8.h"
#include "config/keys.h"
#include "data/sniff.h"
enum { SET_SHOWN = 200 }; /* bytes of a --set in messages */

/* ---- defaults, load ------------------------------------------------------------------------------------ */

/* Every key at its default, or as a file means it that does not say it. */
static void set_defaults(bool of_file, bnn_config *config)
{
    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < config_key_count; i++) {
        const config_key *key = &config_keys[i];
        cJSON *value = cJSON_Parse(of_file && key->unsaid ? key->unsaid : key->fallback);
        if (value) config_set_value(key, value, config);
        cJSON_Delete(value);
    }
}

void bnn_config_default(bnn_config *config)
{
    set_defaults(false, config);
}

/* A value that the user gives. */
static bool give_value(const config_key *row, const cJSON *value, bnn_config *config)
{
    config->given[row - config_keys] = true;
    return config_set_value(row, value, config);
}

/* Loads one object of the configuration; `prefix` is its path ("" at the top). */
static bnn_status load_object(const char *name, const char *prefix, const cJSON *object, bnn_config *config,
                              bnn_error *error)
{
    const cJSON *value;
    cJSON_ArrayForEach(value, object)
    {
        char path[128];
        const int length =
            snprintf(path, sizeof path, "%s%s%.100s", prefix, *prefix ? "." : "", value->string);
        if (length < 0 || (size_t)length >= sizeof path)
            return config_unknown_key(name, value->string, error);
        for (const cJSON *other = value->next; other; other = other->next)
            if (strcmp(other->string, value->string) == 0)
                return bnn_fail(error, BNN_BAD_INPUT, "%s: %s: the key stands there twice", name, path);
        const config_key *row = config_find_key(path);
        bnn_status status = BNN_OK;
        if (row)
            status = give_value(row, value, config) ? BNN_OK : config_wrong_value(name, row, value, error);
        else if (!config_is_object(path))
            status = config_unknown_key(name, path, error);
        else if (!cJSON_IsObject(value))
            status = bnn_fail(error, BNN_BAD_INPUT, "%s: %s: expected an object {...}", name, path);
        else
            status = load_object(name, path, value, config, error);
        if (status) return status;
    }
    return BNN_OK;
}

/* One --set KEY=VALUE. */
static bnn_status load_set(const char *set, bnn_config *config, bnn_error *error)
{
    char path[128], name[SET_SHOWN + 8] = "";
    const char *equals = strchr(set, '=');
    if (bnn_utf8_fault(set))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "--set %s: is not valid UTF-8 at byte %zu, expected text that JSON can hold", set,
                        (size_t)(bnn_utf8_fault(set) - set) + 1);
    if (!equals || equals == set || (size_t)(equals - set) >= sizeof path)
        return bnn_fail(error, BNN_BAD_INPUT, "--set %s: expected KEY=VALUE, as in train.epochs=10", set);
    snprintf(path, sizeof path, "%.*s", (int)(equals - set), set);
    bnn_append(name, sizeof name, "--set %s", set);
    const config_key *row = config_find_key(path);
    if (!row && config_is_object(path))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: %s: is an object, expected one of its keys, as in train.epochs", name, path);
    if (!row) return config_unknown_key(name, path, error);
    cJSON *value = cJSON_ParseWithOpts(equals + 1, NULL, 1);
    if (!value || (config_is_text(row) && !cJSON_IsString(value))) {
        cJSON_Delete(value);
        value = cJSON_CreateString(equals + 1);
    }
    bnn_status status = value ? BNN_OK : bnn_no_memory(error, "a value", 1, strlen(set));
    if (!status && !give_value(row, value, config)) status = config_wrong_value(name, row, value, error);
    cJSON_Delete(value);
    return status;
}

bnn_status bnn_config_blame(const char *name, const char *const *sets, size_t set_count, bnn_status status,
                            bnn_error *error)
{
    const size_t length = strlen(name);
    char origin[4 * SET_SHOWN] = "";
    if (status != BNN_BAD_INPUT || !error) return status;
    const bnn_error found = *error;
    const bool named =
        strncmp(found.message, name, length) == 0 && strncmp(found.message + length, ": ", 2) == 0;
    const char *rest = found.message + (named ? length + 2 : 0);
    for (size_t i = set_count; i-- > 0;) {
        const size_t key_length = strcspn(sets[i], "=");
        if (strncmp(rest, sets[i], key_length) == 0 && rest[key_length] == ':')
            return bnn_fail(error, status, "--set %.*s: %s", SET_SHOWN, sets[i], rest);
    }
    for (size_t i = 0; i < set_count; i++) bnn_append(origin, sizeof origin, " --set %s", sets[i]);
    return bnn_fail(error, status, "%s%s%s: %s", name, set_count ? " with" : "", origin, rest);
}

/* Paths are those seen from the folder of the file `name`. */
static bnn_status resolve_paths(const char *name, bnn_config *config, bnn_error *error)
{
    char folder[PATH_MAX] = "", absolute[2 * PATH_MAX];
    for (size_t i = 0; i < config_key_count; i++) {
        char *path = (char *)config + config_keys[i].offset;
        if (config_keys[i].type != KEY_PATH || !*path || *path == '/') continue;
        const bnn_status status = *folder ? BNN_OK : bnn_folder_of(name, folder, sizeof folder, error);
        if (status) return status;
        const char *slash = folder[strlen(folder) - 1] == '/' ? "" : "/";
        const int length = snprintf(absolute, sizeof absolute, "%s%s%s", folder, slash, path);
        if (length < 0 || (size_t)length >= config_keys[i].size)
            return bnn_fail(error, BNN_BAD_INPUT,
                            "%s: %s: found a path of %d bytes, seen from %.80s..., expected at most %zu",
                            name, config_keys[i].path, length, folder, config_keys[i].size - 1);
        if (bnn_utf8_fault(absolute))
            return bnn_fail(error, BNN_BAD_INPUT,
                            "%s: %s: is %s, which is not valid UTF-8: JSON cannot hold it", name,
                            config_keys[i].path, absolute);
        memcpy(path, absolute, (size_t)length + 1);
    }
    return BNN_OK;
}

/* A failure at a byte of the text. */
static bnn_status bad_text(const char *name, const char *text, const char *at, const char *what,
                           bnn_error *error)
{
    size_t line = 1, column = 1;
    for (; text < at; text++) {
        column = *text == '\n' ? 1 : column + 1;
        line += *text == '\n';
    }
    return bnn_fail(error, BNN_BAD_INPUT, "%s: line %zu, column %zu: %s", name, line, column, what);
}

/* ---- check --------------------------------------------------------------------------------------------- */

/* The row that a KEY_NAME or a choice with a registry names; NULL when the registry is not at hand or has none. */
static const bnn_row *row_of(const config_key *key, const bnn_config *config, bnn_registry *modes)
{
    bnn_registry *registry = key->registry ? key->registry : modes;
    const void *at = (const char *)config + key->offset;
    if (key->type == KEY_CHOICE) return registry((size_t) * (const int *)at);
    if (!registry || (key->optional && !*(const char *)at)) return NULL;
    return *(const char *)at ? bnn_row_find(registry, at) : registry(0);
}

static bnn_status check_group(const char *name, const bnn_config *c, bnn_error *error)
{
    bnn_group *group;
    bnn_error reason;
    const bnn_status status = bnn_group_create(c->group, &group, &reason);
    if (status) return bnn_fail(error, status, "%s: %s", name, reason.message);
    bnn_group_free(group);
    return BNN_OK;
}

/* Every name is that of a row, and an empty one becomes that of the registry's first. */
static bnn_status check_names(const char *name, bnn_registry *modes, bnn_config *config, bnn_error *error)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const bool known = config_keys[i].registry || modes;
        char *at = (char *)config + config_keys[i].offset;
        if (config_keys[i].type != KEY_NAME || !known) continue;
        if (config_keys[i].optional && (!modes || !*at))
            continue; /* a model serves whatever it was trained on */
        const bnn_row *row = row_of(&config_keys[i], config, modes);
        if (!row) {
            config_key with_registry = config_keys[i];
            if (!with_registry.registry) with_registry.registry = modes;
            bnn_choices choices = config_choices_of(&with_registry, at);
            return bnn_fail(error, BNN_BAD_INPUT, "%s: %s: found \"%s\", expected %s", name,
                            config_keys[i].path, at, bnn_choices_text(&choices));
        }
        snprintf(at, config_keys[i].size, "%s", row->name);
    }
    return BNN_OK;
}

/* The rows that read a key, for a message. */
static void list_readers(const config_key *key, bnn_registry *registry, char *text, size_t size)
{
    const bnn_row *row;
    *text = '\0';
    for (size_t i = 0; (row = registry(i)); i++)
        if (bnn_row_reads(row, key->path)) bnn_append(text, size, "%s%s", *text ? ", " : "", row->name);
}

/* Marks the keys that the chosen rows do not read, and refuses those of them that the user has set. Of a model file, whose
 * modes are not at hand, what it does not say is not read. */
static bnn_status check_read(const char *name, bnn_registry *modes, bnn_config *config, bnn_error *error)
{
    for (size_t i = 0; i < config_key_count; i++) {
        if (!config_keys[i].owner) continue;
        const config_key *owner = config_find_key(config_keys[i].owner);
        const bool by_path = owner->type == KEY_PATH;
        const bnn_row *row = by_path ? NULL : row_of(owner, config, modes);
        char readers[256];
        config->unread[i] = by_path ? !*((const char *)config + owner->offset)
                                    : !(row ? bnn_row_reads(row, config_keys[i].path) : config->given[i]);
        if (!config->unread[i] || !config->given[i] || !modes || config_keys[i].tolerated) continue;
        if (by_path)
            return bnn_fail(error, BNN_BAD_INPUT, "%s: %s: is set, but %s is not, which it belongs to", name,
                            config_keys[i].path, owner->path);
        list_readers(&config_keys[i], owner->registry ? owner->registry : modes, readers, sizeof readers);
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: %s: is set, but %s %s does not read it%s%s; it belongs to %s", name,
                        config_keys[i].path, owner->path, row->name, row->reason ? ": " : "",
                        row->reason ? row->reason : "", readers);
    }
    return BNN_OK;
}

/* A key that nothing reads, since a model gives what it would say. */
static bnn_status replace_key(const char *name, const char *path, bnn_registry *modes, bnn_config *config,
                              bnn_error *error)
{
    const size_t i = (size_t)(config_find_key(path) - config_keys);
    config->unread[i] = true;
    if (!config->given[i] || !modes) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT, "%s: %s: is set, but posterior.init_from gives it for every layer",
                    name, path);
}

/* The initial q: of what posterior.init_from gives, nothing else is read. */
static bnn_status check_start(const char *name, bnn_registry *modes, bnn_config *config, bnn_error *error)
{
    bnn_status status = BNN_OK;
    if (!*config->posterior.init_from || config->posterior.init_except.count) return BNN_OK;
    status = replace_key(name, "posterior.mean_init", modes, config, error);
    if (!status && config->posterior.init_rho)
        status = replace_key(name, "posterior.rho_init", modes, config, error);
    return status;
}

static bnn_status check_model(const char *name, const bnn_config *c, bnn_error *error)
{
    if (c->model.input.count != 0 && c->model.input.count != 3)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: model.input: found %zu entries, expected [C, H, W]", name,
                        c->model.input.count);
    if (c->model.type != BNN_NETWORK_MLP && c->model.channels.count == 0)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: model.channels: found [], expected at least one conv layer", name);
    if (c->model.type != BNN_NETWORK_MLP && c->model.pool.count != 0 &&
        c->model.pool.count != c->model.channels.count)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "%s: model.pool: found %zu entries, expected [] or one for each of the %zu of model.channels",
            name, c->model.pool.count, c->model.channels.count);
    if (c->model.channels.count + 2 > BNN_MAX_WIDTHS || c->model.hidden.count + 2 > BNN_MAX_WIDTHS)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: model: more than %d layers", name, BNN_MAX_WIDTHS - 2);
    if (c->model.kernel % 2 == 0)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: model.kernel: found %zu, expected an odd number", name,
                        c->model.kernel);
    return BNN_OK;
}

/* The value of a key that may be "auto". */
static double auto_or(double value, double fallback)
{
    return isnan(value) ? fallback : value;
}

static bnn_status check_ramp(const char *name, const char *which, double warmup, double end, bnn_error *error)
{
    if (end == 0 || end >= warmup) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT,
                    "%s: train.%s_ramp_end: found %g, expected 0 or at least train.%s_warmup_epochs = %g",
                    name, which, end, which, warmup);
}

/* `needs`: whether the row that `key` names is made for families of normal distributions. */
static bnn_status check_family(const char *name, const char *key, const bnn_row *row, bool needs,
                               const bnn_config *c, bnn_error *error)
{
    if (!needs || bnn_family_find(c->posterior.family)->normal) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT,
                    "%s: %s: found \"%s\" with family %s, expected one whose noise is normal", name, key,
                    row->name, c->posterior.family);
}

static bnn_status check_train(const char *name, const bnn_config *c, bnn_error *error)
{
    const bnn_estimator *estimator = bnn_estimators[c->train.estimator];
    const bnn_optimizer_rule *rule = bnn_optimizer_find(c->train.optimizer.name);
    const double warmup = (double)c->train.kl_warmup_epochs, end = (double)c->train.kl_ramp_end;
    bnn_status status = check_ramp(name, "kl", warmup, end, error);
    if (!status)
        status = check_ramp(name, "kl_head", auto_or(c->train.kl_head_warmup_epochs, warmup),
                            auto_or(c->train.kl_head_ramp_end, end), error);
    if (status) return status;
    if (c->train.map_epochs >= c->train.epochs)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: train.map_epochs: found %zu, expected fewer than train.epochs = %zu: sigma is "
                        "trained in the rest",
                        name, c->train.map_epochs, c->train.epochs);
    if (rule->likelihood_only && c->train.kl_weight == 0)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "%s: train.kl_weight: found 0 with train.optimizer.name %s, expected more than 0: N = "
            "1/beta is in its sigma",
            name, c->train.optimizer.name);
    const char *refusal = rule->refuse ? rule->refuse(&c->train.optimizer.options) : NULL;
    if (refusal) return bnn_fail(error, BNN_BAD_INPUT, "%s: %s", name, refusal);
    status = check_family(name, "train.estimator", &estimator->row, estimator->normal, c, error);
    return status ? status : check_family(name, "train.optimizer.name", &rule->row, rule->normal, c, error);
}

/* What `auto` stands for, where no data is needed to know. */
static void resolve(bnn_config *c)
{
    bnn_optimizer_options *options = &c->train.optimizer.options;
    const bnn_optimizer_rule *rule = bnn_optimizer_find(c->train.optimizer.name);
    options->lr = auto_or(options->lr, rule->default_lr);
    options->rho_lr_factor = auto_or(options->rho_lr_factor, rule->default_rho_lr_factor);
    c->train.kl_head_warmup_epochs =
        auto_or(c->train.kl_head_warmup_epochs, (double)c->train.kl_warmup_epochs);
    c->train.kl_head_ramp_end = auto_or(c->train.kl_head_ramp_end, (double)c->train.kl_ramp_end);
}

bnn_status bnn_config_parse(const char *name, const char *text, const char *const *sets, size_t set_count,
                            bnn_registry *modes, bnn_config *config, bnn_error *error)
{
    const char *end = NULL;
    set_defaults(!modes, config);
    if (bnn_utf8_fault(text)) return bad_text(name, text, bnn_utf8_fault(text), "not valid UTF-8", error);
    cJSON *json = cJSON_ParseWithOpts(text, &end, 1);
    if (!json) return bad_text(name, text, end ? end : text, "not valid JSON", error);
    bnn_status status = cJSON_IsObject(json)
                            ? load_object(name, "", json, config, error)
                            : bnn_fail(error, BNN_BAD_INPUT, "%s: expected a JSON object {...}", name);
    for (size_t i = 0; !status && i < set_count; i++) status = load_set(sets[i], config, error);
    const bool loaded = !status;
    if (!status && modes && !config->data.paths.name[0])
        status =
            bnn_fail(error, BNN_BAD_INPUT, "%s: data.name: missing, expected the name of a data set", name);
    cJSON_Delete(json);
    if (!status && modes) status = resolve_paths(name, config, error);
    if (!status) status = check_group(name, config, error);
    if (!status) status = check_names(name, modes, config, error);
    if (!status) status = check_read(name, modes, config, error);
    if (!status) status = check_start(name, modes, config, error);
    if (!status) status = check_model(name, config, error);
    if (!status) status = check_train(name, config, error);
    if (!status) resolve(config);
    return loaded ? bnn_config_blame(name, sets, set_count, status, error) : status;
}

bnn_status bnn_config_read_text(const char *name, const uint8_t *bytes, size_t size, const char *const *sets,
                                size_t set_count, bnn_registry *modes, bnn_config *config, bnn_error *error)
{
    const bnn_file_kind kind = bnn_sniff(bytes, size);
    if (kind != BNN_FILE_JSON && kind != BNN_FILE_UNKNOWN)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: is %s, expected a configuration (JSON)", name,
                        bnn_file_kind_name(kind));
    if (memchr(bytes, 0, size))
        return bnn_fail(error, BNN_BAD_INPUT, "%s: contains a zero byte, expected JSON text", name);
    const char *text = (const char *)bytes + bnn_byte_order_mark(bytes, size);
    return bnn_config_parse(name, text, sets, set_count, modes, config, error);
}

bnn_status bnn_config_read(const char *path, const char *const *sets, size_t set_count, bnn_registry *modes,
                           bnn_config *config, bnn_error *error)
{
    uint8_t *text;
    size_t size;
    bnn_status status = bnn_read_file(path, (size_t)16 << 20, &text, &size, error);
    if (status) return status;
    status = bnn_config_read_text(bnn_input_name(path), text, size, sets, set_count, modes, config, error);
    free(text);
    return status;
}

bool bnn_config_gives(const bnn_config *config, const char *path)
{
    return config->given[config_find_key(path) - config_keys];
}

const char *bnn_config_unread(const bnn_config *config, size_t *i)
{
    for (; *i < config_key_count; (*i)++)
        if (config->given[*i] && config->unread[*i]) return config_keys[(*i)++].path;
    return NULL;
}

/* ---- dump ---------------------------------------------------------------------------------------------- */

/* The object that holds key `path`, made where missing; *last <- the key's own name. */
static cJSON *object_for(cJSON *root, const char *path, const char **last)
{
    char part[64];
    for (const char *dot; (dot = strchr(path, '.')); path = dot + 1) {
        snprintf(part, sizeof part, "%.*s", (int)(dot - path), path);
        cJSON *next = cJSON_GetObjectItemCaseSensitive(root, part);
        root = next ? next : cJSON_AddObjectToObject(root, part);
    }
    *last = path;
    return root;
}

char *bnn_config_dump(const bnn_config *config, bool pretty)
{
    cJSON *root = cJSON_CreateObject();
    for (size_t i = 0; root && i < config_key_count; i++) {
        const char *last;
        if (config->unread[i]) continue;
        cJSON *object = object_for(root, config_keys[i].path, &last);
        if (config_is_text(&config_keys[i]) && !*((const char *)config + config_keys[i].offset))
            continue; /* unset */
        cJSON_AddItemToObject(object, last, config_get_value(&config_keys[i], config));
    }
    char *text = root ? (pretty ? cJSON_Print(root) : cJSON_PrintUnformatted(root)) : NULL;
    cJSON_Delete(root);
    return text;
}

void bnn_config_differences(const bnn_config *a, const bnn_config *b, const char *const *but, char *text,
                            size_t size)
{
    *text = '\0';
    for (size_t i = 0; i < config_key_count; i++) {
        const char *const *left_out = but;
        while (*left_out && strcmp(*left_out, config_keys[i].path) != 0) left_out++;
        if (*left_out || (a->unread[i] && b->unread[i])) continue;
        cJSON *first = config_get_value(&config_keys[i], a), *second = config_get_value(&config_keys[i], b);
        if (a->unread[i] != b->unread[i] || !cJSON_Compare(first, second, true))
            bnn_append(text, size, "%s%s", *text ? ", " : "", config_keys[i].path);
        cJSON_Delete(first);
        cJSON_Delete(second);
    }
}

bool bnn_config_help(size_t i, bnn_registry *modes, bnn_key_help *help)
{
    if (i >= config_key_count) return false;
    const config_key *key = &config_keys[i], *owner = key->owner ? config_find_key(key->owner) : NULL;
    config_key named = *key;
    if (key->type == KEY_NAME && !named.registry) named.registry = modes;
    const char *first = key->type == KEY_NAME && !key->optional ? config_name_at(&named, 0) : NULL;
    *help = (bnn_key_help){.path = key->path, .meaning = key->meaning};
    snprintf(help->fallback, sizeof help->fallback, first ? "\"%s\"" : "%s", first ? first : key->fallback);
    config_list_names(&named, help->choices, sizeof help->choices);
    if (owner && owner->type == KEY_PATH)
        snprintf(help->readers, sizeof help->readers, "%s", owner->path);
    else if (owner)
        list_readers(key, owner->registry ? owner->registry : modes, help->readers, sizeof help->readers);
    return true;
}
