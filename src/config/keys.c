#include "config/keys.h"

#include <stdio.h>
#include <string.h>

const char *const bnn_predictive_names[] = {"posterior", "group-averaged", NULL};
const char *const bnn_draws_names[] = {"shared", "independent", NULL};
static const char *const padding_names[] = {"zero", "circular", NULL};
static const char *const representation_names[] = {"auto", "trivial", "regular", NULL};
static const char *const prior_mean_names[] = {"zero", "random", NULL};
const char *const bnn_balance_names[] = {"none", "weights", "sampling", NULL};
const char *const bnn_augmentation_names[] = {"none", "full", "random", NULL};
static const char *const prior_scale_names[] = {"fan-in", "learned", NULL}; /* after BNN_PRIOR_NUMBERS */
static const char *const rotation_names[] = {"none", "uniform", NULL};
static const char *const count_names[] = {"base", "orbit", NULL};
static const char *const select_names[] = {"validation", "last", NULL};

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
#define NAMES(path, member, meaning_, ...)                                                                   \
    KEY(path, KEY_NAMES, member, .fallback = "[]", .meaning = meaning_, __VA_ARGS__)
#define PATH(path, member, meaning_)                                                                         \
    KEY(path, KEY_PATH, member, .fallback = "\"\"", .meaning = meaning_, OF_DATA)
#define FLAG(path, member, fallback_, meaning_, ...)                                                         \
    KEY(path, KEY_BOOL, member, .fallback = fallback_, .meaning = meaning_, __VA_ARGS__)
#define CHOICE(path, member, names_, fallback_, meaning_, ...)                                               \
    KEY(path, KEY_CHOICE, member, .names = names_, .fallback = fallback_, .meaning = meaning_, __VA_ARGS__)
#define SIZES(path, member, to, fallback_, meaning_, ...)                                                    \
    KEY(path, KEY_SIZES, member, .least = 1, .most = to, .fallback = fallback_, .meaning = meaning_,         \
        __VA_ARGS__)
#define NUMBERS(path, member, from, to, fallback_, meaning_, ...)                                            \
    KEY(path, KEY_NUMBERS, member, .least = from, .most = to, .fallback = fallback_, .meaning = meaning_,    \
        __VA_ARGS__)
/* A row of a registry, by its name. */
#define ROW(path, member, registry_, meaning_)                                                               \
    KEY(path, KEY_NAME, member, .registry = registry_, .fallback = "\"\"", .meaning = meaning_)
#define OF(path) .owner = path
#define OF_DATA OF("data.name")
#define OF_TYPE OF("model.type"), .tolerated = true
#define OF_MODE OF("symmetrization.mode")
#define OF_OPTIMIZER OF("train.optimizer.name")
#define OF_START OF("posterior.init_from")

/* clang-format off */
const config_key config_keys[] = {
    SIZE("seed", seed, 0, CONFIG_ANY, "0", "seed of every random stream"),
    KEY("data.name", KEY_NAME, data.paths.name, .registry = bnn_data_row, .fallback = "\"\"", .meaning = "the data set", .optional = true),
    PATH("data.dir", data.paths.dir, "folder of its files; otherwise data/NAME, then the system's"),
    PATH("data.path", data.paths.path, "the one file or folder that holds all splits"),
    PATH("data.train_images", data.paths.train_images, "file of images"),
    PATH("data.train_labels", data.paths.train_labels, "file of labels"),
    PATH("data.validation_images", data.paths.validation_images, "file of images, instead of data.validation_size"),
    PATH("data.validation_labels", data.paths.validation_labels, "file of labels"),
    PATH("data.test_images", data.paths.test_images, "file of images; without it, bnn eval needs --images"),
    PATH("data.test_labels", data.paths.test_labels, "file of labels"),
    CHOICE("data.labels", data.paths.labels, bnn_label_names, "\"fine\"", "classes, or superclasses of them", OF_DATA),
    NUMBERS("data.resize", data.paths.resize, 1, 65536, "[]", "[height, width] in pixels, or one number for both, that every image is brought to; []: none", .whole = true, OF_DATA),
    SIZE("data.ising.size", data.paths.ising.size, 3, 1024, "40", "sites on a side of the periodic lattice", OF_DATA),
    NUMBERS("data.ising.temperatures", data.paths.ising.temperatures, 0.01, 1000,
            "[0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.75, 3.0, 3.25, 3.5, 3.75, 4.0]", "of training images, in J/k_B; class 1, ordered, below 2.269", OF_DATA),
    NUMBERS("data.ising.test_temperatures", data.paths.ising.test_temperatures, 0.01, 1000, "[]", "of test images; []: the same", OF_DATA),
    NUMBERS("data.ising.window", data.paths.ising.window, 0.01, 1000, "[2.0, 2.5]",
            "[from, to]: eval tells its figures within and outside of these temperatures apart; []: at each temperature", OF_DATA),
    SIZE("data.ising.train_per_temperature", data.paths.ising.train_per_temperature, 1, 1000000, "500", "training images at each temperature", OF_DATA),
    SIZE("data.ising.test_per_temperature", data.paths.ising.test_per_temperature, 0, 1000000, "100", "test images at each", OF_DATA),
    SIZE("data.train_size", data.train_size, 0, CONFIG_ANY, "0", "training images, a seeded subset; 0 for all"),
    SIZE("data.validation_size", data.validation_size, 0, CONFIG_ANY, "0", "validation images, cut from the rest of the training set"),
    SIZE("data.test_size", data.test_size, 0, CONFIG_ANY, "0", "the first so many test images; 0 for all"),
    SIZE("data.pad", data.pad, 0, 64, "0", "background pixels added on every side"),
    CHOICE("data.scale", data.scale, bnn_scale_names, "\"auto\"", "auto: uint8 pixels to -1..1, others as they are; none: all as they are"),
    AUTO("data.background", data.background, -1e30, 1e30,
         "value around an image, seen when it is padded or turned; auto: the smallest of the training images, scaled"),
    REAL("data.augment.shift", data.augment.shift, 0, 65536, "0.0",
         "pixels: training images are shifted down and right by draws from [-shift, shift], anew each epoch; not extra data: N stays"),
    REAL("data.augment.rotate", data.augment.rotate, 0, 180, "0.0", "degrees: they are turned by a draw from [-rotate, rotate]"),
    REAL("data.augment.scale", data.augment.scale, 0, 0.9, "0.0", "a fraction: they are scaled by a draw from [1 - scale, 1 + scale]"),
    CHOICE("data.rotate.train", data.rotate.train, rotation_names, "\"none\"",
           "uniform: every training and validation image is turned once, by an angle uniform over 360 degrees"),
    CHOICE("data.rotate.test", data.rotate.test, rotation_names, "\"none\"", "the same of the test images; those of eval --images and --data are never turned"),
    SIZE("data.repartition", data.repartition, 0, CONFIG_ANY, "0",
         "images drawn anew for training and validation from training and test images together; the others are for testing; 0: as the data set has it"),
    SIZE("data.seed", data.paths.seed, 0, CONFIG_ANY, "1", "seed of data.rotate, data.repartition and images that are drawn, so that runs of any seed have the same data"),
    CHOICE("data.balance", data.balance, bnn_balance_names, "\"none\"",
           "weights: every class weighs the same in the likelihood, its images N0 / (C n_c) each, in the mean 1; sampling: every class has as many of an epoch's items; N stays"),
    TEXT("group", group, "\"C1\"", "C<n> rotations, D<n> rotations and flips, T<k> translations; C1: no symmetry"),
    KEY("model.type", KEY_CHOICE, model.type, .registry = bnn_network_type_row, .fallback = "\"fcnn\"", .meaning = "architecture"),
    SIZES("model.input", model.input, 65536, "[]", "[C, H, W]; from the data when left out"),
    SIZE("model.classes", model.classes, 0, 65536, "0", "classes; 0: from the data"),
    SIZES("model.channels", model.channels, 65536, "[32, 64, 128]", "channels of the conv layers", .unsaid = "[32, 64]", OF_TYPE),
    KEY("model.pool", KEY_FLAGS, model.pool, .fallback = "\"auto\"", .unsaid = "[]",
        .meaning = "whether a 2 x 2 max-pool follows, one a conv layer; []: after every one; auto: where both sides are even", OF_TYPE),
    SIZES("model.hidden", model.hidden, 1048576, "[400, 400]", "hidden units", OF_TYPE),
    SIZE("model.kernel", model.kernel, 1, 31, "3", "side of the conv kernels, odd", OF_TYPE),
    CHOICE("model.padding", model.padding, padding_names, "\"zero\"", "conv padding", OF_TYPE),
    CHOICE("model.channel_representation", model.representation, representation_names, "\"auto\"",
           "how the group acts on hidden channels; auto: as the mode has it"),
    CHOICE("prior.mean", prior.mean, prior_mean_names, "\"zero\"", "zero, or a draw from N(0, std^2) a weight"),
    KEY("prior.std", KEY_STD, prior.std, .least = 1e-30, .most = 1e30, .fallback = "\"fan-in\"", .unsaid = "1.0", .names = prior_scale_names,
        .meaning = "standard deviation of the prior: a number, a list of one a layer, or a word"),
    ROW("posterior.family", posterior.family, bnn_family_row, "family of q"),
    CHOICE("posterior.mean_init", posterior.mean_init, bnn_mean_init_names, "\"kaiming\"", "initial means"),
    REAL("posterior.rho_init", posterior.rho_init, -60, 60, "-5.0", "initial rho, sigma = log(1 + e^rho)"),
    KEY("posterior.init_from", KEY_PATH, posterior.init_from, .fallback = "\"\"",
        .meaning = "a model, or the folder of a run, whose means are the initial ones; \"\": none"),
    FLAG("posterior.init_rho", posterior.init_rho, "false", "take rho from there too", OF_START),
    NAMES("posterior.init_except", posterior.init_except,
          "layers, or what their names begin with, that are not taken from there but initialised", OF_START),
    ROW("symmetrization.mode", symmetrization.mode, NULL, "the stage between the data and the optimiser"),
    CHOICE("symmetrization.augmentation", symmetrization.augmentation, bnn_augmentation_names, "\"full\"",
           "full: every g.x an item; random: one g a visit; none: with hold, base images only", OF_MODE),
    CHOICE("symmetrization.count", symmetrization.count, count_names, "\"base\"",
           "base: N = N0, each image once an epoch; orbit: N = |G| N0, each |G| times, the published accounting", OF_MODE),
    TEXT("symmetrization.average", symmetrization.average, "\"\"",
         "what is averaged, and how", OF_MODE),
    SIZE("symmetrization.trigger_epoch", symmetrization.trigger_epoch, 0, CONFIG_ANY, "0",
         "epochs before q is symmetrized; 0: right after initialisation", OF_MODE),
    REAL("symmetrization.trigger_accuracy", symmetrization.trigger_accuracy, 0, 1, "0.0",
         "training accuracy at which q is symmetrized; beside trigger_epoch or stage1_epochs, what comes first; 0: none", OF_MODE),
    SIZE("symmetrization.stage1_epochs", symmetrization.stage1_epochs, 0, CONFIG_ANY, "2",
         "epochs of the small network", OF_MODE),
    CHOICE("symmetrization.arrangement", symmetrization.arrangement, bnn_arrangement_names, "\"gcnn\"",
           "how inner kernels are turned", OF_MODE),
    FLAG("symmetrization.hold", symmetrization.hold, "false", "project every gradient after the trigger", OF_MODE),
    FLAG("symmetrization.keep_optimizer_state", symmetrization.keep_optimizer_state, "false",
         "keep momentum across the trigger", OF_MODE),
    SIZE("train.epochs", train.epochs, 1, CONFIG_ANY, "10", "epochs in all"),
    REAL("train.checkpoint_minutes", train.checkpoint_minutes, 0, 1e6, "5.0",
         "minutes after which a checkpoint is written within an epoch too; 0: after each step"),
    SIZE("train.map_epochs", train.map_epochs, 0, CONFIG_ANY, "0",
         "of these, the first so many at w = mu, without noise; sigma is trained afterwards, from posterior.rho_init on"),
    SIZE("train.batch_size", train.batch_size, 1, 1048576, "128", "items a step"),
    SIZE("train.samples", train.samples, 1, 65536, "1", "Monte-Carlo samples a step"),
    ROW("train.optimizer.name", train.optimizer.name, bnn_optimizer_row, "rule that updates q"),
    AUTO("train.optimizer.lr", train.optimizer.options.lr, 0, 1e6, "learning rate of mu; auto: the optimiser's own"),
    REAL("train.optimizer.momentum", train.optimizer.options.momentum, 0, 1, "0.9", "of the velocity", OF_OPTIMIZER),
    FLAG("train.optimizer.nesterov", train.optimizer.options.nesterov, "true", "whether the step looks ahead along the velocity", OF_OPTIMIZER),
    AUTO("train.optimizer.rho_lr_factor", train.optimizer.options.rho_lr_factor, 0, 1e6,
         "learning rate of rho over that of mu; auto: the optimiser's own", OF_OPTIMIZER),
    REAL("train.optimizer.weight_decay", train.optimizer.options.weight_decay, 0, 1e6, "0.0", "of mu, and of rho where the optimiser decays both", OF_OPTIMIZER),
    REAL("train.optimizer.beta1", train.optimizer.options.beta1, 0, 0.999999, "0.9", "decay of the first moment", OF_OPTIMIZER),
    REAL("train.optimizer.beta2", train.optimizer.options.beta2, 0, 0.9999999, "0.999", "decay of the second moment", OF_OPTIMIZER),
    REAL("train.optimizer.epsilon", train.optimizer.options.epsilon, 0, 1, "1e-8", "added to the root of the second moment", OF_OPTIMIZER),
    REAL("train.optimizer.h0", train.optimizer.options.h0, 1e-12, 1e12, "0.5", "curvature at first", OF_OPTIMIZER),
    REAL("train.optimizer.clip_radius", train.optimizer.options.clip_radius, 0, 1e30, "0.0", "largest step of an element, in units of lr (h0 + delta); 0: any", OF_OPTIMIZER),
    CHOICE("train.schedule", train.schedule, bnn_schedule_names, "\"cosine\"", "learning-rate schedule over the epochs"),
    SIZE("train.lr_warmup_steps", train.lr_warmup_steps, 0, CONFIG_ANY, "0", "steps over which the learning rate rises to it"),
    REAL("train.clip_norm", train.clip_norm, 0, 1e30, "1.0", "largest global gradient norm; 0: no clipping", OF_OPTIMIZER),
    AUTO("train.kl_weight", train.kl_weight, 0, 1e30, "beta, the weight of the KL in nats; auto: 1/N"),
    SIZE("train.kl_warmup_epochs", train.kl_warmup_epochs, 0, CONFIG_ANY, "0", "epochs with beta = 0", OF_OPTIMIZER),
    SIZE("train.kl_ramp_end", train.kl_ramp_end, 0, CONFIG_ANY, "0", "epochs after which beta, rising linearly from the warm-up on, is whole; 0: at once", OF_OPTIMIZER),
    AUTO("train.kl_head_warmup_epochs", train.kl_head_warmup_epochs, 0, 1e9, "kl_warmup_epochs of the last layer; auto: as the others", OF_OPTIMIZER),
    AUTO("train.kl_head_ramp_end", train.kl_head_ramp_end, 0, 1e9, "kl_ramp_end of the last layer; auto: as the others", OF_OPTIMIZER),
    REAL("train.free_bits", train.free_bits, 0, 1e6, "0.0",
         "nats a parameter that a layer's KL may have for free: below, its KL pulls no more", OF_OPTIMIZER),
    KEY("train.estimator", KEY_CHOICE, train.estimator, .registry = bnn_estimator_row, .fallback = "\"weight\"",
        .meaning = "how weight noise reaches the activations"),
    CHOICE("train.select", train.select, select_names, "\"validation\"",
           "the model kept: best on the validation split, or last"),
    SIZE("eval.samples", eval.samples, 1, 1048576, "16", "weight draws a prediction"),
    SIZE("eval.every", eval.every, 1, CONFIG_ANY, "1", "epochs between validations"),
    CHOICE("eval.predictive", eval.predictive, bnn_predictive_names, "\"posterior\"", "of validation and evaluation; group-averaged: the mean over the orbit"),
    CHOICE("eval.draws", eval.draws, bnn_draws_names, "\"shared\"", "weight draws over the orbit"),
};
/* clang-format on */
const size_t config_key_count = sizeof config_keys / sizeof *config_keys;
_Static_assert(sizeof config_keys / sizeof *config_keys <= BNN_CONFIG_KEYS,
               "bnn_config holds a flag for every key");

/* ---- names --------------------------------------------------------------------------------------------- */

/* Whether some key lies inside the object `path`. */
bool config_is_object(const char *path)
{
    const size_t length = strlen(path);
    for (size_t i = 0; i < config_key_count; i++)
        if (strncmp(config_keys[i].path, path, length) == 0 && config_keys[i].path[length] == '.')
            return true;
    return false;
}

bool config_is_text(const config_key *row)
{
    return row->type == KEY_TEXT || row->type == KEY_NAME || row->type == KEY_PATH;
}

const config_key *config_find_key(const char *path)
{
    for (size_t i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].path, path) == 0) return &config_keys[i];
    return NULL;
}

/* Offers every prefix of a key ("train", "train.optimizer", ...) that has as many parts as `path`. */
bnn_status config_unknown_key(const char *name, const char *path, bnn_error *error)
{
    char best[128] = "", candidate[128];
    size_t least = SIZE_MAX, dots = 0;
    for (const char *c = path; *c; c++) dots += *c == '.';
    for (size_t i = 0; i < config_key_count; i++) {
        size_t seen = 0;
        snprintf(candidate, sizeof candidate, "%s", config_keys[i].path);
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
    for (size_t i = 0; least > 6 && i < config_key_count; i++) { /* the right name in the wrong object */
        const char *last = strrchr(config_keys[i].path, '.'), *wanted = strrchr(path, '.');
        if (last && strcmp(last + 1, wanted ? wanted + 1 : path) == 0) {
            snprintf(best, sizeof best, "%s", config_keys[i].path);
            break;
        }
    }
    return bnn_fail(error, BNN_BAD_INPUT, "%s: %s: unknown key; the nearest valid key is %s", name, path,
                    best);
}

/* The i-th name that a choice has, or NULL. */
const char *config_name_at(const config_key *key, size_t i)
{
    if (key->names) return key->names[i];
    const bnn_row *row = key->registry ? key->registry(i) : NULL;
    return row ? row->name : NULL;
}

/* "a", "b": the names that a choice has; "" where it has none. */
char *config_list_names(const config_key *key, char *text, size_t size)
{
    const char *name;
    *text = '\0';
    for (size_t i = 0; (name = config_name_at(key, i)); i++)
        bnn_append(text, size, "%s\"%s\"", i ? ", " : "", name);
    return text;
}

/* What a choice expects where `found` was found. */
bnn_choices config_choices_of(const config_key *key, const char *found)
{
    const char *name;
    bnn_choices choices = bnn_choices_for(found);
    for (size_t i = 0; (name = config_name_at(key, i)); i++) bnn_choices_add(&choices, name);
    return choices;
}
