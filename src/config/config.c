#include "bnn/config.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bnn/io.h"
#include "bnn/utf8.h"
#include "data/sniff.h"

const char *const bnn_predictive_names[] = {"posterior", "group-averaged", NULL};
const char *const bnn_draws_names[] = {"shared", "independent", NULL};
static const char *const padding_names[] = {"zero", "circular", NULL};
static const char *const representation_names[] = {"auto", "trivial", "regular", NULL};
static const char *const prior_mean_names[] = {"zero", "random", NULL};
const char *const bnn_augmentation_names[] = {"none", "full", "random", NULL};
static const char *const select_names[] = {"validation", "last", NULL};

typedef enum key_type {
    KEY_SIZE,         /* size_t */
    KEY_REAL,         /* double */
    KEY_REAL_OR_AUTO, /* double, NaN for "auto" */
    KEY_BOOL,         /* bool */
    KEY_TEXT,         /* char[size] */
    KEY_PATH,         /* char[size], absolute once parsed */
    KEY_NAME,         /* char[size], the name of a registry's row; empty: its first */
    KEY_CHOICE,       /* int, an index into names, or into the rows of a registry */
    KEY_SIZES,        /* bnn_sizes */
    KEY_FLAGS         /* bnn_flags */
} key_type;

typedef struct config_key {
    const char *path;
    key_type type;
    size_t offset, size;
    double least, most; /* of numbers, and of a list's entries */
    const char *const *names;
    bnn_registry *registry; /* of names; NULL for a KEY_NAME: the modes', which stand above */
    const char *fallback;   /* the default, as JSON */
    const char *meaning;
    bool optional; /* of a KEY_NAME: empty, it is the name of no row, and with no modes at hand that of any */
    const char *
        owner; /* path of the key with a registry whose chosen row decides whether this one is read; NULL: always */
    bool
        tolerated; /* set and not read, it is reported instead of refused: the key serves another choice of its owner */
} config_key;

#define AT(member) .offset = offsetof(bnn_config, member), .size = sizeof(((bnn_config *)0)->member)
#define KEY(path_, type_, member, ...)                                                                       \
    {                                                                                                        \
        .path = path_, .type = type_, AT(member), __VA_ARGS__                                                \
    }
#define SIZE(path, member, from, to, fallback_, meaning_, ...)                                               \
    KEY(path, KEY_SIZE, member, .least = from, .most = to, .fallback = fallback_, .meaning = meaning_,       \
        __VA_ARGS__)
#define REAL(path, member, from, to, fallback_, meaning_, ...)                                               \
    KEY(path, KEY_REAL, member, .least = from, .most = to, .fallback = fallback_, .meaning = meaning_,       \
        __VA_ARGS__)
#define AUTO(path, member, from, to, meaning_, ...)                                                          \
    KEY(path, KEY_REAL_OR_AUTO, member, .least = from, .most = to, .fallback = "\"auto\"",                   \
        .meaning = meaning_, __VA_ARGS__)
#define TEXT(path, member, fallback_, meaning_, ...)                                                         \
    KEY(path, KEY_TEXT, member, .fallback = fallback_, .meaning = meaning_, __VA_ARGS__)
#define PATH(path, member, meaning_)                                                                         \
    KEY(path, KEY_PATH, member, .fallback = "\"\"", .meaning = meaning_, OF_DATA)
#define FLAG(path, member, fallback_, meaning_, ...)                                                         \
    KEY(path, KEY_BOOL, member, .fallback = fallback_, .meaning = meaning_, __VA_ARGS__)
#define CHOICE(path, member, names_, fallback_, meaning_, ...)                                               \
    KEY(path, KEY_CHOICE, member, .names = names_, .fallback = fallback_, .meaning = meaning_, __VA_ARGS__)
#define SIZES(path, member, to, fallback_, meaning_, ...)                                                    \
    KEY(path, KEY_SIZES, member, .least = 1, .most = to, .fallback = fallback_, .meaning = meaning_,         \
        __VA_ARGS__)
/* A row of a registry, by its name. */
#define ROW(path, member, registry_, meaning_)                                                               \
    KEY(path, KEY_NAME, member, .registry = registry_, .fallback = "\"\"", .meaning = meaning_)
#define OF(path) .owner = path
#define OF_DATA OF("data.name")
#define OF_TYPE OF("model.type"), .tolerated = true
#define OF_MODE OF("symmetrization.mode")
#define OF_OPTIMIZER OF("train.optimizer.name")

#define ANY                                                                                                  \
    9007199254740991.0 /* 2^53 - 1: up to here, integers are exact in JSON's doubles (RFC 8259, section 6) */

/* clang-format off */
static const config_key keys[] = {
    SIZE("seed", seed, 0, ANY, "0", "seed of every random stream"),
    KEY("data.name", KEY_NAME, data.paths.name, .registry = bnn_data_row, .fallback = "\"\"", .meaning = "the data set", .optional = true),
    PATH("data.dir", data.paths.dir, "folder of its files; otherwise data/NAME, then the system's"),
    PATH("data.train_images", data.paths.train_images, "file of images"),
    PATH("data.train_labels", data.paths.train_labels, "file of labels"),
    PATH("data.validation_images", data.paths.validation_images, "file of images, instead of data.validation_size"),
    PATH("data.validation_labels", data.paths.validation_labels, "file of labels"),
    PATH("data.test_images", data.paths.test_images, "file of images; without it, bnn eval needs --images"),
    PATH("data.test_labels", data.paths.test_labels, "file of labels"),
    CHOICE("data.labels", data.paths.labels, bnn_label_names, "\"fine\"", "classes, or superclasses of them", OF_DATA),
    SIZE("data.train_size", data.train_size, 0, ANY, "0", "training images, a seeded subset; 0 for all"),
    SIZE("data.validation_size", data.validation_size, 0, ANY, "0", "validation images, cut from the rest of the training set"),
    SIZE("data.test_size", data.test_size, 0, ANY, "0", "the first so many test images; 0 for all"),
    SIZE("data.pad", data.pad, 0, 64, "0", "background pixels added on every side"),
    CHOICE("data.scale", data.scale, bnn_scale_names, "\"auto\"", "auto: uint8 pixels to -1..1, others as they are; none: all as they are"),
    AUTO("data.background", data.background, -1e30, 1e30,
         "value around an image, seen when it is padded or turned; auto: the smallest of the training images, scaled"),
    TEXT("group", group, "\"C4\"", "C<n> rotations, D<n> rotations and flips, T<k> translations"),
    KEY("model.type", KEY_CHOICE, model.type, .registry = bnn_network_type_row, .fallback = "\"fcnn\"", .meaning = "architecture"),
    SIZES("model.input", model.input, 65536, "[]", "[C, H, W]; from the data when left out"),
    SIZE("model.classes", model.classes, 0, 65536, "0", "classes; 0: from the data"),
    SIZES("model.channels", model.channels, 65536, "[32, 64]", "channels of the conv layers", OF_TYPE),
    KEY("model.pool", KEY_FLAGS, model.pool, .fallback = "[]",
        .meaning = "whether a 2 x 2 max-pool follows, one a conv layer; []: after every one", OF_TYPE),
    SIZES("model.hidden", model.hidden, 1048576, "[400, 400]", "hidden units", OF_TYPE),
    SIZE("model.kernel", model.kernel, 1, 31, "3", "side of the conv kernels, odd", OF_TYPE),
    CHOICE("model.padding", model.padding, padding_names, "\"zero\"", "conv padding", OF_TYPE),
    CHOICE("model.channel_representation", model.representation, representation_names, "\"auto\"",
           "how the group acts on hidden channels; auto: as the mode has it"),
    CHOICE("prior.mean", prior.mean, prior_mean_names, "\"zero\"", "zero, or a draw from N(0, std^2) a weight"),
    REAL("prior.std", prior.std, 1e-30, 1e30, "1.0", "standard deviation of the prior"),
    ROW("posterior.family", posterior.family, bnn_family_row, "family of q"),
    CHOICE("posterior.mean_init", posterior.mean_init, bnn_mean_init_names, "\"kaiming\"", "initial means"),
    REAL("posterior.rho_init", posterior.rho_init, -60, 60, "-3.0", "initial rho, sigma = log(1 + e^rho)"),
    ROW("symmetrization.mode", symmetrization.mode, NULL, "the stage between the data and the optimiser"),
    CHOICE("symmetrization.augmentation", symmetrization.augmentation, bnn_augmentation_names, "\"full\"",
           "full: every g.x an item; random: one g a visit; none: with hold, base images only", OF_MODE),
    TEXT("symmetrization.average", symmetrization.average, "\"\"",
         "what is averaged, and how", OF_MODE),
    SIZE("symmetrization.trigger_epoch", symmetrization.trigger_epoch, 0, ANY, "0",
         "epochs before q is symmetrized; 0: right after initialisation", OF_MODE),
    REAL("symmetrization.trigger_accuracy", symmetrization.trigger_accuracy, 0, 1, "0.0",
         "training accuracy at which q is symmetrized; beside trigger_epoch or stage1_epochs, what comes first; 0: none", OF_MODE),
    SIZE("symmetrization.stage1_epochs", symmetrization.stage1_epochs, 0, ANY, "100",
         "epochs of the small network", OF_MODE),
    CHOICE("symmetrization.arrangement", symmetrization.arrangement, bnn_arrangement_names, "\"gcnn\"",
           "how inner kernels are turned", OF_MODE),
    FLAG("symmetrization.hold", symmetrization.hold, "false", "project every gradient after the trigger", OF_MODE),
    FLAG("symmetrization.keep_optimizer_state", symmetrization.keep_optimizer_state, "false",
         "keep momentum across the trigger", OF_MODE),
    SIZE("train.epochs", train.epochs, 1, ANY, "500", "epochs in all"),
    SIZE("train.batch_size", train.batch_size, 1, 1048576, "128", "items a step"),
    SIZE("train.samples", train.samples, 1, 65536, "10", "Monte-Carlo samples a step"),
    ROW("train.optimizer.name", train.optimizer.name, bnn_optimizer_row, "rule that updates q"),
    REAL("train.optimizer.lr", train.optimizer.options.lr, 0, 1e6, "0.01", "learning rate of mu"),
    REAL("train.optimizer.momentum", train.optimizer.options.momentum, 0, 1, "0.9", "of the velocity", OF_OPTIMIZER),
    FLAG("train.optimizer.nesterov", train.optimizer.options.nesterov, "true", "whether the step looks ahead along the velocity", OF_OPTIMIZER),
    AUTO("train.optimizer.rho_lr_factor", train.optimizer.options.rho_lr_factor, 0, 1e6,
         "learning rate of rho over that of mu; auto: the optimiser's own", OF_OPTIMIZER),
    REAL("train.optimizer.weight_decay", train.optimizer.options.weight_decay, 0, 1e6, "0.0", "of mu, and of rho where the optimiser decays both", OF_OPTIMIZER),
    REAL("train.optimizer.beta1", train.optimizer.options.beta1, 0, 0.999999, "0.9", "decay of the first moment", OF_OPTIMIZER),
    REAL("train.optimizer.beta2", train.optimizer.options.beta2, 0, 0.9999999, "0.999", "decay of the second moment", OF_OPTIMIZER),
    REAL("train.optimizer.epsilon", train.optimizer.options.epsilon, 0, 1, "1e-8", "added to the root of the second moment", OF_OPTIMIZER),
    CHOICE("train.schedule", train.schedule, bnn_schedule_names, "\"constant\"", "learning-rate schedule over the epochs"),
    REAL("train.clip_norm", train.clip_norm, 0, 1e30, "1.0", "largest global gradient norm; 0: no clipping"),
    AUTO("train.kl_weight", train.kl_weight, 0, 1e30, "beta, the weight of the KL in nats; auto: 1/N"),
    SIZE("train.kl_warmup_epochs", train.kl_warmup_epochs, 0, ANY, "0", "epochs with beta = 0"),
    SIZE("train.kl_ramp_end", train.kl_ramp_end, 0, ANY, "0", "epochs after which beta, rising linearly from the warm-up on, is whole; 0: at once"),
    AUTO("train.kl_head_warmup_epochs", train.kl_head_warmup_epochs, 0, 1e9, "kl_warmup_epochs of the last layer; auto: as the others"),
    AUTO("train.kl_head_ramp_end", train.kl_head_ramp_end, 0, 1e9, "kl_ramp_end of the last layer; auto: as the others"),
    REAL("train.free_bits", train.free_bits, 0, 1e6, "0.0",
         "nats a parameter that a layer's KL may have for free: below, its KL pulls no more"),
    KEY("train.estimator", KEY_CHOICE, train.estimator, .registry = bnn_estimator_row, .fallback = "\"weight\"",
        .meaning = "how weight noise reaches the activations"),
    CHOICE("train.select", train.select, select_names, "\"validation\"",
           "the model kept: best on the validation split, or last"),
    SIZE("eval.samples", eval.samples, 1, 1048576, "16", "weight draws a prediction"),
    SIZE("eval.every", eval.every, 1, ANY, "5", "epochs between validations"),
    CHOICE("eval.predictive", eval.predictive, bnn_predictive_names, "\"posterior\"", "of validation and evaluation; group-averaged: the mean over the orbit"),
    CHOICE("eval.draws", eval.draws, bnn_draws_names, "\"shared\"", "weight draws over the orbit"),
};
/* clang-format on */
static const size_t key_count = sizeof keys / sizeof *keys;
_Static_assert(sizeof keys / sizeof *keys <= BNN_CONFIG_KEYS, "bnn_config holds a flag for every key");

/* ---- names --------------------------------------------------------------------------------------------- */

/* Whether some key lies inside the object `path`. */
static bool is_object_path(const char *path)
{
    const size_t length = strlen(path);
    for (size_t i = 0; i < key_count; i++)
        if (strncmp(keys[i].path, path, length) == 0 && keys[i].path[length] == '.') return true;
    return false;
}

static bool is_text(const config_key *row)
{
    return row->type == KEY_TEXT || row->type == KEY_NAME || row->type == KEY_PATH;
}

static const config_key *find_key(const char *path)
{
    for (size_t i = 0; i < key_count; i++)
        if (strcmp(keys[i].path, path) == 0) return &keys[i];
    return NULL;
}

/* Offers every prefix of a key ("train", "train.optimizer", ...) that has as many parts as `path`. */
static bnn_status unknown_key(const char *name, const char *path, bnn_error *error)
{
    char best[128] = "", candidate[128];
    size_t least = SIZE_MAX, dots = 0;
    for (const char *c = path; *c; c++) dots += *c == '.';
    for (size_t i = 0; i < key_count; i++) {
        size_t seen = 0;
        snprintf(candidate, sizeof candidate, "%s", keys[i].path);
        for (char *c = candidate; *c; c++)
            if (*c == '.' && seen++ == dots) {
                *c = '\0';
                break;
            }
        const size_t distance = bnn_edit_distance(path, candidate);
        if (distance < least) {
            least = distance;
            memcpy(best, candidate, sizeof best);
        }
    }
    for (size_t i = 0; least > 6 && i < key_count; i++) { /* the right name in the wrong object */
        const char *last = strrchr(keys[i].path, '.'), *wanted = strrchr(path, '.');
        if (last && strcmp(last + 1, wanted ? wanted + 1 : path) == 0) {
            snprintf(best, sizeof best, "%s", keys[i].path);
            break;
        }
    }
    return bnn_fail(error, BNN_BAD_INPUT, "%s: %s: unknown key; the nearest valid key is %s", name, path,
                    best);
}

/* ---- values -------------------------------------------------------------------------------------------- */

/* The i-th name that a choice has, or NULL. */
static const char *name_at(const config_key *key, size_t i)
{
    if (key->names) return key->names[i];
    const bnn_row *row = key->registry ? key->registry(i) : NULL;
    return row ? row->name : NULL;
}

/* "a", "b": the names that a choice has; "" where it has none. */
static char *list_names(const config_key *key, char *text, size_t size)
{
    const char *name;
    *text = '\0';
    for (size_t i = 0; (name = name_at(key, i)); i++) bnn_append(text, size, "%s\"%s\"", i ? ", " : "", name);
    return text;
}

/* What a choice expects where `found` was found. */
static bnn_choices choices_of(const config_key *key, const char *found)
{
    const char *name;
    bnn_choices choices = bnn_choices_for(found);
    for (size_t i = 0; (name = name_at(key, i)); i++) bnn_choices_add(&choices, name);
    return choices;
}

/* The shortest text that reads back as the same double; cJSON's own printing gives up the last bit. */
static cJSON *exact_number(double value)
{
    char text[32];
    int digits = 15;
    do snprintf(text, sizeof text, "%.*g", digits, value);
    while (strtod(text, NULL) != value && ++digits <= 17);
    return cJSON_CreateRaw(text);
}

static bnn_status wrong_value(const char *name, const config_key *row, const cJSON *value, bnn_error *error)
{
    char expected[800] = "";
    cJSON *exact = cJSON_IsNumber(value) ? exact_number(value->valuedouble) : NULL;
    char *found = cJSON_PrintUnformatted(exact ? exact : value);
    cJSON_Delete(exact);
    bnn_choices choices = choices_of(row, cJSON_IsString(value) ? value->valuestring : "");
    switch (row->type) {
    case KEY_SIZE:
        snprintf(expected, sizeof expected, "an integer from %.0f to %.0f%s", row->least, row->most,
                 row->most == ANY ? " (JSON's numbers are not exact beyond 2^53)" : "");
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
    case KEY_SIZES:
        snprintf(expected, sizeof expected, "a list of at most %d integers from %.0f to %.0f", BNN_MAX_WIDTHS,
                 row->least, row->most);
        break;
    case KEY_FLAGS:
        snprintf(expected, sizeof expected, "a list of at most %d of true and false", BNN_MAX_WIDTHS);
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

static bool set_flags(const cJSON *value, bnn_flags *flags)
{
    const cJSON *entry;
    bnn_flags list = {0, {0}};
    if (!cJSON_IsArray(value)) return false;
    cJSON_ArrayForEach(entry, value)
    {
        if (list.count == BNN_MAX_WIDTHS || !cJSON_IsBool(entry)) return false;
        list.value[list.count++] = cJSON_IsTrue(entry);
    }
    *flags = list;
    return true;
}

static bool set_choice(const config_key *row, const cJSON *value, int *choice)
{
    const char *name;
    for (size_t i = 0; cJSON_IsString(value) && (name = name_at(row, i)); i++)
        if (strcmp(name, value->valuestring) == 0) {
            *choice = (int)i;
            return true;
        }
    return false;
}

static bool set_value(const config_key *row, const cJSON *value, bnn_config *config)
{
    void *at = (char *)config + row->offset;
    switch (row->type) {
    case KEY_SIZE:
        if (!is_number(value, row, true)) return false;
        *(size_t *)at = (size_t)value->valuedouble;
        return true;
    case KEY_REAL_OR_AUTO:
        if (cJSON_IsString(value) && strcmp(value->valuestring, "auto") == 0) {
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
    case KEY_SIZES:
        return set_sizes(row, value, at);
    case KEY_FLAGS:
        return set_flags(value, at);
    }
    return false;
}

static cJSON *get_value(const config_key *row, const bnn_config *config)
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
        return cJSON_CreateString(name_at(row, (size_t) * (const int *)at));
    case KEY_SIZES:
        list = cJSON_CreateArray();
        for (size_t i = 0; list && i < ((const bnn_sizes *)at)->count; i++)
            cJSON_AddItemToArray(list, cJSON_CreateNumber((double)((const bnn_sizes *)at)->value[i]));
        return list;
    case KEY_FLAGS:
        list = cJSON_CreateArray();
        for (size_t i = 0; list && i < ((const bnn_flags *)at)->count; i++)
            cJSON_AddItemToArray(list, cJSON_CreateBool(((const bnn_flags *)at)->value[i]));
        return list;
    }
    return NULL;
}

enum { SET_SHOWN = 200 }; /* bytes of a --set in messages */

/* ---- defaults, load ------------------------------------------------------------------------------------ */

void bnn_config_default(bnn_config *config)
{
    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < key_count; i++) {
        cJSON *value = cJSON_Parse(keys[i].fallback);
        if (value) set_value(&keys[i], value, config);
        cJSON_Delete(value);
    }
}

/* A value that the user gives. */
static bool give_value(const config_key *row, const cJSON *value, bnn_config *config)
{
    config->given[row - keys] = true;
    return set_value(row, value, config);
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
        if (length < 0 || (size_t)length >= sizeof path) return unknown_key(name, value->string, error);
        for (const cJSON *other = value->next; other; other = other->next)
            if (strcmp(other->string, value->string) == 0)
                return bnn_fail(error, BNN_BAD_INPUT, "%s: %s: the key stands there twice", name, path);
        const config_key *row = find_key(path);
        bnn_status status = BNN_OK;
        if (row)
            status = give_value(row, value, config) ? BNN_OK : wrong_value(name, row, value, error);
        else if (!is_object_path(path))
            status = unknown_key(name, path, error);
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
    const config_key *row = find_key(path);
    if (!row && is_object_path(path))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: %s: is an object, expected one of its keys, as in train.epochs", name, path);
    if (!row) return unknown_key(name, path, error);
    cJSON *value = cJSON_ParseWithOpts(equals + 1, NULL, 1);
    if (!value || (is_text(row) && !cJSON_IsString(value))) {
        cJSON_Delete(value);
        value = cJSON_CreateString(equals + 1);
    }
    bnn_status status = value ? BNN_OK : bnn_no_memory(error, "a value", 1, strlen(set));
    if (!status && !give_value(row, value, config)) status = wrong_value(name, row, value, error);
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

/* Whether the text or a --set says anything about the model. */
static bool describes_model(const cJSON *json, const char *const *sets, size_t set_count)
{
    bool described = cJSON_GetObjectItemCaseSensitive(json, "model") != NULL;
    for (size_t i = 0; i < set_count; i++) described = described || strncmp(sets[i], "model.", 6) == 0;
    return described;
}

/* Paths are those seen from the folder of the file `name`. */
static bnn_status resolve_paths(const char *name, bnn_config *config, bnn_error *error)
{
    char folder[PATH_MAX] = "", absolute[2 * PATH_MAX];
    for (size_t i = 0; i < key_count; i++) {
        char *path = (char *)config + keys[i].offset;
        if (keys[i].type != KEY_PATH || !*path || *path == '/') continue;
        const bnn_status status = *folder ? BNN_OK : bnn_folder_of(name, folder, sizeof folder, error);
        if (status) return status;
        const char *slash = folder[strlen(folder) - 1] == '/' ? "" : "/";
        const int length = snprintf(absolute, sizeof absolute, "%s%s%s", folder, slash, path);
        if (length < 0 || (size_t)length >= keys[i].size)
            return bnn_fail(error, BNN_BAD_INPUT,
                            "%s: %s: found a path of %d bytes, seen from %.80s..., expected at most %zu",
                            name, keys[i].path, length, folder, keys[i].size - 1);
        if (bnn_utf8_fault(absolute))
            return bnn_fail(error, BNN_BAD_INPUT,
                            "%s: %s: is %s, which is not valid UTF-8: JSON cannot hold it", name,
                            keys[i].path, absolute);
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
    for (size_t i = 0; i < key_count; i++) {
        const bool known = keys[i].registry || modes;
        char *at = (char *)config + keys[i].offset;
        if (keys[i].type != KEY_NAME || !known) continue;
        if (keys[i].optional && (!modes || !*at)) continue; /* a model serves whatever it was trained on */
        const bnn_row *row = row_of(&keys[i], config, modes);
        if (!row) {
            config_key with_registry = keys[i];
            if (!with_registry.registry) with_registry.registry = modes;
            bnn_choices choices = choices_of(&with_registry, at);
            return bnn_fail(error, BNN_BAD_INPUT, "%s: %s: found \"%s\", expected %s", name, keys[i].path, at,
                            bnn_choices_text(&choices));
        }
        snprintf(at, keys[i].size, "%s", row->name);
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
    for (size_t i = 0; i < key_count; i++) {
        if (!keys[i].owner) continue;
        const config_key *owner = find_key(keys[i].owner);
        const bnn_row *row = row_of(owner, config, modes);
        char readers[256];
        config->unread[i] = !(row ? bnn_row_reads(row, keys[i].path) : config->given[i]);
        if (!config->unread[i] || !config->given[i] || !modes || keys[i].tolerated) continue;
        list_readers(&keys[i], owner->registry ? owner->registry : modes, readers, sizeof readers);
        return bnn_fail(error, BNN_BAD_INPUT, "%s: %s: is set, but %s %s does not read it; it belongs to %s",
                        name, keys[i].path, owner->path, row->name, readers);
    }
    return BNN_OK;
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

static bnn_status check_train(const char *name, const bnn_config *c, bnn_error *error)
{
    const double warmup = (double)c->train.kl_warmup_epochs, end = (double)c->train.kl_ramp_end;
    bnn_status status = check_ramp(name, "kl", warmup, end, error);
    if (!status)
        status = check_ramp(name, "kl_head", auto_or(c->train.kl_head_warmup_epochs, warmup),
                            auto_or(c->train.kl_head_ramp_end, end), error);
    if (status) return status;
    const char *refusal =
        bnn_optimizer_find(c->train.optimizer.name)->refuse
            ? bnn_optimizer_find(c->train.optimizer.name)->refuse(&c->train.optimizer.options)
            : NULL;
    if (refusal) return bnn_fail(error, BNN_BAD_INPUT, "%s: %s", name, refusal);
    if (bnn_estimators[c->train.estimator]->normal && !bnn_family_find(c->posterior.family)->normal)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: train.estimator: found \"%s\" with family %s, expected one whose noise is normal", name,
                        bnn_estimator_row((size_t)c->train.estimator)->name, c->posterior.family);
    return BNN_OK;
}

/* What `auto` stands for, where no data is needed to know. */
static void resolve(bnn_config *c)
{
    if (isnan(c->train.optimizer.options.rho_lr_factor))
        c->train.optimizer.options.rho_lr_factor =
            bnn_optimizer_find(c->train.optimizer.name)->default_rho_lr_factor;
    c->train.kl_head_warmup_epochs =
        auto_or(c->train.kl_head_warmup_epochs, (double)c->train.kl_warmup_epochs);
    c->train.kl_head_ramp_end = auto_or(c->train.kl_head_ramp_end, (double)c->train.kl_ramp_end);
}

bnn_status bnn_config_parse(const char *name, const char *text, const char *const *sets, size_t set_count,
                            bnn_registry *modes, bnn_config *config, bnn_error *error)
{
    const char *end = NULL;
    bnn_config_default(config);
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
    if (!status && modes && !describes_model(json, sets, set_count))
        status = bnn_fail(error, BNN_BAD_INPUT, "%s: model: missing, expected an object with at least a type",
                          name);
    cJSON_Delete(json);
    if (!status && modes) status = resolve_paths(name, config, error);
    if (!status) status = check_group(name, config, error);
    if (!status) status = check_names(name, modes, config, error);
    if (!status) status = check_read(name, modes, config, error);
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
    status = bnn_config_read_text(path, text, size, sets, set_count, modes, config, error);
    free(text);
    return status;
}

bool bnn_config_gives(const bnn_config *config, const char *path)
{
    return config->given[find_key(path) - keys];
}

const char *bnn_config_unread(const bnn_config *config, size_t *i)
{
    for (; *i < key_count; (*i)++)
        if (config->given[*i] && config->unread[*i]) return keys[(*i)++].path;
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
    for (size_t i = 0; root && i < key_count; i++) {
        const char *last;
        cJSON *object = object_for(root, keys[i].path, &last);
        if (config->unread[i]) continue;
        if (is_text(&keys[i]) && !*((const char *)config + keys[i].offset)) continue; /* unset */
        cJSON_AddItemToObject(object, last, get_value(&keys[i], config));
    }
    char *text = root ? (pretty ? cJSON_Print(root) : cJSON_PrintUnformatted(root)) : NULL;
    cJSON_Delete(root);
    return text;
}

/* A key's line of help: path, default, meaning, and the choices or the rows that read it. */
static void print_key(FILE *stream, const config_key *key, bnn_registry *modes)
{
    config_key named = *key;
    char list[256], fallback[64];
    if (key->type == KEY_NAME && !named.registry) named.registry = modes;
    const char *first = key->type == KEY_NAME && !key->optional ? name_at(&named, 0) : NULL;
    snprintf(fallback, sizeof fallback, "\"%s\"", first ? first : "");
    fprintf(stream, "  %-36s %-12s %s", key->path, first ? fallback : key->fallback, key->meaning);
    if (*list_names(&named, list, sizeof list)) fprintf(stream, " (%s)", list);
    const config_key *owner = key->owner ? find_key(key->owner) : NULL;
    if (owner) {
        list_readers(key, owner->registry ? owner->registry : modes, list, sizeof list);
        fprintf(stream, " [%s]", list);
    }
    fputc('\n', stream);
}

char *bnn_config_help(bnn_registry *modes)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return NULL;
    for (size_t i = 0; i < key_count; i++) print_key(stream, &keys[i], modes);
    if (fclose(stream) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
