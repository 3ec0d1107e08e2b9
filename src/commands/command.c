#include "commands/command.h"

#include <getopt.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/io.h"
#include "bnn/utf8.h"

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
    if (command->details) printf("\n%s", command->details);
}

static size_t count_options(const subcommand *command)
{
    size_t n = 0;
    while (command->options[n].name) n++;
    return n;
}

static bnn_status check_operands(const cmd_line *line, bnn_error *error)
{
    size_t least = 0, most = 0;
    for (const char *c = line->command->operands; *c; c++)
        if (c == line->command->operands || c[-1] == ' ') {
            most++;
            least += *c != '[';
        }
    if (line->operand_count < least || line->operand_count > most)
        return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: found %zu operands, expected %s (see bnn %s --help)",
                        line->command->name, line->operand_count, most ? line->command->operands : "none",
                        line->command->name);
    return BNN_OK;
}

bnn_status cmd_parse(const subcommand *command, int argc, char **argv, cmd_line *line, bool *done,
                     bnn_error *error)
{
    struct option table[CMD_MAX_OPTIONS + 2] = {0};
    const size_t n = count_options(command);
    int found;
    memset(line, 0, sizeof *line);
    line->command = command;
    *done = false;
    for (size_t i = 0; i < n; i++)
        table[i] = (struct option){command->options[i].name,
                                   command->options[i].argument ? required_argument : no_argument, NULL,
                                   (int)i + 256};
    table[n] = (struct option){"help", no_argument, NULL, 'h'};
    opterr = 0;
    optind = 1;
    while ((found = getopt_long(argc, argv, ":h", table, NULL)) != -1) {
        if (found == 'h') {
            cmd_print_help(command);
            *done = true;
            return BNN_OK;
        }
        if (found == ':' || found == '?')
            return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: %s: %s (see bnn %s --help)", command->name,
                            argv[optind - 1], found == ':' ? "expected a value" : "unknown option",
                            command->name);
        const size_t i = (size_t)(found - 256);
        line->values[i] = optarg ? optarg : "";
        if (strcmp(command->options[i].name, "set") == 0) {
            if (line->set_count == CMD_MAX_REPEATS)
                return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: more than %d times --set", command->name,
                                CMD_MAX_REPEATS);
            line->sets[line->set_count++] = optarg;
        }
    }
    for (; optind < argc; optind++) {
        if (line->operand_count < sizeof line->operands / sizeof *line->operands)
            line->operands[line->operand_count] = argv[optind];
        line->operand_count++;
    }
    return check_operands(line, error);
}

const char *cmd_value(const cmd_line *line, const char *name)
{
    for (size_t i = 0; line->command->options[i].name; i++)
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
    char *end;
    *value = fallback;
    if (!text) return BNN_OK;
    const double number = strtod(text, &end);
    if (*end || end == text || !(number >= (double)least && number <= (double)most) ||
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
    char expected[200] = "";
    size_t length = 0;
    *value = fallback;
    if (!text) return BNN_OK;
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], text) == 0) {
            *value = i;
            return BNN_OK;
        }
        length +=
            (size_t)snprintf(expected + length, sizeof expected - length, "%s%s", i ? ", " : "", names[i]);
    }
    return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: --%s: found %s, expected one of %s", line->command->name,
                    name, text, expected);
}

bnn_status cmd_threads(const cmd_line *line, int *threads, bnn_error *error)
{
    size_t count;
    bnn_status status = cmd_size(line, "threads", 1, 256, (size_t)omp_get_num_procs(), &count, error);
    *threads = (int)count;
    return status;
}

bnn_status cmd_group(const cmd_line *line, const bnn_model *model, bnn_group **group, bnn_error *error)
{
    const char *name = cmd_value(line, "group");
    bnn_status status = bnn_group_create(name ? name : model->group->name, group, error);
    return status && name ? bnn_fail_in(error, status, "--group") : status;
}

bnn_status cmd_set_group(const cmd_line *line, bnn_model *model, bnn_error *error)
{
    bnn_group *group;
    bnn_status status = cmd_group(line, model, &group, error);
    if (status) return status;
    bnn_group_free(model->group);
    model->group = group;
    snprintf(model->config.group, sizeof model->config.group, "%s", group->name);
    return BNN_OK;
}

bnn_status cmd_predict_options(const cmd_line *line, const bnn_model *model, bnn_predict_options *options,
                               bnn_error *error)
{
    const bnn_config *config = &model->config;
    int draws, predictive;
    *options = (bnn_predict_options){
        .mean = cmd_flag(line, "mean"), .seed = config->seed, .purpose = BNN_STREAM_EVALUATION_NOISE};
    bnn_status status = cmd_size(line, "samples", 1, 1 << 20, config->eval.samples, &options->samples, error);
    if (!status) status = cmd_choice(line, "draws", bnn_draws_names, config->eval.draws, &draws, error);
    if (!status)
        status =
            cmd_choice(line, "predictive", bnn_predictive_names, config->eval.predictive, &predictive, error);
    if (!status) status = cmd_threads(line, &options->threads, error);
    if (status) return status;
    options->draws = (bnn_draws)draws;
    options->group_averaged = predictive == BNN_PREDICT_GROUP_AVERAGED;
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
    const bnn_status status = pad && smaller ? bnn_dataset_pad(data, pad, error) : BNN_OK;
    const bool fits = data->channels == input[0] && data->height == input[1] && data->width == input[2];
    if (!status && fits && bnn_range_warning(name, model->pixels, data->pixels, warning)) {
        char who[32];
        snprintf(who, sizeof who, "bnn %s: ", line->command->name);
        cmd_print_message(who, warning);
    }
    return status;
}

/* The test images that the model's configuration names. */
static bnn_status configured_data(const cmd_line *line, const bnn_model *model, bnn_dataset **data,
                                  bnn_error *error)
{
    const char *name = model->config.data.paths.name;
    bnn_status status = *name ? bnn_test_data(&model->config, data, error) : BNN_OK;
    if (status) return status;
    if (!*data)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "bnn %s: the model names no %s, expected --images F or --data NAME",
                        line->command->name, *name ? "test images" : "data set");
    return fit_to_model(line, model, name, *data, error);
}

bnn_status cmd_data(const cmd_line *line, const bnn_model *model, bnn_dataset **data, bnn_error *error)
{
    const char *images = cmd_value(line, "images"), *labels = cmd_value(line, "labels");
    const char *name = cmd_value(line, "data");
    *data = NULL;
    if (images && name)
        return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: found --images and --data, expected one of them",
                        line->command->name);
    if (labels && !images)
        return bnn_fail(error, BNN_BAD_INPUT, "bnn %s: --labels: expected --images too", line->command->name);
    if (name) return cmd_other_data(line, "data", model, true, data, error);
    if (!images) return configured_data(line, model, data, error);
    const bnn_data_options options = bnn_config_data_options(&model->config);
    const bnn_status status = bnn_dataset_read(images, labels, &options, data, error);
    return status ? status : fit_to_model(line, model, images, *data, error);
}

/* Reads the test images of a data set, or those of a file. */
static bnn_status read_other(const bnn_model *model, const char *name, bool labelled, bnn_dataset **data,
                             bnn_error *error)
{
    const bnn_config *config = &model->config;
    bnn_data_options options = bnn_config_data_options(config);
    bnn_data_paths paths = {0};
    *data = NULL;
    if (!labelled) options.classes = 0;
    if (!bnn_data_source_find(name) && bnn_file_exists(name))
        return bnn_dataset_read(name, NULL, &options, data, error);
    if (strcmp(name, config->data.paths.name) == 0) paths = config->data.paths;
    snprintf(paths.name, sizeof paths.name, "%s", name);
    const bnn_status status = bnn_dataset_load(&paths, BNN_TEST, &options, data, error);
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
    return fit_to_model(line, model, name, *data, error);
}

void cmd_print_message(const char *who, const char *message)
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
