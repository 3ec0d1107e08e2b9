/* Training, validation and test sets: how they are cut and padded, what of them is refused, what is told of them. */
#include "files.h"

#include "bnn/npy.h"
#include "bnn/rng.h"
#include "bnn/splits.h"

enum { COUNT = 12, SIDE = 2 };

/* Images (count, SIDE, SIDE), image i being `from` + i/10 at each pixel but the last, which is `corner`. */
static const char *put_images(const char *name, size_t count, size_t side, double from, double corner)
{
    double values[COUNT * 16];
    const size_t pixels = side * side, shape[] = {count, side, side};
    const char *path = in_temporary(name);
    for (size_t i = 0; i < count * pixels; i++)
        values[i] = i % pixels + 1 == pixels ? corner : from + (double)(i / pixels) / 10;
    assert_int_equal(bnn_npy_write(path, values, 3, shape, 8, NULL), BNN_OK);
    return path;
}

/* Labels i % classes, but never `absent`. */
static const char *put_labels(const char *name, size_t count, size_t classes, size_t absent)
{
    double values[COUNT];
    const char *path = in_temporary(name);
    for (size_t i = 0; i < count; i++) values[i] = (double)(i % classes == absent ? 0 : i % classes);
    assert_int_equal(bnn_npy_write(path, values, 1, &count, 4, NULL), BNN_OK);
    return path;
}

/* 12 training images whose smallest value is -2, and 4 test images whose smallest is 0. */
static void put_config(bnn_config *c)
{
    bnn_config_default(c);
    strcpy(c->data.paths.name, "npy");
    strcpy(c->data.paths.train_images, put_images("x.npy", COUNT, SIDE, 0, -2));
    strcpy(c->data.paths.train_labels, put_labels("y.npy", COUNT, 3, 9));
    strcpy(c->data.paths.test_images, put_images("tx.npy", 4, SIDE, 0, 0.5));
    strcpy(c->data.paths.test_labels, put_labels("ty.npy", 4, 3, 9));
}

static void load(const bnn_config *c, bnn_dataset **train, bnn_dataset **validation)
{
    bnn_error error;
    if (bnn_training_data(c, train, validation, &error)) fail_msg("%s", error.message);
}

#define assert_training_refused(c, ...)                                                                      \
    do {                                                                                                     \
        bnn_dataset *train_, *validation_;                                                                   \
        bnn_error error_;                                                                                    \
        assert_failure(bnn_training_data(c, &train_, &validation_, &error_), BNN_BAD_INPUT, error_,          \
                       __VA_ARGS__);                                                                         \
        assert_null(train_);                                                                                 \
        assert_null(validation_);                                                                            \
    } while (0)

/* The index of a training image, which its first pixel tells. */
static size_t index_of(const bnn_dataset *data, size_t row)
{
    const size_t margin = (data->height - SIDE) / 2, image = data->height * data->width;
    return (size_t)lround((double)data->images[row * image + margin * data->width + margin] * 10);
}

static void cuts_disjoint_sets(void **state)
{
    bnn_config c;
    bnn_dataset *train, *validation, *again, *none;
    bool seen[COUNT] = {false};
    (void)state;
    put_config(&c);
    c.data.train_size = 7, c.data.validation_size = 3, c.seed = 5;
    load(&c, &train, &validation);
    assert_true(train->count == 7 && validation->count == 3);
    for (size_t i = 0; i < 10; i++) {
        const bnn_dataset *data = i < 7 ? train : validation;
        const size_t row = i < 7 ? i : i - 7, index = index_of(data, row);
        assert_true(index < COUNT && !seen[index]);
        seen[index] = true;
        assert_int_equal(data->labels[row], index % 3);
    }
    load(&c, &again, &none);
    assert_memory_equal(again->images, train->images, 7 * SIDE * SIDE * sizeof(bnn_real));
    bnn_dataset_free(again);
    bnn_dataset_free(none);
    bnn_dataset_free(train);
    bnn_dataset_free(validation);
    c.data.train_size = c.data.validation_size = 0;
    load(&c, &train, &validation);
    assert_int_equal(train->count, COUNT);
    assert_null(validation);
    bnn_dataset_free(train);
    c.data.train_size = 10, c.data.validation_size = 3;
    assert_training_refused(&c, "data.train_size + data.validation_size: found 10 + 3",
                            "the 12 training images of npy");
}

/* The smallest value of all training images, whichever are cut from them; a key overrides it. */
static void has_one_background(void **state)
{
    bnn_config c;
    bnn_dataset *train, *validation, *test;
    bnn_error error;
    (void)state;
    put_config(&c);
    c.data.train_size = 2, c.data.validation_size = 1, c.data.pad = 1;
    for (int given = 0; given < 2; given++) {
        const bnn_real expected = given ? (bnn_real)0.25 : -2;
        if (given) c.data.background = 0.25;
        load(&c, &train, &validation);
        assert_true(train->background == expected && validation->background == expected);
        assert_true(train->height == 4 && validation->height == 4);
        assert_true(train->images[0] == expected && validation->images[15] == expected);
        assert_true(train->images[10] == -2 && train->pixels.least == -2 &&
                    train->pixels.most == (bnn_real)1.1);
        bnn_config resolved = c;
        resolved.data.background = (double)train->background;
        assert_int_equal(bnn_test_data(&resolved, &test, &error), BNN_OK);
        assert_true(test->background == expected && test->images[0] == expected && test->pixels.least == 0);
        bnn_dataset_free(test);
        bnn_dataset_free(train);
        bnn_dataset_free(validation);
    }
}

static void takes_the_validation_set_given(void **state)
{
    bnn_config c;
    bnn_dataset *train, *validation;
    (void)state;
    put_config(&c);
    strcpy(c.data.paths.validation_images, put_images("vx.npy", 5, SIDE, 0.05, 1));
    strcpy(c.data.paths.validation_labels, put_labels("vy.npy", 5, 3, 9));
    c.data.pad = 1;
    load(&c, &train, &validation);
    assert_true(train->count == COUNT && validation->count == 5 && validation->height == 4);
    assert_true(validation->background == -2 && validation->images[0] == -2 && validation->images[10] == 1);
    assert_true(validation->labels[4] == 1 && validation->classes == 3);
    bnn_dataset_free(train);
    bnn_dataset_free(validation);
    c.data.validation_size = 1;
    assert_training_refused(&c, "data.validation_size: found 1, expected 0");
    c.data.validation_size = 0;
    put_images("vx.npy", 5, 3, 0, 1);
    assert_training_refused(&c, "validation images: found 1 x 3 x 3 (C x H x W), expected 1 x 2 x 2");
    put_images("vx.npy", 5, SIDE, 0, 1);
    put_labels("vy.npy", 5, 5, 9);
    assert_training_refused(&c, "vy.npy: label 3 is 3, expected an integer in 0..2");
}

static void checks_the_test_set(void **state)
{
    bnn_config c;
    bnn_dataset *train, *validation;
    bnn_range pixels;
    bnn_error error;
    (void)state;
    put_config(&c);
    load(&c, &train, &validation);
    c.model.classes = 3;
    assert_int_equal(bnn_check_test_data(&c, train, &pixels, &error), BNN_OK);
    assert_true(pixels.least == 0 && pixels.most == 0.5);
    c.data.test_size = 5;
    assert_failure(bnn_check_test_data(&c, train, &pixels, &error), BNN_BAD_INPUT, error,
                   "data.test_size: found 5, expected at most the 4 test images");
    c.data.test_size = 0;
    put_images("tx.npy", 4, 3, 0, 0);
    assert_failure(bnn_check_test_data(&c, train, &pixels, &error), BNN_BAD_INPUT, error,
                   "test images: found 1 x 3 x 3 (C x H x W), expected 1 x 2 x 2 as the training images");
    put_images("tx.npy", 4, SIDE, 0, 0);
    put_labels("ty.npy", 4, 4, 9);
    assert_failure(bnn_check_test_data(&c, train, &pixels, &error), BNN_BAD_INPUT, error,
                   "ty.npy: label 3 is 3, expected an integer in 0..2");
    strcpy(c.data.paths.test_images, in_temporary("absent.npy"));
    assert_failure(bnn_check_test_data(&c, train, &pixels, &error), BNN_BAD_INPUT, error, "absent.npy");
    c.data.paths.test_images[0] = c.data.paths.test_labels[0] = '\0';
    assert_int_equal(bnn_check_test_data(&c, train, &pixels, &error), BNN_OK);
    assert_true(isnan(pixels.least));
    bnn_dataset_free(train);
}

/* The model's input tells the layout of every split: 2 channels of 8 x 8, or 8 of 2 x 8. */
static void reads_layouts_as_the_model_wants(void **state)
{
    static const size_t shape[] = {5, 2, 8, 8}, inputs[][3] = {{2, 8, 8}, {8, 2, 8}};
    double values[640];
    bnn_config c;
    bnn_dataset *train, *validation;
    (void)state;
    for (size_t i = 0; i < 640; i++) values[i] = (double)i;
    bnn_config_default(&c);
    strcpy(c.data.paths.name, "npy");
    strcpy(c.data.paths.train_images, in_temporary("layout.npy"));
    strcpy(c.data.paths.train_labels, put_labels("layout-y.npy", 5, 2, 9));
    assert_int_equal(bnn_npy_write(c.data.paths.train_images, values, 4, shape, 4, NULL), BNN_OK);
    for (size_t k = 0; k < 3; k++) {
        const size_t *input = inputs[k % 2];
        c.model.input.count = k < 2 ? 3 : 0;
        memcpy(c.model.input.value, input, sizeof inputs[0]);
        load(&c, &train, &validation);
        assert_true(train->count == 5 && train->channels == input[0] && train->height == input[1] &&
                    train->width == 8);
        bnn_dataset_free(train);
    }
}

static void warns_of_other_ranges(void **state)
{
    static const struct {
        bnn_range training, other;
        bool differs;
    } cases[] = {{{-1, 1}, {-1, 1}, false},      {{-1, 1}, {-1, 0.55}, false},
                 {{-1, 1}, {0, 1}, true}, /* floats that were not scaled */
                 {{-1, 1}, {0, 255}, true},      {{-1, 1}, {-1, -0.99}, true}, /* uint8 0 and 1, scaled */
                 {{-1, 1}, {-1.6, 0.9}, false},  {{-1, 1}, {-1.3, 1.3}, false},
                 {{-1, 1}, {-1.4, 1.4}, true},   {{-1, 1}, {-1.8, 0}, true}, /* as wide, but elsewhere */
                 {{-1, 1}, {0, 1.8}, true},      {{0, 255}, {0, 1}, true},
                 {{-0.81, 2.02}, {-1, 1}, true}, /* standardised, and not */
                 {{3, 3}, {3, 3}, false},        {{3, 3}, {3, 4}, true},
                 {{NAN, NAN}, {0, 1}, false}, /* the model does not know */
                 {{0, 1}, {NAN, NAN}, false}};
    char line[BNN_LINE];
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        if (bnn_range_warning("x", cases[k].training, cases[k].other, line) != cases[k].differs)
            fail_msg("%g to %g, trained on %g to %g", cases[k].other.least, cases[k].other.most,
                     cases[k].training.least, cases[k].training.most);
    assert_true(bnn_range_warning("x.npy", (bnn_range){-1, 1}, (bnn_range){0, 255}, line));
    assert_non_null(
        strstr(line, "warning: x.npy: pixels from 0 to 255, where the training images have -1 to 1"));
}

static char told[4][BNN_LINE];

static void hear(void *context, const char *line)
{
    size_t *lines = context;
    assert_true(*lines < 4);
    snprintf(told[(*lines)++], BNN_LINE, "%s", line);
}

/* What is told of one data set: `count` lines, which hold these texts. */
static void assert_told(const bnn_dataset *data, size_t classes, size_t count, const char *const *texts)
{
    size_t lines = 0;
    assert_int_equal(bnn_describe_training_data(data, classes, hear, &lines, NULL), BNN_OK);
    assert_int_equal(lines, count);
    for (size_t i = 0; i < count; i++)
        if (!strstr(told[i], texts[i])) fail_msg("\"%s\" does not say \"%s\"", told[i], texts[i]);
}

static void tells_what_the_data_is_like(void **state)
{
    uint32_t labels[] = {0, 2, 2, 5};
    bnn_dataset d = {.count = 4,
                     .channels = 3,
                     .height = 8,
                     .width = 9,
                     .classes = 6,
                     .type = "uint8",
                     .scaled = true,
                     .pixels = {-1, 1},
                     .background = -1,
                     .labels = labels};
    (void)state;
    assert_told(&d, 6, 2,
                (const char *[]){
                    "images 3 x 8 x 9 (C x H x W): pixels from -1 to 1 (uint8, scaled), background -1; 6 "
                    "classes of 0 to 2 images",
                    "warning: 3 of 6 classes have no training image: 1, 3, 4"});
    labels[1] = labels[2] = 1, labels[3] = 0;
    d.pixels = (bnn_range){-1, 2 / 127.5 - 1};
    assert_told(&d, 2, 2,
                (const char *[]){"2 classes of 2 images",
                                 "warning: uint8 pixels span no more than 0.0157 after scaling"});
    d.scaled = false;
    assert_told(&d, 2, 1, (const char *[]){"(uint8)"});
    strcpy(d.type, "float32");
    d.pixels = (bnn_range){0, 255};
    assert_told(
        &d, 2, 2,
        (const char *[]){"from 0 to 255 (float32), ", "warning: pixels from 0 to 255 (float32, taken as"});
    d.pixels = (bnn_range){-4, 4};
    assert_told(&d, 2, 1, (const char *[]){"from -4 to 4"});
    size_t lines = 0; /* more classes than a line holds */
    assert_int_equal(bnn_describe_training_data(&d, 1000, hear, &lines, NULL), BNN_OK);
    assert_int_equal(lines, 2);
    assert_non_null(strstr(told[1], "998 of 1000 classes have no training image: 2, 3, "));
    assert_string_equal(told[1] + strlen(told[1]) - 3, "...");
}

/* ---- data.rotate and data.repartition --------------------------------------------------------------------- */

static bnn_dataset *test_of(const bnn_config *c)
{
    bnn_dataset *test;
    bnn_error error;
    if (bnn_test_data(c, &test, &error)) fail_msg("%s", error.message);
    return test;
}

/* put_config with one image of noise `distinct` to 1, or COUNT different ones, all padded by 2; 4 are for validation. */
static void put_noise_config(bnn_config *c, bool distinct)
{
    enum { NOISE = 6, PIXELS = NOISE * NOISE };
    static const size_t shape[] = {COUNT, NOISE, NOISE};
    double values[COUNT * PIXELS];
    bnn_pcg32 rng = bnn_stream_open(bnn_stream_of(1, BNN_STREAM_SHUFFLE, 0, 0, 0));
    for (size_t i = 0; i < COUNT * PIXELS; i++)
        values[i] = distinct || i < PIXELS ? bnn_pcg32_uniform(&rng) : values[i - PIXELS];
    put_config(c);
    assert_int_equal(bnn_npy_write(c->data.paths.train_images, values, 3, shape, 8, NULL), BNN_OK);
    strcpy(c->data.paths.test_images, c->data.paths.train_images);
    strcpy(c->data.paths.test_labels, c->data.paths.train_labels);
    c->data.pad = 2, c->data.validation_size = 4, c->data.background = 0;
}

static const bnn_real *image_at(const bnn_dataset *data, size_t i)
{
    return data->images + i * data->height * data->width;
}

static bool same_image(const bnn_dataset *a, size_t i, const bnn_dataset *b, size_t j)
{
    return memcmp(image_at(a, i), image_at(b, j), a->height * a->width * sizeof(bnn_real)) == 0;
}

/* Copies of one image: all are turned, each by an angle of its own. */
static void every_image_has_its_angle(void **state)
{
    bnn_config c;
    bnn_dataset *still, *data[3], *none;
    (void)state;
    put_noise_config(&c, false);
    still = test_of(&c);
    c.data.rotate.train = c.data.rotate.test = BNN_ROTATE_UNIFORM;
    load(&c, &data[0], &data[1]);
    data[2] = test_of(&c);
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < data[k]->count; i++) {
            assert_false(same_image(data[k], i, still, 0));
            for (size_t m = 0; m < 3; m++)
                for (size_t j = 0; j < data[m]->count; j++)
                    assert_true((m == k && j == i) || !same_image(data[k], i, data[m], j));
        }
    for (size_t k = 0; k < 3; k++) bnn_dataset_free(data[k]);
    c.data.rotate.train = BNN_ROTATE_NONE; /* each by its own key */
    load(&c, &data[0], &data[1]);
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < data[k]->count; i++) assert_true(same_image(data[k], i, still, 0));
    bnn_dataset_free(data[0]), bnn_dataset_free(data[1]);
    c.data.rotate.train = BNN_ROTATE_UNIFORM, c.data.rotate.test = BNN_ROTATE_NONE;
    load(&c, &data[0], &none);
    data[1] = test_of(&c);
    assert_true(same_image(data[1], 7, still, 0) && !same_image(data[0], 7, still, 0));
    bnn_dataset_free(data[0]), bnn_dataset_free(data[1]), bnn_dataset_free(none), bnn_dataset_free(still);
}

/* Whether each image of `a` is one of `b`. */
static bool has_all(const bnn_dataset *a, const bnn_dataset *b)
{
    for (size_t i = 0; i < a->count; i++) {
        size_t j = 0;
        while (j < b->count && !same_image(a, i, b, j)) j++;
        if (j == b->count) return false;
    }
    return true;
}

/* Another `seed` draws other images for training, and each is turned as before; data.seed turns all anew. */
static void angles_belong_to_the_data(void **state)
{
    bnn_config c;
    bnn_dataset *all, *train, *validation, *test, *again;
    (void)state;
    put_noise_config(&c, true);
    c.data.rotate.train = c.data.rotate.test = BNN_ROTATE_UNIFORM, c.data.paths.seed = 1,
    c.data.validation_size = 0;
    load(&c, &all, &validation);
    test = test_of(&c);
    c.seed = 9, c.data.train_size = 5, c.data.validation_size = 4;
    load(&c, &train, &validation);
    again = test_of(&c);
    assert_true(has_all(train, all) && has_all(validation, all) && !same_image(train, 0, all, 0));
    assert_memory_equal(again->images, test->images, COUNT * 100 * sizeof(bnn_real));
    bnn_dataset_free(train), bnn_dataset_free(validation), bnn_dataset_free(again);
    c.data.paths.seed = 2;
    load(&c, &train, &validation);
    again = test_of(&c);
    assert_false(has_all(train, all) || has_all(again, test));
    bnn_dataset_free(train), bnn_dataset_free(validation), bnn_dataset_free(again);
    bnn_dataset_free(all), bnn_dataset_free(test);
}

/* A bright square keeps its centre and its mass, as its corners lie in the padding. */
static void turns_are_about_the_centre_and_after_padding(void **state)
{
    enum { NOISE = 6 };
    static const size_t shape[] = {COUNT, NOISE, NOISE};
    double values[COUNT * NOISE * NOISE];
    bnn_config c;
    (void)state;
    for (size_t i = 0; i < COUNT * NOISE * NOISE; i++) values[i] = 1;
    put_noise_config(&c, true);
    assert_int_equal(bnn_npy_write(c.data.paths.test_images, values, 3, shape, 8, NULL), BNN_OK);
    c.data.rotate.test = BNN_ROTATE_UNIFORM;
    bnn_dataset *test = test_of(&c);
    assert_true(test->height == 10);
    for (size_t i = 0; i < COUNT; i++) {
        double mass = 0, row = 0, column = 0;
        for (size_t p = 0; p < 100; p++) {
            const double value = (double)image_at(test, i)[p];
            mass += value;
            row += value * ((double)(p / 10) - 4.5);
            column += value * ((double)(p % 10) - 4.5);
        }
        assert_close(mass, 36, 0.05, 0);
        assert_close(row + column + 1, 1, 0.001, 0);
        assert_close(row - column + 1, 1, 0.001, 0);
    }
    bnn_dataset_free(test);
}

/* Twelve training images, 0 .. 11, and four test images, 20 .. 23. */
static void repartition_deals_all_images_anew(void **state)
{
    bnn_config c;
    bnn_dataset *train, *validation, *test, *again;
    bool seen[24] = {false}, moved = false;
    (void)state;
    put_config(&c);
    put_images("tx.npy", 4, SIDE, 2, 0.5);
    c.data.repartition = 9, c.data.validation_size = 2, c.data.paths.seed = 3;
    load(&c, &train, &validation);
    c.model.classes = train->classes, c.data.background = (double)train->background;
    assert_true(train->background == -2 && train->pixels.most == (bnn_real)2.3);
    test = test_of(&c);
    assert_true(train->count == 7 && validation->count == 2 && test->count == 7);
    for (size_t i = 0; i < 16; i++) {
        const bnn_dataset *data = i < 7 ? train : i < 9 ? validation : test;
        const size_t row = i < 7 ? i : i < 9 ? i - 7 : i - 9, index = index_of(data, row);
        assert_true(index < 24 && !seen[index]);
        seen[index] = true;
        moved = moved || (index >= 20) == (i < 9);
        assert_int_equal(data->labels[row], index % 20 % 3);
    }
    assert_true(moved);
    bnn_dataset_free(train), bnn_dataset_free(validation);
    c.seed = 77; /* no matter to whom belongs what */
    again = test_of(&c);
    assert_memory_equal(again->images, test->images, 7 * SIDE * SIDE * sizeof(bnn_real));
    bnn_dataset_free(again);
    c.data.test_size = 3;
    again = test_of(&c);
    assert_true(again->count == 3);
    assert_memory_equal(again->images, test->images, 3 * SIDE * SIDE * sizeof(bnn_real));
    bnn_dataset_free(again);
    c.data.test_size = 0, c.data.paths.seed = 4;
    again = test_of(&c);
    assert_memory_not_equal(again->images, test->images, 7 * SIDE * SIDE * sizeof(bnn_real));
    bnn_dataset_free(again), bnn_dataset_free(test);
}

static void repartitions_that_cannot_be_are_refused(void **state)
{
    bnn_config c;
    bnn_dataset *train, *validation, *test;
    bnn_range pixels;
    bnn_error error;
    (void)state;
    put_config(&c);
    c.data.repartition = 16;
    assert_training_refused(&c, "data.repartition: found 16, expected fewer than the 16 training and test");
    c.data.repartition = 9, c.data.validation_size = 9;
    assert_training_refused(&c, "found 0 + 9, expected at most the 9 training images");
    c.data.validation_size = 0, c.data.test_size = 8;
    assert_failure(bnn_test_data(&c, &test, &error), BNN_BAD_INPUT, error,
                   "data.test_size: found 8, expected at most the 7 test images");
    put_images("tx.npy", 4, 3, 0, 1);
    assert_training_refused(&c, "test images: found 1 x 3 x 3");
    assert_int_equal(bnn_npy_write(in_temporary("tx.npy"), (double[16]){0}, 3, (size_t[]){4, 2, 2}, 4, NULL),
                     BNN_OK);
    assert_training_refused(&c, "data.repartition: found images of float64 and of float32");
    c.data.paths.test_images[0] = c.data.paths.test_labels[0] = '\0';
    assert_training_refused(&c, "data.repartition: found 9, expected 0: npy has no test images");
    c.data.repartition = 0, c.data.test_size = 0, c.data.rotate.test = BNN_ROTATE_UNIFORM;
    load(&c, &train, &validation);
    assert_failure(bnn_check_test_data(&c, train, &pixels, &error), BNN_BAD_INPUT, error,
                   "data.rotate.test: is set, expected \"none\": npy has no test images");
    bnn_dataset_free(train);
}

static void tells_how_the_data_is_made(void **state)
{
    static const char *const said[] = {"image of training and validation is turned once",
                                       "image of the test set", "image of training, validation and test"};
    size_t lines = 0;
    bnn_config c;
    (void)state;
    put_config(&c);
    bnn_describe_preparation(&c, hear, &lines);
    assert_int_equal(lines, 0);
    for (int k = 1; k < 4; k++) {
        c.data.rotate.train = k & 1, c.data.rotate.test = k >> 1, lines = 0;
        bnn_describe_preparation(&c, hear, &lines);
        assert_true(lines == 1 && strstr(told[0], said[k - 1]));
    }
    c.data.repartition = 9, lines = 0;
    bnn_describe_preparation(&c, hear, &lines);
    assert_true(lines == 2 && strstr(told[0], "data.repartition: 9 images for training and validation"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_image_has_its_angle),
        cmocka_unit_test(angles_belong_to_the_data),
        cmocka_unit_test(turns_are_about_the_centre_and_after_padding),
        cmocka_unit_test(repartition_deals_all_images_anew),
        cmocka_unit_test(repartitions_that_cannot_be_are_refused),
        cmocka_unit_test(tells_how_the_data_is_made),
        cmocka_unit_test(cuts_disjoint_sets),
        cmocka_unit_test(has_one_background),
        cmocka_unit_test(takes_the_validation_set_given),
        cmocka_unit_test(checks_the_test_set),
        cmocka_unit_test(reads_layouts_as_the_model_wants),
        cmocka_unit_test(warns_of_other_ranges),
        cmocka_unit_test(tells_what_the_data_is_like),
    };
    return cmocka_run_group_tests(tests, make_temporary_directory, remove_temporary_directory);
}
