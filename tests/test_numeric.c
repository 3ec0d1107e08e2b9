/* Elementary functions against the C library in double, for every instruction set that runs here. */
#include "testing.h"

#include "base/simd/softplus.h"
#include "bnn/numeric.h"
#include "bnn/status.h"

#define ROW(isa) {bnn_runs_here_##isa, bnn_softplus_array_##isa},
static const struct {
    bool (*runs_here)(void);
    void (*softplus)(const bnn_real *x, size_t n, bnn_real *value, bnn_real *slope);
} isas[] = {BNN_EACH_ISA(ROW)};
enum { ISAS = sizeof isas / sizeof *isas };

static void softplus_and_its_slope(void **state)
{
    enum { N = 4001 };
    static bnn_real x[N], value[N + 1], slope[N + 1];
    (void)state;
    for (size_t i = 0; i < N; i++) x[i] = (bnn_real)(-80 + 0.04 * (double)i);
    for (size_t k = 0; k < ISAS; k++) {
        if (!isas[k].runs_here()) continue;
        value[N] = slope[N] = 7;
        isas[k].softplus(x, N, value, slope);
        assert_true(value[N] == 7 && slope[N] == 7);
        for (size_t i = 0; i < N; i++) {
            assert_close(value[i], log1p(exp((double)x[i])), 5e-7, 0);
            assert_close(slope[i], 1 / (1 + exp(-(double)x[i])), 5e-7, 0);
        }
    }
    bnn_softplus_array(x, 3, value, NULL);
    assert_close(value[0], exp((double)x[0]), 5e-7, 0);
}

static void softplus_never_reaches_zero(void **state)
{
    const bnn_real x[] = {-90, -500, -800, (bnn_real)-1e18};
    bnn_real value[4], slope[4];
    (void)state;
    bnn_softplus_array(x, 4, value, slope);
    for (size_t i = 0; i < 4; i++) {
        assert_true(value[i] > 0 && isfinite(slope[i]));
        assert_close(value[i], bnn_sigma(x[i]), 5e-7, 0);
        assert_true(
            isfinite(bnn_softplus_inverse(bnn_sigma(x[i]) / 256))); /* of a small share in an average */
    }
}

static void softplus_and_its_inverse(void **state)
{
    (void)state;
    for (double x = -30; x < 40; x += 0.37) assert_close(bnn_softplus_inverse(bnn_softplus(x)), x, 1e-12, 1);
    assert_close(bnn_softplus(-3), 0.048587351573742056, 1e-15, 0); /* log(1 + e^-3) */
    assert_close(bnn_softplus(800), 800, 1e-15, 0);
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
        cmocka_unit_test(softplus_and_its_slope),   cmocka_unit_test(softplus_never_reaches_zero),
        cmocka_unit_test(softplus_and_its_inverse), cmocka_unit_test(softmax_of_large_logits),
        cmocka_unit_test(entropies_and_log_means),  cmocka_unit_test(numbers_in_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
