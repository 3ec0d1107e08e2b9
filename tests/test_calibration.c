/* Temperatures and prediction sets against closed forms, a grid, and simulations of exchangeable images. */
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/calibration.h"
#include "synthetic.h"
#include "testing.h"

#define EXACT 1e-12

/* ---- temperature ----------------------------------------------------------------------------------------- */

/* mean_i -log F_T(x_i)_(y_i), written down once more. */
static double nll_at(const double *p, const uint32_t *labels, size_t images, size_t classes, double t)
{
    double sum = 0;
    for (size_t i = 0; i < images; i++, p += classes) {
        double all = 0;
        for (size_t c = 0; c < classes; c++) all += pow(p[c], 1 / t);
        sum -= log(pow(p[labels[i]], 1 / t) / all);
    }
    return sum / (double)images;
}

/* Two classes of probabilities e^a : 1, of which a share r is right: 1/T = log(r/(1 - r))/a. */
static void temperature_of_two_classes(void **state)
{
    double p[200];
    uint32_t labels[100];
    (void)state;
    for (size_t right = 60; right < 100; right += 13)
        for (double a = 0.1; a < 20; a *= 3) {
            for (size_t i = 0; i < 100; i++) {
                p[2 * i + i % 2] = 1 / (1 + exp(-a));
                p[2 * i + 1 - i % 2] = 1 - p[2 * i + i % 2];
                labels[i] = (uint32_t)(i < right ? i % 2 : 1 - i % 2);
            }
            const double expected = a / log((double)right / (100 - (double)right));
            assert_close(bnn_fit_temperature(p, labels, 100, 2), expected, 1e-6,
                         0); /* 1 - p has lost digits */
        }
}

static void temperature_is_the_best_of_a_grid(void **state)
{
    enum { IMAGES = 300, CLASSES = 6 };
    static double p[IMAGES * CLASSES];
    uint32_t labels[IMAGES];
    bnn_pcg32 rng;
    (void)state;
    bnn_pcg32_seed(&rng, 11, 1);
    random_rows(&rng, p, IMAGES, CLASSES);
    for (size_t i = 0; i < IMAGES; i++) { /* labels by p^2 or so: T is not 1 */
        double best = 0;
        for (size_t c = 0; c < CLASSES; c++) {
            const double score = p[i * CLASSES + c] * bnn_pcg32_uniform(&rng);
            if (score > best) best = score, labels[i] = (uint32_t)c;
        }
    }
    const double found = bnn_fit_temperature(p, labels, IMAGES, CLASSES);
    const double least = nll_at(p, labels, IMAGES, CLASSES, found);
    assert_true(found > 0.2 && found < 5 && fabs(found - 1) > 0.01);
    for (double t = 0.1; t < 10; t *= 1.003)
        assert_true(nll_at(p, labels, IMAGES, CLASSES, t) >= least - 1e-14);
}

/* All right: T at its least. At chance: any T serves where all is alike. */
static void a_fit_without_end_stops_at_a_bound(void **state)
{
    const double p[] = {0.9, 0.1, 0.3, 0.7};
    const uint32_t right[] = {0, 1}, wrong[] = {1, 0};
    (void)state;
    assert_close(bnn_fit_temperature(p, right, 2, 2), BNN_LEAST_TEMPERATURE, 1e-9, 0);
    assert_close(bnn_fit_temperature(p, wrong, 2, 2), BNN_MOST_TEMPERATURE, 1e-9, 0);
    assert_true(bnn_fit_temperature(p, right, 2, 2) >= BNN_LEAST_TEMPERATURE);
    assert_true(bnn_fit_temperature(p, wrong, 2, 2) <= BNN_MOST_TEMPERATURE);
}

static void tempered_probabilities(void **state)
{
    const double p[] = {0.5, 0.3, 0.2}, sharp[] = {0.25 / 0.38, 0.09 / 0.38, 0.04 / 0.38};
    double q[3];
    (void)state;
    bnn_temper(p, 3, 1, q);
    assert_memory_equal(p, q, sizeof q);
    bnn_temper(p, 3, 0.5, q);
    for (size_t c = 0; c < 3; c++) assert_close(q[c], sharp[c], EXACT, 0);
    bnn_temper(q, 3, 2, q); /* and back, in place */
    for (size_t c = 0; c < 3; c++) assert_close(q[c], p[c], EXACT, 0);
    bnn_temper((const double[]){1, 0, 0}, 3, 0.01, q);
    assert_true(q[0] == 1 && q[1] == 0);
}

/* What metrics make of a temperature is what they make of tempered probabilities; what is made of draws stays. */
static void metrics_at_a_temperature(void **state)
{
    enum { DRAWS = 3, ORDER = 2, IMAGES = 30, CLASSES = 4, ROW = IMAGES * CLASSES };
    static double p[DRAWS * ORDER * ROW], mean[ORDER * ROW];
    uint32_t labels[IMAGES];
    bnn_metrics *found[3];
    bnn_pcg32 rng;
    (void)state;
    bnn_pcg32_seed(&rng, 12, 1);
    random_rows(&rng, p, DRAWS * ORDER * IMAGES, CLASSES);
    for (size_t i = 0; i < IMAGES; i++) labels[i] = bnn_pcg32_below(&rng, CLASSES);
    for (size_t k = 0; k < DRAWS * ORDER * ROW; k++) mean[k % (ORDER * ROW)] += p[k] / DRAWS;
    for (size_t r = 0; r < ORDER * IMAGES; r++)
        bnn_temper(mean + r * CLASSES, CLASSES, 1.7, mean + r * CLASSES);
    for (size_t k = 0; k < 3; k++) { /* at T = 1.7, without, and tempered before */
        bnn_metrics_accumulator *a;
        assert_int_equal(bnn_metrics_begin(k < 2 ? DRAWS : 1, ORDER, CLASSES, &a, NULL), BNN_OK);
        if (k == 0) bnn_metrics_set_temperature(a, 1.7);
        assert_int_equal(bnn_metrics_add(a, k < 2 ? p : mean, IMAGES, labels, NULL, NULL), BNN_OK);
        assert_int_equal(bnn_metrics_end(a, &found[k], NULL), BNN_OK);
        bnn_metrics_discard(a);
    }
    assert_close(found[0]->nll, found[2]->nll, EXACT, 0);
    assert_close(found[0]->nll_orbit, found[2]->nll_orbit, EXACT, 0);
    assert_close(found[0]->brier, found[2]->brier, EXACT, 0);
    assert_close(found[0]->ece_orbit, found[2]->ece_orbit, EXACT, 0);
    assert_close(found[0]->aurc, found[2]->aurc, EXACT, 0);
    assert_close(found[0]->auroc, found[2]->auroc, EXACT, 0);
    assert_close(found[0]->standard_error.nll, found[2]->standard_error.nll, EXACT, 0);
    assert_true(found[0]->accuracy == found[1]->accuracy && found[0]->nll != found[1]->nll);
    assert_true(found[0]->expected_nll == found[1]->expected_nll && found[0]->entropy == found[1]->entropy);
    assert_true(found[0]->mutual_information == found[1]->mutual_information);
    assert_true(found[0]->defect_unbiased == found[1]->defect_unbiased);
    for (size_t k = 0; k < 3; k++) bnn_metrics_free(found[k]);
}

/* ---- sets ------------------------------------------------------------------------------------------------ */

static void scores_of_classes(void **state)
{
    const double p[] = {0.1, 0.6, 0.2, 0.1};
    uint8_t set[4];
    bnn_calibration c = {.temperature = 1, .method = BNN_SETS_APS, .threshold = 0.6};
    (void)state;
    assert_close(bnn_set_score(BNN_SETS_LAC, p, 4, 2), 0.8, EXACT, 0);
    assert_close(bnn_set_score(BNN_SETS_APS, p, 4, 2), 0.6, EXACT, 0);
    assert_close(bnn_set_score(BNN_SETS_APS, p, 4, 0), 0.8, EXACT,
                 0); /* equal ones are not above each other */
    assert_true(bnn_set_score(BNN_SETS_APS, p, 4, 1) == 0);
    assert_int_equal(bnn_set_of(&c, p, 4, set), 2);
    assert_memory_equal(set, ((uint8_t[]){0, 1, 1, 0}), 4);
    c.threshold = 0;
    assert_int_equal(bnn_set_of(&c, p, 4, set), 1); /* the most probable, always */
    c.method = BNN_SETS_LAC;
    c.threshold = 0.3;
    assert_int_equal(bnn_set_of(&c, p, 4, set), 0); /* nothing is probable enough */
}

/* The k-th smallest score, k = ceil((n + 1) c), by scores 1/n, 2/n, ...; and the images that k <= n needs. */
static void thresholds_are_finite_sample_quantiles(void **state)
{
    double p[2 * 100], q;
    uint32_t labels[100] = {0};
    bnn_error error;
    (void)state;
    for (size_t i = 0; i < 100; i++)
        p[2 * i] = 1 - (double)((i * 37) % 100 + 1) / 128, p[2 * i + 1] = 1 - p[2 * i];
    const struct {
        size_t images;
        double wanted;
        size_t rank;
    } cases[] = {{100, 0.9, 91}, {99, 0.9, 90}, {99, 0.07, 7}, {99, 0.57, 57}, {9, 0.9, 9}, {3, 0.5, 2}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        size_t below = 0;
        assert_int_equal(
            bnn_set_threshold(BNN_SETS_LAC, p, labels, cases[k].images, 2, cases[k].wanted, &q, &error),
            BNN_OK);
        for (size_t i = 0; i < cases[k].images; i++) below += 1 - p[2 * i] <= q;
        assert_int_equal(below, cases[k].rank);
    }
    assert_int_equal(bnn_set_threshold(BNN_SETS_LAC, p, labels, 8, 2, 0.9, &q, &error), BNN_BAD_INPUT);
    assert_non_null(strstr(error.message, "at least 9"));
}

/* Rows of random probabilities and labels drawn from others: a wrong model. */
static void draw_images(bnn_pcg32 *rng, size_t images, size_t classes, double *p, uint32_t *labels)
{
    random_rows(rng, p, images, classes);
    for (size_t i = 0; i < images; i++) {
        double left = bnn_pcg32_uniform(rng), sum = 0, share[8];
        for (size_t c = 0; c < classes; c++) sum += share[c] = sqrt(p[i * classes + c]);
        for (labels[i] = 0; labels[i] + 1 < classes && (left -= share[labels[i]] / sum) > 0;) labels[i]++;
    }
}

/* Exchangeable images: over calibrations, the coverage is Beta(k, n + 1 - k), of mean k/(n + 1), whatever the model. */
static void coverage_of_exchangeable_images(void **state)
{
    enum { REPEATS = 4000, N = 39, NEW = 50, CLASSES = 5 };
    static double p[(N + NEW) * CLASSES];
    uint32_t labels[N + NEW];
    uint8_t set[CLASSES];
    bnn_pcg32 rng;
    (void)state;
    bnn_pcg32_seed(&rng, 21, 1);
    for (int method = 0; method < 2; method++)
        for (double wanted = 0.7; wanted < 1; wanted += 0.2) {
            const double k = ceil((N + 1) * wanted), mean = k / (N + 1);
            const double variance = mean * (1 - mean) / (N + 2); /* of the Beta; and then of NEW images */
            double sum = 0, squares = 0;
            for (size_t r = 0; r < REPEATS; r++) {
                bnn_calibration c = {.method = method};
                double covered = 0;
                draw_images(&rng, N + NEW, CLASSES, p, labels);
                assert_int_equal(bnn_set_threshold((bnn_set_method)method, p, labels, N, CLASSES, wanted,
                                                   &c.threshold, NULL),
                                 BNN_OK);
                for (size_t i = N; i < N + NEW; i++) {
                    bnn_set_of(&c, p + i * CLASSES, CLASSES, set);
                    covered += (double)set[labels[i]] / NEW;
                }
                sum += covered;
                squares += covered * covered;
            }
            const double expected = variance + (mean * (1 - mean) - variance) / NEW;
            const double found = squares / REPEATS - sum * sum / REPEATS / REPEATS;
            assert_true(fabs(sum / REPEATS - mean) < 4 * sqrt(expected / REPEATS));
            assert_close(found, expected, 5 * sqrt(2.0 / REPEATS), 0);
        }
}

/* Coverage, sizes and agreement, counted again; the second view is the first for half of the images. */
static void figures_of_sets(void **state)
{
    enum { IMAGES = 50, CLASSES = 3, ORDER = 2, ROW = IMAGES * CLASSES };
    double p[ORDER * ROW], covered[2] = {0}, size[2] = {0}, of_zero = 0, zero_size = 0, zeros = 0;
    double alike = IMAGES, empty = 0;
    uint32_t labels[IMAGES];
    bnn_metrics_accumulator *a;
    bnn_metrics *m;
    bnn_set_figures *f;
    bnn_pcg32 rng;
    const bnn_calibration c = {.method = BNN_SETS_LAC, .threshold = 0.45};
    (void)state;
    bnn_pcg32_seed(&rng, 31, 1);
    draw_images(&rng, IMAGES, CLASSES, p, labels);
    random_rows(&rng, p + ROW, IMAGES, CLASSES);
    memcpy(p + ROW, p, ROW / 2 * sizeof *p);
    for (size_t i = 0; i < IMAGES; i++) {
        uint8_t sets[2][CLASSES];
        labels[i] %= 2; /* class 2 has no image */
        for (size_t g = 0; g < 2; g++) {
            size_t n = 0;
            for (size_t k = 0; k < CLASSES; k++) n += sets[g][k] = p[g * ROW + i * CLASSES + k] >= 0.55;
            covered[g] += sets[g][labels[i]];
            size[g] += (double)n;
            empty += g == 0 && n == 0;
            if (g == 0 && labels[i] == 0) zeros++, of_zero += sets[0][0], zero_size += (double)n;
        }
        alike += memcmp(sets[0], sets[1], CLASSES) == 0;
    }
    assert_int_equal(bnn_metrics_begin(1, ORDER, CLASSES, &a, NULL), BNN_OK);
    assert_int_equal(bnn_metrics_add(a, p, IMAGES, labels, NULL, NULL), BNN_OK);
    assert_int_equal(bnn_metrics_end(a, &m, NULL), BNN_OK);
    bnn_metrics_discard(a);
    assert_int_equal(bnn_measure_sets(&c, m, &f, NULL), BNN_OK);
    assert_close(f->coverage, covered[0] / IMAGES, EXACT, 0);
    assert_close(f->standard_error, sqrt(f->coverage * (1 - f->coverage) / IMAGES), EXACT, 0);
    assert_close(f->mean_size, size[0] / IMAGES, EXACT, 0);
    assert_close(f->of_element[1], covered[1] / IMAGES, EXACT, 0);
    assert_close(f->of_element_size[1], size[1] / IMAGES, EXACT, 0);
    assert_close(f->of_class[0], of_zero / zeros, EXACT, 0);
    assert_close(f->of_class_size[0], zero_size / zeros, EXACT, 0);
    assert_true(isnan(f->of_class[2]) && isnan(f->of_class_size[2]));
    assert_close(f->empty, empty / IMAGES, EXACT, 0);
    assert_close(f->agreement, alike / (2 * IMAGES), EXACT, 0);
    assert_true(f->agreement < 1);
    bnn_set_figures_free(f);
    bnn_metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(temperature_of_two_classes),
        cmocka_unit_test(temperature_is_the_best_of_a_grid),
        cmocka_unit_test(a_fit_without_end_stops_at_a_bound),
        cmocka_unit_test(tempered_probabilities),
        cmocka_unit_test(metrics_at_a_temperature),
        cmocka_unit_test(scores_of_classes),
        cmocka_unit_test(thresholds_are_finite_sample_quantiles),
        cmocka_unit_test(coverage_of_exchangeable_images),
        cmocka_unit_test(figures_of_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
