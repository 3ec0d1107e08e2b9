#include "bnn/train.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/batch.h"
#include "bnn/conditions.h"
#include "bnn/engine.h"
#include "bnn/evaluate.h"
#include "bnn/io.h"
#include "bnn/mode.h"
#include "bnn/model.h"
#include "run/log.h"

typedef struct run {
    const bnn_config *config; /* resolved */
    const bnn_train_options *options;
    const bnn_mode *mode;
    bnn_plan plan;
    bnn_dataset *train, *validation;
    bnn_grid_action *action;
    bnn_batches *batches;

    bnn_model *model;
    bnn_symmetry *symmetry; /* of the model's network, where the mode or hold needs it */
    bnn_engine *engine;
    bnn_optimizer *optimizer;

    bool triggered;
    bool keep_best;
    double best_nll; /* on the validation split, since the trigger; infinite before the first */
    uint64_t step;   /* since the beginning */
    bool checkpointed;
    char model_path[4096], checkpoint_path[4096], metrics_path[4096], config_path[4096];
} run;

static void say(const run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const run *r, const char *format, ...)
{
    char line[512];
    va_list arguments;
    if (!r->options->callbacks.message) return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    r->options->callbacks.message(r->options->callbacks.context, line);
}

/* ---- set-up -------------------------------------------------------------------------------------------- */

/* The configuration with everything explicit, once the data is known. */
static bnn_status resolve(const bnn_config *config, const bnn_dataset *train, bnn_config *resolved,
                          bnn_error *error)
{
    const size_t shape[3] = {train->channels, train->height, train->width};
    *resolved = *config;
    for (size_t i = 0; i < 3; i++) {
        if (config->model.input.count && config->model.input.value[i] != shape[i])
            return bnn_fail(error, BNN_BAD_INPUT,
                            "model.input: found [%zu, %zu, %zu], expected the images' [%zu, %zu, %zu]",
                            config->model.input.value[0], config->model.input.value[1],
                            config->model.input.value[2], shape[0], shape[1], shape[2]);
        resolved->model.input.value[i] = shape[i];
    }
    resolved->model.input.count = 3;
    resolved->data.train_size = train->count;
    if (config->model.classes && config->model.classes < train->classes)
        return bnn_fail(error, BNN_BAD_INPUT, "model.classes: found %zu, expected at least the data's %zu",
                        config->model.classes, train->classes);
    if (!config->model.classes) resolved->model.classes = train->classes;
    return BNN_OK;
}

/* Frees what depends on the current network. */
static void unequip(run *r)
{
    bnn_optimizer_free(r->optimizer);
    bnn_engine_free(r->engine);
    bnn_symmetry_free(r->symmetry);
    r->optimizer = NULL;
    r->engine = NULL;
    r->symmetry = NULL;
}

/* Builds what depends on the current network: engine, optimiser, and the action where it is needed. */
static bnn_status equip(run *r, bnn_error *error)
{
    const bnn_config *c = r->config;
    const bnn_optimizer_rule *rule = bnn_optimizer_find(c->train.optimizer.name);
    const bnn_engine_options options = {.samples = c->train.samples,
                                        .items = c->train.batch_size,
                                        .views = r->plan.views,
                                        .average = r->plan.average,
                                        .estimator = bnn_estimators[c->train.estimator],
                                        .threads = r->options->threads,
                                        .gradient = rule->gradient};
    bnn_status status = BNN_OK;
    unequip(r);
    if (r->mode->needs_action || (bnn_mode_holds(c) && r->triggered)) {
        status = bnn_symmetry_create(r->model->group, r->model->network, &r->symmetry, error);
        if (status) return bnn_fail_in(error, status, "symmetrization.mode");
    }
    status = bnn_engine_create(r->model->posterior, &options, &r->engine, error);
    if (!status)
        status = bnn_optimizer_create(rule, &c->train.optimizer.options, r->model->posterior->count,
                                      &r->optimizer, error);
    return status;
}

/* Refuses now what the trigger would refuse after its epochs: expands the untrained network once. */
static bnn_status rehearse(const run *r, bnn_error *error)
{
    bnn_model *model = NULL;
    bnn_symmetry *symmetry = NULL;
    bnn_status status =
        bnn_final_model(r->config, r->config->model.input.value, r->config->model.classes, &model, error);
    if (!status && bnn_mode_holds(r->config))
        status = bnn_symmetry_create(model->group, model->network, &symmetry, error);
    bnn_symmetry_free(symmetry);
    bnn_model_free(model);
    return status ? bnn_fail_in(error, status, "symmetrization.mode") : BNN_OK;
}

static bnn_status set_up(run *r, const bnn_config *config, bnn_config *resolved, bnn_error *error)
{
    bnn_network_spec spec;
    bnn_status status = bnn_training_data(config, &r->train, &r->validation, error);
    if (!status) status = resolve(config, r->train, resolved, error);
    if (status) return status;
    r->config = resolved;
    r->mode = bnn_mode_of(config);
    r->keep_best = r->validation && config->train.select == BNN_SELECT_VALIDATION;
    r->best_nll = INFINITY;
    bnn_config_network(resolved, bnn_mode_representation(resolved), &spec);
    status = bnn_model_create(resolved, &spec, &r->model, error);
    if (status) return status;
    status = bnn_grid_action_create(r->model->group, r->train->height, r->train->width, &r->action, error);
    if (status) return bnn_fail_in(error, status, "group");
    r->mode->plan(resolved, r->model->group->order, &r->plan);
    status = bnn_batches_create(r->train, r->action, &r->plan, config->train.batch_size, config->seed,
                                &r->batches, error);
    if (!status && r->mode->replaces_network) status = rehearse(r, error);
    return status ? status : equip(r, error);
}

static bnn_status make_paths(run *r, bnn_error *error)
{
    const struct {
        char *path;
        const char *name;
    } files[] = {{r->model_path, "model.bin"},
                 {r->checkpoint_path, "checkpoint.bin"},
                 {r->metrics_path, "metrics.jsonl"},
                 {r->config_path, "config.json"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (snprintf(files[i].path, sizeof r->model_path, "%s/%s", r->options->directory, files[i].name) >=
            (int)sizeof r->model_path)
            return bnn_fail(error, BNN_BAD_INPUT, "--out %.80s...: the path is too long",
                            r->options->directory);
    return BNN_OK;
}

/* The first thing on disk: the directory, the resolved configuration, an empty log. */
static bnn_status open_directory(run *r, bnn_error *error)
{
    bnn_status status = bnn_make_directory(r->options->directory, error);
    if (!status && r->options->write_config) {
        char *text = bnn_config_dump(r->config, true);
        status = text ? bnn_write_file(r->config_path, text, strlen(text), error)
                      : bnn_no_memory(error, "config.json", 1, 0);
        free(text);
    }
    return status ? status : bnn_write_file(r->metrics_path, "", 0, error);
}

/* ---- the trigger --------------------------------------------------------------------------------------- */

static bnn_status trigger(run *r, size_t epochs_done, bnn_error *error)
{
    if (r->mode->replaces_network) unequip(r);
    bnn_status status = r->mode->symmetrize(r->symmetry, epochs_done == 0, r->model, error);
    if (status) return status;
    r->triggered = true;
    r->best_nll = INFINITY; /* earlier models were not symmetrized */
    say(r, "symmetrized (%s) after %zu epochs, %zu parameters", r->mode->row.name, epochs_done,
        r->model->posterior->count);
    if (r->mode->replaces_network) return equip(r, error);
    if (!r->config->symmetrization.keep_optimizer_state) bnn_optimizer_reset(r->optimizer);
    return BNN_OK;
}

static bool trigger_is_due(const run *r, size_t epochs_done, double accuracy)
{
    if (!r->mode->trigger_epoch || r->triggered) return false;
    const size_t epoch = r->mode->trigger_epoch(r->config);
    const double wanted = r->config->symmetrization.trigger_accuracy;
    return (epoch != SIZE_MAX && epochs_done >= epoch) || (wanted > 0 && accuracy >= wanted);
}

/* ---- an epoch ------------------------------------------------------------------------------------------ */

static double whole_kl_weight(const run *r, size_t n)
{
    return isnan(r->config->train.kl_weight) ? 1 / (double)n : r->config->train.kl_weight;
}

/* The share of beta in an epoch: none in the warm-up, then a linear ramp up to `end` (DESIGN section 5). */
static double ramp(double epoch, double warmup, double end)
{
    if (epoch < warmup) return 0;
    return epoch >= end ? 1 : (epoch - warmup + 1) / (end - warmup + 1);
}

/* Each layer's share of beta: the ramp, and nothing where a layer's KL is within its free bits (Kingma et al., "Improved
 * Variational Inference with Inverse Autoregressive Flow", 2016, eq. 15: max(lambda, KL) has no slope there). */
static void set_kl_shares(run *r, size_t epoch)
{
    const bnn_network *network = r->model->network;
    double shares[3 * BNN_MAX_WIDTHS + 2];
    for (size_t l = 0; l < network->layer_count; l++) {
        const bnn_layer *layer = &network->layers[l];
        const bool head = layer == bnn_network_head(network);
        shares[l] = head ? ramp((double)epoch, r->config->train.kl_head_warmup_epochs,
                                r->config->train.kl_head_ramp_end)
                         : ramp((double)epoch, (double)r->config->train.kl_warmup_epochs,
                                (double)r->config->train.kl_ramp_end);
        const double free_nats =
            r->config->train.free_bits * (double)(layer->weight_count + layer->bias_count);
        if (free_nats > 0 && bnn_posterior_layer_kl(r->model->posterior, layer) <= free_nats) shares[l] = 0;
    }
    bnn_engine_set_kl_factors(r->engine, shares);
}

static bool is_finite(const bnn_real *values, size_t n)
{
    for (size_t j = 0; j < n; j++)
        if (!isfinite(values[j])) return false;
    return true;
}

/* Names the first layer whose parameters or gradients are not finite. */
static bnn_status diverged(run *r, size_t epoch, double loss, bnn_error *error)
{
    const bnn_network *network = r->model->network;
    const bnn_posterior *q = r->model->posterior;
    const char *where = "the loss";
    for (size_t l = network->layer_count; l-- > 0;) {
        const bnn_layer *layer = &network->layers[l];
        const size_t at = layer->weight_offset, count = layer->weight_count + layer->bias_count;
        if (!is_finite(q->mu + at, count) || !is_finite(q->rho + at, count) ||
            !is_finite(bnn_engine_mu_gradient(r->engine) + at, count) ||
            !is_finite(bnn_engine_scale_gradient(r->engine) + at, count))
            where = layer->name;
    }
    return bnn_fail(error, BNN_FAILED,
                    "the loss became %g in epoch %zu, step %llu (first seen in %s); last good checkpoint: %s",
                    loss, epoch + 1, (unsigned long long)r->step, where,
                    r->checkpointed ? r->checkpoint_path : "none");
}

static bnn_status run_step(run *r, size_t epoch, size_t index, bnn_epoch *log, bnn_error *error)
{
    const double beta = whole_kl_weight(r, log->n);
    bnn_batches_fill(r->batches, index, r->options->threads);
    bnn_engine_draw(r->engine, r->config->seed, BNN_STREAM_TRAIN_NOISE, r->step++);
    if (index == 0 || r->config->train.free_bits > 0) set_kl_shares(r, epoch);
    const bnn_step step = bnn_engine_step(r->engine, r->batches->images, r->batches->labels,
                                          r->optimizer->rule->likelihood_only ? 0 : beta);
    bnn_real *mu_gradient = bnn_engine_mu_gradient(r->engine);
    bnn_real *scale_gradient = bnn_engine_scale_gradient(r->engine);
    if (r->triggered && bnn_mode_holds(r->config)) {
        bnn_symmetry_project(r->symmetry, mu_gradient);
        bnn_symmetry_project(r->symmetry, scale_gradient);
    }
    const double norm =
        bnn_gradient_norm(mu_gradient, scale_gradient, r->model->posterior->count, r->options->threads);
    if (!isfinite(step.nll) || !isfinite(norm))
        return diverged(r, epoch, isfinite(step.nll) ? norm : step.nll, error);
    const bnn_descent descent = {.lr_scale = bnn_schedule_scale((bnn_schedule)r->config->train.schedule,
                                                                epoch, r->config->train.epochs),
                                 .gradient_factor = bnn_clip_factor(norm, r->config->train.clip_norm),
                                 .n = 1 / beta,
                                 .mu_gradient = mu_gradient,
                                 .scale_gradient = scale_gradient,
                                 .sigma = bnn_engine_sigma(r->engine),
                                 .threads = r->options->threads};
    bnn_optimizer_step(r->optimizer, &descent, r->model->posterior);
    log->train_nll += step.nll;
    log->gradient_norm += norm;
    log->train_accuracy += (double)step.correct;
    return BNN_OK;
}

static bnn_status run_epoch(run *r, size_t epoch, bnn_epoch *log, bnn_error *error)
{
    const bnn_config *c = r->config;
    const size_t batches = r->batches->batches;
    const double start = bnn_seconds();
    *log = (bnn_epoch){.epoch = epoch + 1,
                       .epochs = c->train.epochs,
                       .stage = r->triggered ? 2 : 1,
                       .n = r->plan.count_factor * r->train->count,
                       .n_base = r->train->count};
    log->kl_weight = whole_kl_weight(r, log->n) *
                     ramp((double)epoch, (double)c->train.kl_warmup_epochs, (double)c->train.kl_ramp_end);
    log->learning_rate = c->train.optimizer.options.lr *
                         bnn_schedule_scale((bnn_schedule)c->train.schedule, epoch, c->train.epochs);
    bnn_batches_shuffle(r->batches, epoch);
    for (size_t b = 0; b < batches; b++) {
        if (r->options->stop && *r->options->stop) return BNN_INTERRUPTED;
        bnn_status status = run_step(r, epoch, b, log, error);
        if (status) return status;
        if (r->options->callbacks.step)
            r->options->callbacks.step(r->options->callbacks.context, epoch + 1, c->train.epochs,
                                       (double)(b + 1) / (double)batches, log->train_nll / (double)(b + 1));
    }
    log->seconds = bnn_seconds() - start;
    log->train_nll /= (double)batches;
    log->gradient_norm /= (double)batches;
    log->train_accuracy /= (double)(batches * c->train.batch_size);
    log->image_samples_per_second =
        (double)(batches * c->train.batch_size * r->plan.views * c->train.samples) / log->seconds;
    log->kl = bnn_posterior_kl(r->model->posterior);
    log->elbo = -log->train_nll * (double)log->n - log->kl;
    log->elbo_base = -log->train_nll * (double)log->n_base - log->kl;
    return BNN_OK;
}

/* ---- what is written ----------------------------------------------------------------------------------- */

static bnn_status save_model(run *r, const bnn_epoch *log, bnn_error *error)
{
    char *training = bnn_log_line(log, r->model, false);
    bnn_status status = training ? bnn_model_save(r->model, r->model_path, training, NULL, 0, error)
                                 : bnn_no_memory(error, "a log line", 1, 0);
    free(training);
    return status;
}

static bnn_status save_checkpoint(run *r, const bnn_epoch *log, bnn_error *error)
{
    bnn_tensor extra[BNN_OPTIMIZER_MAX_STATES];
    const size_t count = r->optimizer->state_count;
    for (size_t i = 0; i < count; i++) {
        extra[i] = (bnn_tensor){.rank = 1,
                                .shape = {r->optimizer->count},
                                .count = r->optimizer->count,
                                .data = r->optimizer->state[i]};
        snprintf(extra[i].name, sizeof extra[i].name, "optimizer.%s", r->optimizer->rule->states[i]);
    }
    char *training =
        log->epoch ? bnn_log_line(log, r->model, false) : NULL; /* NULL before the first epoch's end */
    bnn_status status = training || !log->epoch
                            ? bnn_model_save(r->model, r->checkpoint_path, training, extra, count, error)
                            : bnn_no_memory(error, "a log line", 1, 0);
    free(training);
    r->checkpointed = r->checkpointed || !status;
    return status;
}

/* By the predictive that the model will be used with: the best model is that of the best predictions. */
static bnn_status validate(run *r, bnn_epoch *log, bnn_error *error)
{
    const bool group_averaged = r->config->eval.predictive == BNN_PREDICT_GROUP_AVERAGED;
    const bnn_predict_options options = {.group = group_averaged ? r->model->group : NULL,
                                         .samples = r->config->eval.samples,
                                         .group_averaged = group_averaged,
                                         .draws = (bnn_draws)r->config->eval.draws,
                                         .seed = r->config->seed,
                                         .purpose = BNN_STREAM_VALIDATION_NOISE,
                                         .threads = r->options->threads};
    bnn_metrics *metrics;
    bnn_status status = bnn_evaluate(r->model, r->validation, &options, &metrics, error);
    if (status) return status;
    log->validated = true;
    log->validation_accuracy = metrics->accuracy;
    log->validation_nll = metrics->nll;
    bnn_metrics_free(metrics);
    return BNN_OK;
}

/* After an epoch: validation, the model kept, the checkpoint, the log. */
static bnn_status finish_epoch(run *r, bnn_epoch *log, bnn_error *error)
{
    const bool last = log->epoch == log->epochs;
    const bool due = last || log->epoch % r->config->eval.every == 0;
    bnn_status status = BNN_OK;
    if (r->validation && due) status = validate(r, log, error);
    const bool better = log->validated && log->validation_nll < r->best_nll;
    if (!status && (r->keep_best ? better : last)) {
        if (better) r->best_nll = log->validation_nll;
        status = save_model(r, log, error);
    }
    if (!status && due) status = save_checkpoint(r, log, error);
    if (status) return status;
    char *line = bnn_log_line(log, r->model, true);
    status = line ? bnn_append_line(r->metrics_path, line, error) : bnn_no_memory(error, "a log line", 1, 0);
    free(line);
    if (!status && r->options->callbacks.epoch)
        r->options->callbacks.epoch(r->options->callbacks.context, log);
    return status;
}

static bnn_status train_epochs(run *r, bnn_error *error)
{
    bnn_epoch log = {0};
    for (size_t epoch = 0; epoch < r->config->train.epochs; epoch++) {
        bnn_status status = BNN_OK;
        bnn_epoch next;
        if (trigger_is_due(r, epoch, log.train_accuracy)) status = trigger(r, epoch, error);
        if (!status) status = run_epoch(r, epoch, &next, error);
        if (status == BNN_INTERRUPTED) {
            bnn_error failure;
            if (save_checkpoint(r, &log, &failure))
                return bnn_fail(error, failure.status, "%s", failure.message);
            return bnn_fail(error, BNN_INTERRUPTED, "interrupted in epoch %zu; checkpoint: %s", epoch + 1,
                            r->checkpoint_path);
        }
        if (!status) status = finish_epoch(r, &next, error);
        if (status) return status;
        log = next;
    }
    return BNN_OK;
}

bnn_status bnn_train(const bnn_config *config, const bnn_train_options *options, bnn_error *error)
{
    bnn_config resolved;
    run r = {.options = options};
    bnn_status status = make_paths(&r, error);
    if (!status) status = set_up(&r, config, &resolved, error);
    if (!status) status = open_directory(&r, error);
    if (!status) {
        const size_t n = r.plan.count_factor * r.train->count;
        say(&r, "%s, group %s, mode %s: %zu parameters, %zu training images, N = %zu, beta = %g",
            bnn_network_type_row((size_t)config->model.type)->name, config->group, r.mode->row.name,
            r.model->posterior->count, r.train->count, n, whole_kl_weight(&r, n));
        if (r.plan.count_factor > 1)
            say(&r, "every base image counts %zu times in the likelihood (N = |G| N0), as published",
                r.plan.count_factor);
        char reason[512];
        const char *unread;
        for (size_t i = 0; (unread = bnn_config_unread(config, &i));)
            say(&r, "%s is set, but nothing that is chosen reads it", unread);
        if (r.mode->symmetrize &&
            !bnn_network_commutes(r.model->group, r.model->network, reason, sizeof reason))
            say(&r, "no exact equivariance, whatever q: %s", reason);
        status = train_epochs(&r, error);
        if (!status && r.mode->symmetrize && !r.triggered)
            say(&r, "symmetrization.trigger_accuracy %g was never reached: the posterior is not symmetrized",
                config->symmetrization.trigger_accuracy);
    }
    unequip(&r);
    bnn_batches_free(r.batches);
    bnn_grid_action_free(r.action);
    bnn_model_free(r.model);
    bnn_dataset_free(r.validation);
    bnn_dataset_free(r.train);
    return status;
}
