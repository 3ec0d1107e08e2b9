#include "config/warm_start.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const char key[] = "posterior.init_from", except_key[] = "posterior.init_except";

/* Whether a name of posterior.init_except means the layer: its own, or what it begins with up to a dot. */
static bool means(const char *name, const char *layer)
{
    const size_t length = strlen(name);
    return strncmp(name, layer, length) == 0 && (layer[length] == '\0' || layer[length] == '.');
}

bool bnn_config_warm(const bnn_config *config, const char *layer)
{
    if (!*config->posterior.init_from) return false;
    for (size_t i = 0; i < config->posterior.init_except.count; i++)
        if (means(config->posterior.init_except.value[i], layer)) return false;
    return true;
}

/* Whether the network has a layer with parameters that `name` means. */
static bool has_layer(const bnn_network *network, const char *name)
{
    for (size_t l = 0; l < network->layer_count; l++)
        if (network->layers[l].bias_count && means(name, network->layers[l].name)) return true;
    return false;
}

static void add_layers(bnn_choices *choices, const bnn_network *network, const bnn_network *but)
{
    for (size_t l = 0; l < network->layer_count; l++)
        if (network->layers[l].bias_count && !(but && has_layer(but, network->layers[l].name)))
            bnn_choices_add(choices, network->layers[l].name);
}

/* Every name of posterior.init_except means a layer of the network, or of the model. */
static bnn_status check_names(const bnn_config *config, const bnn_network *network, const bnn_network *model,
                              bnn_error *error)
{
    for (size_t i = 0; i < config->posterior.init_except.count; i++) {
        const char *name = config->posterior.init_except.value[i];
        if (has_layer(network, name) || has_layer(model, name)) continue;
        bnn_choices choices = bnn_choices_for(name);
        add_layers(&choices, network, NULL);
        add_layers(&choices, model, network);
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: found \"%s\", expected a layer, or what it begins with: %s", except_key, name,
                        bnn_choices_text(&choices));
    }
    return BNN_OK;
}

/* The model has no layer that would be passed over in silence. */
static bnn_status check_layers(const bnn_config *config, const bnn_network *network, const bnn_network *model,
                               const char *path, bnn_error *error)
{
    for (size_t l = 0; l < model->layer_count; l++) {
        const bnn_layer *layer = &model->layers[l];
        if (!layer->bias_count || has_layer(network, layer->name) || !bnn_config_warm(config, layer->name))
            continue;
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: %s: found layer %s, which the network has not; %s: [\"%s\"] leaves it out", key,
                        path, layer->name, except_key, layer->name);
    }
    return BNN_OK;
}

typedef struct taking {
    const bnn_config *config;
    const bnn_safetensors *file;
} taking;

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), least = strlen(end);
    return length >= least && strcmp(text + length - least, end) == 0;
}

/* A visitor of the posterior's tensors: copies what is to be taken from the file. */
static bnn_status take(void *context, const bnn_tensor *wanted, bnn_error *error)
{
    const taking *from = context;
    const char *const parts[] = {".weight_mu", ".bias_mu",    ".weight_sign",
                                 ".bias_sign", ".weight_rho", ".bias_rho"};
    const size_t count = from->config->posterior.init_rho ? 6 : 4;
    const bnn_tensor *found;
    bnn_error reason;
    char layer[sizeof wanted->name];
    snprintf(layer, sizeof layer, "%s", wanted->name);
    *strrchr(layer, '.') = '\0';
    if (!bnn_config_warm(from->config, layer)) return BNN_OK;
    for (size_t i = 0; i < count; i++) {
        if (!ends_with(wanted->name, parts[i])) continue;
        const bnn_status status = config_find_tensor(from->file, wanted, &found, &reason);
        if (status)
            return bnn_fail(error, status, "%s: %s; %s: [\"%s\"] would leave the layer as initialised", key,
                            reason.message, except_key, layer);
        memcpy(wanted->data, found->data, found->count * sizeof *found->data);
    }
    return BNN_OK;
}

bnn_status config_warm_start(const bnn_config *config, bnn_posterior *posterior, bnn_error *error)
{
    char path[BNN_PATH + 16];
    bnn_model *model = NULL;
    bnn_safetensors *file = NULL;
    bnn_status status = bnn_model_path(config->posterior.init_from, path, sizeof path, error);
    if (!status) status = bnn_model_load(path, &model, &file, error);
    if (status) return bnn_fail_in(error, status, key);
    taking from = {config, file};
    if (model->posterior->family != posterior->family)
        status =
            bnn_fail(error, BNN_BAD_INPUT,
                     "%s: %s: is of family %s, expected %s (posterior.family): mu and rho mean other things",
                     key, path, model->posterior->family->row.name, posterior->family->row.name);
    if (!status) status = check_names(config, posterior->network, model->network, error);
    if (!status) status = bnn_posterior_tensors(posterior, take, &from, error);
    if (!status) status = check_layers(config, posterior->network, model->network, path, error);
    bnn_safetensors_free(file);
    bnn_model_free(model);
    return status;
}
