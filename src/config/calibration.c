#include "config/calibration.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

char *config_calibration_text(const bnn_calibration *c, char text[CONFIG_CALIBRATION_TEXT])
{
    snprintf(text, CONFIG_CALIBRATION_TEXT,
             "{\"temperature\":%.17g,\"images\":%zu,\"method\":\"%s\",\"coverage\":%.17g,"
             "\"threshold\":%.17g,\"samples\":%zu,\"group\":\"%s\"}",
             c->temperature, c->images, bnn_set_method_names[c->method], c->wanted, c->threshold, c->samples,
             c->group);
    return text;
}

/* *value <- a number within [least, most]; whether there is one. */
static bool take(const cJSON *json, const char *name, double least, double most, double *value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= least && item->valuedouble <= most)) return false;
    *value = item->valuedouble;
    return true;
}

static bool take_method(const cJSON *json, int *method)
{
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "method"));
    for (*method = 0; name && bnn_set_method_names[*method]; ++*method)
        if (strcmp(bnn_set_method_names[*method], name) == 0) return true;
    return false;
}

bnn_status config_load_calibration(const bnn_safetensors *file, bnn_calibration *c, bnn_error *error)
{
    const char *text = bnn_safetensors_metadata(file, CONFIG_CALIBRATION_KEY), *wrong = NULL;
    double images = 0, samples = 0;
    *c = (bnn_calibration){.temperature = 1};
    if (!text) return BNN_OK;
    cJSON *json = cJSON_ParseWithOpts(text, NULL, 1);
    if (!take(json, "temperature", BNN_LEAST_TEMPERATURE, BNN_MOST_TEMPERATURE, &c->temperature))
        wrong = "temperature";
    else if (!take(json, "images", 1, 0x1p53, &images) || images != floor(images))
        wrong = "images";
    else if (!take_method(json, &c->method))
        wrong = "method";
    else if (!take(json, "coverage", 0, 1, &c->wanted))
        wrong = "coverage";
    else if (!take(json, "threshold", -1, 2, &c->threshold))
        wrong = "threshold";
    else if (!take(json, "samples", 0, 0x1p53, &samples) || samples != floor(samples))
        wrong = "samples";
    const char *group = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "group"));
    if (group) snprintf(c->group, sizeof c->group, "%s", group);
    cJSON_Delete(json);
    c->images = (size_t)images;
    c->samples = (size_t)samples;
    if (!wrong) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT, "%s: __metadata__: %s: found %.200s, expected a valid \"%s\"",
                    file->path, CONFIG_CALIBRATION_KEY, text, wrong);
}
