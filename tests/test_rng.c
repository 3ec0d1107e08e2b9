/* PCG32 against the published known answers (check-pcg32 of the PCG distribution: seed 42, sequence 54). */
#include "testing.h"

#include "base/simd/normals.h"
#include "bnn/rng.h"

#define ROW(isa) {bnn_runs_here_##isa, bnn_normals_##isa},
static const struct {
    bool (*runs_here)(void);
    void (*normals)(bnn_stream stream, bnn_real *out, size_t n);
} isas[] = {BNN_EACH_ISA(ROW)};
enum { ISAS = sizeof isas / sizeof *isas };

static void known_answers(void **state)
{
    static const uint32_t expected[] = {0xa15c02b7, 0x7b47f409, 0xba1d3330,
                                        0x83d2f293, 0xbfa4784b, 0xcbed606e};
    bnn_pcg32 rng;
    (void)state;
    bnn_pcg32_seed(&rng, 42, 54);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(bnn_pcg32_next(&rng), expected[i]);
}

static void bounded_is_uniform(void **state)
{
    size_t counts[7] = {0};
    bnn_pcg32 rng = bnn_stream_open(bnn_stream_of(1, BNN_STREAM_SHUFFLE, 0, 0, 0));
    (void)state;
    for (size_t i = 0; i < 70000; i++) counts[bnn_pcg32_below(&rng, 7)]++;
    for (size_t i = 0; i < 7; i++) assert_in_range(counts[i], 10000 - 500, 10000 + 500);
}

static void streams_differ(void **state)
{
    const bnn_stream a = bnn_stream_of(1, BNN_STREAM_TRAIN_NOISE, 2, 3, 4);
    const bnn_stream others[] = {
        bnn_stream_of(2, BNN_STREAM_TRAIN_NOISE, 2, 3, 4),
        bnn_stream_of(1, BNN_STREAM_EVALUATION_NOISE, 2, 3, 4),
        bnn_stream_of(1, BNN_STREAM_TRAIN_NOISE, 3, 2, 4),
        bnn_stream_of(1, BNN_STREAM_TRAIN_NOISE, 2, 4, 3),
        bnn_stream_of(1, BNN_STREAM_TRAIN_NOISE, 2, 3, 5),
    };
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) assert_true(a.state != others[i].state);
}

static void normals_have_the_right_moments(void **state)
{
    enum { N = 200000 };
    static bnn_real x[N];
    double mean = 0, square = 0, fourth = 0;
    (void)state;
    bnn_normals(bnn_stream_of(7, BNN_STREAM_TRAIN_NOISE, 0, 0, 0), x, N);
    for (size_t i = 0; i < N; i++) {
        const double v = (double)x[i];
        mean += v / N, square += v * v / N, fourth += v * v * v * v / N;
    }
    assert_close(mean, 0, 0.01, 1);
    assert_close(square, 1, 0.015, 1);
    assert_close(fourth, 3, 0.03, 1);
}

/* On every instruction set that runs here; near u = 1, where a float has too few digits, by a longer run. */
static void normals_match_the_naive_twin(void **state)
{
    enum { N = 100003 };
    static bnn_real fast[N + 1], naive[N + 1];
    bnn_real prefix[7];
    (void)state;
    for (size_t i = 0; i < ISAS; i++)
        for (uint64_t sample = 0; isas[i].runs_here() && sample < 5; sample++) {
            const bnn_stream stream = bnn_stream_of(7, BNN_STREAM_TRAIN_NOISE, 0, sample, 0);
            const size_t n = N - sample * 1001;
            fast[n] = 77;
            isas[i].normals(stream, fast, n);
            bnn_normals_naive(stream, naive, n);
            isas[i].normals(stream, prefix, 7);
            assert_true(fast[n] == 77);
            for (size_t k = 0; k < n; k++) assert_close(fast[k], naive[k], 2e-6, 1);
            for (size_t k = 0; k < 7; k++) assert_true(prefix[k] == fast[k]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(bounded_is_uniform),
        cmocka_unit_test(streams_differ),
        cmocka_unit_test(normals_have_the_right_moments),
        cmocka_unit_test(normals_match_the_naive_twin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
