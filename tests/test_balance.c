/* data.balance: which items an epoch has and what they weigh, what the objective and the log then are, and what it does for
 * a problem of 80, 10, 5, 3 and 2 % of images a class. */
#include "bnn/batch.h"
#include "bnn/engine.h"
#include "networks.h"
#include "program.h"

enum { SIDE = 8, CLASSES = 5 };

/* ---- batches --------------------------------------------------------------------------------------------- */

enum { COUNT = 53, REPEATS = 2, EPOCHS = 400 };

static const size_t shares[CLASSES] = {33, 9, 0, 8, 3}; /* of COUNT; class 2 has none */

typedef struct fixture_of_batches {
    bnn_dataset *data;
    bnn_group *group;
    bnn_grid_action *action;
    bnn_batches *batches;
} fixture_of_batches;

static fixture_of_batches make_batches(bnn_balance balance)
{
    fixture_of_batches f = {.data = bnn_alloc(1, sizeof(bnn_dataset))};
    const bnn_plan plan = {
        .augmentation = BNN_AUGMENT_FULL, .repeats = REPEATS, .views = 1, .count_factor = REPEATS};
    const bnn_warp_limits none = {0};
    bnn_error error;
    assert_non_null(f.data);
    *f.data = (bnn_dataset){.count = COUNT, .channels = 1, .height = 4, .width = 4, .classes = CLASSES};
    f.data->images = bnn_alloc(COUNT * 16, sizeof *f.data->images);
    f.data->labels = bnn_alloc(COUNT, sizeof *f.data->labels);
    for (size_t i = 0, c = 0, n = 0; i < COUNT; i++) {
        while (n == shares[c]) c++, n = 0;
        f.data->labels[i * 20 % COUNT] = (uint32_t)c; /* 20 and 53 have no common divisor: in no order */
        n++;
    }
    f.group = test_group("C2");
    assert_int_equal(bnn_grid_action_create(f.group, 4, 4, &f.action, &error), BNN_OK);
    assert_int_equal(bnn_batches_create(f.data, f.action, &plan, &none, 1, 9, &f.batches, &error), BNN_OK);
    assert_int_equal(bnn_batches_balance(f.batches, balance, &error), BNN_OK);
    return f;
}

static void free_batches(fixture_of_batches *f)
{
    bnn_batches_free(f->batches);
    bnn_grid_action_free(f->action);
    bnn_group_free(f->group);
    bnn_dataset_free(f->data);
}

/* Every epoch: N items, a quarter of each class that has images; of a class every item as often, but for one; all items alike
 * in the long run; and counts that put the classes' shares back. */
static void sampling_takes_classes_alike(void **state)
{
    fixture_of_batches f = make_batches(BNN_BALANCE_SAMPLING);
    const size_t items = COUNT * REPEATS;
    size_t all[COUNT * REPEATS] = {0};
    (void)state;
    assert_int_equal(f.batches->items, items);
    for (size_t epoch = 0; epoch < EPOCHS; epoch++) {
        size_t taken[COUNT * REPEATS] = {0}, of_class[CLASSES] = {0};
        double share[CLASSES] = {0};
        bnn_batches_shuffle(f.batches, epoch);
        for (size_t b = 0; b < items; b++) {
            const size_t item = f.batches->order[b];
            bnn_batches_fill(f.batches, b, 1);
            assert_int_equal(f.batches->labels[0], f.data->labels[item / REPEATS]);
            assert_true(f.batches->weights[0] == 1);
            taken[item]++;
            all[item]++;
            of_class[f.batches->labels[0]]++;
            share[f.batches->labels[0]] += f.batches->counts[0] / (double)items;
        }
        for (size_t c = 0; c < CLASSES; c++) {
            if (shares[c] == 0) {
                assert_int_equal(of_class[c], 0);
                continue;
            }
            assert_in_range(of_class[c], items / 4, items / 4 + 1);
            assert_close(share[c], (double)shares[c] / COUNT, 1e-12, 0);
        }
        for (size_t k = 0; k < items; k++) {
            const size_t c = f.data->labels[k / REPEATS], turn = of_class[c] / (shares[c] * REPEATS);
            assert_in_range(taken[k], turn, turn + 1);
        }
    }
    for (size_t k = 0; k < items; k++) {
        const double n = (double)(shares[f.data->labels[k / REPEATS]] * REPEATS),
                     mean = (double)items / 4 / n;
        assert_true(fabs((double)all[k] / EPOCHS - mean) < 0.125); /* 5 times sqrt(1/4 / 400) */
    }
    free_batches(&f);
}

static void weights_have_the_mean_one(void **state)
{
    fixture_of_batches f = make_batches(BNN_BALANCE_WEIGHTS), plain = make_batches(BNN_BALANCE_NONE);
    double sum = 0, of_class[CLASSES] = {0};
    (void)state;
    bnn_batches_shuffle(f.batches, 3);
    bnn_batches_shuffle(plain.batches, 3);
    assert_memory_equal(f.batches->order, plain.batches->order, COUNT * REPEATS * sizeof(size_t));
    for (size_t b = 0; b < COUNT * REPEATS; b++) {
        bnn_batches_fill(f.batches, b, 1);
        bnn_batches_fill(plain.batches, b, 1);
        assert_true(f.batches->counts[0] == 1 && plain.batches->counts[0] == 1 &&
                    plain.batches->weights[0] == 1);
        sum += f.batches->weights[0];
        of_class[f.batches->labels[0]] += f.batches->weights[0];
        assert_true(f.batches->weights[0] == bnn_batches_class_weight(f.batches, f.batches->labels[0]));
    }
    assert_close(sum, COUNT * REPEATS, 1e-12, 0);
    for (size_t c = 0; c < CLASSES; c++)
        assert_close(of_class[c], shares[c] ? COUNT * REPEATS / 4.0 : 0, 1e-12, 1);
    assert_true(bnn_batches_class_weight(f.batches, 2) == 0 && bnn_batches_class_weight(f.batches, 7) == 0);
    free_batches(&plain);
    free_batches(&f);
}

/* ---- a step ---------------------------------------------------------------------------------------------- */

/* The gradient under weights is the sum of the items' own gradients, each times its weight; the NLLs of items have none. */
static void weights_are_those_of_gradients(void **state)
{
    enum { ITEMS = 3, VIEWS = 2, PIXELS = 64 };
    const bnn_network_spec spec = NETWORK(FCNN, 1, SIDE, SIDE, 3, false, 4);
    bnn_network *network = test_network(&spec);
    bnn_posterior *q = test_posterior(network, 5);
    const uint32_t labels[ITEMS] = {2, 0, 1};
    const double weights[ITEMS] = {0.25, 3, 1.5};
    const bnn_engine_options options = {.samples = 2, .items = ITEMS, .views = VIEWS, .threads = 2};
    bnn_real *in = test_normals(ITEMS * VIEWS * PIXELS, 6), *expected = test_zeros(q->count);
    double nll = 0, own[ITEMS];
    bnn_engine *engine;
    (void)state;
    assert_int_equal(bnn_engine_create(q, &options, &engine, NULL), BNN_OK);
    bnn_engine_draw(engine, 1, BNN_STREAM_TRAIN_NOISE, 0);
    double *item_weights = bnn_engine_item_weights(engine);
    for (size_t i = 0; i < ITEMS; i++) {
        for (size_t k = 0; k < ITEMS; k++) item_weights[k] = k == i;
        const bnn_step step = bnn_engine_step(engine, in, labels, 0);
        own[i] = step.nll * ITEMS;
        nll += weights[i] * step.nll;
        for (size_t j = 0; j < q->count; j++)
            expected[j] += (bnn_real)weights[i] * bnn_engine_mu_gradient(engine)[j];
    }
    memcpy(item_weights, weights, sizeof weights);
    assert_close(bnn_engine_step(engine, in, labels, 0).nll, nll, 1e-12, 0);
    for (size_t i = 0; i < ITEMS; i++) assert_close(bnn_engine_item_nll(engine, i), own[i], 1e-12, 0);
    for (size_t j = 0; j < q->count; j++)
        assert_close(bnn_engine_mu_gradient(engine)[j], expected[j], ROUNDING, 0.1);
    bnn_engine_free(engine);
    free(expected);
    free(in);
    bnn_posterior_free(q);
    bnn_network_free(network);
}

/* ---- a run ----------------------------------------------------------------------------------------------- */

enum { TRAINING = 400, VALIDATION = 200, TESTING = 2000 };

static size_t label_of(size_t i)
{
    const size_t place = i * 37 % 100; /* in no order */
    return place < 80 ? 0 : place < 90 ? 1 : place < 95 ? 2 : place < 98 ? 3 : 4;
}

/* IDX images whose class is the row of a bar, faint under the noise, and their labels. */
static void put_imbalanced(const char *split, size_t count, uint64_t seed)
{
    uint8_t *images = malloc(16 + count * SIDE * SIDE), *labels = malloc(8 + count);
    char name[40];
    bnn_pcg32 rng;
    assert_true(images && labels);
    memcpy(images, (const uint8_t[]){0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, SIDE, 0, 0, 0, SIDE}, 16);
    memcpy(labels, (const uint8_t[]){0, 0, 8, 1, 0, 0}, 6);
    images[6] = labels[6] = (uint8_t)(count >> 8);
    images[7] = labels[7] = (uint8_t)count;
    bnn_pcg32_seed(&rng, seed, 1);
    for (size_t i = 0; i < count; i++) {
        labels[8 + i] = (uint8_t)label_of(i);
        for (size_t k = 0; k < SIDE * SIDE; k++)
            images[16 + i * SIDE * SIDE + k] =
                (uint8_t)(bnn_pcg32_below(&rng, 180) + (k / SIDE == 1 + label_of(i) ? 40 : 0));
    }
    snprintf(name, sizeof name, "%s-images", split);
    put_file(name, images, 16 + count * SIDE * SIDE);
    snprintf(name, sizeof name, "%s-labels", split);
    put_file(name, labels, 8 + count);
    free(labels);
    free(images);
}

static int set_up(void **state)
{
    static const char config[] =
        "{\"seed\": 2, \"data\": {\"name\": \"idx\", \"train_images\": \"training-images\",\n"
        " \"train_labels\": \"training-labels\", \"validation_images\": \"validation-images\",\n"
        " \"validation_labels\": \"validation-labels\", \"test_images\": \"testing-images\",\n"
        " \"test_labels\": \"testing-labels\"}, \"group\": \"C1\",\n"
        " \"model\": {\"type\": \"mlp\", \"hidden\": [16]}, \"symmetrization\": {\"mode\": \"none\"},\n"
        " \"train\": {\"epochs\": 15, \"batch_size\": 20, \"optimizer\": {\"name\": \"adamw\", \"lr\": "
        "0.01},\n"
        " \"kl_weight\": 1e-4}, \"eval\": {\"samples\": 8}}\n";
    if (find_program() || make_temporary_directory(state)) return -1;
    put_imbalanced("training", TRAINING, 3);
    put_imbalanced("validation", VALIDATION, 4);
    put_imbalanced("testing", TESTING, 5);
    put_file("config.json", config, strlen(config));
    return 0;
}

static cJSON *run_balanced(const char *balance)
{
    char set[40];
    snprintf(set, sizeof set, "data.balance=%s", balance);
    const program_run *run =
        succeeded(bnn_run("train", in_temporary("config.json"), "--out", in_temporary(balance), "--overwrite",
                          "--threads", "2", "--set", set));
    const bool none = strcmp(balance, "none") == 0;
    assert_true(!strstr(run->err, "N stays 400") == none);
    assert_true(!strstr(run->err, "elbo is that of the data as it is") == none);
    return json_of(bnn_run("eval", in_temporary(balance), "--json"));
}

/* What accuracy hides, balanced accuracy and recall show, and both ways of balancing mend. */
static void balance_mends_what_accuracy_hides(void **state)
{
    (void)state;
    cJSON *none = run_balanced("none");
    const double accuracy = figure(none, "accuracy"), balanced = figure(none, "balanced_accuracy");
    const cJSON *rare = cJSON_GetArrayItem(member(none, "classes"), 4);
    assert_true(accuracy > 0.8 && balanced < accuracy - 0.2 && figure(rare, "recall") < balanced);
    assert_true(figure(rare, "count") == TESTING / 50 && figure(rare, "label") == 4);
    static const char *const mends[] = {"weights", "sampling"};
    for (size_t i = 0; i < 2; i++) {
        cJSON *json = run_balanced(mends[i]);
        if (!(figure(json, "balanced_accuracy") > balanced + 0.05))
            fail_msg("%s: %g, was %g (accuracy %g, was %g)", mends[i], figure(json, "balanced_accuracy"),
                     balanced, figure(json, "accuracy"), accuracy);
        assert_true(figure(json, "elbo.n") == TRAINING);
        cJSON_Delete(json);
    }
    cJSON_Delete(none);
}

/* metrics.jsonl: the objective is that of train_nll at N, elbo that of data_nll at N0; the best epoch is that of balanced_nll. */
static void the_log_tells_the_two_likelihoods(void **state)
{
    static const char *const balances[] = {"none", "weights", "sampling"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char name[60], text[1 << 16];
        double best = INFINITY, best_epoch = 0;
        cJSON_Delete(run_balanced(balances[i]));
        snprintf(name, sizeof name, "%s/metrics.jsonl", balances[i]);
        text[get_file(in_temporary(name), text, sizeof text - 1)] = '\0';
        for (const char *at = text; *at; at++) {
            cJSON *line = cJSON_ParseWithOpts(at, &at, 0);
            const double kl = figure(line, "kl"), n = figure(line, "n"), nll = figure(line, "data_nll");
            const double loss = figure(line, i == 0 ? "validation_nll" : "validation_balanced_nll");
            assert_true(n == TRAINING && figure(line, "n_base") == TRAINING);
            assert_close(figure(line, "objective"), -figure(line, "train_nll") * n - kl, 1e-9, 0);
            assert_close(figure(line, "elbo"), -nll * n - kl, 1e-9, 0);
            assert_true((nll == figure(line, "train_nll")) == (i == 0));
            if (loss < best) best = loss, best_epoch = figure(line, "epoch");
            cJSON_Delete(line);
        }
        cJSON *info = json_of(bnn_run("info", in_temporary(balances[i]), "--json"));
        assert_true(figure(info, "training.epoch") == best_epoch);
        cJSON_Delete(info);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sampling_takes_classes_alike),
        cmocka_unit_test(weights_have_the_mean_one),
        cmocka_unit_test(weights_are_those_of_gradients),
        cmocka_unit_test(balance_mends_what_accuracy_hides),
        cmocka_unit_test(the_log_tells_the_two_likelihoods),
    };
    return cmocka_run_group_tests(tests, set_up, remove_temporary_directory);
}
