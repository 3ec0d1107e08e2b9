/* Groups: the axioms, numpy's rot90 as the convention, and the actions on images and kernels. */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bnn/group.h"
#include "bnn/rng.h"

static bnn_group *group_of(const char *name)
{
    bnn_group *group = NULL;
    bnn_error error = {0};
    if (bnn_group_create(name, &group, &error)) fail_msg("%s: %s", name, error.message);
    return group;
}

static void axioms(void **state)
{
    static const char *const names[] = {"C1", "C2", "C3", "C4",   "C5", "C8", "C256", "D1", "D2",
                                        "D3", "D4", "D8", "D128", "T1", "T2", "T3",   "T16"};
    (void)state;
    for (size_t t = 0; t < sizeof names / sizeof *names; t++) {
        bnn_group *g = group_of(names[t]);
        const size_t n = g->order, step = n / 16 + 1;
        assert_string_equal(g->name, names[t]);
        for (size_t a = 0; a < n; a++) {
            assert_int_equal(bnn_group_product(g, 0, a), a);
            assert_int_equal(bnn_group_product(g, a, 0), a);
            assert_int_equal(bnn_group_product(g, a, g->inverse[a]), 0);
            assert_int_equal(bnn_group_product(g, g->inverse[a], a), 0);
        }
        for (size_t a = 0; a < n; a += step)
            for (size_t b = 0; b < n; b++)
                for (size_t c = 0; c < n; c += step)
                    assert_int_equal(bnn_group_product(g, bnn_group_product(g, a, b), c),
                                     bnn_group_product(g, a, bnn_group_product(g, b, c)));
        bnn_group_free(g);
    }
}

/* D4 by hand: element 4 is the flip, r f = 5, f r = r^-1 f = 7. */
static void dihedral_order_of_elements(void **state)
{
    bnn_group *g = group_of("D4");
    (void)state;
    assert_int_equal(g->order, 8);
    assert_int_equal(bnn_group_product(g, 1, 4), 5);
    assert_int_equal(bnn_group_product(g, 4, 1), 7);
    assert_int_equal(g->inverse[1], 3);
    for (size_t a = 4; a < 8; a++) assert_int_equal(g->inverse[a], a);
    bnn_group_free(g);
}

static void bad_names(void **state)
{
    static const char *const names[] = {"",   "C",    "C0",   "c4",  "C-4",   "C04",          "C 4",  "C4x",
                                        "E4", "C257", "D129", "T17", "C4444", "C99999999999", "T300", "D4 "};
    (void)state;
    for (size_t t = 0; t < sizeof names / sizeof *names; t++) {
        bnn_group *group = (bnn_group *)&group;
        bnn_error error = {0};
        assert_int_equal(bnn_group_create(names[t], &group, &error), BNN_BAD_INPUT);
        assert_null(group);
        assert_non_null(strstr(error.message, "expected C<n> or D<n>"));
        assert_int_equal(bnn_group_create(names[t], &group, NULL), BNN_BAD_INPUT);
    }
    bnn_group_free(NULL);
    bnn_grid_action_free(NULL);
}

static void element_names(void **state)
{
    static const struct {
        const char *group;
        size_t element;
        const char *name;
    } rows[] = {{"C4", 1, "r90"},
                {"D4", 6, "r180 flip"},
                {"C7", 1, "r51.43"},
                {"T2", 1, "shift (0,14)"},
                {"T2", 2, "shift (10,0)"}};
    (void)state;
    for (size_t t = 0; t < sizeof rows / sizeof *rows; t++) {
        bnn_group *g = group_of(rows[t].group);
        char name[32];
        bnn_group_element_name(g, rows[t].element, 20, 28, name, sizeof name);
        assert_string_equal(name, rows[t].name);
        bnn_group_free(g);
    }
}

static bnn_grid_action *action_of(const bnn_group *group, size_t height, size_t width)
{
    bnn_grid_action *action = NULL;
    bnn_error error = {0};
    if (bnn_grid_action_create(group, height, width, &action, &error)) fail_msg("%s", error.message);
    return action;
}

/* numpy: rot90(x, 1)[i][j] = x[j][W-1-i]; fliplr(x)[i][j] = x[i][W-1-j]. */
static void agrees_with_numpy(void **state)
{
    enum { W = 5 };
    bnn_real x[2 * W * W], y[2 * W * W];
    bnn_group *d4 = group_of("D4"), *t5 = group_of("T5");
    bnn_grid_action *turn = action_of(d4, W, W), *shift = action_of(t5, W, W);
    (void)state;
    for (size_t p = 0; p < 2 * W * W; p++) x[p] = (bnn_real)p;
    bnn_grid_action_apply(turn, 1, x, 2, 0, y);
    for (size_t p = 0; p < 2 * W * W; p++) {
        const size_t c = p / W / W, i = p / W % W, j = p % W;
        assert_true(y[p] == x[(c * W + j) * W + W - 1 - i]);
    }
    bnn_grid_action_apply(turn, 4, x, 2, 0, y);
    for (size_t p = 0; p < 2 * W * W; p++) assert_true(y[p] == x[p / W * W + W - 1 - p % W]);
    bnn_grid_action_apply(turn, 5, x, 1, 0, y); /* rot90(fliplr(x)): x[j][i] */
    for (size_t p = 0; p < W * W; p++) assert_true(y[p] == x[p % W * W + p / W]);
    bnn_grid_action_apply(shift, 2 * 5 + 1, x, 1, 0,
                          y); /* two down, one right: numpy.roll(x, (2, 1), (0, 1)) */
    for (size_t p = 0; p < W * W; p++) assert_true(y[p] == x[(p / W + 3) % W * W + (p % W + 4) % W]);
    bnn_grid_action_free(shift);
    bnn_grid_action_free(turn);
    bnn_group_free(t5);
    bnn_group_free(d4);
}

static void exact_actions_are_actions(void **state)
{
    static const struct {
        const char *group;
        size_t height, width;
    } rows[] = {{"C1", 3, 4}, {"C2", 3, 4}, {"C4", 6, 6}, {"C4", 7, 7}, {"D1", 5, 8},
                {"D2", 4, 6}, {"D2", 5, 6}, {"D4", 6, 6}, {"D4", 5, 5}, {"T2", 4, 6},
                {"T3", 9, 6}, {"C8", 1, 1}, {"D3", 1, 1}};
    enum { MOST = 64 };
    (void)state;
    for (size_t t = 0; t < sizeof rows / sizeof *rows; t++) {
        const size_t pixels = rows[t].height * rows[t].width;
        bnn_group *g = group_of(rows[t].group);
        bnn_grid_action *action = action_of(g, rows[t].height, rows[t].width);
        bnn_real x[MOST], hx[MOST], ghx[MOST], both[MOST];
        assert_true(action->exact && bnn_group_is_exact(g, rows[t].height, rows[t].width));
        for (size_t p = 0; p < pixels; p++) x[p] = (bnn_real)p;
        bnn_grid_action_apply(action, 0, x, 1, 0, hx);
        assert_memory_equal(x, hx, pixels * sizeof *x);
        for (size_t a = 0; a < g->order; a++)
            for (size_t b = 0; b < g->order; b++) {
                bnn_grid_action_apply(action, b, x, 1, 0, hx);
                bnn_grid_action_apply(action, a, hx, 1, 0, ghx);
                bnn_grid_action_apply(action, bnn_group_product(g, a, b), x, 1, 0, both);
                assert_memory_equal(ghx, both, pixels * sizeof *x);
            }
        bnn_grid_action_free(action);
        bnn_group_free(g);
    }
}

/* An image that is linear near its middle is turned exactly by bilinear interpolation; a smooth one nearly.
 */
static void inexact_turns_interpolate(void **state)
{
    enum { W = 33 };
    static bnn_real x[W * W], y[W * W], z[W * W];
    bnn_group *c8 = group_of("D8"), *c4 = group_of("C4");
    bnn_grid_action *eighths = action_of(c8, W, W), *quarters = action_of(c4, W, W);
    (void)state;
    assert_false(eighths->exact);
    assert_false(bnn_group_is_exact(c8, W, W));
    for (size_t g = 0; g < 16; g++) {
        const double angle = acos(-1.0) / 4 * (double)(g % 8);
        for (size_t p = 0; p < W * W; p++) {
            const double v = (W - 1) / 2.0 - (double)(p / W),
                         u = (double)(p % W) - (W - 1) / 2.0; /* up, right */
            x[p] = (bnn_real)exp(-((u - 4) * (u - 4) + v * v) / 32);
        }
        bnn_grid_action_apply(eighths, g, x, 1, 0, y);
        for (size_t p = 0; p < W * W; p++) { /* the blob at (right 4, up 0), flipped, then turned */
            const double v = (W - 1) / 2.0 - (double)(p / W), u = (double)(p % W) - (W - 1) / 2.0;
            const double at_u = (g < 8 ? 4 : -4) * cos(angle), at_v = (g < 8 ? 4 : -4) * sin(angle);
            assert_close(y[p], exp(-((u - at_u) * (u - at_u) + (v - at_v) * (v - at_v)) / 32), 1.0 / 64, 1);
        }
        if (g % 2 == 0 && g < 8) {
            bnn_grid_action_apply(quarters, g / 2, x, 1, 0, z);
            assert_memory_equal(y, z, sizeof y);
        }
    }
    bnn_grid_action_free(quarters);
    bnn_grid_action_free(eighths);
    bnn_group_free(c4);
    bnn_group_free(c8);
}

/* The elements of `sub`, found in `group`, move the pixels of images as they do in `sub`. */
static void compare_on_grid(const bnn_group *sub, const bnn_group *group, const uint16_t *element,
                            size_t height, size_t width)
{
    bnn_grid_action *small = NULL, *large = NULL;
    bnn_real image[144], moved[144], expected[144];
    bnn_normals(bnn_stream_of(1, BNN_STREAM_TRAIN_NOISE, 0, 0, 0), image, height * width);
    if (!bnn_grid_action_create(sub, height, width, &small, NULL) &&
        !bnn_grid_action_create(group, height, width, &large, NULL))
        for (size_t h = 0; h < sub->order; h++) {
            bnn_grid_action_apply(small, h, image, 1, -1, expected);
            bnn_grid_action_apply(large, element[h], image, 1, -1, moved);
            for (size_t p = 0; p < height * width; p++)
                if (!(fabs((double)(moved[p] - expected[p])) <= (large->exact ? 0 : 1e-5)))
                    fail_msg("%s in %s, element %zu: pixel %zu is %g, not %g", sub->name, group->name, h, p,
                             (double)moved[p], (double)expected[p]);
        }
    bnn_grid_action_free(large);
    bnn_grid_action_free(small);
}

static bool contains(const uint16_t *list, size_t n, uint16_t value)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == value) return true;
    return false;
}

/* Every pair of groups: which are subgroups by divisors, and those are, as maps, injective homomorphisms. */
static void subgroups_are_found(void **state)
{
    static const struct {
        char letter;
        size_t n;
    } all[] = {{'C', 1}, {'C', 2}, {'C', 3}, {'C', 4}, {'C', 6}, {'C', 8}, {'D', 1}, {'D', 2}, {'D', 3},
               {'D', 4}, {'D', 6}, {'D', 8}, {'T', 1}, {'T', 2}, {'T', 3}, {'T', 4}, {'T', 6}};
    const size_t count = sizeof all / sizeof *all;
    (void)state;
    for (size_t t = 0; t < count * count; t++) {
        const size_t m = all[t / count].n, n = all[t % count].n;
        const char from = all[t / count].letter, to = all[t % count].letter;
        char sub_name[8], name[8];
        snprintf(sub_name, sizeof sub_name, "%c%zu", from, m);
        snprintf(name, sizeof name, "%c%zu", to, n);
        bnn_group *sub = group_of(sub_name), *group = group_of(name);
        uint16_t element[BNN_GROUP_MAX_ORDER];
        const bool found = bnn_group_embedding(sub, group, element);
        const bool expected = sub->order == 1 || (n % m == 0 && (from == to || (from == 'C' && to == 'D')));
        if (found != expected) fail_msg("%s in %s: %d", sub_name, name, found);
        assert_int_equal(bnn_group_embedding(sub, group, NULL), found);
        assert_int_equal(contains(element, sub->order, BNN_NO_ELEMENT), !found);
        for (size_t a = 0; found && a < sub->order; a++) {
            assert_true(element[a] < group->order && !contains(element, a, element[a]));
            for (size_t b = 0; b < sub->order; b++)
                assert_int_equal(element[bnn_group_product(sub, a, b)],
                                 bnn_group_product(group, element[a], element[b]));
        }
        for (size_t side = 4; found && side <= 12; side += 4) {
            compare_on_grid(sub, group, element, side, side);
            compare_on_grid(sub, group, element, side, 12);
        }
        bnn_group_free(group);
        bnn_group_free(sub);
    }
}

/* Where a group is no subgroup, the elements that the two share are found all the same. */
static void shared_elements_are_found(void **state)
{
    bnn_group *d4 = group_of("D4"), *c6 = group_of("C6"), *d2 = group_of("D2");
    uint16_t element[BNN_GROUP_MAX_ORDER];
    (void)state;
    assert_false(bnn_group_embedding(d4, c6, element));
    assert_true(element[0] == 0 && element[2] == 3); /* half turns */
    assert_true(element[1] == BNN_NO_ELEMENT && element[4] == BNN_NO_ELEMENT);
    assert_false(bnn_group_embedding(d4, d2, element));
    assert_true(element[2] == 1 && element[4] == 2 && element[6] == 3 && element[5] == BNN_NO_ELEMENT);
    bnn_group_free(d2);
    bnn_group_free(c6);
    bnn_group_free(d4);
}

static void outside_is_background(void **state)
{
    enum { W = 9 };
    bnn_real x[W * W], y[W * W];
    bnn_group *c8 = group_of("C8");
    bnn_grid_action *action = action_of(c8, W, W);
    (void)state;
    for (size_t p = 0; p < W * W; p++) x[p] = -1;
    bnn_grid_action_apply(action, 1, x, 1, -1, y);
    for (size_t p = 0; p < W * W; p++) assert_close(y[p], -1, 1e-6, 1);
    bnn_grid_action_apply(action, 1, x, 1, 3, y);
    assert_close(y[0], 3, 1e-6, 1);
    assert_close(y[W * W / 2], -1, 1e-6, 1);
    bnn_grid_action_free(action);
    bnn_group_free(c8);
}

static void refused_grids(void **state)
{
    static const struct {
        const char *group;
        size_t height, width;
        const char *message;
    } rows[] = {
        {"C4", 4, 6, "grid of 4 x 6: expected height = width"},
        {"D4", 6, 4, "expected height = width"},
        {"C8", 6, 4, "expected height = width"},
        {"T3", 9, 10, "T3 does not act on a grid of 9 x 10: expected height and width divisible by 3"},
        {"T2", 1, 1, "divisible by 2"},
        {"C1", 0, 4, "found a grid of 0 x 4"},
        {"C1", SIZE_MAX, 4, "found a grid"},
        {"C1", 4, SIZE_MAX / 2, "found a grid"}};
    (void)state;
    for (size_t t = 0; t < sizeof rows / sizeof *rows; t++) {
        bnn_group *g = group_of(rows[t].group);
        bnn_grid_action *action = NULL;
        bnn_error error = {0};
        assert_int_equal(bnn_grid_action_create(g, rows[t].height, rows[t].width, &action, &error),
                         BNN_BAD_INPUT);
        assert_null(action);
        if (!strstr(error.message, rows[t].message)) fail_msg("%s", error.message);
        bnn_group_free(g);
    }
}

static uint32_t *kernel_of(const bnn_group *group, size_t kernel)
{
    uint32_t *source = NULL;
    bnn_error error = {0};
    if (bnn_group_kernel_action(group, kernel, &source, &error)) fail_msg("%s", error.message);
    return source;
}

static void kernel_actions(void **state)
{
    static const struct {
        const char *group;
        size_t kernel;
    } rows[] = {{"C1", 3}, {"C2", 3}, {"C4", 3}, {"C4", 5}, {"C8", 3}, {"D1", 3}, {"D2", 5},
                {"D4", 3}, {"D4", 7}, {"D8", 3}, {"C5", 1}, {"D8", 1}, {"T3", 5}};
    (void)state;
    for (size_t t = 0; t < sizeof rows / sizeof *rows; t++) {
        bnn_group *g = group_of(rows[t].group);
        const size_t places = rows[t].kernel * rows[t].kernel;
        uint32_t *source = kernel_of(g, rows[t].kernel);
        for (size_t p = 0; p < places; p++) assert_int_equal(source[p], p);
        for (size_t a = 0; a < g->order; a++)
            for (size_t b = 0; b < g->order; b++) /* (R_a R_b k)[p] = k[b's source of a's source of p] */
                for (size_t p = 0; p < places; p++)
                    assert_int_equal(source[b * places + source[a * places + p]],
                                     source[bnn_group_product(g, a, b) * places + p]);
        free(source);
        bnn_group_free(g);
    }
}

/* D4 sits in D8 as the even turns: on kernels and on images alike. */
static void eighths_extend_quarters(void **state)
{
    bnn_group *d8 = group_of("D8"), *d4 = group_of("D4"), *t2 = group_of("T2");
    uint32_t *eighths = kernel_of(d8, 3), *quarters = kernel_of(d4, 3), *fixed = kernel_of(t2, 3);
    bnn_grid_action *pixels = action_of(d4, 3, 3);
    (void)state;
    for (size_t g = 0; g < 8; g++)
        for (size_t p = 0; p < 9; p++) {
            assert_int_equal(quarters[g * 9 + p], pixels->source[g * 9 + p]);
            assert_int_equal(eighths[2 * g * 9 + p], quarters[g * 9 + p]);
        }
    assert_int_equal(eighths[9 + 3],
                     0); /* one eighth moves the top left place to the middle of the left side */
    for (size_t i = 0; i < 4 * 9; i++) assert_int_equal(fixed[i], i % 9);
    bnn_grid_action_free(pixels);
    free(fixed);
    free(quarters);
    free(eighths);
    bnn_group_free(t2);
    bnn_group_free(d4);
    bnn_group_free(d8);
}

static void refused_kernels(void **state)
{
    static const struct {
        const char *group;
        size_t kernel;
        const char *message;
    } rows[] = {{"C8", 5, "C8 has no exact action on a 5 x 5 kernel"},
                {"D3", 3, "D3 has no exact action"},
                {"C16", 3, "no exact action"},
                {"C4", 2, "side 2, expected an odd side"},
                {"C4", 0, "side 0"},
                {"C1", SIZE_MAX, "expected an odd side"}};
    (void)state;
    for (size_t t = 0; t < sizeof rows / sizeof *rows; t++) {
        bnn_group *g = group_of(rows[t].group);
        uint32_t *source = NULL;
        bnn_error error = {0};
        assert_int_equal(bnn_group_kernel_action(g, rows[t].kernel, &source, &error), BNN_BAD_INPUT);
        assert_null(source);
        if (!strstr(error.message, rows[t].message)) fail_msg("%s", error.message);
        bnn_group_free(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axioms),
        cmocka_unit_test(dihedral_order_of_elements),
        cmocka_unit_test(bad_names),
        cmocka_unit_test(element_names),
        cmocka_unit_test(agrees_with_numpy),
        cmocka_unit_test(exact_actions_are_actions),
        cmocka_unit_test(inexact_turns_interpolate),
        cmocka_unit_test(subgroups_are_found),
        cmocka_unit_test(shared_elements_are_found),
        cmocka_unit_test(outside_is_background),
        cmocka_unit_test(refused_grids),
        cmocka_unit_test(kernel_actions),
        cmocka_unit_test(eighths_extend_quarters),
        cmocka_unit_test(refused_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
