/* Metrics against the reference figures, a naive twin, and closed forms. */
#include "testing.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/metrics.h"
#include "synthetic.h"

#define EXACT 1e-12

/* ---- reference figures
 * -------------------------------------------------------------------------------------- */

static char *slurp(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    bytes[*size] = 0;
    fclose(file);
    return bytes;
}

/* The items of a version-1 '<f8' or '<i8' file in C order: 8 bytes each after the header. */
static void *load_npy(const char *path, const char *type, size_t count)
{
    size_t size;
    char *bytes = slurp(path, &size);
    const size_t header = 10 + (size_t)(unsigned char)bytes[8] + 256 * (size_t)(unsigned char)bytes[9];
    assert_memory_equal(bytes, "\x93NUMPY\x01", 7);
    assert_non_null(strstr(bytes + 10, type));
    assert_non_null(strstr(bytes + 10, "'fortran_order': False"));
    assert_int_equal(size, header + 8 * count);
    memmove(bytes, bytes + header, 8 * count);
    return bytes;
}

static uint32_t *load_labels(const char *path, size_t count)
{
    int64_t *wide = load_npy(path, "'<i8'", count);
    uint32_t *labels = malloc(count * sizeof *labels);
    assert_non_null(labels);
    for (size_t i = 0; i < count; i++) labels[i] = (uint32_t)wide[i];
    free(wide);
    return labels;
}

static cJSON *load_json(const char *path)
{
    size_t size;
    char *text = slurp(path, &size);
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    free(text);
    return json;
}

static double figure(const cJSON *json, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    if (!cJSON_IsNumber(item)) fail_msg("no figure %s", name);
    return item->valuedouble;
}

/* The metrics of (draws, order, images, classes), given in chunks of at most `chunk` images. */
static bnn_metrics *measure(const double *p, size_t draws, size_t order, size_t images, size_t classes,
                            const uint32_t *labels, size_t chunk)
{
    bnn_metrics_accumulator *accumulator;
    bnn_metrics *metrics;
    bnn_error error = {0};
    double *part = malloc(draws * order * chunk * classes * sizeof *part);
    assert_non_null(part);
    assert_int_equal(bnn_metrics_begin(draws, order, classes, &accumulator, &error), BNN_OK);
    for (size_t begin = 0; begin < images; begin += chunk) {
        const size_t n = images - begin < chunk ? images - begin : chunk;
        for (size_t k = 0; k < draws * order; k++)
            memcpy(part + k * n * classes, p + (k * images + begin) * classes, n * classes * sizeof *part);
        if (bnn_metrics_add(accumulator, part, n, labels ? labels + begin : NULL, NULL, &error))
            fail_msg("%s", error.message);
    }
    assert_int_equal(bnn_metrics_end(accumulator, &metrics, &error), BNN_OK);
    bnn_metrics_discard(accumulator);
    free(part);
    return metrics;
}

static void reference_orbit(void **state)
{
    double *p = load_npy(REFERENCE "metrics/probs_orbit.npy", "'<f8'", 4 * 64 * 10);
    uint32_t *labels = load_labels(REFERENCE "metrics/labels.npy", 64);
    cJSON *json = load_json(REFERENCE "metrics/expected.json");
    bnn_metrics *m = measure(p, 1, 4, 64, 10, labels, 64);
    (void)state;
    assert_close(m->accuracy, figure(json, "accuracy"), EXACT, 0);
    assert_close(m->accuracy_orbit, figure(json, "accuracy_orbit"), EXACT, 0);
    assert_close(m->nll, figure(json, "nll"), EXACT, 0);
    assert_close(m->orbit_agreement, figure(json, "orbit_agreement"), EXACT, 0);
    assert_close(m->orbit_identity_agreement, figure(json, "orbit_identity_agreement"), EXACT, 0);
    assert_close(m->symmetric_kl_mean, figure(json, "symmetric_kl_mean"), EXACT, 0);
    assert_close(m->symmetric_kl_std, figure(json, "symmetric_kl_std"), EXACT, 0);
    assert_close(m->symmetric_kl_mean / 10, figure(json, "symmetric_kl_mean_reference_scale"), EXACT, 0);
    assert_close(m->defect_plugin, figure(json, "defect_mean"), EXACT, 0);
    assert_close(m->defect_plugin_std, figure(json, "defect_std"), EXACT, 0);
    assert_close(m->ece, figure(json, "ece_15"), EXACT, 0);
    assert_close(m->brier, figure(json, "brier"), EXACT, 0);
    assert_close(m->entropy, figure(json, "entropy_mean"), EXACT, 0);
    assert_close(m->expected_nll, m->nll, EXACT, 0); /* one draw */
    assert_true(isnan(m->defect_unbiased) && isnan(m->defect_standard_error) && isnan(m->mutual_information));
    bnn_metrics_free(m);
    cJSON_Delete(json);
    free(labels);
    free(p);
}

static void reference_samples(void **state)
{
    double *p = load_npy(REFERENCE "metrics/probs_samples.npy", "'<f8'", 8 * 4 * 16 * 5);
    uint32_t *labels = load_labels(REFERENCE "metrics/labels_samples.npy", 16);
    cJSON *json = load_json(REFERENCE "metrics/expected_samples.json");
    const cJSON *per_element = cJSON_GetObjectItemCaseSensitive(json, "defect_unbiased_per_element");
    bnn_metrics *m = measure(p, 8, 4, 16, 5, labels, 5);
    (void)state;
    assert_close(m->defect_plugin, figure(json, "defect_plugin"), EXACT, 0);
    assert_close(m->defect_unbiased, figure(json, "defect_unbiased"), EXACT, 0);
    assert_close(m->entropy, figure(json, "entropy_mean"), EXACT, 0);
    assert_close(m->mutual_information, figure(json, "mutual_information_mean"), EXACT, 0);
    assert_close(m->orbit_mutual_information, figure(json, "orbit_mutual_information_mean"), EXACT, 0);
    assert_int_equal(cJSON_GetArraySize(per_element), 4);
    for (int g = 0; g < 4; g++)
        assert_close(m->defect_unbiased_per_element[g], cJSON_GetArrayItem(per_element, g)->valuedouble,
                     EXACT, 0);
    bnn_metrics_free(m);
    cJSON_Delete(json);
    free(labels);
    free(p);
}

/* ---- a naive twin: every figure straight from its definition, one at a time
 * --------------------------------- */

enum { T = 3, G = 3, N = 17, C = 4 };
typedef struct predictions {
    double p[T][G][N][C];
    uint32_t labels[N];
} predictions;

static predictions random_predictions(void)
{
    predictions x;
    bnn_pcg32 rng;
    bnn_pcg32_seed(&rng, 11, 3);
    random_rows(&rng, &x.p[0][0][0][0], T * G * N, C);
    for (size_t i = 0; i < N; i++) x.labels[i] = bnn_pcg32_below(&rng, C);
    return x;
}

static double mean_of_draws(const predictions *x, size_t g, size_t i, size_t c)
{
    return (x->p[0][g][i][c] + x->p[1][g][i][c] + x->p[2][g][i][c]) / T;
}

static size_t predicted(const predictions *x, size_t g, size_t i)
{
    size_t best = 0;
    for (size_t c = 0; c < C; c++)
        if (mean_of_draws(x, g, i, c) > mean_of_draws(x, g, i, best)) best = c;
    return best;
}

static double information(double p)
{
    return p > 0 ? -p * log(p) : 0;
}

static void naive_labelled(const predictions *x, const bnn_metrics *m)
{
    double right[2] = {0}, nll[2] = {0}, brier[2] = {0}, expected_nll = 0, ece[2] = {0}, aurc = 0;
    for (size_t i = 0; i < N; i++) {
        for (size_t g = 0; g < G; g++) {
            for (size_t orbit = g > 0; orbit < 2; orbit++) {
                const double n = orbit ? G * N : N;
                right[orbit] += (predicted(x, g, i) == x->labels[i]) / n;
                nll[orbit] -= log(mean_of_draws(x, g, i, x->labels[i])) / n;
                for (size_t c = 0; c < C; c++)
                    brier[orbit] += pow(mean_of_draws(x, g, i, c) - (x->labels[i] == c), 2) / n;
            }
        }
        for (size_t t = 0; t < T; t++) expected_nll -= log(x->p[t][0][i][x->labels[i]]) / (T * N);
    }
    for (size_t orbit = 0; orbit < 2; orbit++) {
        for (size_t b = 0; b < 15; b++) {
            double gap = 0;
            for (size_t g = 0; g < (orbit ? G : 1); g++) {
                for (size_t i = 0; i < N; i++) {
                    const double confidence = mean_of_draws(x, g, i, predicted(x, g, i));
                    if (confidence > (double)b / 15 && confidence <= (double)(b + 1) / 15)
                        gap += (predicted(x, g, i) == x->labels[i]) - confidence;
                }
            }
            ece[orbit] += fabs(gap) / (orbit ? G * N : N);
        }
    }
    for (size_t i = 0; i < N; i++) { /* k = the rank of image i */
        double k = 0, errors = 0;
        for (size_t j = 0; j < N; j++) {
            if (mean_of_draws(x, 0, j, predicted(x, 0, j)) < mean_of_draws(x, 0, i, predicted(x, 0, i)))
                continue;
            k++;
            errors += predicted(x, 0, j) != x->labels[j];
        }
        aurc += errors / k / N;
    }
    assert_close(m->accuracy, right[0], EXACT, 0);
    assert_close(m->accuracy_orbit, right[1], EXACT, 0);
    assert_close(m->nll, nll[0], EXACT, 0);
    assert_close(m->nll_orbit, nll[1], EXACT, 0);
    assert_close(m->brier, brier[0], EXACT, 0);
    assert_close(m->brier_orbit, brier[1], EXACT, 0);
    assert_close(m->ece, ece[0], EXACT, 0);
    assert_close(m->ece_orbit, ece[1], EXACT, 0);
    assert_close(m->expected_nll, expected_nll, EXACT, 0);
    assert_close(m->aurc, aurc, EXACT, 0);
}

static void naive_information(const predictions *x, const bnn_metrics *m)
{
    double h = 0, mutual = 0, over_orbit = 0;
    for (size_t i = 0; i < N; i++) {
        double entropy = 0, conditional = 0, mixture = 0, parts = 0;
        for (size_t c = 0; c < C; c++) {
            double average = 0;
            entropy += information(mean_of_draws(x, 0, i, c));
            for (size_t t = 0; t < T; t++) conditional += information(x->p[t][0][i][c]) / T;
            for (size_t g = 0; g < G; g++) {
                average += mean_of_draws(x, g, i, c) / G;
                parts += information(mean_of_draws(x, g, i, c)) / G;
            }
            mixture += information(average);
        }
        assert_close(m->image_entropy[i], entropy, EXACT, 1);
        assert_close(m->image_mutual_information[i], entropy - conditional, EXACT, 1);
        assert_close(m->image_orbit_mutual_information[i], mixture - parts, EXACT, 1);
        h += entropy / N, mutual += (entropy - conditional) / N, over_orbit += (mixture - parts) / N;
    }
    assert_close(m->entropy, h, EXACT, 0);
    assert_close(m->mutual_information, mutual, EXACT, 1);
    assert_close(m->orbit_mutual_information, over_orbit, EXACT, 1);
}

static void naive_orbit(const predictions *x, const bnn_metrics *m)
{
    double agreement = 0, identity = 0, kl_mean = 0, kl_square = 0;
    for (size_t i = 0; i < N; i++) {
        size_t most = 0;
        for (size_t c = 0; c < C; c++) {
            size_t votes = 0;
            for (size_t g = 0; g < G; g++) votes += predicted(x, g, i) == c;
            most = votes > most ? votes : most;
        }
        agreement += (double)most / G / N;
        for (size_t g = 0; g < G; g++)
            identity += (predicted(x, g, i) == predicted(x, 0, i)) / (double)(G * N);
        for (size_t g = 1; g < G; g++) {
            double kl = 0;
            for (size_t c = 0; c < C; c++) {
                const double p = mean_of_draws(x, 0, i, c) + 1e-8, q = mean_of_draws(x, g, i, c) + 1e-8;
                kl += p * log(p / q) + q * log(q / p);
            }
            kl_mean += kl / (N * (G - 1)), kl_square += kl * kl / (N * (G - 1));
        }
    }
    assert_close(m->orbit_agreement, agreement, EXACT, 0);
    assert_close(m->orbit_identity_agreement, identity, EXACT, 0);
    assert_close(m->symmetric_kl_mean, kl_mean, EXACT, 0);
    assert_close(m->symmetric_kl_std, sqrt(kl_square - kl_mean * kl_mean), EXACT, 1);
}

static void naive_defect(const predictions *x, const bnn_metrics *m)
{
    double plugin[G] = {0}, unbiased[G] = {0}, plugin_mean = 0, plugin_square = 0, unbiased_mean = 0;
    for (size_t i = 0; i < N; i++) {
        double image = 0;
        for (size_t g = 0; g < G; g++) {
            for (size_t c = 0; c < C; c++) {
                image += pow(mean_of_draws(x, g, i, c) - mean_of_draws(x, 0, i, c), 2) / G;
                plugin[g] += pow(mean_of_draws(x, g, i, c) - mean_of_draws(x, 0, i, c), 2) / N;
                for (size_t s = 0; s < T; s++)
                    for (size_t t = 0; t < T; t++)
                        if (s != t)
                            unbiased[g] += (x->p[s][g][i][c] - x->p[s][0][i][c]) *
                                           (x->p[t][g][i][c] - x->p[t][0][i][c]) / (T * (T - 1) * N);
            }
        }
        assert_close(m->image_defect[i], image, EXACT, 0);
        plugin_mean += image / N, plugin_square += image * image / N;
    }
    for (size_t g = 0; g < G; g++) {
        assert_close(m->defect_plugin_per_element[g], plugin[g], EXACT, 0);
        assert_close(m->defect_unbiased_per_element[g], unbiased[g], EXACT, 1);
        unbiased_mean += unbiased[g] / G;
    }
    assert_close(m->defect_plugin, plugin_mean, EXACT, 0);
    assert_close(m->defect_plugin_std, sqrt(plugin_square - plugin_mean * plugin_mean), EXACT, 1);
    assert_close(m->defect_unbiased, unbiased_mean, EXACT, 1);
}

static void naive_twin(void **state)
{
    const predictions x = random_predictions();
    (void)state;
    for (size_t chunk = 1; chunk <= N; chunk += 4) {
        bnn_metrics *m = measure(&x.p[0][0][0][0], T, G, N, C, x.labels, chunk);
        assert_int_equal(m->draws * m->order * m->images * m->classes, T * G * N * C);
        naive_labelled(&x, m);
        naive_information(&x, m);
        naive_orbit(&x, m);
        naive_defect(&x, m);
        bnn_metrics_free(m);
    }
}

/* ---- edges
 * -------------------------------------------------------------------------------------------------- */

static void without_labels(void **state)
{
    const predictions x = random_predictions();
    bnn_metrics *with = measure(&x.p[0][0][0][0], T, G, N, C, x.labels, N);
    bnn_metrics *m = measure(&x.p[0][0][0][0], T, G, N, C, NULL, 4);
    (void)state;
    assert_true(with->labelled && !m->labelled);
    const double labelled[] = {
        m->accuracy,       m->nll,       m->ece,       m->brier,      m->expected_nll, m->aurc,
        m->accuracy_orbit, m->nll_orbit, m->ece_orbit, m->brier_orbit};
    for (size_t k = 0; k < sizeof labelled / sizeof *labelled; k++) assert_true(isnan(labelled[k]));
    assert_true(m->entropy == with->entropy && m->symmetric_kl_mean == with->symmetric_kl_mean);
    assert_true(m->defect_unbiased == with->defect_unbiased);
    for (size_t b = 0; b < BNN_ECE_BINS; b++) {
        assert_int_equal(m->reliability[b].count, with->reliability[b].count);
        if (m->reliability[b].count)
            assert_true(m->reliability[b].confidence == with->reliability[b].confidence);
    }
    bnn_metrics_free(m);
    bnn_metrics_free(with);
}

static void one_group_element(void **state)
{
    const predictions x = random_predictions();
    bnn_metrics *m = measure(&x.p[0][0][0][0], T, 1, N, C, x.labels, 3);
    (void)state;
    assert_true(m->symmetric_kl_mean == 0 && m->symmetric_kl_std == 0 && m->orbit_mutual_information == 0);
    assert_true(m->defect_plugin == 0 && m->defect_unbiased == 0);
    assert_true(m->orbit_agreement == 1 && m->orbit_identity_agreement == 1);
    assert_true(m->accuracy_orbit == m->accuracy && m->ece_orbit == m->ece && m->nll_orbit == m->nll);
    bnn_metrics_free(m);
}

/* Confidences on the edges of bins, ties of argmax, and a certain mistake. */
static void bins_ties_and_zeros(void **state)
{
    static const double p[5][3] = {
        {0.6, 0.2, 0.2}, {0.5, 0.5, 0}, {0, 1, 0}, {0.2, 0.4, 0.4}, {0.8, 0.1, 0.1}};
    static const uint32_t labels[5] = {0, 1, 0, 1, 2};
    static const size_t bins[5] = {8, 7, 14, 5, 11}; /* 0.6 = 9/15 closes bin 8 */
    bnn_metrics *m = measure(&p[0][0], 1, 1, 5, 3, labels, 5);
    (void)state;
    for (size_t i = 0; i < 5; i++) assert_int_equal(m->reliability[bins[i]].count, 1);
    assert_true(isnan(m->reliability[0].accuracy));
    assert_close(m->accuracy, 2. / 5, EXACT, 0); /* images 0 and 3: the lowest class wins a tie */
    assert_close(m->ece, (0.4 + 0.5 + 1 + 0.6 + 0.8) / 5, EXACT, 0);
    assert_close(m->nll, -(log(0.6) + log(0.5) + log(0x1p-1022) + log(0.4) + log(0.1)) / 5, EXACT, 0);
    assert_close(m->aurc, (1. + 2. / 2 + 2. / 3 + 3. / 4 + 3. / 5) / 5, EXACT, 0);
    assert_close(m->expected_nll, m->nll, EXACT, 0); /* one draw; both take a probability of 0 for DBL_MIN */
    bnn_metrics_free(m);
}

/* Calls visit on every order of items[from .. n - 1]. */
static void permute(size_t *items, size_t from, size_t n, void (*visit)(void *, const size_t *),
                    void *context)
{
    if (from == n) visit(context, items);
    for (size_t k = from; k < n; k++) {
        const size_t first = items[from], other = items[k];
        items[from] = other, items[k] = first;
        permute(items, from + 1, n, visit, context);
        items[from] = first, items[k] = other;
    }
}

struct orders {
    const double *confidence, *correct;
    double sum, count;
};

/* The area of one order, where it is one by confidence. */
static void add_area(void *context, const size_t *items)
{
    struct orders *o = context;
    double errors = 0, area = 0;
    for (size_t k = 0; k < 7; k++) {
        if (k > 0 && o->confidence[items[k]] > o->confidence[items[k - 1]]) return;
        errors += 1 - o->correct[items[k]];
        area += errors / (double)(k + 1) / 7;
    }
    o->sum += area;
    o->count++;
}

static double aurc_of(const double *confidence, const double *correct, size_t n)
{
    double aurc;
    assert_int_equal(bnn_aurc(confidence, correct, n, &aurc, NULL), BNN_OK);
    return aurc;
}

static double auroc_of(const double *in, size_t n, const double *out, size_t m)
{
    double auroc;
    assert_int_equal(bnn_auroc(in, n, out, m, &auroc, NULL), BNN_OK);
    return auroc;
}

static void tied_confidences_count_as_one_block(void **state)
{
    static const double confidence[7] = {0.5, 0.9, 0.5, 0.7, 0.9, 0.5, 0.5},
                        correct[7] = {0, 1, 1, 0, 0, 0, 1};
    double reversed[2][7];
    size_t items[7] = {0, 1, 2, 3, 4, 5, 6};
    struct orders orders = {confidence, correct, 0, 0};
    (void)state;
    permute(items, 0, 7, add_area, &orders);
    assert_true(orders.count == 2 * 24);
    assert_close(aurc_of(confidence, correct, 7), orders.sum / orders.count, EXACT, 0);
    for (size_t i = 0; i < 7; i++) reversed[0][i] = confidence[6 - i], reversed[1][i] = correct[6 - i];
    assert_close(aurc_of(reversed[0], reversed[1], 7), orders.sum / orders.count, EXACT, 0);
    assert_true(isnan(aurc_of(confidence, correct, 0)));
}

static void auroc_is_the_pairwise_count(void **state)
{
    enum { IN = 61, OUT = 43 };
    double in[IN], out[OUT], wins = 0;
    const double nan_score[1] = {NAN};
    bnn_pcg32 rng;
    (void)state;
    bnn_pcg32_seed(&rng, 5, 5);
    for (size_t i = 0; i < IN; i++) in[i] = bnn_pcg32_below(&rng, 12);
    for (size_t j = 0; j < OUT; j++) out[j] = 3 + bnn_pcg32_below(&rng, 14);
    for (size_t i = 0; i < IN; i++)
        for (size_t j = 0; j < OUT; j++) wins += out[j] > in[i] ? 1 : out[j] < in[i] ? 0 : 0.5;
    assert_close(auroc_of(in, IN, out, OUT), wins / (IN * OUT), EXACT, 0);
    assert_close(auroc_of(in, IN, in, IN), 0.5, EXACT, 0);
    assert_true(isnan(auroc_of(in, 0, out, OUT)) && isnan(auroc_of(in, IN, out, 0)));
    assert_true(isnan(auroc_of(in, IN, nan_score, 1)));
}

static void terms_stand_for_what_probabilities_cannot_tell(void **state)
{
    const predictions x = random_predictions();
    double log_likelihood[G][N], expected[N], entropy[N], nll = 0, nll_orbit = 0, expected_nll = 0,
                                                          mutual = 0;
    bnn_metrics_accumulator *accumulator;
    bnn_metrics *m, *plain = measure(&x.p[0][0][0][0], T, G, N, C, x.labels, N);
    (void)state;
    for (size_t i = 0; i < N; i++) {
        for (size_t g = 0; g < G; g++) {
            log_likelihood[g][i] = -1000. * (double)(g + 1) - (double)i;
            nll_orbit -= log_likelihood[g][i] / (G * N);
        }
        expected[i] = -2000. - (double)i;
        entropy[i] = 0.01 * (double)i;
        nll -= log_likelihood[0][i] / N, expected_nll -= expected[i] / N;
        mutual += (plain->image_entropy[i] - entropy[i]) / N;
    }
    for (size_t draws = 1; draws <= T; draws += T - 1) {
        const bnn_image_terms terms = {&log_likelihood[0][0], expected, draws == T ? entropy : NULL, NULL};
        assert_int_equal(bnn_metrics_begin(draws, G, C, &accumulator, NULL), BNN_OK);
        assert_int_equal(bnn_metrics_add(accumulator, &x.p[0][0][0][0], N, x.labels, &terms, NULL), BNN_OK);
        assert_int_equal(bnn_metrics_end(accumulator, &m, NULL), BNN_OK);
        assert_close(m->nll, nll, EXACT, 0);
        assert_close(m->nll_orbit, nll_orbit, EXACT, 0);
        assert_close(m->expected_nll, expected_nll, EXACT, 0);
        if (draws == T)
            assert_close(m->mutual_information, mutual, EXACT, 1);
        else
            assert_true(isnan(m->mutual_information));
        bnn_metrics_free(m);
        bnn_metrics_discard(accumulator);
    }
    bnn_metrics_free(plain);
}

/* ---- no figure depends on an order
 * -------------------------------------------------------------------------- */

enum { DRAWS = 12, ELEMENTS = 4, PICTURES = 60, TENTHS = 3 }; /* TENTHS: classes, in steps of 1/10 */

/* Probabilities in tenths, with many ties of confidences and of classes, whose sums over draws are inexact. */
static void quantised_rows(bnn_pcg32 *rng, double *p, size_t rows)
{
    for (size_t r = 0; r < rows; r++, p += TENTHS) {
        const uint32_t a = bnn_pcg32_below(rng, 11), b = bnn_pcg32_below(rng, 11 - a);
        p[0] = a / 10., p[1] = b / 10., p[2] = (10 - a - b) / 10.;
    }
}

/* A random order of 0 .. n - 1 that leaves those below `fixed` in place. */
static void shuffle(bnn_pcg32 *rng, size_t *order, size_t n, size_t fixed)
{
    for (size_t i = 0; i < n; i++) order[i] = i;
    for (size_t i = n - 1; i > fixed; i--) {
        const size_t j = fixed + bnn_pcg32_below(rng, (uint32_t)(i - fixed + 1)), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

/* Every figure, and whether it is a small difference of numbers of size 1: then it is equal to the rounding of those. */
static const struct {
    const char *name;
    size_t offset;
    bool difference;
} every_figure[] = {
#define FIGURE(name, difference)                                                                             \
    {                                                                                                        \
#name, offsetof(bnn_metrics, name), difference                                                       \
    }
    FIGURE(accuracy, false),
    FIGURE(nll, false),
    FIGURE(ece, false),
    FIGURE(brier, false),
    FIGURE(expected_nll, false),
    FIGURE(entropy, false),
    FIGURE(mutual_information, true),
    FIGURE(aurc, false),
    FIGURE(accuracy_orbit, false),
    FIGURE(nll_orbit, false),
    FIGURE(ece_orbit, false),
    FIGURE(brier_orbit, false),
    FIGURE(orbit_mutual_information, true),
    FIGURE(orbit_agreement, false),
    FIGURE(orbit_identity_agreement, false),
    FIGURE(symmetric_kl_mean, false),
    FIGURE(symmetric_kl_std, false),
    FIGURE(defect_plugin, false),
    FIGURE(defect_plugin_std, false),
    FIGURE(defect_unbiased, true),
    FIGURE(defect_standard_error, false),
};

static void compare_shuffled(const bnn_metrics *shuffled, const bnn_metrics *plain, const size_t *elements,
                             const size_t *images)
{
    for (size_t k = 0; k < sizeof every_figure / sizeof *every_figure; k++) {
        const double found = *(const double *)((const char *)shuffled + every_figure[k].offset);
        const double wanted = *(const double *)((const char *)plain + every_figure[k].offset);
        if (!(fabs(found - wanted) <= EXACT * (every_figure[k].difference ? 1 : wanted)))
            fail_msg("%s is %.17g, in another order %.17g", every_figure[k].name, wanted, found);
    }
    for (size_t b = 0; b < BNN_ECE_BINS; b++) {
        assert_int_equal(shuffled->reliability[b].count, plain->reliability[b].count);
        assert_int_equal(shuffled->reliability_orbit[b].count, plain->reliability_orbit[b].count);
    }
    for (size_t g = 0; g < plain->order; g++) {
        assert_close(shuffled->defect_plugin_per_element[g], plain->defect_plugin_per_element[elements[g]],
                     EXACT, 0);
        assert_close(shuffled->defect_unbiased_per_element[g],
                     plain->defect_unbiased_per_element[elements[g]], EXACT, 1);
    }
    for (size_t i = 0; i < plain->images; i++) {
        assert_close(shuffled->image_entropy[i], plain->image_entropy[images[i]], EXACT, 1);
        assert_close(shuffled->image_mutual_information[i], plain->image_mutual_information[images[i]], EXACT,
                     1);
        assert_close(shuffled->image_defect[i], plain->image_defect[images[i]], EXACT, 1);
    }
}

static void check_orders(bnn_pcg32 *rng, const double *p, size_t draws, size_t images, const uint32_t *labels)
{
    const size_t row = TENTHS * sizeof *p;
    double *other = malloc(draws * ELEMENTS * images * row);
    size_t *t_of = malloc(draws * sizeof *t_of), *i_of = malloc(images * sizeof *i_of), g_of[ELEMENTS];
    uint32_t *other_labels = malloc(images * sizeof *other_labels);
    assert_true(other && t_of && i_of && other_labels);
    bnn_metrics *plain = measure(p, draws, ELEMENTS, images, TENTHS, labels, images);
    for (size_t turn = 0; turn < 6; turn++) {
        shuffle(rng, t_of, draws, 0);
        shuffle(rng, g_of, ELEMENTS, 1);
        shuffle(rng, i_of, images, 0);
        for (size_t t = 0; t < draws; t++)
            for (size_t g = 0; g < ELEMENTS; g++)
                for (size_t i = 0; i < images; i++)
                    memcpy(other + ((t * ELEMENTS + g) * images + i) * TENTHS,
                           p + ((t_of[t] * ELEMENTS + g_of[g]) * images + i_of[i]) * TENTHS, row);
        for (size_t i = 0; i < images; i++) other_labels[i] = labels[i_of[i]];
        bnn_metrics *shuffled = measure(other, draws, ELEMENTS, images, TENTHS, other_labels, 7);
        compare_shuffled(shuffled, plain, g_of, i_of);
        bnn_metrics_free(shuffled);
    }
    bnn_metrics_free(plain);
    free(other_labels);
    free(i_of);
    free(t_of);
    free(other);
}

static void no_figure_depends_on_an_order(void **state)
{
    static double p[256 * ELEMENTS * PICTURES * TENTHS];
    uint32_t labels[PICTURES];
    bnn_pcg32 rng;
    (void)state;
    bnn_pcg32_seed(&rng, 17, 2);
    for (size_t i = 0; i < PICTURES; i++) labels[i] = bnn_pcg32_below(&rng, TENTHS);
    quantised_rows(&rng, p, DRAWS * ELEMENTS * PICTURES);
    check_orders(&rng, p, DRAWS, PICTURES, labels);
    quantised_rows(&rng, p, ELEMENTS * PICTURES);
    for (size_t i = 0; i < ELEMENTS * PICTURES * TENTHS; i++) p[i + ELEMENTS * PICTURES * TENTHS] = p[i];
    quantised_rows(&rng, p + 2 * ELEMENTS * PICTURES * TENTHS, 3 * ELEMENTS * PICTURES);
    check_orders(&rng, p, 5, PICTURES, labels); /* few draws, two of them equal: more ties */
    random_rows(&rng, p, DRAWS * ELEMENTS * PICTURES, TENTHS);
    check_orders(&rng, p, DRAWS, PICTURES, labels);
    random_rows(&rng, p, 256 * ELEMENTS * 10, TENTHS);
    check_orders(&rng, p, 256, 10, labels);
}

/* Above 256 draws the standard error is of blocks of consecutive draws, and other blocks give another one. */
static void the_error_of_many_draws_depends_a_little_on_their_order(void **state)
{
    enum { MANY = 512, FEW = 10 };
    static double p[MANY * ELEMENTS * FEW * 4], other[MANY * ELEMENTS * FEW * 4];
    const size_t draw = ELEMENTS * FEW * 4;
    double a[FEW], f[FEW];
    size_t order[MANY];
    bnn_pcg32 rng;
    (void)state;
    bnn_pcg32_seed(&rng, 18, 2);
    for (size_t turn = 0; turn < 4; turn++) {
        noisy_predictions(&rng, MANY, ELEMENTS, FEW, turn < 2 ? 0 : 0.05, 0.06, 0.06, a, f, p);
        shuffle(&rng, order, MANY, 0);
        for (size_t t = 0; t < MANY; t++) memcpy(other + t * draw, p + order[t] * draw, draw * sizeof *p);
        bnn_metrics *plain = measure(p, MANY, ELEMENTS, FEW, 4, NULL, FEW),
                    *shuffled = measure(other, MANY, ELEMENTS, FEW, 4, NULL, FEW);
        assert_true(shuffled->defect_standard_error != plain->defect_standard_error);
        assert_close(shuffled->defect_standard_error, plain->defect_standard_error, turn < 2 ? 0.25 : 0.02,
                     0);
        assert_close(shuffled->defect_unbiased, plain->defect_unbiased, EXACT, 1);
        bnn_metrics_free(shuffled);
        bnn_metrics_free(plain);
    }
}

static void expect_refusal(bnn_metrics_accumulator *accumulator, const predictions *x, const uint32_t *labels,
                           const char *message)
{
    bnn_error error = {0};
    assert_int_equal(bnn_metrics_add(accumulator, &x->p[0][0][0][0], N, labels, NULL, &error), BNN_BAD_INPUT);
    assert_string_equal(error.message, message);
}

static void bad_input_is_named(void **state)
{
    const predictions good = random_predictions();
    predictions x = good;
    bnn_metrics_accumulator *accumulator;
    bnn_metrics *m;
    bnn_error error = {0};
    (void)state;
    assert_int_equal(bnn_metrics_begin(T, 0, C, &accumulator, &error), BNN_BAD_INPUT);
    assert_null(accumulator);
    assert_int_equal(bnn_metrics_begin(SIZE_MAX / 2, 3, C, &accumulator, &error), BNN_FAILED);
    assert_null(accumulator);
    assert_int_equal(bnn_metrics_begin(T, G, C, &accumulator, &error), BNN_OK);
    assert_int_equal(bnn_metrics_end(accumulator, &m, &error), BNN_BAD_INPUT);
    assert_null(m);

    x.p[2][1][5][3] = -NAN;
    expect_refusal(
        accumulator, &x, x.labels,
        "probabilities: draw 2, group element 1, image 5: class 3 has NaN, expected a finite number of "
        "at least 0");
    x.p[2][1][5][3] = -0.25;
    expect_refusal(
        accumulator, &x, x.labels,
        "probabilities: draw 2, group element 1, image 5: class 3 has -0.25, expected a finite number of "
        "at least 0");
    memcpy(x.p[2][1][5], (const double[C]){0.5, 0.25, 0.5, 0}, sizeof x.p[2][1][5]);
    expect_refusal(accumulator, &x, x.labels,
                   "probabilities: draw 2, group element 1, image 5: found a sum of 1.25, expected 1 "
                   "within 0.001");
    x = good;
    x.labels[16] = C;
    expect_refusal(accumulator, &x, x.labels, "labels: image 16 has label 4, expected less than 4");

    assert_int_equal(bnn_metrics_add(accumulator, &good.p[0][0][0][0], N, good.labels, NULL, &error), BNN_OK);
    expect_refusal(accumulator, &x, x.labels, "labels: image 33 has label 4, expected less than 4");
    expect_refusal(accumulator, &good, NULL,
                   "labels: image 17 is the first unlabelled one, expected all images alike");
    assert_int_equal(bnn_metrics_end(accumulator, &m, &error), BNN_OK);
    assert_int_equal(m->images, N); /* what was refused was not added */
    naive_labelled(&good, m);
    bnn_metrics_free(m);
    bnn_metrics_discard(accumulator);
    bnn_metrics_discard(NULL);
    bnn_metrics_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_orbit),
        cmocka_unit_test(reference_samples),
        cmocka_unit_test(naive_twin),
        cmocka_unit_test(without_labels),
        cmocka_unit_test(one_group_element),
        cmocka_unit_test(bins_ties_and_zeros),
        cmocka_unit_test(tied_confidences_count_as_one_block),
        cmocka_unit_test(auroc_is_the_pairwise_count),
        cmocka_unit_test(terms_stand_for_what_probabilities_cannot_tell),
        cmocka_unit_test(no_figure_depends_on_an_order),
        cmocka_unit_test(the_error_of_many_draws_depends_a_little_on_their_order),
        cmocka_unit_test(bad_input_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
