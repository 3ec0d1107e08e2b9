/* The equal mixture of several models: its figures against their definitions on small arrays, its unbiased defect in
 * repeated experiments, and its predictions against those of its members. */
#include "testing.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bnn/calibration.h"
#include "bnn/evaluate.h"
#include "bnn/npy.h"
#include "bnn/numeric.h"
#include "program.h"
#include "synthetic.h"

/* ---- arrays ---------------------------------------------------------------------------------------------- */

enum { M = 3, T = 4, G = 3, N = 5, C = 4 };

static bnn_metrics *measure(const double *p, size_t members, size_t draws, const uint64_t *streams,
                            size_t order, size_t images, size_t classes)
{
    bnn_metrics_accumulator *accumulator;
    bnn_metrics *metrics;
    bnn_error error = {0};
    assert_int_equal(bnn_metrics_begin_mixture(members, draws, streams, order, classes, &accumulator, &error),
                     BNN_OK);
    if (bnn_metrics_add(accumulator, p, images, NULL, NULL, &error)) fail_msg("%s", error.message);
    assert_int_equal(bnn_metrics_end(accumulator, &metrics, &error), BNN_OK);
    bnn_metrics_discard(accumulator);
    return metrics;
}

/* The estimate of <D_m, D_n> as the mean over the pairs of draws that share no noise, averaged over images and elements. */
static double pair_of(double p[M][T][G][N][C], size_t m, size_t n, bool shared, bool plugin)
{
    double sum = 0, pairs = 0;
    for (size_t s = 0; s < T; s++)
        for (size_t t = 0; t < T; t++) {
            if (shared && s == t && !plugin) continue;
            pairs++;
            for (size_t g = 0; g < G; g++)
                for (size_t i = 0; i < N; i++)
                    for (size_t c = 0; c < C; c++)
                        sum += (p[m][s][g][i][c] - p[m][s][0][i][c]) * (p[n][t][g][i][c] - p[n][t][0][i][c]) /
                               (G * N);
        }
    return sum / pairs;
}

static double mixture_of(double p[M][T][G][N][C], const uint64_t *streams, size_t members, bool plugin)
{
    double sum = 0;
    for (size_t m = 0; m < members; m++)
        for (size_t n = 0; n < members; n++)
            sum += pair_of(p, m, n, streams[m] == streams[n], plugin) / (double)(members * members);
    return sum;
}

static void defects_match_their_definitions(void **state)
{
    static const uint64_t streams[2][M] = {{7, 8, 9}, {7, 8, 7}};
    static double p[M][T][G][N][C];
    bnn_pcg32 rng;
    (void)state;
    bnn_pcg32_seed(&rng, 5, 5);
    random_rows(&rng, &p[0][0][0][0][0], M * T * G * N, C);
    for (size_t k = 0; k < 2; k++) {
        double all = 0;
        bnn_metrics *m = measure(&p[0][0][0][0][0], M, T, streams[k], G, N, C);
        for (size_t count = 1; count <= M; count++) {
            assert_close(m->defect_plugin_of_members[count - 1], mixture_of(p, streams[k], count, true),
                         1e-12, 0);
            assert_close(m->defect_unbiased_of_members[count - 1], mixture_of(p, streams[k], count, false),
                         1e-11, 0);
        }
        for (size_t a = 0; a < M; a++)
            for (size_t b = 0; b < M; b++)
                if (a != b) all += pair_of(p, a, b, streams[k][a] == streams[k][b], false) / (M * (M - 1));
        assert_close(m->defect_of_all_members, all, 1e-11, 0);
        assert_close(m->defect_plugin, m->defect_plugin_of_members[M - 1], 1e-12, 0);
        assert_close(m->defect_unbiased, m->defect_unbiased_of_members[M - 1], 1e-12, 0);
        bnn_metrics_free(m);
    }
}

/* The mutual information of all draws is the sum of the two parts, each by its definition. */
static void uncertainty_is_split(void **state)
{
    static double p[M][T][G][N][C];
    double conditional = 0, of_members = 0, of_all = 0;
    bnn_pcg32 rng;
    (void)state;
    bnn_pcg32_seed(&rng, 6, 5);
    random_rows(&rng, &p[0][0][0][0][0], M * T * G * N, C);
    for (size_t i = 0; i < N; i++) {
        double mixture[C] = {0};
        for (size_t m = 0; m < M; m++) {
            double mean[C] = {0};
            for (size_t t = 0; t < T; t++) {
                conditional += bnn_entropy(p[m][t][0][i], C) / (M * T * N);
                for (size_t c = 0; c < C; c++) mean[c] += p[m][t][0][i][c] / T;
            }
            of_members += bnn_entropy(mean, C) / (M * N);
            for (size_t c = 0; c < C; c++) mixture[c] += mean[c] / M;
        }
        of_all += bnn_entropy(mixture, C) / N;
    }
    bnn_metrics *m = measure(&p[0][0][0][0][0], M, T, NULL, G, N, C);
    assert_close(m->entropy, of_all, 1e-12, 0);
    assert_close(m->within_members, of_members - conditional, 1e-12, 1);
    assert_close(m->between_members, of_all - of_members, 1e-12, 1);
    assert_close(m->mutual_information, m->within_members + m->between_members, 1e-14, 1);
    assert_true(m->within_members > 0.01 && m->between_members > 0.01);
    bnn_metrics_free(m);
    m = measure(&p[0][0][0][0][0], M * T, 1, NULL, G, N, C); /* one draw a member: nothing within */
    assert_close(m->within_members, 0, 1e-14, 1);
    assert_true(m->between_members > 0.02 && isnan(m->defect_unbiased) && isfinite(m->defect_of_all_members));
    bnn_metrics_free(m);
    m = measure(&p[0][0][0][0][0], 1, M * T, NULL, G, N, C);
    assert_true(isnan(m->within_members) && isnan(m->between_members) && isnan(m->defect_of_all_members));
    assert_int_equal(m->members, 1);
    bnn_metrics_free(m);
}

/* A member twice is the member, its unbiased defect and the error too. */
static void a_member_twice_is_the_member(void **state)
{
    static const uint64_t streams[2] = {3, 3};
    static double p[2][T + 2][G][N][C];
    bnn_pcg32 rng;
    (void)state;
    bnn_pcg32_seed(&rng, 7, 5);
    random_rows(&rng, &p[0][0][0][0][0], (T + 2) * G * N, C);
    memcpy(p[1], p[0], sizeof p[0]);
    bnn_metrics *one = measure(&p[0][0][0][0][0], 1, T + 2, NULL, G, N, C);
    bnn_metrics *two = measure(&p[0][0][0][0][0], 2, T + 2, streams, G, N, C);
    assert_close(two->defect_unbiased, one->defect_unbiased, 1e-12, 0);
    assert_close(two->defect_standard_error, one->defect_standard_error, 1e-12, 0);
    assert_close(two->defect_of_all_members, one->defect_unbiased, 1e-12, 0);
    assert_close(two->between_members, 0, 1e-14, 1);
    bnn_metrics_free(two);
    bnn_metrics_free(one);
}

/* Members m with p = 1/4 +- (signal_m [g != e] + noise), of which the first two may share the noise of the images alike: the
 * unbiased figures have the mean that the signals say, and the standard error is the spread of the estimate. */
static void unbiased_in_repeated_experiments(void **state)
{
    enum { DRAWS = 8, ORDER = 2, IMAGES = 10, REPEATS = 3000 };
    static const double signal[M] = {0.05, -0.02, 0.04};
    static const uint64_t streams[2][M] = {{1, 2, 3}, {1, 1, 3}};
    static double p[M][DRAWS][ORDER][IMAGES][4];
    bnn_pcg32 rng;
    (void)state;
    bnn_pcg32_seed(&rng, 11, 3);
    for (size_t k = 0; k < 2; k++) {
        double sum[4] = {0}, squares[4] = {0}, variance = 0, truth[4], mean = 0;
        for (size_t m = 0; m < M; m++) {
            mean = (mean * (double)m + signal[m]) / (double)(m + 1);
            truth[m] = 4 * mean * mean * (ORDER - 1) / ORDER;
        }
        truth[3] = 4 * 2 * (signal[0] * signal[1] + signal[0] * signal[2] + signal[1] * signal[2]) / 6 *
                   (ORDER - 1) / ORDER;
        for (size_t r = 0; r < REPEATS; r++) {
            for (size_t t = 0; t < DRAWS; t++)
                for (size_t g = 0; g < ORDER; g++) {
                    double all[M];
                    for (size_t m = 0; m < M; m++) all[m] = 0.08 * symmetric_uniform(&rng);
                    if (streams[k][1] == streams[k][0]) all[1] = all[0];
                    for (size_t m = 0; m < M; m++)
                        for (size_t i = 0; i < IMAGES; i++)
                            for (size_t c = 0; c < 4; c++)
                                p[m][t][g][i][c] = 0.25 + (c % 2 ? -1 : 1) * (signal[m] * (g > 0) + all[m]);
                }
            bnn_metrics *m = measure(&p[0][0][0][0][0], M, DRAWS, streams[k], ORDER, IMAGES, 4);
            for (size_t f = 0; f < 4; f++) {
                const double found = f < 3 ? m->defect_unbiased_of_members[f] : m->defect_of_all_members;
                sum[f] += found;
                squares[f] += found * found;
            }
            variance += m->defect_standard_error * m->defect_standard_error / REPEATS;
            bnn_metrics_free(m);
        }
        for (size_t f = 0; f < 4; f++) {
            const double found = sum[f] / REPEATS, spread = squares[f] / REPEATS - found * found;
            print_message("streams %zu, figure %zu: %.3e, truth %.3e, error %.1e\n", k, f, found, truth[f],
                          sqrt(spread / REPEATS));
            assert_true(fabs(found - truth[f]) <= 3 * sqrt(spread / REPEATS));
            if (f != 2) continue;
            print_message("variance ratio %.3f\n", variance / spread);
            assert_true(variance / spread >= 0.9 && variance / spread <= 1.4);
        }
    }
}

/* ---- models ---------------------------------------------------------------------------------------------- */

enum { SIDE = 8, IMAGES = 23, CLASSES = 3, MEMBERS = 3 };

typedef struct fixture {
    bnn_member members[MEMBERS];
    bnn_dataset data;
} fixture;

/* Random posteriors on networks of several sizes under D4, and random images. */
static fixture set_up(void)
{
    static const char *const widths[MEMBERS] = {"8", "16, 8", "24"};
    fixture f = {.data = {.count = IMAGES, .channels = 1, .height = SIDE, .width = SIDE, .classes = CLASSES}};
    bnn_error error;
    for (size_t m = 0; m < MEMBERS; m++) {
        char text[512];
        bnn_config config;
        bnn_network_spec spec;
        bnn_model *model;
        snprintf(text, sizeof text,
                 "{\"seed\": %zu, \"group\": \"D4\", \"model\": {\"type\": \"fcnn\", \"input\": [1, 8, 8], "
                 "\"classes\": 3, \"channels\": [%s], \"channel_representation\": \"regular\"}, "
                 "\"posterior\": {\"rho_init\": -1.5}}",
                 m + 1, widths[m]);
        if (bnn_config_parse("test", text, NULL, 0, NULL, &config, &error)) fail_msg("%s", error.message);
        bnn_config_network(&config, BNN_REGULAR, &spec);
        assert_int_equal(bnn_model_create(&config, &spec, &model, &error), BNN_OK);
        f.members[m] = (bnn_member){model, 10 + m};
    }
    f.data.images = bnn_alloc(IMAGES * SIDE * SIDE, sizeof(bnn_real));
    f.data.labels = bnn_alloc(IMAGES, sizeof(uint32_t));
    bnn_normals(bnn_stream_of(6, BNN_STREAM_AUGMENTATION, 0, 0, 0), f.data.images, IMAGES * SIDE * SIDE);
    for (size_t i = 0; i < IMAGES; i++) f.data.labels[i] = (uint32_t)(i % CLASSES);
    return f;
}

static void tear_down(fixture *f)
{
    free(f->data.labels);
    free(f->data.images);
    for (size_t m = 0; m < MEMBERS; m++) bnn_model_free((bnn_model *)f->members[m].model);
}

static bnn_predict_options options_for(const fixture *f, size_t samples, bool averaged)
{
    return (bnn_predict_options){.group = f->members[0].model->group,
                                 .average_over = averaged ? f->members[0].model->group : NULL,
                                 .samples = samples,
                                 .purpose = BNN_STREAM_EVALUATION_NOISE,
                                 .threads = 2};
}

/* F of the mixture is the mean of its members' to rounding; its likelihood is that of the mean, its expected likelihood the
 * mean of theirs; and its entropies are split as said, for either predictive. */
static void prediction_is_the_mean_of_the_members(void **state)
{
    fixture f = set_up();
    bnn_error error;
    (void)state;
    for (int averaged = 0; averaged < 2; averaged++) {
        const bnn_predict_options options = options_for(&f, 5, averaged);
        bnn_metrics *all, *of[MEMBERS];
        double expected = 0, conditional = 0, entropy = 0, nll = 0;
        assert_int_equal(bnn_evaluate_mixture(f.members, MEMBERS, &f.data, &options, &all, &error), BNN_OK);
        for (size_t m = 0; m < MEMBERS; m++) {
            bnn_predict_options alone = options;
            alone.seed = f.members[m].seed;
            assert_int_equal(bnn_evaluate(f.members[m].model, &f.data, &alone, &of[m], &error), BNN_OK);
            expected += of[m]->expected_nll / MEMBERS;
            entropy += of[m]->entropy / MEMBERS;
            conditional += (of[m]->entropy - of[m]->mutual_information) / MEMBERS;
        }
        for (size_t k = 0; k < IMAGES * 8 * CLASSES; k++) {
            double mean = 0;
            for (size_t m = 0; m < MEMBERS; m++) mean += of[m]->predictive[k] / MEMBERS;
            assert_close(all->predictive[k], mean, 1e-14, 1);
        }
        for (size_t i = 0; i < IMAGES; i++)
            nll -= log(all->predictive[i * 8 * CLASSES + f.data.labels[i]]) / IMAGES;
        assert_close(all->nll, nll, 1e-9, 0);
        assert_close(all->expected_nll, expected, 1e-12, 0);
        assert_close(all->within_members, entropy - conditional, 1e-12, 1);
        assert_close(all->between_members, all->entropy - entropy, 1e-12, 1);
        assert_true(all->within_members > 1e-3 && all->between_members > 1e-3);
        assert_true(all->draws == 5 * MEMBERS && all->members == MEMBERS);
        assert_close(all->defect_plugin_of_members[0], of[0]->defect_plugin, 1e-12, 1e-12);
        assert_close(all->defect_unbiased_of_members[0], of[0]->defect_unbiased, 1e-10, 1e-12);
        if (averaged) assert_true(all->defect_plugin < 1e-25);
        for (size_t m = 0; m < MEMBERS; m++) bnn_metrics_free(of[m]);
        bnn_metrics_free(all);
    }
    tear_down(&f);
}

/* One of the last decimal places of a likelihood that is no probability of a double any more. */
static void likelihoods_are_formed_from_logits(void **state)
{
    fixture f = set_up();
    bnn_predict_options options = options_for(&f, 2, false);
    bnn_metrics *all, *alone;
    bnn_error error;
    (void)state;
    options.group = NULL;
    for (size_t m = 0; m < MEMBERS; m++) { /* sizes that separate the classes by thousands of nats */
        bnn_posterior *q = f.members[m].model->posterior;
        for (size_t j = 0; j < q->count; j++) q->mu[j] *= 400;
    }
    assert_int_equal(bnn_evaluate_mixture(f.members, MEMBERS, &f.data, &options, &all, &error), BNN_OK);
    options.seed = f.members[0].seed;
    assert_int_equal(bnn_evaluate(f.members[0].model, &f.data, &options, &alone, &error), BNN_OK);
    assert_true(alone->nll > 800); /* more than -log DBL_MIN */
    assert_true(all->nll <= alone->nll + log(MEMBERS) && isfinite(all->nll));
    bnn_metrics_free(alone);
    bnn_metrics_free(all);
    tear_down(&f);
}

static void threads_do_not_change_a_bit(void **state)
{
    fixture f = set_up();
    bnn_metrics *one, *four;
    bnn_error error;
    (void)state;
    bnn_predict_options options = options_for(&f, 2, false);
    options.draws = BNN_DRAWS_INDEPENDENT;
    options.threads = 1;
    assert_int_equal(bnn_evaluate_mixture(f.members, MEMBERS, &f.data, &options, &one, &error), BNN_OK);
    options.threads = 4;
    assert_int_equal(bnn_evaluate_mixture(f.members, MEMBERS, &f.data, &options, &four, &error), BNN_OK);
    assert_memory_equal(one->predictive, four->predictive, IMAGES * 8 * CLASSES * sizeof(double));
    assert_true(one->nll == four->nll && one->defect_unbiased == four->defect_unbiased);
    bnn_metrics_free(four);
    bnn_metrics_free(one);
    tear_down(&f);
}

/* ---- the program ----------------------------------------------------------------------------------------- */

#define FOLDER REFERENCE "fcnn/"
#define FIRST FOLDER "model.bin"
#define IMAGES_OF "--images", FOLDER "images.npy"
#define LABELLED IMAGES_OF, "--labels", FOLDER "labels.npy"

static const char *projected(void)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", in_temporary("projected.bin"));
    succeeded(bnn_run("symmetrize", FIRST, "--project", "--out", path));
    return path;
}

static bnn_npy *array_of(const char *path)
{
    bnn_npy *array = NULL;
    bnn_error error;
    if (bnn_npy_read(path, &array, &error)) fail_msg("%s", error.message);
    return array;
}

static void predict_writes_the_mean(void **state)
{
    char paths[3][PATH_MAX];
    const char *const other = projected();
    bnn_npy *arrays[3];
    (void)state;
    for (size_t k = 0; k < 3; k++) snprintf(paths[k], PATH_MAX, "%s/p%zu.npy", temporary_directory, k);
    succeeded(bnn_run("predict", FIRST, IMAGES_OF, "--orbit", "--out", paths[0]));
    succeeded(bnn_run("predict", other, IMAGES_OF, "--orbit", "--out", paths[1]));
    succeeded(bnn_run("predict", FIRST, other, IMAGES_OF, "--orbit", "--out", paths[2]));
    for (size_t k = 0; k < 3; k++) arrays[k] = array_of(paths[k]);
    assert_int_equal(arrays[2]->count, arrays[0]->count);
    for (size_t i = 0; i < arrays[2]->count; i++)
        assert_close(arrays[2]->data[i], (arrays[0]->data[i] + arrays[1]->data[i]) / 2, 2e-7, 1);
    for (size_t k = 0; k < 3; k++) bnn_npy_free(arrays[k]);
    assert_one_line(bnn_run("predict", FIRST, other, IMAGES_OF, "--sets", "--out", paths[2]), 2, "--sets",
                    "2 models");
}

static void eval_gives_the_mixture_and_its_members(void **state)
{
    const char *const other = projected();
    (void)state;
    cJSON *json =
        json_of(bnn_run("eval", FIRST, other, LABELLED, "--json", "--equivariance", "--uncertainty"));
    cJSON *alone = json_of(bnn_run("eval", other, LABELLED, "--json", "--equivariance", "--uncertainty"));
    const cJSON *models = member(json, "models"), *list = member(json, "ensemble.defect");
    cJSON *second = cJSON_GetArrayItem(models, 1);
    cJSON_DeleteItemFromObject(alone, "timing");
    cJSON_DeleteItemFromObject(second, "timing");
    assert_true(cJSON_Compare(alone, second, 1));
    assert_int_equal(cJSON_GetArraySize(list), 2);
    assert_true(figure(cJSON_GetArrayItem(list, 1), "plugin") > 0);
    assert_close(figure(cJSON_GetArrayItem(list, 1), "unbiased"),
                 figure(json, "equivariance.defect.unbiased"), 1e-12, 0);
    assert_close(figure(json, "uncertainty.within_members") + figure(json, "uncertainty.between_members"),
                 figure(json, "uncertainty.mutual_information"), 1e-12, 1);
    assert_true(figure(json, "ensemble.members") == 2 && figure(json, "ensemble.samples") == 16);
    assert_true(figure(json, "samples") == 32 && figure(json, "timing.forward_passes") == 32);
    member(json, "no_elbo");
    member(json, "equivariance.no_certificate");
    member(second, "elbo.kl");
    member(second, "equivariance.certificate");
    assert_null(cJSON_GetObjectItem(json, "model"));
    const program_run *run = succeeded(bnn_run("eval", FIRST, other, LABELLED));
    assert_non_null(strstr(run->out, "\nequal mixture "));
    cJSON_Delete(alone);
    cJSON_Delete(json);
}

/* The sweep of a mixture is that of draws that are the mean of one draw of every member: of a model twice, its own. */
static void sweep_of_a_mixture(void **state)
{
    (void)state;
    cJSON *json = json_of(bnn_run("eval", FIRST, FIRST, LABELLED, "--json", "--sample-sweep", "--repeats",
                                  "3", "--samples", "4"));
    const cJSON *one = member(cJSON_GetArrayItem(member(json, "models"), 0), "sample_sweep.rows"),
                *both = member(json, "sample_sweep.rows");
    assert_int_equal(cJSON_GetArraySize(both), 3);
    for (int k = 0; k < 3; k++)
        assert_close(figure(cJSON_GetArrayItem(both, k), "plugin_mean"),
                     figure(cJSON_GetArrayItem(one, k), "plugin_mean"), 1e-12, 0);
    cJSON_Delete(json);
}

#define NETWORK "\"model\": {\"type\": \"fcnn\", \"input\": [1, 12, 12], \"classes\": %d, \"channels\": [4]}"

/* A new model of that many classes, of which the second may have a name, with further members of its configuration. */
static const char *put_model(const char *name, int classes, const char *class_name, const char *more)
{
    char text[2048];
    const char *path = in_temporary(name);
    bnn_config config;
    bnn_network_spec spec;
    bnn_model *model;
    bnn_error error;
    snprintf(text, sizeof text, "{" NETWORK "%s%s}", classes, *more ? ", " : "", more);
    if (bnn_config_parse("test", text, NULL, 0, NULL, &config, &error)) fail_msg("%s", error.message);
    bnn_config_network(&config, BNN_TRIVIAL, &spec);
    assert_int_equal(bnn_model_create(&config, &spec, &model, &error), BNN_OK);
    if (class_name) {
        model->class_names = bnn_alloc((size_t)classes, BNN_LABEL_NAME);
        snprintf(model->class_names[1], BNN_LABEL_NAME, "%s", class_name);
    }
    assert_int_equal(bnn_model_save(model, path, NULL, 0, NULL, 0, &error), BNN_OK);
    bnn_model_free(model);
    return path;
}

/* eval says why there is no mixture, and has the members' figures; predict refuses, naming both files. */
static void assert_unmixed(const char *a, const char *b, const char *reason)
{
    const char *const out = in_temporary("unmixed.npy");
    const program_run *run = succeeded(bnn_run("eval", a, b, LABELLED));
    const char *line = strstr(run->out, "\nno mixture: ");
    assert_true(line && strstr(line, reason) && strstr(line, a) && strstr(line, b));
    assert_null(strstr(run->out, "equal mixture"));
    cJSON *json = json_of(bnn_run("eval", a, b, LABELLED, "--json"));
    assert_true(cJSON_IsNull(member(json, "ensemble")));
    assert_non_null(strstr(member(json, "no_ensemble")->valuestring, reason));
    assert_null(cJSON_GetObjectItem(json, "accuracy"));
    assert_int_equal(cJSON_GetArraySize(member(json, "models")), 2);
    cJSON_Delete(json);
    assert_one_line(bnn_run("predict", a, b, IMAGES_OF, "--out", out), 2, a, b, reason);
    assert_int_equal(access(out, F_OK), -1);
}

static void models_that_do_not_mix(void **state)
{
    const char *const
        five = put_model("five.bin", 5, "cat", ""),
        *const seven = put_model("seven.bin", 7, NULL, ""), *const dog = put_model("dog.bin", 5, "dog", ""),
        *const few = put_model("few.bin", 5, "cat", "\"eval\": {\"samples\": 3}"),
        *const anew = put_model("anew.bin", 5, "cat", "\"eval\": {\"draws\": \"independent\"}"),
        *const average = put_model("average.bin", 5, "cat", "\"eval\": {\"predictive\": \"group-averaged\"}"),
        *const turned = put_model("turned.bin", 5, "cat", "\"group\": \"C4\"");
    (void)state;
    assert_unmixed(five, seven, "classes: found 5 and 7");
    assert_unmixed(five, dog, "class 1: found the names cat and dog");
    assert_unmixed(five, few, "eval.samples: found 16 and 3, expected the same (--samples decides)");
    assert_unmixed(five, anew, "eval.draws: found shared and independent");
    assert_unmixed(average, five, "eval.predictive");
    cJSON *json = json_of(bnn_run("eval", five, turned, LABELLED, "--json")); /* no figure asks for a group */
    member(json, "ensemble.members");
    cJSON_Delete(json);
    json = json_of(bnn_run("eval", five, turned, LABELLED, "--json", "--equivariance"));
    assert_non_null(strstr(member(json, "no_ensemble")->valuestring, "group: found C1 and C4"));
    cJSON_Delete(json);
    json = json_of(bnn_run("eval", five, few, turned, LABELLED, "--json", "--equivariance", "--group", "C2",
                           "--samples", "4"));
    assert_true(figure(json, "ensemble.members") == 3);
    cJSON_Delete(json);
    const char *const out = in_temporary("orbit.npy");
    assert_one_line(bnn_run("predict", five, turned, IMAGES_OF, "--orbit", "--out", out), 2, "C1 and C4");
    succeeded(bnn_run("predict", five, turned, IMAGES_OF, "--out", out));
    assert_one_line(bnn_run("calibrate", five, dog, LABELLED, "--coverage", "0.5", "--out", out), 2,
                    "names cat and dog");
}

/* Test sets are compared by what is in them, not by their names. */
static void test_sets_decide(void **state)
{
    static const char *const names[3] = {"one.npy", "same.npy", "changed.npy"};
    const char *models[3], *const labels = in_temporary("labels.npy");
    bnn_npy *images = array_of(FOLDER "images.npy"), *classes = array_of(FOLDER "labels.npy");
    (void)state;
    assert_int_equal(bnn_npy_write(labels, classes->data, classes->rank, classes->shape, 4, NULL), BNN_OK);
    for (size_t k = 0; k < 3; k++) {
        char name[16], data[2048];
        const char *const path = in_temporary(names[k]);
        if (k == 2) images->data[7] += 1;
        assert_int_equal(bnn_npy_write(path, images->data, images->rank, images->shape, 4, NULL), BNN_OK);
        snprintf(data, sizeof data,
                 "\"data\": {\"name\": \"npy\", \"train_images\": \"%s\", \"train_labels\": \"%s\", "
                 "\"test_images\": \"%s\", \"test_labels\": \"%s\"}",
                 path, labels, path, labels);
        snprintf(name, sizeof name, "of%zu.bin", k);
        models[k] = put_model(name, 5, NULL, data);
    }
    cJSON *json = json_of(bnn_run("eval", models[0], models[1], "--json"));
    member(json, "ensemble.members");
    cJSON_Delete(json);
    json = json_of(bnn_run("eval", models[0], models[2], "--json"));
    assert_non_null(
        strstr(member(json, "no_ensemble")->valuestring, "images: found sets that differ in pixels"));
    cJSON_Delete(json);
    assert_one_line(bnn_run("predict", models[0], models[2], "--out", in_temporary("no.npy")), 2, "differ");
    bnn_npy_free(classes);
    bnn_npy_free(images);
}

/* A mixture is one of the members' predictives as they are trained, and says so where they are calibrated. */
static void calibrations_are_left_out(void **state)
{
    const char *const other = projected(), *const calibrated = in_temporary("calibrated.bin");
    (void)state;
    succeeded(bnn_run("calibrate", FIRST, LABELLED, "--coverage", "0.5", "--out", calibrated));
    cJSON *plain = json_of(bnn_run("eval", FIRST, other, LABELLED, "--json"));
    const program_run *run = succeeded(bnn_run("eval", calibrated, other, LABELLED, "--json"));
    assert_non_null(strstr(run->err, "without the calibrations of its members"));
    cJSON *json = json_of(run);
    assert_close(figure(json, "nll"), figure(plain, "nll"), 1e-14, 0);
    assert_null(cJSON_GetObjectItem(json, "temperature"));
    member(cJSON_GetArrayItem(member(json, "models"), 0), "temperature");
    cJSON_Delete(json);
    cJSON_Delete(plain);
}

/* ---- ensembles ------------------------------------------------------------------------------------------- */

static void copy_file(const char *from, const char *to)
{
    char command[3 * PATH_MAX];
    snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

/* The calibration of a mixture is fitted to it and kept in a file that stands for its members. */
static void calibrating_a_mixture(void **state)
{
    const char *const other = projected(), *const out = in_temporary("ensemble.bin"),
                      *const plain = in_temporary("plain.npy"),
                      *const tempered = in_temporary("tempered.npy"), *const raw = in_temporary("raw.npy"),
                      *const sets = in_temporary("sets.npy");
    uint32_t labels[6];
    double p[8];
    (void)state;
    cJSON *made =
        json_of(bnn_run("calibrate", FIRST, other, LABELLED, "--coverage", "0.5", "--out", out, "--json"));
    succeeded(bnn_run("predict", FIRST, other, IMAGES_OF, "--out", plain));
    const program_run *run = succeeded(bnn_run("predict", out, IMAGES_OF, "--out", tempered));
    assert_string_equal(run->err, "");
    succeeded(bnn_run("predict", out, IMAGES_OF, "--no-calibration", "--out", raw));
    succeeded(bnn_run("predict", out, IMAGES_OF, "--sets", "--out", sets));
    bnn_npy *of[] = {array_of(plain), array_of(tempered), array_of(raw), array_of(FOLDER "labels.npy")};
    const size_t classes = of[0]->shape[1];
    for (size_t i = 0; i < 6; i++) labels[i] = (uint32_t)of[3]->data[i];
    const double temperature = bnn_fit_temperature(of[0]->data, labels, 6, classes);
    assert_close(figure(made, "temperature"), temperature, 1e-4, 0);
    assert_true(fabs(temperature - 1) > 0.05);
    for (size_t i = 0; i < 6; i++) {
        bnn_temper(of[0]->data + i * classes, classes, figure(made, "temperature"), p);
        for (size_t c = 0; c < classes; c++) {
            assert_close(of[1]->data[i * classes + c], p[c], 1e-6, 1);
            assert_true(of[2]->data[i * classes + c] == of[0]->data[i * classes + c]);
        }
    }
    cJSON *json = json_of(bnn_run("eval", out, LABELLED, "--json", "--equivariance"));
    cJSON *without = json_of(bnn_run("eval", FIRST, other, LABELLED, "--json", "--equivariance"));
    assert_close(figure(json, "nll"), figure(made, "nll"), 1e-12, 0);
    assert_close(figure(without, "nll"), figure(made, "nll_before"), 1e-12, 0);
    assert_close(figure(json, "temperature"), figure(made, "temperature"), 1e-15, 0);
    assert_true(figure(json, "conformal.coverage") >= 0.5); /* of the images that it was made from */
    assert_int_equal(cJSON_GetArraySize(member(json, "conformal.per_element")), 4);
    assert_int_equal(cJSON_GetArraySize(member(json, "models")), 2);
    assert_true(figure(json, "equivariance.defect.unbiased") ==
                figure(without, "equivariance.defect.unbiased"));
    assert_null(cJSON_GetObjectItem(cJSON_GetArrayItem(member(json, "models"), 0), "temperature"));
    run = succeeded(bnn_run("eval", out, LABELLED, "--samples", "3"));
    assert_non_null(strstr(run->err, "was calibrated for"));
    assert_non_null(strstr(run->out, "equal mixture"));
    cJSON *again = json_of(bnn_run("calibrate", out, LABELLED, "--coverage", "0.5", "--out", raw, "--json"));
    assert_true(figure(again, "temperature") == figure(made, "temperature"));
    for (size_t k = 0; k < 4; k++) bnn_npy_free(of[k]);
    cJSON_Delete(again);
    cJSON_Delete(without);
    cJSON_Delete(json);
    cJSON_Delete(made);
}

/* Members in the folder of the file move with it; another file in the place of a member is none. */
static void ensembles_name_their_members(void **state)
{
    const char *const here = in_temporary("here"), *const there = in_temporary("there"),
                      *const a = in_temporary("here/a.bin"), *const b = in_temporary("here/b.bin"),
                      *const out = in_temporary("here/both"), *const moved = in_temporary("there/both");
    (void)state;
    assert_int_equal(mkdir(here, 0777), 0);
    copy_file(FIRST, a);
    copy_file(projected(), b);
    succeeded(bnn_run("calibrate", a, b, LABELLED, "--coverage", "0.5", "--out", out));
    assert_int_equal(rename(here, there), 0);
    succeeded(bnn_run("eval", moved, LABELLED));
    assert_one_line(bnn_run("eval", moved, FIRST, LABELLED), 2, moved, "expected a model written by bnn");
    assert_one_line(bnn_run("info", moved), 2, moved, "expected a model written by bnn");
    assert_one_line(bnn_run("eval", moved, LABELLED, "--worst", "1"), 2, "--worst", "2 models");
    const char *const second = in_temporary("there/b.bin");
    copy_file(FIRST, second);
    assert_one_line(bnn_run("eval", moved, LABELLED), 2, moved, second, "SHA-256");
    assert_int_equal(unlink(second), 0);
    assert_one_line(bnn_run("predict", moved, IMAGES_OF, "--out", in_temporary("n.npy")), 2, moved, second);
}

/* What a file may say of its members and may not. */
static void damaged_ensembles_are_refused(void **state)
{
    static const char *const lists[] = {"[]",
                                        "{}",
                                        "[",
                                        "[{\"path\": \"a\", \"sha256\": \"0\"}, {}]",
                                        "[{\"path\": 1, \"sha256\": 2}, {\"path\": 1, \"sha256\": 2}]",
                                        "[1, 2]"};
    const char *const path = in_temporary("damaged.bin");
    (void)state;
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        const char *const metadata[] = {"format", "bnn-ensemble", "members", lists[k]};
        assert_int_equal(bnn_safetensors_write(path, NULL, 0, metadata, 2, NULL), BNN_OK);
        assert_one_line(bnn_run("eval", path, LABELLED), 2, path, "member");
    }
    const char *const none[] = {"format", "bnn-ensemble"};
    assert_int_equal(bnn_safetensors_write(path, NULL, 0, none, 1, NULL), BNN_OK);
    assert_one_line(bnn_run("eval", path, LABELLED), 2, path, "list of 2 to 256 members");
}

/* The other mixture, over the group: eval has the KL of that posterior, with its error. */
static void eval_gives_the_kl_of_the_group_mixture(void **state)
{
    (void)state;
    cJSON *json = json_of(bnn_run("eval", FIRST, LABELLED, "--json", "--predictive", "group-averaged"));
    const double gain = figure(json, "elbo.kl") - figure(json, "elbo.kl_mixture");
    assert_true(gain > 0 && gain <= log(4) + 1e-9 && figure(json, "elbo.kl_mixture_standard_error") >= 0);
    cJSON_Delete(json);
    json = json_of(bnn_run("eval", projected(), LABELLED, "--json", "--predictive", "group-averaged"));
    assert_true(figure(json, "elbo.kl") == figure(json, "elbo.kl_mixture"));
    assert_true(figure(json, "elbo.kl_mixture_standard_error") == 0);
    cJSON_Delete(json);
    json = json_of(bnn_run("eval", FIRST, LABELLED, "--json"));
    assert_null(cJSON_GetObjectItem(member(json, "elbo"), "kl_mixture"));
    cJSON_Delete(json);
}

static int prepare(void **state)
{
    return find_program() || make_temporary_directory(state) ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defects_match_their_definitions),
        cmocka_unit_test(uncertainty_is_split),
        cmocka_unit_test(a_member_twice_is_the_member),
        cmocka_unit_test(unbiased_in_repeated_experiments),
        cmocka_unit_test(prediction_is_the_mean_of_the_members),
        cmocka_unit_test(likelihoods_are_formed_from_logits),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(predict_writes_the_mean),
        cmocka_unit_test(eval_gives_the_mixture_and_its_members),
        cmocka_unit_test(sweep_of_a_mixture),
        cmocka_unit_test(models_that_do_not_mix),
        cmocka_unit_test(test_sets_decide),
        cmocka_unit_test(calibrations_are_left_out),
        cmocka_unit_test(calibrating_a_mixture),
        cmocka_unit_test(ensembles_name_their_members),
        cmocka_unit_test(damaged_ensembles_are_refused),
        cmocka_unit_test(eval_gives_the_kl_of_the_group_mixture),
    };
    return cmocka_run_group_tests(tests, prepare, remove_temporary_directory);
}
