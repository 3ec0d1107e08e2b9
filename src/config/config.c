#include "bnn/config.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/io.h"
#include "bnn/mode.h"

const char *const bnn_predictive_names[] = {"posterior", "group-averaged", NULL};
const char *const bnn_draws_names[] = {"shared", "independent", NULL};
static const char *const padding_names[] = {"zero", "circular", NULL};
static const char *const representation_names[] = {"auto", "trivial", "regular", NULL};
static const char *const prior_mean_names[] = {"zero", "random", NULL};
static const char *const augmentation_names[] = {"none", "full", "random", NULL};
static const char *const select_names[] = {"validation", "last", NULL};

typedef enum key_type {
    KEY_SIZE,         /* size_t */
    KEY_REAL,         /* double */
    KEY_REAL_OR_AUTO, /* double, -1 for "auto" */
    KEY_BOOL,         /* bool */
    KEY_TEXT,         /* char[size] */
    KEY_CHOICE,       /* int, an index into names */
    KEY_SIZES         /* bnn_sizes */
} key_type;

typedef struct key {
    const char *path;
    key_type type;
    size_t offset, size;
    double least, most; /* of numbers, and of a list's entries */
    const char *const *names;
    const char *fallback; /* the default, as JSON */
    const char *meaning;
} key;

#define AT(member) offsetof(bnn_config, member), sizeof(((bnn_config *)0)->member)
#define SIZE(path, member, least, most, fallback, meaning)                                                   \
    {                                                                                                        \
        path, KEY_SIZE, AT(member), least, most, NULL, fallback, meaning                                     \
    }
#define REAL(path, member, least, most, fallback, meaning)                                                   \
    {                                                                                                        \
        path, KEY_REAL, AT(member), least, most, NULL, fallback, meaning                                     \
    }
#define TEXT(path, member, fallback, meaning)                                                                \
    {                                                                                                        \
        path, KEY_TEXT, AT(member), 0, 0, NULL, fallback, meaning                                            \
    }
#define FLAG(path, member, fallback, meaning)                                                                \
    {                                                                                                        \
        path, KEY_BOOL, AT(member), 0, 0, NULL, fallback, meaning                                            \
    }
#define CHOICE(path, member, names, fallback, meaning)                                                       \
    {                                                                                                        \
        path, KEY_CHOICE, AT(member), 0, 0, names, fallback, meaning                                         \
    }
#define SIZES(path, member, most, fallback, meaning)                                                         \
    {                                                                                                        \
        path, KEY_SIZES, AT(member), 1, most, NULL, fallback, meaning                                        \
    }

#define ANY 9007199254740992.0 /* 2^53: integers up to here are exact in JSON's doubles */

/* clang-format off */
static const key keys[] = {
    SIZE("seed", seed, 0, ANY, "0", "seed of every random stream"),
    TEXT("data.name", data.paths.name, "\"\"", "the data set: fashion-mnist, mnist, cifar10, cifar100, or idx or npy with files of your own"),
    TEXT("data.dir", data.paths.dir, "\"\"", "folder of its files; otherwise data/NAME, then the system's"),
    TEXT("data.train_images", data.paths.train_images, "\"\"", "file (data.name idx or npy)"),
    TEXT("data.train_labels", data.paths.train_labels, "\"\"", "file (data.name idx or npy)"),
    TEXT("data.test_images", data.paths.test_images, "\"\"", "file (data.name idx or npy)"),
    TEXT("data.test_labels", data.paths.test_labels, "\"\"", "file (data.name idx or npy)"),
    TEXT("data.path", data.paths.path, "\"\"", "file (data.name npz)"),
    SIZE("data.train_size", data.train_size, 0, ANY, "0", "training images, a seeded subset; 0 for all"),
    SIZE("data.validation_size", data.validation_size, 0, ANY, "0", "validation images, cut from the rest of the training set"),
    SIZE("data.test_size", data.test_size, 0, ANY, "0", "the first so many test images; 0 for all"),
    SIZE("data.pad", data.pad, 0, 64, "0", "background pixels added on every side"),
    TEXT("group", group, "\"C4\"", "C<n> rotations, D<n> rotations and flips, T<k> translations"),
    CHOICE("model.type", model.type, bnn_network_type_names, "\"fcnn\"", "architecture"),
    SIZES("model.input", model.input, 65536, "[]", "[C, H, W]; from the data when left out"),
    SIZE("model.classes", model.classes, 0, 65536, "0", "classes; 0: from the data"),
    SIZES("model.channels", model.channels, 65536, "[32, 64]", "channels of the conv layers (fcnn, cnn)"),
    SIZES("model.hidden", model.hidden, 1048576, "[400, 400]", "hidden units (mlp)"),
    SIZE("model.kernel", model.kernel, 1, 31, "3", "side of the conv kernels, odd"),
    CHOICE("model.padding", model.padding, padding_names, "\"zero\"", "conv padding"),
    CHOICE("model.channel_representation", model.representation, representation_names, "\"auto\"",
           "how the group acts on hidden channels; auto: regular for project, tie and expanded networks, else trivial"),
    CHOICE("prior.mean", prior.mean, prior_mean_names, "\"zero\"", "zero, or a draw from N(0, std^2) a weight"),
    REAL("prior.std", prior.std, 1e-30, 1e30, "1.0", "standard deviation of the prior"),
    TEXT("posterior.family", posterior.family, "\"gaussian\"", "family of q: gaussian, laplace or lognormal"),
    CHOICE("posterior.mean_init", posterior.mean_init, bnn_mean_init_names, "\"kaiming\"", "initial means"),
    REAL("posterior.rho_init", posterior.rho_init, -60, 60, "-3.0", "initial rho, sigma = log(1 + e^rho)"),
    TEXT("symmetrization.mode", symmetrization.mode, "\"augment\"", "none, augment, group-elbo, average, project, orbit-expansion or tie"),
    CHOICE("symmetrization.augmentation", symmetrization.augmentation, augmentation_names, "\"full\"",
           "full: every g.x an item; random: one g a visit; none: with hold, base images only"),
    TEXT("symmetrization.average", symmetrization.average, "\"\"",
         "group-elbo: loss, logits or probs; average: geometric or arithmetic"),
    SIZE("symmetrization.trigger_epoch", symmetrization.trigger_epoch, 0, ANY, "0",
         "epochs before average or project; 0: right after initialisation"),
    REAL("symmetrization.trigger_accuracy", symmetrization.trigger_accuracy, 0, 1, "0.0",
         "training accuracy that triggers average, project or orbit-expansion; beside trigger_epoch or stage1_epochs, what "
         "comes first; 0: none"),
    SIZE("symmetrization.stage1_epochs", symmetrization.stage1_epochs, 0, ANY, "100",
         "orbit-expansion: epochs of the small network"),
    CHOICE("symmetrization.arrangement", symmetrization.arrangement, bnn_arrangement_names, "\"gcnn\"",
           "orbit-expansion: how inner kernels are turned"),
    FLAG("symmetrization.hold", symmetrization.hold, "false", "project every gradient after the trigger"),
    FLAG("symmetrization.keep_optimizer_state", symmetrization.keep_optimizer_state, "false",
         "keep momentum across the trigger"),
    SIZE("train.epochs", train.epochs, 1, ANY, "500", "epochs in all"),
    SIZE("train.batch_size", train.batch_size, 1, 1048576, "128", "items a step"),
    SIZE("train.samples", train.samples, 1, 65536, "10", "Monte-Carlo samples a step"),
    TEXT("train.optimizer.name", train.optimizer.name, "\"sgd\"", "sgd or adamw"),
    REAL("train.optimizer.lr", train.optimizer.options.lr, 0, 1e6, "0.01", "learning rate of mu"),
    REAL("train.optimizer.momentum", train.optimizer.options.momentum, 0, 1, "0.9", "sgd"),
    FLAG("train.optimizer.nesterov", train.optimizer.options.nesterov, "true", "sgd"),
    {"train.optimizer.rho_lr_factor", KEY_REAL_OR_AUTO, AT(train.optimizer.options.rho_lr_factor), 0, 1e6, NULL,
     "\"auto\"", "learning rate of rho over that of mu; auto: 10 for sgd, 1 for adamw"},
    REAL("train.optimizer.weight_decay", train.optimizer.options.weight_decay, 0, 1e6, "0.0", "sgd: on mu; adamw: on mu and rho"),
    REAL("train.optimizer.beta1", train.optimizer.options.beta1, 0, 0.999999, "0.9", "adamw"),
    REAL("train.optimizer.beta2", train.optimizer.options.beta2, 0, 0.9999999, "0.999", "adamw"),
    REAL("train.optimizer.epsilon", train.optimizer.options.epsilon, 0, 1, "1e-8", "adamw"),
    CHOICE("train.schedule", train.schedule, bnn_schedule_names, "\"constant\"", "learning-rate schedule over the epochs"),
    REAL("train.clip_norm", train.clip_norm, 0, 1e30, "1.0", "largest global gradient norm; 0: no clipping"),
    {"train.kl_weight", KEY_REAL_OR_AUTO, AT(train.kl_weight), 0, 1e30, NULL, "\"auto\"",
     "beta, the weight of the KL in nats; auto: 1/N"},
    SIZE("train.kl_warmup_epochs", train.kl_warmup_epochs, 0, ANY, "0", "epochs with beta = 0"),
    SIZE("train.kl_ramp_end", train.kl_ramp_end, 0, ANY, "0", "epochs after which beta, rising linearly from the warm-up on, is whole; 0: at once"),
    {"train.kl_head_warmup_epochs", KEY_REAL_OR_AUTO, AT(train.kl_head_warmup_epochs), 0, 1e9, NULL, "\"auto\"",
     "kl_warmup_epochs of the last layer; auto: as the others"},
    {"train.kl_head_ramp_end", KEY_REAL_OR_AUTO, AT(train.kl_head_ramp_end), 0, 1e9, NULL, "\"auto\"",
     "kl_ramp_end of the last layer; auto: as the others"},
    REAL("train.free_bits", train.free_bits, 0, 1e6, "0.0",
         "nats a parameter that a layer's KL may have for free: below, its KL pulls no more"),
    CHOICE("train.estimator", train.estimator, bnn_estimator_names, "\"weight\"",
           "how weight noise reaches the activations; local: dense layers only"),
    CHOICE("train.select", train.select, select_names, "\"validation\"",
           "the model kept: best on the validation split, or last"),
    SIZE("eval.samples", eval.samples, 1, 1048576, "16", "weight draws a prediction"),
    SIZE("eval.every", eval.every, 1, ANY, "5", "epochs between validations"),
    CHOICE("eval.predictive", eval.predictive, bnn_predictive_names, "\"posterior\"", "of validation and evaluation; group-averaged: the mean over the orbit"),
    CHOICE("eval.draws", eval.draws, bnn_draws_names, "\"shared\"", "weight draws over the orbit"),
};
/* clang-format on */
static const size_t key_count = sizeof keys / sizeof *keys;

/* ---- names --------------------------------------------------------------------------------------------- */

static size_t edit_distance(const char *a, const char *b)
{
    size_t row[128], n = strlen(b);
    if (n >= sizeof row / sizeof *row) return SIZE_MAX;
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= n; j++) {
            const size_t above = row[j];
            size_t best = diagonal + (a[i] != b[j - 1]);
            if (above + 1 < best) best = above + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[n];
}

/* Whether some key lies inside the object `path`. */
static bool is_object_path(const char *path)
{
    const size_t length = strlen(path);
    for (size_t i = 0; i < key_count; i++)
        if (strncmp(keys[i].path, path, length) == 0 && keys[i].path[length] == '.') return true;
    return false;
}

static const key *find_key(const char *path)
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
        const size_t distance = edit_distance(path, candidate);
        if (distance < least) {
            least = distance;
            memcpy(best, candidate, sizeof best);
        }
    }
    for (size_t i = 0; least > 2 && i < key_count; i++) { /* the right name in the wrong object */
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

static void list_names(const char *const *names, char *text, size_t size)
{
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; names[i] && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s\"%s\"", i ? ", " : "", names[i]);
}

static bnn_status wrong_value(const char *name, const key *row, const cJSON *value, bnn_error *error)
{
    char expected[256] = "", list[200];
    char *found = cJSON_PrintUnformatted(value);
    switch (row->type) {
    case KEY_SIZE:
        snprintf(expected, sizeof expected, "an integer from %.0f to %.0f", row->least, row->most);
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
        snprintf(expected, sizeof expected, "a string of at most %zu bytes", row->size - 1);
        break;
    case KEY_CHOICE:
        list_names(row->names, list, sizeof list);
        snprintf(expected, sizeof expected, "one of %s", list);
        break;
    case KEY_SIZES:
        snprintf(expected, sizeof expected, "a list of at most %d integers from %.0f to %.0f", BNN_MAX_WIDTHS,
                 row->least, row->most);
        break;
    }
    bnn_fail(error, BNN_BAD_INPUT, "%s: %s: found %.200s, expected %s", name, row->path, found ? found : "?",
             expected);
    cJSON_free(found);
    return BNN_BAD_INPUT;
}

static bool is_number(const cJSON *value, const key *row, bool integer)
{
    return cJSON_IsNumber(value) && isfinite(value->valuedouble) && value->valuedouble >= row->least &&
           value->valuedouble <= row->most && (!integer || value->valuedouble == floor(value->valuedouble));
}

static bool set_sizes(const key *row, const cJSON *value, bnn_sizes *sizes)
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

static bool set_choice(const key *row, const cJSON *value, int *choice)
{
    for (int i = 0; cJSON_IsString(value) && row->names[i]; i++)
        if (strcmp(row->names[i], value->valuestring) == 0) {
            *choice = i;
            return true;
        }
    return false;
}

static bool set_value(const key *row, const cJSON *value, bnn_config *config)
{
    void *at = (char *)config + row->offset;
    switch (row->type) {
    case KEY_SIZE:
        if (!is_number(value, row, true)) return false;
        *(size_t *)at = (size_t)value->valuedouble;
        return true;
    case KEY_REAL_OR_AUTO:
        if (cJSON_IsString(value) && strcmp(value->valuestring, "auto") == 0) {
            *(double *)at = -1;
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
        if (!cJSON_IsString(value) || strlen(value->valuestring) >= row->size) return false;
        memset(at, 0, row->size);
        memcpy(at, value->valuestring, strlen(value->valuestring));
        return true;
    case KEY_CHOICE:
        return set_choice(row, value, at);
    case KEY_SIZES:
        return set_sizes(row, value, at);
    }
    return false;
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

static cJSON *get_value(const key *row, const bnn_config *config)
{
    const void *at = (const char *)config + row->offset;
    cJSON *list;
    switch (row->type) {
    case KEY_SIZE:
        return exact_number((double)*(const size_t *)at);
    case KEY_REAL_OR_AUTO:
        if (*(const double *)at < 0) return cJSON_CreateString("auto");
        return exact_number(*(const double *)at);
    case KEY_REAL:
        return exact_number(*(const double *)at);
    case KEY_BOOL:
        return cJSON_CreateBool(*(const bool *)at);
    case KEY_TEXT:
        return cJSON_CreateString(at);
    case KEY_CHOICE:
        return cJSON_CreateString(row->names[*(const int *)at]);
    case KEY_SIZES:
        list = cJSON_CreateArray();
        for (size_t i = 0; list && i < ((const bnn_sizes *)at)->count; i++)
            cJSON_AddItemToArray(list, cJSON_CreateNumber((double)((const bnn_sizes *)at)->value[i]));
        return list;
    }
    return NULL;
}

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
        const key *row = find_key(path);
        bnn_status status = BNN_OK;
        if (row)
            status = set_value(row, value, config) ? BNN_OK : wrong_value(name, row, value, error);
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
    char path[128];
    const char *equals = strchr(set, '=');
    if (!equals || equals == set || (size_t)(equals - set) >= sizeof path)
        return bnn_fail(error, BNN_BAD_INPUT, "--set %s: expected KEY=VALUE, as in train.epochs=10", set);
    snprintf(path, sizeof path, "%.*s", (int)(equals - set), set);
    const key *row = find_key(path);
    if (!row && is_object_path(path))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "--set: %s: is an object, expected one of its keys, as in train.epochs", path);
    if (!row) return unknown_key("--set", path, error);
    cJSON *value = cJSON_ParseWithOpts(equals + 1, NULL, 1);
    if (!value || (row->type == KEY_TEXT && !cJSON_IsString(value))) {
        cJSON_Delete(value);
        value = cJSON_CreateString(equals + 1);
    }
    bnn_status status = value ? BNN_OK : bnn_no_memory(error, "a value", 1, strlen(set));
    if (!status && !set_value(row, value, config)) status = wrong_value("--set", row, value, error);
    cJSON_Delete(value);
    return status;
}

/* Whether the text or a --set says anything about the model. */
static bool describes_model(const cJSON *json, const char *const *sets, size_t set_count)
{
    bool described = cJSON_GetObjectItemCaseSensitive(json, "model") != NULL;
    for (size_t i = 0; i < set_count; i++) described = described || strncmp(sets[i], "model.", 6) == 0;
    return described;
}

/* Line and column of a byte of the text, for messages. */
static void place_of(const char *text, const char *at, size_t *line, size_t *column)
{
    *line = *column = 1;
    for (; text < at; text++) {
        *column = *text == '\n' ? 1 : *column + 1;
        *line += *text == '\n';
    }
}

/* ---- check --------------------------------------------------------------------------------------------- */

static bnn_status check_names(const char *name, const bnn_config *c, bnn_error *error)
{
    bnn_group *group;
    bnn_error reason;
    if (bnn_group_create(c->group, &group, &reason))
        return bnn_fail(error, BNN_BAD_INPUT, "%s: %s", name, reason.message);
    bnn_group_free(group);
    if (!bnn_family_find(c->posterior.family))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: posterior.family: found \"%s\", expected gaussian, laplace or lognormal", name,
                        c->posterior.family);
    if (!bnn_optimizer_find(c->train.optimizer.name))
        return bnn_fail(error, BNN_BAD_INPUT, "%s: train.optimizer.name: found \"%s\", expected sgd or adamw",
                        name, c->train.optimizer.name);
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
    if (c->model.channels.count + 2 > BNN_MAX_WIDTHS || c->model.hidden.count + 2 > BNN_MAX_WIDTHS)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: model: more than %d layers", name, BNN_MAX_WIDTHS - 2);
    if (c->model.kernel % 2 == 0)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: model.kernel: found %zu, expected an odd number", name,
                        c->model.kernel);
    return BNN_OK;
}

/* The value of a key that may be "auto" (stored as a negative number). */
static double auto_or(double value, double fallback)
{
    return value < 0 ? fallback : value;
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
    if (c->train.optimizer.options.nesterov && c->train.optimizer.options.momentum == 0 &&
        strcmp(c->train.optimizer.name, "sgd") == 0)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: train.optimizer.nesterov: true needs momentum > 0", name);
    if (bnn_estimators[c->train.estimator]->gaussian && strcmp(c->posterior.family, "gaussian") != 0)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: train.estimator: found \"%s\" with family %s, expected gaussian", name,
                        bnn_estimator_names[c->train.estimator], c->posterior.family);
    if (!bnn_estimators[c->train.estimator]->shares_draws && strcmp(c->symmetrization.mode, "group-elbo") == 0)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "%s: train.estimator: found \"local\" with mode group-elbo, expected \"weight\" or \"flipout\": "
            "an orbit has to be seen under one weight draw",
            name);
    return BNN_OK;
}

/* What `auto` stands for, where no data is needed to know. */
static void resolve(bnn_config *c)
{
    if (c->train.optimizer.options.rho_lr_factor < 0)
        c->train.optimizer.options.rho_lr_factor =
            bnn_optimizer_find(c->train.optimizer.name)->default_rho_lr_factor;
    c->train.kl_head_warmup_epochs =
        auto_or(c->train.kl_head_warmup_epochs, (double)c->train.kl_warmup_epochs);
    c->train.kl_head_ramp_end = auto_or(c->train.kl_head_ramp_end, (double)c->train.kl_ramp_end);
}

bnn_status bnn_config_parse(const char *name, const char *text, const char *const *sets, size_t set_count,
                            bool model_only, bnn_config *config, bnn_error *error)
{
    const char *end = NULL;
    bnn_config_default(config);
    cJSON *json = cJSON_ParseWithOpts(text, &end, 1);
    if (!json) {
        size_t line, column;
        place_of(text, end ? end : text, &line, &column);
        return bnn_fail(error, BNN_BAD_INPUT, "%s: line %zu, column %zu: not valid JSON", name, line, column);
    }
    bnn_status status = cJSON_IsObject(json)
                            ? load_object(name, "", json, config, error)
                            : bnn_fail(error, BNN_BAD_INPUT, "%s: expected a JSON object {...}", name);
    for (size_t i = 0; !status && i < set_count; i++) status = load_set(sets[i], config, error);
    if (!status && !model_only && !config->data.paths.name[0])
        status =
            bnn_fail(error, BNN_BAD_INPUT, "%s: data.name: missing, expected the name of a data set", name);
    if (!status && !model_only && !describes_model(json, sets, set_count))
        status = bnn_fail(error, BNN_BAD_INPUT, "%s: model: missing, expected an object with at least a type",
                          name);
    cJSON_Delete(json);
    if (!status) status = check_names(name, config, error);
    if (!status) status = check_model(name, config, error);
    if (!status) status = check_train(name, config, error);
    if (!status) status = bnn_mode_check(name, config, model_only, error);
    if (!status) resolve(config);
    return status;
}

bnn_status bnn_config_read(const char *path, const char *const *sets, size_t set_count, bnn_config *config,
                           bnn_error *error)
{
    uint8_t *text;
    size_t size;
    bnn_status status = bnn_read_file(path, (size_t)16 << 20, &text, &size, error);
    if (status) return status;
    if (memchr(text, 0, size))
        status = bnn_fail(error, BNN_BAD_INPUT, "%s: contains a zero byte, expected JSON text", path);
    else
        status = bnn_config_parse(path, (const char *)text, sets, set_count, false, config, error);
    free(text);
    return status;
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
        if (keys[i].type == KEY_TEXT && !*((const char *)config + keys[i].offset)) continue; /* unset */
        cJSON_AddItemToObject(object, last, get_value(&keys[i], config));
    }
    char *text = root ? (pretty ? cJSON_Print(root) : cJSON_PrintUnformatted(root)) : NULL;
    cJSON_Delete(root);
    return text;
}

char *bnn_config_help(void)
{
    char *text = NULL, choices[160];
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return NULL;
    for (size_t i = 0; i < key_count; i++) {
        fprintf(stream, "  %-36s %-12s %s", keys[i].path, keys[i].fallback, keys[i].meaning);
        if (keys[i].names) {
            list_names(keys[i].names, choices, sizeof choices);
            fprintf(stream, " (%s)", choices);
        }
        fputc('\n', stream);
    }
    if (fclose(stream) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* ---- the network --------------------------------------------------------------------------------------- */

void bnn_config_network(const bnn_config *config, bnn_representation representation, bnn_network_spec *spec)
{
    const bnn_sizes *widths =
        config->model.type == BNN_NETWORK_MLP ? &config->model.hidden : &config->model.channels;
    *spec = (bnn_network_spec){.type = (bnn_network_type)config->model.type,
                               .classes = config->model.classes,
                               .width_count = widths->count,
                               .kernel = config->model.kernel,
                               .circular = config->model.padding == 1,
                               .representation = representation};
    memcpy(spec->input, config->model.input.value, sizeof spec->input);
    memcpy(spec->widths, widths->value, sizeof spec->widths);
}

void bnn_config_set_network(bnn_config *config, const bnn_network_spec *spec)
{
    bnn_sizes *widths = spec->type == BNN_NETWORK_MLP ? &config->model.hidden : &config->model.channels;
    config->model.type = (int)spec->type;
    config->model.input.count = 3;
    memcpy(config->model.input.value, spec->input, sizeof spec->input);
    config->model.classes = spec->classes;
    widths->count = spec->width_count;
    memcpy(widths->value, spec->widths, sizeof spec->widths);
    config->model.kernel = spec->kernel;
    config->model.padding = spec->circular ? 1 : 0;
    config->model.representation = spec->representation == BNN_REGULAR ? 2 : 1;
}
