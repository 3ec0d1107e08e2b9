#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/conditions.h"
#include "bnn/io.h"
#include "bnn/settings.h"
#include "commands/command.h"
#include "data/sniff.h"

/* What was found: of a configuration, or of a model under a group. */
typedef struct findings {
    bnn_config config; /* of a configuration: as it is resolved */
    bnn_condition conditions[BNN_CONDITION_COUNT];
    bnn_model *model;
    bnn_group *group,
        *trained; /* of a model: the one judged, the one of its training; NULL for a configuration */
    bnn_certificate *certificate; /* NULL where there is none */
} findings;

/* Whether a condition decides the exit code: of a model, what it is and not how it came to be. */
static bool decides(const findings *f, const bnn_condition *condition)
{
    return !f->trained || !condition->of_training;
}

static void print_conditions(const findings *f, bool deciding)
{
    for (size_t i = 0; i < BNN_CONDITION_COUNT; i++) {
        const bnn_condition *c = &f->conditions[i];
        if (decides(f, c) != deciding) continue;
        printf("%-10s %-30s %s\n",
               c->kept     ? "kept"
               : c->judged ? "BROKEN"
                           : "not judged",
               c->name, c->reason);
        if (!c->kept) printf("%-41s mend: %s\n", "", c->mend);
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

static void print_findings(const findings *f)
{
    print_conditions(f, true);
    if (!f->trained) return;
    printf("\ntraining, under %s (does not change the exit code):\n", f->trained->name);
    print_conditions(f, false);
    if (f->certificate) print_certificate(f->certificate);
}

static bnn_status fill(cJSON *json, const cmd_file *file, const findings *f, bnn_error *error)
{
    if (f->trained) {
        cJSON_AddStringToObject(json, "group", f->group->name);
        cJSON_AddStringToObject(json, "trained_group", f->trained->name);
    }
    cJSON *list = cJSON_AddArrayToObject(json, "conditions");
    for (size_t i = 0; i < BNN_CONDITION_COUNT; i++) {
        const bnn_condition *c = &f->conditions[i];
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "name", c->name);
        cJSON_AddStringToObject(entry, "about", c->of_training ? "training" : "model");
        cJSON_AddBoolToObject(entry, "kept", c->kept);
        cJSON_AddBoolToObject(entry, "judged", c->judged);
        cJSON_AddStringToObject(entry, "reason", c->reason);
        if (!c->kept) cJSON_AddStringToObject(entry, "mend", c->mend);
        cJSON_AddItemToArray(list, entry);
    }
    if (f->certificate) cmd_add_certificate(cJSON_AddObjectToObject(json, "certificate"), f->certificate);
    if (f->trained) cmd_add_model(json, file, f->model);
    return cmd_add_config(json, f->trained ? &f->model->config : &f->config, error);
}

static bnn_status print_json(const cmd_file *file, const findings *f, bnn_error *error)
{
    cJSON *json = cJSON_CreateObject();
    const bnn_status status = fill(json, file, f, error);
    if (!status) return cmd_print_json(json, error);
    cJSON_Delete(json);
    return status;
}

static bnn_status show(const cmd_line *line, const cmd_file *file, const findings *f, bnn_error *error)
{
    bnn_status status = BNN_OK;
    if (cmd_flag(line, "json"))
        status = print_json(file, f, error);
    else
        print_findings(f);
    for (size_t i = 0; !status && i < BNN_CONDITION_COUNT; i++)
        if (decides(f, &f->conditions[i]) && !f->conditions[i].kept)
            return BNN_FAILED; /* exit code 1, with nothing more to say */
    return status;
}

static bnn_status check_model(const cmd_line *line, const cmd_file *file, findings *f, bnn_error *error)
{
    bnn_safetensors *tensors = NULL;
    if (line->set_count > 0)
        return bnn_fail(error, BNN_BAD_INPUT, "bnn check: --set is for configurations, and %s is a model",
                        file->path);
    bnn_status status = cmd_parse_model(file, &f->model, &tensors, error);
    if (!status) status = cmd_trained_group(f->model, tensors, &f->trained, error);
    if (!status) status = cmd_group(line, f->model, &f->group, error);
    if (!status)
        status =
            bnn_conditions_of_model(f->model, f->group, f->trained, f->conditions, &f->certificate, error);
    bnn_safetensors_free(tensors);
    return status;
}

/* The data gives the shape where the configuration does not. */
static bnn_status find_shape(const bnn_config *config, size_t shape[3], size_t *classes, bnn_error *error)
{
    bnn_dataset *train = NULL, *validation = NULL;
    memcpy(shape, config->model.input.value, 3 * sizeof *shape);
    *classes = config->model.classes ? config->model.classes : 10;
    if (config->model.input.count == 3) return BNN_OK;
    const bnn_status status = bnn_training_data(config, &train, &validation, error);
    if (status) return status;
    memcpy(shape, (size_t[]){train->channels, train->height, train->width}, 3 * sizeof *shape);
    *classes = train->classes;
    bnn_dataset_free(validation);
    bnn_dataset_free(train);
    return BNN_OK;
}

static bnn_status check_config(const cmd_line *line, const cmd_file *file, findings *f, bnn_error *error)
{
    bnn_config *config = &f->config;
    size_t shape[3], classes;
    bnn_status status = bnn_settings_read_text(file->path, file->bytes, file->size, line->sets,
                                               line->set_count, config, error);
    if (!status && cmd_value(line, "group"))
        status = bnn_fail(error, BNN_BAD_INPUT, "bnn check: --group is for models; use --set group=...");
    if (status) return status;
    status = find_shape(config, shape, &classes, error);
    if (!status) status = bnn_final_model(config, shape, classes, &f->model, error);
    if (status) return bnn_config_blame(file->path, line->sets, line->set_count, status, error);
    return bnn_conditions_of_training(config, f->model, f->conditions, error);
}

static bnn_status check(const cmd_line *line, const cmd_file *file, findings *f, bnn_error *error)
{
    switch (bnn_sniff(file->bytes, file->size)) {
    case BNN_FILE_JSON:
        return check_config(line, file, f, error);
    case BNN_FILE_SAFETENSORS:
        return check_model(line, file, f, error);
    default:
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: is %s, expected a configuration (JSON) or a whole model (safetensors)",
                        file->path, bnn_file_kind_name(bnn_sniff(file->bytes, file->size)));
    }
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    cmd_file file;
    findings f = {0};
    bool done;
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (status || done) return status;
    status = cmd_read(line.operands[0], &file, error);
    if (!status) status = check(&line, &file, &f, error);
    if (!status) status = show(&line, &file, &f, error);
    bnn_certificate_free(f.certificate);
    bnn_group_free(f.trained);
    bnn_group_free(f.group);
    bnn_model_free(f.model);
    free(file.bytes);
    return status;
}

static const cmd_option options[] = {
    {"set", "KEY=VALUE", "override a key of the configuration (repeatable)"},
    CMD_OPTION_GROUP,
    {"json", NULL, "print one JSON object"},
    {NULL, NULL, NULL},
};

const subcommand cmd_check = {
    .name = "check",
    .operands = "CONFIG.json|MODEL",
    .summary = "tell which conditions for exact equivariance are kept or broken",
    .details = "exit code 0: all are kept; 1: some are broken, or nothing can be said of them.\n"
               "Of a model, what it is decides, and what its training kept is told apart.\n",
    .options = options,
    .run = run};
