#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/conditions.h"
#include "bnn/io.h"
#include "bnn/settings.h"
#include "commands/command.h"

static void print_conditions(const bnn_condition *conditions)
{
    for (size_t i = 0; i < BNN_CONDITION_COUNT; i++) {
        printf("%-7s %-30s %s\n", conditions[i].kept ? "kept" : "BROKEN", conditions[i].name,
               conditions[i].reason);
        if (!conditions[i].kept) printf("%-38s mend: %s\n", "", conditions[i].mend);
    }
}

static void print_certificate(const bnn_certificate *c)
{
    printf("\n%-18s %14s %26s\n", "layer", "residual", "largest KL(q || rho(h) q)");
    for (size_t l = 0; l < c->layer_count; l++)
        printf("%-18s %14.3e %26.3e\n", c->layers[l].name, c->layers[l].residual, c->layers[l].kl_max);
    printf("%-18s %14.3e %26.3e\nbound on |F(h.x) - F(x)|_1 for every x: %.3e\n", "all", c->residual,
           c->kl_max, c->l1_bound);
}

static cJSON *conditions_json(const bnn_condition *conditions, const bnn_certificate *c)
{
    cJSON *json = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(json, "conditions");
    for (size_t i = 0; i < BNN_CONDITION_COUNT; i++) {
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "name", conditions[i].name);
        cJSON_AddBoolToObject(entry, "kept", conditions[i].kept);
        cJSON_AddStringToObject(entry, "reason", conditions[i].reason);
        if (!conditions[i].kept) cJSON_AddStringToObject(entry, "mend", conditions[i].mend);
        cJSON_AddItemToArray(list, entry);
    }
    if (c) cmd_add_certificate(cJSON_AddObjectToObject(json, "certificate"), c);
    return json;
}

static bnn_status show(const cmd_line *line, const bnn_condition *conditions,
                       const bnn_certificate *certificate, bnn_error *error)
{
    bnn_status status = BNN_OK;
    if (cmd_flag(line, "json"))
        status = cmd_print_json(conditions_json(conditions, certificate), error);
    else {
        print_conditions(conditions);
        if (certificate) print_certificate(certificate);
    }
    for (size_t i = 0; !status && i < BNN_CONDITION_COUNT; i++)
        if (!conditions[i].kept) return BNN_FAILED; /* exit code 1, with nothing more to say */
    return status;
}

static bnn_status check_model(const cmd_line *line, bnn_error *error)
{
    bnn_model *model = NULL;
    bnn_symmetry *symmetry = NULL;
    bnn_certificate *certificate = NULL;
    bnn_condition conditions[BNN_CONDITION_COUNT];
    bnn_status status = bnn_model_load(line->operands[0], &model, NULL, error);
    if (!status) status = cmd_set_group(line, model, error);
    if (status) {
        bnn_model_free(model);
        return status;
    }
    status = bnn_symmetry_create(model->group, model->network, &symmetry, error);
    if (!status) status = bnn_certify(symmetry, model->posterior, &certificate, error);
    if (status != BNN_FAILED) {
        if (error) error->message[0] = '\0'; /* that there is no action is a condition below */
        bnn_conditions_of_model(model, certificate, conditions);
        status = show(line, conditions, certificate, error);
    }
    bnn_certificate_free(certificate);
    bnn_symmetry_free(symmetry);
    bnn_model_free(model);
    return status;
}

/* The data gives the shape where the configuration does not. */
static bnn_status check_config(const cmd_line *line, bnn_error *error)
{
    bnn_config config;
    bnn_dataset *train = NULL, *validation = NULL;
    bnn_model *model = NULL;
    bnn_condition conditions[BNN_CONDITION_COUNT];
    size_t shape[3], classes;
    bnn_status status = bnn_settings_read(line->operands[0], line->sets, line->set_count, &config, error);
    if (!status && cmd_value(line, "group"))
        return bnn_fail(error, BNN_BAD_INPUT, "bnn check: --group is for models; use --set group=...");
    if (!status && config.model.input.count != 3) {
        status = bnn_training_data(&config, &train, &validation, error);
        if (status) return bnn_fail_in(error, status, line->operands[0]);
    }
    if (status) return status;
    memcpy(shape, train ? (size_t[]){train->channels, train->height, train->width} : config.model.input.value,
           sizeof shape);
    classes = train ? train->classes : config.model.classes ? config.model.classes : 10;
    bnn_dataset_free(validation);
    bnn_dataset_free(train);
    status = bnn_final_model(&config, shape, classes, &model, error);
    if (status) return bnn_fail_in(error, status, line->operands[0]);
    bnn_conditions_of_training(&config, model, conditions);
    status = show(line, conditions, NULL, error);
    bnn_model_free(model);
    return status;
}

/* A configuration begins with '{'; a model with the length of its header. */
static bnn_status is_config(const char *path, bool *config, bnn_error *error)
{
    uint8_t *bytes;
    size_t size, at = 0;
    bnn_status status = bnn_read_file(path, BNN_FILE_MOST, &bytes, &size, error);
    if (status) return status;
    while (at < size && strchr(" \t\r\n", bytes[at])) at++;
    *config = at < size && bytes[at] == '{';
    free(bytes);
    return BNN_OK;
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bool done, config;
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (status || done) return status;
    status = is_config(line.operands[0], &config, error);
    if (status) return status;
    return config ? check_config(&line, error) : check_model(&line, error);
}

static const cmd_option options[] = {
    {"set", "KEY=VALUE", "override a key of the configuration (repeatable)"},
    {"group", "G", "another group than the model's"},
    {"json", NULL, "print one JSON object"},
    {NULL, NULL, NULL},
};

const subcommand cmd_check = {.name = "check",
                              .operands = "CONFIG.json|MODEL",
                              .summary = "tell which conditions for exact equivariance are kept or broken",
                              .details = "exit code 0: all are kept; 1: some are broken\n",
                              .options = options,
                              .run = run};
