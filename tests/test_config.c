/* The configuration: defaults, every key, every refusal with its place and its reason, the dump. */
#include <stdlib.h>

#include "bnn/config.h"
#include "bnn/mode.h"
#include "bnn/settings.h"
#include "files.h"

#define BASE "\"data\": {\"name\": \"fashion-mnist\"}, \"model\": {\"type\": \"fcnn\"}"

static bnn_status parse(const char *text, bnn_config *config, bnn_error *error)
{
    *error = (bnn_error){BNN_OK, ""};
    return bnn_settings_parse("c.json", text, NULL, 0, config, error);
}

static void accept(const char *text, bnn_config *config)
{
    bnn_error error;
    if (parse(text, config, &error)) fail_msg("%s", error.message);
}

/* The text is refused by one line that begins with the file and holds all of `texts`. */
#define assert_refused(text, ...) refuse(text, (const char *const[]){"c.json: ", __VA_ARGS__, NULL})

static void refuse(const char *text, const char *const *texts)
{
    bnn_config config;
    bnn_error error;
    check_failure(parse(text, &config, &error), BNN_BAD_INPUT, &error, texts);
}

static bnn_status set(const char *option, bnn_config *config, bnn_error *error)
{
    *error = (bnn_error){BNN_OK, ""};
    return bnn_settings_parse("c.json", "{" BASE "}", &option, 1, config, error);
}

#define assert_set_refused(option, ...)                                                                      \
    do {                                                                                                     \
        bnn_config config_;                                                                                  \
        bnn_error error_;                                                                                    \
        assert_failure(set(option, &config_, &error_), BNN_BAD_INPUT, error_, "--set", __VA_ARGS__);         \
    } while (0)

/* ---- defaults and keys ----------------------------------------------------------------------------------- */

static void defaults_are_the_documented_ones(void **state)
{
    bnn_config c;
    (void)state;
    accept("{" BASE "}", &c);
    assert_int_equal(c.seed, 0);
    assert_string_equal(c.group, "C1");
    assert_int_equal(c.data.train_size, 0);
    assert_int_equal(c.data.pad, 0);
    assert_int_equal(c.model.kernel, 3);
    assert_int_equal(c.model.padding, 0);
    assert_true(c.prior.std.scale == BNN_PRIOR_FAN_IN && c.prior.mean == 0);
    assert_string_equal(c.posterior.family, "gaussian");
    assert_true(c.posterior.rho_init == -5);
    assert_int_equal(c.posterior.mean_init, BNN_INIT_KAIMING);
    assert_int_equal(c.symmetrization.augmentation, BNN_AUGMENT_FULL);
    assert_false(c.symmetrization.hold);
    assert_false(c.symmetrization.keep_optimizer_state);
    assert_string_equal(c.train.optimizer.name, "adamw");
    assert_true(c.train.optimizer.options.lr == 0.003 && c.train.optimizer.options.rho_lr_factor == 1);
    assert_int_equal(c.train.schedule, BNN_SCHEDULE_COSINE);
    assert_true(c.train.epochs == 10 && c.train.samples == 1 && c.train.batch_size == 128);
    assert_true(c.model.pool.automatic && c.model.channels.count == 3);
    assert_true(c.train.clip_norm == 1);
    assert_true(isnan(c.train.kl_weight)); /* auto */
    assert_true(isnan(c.data.background) && c.data.scale == BNN_SCALE_AUTO);
    assert_int_equal(c.train.select, BNN_SELECT_VALIDATION);
    assert_int_equal(c.eval.predictive, BNN_PREDICT_POSTERIOR);
    assert_int_equal(c.eval.draws, BNN_DRAWS_SHARED);
}

/* A configuration that sets every section. */
static const char example[] =
    "{\"seed\": 13, \"data\": {\"name\": \"fashion-mnist\", \"train_size\": 5000, \"validation_size\": 1000},"
    " \"group\": \"C4\", \"model\": {\"type\": \"fcnn\", \"channels\": [32, 64]},"
    " \"prior\": {\"std\": 1.0, \"mean\": \"zero\"},"
    " \"posterior\": {\"family\": \"gaussian\", \"mean_init\": \"kaiming\", \"rho_init\": -3.0},"
    " \"symmetrization\": {\"mode\": \"orbit-expansion\", \"augmentation\": \"full\", \"stage1_epochs\": 100,"
    " \"arrangement\": \"gcnn\", \"hold\": false},"
    " \"train\": {\"epochs\": 500, \"batch_size\": 128, \"samples\": 10,"
    " \"optimizer\": {\"name\": \"sgd\", \"lr\": 0.01, \"momentum\": 0.9, \"nesterov\": true,"
    " \"rho_lr_factor\": 10, \"weight_decay\": 0}, \"schedule\": \"constant\","
    " \"clip_norm\": 1.0, \"kl_weight\": \"auto\"},"
    " \"eval\": {\"samples\": 16, \"every\": 5, \"predictive\": \"posterior\"}}";

static void the_documented_example_parses(void **state)
{
    bnn_config c;
    (void)state;
    accept(example, &c);
    assert_int_equal(c.seed, 13);
    assert_int_equal(c.data.train_size, 5000);
    assert_int_equal(c.data.validation_size, 1000);
    assert_int_equal(c.model.channels.count, 2);
    assert_int_equal(c.model.channels.value[1], 64);
    assert_string_equal(c.symmetrization.mode, "orbit-expansion");
    assert_int_equal(c.symmetrization.stage1_epochs, 100);
    assert_int_equal(c.train.epochs, 500);
    assert_int_equal(c.eval.samples, 16);
}

static void keys_of_the_other_sections_are_accepted(void **state)
{
    bnn_config c;
    (void)state;
    accept("{\"data\": {\"name\": \"idx\", \"train_images\": \"/a\", \"train_labels\": \"/b\", "
           "\"validation_images\": \"/e\", \"validation_labels\": \"/f\", \"test_images\": \"/c\","
           " \"test_labels\": \"/d\", \"pad\": 2, \"scale\": \"none\", \"background\": -0.5},"
           " \"model\": {\"type\": \"mlp\", \"input\": [3, 8, 8], \"classes\": 7, \"hidden\": [5, 6],"
           " \"kernel\": 5, \"padding\": \"circular\", \"channel_representation\": \"regular\"},"
           " \"symmetrization\": {\"mode\": \"average\", \"average\": \"arithmetic\", \"trigger_epoch\": 3,"
           " \"trigger_accuracy\": 0.5, \"keep_optimizer_state\": true, \"hold\": true, \"augmentation\": "
           "\"none\"},"
           " \"train\": {\"optimizer\": {\"name\": \"adamw\"}, \"schedule\": \"cosine\", \"kl_weight\": 0.25,"
           " \"kl_warmup_epochs\": 2, \"kl_ramp_end\": 4, \"select\": \"last\"},"
           " \"eval\": {\"predictive\": \"group-averaged\", \"draws\": \"independent\"}}",
           &c);
    assert_string_equal(c.data.paths.test_images, "/c");
    assert_string_equal(c.data.paths.validation_labels, "/f");
    assert_true(c.data.scale == BNN_SCALE_NONE && c.data.background == -0.5);
    assert_int_equal(c.model.hidden.value[1], 6);
    assert_int_equal(c.model.input.value[0], 3);
    assert_int_equal(c.model.representation, 2);
    assert_true(c.symmetrization.keep_optimizer_state);
    assert_true(c.train.kl_weight == 0.25);
    assert_true(c.train.optimizer.options.rho_lr_factor == 1); /* auto, of adamw */
    assert_int_equal(c.eval.draws, BNN_DRAWS_INDEPENDENT);
}

/* A model file that leaves a key out was written by a program with other defaults: the published code's. */
static void a_model_file_has_the_defaults_of_old(void **state)
{
    bnn_config c;
    bnn_error error;
    (void)state;
    assert_int_equal(bnn_config_parse("m", "{\"model\": {\"type\": \"fcnn\"}}", NULL, 0, NULL, &c, &error),
                     BNN_OK);
    assert_true(c.prior.std.scale == BNN_PRIOR_NUMBERS && c.prior.std.number[0] == 1);
    assert_true(c.model.channels.count == 2 && !c.model.pool.automatic && c.model.pool.count == 0);
}

static void each_optimizer_has_its_own_learning_rate(void **state)
{
    (void)state;
    for (const bnn_optimizer_rule *const *rule = bnn_optimizers; *rule; rule++) {
        bnn_config c;
        bnn_error error;
        char name[64];
        snprintf(name, sizeof name, "train.optimizer.name=%s", (*rule)->row.name);
        const char *const sets[] = {name, "train.optimizer.lr=0.25"};
        assert_true((*rule)->default_lr > 0);
        assert_int_equal(set(name, &c, &error), BNN_OK);
        assert_true(c.train.optimizer.options.lr == (*rule)->default_lr);
        assert_int_equal(bnn_settings_parse("c.json", "{" BASE "}", sets, 2, &c, &error), BNN_OK);
        assert_true(c.train.optimizer.options.lr == 0.25);
    }
}

static void every_mode_has_a_configuration(void **state)
{
    (void)state;
    for (size_t m = 0; bnn_modes[m]; m++) {
        bnn_config c;
        char text[256];
        snprintf(text, sizeof text, "{" BASE ", \"symmetrization\": {\"mode\": \"%s\"}}",
                 bnn_modes[m]->row.name);
        accept(text, &c);
        assert_string_equal(c.symmetrization.mode, bnn_modes[m]->row.name);
    }
}

/* ---- refusals ---------------------------------------------------------------------------------------------- */

static void unknown_keys_name_the_nearest(void **state)
{
    (void)state;
    assert_refused("{" BASE ", \"sede\": 1}", "sede", "unknown key", "seed");
    assert_refused("{" BASE ", \"train\": {\"epoch\": 1}}", "train.epoch:", "train.epochs");
    assert_refused("{" BASE ", \"train\": {\"optimizer\": {\"momentun\": 1}}}", "train.optimizer.momentun",
                   "train.optimizer.momentum");
    assert_refused("{" BASE ", \"epochs\": 1}", "epochs: unknown key", "train.epochs");
    assert_refused("{" BASE ", \"trian\": {\"epochs\": 1}}", "trian", "nearest valid key is train");
    assert_refused("{" BASE ", \"Seed\": 1}", "Seed", "seed");
    assert_refused("{" BASE ", \"\": 1}", "unknown key");
}

static void very_long_keys_are_refused(void **state)
{
    char text[4096], name[2048];
    (void)state;
    memset(name, 'k', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(text, sizeof text, "{" BASE ", \"%s\": 1}", name);
    assert_refused(text, "unknown key");
    snprintf(text, sizeof text, "{" BASE ", \"train\": {\"%s\": 1}}", name);
    assert_refused(text, "unknown key");
}

static void wrong_types_say_what_was_found_and_expected(void **state)
{
    (void)state;
    assert_refused("{" BASE ", \"seed\": \"one\"}", "seed: found \"one\"", "an integer from 0");
    assert_refused("{" BASE ", \"seed\": 1.5}", "seed: found 1.5", "an integer");
    assert_refused("{" BASE ", \"prior\": {\"std\": \"big\"}}", "prior.std: found \"big\"", "a number from");
    assert_refused("{" BASE ", \"train\": {\"kl_weight\": \"manual\"}}", "train.kl_weight: found \"manual\"",
                   "\"auto\" or a number");
    assert_refused("{" BASE ", \"symmetrization\": {\"hold\": 1}}", "symmetrization.hold: found 1",
                   "true or false");
    assert_refused("{" BASE ", \"group\": 4}", "group: found 4", "a string");
    assert_refused("{" BASE ", \"train\": {\"schedule\": \"linear\"}}", "train.schedule: found \"linear\"",
                   "\"constant\", \"cosine\"");
    assert_refused("{" BASE ", \"train\": {\"schedule\": null}}", "train.schedule: found null");
    assert_refused("{\"data\": {\"name\": \"mnist\"}, \"model\": {\"channels\": 8}}",
                   "model.channels: found 8", "a list");
    assert_refused("{\"data\": {\"name\": \"mnist\"}, \"model\": {\"channels\": [8, \"9\"]}}",
                   "model.channels", "[8,\"9\"]");
    assert_refused("{\"data\": {\"name\": \"mnist\"}, \"model\": {\"pool\": true}}", "model.pool: found true",
                   "a list of at most 16 of true and false");
    assert_refused("{\"data\": {\"name\": \"mnist\"}, \"model\": {\"pool\": [true, 1]}}",
                   "model.pool: found [true,1]");
    assert_refused("{\"data\": \"mnist\", \"model\": {}}", "data: ", "an object");
    assert_refused("{\"data\": [], \"model\": {}}", "data: ", "an object");
    assert_refused("{" BASE ", \"train\": 3}", "train: ", "an object");
}

static void values_out_of_range_are_refused(void **state)
{
    (void)state;
    assert_refused("{" BASE ", \"seed\": -1}", "seed: found -1");
    assert_refused("{" BASE ", \"seed\": 9007199254740992}", "seed: found 9007199254740992",
                   "from 0 to 9007199254740991", "not exact beyond 2^53");
    assert_refused("{" BASE ", \"seed\": 9007199254740993}", "seed",
                   "not exact beyond 2^53"); /* read as ...992 */
    assert_refused("{" BASE ", \"train\": {\"epochs\": 18014398509481985}}", "train.epochs",
                   "not exact beyond 2^53");
    assert_refused("{" BASE ", \"train\": {\"epochs\": 0}}", "train.epochs: found 0", "from 1");
    assert_refused("{" BASE ", \"train\": {\"samples\": 1e300}}", "train.samples",
                   "expected an integer from 1");
    assert_refused("{" BASE ", \"train\": {\"clip_norm\": 1e999}}", "train.clip_norm", "a number from 0");
    assert_refused("{" BASE ", \"train\": {\"optimizer\": {\"lr\": -0.1}}}",
                   "train.optimizer.lr: found -0.1");
    assert_refused("{" BASE ", \"prior\": {\"std\": 0}}", "prior.std: found 0");
    assert_refused("{" BASE ", \"symmetrization\": {\"trigger_accuracy\": 1.5}}",
                   "symmetrization.trigger_accuracy: found 1.5");
    assert_refused("{\"data\": {\"name\": \"mnist\"}, \"model\": {\"channels\": [0]}}",
                   "model.channels: found [0]");
    assert_refused("{\"data\": {\"name\": \"mnist\", \"pad\": 65}, \"model\": {}}", "data.pad: found 65",
                   "to 64");
}

static void duplicates_are_refused(void **state)
{
    (void)state;
    assert_refused("{" BASE ", \"seed\": 1, \"seed\": 2}", "seed", "twice");
    assert_refused("{" BASE ", \"train\": {\"epochs\": 1, \"samples\": 1, \"epochs\": 1}}", "train.epochs",
                   "twice");
    assert_refused("{" BASE ", \"train\": {\"epochs\": 1}, \"train\": {\"samples\": 1}}", "train", "twice");
}

static void invalid_json_names_line_and_column(void **state)
{
    (void)state;
    assert_refused("{\n  \"seed\": 1,\n  \"group\" \"C4\"\n}", "line 3, column 11", "JSON");
    assert_refused("{\"seed\": }", "line 1, column 10", "JSON");
    assert_refused("{" BASE "} x", "line 1", "JSON");
    assert_refused("", "JSON");
    assert_refused("[1, 2]", "object");
    assert_refused("3", "object");
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    assert_refused("{\"model\": {\"type\": \"fcnn\"}}", "data.name: missing");
    assert_refused("{}", "data.name: missing");
}

#define MODE(mode, more) "{" BASE ", \"symmetrization\": {\"mode\": \"" mode "\", " more "}}"

static void impossible_combinations_are_refused(void **state)
{
    (void)state;
    assert_refused(MODE("none", "\"hold\": true"), "symmetrization.hold", "mode none");
    assert_refused(MODE("augment", "\"hold\": true"), "symmetrization.hold", "mode augment");
    assert_refused(MODE("group-elbo", "\"hold\": true"), "symmetrization.hold", "mode group-elbo");
    assert_refused(MODE("augment", "\"augmentation\": \"none\""), "symmetrization.augmentation");
    assert_refused(MODE("orbit-expansion", "\"hold\": true, \"arrangement\": \"row_rolled\""),
                   "symmetrization.arrangement", "row_rolled", "gcnn");
    assert_refused(MODE("group-elbo", "\"average\": \"geometric\""), "symmetrization.average",
                   "\"loss\", \"logits\", \"probs\"");
    assert_refused(MODE("average", "\"average\": \"loss\""), "symmetrization.average",
                   "\"geometric\", \"arithmetic\"");
    assert_refused(MODE("project", "\"average\": \"geometric\""), "symmetrization.average", "mode project");
    assert_refused(MODE("project", "\"trigger_epoch\": 500"), "500", "train.epochs = 10");
    assert_refused(MODE("orbit-expansion", "\"stage1_epochs\": 600"), "600", "train.epochs = 10");
    assert_refused(MODE("augmnt", "\"hold\": false"), "symmetrization.mode: found \"augmnt\"", "augment",
                   "orbit-expansion");
    assert_refused("{\"data\": {\"name\": \"mnist\"}, \"model\": {\"channel_representation\": \"regular\"},"
                   " \"symmetrization\": {\"mode\": \"orbit-expansion\"}}",
                   "model.channel_representation", "trivial");
    assert_refused("{\"data\": {\"name\": \"mnist\"}, \"model\": {\"kernel\": 4}}", "model.kernel: found 4",
                   "odd");
    assert_refused("{\"data\": {\"name\": \"mnist\"}, \"model\": {\"input\": [1, 8]}}", "model.input",
                   "[C, H, W]");
    assert_refused("{\"data\": {\"name\": \"mnist\"}, \"model\": {\"channels\": []}}", "model.channels",
                   "at least one");
    assert_refused("{\"data\": {\"name\": \"mnist\"}, \"model\": {\"pool\": [true]}}",
                   "model.pool: found 1 entries", "one for each of the 3 of model.channels");
    assert_refused("{" BASE ", \"group\": \"Q8\"}", "c.json: group: found \"Q8\"", "C<n>");
    assert_refused("{" BASE ", \"posterior\": {\"family\": \"cauchy\"}}", "posterior.family", "cauchy",
                   "gaussian");
    assert_refused("{" BASE ", \"train\": {\"optimizer\": {\"name\": \"adam\"}}}", "train.optimizer.name",
                   "adamw");
    assert_refused("{" BASE ", \"train\": {\"kl_warmup_epochs\": 5, \"kl_ramp_end\": 3}}",
                   "train.kl_ramp_end");
    assert_refused("{" BASE ", \"train\": {\"kl_head_warmup_epochs\": 5, \"kl_head_ramp_end\": 3}}",
                   "train.kl_head_ramp_end", "kl_head_warmup_epochs = 5");
    assert_refused("{" BASE ", \"train\": {\"kl_ramp_end\": 3, \"kl_head_warmup_epochs\": 4}}",
                   "train.kl_head_ramp_end: found 3");
    assert_refused(MODE("tie", "\"trigger_epoch\": 1"), "symmetrization.trigger_epoch", "mode tie");
    assert_refused(MODE("orbit-expansion", "\"trigger_epoch\": 1"), "trigger_epoch", "average, project");
    assert_refused(MODE("augment", "\"trigger_accuracy\": 0.5"), "trigger_accuracy", "mode augment");
    assert_refused(MODE("orbit-expansion", "\"keep_optimizer_state\": true"), "keep_optimizer_state");
    assert_refused("{" BASE ", \"train\": {\"optimizer\": {\"name\": \"sgd\", \"momentum\": 0}}}",
                   "train.optimizer.nesterov", "momentum");
}

/* ---- --set -------------------------------------------------------------------------------------------------- */

static void set_takes_json_and_bare_strings(void **state)
{
    bnn_config c;
    bnn_error error;
    (void)state;
    assert_int_equal(set("train.epochs=7", &c, &error), BNN_OK);
    assert_int_equal(c.train.epochs, 7);
    assert_int_equal(set("group=D4", &c, &error), BNN_OK);
    assert_string_equal(c.group, "D4");
    assert_int_equal(set("group=\"D2\"", &c, &error), BNN_OK);
    assert_string_equal(c.group, "D2");
    assert_int_equal(set("model.channels=[4, 8]", &c, &error), BNN_OK);
    assert_int_equal(c.model.channels.count, 2);
    assert_int_equal(c.model.channels.value[1], 8);
    const char *const flag[] = {"train.optimizer.name=sgd", "train.optimizer.nesterov=false"};
    assert_int_equal(bnn_settings_parse("c.json", "{" BASE "}", flag, 2, &c, &error), BNN_OK);
    assert_false(c.train.optimizer.options.nesterov);
    assert_int_equal(set("train.schedule=cosine", &c, &error), BNN_OK);
    assert_int_equal(c.train.schedule, 1);
    assert_int_equal(set("data.dir=/a=b", &c, &error), BNN_OK);
    assert_string_equal(c.data.paths.dir, "/a=b");
    assert_int_equal(set("data.dir=2024", &c, &error), BNN_OK);
    assert_string_equal(strrchr(c.data.paths.dir, '/'), "/2024");
    assert_int_equal(set("data.background=-1e3", &c, &error), BNN_OK);
    assert_true(c.data.background == -1000);
    assert_int_equal(set("data.background=auto", &c, &error), BNN_OK);
    assert_true(isnan(c.data.background));
    assert_int_equal(set("train.kl_weight=auto", &c, &error), BNN_OK);
    assert_true(isnan(c.train.kl_weight));
}

static void later_sets_win(void **state)
{
    const char *const sets[] = {"train.epochs=7", "train.epochs=8"};
    bnn_config c;
    bnn_error error;
    (void)state;
    assert_int_equal(
        bnn_settings_parse("c.json", "{" BASE ", \"train\": {\"epochs\": 6}}", sets, 2, &c, &error), BNN_OK);
    assert_int_equal(c.train.epochs, 8);
}

/* The two keys without a default may come from --set too. */
static void sets_can_give_the_required_keys(void **state)
{
    const char *const sets[] = {"data.name=mnist", "model.type=mlp"};
    bnn_config c;
    bnn_error error;
    (void)state;
    if (bnn_settings_parse("c.json", "{}", sets, 2, &c, &error)) fail_msg("%s", error.message);
    assert_int_equal(c.model.type, BNN_NETWORK_MLP);
}

static void wrong_sets_are_refused(void **state)
{
    (void)state;
    assert_set_refused("train.epochs", "train.epochs", "KEY=VALUE");
    assert_set_refused("=3", "KEY=VALUE");
    assert_set_refused("", "KEY=VALUE");
    assert_set_refused("train.epohcs=3", "train.epohcs", "train.epochs");
    assert_set_refused("train.epochs=", "train.epochs", "an integer");
    assert_set_refused("train.epochs=many", "train.epochs: found \"many\"", "an integer");
    assert_set_refused("model.channels=8", "model.channels: found 8", "a list");
    assert_set_refused("train=3", "train: ", "object", "train.epochs");
}

/* ---- dump --------------------------------------------------------------------------------------------------- */

static void a_dump_parses_to_the_same_configuration(void **state)
{
    static const char other[] =
        "{\"seed\": 9007199254740991, \"data\": {\"name\": \"npy\", \"train_images\": \"\\\"q\\\"\\u00e9\", "
        "\"background\": -0.1},"
        " \"group\": \"T2\", \"model\": {\"type\": \"cnn\", \"channels\": [3], \"pool\": [false], "
        "\"padding\": \"circular\"},"
        " \"prior\": {\"std\": 0.1, \"mean\": \"random\"}, \"posterior\": {\"rho_init\": "
        "-0.3333333333333333},"
        " \"symmetrization\": {\"mode\": \"project\", \"trigger_epoch\": 2, \"hold\": true},"
        " \"train\": {\"kl_weight\": 1e-17, \"optimizer\": {\"name\": \"adamw\", \"beta2\": 0.9999}}}";
    const char *const texts[] = {"{" BASE "}", example, other};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (int pretty = 0; pretty < 2; pretty++) {
            bnn_config first, second;
            accept(texts[i], &first);
            char *dump = bnn_config_dump(&first, pretty);
            assert_non_null(dump);
            accept(dump, &second);
            memcpy(second.given, first.given, sizeof first.given); /* a dump says all that is read */
            assert_memory_equal(&first, &second, sizeof first);
            free(dump);
        }
}

static void pools_are_those_of_the_network(void **state)
{
    bnn_config c;
    bnn_network_spec spec;
    (void)state;
    accept("{\"data\": {\"name\": \"mnist\"}, \"model\": {\"channels\": [3, 4, 5], \"pool\": [true, false, "
           "true]}}",
           &c);
    bnn_config_network(&c, BNN_TRIVIAL, &spec);
    assert_true(!spec.unpooled[0] && spec.unpooled[1] && !spec.unpooled[2]);
    spec.unpooled[2] = true;
    bnn_config_set_network(&c, &spec);
    assert_int_equal(c.model.pool.count, 3);
    assert_true(c.model.pool.value[0] && !c.model.pool.value[1] && !c.model.pool.value[2]);
    accept("{" BASE "}", &c); /* all, unless it says otherwise */
    bnn_config_network(&c, BNN_TRIVIAL, &spec);
    assert_true(!spec.unpooled[0] && !spec.unpooled[1]);
    bnn_config_set_network(&c, &spec);
    assert_int_equal(c.model.pool.count, 0);
    accept("{\"data\": {\"name\": \"mnist\"}, \"model\": {\"type\": \"mlp\", \"pool\": [false]}}",
           &c); /* not its key */
    bnn_config_network(&c, BNN_TRIVIAL, &spec);
    assert_false(spec.unpooled[0]);
}

static void a_model_file_may_leave_keys_out(void **state)
{
    static const char text[] = "{\"group\": \"C4\", \"model\": {\"type\": \"fcnn\", \"input\": [1, 12, 12],"
                               " \"classes\": 5, \"channels\": [4, 8]}}";
    bnn_config c;
    bnn_error error;
    (void)state;
    if (bnn_config_parse("m", text, NULL, 0, NULL, &c, &error)) fail_msg("%s", error.message);
    assert_int_equal(c.model.classes, 5);
    assert_failure(bnn_config_parse("m", "{\"grupp\": \"C4\"}", NULL, 0, NULL, &c, &error), BNN_BAD_INPUT,
                   error, "m: ", "grupp", "group");
}

static void help_lists_every_key_of_the_dump(void **state)
{
    static const char *const keys[] = {"seed",
                                       "data.name",
                                       "group",
                                       "model.channels",
                                       "prior.std",
                                       "train.optimizer.lr",
                                       "symmetrization.hold",
                                       "eval.predictive"};
    const size_t count = sizeof keys / sizeof *keys;
    size_t found = 0;
    bnn_key_help help;
    (void)state;
    for (size_t i = 0; bnn_config_help(i, bnn_mode_row, &help); i++) {
        assert_true(*help.fallback && *help.meaning);
        for (size_t k = 0; k < count; k++) found += strcmp(help.path, keys[k]) == 0;
        if (strcmp(help.path, "symmetrization.mode") == 0) assert_string_equal(help.fallback, "\"augment\"");
        if (strcmp(help.path, "symmetrization.mode") == 0) assert_non_null(strstr(help.choices, "\"tie\""));
        if (strcmp(help.path, "posterior.init_rho") == 0)
            assert_string_equal(help.readers, "posterior.init_from");
    }
    assert_int_equal(found, count);
}

/* Reads `path` as a user does who stands in `directory`; paths of the configuration <- `expected`. */
static void assert_path_read(const char *directory, const char *path, const char *value, const char *expected)
{
    char before[1024], option[512];
    const char *const sets[] = {option};
    bnn_config c;
    bnn_error error = {BNN_OK, ""};
    assert_non_null(getcwd(before, sizeof before));
    snprintf(option, sizeof option, "data.test_images=%s", value);
    assert_int_equal(chdir(directory), 0);
    const bnn_status status = bnn_settings_read(path, sets, 1, &c, &error);
    assert_int_equal(chdir(before), 0);
    if (status) fail_msg("%s", error.message);
    assert_string_equal(c.data.paths.test_images, expected);
}

static void paths_are_seen_from_the_configuration(void **state)
{
    static const char text[] =
        "{\"data\": {\"name\": \"npy\", \"train_images\": \"x.npy\", \"train_labels\": "
        "\"../y.npy\", \"test_labels\": \"/d\"}, \"model\": {\"type\": \"fcnn\"}}";
    char folder[1024], expected[1200], here[1024];
    bnn_config c;
    bnn_error error = {BNN_OK, ""};
    (void)state;
    assert_int_equal(mkdir(in_temporary("deep"), 0777), 0);
    const char *path = put_file("deep/paths.json", text, sizeof text - 1);
    assert_non_null(realpath(in_temporary("deep"), folder));
    assert_int_equal(bnn_settings_read(path, NULL, 0, &c, &error), BNN_OK);
    snprintf(expected, sizeof expected, "%s/x.npy", folder);
    assert_string_equal(c.data.paths.train_images, expected);
    snprintf(expected, sizeof expected, "%s/../y.npy", folder);
    assert_string_equal(c.data.paths.train_labels, expected);
    assert_string_equal(c.data.paths.test_labels, "/d");
    assert_string_equal(c.data.paths.test_images, "");
    snprintf(expected, sizeof expected, "%s/z.npy", folder);
    assert_path_read(".", path, "z.npy", expected); /* --set too */
    assert_path_read(folder, "paths.json", "z.npy", expected);
    assert_path_read(temporary_directory, "deep/paths.json", "z.npy", expected);
    assert_path_read(temporary_directory, "deep/paths.json", "/z.npy", "/z.npy");
    /* from a pipe: seen from the current folder */
    int ends[2];
    char pipe_path[64];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], text, sizeof text - 1), sizeof text - 1);
    close(ends[1]);
    snprintf(pipe_path, sizeof pipe_path, "/dev/fd/%d", ends[0]);
    assert_non_null(realpath(".", here));
    snprintf(expected, sizeof expected, "%s/z.npy", here);
    assert_path_read(".", pipe_path, "z.npy", expected);
    close(ends[0]);
    /* a model's paths are what they are */
    assert_int_equal(bnn_config_parse("m", text, NULL, 0, NULL, &c, &error), BNN_OK);
    assert_string_equal(c.data.paths.train_images, "x.npy");
}

/* A key of another data source is never passed over, whatever its value. */
static void keys_of_other_data_are_refused(void **state)
{
    bnn_config c;
    bnn_error error;
    (void)state;
    accept("{\"data\": {\"name\": \"cifar100\", \"dir\": \"/d\", \"labels\": \"coarse\"}, \"model\": {}}",
           &c);
    assert_int_equal(c.data.paths.labels, 1);
    assert_refused("{\"data\": {\"name\": \"cifar10\", \"labels\": \"fine\"}, \"model\": {}}", "data.labels",
                   "data.name cifar10", "cifar100");
    assert_refused("{\"data\": {\"name\": \"npy\", \"dir\": \"/d\"}, \"model\": {}}", "data.dir",
                   "data.name npy", "fashion-mnist, mnist, cifar10, cifar100");
    assert_refused("{\"data\": {\"name\": \"mnist\", \"train_images\": \"/d\"}, \"model\": {}}",
                   "data.train_images", "idx, npy");
    assert_refused("{\"data\": {\"name\": \"mnsit\"}, \"model\": {}}", "data.name: found \"mnsit\"",
                   "\"mnist\"");
    assert_refused("{\"data\": {\"name\": \"mnist\", \"path\": \"x\"}, \"model\": {}}", "data.path",
                   "data.name mnist", "npz, png");
    assert_refused("{\"data\": {\"name\": \"npz\", \"path\": \"x\", \"resize\": 8}, \"model\": {}}",
                   "data.resize", "data.name npz", "png");
    assert_refused("{\"data\": {\"name\": \"png\", \"ising\": {\"size\": 8}}, \"model\": {}}",
                   "data.ising.size", "data.name png", "ising");
    assert_refused("{\"data\": {\"name\": \"mnist\", \"file\": \"x\"}, \"model\": {}}",
                   "data.file: unknown key");
    /* a model serves whatever it was trained on */
    const char *text = "{\"data\": {\"name\": \"of-old\", \"dir\": \"d\"}, \"model\": {}}";
    assert_int_equal(bnn_config_parse("m", text, NULL, 0, NULL, &c, &error), BNN_OK);
    assert_string_equal(c.data.paths.name, "of-old");
    assert_string_equal(c.data.paths.dir, "d");
    assert_int_equal(bnn_config_parse("m", "{\"model\": {}}", NULL, 0, NULL, &c, &error), BNN_OK);
    assert_string_equal(c.data.paths.name, "");
}

static void lists_of_numbers_are_read(void **state)
{
    bnn_config c;
    (void)state;
    accept("{\"data\": {\"name\": \"ising\", \"ising\": {\"temperatures\": [1, 2.25], \"window\": []}}, "
           "\"model\": {}}",
           &c);
    assert_true(c.data.paths.ising.temperatures.count == 2 &&
                c.data.paths.ising.temperatures.value[1] == 2.25);
    assert_true(c.data.paths.ising.window.count == 0 && c.data.paths.ising.test_temperatures.count == 0);
    char *text = bnn_config_dump(&c, false);
    assert_non_null(strstr(text, "\"temperatures\":[1,2.25]"));
    assert_null(strstr(text, "resize"));
    free(text);
    accept("{\"data\": {\"name\": \"png\", \"path\": \"/d\", \"resize\": 32}, \"model\": {}}", &c);
    assert_true(c.data.paths.resize.count == 1 && c.data.paths.resize.value[0] == 32);
    text = bnn_config_dump(&c, false);
    assert_null(strstr(text, "ising"));
    free(text);
    assert_refused("{\"data\": {\"name\": \"png\", \"resize\": [32, 1.5]}, \"model\": {}}", "data.resize",
                   "an integer from 1 to 65536, or a list");
    assert_refused(
        "{\"data\": {\"name\": \"ising\", \"ising\": {\"temperatures\": [1, \"2\"]}}, \"model\": {}}",
        "data.ising.temperatures", "a number from 0.01 to 1000, or a list of at most 64");
    assert_refused("{\"data\": {\"name\": \"ising\", \"ising\": {\"temperatures\": [0]}}, \"model\": {}}",
                   "data.ising.temperatures");
}

static void long_paths_are_refused(void **state)
{
    char option[1100] = "data.dir=";
    bnn_config c;
    bnn_error error;
    (void)state;
    memset(option + strlen(option), 'a', 1023);
    assert_failure(set(option, &c, &error), BNN_BAD_INPUT, error, "data.dir: found a path of",
                   "at most 1023");
    option[9] = '/';
    assert_int_equal(set(option, &c, &error), BNN_OK);
    memset(option + 9, 'a', 1024);
    assert_set_refused(option, "data.dir", "a string of at most 1023 bytes");
}

/* What JSON cannot hold (RFC 8259, section 8.1) is refused before it comes into a file. */
static void what_is_no_utf8_is_refused(void **state)
{
    static const char text[] = "{\n \"data\": {\"name\": \"npy\", \"dir\": \"caf\xe9\"}, \"model\": {}}";
    static const char config[] =
        "{\"data\": {\"name\": \"npy\", \"dir\": \"d\"}, \"model\": {\"type\": \"fcnn\"}}";
    bnn_config c;
    bnn_error error;
    (void)state;
    assert_refused(text, "line 2, column 37", "not valid UTF-8");
    assert_set_refused("data.dir=caf\xe9", "not valid UTF-8 at byte 13");
    assert_int_equal(set("data.dir=/caf\xc3\xa9", &c, &error), BNN_OK);
    assert_string_equal(c.data.paths.dir, "/caf\xc3\xa9");
    assert_int_equal(mkdir(in_temporary("caf\xe9"), 0777), 0);
    const char *path = put_file("caf\xe9/c.json", config, sizeof config - 1);
    assert_failure(bnn_settings_read(path, NULL, 0, &c, &error), BNN_BAD_INPUT, error, "data.dir: is /",
                   "not valid UTF-8");
}

static void files_are_read_with_their_faults_named(void **state)
{
    bnn_config c;
    bnn_error error;
    (void)state;
    const char *good = put_file("good.json", "{" BASE "}\n", strlen("{" BASE "}\n"));
    assert_int_equal(bnn_settings_read(good, NULL, 0, &c, &error), BNN_OK);
    const char *zero = put_file("zero.json", "{}\0{}", 5);
    assert_failure(bnn_settings_read(zero, NULL, 0, &c, &error), BNN_BAD_INPUT, error, "zero.json",
                   "zero byte");
    assert_failure(bnn_settings_read(in_temporary("none.json"), NULL, 0, &c, &error), BNN_BAD_INPUT, error,
                   "none.json");
    assert_failure(bnn_settings_read(temporary_directory, NULL, 0, &c, &error), BNN_BAD_INPUT, error,
                   temporary_directory, "directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_documented_ones),
        cmocka_unit_test(the_documented_example_parses),
        cmocka_unit_test(keys_of_the_other_sections_are_accepted),
        cmocka_unit_test(a_model_file_has_the_defaults_of_old),
        cmocka_unit_test(each_optimizer_has_its_own_learning_rate),
        cmocka_unit_test(every_mode_has_a_configuration),
        cmocka_unit_test(unknown_keys_name_the_nearest),
        cmocka_unit_test(very_long_keys_are_refused),
        cmocka_unit_test(wrong_types_say_what_was_found_and_expected),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(duplicates_are_refused),
        cmocka_unit_test(invalid_json_names_line_and_column),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(impossible_combinations_are_refused),
        cmocka_unit_test(set_takes_json_and_bare_strings),
        cmocka_unit_test(later_sets_win),
        cmocka_unit_test(sets_can_give_the_required_keys),
        cmocka_unit_test(wrong_sets_are_refused),
        cmocka_unit_test(a_dump_parses_to_the_same_configuration),
        cmocka_unit_test(pools_are_those_of_the_network),
        cmocka_unit_test(a_model_file_may_leave_keys_out),
        cmocka_unit_test(help_lists_every_key_of_the_dump),
        cmocka_unit_test(paths_are_seen_from_the_configuration),
        cmocka_unit_test(keys_of_other_data_are_refused),
        cmocka_unit_test(lists_of_numbers_are_read),
        cmocka_unit_test(long_paths_are_refused),
        cmocka_unit_test(what_is_no_utf8_is_refused),
        cmocka_unit_test(files_are_read_with_their_faults_named),
    };
    return cmocka_run_group_tests(tests, make_temporary_directory, remove_temporary_directory);
}
