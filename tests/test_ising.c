/* Ising configurations against exact solutions: every state of a 4 x 4 lattice, the finite lattice's partition function and the
 * infinite lattice's magnetisation; and the data set that is made of them. */
#include "files.h"

#include <stdlib.h>

#include "bnn/dataset.h"
#include "data/ising.h"
#include "data/source.h"

enum { SIZE_MOST = 40 };

static bnn_ising *chain_of(size_t size, double temperature)
{
    bnn_error error = {0};
    bnn_ising *chain;
    const bnn_stream stream = bnn_stream_of(11, BNN_STREAM_ISING, 0, (uint64_t)(temperature * 1e6), size);
    if (bnn_ising_create(size, temperature, stream, &chain, &error)) fail_msg("%s", error.message);
    return chain;
}

/* -1/N sum_<ij> s_i s_j */
static double energy(const int8_t *spins, size_t size)
{
    int sum = 0;
    for (size_t y = 0; y < size; y++)
        for (size_t x = 0; x < size; x++)
            sum +=
                spins[y * size + x] * (spins[y * size + (x + 1) % size] + spins[(y + 1) % size * size + x]);
    return -(double)sum / (double)(size * size);
}

static double magnetisation(const int8_t *spins, size_t size)
{
    int sum = 0;
    for (size_t i = 0; i < size * size; i++) sum += spins[i];
    return (double)sum / (double)(size * size);
}

typedef struct observed {
    double energy, energy_error;     /* mean, and its standard error for independent draws */
    double absolute, absolute_error; /* |m| */
    double square, square_error;     /* m^2 */
    double positive;                 /* share of m > 0 */
    double turned;                   /* share of neighbours in the chain whose m have other signs */
    double correlation;              /* of the energies of neighbours in the chain */
} observed;

static void mean_and_error(const double *x, size_t n, double *mean, double *error)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    for (size_t i = 0; i < n; i++) squares += (x[i] - sum / (double)n) * (x[i] - sum / (double)n);
    *mean = sum / (double)n;
    *error = sqrt(squares / (double)(n - 1) / (double)n);
}

static observed observe(size_t size, double temperature, size_t n)
{
    int8_t spins[SIZE_MOST * SIZE_MOST];
    bnn_ising *chain = chain_of(size, temperature);
    double *values[3], products = 0;
    observed o = {0};
    double before = 0;
    for (size_t k = 0; k < 3; k++) assert_non_null(values[k] = calloc(n, sizeof(double)));
    for (size_t i = 0; i < n; i++) {
        bnn_ising_next(chain, spins);
        const double m = magnetisation(spins, size);
        values[0][i] = energy(spins, size), values[1][i] = fabs(m), values[2][i] = m * m;
        o.positive += (m > 0) / (double)n;
        o.turned += (m * before < 0) / (double)n;
        before = m;
    }
    mean_and_error(values[0], n, &o.energy, &o.energy_error);
    mean_and_error(values[1], n, &o.absolute, &o.absolute_error);
    mean_and_error(values[2], n, &o.square, &o.square_error);
    for (size_t i = 1; i < n; i++) products += (values[0][i] - o.energy) * (values[0][i - 1] - o.energy);
    o.correlation = products / ((double)n * (double)(n - 1) * o.energy_error * o.energy_error);
    for (size_t k = 0; k < 3; k++) free(values[k]);
    bnn_ising_free(chain);
    return o;
}

/* Within four standard errors, which the seeds of this file always are or never. */
#define assert_estimate(mean, error, exact)                                                                  \
    do {                                                                                                     \
        if (!(fabs((mean) - (exact)) <= 4 * (error) + 1e-12))                                                \
            fail_msg("%s = %.6g +- %.2g, expected %.6g", #mean, (double)(mean), (double)(error),             \
                     (double)(exact));                                                                       \
    } while (0)

/* ---- exact solutions -------------------------------------------------------------------------------------------- */

/* Means over all 2^16 states of a 4 x 4 lattice. */
static observed all_states(double temperature)
{
    observed sum = {0};
    double weights = 0;
    for (unsigned state = 0; state < 1u << 16; state++) {
        int8_t spins[16];
        for (size_t i = 0; i < 16; i++) spins[i] = state >> i & 1 ? 1 : -1;
        const double e = energy(spins, 4), m = magnetisation(spins, 4),
                     weight = exp(-16 * (e + 2) / temperature);
        weights += weight;
        sum.energy += weight * e, sum.absolute += weight * fabs(m), sum.square += weight * m * m;
    }
    sum.energy /= weights, sum.absolute /= weights, sum.square /= weights;
    return sum;
}

/* log Z of a periodic L x L lattice at K = 1/T (B. Kaufman, Physical Review 76, 1232, 1949):
 *     Z = 1/2 (2 sinh 2K)^(L^2/2) sum of four products over r of 2 cosh or 2 sinh of L g_k/2, k = 2r + 1 or 2r,
 *     cosh g_k = cosh^2 2K/sinh 2K - cos(pi k/L), g_0 = 2K + log tanh K (with its sign). */
static double log_z(size_t size, double k)
{
    const double pi = acos(-1), l = (double)size;
    double logs[4] = {0}, sign = 1, sum = 0;
    for (size_t r = 0; r < size; r++)
        for (size_t odd = 0; odd < 2; odd++) {
            const double c = cosh(2 * k) * cosh(2 * k) / sinh(2 * k) - cos(pi * (double)(2 * r + odd) / l);
            const double g = r + odd == 0 ? 2 * k + log(tanh(k)) : acosh(c), x = fabs(l * g / 2);
            logs[2 * odd] += x + log1p(exp(-2 * x));
            logs[2 * odd + 1] += x + log(-expm1(-2 * x));
            if (g < 0) sign = -1;
        }
    for (size_t i = 0; i < 4; i++) sum += (i == 1 ? sign : 1) * exp(logs[i] - logs[2]);
    return l * l / 2 * log(2 * sinh(2 * k)) + logs[2] + log(sum / 2);
}

static double exact_energy(size_t size, double temperature)
{
    const double k = 1 / temperature, h = 1e-5;
    return -(log_z(size, k + h) - log_z(size, k - h)) / (2 * h) / (double)(size * size);
}

/* Of the infinite lattice (L. Onsager, Physical Review 65, 117, 1944), with the elliptic integral by the arithmetic-geometric
 * mean; |2 tanh^2 2K - 1| is its complementary modulus. */
static double onsager_energy(double temperature)
{
    const double k = 1 / temperature, factor = 2 * tanh(2 * k) * tanh(2 * k) - 1;
    double a = 1, b = fabs(factor);
    for (size_t i = 0; i < 60; i++) {
        const double mean = (a + b) / 2;
        b = sqrt(a * b), a = mean;
    }
    return -(1 + factor / a) / tanh(2 * k);
}

/* C. N. Yang, Physical Review 85, 808 (1952). */
static double spontaneous_magnetisation(double temperature)
{
    return pow(1 - pow(sinh(2 / temperature), -4), 1 / 8.0);
}

/* The references agree with each other, where they are about the same. */
static void exact_solutions_agree(void **state)
{
    (void)state;
    for (double t = 1; t < 5; t += 0.5) assert_close(exact_energy(4, t), all_states(t).energy, 1e-6, 1);
    assert_close(exact_energy(40, 1.5), onsager_energy(1.5), 1e-6, 1);
    assert_close(exact_energy(40, 4), onsager_energy(4), 1e-6, 1);
    assert_close(onsager_energy(BNN_ISING_CRITICAL * (1 + 1e-9)), -sqrt(2), 1e-6, 1);
    assert_close(BNN_ISING_CRITICAL, 2 / log(1 + sqrt(2)), 1e-15, 1);
}

/* ---- configurations ----------------------------------------------------------------------------------------------- */

static void small_lattices_have_their_distribution(void **state)
{
    static const double temperatures[] = {1, 1.5, 2.269, 3, 5};
    (void)state;
    for (size_t t = 0; t < sizeof temperatures / sizeof *temperatures; t++) {
        const observed o = observe(4, temperatures[t], 20000), exact = all_states(temperatures[t]);
        assert_estimate(o.energy, o.energy_error, exact.energy);
        assert_estimate(o.absolute, o.absolute_error, exact.absolute);
        assert_estimate(o.square, o.square_error, exact.square);
    }
}

static void energy_is_the_exact_solution(void **state)
{
    static const double temperatures[] = {1, 1.5, 2, 2.25, 2.3, 2.5, 3, 4};
    (void)state;
    for (size_t t = 0; t < sizeof temperatures / sizeof *temperatures; t++) {
        const observed o = observe(40, temperatures[t], 1000);
        assert_estimate(o.energy, o.energy_error, exact_energy(40, temperatures[t]));
        assert_true(fabs(o.correlation) < 0.1); /* so that they count as independent */
        assert_true(fabs(o.positive - 0.5) < 0.06 && fabs(o.turned - 0.5) < 0.06);
    }
}

static void magnetisation_is_the_exact_solution(void **state)
{
    (void)state;
    for (double t = 1; t <= 2; t += 0.25) {
        const observed o = observe(40, t, 1000);
        assert_estimate(o.absolute, o.absolute_error, spontaneous_magnetisation(t));
    }
    assert_true(observe(40, 4, 500).absolute < 0.1);
}

/* ---- the data set -------------------------------------------------------------------------------------------------- */

static bnn_data_paths paths_of(size_t count, const double *temperatures)
{
    bnn_data_paths paths = {.name = "ising",
                            .seed = 3,
                            .ising = {.size = 8, .train_per_temperature = 5, .test_per_temperature = 4}};
    paths.ising.temperatures.count = count;
    memcpy(paths.ising.temperatures.value, temperatures, count * sizeof *temperatures);
    return paths;
}

static bnn_dataset *loaded(const bnn_data_paths *paths, bnn_split split)
{
    bnn_error error = {0};
    bnn_dataset *d;
    if (bnn_dataset_load(paths, split, NULL, &d, &error)) fail_msg("%s", error.message);
    return d;
}

static void labels_are_the_phase(void **state)
{
    (void)state;
    bnn_data_paths paths = paths_of(4, (const double[]){1.5, 2.2691, 2.2692, 4});
    bnn_dataset *d = loaded(&paths, BNN_TRAIN);
    assert_true(d->count == 20 && d->channels == 1 && d->height == 8 && d->width == 8 && d->classes == 2);
    assert_string_equal(d->class_names[0], "disordered");
    assert_string_equal(d->class_names[1], "ordered");
    assert_string_equal(d->type, "int8");
    assert_true(d->pixels.least == -1 && d->pixels.most == 1 && !d->scaled);
    for (size_t i = 0; i < d->count; i++) assert_int_equal(d->labels[i], i % 4 < 2);
    for (size_t i = 0; i < d->count * 64; i++) assert_true(d->images[i] == 1 || d->images[i] == -1);
    assert_int_equal(d->part_count, 4); /* no window */
    assert_string_equal(d->part_names[0], "T = 1.5");
    for (size_t i = 0; i < d->count; i++) assert_int_equal(d->parts[i], i % 4);
    bnn_dataset_free(d);
    assert_null(loaded(&paths, BNN_VALIDATION));
    paths.ising.test_per_temperature = 0;
    assert_null(loaded(&paths, BNN_TEST));
}

static void test_images_have_temperatures_of_their_own(void **state)
{
    (void)state;
    bnn_data_paths paths = paths_of(2, (const double[]){1, 4});
    paths.ising.test_temperatures = (bnn_numbers){3, {1, 2.2, 2.6}};
    paths.ising.window = (bnn_numbers){2, {2.2, 2.5}};
    bnn_dataset *d = loaded(&paths, BNN_TEST);
    assert_int_equal(d->count, 12);
    assert_int_equal(d->part_count, 2);
    assert_string_equal(d->part_names[0], "T outside 2.2 to 2.5");
    assert_string_equal(d->part_names[1], "T from 2.2 to 2.5");
    for (size_t i = 0; i < d->count; i++) assert_int_equal(d->parts[i], i % 3 == 1);
    bnn_dataset_free(d);
}

/* The same seed gives the same images, also beside other temperatures; splits and seeds have others. */
static void images_belong_to_their_temperature(void **state)
{
    (void)state;
    const bnn_data_paths one = paths_of(1, (const double[]){2.5}),
                         two = paths_of(2, (const double[]){1, 2.5});
    bnn_data_paths other = one;
    other.seed = 4;
    bnn_dataset *a = loaded(&one, BNN_TRAIN), *b = loaded(&two, BNN_TRAIN), *c = loaded(&other, BNN_TRAIN),
                *test = loaded(&one, BNN_TEST);
    for (size_t i = 0; i < 5; i++)
        assert_memory_equal(a->images + i * 64, b->images + (2 * i + 1) * 64, 64 * sizeof *a->images);
    for (size_t i = 0; i < 4; i++) {
        assert_memory_not_equal(a->images + i * 64, c->images + i * 64, 64 * sizeof *a->images);
        assert_memory_not_equal(a->images + i * 64, test->images + i * 64, 64 * sizeof *a->images);
    }
    bnn_dataset_free(test);
    bnn_dataset_free(c);
    bnn_dataset_free(b);
    bnn_dataset_free(a);
}

static void refuses_what_cannot_be(void **state)
{
    (void)state;
    bnn_data_paths paths = paths_of(2, (const double[]){2, 2});
    bnn_error error;
    bnn_dataset *d;
    assert_failure(bnn_dataset_load(&paths, BNN_TRAIN, NULL, &d, &error), BNN_BAD_INPUT, error,
                   "data.ising.temperatures: found 2 twice");
    paths.ising.temperatures.count = 0;
    assert_failure(bnn_dataset_load(&paths, BNN_TRAIN, NULL, &d, &error), BNN_BAD_INPUT, error,
                   "data.ising.temperatures: found []");
    paths.ising.temperatures.count = 1;
    paths.ising.window = (bnn_numbers){2, {2.5, 2}};
    assert_failure(bnn_dataset_load(&paths, BNN_TRAIN, NULL, &d, &error), BNN_BAD_INPUT, error,
                   "data.ising.window: expected [] or [from, to]");
    paths.ising.window = (bnn_numbers){1, {2.5}};
    assert_failure(bnn_dataset_load(&paths, BNN_TRAIN, NULL, &d, &error), BNN_BAD_INPUT, error,
                   "data.ising.window");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_solutions_agree),
        cmocka_unit_test(small_lattices_have_their_distribution),
        cmocka_unit_test(energy_is_the_exact_solution),
        cmocka_unit_test(magnetisation_is_the_exact_solution),
        cmocka_unit_test(labels_are_the_phase),
        cmocka_unit_test(test_images_have_temperatures_of_their_own),
        cmocka_unit_test(images_belong_to_their_temperature),
        cmocka_unit_test(refuses_what_cannot_be),
    };
    return cmocka_run_group_tests(tests, make_temporary_directory, remove_temporary_directory);
}
