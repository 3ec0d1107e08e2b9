/* What tells one file of figures from another: the model, the images and the configuration that they come from. */
#include <stdlib.h>
#include <string.h>

#include "commands/command.h"

void cmd_add_model(cJSON *object, const cmd_file *file, const bnn_model *model)
{
    cJSON *of = cJSON_AddObjectToObject(object, "model");
    cJSON_AddStringToObject(of, "path", file->path);
    cJSON_AddStringToObject(of, "sha256", file->sha256);
    cJSON_AddNumberToObject(of, "seed", (double)model->config.seed);
    cJSON_AddStringToObject(of, "group", model->group->name);
    cJSON_AddStringToObject(of, "version", BNN_VERSION);
}

bnn_status cmd_add_config(cJSON *object, const bnn_config *config, bnn_error *error)
{
    char *text = bnn_config_dump(config, false);
    if (!text) return bnn_no_memory(error, "a configuration", 1, 0);
    cJSON_AddItemToObject(object, "config", cJSON_Parse(text));
    free(text);
    return BNN_OK;
}

static void add_path(cJSON *object, const char *name, const char *path)
{
    if (path) cJSON_AddStringToObject(object, name, bnn_input_name(path));
}

void cmd_add_data(cJSON *object, const cmd_line *line, const bnn_model *model)
{
    const char *images = cmd_value(line, "images"), *name = cmd_value(line, "data"),
               *split = cmd_value(line, "split");
    cJSON *data = cJSON_AddObjectToObject(object, "data");
    if (images) {
        add_path(data, "images", images);
        add_path(data, "labels", cmd_value(line, "labels"));
        return;
    }
    cJSON_AddStringToObject(data, "name", name ? name : model->config.data.paths.name);
    cJSON_AddStringToObject(data, "split", split ? split : "test");
}

void cmd_add_prediction(cJSON *object, const bnn_predict_options *options)
{
    const bool averaged = options->average_over;
    cJSON *prediction = cJSON_AddObjectToObject(object, "prediction");
    cJSON_AddBoolToObject(prediction, "mean", options->mean);
    if (!options->mean) {
        cJSON_AddNumberToObject(prediction, "samples", (double)options->samples);
        cJSON_AddStringToObject(prediction, "draws", bnn_draws_names[options->draws]);
    }
    cJSON_AddStringToObject(
        prediction, "predictive",
        bnn_predictive_names[averaged ? BNN_PREDICT_GROUP_AVERAGED : BNN_PREDICT_POSTERIOR]);
}
