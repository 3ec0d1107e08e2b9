/* Warps against exact turns, moved pixels, ramps and the group's own interpolation; the draws of data.augment and of
 * data.rotate; batches of warped images; and what trainings make of them, as users see it. */
#include <complex.h>
#include <stdlib.h>

#include "bnn/batch.h"
#include "bnn/settings.h"
#include "bnn/splits.h"
#include "bnn/warp.h"
#include "images.h"
#include "program.h"

enum { MOST = 3 * 17 * 17 };

static const bnn_real tolerance = (bnn_real)(sizeof(bnn_real) == sizeof(float) ? 2e-5 : 1e-12);

static void fill_noise(bnn_real *image, size_t n)
{
    bnn_pcg32 rng = bnn_stream_open(bnn_stream_of(3, BNN_STREAM_SHUFFLE, n, 0, 0));
    for (size_t i = 0; i < n; i++) image[i] = (bnn_real)(2 * bnn_pcg32_uniform(&rng) - 1);
}

static bnn_grid_action *action_of(const char *name, size_t side)
{
    bnn_group *group;
    bnn_grid_action *action;
    assert_int_equal(bnn_group_create(name, &group, NULL), BNN_OK);
    assert_int_equal(bnn_grid_action_create(group, side, side, &action, NULL), BNN_OK);
    bnn_group_free(group);
    return action;
}

/* ---- one image ------------------------------------------------------------------------------------------- */

static void quarter_turns_are_the_group_s(void **state)
{
    bnn_real in[MOST], turned[MOST], warped[MOST];
    (void)state;
    for (size_t side = 1; side <= 17; side++) {
        bnn_grid_action *action = action_of("C4", side);
        fill_noise(in, 3 * side * side);
        for (int k = -4; k < 8; k++) {
            const bnn_warp warp = {.degrees = 90 * k, .scale = 1};
            bnn_grid_action_apply(action, (size_t)((k + 4) % 4), in, 3, 5, turned);
            bnn_warp_apply(&warp, in, 3, side, side, 5, warped);
            assert_memory_equal(warped, turned, 3 * side * side * sizeof *in);
        }
        bnn_grid_action_free(action);
    }
}

static void whole_shifts_move_pixels(void **state)
{
    enum { HEIGHT = 6, WIDTH = 9 };
    bnn_real in[2 * HEIGHT * WIDTH], out[2 * HEIGHT * WIDTH];
    (void)state;
    fill_noise(in, 2 * HEIGHT * WIDTH);
    for (int down = -8; down <= 8; down++)
        for (int right = -11; right <= 11; right++) {
            const bnn_warp warp = {.scale = 1, .down = down, .right = right};
            bnn_warp_apply(&warp, in, 2, HEIGHT, WIDTH, (bnn_real)-1.5, out);
            for (int c = 0; c < 2; c++)
                for (int i = 0; i < HEIGHT; i++)
                    for (int j = 0; j < WIDTH; j++) {
                        const int y = i - down, x = j - right;
                        const bool inside = y >= 0 && y < HEIGHT && x >= 0 && x < WIDTH;
                        assert_true(out[(c * HEIGHT + i) * WIDTH + j] ==
                                    (inside ? in[(c * HEIGHT + y) * WIDTH + x] : (bnn_real)-1.5));
                    }
        }
}

/* What a pixel is read from, by complex numbers x + i y with y upwards: a shift, undone, then a turn and a scale, undone. */
static double complex source_of(const bnn_warp *warp, double up, double right)
{
    const double complex turn = cexp(I * warp->degrees * acos(-1.0) / 180) * warp->scale;
    return (right - warp->right + I * (up + warp->down)) / turn;
}

/* Bilinear interpolation reproduces a + b row + c column wherever all four pixels are at hand; far outside is background. */
static void ramps_stay_ramps(void **state)
{
    static const bnn_warp warps[] = {{30, 1, 0, 0},         {-77.5, 1.1, 1.25, -0.5}, {200, 0.9, -2.75, 3.1},
                                     {0, 0.5, 0.1, 0.2},    {1e-7, 1.9, 4, -6},       {359.9, 1, 0.5, 0.5},
                                     {45, 0.75, -1.5, 2.5}, {90, 1, 0.3, 0},          {12, 3, 0, 0}};
    enum { HEIGHT = 13, WIDTH = 17 };
    bnn_real in[HEIGHT * WIDTH], out[HEIGHT * WIDTH];
    size_t inside = 0, outside = 0;
    (void)state;
    for (int i = 0; i < HEIGHT * WIDTH; i++)
        in[i] = (bnn_real)(0.25 + 0.03 * (i / WIDTH) - 0.02 * (i % WIDTH));
    for (size_t k = 0; k < sizeof warps / sizeof *warps; k++) {
        bnn_warp_apply(&warps[k], in, 1, HEIGHT, WIDTH, -7, out);
        for (int i = 0; i < HEIGHT * WIDTH; i++) {
            const double complex z = source_of(&warps[k], 6.0 - i / WIDTH, i % WIDTH - 8.0);
            const double row = 6 - cimag(z), column = 8 + creal(z);
            if (row > 0 && row < HEIGHT - 1 && column > 0 && column < WIDTH - 1) {
                assert_true(fabs((double)out[i] - (0.25 + 0.03 * row - 0.02 * column)) < (double)tolerance);
                inside++;
            } else if (row < -1.001 || row > HEIGHT + 0.001 || column < -1.001 || column > WIDTH + 0.001) {
                assert_true(out[i] == -7);
                outside++;
            }
        }
    }
    assert_true(inside > 500 && outside > 100);
}

/* The group interpolates by tables of its own. */
static void eighths_of_a_turn_agree_with_the_group(void **state)
{
    bnn_real in[MOST], turned[MOST], warped[MOST];
    (void)state;
    for (size_t side = 9; side <= 17; side += 4) {
        bnn_grid_action *action = action_of("C8", side);
        fill_noise(in, side * side);
        for (size_t k = 0; k < 8; k++) {
            const bnn_warp warp = {.degrees = 45 * (double)k, .scale = 1};
            bnn_grid_action_apply(action, k, in, 1, (bnn_real)0.3, turned);
            bnn_warp_apply(&warp, in, 1, side, side, (bnn_real)0.3, warped);
            for (size_t i = 0; i < side * side; i++) assert_close(warped[i], turned[i], 2 * tolerance, 1);
        }
        bnn_grid_action_free(action);
    }
}

/* ---- draws ----------------------------------------------------------------------------------------------- */

enum { DRAWS = 36000, BINS = 36 };

/* Chi-square of BINS - 1 degrees of freedom, in standard deviations from its mean. */
static double excess_of(const size_t counts[BINS])
{
    const double expected = (double)DRAWS / BINS;
    double sum = 0;
    for (size_t b = 0; b < BINS; b++) sum += pow((double)counts[b] - expected, 2) / expected;
    return (sum - (BINS - 1)) / sqrt(2 * (BINS - 1));
}

/* The bin of x in [-most, most). */
static size_t bin_of(double x, double most)
{
    assert_true(x >= -most && x < most);
    return (size_t)(BINS * (x + most) / (2 * most));
}

static void draws_are_uniform(void **state)
{
    static const bnn_warp_limits limits = {.shift = 3, .rotate = 20, .scale = 0.25};
    size_t counts[5][BINS] = {{0}};
    double product = 0;
    (void)state;
    for (size_t i = 0; i < DRAWS; i++) {
        const bnn_warp warp = bnn_warp_draw(&limits, bnn_stream_of(1, BNN_STREAM_WARP, 4, i, 0));
        const bnn_warp turn = bnn_warp_turn(bnn_stream_of(1, BNN_STREAM_WARP, 5, i, 0));
        counts[0][bin_of(warp.down, 3)]++;
        counts[1][bin_of(warp.right, 3)]++;
        counts[2][bin_of(warp.degrees, 20)]++;
        counts[3][bin_of(warp.scale - 1, 0.25)]++;
        counts[4][bin_of(turn.degrees - 180, 180)]++;
        assert_true(turn.scale == 1 && turn.down == 0 && turn.right == 0);
        product += warp.down * warp.right;
    }
    for (size_t k = 0; k < 5; k++)
        if (!(fabs(excess_of(counts[k])) < 4)) fail_msg("figure %zu: %g", k, excess_of(counts[k]));
    assert_true(fabs(product) < 4 * sqrt(DRAWS) * 3); /* down right has standard deviation 3 */
}

static void what_is_not_asked_for_is_not_drawn(void **state)
{
    static const bnn_warp_limits none = {0}, turns = {.rotate = 10}, all = {2, 10, 0.1};
    const bnn_stream stream = bnn_stream_of(1, BNN_STREAM_WARP, 0, 0, 0);
    const bnn_warp still = bnn_warp_draw(&none, stream), turned = bnn_warp_draw(&turns, stream);
    (void)state;
    assert_true(still.degrees == 0 && still.scale == 1 && still.down == 0 && still.right == 0);
    assert_true(turned.degrees != 0 && turned.scale == 1 && turned.down == 0 && turned.right == 0);
    assert_true(bnn_warp_draw(&all, stream).degrees == turned.degrees);
    assert_true(!bnn_warps(&none) && bnn_warps(&turns) && bnn_warps(&all));
}

/* ---- batches --------------------------------------------------------------------------------------------- */

typedef struct fixture {
    bnn_dataset data;
    bnn_real images[12 * 2 * SIDE * SIDE];
    uint32_t labels[12];
    bnn_grid_action *action;
} fixture;

static void set_up(fixture *f)
{
    f->data = (bnn_dataset){.count = 12,
                            .channels = 2,
                            .height = SIDE,
                            .width = SIDE,
                            .classes = CLASSES,
                            .background = (bnn_real)0.5,
                            .images = f->images,
                            .labels = f->labels};
    fill_noise(f->images, 12 * 2 * SIDE * SIDE);
    for (uint32_t i = 0; i < 12; i++) f->labels[i] = i;
    f->action = action_of("C4", SIDE);
}

static const bnn_warp_limits some = {.shift = 2, .rotate = 30, .scale = 0.2};
static const bnn_plan orbit = {.repeats = 1, .views = 4, .count_factor = 1};
static const bnn_plan full = {.augmentation = BNN_AUGMENT_FULL, .repeats = 4, .views = 1, .count_factor = 4};

static bnn_batches *batches_of(const fixture *f, const bnn_plan *plan, const bnn_warp_limits *augment,
                               uint64_t seed, size_t epoch)
{
    bnn_batches *batches;
    bnn_error error;
    if (bnn_batches_create(&f->data, f->action, plan, augment, 12 * plan->repeats, seed, &batches, &error))
        fail_msg("%s", error.message);
    bnn_batches_shuffle(batches, epoch);
    bnn_batches_fill(batches, 0, 1);
    return batches;
}

/* view (2, SIDE, SIDE) <- g of the image with a label. */
static void take(const bnn_batches *b, size_t label, size_t g, bnn_real *view)
{
    const size_t image = 2 * SIDE * SIDE, views = b->plan.views;
    for (size_t i = 0; i < b->batch_size; i++)
        if (b->labels[i] == label && (views > 1 || b->order[i] % b->plan.repeats == g))
            memcpy(view, b->images + (i * views + (views > 1 ? g : 0)) * image, image * sizeof *view);
}

/* In an epoch, an image is warped once, and all that is seen of it is the orbit of that: as views or as items. */
static void the_group_acts_on_the_warped_image(void **state)
{
    enum { IMAGE = 2 * SIDE * SIDE };
    bnn_real first[IMAGE], moved[IMAGE], found[IMAGE];
    fixture f;
    (void)state;
    set_up(&f);
    bnn_batches *views = batches_of(&f, &orbit, &some, 7, 3), *items = batches_of(&f, &full, &some, 7, 3);
    for (size_t i = 0; i < 12; i++) {
        const bnn_warp warp = bnn_warp_draw(&some, bnn_stream_of(7, BNN_STREAM_WARP, 3, i, 0));
        bnn_warp_apply(&warp, f.images + i * IMAGE, 2, SIDE, SIDE, f.data.background, first);
        assert_memory_not_equal(first, f.images + i * IMAGE, sizeof first);
        for (size_t g = 0; g < 4; g++) {
            bnn_grid_action_apply(f.action, g, first, 2, f.data.background, moved);
            take(views, i, g, found);
            assert_memory_equal(found, moved, sizeof moved);
            take(items, i, g, found);
            assert_memory_equal(found, moved, sizeof moved);
        }
    }
    bnn_batches_free(views);
    bnn_batches_free(items);
    bnn_grid_action_free(f.action);
}

/* Every image anew each epoch and under each seed; for any number of threads the same. */
static void warps_depend_on_seed_epoch_and_image_alone(void **state)
{
    enum { IMAGE = 2 * SIDE * SIDE };
    bnn_real one[IMAGE], other[IMAGE];
    fixture f;
    (void)state;
    set_up(&f);
    bnn_batches *a = batches_of(&f, &full, &some, 7, 3), *epoch = batches_of(&f, &full, &some, 7, 4);
    bnn_batches *seed = batches_of(&f, &full, &some, 8, 3), *threads = batches_of(&f, &full, &some, 7, 3);
    for (size_t i = 0; i < 12; i++) {
        take(a, i, 0, one);
        take(epoch, i, 0, other);
        assert_memory_not_equal(one, other, sizeof one);
        take(seed, i, 0, other);
        assert_memory_not_equal(one, other, sizeof one);
    }
    for (int n = 1; n <= 3; n++) {
        memset(threads->images, 0, 48 * IMAGE * sizeof(bnn_real));
        bnn_batches_fill(threads, 0, n);
        assert_memory_equal(threads->images, a->images, 48 * IMAGE * sizeof(bnn_real));
    }
    bnn_batches_free(a), bnn_batches_free(epoch), bnn_batches_free(seed), bnn_batches_free(threads);
    bnn_grid_action_free(f.action);
}

static void without_limits_nothing_is_warped(void **state)
{
    static const bnn_warp_limits none = {0};
    fixture f;
    (void)state;
    set_up(&f);
    bnn_batches *b = batches_of(&f, &orbit, &none, 7, 3);
    assert_null(b->warped);
    for (size_t i = 0; i < 12; i++) {
        bnn_real found[2 * SIDE * SIDE];
        take(b, i, 0, found);
        assert_memory_equal(found, f.images + i * 2 * SIDE * SIDE, sizeof found);
    }
    bnn_batches_free(b);
    bnn_grid_action_free(f.action);
}

/* ---- trainings ------------------------------------------------------------------------------------------- */

static const char *config(void)
{
    put_data_set();
    return put_small_config();
}

/* The tensors of out/model.bin: what follows the JSON header. */
static size_t tensors_of(const char *out, uint8_t *bytes, size_t capacity)
{
    char path[64];
    uint64_t header = 0;
    snprintf(path, sizeof path, "%s/model.bin", out);
    const size_t size = get_file(in_temporary(path), bytes, capacity);
    assert_true(size > 8 && size < capacity);
    for (size_t i = 8; i-- > 0;) header = header << 8 | bytes[i];
    memmove(bytes, bytes + 8 + header, size - 8 - header);
    return size - 8 - header;
}

static bool same_tensors(const char *out, const char *other)
{
    enum { MODEL_MOST = 1 << 18 };
    static uint8_t a[MODEL_MOST], b[MODEL_MOST];
    const size_t n = tensors_of(out, a, sizeof a);
    return tensors_of(other, b, sizeof b) == n && memcmp(a, b, n) == 0;
}

#define train(out, threads, ...)                                                                             \
    bnn_run("train", config(), "--out", in_temporary(out), "--overwrite", "--threads", threads, __VA_ARGS__)
#define SHIFT "--set", "data.augment.shift=1.5"
#define SET_ALL SHIFT, "--set", "data.augment.rotate=20", "--set", "data.augment.scale=0.1"

static void trainings_see_warped_images(void **state)
{
    static const char *const threads[] = {"1", "2", "3"};
    (void)state;
    succeeded(train("plain", "1", "--quiet"));
    succeeded(train("zero", "1", "--quiet", "--set", "data.augment.shift=0", "--set", "data.augment.rotate=0",
                    "--set", "data.augment.scale=0"));
    assert_true(same_tensors("zero", "plain"));
    const program_run *run = succeeded(train("warped", "1", SET_ALL));
    assert_non_null(strstr(run->err, "data.augment: every training image is warped anew each epoch"));
    assert_non_null(strstr(run->err, "shift up to 1.5 pixels, rotation up to 20 degrees, scale 0.9 to 1.1"));
    assert_non_null(strstr(run->err, "N = 256"));
    assert_false(same_tensors("warped", "plain"));
    for (size_t i = 0; i < 3; i++) {
        succeeded(train("threads", threads[i], "--quiet", SET_ALL));
        assert_true(same_tensors("threads", "warped"));
    }
    assert_null(strstr(succeeded(train("plain", "1", "--set", "seed=5"))->err, "data.augment"));
    cJSON *json = json_of(bnn_run("eval", in_temporary("warped"), "--json"));
    assert_non_null(strstr(member(json, "elbo.note")->valuestring, "trained on warped images"));
    cJSON_Delete(json);
}

/* Validation and test images are as they were, and so are the training images that are evaluated. */
static void only_training_sees_warps(void **state)
{
    static const char *const sets[] = {"data.augment.shift=2", "data.augment.rotate=90",
                                       "data.validation_size=16"};
    bnn_dataset *data[2][3];
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        bnn_config c;
        bnn_error error;
        if (bnn_settings_read(config(), sets + 2 * k, 3 - 2 * k, &c, &error)) fail_msg("%s", error.message);
        assert_int_equal(bnn_training_data(&c, &data[k][0], &data[k][1], NULL), BNN_OK);
        assert_int_equal(bnn_test_data(&c, &data[k][2], NULL), BNN_OK);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(data[0][i]->count, data[1][i]->count);
        assert_memory_equal(data[0][i]->images, data[1][i]->images,
                            data[0][i]->count * SIDE * SIDE * sizeof(bnn_real));
        bnn_dataset_free(data[0][i]);
        bnn_dataset_free(data[1][i]);
    }
}

static void what_cannot_be_meant_is_refused(void **state)
{
    static const char *const refused[][2] = {
        {"data.augment.shift=-1", "found -1, expected a number from 0 to 65536"},
        {"data.augment.shift=8.5", "found 8.5, expected at most the 8 pixels of a side of the images"},
        {"data.augment.shift=NaN", "found \"NaN\", expected a number from 0"},
        {"data.augment.rotate=181", "found 181, expected a number from 0 to 180"},
        {"data.augment.rotate=[1]", "found [1], expected a number"},
        {"data.augment.scale=1", "found 1, expected a number from 0 to 0.9"},
        {"data.augment.scale=1e999", "expected a number from 0 to 0.9"},
        {"data.augment.flip=1", "the nearest valid key is data.augment.s"},
        {"data.rotate.test=sideways", "found \"sideways\", expected"},
        {"data.rotate=uniform", "is an object, expected one of its keys"},
        {"data.repartition=96", "found 96, expected fewer than the 96 training and test images of idx"},
        {"data.repartition=-1", "found -1, expected an integer"},
        {"data.augment=1", "is an object, expected one of its keys"}};
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_one_line(train("refused", "1", "--set", refused[i][0]), 2, refused[i][0], refused[i][1]);
    succeeded(train("refused", "1", "--quiet", "--set", "data.augment.shift=8"));
}

/* A model's own test images are turned when it is evaluated; the user's files are not, and are said not to be. */
static void own_test_images_are_turned(void **state)
{
    enum { SIZE = 1 << 13 };
    static uint8_t own[SIZE], theirs[SIZE];
    const char *model = in_temporary("turned"), *p = in_temporary("p.npy");
    (void)state;
    succeeded(train("turned", "1", "--quiet", "--set", "data.rotate.test=uniform"));
    assert_string_equal(succeeded(bnn_run("predict", model, "--out", p))->err, "");
    const size_t n = get_file(p, own, SIZE);
    const program_run *run = bnn_run("predict", model, "--images", in_temporary("test-images"), "--out", p);
    assert_non_null(strstr(succeeded(run)->err, "not turned (data.rotate), unlike the model's own"));
    assert_int_equal(get_file(p, theirs, SIZE), n);
    assert_memory_not_equal(own, theirs, n);
    run = bnn_run("eval", model, "--data", "idx");
    assert_non_null(strstr(succeeded(run)->err, "bnn eval: idx: not turned (data.rotate)"));
    succeeded(train("dealt", "1", "--quiet", "--set", "data.repartition=80"));
    cJSON *json = json_of(bnn_run("eval", in_temporary("dealt"), "--json"));
    assert_true(figure(json, "images") == IMAGES + IMAGES / 2 - 80);
    cJSON_Delete(json);
    run = bnn_run("eval", in_temporary("dealt"), "--data", "idx");
    assert_non_null(strstr(succeeded(run)->err, "some may have been trained on (data.repartition)"));
    run = train("plain", "1", "--set", "data.seed=2");
    assert_non_null(strstr(succeeded(run)->err, "data.seed is set, but nothing that is chosen reads it"));
}

static int prepare(void **state)
{
    return find_program() ? -1 : make_temporary_directory(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quarter_turns_are_the_group_s),
        cmocka_unit_test(whole_shifts_move_pixels),
        cmocka_unit_test(ramps_stay_ramps),
        cmocka_unit_test(eighths_of_a_turn_agree_with_the_group),
        cmocka_unit_test(draws_are_uniform),
        cmocka_unit_test(what_is_not_asked_for_is_not_drawn),
        cmocka_unit_test(the_group_acts_on_the_warped_image),
        cmocka_unit_test(warps_depend_on_seed_epoch_and_image_alone),
        cmocka_unit_test(without_limits_nothing_is_warped),
        cmocka_unit_test(trainings_see_warped_images),
        cmocka_unit_test(only_training_sees_warps),
        cmocka_unit_test(what_cannot_be_meant_is_refused),
        cmocka_unit_test(own_test_images_are_turned),
    };
    return cmocka_run_group_tests(tests, prepare, remove_temporary_directory);
}
