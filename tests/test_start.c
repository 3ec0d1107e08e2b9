/* How a run begins: with the figures of another model, and without noise. */
#include <stdlib.h>

#include "bnn/mode.h"
#include "bnn/model.h"
#include "bnn/numeric.h"
#include "networks.h"
#include "trainings.h"

static const char *config(void)
{
    return put_small_config();
}

/* Trains the small configuration into `out`. */
#define train(out, ...)                                                                                      \
    bnn_run("train", config(), "--out", in_temporary(out), "--overwrite", "--quiet", "--threads", "1",       \
            __VA_ARGS__)
#define SET(setting) "--set", setting

/* No step moves anything: the model is as it was initialised. */
#define STILL SET("train.epochs=1"), SET("train.optimizer.lr=0")

static bnn_model *load(const char *out)
{
    bnn_model *model = NULL;
    bnn_error error;
    char path[256];
    snprintf(path, sizeof path, "%s/model.bin", in_temporary(out));
    if (bnn_model_load(path, &model, NULL, &error)) fail_msg("%s", error.message);
    return model;
}

/* Whether a layer's figures in two arrays are the same bits. */
static bool same(const bnn_model *model, const char *name, const bnn_real *a, const bnn_real *b)
{
    for (size_t l = 0; l < model->network->layer_count; l++) {
        const bnn_layer *layer = &model->network->layers[l];
        if (layer->bias_count && strcmp(layer->name, name) == 0)
            return memcmp(a + layer->weight_offset, b + layer->weight_offset,
                          (layer->weight_count + layer->bias_count) * sizeof *a) == 0;
    }
    fail_msg("no layer %s", name);
    return false;
}

/* ---- posterior.init_from --------------------------------------------------------------------------------------- */

static void means_are_those_of_the_model(void **state)
{
    (void)state;
    succeeded(train("first", SET("symmetrization.mode=augment")));
    succeeded(train("still", STILL, SET("posterior.init_from=first"), SET("posterior.rho_init=-4")));
    bnn_model *first = load("first"), *still = load("still");
    const size_t count = first->posterior->count, bytes = count * sizeof(bnn_real);
    assert_memory_equal(still->posterior->mu, first->posterior->mu, bytes);
    for (size_t j = 0; j < count; j++) assert_true(still->posterior->rho[j] == -4);
    bnn_model_free(still);

    succeeded(train("still", STILL, SET("posterior.init_from=first"), SET("posterior.init_rho=true")));
    still = load("still");
    assert_memory_equal(still->posterior->mu, first->posterior->mu, bytes);
    assert_memory_equal(still->posterior->rho, first->posterior->rho, bytes);
    bnn_model_free(still);
    bnn_model_free(first);
}

/* The head for other classes begins as without a model, the rest as the model has it; the prior is the configuration's. */
static void layers_are_left_out_by_name(void **state)
{
    (void)state;
    succeeded(train("first", SET("symmetrization.mode=augment")));
    succeeded(train("fresh", STILL, SET("model.classes=5"), SET("prior.std=fan-in")));
    succeeded(train("still", STILL, SET("model.classes=5"), SET("prior.std=fan-in"),
                    SET("posterior.init_from=first"), SET("posterior.init_rho=true"),
                    SET("posterior.init_except=[\"classifier\"]")));
    bnn_model *first = load("first"), *fresh = load("fresh"), *still = load("still");
    const bnn_posterior *q = still->posterior;
    assert_true(same(still, "classifier", q->mu, fresh->posterior->mu));
    assert_true(same(still, "classifier", q->rho, fresh->posterior->rho));
    assert_true(same(still, "conv_layers.1", q->mu, first->posterior->mu));
    assert_true(same(still, "conv_layers.1", q->rho, first->posterior->rho));
    assert_false(same(still, "conv_layers.1", q->mu, fresh->posterior->mu));
    assert_memory_equal(q->prior_std, fresh->posterior->prior_std, q->count * sizeof *q->prior_std);

    succeeded(train("still", STILL, SET("posterior.init_from=first"),
                    SET("posterior.init_except=[\"conv_layers\"]"))); /* what names begin with */
    bnn_model *head = load("still");
    assert_true(same(head, "classifier", head->posterior->mu, first->posterior->mu));
    assert_false(same(head, "conv_layers.0", head->posterior->mu, first->posterior->mu));
    assert_false(same(head, "conv_layers.1", head->posterior->mu, first->posterior->mu));
    bnn_model *const models[] = {first, fresh, still, head};
    for (size_t i = 0; i < 4; i++) bnn_model_free(models[i]);
}

#define assert_refused(run, ...) assert_one_line(run, 2, __VA_ARGS__)

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    succeeded(train("first", SET("symmetrization.mode=augment")));
    assert_refused(train("no", SET("posterior.init_from=first"), SET("model.classes=5")),
                   "posterior.init_from: ",
                   "first/model.bin: tensor classifier.weight_mu: found shape (3,8,1,1), expected (5,8,1,1)",
                   "posterior.init_except: [\"classifier\"]");
    assert_refused(train("no", SET("posterior.init_from=first"), SET("model.channels=[8, 8, 8]")),
                   "tensor conv_layers.2.weight_mu is missing, expected one of shape (8,8,3,3)");
    assert_refused(train("no", SET("posterior.init_from=first"), SET("model.channels=[8]")),
                   "posterior.init_from: ", "found layer conv_layers.1, which the network has not");
    assert_refused(train("no", SET("posterior.init_from=first"), SET("posterior.family=laplace")),
                   "is of family gaussian, expected laplace");
    assert_refused(train("no", SET("posterior.init_from=first"), SET("posterior.init_except=[\"head\"]")),
                   "posterior.init_except: found \"head\", expected",
                   "\"conv_layers.0\", \"conv_layers.1\", \"classifier\"");
    assert_refused(train("no", SET("posterior.init_from=first"), SET("posterior.init_except=[\"conv\"]")),
                   "posterior.init_except: found \"conv\"");
    assert_refused(train("no", SET("posterior.init_from=absent")), "posterior.init_from: ", "/absent");
    assert_refused(train("no", SET("posterior.init_from=config.json")),
                   "posterior.init_from: ", "/config.json: ");
    assert_false(access(in_temporary("no"), F_OK) == 0);
}

/* Nothing that is set is passed over. */
static void keys_that_nothing_reads_are_refused(void **state)
{
    (void)state;
    succeeded(train("first", SET("symmetrization.mode=augment")));
    assert_one_line(train("no", SET("posterior.init_rho=true")), 2, "posterior.init_rho",
                    "posterior.init_from is not");
    assert_one_line(train("no", SET("posterior.init_except=[\"classifier\"]")), 2, "posterior.init_except",
                    "posterior.init_from is not");
    assert_one_line(train("no", SET("posterior.init_from=first"), SET("posterior.mean_init=zero")), 2,
                    "posterior.mean_init", "posterior.init_from gives it");
    assert_one_line(train("no", SET("posterior.init_from=first"), SET("posterior.init_rho=true"),
                          SET("posterior.rho_init=-3")),
                    2, "posterior.rho_init", "posterior.init_from gives it");
    assert_one_line(train("no", SET("train.map_epochs=2")), 2, "train.map_epochs: found 2",
                    "train.epochs = 2");
    /* and what a run writes can be run again */
    succeeded(train("still", STILL, SET("posterior.init_from=first"), SET("posterior.init_rho=true")));
    succeeded(bnn_run("train", in_temporary("still/config.json"), "--dry-run"));
}

/* A model of another network may have the same tensors: here of trivial channels under C4, then of regular ones under C2. */
static void tied_weights_stay_tied(void **state)
{
    (void)state;
    succeeded(train("first", SET("symmetrization.mode=augment")));
    succeeded(train("tied", SET("symmetrization.mode=tie"), SET("group=C2"), SET("posterior.init_from=first"),
                    SET("posterior.init_rho=true"), SET("train.map_epochs=1")));
    cJSON *json = json_of(bnn_run("eval", in_temporary("tied"), "--equivariance", "--json"));
    assert_true(figure(json, "equivariance.certificate.residual") == 0);
    assert_true(figure(json, "equivariance.certificate.l1_bound") == 0);
    cJSON_Delete(json);

    /* an invariant start is left as it is: no layer's norm is restored to what a random start would need */
    succeeded(train("again", STILL, SET("symmetrization.mode=tie"), SET("group=C2"),
                    SET("posterior.init_from=tied")));
    succeeded(train("still", STILL, SET("symmetrization.mode=tie"), SET("group=C2"),
                    SET("posterior.init_from=first")));
    bnn_model *tied = load("tied"), *again = load("again"), *first = load("first"), *still = load("still");
    assert_memory_equal(again->posterior->mu, tied->posterior->mu, tied->posterior->count * sizeof(bnn_real));
    double before = 0, after = 0;
    for (size_t j = 0; j < first->posterior->count; j++) {
        before += pow((double)first->posterior->mu[j], 2);
        after += pow((double)still->posterior->mu[j], 2);
    }
    assert_true(after < 0.9 * before); /* projected, and no more */
    bnn_model *const models[] = {tied, again, first, still};
    for (size_t i = 0; i < 4; i++) bnn_model_free(models[i]);
}

/* bnn check judges the q that a run would begin with. */
static void the_initial_q_is_judged_as_it_is(void **state)
{
    (void)state;
    succeeded(train("first", SET("symmetrization.mode=augment")));
    succeeded(train("tied", SET("symmetrization.mode=tie")));
    const char *const from[] = {"posterior.init_from=first", "posterior.init_from=tied"};
    const char *const said[] = {"init_from are not invariant", "init_from gives it is invariant bit for bit"};
    for (size_t i = 0; i < 2; i++) {
        const program_run *run = bnn_run("check", config(), SET(from[i]), SET("symmetrization.mode=augment"),
                                         SET("model.channel_representation=regular"));
        if (!strstr(run->out, said[i])) fail_msg("\"%s\" is not in %s%s", said[i], run->out, run->err);
    }
}

/* ---- train.map_epochs ------------------------------------------------------------------------------------------- */

/* Line i of a run's metrics.jsonl. */
static cJSON *line_of(const char *out, size_t i)
{
    static char text[1 << 16];
    char path[256];
    snprintf(path, sizeof path, "%s/metrics.jsonl", in_temporary(out));
    text[get_file(path, text, sizeof text - 1)] = '\0';
    char *line = text;
    for (; i > 0; i--) line = strchr(line, '\n') + 1;
    *strchr(line, '\n') = '\0';
    cJSON *json = cJSON_Parse(line);
    assert_non_null(json);
    return json;
}

/* sigma over the prior's in a layer, as an epoch's line has it. */
static double spread_of(const cJSON *line, int layer)
{
    return figure(cJSON_GetArrayItem(member(line, "layers"), layer), "sigma_over_prior");
}

/* Before sigma enters there is no ELBO, and sigma stays; the means are trained. Then all is as ever. */
static void check_stages(const char *out, const char *what)
{
    for (size_t i = 0; i < 4; i++) {
        cJSON *line = line_of(out, i);
        const bool map = i < 2;
        if (!!cJSON_IsTrue(member(line, "map")) != map) fail_msg("%s: map in line %zu", what, i);
        if (!!cJSON_IsNull(member(line, "elbo")) != map || !!cJSON_IsNull(member(line, "objective")) != map ||
            !!cJSON_IsNull(member(line, "elbo_per_example")) != map)
            fail_msg("%s: an ELBO in line %zu", what, i);
        cJSON_Delete(line);
    }
}

static void every_mode_and_optimizer_begins_without_noise(void **state)
{
    (void)state;
    succeeded(train("first", SET("symmetrization.mode=augment")));
    for (const bnn_mode *const *mode = bnn_modes; *mode; mode++)
        for (const bnn_optimizer_rule *const *rule = bnn_optimizers; *rule; rule++) {
            char by_mode[64], by_rule[64], trigger[64];
            snprintf(by_mode, sizeof by_mode, "symmetrization.mode=%s", (*mode)->row.name);
            snprintf(by_rule, sizeof by_rule, "train.optimizer.name=%s", (*rule)->row.name);
            const bool stages = bnn_row_reads(&(*mode)->row, "symmetrization.stage1_epochs");
            snprintf(trigger, sizeof trigger, stages ? "symmetrization.stage1_epochs=1" : "seed=5");
            succeeded(train("run", SET("posterior.init_from=first"), SET(by_mode), SET(by_rule), SET(trigger),
                            SET("train.epochs=4"), SET("train.map_epochs=2"), SET("train.samples=2")));
            check_stages("run", by_mode);
            if (!(*mode)->holds) continue;
            cJSON *json = json_of(bnn_run("eval", in_temporary("run"), "--equivariance", "--json"));
            assert_true(figure(json, "equivariance.certificate.residual") == 0);
            cJSON_Delete(json);
        }
}

/* With weight decay and an estimator that perturbs, which have no part in it. */
static void sigma_waits(void **state)
{
    static const char *const rules[] = {"train.optimizer.name=sgd", "train.optimizer.name=adamw",
                                        "train.optimizer.name=ivon"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        succeeded(train("run", SET(rules[i]), SET("train.epochs=4"), SET("train.map_epochs=2"),
                        SET("posterior.rho_init=-1"), SET("prior.std=1"), SET("train.estimator=flipout"),
                        SET(i < 2 ? "train.optimizer.weight_decay=0.1" : "seed=5")));
        check_stages("run", rules[i]);
        cJSON *line[4];
        for (size_t l = 0; l < 4; l++) line[l] = line_of("run", l);
        for (int layer = 0; layer < 3; layer++) {
            assert_close(spread_of(line[0], layer), bnn_softplus(-1), 1e-6, 0);
            assert_true(spread_of(line[1], layer) == spread_of(line[0], layer));
            assert_true(spread_of(line[2], layer) != spread_of(line[1], layer));
        }
        assert_true(figure(line[0], "kl") != figure(line[1], "kl")); /* mu moved */
        for (size_t l = 0; l < 4; l++) cJSON_Delete(line[l]);
    }
}

/* With this much noise the network at w = mu is better than q ever is, but is no posterior. */
static void the_best_model_is_one_with_sigma(void **state)
{
    (void)state;
    succeeded(train("run", SET("train.epochs=6"), SET("train.map_epochs=4"), SET("posterior.rho_init=3"),
                    SET("data.validation_size=16"), SET("train.optimizer.name=adamw"),
                    SET("train.optimizer.lr=0.01")));
    bnn_safetensors *file = NULL;
    bnn_error error;
    if (bnn_safetensors_read(in_temporary("run/model.bin"), &file, &error)) fail_msg("%s", error.message);
    cJSON *kept = cJSON_Parse(bnn_safetensors_metadata(file, "training")), *map = line_of("run", 3);
    assert_true(figure(kept, "epoch") > 4);
    assert_true(figure(map, "validation_nll") < figure(kept, "validation_nll"));
    cJSON_Delete(map);
    cJSON_Delete(kept);
    bnn_safetensors_free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_are_those_of_the_model),
        cmocka_unit_test(layers_are_left_out_by_name),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(keys_that_nothing_reads_are_refused),
        cmocka_unit_test(tied_weights_stay_tied),
        cmocka_unit_test(the_initial_q_is_judged_as_it_is),
        cmocka_unit_test(every_mode_and_optimizer_begins_without_noise),
        cmocka_unit_test(sigma_waits),
        cmocka_unit_test(the_best_model_is_one_with_sigma),
    };
    return cmocka_run_group_tests(tests, set_up_trainings, remove_temporary_directory);
}
