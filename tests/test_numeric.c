/* Elementary functions against the C library in long double, for every instruction set that runs here. */
#include "testing.h"

#include <float.h>
#include <string.h>

#include "base/simd/softplus.h"
#include "bnn/numeric.h"
#include "bnn/objective.h"
#include "bnn/status.h"

#define ROW(isa) {bnn_runs_here_##isa, bnn_softplus_array_##isa},
static const struct {
    bool (*runs_here)(void);
    void (*softplus)(const bnn_real *x, size_t n, bnn_real *value, bnn_real *slope);
} isas[] = {BNN_EACH_ISA(ROW)};
enum { ISAS = sizeof isas / sizeof *isas };

static const double EPSILON = sizeof(bnn_real) == sizeof(float) ? FLT_EPSILON : DBL_EPSILON;

/* In long double, which has 11 bits more than double. Fails where |found - expected| > 4 units in the last place. */
static void check_ulps(const char *what, double x, double found, long double expected, double epsilon)
{
    if (!(fabsl((long double)found - expected) <= 4 * epsilon * fabsl(expected)))
        fail_msg("%s of %.17g is %.17g, expected %.17Lg", what, x, found, expected);
}

static long double wide_softplus(long double x)
{
    if (x < BNN_LEAST_RHO) x = BNN_LEAST_RHO;
    return x > 0 ? x + log1pl(expl(-x)) : log1pl(expl(x));
}

static long double wide_slope(long double x)
{
    if (x < BNN_LEAST_RHO) x = BNN_LEAST_RHO;
    return 1 / (1 + expl(-x));
}

/* Reals of both signs and all sizes, by their bits, and closely about 0. */
static size_t reals_of_all_sizes(bnn_real *x, size_t n)
{
    size_t count = 0;
    for (uint64_t i = 0; count < n / 2; i++) {
#ifdef BNN_DOUBLE
        const uint64_t bits = i * UINT64_C(0x9E3779B97F4A7C15);
#else
        const uint32_t bits = (uint32_t)i * UINT32_C(0x9E3779B9);
#endif
        memcpy(&x[count], &bits, sizeof *x);
        count += isfinite(x[count]);
    }
    for (size_t i = 0; count < n; i++) x[count++] = (bnn_real)(-400 + 800 * (double)i / (double)n * 2);
    return count;
}

static void softplus_and_its_slope(void **state)
{
    enum { N = 200001 };
    static bnn_real x[N], value[N + 1], slope[N + 1];
    (void)state;
    assert_int_equal(reals_of_all_sizes(x, N), N);
    for (size_t k = 0; k < ISAS; k++) {
        if (!isas[k].runs_here()) continue;
        value[N] = slope[N] = 7;
        isas[k].softplus(x, N, value, slope);
        assert_true(value[N] == 7 && slope[N] == 7);
        for (size_t i = 0; i < N; i++) {
            check_ulps("softplus", (double)x[i], (double)value[i], wide_softplus((long double)x[i]), EPSILON);
            check_ulps("slope", (double)x[i], (double)slope[i], wide_slope((long double)x[i]), EPSILON);
        }
    }
    for (size_t i = 0; i < N; i++)
        check_ulps("bnn_softplus", (double)x[i], bnn_softplus((double)x[i]), wide_softplus((long double)x[i]),
                   DBL_EPSILON);
    bnn_softplus_array(x, 3, value, NULL);
    check_ulps("softplus", (double)x[2], (double)value[2], wide_softplus((long double)x[2]), EPSILON);
}

/* Nor do 1/sigma and, in double, the squares of ratios leave the range. */
static void softplus_never_reaches_zero(void **state)
{
    const bnn_real x[] = {-90, -500, -800, -1e30f, -INFINITY};
    bnn_real value[5], slope[5];
    (void)state;
    bnn_softplus_array(x, 5, value, slope);
    for (size_t i = 0; i < 5; i++) {
        const double sigma = bnn_softplus((double)x[i]), ratio = 1e5 / sigma;
        assert_true(value[i] > 0 && isnormal(value[i]) && isfinite(1 / value[i]) && slope[i] >= 0);
        assert_true(isnormal(sigma * sigma) && isfinite(ratio * ratio));
    }
}

/* From the sigma of the least rho to where softplus is the identity, relative to rho itself also where that is about 0. */
static void inverse_of_softplus(void **state)
{
    const double least = bnn_softplus(BNN_LEAST_RHO);
    (void)state;
    for (double y = least; y < 1e6; y *= 1.0007)
        if (fabs(y - log(2)) > 0.2)
            check_ulps("inverse", y, bnn_softplus_inverse(y), (long double)y + logl(-expm1l(-(long double)y)),
                       DBL_EPSILON);
    for (double away = 0x1p-10; away < 0.5; away *= 1.1)
        for (int sign = -1; sign <= 1; sign += 2) {
            const double y =
                log(2) + sign * away; /* e^y - 1 = 1 + 2 (e^(y - log 2) - 1), with log 2 in long double */
            check_ulps("inverse", y, bnn_softplus_inverse(y),
                       log1pl(2 * expm1l((long double)y - 0.693147180559945309417232121458176568L)),
                       DBL_EPSILON);
        }
    /* of the double next to log 2, which is less by 2.3190468138462996e-17 */
    assert_close(bnn_softplus_inverse(0x1.62e42fefa39efp-1), -2 * 2.3190468138462996e-17, 1e-15, 0);
    for (double x = -30; x < 40; x += 0.37) assert_close(bnn_softplus_inverse(bnn_softplus(x)), x, 1e-12, 1);
    assert_close(bnn_softplus(-3), 0.048587351573742056, 1e-15, 0); /* log(1 + e^-3) */
    assert_close(bnn_softplus_inverse(least), BNN_LEAST_RHO, 1e-15, 0);
    assert_true(bnn_softplus_inverse(0) == BNN_LEAST_RHO && bnn_softplus_inverse(1e-320) == BNN_LEAST_RHO);
    assert_true(bnn_softplus_inverse(1e300) == 1e300);
}

/* What no sum of exponentials without its largest term would survive. */
static void likelihoods_of_logits_of_ten_thousand(void **state)
{
    const bnn_real logits[2][3] = {{10000, -10000, 9999}, {-10000, 9998, 10000}}; /* two views */
    static const bnn_view_average averages[] = {BNN_AVERAGE_LOSS, BNN_AVERAGE_LOGITS, BNN_AVERAGE_PROBS};
    const double log_sum[] = {10000 + log1p(exp(-1)), 10000 + log1p(exp(-2))};
    const double of_mean = 9999.5 + log1p(exp(-500.5)) + 0; /* means 0, -1, 9999.5 */
    (void)state;
    for (uint32_t label = 0; label < 3; label++) {
        const double nll[] = {log_sum[0] - (double)logits[0][label], log_sum[1] - (double)logits[1][label]};
        const double mean = ((double)logits[0][label] + (double)logits[1][label]) / 2,
                     least = fmin(nll[0], nll[1]);
        const double expected[] = {(nll[0] + nll[1]) / 2, of_mean - mean,
                                   least - log((1 + exp(least - fmax(nll[0], nll[1]))) / 2)};
        for (size_t a = 0; a < 3; a++) {
            bnn_real gradient[6];
            double p[3];
            assert_close(bnn_objective(averages[a], logits[0], 2, 3, label, 1, gradient, p), expected[a],
                         1e-12, 1);
            assert_close(p[0] + p[1] + p[2], 1, 1e-12, 0);
            for (size_t i = 0; i < 6; i++) assert_true(fabs((double)gradient[i]) <= 1);
        }
    }
}

static void softmax_of_large_logits(void **state)
{
    const bnn_real logits[] = {500, 500, -500};
    double p[3];
    (void)state;
    const double log_sum = bnn_softmax(logits, 3, p);
    assert_close(p[0], 0.5, 1e-15, 0);
    assert_true(p[2] == 0);
    assert_close((double)logits[2] - log_sum, -1000 - log(2), 1e-15, 0); /* where log p is -infinity */
}

static void entropies_and_log_means(void **state)
{
    static const double p[] = {0.5, 0.25, 0, 0.25};
    static const double values[] = {-2000, 7, -2000 + 1, 7, -2000 - 3, 7};
    (void)state;
    assert_close(bnn_entropy(p, 4), 1.5 * log(2), 1e-15, 0);
    assert_close(bnn_log_mean_exp(values, 3, 2), -2000 + log((1 + exp(1) + exp(-3)) / 3), 1e-15, 0);
    assert_true(bnn_log_mean_exp(values, 1, 1) == -2000);
}

/* printf writes a NaN with the sign bit as -nan. */
static void numbers_in_messages(void **state)
{
    char text[BNN_NUMBER_TEXT];
    (void)state;
    assert_string_equal(bnn_number_text(copysign(NAN, -1), text), "NaN");
    assert_string_equal(bnn_number_text(-INFINITY, text), "-infinity");
    assert_string_equal(bnn_number_text(INFINITY, text), "infinity");
    assert_string_equal(bnn_number_text(-0.25, text), "-0.25");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softplus_and_its_slope),
        cmocka_unit_test(softplus_never_reaches_zero),
        cmocka_unit_test(inverse_of_softplus),
        cmocka_unit_test(softmax_of_large_logits),
        cmocka_unit_test(likelihoods_of_logits_of_ten_thousand),
        cmocka_unit_test(entropies_and_log_means),
        cmocka_unit_test(numbers_in_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
