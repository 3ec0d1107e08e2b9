/* The unbiased defect and its standard error: against nested sums over distinct draws, and by repeated
 * experiments whose true defect is known. */
#include "testing.h"

#include <stdlib.h>
#include <string.h>

#include "bnn/metrics.h"
#include "synthetic.h"

static bnn_metrics *measure(const double *p, size_t draws, size_t order, size_t images, size_t classes)
{
    bnn_metrics_accumulator *accumulator;
    bnn_metrics *metrics;
    bnn_error error = {0};
    assert_int_equal(bnn_metrics_begin(draws, order, classes, &accumulator, &error), BNN_OK);
    if (bnn_metrics_add(accumulator, p, images, NULL, NULL, &error)) fail_msg("%s", error.message);
    assert_int_equal(bnn_metrics_end(accumulator, &metrics, &error), BNN_OK);
    bnn_metrics_discard(accumulator);
    return metrics;
}

/* ---- the standard error by its definition
 * ------------------------------------------------------------------- */

enum { T = 5, G = 3, N = 6, C = 4 };

/* U^2 - mean over four distinct draws of M_st M_uv; `bounded`: rebuilt from its components with z1 >= 0. */
static double naive_draw_variance(double gram[T][T], int bounded)
{
    double u = 0, quad = 0, triple = 0, pair = 0;
    for (size_t s = 0; s < T; s++) {
        for (size_t t = 0; t < T; t++) {
            if (s == t) continue;
            u += gram[s][t] / (T * (T - 1));
            pair += gram[s][t] * gram[s][t] / (T * (T - 1));
            for (size_t v = 0; v < T; v++) {
                if (v == s || v == t) continue;
                triple += gram[s][t] * gram[s][v] / (T * (T - 1) * (T - 2));
                for (size_t w = 0; w < T; w++)
                    if (w != s && w != t && w != v)
                        quad += gram[s][t] * gram[v][w] / (T * (T - 1) * (T - 2) * (T - 3));
            }
        }
    }
    if (!bounded) return u * u - quad;
    const double z1 = fmax(triple - quad, 0), z2 = pair - quad;
    return (4. * (T - 2) * z1 + 2 * z2) / (T * (T - 1));
}

static double naive_standard_error(double p[T][G][N][C])
{
    double image[N] = {0}, mean = 0, within = 0, all[T][T] = {{0}}, images = 0;
    for (size_t i = 0; i < N; i++) {
        double gram[T][T] = {{0}};
        for (size_t s = 0; s < T; s++) {
            for (size_t t = 0; t < T; t++) {
                for (size_t g = 0; g < G; g++)
                    for (size_t c = 0; c < C; c++)
                        gram[s][t] += (p[s][g][i][c] - p[s][0][i][c]) * (p[t][g][i][c] - p[t][0][i][c]) / G;
                all[s][t] += gram[s][t] / N;
                if (s != t) image[i] += gram[s][t] / (T * (T - 1));
            }
        }
        mean += image[i] / N;
        within += naive_draw_variance(gram, 0) / N;
    }
    for (size_t i = 0; i < N; i++) images += pow(image[i] - mean, 2) / (N - 1) / N;
    const double both = (within - naive_draw_variance(all, 0)) / (N - 1);
    return sqrt(fmax(images - both, 0) + naive_draw_variance(all, 1));
}

/* mean over draws, images and elements of ||p_t(g.x) - p_t(x)||^2. */
static double naive_single_draw(double p[T][G][N][C])
{
    double sum = 0;
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++)
            for (size_t g = 0; g < G; g++)
                for (size_t c = 0; c < C; c++) sum += pow(p[t][g][i][c] - p[t][0][i][c], 2) / (T * N * G);
    return sum;
}

static void the_defect_of_a_single_draw_matches_its_definition(void **state)
{
    static double p[T][G][N][C];
    bnn_pcg32 rng;
    (void)state;
    bnn_pcg32_seed(&rng, 9, 1);
    random_rows(&rng, &p[0][0][0][0], T * G * N, C);
    bnn_metrics *m = measure(&p[0][0][0][0], T, G, N, C);
    assert_true(m->defect_single_draw > 1e-2);
    assert_close(m->defect_single_draw, naive_single_draw(p), 1e-12, 0);
    assert_close(T * m->defect_plugin, m->defect_single_draw + (T - 1) * m->defect_unbiased, 1e-12, 0);
    bnn_metrics_free(m);
    for (size_t t = 0; t < T; t++) /* draws that differ, each invariant */
        for (size_t g = 1; g < G; g++) memcpy(p[t][g], p[t][0], sizeof p[t][g]);
    m = measure(&p[0][0][0][0], T, G, N, C);
    assert_true(m->defect_single_draw == 0 && m->defect_plugin == 0);
    bnn_metrics_free(m);
    random_rows(&rng, &p[0][0][0][0], T * G * N, C);
    m = measure(&p[0][0][0][0], 1, G, N, C);
    assert_close(m->defect_single_draw, m->defect_plugin, 1e-12, 0);
    bnn_metrics_free(m);
}

static void standard_error_matches_its_definition(void **state)
{
    static double p[T][G][N][C], a[N], f[N];
    bnn_pcg32 rng;
    (void)state;
    bnn_pcg32_seed(&rng, 8, 1);
    for (size_t turn = 0; turn < 18; turn++) { /* wild, noisy, and nearly additive: M_st = m + a_s + a_t */
        if (turn < 6)
            random_rows(&rng, &p[0][0][0][0], T * G * N, C);
        else if (turn < 12)
            noisy_predictions(&rng, T, G, N, 0.03, 0.05, 0.01, a, f, &p[0][0][0][0]);
        else
            noisy_predictions(&rng, T, G, N, 0.1, 0.01, 0, a, f, &p[0][0][0][0]);
        bnn_metrics *m = measure(&p[0][0][0][0], T, G, N, C);
        assert_close(m->defect_standard_error, naive_standard_error(p), 1e-9, 1e-6);
        bnn_metrics_free(m);
        m = measure(&p[0][0][0][0], 3, G, N, C);
        assert_true(isnan(m->defect_standard_error) && isfinite(m->defect_unbiased));
        bnn_metrics_free(m);
        m = measure(&p[0][0][0][0], T, G * N, 1, C);
        assert_true(isnan(m->defect_standard_error));
        bnn_metrics_free(m);
    }
}

/* All draws and all images alike: nothing varies, whatever rounding leaves. */
static void no_variation_no_error(void **state)
{
    static const double pair[3][2][4] = {{{0.1, 0.2, 0.3, 0.4}, {0.4, 0.1, 0.2, 0.3}},
                                         {{0.7, 0.1, 0.1, 0.1}, {0.2, 0.3, 0.3, 0.2}},
                                         {{0.25, 0.25, 0.25, 0.25}, {0.25, 0.25, 0.25, 0.25}}};
    double p[7][2][2][4];
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        for (size_t t = 0; t < 7; t++)
            for (size_t g = 0; g < 2; g++)
                for (size_t i = 0; i < 2; i++) memcpy(p[t][g][i], pair[k][g], sizeof p[t][g][i]);
        bnn_metrics *m = measure(&p[0][0][0][0], 7, 2, 2, 4);
        assert_close(m->defect_standard_error, 0, 1e-8, 1);
        assert_close(m->defect_unbiased, m->defect_plugin, 1e-12, 0);
        bnn_metrics_free(m);
    }
}

/* ---- repeated experiments
 * ----------------------------------------------------------------------------------- */

typedef struct experiment {
    size_t draws, order, images;
    double signal, shared, private;
} experiment;

typedef struct outcome {
    double bias, bias_error; /* of the unbiased figure, with its Monte-Carlo error */
    double coverage;         /* share of |estimate - truth| <= 2 standard errors */
    double variance_ratio;   /* mean squared standard error / variance of the estimate */
    double plugin_bias;
} outcome;

static outcome repeat(const experiment *x, size_t repeats)
{
    const double truth = noisy_truth(x->order, x->signal), n = (double)repeats;
    double *p = malloc(x->draws * x->order * x->images * 4 * sizeof *p),
           *a = malloc(2 * x->images * sizeof *a);
    double sum = 0, squares = 0, variance = 0;
    outcome result = {0};
    bnn_pcg32 rng;
    assert_true(p && a);
    bnn_pcg32_seed(&rng, 2026, 6);
    for (size_t r = 0; r < repeats; r++) {
        noisy_predictions(&rng, x->draws, x->order, x->images, x->signal, x->shared, x->private, a,
                          a + x->images, p);
        bnn_metrics *m = measure(p, x->draws, x->order, x->images, 4);
        const double deviation = m->defect_unbiased - truth;
        sum += deviation;
        squares += deviation * deviation;
        variance += m->defect_standard_error * m->defect_standard_error / n;
        result.coverage += (fabs(deviation) <= 2 * m->defect_standard_error) / n;
        result.plugin_bias += (m->defect_plugin - truth) / n;
        bnn_metrics_free(m);
    }
    const double spread = (squares - sum * sum / n) / (n - 1);
    result.bias = sum / n;
    result.bias_error = sqrt(spread / n);
    result.variance_ratio = variance / spread;
    free(a);
    free(p);
    print_message("T %zu, N %zu, truth %.2e: bias %.1e +- %.1e, coverage %.3f, variance ratio %.2f, plug-in "
                  "bias %.2e\n",
                  x->draws, x->images, truth, result.bias, result.bias_error, result.coverage,
                  result.variance_ratio, result.plugin_bias);
    return result;
}

static void check(const experiment *x, double largest_ratio)
{
    const outcome found = repeat(x, 800);
    assert_true(fabs(found.bias) <= 3 * found.bias_error);
    assert_true(found.coverage >= 0.9);
    assert_true(found.variance_ratio >= 0.8 && found.variance_ratio <= largest_ratio);
}

static void covers_a_true_defect_of_zero(void **state)
{
    (void)state;
    check(&(experiment){16, 4, 30, 0, 0.06, 0.06}, 2);
    check(&(experiment){16, 4, 30, 0, 0.06, 0}, 2); /* all images moved by the same draws */
    check(&(experiment){16, 4, 30, 0, 0, 0.06}, 2); /* every image on its own */
    check(&(experiment){32, 2, 10, 0, 0.06, 0.03}, 2);
}

static void covers_a_true_defect(void **state)
{
    (void)state;
    check(&(experiment){32, 4, 30, 0.05, 0.06, 0.06}, 1.25);
    check(&(experiment){16, 4, 30, 0.08, 0.03, 0.03}, 1.25);
    check(&(experiment){16, 4, 30, 0.08, 0, 0.1}, 1.25);
}

/* What bnn/metrics.h and the help say of few images or draws: the error is right in mean square, and covers less. */
static void few_images_or_draws_cover_less(void **state)
{
    static const struct {
        experiment of;
        double least, most; /* coverage, to two Monte-Carlo errors */
    } said[] = {
        {{16, 4, 10, 0.05, 0.06, 0.06}, 0.91, 0.95}, {{32, 4, 10, 0.08, 0.03, 0.03}, 0.91, 0.95},
        {{32, 4, 10, 0.08, 0, 0.1}, 0.91, 0.95},     {{8, 4, 10, 0.05, 0.06, 0.06}, 0.89, 0.94},
        {{4, 4, 10, 0.05, 0.06, 0.06}, 0.82, 0.91},  {{4, 4, 30, 0.08, 0.08, 0}, 0.82, 0.91},
        {{16, 4, 5, 0.08, 0.03, 0.03}, 0.86, 0.92},  {{32, 4, 2, 0.08, 0.03, 0.03}, 0.67, 0.83},
        {{4, 4, 2, 0.05, 0.06, 0.06}, 0.67, 0.83},
    };
    (void)state;
    for (size_t k = 0; k < sizeof said / sizeof *said; k++) {
        const outcome found = repeat(&said[k].of, 2000);
        const double error = 2 * sqrt(found.coverage * (1 - found.coverage) / 2000);
        assert_true(found.coverage >= said[k].least - error && found.coverage <= said[k].most + error);
        assert_true(found.variance_ratio >= 0.85 && found.variance_ratio <= 1.3);
    }
}

/* An exactly equivariant predictive: the plug-in scores E ||mean_t d_t||^2, proportional to 1/T. */
static void plugin_is_biased_by_one_over_draws(void **state)
{
    const double noise = 0.06, third = 1. / 3, order = 4;
    (void)state;
    for (size_t draws = 4; draws <= 64; draws *= 4) {
        const outcome found = repeat(&(experiment){draws, 4, 30, 0, noise, noise}, 200);
        /* E ||d_t||^2 = 4 numbers x 2 ends x noise^2 (E f^2 + 1)/3, without g = e */
        const double square = 4 * 2 * noise * noise * third * (13. / 12 + 1) * (order - 1) / order;
        assert_close(found.plugin_bias, square / (double)draws, 0.08, 0);
        assert_true(fabs(found.bias) <= 3 * found.bias_error);
    }
}

/* Above 256 draws the standard error comes from the means of blocks, here of 2 draws: with equal images,
 * whose own part is 0, it is that of half as many draws, each the mean of a block. */
static void many_draws_are_grouped(void **state)
{
    enum { DRAWS = 300, ORDER = 3, IMAGES = 2, ROW = ORDER * IMAGES * 4 };
    static double p[DRAWS][ORDER][IMAGES][4], half[DRAWS / 2][ROW], a[IMAGES], f[IMAGES];
    bnn_pcg32 rng;
    (void)state;
    bnn_pcg32_seed(&rng, 4, 4);
    noisy_predictions(&rng, DRAWS, ORDER, IMAGES, 0.02, 0.05, 0.05, a, f, &p[0][0][0][0]);
    for (size_t t = 0; t < DRAWS; t++)
        for (size_t g = 0; g < ORDER; g++) memcpy(p[t][g][1], p[t][g][0], sizeof p[t][g][0]);
    for (size_t t = 0; t < DRAWS; t++)
        for (size_t k = 0; k < ROW; k++) half[t / 2][k] += (&p[t][0][0][0])[k] / 2;
    bnn_metrics *all = measure(&p[0][0][0][0], DRAWS, ORDER, IMAGES, 4);
    bnn_metrics *blocks = measure(&half[0][0], DRAWS / 2, ORDER, IMAGES, 4);
    assert_true(blocks->defect_standard_error > 1e-5);
    assert_close(all->defect_standard_error, blocks->defect_standard_error, 1e-9, 0);
    assert_close(all->defect_plugin, blocks->defect_plugin, 1e-9, 0);
    assert_true(fabs(all->defect_unbiased - blocks->defect_unbiased) > 1e-9); /* made of all pairs of draws */
    bnn_metrics_free(blocks);
    bnn_metrics_free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defect_of_a_single_draw_matches_its_definition),
        cmocka_unit_test(standard_error_matches_its_definition),
        cmocka_unit_test(no_variation_no_error),
        cmocka_unit_test(covers_a_true_defect_of_zero),
        cmocka_unit_test(covers_a_true_defect),
        cmocka_unit_test(few_images_or_draws_cover_less),
        cmocka_unit_test(plugin_is_biased_by_one_over_draws),
        cmocka_unit_test(many_draws_are_grouped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
