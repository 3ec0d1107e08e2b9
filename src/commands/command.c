#include "commands/command.h"

#include <limits.h>
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "bnn/io.h"
#include "bnn/mode.h"
#include "bnn/ranks.h"
#include "bnn/utf8.h"
#include "commands/help.h"

void cmd_print_help(const subcommand *command)
{
    printf("usage: bnn %s [options]%s%s\n\n%s\n\noptions:\n", command->name, *command->operands ? " " : "",
           command->operands, command->summary);
    for (const cmd_option *option = command->options; option->name; option++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", option->name, option->argument ? " " : "",
                 option->argument ? option->argument : "");
        printf("  %-30s %s\n", left, option->meaning);
    }
    printf("  %-30s %s\n", "--help", "print this and exit");
    if (strstr(command->operands, "MODEL")) printf("\n" HELP_MODEL "\n");
    if (command->details) printf("\n%s", command->details);
}

static bnn_status check_operands(const cmd_line *line, bnn_error *error)
{
    size_t least = 0, most = 0;
    for (const char *c = line->command->operands; *c; c++)
        if (c == line->command->operands || c[-1] == ' ') {
            most++;
            least += *c != '[';
        }
    if (strstr(line->command->operands, "...")) most = CMD_MAX_OPERANDS;
    if (line->operand_count < least || line->operand_count > most)
        return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: found %zu operands, expected %s (see bnn %s --help)",
                        line->command->name, line->operand_count,
                        most ? line->command->operands : "no operand", line->command->name);
    return BNN_OK;
}

static bnn_status check_required(const cmd_line *line, bnn_error *error)
{
    const subcommand *command = line->command;
    if (!command->required || cmd_flag(line, command->required)) return BNN_OK;
    const cmd_option *option = command->options;
    while (strcmp(option->name, command->required) != 0) option++;
    return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: --%s %s is missing", command->name, option->name,
                    option->argument);
}

static bnn_status unknown_option(const cmd_line *line, const char *word, bnn_error *error)
{
    const char *command = line->command->name, *name = word + strspn(word, "-");
    char found[64];
    snprintf(found, sizeof found, "%.*s", (int)strcspn(name, "="), name);
    bnn_choices choices = bnn_choices_for(found);
    for (const cmd_option *option = line->command->options; option->name; option++)
        bnn_choices_add(&choices, option->name);
    bnn_choices_add(&choices, "help");
    return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: %s: unknown option%s%s (see bnn %s --help)", command, word,
                    choices.nearest ? ", did you mean --" : "", choices.nearest ? choices.nearest : "",
                    command);
}

/* Whether the option takes the words after it too, up to the next option. */
static bool is_list(const cmd_option *option)
{
    return option->argument && strstr(option->argument, "...");
}

static bool is_input(const char *option)
{
    return strcmp(option, "out") != 0 && strcmp(option, "set") != 0;
}

/* Takes the value of the option and the words after it, up to the next option: *at <- the last word used. */
static bnn_status take_list(cmd_line *line, const char *name, int argc, char **argv, int *at,
                            bnn_error *error)
{
    const char *value = cmd_value(line, name);
    for (;;) {
        if (line->listed_count == CMD_MAX_OPERANDS)
            return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: --%s: more than %d words", line->command->name,
                            name, CMD_MAX_OPERANDS);
        line->listed[line->listed_count++] = value;
        if (*at + 1 == argc || (argv[*at + 1][0] == '-' && argv[*at + 1][1])) return BNN_OK;
        value = argv[++*at];
    }
}

/* Takes the option that argv[*at] gives, and the word after it where that is its value: *at <- the last word used. */
static bnn_status take_option(cmd_line *line, int argc, char **argv, int *at, bnn_error *error)
{
    const char *word = argv[*at], *command = line->command->name, *value = strchr(word, '=');
    const cmd_option *options = line->command->options;
    const size_t length = value ? (size_t)(value - word) : strlen(word);
    size_t i = 0;
    if (strncmp(word, "--", 2) != 0) return unknown_option(line, word, error);
    while (i < CMD_MAX_OPTIONS && options[i].name &&
           (strlen(options[i].name) + 2 != length || strncmp(options[i].name, word + 2, length - 2) != 0))
        i++;
    if (i == CMD_MAX_OPTIONS || !options[i].name) return unknown_option(line, word, error);
    if (value) value++;
    if (value && !options[i].argument)
        return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: %s: --%s takes no value", command, word,
                        options[i].name);
    if (!value && options[i].argument) {
        const char *next = *at + 1 < argc ? argv[*at + 1] : NULL;
        if (!next || strncmp(next, "--", 2) == 0)
            return bnn_fail(error, BNN_BAD_INPUT,
                            "bnn %s: %s: expected a value, found %s (see bnn %s --help)", command, word,
                            next ? next : "the end of the line", command);
        value = argv[++*at];
    }
    if (value && !*value && is_input(options[i].name))
        return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: --%s: expected a value, found \"\"", command,
                        options[i].name);
    line->values[i] = value ? value : "";
    if (is_list(&options[i])) return take_list(line, options[i].name, argc, argv, at, error);
    if (strcmp(options[i].name, "set") != 0) return BNN_OK;
    if (line->set_count == CMD_MAX_REPEATS)
        return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: more than %d times --set", command, CMD_MAX_REPEATS);
    line->sets[line->set_count++] = value;
    return BNN_OK;
}

/* Standard input can be read once. */
static bnn_status check_standard_input(const cmd_line *line, bnn_error *error)
{
    size_t readers = 0;
    for (size_t i = 0; i < line->operand_count; i++) readers += strcmp(line->operands[i], "-") == 0;
    for (size_t i = 0; line->command->options[i].name; i++)
        if (line->values[i] && is_input(line->command->options[i].name) &&
            !is_list(&line->command->options[i]))
            readers += strcmp(line->values[i], "-") == 0;
    for (size_t i = 0; i < line->listed_count; i++) readers += strcmp(line->listed[i], "-") == 0;
    if (readers <= 1) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: found - %zu times, expected one file from standard input",
                    line->command->name, readers);
}

bnn_status cmd_spare(const cmd_line *line, const char *what, const char *path, bnn_error *error)
{
    const char *out = cmd_value(line, "out");
    struct stat info;
    bool same;
    if (!out || !*path || strcmp(out, "-") == 0 || stat(out, &info) || !S_ISREG(info.st_mode)) return BNN_OK;
    const bnn_status status = bnn_same_file(path, out, &same, error);
    if (status || !same) return status;
    return bnn_fail(error, BNN_BAD_INPUT,
                    "bnn %s: --out: %s: is read too (%s), expected another file to write",
                    line->command->name, out, what);
}

/* Whether an option's value may name a file to read. */
static bool names_input(const cmd_option *option)
{
    static const char *const others[] = {"out", "set", "group", "split", "samples", "threads"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(option->name, others[i]) == 0) return false;
    return option->argument;
}

/* An operand is a file, or the folder of a run. */
static bnn_status spare_operand(const cmd_line *line, const char *operand, bnn_error *error)
{
    static const char *const files[] = {"", "/model.bin", "/checkpoint.bin", "/config.json",
                                        "/metrics.jsonl"};
    char path[PATH_MAX];
    bnn_status status = BNN_OK;
    for (size_t i = 0; !status && i < sizeof files / sizeof *files; i++)
        if (snprintf(path, sizeof path, "%s%s", operand, files[i]) < (int)sizeof path)
            status = cmd_spare(line, operand, path, error);
    return status;
}

/* No file that is read is written; and the file that a command is to write can be, which is better known before its work than
 * after it. */
static bnn_status check_out(const cmd_line *line, bnn_error *error)
{
    const char *required = line->command->required;
    const bool file = required && strcmp(required, "out") == 0;
    char what[64];
    bnn_status status = file && bnn_rank() == 0 ? bnn_can_write(cmd_value(line, "out"), error) : BNN_OK;
    for (size_t i = 0; !status && i < line->operand_count; i++)
        status = spare_operand(line, line->operands[i], error);
    for (size_t i = 0; !status && line->command->options[i].name; i++) {
        const cmd_option *option = &line->command->options[i];
        if (!line->values[i] || !names_input(option)) continue;
        snprintf(what, sizeof what, "--%s", option->name);
        status = cmd_spare(line, what, line->values[i], error);
    }
    return status;
}

bnn_status cmd_parse(const subcommand *command, int argc, char **argv, cmd_line *line, bool *done,
                     bnn_error *error)
{
    bool only_operands = false;
    memset(line, 0, sizeof *line);
    line->command = command;
    *done = false;
    for (int at = 1; at < argc; at++) {
        const char *word = argv[at];
        if (only_operands || *word != '-' || strcmp(word, "-") == 0) {
            if (line->operand_count < sizeof line->operands / sizeof *line->operands)
                line->operands[line->operand_count] = word;
            line->operand_count++;
        } else if (strcmp(word, "--") == 0) {
            only_operands = true;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            cmd_print_help(command);
            *done = true;
            return BNN_OK;
        } else {
            const bnn_status status = take_option(line, argc, argv, &at, error);
            if (status) return status;
        }
    }
    bnn_status status = check_operands(line, error);
    if (!status) status = check_required(line, error);
    if (!status) status = check_standard_input(line, error);
    return status ? status : check_out(line, error);
}

const char *cmd_value(const cmd_line *line, const char *name)
{
    for (size_t i = 0; i < CMD_MAX_OPTIONS && line->command->options[i].name; i++)
        if (strcmp(line->command->options[i].name, name) == 0) return line->values[i];
    return NULL;
}

bool cmd_flag(const cmd_line *line, const char *name)
{
    return cmd_value(line, name) != NULL;
}

bnn_status cmd_size(const cmd_line *line, const char *name, size_t least, size_t most, size_t fallback,
                    size_t *value, bnn_error *error)
{
    const char *text = cmd_value(line, name);
    double number;
    *value = fallback;
    if (!text) return BNN_OK;
    if (!bnn_decimal(text, &number) || !(number >= (double)least && number <= (double)most) ||
        number != floor(number))
        return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: --%s: found %s, expected an integer from %zu to %zu",
                        line->command->name, name, text, least, most);
    *value = (size_t)number;
    return BNN_OK;
}

bnn_status cmd_choice(const cmd_line *line, const char *name, const char *const *names, int fallback,
                      int *value, bnn_error *error)
{
    const char *text = cmd_value(line, name);
    *value = fallback;
    if (!text) return BNN_OK;
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], text) == 0) {
            *value = i;
            return BNN_OK;
        }
    bnn_choices choices = bnn_choices_for(text);
    bnn_choices_add_all(&choices, names);
    return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: --%s: found \"%s\", expected %s", line->command->name,
                    name, text, bnn_choices_text(&choices));
}

bnn_status cmd_threads(const cmd_line *line, int *threads, bnn_error *error)
{
    const size_t most = 256, at_hand = (size_t)omp_get_max_threads(); /* OMP_NUM_THREADS, or the processors */
    size_t count;
    bnn_status status = cmd_size(line, "threads", 1, most, at_hand < most ? at_hand : most, &count, error);
    *threads = (int)count;
    return status;
}

bnn_status cmd_group(const cmd_line *line, const bnn_model *model, bnn_group **group, bnn_error *error)
{
    const char *name = cmd_value(line, "group");
    bnn_status status = bnn_group_create(name ? name : model->group->name, group, error);
    return status && name ? bnn_fail_in(error, status, "--group") : status;
}

bnn_status cmd_read(const char *operand, cmd_file *file, bnn_error *error)
{
    file->bytes = NULL;
    bnn_status status = bnn_model_path(operand, file->path, sizeof file->path, error);
    if (!status)
        status =
            bnn_read_identified(file->path, BNN_FILE_MOST, &file->bytes, &file->size, file->sha256, error);
    if (strcmp(operand, "-") == 0) snprintf(file->path, sizeof file->path, "%s", bnn_input_name(operand));
    return status;
}

bnn_status cmd_parse_model(const cmd_file *file, bnn_model **model, bnn_safetensors **tensors,
                           bnn_error *error)
{
    bnn_status status = bnn_model_parse(file->path, file->bytes, file->size, model, tensors, error);
    if (status) return status;
    status = bnn_mode_restore(file->path, *model, error);
    if (!status) return status;
    if (tensors) bnn_safetensors_free(*tensors);
    bnn_model_free(*model);
    if (tensors) *tensors = NULL;
    *model = NULL;
    return status;
}

bnn_status cmd_load_identified(const char *operand, cmd_file *file, bnn_model **model,
                               bnn_safetensors **tensors, bnn_error *error)
{
    *model = NULL;
    if (tensors) *tensors = NULL;
    bnn_status status = cmd_read(operand, file, error);
    if (!status) status = cmd_parse_model(file, model, tensors, error);
    free(file->bytes);
    file->bytes = NULL;
    return status;
}

bnn_status cmd_load_model(const char *operand, bnn_model **model, bnn_safetensors **file, bnn_error *error)
{
    cmd_file found;
    return cmd_load_identified(operand, &found, model, file, error);
}

/* ---- models made from others --------------------------------------------------------------------------- */

/* The JSON object of what a file says about the training of its model, or NULL where it says nothing. */
static cJSON *training_of(const bnn_safetensors *file)
{
    const char *text = bnn_safetensors_metadata(file, "training");
    cJSON *training = text ? cJSON_Parse(text) : NULL;
    if (cJSON_IsObject(training)) return training;
    cJSON_Delete(training);
    return NULL;
}

bnn_status cmd_trained_group(const bnn_model *model, const bnn_safetensors *file, bnn_group **group,
                             bnn_error *error)
{
    cJSON *training = training_of(file);
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(training, "group"));
    const bnn_status status = bnn_group_create(name ? name : model->group->name, group, error);
    cJSON_Delete(training);
    return status ? bnn_fail_in(error, status, file->path) : BNN_OK;
}

/* A model that is made from another under --group, and the `training` of that other's file. */
typedef struct derivation {
    bnn_model *model;
    bnn_safetensors *file;
    char trained[BNN_NAME]; /* the group of its training */
} derivation;

static bnn_status load_for_change(const cmd_line *line, derivation *d, bnn_error *error)
{
    bnn_group *group = NULL, *trained = NULL;
    bnn_status status = cmd_load_model(line->operands[0], &d->model, &d->file, error);
    if (!status && d->model->posterior->ties)
        status =
            bnn_fail(error, BNN_BAD_INPUT,
                     "bnn %s: %s: mode %s lets weights share noise, which a model made from it would not",
                     line->command->name, line->operands[0], bnn_mode_of(&d->model->config)->row.name);
    if (!status) status = cmd_trained_group(d->model, d->file, &trained, error);
    if (!status) status = cmd_group(line, d->model, &group, error);
    if (!status) {
        snprintf(d->trained, sizeof d->trained, "%s", trained->name);
        snprintf(d->model->config.group, sizeof d->model->config.group, "%s", group->name);
        bnn_group_free(d->model->group);
        d->model->group = group;
    }
    bnn_group_free(trained);
    if (!status && d->model->calibration.images) {
        char who[32];
        snprintf(who, sizeof who, "bnn %s: ", line->command->name);
        cmd_print_message(
            who, "the calibration is that of the model before: left out; bnn calibrate makes one anew");
        bnn_model_uncalibrate(d->model);
    }
    return status;
}

static bnn_status save_changed(const cmd_line *line, const derivation *d, bnn_error *error)
{
    const char *out = cmd_value(line, "out");
    cJSON *training = training_of(d->file);
    char *text = NULL;
    if (training) {
        cJSON_DeleteItemFromObjectCaseSensitive(training, "group");
        cJSON_AddStringToObject(training, "group", d->trained);
        text = cJSON_PrintUnformatted(training);
        if (!text) {
            cJSON_Delete(training);
            return bnn_no_memory(error, out, 1, 0);
        }
    }
    const char *const metadata[] = {"training", text};
    const bnn_status status = bnn_model_save(d->model, out, metadata, text != NULL, NULL, 0, error);
    cJSON_free(text);
    cJSON_Delete(training);
    return status;
}

bnn_status cmd_derive(const cmd_line *line,
                      bnn_status (*change)(const cmd_line *line, bnn_model *model, bnn_error *error),
                      bnn_error *error)
{
    derivation d = {0};
    bnn_status status = load_for_change(line, &d, error);
    if (!status && (status = change(line, d.model, error))) bnn_fail_in(error, status, line->operands[0]);
    if (!status) status = save_changed(line, &d, error);
    bnn_safetensors_free(d.file);
    bnn_model_free(d.model);
    return status;
}

bnn_status cmd_certify(const bnn_model *model, const bnn_group *group, bnn_certificate **certificate,
                       bnn_error *error)
{
    bnn_symmetry *symmetry = NULL;
    char reason[256];
    *certificate = NULL;
    bnn_status status = bnn_symmetry_create(group, model->network, &symmetry, error);
    if (!status && !bnn_network_commutes(group, model->network, reason, sizeof reason))
        status = bnn_fail(error, BNN_BAD_INPUT, "%s", reason);
    if (!status) status = bnn_certify(symmetry, model->posterior, certificate, error);
    bnn_symmetry_free(symmetry);
    return status;
}

/* ---- predictions and data ------------------------------------------------------------------------------ */

void cmd_tell_point(const cmd_line *line, const bnn_model *model)
{
    char who[32], text[BNN_LINE];
    snprintf(who, sizeof who, "bnn %s: ", line->command->name);
    snprintf(text, sizeof text,
             "family %s has no noise: every draw is the network at w = mu, and one is taken",
             model->posterior->family->row.name);
    cmd_print_message(who, text);
}

bnn_status cmd_predict_options(const cmd_line *line, const bnn_model *model, const bnn_group *group,
                               bnn_predict_options *options, bnn_error *error)
{
    const bnn_config *config = &model->config;
    int draws, predictive;
    *options = (bnn_predict_options){.mean = cmd_flag(line, "mean"),
                                     .uncalibrated = cmd_flag(line, "no-calibration"),
                                     .seed = config->seed,
                                     .purpose = BNN_STREAM_EVALUATION_NOISE};
    bnn_status status = cmd_size(line, "samples", 1, 1 << 20, config->eval.samples, &options->samples, error);
    if (!status) status = cmd_choice(line, "draws", bnn_draws_names, config->eval.draws, &draws, error);
    if (!status)
        status =
            cmd_choice(line, "predictive", bnn_predictive_names, config->eval.predictive, &predictive, error);
    if (!status) status = cmd_threads(line, &options->threads, error);
    if (status) return status;
    options->draws = (bnn_draws)draws;
    if (model->posterior->family->point) {
        if (options->samples > 1 || draws == BNN_DRAWS_INDEPENDENT) cmd_tell_point(line, model);
        options->mean = true;
        options->samples = 1;
    }
    if (predictive == BNN_PREDICT_GROUP_AVERAGED) options->average_over = group;
    return BNN_OK;
}

/* "16 draws, averaged over C4" */
static char *predictive_text(size_t samples, const char *group, char *text, size_t size)
{
    *text = '\0';
    if (samples)
        bnn_append(text, size, "%zu weight draw%s", samples, samples == 1 ? "" : "s");
    else
        bnn_append(text, size, "w = mu");
    if (*group) bnn_append(text, size, ", averaged over %s", group);
    return text;
}

void cmd_tell_calibration(const cmd_line *line, const bnn_calibration *c, const bnn_predict_options *options)
{
    const size_t samples = options->mean ? 0 : options->samples;
    const char *group = options->average_over ? options->average_over->name : "";
    char who[32], text[BNN_LINE], made[80], used[80];
    if (!c->images || options->uncalibrated || (c->samples == samples && strcmp(c->group, group) == 0))
        return;
    snprintf(who, sizeof who, "bnn %s: ", line->command->name);
    snprintf(text, sizeof text,
             "warning: the model was calibrated for %s, and is used with %s: its temperature and its sets "
             "are for another predictive",
             predictive_text(c->samples, c->group, made, sizeof made),
             predictive_text(samples, group, used, sizeof used));
    cmd_print_message(who, text);
}

/* Labels are places in a list of names, where both have one: the same list. */
static bnn_status check_classes(const bnn_model *model, const char *name, const bnn_dataset *data,
                                bnn_error *error)
{
    if (!model->class_names || !data->class_names || !data->labels) return BNN_OK;
    for (size_t c = 0; c < data->classes && c < model->network->spec.classes; c++)
        if (*data->class_names[c] && *model->class_names[c] &&
            strcmp(data->class_names[c], model->class_names[c]) != 0)
            return bnn_fail(error, BNN_BAD_INPUT, "%s: class %zu is \"%s\", expected the model's \"%s\"",
                            name, c, data->class_names[c], model->class_names[c]);
    return BNN_OK;
}

/* Pads images that are as much smaller than the model's input as its configuration pads; warns of those whose range is
 * unlike that of the training images. `name`: what the user calls them. */
static bnn_status fit_to_model(const cmd_line *line, const bnn_model *model, const char *name,
                               bnn_dataset *data, bnn_error *error)
{
    const size_t pad = model->config.data.pad, *input = model->network->spec.input;
    const bool smaller = data->height + 2 * pad == input[1] && data->width + 2 * pad == input[2];
    char warning[BNN_LINE];
    bnn_status status = pad && smaller ? bnn_dataset_pad(data, pad, error) : BNN_OK;
    if (!status) status = check_classes(model, name, data, error);
    if (!status && (data->channels != input[0] || data->height != input[1] || data->width != input[2]))
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: images: found %zu x %zu x %zu (C x H x W), expected the model's %zu x %zu x %zu",
                        name, data->channels, data->height, data->width, input[0], input[1], input[2]);
    if (!status && bnn_range_warning(name, model->pixels, data->pixels, warning)) {
        char who[32];
        snprintf(who, sizeof who, "bnn %s: ", line->command->name);
        cmd_print_message(who, warning);
    }
    return status ? status : bnn_dataset_agree(name, data, error);
}

/* Says so where images are evaluated as they are although the model's configuration makes something else of its own. */
static void tell_unmade(const cmd_line *line, const bnn_model *model, const char *name)
{
    const bnn_config *config = &model->config;
    const bool own = strcmp(name, config->data.paths.name) == 0 && config->data.repartition;
    char who[32], text[BNN_LINE];
    if (config->data.rotate.test == BNN_ROTATE_NONE && !own) return;
    snprintf(who, sizeof who, "bnn %s: ", line->command->name);
    snprintf(text, sizeof text, "%.200s: %s%s%s, unlike the model's own test images", name,
             config->data.rotate.test == BNN_ROTATE_NONE ? "" : "not turned (data.rotate)",
             config->data.rotate.test != BNN_ROTATE_NONE && own ? ", and " : "",
             own ? "some may have been trained on (data.repartition)" : "");
    cmd_print_message(who, text);
}

static const char *const split_names[] = {
    [BNN_TRAIN] = "train", [BNN_VALIDATION] = "validation", [BNN_TEST] = "test", NULL};

/* A split as the model's configuration has it; NULL: it has none. */
static bnn_status load_split(const bnn_config *config, bnn_split split, bnn_dataset **data, bnn_error *error)
{
    bnn_dataset *train = NULL, *validation = NULL;
    if (split == BNN_TEST) return bnn_test_data(config, data, error);
    const bnn_status status = bnn_training_data(config, &train, &validation, error);
    *data = split == BNN_TRAIN ? train : validation;
    bnn_dataset_free(split == BNN_TRAIN ? validation : train);
    return status;
}

/* No file that the model's configuration names is written. */
static bnn_status spare_data(const cmd_line *line, const bnn_data_paths *paths, bnn_error *error)
{
    const char *const files[] = {paths->path,
                                 paths->train_images,
                                 paths->train_labels,
                                 paths->validation_images,
                                 paths->validation_labels,
                                 paths->test_images,
                                 paths->test_labels};
    bnn_status status = BNN_OK;
    for (size_t i = 0; !status && i < sizeof files / sizeof *files; i++)
        status = cmd_spare(line, "the model's data", files[i], error);
    return status;
}

bnn_status cmd_split_data(const cmd_line *line, const bnn_model *model, bnn_split split, bnn_dataset **data,
                          bnn_error *error)
{
    static const char *const wanted[] = {"training images", "validation images", "test images"};
    const char *name = model->config.data.paths.name;
    *data = NULL;
    bnn_status status = spare_data(line, &model->config.data.paths, error);
    if (!status && *name) status = load_split(&model->config, split, data, error);
    if (status) return status;
    if (!*data)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "bnn %s: the model names no %s, expected --images F or --data NAME",
                        line->command->name, *name ? wanted[split] : "data set");
    return fit_to_model(line, model, name, *data, error);
}

/* The images that the model's configuration names: its test images, unless there is another --split. */
static bnn_status configured_data(const cmd_line *line, const bnn_model *model, bnn_dataset **data,
                                  bnn_error *error)
{
    int split;
    const bnn_status status = cmd_choice(line, "split", split_names, BNN_TEST, &split, error);
    return status ? status : cmd_split_data(line, model, (bnn_split)split, data, error);
}

bnn_status cmd_data(const cmd_line *line, const bnn_model *model, bnn_dataset **data, bnn_error *error)
{
    const char *images = cmd_value(line, "images"), *labels = cmd_value(line, "labels");
    const char *name = cmd_value(line, "data");
    *data = NULL;
    if (images && name)
        return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: found --images and --data, expected one of them",
                        line->command->name);
    if (cmd_value(line, "split") && (images || name))
        return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: found --split and --%s, expected one of them",
                        line->command->name, images ? "images" : "data");
    if (labels && !images)
        return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: --labels: expected --images too", line->command->name);
    if (name) return cmd_other_data(line, "data", model, true, data, error);
    if (!images) return configured_data(line, model, data, error);
    const bnn_data_options options = bnn_config_data_options(&model->config);
    const bnn_status status = bnn_dataset_read(images, labels, &options, data, error);
    if (!status) tell_unmade(line, model, images);
    return status ? status : fit_to_model(line, model, images, *data, error);
}

/* Reads the test images of a data set, or those of a file. */
static bnn_status read_other(const bnn_model *model, const char *name, bool labelled, bnn_dataset **data,
                             bnn_error *error)
{
    const bnn_config *config = &model->config;
    bnn_data_options options = bnn_config_data_options(config);
    bnn_config other;
    bnn_data_paths *paths = &other.data.paths;
    bnn_config_default(&other);
    *data = NULL;
    if (!labelled) options.classes = 0;
    const bnn_data_source *of = bnn_data_source_find(name) ? NULL : bnn_data_source_of(name);
    if (!of && !bnn_data_source_find(name) && bnn_file_exists(name))
        return bnn_dataset_read(name, NULL, &options, data, error);
    if (strcmp(of ? of->row.name : name, config->data.paths.name) == 0) *paths = config->data.paths;
    if (of) snprintf(paths->path, sizeof paths->path, "%s", name);
    snprintf(paths->name, sizeof paths->name, "%s", of ? of->row.name : name);
    const bnn_status status = bnn_dataset_load(paths, BNN_TEST, &options, data, error);
    if (!status && !*data)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: names no test images, expected a file", name);
    if (!status && !labelled) {
        free((*data)->labels);
        (*data)->labels = NULL;
    }
    return status;
}

bnn_status cmd_other_data(const cmd_line *line, const char *option, const bnn_model *model, bool labelled,
                          bnn_dataset **data, bnn_error *error)
{
    const char *name = cmd_value(line, option);
    const bnn_status status = read_other(model, name, labelled, data, error);
    if (status) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "--%s", option);
        return bnn_fail_in(error, status, prefix);
    }
    tell_unmade(line, model, name);
    return fit_to_model(line, model, name, *data, error);
}

void cmd_print_message(const char *who, const char *message)
{
    if (bnn_rank() == 0) cmd_print_error(who, message);
}

void cmd_print_error(const char *who, const char *message)
{
    fputs(who, stderr);
    for (const char *c = message; *c; c++) fputc((unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c, stderr);
    fputc('\n', stderr);
}

bnn_status cmd_print_json(cJSON *json, bnn_error *error)
{
    char *text = json ? cJSON_Print(json) : NULL;
    char *valid = text ? bnn_utf8_mend(text) : NULL;
    bnn_status status = BNN_OK;
    if (valid)
        puts(valid);
    else
        status = bnn_no_memory(error, "JSON", 1, 0);
    free(valid);
    cJSON_free(text);
    cJSON_Delete(json);
    return status;
}

void cmd_add_number(cJSON *object, const char *name, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(object, name, value);
    else
        cJSON_AddNullToObject(object, name);
}

void cmd_add_numbers(cJSON *object, const char *name, const double *values, size_t n)
{
    cJSON *array = cJSON_AddArrayToObject(object, name);
    for (size_t i = 0; i < n; i++)
        cJSON_AddItemToArray(array, isfinite(values[i]) ? cJSON_CreateNumber(values[i]) : cJSON_CreateNull());
}

void cmd_add_certificate(cJSON *object, const bnn_certificate *certificate)
{
    cmd_add_number(object, "residual", certificate->residual);
    cmd_add_number(object, "kl_max", certificate->kl_max);
    cmd_add_number(object, "l1_bound", certificate->l1_bound);
    cmd_add_numbers(object, "kl", certificate->kl, certificate->order);
    cmd_add_numbers(object, "l1", certificate->l1, certificate->order);
    cJSON *layers = cJSON_AddArrayToObject(object, "layers");
    for (size_t l = 0; l < certificate->layer_count; l++) {
        const bnn_certificate_layer *layer = &certificate->layers[l];
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "name", layer->name);
        cmd_add_number(entry, "residual", layer->residual);
        cmd_add_number(entry, "kl_max", layer->kl_max);
        cmd_add_numbers(entry, "kl", layer->kl, certificate->order);
        cJSON_AddItemToArray(layers, entry);
    }
}
