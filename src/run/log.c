#include "run/log.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>

#include "base/text.h"
#include "bnn/ranks.h"

static void add_change(cJSON *line, const bnn_epoch *epoch)
{
    const bnn_change *change = &epoch->change;
    const double n = (double)epoch->n_base;
    if (change->images == 0) return;
    cJSON *entry = cJSON_AddObjectToObject(line, "symmetrization");
    cJSON_AddNumberToObject(entry, "images", (double)change->images);
    cJSON_AddNumberToObject(entry, "elbo_before", change->elbo_before);
    cJSON_AddNumberToObject(entry, "elbo_after", change->elbo_after);
    cJSON_AddNumberToObject(entry, "elbo_change_per_example", (change->elbo_after - change->elbo_before) / n);
    cJSON_AddNumberToObject(entry, "kl_before", change->kl_before);
    cJSON_AddNumberToObject(entry, "kl_after", change->kl_after);
}

char *bnn_log_line(const bnn_epoch *epoch, const bnn_model *model, bool timing)
{
    cJSON *line = cJSON_CreateObject();
    const struct {
        const char *name;
        double value;
    } figures[] = {
        {"epoch", (double)epoch->epoch},
        {"stage", (double)epoch->stage},
        {"train_nll", epoch->train_nll},
        {"train_nll_total", epoch->train_nll * (double)epoch->n},
        {"data_nll", epoch->data_nll},
        {"kl", epoch->kl},
        {"kl_weight", epoch->kl_weight},
        {"n", (double)epoch->n},
        {"n_base", (double)epoch->n_base},
        {"objective", epoch->objective},
        {"elbo", epoch->elbo},
        {"elbo_per_example", epoch->elbo / (double)epoch->n_base},
        {"train_accuracy", epoch->train_accuracy},
        {"learning_rate", epoch->learning_rate},
        {"gradient_norm", epoch->gradient_norm},
    };
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        cJSON_AddNumberToObject(line, figures[i].name, figures[i].value);
    cJSON_AddBoolToObject(line, "map", epoch->map);
    if (timing) {
        cJSON_AddNumberToObject(line, "seconds", epoch->seconds);
        cJSON_AddNumberToObject(line, "image_samples_per_second", epoch->image_samples_per_second);
    }
    if (epoch->validated) {
        cJSON_AddNumberToObject(line, "validation_accuracy", epoch->validation_accuracy);
        cJSON_AddNumberToObject(line, "validation_nll", epoch->validation_nll);
        cJSON_AddNumberToObject(line, "validation_balanced_accuracy", epoch->validation_balanced_accuracy);
        cJSON_AddNumberToObject(line, "validation_balanced_nll", epoch->validation_balanced_nll);
    }
    add_change(line, epoch);
    cJSON *layers = cJSON_AddArrayToObject(line, "layers");
    for (size_t l = 0; l < model->network->layer_count; l++) {
        const bnn_layer *layer = &model->network->layers[l];
        if (layer->bias_count == 0) continue;
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "name", layer->name);
        cJSON_AddNumberToObject(entry, "kl", bnn_posterior_layer_kl(model->posterior, layer));
        cJSON_AddNumberToObject(entry, "sigma_over_prior",
                                bnn_posterior_layer_spread(model->posterior, layer));
        cJSON *std = cJSON_AddObjectToObject(entry, "prior_std");
        cJSON_AddNumberToObject(std, "weight", bnn_posterior_prior_std(model->posterior, layer, false));
        cJSON_AddNumberToObject(std, "bias", bnn_posterior_prior_std(model->posterior, layer, true));
        cJSON_AddItemToArray(layers, entry);
    }
    char *text = cJSON_PrintUnformatted(line);
    cJSON_Delete(line);
    return text;
}

char *bnn_log_cost(const bnn_cost *cost, char line[BNN_LINE])
{
    static const char *const units[] = {" seconds", " minutes", " hours"};
    const size_t epochs = cost->end - cost->from, ranks = bnn_ranks_count();
    const double all = cost->seconds * (double)epochs;
    char duration[64], part[64] = "", many[32] = "";
    if (epochs < cost->epochs)
        snprintf(part, sizeof part, epochs == 1 ? "epoch %zu: " : "epochs %zu to %zu: ", cost->from + 1,
                 cost->end);
    if (ranks > 1) snprintf(many, sizeof many, "%zu ranks of ", ranks);
    snprintf(line, BNN_LINE, "%s%s%s (%zu epoch%s of %.2g s, %.0f image-samples/s, %s%d thread%s%s)", part,
             all < 1 ? "" : "about ",
             all < 1 ? "less than a second"
                     : bnn_duration_text(all < 100 ? ceil(all) : all, units, duration, sizeof duration),
             epochs, epochs == 1 ? "" : "s", cost->seconds, cost->rate, many, cost->threads,
             cost->threads == 1 ? "" : "s", cost->validates ? "; validations apart" : "");
    return line;
}
