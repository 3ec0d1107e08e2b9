/* The action on parameters: a group action, the equation f(h.x; rho(h) w) = f(x; w), and the averages over it. */
#include "networks.h"

#include <stdio.h>

#include "bnn/numeric.h"

typedef struct row {
    const char *group;
    bnn_network_spec spec;
} row;

/* Widths are multiples of 8, so that every group fits the regular representation too. */
static const row exact_rows[] = {
    {"C1", NETWORK(FCNN, 1, 8, 8, 3, false, 8, 8)},
    {"C2", NETWORK(FCNN, 3, 8, 12, 3, false, 8, 16)},
    {"C4", NETWORK(FCNN, 1, 8, 8, 3, false, 8, 16)},
    {"C4", NETWORK(FCNN, 3, 8, 8, 5, true, 8, 8)},
    {"D1", NETWORK(FCNN, 3, 7, 12, 3, false, 8, 8)},
    {"D2", NETWORK(FCNN, 1, 8, 12, 3, false, 8, 16)},
    {"D4", NETWORK(FCNN, 3, 8, 8, 3, false, 16, 8)},
    {"D4", NETWORK(FCNN, 1, 8, 8, 1, false, 8, 8)},
    {"T2", NETWORK(FCNN, 3, 8, 16, 3, true, 8, 8)},
    {"C1", NETWORK(CNN, 1, 5, 7, 3, false, 8)},
    {"C2", NETWORK(CNN, 1, 8, 12, 3, false, 8, 8)},
    {"C4", NETWORK(CNN, 3, 8, 8, 3, false, 8, 16)},
    {"C4", NETWORK(CNN, 1, 12, 12, 3, false, 8, 8)},
    {"D1", NETWORK(CNN, 3, 9, 8, 5, false, 8, 8)},
    {"D2", NETWORK(CNN, 3, 8, 12, 3, false, 8, 8)},
    {"D4", NETWORK(CNN, 3, 8, 8, 3, false, 8, 16)},
    {"T2", NETWORK(CNN, 1, 8, 16, 3, true, 8, 8)},
    {"T2", NETWORK(CNN, 3, 4, 4, 1, false, 8)},
    {"T2", NETWORK(FCNN, 1, 2, 2, 3, true, 8)}, /* one window is the whole torus */
    {"T2", NETWORK(CNN, 1, 4, 4, 3, true, 8, 8)},
    {"T2", NETWORK(CNN, 1, 4, 16, 3, true, 8, 8)},
    {"C1", NETWORK(MLP, 3, 5, 4, 0, false, 8)},
    {"C2", NETWORK(MLP, 1, 5, 4, 0, false, 8, 16)},
    {"C4", NETWORK(MLP, 3, 5, 5, 0, false, 8, 16)},
    {"D1", NETWORK(MLP, 1, 5, 4, 0, false, 8, 8)},
    {"D2", NETWORK(MLP, 3, 8, 12, 0, false, 8, 8)},
    {"D4", NETWORK(MLP, 3, 6, 6, 0, false, 16, 8, 8)},
    {"T2", NETWORK(MLP, 3, 4, 6, 0, false, 8, 8)},
    {"T3", NETWORK(MLP, 1, 3, 6, 0, false, 9)},
    {"D4", {.type = BNN_NETWORK_MLP, .input = {3, 5, 5}, .classes = 3, .width_count = 0}},
    {"C4",
     {.type = BNN_NETWORK_FCNN,
      .input = {1, 7, 7},
      .classes = 3,
      .widths = {8, 8},
      .width_count = 2,
      .kernel = 3,
      .unpooled = {true, true}}},
    {"C4",
     {.type = BNN_NETWORK_FCNN,
      .input = {1, 14, 14},
      .classes = 3,
      .widths = {8, 8},
      .width_count = 2,
      .kernel = 3,
      .unpooled = {false, true}}},
    {"D4",
     {.type = BNN_NETWORK_CNN,
      .input = {3, 6, 6},
      .classes = 3,
      .widths = {8, 16},
      .width_count = 2,
      .kernel = 3,
      .unpooled = {true}}},
    {"D2",
     {.type = BNN_NETWORK_CNN,
      .input = {1, 5, 7},
      .classes = 3,
      .widths = {8},
      .width_count = 1,
      .kernel = 3,
      .unpooled = {true}}},
    {"T3",
     {.type = BNN_NETWORK_FCNN,
      .input = {3, 9, 6},
      .classes = 3,
      .widths = {9},
      .width_count = 1,
      .kernel = 3,
      .circular = true,
      .unpooled = {true}}},
    {"T2",
     {.type = BNN_NETWORK_CNN,
      .input = {1, 8, 4},
      .classes = 3,
      .widths = {8, 8},
      .width_count = 2,
      .kernel = 3,
      .circular = true,
      .unpooled = {false, true}}},
};
#define RANDOM_NETWORKS 400 /* 60000 passed once */
#define ROWS(rows) (sizeof(rows) / sizeof *(rows))

static bnn_network_spec with(bnn_network_spec spec, bnn_representation representation)
{
    spec.representation = representation;
    return spec;
}

static void equation_holds(void **state)
{
    (void)state;
    for (size_t t = 0; t < ROWS(exact_rows); t++)
        for (int r = BNN_TRIVIAL; r <= BNN_REGULAR; r++) {
            const bnn_network_spec spec = with(exact_rows[t].spec, (bnn_representation)r);
            fixture f = test_fixture(exact_rows[t].group, &spec);
            bnn_real *w = test_normals(f.network->parameter_count, 1 + t);
            for (size_t j = 0; j < f.network->parameter_count; j++) w[j] *= (bnn_real)0.3;
            char reason[256] = "";
            const double defect = equation_defect(f.group, f.network, f.symmetry, w);
            if (!(defect < ROUNDING * 10)) fail_msg("row %zu %s: defect %g", t, exact_rows[t].group, defect);
            if (!bnn_network_commutes(f.group, f.network, reason, sizeof reason)) fail_msg("%s", reason);
            free(w);
            test_fixture_free(&f);
        }
}

static void is_a_group_action(void **state)
{
    static const row more[] = {{"C8", NETWORK(FCNN, 1, 8, 8, 3, false, 8, 16)},
                               {"D8", NETWORK(FCNN, 3, 8, 8, 3, false, 16)},
                               {"C5", NETWORK(FCNN, 3, 8, 8, 1, false, 5, 10)},
                               {"D3", NETWORK(MLP, 3, 1, 1, 0, false, 12)}};
    (void)state;
    for (size_t t = 0; t < ROWS(exact_rows) + ROWS(more); t++)
        for (int r = BNN_TRIVIAL; r <= BNN_REGULAR; r++) {
            const row *this = t < ROWS(exact_rows) ? &exact_rows[t] : &more[t - ROWS(exact_rows)];
            const bnn_network_spec spec = with(this->spec, (bnn_representation)r);
            fixture f = test_fixture(this->group, &spec);
            const size_t n = f.symmetry->count;
            const uint32_t *source = f.symmetry->source;
            for (size_t j = 0; j < n; j++) assert_int_equal(source[j], j);
            for (size_t a = 0; a < f.group->order; a++)
                for (size_t b = 0; b < f.group->order; b++) {
                    const uint32_t *both = source + bnn_group_product(f.group, a, b) * n;
                    for (size_t j = 0; j < n; j++) /* (rho(a) rho(b) w)[j] */
                        if (source[b * n + source[a * n + j]] != both[j])
                            fail_msg("%s, row %zu", this->group, t);
                }
            test_fixture_free(&f);
        }
}

/* Each of these has an action on its parameters, and the equation fails: the check must say so, and why. */
static void check_finds_what_breaks_the_equation(void **state)
{
    static const struct {
        row row;
        const char *reason;
    } rows[] = {
        {{"C4", NETWORK(FCNN, 1, 28, 28, 3, false, 4, 4, 4)},
         "conv_layers.2.pool max-pools 7 x 7 pixels, which drops a row"},
        {{"C4", NETWORK(FCNN, 1, 28, 28, 3, false, 4, 4, 4)}, "divisible by 8, mend it (2 pixels of padding"},
        {{"C4",
          {.type = BNN_NETWORK_FCNN,
           .input = {1, 14, 14},
           .classes = 3,
           .widths = {4, 4, 4},
           .width_count = 3,
           .kernel = 3,
           .unpooled = {false, true}}},
         "fewer pools (model.pool), or images with sides divisible by 4, mend it (1 pixels of padding"},
        {{"C2", NETWORK(CNN, 3, 9, 8, 3, false, 4)}, "conv_layers.0.pool max-pools 9 x 8"},
        {{"D1", NETWORK(FCNN, 1, 8, 9, 3, false, 4)}, "conv_layers.0.pool max-pools 8 x 9"},
        {{"D2", NETWORK(FCNN, 1, 8, 10, 3, false, 4, 4)}, "conv_layers.1.pool max-pools 4 x 5"},
        {{"T2", NETWORK(FCNN, 1, 8, 8, 3, false, 4)}, "model.padding \"circular\""},
        {{"T2", NETWORK(FCNN, 1, 12, 8, 3, true, 4, 4)},
         "conv_layers.1.pool max-pools 6 x 4 pixels, which the translations"},
        {{"T3", NETWORK(FCNN, 1, 9, 9, 3, true, 4)}, "conv_layers.0.pool max-pools 9 x 9"},
        {{"C8", NETWORK(FCNN, 1, 8, 8, 3, false, 4)}, "C8 does not permute the pixels of 8 x 8 images"},
    };
    (void)state;
    for (size_t t = 0; t < ROWS(rows); t++) {
        fixture f = test_fixture(rows[t].row.group, &rows[t].row.spec);
        bnn_real *w = test_normals(f.network->parameter_count, 1);
        char reason[256] = "", little[8];
        assert_true(equation_defect(f.group, f.network, f.symmetry, w) > 1e-3);
        assert_false(bnn_network_commutes(f.group, f.network, reason, sizeof reason));
        if (!strstr(reason, rows[t].reason)) fail_msg("%s", reason);
        assert_false(bnn_network_commutes(f.group, f.network, little, sizeof little));
        assert_memory_equal(little, reason, 7);
        free(w);
        test_fixture_free(&f);
    }
}

/* A random number below n. */
static size_t below(size_t n)
{
    static uint64_t state = 1; /* Knuth's MMIX generator, of which the high bits are good */
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(state >> 33) % n;
}

/* A random small network; the groups' orders are at most 16. */
static bnn_network_spec random_spec(const bnn_group *group)
{
    static const size_t kernels[] = {1, 3, 3, 5};
    bnn_network_spec spec = {.type = (bnn_network_type)below(3),
                             .input = {1 + below(2), 2 + below(11), 2 + below(11)},
                             .classes = 3,
                             .kernel = kernels[below(4)],
                             .circular = below(2),
                             .width_count = 1 + below(3),
                             .representation = below(3) == 0 ? BNN_REGULAR : BNN_TRIVIAL};
    if (below(2)) spec.input[2] = spec.input[1];
    for (size_t i = 0; i < spec.width_count; i++)
        spec.widths[i] = spec.representation == BNN_REGULAR ? group->order : 2 + below(2);
    return spec;
}

/* Small weights and positive biases keep ReLUs alive, so that what does not commute shows. */
static double worst_defect(const fixture *f)
{
    double worst = 0;
    for (uint64_t draw = 1; draw <= 6; draw++) {
        bnn_real *w = test_normals(f->network->parameter_count, draw);
        for (size_t l = 0; l < f->network->layer_count; l++) {
            const bnn_layer *layer = &f->network->layers[l];
            bnn_real *weight = w + layer->weight_offset, *bias = w + layer->bias_offset;
            const double scale = sqrt((double)layer->shape.out.channels / (double)(layer->weight_count + 1));
            for (size_t i = 0; i < layer->weight_count; i++) weight[i] *= (bnn_real)scale;
            for (size_t i = 0; i < layer->bias_count; i++) bias[i] = (bnn_real)(1 + fabs((double)bias[i]));
        }
        worst = fmax(worst, equation_defect_of(draw, f->group, f->network, f->symmetry, w));
        free(w);
    }
    return worst;
}

/* bnn_network_commutes says what the equation says, in both directions, for random networks. */
static void check_is_the_equation(void **state)
{
    static const char *const groups[] = {"C1", "C2", "C4", "D1", "D2", "D4", "T2", "T3", "T4"};
    size_t tried = 0, hold = 0;
    (void)state;
    while (tried < RANDOM_NETWORKS) {
        bnn_group *group = test_group(groups[below(9)]);
        const bnn_network_spec spec = random_spec(group);
        fixture f = {group, NULL, NULL};
        char reason[256] = "";
        if (bnn_group_is_exact(group, spec.input[1], spec.input[2]) &&
            !bnn_network_create(&spec, &f.network, NULL) &&
            !bnn_symmetry_create(f.group, f.network, &f.symmetry, NULL)) {
            const bool said = bnn_network_commutes(group, f.network, reason, sizeof reason);
            const double defect = worst_defect(&f);
            tried++;
            hold += said;
            if (said ? !(defect < ROUNDING) : !(defect > 10 * ROUNDING))
                fail_msg("%s, %s, %zu layers on %zu x %zu, kernel %zu%s: defect %g, but %s", group->name,
                         bnn_network_type_row(spec.type)->name, spec.width_count, spec.input[1],
                         spec.input[2], spec.kernel, spec.circular ? ", circular" : "", defect,
                         said ? "commutes" : reason);
        }
        test_fixture_free(&f);
    }
    assert_true(hold > RANDOM_NETWORKS / 4 && hold < RANDOM_NETWORKS * 3 / 4);
}

/* Regular channels carry the group that the network was made for: a subgroup acts by its tables, others not at all. */
static void subgroups_act_by_the_tables_of_the_group(void **state)
{
    static const struct {
        const char *carried, *subgroups[5];
        bnn_network_spec spec;
    } rows[] = {{"C4", {"C1", "C2", "C4"}, REGULAR_NETWORK(FCNN, 3, 8, 8, 3, false, 8, 16)},
                {"D4", {"D1", "D2", "C4", "C2"}, REGULAR_NETWORK(CNN, 1, 8, 8, 3, false, 8, 8)},
                {"D4", {"D1", "D2", "D4", "C2"}, REGULAR_NETWORK(MLP, 1, 6, 6, 0, false, 8, 16)},
                {"C8", {"C2", "C4"}, REGULAR_NETWORK(FCNN, 1, 8, 8, 3, false, 16, 8)},
                {"T4", {"T2", "T1"}, REGULAR_NETWORK(MLP, 1, 4, 8, 0, false, 16)}};
    (void)state;
    for (size_t t = 0; t < ROWS(rows); t++) {
        bnn_network_spec spec = rows[t].spec;
        strcpy(spec.group, rows[t].carried);
        fixture whole = test_fixture(rows[t].carried, &spec);
        bnn_real *w = test_normals(whole.symmetry->count, 5);
        for (size_t i = 0; rows[t].subgroups[i]; i++) {
            uint16_t element[BNN_GROUP_MAX_ORDER];
            fixture f = test_fixture(rows[t].subgroups[i], &spec);
            const size_t count = f.symmetry->count, bytes = count * sizeof *f.symmetry->source;
            assert_true(bnn_group_embedding(f.group, whole.group, element));
            for (size_t h = 0; h < f.group->order; h++)
                assert_memory_equal(f.symmetry->source + h * count,
                                    whole.symmetry->source + element[h] * count, bytes);
            if (!(equation_defect(f.group, f.network, f.symmetry, w) < 100 * ROUNDING))
                fail_msg("%s of %s", f.group->name, rows[t].carried);
            test_fixture_free(&f);
        }
        free(w);
        test_fixture_free(&whole);
    }
}

static void other_groups_are_not_judged(void **state)
{
    static const char *const others[] = {"D4", "D1", "C8", "C3", "T2"};
    bnn_network_spec regular = REGULAR_NETWORK(FCNN, 1, 8, 8, 3, true, 8, 8), trivial = regular;
    (void)state;
    strcpy(regular.group, "C4");
    strcpy(trivial.group, "C4");
    trivial.representation = BNN_TRIVIAL;
    bnn_network *network = test_network(&regular), *open = test_network(&trivial);
    for (size_t i = 0; i < ROWS(others); i++) {
        bnn_group *group = test_group(others[i]);
        bnn_symmetry *symmetry = NULL;
        bnn_error error = {0};
        assert_int_equal(bnn_symmetry_create(group, network, &symmetry, &error), BNN_BAD_INPUT);
        assert_null(symmetry);
        assert_non_null(strstr(error.message, "not judged: the model's channels carry C4"));
        assert_int_equal(bnn_network_check_channels(group, network, &error), BNN_BAD_INPUT);
        assert_int_equal(bnn_network_check_channels(group, open, &error), BNN_OK);
        bnn_group_free(group);
    }
    bnn_network_free(open);
    bnn_network_free(network);
}

static void refused(void **state)
{
    static const struct {
        row row;
        bnn_representation representation;
        const char *message;
    } rows[] = {
        {{"C8", NETWORK(CNN, 1, 8, 8, 3, false, 8)},
         BNN_TRIVIAL,
         "fc: C8 has no exact action on the 4 x 4 grid"},
        {{"C3", NETWORK(MLP, 1, 8, 8, 0, false, 3)}, BNN_TRIVIAL, "fc_layers.0: C3 has no exact action"},
        {{"C8", NETWORK(FCNN, 1, 8, 8, 5, false, 8)},
         BNN_TRIVIAL,
         "conv_layers.0: C8 has no exact action on a 5 x 5"},
        {{"C4", NETWORK(MLP, 1, 4, 6, 0, false, 4)}, BNN_TRIVIAL, "fc_layers.0: C4 has quarter turns"},
        {{"C4", NETWORK(FCNN, 1, 8, 8, 3, false, 4, 6)}, BNN_REGULAR, "conv_layers.1: found 6 channels"},
        {{"T2", NETWORK(CNN, 1, 12, 12, 3, true, 4, 4)},
         BNN_TRIVIAL,
         "fc: T2 does not act on a grid of 3 x 3"},
    };
    (void)state;
    for (size_t t = 0; t < ROWS(rows); t++) {
        const bnn_network_spec spec = with(rows[t].row.spec, rows[t].representation);
        bnn_group *group = test_group(rows[t].row.group);
        bnn_network *network = test_network(&spec);
        bnn_symmetry *symmetry = NULL;
        bnn_error error = {0};
        assert_int_equal(bnn_symmetry_create(group, network, &symmetry, &error), BNN_BAD_INPUT);
        assert_null(symmetry);
        if (!strstr(error.message, rows[t].message)) fail_msg("%s", error.message);
        bnn_network_free(network);
        bnn_group_free(group);
    }
    bnn_symmetry_free(NULL);
}

static void assert_invariant(const bnn_symmetry *symmetry, const bnn_real *values)
{
    bnn_real *moved = test_zeros(symmetry->count);
    for (size_t h = 0; h < symmetry->group->order; h++) {
        bnn_symmetry_apply(symmetry, h, values, moved);
        assert_memory_equal(moved, values, symmetry->count * sizeof *values);
    }
    free(moved);
}

static double dot(const bnn_real *a, const bnn_real *b, size_t n)
{
    double sum = 0;
    for (size_t j = 0; j < n; j++) sum += (double)a[j] * (double)b[j];
    return sum;
}

static bnn_real *copy_of(const bnn_real *values, size_t n)
{
    bnn_real *copy = test_zeros(n);
    memcpy(copy, values, n * sizeof *copy);
    return copy;
}

/* P is the mean of the rho(h), P P = P bit for bit, <P a, b> = <a, P b>. */
static void projection(void **state)
{
    (void)state;
    for (size_t t = 0; t < ROWS(exact_rows); t++)
        for (int r = BNN_TRIVIAL; r <= BNN_REGULAR; r++) {
            const bnn_network_spec spec = with(exact_rows[t].spec, (bnn_representation)r);
            fixture f = test_fixture(exact_rows[t].group, &spec);
            const bnn_symmetry *s = f.symmetry;
            const size_t n = s->count, order = f.group->order;
            bnn_real *a = test_normals(n, 5), *b = test_normals(n, 6), *pa = copy_of(a, n),
                     *pb = copy_of(b, n);
            bnn_symmetry_project(s, pa);
            bnn_symmetry_project(s, pb);
            for (size_t j = 0; j < n; j++) {
                double mean = 0;
                for (size_t h = 0; h < order; h++) mean += (double)a[s->source[h * n + j]] / (double)order;
                assert_close(pa[j], mean, ROUNDING / 10, 1);
            }
            assert_invariant(s, pa);
            assert_close(dot(pa, b, n), dot(a, pb, n), ROUNDING, sqrt((double)n));
            memcpy(b, pa, n * sizeof *b);
            bnn_symmetry_project(s, b);
            assert_memory_equal(b, pa, n * sizeof *b);
            free(pb);
            free(pa);
            free(b);
            free(a);
            test_fixture_free(&f);
        }
}

/* The formulas of bnn/symmetry.h as they stand, over all elements of the group. */
static void project_formula(const double *m, const double *s, size_t n, double *mu, double *sigma)
{
    *mu = *sigma = 0;
    for (size_t h = 0; h < n; h++) *mu += m[h] / (double)n, *sigma += s[h] / (double)n;
}

static void geometric_formula(const double *m, const double *s, size_t n, double *mu, double *sigma)
{
    double precision = 0, weighted = 0;
    for (size_t h = 0; h < n; h++) precision += 1 / (s[h] * s[h]), weighted += m[h] / (s[h] * s[h]);
    *mu = weighted / precision;
    *sigma = sqrt((double)n / precision);
}

static void arithmetic_formula(const double *m, const double *s, size_t n, double *mu, double *sigma)
{
    double square = 0;
    *mu = 0;
    for (size_t h = 0; h < n; h++) *mu += m[h] / (double)n, square += (s[h] * s[h] + m[h] * m[h]) / (double)n;
    *sigma = sqrt(square - *mu * *mu);
}

static void average_geometric(const bnn_symmetry *symmetry, bnn_posterior *posterior)
{
    bnn_posterior_average(symmetry, BNN_GEOMETRIC, posterior);
}

static void average_arithmetic(const bnn_symmetry *symmetry, bnn_posterior *posterior)
{
    bnn_posterior_average(symmetry, BNN_ARITHMETIC, posterior);
}

static const struct {
    const char *name; /* of the reference file */
    void (*apply)(const bnn_symmetry *symmetry, bnn_posterior *posterior);
    void (*formula)(const double *m, const double *s, size_t n, double *mu, double *sigma);
} operators[] = {{"project", bnn_posterior_project, project_formula},
                 {"average_geometric", average_geometric, geometric_formula},
                 {"average_arithmetic", average_arithmetic, arithmetic_formula}};

static void compare_with_formula(const bnn_symmetry *s, size_t which, const bnn_posterior *q,
                                 const bnn_posterior *p)
{
    const size_t n = s->count, order = s->group->order;
    for (size_t j = 0; j < n; j++) {
        double m[BNN_GROUP_MAX_ORDER], sigma[BNN_GROUP_MAX_ORDER], mean, deviation;
        for (size_t h = 0; h < order; h++) {
            m[h] = (double)q->mu[s->source[h * n + j]];
            sigma[h] = bnn_softplus((double)q->rho[s->source[h * n + j]]);
        }
        operators[which].formula(m, sigma, order, &mean, &deviation);
        assert_close(p->mu[j], mean, ROUNDING, 1);
        assert_close(bnn_softplus((double)p->rho[j]), deviation, ROUNDING, 0);
        assert_true(p->prior_std[j] == q->prior_std[j] && p->prior_mean[j] == q->prior_mean[j]);
    }
}

static void operators_follow_their_formulas(void **state)
{
    static const row rows[] = {{"C4", NETWORK(FCNN, 3, 8, 8, 3, false, 4, 8)},
                               {"D4", NETWORK(CNN, 1, 8, 8, 3, false, 8)},
                               {"D2", NETWORK(MLP, 3, 4, 6, 0, false, 4, 8)},
                               {"T2", NETWORK(MLP, 1, 4, 6, 0, false, 4)}};
    (void)state;
    for (size_t t = 0; t < ROWS(rows) * 2 * ROWS(operators); t++) {
        const size_t which = t % ROWS(operators);
        const bnn_network_spec spec =
            with(rows[t / ROWS(operators) / 2].spec, t / ROWS(operators) % 2 ? BNN_REGULAR : BNN_TRIVIAL);
        fixture f = test_fixture(rows[t / ROWS(operators) / 2].group, &spec);
        bnn_posterior *q = test_posterior(f.network, 1), *p = test_posterior(f.network, 1);
        const size_t bytes = q->count * sizeof *q->mu;
        operators[which].apply(f.symmetry, p);
        compare_with_formula(f.symmetry, which, q, p);
        assert_invariant(f.symmetry, p->mu);
        assert_invariant(f.symmetry, p->rho);
        bnn_posterior_copy(q, p);
        operators[which].apply(f.symmetry, p);
        assert_memory_equal(p->mu, q->mu, bytes);
        assert_memory_equal(p->rho, q->rho, bytes);
        bnn_posterior_free(p);
        bnn_posterior_free(q);
        test_fixture_free(&f);
    }
}

/* Averaging an orbit whose sigmas agree leaves its rho alone, to the last bit, whatever its means do. (A trip through
 * softplus and back loses digits of a rho near 0.) */
static void agreement_is_left_alone(void **state)
{
    static const bnn_network_spec spec = NETWORK(FCNN, 3, 8, 8, 3, false, 8, 8);
    fixture f = test_fixture("D4", &spec);
    bnn_posterior *q = test_posterior(f.network, 2), *p = test_posterior(f.network, 2);
    (void)state;
    for (size_t j = 0; j < q->count; j++) q->rho[j] *= (bnn_real)1e-8;
    bnn_symmetry_project(f.symmetry, q->rho);
    memcpy(p->rho, q->rho, q->count * sizeof *q->rho);
    bnn_posterior_project(f.symmetry, p);
    assert_memory_equal(p->rho, q->rho, q->count * sizeof *q->rho);
    average_geometric(f.symmetry, q);
    assert_memory_equal(p->rho, q->rho, q->count * sizeof *q->rho);
    bnn_posterior_free(p);
    bnn_posterior_free(q);
    test_fixture_free(&f);
}

static void compare(const bnn_real *found, const bnn_real *expected, size_t offset, size_t count)
{
    for (size_t j = offset; j < offset + count; j++)
        assert_close(found[j], expected[j], REFERENCE_TOLERANCE, 0.1);
}

/* The published projection lives in the regular representation, and is right for what is compared here only. */
static void operators_agree_with_the_reference(void **state)
{
    (void)state;
    for (size_t which = 0; which < ROWS(operators); which++) {
        const bool project = operators[which].apply == bnn_posterior_project;
        const bnn_network_spec spec = with(test_reference_spec, project ? BNN_REGULAR : BNN_TRIVIAL);
        fixture f = test_fixture("C4", &spec);
        char path[96];
        snprintf(path, sizeof path, REFERENCE "fcnn/%s.safetensors", operators[which].name);
        bnn_posterior *q = test_load(f.network, REFERENCE "fcnn/model.bin"),
                      *expected = test_load(f.network, path);
        operators[which].apply(f.symmetry, q);
        for (size_t l = 0; l < f.network->layer_count; l++) {
            const bnn_layer *layer = &f.network->layers[l];
            compare(q->mu, expected->mu, layer->weight_offset, layer->weight_count);
            compare(q->mu, expected->mu, layer->bias_offset, layer->bias_count);
            if (!project || layer->type == &bnn_layer_conv)
                compare(q->rho, expected->rho, layer->weight_offset, layer->weight_count);
            if (!project) compare(q->rho, expected->rho, layer->bias_offset, layer->bias_count);
        }
        bnn_posterior_free(expected);
        bnn_posterior_free(q);
        test_fixture_free(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equation_holds),
        cmocka_unit_test(is_a_group_action),
        cmocka_unit_test(check_finds_what_breaks_the_equation),
        cmocka_unit_test(check_is_the_equation),
        cmocka_unit_test(subgroups_act_by_the_tables_of_the_group),
        cmocka_unit_test(other_groups_are_not_judged),
        cmocka_unit_test(refused),
        cmocka_unit_test(projection),
        cmocka_unit_test(operators_follow_their_formulas),
        cmocka_unit_test(agreement_is_left_alone),
        cmocka_unit_test(operators_agree_with_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
