/* The sample sweep against the metrics of each prefix of draws, and its rates on synthetic predictions. */
#include "testing.h"

#include <stdlib.h>
#include <string.h>

#include "bnn/metrics.h"
#include "bnn/sweep.h"
#include "synthetic.h"

enum { G = 3, N = 5, C = 4 };

static bnn_sweep *sweep_of(size_t max_draws, size_t repeats, size_t order, size_t classes)
{
    bnn_sweep *sweep;
    bnn_error error = {0};
    assert_int_equal(bnn_sweep_create(max_draws, repeats, order, classes, &sweep, &error), BNN_OK);
    return sweep;
}

/* The defects of `draws` draws by bnn_metrics. */
static void defects(const double *p, size_t draws, double *plugin, double *unbiased)
{
    bnn_metrics_accumulator *accumulator;
    bnn_metrics *m;
    assert_int_equal(bnn_metrics_begin(draws, G, C, &accumulator, NULL), BNN_OK);
    assert_int_equal(bnn_metrics_add(accumulator, p, N, NULL, NULL, NULL), BNN_OK);
    assert_int_equal(bnn_metrics_end(accumulator, &m, NULL), BNN_OK);
    *plugin = m->defect_plugin, *unbiased = m->defect_unbiased;
    bnn_metrics_free(m);
    bnn_metrics_discard(accumulator);
}

static void rows_are_the_defects_of_prefixes(void **state)
{
    enum { MAX = 11, REPEATS = 3, LEVELS = 4 };
    static double p[REPEATS][MAX][G][N][C], part[REPEATS * MAX * G * N * C];
    bnn_sweep *sweep = sweep_of(MAX, REPEATS, G, C);
    bnn_sweep_row rows[LEVELS];
    bnn_pcg32 rng;
    (void)state;
    bnn_pcg32_seed(&rng, 3, 9);
    random_rows(&rng, &p[0][0][0][0][0], REPEATS * MAX * G * N, C);
    for (size_t begin = 0, n; begin < N; begin += n) { /* chunks of 2, 2, 1 */
        n = N - begin < 2 ? N - begin : 2;
        for (size_t k = 0; k < REPEATS * MAX * G; k++)
            memcpy(part + k * n * C, &p[0][0][0][0][0] + (k * N + begin) * C, n * C * sizeof *part);
        bnn_sweep_add(sweep, part, n);
    }
    assert_int_equal(bnn_sweep_levels(sweep), LEVELS);
    bnn_sweep_end(sweep, rows);
    for (size_t level = 0; level < LEVELS; level++) {
        double plugin[REPEATS], unbiased[REPEATS];
        const size_t draws = (size_t)1 << level;
        for (size_t r = 0; r < REPEATS; r++) defects(&p[r][0][0][0][0], draws, &plugin[r], &unbiased[r]);
        const double mean = (plugin[0] + plugin[1] + plugin[2]) / 3;
        const double square = pow(plugin[0] - mean, 2) + pow(plugin[1] - mean, 2) + pow(plugin[2] - mean, 2);
        assert_int_equal(rows[level].draws, draws);
        assert_close(rows[level].plugin_mean, mean, 1e-12, 0);
        assert_close(rows[level].plugin_std, sqrt(square / 2), 1e-12, 0.1);
        if (draws == 1) {
            assert_true(isnan(rows[0].unbiased_mean) && isnan(rows[0].unbiased_std));
            continue;
        }
        const double centre = (unbiased[0] + unbiased[1] + unbiased[2]) / 3;
        const double spread =
            pow(unbiased[0] - centre, 2) + pow(unbiased[1] - centre, 2) + pow(unbiased[2] - centre, 2);
        assert_close(rows[level].unbiased_mean, centre, 1e-12, 0.1);
        assert_close(rows[level].unbiased_std, sqrt(spread / 2), 1e-12, 0.1);
    }
    bnn_sweep_free(sweep);
}

/* Least-squares slope of log2 std against log2 T over rows [first, levels). */
static double slope(const bnn_sweep_row *rows, size_t first, size_t levels, int unbiased)
{
    double x = 0, y = 0, xx = 0, xy = 0;
    const double n = (double)(levels - first);
    for (size_t level = first; level < levels; level++) {
        const double u = (double)level,
                     v = log2(unbiased ? rows[level].unbiased_std : rows[level].plugin_std);
        x += u / n, y += v / n, xx += u * u / n, xy += u * v / n;
    }
    return (xy - x * y) / (xx - x * x);
}

/* The std across repeats falls as T^-1/2 about a true defect (theory: O(1/sqrt T)) and as 1/T at a defect of
 * 0, where the plug-in's mean falls as 1/T too while the unbiased mean stays at the truth. */
static void rates(void **state)
{
    enum { MAX = 128, REPEATS = 100, ORDER = 4, IMAGES = 6, LEVELS = 8 };
    const double signals[2] = {0.1, 0}, slopes[2] = {-0.5, -1};
    double *p = malloc((size_t)MAX * REPEATS * ORDER * IMAGES * 4 * sizeof *p), a[2 * IMAGES];
    bnn_sweep_row rows[LEVELS];
    bnn_pcg32 rng;
    (void)state;
    assert_non_null(p);
    bnn_pcg32_seed(&rng, 1, 7);
    for (size_t k = 0; k < 2; k++) {
        bnn_sweep *sweep = sweep_of(MAX, REPEATS, ORDER, 4);
        double truth = 0;
        noisy_predictions(&rng, MAX * REPEATS, ORDER, IMAGES, signals[k], 0.05, 0.01, a, a + IMAGES, p);
        for (size_t i = 0; i < IMAGES; i++)
            truth += 4 * pow(signals[k] * a[i], 2) * (ORDER - 1) / ORDER / IMAGES;
        bnn_sweep_add(sweep, p, IMAGES);
        bnn_sweep_end(sweep, rows);
        assert_close(slope(rows, 1, LEVELS, 1), slopes[k], 0.12, 1);
        assert_close(slope(rows, 1, LEVELS, 0), slopes[k], 0.12, 1);
        for (size_t level = 1; level < LEVELS; level++) {
            const double error = rows[level].unbiased_std / sqrt(REPEATS);
            assert_close(rows[level].unbiased_mean, truth, 3 * error, 1);
            assert_close((rows[level].plugin_mean - truth) * (double)rows[level].draws,
                         rows[0].plugin_mean - truth,
                         4 * error * (double)rows[level].draws + 4 * rows[0].plugin_std / sqrt(REPEATS), 1);
        }
        bnn_sweep_free(sweep);
    }
    free(p);
}

static void edges(void **state)
{
    static const double p[2][2] = {{0.75, 0.25}, {0.25, 0.75}};
    bnn_sweep *sweep = NULL;
    bnn_sweep_row row;
    bnn_error error = {0};
    (void)state;
    assert_int_equal(bnn_sweep_create(0, 1, 2, 2, &sweep, &error), BNN_BAD_INPUT);
    assert_null(sweep);
    assert_int_equal(bnn_sweep_create(1, SIZE_MAX, 2, 2, &sweep, &error), BNN_FAILED);
    assert_null(sweep);
    sweep = sweep_of(1, 1, 2, 2);
    bnn_sweep_add(sweep, &p[0][0], 1);
    bnn_sweep_end(sweep, &row);
    assert_close(row.plugin_mean, 0.25, 1e-15, 0); /* (0 + 2 * 0.5^2) / 2 */
    assert_true(isnan(row.plugin_std) && isnan(row.unbiased_mean));
    bnn_sweep_free(sweep);
    bnn_sweep_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_the_defects_of_prefixes),
        cmocka_unit_test(rates),
        cmocka_unit_test(edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
