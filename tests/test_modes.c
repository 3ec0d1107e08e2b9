/* Short trainings by the library call: what every mode leaves behind, and what a run writes. */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "bnn/batch.h"
#include "bnn/evaluate.h"
#include "bnn/model.h"
#include "bnn/numeric.h"
#include "bnn/settings.h"
#include "bnn/splits.h"
#include "bnn/symmetry.h"
#include "bnn/train.h"
#include "images.h"
#include "layers.h"

enum { MOST_EPOCHS = 32 };

typedef struct history {
    size_t count;
    bnn_epoch epochs[MOST_EPOCHS];
} history;

static void remember(void *context, const bnn_epoch *epoch)
{
    history *h = context;
    assert_true(h->count < MOST_EPOCHS);
    h->epochs[h->count++] = *epoch;
}

#define SETS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Trains in directory `out` of the temporary one by the small configuration under `sets`. */
static bnn_status try_training(const char *out, int threads, const char *const *sets, history *h,
                               bnn_error *error)
{
    char text[1024], directory[256];
    bnn_config config;
    size_t count = 0;
    while (sets[count]) count++;
    *h = (history){0};
    *error = (bnn_error){BNN_OK, ""};
    snprintf(directory, sizeof directory, "%s", in_temporary(out));
    const bnn_train_options options = {.directory = directory,
                                       .overwrite = true,
                                       .threads = threads,
                                       .callbacks = {.context = h, .epoch = remember}};
    bnn_status status =
        bnn_settings_parse("c.json", small_config(text, sizeof text), sets, count, &config, error);
    return status ? status : bnn_train(&config, &options, error);
}

static history train(const char *out, const char *const *sets)
{
    history h;
    bnn_error error;
    if (try_training(out, 1, sets, &h, &error)) fail_msg("%s", error.message);
    return h;
}

static bnn_model *load(const char *out, bnn_safetensors **file)
{
    char path[320];
    bnn_model *model = NULL;
    bnn_error error;
    snprintf(path, sizeof path, "%s/model.bin", in_temporary(out));
    if (bnn_model_load(path, &model, file, &error)) fail_msg("%s", error.message);
    return model;
}

static double residual(const char *out)
{
    bnn_symmetry *symmetry = NULL;
    bnn_certificate *certificate = NULL;
    bnn_error error;
    bnn_model *model = load(out, NULL);
    if (bnn_symmetry_create(model->group, model->network, &symmetry, &error) ||
        bnn_certify(symmetry, model->posterior, &certificate, &error))
        fail_msg("%s", error.message);
    const double result = certificate->residual;
    bnn_certificate_free(certificate);
    bnn_symmetry_free(symmetry);
    bnn_model_free(model);
    return result;
}

/* The bytes of a file of a run; freed by the caller. */
static uint8_t *read_output(const char *out, const char *name, size_t *size)
{
    char path[320];
    uint8_t *bytes = malloc(1 << 20);
    assert_non_null(bytes);
    snprintf(path, sizeof path, "%s/%s", in_temporary(out), name);
    *size = get_file(path, bytes, 1 << 20);
    assert_true(*size < 1 << 20);
    return bytes;
}

static bool same_output(const char *a, const char *b, const char *name)
{
    size_t sizes[2];
    uint8_t *bytes[2] = {read_output(a, name, &sizes[0]), read_output(b, name, &sizes[1])};
    const bool same = sizes[0] == sizes[1] && memcmp(bytes[0], bytes[1], sizes[0]) == 0;
    free(bytes[0]);
    free(bytes[1]);
    return same;
}

/* Whether two runs ended with the same means. */
static bool same_means(const char *a, const char *b)
{
    bnn_model *first = load(a, NULL), *second = load(b, NULL);
    assert_int_equal(first->posterior->count, second->posterior->count);
    const bool same =
        memcmp(first->posterior->mu, second->posterior->mu, first->posterior->count * sizeof(bnn_real)) == 0;
    bnn_model_free(first);
    bnn_model_free(second);
    return same;
}

/* ---- what the posterior is at the end -------------------------------------------------------------------- */

static const char *const triggered_modes[] = {"average", "project", "orbit-expansion", "tie", "equivariant"};

/* A held posterior is invariant bit for bit after training: every mode, optimiser, group and architecture. */
static void check_held(const char *mode, const char *optimizer, const char *group, const char *type)
{
    char mode_set[64], optimizer_set[64], group_set[64], type_set[64];
    const bool expansion = strcmp(mode, "orbit-expansion") == 0,
               tie = strcmp(mode, "tie") == 0 || strcmp(mode, "equivariant") == 0;
    snprintf(mode_set, sizeof mode_set, "symmetrization.mode=%s", mode);
    snprintf(optimizer_set, sizeof optimizer_set, "train.optimizer.name=%s", optimizer);
    snprintf(group_set, sizeof group_set, "group=%s", group);
    snprintf(type_set, sizeof type_set, "model.type=%s", type);
    const history h =
        train("held", SETS(mode_set, optimizer_set, group_set, type_set,
                           expansion ? "model.channels=[1, 2]" : "model.channels=[8, 8]",
                           expansion ? "model.hidden=[2]" : "model.hidden=[8]",
                           strcmp(optimizer, "ivon") == 0 ? "prior.std=learned" : "prior.std=1",
                           tie ? NULL : "symmetrization.hold=true", "symmetrization.augmentation=none",
                           expansion ? "symmetrization.stage1_epochs=1" : NULL));
    assert_int_equal(h.epochs[1].n, IMAGES); /* N = N0 */
    assert_int_equal(h.epochs[1].stage, 2);
    const double found = residual("held");
    if (found != 0) fail_msg("%s %s %s %s: residual %g", mode, optimizer, group, type, found);
}

static void held_posteriors_stay_invariant(void **state)
{
    static const char *const optimizers[] = {"sgd", "adamw", "ivon"}, *const groups[] = {"C4", "D4"};
    static const char *const types[] = {"fcnn", "cnn", "mlp"};
    (void)state;
    for (size_t m = 0; m < 5; m++)
        for (size_t o = 0; o < 3; o++)
            for (size_t g = 0; g < 2; g++)
                for (size_t t = 0; t < 3; t++)
                    check_held(triggered_modes[m], optimizers[o], groups[g], types[t]);
}

static void posteriors_that_are_not_held_drift(void **state)
{
    (void)state;
    train("average", SETS("symmetrization.mode=average"));
    assert_true(residual("average") > 1e-6);
    train("project", SETS("symmetrization.mode=project"));
    assert_true(residual("project") > 1e-6);
    train("expand", SETS("symmetrization.mode=orbit-expansion", "symmetrization.stage1_epochs=1",
                         "model.channels=[1, 2]"));
    assert_true(residual("expand") > 1e-6);
    train("augment", SETS("symmetrization.mode=augment"));
    assert_true(residual("augment") > 0.1); /* nothing ever symmetrized it */
}

static void translations_tie_on_a_torus(void **state)
{
    static const char *const types[] = {"model.type=fcnn", "model.type=mlp", "model.type=cnn"};
    (void)state;
    for (size_t t = 0; t < 3; t++) {
        train("torus", SETS(types[t], "group=T2", "model.padding=circular", "symmetrization.mode=tie"));
        assert_true(residual("torus") == 0);
    }
}

static void the_ring_shift_of_kernels_serves_C8(void **state)
{
    history h;
    bnn_error error;
    (void)state;
    train("ring", SETS("group=C8", "symmetrization.mode=project", "symmetrization.hold=true"));
    assert_true(residual("ring") == 0);
    assert_failure(
        try_training("no", 1, SETS("group=C8", "symmetrization.mode=project", "model.type=cnn"), &h, &error),
        BNN_BAD_INPUT, error, "symmetrization.mode", "C8", "fc", "no exact action");
    assert_failure(
        try_training("no", 1, SETS("group=C8", "symmetrization.mode=tie", "model.type=mlp"), &h, &error),
        BNN_BAD_INPUT, error, "symmetrization.mode", "C8", "fc_layers.0");
    assert_failure(
        try_training("no", 1, SETS("group=C8", "symmetrization.mode=average", "model.kernel=5"), &h, &error),
        BNN_BAD_INPUT, error, "symmetrization.mode", "conv_layers.0");
    assert_int_not_equal(access(in_temporary("no"), F_OK), 0);
}

/* What the trigger would refuse after hours is refused before anything is written. */
static void an_impossible_expansion_is_refused_at_once(void **state)
{
    history h;
    bnn_error error;
    (void)state;
    assert_failure(try_training("no", 1,
                                SETS("group=C8", "symmetrization.mode=orbit-expansion", "model.type=cnn",
                                     "symmetrization.stage1_epochs=1"),
                                &h, &error),
                   BNN_BAD_INPUT, error, "symmetrization.mode", "C8");
    assert_failure(try_training("no", 1,
                                SETS("symmetrization.mode=orbit-expansion", "model.type=mlp",
                                     "model.hidden=[]", "symmetrization.stage1_epochs=1"),
                                &h, &error),
                   BNN_BAD_INPUT, error, "symmetrization.mode");
    assert_int_equal(h.count, 0);
    assert_int_not_equal(access(in_temporary("no"), F_OK), 0);
}

static void expansion_multiplies_the_channels(void **state)
{
    (void)state;
    const history h =
        train("wide", SETS("symmetrization.mode=orbit-expansion", "symmetrization.stage1_epochs=1",
                           "group=D4", "model.channels=[1, 2]"));
    bnn_model *model = load("wide", NULL);
    assert_int_equal(h.epochs[0].stage, 1);
    assert_int_equal(h.epochs[1].stage, 2);
    assert_int_equal(model->network->spec.widths[0], 8);
    assert_int_equal(model->network->spec.widths[1], 16);
    assert_int_equal(model->network->spec.representation, BNN_REGULAR);
    assert_int_equal(model->config.model.channels.value[1], 16);
    bnn_model_free(model);
}

/* A pool after the second convolution alone: every mode and estimator trains so and its model says so; held posteriors stay
 * invariant. 8 x 8 pixels give the cnn a grid of 4 x 4. */
static void pools_may_be_left_out(void **state)
{
    static const char *const types[] = {"model.type=fcnn", "model.type=cnn"};
    (void)state;
    for (size_t m = 0; bnn_modes[m]; m++)
        for (size_t i = 0; i < 2 * 3; i++) {
            char mode[64], estimator[64];
            const bool expands = bnn_modes[m]->replaces_network;
            const bool can_hold = bnn_row_reads(&bnn_modes[m]->row, "symmetrization.hold");
            const bnn_estimator *e = bnn_estimators[i / 2];
            if (bnn_modes[m]->orbit_a_draw && !e->shares_draws) continue;
            if (bnn_modes[m]->ties_weights && e->perturbs) continue;
            snprintf(mode, sizeof mode, "symmetrization.mode=%s", bnn_modes[m]->row.name);
            snprintf(estimator, sizeof estimator, "train.estimator=%s", e->row.name);
            train("pools", SETS(mode, estimator, types[i % 2], "model.pool=[false, true]",
                                "train.batch_size=8", can_hold ? "symmetrization.hold=true" : "seed=2",
                                expands ? "symmetrization.stage1_epochs=1" : NULL));
            bnn_model *model = load("pools", NULL);
            assert_true(model->network->spec.unpooled[0] && !model->network->spec.unpooled[1]);
            assert_int_equal(bnn_network_head(model->network)->shape.in.channels, expands ? 32 : 8);
            assert_int_equal(bnn_network_head(model->network)->shape.in.height, i % 2 ? 4 : 1);
            bnn_model_free(model);
            if (can_hold || bnn_modes[m]->holds) assert_true(residual("pools") == 0);
        }
}

/* ---- how it gets there -------------------------------------------------------------------------------------- */

static void group_elbo_has_three_averages(void **state)
{
    (void)state;
    const history h = train("loss", SETS("symmetrization.mode=group-elbo", "symmetrization.average=loss"));
    train("logits", SETS("symmetrization.mode=group-elbo", "symmetrization.average=logits"));
    train("probs", SETS("symmetrization.mode=group-elbo", "symmetrization.average=probs"));
    train("default", SETS("symmetrization.mode=group-elbo"));
    assert_int_equal(h.epochs[0].n, IMAGES);
    assert_true(same_means("loss", "default"));
    assert_false(same_means("loss", "logits"));
    assert_false(same_means("loss", "probs"));
    assert_false(same_means("logits", "probs"));
}

static void the_objective_counts_its_items(void **state)
{
    (void)state;
    assert_int_equal(train("n", SETS("symmetrization.mode=augment")).epochs[0].n, 4 * IMAGES);
    assert_int_equal(train("n", SETS("symmetrization.mode=none")).epochs[0].n, IMAGES);
    assert_int_equal(train("n", SETS("symmetrization.mode=none", "symmetrization.count=orbit")).epochs[0].n,
                     4 * IMAGES);
    assert_int_equal(train("n", SETS("symmetrization.mode=tie")).epochs[0].n, IMAGES);
    assert_int_equal(train("n", SETS("symmetrization.mode=equivariant")).epochs[0].n, IMAGES);
    const history h = train("n", SETS("symmetrization.mode=augment", "symmetrization.augmentation=random"));
    assert_int_equal(h.epochs[0].n_base, IMAGES);
    assert_close(h.epochs[0].kl_weight, 1.0 / (4 * IMAGES), 1e-12, 0);
}

static void accuracy_can_pull_the_trigger(void **state)
{
    (void)state;
    history h = train("early", SETS("symmetrization.mode=project", "symmetrization.trigger_accuracy=0.01",
                                    "train.epochs=3"));
    assert_int_equal(h.epochs[0].stage, 1);
    assert_int_equal(h.epochs[1].stage, 2);
    h = train("never",
              SETS("symmetrization.mode=project", "symmetrization.trigger_accuracy=1", "train.epochs=3"));
    assert_int_equal(h.epochs[2].stage, 1);
    h = train("late",
              SETS("symmetrization.mode=project", "symmetrization.trigger_epoch=2", "train.epochs=3"));
    assert_int_equal(h.epochs[1].stage, 1);
    assert_int_equal(h.epochs[2].stage, 2);
}

static void buffers_are_cleared_at_the_trigger_unless_kept(void **state)
{
    static const char *const names[] = {"train.optimizer.name=sgd", "train.optimizer.name=adamw",
                                        "train.optimizer.name=ivon"};
    (void)state;
    for (size_t o = 0; o < 3; o++) {
        train("cleared", SETS("symmetrization.mode=project", "symmetrization.trigger_epoch=1", names[o]));
        train("kept", SETS("symmetrization.mode=project", "symmetrization.trigger_epoch=1", names[o],
                           "symmetrization.keep_optimizer_state=true"));
        assert_false(same_means("cleared", "kept"));
    }
    train("held",
          SETS("symmetrization.mode=project", "symmetrization.trigger_epoch=1", "symmetrization.hold=true"));
    assert_true(residual("held") == 0);
    train(
        "curvature", /* a kept curvature would bring the former sigma back; lr 0: a kept momentum does nothing */
        SETS("symmetrization.mode=project", "symmetrization.trigger_epoch=1", "symmetrization.hold=true",
             "symmetrization.keep_optimizer_state=true", "train.optimizer.name=ivon",
             "train.optimizer.beta2=0.9", "train.optimizer.lr=0"));
    assert_true(residual("curvature") == 0);
}

static void the_kl_warms_up(void **state)
{
    (void)state;
    const history h = train("warm", SETS("train.epochs=7", "train.kl_warmup_epochs=2", "train.kl_ramp_end=5",
                                         "data.train_size=16"));
    assert_true(h.epochs[0].kl_weight == 0 && h.epochs[1].kl_weight == 0);
    for (size_t e = 2; e < 5; e++) /* 1/4, 2/4, 3/4 of beta; whole after 5 epochs */
        assert_close(h.epochs[e].kl_weight, (double)(e - 1) / 4 / 64, 1e-12, 0);
    assert_close(h.epochs[5].kl_weight, 1.0 / 64, 1e-12, 0);
    assert_close(h.epochs[6].kl_weight, 1.0 / 64, 1e-12, 0);
}

/* Whether the l-th layer with parameters of two runs' posteriors is the same bit for bit. */
static bool same_layer(const char *a, const char *b, size_t l)
{
    bnn_model *first = load(a, NULL), *second = load(b, NULL);
    const bnn_layer *layer = parameter_layer(first->network, l);
    const size_t at = layer->weight_offset,
                 bytes = (layer->weight_count + layer->bias_count) * sizeof(bnn_real);
    const bool same = memcmp(first->posterior->mu + at, second->posterior->mu + at, bytes) == 0 &&
                      memcmp(first->posterior->rho + at, second->posterior->rho + at, bytes) == 0;
    bnn_model_free(first);
    bnn_model_free(second);
    return same;
}

/* One step of the small network (conv, conv, classifier), so that what a layer's KL did is seen in that layer. */
#define ONE_STEP                                                                                             \
    "train.epochs=1", "data.train_size=16", "train.batch_size=64", "train.clip_norm=0", "train.kl_weight=1"
enum { HEAD = 2 };

static void the_head_may_warm_up_by_itself(void **state)
{
    (void)state;
    train("full", SETS(ONE_STEP));
    train("none", SETS(ONE_STEP, "train.kl_warmup_epochs=1"));
    train("half", SETS(ONE_STEP, "train.kl_ramp_end=1"));
    for (size_t l = 0; l <= HEAD; l++) {
        assert_false(same_layer("full", "none", l) || same_layer("half", "none", l) ||
                     same_layer("half", "full", l));
    }
    train("head", SETS(ONE_STEP, "train.kl_head_warmup_epochs=1"));
    assert_true(same_layer("head", "full", 0) && same_layer("head", "full", 1) &&
                same_layer("head", "none", HEAD));
    train("ramp", SETS(ONE_STEP, "train.kl_warmup_epochs=1", "train.kl_head_warmup_epochs=0",
                       "train.kl_head_ramp_end=1"));
    assert_true(same_layer("ramp", "none", 0) && same_layer("ramp", "none", 1) &&
                same_layer("ramp", "half", HEAD));
}

/* A layer whose KL is within its free bits is not pulled; the others are as without. */
static void free_bits_spare_the_layers_within_them(void **state)
{
    double each[HEAD + 1] = {0}, least = INFINITY, most = 0;
    char set[64];
    (void)state;
    train("full", SETS(ONE_STEP));
    train("none", SETS(ONE_STEP, "train.kl_warmup_epochs=1"));
    train("start", SETS(ONE_STEP, "train.optimizer.lr=0"));
    bnn_model *start = load("start", NULL);
    for (size_t l = 0; l <= HEAD; l++) {
        const bnn_layer *layer = parameter_layer(start->network, l);
        each[l] = bnn_posterior_layer_kl(start->posterior, layer) /
                  (double)(layer->weight_count + layer->bias_count);
        least = fmin(least, each[l]);
        most = fmax(most, each[l]);
    }
    bnn_model_free(start);
    assert_true(most - least > 1e-3);
    snprintf(set, sizeof set, "train.free_bits=%.9g", (least + most) / 2);
    train("free", SETS(ONE_STEP, set));
    for (size_t l = 0; l <= HEAD; l++)
        assert_true(same_layer("free", each[l] < (least + most) / 2 ? "none" : "full", l));
}

/* ---- reproducible ------------------------------------------------------------------------------------------- */

static void the_result_depends_on_the_seed_alone(void **state)
{
    static const char *const sets[] = {"symmetrization.mode=orbit-expansion",
                                       "symmetrization.stage1_epochs=1",
                                       "data.validation_size=16",
                                       "train.samples=3",
                                       "model.channels=[3, 2]",
                                       NULL};
    history h;
    bnn_error error;
    (void)state;
    assert_int_equal(try_training("one", 1, sets, &h, &error), BNN_OK);
    assert_int_equal(try_training("again", 1, sets, &h, &error), BNN_OK);
    assert_int_equal(try_training("two", 2, sets, &h, &error), BNN_OK);
    assert_int_equal(try_training("three", 3, sets, &h, &error), BNN_OK);
    assert_true(same_output("one", "again", "model.bin"));
    assert_true(same_output("one", "two", "model.bin"));
    assert_true(same_output("one", "three", "model.bin"));
    assert_true(same_output("one", "three", "checkpoint.bin"));
    train("five", SETS("data.validation_size=16"));
    train("six", SETS("data.validation_size=16", "seed=6"));
    assert_false(same_means("five", "six"));
}

/* ---- the prior ---------------------------------------------------------------------------------------------- */

/* sqrt(mean((mu - 0)^2 + sigma^2)) over a layer's weights. */
static double best_std(const bnn_posterior *q, const bnn_layer *layer)
{
    double moment = 0;
    for (size_t j = layer->weight_offset; j < layer->bias_offset; j++)
        moment += pow((double)q->mu[j], 2) + pow(bnn_softplus((double)q->rho[j]), 2);
    return sqrt(moment / (double)layer->weight_count);
}

/* A file holds the scales that its posterior was trained under, where the configuration does not say them. */
static void prior_scales_are_kept_in_files(void **state)
{
    static const char *const scales[] = {"prior.std=fan-in", "prior.std=learned", "prior.std=[0.5, 2, 0.25]"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const history h = train("scales", SETS(scales[i], "train.optimizer.name=adamw"));
        bnn_model *model = load("scales", NULL);
        const double fan_in[] = {sqrt(2.0 / 9), sqrt(2.0 / (8 * 9)), sqrt(2.0 / 8)},
                     listed[] = {0.5, 2, 0.25};
        for (size_t l = 0; l < 3; l++) {
            const bnn_layer *layer = parameter_layer(model->network, l);
            const double expected[] = {fan_in[l], best_std(model->posterior, layer), listed[l]};
            assert_close(bnn_posterior_prior_std(model->posterior, layer, false), expected[i], 1e-6, 0);
            if (i != 1)
                assert_true(bnn_posterior_prior_std(model->posterior, layer, true) ==
                            (i == 0 ? 1 : listed[l]));
        }
        assert_close(bnn_posterior_kl(model->posterior), h.epochs[1].kl, 1e-9, 0);
        bnn_model_free(model);
    }
}

/* Into the expanded network, where they are learned on. */
static void expansion_keeps_the_prior_scales(void **state)
{
    (void)state;
    train("small", SETS("symmetrization.mode=none", "model.channels=[1, 2]", "train.epochs=1",
                        "prior.std=fan-in", "data.train_size=16"));
    train("large", SETS("symmetrization.mode=orbit-expansion", "model.channels=[1, 2]", "train.epochs=2",
                        "symmetrization.stage1_epochs=1", "prior.std=fan-in", "data.train_size=16"));
    bnn_model *small = load("small", NULL), *large = load("large", NULL);
    for (size_t l = 0; l < 3; l++)
        for (size_t bias = 0; bias < 2; bias++)
            assert_true(bnn_posterior_prior_std(small->posterior, parameter_layer(small->network, l), bias) ==
                        bnn_posterior_prior_std(large->posterior, parameter_layer(large->network, l), bias));
    bnn_model_free(small);
    bnn_model_free(large);
    train("learned", SETS("symmetrization.mode=orbit-expansion", "model.channels=[1, 2]", "train.epochs=3",
                          "symmetrization.stage1_epochs=1", "prior.std=learned", "train.optimizer.lr=0.5"));
    large = load("learned", NULL);
    for (size_t l = 0; l < 3; l++) {
        const bnn_layer *layer = parameter_layer(large->network, l);
        assert_close(bnn_posterior_prior_std(large->posterior, layer, false),
                     best_std(large->posterior, layer), 1e-6, 0);
    }
    bnn_model_free(large);
}

static void prior_scales_that_fit_no_network_are_refused(void **state)
{
    history h;
    bnn_error error;
    (void)state;
    assert_failure(try_training("no", 1, SETS("prior.std=[1, 2]"), &h, &error), BNN_BAD_INPUT, error,
                   "prior.std: found 2 numbers", "the 3 layers");
    assert_failure(try_training("no", 1, SETS("prior.std=[]"), &h, &error), BNN_BAD_INPUT, error,
                   "prior.std");
    assert_failure(try_training("no", 1, SETS("prior.std=[1, 0, 1]"), &h, &error), BNN_BAD_INPUT, error,
                   "prior.std");
}

/* ---- ivon --------------------------------------------------------------------------------------------------- */

static void ivon_moves_sigma_and_refuses_what_it_cannot_do(void **state)
{
    history h;
    bnn_error error;
    (void)state;
    train("ivon", SETS("train.optimizer.name=ivon", "train.optimizer.beta2=0.9", "train.optimizer.lr=0.1"));
    bnn_model *model = load("ivon", NULL);
    double least = INFINITY, most = 0;
    for (size_t j = 0; j < model->posterior->count; j++) {
        const double sigma = bnn_softplus((double)model->posterior->rho[j]);
        least = fmin(least, sigma), most = fmax(most, sigma);
    }
    assert_true(least > 0 && most <= 1.0001 && most > 1.2 * least); /* never wider than the prior */
    bnn_model_free(model);
    static const char *const keys[] = {"train.kl_warmup_epochs=1", "train.kl_ramp_end=1",
                                       "train.kl_head_warmup_epochs=1", "train.free_bits=0.1",
                                       "train.clip_norm=1"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_failure(try_training("no", 1, SETS("train.optimizer.name=ivon", keys[i]), &h, &error),
                       BNN_BAD_INPUT, error, "ivon", "its sigma is that of the whole KL");
    assert_failure(try_training("no", 1, SETS("train.optimizer.name=ivon", "train.kl_weight=0"), &h, &error),
                   BNN_BAD_INPUT, error, "train.kl_weight", "ivon");
    assert_failure(
        try_training("no", 1, SETS("train.optimizer.name=ivon", "posterior.family=laplace"), &h, &error),
        BNN_BAD_INPUT, error, "ivon");
}

/* ---- what is written ---------------------------------------------------------------------------------------- */

static void the_log_has_a_line_an_epoch(void **state)
{
    static const char *const keys[] = {"epoch",
                                       "stage",
                                       "train_nll",
                                       "kl",
                                       "kl_weight",
                                       "objective",
                                       "elbo",
                                       "elbo_per_example",
                                       "train_accuracy",
                                       "validation_accuracy",
                                       "validation_nll",
                                       "seconds",
                                       "image_samples_per_second"};
    char path[320], line[8192];
    int epochs = 0;
    (void)state;
    const history h = train("log", SETS("train.epochs=3", "data.validation_size=16",
                                        "symmetrization.mode=average", "symmetrization.trigger_epoch=1"));
    snprintf(path, sizeof path, "%s/metrics.jsonl", in_temporary("log"));
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (; fgets(line, sizeof line, file); epochs++) {
        cJSON *json = cJSON_ParseWithOpts(line, NULL, 1);
        assert_non_null(json);
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            if (!cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(json, keys[k]))) fail_msg("no %s", keys[k]);
        assert_int_equal(cJSON_GetObjectItemCaseSensitive(json, "epoch")->valueint, epochs + 1);
        assert_int_equal(cJSON_GetObjectItemCaseSensitive(json, "stage")->valueint, epochs == 0 ? 1 : 2);
        const double nll = h.epochs[epochs].train_nll, kl = h.epochs[epochs].kl;
        assert_close(cJSON_GetObjectItemCaseSensitive(json, "objective")->valuedouble, -nll * 4 * 48 - kl,
                     1e-12, 0); /* N = |G| N0 */
        assert_close(cJSON_GetObjectItemCaseSensitive(json, "elbo")->valuedouble, -nll * 48 - kl, 1e-12, 0);
        assert_close(cJSON_GetObjectItemCaseSensitive(json, "elbo_per_example")->valuedouble, -nll - kl / 48,
                     1e-12, 0);
        cJSON_Delete(json);
    }
    fclose(file);
    assert_int_equal(epochs, 3);
}

/* The first step of four: a quarter of the learning rate. Later ones have all of it. */
static void the_learning_rate_rises(void **state)
{
    (void)state;
#define STEP_AT_ONCE "train.batch_size=64", "data.train_size=16", "train.epochs=1"
    train("risen", SETS(STEP_AT_ONCE, "train.optimizer.lr=0.02"));
    history h = train("rising", SETS(STEP_AT_ONCE, "train.optimizer.lr=0.08", "train.lr_warmup_steps=4"));
    assert_close(h.epochs[0].learning_rate, 0.02, 1e-15, 0);
    assert_true(same_means("rising", "risen"));
    h = train("rising", SETS("train.lr_warmup_steps=24", "train.optimizer.lr=0.02", "train.epochs=2"));
    assert_close(h.epochs[0].learning_rate, 0.02 * 16 / 24, 1e-15, 0);
    assert_close(h.epochs[1].learning_rate, 0.02, 1e-15, 0);
}

/* The epoch that model.bin says it is of. */
static size_t epoch_of(const char *out)
{
    bnn_safetensors *file = NULL;
    bnn_model *model = load(out, &file);
    cJSON *training = cJSON_Parse(bnn_safetensors_metadata(file, "training"));
    assert_non_null(training);
    const int epoch = cJSON_GetObjectItemCaseSensitive(training, "epoch")->valueint;
    cJSON_Delete(training);
    bnn_safetensors_free(file);
    bnn_model_free(model);
    return (size_t)epoch;
}

static void the_best_epoch_on_the_validation_split_is_kept(void **state)
{
    static const char *const sets[] = {"train.epochs=12", "data.validation_size=32",
                                       "train.optimizer.name=adamw", "train.optimizer.lr=0.2", NULL};
    (void)state;
    const history h = train("best", sets);
    size_t best = 0;
    for (size_t e = 0; e < h.count; e++)
        if (h.epochs[e].validation_nll < h.epochs[best].validation_nll) best = e;
    assert_true(best + 1 < h.count); /* or this test could not tell `validation` from `last` */
    assert_int_equal(epoch_of("best"), best + 1);
    train("last", SETS(sets[0], sets[1], sets[2], sets[3], "train.select=last"));
    assert_int_equal(epoch_of("last"), 12);
}

/* The validation figures are those of the configured predictive. */
static void validation_is_by_the_predictive(void **state)
{
    static const char *const sets[] = {"eval.predictive=group-averaged", "eval.predictive=posterior"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        bnn_dataset *training, *validation;
        bnn_metrics *metrics;
        const history h = train("averaged", SETS("data.validation_size=32", "train.select=last", sets[i]));
        bnn_model *model = load("averaged", NULL);
        const bnn_predict_options options = {.average_over = i == 0 ? model->group : NULL,
                                             .samples = model->config.eval.samples,
                                             .seed = model->config.seed,
                                             .purpose = BNN_STREAM_VALIDATION_NOISE,
                                             .threads = 1};
        assert_int_equal(bnn_training_data(&model->config, &training, &validation, NULL), BNN_OK);
        assert_int_equal(bnn_evaluate(model, validation, &options, &metrics, NULL), BNN_OK);
        assert_true(h.epochs[1].validation_nll == metrics->nll);
        bnn_metrics_free(metrics);
        bnn_dataset_free(validation);
        bnn_dataset_free(training);
        bnn_model_free(model);
    }
}

/* Models from before the trigger do not compete: they were not symmetrized. */
static void a_model_from_before_the_trigger_is_not_kept(void **state)
{
    (void)state;
    train("after", SETS("train.epochs=6", "data.validation_size=32", "symmetrization.mode=project",
                        "symmetrization.trigger_epoch=5", "symmetrization.hold=true"));
    assert_int_equal(epoch_of("after"), 6);
    assert_true(residual("after") == 0);
}

static void impossible_data_is_refused_before_anything_is_written(void **state)
{
    history h;
    bnn_error error;
    (void)state;
    assert_failure(try_training("no", 1, SETS("data.train_size=65"), &h, &error), BNN_BAD_INPUT, error,
                   "data.train_size", "65", "64");
    assert_failure(try_training("no", 1, SETS("data.train_size=60", "data.validation_size=5"), &h, &error),
                   BNN_BAD_INPUT, error, "data.validation_size", "60 + 5", "64");
    assert_failure(try_training("no", 1, SETS("data.validation_size=64"), &h, &error), BNN_BAD_INPUT, error,
                   "data.validation_size", "64");
    assert_failure(try_training("no", 1, SETS("train.batch_size=257"), &h, &error), BNN_BAD_INPUT, error,
                   "train.batch_size", "257", "256");
    assert_failure(try_training("no", 1, SETS("model.classes=2"), &h, &error), BNN_BAD_INPUT, error,
                   "train-labels", "label 2 is 2", "expected an integer in 0..1, the classes");
    assert_failure(try_training("no", 1, SETS("model.input=[1, 8, 9]"), &h, &error), BNN_BAD_INPUT, error,
                   "model.input", "[1, 8, 8]");
    assert_failure(try_training("no", 1, SETS("model.channels=[2, 2, 2, 2]", "model.pool=[]"), &h, &error),
                   BNN_BAD_INPUT, error, "model.channels");
    assert_failure(
        try_training("no", 1, SETS("symmetrization.mode=project", "model.channels=[8, 6]"), &h, &error),
        BNN_BAD_INPUT, error, "conv_layers.1", "6", "multiple of 4");
    assert_failure(try_training("no", 1, SETS("data.name=nothing"), &h, &error), BNN_BAD_INPUT, error,
                   "data.name", "nothing", "fashion-mnist");
    assert_int_not_equal(access(in_temporary("no"), F_OK), 0);
}

static void a_run_that_diverges_says_where(void **state)
{
    history h;
    bnn_error error;
    (void)state;
    assert_failure(
        try_training("diverged", 1,
                     SETS("train.clip_norm=0", "train.optimizer.lr=1e6", "train.epochs=20", "model.type=mlp"),
                     &h, &error),
        BNN_FAILED, error, "epoch", "step", "fc_layers", "checkpoint");
}

static int set_up(void **state)
{
    if (make_temporary_directory(state)) return -1;
    put_data_set();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_learning_rate_rises),
        cmocka_unit_test(held_posteriors_stay_invariant),
        cmocka_unit_test(posteriors_that_are_not_held_drift),
        cmocka_unit_test(translations_tie_on_a_torus),
        cmocka_unit_test(the_ring_shift_of_kernels_serves_C8),
        cmocka_unit_test(an_impossible_expansion_is_refused_at_once),
        cmocka_unit_test(expansion_multiplies_the_channels),
        cmocka_unit_test(pools_may_be_left_out),
        cmocka_unit_test(group_elbo_has_three_averages),
        cmocka_unit_test(the_objective_counts_its_items),
        cmocka_unit_test(accuracy_can_pull_the_trigger),
        cmocka_unit_test(buffers_are_cleared_at_the_trigger_unless_kept),
        cmocka_unit_test(the_kl_warms_up),
        cmocka_unit_test(the_head_may_warm_up_by_itself),
        cmocka_unit_test(free_bits_spare_the_layers_within_them),
        cmocka_unit_test(the_result_depends_on_the_seed_alone),
        cmocka_unit_test(prior_scales_are_kept_in_files),
        cmocka_unit_test(expansion_keeps_the_prior_scales),
        cmocka_unit_test(prior_scales_that_fit_no_network_are_refused),
        cmocka_unit_test(ivon_moves_sigma_and_refuses_what_it_cannot_do),
        cmocka_unit_test(the_log_has_a_line_an_epoch),
        cmocka_unit_test(the_best_epoch_on_the_validation_split_is_kept),
        cmocka_unit_test(validation_is_by_the_predictive),
        cmocka_unit_test(a_model_from_before_the_trigger_is_not_kept),
        cmocka_unit_test(impossible_data_is_refused_before_anything_is_written),
        cmocka_unit_test(a_run_that_diverges_says_where),
    };
    return cmocka_run_group_tests(tests, set_up, remove_temporary_directory);
}
