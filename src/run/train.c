#include "bnn/train.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bnn/batch.h"
#include "bnn/conditions.h"
#include "bnn/engine.h"
#include "bnn/evaluate.h"
#include "bnn/io.h"
#include "bnn/mode.h"
#include "bnn/model.h"
#include "bnn/ranks.h"
#include "bnn/splits.h"
#include "run/checkpoint.h"
#include "run/directory.h"
#include "run/health.h"
#include "run/kl_schedule.h"
#include "run/log.h"

/* Images predicted before a checkpoint where there is no validation split: enough to see what the largest weights do. */
#define PROBE_IMAGES 16

/* Training images at most that tell the ELBO before and after a trigger. */
#define CHANGE_IMAGES 1000

/* How long steps are timed before the user is told what the epochs will cost. */
#define PACE_SECONDS 2.0

typedef struct run {
    const bnn_config *config; /* resolved */
    const bnn_train_options *options;
    const bnn_mode *mode;
    bnn_plan plan;
    bnn_dataset *train, *validation;
    bnn_range test_pixels; /* of the test images; NaN where there are none */
    bnn_grid_action *action;
    bnn_batches *batches;

    bnn_model *model;
    bnn_symmetry *symmetry; /* of the model's network, where the mode or hold needs it */
    bnn_engine *engine;
    bnn_optimizer *optimizer;

    bnn_progress at;
    char *line;        /* of the last finished epoch, without times; NULL before the first */
    char *config_text; /* as config.json has it */
    double saved;      /* when the last checkpoint was, in bnn_seconds */
    bool told;         /* what the epochs cost with this network and this noise */
    bool keep_best;
    bool checkpointed;
    bnn_health health;
    bnn_run_directory directory;
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

static bool is_stopped(const run *r)
{
    return r->options->stop && *r->options->stop;
}

/* ---- set-up -------------------------------------------------------------------------------------------- */

/* The configuration with everything explicit, once the data is known. */
static bnn_status resolve(const bnn_config *config, const bnn_dataset *train, bnn_config *resolved,
                          bnn_error *error)
{
    const size_t shape[3] = {train->channels, train->height, train->width};
    *resolved = *config;
    if (config->model.input.count && memcmp(config->model.input.value, shape, sizeof shape) != 0)
        return bnn_fail(error, BNN_BAD_INPUT,
                        "model.input: found [%zu, %zu, %zu], expected the images' [%zu, %zu, %zu]",
                        config->model.input.value[0], config->model.input.value[1],
                        config->model.input.value[2], shape[0], shape[1], shape[2]);
    resolved->data.train_size = train->count;
    resolved->data.background = (double)train->background;
    if (config->model.classes && config->model.classes < train->classes)
        return bnn_fail(error, BNN_BAD_INPUT, "model.classes: found %zu, expected at least the data's %zu",
                        config->model.classes, train->classes);
    bnn_config_fill(resolved, shape, train->classes);
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

/* Whether there is no noise: in the first epochs of some runs, and in all of a point's. */
static bool at_mean(const run *r)
{
    return r->at.map || r->model->posterior->family->point;
}

/* The draws of a step. Without noise, all are alike. */
static size_t samples_of(const run *r)
{
    return at_mean(r) ? 1 : r->config->train.samples;
}

/* Builds what depends on the current network, and on whether there is noise: engine, optimiser, and the action where it is
 * needed. */
static bnn_status equip(run *r, bnn_error *error)
{
    const bnn_config *c = r->config;
    const bnn_optimizer_rule *rule = bnn_optimizer_find(c->train.optimizer.name);
    const bnn_engine_options options = {.samples = samples_of(r),
                                        .items = c->train.batch_size,
                                        .views = r->plan.views,
                                        .average = r->plan.average,
                                        .estimator = at_mean(r) ? NULL : bnn_estimators[c->train.estimator],
                                        .threads = r->options->threads,
                                        .detect_anomaly = c->train.detect_anomaly,
                                        .gradient = rule->gradient,
                                        .likelihood_only = rule->likelihood_only};
    bnn_status status = BNN_OK;
    unequip(r);
    r->told = false;
    if (r->mode->needs_action || (bnn_mode_holds(c) && r->at.triggered)) {
        status = bnn_symmetry_create(r->model->group, r->model->network, &r->symmetry, error);
        if (status) return bnn_fail_in(error, status, "symmetrization.mode");
    }
    status = bnn_engine_create(r->model->posterior, &options, &r->engine, error);
    if (!status)
        status = bnn_optimizer_create(rule, &c->train.optimizer.options, r->model->posterior->count,
                                      &r->optimizer, error);
    if (!status) r->optimizer->trained = r->at.sigma_trained;
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

/* Everything a run needs, from the data on. */
static bnn_status prepare(run *r, const bnn_config *config, bnn_config *resolved, bnn_error *error)
{
    bnn_network_spec spec;
    bnn_status status = bnn_training_data(config, &r->train, &r->validation, error);
    if (!status) status = resolve(config, r->train, resolved, error);
    if (status) return status;
    r->config = resolved;
    r->mode = bnn_mode_of(config);
    r->keep_best = r->validation && config->train.select == BNN_SELECT_VALIDATION;
    r->at.best_nll = INFINITY;
    r->at.map = config->train.map_epochs > 0;
    r->at.sigma_trained = *config->posterior.init_from && config->posterior.init_rho;
    bnn_config_network(resolved, bnn_mode_representation(resolved), &spec);
    status = bnn_model_create(resolved, &spec, &r->model, error);
    if (status) return status;
    r->model->pixels = r->train->pixels;
    status = bnn_model_name_classes(r->model, r->train, error);
    if (status) return status;
    status = bnn_grid_action_create(r->model->group, r->train->height, r->train->width, &r->action, error);
    if (status) return bnn_fail_in(error, status, "group");
    r->mode->plan(resolved, r->model->group->order, &r->plan);
    status = bnn_batches_create(r->train, r->action, &r->plan, &config->data.augment,
                                config->train.batch_size, config->seed, &r->batches, error);
    if (!status) status = bnn_batches_balance(r->batches, (bnn_balance)config->data.balance, error);
    if (!status) status = bnn_check_test_data(resolved, r->train, &r->test_pixels, error);
    if (!status && r->mode->replaces_network) status = rehearse(r, error);
    return status ? status : equip(r, error);
}

/* prepare, and *text <- the configuration as config.json has it. What is wrong by now is the configuration's, and named so. */
static bnn_status set_up(run *r, const bnn_config *config, bnn_config *resolved, char **text,
                         bnn_error *error)
{
    *text = NULL;
    bnn_status status = prepare(r, config, resolved, error);
    if (status == BNN_BAD_INPUT && r->options->config_name)
        return bnn_config_blame(r->options->config_name, r->options->sets, r->options->set_count, status,
                                error);
    if (!status && !(*text = bnn_config_dump(resolved, true)))
        status = bnn_no_memory(error, "config.json", 1, 0);
    return status;
}

/* ---- failures ------------------------------------------------------------------------------------------ */

/* Why a run cannot go on: what happened, when, where to look for the cause, and what is left of the run. */
static bnn_status stopped(const run *r, size_t epoch, const char *what, const char *where, bnn_error *error)
{
    return bnn_fail(error, BNN_FAILED, "%s in epoch %zu, step %zu%s%s; last good checkpoint: %s", what, epoch,
                    r->at.step, *where ? ": " : "", where,
                    r->checkpointed ? r->directory.checkpoint : "none so far");
}

/* Files that could be written when the run began cannot any more: that is no fault of the input. */
static bnn_status lost(const run *r, bnn_error *error)
{
    if (!error) return BNN_FAILED;
    const bnn_error reason = *error;
    return bnn_fail(error, BNN_FAILED, "%s; is %s still where it was when the run began?", reason.message,
                    r->options->directory);
}

/* Predictions, or the memory for them, have failed. */
static bnn_status unpredictable(const run *r, const char *reason, bnn_error *error)
{
    char where[256];
    bnn_locate_divergence(r->model, NULL, NULL, where, sizeof where);
    return stopped(r, r->at.epoch + 1, reason, where, error);
}

/* A figure has become NaN or infinite; `gradient`: that of this step is at hand. */
static bnn_status diverged(const run *r, size_t epoch, const char *figure, double value, bool gradient,
                           bnn_error *error)
{
    char what[80], where[256];
    snprintf(what, sizeof what, "%s became %s", figure, bnn_number_text(value, (char[BNN_NUMBER_TEXT]){0}));
    bnn_locate_divergence(r->model, gradient ? bnn_engine_mu_gradient(r->engine) : NULL,
                          gradient ? bnn_engine_scale_gradient(r->engine) : NULL, where, sizeof where);
    return stopped(r, epoch, what, where, error);
}

/* For train.detect_anomaly: after the passes of a step, or after its update. */
static bnn_status detect(const run *r, size_t epoch, bool updated, bnn_error *error)
{
    char what[256];
    if (!r->config->train.detect_anomaly) return BNN_OK;
    const bool found = bnn_find_anomaly(r->model, updated ? NULL : r->engine, !r->at.map, what, sizeof what);
    return found ? stopped(r, epoch, what, "", error) : BNN_OK;
}

/* ---- the trigger --------------------------------------------------------------------------------------- */

static bnn_predict_options validation_options(const run *r)
{
    const bool group_averaged = r->config->eval.predictive == BNN_PREDICT_GROUP_AVERAGED;
    return (bnn_predict_options){.average_over = group_averaged ? r->model->group : NULL,
                                 .samples = at_mean(r) ? 1 : r->config->eval.samples,
                                 .mean = at_mean(r),
                                 .draws = (bnn_draws)r->config->eval.draws,
                                 .seed = r->config->seed,
                                 .purpose = BNN_STREAM_VALIDATION_NOISE,
                                 .threads = r->options->threads,
                                 .stop = r->options->stop};
}

/* The ELBO at N0 as q is now, on some training images. */
static bnn_status measure_elbo(const run *r, const bnn_dataset *some, double *elbo, double *kl,
                               bnn_error *error)
{
    bnn_predict_options options = validation_options(r);
    bnn_metrics *metrics;
    bnn_error reason;
    options.average_over = NULL;
    options.stop = NULL; /* q is symmetrized as a whole */
    if (bnn_evaluate(r->model, some, &options, &metrics, &reason))
        return unpredictable(r, reason.message, error);
    *kl = bnn_posterior_kl(r->model->posterior);
    *elbo = -metrics->expected_nll * (double)r->train->count - *kl;
    bnn_metrics_free(metrics);
    return BNN_OK;
}

/* Symmetrizes q; what that changed of a trained one goes into the log. */
static bnn_status symmetrize(run *r, size_t epochs_done, bnn_error *error)
{
    const size_t count = r->train->count, images = count < CHANGE_IMAGES ? count : CHANGE_IMAGES;
    const bool measured = epochs_done > 0 && !at_mean(r);
    bnn_change change = {.images = measured ? images : 0};
    bnn_dataset *some = NULL;
    size_t indices[CHANGE_IMAGES];
    for (size_t i = 0; i < images; i++) indices[i] = i * count / images;
    bnn_status status = bnn_dataset_subset(r->train, indices, images, &some, error);
    if (!status && measured) status = measure_elbo(r, some, &change.elbo_before, &change.kl_before, error);
    if (!status) status = r->mode->symmetrize(r->symmetry, epochs_done == 0, r->model, error);
    if (!status && measured) status = measure_elbo(r, some, &change.elbo_after, &change.kl_after, error);
    bnn_dataset_free(some);
    r->at.change = change;
    return status;
}

static bnn_status trigger(run *r, size_t epochs_done, bnn_error *error)
{
    const bnn_change *change = &r->at.change;
    if (r->mode->replaces_network) unequip(r);
    const bnn_status status = symmetrize(r, epochs_done, error);
    if (status) return status;
    r->at.triggered = true;
    r->at.best_nll = INFINITY; /* earlier models were not symmetrized */
    say(r, "symmetrized (%s) after %zu epochs, %zu parameters%s", r->mode->row.name, epochs_done,
        r->model->posterior->count,
        r->mode->ties_weights ? ", of which those of an orbit share one noise value" : "");
    if (change->images)
        say(r, "ELBO at N0 %.1f before it and %.1f after it, KL %.1f and %.1f", change->elbo_before,
            change->elbo_after, change->kl_before, change->kl_after);
    if (r->mode->replaces_network) return equip(r, error);
    if (!r->config->symmetrization.keep_optimizer_state) bnn_optimizer_reset(r->optimizer);
    r->optimizer->trained = r->at.sigma_trained;
    r->optimizer->begins = true;
    return BNN_OK;
}

/* After train.map_epochs sigma enters, with an optimiser that remembers nothing. */
static bnn_status end_map(run *r, bnn_error *error)
{
    r->at.map = false;
    say(r, "sigma enters after %zu epochs at w = mu", r->config->train.map_epochs);
    return equip(r, error);
}

static bool trigger_is_due(const run *r, size_t epochs_done, double accuracy)
{
    if (!r->mode->trigger_epoch || r->at.triggered) return false;
    const size_t epoch = r->mode->trigger_epoch(r->config);
    const double wanted = r->config->symmetrization.trigger_accuracy;
    return (epoch != SIZE_MAX && epochs_done >= epoch) || (wanted > 0 && accuracy >= wanted);
}

/* ---- what it costs --------------------------------------------------------------------------------------- */

/* The epoch (from 0) at which a step will cost something else, or train.epochs. */
static size_t end_of_pace(const run *r)
{
    size_t end = r->at.map ? r->config->train.map_epochs : r->config->train.epochs;
    if (r->mode->replaces_network && !r->at.triggered && r->mode->trigger_epoch(r->config) < end)
        end = r->mode->trigger_epoch(r->config);
    return end;
}

static double images_per_step(const run *r)
{
    return (double)(r->config->train.batch_size * r->plan.views * samples_of(r));
}

/* Says what the epochs from `epoch` on will cost, once `steps` of its steps, which took some seconds, are enough to tell. */
static void tell_cost(run *r, size_t epoch, size_t steps, double seconds)
{
    const size_t batches = r->batches->batches, end = end_of_pace(r);
    const bnn_cost cost = {.from = epoch,
                           .end = end,
                           .epochs = r->config->train.epochs,
                           .seconds = seconds / (double)steps * (double)batches,
                           .rate = images_per_step(r) * (double)steps / seconds,
                           .threads = r->options->threads,
                           .validates = r->validation != NULL};
    char line[BNN_LINE];
    if (r->told || (seconds < PACE_SECONDS && steps < batches)) return;
    r->told = true;
    say(r, "%s", bnn_log_cost(&cost, line));
}

static double whole_kl_weight(const run *r, size_t n)
{
    return isnan(r->config->train.kl_weight) ? 1 / (double)n : r->config->train.kl_weight;
}

/* ---- what is kept ------------------------------------------------------------------------------------------ */

/* Predicts some images: the parameters that an epoch ends with are seen by no step, and finite ones may predict NaN. */
static bnn_status probe(const run *r, size_t images, bool stoppable, bnn_error *error)
{
    bnn_predict_options options = validation_options(r);
    bnn_error reason;
    if (!stoppable) options.stop = NULL;
    const bnn_status status = bnn_check_predictions(r->model, r->train, images, &options, &reason);
    if (!status || status == BNN_INTERRUPTED) return status;
    return unpredictable(r, reason.message, error);
}

/* By the predictive that the model will be used with: the best model is that of the best predictions. At w = mu there is none to
 * be used yet. */
static bnn_status validate(const run *r, bnn_epoch *log, bnn_error *error)
{
    const bnn_predict_options options = validation_options(r);
    bnn_error reason;
    bnn_metrics *metrics;
    const bnn_status status = bnn_evaluate(r->model, r->validation, &options, &metrics, &reason);
    if (status == BNN_INTERRUPTED) return status;
    if (status) return unpredictable(r, reason.message, error);
    log->validated = true;
    log->validation_accuracy = metrics->accuracy;
    log->validation_nll = metrics->nll;
    log->validation_balanced_accuracy = metrics->balanced_accuracy;
    log->validation_balanced_nll = metrics->balanced_nll;
    bnn_metrics_free(metrics);
    if (isfinite(log->validation_nll)) return BNN_OK;
    return diverged(r, log->epoch, "the validation loss", log->validation_nll, false, error);
}

/* Every parameter, and the KL that they give. */
static bnn_status check_posterior(const run *r, bnn_error *error)
{
    const double kl = r->model->posterior->family->point ? 0 : bnn_posterior_kl(r->model->posterior);
    bnn_error reason;
    if (bnn_check_parameters(r->model, r->optimizer, &reason))
        return stopped(r, r->at.epoch + 1, "the run diverged", reason.message, error);
    return isfinite(kl) ? BNN_OK : diverged(r, r->at.epoch + 1, "the KL", kl, false, error);
}

static bnn_status save_checkpoint(run *r, bnn_error *error)
{
    bnn_status status = BNN_OK;
    if (bnn_rank() == 0)
        status = bnn_checkpoint_save(r->directory.checkpoint, r->model, r->optimizer, &r->at, r->line,
                                     r->config_text, error);
    r->checkpointed = r->checkpointed || !status;
    r->saved = bnn_seconds();
    return status;
}

/* A checkpoint within an epoch. Nothing is saved before it has been found finite: the parameters, and the predictions of some
 * images, which a stop does not keep from being made. */
static bnn_status save_midway(run *r, bnn_error *error)
{
    bnn_status status = check_posterior(r, error);
    if (!status) status = probe(r, PROBE_IMAGES, false, error);
    return status ? status : save_checkpoint(r, error);
}

/* ---- an epoch ------------------------------------------------------------------------------------------ */

static double learning_rate_scale(const run *r, size_t epoch, size_t step)
{
    const bnn_config *c = r->config;
    return bnn_schedule_scale((bnn_schedule)c->train.schedule, epoch, c->train.epochs) *
           bnn_warmup_scale(step, c->train.lr_warmup_steps);
}

/* What the step's items tell of the mean NLL of the data as it is, which data.balance weights or samples otherwise. */
static double data_nll(const run *r)
{
    const size_t items = r->config->train.batch_size;
    double sum = 0;
    for (size_t i = 0; i < items; i++) sum += r->batches->counts[i] * bnn_engine_item_nll(r->engine, i);
    return sum / (double)items;
}

/* Batch `index` of an epoch; `first`: none of it has been run before. */
static bnn_status run_step(run *r, size_t epoch, size_t index, bool first, bnn_error *error)
{
    const double beta = whole_kl_weight(r, r->plan.count_factor * r->train->count);
    bnn_batches_fill(r->batches, index, r->options->threads);
    if (at_mean(r))
        bnn_engine_centre(r->engine);
    else
        bnn_engine_draw(r->engine, r->config->seed, BNN_STREAM_TRAIN_NOISE, r->at.step);
    r->at.step++;
    if (first || r->config->train.free_bits > 0)
        bnn_kl_factors(r->config, r->model->posterior, epoch, bnn_engine_kl_factors(r->engine));
    memcpy(bnn_engine_item_weights(r->engine), r->batches->weights,
           r->config->train.batch_size * sizeof *r->batches->weights);
    const bnn_step step = bnn_engine_step(r->engine, r->batches->images, r->batches->labels, beta);
    bnn_status status = detect(r, epoch + 1, false, error);
    if (status) return status;
    bnn_real *mu_gradient = bnn_engine_mu_gradient(r->engine);
    bnn_real *scale_gradient = at_mean(r) ? NULL : bnn_engine_scale_gradient(r->engine);
    if (r->at.triggered && bnn_mode_holds(r->config)) {
        bnn_symmetry_project(r->symmetry, mu_gradient);
        if (scale_gradient) bnn_symmetry_project(r->symmetry, scale_gradient);
    }
    const double norm =
        bnn_gradient_norm(mu_gradient, scale_gradient, r->model->posterior->count, r->options->threads);
    if (!isfinite(step.nll)) return diverged(r, epoch + 1, "the loss", step.nll, true, error);
    if (!isfinite(norm)) return diverged(r, epoch + 1, "the norm of the gradient", norm, true, error);
    const bnn_descent descent = {.lr_scale = learning_rate_scale(r, epoch, r->at.step - 1),
                                 .gradient_factor = bnn_clip_factor(norm, r->config->train.clip_norm),
                                 .mu_gradient = mu_gradient,
                                 .scale_gradient = scale_gradient,
                                 .kl_weight = bnn_engine_kl_weight(r->engine),
                                 .sigma = bnn_engine_sigma(r->engine),
                                 .threads = r->options->threads};
    bnn_optimizer_step(r->optimizer, &descent, r->model->posterior);
    status = detect(r, epoch + 1, true, error);
    if (status) return status;
    bnn_health_step(&r->health, descent.gradient_factor < 1);
    r->at.sigma_trained = r->at.sigma_trained || !r->at.map;
    bnn_posterior_learn_prior(r->model->posterior);
    r->at.nll += step.nll;
    r->at.data_nll += data_nll(r);
    r->at.gradient_norm += norm;
    r->at.correct += (double)step.correct;
    r->at.batch = index + 1;
    return BNN_OK;
}

/* What is to be done before a step: what depends on the clock and on signals, rank 0 decides for all. */
typedef enum demand { GO_ON, SAVE, STOP } demand;

static demand demanded(const run *r, bool may_save)
{
    const double unsaved = bnn_seconds() - r->saved;
    const bool due = may_save && unsaved >= 60 * r->config->train.checkpoint_minutes;
    demand found = is_stopped(r) ? STOP : due ? SAVE : GO_ON;
    bnn_ranks_tell(&found, sizeof found);
    return found;
}

/* The batches of an epoch that are left. */
static bnn_status run_batches(run *r, size_t epoch, bnn_error *error)
{
    const size_t batches = r->batches->batches, first = r->at.batch;
    const double start = bnn_seconds(), before = r->at.seconds;
    bnn_posterior_learn_prior(r->model->posterior); /* a new one, or one that was symmetrized */
    bnn_batches_shuffle(r->batches, epoch);
    for (size_t b = first; b < batches; b++) {
        const demand now = demanded(r, b > first);
        if (now == STOP) return BNN_INTERRUPTED;
        bnn_status status = now == SAVE ? save_midway(r, error) : BNN_OK;
        if (!status) status = run_step(r, epoch, b, b == first, error);
        r->at.seconds = before + bnn_seconds() - start;
        if (status) return status;
        tell_cost(r, epoch, b + 1 - first, bnn_seconds() - start);
        if (r->options->callbacks.step)
            r->options->callbacks.step(r->options->callbacks.context, epoch + 1, r->config->train.epochs,
                                       (double)(b + 1) / (double)batches, r->at.nll / (double)(b + 1));
    }
    return BNN_OK;
}

/* The figures of an epoch whose batches are done. */
static void fill_log(const run *r, size_t epoch, bnn_epoch *log)
{
    const bnn_config *c = r->config;
    const double batches = (double)r->batches->batches;
    *log = (bnn_epoch){.epoch = epoch + 1,
                       .epochs = c->train.epochs,
                       .stage = r->at.triggered ? 2 : 1,
                       .map = r->at.map,
                       .n = r->plan.count_factor * r->train->count,
                       .n_base = r->train->count,
                       .train_nll = r->at.nll / batches,
                       .data_nll = r->at.data_nll / batches,
                       .gradient_norm = r->at.gradient_norm / batches,
                       .train_accuracy = r->at.correct / (batches * (double)c->train.batch_size),
                       .seconds = r->at.seconds,
                       .image_samples_per_second = images_per_step(r) * batches / r->at.seconds,
                       .kl = bnn_posterior_kl(r->model->posterior),
                       .change = r->at.change};
    log->kl_weight = whole_kl_weight(r, log->n) * bnn_kl_ramp(c, epoch);
    log->learning_rate = c->train.optimizer.options.lr * learning_rate_scale(r, epoch, r->at.step - 1);
    log->objective = at_mean(r) ? NAN : -log->train_nll * (double)log->n - log->kl;
    if (r->batches->balance == BNN_BALANCE_NONE) log->data_nll = log->train_nll; /* to the last bit */
    log->elbo = at_mean(r) ? NAN : -log->data_nll * (double)log->n_base - log->kl;
}

/* ---- the end of an epoch ---------------------------------------------------------------------------------- */

/* Nothing is saved before it has been found finite: the parameters and, on the images at hand, the predictions. */
static bnn_status judge(run *r, bnn_epoch *log, bnn_error *error)
{
    const bool last = log->epoch == log->epochs;
    const bool due = last || log->epoch % r->config->eval.every == 0;
    const bnn_status status = check_posterior(r, error);
    if (status) return status;
    if (due && r->validation) return validate(r, log, error);
    return probe(r, last ? r->config->train.batch_size : PROBE_IMAGES, true, error);
}

/* What the best model has least of: classes count as in training. */
static double validation_loss(const run *r, const bnn_epoch *log)
{
    return r->config->data.balance == BNN_BALANCE_NONE ? log->validation_nll : log->validation_balanced_nll;
}

/* The model, where it is the best so far, then the log's line, then the checkpoint that counts on both: a run that dies in
 * between does the epoch again. */
static bnn_status keep(run *r, const bnn_epoch *log, bnn_error *error)
{
    const bool better = log->validated && !log->map && validation_loss(r, log) < r->at.best_nll;
    char *line = bnn_log_line(log, r->model, false), *timed = bnn_log_line(log, r->model, true);
    bnn_status status = line && timed ? BNN_OK : bnn_no_memory(error, "a log line", 1, 0);
    free(r->line);
    r->line = line;
    const bool writes = bnn_rank() == 0;
    if (!status && writes && (r->keep_best ? better : log->epoch == log->epochs)) {
        const char *const metadata[] = {"training", line};
        status = bnn_model_save(r->model, r->directory.model, metadata, 1, NULL, 0, error);
    }
    if (!status && writes) status = bnn_append_line(r->directory.metrics, timed, error);
    if (!status) {
        r->at.epoch = log->epoch;
        r->at.batch = 0;
        r->at.accuracy = log->train_accuracy;
        r->at.change = (bnn_change){0};
        r->at.nll = r->at.data_nll = r->at.gradient_norm = r->at.correct = r->at.seconds = 0;
        if (better) r->at.best_nll = validation_loss(r, log);
        status = save_checkpoint(r, error);
    }
    free(timed);
    return status;
}

static bnn_status run_epoch(run *r, bnn_error *error)
{
    const size_t epoch = r->at.epoch;
    bnn_epoch log;
    bnn_status status = BNN_OK;
    if (r->at.map && epoch == r->config->train.map_epochs) status = end_map(r, error);
    if (!status && trigger_is_due(r, epoch, r->at.accuracy)) status = trigger(r, epoch, error);
    if (!status) status = bnn_health_begin(&r->health, r->model, epoch, r->at.batch == 0, error);
    if (!status) status = run_batches(r, epoch, error);
    if (status) return status;
    fill_log(r, epoch, &log);
    status = judge(r, &log, error);
    if (!status) status = keep(r, &log, error);
    if (status) return status;
    if (r->options->callbacks.epoch) r->options->callbacks.epoch(r->options->callbacks.context, &log);
    bnn_health_end(&r->health, r->model, &log, &r->options->callbacks);
    return BNN_OK;
}

static bnn_status train_epochs(run *r, bnn_error *error)
{
    bnn_status status = BNN_OK;
    while (!status && r->at.epoch < r->config->train.epochs) status = run_epoch(r, error);
    const bool interrupted = status == BNN_INTERRUPTED;
    if (interrupted) status = save_midway(r, error);
    if (status == BNN_BAD_INPUT) return lost(r, error);
    if (status || !interrupted) return status;
    return bnn_fail(error, BNN_INTERRUPTED,
                    "interrupted in epoch %zu; checkpoint: %s; the same command with --resume goes on",
                    r->at.epoch + 1, r->directory.checkpoint);
}

/* ---- a run --------------------------------------------------------------------------------------------- */

/* What the user should know before the epochs begin. */
static void introduce(const run *r)
{
    const size_t n = r->plan.count_factor * r->train->count;
    const char *unread;
    char reason[512];
    say(r, "%s, group %s, mode %s: %zu parameters, %zu training images, N = %zu, beta = %g",
        bnn_network_type_row((size_t)r->config->model.type)->name, r->config->group, r->mode->row.name,
        r->model->posterior->count, r->train->count, n, whole_kl_weight(r, n));
    if (!bnn_config_gives(r->config, "group"))
        say(r, "group is not set: %s, and no symmetry is asked for", r->config->group);
    if (r->plan.count_factor > 1)
        say(r, "every base image counts %zu times in the likelihood (N = |G| N0), as published",
            r->plan.count_factor);
    for (size_t i = 0; (unread = bnn_config_unread(r->config, &i));)
        say(r, "%s is set, but nothing that is chosen reads it", unread);
    if (r->mode->symmetrize &&
        !bnn_network_commutes(r->model->group, r->model->network, reason, sizeof reason))
        say(r, "no exact equivariance, whatever q: %s", reason);
    if (!r->directory.locked)
        say(r, "%s: cannot be locked on this file system, so start no second run there meanwhile",
            r->options->directory);
}

/* What the data is like, as training begins. */
static bnn_status describe_data(const run *r, bnn_error *error)
{
    const bnn_train_callbacks *to = &r->options->callbacks;
    const bnn_range trained = r->train->pixels;
    char line[BNN_LINE];
    if (!to->message) return BNN_OK;
    bnn_describe_preparation(r->config, to->message, to->context);
    const bnn_status status =
        bnn_describe_training_data(r->train, r->config->model.classes, to->message, to->context, error);
    if (r->validation && bnn_range_warning("the validation images", trained, r->validation->pixels, line))
        say(r, "%s", line);
    if (bnn_range_warning("the test images", trained, r->test_pixels, line)) say(r, "%s", line);
    bnn_batches_describe(r->batches, to->message, to->context);
    if (r->keep_best && r->batches->balance != BNN_BALANCE_NONE)
        say(r, "the best epoch has the least validation NLL averaged over classes");
    if (isnan(r->test_pixels.least)) say(r, "the data has no test images: bnn eval will need --images");
    return status;
}

/* Model, optimiser and progress <- the checkpoint's. */
static bnn_status take_over(run *r, bnn_checkpoint *checkpoint, bnn_error *error)
{
    const char *path = r->directory.checkpoint;
    unequip(r);
    bnn_model_free(r->model);
    r->model = checkpoint->model;
    checkpoint->model = NULL;
    r->model->config.train = r->config->train; /* the keys that may change are of this section */
    r->at = checkpoint->progress;
    r->line = checkpoint->line ? strdup(checkpoint->line) : NULL;
    if (checkpoint->line && !r->line) return bnn_no_memory(error, path, strlen(checkpoint->line), 1);
    bnn_status status = bnn_mode_restore(path, r->model, error);
    if (!status) status = equip(r, error);
    if (!status) status = bnn_checkpoint_restore(checkpoint, r->optimizer, error);
    return status;
}

/* Goes on where the directory's checkpoint left off. */
static bnn_status resume(run *r, bnn_error *error)
{
    bnn_checkpoint checkpoint;
    bnn_status status = bnn_checkpoint_load(r->directory.checkpoint, &checkpoint, error);
    if (!status)
        status =
            bnn_checkpoint_check(r->directory.checkpoint, &checkpoint, r->config, r->batches->batches, error);
    if (!status) status = take_over(r, &checkpoint, error);
    if (!status)
        status =
            bnn_run_directory_resume(&r->directory, r->at.epoch, checkpoint.config, r->config_text, error);
    bnn_checkpoint_free(&checkpoint);
    if (status) return status;
    r->checkpointed = true;
    r->saved = bnn_seconds();
    if (r->at.epoch == r->config->train.epochs)
        say(r, "%s: the run has all its %zu epochs already", r->options->directory, r->at.epoch);
    else
        say(r, "resumed after %zu epochs and %zu of %zu batches", r->at.epoch, r->at.batch,
            r->batches->batches);
    return BNN_OK;
}

static void tear_down(run *r)
{
    unequip(r);
    bnn_health_free(&r->health);
    bnn_run_directory_close(&r->directory);
    bnn_batches_free(r->batches);
    bnn_grid_action_free(r->action);
    bnn_model_free(r->model);
    bnn_dataset_free(r->validation);
    bnn_dataset_free(r->train);
    free(r->config_text);
    free(r->line);
}

/* That ranks train the same on the same. */
static bnn_status agree_on_run(const run *r, bnn_error *error)
{
    char sha256[BNN_SHA256];
    bnn_sha256(r->config_text, strlen(r->config_text), sha256);
    bnn_status status = bnn_ranks_agree("configuration", sha256, error);
    if (!status) status = bnn_dataset_agree("training images", r->train, error);
    if (!status && r->validation) status = bnn_dataset_agree("validation images", r->validation, error);
    return status;
}

bnn_status bnn_train(const bnn_config *config, const bnn_train_options *options, bnn_error *error)
{
    run r = {.options = options, .directory = {.descriptor = -1}, .saved = bnn_seconds()};
    bnn_config resolved;
    bool resumed = false;
    const bnn_run_found found = options->resume      ? BNN_RUN_RESUME
                                : options->overwrite ? BNN_RUN_REPLACE
                                                     : BNN_RUN_REFUSE;
    bnn_status status = set_up(&r, config, &resolved, &r.config_text, error);
    if (!status) status = agree_on_run(&r, error);
    if (!status)
        status = bnn_run_directory_open(options->directory, r.config_text, options->write_config, found,
                                        &r.directory, &resumed, error);
    if (!status && resumed) status = resume(&r, error);
    if (!status) {
        introduce(&r);
        status = describe_data(&r, error);
    }
    if (!status) {
        status = train_epochs(&r, error);
        if (!status && r.mode->symmetrize && !r.at.triggered)
            say(&r, "symmetrization.trigger_accuracy %g was never reached: the posterior is not symmetrized",
                config->symmetrization.trigger_accuracy);
    }
    tear_down(&r);
    return status;
}

bnn_status bnn_train_dry_run(const bnn_config *config, const bnn_train_options *options, char **text,
                             bnn_error *error)
{
    run r = {.options = options, .directory = {.descriptor = -1}};
    bnn_config resolved;
    bnn_status status = set_up(&r, config, &resolved, text, error);
    tear_down(&r);
    return status;
}
