/* The statistics of comparisons: against published tables, brute force, closed forms and simulation. */
#include <stdlib.h>

#include "bnn/compare.h"
#include "testing.h"

static bnn_stream stream(void)
{
    return bnn_stream_of(1, BNN_STREAM_COMPARISON, 0, 0, 0);
}

/* ---- Student's t ----------------------------------------------------------------------------------------- */

/* Critical values of published tables, two-sided. */
static void quantiles_are_those_of_tables(void **state)
{
    static const struct {
        double probability;
        size_t freedom;
        double t;
    } table[] = {{.95, 1, 12.706}, {.95, 2, 4.303},  {.95, 3, 3.182},  {.95, 4, 2.776},   {.95, 5, 2.571},
                 {.95, 9, 2.262},  {.95, 10, 2.228}, {.95, 29, 2.045}, {.95, 30, 2.042},  {.95, 120, 1.980},
                 {.99, 1, 63.657}, {.99, 4, 4.604},  {.99, 30, 2.750}, {.90, 1, 6.314},   {.90, 7, 1.895},
                 {.999, 5, 6.869}, {.5, 1, 1.000},   {.5, 8, 0.706},   {.998, 2, 22.327}, {.98, 60, 2.390}};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_true(fabs(bnn_student_interval(table[i].probability, table[i].freedom) - table[i].t) <
                    0.00051);
}

/* In closed form: of 1 degree a Cauchy distribution, of 2 degrees t/sqrt(2 + t^2); of many a normal one, by Cornish and Fisher's
 * expansion z + (z^3 + z)/(4 n) + (5 z^5 + 16 z^3 + 3 z)/(96 n^2). */
static void quantiles_have_their_closed_forms(void **state)
{
    const double z = 1.959963984540054;
    (void)state;
    for (double p = 0; p < 0.9995; p += 0.0625) {
        assert_close(bnn_student_interval(p, 1), tan(p * M_PI_2), 1e-13, 1e-13);
        assert_close(bnn_student_interval(p, 2), p * sqrt(2 / (1 - p * p)), 1e-13, 1e-13);
    }
    assert_close(bnn_student_interval(0.95, 10000),
                 z + (pow(z, 3) + z) / 4e4 + (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / 96e8, 1e-11, 0);
}

/* ---- pairs ----------------------------------------------------------------------------------------------- */

static double normal(bnn_pcg32 *rng)
{
    const double u = (bnn_pcg32_next(rng) + 1.0) * 0x1p-32, v = bnn_pcg32_uniform(rng);
    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

/* The probability of a |sum| at least as large, by all signs, in whole numbers. */
static double count_all_flips(const int *d, size_t n)
{
    long sum = 0, count = 0;
    for (size_t i = 0; i < n; i++) sum += d[i];
    for (size_t signs = 0; signs < (size_t)1 << n; signs++) {
        long flipped = 0;
        for (size_t i = 0; i < n; i++) flipped += signs >> i & 1 ? -d[i] : d[i];
        count += labs(flipped) >= labs(sum);
    }
    return (double)count / (double)((size_t)1 << n);
}

/* Differences of accuracies: counts over images, many sums of which tie but for rounding. */
static void flips_are_those_of_all_signs(void **state)
{
    (void)state;
    bnn_pcg32 rng;
    bnn_pcg32_seed(&rng, 5, 1);
    for (size_t repeat = 0; repeat < 200; repeat++) {
        double run[10], baseline[10];
        int d[10];
        bnn_comparison c;
        const size_t n = 1 + repeat % 10;
        for (size_t i = 0; i < n; i++) {
            const int a = (int)bnn_pcg32_below(&rng, 9), b = (int)bnn_pcg32_below(&rng, 7);
            d[i] = a - b, run[i] = 0.9 + a / 9999.0, baseline[i] = 0.9 + b / 9999.0;
        }
        bnn_compare_pairs(run, baseline, n, stream(), &c);
        assert_close(c.p_value, count_all_flips(d, n), 1e-15, 0);
        assert_close(c.least_p_value, ldexp(2, -(int)n), 0, 0);
    }
}

/* Under the hypothesis every pattern of signs is as likely, so p is exactly uniform on its 2^(n - 1) values. */
static void p_values_are_exactly_uniform(void **state)
{
    enum { PAIRS = 7, VALUES = 1 << (PAIRS - 1) };
    const double size[PAIRS] = {1.3, 0.21, 2.7, 0.034, 0.77, 5.11, 1.9}, zero[PAIRS] = {0};
    size_t seen[VALUES + 1] = {0};
    (void)state;
    for (size_t signs = 0; signs < 2 * VALUES; signs++) {
        double run[PAIRS];
        bnn_comparison c;
        for (size_t i = 0; i < PAIRS; i++) run[i] = signs >> i & 1 ? -size[i] : size[i];
        bnn_compare_pairs(run, zero, PAIRS, stream(), &c);
        seen[lround(c.p_value * VALUES)]++;
    }
    for (size_t value = 1; value <= VALUES; value++) assert_int_equal(seen[value], 2);
}

/* More pairs than all flips are looked at: the drawn ones agree with the normal limit, and a large difference has the least p. */
static void drawn_flips_have_their_limit(void **state)
{
    enum { PAIRS = 100 };
    double run[PAIRS], zero[PAIRS] = {0};
    bnn_comparison c, again;
    (void)state;
    for (size_t i = 0; i < PAIRS; i++) run[i] = i < 60 ? 1 : -1; /* |sum| = 20 = 2 sqrt n, in steps of 2 */
    bnn_compare_pairs(run, zero, PAIRS, stream(), &c);
    /* 2 P(X >= 60), X of Bin(100, 1/2) */
    assert_true(fabs(c.p_value - 0.0568879) < 4 * sqrt(0.0569 * 0.9431 / BNN_SIGN_FLIPS));
    bnn_compare_pairs(run, zero, PAIRS, stream(), &again);
    assert_memory_equal(&c, &again, sizeof c);
    for (size_t i = 0; i < PAIRS; i++) run[i] = 1;
    bnn_compare_pairs(run, zero, PAIRS, stream(), &c);
    assert_close(c.p_value, 1.0 / (1 + BNN_SIGN_FLIPS), 0, 0);
    assert_close(c.least_p_value, c.p_value, 0, 0);
}

/* Of numbers by hand: differences 1, 2, 4, 5, their mean 3, their variance 10/3. */
static void means_and_errors_by_hand(void **state)
{
    const double run[] = {11, 22, 34, 45}, baseline[] = {10, 20, 30, 40};
    bnn_comparison c;
    (void)state;
    bnn_compare_pairs(run, baseline, 4, stream(), &c);
    assert_int_equal(c.pairs, 4);
    assert_close(c.mean, 28, 1e-15, 0);
    assert_close(c.baseline_mean, 25, 1e-15, 0);
    assert_close(c.std, sqrt(650.0 / 3), 1e-14, 0);
    assert_close(c.baseline_std, sqrt(500.0 / 3), 1e-14, 0);
    assert_close(c.mean_difference, 3, 1e-15, 0);
    assert_close(c.standard_error, sqrt(10.0 / 12), 1e-14, 0);
    assert_close(c.high, 3 + 3.18244630528371 * sqrt(10.0 / 12), 1e-13, 0);
    assert_close(c.low, 3 - 3.18244630528371 * sqrt(10.0 / 12), 1e-12, 0);
    assert_close(c.p_value, 0.125, 0, 0);
    bnn_compare_pairs(run, baseline, 1, stream(), &c);
    assert_true(isnan(c.std) && isnan(c.standard_error) && isnan(c.low) && isnan(c.high));
    assert_close(c.p_value, 1, 0, 0);
    bnn_compare_pairs(run, run, 4, stream(), &c);
    assert_true(c.p_value == 1 && c.low == 0 && c.high == 0);
}

/* 2000 comparisons of few seeds whose figures vary together: the interval covers the true difference 93 to 97 % of the time,
 * p <= .05 and intervals without 0 stay as rare as they say where there is no difference, and a planted one is found. */
static void coverage_in_a_simulation(void **state)
{
    enum { REPEATS = 2000 };
    (void)state;
    for (size_t n = 3; n <= 8; n += 5)
        for (int planted = 0; planted < 2; planted++) {
            size_t covered = 0, apart = 0, significant = 0;
            bnn_pcg32 rng;
            bnn_pcg32_seed(&rng, n, 77);
            for (size_t r = 0; r < REPEATS; r++) {
                double run[8], baseline[8];
                bnn_comparison c;
                for (size_t i = 0; i < n; i++) {
                    baseline[i] = 0.9 + 0.01 * normal(&rng); /* what a pair shares */
                    run[i] = baseline[i] + planted * 0.02 + 0.004 * normal(&rng);
                }
                bnn_compare_pairs(run, baseline, n, stream(), &c);
                covered += c.low <= planted * 0.02 && planted * 0.02 <= c.high;
                apart += c.low > 0 || c.high < 0;
                significant += c.p_value <= 0.05;
            }
            assert_true(covered >= 0.93 * REPEATS && covered <= 0.97 * REPEATS);
            if (planted && n == 8) assert_true(apart >= 0.999 * REPEATS && significant >= 0.999 * REPEATS);
            if (!planted) { /* the exact level: the largest multiple of 2/2^n up to .05 */
                const double level = floor(0.05 * ldexp(1, (int)n - 1)) / ldexp(1, (int)n - 1);
                assert_int_equal(apart, REPEATS - covered);
                assert_true(fabs((double)significant / REPEATS - level) <=
                            4 * sqrt(level * (1 - level) / REPEATS));
            }
        }
}

/* ---- images ---------------------------------------------------------------------------------------------- */

static void mcnemar_is_the_binomial_test(void **state)
{
    (void)state;
    assert_close(bnn_mcnemar(0, 0), 1, 0, 0);
    assert_close(bnn_mcnemar(3, 3), 1, 0, 0);
    assert_close(bnn_mcnemar(1, 0), 1, 1e-14, 0);
    assert_close(bnn_mcnemar(0, 5), 2.0 / 32, 1e-13, 0);
    assert_close(bnn_mcnemar(5, 1), 2.0 * (1 + 6) / 64, 1e-13, 0);
    assert_close(bnn_mcnemar(2, 10), 2.0 * (1 + 12 + 66) / 4096, 1e-13, 0);
    assert_close(bnn_mcnemar(10, 2), bnn_mcnemar(2, 10), 0, 0);
    /* many: the normal limit, 1/2 put off for whole numbers */
    assert_close(bnn_mcnemar(20400, 20000), erfc((400 - 1) / sqrt(40400) * M_SQRT1_2), 1e-3, 0);
}

/* A mean's interval is that of the normal limit with the deviation (n) over sqrt n, but for the spread of 9999 samples. */
static void bootstrap_of_a_mean(void **state)
{
    enum { N = 500, COLUMNS = 3 };
    static double values[N][COLUMNS];
    double low[COLUMNS], high[COLUMNS], again[2], mean = 0, squares = 0;
    bnn_pcg32 rng;
    (void)state;
    bnn_pcg32_seed(&rng, 9, 9);
    for (size_t i = 0; i < N; i++) {
        values[i][0] = normal(&rng);
        values[i][1] =
            10 -
            4 * values[i][0]; /* the same samples: the interval turned around, bit for bit but rounding */
        values[i][2] = 7;
        mean += values[i][0] / N;
    }
    for (size_t i = 0; i < N; i++) squares += pow(values[i][0] - mean, 2);
    const double error = sqrt(squares / N / N);
    assert_int_equal(bnn_bootstrap_means(&values[0][0], N, COLUMNS, stream(), low, high, NULL), BNN_OK);
    assert_true(fabs(low[0] - (mean - 1.96 * error)) < 0.11 * error); /* 4 deviations of a quantile of 9999 */
    assert_true(fabs(high[0] - (mean + 1.96 * error)) < 0.11 * error);
    assert_close(low[1], 10 - 4 * high[0], 1e-12, 0);
    assert_close(high[1], 10 - 4 * low[0], 1e-12, 0);
    assert_true(low[2] == 7 && high[2] == 7);
    double first[N];
    for (size_t i = 0; i < N; i++) first[i] = values[i][0];
    assert_int_equal(bnn_bootstrap_means(first, N, 1, stream(), &again[0], &again[1], NULL), BNN_OK);
    assert_true(again[0] == low[0] && again[1] == high[0]);
}

/* Means of two rows are 0, 1/2 and 1 with probabilities 1/4, 1/2 and 1/4; of one row they are it. Of twenty rows with one 1 the
 * number of ones is binomial: its quantiles at .025 and .975 are 0 and 3. */
static void bootstrap_of_few(void **state)
{
    double values[20] = {1}, low, high;
    (void)state;
    assert_int_equal(bnn_bootstrap_means(values, 2, 1, stream(), &low, &high, NULL), BNN_OK);
    assert_true(low == 0 && high == 1);
    assert_int_equal(bnn_bootstrap_means(values, 1, 1, stream(), &low, &high, NULL), BNN_OK);
    assert_true(low == 1 && high == 1);
    assert_int_equal(bnn_bootstrap_means(values, 20, 1, stream(), &low, &high, NULL), BNN_OK);
    assert_true(low == 0 && fabs(high - 0.15) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_those_of_tables), cmocka_unit_test(quantiles_have_their_closed_forms),
        cmocka_unit_test(flips_are_those_of_all_signs),  cmocka_unit_test(p_values_are_exactly_uniform),
        cmocka_unit_test(drawn_flips_have_their_limit),  cmocka_unit_test(means_and_errors_by_hand),
        cmocka_unit_test(coverage_in_a_simulation),      cmocka_unit_test(mcnemar_is_the_binomial_test),
        cmocka_unit_test(bootstrap_of_a_mean),           cmocka_unit_test(bootstrap_of_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
