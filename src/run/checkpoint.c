#include "run/checkpoint.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bnn/io.h"
#include "bnn/mode.h"
#include "bnn/ranks.h"

/* ---- the optimiser ------------------------------------------------------------------------------------- */

bnn_status bnn_optimizer_tensors(const bnn_optimizer *optimizer, bnn_tensor_visitor *visit, void *context,
                                 bnn_error *error)
{
    bnn_status status = BNN_OK;
    for (size_t i = 0; !status && i < optimizer->state_count; i++) {
        bnn_tensor tensor = {
            .rank = 1, .shape = {optimizer->count}, .count = optimizer->count, .data = optimizer->state[i]};
        snprintf(tensor.name, sizeof tensor.name, "optimizer.%s", optimizer->rule->states[i]);
        status = visit(context, &tensor, error);
    }
    return status;
}

typedef struct tensors {
    bnn_tensor tensor[BNN_OPTIMIZER_MAX_STATES];
    size_t count;
} tensors;

static bnn_status collect(void *context, const bnn_tensor *tensor, bnn_error *error)
{
    tensors *list = context;
    (void)error;
    list->tensor[list->count++] = *tensor;
    return BNN_OK;
}

static bnn_status restore_tensor(void *context, const bnn_tensor *wanted, bnn_error *error)
{
    const bnn_safetensors *file = context;
    const bnn_tensor *found = bnn_safetensors_find(file, wanted->name);
    if (!found || found->count != wanted->count)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: tensor %s: found %zu numbers, expected %zu", file->path,
                        wanted->name, found ? found->count : 0, wanted->count);
    memcpy(wanted->data, found->data, wanted->count * sizeof *wanted->data);
    if (!bnn_tensor_check_finite(NULL, wanted, error)) return BNN_OK;
    return bnn_fail_in(error, BNN_BAD_INPUT, file->path);
}

bnn_status bnn_checkpoint_check(const char *path, const bnn_checkpoint *checkpoint, const bnn_config *config,
                                size_t batches, bnn_error *error)
{
    static const char *const free_keys[] = {"train.epochs", "train.checkpoint_minutes",
                                            "train.detect_anomaly", NULL};
    const bnn_progress *at = &checkpoint->progress;
    bnn_config before;
    char differences[1024];
    bnn_status status = bnn_config_parse(path, checkpoint->config, NULL, 0, bnn_mode_row, &before, error);
    if (status) return status;
    bnn_config_differences(&before, config, free_keys, differences, sizeof differences);
    if (*differences)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "%s: the run has another configuration (%s), expected the same but for train.epochs, "
                        "train.checkpoint_minutes and train.detect_anomaly, or --overwrite",
                        path, differences);
    if (config->train.epochs < before.train.epochs)
        return bnn_fail(error, BNN_BAD_INPUT, "%s: train.epochs: found %zu, expected at least the run's %zu",
                        path, config->train.epochs, before.train.epochs);
    if (at->epoch <= before.train.epochs && at->batch <= batches) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT,
                    "%s: found epoch %zu, batch %zu, expected %zu epochs of %zu batches", path, at->epoch,
                    at->batch, before.train.epochs, batches);
}

bnn_status bnn_checkpoint_restore(const bnn_checkpoint *checkpoint, bnn_optimizer *optimizer,
                                  bnn_error *error)
{
    optimizer->step = checkpoint->progress.optimizer_step;
    optimizer->begins = checkpoint->progress.optimizer_begins;
    optimizer->trained = checkpoint->progress.optimizer_trained;
    return bnn_optimizer_tensors(optimizer, restore_tensor, checkpoint->file, error);
}

/* ---- the progress, as JSON ------------------------------------------------------------------------------- */

typedef enum kind { COUNT, FLAG, REAL } kind;

static const struct field {
    const char *name;
    kind kind;
    size_t at;
} fields[] = {
#define FIELD(kind, name)                                                                                    \
    {                                                                                                        \
#name, kind, offsetof(bnn_progress, name)                                                            \
    }
    FIELD(COUNT, epoch),
    FIELD(COUNT, batch),
    FIELD(COUNT, step),
    FIELD(FLAG, map),
    FIELD(FLAG, sigma_trained),
    FIELD(FLAG, triggered),
    FIELD(REAL, best_nll),
    FIELD(REAL, accuracy),
    FIELD(REAL, nll),
    FIELD(REAL, data_nll),
    FIELD(REAL, gradient_norm),
    FIELD(REAL, correct),
    FIELD(REAL, seconds),
    FIELD(COUNT, change.images),
    FIELD(REAL, change.elbo_before),
    FIELD(REAL, change.elbo_after),
    FIELD(REAL, change.kl_before),
    FIELD(REAL, change.kl_after),
    FIELD(COUNT, optimizer_step),
    FIELD(FLAG, optimizer_begins),
    FIELD(FLAG, optimizer_trained),
#undef FIELD
};
enum { FIELDS = sizeof fields / sizeof *fields };

/* Freed with free(); NULL when memory is short. An infinite number is null. */
static char *progress_text(const bnn_progress *progress)
{
    bnn_text text;
    FILE *stream = bnn_text_open(&text);
    if (!stream) return NULL;
    for (size_t i = 0; i < FIELDS; i++) {
        const char *at = (const char *)progress + fields[i].at;
        fprintf(stream, "%s\"%s\": ", i ? ", " : "{", fields[i].name);
        if (fields[i].kind == COUNT)
            fprintf(stream, "%zu", *(const size_t *)(const void *)at);
        else if (fields[i].kind == FLAG)
            fputs(*(const bool *)(const void *)at ? "true" : "false", stream);
        else if (isfinite(*(const double *)(const void *)at))
            fprintf(stream, "%.17g", *(const double *)(const void *)at);
        else
            fputs("null", stream);
    }
    fputc('}', stream);
    return bnn_text_close(&text, NULL);
}

static bool read_field(const struct field *field, const cJSON *value, bnn_progress *progress)
{
    char *at = (char *)progress + field->at;
    switch (field->kind) {
    case COUNT:
        if (!cJSON_IsNumber(value) || !(value->valuedouble >= 0 && value->valuedouble < 0x1p53) ||
            value->valuedouble != floor(value->valuedouble))
            return false;
        *(size_t *)(void *)at = (size_t)value->valuedouble;
        return true;
    case FLAG:
        *(bool *)(void *)at = cJSON_IsTrue(value);
        return cJSON_IsBool(value);
    default:
        *(double *)(void *)at = cJSON_IsNumber(value) ? value->valuedouble : INFINITY;
        return cJSON_IsNumber(value) || cJSON_IsNull(value);
    }
}

static bnn_status read_progress(const char *path, const char *text, bnn_progress *progress, bnn_error *error)
{
    cJSON *json = cJSON_ParseWithOpts(text, NULL, 1);
    size_t good = 0;
    while (good < FIELDS &&
           read_field(&fields[good], cJSON_GetObjectItemCaseSensitive(json, fields[good].name), progress))
        good++;
    cJSON_Delete(json);
    if (good == FIELDS) return BNN_OK;
    return bnn_fail(error, BNN_BAD_INPUT, "%s: __metadata__: progress: %s: found none that makes sense", path,
                    fields[good].name);
}

/* ---- the file -------------------------------------------------------------------------------------------- */

bnn_status bnn_checkpoint_save(const char *path, const bnn_model *model, const bnn_optimizer *optimizer,
                               const bnn_progress *progress, const char *line, const char *config,
                               bnn_error *error)
{
    tensors state = {.count = 0};
    bnn_progress now = *progress;
    now.optimizer_step = optimizer->step;
    now.optimizer_begins = optimizer->begins;
    now.optimizer_trained = optimizer->trained;
    char *text = progress_text(&now);
    if (!text) return bnn_no_memory(error, "a checkpoint", 1, 0);
    const char *const metadata[] = {"run", config, "progress", text, "training", line};
    bnn_status status = bnn_optimizer_tensors(optimizer, collect, &state, error);
    if (!status)
        status = bnn_model_save(model, path, metadata, line ? 3 : 2, state.tensor, state.count, error);
    free(text);
    return status;
}

/* That every rank reads the same file. */
static bnn_status agree(const char *path, bnn_error *error)
{
    char sha256[BNN_SHA256];
    uint8_t *bytes;
    size_t size;
    if (bnn_ranks_count() == 1) return BNN_OK;
    const bnn_status status = bnn_read_identified(path, BNN_FILE_MOST, &bytes, &size, sha256, error);
    if (status) return status;
    free(bytes);
    return bnn_ranks_agree(path, sha256, error);
}

bnn_status bnn_checkpoint_load(const char *path, bnn_checkpoint *checkpoint, bnn_error *error)
{
    *checkpoint = (bnn_checkpoint){.model = NULL};
    bnn_status status = bnn_model_load(path, &checkpoint->model, &checkpoint->file, error);
    if (!status) status = agree(path, error);
    if (status) return status;
    const char *progress = bnn_safetensors_metadata(checkpoint->file, "progress");
    checkpoint->line = bnn_safetensors_metadata(checkpoint->file, "training");
    checkpoint->config = bnn_safetensors_metadata(checkpoint->file, "run");
    if (!progress || !checkpoint->config)
        return bnn_fail(
            error, BNN_BAD_INPUT,
            "%s: __metadata__ has no \"progress\" and \"run\", expected a checkpoint of bnn train", path);
    return read_progress(path, progress, &checkpoint->progress, error);
}

void bnn_checkpoint_free(bnn_checkpoint *checkpoint)
{
    bnn_model_free(checkpoint->model);
    bnn_safetensors_free(checkpoint->file);
    *checkpoint = (bnn_checkpoint){.model = NULL};
}
