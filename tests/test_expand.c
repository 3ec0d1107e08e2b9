/* Orbit expansion: an expanded posterior is invariant, for every kind of network and for groups that do not
 * commute; the ablations are not. */
#include "networks.h"

#include "bnn/npy.h"
#include "bnn/numeric.h"

typedef struct row {
    const char *group;
    bnn_network_spec spec;
} row;

static const row rows[] = {
    {"C1", NETWORK(FCNN, 3, 8, 8, 3, false, 2, 3)},
    {"C2", NETWORK(CNN, 1, 8, 12, 3, false, 2, 3)},
    {"C4", NETWORK(FCNN, 1, 16, 16, 3, false, 2, 3, 4)},
    {"C4", NETWORK(CNN, 3, 8, 8, 5, false, 2, 3)},
    {"C4", NETWORK(MLP, 3, 5, 5, 0, false, 4, 2, 3)},
    {"D1", NETWORK(FCNN, 1, 6, 8, 3, false, 2)},
    {"D2", NETWORK(MLP, 1, 4, 6, 0, false, 3, 2)},
    {"D4", NETWORK(FCNN, 3, 8, 8, 3, false, 2, 3)},
    {"D4", NETWORK(CNN, 1, 8, 8, 3, false, 2, 3)},
    {"D4", NETWORK(MLP, 3, 5, 5, 0, false, 4, 2)},
    {"T2", NETWORK(CNN, 1, 8, 16, 3, true, 2, 3)},
    {"T3", NETWORK(MLP, 1, 3, 6, 0, false, 2, 2)},
    {"C4",
     {.type = BNN_NETWORK_FCNN,
      .input = {1, 7, 7},
      .classes = 3,
      .widths = {2, 3},
      .width_count = 2,
      .kernel = 3,
      .unpooled = {true, true}}},
    {"D4",
     {.type = BNN_NETWORK_CNN,
      .input = {1, 6, 6},
      .classes = 3,
      .widths = {2, 3},
      .width_count = 2,
      .kernel = 3,
      .unpooled = {true, false}}},
};
#define ROWS (sizeof rows / sizeof *rows)

/* A small posterior with every buffer filled, and the larger one it is expanded into. */
typedef struct expansion {
    bnn_network *small_network;
    fixture large;
    bnn_posterior *small, *expanded;
} expansion;

static expansion expand(const row *r, bnn_arrangement arrangement)
{
    expansion e = {.small_network = test_network(&r->spec)};
    bnn_group *group = test_group(r->group);
    bnn_network_spec spec;
    bnn_error error = {0};
    if (bnn_expanded_spec(group, &r->spec, &spec, &error)) fail_msg("%s", error.message);
    e.large = test_fixture(r->group, &spec);
    e.small = test_posterior(e.small_network, 7);
    e.expanded = test_posterior(e.large.network, 8);
    bnn_normals(bnn_stream_of(7, BNN_STREAM_PRIOR_MEAN, 0, 0, 0), e.small->prior_mean, e.small->count);
    for (size_t j = 0; j < e.small->count; j++) {
        e.small->prior_std[j] = 1 + (bnn_real)(j % 5) / 8;
        if (j % 7 == 0)
            e.small->rho[j] *= (bnn_real)1e-8; /* loses digits on a trip through softplus and back */
    }
    e.small->random_prior = true;
    if (bnn_posterior_expand(group, arrangement, e.small, e.expanded, &error)) fail_msg("%s", error.message);
    bnn_group_free(group);
    return e;
}

static void expansion_free(expansion *e)
{
    bnn_posterior_free(e->expanded);
    bnn_posterior_free(e->small);
    test_fixture_free(&e->large);
    bnn_network_free(e->small_network);
}

static double distance_from_invariance(const bnn_symmetry *symmetry, const bnn_real *values)
{
    bnn_real *moved = test_zeros(symmetry->count);
    double distance = 0;
    for (size_t h = 0; h < symmetry->group->order; h++) {
        bnn_symmetry_apply(symmetry, h, values, moved);
        for (size_t j = 0; j < symmetry->count; j++)
            distance = fmax(distance, fabs((double)(moved[j] - values[j])));
    }
    free(moved);
    return distance;
}

static void gcnn_is_invariant(void **state)
{
    (void)state;
    for (size_t t = 0; t < ROWS; t++) {
        expansion e = expand(&rows[t], BNN_GCNN);
        const bnn_symmetry *s = e.large.symmetry;
        const bnn_real *buffers[] = {e.expanded->mu, e.expanded->rho, e.expanded->prior_mean,
                                     e.expanded->prior_std};
        for (size_t b = 0; b < 4; b++)
            if (distance_from_invariance(s, buffers[b]) > 0) fail_msg("row %zu, buffer %zu", t, b);
        const double defect = equation_defect(e.large.group, e.large.network, NULL, e.expanded->mu);
        if (!(defect < 10 * ROUNDING)) fail_msg("row %zu: %g", t, defect);
        assert_true(e.expanded->random_prior);
        expansion_free(&e);
    }
}

/* Neither ablation leaves q invariant under rho. Row-rolled all the same gives an invariant fcnn where G commutes:
 * with r = g k^-1 the channels of layer l follow h.(c, g) = (c, h^l g) instead, and the global average of the last
 * layer does not see in which order they come. The grid under a cnn's last layer does, and so does D4. */
static void ablations(void **state)
{
    static const struct {
        size_t row;
        bnn_arrangement arrangement;
        bool invariant;
    } cases[] = {{2, BNN_ROW_ROLLED, true},    {2, BNN_ROW_CONSTANT, false}, {3, BNN_ROW_ROLLED, false},
                 {3, BNN_ROW_CONSTANT, false}, {7, BNN_ROW_ROLLED, false},   {7, BNN_ROW_CONSTANT, false},
                 {8, BNN_ROW_ROLLED, false},   {8, BNN_ROW_CONSTANT, false}};
    (void)state;
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) {
        expansion e = expand(&rows[cases[t].row], cases[t].arrangement);
        const double defect = equation_defect(e.large.group, e.large.network, NULL, e.expanded->mu);
        assert_true(distance_from_invariance(e.large.symmetry, e.expanded->mu) > 0.1);
        if (cases[t].invariant ? defect > 10 * ROUNDING : defect < 1e-2) fail_msg("case %zu: %g", t, defect);
        expansion_free(&e);
    }
}

/* rot90(x, times)[i][j] of a K x K kernel, by numpy's definition. */
static bnn_real rot90(const bnn_real *x, size_t k, size_t times, size_t i, size_t j)
{
    return times == 0 ? x[i * k + j] : rot90(x, k, times - 1, j, k - 1 - i);
}

/* The published form for C_n: an inner kernel from copy j to copy i is turned by 2i - j, i - j or -j steps, and
 * scaled by |G|^-1/2; a first one by i; a head is scaled by |G|^-1. sigma is scaled alike. */
static void follows_the_published_form(void **state)
{
    static const row c4 = {"C4", NETWORK(FCNN, 2, 8, 8, 3, false, 2, 3)};
    (void)state;
    for (int a = BNN_GCNN; a <= BNN_ROW_CONSTANT; a++) {
        expansion e = expand(&c4, (bnn_arrangement)a);
        const bnn_layer *small[3], *large[3];
        for (size_t l = 0; l < 3; l++) {
            small[l] = parameter_layer(e.small_network, l);
            large[l] = parameter_layer(e.large.network, l);
        }
        for (size_t at = 0; at < large[1]->weight_count; at++) {
            const size_t o = at / 9 / 8, c = at / 9 % 8, i = o % 4, j = c % 4;
            const size_t turns[] = {(8 + 2 * i - j) % 4, (4 + i - j) % 4, (4 - j) % 4};
            const size_t from = small[1]->weight_offset + ((o / 4) * 2 + c / 4) * 9;
            const size_t to = large[1]->weight_offset + at;
            bnn_real sigma[9];
            for (size_t p = 0; p < 9; p++) sigma[p] = (bnn_real)bnn_softplus((double)e.small->rho[from + p]);
            assert_close(e.expanded->mu[to], rot90(e.small->mu + from, 3, turns[a], at % 9 / 3, at % 3) / 2,
                         1e-6, 0);
            assert_close(bnn_softplus((double)e.expanded->rho[to]),
                         rot90(sigma, 3, turns[a], at % 9 / 3, at % 3) / 2, 1e-6, 0);
            assert_true(e.expanded->prior_std[to] ==
                        rot90(e.small->prior_std + from, 3, turns[a], at % 9 / 3, at % 3));
        }
        for (size_t at = 0; at < large[0]->weight_count; at++)
            assert_true(e.expanded->rho[at] == rot90(e.small->rho + (at / 72 * 2 + at / 9 % 2) * 9, 3,
                                                     at / 18 % 4, at % 9 / 3, at % 3));
        for (size_t at = 0; at < large[2]->weight_count; at++)
            assert_close(e.expanded->mu[large[2]->weight_offset + at],
                         e.small->mu[small[2]->weight_offset + at / 4] / 4, 1e-6, 0);
        for (size_t o = 0; o < large[1]->bias_count; o++)
            assert_true(e.expanded->rho[large[1]->bias_offset + o] ==
                        e.small->rho[small[1]->bias_offset + o / 4]);
        expansion_free(&e);
    }
}

/* logits (4, 6, 5) of w = mu on rot90(x, k), against the file. */
static void compare_logits(const fixture *f, const bnn_real *mu, const char *path)
{
    bnn_npy *images = NULL, *logits = NULL;
    bnn_grid_action *action = NULL;
    bnn_real x[144], hx[144], found[5];
    assert_int_equal(bnn_npy_read(REFERENCE "fcnn/images.npy", &images, NULL), BNN_OK);
    assert_int_equal(bnn_npy_read(path, &logits, NULL), BNN_OK);
    assert_int_equal(bnn_grid_action_create(f->group, 12, 12, &action, NULL), BNN_OK);
    assert_int_equal(images->count, 6 * 144);
    assert_int_equal(logits->count, 4 * 6 * 5);
    for (size_t g = 0; g < 4; g++)
        for (size_t n = 0; n < 6; n++) {
            for (size_t p = 0; p < 144; p++) x[p] = (bnn_real)images->data[n * 144 + p];
            bnn_grid_action_apply(action, g, x, 1, 0, hx);
            naive_forward(f->network, mu, hx, found);
            for (size_t c = 0; c < 5; c++)
                assert_close(found[c], logits->data[(g * 6 + n) * 5 + c], REFERENCE_TOLERANCE, 1);
        }
    bnn_grid_action_free(action);
    bnn_npy_free(logits);
    bnn_npy_free(images);
}

static void agrees_with_the_reference(void **state)
{
    (void)state;
    for (int a = BNN_GCNN; a <= BNN_ROW_CONSTANT; a++) {
        bnn_group *group = test_group("C4");
        bnn_network *network = test_network(&test_reference_spec);
        bnn_network_spec spec;
        char path[112];
        assert_int_equal(bnn_expanded_spec(group, &test_reference_spec, &spec, NULL), BNN_OK);
        fixture large = test_fixture("C4", &spec);
        snprintf(path, sizeof path, REFERENCE "fcnn/expand_%s.safetensors", bnn_arrangement_names[a]);
        bnn_posterior *small = test_load(network, REFERENCE "fcnn/model.bin");
        bnn_posterior *found = test_posterior(large.network, 1), *expected = test_load(large.network, path);
        assert_int_equal(bnn_posterior_expand(group, (bnn_arrangement)a, small, found, NULL), BNN_OK);
        for (size_t j = 0; j < found->count; j++) {
            assert_close(found->mu[j], expected->mu[j], REFERENCE_TOLERANCE, 0.1);
            assert_close(found->rho[j], expected->rho[j], REFERENCE_TOLERANCE, 0.1);
        }
        snprintf(path, sizeof path, REFERENCE "fcnn/expand_%s_mean_logits_orbit.npy",
                 bnn_arrangement_names[a]);
        compare_logits(&large, found->mu, path);
        bnn_posterior_free(expected);
        bnn_posterior_free(found);
        bnn_posterior_free(small);
        test_fixture_free(&large);
        bnn_network_free(network);
        bnn_group_free(group);
    }
}

static void trivial_group_changes_nothing(void **state)
{
    expansion e = expand(&rows[0], BNN_GCNN);
    const size_t bytes = e.small->count * sizeof *e.small->mu;
    (void)state;
    assert_int_equal(e.expanded->count, e.small->count);
    assert_memory_equal(e.expanded->mu, e.small->mu, bytes);
    assert_memory_equal(e.expanded->rho, e.small->rho, bytes);
    expansion_free(&e);
}

/* w = sign exp(mu + sigma eps): the expanded weights are sign exp(mu + sigma eps) scaled. The head is gaussian. */
static const bnn_family signed_family = {
    .row = {.name = "signed"}, .signs = true, .head = &bnn_family_gaussian};

static void families_with_signs_move_their_logarithms(void **state)
{
    static const row c4 = {"C4", NETWORK(MLP, 1, 4, 4, 0, false, 2, 3)};
    bnn_posterior *small = NULL, *expanded = NULL;
    expansion e = expand(&c4, BNN_GCNN);
    (void)state;
    assert_int_equal(bnn_posterior_create(e.small_network, &signed_family, &small, NULL), BNN_OK);
    assert_int_equal(bnn_posterior_create(e.large.network, &signed_family, &expanded, NULL), BNN_OK);
    bnn_posterior_copy(small, e.small);
    for (size_t j = 0; j < small->count; j++) small->sign[j] = j % 3 ? 1 : -1;
    assert_int_equal(bnn_posterior_expand(e.large.group, BNN_GCNN, small, expanded, NULL), BNN_OK);
    const bnn_layer *from = parameter_layer(e.small_network, 1), *to = parameter_layer(e.large.network, 1);
    for (size_t at = 0; at < to->weight_count; at++) {
        const size_t j = from->weight_offset + at / 8 / 4 * 2 + at % 8 / 4, i = to->weight_offset + at;
        assert_close(exp((double)expanded->mu[i]), exp((double)small->mu[j]) / 2, 1e-6, 0);
        assert_close(exp((double)expanded->prior_mean[i]), exp((double)small->prior_mean[j]) / 2, 1e-6, 0);
        assert_true(expanded->rho[i] == small->rho[j] && expanded->sign[i] == small->sign[j]);
    }
    from = bnn_network_head(e.small_network), to = bnn_network_head(e.large.network);
    for (size_t at = 0; at < to->weight_count; at++)
        assert_close(expanded->mu[to->weight_offset + at], small->mu[from->weight_offset + at / 4] / 4, 1e-6,
                     0);
    assert_true(distance_from_invariance(e.large.symmetry, expanded->mu) == 0);
    assert_true(distance_from_invariance(e.large.symmetry, expanded->sign) == 0);
    bnn_posterior_free(expanded);
    bnn_posterior_free(small);
    expansion_free(&e);
}

static void refused(void **state)
{
    const row *mlp = &rows[4];
    bnn_group *group = test_group(mlp->group), *other = test_group("C2");
    bnn_network_spec spec = mlp->spec, expanded;
    expansion e = expand(mlp, BNN_GCNN);
    bnn_error error = {0};
    (void)state;
    spec.representation = BNN_REGULAR;
    assert_int_equal(bnn_expanded_spec(group, &spec, &expanded, &error), BNN_BAD_INPUT);
    assert_non_null(strstr(error.message, "regular channels"));
    spec.representation = BNN_TRIVIAL;
    spec.width_count = 0;
    assert_int_equal(bnn_expanded_spec(group, &spec, &expanded, &error), BNN_BAD_INPUT);
    assert_non_null(strstr(error.message, "no hidden layer"));
    spec.width_count = 2;
    spec.widths[1] = SIZE_MAX / 2;
    assert_int_equal(bnn_expanded_spec(group, &spec, &expanded, &error), BNN_BAD_INPUT);
    assert_non_null(strstr(error.message, "layer 1"));
    assert_int_equal(bnn_posterior_expand(other, BNN_GCNN, e.small, e.expanded, &error), BNN_BAD_INPUT);
    assert_non_null(strstr(error.message, "expanded by C2"));
    e.small->family = &signed_family;
    assert_int_equal(bnn_posterior_expand(group, BNN_GCNN, e.small, e.expanded, &error), BNN_BAD_INPUT);
    assert_non_null(strstr(error.message, "families signed and gaussian"));
    bnn_group_free(other);
    bnn_group_free(group);
    expansion_free(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gcnn_is_invariant),
        cmocka_unit_test(ablations),
        cmocka_unit_test(follows_the_published_form),
        cmocka_unit_test(agrees_with_the_reference),
        cmocka_unit_test(trivial_group_changes_nothing),
        cmocka_unit_test(families_with_signs_move_their_logarithms),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
