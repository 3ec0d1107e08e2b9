#include <stdio.h>
#include <stdlib.h>

#include "bnn/model.h"
#include "commands/command.h"

static void add_layers(cJSON *json, const bnn_model *model)
{
    cJSON *layers = cJSON_AddArrayToObject(json, "layers");
    for (size_t l = 0; l < model->network->layer_count; l++) {
        const bnn_layer *layer = &model->network->layers[l];
        if (layer->bias_count == 0) continue;
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "name", layer->name);
        cJSON_AddStringToObject(entry, "kind", layer->type->row.name);
        cJSON_AddNumberToObject(entry, "in_channels", (double)layer->shape.in.channels);
        cJSON_AddNumberToObject(entry, "out_channels", (double)layer->shape.out.channels);
        cJSON_AddNumberToObject(entry, "parameters", (double)(layer->weight_count + layer->bias_count));
        cJSON_AddStringToObject(entry, "representation",
                                layer->out_representation == BNN_REGULAR ? "regular" : "trivial");
        cmd_add_number(entry, "kl", bnn_posterior_layer_kl(model->posterior, layer));
        cmd_add_number(entry, "sigma_over_prior", bnn_posterior_layer_spread(model->posterior, layer));
        cJSON *std = cJSON_AddObjectToObject(entry, "prior_std");
        cmd_add_number(std, "weight", bnn_posterior_prior_std(model->posterior, layer, false));
        cmd_add_number(std, "bias", bnn_posterior_prior_std(model->posterior, layer, true));
        cJSON_AddItemToArray(layers, entry);
    }
}

static void add_calibration(cJSON *json, const bnn_calibration *c)
{
    if (!c->images) return;
    cJSON *calibration = cJSON_AddObjectToObject(json, "calibration");
    cJSON_AddNumberToObject(calibration, "temperature", c->temperature);
    cJSON_AddNumberToObject(calibration, "images", (double)c->images);
    cJSON_AddStringToObject(calibration, "method", bnn_set_method_names[c->method]);
    cJSON_AddNumberToObject(calibration, "wanted", c->wanted);
    cJSON_AddNumberToObject(calibration, "threshold", c->threshold);
    cJSON_AddNumberToObject(calibration, "samples", (double)c->samples);
    if (*c->group) cJSON_AddStringToObject(calibration, "averaged_over", c->group);
}

static bnn_status describe(const bnn_model *model, const bnn_safetensors *file, cJSON *json, bnn_error *error)
{
    const char *training = bnn_safetensors_metadata(file, "training");
    cJSON_AddStringToObject(json, "type", bnn_network_type_row(model->network->spec.type)->name);
    cJSON_AddStringToObject(json, "group", model->group->name);
    cJSON_AddStringToObject(json, "family", model->posterior->family->row.name);
    cJSON_AddStringToObject(json, "mode", model->config.symmetrization.mode);
    cJSON_AddNumberToObject(json, "parameters", (double)model->posterior->count);
    cmd_add_number(json, "kl", bnn_posterior_kl(model->posterior));
    if (model->class_names) {
        cJSON *names = cJSON_AddArrayToObject(json, "classes");
        for (size_t c = 0; c < model->network->spec.classes; c++)
            cJSON_AddItemToArray(names, cJSON_CreateString(model->class_names[c]));
    }
    add_layers(json, model);
    if (training) cJSON_AddItemToObject(json, "training", cJSON_Parse(training));
    add_calibration(json, &model->calibration);
    return cmd_add_config(json, &model->config, error);
}

static double number(const cJSON *object, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

static void print_table(const cJSON *json)
{
    const cJSON *layer, *calibration = cJSON_GetObjectItemCaseSensitive(json, "calibration"),
                        *training = cJSON_GetObjectItemCaseSensitive(json, "training");
    static const char *const names[] = {"type", "group", "family", "mode"};
    const char *nll = cJSON_HasObjectItem(training, "data_nll") ? "data_nll" : "train_nll"; /* older files */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        printf("%-12s %s\n", names[i], cJSON_GetObjectItemCaseSensitive(json, names[i])->valuestring);
    const cJSON *name, *classes = cJSON_GetObjectItemCaseSensitive(json, "classes");
    if (classes) printf("%-12s", "classes");
    cJSON_ArrayForEach(name, classes) printf(" %s%s", name->valuestring, name->next ? "," : "\n");
    printf("%-12s %.0f\n%-12s %.2f nats\n\n", "parameters", number(json, "parameters"), "KL",
           number(json, "kl"));
    printf("%-16s %-6s %6s %6s %10s %-9s %12s %12s\n", "layer", "kind", "in", "out", "parameters", "channels",
           "KL (nats)", "sigma/prior");
    cJSON_ArrayForEach(layer, cJSON_GetObjectItemCaseSensitive(json, "layers"))
        printf("%-16s %-6s %6.0f %6.0f %10.0f %-9s %12.2f %12.4f\n",
               cJSON_GetObjectItemCaseSensitive(layer, "name")->valuestring,
               cJSON_GetObjectItemCaseSensitive(layer, "kind")->valuestring, number(layer, "in_channels"),
               number(layer, "out_channels"), number(layer, "parameters"),
               cJSON_GetObjectItemCaseSensitive(layer, "representation")->valuestring, number(layer, "kl"),
               number(layer, "sigma_over_prior"));
    if (calibration)
        printf("\ncalibrated on %.0f images with %.0f draws: temperature %.4f, %s sets of coverage %g\n",
               number(calibration, "images"), number(calibration, "samples"),
               number(calibration, "temperature"),
               cJSON_GetObjectItemCaseSensitive(calibration, "method")->valuestring,
               number(calibration, "wanted"));
    if (training)
        printf("\ntrained for %.0f epochs: N %.0f (%.0f base images), beta %g, training nll %.4f, KL %.1f\n"
               "objective (at N) %.1f nats, ELBO (at N0) %.1f\n",
               number(training, "epoch"), number(training, "n"), number(training, "n_base"),
               number(training, "kl_weight"), number(training, "train_nll"), number(training, "kl"),
               -number(training, "train_nll") * number(training, "n") - number(training, "kl"),
               -number(training, nll) * number(training, "n_base") - number(training, "kl"));
}

static bnn_status run(const subcommand *command, int argc, char **argv, bnn_error *error)
{
    cmd_line line;
    bool done;
    bnn_model *model = NULL;
    bnn_safetensors *file = NULL;
    cmd_file source;
    bnn_status status = cmd_parse(command, argc, argv, &line, &done, error);
    if (status || done) return status;
    status = cmd_load_identified(line.operands[0], &source, &model, &file, error);
    if (status) return status;
    cJSON *json = cJSON_CreateObject();
    cmd_add_model(json, &source, model);
    status = describe(model, file, json, error);
    if (!status && cmd_flag(&line, "json")) {
        status = cmd_print_json(json, error);
        json = NULL;
    } else if (!status)
        print_table(json);
    cJSON_Delete(json);
    bnn_safetensors_free(file);
    bnn_model_free(model);
    return status;
}

static const cmd_option options[] = {
    {"json", NULL, "print one JSON object, with the resolved configuration"},
    {NULL, NULL, NULL},
};

const subcommand cmd_info = {.name = "info",
                             .operands = "MODEL",
                             .summary = "tell what a model file holds",
                             .options = options,
                             .run = run};
