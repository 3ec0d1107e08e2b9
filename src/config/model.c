#include "bnn/model.h"

#include <cjson/cJSON.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bnn/io.h"
#include "config/calibration.h"
#include "config/warm_start.h"

static const char scales_key[] = "prior_std", classes_key[] = "classes";

void bnn_model_free(bnn_model *model)
{
    if (!model) return;
    bnn_posterior_free(model->posterior);
    bnn_network_free(model->network);
    bnn_group_free(model->group);
    free(model->class_names);
    free(model);
}

void bnn_model_uncalibrate(bnn_model *model)
{
    model->calibration = (bnn_calibration){.temperature = 1};
}

bnn_status bnn_model_name_classes(bnn_model *model, const bnn_dataset *train, bnn_error *error)
{
    const size_t classes = model->network->spec.classes;
    if (!train->class_names || train->classes != classes) return BNN_OK;
    model->class_names = bnn_alloc(classes, sizeof *model->class_names);
    if (!model->class_names) return bnn_no_memory(error, "names", classes, sizeof *model->class_names);
    memcpy(model->class_names, train->class_names, classes * sizeof *model->class_names);
    return BNN_OK;
}

static bnn_status find_tensor(void *context, const bnn_tensor *wanted, bnn_error *error)
{
    const bnn_tensor *found;
    return config_find_tensor(context, wanted, &found, error);
}

/* Whether the file has the tensors of every such posterior of the network, before any memory is taken for one. */
static bnn_status check_tensors(bnn_safetensors *file, const bnn_network *network, const bnn_family *family,
                                bnn_error *error)
{
    const bnn_posterior outline = {.network = network, .family = family};
    return bnn_posterior_tensors(&outline, find_tensor, file, error);
}

/* Group, network and an unset posterior; `file`: what is to fill it, or NULL. */
static bnn_status make_model(const bnn_config *config, const bnn_network_spec *spec, bnn_safetensors *file,
                             bnn_model **model, bnn_error *error)
{
    bnn_model *result = bnn_alloc(1, sizeof *result);
    if (!result) return bnn_no_memory(error, "a model", 1, sizeof *result);
    result->config = *config;
    result->pixels = (bnn_range){NAN, NAN};
    bnn_model_uncalibrate(result);
    bnn_config_set_network(&result->config, spec);
    const bnn_family *family = bnn_family_find(config->posterior.family);
    bnn_status status = bnn_group_create(config->group, &result->group, error);
    if (!status) status = bnn_network_create(spec, &result->network, error);
    if (!status && file) status = check_tensors(file, result->network, family, error);
    if (!status) status = bnn_posterior_create(result->network, family, &result->posterior, error);
    if (status) {
        bnn_model_free(result);
        return status;
    }
    *model = result;
    return BNN_OK;
}

bnn_status bnn_model_create(const bnn_config *config, const bnn_network_spec *spec, bnn_model **model,
                            bnn_error *error)
{
    *model = NULL;
    bnn_status status = make_model(config, spec, NULL, model, error);
    if (status) return status;
    status = bnn_posterior_set_prior((*model)->posterior, &config->prior.std, config->prior.mean == 1,
                                     config->seed, error);
    if (status) {
        bnn_model_free(*model);
        *model = NULL;
        return status;
    }
    bnn_posterior_initialise((*model)->posterior, (bnn_mean_init)config->posterior.mean_init,
                             config->posterior.rho_init, config->seed);
    status = *config->posterior.init_from ? config_warm_start(config, (*model)->posterior, error) : BNN_OK;
    if (status) {
        bnn_model_free(*model);
        *model = NULL;
    }
    return status;
}

void bnn_model_replace(bnn_model *model, bnn_network *network, bnn_posterior *posterior)
{
    bnn_posterior_free(model->posterior);
    bnn_network_free(model->network);
    model->network = network;
    model->posterior = posterior;
    bnn_config_set_network(&model->config, &network->spec);
}

bnn_status bnn_model_expand(bnn_model *model, bnn_arrangement arrangement, bnn_error *error)
{
    bnn_network_spec spec;
    bnn_network *network = NULL;
    bnn_posterior *posterior = NULL;
    bnn_status status = bnn_expanded_spec(model->group, &model->network->spec, &spec, error);
    if (!status) status = bnn_network_create(&spec, &network, error);
    if (!status) status = bnn_posterior_create(network, model->posterior->family, &posterior, error);
    if (!status) status = bnn_posterior_expand(model->group, arrangement, model->posterior, posterior, error);
    if (status) {
        bnn_posterior_free(posterior);
        bnn_network_free(network);
        return status;
    }
    bnn_model_replace(model, network, posterior);
    return BNN_OK;
}

/* ---- the tensors of a model ---------------------------------------------------------------------------- */

static bnn_status visit_tensor(const bnn_layer *layer, bool bias, const char *part, bnn_real *array,
                               bnn_tensor_visitor *visit, void *context, bnn_error *error)
{
    bnn_tensor tensor = {.rank = bias ? 1 : layer->weight_rank, .shape = {layer->bias_count}};
    snprintf(tensor.name, sizeof tensor.name, "%s.%s", layer->name, part);
    tensor.data = array ? array + (bias ? layer->bias_offset : layer->weight_offset) : NULL;
    tensor.count = bias ? layer->bias_count : layer->weight_count;
    if (!bias) memcpy(tensor.shape, layer->weight_shape, tensor.rank * sizeof *tensor.shape);
    return visit(context, &tensor, error);
}

bnn_status bnn_posterior_tensors(const bnn_posterior *q, bnn_tensor_visitor *visit, void *context,
                                 bnn_error *error)
{
    const struct {
        const char *part;
        bool bias, wanted;
        bnn_real *array;
    } parts[] = {
        {"weight_mu", false, true, q->mu},
        {"weight_rho", false, !q->family->point, q->rho},
        {"bias_mu", true, true, q->mu},
        {"bias_rho", true, !q->family->point, q->rho},
        {"prior_mu", false, q->random_prior, q->prior_mean},
        {"prior_std", false, q->random_prior, q->prior_std},
        {"weight_sign", false, q->sign != NULL, q->sign},
        {"bias_sign", true, q->sign != NULL, q->sign},
    };
    for (size_t l = 0; l < q->network->layer_count; l++) {
        if (q->network->layers[l].bias_count == 0) continue;
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            if (!parts[i].wanted) continue;
            bnn_status status = visit_tensor(&q->network->layers[l], parts[i].bias, parts[i].part,
                                             parts[i].array, visit, context, error);
            if (status) return status;
        }
    }
    return BNN_OK;
}

bnn_status bnn_tensor_check_finite(void *context, const bnn_tensor *tensor, bnn_error *error)
{
    (void)context;
    for (size_t i = 0; i < tensor->count; i++)
        if (!isfinite(tensor->data[i]))
            return bnn_fail(error, BNN_FAILED, "%s is %s at entry %zu", tensor->name,
                            bnn_number_text(tensor->data[i], (char[BNN_NUMBER_TEXT]){0}), i);
    return BNN_OK;
}

/* The values that a tensor of a posterior may have. */
typedef struct limits {
    const char *words;
    double least, most;
} limits;

static limits limits_of(const bnn_tensor *tensor)
{
    static const limits any = {"a finite number", -INFINITY, INFINITY},
                        rho = {"a number from -1e18 to 1e18", -BNN_RHO_MOST, BNN_RHO_MOST},
                        std = {"a finite positive number", DBL_MIN, INFINITY};
    const char *part = strrchr(tensor->name, '.');
    if (strcmp(part, ".weight_rho") == 0 || strcmp(part, ".bias_rho") == 0) return rho;
    return strcmp(part, ".prior_std") == 0 ? std : any;
}

/* The first entry that is out of the range, or tensor->count. */
static size_t find_outlier(const bnn_tensor *tensor, const limits *r)
{
    size_t i = 0;
    while (i < tensor->count && isfinite(tensor->data[i]) && (double)tensor->data[i] >= r->least &&
           (double)tensor->data[i] <= r->most)
        i++;
    return i;
}

bnn_status bnn_tensor_check(void *context, const bnn_tensor *tensor, bnn_error *error)
{
    const limits allowed = limits_of(tensor);
    const size_t outlier = find_outlier(tensor, &allowed);
    (void)context;
    if (!tensor->data || outlier == tensor->count) return BNN_OK;
    return bnn_fail(error, BNN_FAILED, "%s is %s at entry %zu, expected %s", tensor->name,
                    bnn_number_text(tensor->data[outlier], (char[BNN_NUMBER_TEXT]){0}), outlier,
                    allowed.words);
}

/* ---- load ---------------------------------------------------------------------------------------------- */

typedef struct loading {
    const bnn_safetensors *file;
    size_t found;
} loading;

static void shape_text(const bnn_tensor *tensor, char *text, size_t size)
{
    snprintf(text, size, "(");
    for (size_t i = 0; i < tensor->rank; i++) bnn_append(text, size, "%s%zu", i ? "," : "", tensor->shape[i]);
    bnn_append(text, size, ")");
}

bnn_status config_find_tensor(const bnn_safetensors *file, const bnn_tensor *wanted, const bnn_tensor **found,
                              bnn_error *error)
{
    char found_shape[200], wanted_shape[200]; /* of 8 dimensions at most */
    shape_text(wanted, wanted_shape, sizeof wanted_shape);
    *found = bnn_safetensors_find(file, wanted->name);
    if (!*found)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: tensor %s is missing, expected one of shape %s",
                        file->path, wanted->name, wanted_shape);
    shape_text(*found, found_shape, sizeof found_shape);
    if (strcmp(found_shape, wanted_shape) == 0) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT, "%s: tensor %s: found shape %s, expected %s", file->path,
                    wanted->name, found_shape, wanted_shape);
}

static bnn_status load_tensor(void *context, const bnn_tensor *wanted, bnn_error *error)
{
    loading *state = context;
    const bnn_tensor *found;
    const limits allowed = limits_of(wanted);
    const bnn_status status = config_find_tensor(state->file, wanted, &found, error);
    if (status) return status;
    const size_t outlier = find_outlier(found, &allowed);
    if (outlier < found->count)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: tensor %s: entry %zu is %s, expected %s",
                        state->file->path, wanted->name, outlier,
                        bnn_number_text(found->data[outlier], (char[BNN_NUMBER_TEXT]){0}), allowed.words);
    memcpy(wanted->data, found->data, found->count * sizeof *found->data);
    state->found++;
    return BNN_OK;
}

static bnn_status check_known(const bnn_safetensors *file, size_t known, bnn_error *error)
{
    size_t extra = 0;
    for (size_t i = 0; i < file->tensor_count; i++)
        extra += strncmp(file->tensors[i].name, "optimizer.", strlen("optimizer.")) == 0;
    if (known + extra == file->tensor_count) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT,
                    "%s: found %zu tensors, expected the %zu that its configuration describes", file->path,
                    file->tensor_count - extra, known);
}

/* The layers' prior scales, which the file holds where they are no numbers of the configuration. */
static bnn_status load_scales(const bnn_safetensors *file, bnn_posterior *q, bnn_error *error)
{
    const char *text = bnn_safetensors_metadata(file, scales_key);
    if (!text && !q->learned_prior) return BNN_OK;
    cJSON *list = text ? cJSON_ParseWithOpts(text, NULL, 1) : NULL;
    const cJSON *entry = list ? list->child : NULL;
    bnn_status status = BNN_OK;
    for (size_t l = 0; !status && l < q->network->layer_count; l++) {
        const bnn_layer *layer = &q->network->layers[l];
        if (layer->bias_count == 0) continue;
        const cJSON *weight = cJSON_GetObjectItemCaseSensitive(entry, "weight");
        const cJSON *bias = cJSON_GetObjectItemCaseSensitive(entry, "bias");
        if (!cJSON_IsNumber(weight) || !cJSON_IsNumber(bias) ||
            !(weight->valuedouble > 0 && bias->valuedouble > 0) || !isfinite(weight->valuedouble) ||
            !isfinite(bias->valuedouble))
            status = bnn_fail(
                error, BNN_BAD_INPUT,
                "%s: __metadata__: %s: expected {\"weight\": S, \"bias\": S} for each layer, found none "
                "for %s",
                file->path, scales_key, layer->name);
        else
            bnn_posterior_set_layer_std(q, layer, weight->valuedouble, bias->valuedouble);
        entry = entry ? entry->next : NULL;
    }
    cJSON_Delete(list);
    return status;
}

/* The training images' range, which models of other programs do not tell. */
static bnn_status load_pixels(const bnn_safetensors *file, bnn_range *pixels, bnn_error *error)
{
    const char *text = bnn_safetensors_metadata(file, "pixels");
    if (!text) return BNN_OK;
    cJSON *json = cJSON_ParseWithOpts(text, NULL, 1);
    const cJSON *least = cJSON_GetObjectItemCaseSensitive(json, "least");
    const cJSON *most = cJSON_GetObjectItemCaseSensitive(json, "most");
    const bool good = cJSON_IsNumber(least) && cJSON_IsNumber(most);
    if (good) *pixels = (bnn_range){least->valuedouble, most->valuedouble};
    cJSON_Delete(json);
    if (good) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT,
                    "%s: __metadata__: pixels: found %.80s, expected {\"least\": ..., \"most\": ...}",
                    file->path, text);
}

/* The names of the classes, which most models have not. */
static bnn_status load_names(const bnn_safetensors *file, bnn_model *model, bnn_error *error)
{
    const size_t classes = model->network->spec.classes;
    const char *text = bnn_safetensors_metadata(file, classes_key);
    if (!text) return BNN_OK;
    cJSON *json = cJSON_ParseWithOpts(text, NULL, 1);
    const cJSON *entry = cJSON_IsArray(json) ? json->child : NULL;
    bnn_status status = BNN_OK;
    model->class_names = bnn_alloc(classes, sizeof *model->class_names);
    if (!model->class_names) status = bnn_no_memory(error, "names", classes, sizeof *model->class_names);
    for (size_t c = 0; !status && c < classes; c++, entry = entry ? entry->next : NULL) {
        const char *name = cJSON_GetStringValue(entry);
        if (!name || strlen(name) >= sizeof *model->class_names)
            status = bnn_fail(
                error, BNN_BAD_INPUT,
                "%s: __metadata__: %s: found no name of class %zu, expected a list of %zu strings of at "
                "most %d bytes",
                file->path, classes_key, c, classes, BNN_LABEL_NAME - 1);
        else
            memcpy(model->class_names[c], name, strlen(name) + 1);
    }
    cJSON_Delete(json);
    return status;
}

static bnn_status load_from(bnn_safetensors *file, bnn_model **model, bnn_error *error)
{
    bnn_config config;
    bnn_network_spec spec;
    loading state = {file, 0};
    const char *format = bnn_safetensors_metadata(file, "format");
    const char *text = bnn_safetensors_metadata(file, "config");
    if (!format || strcmp(format, "bnn") != 0 || !text)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "%s: __metadata__ has no \"format\": \"bnn\" and \"config\", expected a model written by bnn",
            file->path);
    char place[sizeof file->path + 16];
    snprintf(place, sizeof place, "%s: config", file->path);
    bnn_status status = bnn_config_parse(place, text, NULL, 0, NULL, &config, error);
    if (status) return status;
    if (config.model.input.count != 3 || config.model.classes == 0)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: config: model.input and model.classes are missing",
                        file->path);
    bnn_config_network(&config, config.model.representation == 2 ? BNN_REGULAR : BNN_TRIVIAL, &spec);
    status = make_model(&config, &spec, file, model, error);
    if (status) return status;
    bnn_posterior *q = (*model)->posterior;
    status = bnn_posterior_set_prior(q, &config.prior.std, false, 0, error);
    if (!status) status = load_scales(file, q, error);
    if (status) return status;
    q->random_prior = config.prior.mean == 1;
    status = load_pixels(file, &(*model)->pixels, error);
    if (!status) status = config_load_calibration(file, &(*model)->calibration, error);
    if (!status) status = load_names(file, *model, error);
    if (!status) status = bnn_posterior_tensors(q, load_tensor, &state, error);
    return status ? status : check_known(file, state.found, error);
}

bnn_status bnn_model_parse(const char *name, const uint8_t *bytes, size_t size, bnn_model **model,
                           bnn_safetensors **file, bnn_error *error)
{
    bnn_safetensors *read = NULL;
    *model = NULL;
    if (file) *file = NULL;
    bnn_status status = bnn_safetensors_parse(name, bytes, size, &read, error);
    if (!status) status = load_from(read, model, error);
    if (status) {
        bnn_model_free(*model);
        *model = NULL;
    }
    if (!status && file)
        *file = read;
    else
        bnn_safetensors_free(read);
    return status;
}

bnn_status bnn_model_path(const char *operand, char *path, size_t size, bnn_error *error)
{
    bnn_found found;
    bnn_status status = bnn_examine(operand, &found, error);
    const bool directory = found == BNN_FOUND_DIRECTORY;
    if (status) return status;
    if (snprintf(path, size, "%s%s", operand, directory ? "/model.bin" : "") >= (int)size)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: the path is too long", operand);
    if (directory) status = bnn_examine(path, &found, error);
    if (status || found != BNN_FOUND_NOTHING || !directory) return status;
    return bnn_fail(error, BNN_BAD_INPUT,
                    "%s: is a directory without a model.bin, expected a file or the directory of a run",
                    operand);
}

bnn_status bnn_model_load(const char *path, bnn_model **model, bnn_safetensors **file, bnn_error *error)
{
    uint8_t *bytes;
    size_t size;
    *model = NULL;
    if (file) *file = NULL;
    bnn_status status = bnn_read_file(path, BNN_FILE_MOST, &bytes, &size, error);
    if (status) return status;
    status = bnn_model_parse(path, bytes, size, model, file, error);
    free(bytes);
    return status;
}

/* ---- save ---------------------------------------------------------------------------------------------- */

typedef struct saving {
    const char *path;
    bnn_tensor *tensors;
    size_t count;
} saving;

static bnn_status save_tensor(void *context, const bnn_tensor *tensor, bnn_error *error)
{
    saving *state = context;
    bnn_error reason;
    if (bnn_tensor_check(NULL, tensor, &reason))
        return bnn_fail(error, reason.status, "%s: not written: %s", state->path, reason.message);
    state->tensors[state->count++] = *tensor;
    return BNN_OK;
}

/* The layers' prior scales as JSON, freed with free(); NULL when memory is short. */
static char *scales_text(const bnn_posterior *q)
{
    bnn_text text;
    bool first = true;
    FILE *stream = bnn_text_open(&text);
    if (!stream) return NULL;
    fputc('[', stream);
    for (size_t l = 0; l < q->network->layer_count; l++) {
        const bnn_layer *layer = &q->network->layers[l];
        if (layer->bias_count == 0) continue;
        fprintf(stream, "%s{\"weight\": %.17g, \"bias\": %.17g}", first ? "" : ", ",
                bnn_posterior_prior_std(q, layer, false), bnn_posterior_prior_std(q, layer, true));
        first = false;
    }
    fputc(']', stream);
    return bnn_text_close(&text, NULL);
}

/* Adds a key and its value, unless that is NULL. */
static void add_pair(const char **metadata, size_t *pairs, const char *key, const char *value)
{
    if (!value) return;
    metadata[2 * *pairs] = key;
    metadata[2 * (*pairs)++ + 1] = value;
}

/* The names of the classes as JSON, freed with cJSON_free(); NULL when there are none, or memory is short. */
static char *names_text(const bnn_model *model)
{
    cJSON *list = model->class_names ? cJSON_CreateArray() : NULL;
    for (size_t c = 0; list && c < model->network->spec.classes; c++)
        cJSON_AddItemToArray(list, cJSON_CreateString(model->class_names[c]));
    char *text = list ? cJSON_PrintUnformatted(list) : NULL;
    cJSON_Delete(list);
    return text;
}

bnn_status bnn_model_save(const bnn_model *model, const char *path, const char *const *metadata,
                          size_t metadata_count, const bnn_tensor *extra, size_t extra_count,
                          bnn_error *error)
{
    const size_t most = model->network->layer_count * 8 + extra_count;
    const bool numbers = model->config.prior.std.scale == BNN_PRIOR_NUMBERS;
    char *config = bnn_config_dump(&model->config, false);
    char *scales = numbers ? NULL : scales_text(model->posterior), *names = names_text(model);
    saving state = {path, bnn_alloc(most, sizeof(bnn_tensor)), 0};
    bnn_status status = BNN_OK;
    if (!config || !state.tensors || (!numbers && !scales) || (model->class_names && !names))
        status = bnn_no_memory(error, "a model file", most, sizeof(bnn_tensor));
    if (!status) status = bnn_posterior_tensors(model->posterior, save_tensor, &state, error);
    for (size_t i = 0; !status && i < extra_count; i++) status = save_tensor(&state, &extra[i], error);
    if (!status) {
        const char *pair[2 * (6 + BNN_MODEL_METADATA_MOST)] = {"format", "bnn", "config", config};
        char pixels[80], calibration[CONFIG_CALIBRATION_TEXT];
        size_t pairs = 2;
        snprintf(pixels, sizeof pixels, "{\"least\":%.17g,\"most\":%.17g}", model->pixels.least,
                 model->pixels.most);
        if (!isnan(model->pixels.least)) add_pair(pair, &pairs, "pixels", pixels);
        add_pair(pair, &pairs, scales_key, scales);
        add_pair(pair, &pairs, classes_key, names);
        if (model->calibration.images)
            add_pair(pair, &pairs, CONFIG_CALIBRATION_KEY,
                     config_calibration_text(&model->calibration, calibration));
        for (size_t i = 0; i < metadata_count; i++)
            add_pair(pair, &pairs, metadata[2 * i], metadata[2 * i + 1]);
        status = bnn_safetensors_write(path, state.tensors, state.count, pair, pairs, error);
    }
    free(state.tensors);
    cJSON_free(names);
    free(scales);
    free(config);
    return status;
}
