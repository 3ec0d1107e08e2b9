/* For tests that train in this process: a run by settings upon the small configuration, and its model as commands load it. */
#ifndef BNN_TESTS_RUNS_H
#define BNN_TESTS_RUNS_H

#include "bnn/mode.h"
#include "bnn/settings.h"
#include "bnn/train.h"
#include "trainings.h"

#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline bnn_status try_training(const char *out, int threads, const char *const *sets, bnn_error *error)
{
    char text[1024];
    bnn_config config;
    size_t count = 0;
    while (sets[count]) count++;
    *error = (bnn_error){BNN_OK, ""};
    const bnn_train_options options = {
        .directory = in_temporary(out), .overwrite = true, .write_config = true, .threads = threads};
    bnn_status status =
        bnn_settings_parse("c.json", small_config(text, sizeof text), sets, count, &config, error);
    return status ? status : bnn_train(&config, &options, error);
}

static inline void train(const char *out, const char *const *sets)
{
    bnn_error error;
    if (try_training(out, 1, sets, &error)) fail_msg("%s", error.message);
}

static inline bnn_model *load(const char *out)
{
    char path[320];
    bnn_model *model = NULL;
    bnn_error error;
    snprintf(path, sizeof path, "%s/model.bin", in_temporary(out));
    if (bnn_model_load(path, &model, NULL, &error) || bnn_mode_restore(path, model, &error))
        fail_msg("%s", error.message);
    return model;
}

#endif
